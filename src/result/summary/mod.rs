//! The flat summary: one row a cell, every figure that a person or a script asks for. Its names are a contract
//! (`docs/result.md`); `--format json` prints it as it is.
//!
//! Figures rest on the cell's valid trials. If none is valid they rest on all of them, and `valid: 0` says so.
//! Histograms are merged, never averaged; a quantile that too few samples support is `null`.

use super::Absent;
use crate::clock::Nanos;
use crate::measure::{Acknowledgements, Handshakes, Sessions};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

mod agents;
mod figures;

pub use agents::{AgentColumn, AgentSummary, agent_table};

/// One cell. Times are nanoseconds, sizes bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellSummary {
    pub arm: String,
    pub workload: String,
    pub transport: String,
    pub engine: Option<String>,
    pub trials: usize,
    /// Trials in which the generator could be trusted.
    pub valid: usize,
    /// What stopped trials before their end: each distinct text once, in the trials' order.
    pub failures: Vec<String>,
    /// Whether an interrupt cut any trial short.
    pub interrupted: bool,
    /// `constant`, `poisson` or `closed`.
    pub arrival: String,
    /// Emulated one-way delay, 0 for none.
    pub emulated_delay: Nanos,
    pub response_time: Quantiles,
    /// The same with every lost and unfinished delivery counted as infinite.
    pub response_time_with_missing: QuantilesWithMissing,
    pub service_time: Quantiles,
    pub send_lateness: Quantiles,
    pub queueing: Quantiles,
    pub last_receipt: Quantiles,
    pub counters: CountersOfCell,
    /// (delivered + late) ÷ expected; `null` when nothing was expected.
    pub reach: Option<f64>,
    /// Deliveries a second of the measured window as long as it really was.
    pub delivered_rate: Option<f64>,
    pub errors: BTreeMap<String, u64>,
    pub connect: Connect,
    /// `null` where the target isn't asked for any.
    pub acknowledgements: Option<Acknowledgements>,
    /// `null` where no TLS is spoken.
    pub tls: Option<Handshakes>,
    pub close: Quantiles,
    pub ping: Quantiles,
    /// `null` where nothing polls.
    pub polls: Option<Polls>,
    /// Both directions ÷ messages delivered.
    pub bytes_per_message: BytesPerMessage,
    /// One direction ÷ messages of that direction.
    pub bytes_sent_per_message: BytesPerMessage,
    pub bytes_received_per_message: BytesPerMessage,
    pub connections_per_session: Option<f64>,
    pub cpu_us_per_message: BothEnds,
    pub rss_per_session: BothEnds,
    /// The same with every session open, before the schedule starts.
    pub rss_idle_per_session: BothEnds,
    /// The system's own memory for both ends.
    pub kernel_per_session: KernelPerSession,
    /// Every trial, valid or not, in the order in which they ran.
    pub per_trial: Vec<TrialSummary>,
    /// Metrics whose figures were left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absent>,
}

/// Of a histogram: nanoseconds, but for `messages_per_poll`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Quantiles {
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p99: Option<u64>,
    pub p999: Option<u64>,
    pub max: Option<u64>,
    pub mean: Option<f64>,
    pub count: u64,
    /// Samples over the highest value that is kept apart (60 s); they count as that.
    pub overflow: u64,
}

/// A quantile of a set in which some never arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reached {
    /// Too few samples; `null`.
    #[default]
    Unsupported,
    At(u64),
    /// `"inf"`.
    Never,
}

/// Quantiles of delivered and missing together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct QuantilesWithMissing {
    pub p50: Reached,
    pub p90: Reached,
    pub p99: Reached,
    pub p999: Reached,
    /// Lost and unfinished.
    pub missing: u64,
}

/// Counters of the measured window, with `reordered` absent where order wasn't tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CountersOfCell {
    pub scheduled: u64,
    pub sent: u64,
    pub skipped: u64,
    pub expected: u64,
    pub delivered: u64,
    pub late: u64,
    pub lost: u64,
    pub unfinished: u64,
    pub duplicate: u64,
    pub reordered: Option<u64>,
    pub unmatched: u64,
    pub foreign: u64,
}

/// Connecting; successes only.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Connect {
    pub sessions: Sessions,
    pub resolve: Quantiles,
    pub tcp: Quantiles,
    pub tls: Quantiles,
    pub upgrade: Quantiles,
    pub switch: Quantiles,
    pub total: Quantiles,
    pub first_message: Quantiles,
    /// Bytes of opening handshakes ÷ sessions connected.
    pub handshake_bytes_per_session: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Polls {
    pub requests: u64,
    pub empty: u64,
    /// In responses that had any.
    pub messages_per_poll: Quantiles,
    /// From a response to the next request.
    pub gap: Quantiles,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct BytesPerMessage {
    pub payload: Option<f64>,
    pub framing: Option<f64>,
    /// From the IP header up; `null` unless every connection's bytes are known.
    pub wire: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct BothEnds {
    pub generator: Option<f64>,
    /// `null` where the target isn't the embedded one.
    pub target: Option<f64>,
}

/// Of both ends together. `null` where the system doesn't tell.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct KernelPerSession {
    /// Every session open, before the schedule starts.
    pub idle: Option<f64>,
    pub peak: Option<f64>,
}

/// One trial, for the spread over trials.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialSummary {
    pub block: u32,
    pub valid: bool,
    pub p50: Option<u64>,
    pub p99: Option<u64>,
    pub reach: Option<f64>,
}

impl Serialize for Reached {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Reached::Unsupported => to.serialize_none(),
            Reached::At(value) => to.serialize_u64(*value),
            Reached::Never => to.serialize_str("inf"),
        }
    }
}
