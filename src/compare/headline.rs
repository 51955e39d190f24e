//! The one sentence that a reader takes home.

use super::TIE;
use super::reference::{ArmRatio, Comparison, against_reference};
use crate::measure::Metric;
use crate::result::{Cell, Document};
use crate::units::{show_nanos, three_digits};

/// An arm that delivered less than this share is not called fast without saying so.
const REACHED: f64 = 0.99;

/// A sentence and the arms that it speaks of.
struct Said {
    sentence: String,
    arms: Vec<String>,
}

/// What the run shows in one sentence, such as “websocket p99 is 1.85× lower than long-polling”. Without a reference to
/// compare with it names the fastest arm; without figures it says so. It doesn't speak of arms without a valid trial; one
/// that didn't deliver what it should have is named as such.
pub fn headline(document: &Document) -> String {
    let is_valid = |arm: &str| document.cells.iter().any(|c| c.arm == arm && c.has_valid_trial());
    if document.cells.iter().any(|c| !c.trials.is_empty()) && !document.cells.iter().any(Cell::has_valid_trial) {
        let mut trials = document.cells.iter().flat_map(|cell| &cell.trials);
        return match trials.all(|trial| trial.failure.is_some()) {
            true => "Nothing was measured: every trial failed".to_owned(),
            false => "INVALID: the generator could not be trusted in any trial".to_owned(),
        };
    }
    let comparison = against_reference(document).filter(|c| is_valid(&c.reference)).map(|mut comparison| {
        comparison.arms.retain(|arm| is_valid(&arm.arm));
        comparison
    });
    let compared = comparison.as_ref().and_then(against);
    let Some(Said { sentence, arms }) = compared.or_else(|| fastest(document)) else {
        let is_left_out = |cell: &Cell| cell.absence(Metric::ResponseTime).is_some();
        return match document.cells.iter().any(is_left_out) {
            true => "No response times: the machines' clocks are not known well enough".to_owned(),
            false => "No arm has enough samples for a comparison".to_owned(),
        };
    };
    let spoken_of = || document.cells.iter().filter(|c| arms.contains(&c.arm));
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
    let valid = document.cells.iter().filter(|c| c.has_valid_trial());
    let medians = valid.map(Cell::summary).filter_map(|s| Some((s.response_time.p50?, s.arm)));
    let (median, arm) = medians.min()?;
    Some(Said { sentence: format!("{arm} has the lowest median, {}", show_nanos(median as f64)), arms: vec![arm] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

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
        assert!(headline(&testing::left_out()).starts_with("No response times"));
    }

    #[test]
    fn it_does_not_boast_with_what_cannot_be_trusted() {
        let mut document = testing::document();
        document.cells[0].trials.iter_mut().for_each(|t| t.outcome.measure.expected *= 2);
        assert!(headline(&document).ends_with("but websocket delivered only 50.0 %"), "{}", headline(&document));
        let mut invalidate = |arm: usize| {
            document.cells[arm].trials.iter_mut().for_each(testing::invalidate);
            headline(&document)
        };
        assert_eq!(invalidate(0), "udp p99 is 1.96× lower than long-polling");
        assert!(invalidate(3).starts_with("udp has the lowest median"));
        let last = (0..7).map(invalidate).last().unwrap();
        assert_eq!(last, "INVALID: the generator could not be trusted in any trial");
        let trials = document.cells.iter_mut().flat_map(|cell| &mut cell.trials);
        trials.for_each(|trial| trial.failure = Some("no session could be opened".to_owned()));
        assert_eq!(headline(&document), "Nothing was measured: every trial failed");
    }
}
