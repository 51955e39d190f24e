//! Whether a run kept its thresholds. Pure: the document holds them and everything that they are about.
//!
//! What can't be measured is not held: nobody knows. What never came counts as infinite in a quantile.

use crate::measure::{BEYOND_MERGED, Counters};
use crate::result::{Cell, CellSummary, Document};
use crate::threshold::{Hold, Kind, Limit, Metric, Quantile, Time};
use serde::{Serialize, Serializer};

/// A threshold and an arm that it is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    pub threshold: String,
    pub arm: String,
    /// In nanoseconds, bytes, a second, or as a part of one; `"inf"` where too many never came.
    #[serde(serialize_with = "figure")]
    pub measured: Option<f64>,
    #[serde(serialize_with = "figure")]
    pub limit: Option<f64>,
    pub outcome: Outcome,
    /// What figures don't say.
    pub why: Option<String>,
    #[serde(skip)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Held,
    Broken,
    /// Nobody can tell: as good as broken.
    NotMeasurable,
    /// An arm that it names did not run.
    Void,
}

impl Outcome {
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Held => "held",
            Outcome::Broken => "BROKEN",
            Outcome::NotMeasurable => "NOT MEASURABLE",
            Outcome::Void => "void",
        }
    }

    /// Whether the run failed by it.
    pub fn fails(self) -> bool {
        matches!(self, Outcome::Broken | Outcome::NotMeasurable)
    }
}

impl Checked {
    /// What was measured, for a reader, or why nothing was.
    pub fn measured_in_words(&self) -> String {
        match (self.measured, &self.why) {
            (Some(value), None) => self.kind.show(value),
            (Some(value), Some(why)) => format!("{} ({why})", self.kind.show(value)),
            (None, why) => why.clone().unwrap_or_default(),
        }
    }

    /// The limit as a figure; `None` where the threshold says it itself, or where it is unknown.
    pub fn limit_in_words(&self) -> Option<String> {
        self.limit.map(|limit| self.kind.show(limit))
    }
}

/// Every threshold of `document` for every arm that it is about, in their order.
pub fn check(document: &Document) -> Vec<Checked> {
    if document.thresholds.is_empty() {
        return Vec::new();
    }
    let arms: Vec<(&Cell, CellSummary)> = document.cells.iter().map(|cell| (cell, cell.summary())).collect();
    document.thresholds.iter().flat_map(|entry| check_one(entry, &arms)).collect()
}

/// The first threshold that is to end the run and is broken by what was measured so far, in words.
pub fn abort(document: &Document) -> Option<String> {
    let aborting: Vec<Hold> = document.thresholds.iter().filter(|entry| entry.abort).cloned().collect();
    if aborting.is_empty() {
        return None;
    }
    let arms: Vec<(&Cell, CellSummary)> = document.cells.iter().map(|cell| (cell, cell.summary())).collect();
    let broken = aborting.iter().flat_map(|entry| check_one(entry, &arms)).find(|c| c.outcome == Outcome::Broken)?;
    Some(format!("`{}` was broken by {}: {}", broken.threshold, broken.arm, broken.measured_in_words()))
}

fn check_one(entry: &Hold, arms: &[(&Cell, CellSummary)]) -> Vec<Checked> {
    let threshold = &entry.hold;
    let checked = |arm: &str, measured, limit, outcome, why| Checked {
        threshold: threshold.to_string(),
        arm: arm.to_owned(),
        measured,
        limit,
        outcome,
        why,
        kind: threshold.metric.kind(),
    };
    let of = |name: &str| arms.iter().find(|(cell, _)| cell.arm == name);
    if let Some(absent) = threshold.arms().find(|name| of(name).is_none()) {
        let arm = threshold.arm.as_deref().unwrap_or(absent);
        return vec![checked(arm, None, None, Outcome::Void, Some(format!("{absent} did not run")))];
    }
    let judge = |(cell, summary): &(&Cell, CellSummary)| {
        let limit = match &threshold.limit {
            Limit::Value(value) => Ok(value.number()),
            Limit::Of { factor, arm, metric } => of(arm)
                .ok_or_else(String::new)
                .and_then(|(cell, summary)| read(cell, summary, metric))
                .map(|value| factor * value)
                .map_err(|why| format!("{arm}: {why}")),
        };
        let arm = &cell.arm;
        match (read(cell, summary, &threshold.metric), limit) {
            (Ok(measured), Ok(limit)) if measured.is_infinite() && limit.is_infinite() => {
                let why = Some("neither ever came".to_owned());
                checked(arm, Some(measured), Some(limit), Outcome::NotMeasurable, why)
            }
            (Ok(measured), Ok(limit)) => {
                let outcome = if threshold.op.holds(measured, limit) { Outcome::Held } else { Outcome::Broken };
                checked(arm, Some(measured), Some(limit), outcome, None)
            }
            (Err(why), limit) => checked(arm, None, limit.ok(), Outcome::NotMeasurable, Some(why)),
            (Ok(measured), Err(why)) => checked(arm, Some(measured), None, Outcome::NotMeasurable, Some(why)),
        }
    };
    arms.iter().filter(|(cell, _)| threshold.is_about(&cell.arm)).map(judge).collect()
}

/// The figure over the arm's valid trials, or why there is none.
fn read(cell: &Cell, summary: &CellSummary, metric: &Metric) -> Result<f64, String> {
    // What the generator couldn't be trusted in is no evidence; what the target failed in is.
    let trusted = || cell.trials.iter().filter(|trial| trial.invalid.is_empty());
    if trusted().next().is_none() {
        return Err("there is no valid trial".to_owned());
    }
    if let Metric::Errors(class) = metric {
        let errors = trusted().flat_map(|trial| &trial.outcome.errors);
        let counted = errors.filter(|(name, _)| class.as_ref().is_none_or(|class| class == *name));
        return Ok(counted.fold(0u64, |sum, (_, n)| sum.saturating_add(*n)) as f64);
    }
    if let Some(failure) = trusted().find_map(|trial| trial.failure.as_ref()) {
        return Err(format!("a trial failed: {failure}"));
    }
    if let Some((time, why)) = metric.time().and_then(|time| Some((time, cell.absence(time.histogram())?))) {
        return Err(format!("{} was left out: {why}", time.name()));
    }
    let counters = &summary.counters;
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let value = match metric {
        Metric::Quantile(quantile, time) => return quantile_of(cell, summary, *quantile, *time),
        Metric::Mean(time) => {
            let histogram = cell.merged(time.histogram());
            (!histogram.is_empty()).then(|| histogram.mean())
        }
        Metric::Reach => summary.reach,
        Metric::Loss => {
            let gone = [counters.lost, counters.unfinished, counters.late].into_iter().fold(0, u64::saturating_add);
            share(gone, counters.expected)
        }
        Metric::Skipped => share(counters.skipped, counters.scheduled),
        Metric::Errors(_) => None,
        Metric::Rate => summary.delivered_rate,
        Metric::Cpu => summary.cpu_us_per_message.target.map(|micros| micros * 1e3),
        Metric::Memory => summary.rss_per_session.target,
        Metric::Bytes => {
            let bytes = summary.bytes_per_message;
            bytes.payload.zip(bytes.framing).map(|(payload, framing)| payload + framing)
        }
        Metric::Framing => summary.bytes_per_message.framing,
        Metric::Wire => summary.bytes_per_message.wire,
        Metric::Connections => summary.connections_per_session,
    };
    value.ok_or_else(|| "it was not measured".to_owned())
}

fn quantile_of(cell: &Cell, summary: &CellSummary, quantile: Quantile, time: Time) -> Result<f64, String> {
    let histogram = cell.merged(time.histogram());
    let CellSummary { counters, connect, .. } = summary;
    let owed = Counters { lost: counters.lost, unfinished: counters.unfinished, ..Counters::default() };
    let missing = time.missing(&owed, &connect.sessions);
    let samples = histogram.count().saturating_add(missing);
    if samples == 0 {
        return Err("nothing was measured".to_owned());
    }
    let beyond = if quantile == Quantile::Max { 0 } else { BEYOND_MERGED };
    match histogram.quantile_with_missing(quantile.q(), missing, beyond) {
        Some(value) => Ok(value.map_or(f64::INFINITY, |nanos| nanos as f64)),
        None => {
            let needed = quantile.samples().unwrap_or(1);
            Err(format!("too few samples: {} needs {needed}, these are {samples}", quantile.name()))
        }
    }
}

/// JSON has no infinity.
fn figure<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) if value.is_infinite() => to.serialize_str("inf"),
        value => value.serialize(to),
    }
}

#[cfg(test)]
mod tests;
