//! Sessions coming and going: the ramp at the asked connect rate, the slots of a connect workload, the end.

use super::{Action, Core, Event, Metric, Setup};
use crate::catalog::Dialect;
use crate::clock::{Nanos, SECOND};
use crate::measure::Outcome;
use crate::plan::{Target, Workload};
use crate::transport::{ConnectPhases, Ended, ErrorClass, Failure, Place, SessionId};
use crate::workload::{self, Roster};

/// Sessions of the ramp that are being opened at once, per worker: fewer than a server usually lets wait to be accepted (511), since
/// one that stands still for a moment drops the others' SYNs, and they try again a second later.
const MOST_OPENING: u64 = 256;
/// Sessions opened in one go by a ramp that is behind: answers to those that were are looked at before there are more.
const AT_ONCE: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not tried yet, or a free slot.
    Idle,
    Opening,
    Open,
    Closing,
    Ended,
}

/// The state of every session of a worker.
#[derive(Debug)]
pub(super) struct Sessions {
    states: Vec<State>,
    /// The ramp: sessions to open, the next one, since when, and how far apart.
    ramp: u32,
    next: u32,
    since: Nanos,
    gap: f64,
    opening: u64,
    open: u64,
    closing: u64,
    next_to_close: SessionId,
    peak: u64,
    connected: u64,
    /// Connect workload: slots not in use, and the message that each slot in use is about.
    free: Vec<SessionId>,
    about: Vec<u64>,
}

impl Sessions {
    pub(super) fn new(roster: &Roster, setup: &Setup, now: Nanos) -> Sessions {
        let cell = &setup.cell;
        let all = roster.to_open();
        let is_storm = matches!(cell.workload, Workload::Connect { .. });
        // Every worker ramps its share at its share of the rate.
        let share = f64::from(roster.sessions()) / f64::from(cell.load.sessions);
        let gap = SECOND as f64 / (cell.load.connect_rate.per_second() * share);
        // Workers take turns, so that not all of them open a session at the same instant.
        let turn = if share > 0.0 { gap * f64::from(setup.worker) / f64::from(setup.workers) } else { 0.0 };
        Sessions {
            states: vec![State::Idle; all as usize],
            ramp: if is_storm { 0 } else { all },
            next: 0,
            since: now + turn as Nanos,
            gap,
            opening: 0,
            open: 0,
            closing: 0,
            next_to_close: 0,
            peak: 0,
            connected: 0,
            free: if is_storm { (0..all).rev().collect() } else { Vec::new() },
            about: if is_storm { vec![0; all as usize] } else { Vec::new() },
        }
    }

    /// When the next session of the ramp is due to be opened.
    pub(super) fn next_opening(&self) -> Option<Nanos> {
        (self.next < self.ramp && self.opening < MOST_OPENING)
            .then(|| self.since + (f64::from(self.next) * self.gap) as Nanos)
    }

    pub(super) fn all_tried(&self) -> bool {
        self.next >= self.ramp && self.opening == 0
    }

    pub(super) fn stop_opening(&mut self) {
        self.ramp = self.next;
    }

    pub(super) fn none_alive(&self) -> bool {
        self.opening + self.open + self.closing == 0
    }

    pub(super) fn is_open(&self, session: SessionId) -> bool {
        self.states.get(session as usize) == Some(&State::Open)
    }

    pub(super) fn open(&self) -> u64 {
        self.open
    }

    /// Closes open sessions in their order until `most` are closing. One that opens from now on is closed as it does.
    pub(super) fn close_next(&mut self, most: u64, actions: &mut Vec<Action>) {
        while self.closing < most && (self.next_to_close as usize) < self.states.len() {
            if self.is_open(self.next_to_close) {
                self.close(self.next_to_close, actions);
            }
            self.next_to_close += 1;
        }
    }

    pub(super) fn close(&mut self, session: SessionId, actions: &mut Vec<Action>) {
        self.set(session, State::Closing);
        actions.push(Action::Close { session });
    }

    pub(super) fn summarize(&self, outcome: &mut Outcome) {
        outcome.sessions.connected = self.connected;
        outcome.sessions.peak = self.peak;
    }

    /// Takes a free slot for message `id`; `None` when all are in use.
    pub(super) fn take_slot(&mut self, id: u64) -> Option<SessionId> {
        let slot = self.free.pop()?;
        self.about[slot as usize] = id;
        self.set(slot, State::Opening);
        Some(slot)
    }

    /// The message that a connect workload's session is about.
    pub(super) fn about(&self, session: SessionId) -> Option<u64> {
        self.about.get(session as usize).copied()
    }

    fn tally(&mut self, state: State) -> Option<&mut u64> {
        match state {
            State::Opening => Some(&mut self.opening),
            State::Open => Some(&mut self.open),
            State::Closing => Some(&mut self.closing),
            State::Idle | State::Ended => None,
        }
    }

    fn set(&mut self, session: SessionId, to: State) {
        let from = std::mem::replace(&mut self.states[session as usize], to);
        if let Some(n) = self.tally(from) {
            *n -= 1;
        }
        if let Some(n) = self.tally(to) {
            *n += 1;
        }
        self.peak = self.peak.max(self.open);
        self.connected += u64::from(to == State::Open);
    }

    /// The session is over: its slot is free again, or it stays ended.
    fn retire(&mut self, session: SessionId) {
        if self.about.is_empty() {
            self.set(session, State::Ended);
        } else {
            self.set(session, State::Idle);
            self.free.push(session);
        }
    }

    fn state(&self, session: SessionId) -> State {
        self.states[session as usize]
    }
}

impl Core {
    pub(super) fn open_due_sessions(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        for _ in 0..AT_ONCE {
            if self.sessions.next_opening().is_none_or(|at| at > now) {
                break;
            }
            let session = self.sessions.next;
            self.sessions.next += 1;
            self.sessions.set(session, State::Opening);
            actions.push(Action::Open { session, place: self.place(session) });
        }
    }

    /// What a session of the ramp joins. A connect workload's place depends on the message instead. At a URL without a
    /// path, a server that speaks wsbench's dialect has the embedded target's places.
    pub(super) fn place(&self, session: SessionId) -> Place {
        let mut place = Place {
            path: String::new(),
            room: self.roster.group(session),
            session: self.roster.global(session),
            is_publisher: self.roster.is_publisher(session),
            values: self.setup.cell.values.clone(),
        };
        place.path = self.path(&place);
        place
    }

    fn path(&self, place: &Place) -> String {
        match (&self.setup.cell.target, &self.setup.cell.workload) {
            (Target::Url(url), _) if self.setup.cell.dialect != Dialect::Wsbench || url.path != "/" => {
                place.fill_path(&url.path)
            }
            // Nobody but the target itself may publish to a topic.
            (Target::Url(_), Workload::Push { .. }) | (_, Workload::Chat { .. }) => workload::room(place.room),
            (Target::Embedded, Workload::Push { .. }) => workload::topic(place.room),
            (_, Workload::Echo { .. } | Workload::Connect { .. }) => workload::echo(),
        }
    }

    /// Fills in what the session will send, once.
    fn fill_template(&mut self, session: SessionId) {
        let (Some(None), Some(unfilled)) = (self.templates.get(session as usize), self.composer.unfilled()) else {
            return;
        };
        let place = self.place(session);
        let filled = unfilled.filled(|text| place.fill_payload(text));
        self.templates[session as usize] = Some(Box::new(filled));
    }

    pub(super) fn opened(&mut self, now: Nanos, session: SessionId, phases: ConnectPhases, actions: &mut Vec<Action>) {
        // A session may end between its opening and our hearing of it.
        if self.sessions.state(session) != State::Opening {
            return;
        }
        self.sessions.set(session, State::Open);
        self.fill_template(session);
        let due = self.sessions.about(session).and_then(|id| self.ledger.get(id)).map(|entry| entry.due);
        let total = Some(phases.total);
        let all = [
            (Metric::Tcp, phases.tcp),
            (Metric::Tls, phases.tls),
            (Metric::Upgrade, phases.upgrade),
            (Metric::Switch, phases.switch),
            (Metric::Connect, total),
        ];
        for (metric, length) in all.into_iter().filter_map(|(m, length)| Some((m, length?))) {
            match due {
                Some(due) => self.recorder.record(metric, due, length),
                None => self.recorder.record_always(metric, length),
            }
        }
        match self.is_settled {
            true => self.sessions.close(session, actions),
            false => self.speak_first(now, session, actions),
        }
    }

    pub(super) fn open_failed(&mut self, now: Nanos, session: SessionId, failure: &Failure) {
        self.recorder.note_error(now, &failure.class.key(), &failure.detail);
        self.retire(now, session);
    }

    pub(super) fn ended(&mut self, now: Nanos, session: SessionId, ended: &Ended) {
        let closed_by_plan = self.is_closed_by_server()
            && matches!(&ended.failure, Some(f) if matches!(f.class, ErrorClass::ClosedByTarget(_)));
        if let Some(failure) = ended.failure.as_ref().filter(|_| !closed_by_plan) {
            self.recorder.note_error(now, &failure.class.key(), &failure.detail);
        }
        if let Some(length) = ended.close_time {
            self.recorder.record_always(Metric::Close, length);
        }
        self.retire(now, session);
    }

    fn retire(&mut self, now: Nanos, session: SessionId) {
        if matches!(self.sessions.state(session), State::Idle | State::Ended) {
            return;
        }
        if self.sessions.about(session).is_some() {
            self.answered(0, now);
        }
        self.sessions.retire(session);
    }

    /// Sessions that never finished closing count as such.
    pub fn give_up_closing(&mut self, now: Nanos) {
        let left: Vec<SessionId> =
            (0..self.sessions.states.len() as u32).filter(|s| self.sessions.state(*s) == State::Closing).collect();
        for session in left {
            let failure = Failure::new(ErrorClass::CloseTimeout, "the closing handshake got no answer");
            let ended = Ended { failure: Some(failure), close_time: None, code: None };
            self.on(now, Event::Ended { session, ended: &ended }, &mut Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_close_a_few_at_a_time() {
        let sessions = |n: u32| Sessions {
            states: vec![State::Open; n as usize],
            ramp: n,
            next: n,
            since: 0,
            gap: 1.0,
            opening: 0,
            open: n.into(),
            closing: 0,
            next_to_close: 0,
            peak: n.into(),
            connected: n.into(),
            free: Vec::new(),
            about: Vec::new(),
        };
        let mut five = sessions(5);
        five.retire(1);
        let mut actions = Vec::new();
        let mut close = |five: &mut Sessions| {
            actions.clear();
            five.close_next(2, &mut actions);
            let closed = |action: &Action| match action {
                Action::Close { session } => *session,
                other => panic!("{other:?}"),
            };
            actions.iter().map(closed).collect::<Vec<SessionId>>()
        };
        assert_eq!(close(&mut five), [0, 2]);
        assert_eq!(close(&mut five), [] as [u32; 0]);
        five.retire(2);
        assert_eq!(close(&mut five), [3]);
        [0, 3].into_iter().for_each(|session| five.retire(session));
        assert_eq!(close(&mut five), [4]);
        five.retire(4);
        assert!(close(&mut five).is_empty() && five.none_alive());
    }
}
