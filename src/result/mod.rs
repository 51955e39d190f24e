//! The result document: everything that is needed to redraw and to reproduce a run. Measuring ends here; rendering
//! begins here. Its shape is documented in `docs/result.md`; changes add, and every older version stays readable.

use crate::clock::Nanos;
use crate::measure::{Histogram, Metric, Outcome, Truth};
use crate::threshold::Hold;
use crate::units::show_nanos;
use serde::{Deserialize, Serialize};

mod agents;
mod capacity;
mod certificate;
mod duet;
mod mask;
mod merge;
mod redact;
mod slo;
mod sound;
mod store;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
mod validity;

pub use agents::LOST as AGENT_LOST;
pub use agents::{
    Absent, AgentClock, AgentPart, AgentTraffic, leave_out_one_way, redact_labels, sum_of_agents, worst_calibration,
};
pub use capacity::{ArmCapacity, Capacity, End, Failed, Series};
pub use certificate::{Certificate, Check, SelfTest, Verdict};
pub use duet::{DuetSide, Half};
pub use mask::mask_scenario;
pub use redact::{REDACTED, redact_arguments, redact_header_value, redact_scenario, redact_url, redact_words};
pub use slo::{Kept, Limit, Reading, Slo};
pub use store::{LoadError, SaveError, write_atomically};
pub use summary::*;
pub use validity::{Evidence, Judgement, judge};

/// The version that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub schema_version: u32,
    pub meta: Meta,
    pub scenario: ScenarioText,
    /// The resolved plan as the program understood it (see `docs/result.md`); for reproducing, not for rendering.
    pub plan: serde_json::Value,
    /// SHA-256 of the resolved plan, hex.
    pub plan_hash: String,
    pub seed: u64,
    pub reference: Option<String>,
    /// An interrupt cut the run short, or a trial lost a process or an agent: some trials are missing or partial.
    pub partial: bool,
    pub calibration: Option<Calibration>,
    /// One for each host that a target is on, in the scenario's order; empty in older documents.
    #[serde(default)]
    pub network_floor: Vec<NetworkFloor>,
    /// In the scenario's order; of a search for capacity, an arm's loads in ascending order.
    pub cells: Vec<Cell>,
    pub omitted: Vec<OmittedArm>,
    /// What a search for capacity found; absent for every other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// What had to hold, in the scenario's order; empty in older documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Hold>,
    /// Why no further trial was started: the threshold that was to end the run, in words. What was measured until then is
    /// whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// Of which duet it is a side; absent for every other run, and in older documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duet: Option<DuetSide>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    pub wsbench_version: String,
    /// Of the directory wsbench was run in, where it is a git checkout.
    pub git_revision: Option<String>,
    /// RFC 3339.
    pub started: String,
    pub finished: String,
    /// Secrets redacted.
    pub command_line: Vec<String>,
    /// The last self-test of this version on this machine; absent: there was none.
    pub selftest: Option<SelfTest>,
    pub host: Host,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    pub os: String,
    pub kernel: String,
    pub cpu_model: String,
    pub cores: u64,
    pub memory_bytes: u64,
    pub open_files_limit: u64,
    pub ephemeral_ports: Option<(u16, u16)>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScenarioText {
    pub name: String,
    pub description: String,
    pub path: String,
    /// As it was read, secrets redacted.
    pub text: String,
    /// SHA-256 of the text as it was read, hex.
    pub hash: String,
}

/// What one second of idle pacing showed at the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Calibration {
    pub lateness_p50: Nanos,
    pub lateness_p99: Nanos,
    pub samples: u64,
}

/// ICMP echoes to a target's host before the first trial: what no transport can beat. An emulated delay is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkFloor {
    /// Name or address as in the URL; the embedded target's is `127.0.0.1`.
    pub host: String,
    pub sent: u64,
    pub received: u64,
    /// Round trips of the echoes that came back, nanoseconds.
    pub min: Option<Nanos>,
    pub p50: Option<Nanos>,
    pub max: Option<Nanos>,
    /// What they were sent by.
    pub method: String,
    /// Why there are no figures.
    pub skipped: Option<String>,
}

/// One arm under one workload and load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub arm: String,
    /// Kind names as in `docs/scenario.md`.
    pub transport: String,
    pub workload: String,
    pub dialect: String,
    /// WebSocket only.
    pub engine: Option<String>,
    /// `embedded`, or the URL.
    pub target: String,
    /// Settings worth a reader's eye, in words: `("headers", "browser")`, `("keep-alive", "no")`.
    pub settings: Vec<(String, String)>,
    /// TLS with whoever answered: no certificate was looked at. Absent where that isn't so, and in older documents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    pub load: LoadFacts,
    pub trials: Vec<Trial>,
}

/// The load in numbers that rendering and theory need.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadFacts {
    pub sessions: u64,
    /// `constant`, `poisson` or `closed`.
    pub arrival: String,
    /// Asked mean rate of scheduled units over the measured window, a second; 0 for closed arrival.
    pub rate: f64,
    pub warmup: Nanos,
    pub duration: Nanos,
    pub timeout: Nanos,
    /// Emulated one-way delay, 0 for none.
    pub delay: Nanos,
    /// Rooms or topics; 0 for none.
    pub groups: u64,
    /// Smallest and largest payload, bytes.
    pub payload: (u64, u64),
    /// Short polling.
    pub poll_interval: Option<Nanos>,
    /// Polling: whether one response may carry several messages.
    pub batch: Option<bool>,
    /// Workers never slept while the load ran.
    #[serde(default)]
    pub spin: bool,
}

/// One execution of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Which round of all arms, from 0, and the place within it.
    pub block: u32,
    pub place: u32,
    /// Since the run's start, nanoseconds.
    pub started: Nanos,
    pub outcome: Outcome,
    pub generator: Usage,
    /// Embedded targets only.
    pub target: Option<TargetFacts>,
    /// Why the generator can't be trusted in this trial; empty: valid.
    pub invalid: Vec<Finding>,
    /// What a reader should know although the trial is valid.
    pub warnings: Vec<Finding>,
    /// What stopped this trial before its end, in words.
    pub failure: Option<String>,
    /// Memory of the system's own for both ends; absent where it could not be read, and in older documents.
    #[serde(default)]
    pub kernel: Option<KernelMemory>,
    /// Where several machines ran it: the part of each agent, in the order of their workers. `outcome` is the sum of theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentPart>,
    /// Metrics that were measured, and whose figures mean nothing: neither here nor in any part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absent>,
}

/// What the system itself took for the connections of both ends: buffers, sockets, tables. It counts for the whole
/// machine, so the differences mean something on a quiet machine alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelMemory {
    /// Before connecting.
    pub before: KernelBytesInUse,
    /// Every session open, before the schedule starts.
    pub ramped: KernelBytesInUse,
    /// The most that was seen, as a sum.
    pub peak: KernelBytesInUse,
}

/// Bytes in use at one moment, of the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelBytesInUse {
    /// Kernel objects, the sockets among them.
    pub slab: u64,
    pub page_tables: u64,
    pub kernel_stack: u64,
    /// Buffers of TCP.
    pub tcp: u64,
}

impl KernelBytesInUse {
    pub fn sum(&self) -> u64 {
        [self.slab, self.page_tables, self.kernel_stack, self.tcp].into_iter().fold(0, u64::saturating_add)
    }
}

/// CPU and memory of a process, or of several summed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// From the schedule's start to the end of drain.
    pub cpu_nanos: Nanos,
    /// Of `cpu_nanos`, what was spent in the program itself and not in the system, by the clock ticks of either; absent
    /// where no tick was counted, and in older documents.
    pub cpu_user_nanos: Option<Nanos>,
    /// Over the same time; cpu ÷ wall ÷ cores is the share of a core.
    pub wall_nanos: Nanos,
    pub rss_before_connecting: u64,
    /// Every session open, before the schedule starts; absent in older documents.
    pub rss_ramped: Option<u64>,
    pub rss_peak: u64,
    /// Processes summed, and cores that they shared; 0 in older documents, which had one of either.
    pub processes: u64,
    pub cores: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TargetFacts {
    pub usage: Usage,
    /// Push: events originated in the measured window, and how late the target was.
    pub events: u64,
    pub lateness: Histogram,
    pub accepted: u64,
    pub received: u64,
    pub delivered: u64,
    pub dropped: u64,
    /// What an oracle target did on purpose.
    #[serde(default)]
    pub truth: Option<Truth>,
}

/// Something that a reader must know, with advice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable name such as `late-sends`.
    pub code: String,
    /// What was seen, with figures.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OmittedArm {
    pub arm: String,
    pub reason: String,
}

impl Document {
    /// Whether any target misbehaved on purpose.
    pub fn has_oracle(&self) -> bool {
        let mut targets = self.cells.iter().flat_map(|cell| &cell.trials).filter_map(|trial| trial.target.as_ref());
        targets.any(|target| target.truth.is_some())
    }

    /// Arms that took any certificate.
    pub fn insecure_arms(&self) -> Vec<&str> {
        let mut arms: Vec<&str> =
            self.cells.iter().filter(|cell| cell.insecure).map(|cell| cell.arm.as_str()).collect();
        // A search for capacity has a cell for each load.
        arms.dedup();
        arms
    }

    /// Times of which no figures are shown, of which arms, and why; `None`: nothing was left out.
    pub fn left_out_in_words(&self) -> Option<String> {
        let of_arms: Vec<(&str, Vec<Absent>)> = self
            .cells
            .iter()
            .map(|cell| (cell.arm.as_str(), cell.left_out()))
            .filter(|(_, all)| !all.is_empty())
            .collect();
        let all: Vec<&Absent> = of_arms.iter().flat_map(|(_, all)| all).collect();
        let reason = &all.first()?.reason;
        let mut metrics: Vec<&str> = all.iter().map(|absent| absent.metric.name()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        let mut arms: Vec<&str> = of_arms.iter().map(|(arm, _)| *arm).collect();
        // A search for capacity has a cell for each load.
        arms.dedup();
        Some(format!("{} of {}: {reason}", metrics.join(" and "), arms.join(", ")))
    }

    /// The floor of the network in words, for each host with a figure.
    pub fn floors_in_words(&self) -> Vec<String> {
        let is_emulated = self.cells.iter().any(|cell| cell.load.delay > 0);
        let emulated = if is_emulated { "; the emulated delay is not in it" } else { "" };
        let words = |floor: &NetworkFloor| {
            let p50 = show_nanos(floor.p50? as f64);
            let (host, received) = (&floor.host, floor.received);
            Some(format!("Network floor (ICMP echo to {host}): {p50} median of {received}{emulated}"))
        };
        self.network_floor.iter().filter_map(words).collect()
    }
}

impl Trial {
    /// Why the figures of `metric` were left out; `None`: they were not.
    pub fn absence(&self, metric: Metric) -> Option<&str> {
        self.absent.iter().find(|absent| absent.metric == metric).map(|absent| absent.reason.as_str())
    }

    /// Whether its figures stand: it went to its end, and the generator could be trusted.
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty() && self.failure.is_none()
    }
}
