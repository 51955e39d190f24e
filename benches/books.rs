//! The whole of the core for one message: due, taken, booked, sent, answered, recorded.

use divan::{Bencher, black_box};
use wsbench::catalog::{Arrival, Dialect, Format, Framing, Tcp, Transport};
use wsbench::engine::{Action, Core, Event, Setup};
use wsbench::plan::{Cell, Load, Network, Target, Workload};
use wsbench::schedule::{Schedule, Stage, Window};
use wsbench::transport::ConnectPhases;
use wsbench::units::{ByteSize, Rate, Span};
use wsbench::values::Values;
use wsbench::wire::{PayloadSpec, Sizes};

/// An echo of one message a microsecond over 1,000 sessions, long enough not to end.
fn setup() -> Setup {
    let rate = Rate::new(1e6).unwrap_or_default();
    let hour = Span::from_millis(3_600_000);
    let payload = PayloadSpec { format: Format::Binary, sizes: Sizes::Fixed(ByteSize(64)), template: None, own: None };
    let load = Load {
        sessions: 1000,
        schedule: Schedule {
            arrival: Arrival::Constant,
            stages: vec![Stage { from: rate, to: rate, over: hour }],
            seed: 1,
        },
        outstanding: 1,
        think: Span::ZERO,
        connect_rate: Rate::new(1e9).unwrap_or_default(),
        connect_timeout: hour,
        warmup: Span::ZERO,
        duration: hour,
        timeout: hour,
        drain: hour,
        spin: false,
        workers: None,
        source_ips: Vec::new(),
    };
    let cell = Cell {
        arm: "tcp".into(),
        transport: Transport::Tcp(Tcp { framing: Framing::Length, nodelay: true }),
        dialect: Dialect::Raw,
        target: Target::Embedded,
        tls: None,
        network: Network::default(),
        workload: Workload::Echo { payload },
        load,
        values: Values::default(),
    };
    Setup { cell, run: 1, interval: 1_000_000_000, worker: 0, workers: 1 }
}

#[divan::bench]
fn one_message_through_the_core(bencher: Bencher) {
    let mut core = Core::new(setup(), 0);
    let mut actions = Vec::new();
    core.advance(1_000_000, &mut actions);
    for session in 0..1000 {
        core.on(0, Event::Opened { session, phases: ConnectPhases::default() }, &mut Vec::new());
    }
    actions.clear();
    let start = 2_000_000;
    let end = start + 3_600_000_000_000;
    let window = Window { start, measure_from: start, measure_to: end, drain_to: end };
    core.on(start, Event::Start(window), &mut actions);
    let (mut now, mut payload) = (start, Vec::new());
    bencher.bench_local(|| {
        now += 1_000;
        core.advance(black_box(now), &mut actions);
        while let Some(Action::Send { session, id, due }) = actions.pop() {
            core.on(now, Event::Sent { id, at: now }, &mut Vec::new());
            core.compose(session, id, due, &mut payload);
            core.on(now + 500, Event::Message { session, payload: &payload }, &mut Vec::new());
        }
    });
}
