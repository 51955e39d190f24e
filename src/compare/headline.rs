//! The one sentence that a reader takes home.

use super::reference::{ArmRatio, Comparison, against_reference};
use crate::result::Document;
use crate::units::three_digits;

/// Ratios closer to 1 than this are called a tie.
const TIE: f64 = 0.05;

/// What the run shows in one sentence, such as “websocket p99 is 1.85× lower than long-polling”. Without a reference to
/// compare with it names the fastest arm; without figures it says so.
pub fn headline(document: &Document) -> String {
    match against_reference(document).as_ref().and_then(against) {
        Some(sentence) => sentence,
        None => fastest(document).unwrap_or_else(|| "No arm has enough samples for a comparison".to_owned()),
    }
}

/// The WebSocket arm is what the project is about; without one the arm with the lowest ratio.
fn against(comparison: &Comparison) -> Option<String> {
    let figure = |arm: &ArmRatio| match (&arm.p99, &arm.p50) {
        (Some(ratio), _) => Some(("p99", ratio.spread.median)),
        (None, Some(ratio)) => Some(("p50", ratio.spread.median)),
        (None, None) => None,
    };
    let websocket = comparison.arms.iter().find(|a| a.transport == "websocket" && figure(a).is_some());
    let lowest = || {
        let rated = comparison.arms.iter().filter(|a| figure(a).is_some());
        rated.min_by(|a, b| figure(a).map(|f| f.1).unwrap_or(0.0).total_cmp(&figure(b).map(|f| f.1).unwrap_or(0.0)))
    };
    let arm = websocket.or_else(lowest)?;
    let (name, ratio) = figure(arm)?;
    Some(sentence(&arm.arm, name, ratio, &comparison.reference))
}

/// “`arm` p99 is 2.10× lower than `reference`”.
pub fn sentence(arm: &str, quantile: &str, ratio: f64, reference: &str) -> String {
    match ratio {
        r if (r - 1.0).abs() <= TIE => format!("{arm} and {reference} tie at {quantile}"),
        r if r < 1.0 => format!("{arm} {quantile} is {}× lower than {reference}", three_digits(1.0 / r)),
        r => format!("{arm} {quantile} is {}× higher than {reference}", three_digits(r)),
    }
}

fn fastest(document: &Document) -> Option<String> {
    let median = |summary: &crate::result::CellSummary| summary.response_time.p50;
    let summaries = document.summary();
    let best = summaries.iter().filter(|s| median(s).is_some()).min_by_key(|s| median(s))?;
    Some(format!("{} has the lowest median, {}", best.arm, crate::units::show_nanos(median(best)? as f64)))
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
    }
}
