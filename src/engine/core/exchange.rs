//! What each workload does with a scheduled unit, and what an arrival means for it.

use super::{Action, Arrived, Core, Entry, Failure, Kind, MOST_ON_BOOKS, Metric, Pacer, SessionId, Unsent};
use crate::catalog::Closer;
use crate::clock::{MILLI, Nanos};
use crate::engine::pacer::Due;
use crate::plan::{FirstMessage, Target, Workload};
use crate::transport::Place;
use crate::wire::Tag;
use crate::workload;

/// How far the clock of a target on another machine may be ahead of what we take it for.
const CLOCKS_APART: Nanos = 250 * MILLI;

/// Why a scheduled unit was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skipped {
    /// No connection to send on, or nobody to receive.
    NotConnected,
    /// The generator's own books are full.
    BooksFull,
}

impl Core {
    /// One unit is due: sends it, or counts why not.
    pub(super) fn take(&mut self, due: Due, now: Nanos, actions: &mut Vec<Action>) {
        self.recorder.counters(due.at).scheduled += 1;
        let done = match self.ledger.has_room() {
            false => Err(Skipped::BooksFull),
            true => match self.setup.cell.workload {
                Workload::Echo { .. } => self.request(&due, now, actions),
                Workload::Chat { echo_self, .. } => self.publish(&due, now, echo_self, actions),
                Workload::Push { .. } => self.event(&due, now, actions),
                Workload::Connect { .. } => self.connect(&due, now, actions),
            },
        };
        match done {
            Ok(()) => {}
            Err(why) => {
                self.recorder.counters(due.at).skipped += 1;
                self.recorder.outcome_mut().skipped_by_generator += u64::from(why == Skipped::BooksFull);
            }
        }
    }

    fn request(&mut self, due: &Due, now: Nanos, actions: &mut Vec<Action>) -> Result<(), Skipped> {
        let session = self.open_session(self.roster.local(due.sender))?;
        self.ledger.open(due.id, session, due.at, now, 0..self.replies);
        self.send(due, session, now, actions);
        Ok(())
    }

    fn publish(&mut self, due: &Due, now: Nanos, echo_self: bool, actions: &mut Vec<Action>) -> Result<(), Skipped> {
        let session = self.open_session(self.roster.local(due.sender))?;
        let but = (!echo_self).then_some(session);
        self.book_for_group(due, self.roster.group(session), session, now, but)?;
        self.send(due, session, now, actions);
        Ok(())
    }

    fn event(&mut self, due: &Due, now: Nanos, actions: &mut Vec<Action>) -> Result<(), Skipped> {
        if self.setup.cell.target == Target::Embedded {
            // The target sends it by the same schedule; any member stands for the topic.
            let member = self.roster.members(due.sender).next().ok_or(Skipped::NotConnected)?;
            self.book_for_group(due, due.sender, member, now, None)?;
            self.sent(due.id, due.at);
        } else {
            let publisher = self.open_session(self.roster.publisher(due.sender))?;
            self.book_for_group(due, due.sender, publisher, now, None)?;
            self.send(due, publisher, now, actions);
        }
        Ok(())
    }

    fn connect(&mut self, due: &Due, now: Nanos, actions: &mut Vec<Action>) -> Result<(), Skipped> {
        let session = self.sessions.take_slot(due.id).ok_or(Skipped::NotConnected)?;
        self.ledger.open(due.id, session, due.at, now, std::iter::once(0));
        self.recorder.record(Metric::SendLateness, due.at, now - due.at);
        self.sent(due.id, now);
        let place = match &self.setup.cell.workload {
            Workload::Connect { first: FirstMessage::Greeting, payload, closer } => {
                let tag = self.tag(Kind::Greeting, due.id, due.at);
                let path = workload::greeting(&tag, payload.range().0, *closer == Closer::Server);
                Place { path, ..self.place(session) }
            }
            _ => self.place(session),
        };
        actions.push(Action::Open { session, place });
        Ok(())
    }

    fn open_session(&self, local: Option<SessionId>) -> Result<SessionId, Skipped> {
        local.filter(|l| self.sessions.is_open(*l)).ok_or(Skipped::NotConnected)
    }

    /// Puts a message on the books, owed by every open member of `group` except `but`.
    fn book_for_group(
        &mut self,
        due: &Due,
        group: u32,
        session: SessionId,
        now: Nanos,
        but: Option<SessionId>,
    ) -> Result<(), Skipped> {
        let (roster, sessions) = (&self.roster, &self.sessions);
        let seats = || {
            let members = roster.members(group);
            members.filter(|m| sessions.is_open(*m) && Some(*m) != but).map(|m| roster.seat(m))
        };
        if seats().next().is_none() {
            return Err(Skipped::NotConnected);
        }
        self.ledger.open(due.id, session, due.at, now, seats());
        Ok(())
    }

    fn send(&mut self, due: &Due, session: SessionId, now: Nanos, actions: &mut Vec<Action>) {
        self.recorder.record(Metric::SendLateness, due.at, now - due.at);
        actions.push(Action::Send { session, id: due.id, due: due.at });
        if matches!(self.pacer, Some(Pacer::Closed(_))) {
            let until = due.at + self.setup.cell.load.timeout.nanos();
            self.patience.push_back((until, due.id, session));
        }
    }

    pub(super) fn sent(&mut self, id: u64, at: Nanos) {
        let Some(entry) = self.ledger.sent(id, at) else { return };
        let counters = self.recorder.counters(entry.due);
        counters.sent += 1;
        counters.expected += u64::from(entry.expected);
        self.recorder.note_sent(at);
        self.ask_acknowledgement(id, entry.session);
        if !self.is_sent_by_target() {
            self.recorder.record(Metric::Queueing, entry.due, at.saturating_sub(entry.taken));
        }
    }

    pub(super) fn unsent(&mut self, now: Nanos, id: u64, why: Unsent) {
        let Some(entry) = self.ledger.cancel(id) else { return };
        self.recorder.counters(entry.due).skipped += 1;
        if why == Unsent::Full {
            // There is room again when something has been answered or given up.
            let later = now + self.setup.cell.load.timeout.nanos();
            self.answered(self.roster.global(entry.session), later);
        }
    }

    /// A session survives a fault. A message that it took along unwritten was never sent.
    pub(super) fn fault(&mut self, now: Nanos, ticket: Option<u64>, failure: &Failure) {
        self.recorder.note_error(now, &failure.class.key(), &failure.detail);
        if let Some(id) = ticket.filter(|id| self.ledger.get(*id).is_some_and(|entry| entry.sent.is_none())) {
            self.unsent(now, id, Unsent::Full);
        }
    }

    /// A connect workload's session is open: it speaks if that is its part, or closes if all has been said already.
    pub(super) fn speak_first(&mut self, now: Nanos, session: SessionId, actions: &mut Vec<Action>) {
        let Workload::Connect { first, closer, .. } = self.setup.cell.workload else { return };
        let Some(id) = self.sessions.about(session) else { return };
        if first == FirstMessage::Echo {
            let due = self.ledger.get(id).map_or(now, |entry| entry.due);
            actions.push(Action::Send { session, id, due });
        } else if closer == Closer::Client && !self.ledger.is_owing(id, 0) {
            self.sessions.close(session, actions);
        }
    }

    pub(super) fn message(&mut self, now: Nanos, session: SessionId, payload: &[u8], actions: &mut Vec<Action>) {
        if self.is_settled || self.roster.is_publisher(session) {
            return;
        }
        // Who waited too long must be told first; and an event may be here before our own timer said that it is due.
        match self.pacer {
            Some(Pacer::Closed(_)) => self.give_up_waiting(now),
            _ => self.advance(now, actions),
        }
        let Some(tag) = Tag::find(payload).filter(|tag| tag.run == self.setup.run) else {
            self.recorder.counters(now).foreign += 1;
            return;
        };
        let due = self.own_due(&tag, now, actions);
        if self.stopped && self.window.is_some_and(|w| due >= w.measure_to) {
            return;
        }
        match self.match_arrival(tag.id, session) {
            Arrived::Duplicate => self.recorder.counters(due).duplicate += 1,
            Arrived::Unmatched => self.recorder.counters(now).unmatched += 1,
            Arrived::Owed(entry) => self.delivered(now, tag.id, session, &entry, actions),
        }
    }

    /// When a message was due by our own clock. Events of the embedded target bear the instant of its clock, which on another
    /// machine is another; both follow one schedule, so what one event tells of the two is true of all. And an event that is
    /// here is due, even where our clock is a little behind.
    fn own_due(&mut self, tag: &Tag, now: Nanos, actions: &mut Vec<Action>) -> Nanos {
        if !self.is_sent_by_target() {
            return tag.due;
        }
        let latest = now.saturating_add(CLOCKS_APART);
        while let Some(due) = self.pacer.as_mut().and_then(|pacer| pacer.take_early(tag.id, latest)) {
            self.take(due, now, actions);
        }
        if let Some(entry) = self.ledger.get(tag.id) {
            self.behind_target = tag.due.wrapping_sub(entry.due);
        }
        tag.due.wrapping_sub(self.behind_target)
    }

    /// An answer arrived: to which message, the connection or the dialect knows.
    pub(super) fn answer(&mut self, now: Nanos, session: SessionId, id: u64, actions: &mut Vec<Action>) {
        if self.is_settled || self.roster.is_publisher(session) {
            return;
        }
        self.give_up_waiting(now);
        let due = self.ledger.get(id).map(|entry| entry.due);
        if self.stopped && self.window.zip(due).is_some_and(|(window, due)| due >= window.measure_to) {
            return;
        }
        match self.match_arrival(id, session) {
            Arrived::Duplicate => self.recorder.counters(now).duplicate += 1,
            Arrived::Unmatched => self.recorder.counters(now).unmatched += 1,
            Arrived::Owed(entry) => self.delivered(now, id, session, &entry, actions),
        }
    }

    /// A message was sent, which the target is to acknowledge if it does so. One too many to remember stays without.
    fn ask_acknowledgement(&mut self, id: u64, session: SessionId) {
        let Some(waiting) = &mut self.unacknowledged else { return };
        self.recorder.outcome_mut().acknowledgements.asked += 1;
        if waiting.len() < MOST_ON_BOOKS {
            waiting.insert(id, session);
        }
    }

    /// The target says that it took message `id`. As with errors, all phases count.
    pub(super) fn acknowledged(&mut self, session: SessionId, id: u64) {
        let Some(waiting) = &mut self.unacknowledged else { return };
        if self.is_settled {
            return;
        }
        let is_matched = waiting.get(&id) == Some(&session);
        if is_matched {
            waiting.remove(&id);
        }
        let counts = &mut self.recorder.outcome_mut().acknowledgements;
        counts.matched += u64::from(is_matched);
        counts.unmatched += u64::from(!is_matched);
    }

    /// Whether message `id` was owed to `session`.
    fn match_arrival(&mut self, id: u64, session: SessionId) -> Arrived {
        if let Some(entry) = self.ledger.get(id) {
            let fits = match self.setup.cell.workload.groups() {
                Some(_) => self.roster.group(entry.session) == self.roster.group(session),
                None => entry.session == session,
            };
            if entry.expected > 0 && !fits {
                return Arrived::Unmatched;
            }
        }
        let seat = match self.setup.cell.workload.groups() {
            Some(_) => self.roster.seat(session),
            // Whichever of the replies it is: the next.
            None => (0..self.replies).find(|seat| self.ledger.is_owing(id, *seat)).unwrap_or(0),
        };
        self.ledger.arrived(id, seat)
    }

    fn delivered(&mut self, now: Nanos, id: u64, session: SessionId, entry: &Entry, actions: &mut Vec<Action>) {
        let response = now.saturating_sub(entry.due);
        let is_late = response > self.setup.cell.load.timeout.nanos();
        let column = if self.is_sent_by_target() { 0 } else { self.roster.seat(entry.session) };
        let reordered = self.order.is_reordered(session, column, id);
        let counters = self.recorder.counters(entry.due);
        match is_late {
            true => counters.late += 1,
            false => counters.delivered += 1,
        }
        counters.reordered += u64::from(reordered);
        self.recorder.record(Metric::ResponseTime, entry.due, response);
        if let Some(sent) = entry.sent.filter(|_| !self.is_sent_by_target()) {
            self.recorder.record(Metric::ServiceTime, entry.due, now.saturating_sub(sent));
        }
        self.recorder.note_delivered(now, response);
        match self.setup.cell.workload {
            Workload::Chat { .. } | Workload::Push { .. } => {
                if entry.remaining == 0 {
                    self.recorder.record(Metric::LastReceipt, entry.due, response);
                }
                if session == entry.session && !is_late {
                    self.answered(self.roster.global(session), now);
                }
            }
            Workload::Echo { .. } => {
                if entry.remaining == 0 && self.replies > 1 {
                    self.recorder.record(Metric::LastReceipt, entry.due, response);
                }
                if entry.remaining == 0 && !is_late {
                    self.answered(self.roster.global(session), now);
                }
            }
            Workload::Connect { closer, .. } => {
                let since = entry.sent.unwrap_or(entry.taken);
                self.recorder.record(Metric::FirstMessage, entry.due, now.saturating_sub(since));
                // The greeting may be here before we heard that its session is open.
                if closer == Closer::Client && self.sessions.is_open(session) {
                    self.sessions.close(session, actions);
                }
            }
        }
    }

    /// Closed arrival: `sender` may go on.
    pub(super) fn answered(&mut self, sender: u32, at: Nanos) {
        if let Some(Pacer::Closed(closed)) = &mut self.pacer {
            closed.answered(sender, at);
        }
    }

    /// Closed arrival: who waited longer than the timeout goes on without the answer. Who has it is forgotten, so that
    /// nobody is woken for it.
    pub(super) fn give_up_waiting(&mut self, now: Nanos) {
        while let Some((until, id, session)) = self.patience.front().copied() {
            let seat = match self.setup.cell.workload.groups() {
                Some(_) => self.roster.seat(session),
                None => self.replies - 1,
            };
            let is_waiting = self.ledger.is_owing(id, seat);
            if is_waiting && until >= now {
                break;
            }
            self.patience.pop_front();
            if is_waiting {
                self.answered(self.roster.global(session), now);
            }
        }
    }

    /// Events of the embedded target: when they were sent, and how late, only the target knows.
    fn is_sent_by_target(&self) -> bool {
        matches!(self.setup.cell.workload, Workload::Push { .. }) && self.setup.cell.target == Target::Embedded
    }

    pub(super) fn is_closed_by_server(&self) -> bool {
        matches!(self.setup.cell.workload, Workload::Connect { closer: Closer::Server, .. })
    }
}
