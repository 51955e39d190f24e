//! The embedded reference target: one fan-out hub, a thin face per transport. Its protocol is in `docs/protocol.md`.
//!
//! It is a process of its own. The coordinator speaks to it by JSON lines: [`Config`] and then [`Order`]s on its standard
//! input, [`Reply`]s on its standard output.
//!
//! | file | what |
//! |---|---|
//! | `control.rs`, `server.rs`, `listen.rs` | the process; binding, running, accepting |
//! | `hub.rs`, `log.rs`, `outbox.rs` | places and their fan-out; what polls replay; what waits to be written |
//! | `network.rs` | the emulated delay of each direction |
//! | `oracle/` | what it does on purpose, and the count of it |
//! | `place.rs`, `join.rs` | what a client may ask to join, and how it asks |
//! | `tls.rs`, `shaking.rs`, `socket.rs` | its own certificate; handshakes on the reactor; a connection of a task, with or without TLS |
//! | `joining.rs`, `direct.rs`, `outlet.rs`, `shared.rs` | a connection on the reactor: until it has joined, its session and reading, its writing, and what all share |
//! | `session.rs`, `stream.rs` | a session of a WebSocket library, with tasks, and its reading and writing |
//! | `websocket.rs`, `tcp.rs`, `udp.rs`, `http.rs` | the faces |
//! | `push.rs`, `counts.rs` | events by the schedule; what was seen |
//!
//! Everything runs on one thread, so state is shared by `Rc` and `Cell`, and nothing is borrowed across an await.

use crate::catalog::{Engine, HttpVersion, Oracle, Pem, Transport};
use crate::clock::Nanos;
use crate::measure::{Histogram, Truth};
use crate::schedule::Schedule;
use crate::units::Span;
use crate::wire::PayloadSpec;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

mod control;
mod counts;
mod direct;
mod http;
mod hub;
mod join;
mod joining;
mod listen;
mod log;
mod network;
mod oracle;
mod outbox;
mod outlet;
mod place;
mod push;
mod server;
mod session;
mod shaking;
mod shared;
mod socket;
mod stream;
mod tcp;
mod tls;
mod udp;
mod websocket;

pub use control::{controlled, converse, standalone};
pub use oracle::{Fate, drawn, fate};
pub use server::{Target, TargetError};

/// How the target is to be; the first line it reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Loopback unless a person said otherwise.
    pub bind: IpAddr,
    /// 0: any free port.
    pub ports: Ports,
    /// Who doesn't know it may not join. `None` only for `wsbench serve --open`.
    pub token: Option<String>,
    /// What speaks RFC 6455 at the target.
    pub engine: Engine,
    /// Emulated one-way delay: each direction is held this long, and each accepted TCP connection twice as long before
    /// anything is read from it.
    pub delay: Span,
    pub nodelay: bool,
    /// How long a held GET waits for a message before it is answered with none.
    pub hold: Span,
    /// Chat: does a publisher receive its own message?
    pub echo_self: bool,
    /// Core to run on; `None`: wherever.
    pub core: Option<usize>,
    /// What it does on purpose.
    pub oracle: Oracle,
    /// TLS on every port but UDP's; `None`: on none.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// How the target speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Gives out tickets by which clients may resume.
    pub resumption: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ports {
    pub websocket: u16,
    pub tcp: u16,
    pub udp: u16,
    pub http: u16,
}

impl Ports {
    /// Where clients of a transport connect. HTTP/2 is spoken by the HTTP face alone, whatever its streams carry.
    pub fn of(&self, transport: &Transport) -> u16 {
        match transport {
            Transport::Websocket(websocket) if websocket.http == HttpVersion::One => self.websocket,
            Transport::Tcp(_) => self.tcp,
            Transport::Udp(_) => self.udp,
            _ => self.http,
        }
    }
}

/// From the coordinator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Originate events on topics by this schedule.
    Push(Push),
    /// Finish: answer with [`Reply::Report`] and exit.
    Stop,
}

/// What the target originates of the topics that live on it: event `n` is due at `start + arrivals[n]`, on topic `schedule.sender(n, topics)`, with
/// the payload of tag `{kind: Event, run, id: n, due}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Push {
    pub schedule: Schedule,
    pub start: Nanos,
    pub run: u32,
    pub topics: u32,
    /// Which of the topics live here.
    pub part: Part,
    pub payload: PayloadSpec,
    /// Seed of the payloads.
    pub seed: u64,
    /// Offset from the start at which the measured window begins, and its end: lateness is recorded for these only.
    pub measure: (Nanos, Nanos),
}

/// Which topics live on a target: topic `t` is worker `t mod workers`'s, and that speaks to target `… mod targets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub workers: u32,
    pub target: u32,
    pub targets: u32,
}

impl Part {
    /// The one target that there is.
    pub const WHOLE: Part = Part { workers: 1, target: 0, targets: 1 };

    pub fn has(&self, topic: u32) -> bool {
        topic % self.workers.max(1) % self.targets.max(1) == self.target
    }
}

/// From the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Listening; ports as they are.
    Ready {
        ports: Ports,
        /// The certificate by which its clients know it.
        #[serde(default)]
        certificate: Option<Pem>,
    },
    Report(Box<Report>),
    /// It can't go on, and why.
    Failed {
        problem: String,
    },
}

/// What the target saw of itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Events originated (push), in the measured window, and how late each left: taken − due.
    pub events: u64,
    pub lateness: Histogram,
    /// TCP connections accepted, over all faces.
    pub accepted: u64,
    /// Joins refused for a wrong or missing token.
    pub refused: u64,
    /// Messages received from clients, and copies handed to clients' connections.
    pub received: u64,
    pub delivered: u64,
    /// Messages dropped because a client's outbox or a room's log was full, or a datagram couldn't be sent.
    pub dropped: u64,
    /// Failures to accept a connection, such as having no descriptor left.
    pub accept_errors: u64,
    /// What it did on purpose; absent where it was asked for nothing.
    pub truth: Option<Truth>,
}
