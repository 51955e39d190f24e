//! What a plan will take: messages, time, descriptors, ports. Pure: the machine's limits are arguments.

use super::processes::{Processes, RESERVE, processes, sockets_of_worker};
use super::sources::needs_own;
use super::{Cell, Plan, Target, Workload};
use crate::catalog::{Block, Closer, TransportKind};
use crate::units::Span;
use std::time::Duration;

/// Starting the processes of a trial, and draining what is owed when all goes well, as measured on two cores.
const TRIAL_ALLOWANCE: Duration = Duration::from_millis(300);
/// Before the first trial: how late the machine wakes an idle process.
const CALIBRATION: Duration = Duration::from_secs(1);
/// How long a port is held after this end has closed the connection first (TIME_WAIT, `TCP_TIMEWAIT_LEN` of Linux).
const TIME_WAIT: Duration = Duration::from_secs(60);

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
    /// Descriptors of the generator, if one process ran every session.
    pub generator_descriptors: u64,
    /// Descriptors of the embedded target, if it were one process; `None` at a URL.
    pub target_descriptors: Option<u64>,
    /// Local ports towards the one destination, of all source addresses together.
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
    /// Open files of all processes together (`fs.file-max`).
    pub files: u64,
}

/// Something runs out before the run could begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    #[error(
        "arm `{arm}` needs {needed} descriptors in a {process} process, and {limit} are allowed; run `ulimit -n {}` first, \
         or take more workers, or rooms and topics of at most {most} sessions: none is divided", .needed.next_power_of_two()
    )]
    Descriptors { arm: String, process: &'static str, needed: u64, limit: u64, most: u64 },
    #[error(
        "arm `{arm}` needs {needed} local ports towards one address, and there are {available}; widen \
         net.ipv4.ip_local_port_range, name several addresses of this machine by `source_ips`, or take fewer sessions or a \
         lower rate"
    )]
    Ports { arm: String, needed: u64, available: u64 },
    #[error(
        "arm `{arm}` needs {needed} open files in all its processes, and the system allows {limit}; raise fs.file-max, or \
         take fewer sessions"
    )]
    Files { arm: String, needed: u64, limit: u64 },
}

/// Works out what `plan` takes. Counts the drawn schedule, so it takes some nanoseconds for each message.
pub fn facts(plan: &Plan) -> Facts {
    let cells: Vec<CellFacts> = plan.cells.iter().map(cell_facts).collect();
    let one_block = cells.iter().fold(Duration::ZERO, |sum, cell| sum.saturating_add(cell.expected.0));
    let expected = Span(one_block.saturating_mul(plan.trials).saturating_add(CALIBRATION));
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
        ports: if cell.target.is_unix() { 0 } else { sockets.max(ports_in_time_wait(cell)) },
        expected: trial(cell),
    }
}

/// Ports that a storm of connects keeps from being used again. On the loopback Linux reuses them after a second
/// (`net.ipv4.tcp_tw_reuse = 2`), so this concerns other targets alone.
pub(super) fn ports_in_time_wait(cell: &Cell) -> u64 {
    let Workload::Connect { closer: Closer::Client, .. } = cell.workload else { return 0 };
    if cell.target == Target::Embedded {
        return 0;
    }
    let stages = &cell.load.schedule.stages;
    let peak = stages.iter().map(|s| s.from.per_second().max(s.to.per_second())).fold(0.0, f64::max);
    let seconds = (cell.load.warmup.0 + cell.load.duration.0).min(TIME_WAIT).as_secs_f64();
    (peak * seconds) as u64 * cell.transport.sockets_per_session()
}

/// Connecting, warmup, measured window, and the allowance for start and drain.
fn trial(cell: &Cell) -> Span {
    let connecting = match cell.workload {
        Workload::Connect { .. } => Duration::ZERO,
        _ => seconds(f64::from(cell.load.sessions) / cell.load.connect_rate.per_second()),
    };
    Span(connecting.saturating_add(cell.load.warmup.0 + cell.load.duration.0 + TRIAL_ALLOWANCE))
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn cell_shortages(cell: &Cell, limits: &Limits) -> Vec<Shortage> {
    let facts = cell_facts(cell);
    let taken = processes(cell, limits.descriptors);
    let of_worker = sockets_of_worker(cell, taken.workers) + RESERVE;
    let mut found: Vec<Shortage> = too_many(cell, "generator", of_worker, limits).into_iter().collect();
    found.extend(of_target(cell, &taken, limits));
    let addresses: u64 = cell.load.source_ips.iter().map(Block::count).sum();
    let available = limits.ports.saturating_mul(addresses.max(1));
    if facts.ports > available && !needs_own(cell) {
        found.push(Shortage::Ports { arm: cell.arm.clone(), needed: facts.ports, available });
    }
    found.extend(of_all(cell, facts.generator_descriptors + facts.target_descriptors.unwrap_or(0), limits));
    found
}

/// What this machine doesn't grant the embedded target, if the generator is elsewhere.
pub(super) fn target_shortages(cell: &Cell, taken: &Processes, limits: &Limits) -> Vec<Shortage> {
    let files = cell_facts(cell).target_descriptors.unwrap_or(0);
    of_target(cell, taken, limits).into_iter().chain(of_all(cell, files, limits)).collect()
}

fn of_target(cell: &Cell, taken: &Processes, limits: &Limits) -> Option<Shortage> {
    let needed = (taken.targets > 0).then(|| taken.sockets_at_target(cell) + RESERVE)?;
    too_many(cell, "target", needed, limits)
}

fn too_many(cell: &Cell, process: &'static str, needed: u64, limits: &Limits) -> Option<Shortage> {
    let limit = limits.descriptors;
    let most = limit.saturating_sub(RESERVE) / cell.transport.sockets_per_session();
    (needed > limit).then(|| Shortage::Descriptors { arm: cell.arm.clone(), process, needed, limit, most })
}

fn of_all(cell: &Cell, needed: u64, limits: &Limits) -> Option<Shortage> {
    let limit = limits.files;
    (needed > limit).then(|| Shortage::Files { arm: cell.arm.clone(), needed, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, build};
    use crate::scenario;

    fn plan(workload: &str, load: &str, transports: &str) -> Plan {
        let text = format!("{workload}\n[load]\nduration = \"2s\"\n{load}\n{transports}");
        let scenario = scenario::parse("t.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)))
    }

    const LIMITS: Limits = Limits { descriptors: 1024, ports: 28_232, files: 1 << 20 };

    #[test]
    fn messages_are_counted_as_they_are_drawn() {
        let load = "rate = \"100/s\"\narrival = \"constant\"\nwarmup = \"1s\"";
        let facts = facts(&plan("[workload.echo]", load, "[transports.tcp]"));
        assert_eq!(facts.scheduled, Totals { warmup: 100, measured: 200 });
        let poisson = plan("[workload.echo]", "rate = \"100/s\"", "[transports.tcp]");
        let drawn = poisson.cells[0].load.schedule.arrivals().count() as u64;
        assert_eq!(super::facts(&poisson).scheduled, Totals { warmup: 0, measured: drawn });
        let closed = plan("[workload.echo]", "arrival = \"closed\"", "[transports.tcp]");
        assert_eq!(super::facts(&closed).scheduled, Totals::default());
    }

    #[test]
    fn time_is_that_of_every_trial_of_every_arm() {
        let load = "rate = \"1/s\"\nsessions = 50\nconnect_rate = \"100/s\"\nwarmup = \"250ms\"\ntrials = 3";
        let facts = facts(&plan("[workload.echo]", load, "[transports.tcp]\n[transports.udp]"));
        assert_eq!(facts.cells[0].expected, Span::from_millis(500 + 250 + 2000 + 300));
        assert_eq!(facts.expected, Span::from_millis(6 * 3050 + 1000));
    }

    #[test]
    fn http_takes_two_sockets_a_session_and_a_udp_target_one_in_all() {
        let load = "rate = \"1/s\"\nsessions = 100";
        let arms = "[transports.udp]\n[transports.sse]";
        let facts = facts(&plan("[workload.echo]", load, arms));
        let taken: Vec<_> =
            facts.cells.iter().map(|c| (c.generator_descriptors, c.target_descriptors, c.ports)).collect();
        assert_eq!(taken, [(164, Some(65), 100), (264, Some(264), 200)]);
    }

    #[test]
    fn too_few_descriptors_for_a_room_are_told_with_the_fix() {
        let load = "rate = \"1/s\"\nsessions = 1500";
        let chat = plan("[workload.chat]\nrooms = 3", load, "[transports.sse]\n[transports.tcp]");
        let texts: Vec<String> = shortages(&chat, &LIMITS).iter().map(Shortage::to_string).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert_eq!(
            texts[0],
            "arm `sse` needs 1064 descriptors in a generator process, and 1024 are allowed; run `ulimit -n 2048` first, \
             or take more workers, or rooms and topics of at most 480 sessions: none is divided"
        );
        assert!(texts[1].contains("target process"), "{}", texts[1]);
        assert_eq!(shortages(&chat, &Limits { descriptors: 1064, ..LIMITS }), []);
    }

    #[test]
    fn more_workers_where_the_sessions_need_them_but_never_more_than_were_asked_for() {
        let echo =
            |more: &str| plan("[workload.echo]", &format!("rate = \"1/s\"\nsessions = 1500{more}"), "[transports.tcp]");
        assert_eq!(shortages(&echo(""), &LIMITS), []);
        let of = |process| Shortage::Descriptors { arm: "tcp".into(), process, needed: 1564, limit: 1024, most: 960 };
        assert_eq!(shortages(&echo("\nworkers = 1"), &LIMITS), [of("generator"), of("target")]);
    }

    #[test]
    fn the_systems_files_are_counted_over_both_ends() {
        let plan = plan("[workload.echo]", "rate = \"1/s\"\nsessions = 1000", "[transports.tcp]");
        let limits = |files| Limits { files, ..LIMITS };
        assert_eq!(shortages(&plan, &limits(2128)), []);
        let shortage = Shortage::Files { arm: "tcp".into(), needed: 2128, limit: 2127 };
        assert_eq!(shortages(&plan, &limits(2127)), [shortage]);
    }

    #[test]
    fn only_the_loopback_has_addresses_for_more_sessions_than_ports() {
        let load = "rate = \"1/s\"\nsessions = 40_000";
        let at = |more: &str, url: &str| {
            let target = format!("[workload.echo]\n[target.urls]\ntcp = \"tcp://{url}:7\"");
            shortages(&plan(&target, &format!("{load}{more}"), "[transports.tcp]"), &LIMITS)
        };
        assert_eq!(at("", "127.0.0.1"), []);
        assert_eq!(at("\nsource_ips = [\"192.0.2.7\", \"192.0.2.8\"]", "192.0.2.1"), []);
        let shortage = Shortage::Ports { arm: "tcp".into(), needed: 40_000, available: 28_232 };
        assert_eq!(at("", "192.0.2.1"), [shortage]);
    }

    #[test]
    fn a_storm_of_connects_needs_a_port_for_every_connection_of_the_last_minute() {
        let load = "rate = \"1k/s\"";
        let storm = |target: &str| plan(&format!("[workload.connect]\n{target}"), load, "[transports.tcp]");
        let remote = storm("[target.urls]\ntcp = \"tcp://192.0.2.1:7\"");
        let limits = Limits { ports: 1500, ..LIMITS };
        let shortage = Shortage::Ports { arm: "tcp".into(), needed: 2000, available: 1500 };
        assert_eq!(shortages(&remote, &limits), [shortage]);
        assert_eq!(shortages(&storm(""), &limits), []);
    }
}
