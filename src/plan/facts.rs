//! What a plan will take: messages, time, descriptors, ports. Pure: the machine's limits are arguments.

use super::{Cell, Plan, Target, Workload};
use crate::catalog::{Closer, TransportKind};
use crate::clock::{Nanos, SECOND};
use crate::units::Span;
use std::time::Duration;

/// Starting the processes of a trial, and draining what is owed when all goes well.
const TRIAL_ALLOWANCE: Nanos = 7 * SECOND / 10;
/// Descriptors of a process beside its sessions' sockets: standard streams, the runtime, listeners, files.
const RESERVE: u64 = 64;
/// How long a port is held after this end has closed the connection first (TIME_WAIT, `TCP_TIMEWAIT_LEN` of Linux).
const TIME_WAIT: Nanos = 60 * SECOND;

/// What `wsbench check` shows and the run relies on.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The same for every cell and trial, since all share one schedule. Closed arrival: nothing is scheduled.
    pub scheduled: Totals,
    /// The whole run, if nothing is in its way.
    pub expected: Span,
    pub cells: Vec<CellFacts>,
}

/// Scheduled units by phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub warmup: u64,
    pub measured: u64,
}

/// What one trial of a cell takes.
#[derive(Debug, Clone, PartialEq)]
pub struct CellFacts {
    pub arm: String,
    /// Descriptors of the generator, if one process runs every session.
    pub generator_descriptors: u64,
    /// Descriptors of the embedded target; `None` at a URL.
    pub target_descriptors: Option<u64>,
    /// Local ports towards the one destination.
    pub ports: u64,
    pub expected: Span,
}

/// What the machine grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open files of one process (`RLIMIT_NOFILE`).
    pub descriptors: u64,
    /// Size of the ephemeral range (`net.ipv4.ip_local_port_range`), for each pair of local and remote address.
    pub ports: u64,
}

/// Something runs out before the run could begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    #[error(
        "arm `{arm}` needs {needed} descriptors in the {process} process, and {limit} are allowed; \
         run `ulimit -n {}` first, or take at most {most} sessions", .needed.next_power_of_two()
    )]
    Descriptors { arm: String, process: &'static str, needed: u64, limit: u64, most: u64 },
    #[error(
        "arm `{arm}` needs {needed} local ports towards one address, and there are {available}; widen \
         net.ipv4.ip_local_port_range, or take fewer sessions or a lower rate"
    )]
    Ports { arm: String, needed: u64, available: u64 },
}

/// Works out what `plan` takes. Counts the drawn schedule, so it takes some nanoseconds for each message.
pub fn facts(plan: &Plan) -> Facts {
    let cells: Vec<CellFacts> = plan.cells.iter().map(cell_facts).collect();
    let one_block: Nanos = cells.iter().map(|cell| cell.expected.nanos()).sum();
    let expected = span(one_block.saturating_mul(plan.trials.into()));
    Facts { scheduled: plan.cells.first().map(totals).unwrap_or_default(), expected, cells }
}

/// What of it the machine doesn't grant.
pub fn shortages(plan: &Plan, limits: &Limits) -> Vec<Shortage> {
    plan.cells.iter().flat_map(|cell| cell_shortages(cell, limits)).collect()
}

fn totals(cell: &Cell) -> Totals {
    if !cell.load.schedule.arrival.is_open() {
        return Totals::default();
    }
    let mut totals = Totals::default();
    for due in cell.load.schedule.arrivals() {
        if due < cell.load.warmup.nanos() { totals.warmup += 1 } else { totals.measured += 1 }
    }
    totals
}

fn cell_facts(cell: &Cell) -> CellFacts {
    let sockets = u64::from(cell.load.sessions) * cell.transport.sockets_per_session();
    let at_target = if cell.transport.kind() == TransportKind::Udp { 1 } else { sockets };
    CellFacts {
        arm: cell.arm.clone(),
        generator_descriptors: sockets + RESERVE,
        target_descriptors: (cell.target == Target::Embedded).then_some(at_target + RESERVE),
        ports: sockets.max(ports_in_time_wait(cell)),
        expected: span(trial(cell)),
    }
}

/// Ports that a storm of connects keeps from being used again. On the loopback Linux reuses them after a second
/// (`net.ipv4.tcp_tw_reuse = 2`), so this concerns other targets alone.
fn ports_in_time_wait(cell: &Cell) -> u64 {
    let Workload::Connect { closer: Closer::Client, .. } = cell.workload else { return 0 };
    if cell.target == Target::Embedded {
        return 0;
    }
    let stages = &cell.load.schedule.stages;
    let peak = stages.iter().map(|s| s.from.per_second().max(s.to.per_second())).fold(0.0, f64::max);
    let seconds = cell.load.schedule.length().min(TIME_WAIT) as f64 / SECOND as f64;
    (peak * seconds) as u64 * cell.transport.sockets_per_session()
}

/// Connecting, warmup, measured window, and the allowance for start and drain.
fn trial(cell: &Cell) -> Nanos {
    let connecting = match cell.workload {
        Workload::Connect { .. } => 0.0,
        _ => f64::from(cell.load.sessions) / cell.load.connect_rate.per_second(),
    };
    let connecting = (connecting * SECOND as f64) as Nanos;
    connecting.saturating_add(cell.load.warmup.nanos() + cell.load.duration.nanos() + TRIAL_ALLOWANCE)
}

fn cell_shortages(cell: &Cell, limits: &Limits) -> Vec<Shortage> {
    let facts = cell_facts(cell);
    let most = limits.descriptors.saturating_sub(RESERVE) / cell.transport.sockets_per_session();
    let processes = [("generator", Some(facts.generator_descriptors)), ("target", facts.target_descriptors)];
    let short = |(process, needed): (&'static str, Option<u64>)| {
        let needed = needed.filter(|n| *n > limits.descriptors)?;
        Some(Shortage::Descriptors { arm: cell.arm.clone(), process, needed, limit: limits.descriptors, most })
    };
    let mut found: Vec<Shortage> = processes.into_iter().filter_map(short).collect();
    if facts.ports > limits.ports {
        found.push(Shortage::Ports { arm: cell.arm.clone(), needed: facts.ports, available: limits.ports });
    }
    found
}

fn span(nanos: Nanos) -> Span {
    Span(Duration::from_nanos(nanos))
}
