//! The resolved work: what a scenario means once every default and flag has been applied and every meaning checked.
//!
//! A cell is workload × arm × load, complete in itself: a worker that is handed a cell needs nothing else.

pub use crate::catalog::FirstMessage;
use crate::catalog::{AgentLoss, Block, Closer, Dialect, Engine, Oracle, TargetUrl, Tls, Transport, WorkloadKind};
use crate::schedule::Schedule;
use crate::threshold::Hold;
use crate::units::{Rate, Span};
use crate::values::Values;
use crate::wire::PayloadSpec;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

mod arm;
mod at;
mod build;
mod dialect;
mod facts;
mod identity;
mod load;
mod marks;
mod oracle;
mod overrides;
mod processes;
mod shares;
mod sources;
mod thresholds;
mod tls;
mod workload;

pub use at::{Unsearchable, bounds};
pub use build::{PlanError, build};
pub use facts::{CellFacts, Facts, Limits, Shortage, Totals, facts, shortages};
pub use oracle::flaws;
pub use overrides::{Overrides, TargetFlag};
pub use processes::{MOST_WORKERS, Processes, processes, rate_of_worker, sessions_of_worker, values_of_worker};
pub use shares::{AgentLimits, FleetShortage, Share, fleet_shortages, sessions_of_share, shares, total};
pub use sources::sources;
pub use thresholds::{deliveries, undecidable};

/// Everything that a run does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub name: String,
    pub description: String,
    pub seed: u64,
    pub trials: u32,
    /// The arm that the others are compared with; `None` when fewer than two arms run.
    pub reference: Option<String>,
    /// In the scenario's order.
    pub cells: Vec<Cell>,
    /// Arms of the scenario that make no sense with its workload, with the reason.
    pub omitted: Vec<Omitted>,
    /// How the embedded target is to be; `None` when every cell has a URL.
    pub embedded: Option<Embedded>,
    pub output: Output,
    /// What must hold. No part of what is measured: two plans that differ in it alone are the same, and have one hash.
    #[serde(skip)]
    pub thresholds: Vec<Hold>,
    /// As `thresholds`, no part of what is measured.
    #[serde(skip)]
    pub on_agent_loss: AgentLoss,
    /// What was said and changes nothing, in words.
    #[serde(skip)]
    pub idle: Vec<String>,
}

/// Settings of the embedded target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embedded {
    pub engine: Engine,
    /// How long a held GET waits for a message before it is answered with none.
    pub hold: Span,
    /// What it does on purpose, with a seed of its own.
    pub oracle: Oracle,
}

/// Workload × arm × load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub arm: String,
    pub transport: Transport,
    pub dialect: Dialect,
    pub target: Target,
    /// `None`: without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    pub network: Network,
    pub workload: Workload,
    pub load: Load,
    /// What marks stand for. A secret.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub values: Values,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Omitted {
    pub arm: String,
    pub reason: String,
}

/// The server under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The reference target, started by wsbench for each trial.
    Embedded,
    Url(TargetUrl),
}

/// The network between generator and embedded target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// One emulated transit, each direction; zero: the loopback as it is.
    pub delay: Span,
    /// Where the embedded target listens.
    #[serde(skip_serializing_if = "is_usual")]
    pub listen: IpAddr,
}

impl Default for Network {
    fn default() -> Network {
        Network { delay: Span::ZERO, listen: Ipv4Addr::LOCALHOST.into() }
    }
}

fn is_usual(listen: &IpAddr) -> bool {
    *listen == IpAddr::V4(Ipv4Addr::LOCALHOST)
}

/// What is exchanged and what counts as done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    Echo {
        payload: PayloadSpec,
    },
    /// Session `s` is in room `s mod rooms`; everyone in a room receives what any member publishes.
    Chat {
        payload: PayloadSpec,
        rooms: u32,
        echo_self: bool,
    },
    /// Session `s` subscribes to topic `s mod topics`.
    Push {
        payload: PayloadSpec,
        topics: u32,
    },
    /// Open, first message, close.
    Connect {
        payload: PayloadSpec,
        first: FirstMessage,
        closer: Closer,
    },
}

/// How much, how fast, for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Concurrent clients. For connect: the most that may be open at once.
    pub sessions: u32,
    /// Warmup's stage first, then those of the measured window. With closed arrival only its length counts.
    pub schedule: Schedule,
    /// Closed arrival: requests in flight for each session (connect: over all sessions).
    pub outstanding: u32,
    /// Closed arrival: from an answer to the next request.
    pub think: Span,
    pub connect_rate: Rate,
    pub connect_timeout: Span,
    pub warmup: Span,
    pub duration: Span,
    /// An answer that takes longer is late.
    pub timeout: Span,
    /// How long to wait for what is still owed at the end.
    pub drain: Span,
    /// Workers never sleep while the load runs.
    pub spin: bool,
    /// Processes of the generator; `None`: as few as hold the sessions ([`processes`]).
    pub workers: Option<u32>,
    /// Addresses that the sessions leave from; empty: see [`sources`].
    pub source_ips: Vec<Block>,
}

/// What is written, and how fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub charts: bool,
    /// Length of the time slices in which response times are kept.
    pub interval: Span,
}

impl Target {
    /// Whether it is a Unix socket, which has neither addresses nor ports.
    pub fn is_unix(&self) -> bool {
        matches!(self, Target::Url(url) if url.socket.is_some())
    }
}

impl Plan {
    /// Arms that take any certificate.
    pub fn insecure_arms(&self) -> Vec<&str> {
        let is_insecure = |cell: &&Cell| cell.tls.as_ref().is_some_and(|tls| tls.insecure);
        self.cells.iter().filter(is_insecure).map(|cell| cell.arm.as_str()).collect()
    }

    /// What a person should know before it is run, in words.
    pub fn warnings(&self) -> Vec<String> {
        let insecure = self.insecure_arms();
        let taken =
            || format!("INSECURE: {}: any certificate is taken, so nobody knows who answers", insecure.join(", "));
        let insecure = (!insecure.is_empty()).then(taken);
        insecure.into_iter().chain(self.idle.iter().cloned()).chain(undecidable(self)).collect()
    }
}

impl Cell {
    /// Settings worth a reader's eye, in words.
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut settings = self.transport.settings();
        settings.extend(self.tls.iter().flat_map(Tls::settings));
        settings
    }
}

impl Workload {
    pub fn kind(&self) -> WorkloadKind {
        match self {
            Workload::Echo { .. } => WorkloadKind::Echo,
            Workload::Chat { .. } => WorkloadKind::Chat,
            Workload::Push { .. } => WorkloadKind::Push,
            Workload::Connect { .. } => WorkloadKind::Connect,
        }
    }

    pub fn payload(&self) -> &PayloadSpec {
        match self {
            Workload::Echo { payload }
            | Workload::Chat { payload, .. }
            | Workload::Push { payload, .. }
            | Workload::Connect { payload, .. } => payload,
        }
    }

    /// Groups of sessions that share messages: rooms or topics; everyone alone in echo and connect.
    pub fn groups(&self) -> Option<u32> {
        match self {
            Workload::Chat { rooms, .. } => Some(*rooms),
            Workload::Push { topics, .. } => Some(*topics),
            Workload::Echo { .. } | Workload::Connect { .. } => None,
        }
    }
}
