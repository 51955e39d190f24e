//! What is due and when. Open: the schedule alone decides. Closed: the answers decide.

use crate::clock::Nanos;
use crate::schedule::{Arrivals, Schedule, Turns, Window};
use crate::seed;
use crate::workload::Roster;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One scheduled unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub id: u64,
    pub at: Nanos,
    /// Who sends it: a global session, or a topic.
    pub sender: u32,
}

/// Gives out scheduled units, in order of their due instants.
#[derive(Debug)]
pub enum Pacer {
    Open(Box<OpenPacer>),
    Closed(ClosedPacer),
}

impl Pacer {
    /// When the next unit is due, if any is.
    pub fn next_at(&self) -> Option<Nanos> {
        match self {
            Pacer::Open(open) => open.next.map(|due| due.at),
            Pacer::Closed(closed) => closed.next_at(),
        }
    }

    /// The next unit, if it is due by `now`.
    pub fn take(&mut self, now: Nanos) -> Option<Due> {
        self.next_at().filter(|at| *at <= now)?;
        match self {
            Pacer::Open(open) => open.take(),
            Pacer::Closed(closed) => closed.take(),
        }
    }

    /// The next unit of an open schedule, if its number is at most `id` and it is due by `until`, though that may be still to
    /// come.
    pub fn take_early(&mut self, id: u64, until: Nanos) -> Option<Due> {
        let Pacer::Open(open) = self else { return None };
        open.next.filter(|due| due.id <= id && due.at <= until)?;
        open.take()
    }

    /// Nothing more is due after `at`: what an open schedule still held is given back to be counted as skipped.
    pub fn stop(&mut self, at: Nanos) -> Vec<Due> {
        match self {
            Pacer::Open(open) => std::iter::from_fn(|| open.take()).collect(),
            Pacer::Closed(closed) => {
                closed.end = closed.end.min(at);
                Vec::new()
            }
        }
    }
}

/// Which of the whole run's units are a worker's. Every worker draws all of them, so that none depends on how many
/// workers there are, and wakes for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mine {
    /// Senders are sessions.
    Sessions(Roster),
    /// Senders are groups.
    Groups(Roster),
    /// Units have no sender yet; they are dealt out by number.
    Numbers { worker: u32, workers: u32 },
}

impl Mine {
    fn has_sender(&self, sender: u32) -> bool {
        match self {
            Mine::Sessions(roster) => roster.local(sender).is_some(),
            Mine::Groups(roster) => roster.has_group(sender),
            Mine::Numbers { .. } => true,
        }
    }

    fn has(&self, id: u64, sender: u32) -> bool {
        match self {
            Mine::Numbers { worker, workers } => id % u64::from(*workers) == u64::from(*worker),
            _ => self.has_sender(sender),
        }
    }
}

/// Open arrival: arithmetic on the number and the seed.
#[derive(Debug)]
pub struct OpenPacer {
    arrivals: Arrivals,
    turns: Turns,
    mine: Mine,
    start: Nanos,
    next_id: u64,
    next: Option<Due>,
}

impl OpenPacer {
    /// `senders`: how many take turns in the whole run; at least 1.
    pub fn new(schedule: &Schedule, senders: u32, mine: Mine, start: Nanos) -> Box<OpenPacer> {
        let turns = schedule.turns(senders, |sender| mine.has_sender(sender));
        let arrivals = schedule.arrivals();
        let mut pacer = Box::new(OpenPacer { arrivals, turns, mine, start, next_id: 0, next: None });
        pacer.draw();
        pacer
    }

    /// Draws on to the next unit of our own.
    fn draw(&mut self) {
        self.next = None;
        for offset in self.arrivals.by_ref() {
            let id = self.next_id;
            self.next_id += 1;
            if let Some(sender) = self.turns.next_sender().filter(|sender| self.mine.has(id, *sender)) {
                self.next = Some(Due { id, at: self.start + offset, sender });
                return;
            }
        }
    }

    fn take(&mut self) -> Option<Due> {
        let due = self.next?;
        self.draw();
        Some(due)
    }
}

/// Closed arrival: a session's next unit is due `think` after its answer. Waiting costs one heap entry.
#[derive(Debug)]
pub struct ClosedPacer {
    ready: BinaryHeap<Reverse<(Nanos, u32)>>,
    next_id: u64,
    /// How far apart its ids are: those between are the other workers'.
    stride: u64,
    think: Nanos,
    end: Nanos,
}

impl ClosedPacer {
    /// Each of `senders` starts `outstanding` units, at an instant drawn from the first `think` (at least 1 ms) of
    /// the window, so that sessions don't march in step. Units are numbered from the first of `ids` on, in its steps.
    pub fn new(
        senders: impl Iterator<Item = u32>,
        outstanding: u32,
        think: Nanos,
        window: &Window,
        seed: u64,
        ids: (u32, u32),
    ) -> Self {
        let spread = think.max(crate::clock::MILLI);
        let ready = senders
            .flat_map(|sender| (0..outstanding).map(move |k| (sender, k)))
            .map(|(sender, k)| {
                let phase = seed::pick(seed, (u64::from(sender) << 32) | u64::from(k), spread);
                Reverse((window.start + phase, sender))
            })
            .collect();
        let (first, stride) = (u64::from(ids.0), u64::from(ids.1));
        ClosedPacer { ready, next_id: first, stride, think, end: window.measure_to }
    }

    /// The answer to one of `sender`'s units is there, or will not come.
    pub fn answered(&mut self, sender: u32, at: Nanos) {
        self.ready.push(Reverse((at + self.think, sender)));
    }

    fn next_at(&self) -> Option<Nanos> {
        self.ready.peek().map(|Reverse((at, _))| *at).filter(|at| *at < self.end)
    }

    fn take(&mut self) -> Option<Due> {
        let Reverse((at, sender)) = self.ready.pop()?;
        let id = self.next_id;
        self.next_id += self.stride;
        Some(Due { id, at, sender })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Arrival;
    use crate::schedule::Stage;
    use crate::units::{Rate, Span};

    fn schedule() -> Schedule {
        let rate = Rate::new(1000.0).unwrap();
        Schedule {
            arrival: Arrival::Poisson,
            stages: vec![Stage { from: rate, to: rate, over: Span::from_millis(100) }],
            seed: 5,
        }
    }

    #[test]
    fn an_open_pacer_is_the_schedule_however_late_it_is_asked() {
        let want: Vec<Nanos> = schedule().arrivals().map(|o| 7_000 + o).collect();
        for step in [1, 1_000, 10_000_000, 200_000_000] {
            let mut pacer = Pacer::Open(OpenPacer::new(&schedule(), 10, all(), 7_000));
            let mut got = Vec::new();
            let mut now = 0;
            while let Some(next) = pacer.next_at() {
                now = (now + step).max(if step == 1 { next } else { 0 });
                while let Some(due) = pacer.take(now) {
                    assert!(due.at <= now && due.sender < 10);
                    got.push(due.at);
                }
            }
            assert_eq!(got, want);
        }
    }

    fn all() -> Mine {
        Mine::Sessions(Roster::new(10, None, false, 0, 1))
    }

    #[test]
    fn several_pacers_share_out_the_very_units_of_one() {
        let drain = |mine| {
            let mut pacer = Pacer::Open(OpenPacer::new(&schedule(), 10, mine, 0));
            std::iter::from_fn(move || pacer.take(u64::MAX)).collect::<Vec<Due>>()
        };
        type Part = fn(u32) -> Mine;
        let by_session: Part = |worker| Mine::Sessions(Roster::new(10, None, false, worker, 3));
        let by_group: Part = |worker| Mine::Groups(Roster::new(30, Some(10), false, worker, 3));
        let by_number: Part = |worker| Mine::Numbers { worker, workers: 3 };
        for part in [by_session, by_group, by_number] {
            let parts: Vec<Vec<Due>> = (0..3).map(|worker| drain(part(worker))).collect();
            assert!(parts.iter().all(|part| part.is_sorted_by_key(|due| due.id)));
            let mut whole = parts.concat();
            whole.sort_by_key(|due| due.id);
            assert_eq!(whole, drain(all()));
        }
    }

    #[test]
    fn stopping_gives_back_what_was_still_to_come() {
        let mut pacer = Pacer::Open(OpenPacer::new(&schedule(), 10, all(), 0));
        let total = schedule().arrivals().count();
        let first = pacer.take(u64::MAX).unwrap();
        assert_eq!((first.id, pacer.stop(0).len()), (0, total - 1));
        assert_eq!(pacer.next_at(), None);
    }

    #[test]
    fn a_closed_pacer_waits_for_the_answer_and_the_think_time() {
        let window = Window { start: 1_000, measure_from: 1_000, measure_to: 100_000_000, drain_to: 0 };
        let mut closed = ClosedPacer::new(0..1, 1, 5_000_000, &window, 3, (2, 4));
        let first = closed.next_at().unwrap();
        assert!((1_000..5_001_000).contains(&first));
        assert_eq!(closed.take().unwrap().at, first);
        assert_eq!(closed.next_at(), None);
        closed.answered(0, 10_000_000);
        assert_eq!(closed.next_at(), Some(15_000_000));
        assert_eq!(closed.take().unwrap().id, 6, "ids of its own");
        closed.answered(0, 99_000_000);
        assert_eq!(closed.next_at(), None, "nothing is due after the end");
    }
}
