//! A simulated target and network around the core, and a clock that jumps from one event to the next.

use super::super::*;
use crate::catalog::{Arrival, Dialect, Engine, Format, HeaderProfile, Identity, Transport, Udp, Websocket};
use crate::plan::{Load, Network};
use crate::schedule::{Schedule, Stage};
use crate::units::{ByteSize, Rate, Span};
use crate::wire::{PayloadSpec, Sizes};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub const MS: Nanos = 1_000_000;

pub fn websocket() -> Transport {
    Transport::Websocket(Websocket {
        engine: Engine::Fastwebsockets,
        http: crate::catalog::HttpVersion::One,
        deflate: false,
        start: crate::catalog::Start::Websocket,
        fragment: None,
        subprotocols: Vec::new(),
        ping_every: None,
        close_code: 1000,
        headers: HeaderProfile::Minimal,
        extra_headers: Vec::new(),
        identity: Identity::default(),
        nodelay: true,
    })
}

pub fn udp() -> Transport {
    Transport::Udp(Udp { receive_buffer: ByteSize(65536) })
}

pub fn payload() -> PayloadSpec {
    PayloadSpec { format: Format::Binary, sizes: Sizes::Fixed(ByteSize(32)), template: None, own: None }
}

pub fn setup(workload: Workload, transport: Transport, arrival: Arrival) -> Setup {
    let rate = Rate::new(1000.0).unwrap();
    let stage = |ms| Stage { from: rate, to: rate, over: Span::from_millis(ms) };
    let load = Load {
        sessions: 20,
        schedule: Schedule { arrival, stages: vec![stage(100), stage(1000)], seed: 11 },
        outstanding: 1,
        think: Span::ZERO,
        connect_rate: Rate::new(10_000.0).unwrap(),
        connect_timeout: Span::from_millis(1000),
        spin: false,
        warmup: Span::from_millis(100),
        duration: Span::from_millis(1000),
        timeout: Span::from_millis(100),
        drain: Span::from_millis(500),
        workers: None,
        source_ips: Vec::new(),
    };
    let cell = Cell {
        arm: "arm".into(),
        transport,
        dialect: Dialect::Wsbench,
        target: Target::Embedded,
        tls: None,
        network: Network::default(),
        workload,
        load,
        values: Default::default(),
    };
    Setup { cell, run: 77, interval: 100 * MS, worker: 0, workers: 1 }
}

/// One copy on its way to a receiver (a session's number over all workers), at an instant since the schedule's start.
pub struct Copy {
    pub id: u64,
    pub receiver: u32,
    pub at: Nanos,
}

/// What happens to a copy: it arrives after each of these delays.
pub type Fate<'a> = &'a dyn Fn(Copy) -> Vec<Nanos>;

/// A copy on its way: when it arrives, a serial number to keep order, its receiver, its bytes.
pub type Flying = (Nanos, u64, SessionId, Vec<u8>);

pub struct World<'a> {
    pub core: Core,
    pub now: Nanos,
    pub start: Nanos,
    pub flying: BinaryHeap<Reverse<Flying>>,
    /// Whether a pong comes before each copy.
    pub has_pongs: bool,
    /// Whether a copy comes as the response to its request.
    pub has_answers: bool,
    /// How long a message takes to be acknowledged, if it is.
    pub acknowledges: Option<Nanos>,
    /// How often nothing arrived when the core was looked at.
    pub wakes: u64,
    /// How far ahead the target's clock is of ours: it stamps what passes with its own.
    pub skew: Nanos,
    fate: Fate<'a>,
    serial: u64,
}

impl World<'_> {
    pub fn new(setup: Setup, fate: Fate<'_>) -> World<'_> {
        let core = Core::new(setup, 0);
        World {
            core,
            now: 0,
            start: 0,
            flying: BinaryHeap::new(),
            has_pongs: false,
            has_answers: false,
            acknowledges: None,
            wakes: 0,
            skew: 0,
            fate,
            serial: 0,
        }
    }

    fn receivers(&self, session: SessionId) -> Vec<SessionId> {
        match self.core.setup.cell.workload {
            Workload::Chat { .. } | Workload::Push { .. } => {
                self.core.roster.members(self.core.roster.group(session)).collect()
            }
            _ => vec![session],
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            let mut more = Vec::new();
            match action {
                Action::Open { session, place } => {
                    let phases = ConnectPhases { total: MS, ..ConnectPhases::default() };
                    self.core.on(self.now, Event::Opened { session, phases }, &mut more);
                    if let Some(tag) = place.path.split("tag=").nth(1) {
                        let greeting = tag.as_bytes()[..32].to_vec();
                        self.fly(0, session, greeting);
                    }
                }
                Action::Send { session, id, due } => {
                    self.core.on(self.now, Event::Sent { id, at: self.now }, &mut more);
                    let mut bytes = Vec::new();
                    self.core.compose(session, id, due + self.skew, &mut bytes);
                    for receiver in self.receivers(session) {
                        self.fly(id, receiver, bytes.clone());
                    }
                    if let Some(delay) = self.acknowledges {
                        self.serial += 1;
                        self.flying.push(Reverse((self.now + delay, self.serial, session, acknowledgement(id))));
                    }
                }
                Action::Close { session } => {
                    let ended = Ended { failure: None, close_time: Some(MS), code: None };
                    self.core.on(self.now, Event::Ended { session, ended: &ended }, &mut more);
                }
            }
            self.perform(more);
        }
    }

    fn fly(&mut self, id: u64, receiver: SessionId, bytes: Vec<u8>) {
        let at = self.now.saturating_sub(self.start);
        let copy = Copy { id, receiver: self.core.roster.global(receiver), at };
        for delay in (self.fate)(copy) {
            self.serial += 1;
            self.flying.push(Reverse((self.now + delay, self.serial, receiver, bytes.clone())));
        }
    }

    /// Opens every session, then starts the schedule.
    pub fn ramp(&mut self) {
        self.step();
        while !self.core.is_ramped() {
            self.now += MS;
            self.step();
        }
        let start = self.now + 10 * MS;
        self.start = start;
        let load = &self.core.setup.cell.load;
        let measure_from = start + load.warmup.nanos();
        let measure_to = measure_from + load.duration.nanos();
        let window = Window { start, measure_from, measure_to, drain_to: measure_to + load.drain.nanos() };
        self.core.on(self.now, Event::Start(window), &mut Vec::new());
    }

    /// Runs to the end. Between `frozen`'s instants since the start the generator stands still.
    pub fn run(&mut self, frozen: Option<(Nanos, Nanos)>) -> Outcome {
        self.ramp();
        while !self.core.is_done(self.now) {
            let arrival = self.flying.peek().map_or(Nanos::MAX, |Reverse((at, ..))| *at);
            let wake = self.core.next_wake(self.now).unwrap_or(Nanos::MAX);
            self.wakes += u64::from(wake < arrival);
            self.now = arrival.min(wake).max(self.now);
            if let Some((from, to)) = frozen.map(|(f, t)| (self.start + f, self.start + t))
                && (from..to).contains(&self.now)
            {
                self.now = to;
            }
            self.step();
            while self.flying.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
                let Reverse((_, _, receiver, bytes)) = self.flying.pop().unwrap();
                let mut actions = Vec::new();
                if self.has_pongs {
                    self.core.on(self.now, Event::Pong { round_trip: MS }, &mut actions);
                }
                let event = match Tag::find(&bytes) {
                    None if bytes.starts_with(ACKNOWLEDGEMENT) => {
                        let id = bytes[ACKNOWLEDGEMENT.len()..].try_into().map(u64::from_be_bytes).unwrap();
                        Event::Acknowledged { session: receiver, id }
                    }
                    Some(tag) if self.has_answers => Event::Answer { session: receiver, id: tag.id },
                    _ => Event::Message { session: receiver, payload: &bytes },
                };
                self.core.on(self.now, event, &mut actions);
                self.perform(actions);
            }
            // As the driver does after everyone who was ready has been heard.
            self.step();
        }
        self.core.settle();
        self.core.finish(self.now)
    }

    pub fn step(&mut self) {
        let mut actions = Vec::new();
        self.core.advance(self.now, &mut actions);
        self.perform(actions);
    }
}

const ACKNOWLEDGEMENT: &[u8] = b"acknowledged";

/// What says that message `id` was taken.
pub fn acknowledgement(id: u64) -> Vec<u8> {
    [ACKNOWLEDGEMENT, &id.to_be_bytes()].concat()
}

pub fn echo() -> Workload {
    Workload::Echo { payload: payload() }
}

pub fn chat() -> Workload {
    Workload::Chat { payload: payload(), rooms: 4, echo_self: true }
}
