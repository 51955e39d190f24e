//! The part that each agent had in a trial: what it ran, what it measured, how well its clock was known, and whether it
//! was lost.

use super::{Calibration, Cell, Usage, redact_header_value};
use crate::clock::Nanos;
use crate::measure::{HistogramError, Metric, Outcome, Packed};
use crate::units::show_nanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of the finding about lost agents, and of the errors that their sessions count as.
pub const LOST: &str = "agent-lost";
/// A figure over two clocks is kept if they are known better than this share of its median.
pub const CLOCK_SHARE: f64 = 0.10;
/// Letters of a name, and of what became of someone, that a message shows.
pub(super) const NAME: usize = 64;
pub(super) const WORDS: usize = 400;

/// One agent's part of a trial.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentPart {
    /// For people: the name of its host, unless it was given one.
    pub name: String,
    /// Drawn by each agent's process.
    pub id: String,
    /// Such as `zone` → `eu`.
    pub labels: BTreeMap<String, String>,
    /// Of its machine.
    pub cores: u64,
    /// Workers that it ran.
    pub workers: u64,
    /// That its workers were to open, publishers included.
    pub sessions: u64,
    /// `null`: never measured.
    pub clock: Option<AgentClock>,
    /// What its workers measured, summed; `null`: it was lost before it could say.
    pub outcome: Option<Outcome<Packed>>,
    pub generator: Usage,
    /// What a second of idle pacing showed on its machine.
    pub calibration: Option<Calibration>,
    pub bus: AgentTraffic,
    /// Why the others went on without it, in words; `null`: it saw the trial to its end.
    pub lost: Option<String>,
}

/// An agent's clock against the coordinator's, as it was known when the schedule started.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentClock {
    /// Agent − coordinator, nanoseconds.
    pub offset: i64,
    /// The true offset is at most this far from `offset`, nanoseconds.
    pub uncertainty: Nanos,
    /// By how much the agent's clock is faster, parts in a million.
    pub drift_ppm: f64,
    /// Round trips that this rests on.
    pub samples: u64,
}

/// What the coordinator and one agent exchanged over the bus in one trial, as the coordinator counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentTraffic {
    pub packets_sent: u64,
    pub packets_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Of those sent, what went out once more.
    pub resent: u64,
    /// Of those received, what had come before.
    pub doubled: u64,
}

/// A metric whose figures were left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    pub metric: Metric,
    pub reason: String,
}

impl AgentPart {
    /// How sentences call it.
    pub fn called(&self) -> String {
        format!("agent `{}`", plain(&self.name, NAME))
    }
}

/// Labels in words: `disk=ssd, zone=eu`.
pub(super) fn labels_in_words(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{}={}", plain(name, NAME), plain(value, NAME)));
    pairs.collect::<Vec<_>>().join(", ")
}

impl AgentClock {
    /// Such as `+1.00 s ± 42.0 µs`.
    pub fn in_words(&self) -> String {
        let sign = if self.offset < 0 { '−' } else { '+' };
        let offset = show_nanos(self.offset.unsigned_abs() as f64);
        format!("{sign}{offset} ± {}", show_nanos(self.uncertainty as f64))
    }
}

/// Labels as a result may show them.
pub fn redact_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.clone(), redact_header_value(name, value))).collect()
}

/// What came from another machine, for a line of a terminal: without control characters, and at most so many letters.
pub(super) fn plain(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let start: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() { format!("{start}…") } else { start }
}

/// The outcome of a trial that `agents` ran: the sum of theirs. The sessions of an agent that was lost before it could say
/// were asked for, and failed.
///
/// # Errors
/// On a histogram that can't be read.
pub fn sum_of_agents(agents: &[AgentPart]) -> Result<Outcome, HistogramError> {
    let mut sum: Option<Outcome> = None;
    for part in agents.iter().filter_map(|agent| agent.outcome.as_ref()) {
        let part = part.unpack()?;
        match &mut sum {
            Some(sum) => sum.merge(&part)?,
            None => sum = Some(part),
        }
    }
    let mut sum = sum.unwrap_or_else(|| Outcome { order_tracked: true, ..Outcome::default() });
    for silent in agents.iter().filter(|agent| agent.outcome.is_none()) {
        sum.sessions.asked = sum.sessions.asked.saturating_add(silent.sessions);
        let errors = sum.errors.entry(LOST.to_owned()).or_default();
        *errors = errors.saturating_add(silent.sessions);
    }
    Ok(sum)
}

/// Of the machine that wakes an idle process latest; `None`: none was measured.
pub fn worst_calibration(agents: &[AgentPart]) -> Option<Calibration> {
    agents.iter().filter_map(|agent| agent.calibration).max_by_key(|calibration| calibration.lateness_p99)
}

impl Cell {
    /// Metrics of a fleet that the clock of one machine begins and that of another ends.
    pub fn one_way(&self) -> &'static [Metric] {
        match (self.workload.as_str(), self.target.as_str()) {
            // Events are due by the target's clock, and received by an agent's.
            ("push", "embedded") => &[Metric::ResponseTime, Metric::LastReceipt],
            _ => &[],
        }
    }
}

/// Takes figures over two clocks out of a trial of `cell`, unless the worst of the agents' clocks is known better than a
/// tenth of their median. A trial without agents has one clock.
pub fn leave_out_one_way(cell: &Cell, outcome: &mut Outcome, agents: &mut [AgentPart]) -> Vec<Absent> {
    let mut absent = Vec::new();
    for metric in cell.one_way() {
        let Some(median) = outcome.histograms.get(*metric).map(|histogram| histogram.at(0.5)) else { continue };
        let Some(reason) = too_uncertain(median, agents) else { continue };
        outcome.histograms.remove(*metric);
        let parts = agents.iter_mut().filter_map(|agent| agent.outcome.as_mut());
        let mut intervals: Vec<&mut Packed> = outcome.intervals.iter_mut().map(|i| &mut i.response_time).collect();
        for part in parts {
            part.histograms.remove(*metric);
            intervals.extend(part.intervals.iter_mut().map(|i| &mut i.response_time));
        }
        if *metric == Metric::ResponseTime {
            intervals.into_iter().for_each(|histogram| *histogram = Packed::default());
        }
        absent.push(Absent { metric: *metric, reason });
    }
    absent
}

/// Why a figure over two clocks with this median means nothing.
fn too_uncertain(median: Nanos, agents: &[AgentPart]) -> Option<String> {
    let measuring = agents.iter().filter(|agent| agent.outcome.is_some());
    let uncertainty = |agent: &&AgentPart| agent.clock.map_or(Nanos::MAX, |clock| clock.uncertainty);
    let worst = measuring.max_by_key(uncertainty)?;
    let one_way = "one way, from the target's clock to an agent's";
    match worst.clock {
        None => Some(format!("{one_way}; the clock of {} was never measured", worst.called())),
        Some(clock) if (clock.uncertainty as f64) < CLOCK_SHARE * median as f64 => None,
        Some(clock) => Some(format!(
            "{one_way}; that of {} is known to ± {}, which is not below 10 % of the median of {}",
            worst.called(),
            show_nanos(clock.uncertainty as f64),
            show_nanos(median as f64)
        )),
    }
}

#[cfg(test)]
mod tests;
