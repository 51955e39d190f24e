//! What a reader must know of trials, told once where several say the same.

use crate::result::{Document, Finding, Trial};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct FindingView {
    pub arm: String,
    /// Blocks, such as `1` or `0, 2`.
    pub blocks: String,
    pub code: String,
    pub message: String,
    pub advice: String,
}

/// Findings of one arm with the same code and advice in one row, which tells whose each message is.
pub(super) fn findings(document: &Document, of: impl Fn(&Trial) -> Vec<Finding>) -> Vec<FindingView> {
    let mut rows = Vec::new();
    for cell in &document.cells {
        let mut of_arm: Vec<(Finding, Vec<(u32, String)>)> = Vec::new();
        for (block, finding) in cell.trials.iter().flat_map(|t| of(t).into_iter().map(|f| (t.block, f))) {
            let seen = (block, finding.message.clone());
            match of_arm.iter_mut().find(|(f, _)| (&f.code, &f.advice) == (&finding.code, &finding.advice)) {
                Some((_, all)) => all.push(seen),
                None => of_arm.push((finding, vec![seen])),
            }
        }
        rows.extend(of_arm.into_iter().map(|(finding, seen)| FindingView {
            arm: document.name_of(cell),
            blocks: listed(seen.iter().map(|(block, _)| *block)),
            code: finding.code,
            message: told_by_block(&seen),
            advice: finding.advice,
        }));
    }
    rows
}

/// More different messages than this are not told one by one.
const TOLD: usize = 4;

/// One message for all blocks if they agree, else each with the blocks that it is of.
fn told_by_block(seen: &[(u32, String)]) -> String {
    let mut groups: Vec<(&str, Vec<u32>)> = Vec::new();
    for (block, message) in seen {
        match groups.iter_mut().find(|(told, _)| told == message) {
            Some((_, blocks)) => blocks.push(*block),
            None => groups.push((message, vec![*block])),
        }
    }
    let told = |(message, blocks): &(&str, Vec<u32>)| {
        let blocks = listed(blocks.iter().copied());
        let word = if blocks.contains(',') { "blocks" } else { "block" };
        format!("{word} {blocks}: {message}")
    };
    match &groups[..] {
        [(message, _)] => (*message).to_owned(),
        few if few.len() <= TOLD => few.iter().map(told).collect::<Vec<_>>().join("; "),
        many => format!("such as {}", many[..TOLD - 1].iter().map(told).collect::<Vec<_>>().join("; ")),
    }
}

/// Each once: in a search for capacity a block has several trials of an arm.
fn listed(blocks: impl Iterator<Item = u32>) -> String {
    let mut blocks: Vec<u32> = blocks.collect();
    blocks.dedup();
    blocks.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_several_blocks_tells_whose_each_figure_is() {
        let told = |messages: &[&str]| {
            let blocks = [0, 5, 7, 8, 9];
            told_by_block(&blocks.into_iter().zip(messages.iter().map(|m| m.to_string())).collect::<Vec<_>>())
        };
        assert_eq!(told(&["61.5 ms"]), "61.5 ms");
        assert_eq!(told(&["61.5 ms", "61.5 ms"]), "61.5 ms");
        assert_eq!(listed([1, 1, 1, 3].into_iter()), "1, 3");
        assert_eq!(told(&["61.5 ms", "25.8 ms", "61.5 ms"]), "blocks 0, 7: 61.5 ms; block 5: 25.8 ms");
        assert_eq!(told(&["1", "2", "3", "4", "5"]), "such as block 0: 1; block 5: 2; block 7: 3");
    }
}
