//! Gives the core real sockets and timers. One task pumps what is due; each connection pushes what it read.

use super::core::{Action, Core, Event, Setup};
use super::standstill::Standstill;
use crate::catalog::Format;
use crate::clock::{self, Alarm, Nanos};
use crate::measure::{Metric, Outcome, Traffic};
use crate::schedule::{Phase, Window};
use crate::transport::{self, Connection, Ended, Endpoint, Failure, Opened, Place, Sent, SessionId, Sink, Tls};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long the closing of all sessions may take at the end, and how much longer for each of them, the other workers' too:
/// they may share a core.
const CLOSING: Duration = Duration::from_millis(500);
const CLOSING_EACH: Duration = Duration::from_micros(250);
/// Sessions that close at a time, over all workers, but one of each at least: the target answers every one in time.
const CLOSING_AT_ONCE: u64 = 2048;

/// A running engine. Lives on a `LocalSet`.
pub struct Drive {
    core: RefCell<Core>,
    connections: RefCell<Vec<Option<Box<dyn Connection>>>>,
    endpoint: Rc<Endpoint>,
    /// Something changed that the pump or a waiting caller should look at.
    changed: Notify,
    /// When the pump looks again by itself.
    asleep_until: Cell<Nanos>,
    /// The pump never sleeps while the schedule runs.
    spins: bool,
    standstill: Rc<Standstill>,
    /// Of sessions that are over; of all of them once `is_counted`.
    traffic: RefCell<Traffic>,
    is_counted: Cell<bool>,
    payload: RefCell<Vec<u8>>,
    spare: Cell<Vec<Action>>,
    /// Connections need to own what they report to.
    me: Weak<Drive>,
}

/// What a live display shows.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Live {
    pub phase: Phase,
    pub open_sessions: u64,
    pub sent: u64,
    pub delivered: u64,
    pub errors: u64,
    /// Response time so far in the measured window, nanoseconds; 0 while there is none.
    pub p50: Nanos,
    pub p99: Nanos,
}

impl Drive {
    /// `resolve`: how long the name took, for the record.
    pub fn new(setup: Setup, endpoint: Rc<Endpoint>, resolve: Option<Nanos>) -> Rc<Drive> {
        let spins = setup.cell.load.spin;
        let mut core = Core::new(setup, clock::now());
        if let Some(length) = resolve {
            core.recorder().record_always(Metric::Resolve, length);
        }
        let reactor = endpoint.reactor.clone();
        let drive = Rc::new_cyclic(|me: &Weak<Drive>| Drive {
            core: RefCell::new(core),
            connections: RefCell::default(),
            endpoint,
            changed: Notify::new(),
            asleep_until: Cell::new(0),
            spins,
            standstill: Rc::default(),
            traffic: RefCell::default(),
            is_counted: Cell::new(false),
            payload: RefCell::default(),
            spare: Cell::default(),
            me: me.clone(),
        });
        let me = Rc::downgrade(&drive);
        reactor.after_turn(move || me.upgrade().into_iter().for_each(|drive| drive.go_on()));
        drive
    }

    /// Does what is due by now. Whoever has its answer goes on here, once everyone who was ready has been heard: a target
    /// that gets the next messages in a row is woken once for all of them.
    fn go_on(&self) {
        let now = clock::now();
        self.with_core(|core, actions| core.advance(now, actions));
    }

    /// Does what is due, as it becomes due, until the trial is over.
    pub async fn pump(&self) -> io::Result<()> {
        let alarm = Alarm::new()?;
        loop {
            self.go_on();
            let now = clock::now();
            let (is_done, next) = {
                let core = self.core.borrow();
                (core.is_done(now), core.next_wake(now))
            };
            if is_done {
                return Ok(());
            }
            self.asleep_until.set(next.unwrap_or(Nanos::MAX));
            match next {
                // Connections need their turn even when the schedule is behind.
                Some(at) if at <= now => {
                    if !self.core.borrow().is_started() {
                        self.endpoint.reactor.turn()?;
                    }
                    tokio::task::yield_now().await;
                }
                _ if self.spins && self.core.borrow().is_started() => {
                    self.endpoint.reactor.turn()?;
                    tokio::task::yield_now().await;
                }
                Some(at) => tokio::select! {
                    slept = alarm.sleep_until(at) => slept?,
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    /// Whether every session has been tried.
    pub fn is_ramped(&self) -> bool {
        self.core.borrow().is_ramped()
    }

    /// Sessions open now.
    pub fn open_sessions(&self) -> u64 {
        self.core.borrow().open_sessions()
    }

    /// Connections that the sessions hold open now.
    pub fn open_connections(&self) -> u64 {
        self.connections.borrow().iter().flatten().map(|connection| connection.open_connections()).sum()
    }

    /// Fixes the phases: the schedule runs from `window.start` on.
    pub fn start(&self, window: Window) {
        self.on(clock::now(), Event::Start(window));
        let (standstill, workers) = (self.standstill.clone(), self.core.borrow().workers());
        tokio::task::spawn_local(async move { standstill.watch(window, workers).await });
        self.changed.notify_one();
    }

    /// Ends the run early and in order; the pump drains and returns.
    pub fn stop(&self) {
        self.on(clock::now(), Event::Stop);
        self.changed.notify_one();
    }

    pub fn live(&self) -> Live {
        let now = clock::now();
        let mut core = self.core.borrow_mut();
        let (phase, open_sessions) = (core.phase(now), core.open_sessions());
        let outcome = core.recorder().outcome();
        let response = outcome.histograms.get(Metric::ResponseTime);
        Live {
            phase,
            open_sessions,
            sent: outcome.warmup.sent + outcome.measure.sent,
            delivered: outcome.warmup.delivered + outcome.measure.delivered,
            errors: outcome.errors.values().sum(),
            p50: response.map_or(0, |h| h.at(0.5)),
            p99: response.map_or(0, |h| h.at(0.99)),
        }
    }

    /// Counts bytes, closes every session in order, and gives the measurements away. The books close first: nothing
    /// that arrives during the closing changes an outcome.
    pub async fn finish(&self) -> Outcome {
        let ended_at = clock::now();
        self.core.borrow_mut().settle();
        self.count_traffic();
        let (sessions, workers) = (self.open_sessions(), u64::from(self.core.borrow().workers()));
        let patience = CLOSING + CLOSING_EACH * u32::try_from(sessions * workers).unwrap_or(u32::MAX);
        let at_once = (CLOSING_AT_ONCE / workers).max(1);
        let all_closed = async {
            loop {
                self.with_core(|core, actions| core.close_next(at_once, actions));
                if self.core.borrow().none_alive() {
                    break;
                }
                self.changed.notified().await;
            }
        };
        let _ = tokio::time::timeout(patience, all_closed).await;
        self.core.borrow_mut().give_up_closing(clock::now());
        self.connections.borrow_mut().clear();
        self.endpoint.reactor.clear();
        let mut outcome = self.core.borrow_mut().finish(ended_at);
        outcome.traffic = *self.traffic.borrow();
        outcome.agreed = self.endpoint.agreements.all();
        outcome.tls = self.endpoint.tls.as_ref().map(Tls::handshakes);
        outcome.standstill = self.standstill.total();
        outcome
    }

    fn count_traffic(&self) {
        self.is_counted.set(true);
        let mut traffic = self.traffic.borrow_mut();
        for connection in self.connections.borrow().iter().flatten() {
            *traffic += connection.traffic(true);
        }
    }

    fn on(&self, now: Nanos, event: Event) {
        self.with_core(|core, actions| core.on(now, event, actions));
    }

    /// Lets the core work, then does what it asked for.
    fn with_core(&self, work: impl FnOnce(&mut Core, &mut Vec<Action>)) {
        let mut actions = self.spare.take();
        work(&mut self.core.borrow_mut(), &mut actions);
        for action in actions.drain(..) {
            self.perform(action);
        }
        self.spare.set(actions);
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Open { session, place } => self.open(session, place),
            Action::Send { session, id, due } => self.send(session, id, due),
            Action::Close { session } => {
                if let Some(Some(connection)) = self.connections.borrow_mut().get_mut(session as usize) {
                    connection.close();
                }
            }
        }
    }

    fn send(&self, session: SessionId, id: u64, due: Nanos) {
        let mut payload = self.payload.borrow_mut();
        self.core.borrow().compose(session, id, due, &mut payload);
        let sent = match self.connections.borrow_mut().get_mut(session as usize) {
            Some(Some(connection)) => connection.send(id, self.endpoint.format, &payload),
            _ => Err(transport::Unsent::Closed),
        };
        // Neither asks for a further action.
        match sent {
            Ok(Sent::At(at)) => self.core.borrow_mut().on(at, Event::Sent { id, at }, &mut Vec::new()),
            Ok(Sent::Later) => {}
            Err(why) => self.core.borrow_mut().on(clock::now(), Event::Unsent { id, why }, &mut Vec::new()),
        }
    }

    /// What arrived may have made something due before the pump looks again.
    fn arrived(&self, received_at: Nanos) {
        let core = self.core.borrow();
        let is_sooner = core.next_wake(received_at).is_some_and(|at| at < self.asleep_until.get());
        if is_sooner || core.is_draining(received_at) {
            self.changed.notify_one();
        }
    }

    fn open(&self, session: SessionId, place: Place) {
        if let Some(me) = self.me.upgrade() {
            transport::open(self.endpoint.clone(), place, session, me);
        }
    }

    fn keep(&self, session: SessionId, connection: Box<dyn Connection>) {
        let mut connections = self.connections.borrow_mut();
        let needed = session as usize + 1;
        if connections.len() < needed {
            connections.resize_with(needed, || None);
        }
        connections[session as usize] = Some(connection);
    }
}

impl Sink for Drive {
    fn on_opened(&self, session: SessionId, opened: Opened) {
        self.keep(session, opened.connection);
        self.on(clock::now(), Event::Opened { session, phases: opened.phases });
        self.changed.notify_one();
    }

    fn on_open_failed(&self, session: SessionId, failure: Failure) {
        self.on(clock::now(), Event::OpenFailed { session, failure: &failure });
        self.changed.notify_one();
    }

    fn on_sent(&self, _: SessionId, ticket: u64, at: Nanos) {
        self.on(at, Event::Sent { id: ticket, at });
    }

    fn on_message(&self, session: SessionId, payload: &[u8], _: Option<Format>, received_at: Nanos) {
        self.on(received_at, Event::Message { session, payload });
        self.arrived(received_at);
    }

    fn on_answer(&self, session: SessionId, ticket: u64, _: u64, received_at: Nanos) {
        self.on(received_at, Event::Answer { session, id: ticket });
        self.arrived(received_at);
    }

    fn on_acknowledged(&self, session: SessionId, ticket: u64, received_at: Nanos) {
        self.on(received_at, Event::Acknowledged { session, id: ticket });
        self.arrived(received_at);
    }

    fn on_pong(&self, _: SessionId, round_trip: Nanos) {
        self.on(clock::now(), Event::Pong { round_trip });
    }

    fn on_poll(&self, _: SessionId, messages: u64, gap: Option<Nanos>) {
        self.on(clock::now(), Event::Poll { messages, gap });
    }

    fn on_fault(&self, _: SessionId, ticket: Option<u64>, failure: Failure) {
        let now = clock::now();
        self.on(now, Event::Fault { ticket, failure: &failure });
        self.arrived(now);
    }

    fn on_ended(&self, session: SessionId, ended: Ended) {
        let connection = self.connections.borrow_mut().get_mut(session as usize).and_then(Option::take);
        if let Some(connection) = connection
            && !self.is_counted.get()
        {
            *self.traffic.borrow_mut() += connection.traffic(true);
        }
        self.on(clock::now(), Event::Ended { session, ended: &ended });
        self.changed.notify_one();
    }
}
