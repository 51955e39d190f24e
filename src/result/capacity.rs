//! What a search for capacity found: for each arm the highest load that held an objective, and why the search went no
//! further. The trials behind it are the document's cells, one for each arm and load.

use super::{Cell, Document, Kept, Reading, Slo, Trial};
use crate::clock::Nanos;
use crate::units::{Rate, three_digits};
use serde::{Deserialize, Serialize};

/// The search and its findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    pub slo: Slo,
    /// What was raised: `rate` (scheduled units a second) or `sessions`.
    pub of: String,
    /// The load that was tried first, and the bounds of those that might be.
    pub first: u64,
    pub from: u64,
    pub to: u64,
    /// The search of an arm ends when the load that failed is over the one that held by no more than this part of it.
    pub precision: f64,
    /// Trials that a series takes if none is INVALID and they don't agree before.
    pub trials: u32,
    /// Most time that was allowed, nanoseconds.
    pub budget: Nanos,
    /// In the scenario's order.
    pub arms: Vec<ArmCapacity>,
}

/// What is known of one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmCapacity {
    pub arm: String,
    /// The highest load that held, and held again in a fresh series.
    pub held: Option<u64>,
    /// The highest load that held once, where there was no time to confirm it.
    #[serde(default)]
    pub unconfirmed: Option<u64>,
    /// The lowest load above it that valid trials failed.
    pub failed: Option<Failed>,
    /// `null` while the search goes on.
    pub end: Option<End>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub load: u64,
    /// What the first failing trial broke, in words.
    pub why: String,
}

/// Why the search of an arm ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Between `held` and `failed` there is no more than the precision, unless confirming had to step down.
    Found,
    /// The next higher load was INVALID: the target may hold more.
    GeneratorLimit,
    /// The highest load that might be tried was held.
    UpperBound,
    /// The lowest load that might be tried was not held.
    BelowLowerBound,
    /// The time was up.
    Budget,
    /// One more trial would have made a result too large to be read again.
    TooManyTrials,
    Interrupted,
}

/// The trials of one load in one round of the search.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<'a> {
    pub round: u32,
    pub trials: Vec<(&'a Trial, Kept)>,
}

impl Capacity {
    /// The load of a cell.
    pub fn load_of(&self, cell: &Cell) -> u64 {
        match self.of.as_str() {
            "sessions" => cell.load.sessions,
            _ => cell.load.rate.round() as u64,
        }
    }

    /// A load for a reader, such as `2000/s` or `120 sessions`.
    pub fn show(&self, load: u64) -> String {
        match self.of.as_str() {
            "sessions" => format!("{load} sessions"),
            _ => show_rate(load),
        }
    }

    pub fn arm(&self, name: &str) -> Option<&ArmCapacity> {
        self.arms.iter().find(|arm| arm.arm == name)
    }

    /// What an arm's capacity is, in words that say no more than is known.
    pub fn words(&self, arm: &ArmCapacity) -> String {
        let show = |load| self.show(load);
        match (arm.held, arm.end) {
            (Some(held), Some(End::GeneratorLimit)) => format!("at least {}: the generator is the limit", show(held)),
            (Some(held), Some(End::UpperBound)) => format!("at least {}: the upper bound", show(held)),
            (Some(held), _) => show(held),
            (None, Some(End::GeneratorLimit)) => "unknown: the generator is the limit".to_owned(),
            (None, Some(End::BelowLowerBound)) => format!("less than {}: the lower bound", show(self.from)),
            (None, _) => match arm.unconfirmed {
                Some(load) => format!("unconfirmed: {} held once", show(load)),
                None => "unknown".to_owned(),
            },
        }
    }

    /// Why the search of an arm ended, in words.
    pub fn end_words(&self, arm: &ArmCapacity) -> &'static str {
        match arm.end {
            Some(End::Found) => "found",
            Some(End::GeneratorLimit) => "higher loads were INVALID: the generator was the limit, or lost a process",
            Some(End::UpperBound) => "the upper bound was held",
            Some(End::BelowLowerBound) => "the lower bound was not held",
            Some(End::Budget) => "the time was up",
            Some(End::TooManyTrials) => "there were as many trials as a result holds",
            Some(End::Interrupted) | None => "interrupted",
        }
    }

    /// The trials of `cell`, round by round, each with whether it kept the objective.
    pub fn series<'a>(&self, cell: &'a Cell) -> Vec<Series<'a>> {
        let mut all: Vec<Series> = Vec::new();
        for trial in &cell.trials {
            let judged = (trial, self.slo.judge(cell, trial));
            match all.last_mut().filter(|series| series.round == trial.block) {
                Some(series) => series.trials.push(judged),
                None => all.push(Series { round: trial.block, trials: vec![judged] }),
            }
        }
        all
    }

    /// What the trials of `cell` show under the objective's first limit, ascending: nanoseconds, and infinity where too
    /// much never came. `is_valid`: those of valid trials, or of INVALID ones.
    pub fn readings(&self, cell: &Cell, is_valid: bool) -> Vec<f64> {
        let Some(limit) = self.slo.first() else { return Vec::new() };
        let trials = cell.trials.iter().filter(|t| t.invalid.is_empty() == is_valid && !t.outcome.interrupted);
        let mut readings: Vec<f64> = trials
            .filter_map(|trial| match limit.read(trial) {
                Reading::Nothing => None,
                Reading::At(nanos) => Some(nanos as f64),
                Reading::Never => Some(f64::INFINITY),
            })
            .collect();
        readings.sort_by(f64::total_cmp);
        readings
    }

    /// The answer in a sentence.
    pub fn headline(&self) -> String {
        if self.arms.iter().all(|arm| arm.held.is_none() && arm.end != Some(End::BelowLowerBound)) {
            return format!("No load was confirmed to hold {}", self.slo);
        }
        let said: Vec<String> = self.arms.iter().map(|arm| format!("{} {}", arm.arm, self.brief(arm))).collect();
        format!("{} holds up to: {}", self.slo, said.join(", "))
    }

    /// An arm's capacity, or the bound that is known, for where there is little room.
    pub fn brief(&self, arm: &ArmCapacity) -> String {
        match (arm.held, arm.end) {
            (Some(held), Some(End::GeneratorLimit | End::UpperBound)) => format!("≥ {}", self.show(held)),
            (Some(held), _) => self.show(held),
            (None, Some(End::BelowLowerBound)) => format!("< {}", self.show(self.from)),
            (None, _) => "?".to_owned(),
        }
    }
}

impl Document {
    /// What a cell is called where several may be of one arm: the arm, and of a search for capacity the load.
    pub fn name_of(&self, cell: &Cell) -> String {
        match &self.capacity {
            Some(capacity) => format!("{} at {}", cell.arm, capacity.show(capacity.load_of(cell))),
            None => cell.arm.clone(),
        }
    }
}

/// `950/s`, `2.83k/s`, `1M/s`.
fn show_rate(load: u64) -> String {
    let short = |value: f64| {
        let text = three_digits(value);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    };
    match load {
        0..10_000 => Rate::new(load as f64).unwrap_or_default().to_string(),
        10_000..1_000_000 => format!("{}k/s", short(load as f64 / 1e3)),
        _ => format!("{}M/s", short(load as f64 / 1e6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn rates_are_shown_short() {
        let shown = [7, 9_999, 12_345, 100_000, 1_048_576].map(show_rate);
        assert_eq!(shown, ["7/s", "9999/s", "12.3k/s", "100k/s", "1.05M/s"]);
    }

    #[test]
    fn words_say_no_more_than_is_known() {
        let capacity = testing::capacity().capacity.unwrap();
        let mut arm = capacity.arms[0].clone();
        let mut said = |held, unconfirmed, end| {
            (arm.held, arm.unconfirmed, arm.end) = (held, unconfirmed, end);
            capacity.words(&arm)
        };
        assert_eq!(said(Some(800), None, Some(End::Found)), "800/s");
        assert_eq!(said(Some(800), None, Some(End::GeneratorLimit)), "at least 800/s: the generator is the limit");
        assert_eq!(said(None, None, Some(End::GeneratorLimit)), "unknown: the generator is the limit");
        assert_eq!(said(Some(800), None, Some(End::UpperBound)), "at least 800/s: the upper bound");
        assert_eq!(said(None, None, Some(End::BelowLowerBound)), "less than 50/s: the lower bound");
        assert_eq!(said(None, Some(400), Some(End::Budget)), "unconfirmed: 400/s held once");
        assert_eq!(said(None, None, None), "unknown");
    }

    #[test]
    fn nothing_confirmed_is_no_headline_of_figures() {
        let mut capacity = testing::capacity().capacity.unwrap();
        assert_eq!(capacity.headline(), "p99 < 5ms holds up to: websocket 800/s, tcp ≥ 400/s, long-polling < 50/s");
        capacity.arms.iter_mut().for_each(|arm| (arm.held, arm.end) = (None, Some(End::Budget)));
        assert_eq!(capacity.headline(), "No load was confirmed to hold p99 < 5ms");
    }

    #[test]
    fn a_series_is_the_trials_of_one_round() {
        let document = testing::capacity();
        let capacity = document.capacity.as_ref().unwrap();
        let rounds = |cell: &Cell| -> Vec<(u32, usize)> {
            capacity.series(cell).iter().map(|series| (series.round, series.trials.len())).collect()
        };
        let confirmed = document.cells.iter().find(|cell| capacity.load_of(cell) == 800).unwrap();
        assert_eq!(rounds(confirmed), [(1, 3), (3, 3)]);
        assert_eq!(document.name_of(confirmed), "websocket at 800/s");
    }

    #[test]
    fn a_search_is_saved_and_loaded_with_its_document() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        let document = testing::capacity();
        document.save(&path).unwrap();
        assert_eq!(Document::load(&path).unwrap(), document);
    }
}
