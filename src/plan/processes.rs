//! How many processes a cell takes: one runs as many sessions as its descriptors allow, and no room or topic is divided.

use super::{Cell, Target, Workload};
use crate::catalog::TransportKind;
use crate::values::Values;
use crate::workload::Roster;

/// Descriptors of a process beside its sessions' sockets: standard streams, the runtime, listeners, files.
pub(super) const RESERVE: u64 = 64;
/// More workers than this are no plan.
pub const MOST_WORKERS: u32 = 1000;

/// The processes of one trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processes {
    pub workers: u32,
    /// Embedded targets: worker `w` speaks to target `w mod targets`. 0 at a URL.
    pub targets: u32,
}

/// The processes that `cell` takes where one may open `descriptors` files: as many workers as were asked for, else as few
/// as hold its sessions with some room to spare; never more than there are rooms, topics or sessions to share out.
pub fn processes(cell: &Cell, descriptors: u64) -> Processes {
    let held = comfortably(descriptors);
    let most = cell.workload.groups().unwrap_or(cell.load.sessions).clamp(1, MOST_WORKERS);
    let fit = |workers: &u32| sockets_of_worker(cell, *workers) <= held;
    let workers = match cell.load.workers {
        Some(asked) => asked.clamp(1, most),
        None => (1..most).find(fit).unwrap_or(most),
    };
    Processes::of_fleet(cell, workers, descriptors)
}

/// Sockets that a process may hold without coming near its limit.
pub(super) fn comfortably(descriptors: u64) -> u64 {
    (descriptors / 10 * 9).min(descriptors.saturating_sub(RESERVE))
}

/// The sessions of worker `index` of `workers`, publishers included.
pub fn sessions_of_worker(cell: &Cell, index: u32, workers: u32) -> u64 {
    roster(cell, index, workers).to_open().into()
}

/// What those sessions need of the cell's values.
pub fn values_of_worker(cell: &Cell, index: u32, workers: u32) -> Values {
    if cell.values.is_empty() {
        return Values::default();
    }
    let roster = roster(cell, index, workers);
    cell.values.only((0..roster.to_open()).map(move |local| roster.global(local)))
}

fn roster(cell: &Cell, index: u32, workers: u32) -> Roster {
    Roster::new(cell.load.sessions, cell.workload.groups(), publishes(cell), index, workers)
}

/// Whether the generator has a publisher for each topic.
fn publishes(cell: &Cell) -> bool {
    matches!((&cell.workload, &cell.target), (Workload::Push { .. }, Target::Url(_)))
}

/// Sockets of the first of `workers`, which has the most.
pub(super) fn sockets_of_worker(cell: &Cell, workers: u32) -> u64 {
    sockets_of_workers(cell, 0, workers)
}

/// Sockets of worker `first` of `workers`; none after it has more.
pub(super) fn sockets_of_workers(cell: &Cell, first: u32, workers: u32) -> u64 {
    sessions_of_worker(cell, first, workers) * cell.transport.sockets_per_session()
}

/// Messages a second that worker `index` of `workers` sends where the schedule is at its fastest, on average. Infinite with
/// closed arrival, which goes as fast as it is answered; 0 where the embedded target is the one that sends.
pub fn rate_of_worker(cell: &Cell, index: u32, workers: u32) -> f64 {
    let roster = roster(cell, index, workers);
    rate(cell, roster.sessions(), roster.groups(), 1.0 / f64::from(workers.max(1)))
}

/// The same of whoever has so many sessions and groups, or that part of the connects.
fn rate(cell: &Cell, sessions: u32, groups: u32, part: f64) -> f64 {
    if !cell.load.schedule.arrival.is_open() {
        return f64::INFINITY;
    }
    let peak = cell.load.schedule.stages.iter().map(|s| s.from.per_second().max(s.to.per_second())).fold(0.0, f64::max);
    let of = |mine: u32, all: u32| peak * f64::from(mine) / f64::from(all.max(1));
    match (&cell.workload, &cell.target) {
        (Workload::Push { .. }, Target::Embedded) => 0.0,
        (Workload::Push { topics, .. }, Target::Url(_)) => of(groups, *topics),
        (Workload::Connect { .. }, _) => peak * part,
        (Workload::Echo { .. } | Workload::Chat { .. }, _) => of(sessions, cell.load.sessions),
    }
}

/// What can't be divided between workers: a room, a topic, or a session that is alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Publishers included.
    pub sessions: u64,
    pub sockets: u64,
    /// As [`rate_of_worker`].
    pub rate: f64,
}

/// The largest.
pub(super) fn room(cell: &Cell) -> Room {
    let units = cell.workload.groups().unwrap_or(cell.load.sessions).max(1);
    let members = cell.load.sessions.div_ceil(units);
    let publishers = u64::from(publishes(cell) && cell.workload.groups().is_some());
    let sessions = u64::from(members) + publishers;
    Room {
        sessions,
        sockets: sessions * cell.transport.sockets_per_session(),
        rate: rate(cell, members, 1, 1.0 / f64::from(units)),
    }
}

impl Processes {
    /// As many workers as that, and as few embedded targets as hold their sessions here, where a process may open
    /// `descriptors` files.
    pub fn of_fleet(cell: &Cell, workers: u32, descriptors: u64) -> Processes {
        let held = comfortably(descriptors);
        let fit = |targets: &u32| Processes { workers, targets: *targets }.sockets_at_target(cell) <= held;
        let targets = match cell.target {
            Target::Embedded => (1..workers).find(fit).unwrap_or(workers),
            Target::Url(_) => 0,
        };
        Processes { workers, targets }
    }

    /// The sessions that speak to target `index`.
    pub fn sessions_at_target(&self, cell: &Cell, index: u32) -> u64 {
        let step = self.targets.max(1) as usize;
        (index..self.workers).step_by(step).map(|worker| sessions_of_worker(cell, worker, self.workers)).sum()
    }

    /// Sockets of the first target, which has the most; over UDP all share one.
    pub(super) fn sockets_at_target(&self, cell: &Cell) -> u64 {
        match cell.transport.kind() {
            TransportKind::Udp => 1,
            _ => self.sessions_at_target(cell, 0) * cell.transport.sockets_per_session(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, build};
    use crate::scenario;

    fn cells(workload: &str, load: &str, transports: &str) -> Vec<Cell> {
        let text = format!("{workload}\n[load]\nrate = \"1/s\"\nduration = \"2s\"\n{load}\n{transports}");
        let scenario = scenario::parse("t.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false))).cells
    }

    fn taken(workload: &str, load: &str, transports: &str) -> Vec<(u32, u32)> {
        let of = |cell: &Cell| processes(cell, 20_000);
        cells(workload, load, transports).iter().map(|cell| (of(cell).workers, of(cell).targets)).collect()
    }

    #[test]
    fn there_are_as_many_processes_as_descriptors_need() {
        let arms = "[transports.tcp]\n[transports.udp]\n[transports.sse]";
        assert_eq!(taken("[workload.echo]", "sessions = 18_000", arms), [(1, 1), (1, 1), (2, 2)]);
        assert_eq!(taken("[workload.echo]", "sessions = 18_001", arms), [(2, 2), (2, 1), (3, 3)]);
        assert_eq!(taken("[workload.echo]", "sessions = 1_000_000", arms), [(56, 56), (56, 1), (112, 112)]);
    }

    #[test]
    fn workers_that_were_asked_for_share_as_few_targets_as_hold_them() {
        let echo = |load: &str| taken("[workload.echo]", load, "[transports.tcp]");
        assert_eq!(echo("sessions = 40\nworkers = 3"), [(3, 1)]);
        assert_eq!(echo("sessions = 2\nworkers = 3"), [(2, 1)]);
        assert_eq!(echo("sessions = 30_000\nworkers = 4"), [(4, 2)]);
    }

    #[test]
    fn no_room_is_divided() {
        let chat =
            |rooms: u32| taken(&format!("[workload.chat]\nrooms = {rooms}"), "sessions = 60_000", "[transports.tcp]");
        assert_eq!((chat(1), chat(3), chat(60)), (vec![(1, 1)], vec![(3, 3)], vec![(4, 4)]));
    }

    #[test]
    fn every_session_speaks_to_one_target() {
        let cell = &cells("[workload.chat]\nrooms = 7", "sessions = 100\nworkers = 5", "[transports.tcp]")[0];
        let processes = Processes { workers: 5, targets: 2 };
        let at = |target| processes.sessions_at_target(cell, target);
        assert_eq!(at(0) + at(1), 100);
        assert!(at(0) >= at(1));
    }
}
