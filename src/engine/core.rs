//! The engine proper: (now, event) → actions. It does no I/O and reads no clock.
//!
//! `advance` takes whatever is due by now; `on` takes what happened on a connection. Both append actions for the driver.
//! What a workload does with a scheduled unit is in [`exchange`]; opening and ending sessions is in [`sessions`].

mod exchange;
mod sessions;
#[cfg(test)]
mod tests;

use super::ledger::{Arrived, Entry, Ledger};
use super::order::Order;
use super::pacer::{ClosedPacer, Mine, OpenPacer, Pacer};
use crate::clock::Nanos;
use crate::measure::{Metric, Outcome, Recorder};
use crate::plan::{Cell, Target, Workload};
use crate::schedule::{Phase, Window};
use crate::transport::{ConnectPhases, Ended, Failure, Place, SessionId, Unsent};
use crate::wire::{Composer, Kind, Parts, Tag};
use crate::workload::Roster;
use sessions::Sessions;
use std::collections::{HashMap, VecDeque};

/// What a worker is told to do: a cell, and its share of it.
#[derive(Debug, Clone)]
pub struct Setup {
    pub cell: Cell,
    /// Drawn for each trial, so that strays of another trial are told apart.
    pub run: u32,
    /// Length of the time slices, nanoseconds.
    pub interval: Nanos,
    /// This worker's number, and how many share the cell.
    pub worker: u32,
    pub workers: u32,
}

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The phases are fixed; the schedule runs.
    Start(Window),
    Opened {
        session: SessionId,
        phases: ConnectPhases,
    },
    OpenFailed {
        session: SessionId,
        failure: &'a Failure,
    },
    Sent {
        id: u64,
        at: Nanos,
    },
    Unsent {
        id: u64,
        why: Unsent,
    },
    /// `now` is the instant at which it was read.
    Message {
        session: SessionId,
        payload: &'a [u8],
    },
    /// The response to message `id`, where each is a request of its own.
    Answer {
        session: SessionId,
        id: u64,
    },
    /// The target took message `id`, beside what comes of it.
    Acknowledged {
        session: SessionId,
        id: u64,
    },
    Pong {
        round_trip: Nanos,
    },
    Poll {
        messages: u64,
        gap: Option<Nanos>,
    },
    /// `ticket`: the message that was lost with it.
    Fault {
        ticket: Option<u64>,
        failure: &'a Failure,
    },
    Ended {
        session: SessionId,
        ended: &'a Ended,
    },
    /// Someone wants the run to end now, in order.
    Stop,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Open {
        session: SessionId,
        place: Place,
    },
    /// Compose message `id` and hand it to the session's connection.
    Send {
        session: SessionId,
        id: u64,
        due: Nanos,
    },
    Close {
        session: SessionId,
    },
}

/// One worker's engine for one trial.
#[derive(Debug)]
pub struct Core {
    setup: Setup,
    roster: Roster,
    sessions: Sessions,
    composer: Composer,
    /// Where each session has a template of its own: its parts, filled in when it opened.
    templates: Vec<Option<Box<Parts>>>,
    recorder: Recorder,
    ledger: Ledger,
    order: Order,
    /// Replies that a request gets.
    replies: u32,
    /// Messages that the target has yet to acknowledge, each with its sender; `None`: it doesn't do so.
    unacknowledged: Option<HashMap<u64, SessionId>>,
    pacer: Option<Pacer>,
    window: Option<Window>,
    /// Closed arrival: when to give up waiting for an answer, oldest first.
    patience: VecDeque<(Nanos, u64, u32)>,
    stopped: bool,
    is_settled: bool,
    /// Push from the embedded target: how far our clock is behind its, modulo 2⁶⁴; 0 until an event told.
    behind_target: Nanos,
}

/// Who interrupts a run doesn't want to wait for a long drain, nanoseconds.
const LONGEST_STOP: Nanos = crate::clock::SECOND;
/// Messages on the books at once, per worker: past this the generator admits that it is full.
const MOST_ON_BOOKS: usize = 1 << 20;

impl Core {
    pub fn new(setup: Setup, now: Nanos) -> Core {
        let (cell, workload) = (&setup.cell, &setup.cell.workload);
        let publishers = matches!(workload, Workload::Push { .. }) && matches!(cell.target, Target::Url(_));
        let roster = Roster::new(cell.load.sessions, workload.groups(), publishers, setup.worker, setup.workers);
        let ordered = cell.transport.kind().is_reliable();
        let senders = match workload {
            Workload::Chat { .. } => roster.largest_group(),
            _ => 1,
        };
        // The transport keeps the order, or the target may answer in its own.
        let keeps_order = ordered && !cell.dialect.may_reorder();
        let replies = cell.dialect.replies();
        let may_lose = matches!(cell.target, Target::Url(_)) && !matches!(workload, Workload::Connect { .. });
        let order = Order::new(!keeps_order || may_lose, roster.sessions() as usize, senders);
        let mut recorder = Recorder::new(setup.interval);
        recorder.outcome_mut().order_tracked = keeps_order || order.is_tracked();
        recorder.outcome_mut().sessions.asked = u64::from(roster.sessions());
        let composer = Composer::new(workload.payload().clone(), cell.load.schedule.seed);
        let templates = if composer.unfilled().is_some() { roster.to_open() as usize } else { 0 };
        Core {
            composer,
            templates: vec![None; templates],
            sessions: Sessions::new(&roster, &setup, now),
            ledger: Ledger::new(roster.largest_group().max(replies as usize), MOST_ON_BOOKS),
            order,
            replies,
            unacknowledged: cell.dialect.acknowledges().then(HashMap::new),
            roster,
            recorder,
            pacer: None,
            window: None,
            patience: VecDeque::new(),
            stopped: false,
            is_settled: false,
            behind_target: 0,
            setup,
        }
    }

    /// Takes everything that is due by `now`.
    pub fn advance(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        self.open_due_sessions(now, actions);
        self.give_up_waiting(now);
        while let Some(due) = self.pacer.as_mut().and_then(|p| p.take(now)) {
            self.take(due, now, actions);
        }
    }

    /// Takes in what happened at `now`.
    pub fn on(&mut self, now: Nanos, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Start(window) => self.start(window),
            Event::Opened { session, phases } => self.opened(now, session, phases, actions),
            Event::OpenFailed { session, failure } => self.open_failed(now, session, failure),
            Event::Sent { id, at } => self.sent(id, at),
            Event::Unsent { id, why } => self.unsent(now, id, why),
            Event::Message { session, payload } => self.message(now, session, payload, actions),
            Event::Answer { session, id } => self.answer(now, session, id, actions),
            Event::Acknowledged { session, id } => self.acknowledged(session, id),
            Event::Pong { round_trip } => self.recorder.record_always(Metric::Ping, round_trip),
            Event::Poll { messages, gap } => {
                if messages > 0 {
                    self.recorder.record_always(Metric::MessagesPerPoll, messages);
                }
                if let Some(gap) = gap {
                    self.recorder.record_always(Metric::PollGap, gap);
                }
            }
            Event::Fault { ticket, failure } => self.fault(now, ticket, failure),
            Event::Ended { session, ended } => self.ended(now, session, ended),
            Event::Stop => self.stop(now),
        }
    }

    /// When to look again at the latest, `now` included; `None`: only an event can change anything.
    pub fn next_wake(&self, now: Nanos) -> Option<Nanos> {
        let planned = [
            self.sessions.next_opening(),
            self.pacer.as_ref().and_then(Pacer::next_at),
            self.patience.front().map(|(until, ..)| until + 1),
            self.window.map(|w| if now < w.measure_to { w.measure_to } else { w.drain_to }),
        ];
        planned.into_iter().flatten().min()
    }

    /// Whether all that was asked has been sent and answered, or the drain is over.
    pub fn is_done(&self, now: Nanos) -> bool {
        match self.window {
            None => self.stopped,
            Some(window) if now < window.measure_to => false,
            Some(window) => now >= window.drain_to || self.is_quiet(),
        }
    }

    fn is_quiet(&self) -> bool {
        match self.setup.cell.workload {
            // A connect is over when its session is closed again.
            Workload::Connect { .. } => self.sessions.none_alive(),
            _ => {
                let all_acknowledged = self.unacknowledged.as_ref().is_none_or(HashMap::is_empty);
                (self.ledger.owed() == 0 && all_acknowledged) || self.sessions.none_alive()
            }
        }
    }

    /// Whether the measured window is over: every arrival may be the last.
    pub fn is_draining(&self, now: Nanos) -> bool {
        self.window.is_some_and(|w| now >= w.measure_to)
    }

    /// Whether the schedule runs.
    pub fn is_started(&self) -> bool {
        self.window.is_some()
    }

    /// Whether every session has been tried: the ramp is over.
    pub fn is_ramped(&self) -> bool {
        self.sessions.all_tried()
    }

    /// Ends the remaining sessions in order, `most` at a time: to be called again as sessions end.
    pub fn close_next(&mut self, most: u64, actions: &mut Vec<Action>) {
        self.sessions.close_next(most, actions);
    }

    /// How many workers share the cell.
    pub fn workers(&self) -> u32 {
        self.setup.workers
    }

    pub fn none_alive(&self) -> bool {
        self.sessions.none_alive()
    }

    pub fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    pub fn phase(&self, now: Nanos) -> Phase {
        self.window.map_or(Phase::Ramp, |w| w.phase(now))
    }

    /// Sessions open now.
    pub fn open_sessions(&self) -> u64 {
        self.sessions.open()
    }

    /// Writes the payload of message `id` of an open session.
    pub fn compose(&self, session: SessionId, id: u64, due: Nanos, out: &mut Vec<u8>) {
        let tag = self.tag(Kind::Message, id, due);
        match self.templates.get(session as usize) {
            None => self.composer.compose(&tag, out),
            Some(own) => self.composer.compose_by(own.as_deref(), &tag, out),
        }
    }

    fn tag(&self, kind: Kind, id: u64, due: Nanos) -> Tag {
        Tag { kind, run: self.setup.run, id, due }
    }

    /// Closes the books: what is still owed gets its outcome, and what arrives from now on changes none. Over a reliable transport
    /// a copy may still be on its way, unless its receiver has a later message of the same sender.
    pub fn settle(&mut self) {
        self.is_settled = true;
        let reliable = self.setup.cell.transport.kind().is_reliable();
        let is_grouped = self.setup.cell.workload.groups().is_some();
        // Who is answered out of turn may yet be.
        let keeps_order = is_grouped || !self.setup.cell.dialect.may_reorder();
        let Core { ledger, recorder, roster, order, .. } = self;
        ledger.close(|entry, seats| {
            let counters = recorder.counters(entry.due);
            if entry.sent.is_none() {
                counters.skipped += 1;
                return;
            }
            let (group, column) = (roster.group(entry.session), roster.seat(entry.session));
            let overtaken = seats.filter(|seat| {
                let receiver = if is_grouped { roster.member(group, *seat) } else { entry.session };
                order.has_later(receiver, column, entry.id)
            });
            let lost = match (reliable, keeps_order) {
                (true, true) => overtaken.count() as u32,
                (true, false) => 0,
                (false, _) => entry.remaining,
            };
            counters.lost += u64::from(lost);
            counters.unfinished += u64::from(entry.remaining - lost);
        });
    }

    /// Gives the measurements away; the core is empty afterwards.
    pub fn finish(&mut self, now: Nanos) -> Outcome {
        let mut recorder = std::mem::replace(&mut self.recorder, Recorder::new(1));
        self.sessions.summarize(recorder.outcome_mut());
        recorder.outcome_mut().interrupted = self.stopped;
        recorder.outcome_mut().measured = self.window.map_or(0, |w| w.measured());
        recorder.finish(now)
    }

    fn start(&mut self, window: Window) {
        let load = &self.setup.cell.load;
        let schedule = &load.schedule;
        self.recorder.begin(window);
        self.window = Some(window);
        let (worker, workers) = (self.setup.worker, self.setup.workers);
        let (senders, mine) = match &self.setup.cell.workload {
            Workload::Push { topics, .. } => (*topics, Mine::Groups(self.roster)),
            Workload::Connect { .. } => (1, Mine::Numbers { worker, workers }),
            Workload::Echo { .. } | Workload::Chat { .. } => (load.sessions, Mine::Sessions(self.roster)),
        };
        self.pacer = Some(if schedule.arrival.is_open() {
            Pacer::Open(OpenPacer::new(schedule, senders, mine, window.start))
        } else {
            let (senders, outstanding) = match mine {
                // Whoever connects, so many are under way in the whole run.
                Mine::Numbers { .. } => {
                    (vec![0], Roster::new(load.outstanding, None, false, worker, workers).sessions())
                }
                _ => ((0..self.roster.sessions()).map(|local| self.roster.global(local)).collect(), load.outstanding),
            };
            let senders = senders.into_iter();
            let ids = (worker, workers);
            Pacer::Closed(ClosedPacer::new(senders, outstanding, load.think.nanos(), &window, schedule.seed, ids))
        });
    }

    fn stop(&mut self, now: Nanos) {
        self.stopped = true;
        self.sessions.stop_opening();
        let Some(window) = &mut self.window else { return };
        window.measure_to = window.measure_to.min(now);
        window.drain_to = window.drain_to.min(now + self.setup.cell.load.drain.nanos().min(LONGEST_STOP));
        let left = self.pacer.as_mut().map(|p| p.stop(now)).unwrap_or_default();
        for due in left {
            let counters = self.recorder.counters(due.at);
            counters.scheduled += 1;
            counters.skipped += 1;
        }
    }
}
