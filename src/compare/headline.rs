//! The one sentence that a reader takes home.

use super::TIE;
use super::reference::{ArmRatio, Comparison, against_reference};
use crate::result::{Cell, Document, Trial};
use crate::units::{show_nanos, three_digits};

/// An arm that delivered less than this share is not called fast without saying so.
const REACHED: f64 = 0.99;

/// A sentence and the arms that it speaks of.
struct Said {
    sentence: String,
    arms: Vec<String>,
}

/// What the run shows in one sentence, such as “websocket p99 is 1.85× lower than long-polling”. Without a reference to
/// compare with it names the fastest arm; without figures it says so. Arms that can't be trusted, or that didn't deliver
/// what they should have, are named as such.
pub fn headline(document: &Document) -> String {
    let compared = against_reference(document).as_ref().and_then(against);
    let Some(Said { sentence, arms }) = compared.or_else(|| fastest(document)) else {
        return "No arm has enough samples for a comparison".to_owned();
    };
    let spoken_of = || document.cells.iter().filter(|c| arms.contains(&c.arm));
    if let Some(cell) = spoken_of().find(|c| !c.trials.iter().any(Trial::is_valid)) {
        return format!("INVALID: the generator could not be trusted with {} ({sentence})", cell.arm);
    }
    let reach = |cell: &Cell| cell.summary().reach.unwrap_or(1.0);
    match spoken_of().map(|c| (c, reach(c))).find(|(_, reach)| *reach < REACHED) {
        Some((cell, reach)) => format!("{sentence}, but {} delivered only {:.1} %", cell.arm, reach * 100.0),
        None => sentence,
    }
}

/// The WebSocket arm is what the project is about; without one the arm with the lowest ratio.
fn against(comparison: &Comparison) -> Option<Said> {
    let figure = |arm: &ArmRatio| match (&arm.p99, &arm.p50) {
        (Some(ratio), _) => Some(("p99", ratio.spread.median)),
        (None, Some(ratio)) => Some(("p50", ratio.spread.median)),
        (None, None) => None,
    };
    let rated: Vec<_> = comparison.arms.iter().filter_map(|arm| Some((arm, figure(arm)?))).collect();
    let websocket = rated.iter().find(|(arm, _)| arm.transport == "websocket");
    let lowest = || rated.iter().min_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
    let (arm, (quantile, ratio)) = websocket.or_else(lowest)?;
    Some(Said {
        sentence: sentence(&arm.arm, quantile, *ratio, &comparison.reference),
        arms: vec![arm.arm.clone(), comparison.reference.clone()],
    })
}

/// “`arm` p99 is 2.10× lower than `reference`”.
fn sentence(arm: &str, quantile: &str, ratio: f64, reference: &str) -> String {
    match ratio {
        r if (r - 1.0).abs() <= TIE => format!("{arm} and {reference} tie at {quantile}"),
        r if r < 1.0 => format!("{arm} {quantile} is {}× lower than {reference}", three_digits(1.0 / r)),
        r => format!("{arm} {quantile} is {}× higher than {reference}", three_digits(r)),
    }
}

fn fastest(document: &Document) -> Option<Said> {
    let medians = document.summary().into_iter().filter_map(|s| Some((s.response_time.p50?, s.arm)));
    let (median, arm) = medians.min()?;
    Some(Said { sentence: format!("{arm} has the lowest median, {}", show_nanos(median as f64)), arms: vec![arm] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Finding, testing};

    #[test]
    fn it_says_what_is_seen() {
        let mut document = testing::document();
        assert_eq!(headline(&document), "websocket p99 is 1.94× lower than long-polling");
        assert_eq!(sentence("sse", "p50", 1.04, "websocket"), "sse and websocket tie at p50");
        assert_eq!(sentence("sse", "p50", 3.0, "tcp"), "sse p50 is 3.00× higher than tcp");
        document.reference = None;
        assert!(headline(&document).contains("udp has the lowest median, 20."), "{}", headline(&document));
        document.cells.clear();
        assert!(headline(&document).starts_with("No arm"));
    }

    #[test]
    fn it_does_not_boast_with_what_cannot_be_trusted() {
        let mut document = testing::document();
        document.cells[0].trials.iter_mut().for_each(|t| t.outcome.measure.expected *= 2);
        assert!(headline(&document).ends_with("but websocket delivered only 50.0 %"), "{}", headline(&document));
        for trial in &mut document.cells[0].trials {
            trial.invalid = vec![Finding { code: "x".into(), message: String::new(), advice: String::new() }];
        }
        assert!(headline(&document).starts_with("INVALID"));
    }
}
