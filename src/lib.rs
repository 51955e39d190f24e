//! wsbench compares how servers talk to their clients: WebSocket, TCP, UDP, SSE and HTTP polling, on one schedule, in one
//! run. `ARCHITECTURE.md` walks through these modules; data flows through them one way, from top to bottom:
//!
//! scenario → plan → cluster (workers: engine, transport; the embedded target) → result → compare · verdict · chart · export

#[cfg(not(target_os = "linux"))]
compile_error!(
    "wsbench runs on Linux: it relies on timerfd, TCP_INFO, procfs and PR_SET_PDEATHSIG (docs/measuring.md)"
);

pub mod accounting;
pub mod bus;
pub mod catalog;
pub mod chart;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod compare;
pub mod dialect;
pub mod engine;
pub mod export;
pub mod measure;
pub mod plan;
pub mod reactor;
pub mod result;
pub mod scenario;
pub mod schedule;
pub mod seed;
pub mod selftest;
pub mod stats;
pub mod target;
pub mod threshold;
pub mod transport;
pub mod units;
pub mod values;
pub mod verdict;
pub mod wire;
pub mod workload;
