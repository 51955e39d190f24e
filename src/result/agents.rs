//! The part that each agent had in a trial: what it ran, what it measured, how well its clock was known, and whether it
//! was lost.

use super::{Calibration, Usage};
use crate::clock::Nanos;
use crate::measure::{Metric, Outcome, Packed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
