//! Each arm against the reference arm of the same run. Ratios are taken within a block, where both met the same state
//! of the machine; the spread over blocks is what the ratio is worth.

use super::Spread;
use crate::result::{Cell, Document, Trial};

/// Every arm but the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub reference: String,
    pub arms: Vec<ArmRatio>,
}

/// Response time of an arm ÷ that of the reference; under 1 the arm was faster.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmRatio {
    pub arm: String,
    pub transport: String,
    pub p50: Option<Ratio>,
    pub p99: Option<Ratio>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ratio {
    pub spread: Spread,
    /// Smallest and largest of the blocks.
    pub min: f64,
    pub max: f64,
    /// Block and its ratio, ascending by block.
    pub blocks: Vec<(u32, f64)>,
}

/// Compares every arm with the document's reference; `None` without a reference that ran, or without another arm.
pub fn against_reference(document: &Document) -> Option<Comparison> {
    let name = document.reference.as_ref()?;
    let at = document.cells.iter().position(|c| c.arm == *name)?;
    let reference = &document.cells[at];
    let others = document.cells.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, cell)| cell);
    let arms: Vec<ArmRatio> = others
        .map(|cell| ArmRatio {
            arm: cell.arm.clone(),
            transport: cell.transport.clone(),
            p50: ratio_at(cell, reference, 0.5),
            p99: ratio_at(cell, reference, 0.99),
        })
        .collect();
    (!arms.is_empty()).then(|| Comparison { reference: name.clone(), arms })
}

fn ratio_at(cell: &Cell, reference: &Cell, q: f64) -> Option<Ratio> {
    let blocks = paired_ratios(cell, reference, |trial| trial.response_time(q).map(|v| v as f64));
    let values = || blocks.iter().map(|(_, ratio)| *ratio);
    let spread = Spread::of(values())?;
    let (min, max) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    Some(Ratio { spread, min, max, blocks })
}

/// A figure of `cell` ÷ the same of `other`, for each block in which both have a trusted trial that supports it.
pub fn paired_ratios(cell: &Cell, other: &Cell, figure: impl Fn(&Trial) -> Option<f64>) -> Vec<(u32, f64)> {
    let others = other.trusted();
    let mut blocks: Vec<(u32, f64)> = cell
        .trusted()
        .iter()
        .filter_map(|trial| {
            let pair = others.iter().find(|o| o.block == trial.block)?;
            let ratio = figure(trial)? / figure(pair)?;
            (ratio.is_finite() && ratio > 0.0).then_some((trial.block, ratio))
        })
        .collect();
    blocks.sort_by_key(|(block, _)| *block);
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Histograms, Metric};
    use crate::result::testing;

    fn constant(trial: &mut Trial, nanos: u64) {
        trial.outcome.histograms = Histograms::default();
        (0..1000).for_each(|_| trial.outcome.histograms.record(Metric::ResponseTime, nanos));
    }

    #[test]
    fn ratios_are_taken_within_a_block() {
        let mut document = testing::document();
        document.cells.truncate(4);
        let [fast, .., slow] = &mut document.cells[..] else { unreachable!() };
        for (n, (a, b)) in fast.trials.iter_mut().zip(&mut slow.trials).enumerate() {
            // The machine slows down from block to block; the ratio within a block stays.
            constant(a, 1_000_000 * (n as u64 + 1));
            constant(b, 4_000_000 * (n as u64 + 1));
        }
        let comparison = against_reference(&document).unwrap();
        assert_eq!((comparison.reference.as_str(), comparison.arms.len()), ("long-polling", 3));
        let ratio = comparison.arms[0].p99.as_ref().unwrap();
        assert_eq!(ratio.blocks.len(), 3);
        assert!(ratio.blocks.iter().all(|(_, r)| (r - 0.25).abs() < 0.001), "{ratio:?}");
    }

    #[test]
    fn a_block_in_which_one_is_invalid_is_left_out() {
        let document = testing::document();
        let streaming = against_reference(&document).unwrap().arms.pop().unwrap();
        assert_eq!(streaming.arm, "http-streaming");
        let blocks: Vec<u32> = streaming.p50.unwrap().blocks.iter().map(|(b, _)| *b).collect();
        assert_eq!(blocks, [0, 2]);
    }

    #[test]
    fn nothing_is_compared_without_a_reference_or_without_support() {
        let mut document = testing::document();
        document.cells[0].trials.iter_mut().for_each(|t| {
            t.outcome.histograms = Histograms::default();
            (0..999).for_each(|_| t.outcome.histograms.record(Metric::ResponseTime, 5));
        });
        let arms = against_reference(&document).unwrap().arms;
        assert!(arms[0].p50.is_some() && arms[0].p99.is_none());
        document.cells.truncate(3);
        assert_eq!(against_reference(&document), None);
        document.reference = None;
        assert_eq!(against_reference(&document), None);
    }
}
