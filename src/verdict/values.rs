//! What a trial comes to: one number for each metric. What never came counts as infinitely late.

use super::Metric;
use crate::clock::SECOND;
use crate::measure::{self, BEYOND_TRIAL, Histogram};
use crate::result::{Cell, Trial, Usage};

const NOTHING_CAME: &str = "in a trial nothing was delivered";

/// The trials of one arm that a side is judged by.
pub(super) struct Trials<'a> {
    pub cell: &'a Cell,
    pub trials: Vec<&'a Trial>,
    /// Whether CPU is that of the targets: both sides know it, in every trial.
    pub is_target_known: bool,
}

impl Trials<'_> {
    /// A value for each trial, or why there is none.
    pub(super) fn values(&self, metric: Metric) -> Result<Vec<f64>, String> {
        let absence = |trial: &&Trial| trial.absence(measure::Metric::ResponseTime).map(str::to_owned);
        if let (Metric::P50 | Metric::P99, Some(why)) = (metric, self.trials.iter().find_map(absence)) {
            return Err(format!("it was left out: {why}"));
        }
        match metric {
            Metric::P50 => self.each(|trial| quantile(trial, 0.5), few_samples(0.5)),
            Metric::P99 => self.each(|trial| quantile(trial, 0.99), few_samples(0.99)),
            Metric::DeliveredRate => self.each(|trial| self.delivered_rate(trial), "nothing was scheduled".to_owned()),
            Metric::CpuPerMessage => {
                // Nothing to share it out over comes first: that it was nobody's CPU would lead astray.
                let is_silent = self.trials.iter().any(|trial| trial.delivered_in_all() == 0);
                let why_not = if is_silent { NOTHING_CAME } else { "no CPU time was counted" };
                self.each(|trial| cpu(trial, self.usage(trial)?), why_not.to_owned())
            }
            Metric::FramingPerMessage => self.each(framing, NOTHING_CAME.to_owned()),
            Metric::FailedTrials => Err("it is no figure of a trial that ran well".to_owned()),
        }
    }

    /// Deliveries that were owed and never came.
    pub(super) fn missing(&self) -> u64 {
        self.trials.iter().map(|trial| missing(trial)).fold(0, u64::saturating_add)
    }

    /// Deliveries that were owed.
    pub(super) fn expected(&self) -> u64 {
        self.trials.iter().map(|trial| trial.outcome.measure.expected).fold(0, u64::saturating_add)
    }

    fn each(&self, value: impl Fn(&Trial) -> Option<f64>, why_not: String) -> Result<Vec<f64>, String> {
        self.trials.iter().map(|trial| value(trial)).collect::<Option<Vec<f64>>>().ok_or(why_not)
    }

    fn usage<'t>(&self, trial: &'t Trial) -> Option<&'t Usage> {
        if self.is_target_known { Some(&trial.target.as_ref()?.usage) } else { Some(&trial.generator) }
    }

    /// Deliveries a second. With open arrival at the rate that was asked, since the schedules of two seeds differ a little
    /// in what they hold: then it tells of what was skipped or never came.
    fn delivered_rate(&self, trial: &Trial) -> Option<f64> {
        let counters = &trial.outcome.measure;
        let (delivered, measured) = (counters.delivered.saturating_add(counters.late), self.cell.measured(trial));
        let (asked, is_open) = (self.cell.load.rate, !self.cell.is_closed());
        match () {
            () if is_open && asked > 0.0 && counters.scheduled > 0 => {
                Some(delivered as f64 / counters.scheduled as f64 * asked)
            }
            () if measured > 0 => Some(delivered as f64 * SECOND as f64 / measured as f64),
            () => None,
        }
    }
}

/// Lost, or unfinished at the end.
fn missing(trial: &Trial) -> u64 {
    let counters = &trial.outcome.measure;
    counters.lost.saturating_add(counters.unfinished)
}

fn quantile(trial: &Trial, q: f64) -> Option<f64> {
    let (none, histograms) = (Histogram::default(), &trial.outcome.histograms);
    let samples = histograms.get(measure::Metric::ResponseTime).unwrap_or(&none);
    let reached = samples.quantile_with_missing(q, missing(trial), BEYOND_TRIAL)?;
    Some(reached.map_or(f64::INFINITY, |nanos| nanos as f64))
}

/// Deliveries that came or were owed, which a quantile of this trial is over.
pub(super) fn samples(trial: &Trial) -> u64 {
    let came = trial.outcome.histograms.get(measure::Metric::ResponseTime).map_or(0, Histogram::count);
    came.saturating_add(missing(trial))
}

/// So many of them a quantile takes.
pub(super) fn samples_needed(q: f64) -> u64 {
    (BEYOND_TRIAL as f64 / (1.0 - q)).round() as u64
}

pub(super) fn few_samples(q: f64) -> String {
    let needed = samples_needed(q);
    format!("a trial has fewer than the {needed} deliveries that it takes; a higher rate or longer trials give them")
}

fn cpu(trial: &Trial, usage: &Usage) -> Option<f64> {
    let (nanos, messages) = (usage.cpu_nanos, trial.delivered_in_all());
    (nanos > 0 && messages > 0).then(|| nanos as f64 / messages as f64)
}

fn framing(trial: &Trial) -> Option<f64> {
    let (traffic, messages) = (&trial.outcome.traffic, trial.delivered_in_all());
    let bytes = traffic.sent.framing.saturating_add(traffic.received.framing);
    (messages > 0).then(|| bytes as f64 / messages as f64)
}
