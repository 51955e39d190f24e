//! What a search for capacity found, as words.

use super::{DASH, Percentiles, reach};
use crate::chart::Inks;
use crate::result::{Capacity, Cell, Document, Kept};
use crate::units::show_nanos;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct CapacityView {
    pub slo: String,
    /// The quantile that the objective limits first, such as `p99 response-time`.
    pub limited: String,
    pub rows: Vec<CapacityRow>,
    pub loads: Vec<LoadRow>,
}

/// One arm.
#[derive(Debug, Serialize)]
pub struct CapacityRow {
    pub arm: String,
    pub colour: String,
    pub capacity: String,
    /// The lowest load that failed.
    pub failed: String,
    pub why: String,
    pub end: &'static str,
}

/// One arm at one load.
#[derive(Debug, Serialize)]
pub struct LoadRow {
    pub arm: String,
    pub colour: String,
    pub load: String,
    /// Whether it is the arm's capacity.
    pub is_knee: bool,
    /// Trials that kept the objective, of those that were valid.
    pub kept: String,
    pub invalid: String,
    /// Median, least and most of the limited quantile over valid trials.
    pub limited: String,
    /// Valid trials merged.
    pub p50: String,
    pub reach: String,
    /// What the first trial that missed broke.
    pub why: String,
}

impl CapacityView {
    pub fn of(document: &Document, capacity: &Capacity, inks: &Inks) -> CapacityView {
        let colour = |arm: &str| {
            let at = document.cells.iter().position(|cell| cell.arm == arm).unwrap_or(usize::MAX);
            inks.of_cell(at).hex()
        };
        let rows = capacity.arms.iter().map(|arm| CapacityRow {
            arm: arm.arm.clone(),
            colour: colour(&arm.arm),
            capacity: capacity.words(arm),
            failed: arm.failed.as_ref().map_or(DASH.to_owned(), |failed| capacity.show(failed.load)),
            why: arm.failed.as_ref().map_or(DASH.to_owned(), |failed| failed.why.clone()),
            end: capacity.end_words(arm),
        });
        let limit = capacity.slo.first();
        CapacityView {
            slo: capacity.slo.to_string(),
            limited: limit.map_or(DASH.to_owned(), |l| format!("{} {}", l.quantile.name(), l.metric.name())),
            rows: rows.collect(),
            loads: document.cells.iter().map(|cell| load_row(capacity, cell, colour(&cell.arm))).collect(),
        }
    }
}

fn load_row(capacity: &Capacity, cell: &Cell, colour: String) -> LoadRow {
    let load = capacity.load_of(cell);
    let judged: Vec<Kept> = cell.trials.iter().map(|trial| capacity.slo.judge(cell, trial)).collect();
    let kept = judged.iter().filter(|kept| **kept == Kept::Yes).count();
    let invalid = judged.iter().filter(|kept| **kept == Kept::Invalid).count();
    let why = judged.iter().find_map(|kept| if let Kept::No(why) = kept { Some(why.clone()) } else { None });
    let summary = cell.summary();
    let (p50, reach) = match summary.valid {
        0 => (DASH.to_owned(), DASH.to_owned()),
        _ => (Percentiles::of(&summary.response_time).p50, reach(summary.reach)),
    };
    LoadRow {
        arm: cell.arm.clone(),
        colour,
        load: capacity.show(load),
        is_knee: capacity.arm(&cell.arm).is_some_and(|arm| arm.held == Some(load)),
        kept: format!("{kept} of {}", judged.len() - invalid),
        invalid: invalid.to_string(),
        limited: spread(&capacity.readings(cell, true)),
        p50,
        reach,
        why: why.unwrap_or(DASH.to_owned()),
    }
}

/// `1.20 ms (1.10 ms to 3.00 ms)`.
fn spread(sorted: &[f64]) -> String {
    let show = |value: f64| if value.is_finite() { show_nanos(value) } else { "∞".to_owned() };
    match sorted {
        [] => DASH.to_owned(),
        [only] => show(*only),
        all => format!("{} ({} to {})", show(all[all.len() / 2]), show(all[0]), show(all[all.len() - 1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn invalid_trials_are_counted_and_stand_in_no_figure() {
        let document = testing::capacity();
        let view = CapacityView::of(&document, document.capacity.as_ref().unwrap(), &Inks::of(&document));
        let row = |arm: &str, load: &str| view.loads.iter().find(|row| row.arm == arm && row.load == load).unwrap();
        let tcp = row("tcp", "800/s");
        assert_eq!((tcp.kept.as_str(), tcp.invalid.as_str()), ("0 of 0", "3"));
        assert_eq!([&tcp.limited, &tcp.p50, &tcp.reach], [DASH; 3]);
        let knee = row("websocket", "800/s");
        assert_eq!((knee.kept.as_str(), knee.is_knee, knee.why.as_str()), ("6 of 6", true, DASH));
        assert!(row("websocket", "1600/s").why.starts_with("p99 response-time "));
        assert_eq!(view.rows[1].capacity, "at least 400/s: the generator is the limit");
    }

    #[test]
    fn what_never_came_is_infinite() {
        assert_eq!(spread(&[1e6, 2e6, f64::INFINITY]), "2.00 ms (1.00 ms to ∞)");
    }
}
