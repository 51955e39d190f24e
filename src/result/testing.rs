//! A synthetic but plausible result for tests: drawn by arithmetic, the same on every machine.
//!
//! `tests/fixtures/result-v1.json` is [`document`] as it was saved by schema version 1.

use super::*;
use crate::clock::{MILLI, SECOND};
use crate::measure::{Counters, Interval, Metric, Sessions, Traffic, Volume};
use crate::schedule::Phase;
use crate::seed::mix;

const SESSIONS: u64 = 200;
const ROOMS: u64 = 20;
const RATE: u64 = 400;
const TRIALS: u32 = 3;
const WARMUP: Nanos = 250 * MILLI;
const SLICE: Nanos = 250 * MILLI;
const POLL_INTERVAL: Nanos = 50 * MILLI;
pub const DELAY: Nanos = 10 * MILLI;

/// What is typical of an arm: name, engine, own cost of a message (µs), framing bytes of a message sent and received,
/// wire bytes above those, connections a session.
struct Typical(&'static str, Option<&'static str>, u64, (u64, u64), (u64, u64), u64);

const ARMS: [Typical; 7] = [
    Typical("websocket", Some("fastwebsockets"), 180, (8, 4), (104, 104), 1),
    Typical("tcp", None, 160, (4, 4), (104, 104), 1),
    Typical("udp", None, 120, (0, 0), (28, 28), 1),
    Typical("long-polling", None, 310, (138, 96), (188, 188), 2),
    Typical("short-polling", None, 330, (138, 180), (188, 260), 2),
    Typical("sse", None, 220, (138, 14), (188, 104), 2),
    Typical("http-streaming", None, 210, (138, 12), (188, 104), 2),
];

/// A chat over all seven transports with 10 ms emulated each way; one trial of `http-streaming` is invalid.
pub fn document() -> Document {
    of("chat", DELAY)
}

/// The same under another workload (`chat`, `push` or `connect`) and delay.
pub fn of(workload: &str, delay: Nanos) -> Document {
    let text = format!("name = \"{workload}\"\n[workload.{workload}]\nrooms = {ROOMS}\npayload = \"128B\"\n");
    Document {
        schema_version: SCHEMA_VERSION,
        meta: meta(),
        scenario: ScenarioText {
            name: workload.to_owned(),
            description: "Rooms of ten people talking at once".to_owned(),
            path: format!("scenarios/{workload}.toml"),
            text,
            hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        },
        plan: serde_json::json!({ "name": workload, "trials": TRIALS }),
        plan_hash: "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752".to_owned(),
        seed: 7,
        reference: Some("long-polling".to_owned()),
        partial: false,
        calibration: Some(Calibration { lateness_p50: 8_000, lateness_p99: 61_000, samples: 1000 }),
        network_floor: Vec::new(),
        cells: (0..ARMS.len())
            .filter(|arm| !(workload == "connect" && ARMS[*arm].0 == "udp"))
            .map(|arm| cell(workload, delay, arm))
            .collect(),
        omitted: match workload {
            "connect" => vec![OmittedArm { arm: "udp".to_owned(), reason: "UDP has no connection".to_owned() }],
            _ => Vec::new(),
        },
        capacity: None,
        thresholds: Vec::new(),
        aborted: None,
        duet: None,
    }
}

/// A search for capacity over three arms: the first is found between 800/s and 1600/s, of the second the generator is the
/// limit, the third fails at the lower bound.
pub fn capacity() -> Document {
    let run = of("echo", 0);
    let at = |arm: usize, load: u64, times: u64, rounds: &[u32]| {
        let mut cell = run.cells[arm].clone();
        cell.load.rate = load as f64;
        let trials = cell.trials.clone();
        let slow = |mut trial: Trial, block: u32| {
            trial.block = block;
            trial.invalid.clear();
            let fast = std::mem::take(&mut trial.outcome.histograms);
            let response = fast.get(Metric::ResponseTime).cloned().unwrap_or_default();
            response
                .steps()
                .for_each(|(value, _)| trial.outcome.histograms.record(Metric::ResponseTime, value * times));
            trial.outcome.measure.delivered += std::mem::take(&mut trial.outcome.measure.lost);
            trial
        };
        cell.trials = rounds.iter().flat_map(|block| trials.iter().cloned().map(|t| slow(t, *block))).collect();
        cell
    };
    let mut cells = vec![
        at(0, 400, 1, &[0]),
        at(0, 800, 2, &[1, 3]),
        at(0, 1600, 90, &[2]),
        at(1, 400, 1, &[0, 2]),
        at(1, 800, 1, &[1]),
    ];
    cells.push(at(3, 50, 200, &[0]));
    cells[4].trials.iter_mut().for_each(invalidate);
    let arm = |arm: &str, held, failed: Option<u64>, end| ArmCapacity {
        arm: arm.to_owned(),
        held,
        unconfirmed: None,
        failed: failed.map(|load| Failed { load, why: "p99 response-time 70.0 ms".to_owned() }),
        end: Some(end),
    };
    let capacity = Capacity {
        slo: "p99 < 5ms".parse().expect("an objective"),
        of: "rate".to_owned(),
        first: 400,
        from: 50,
        to: 100_000,
        precision: 0.05,
        trials: 3,
        budget: 600 * SECOND,
        arms: vec![
            arm("websocket", Some(800), Some(1600), End::Found),
            arm("tcp", Some(400), None, End::GeneratorLimit),
            arm("long-polling", None, Some(50), End::BelowLowerBound),
        ],
    };
    Document { cells, reference: None, capacity: Some(capacity), ..run }
}

/// The same chat run by three agents, over two arms: in the last trial of each the third is lost on the way. Names and labels
/// are such as nobody should be able to harm a report with.
pub fn fleet() -> Document {
    let mut document = of("chat", 0);
    document.cells.truncate(2);
    document.reference = Some("websocket".to_owned());
    for (arm, cell) in document.cells.iter_mut().enumerate() {
        for (block, trial) in cell.trials.iter_mut().enumerate() {
            let is_lost = block as u32 == TRIALS - 1;
            trial.agents = (0..3).map(|n| agent(n, arm, block as u32, is_lost && n == 2)).collect();
            trial.outcome = sum_of_agents(&trial.agents).expect("they were just packed");
            let judgement = judge(&Evidence {
                outcome: &trial.outcome,
                generator: &trial.generator,
                target: trial.target.as_ref(),
                load: &cell.load,
                calibration: None,
                agents: &trial.agents,
                absent: &[],
            });
            (trial.invalid, trial.warnings) = (judgement.invalid, judgement.warnings);
        }
    }
    document.partial = true;
    document
}

/// A push over two arms by two agents, of one of which the clock is known too badly for what was measured one way.
pub fn left_out() -> Document {
    let mut document = of("push", 0);
    document.cells.truncate(2);
    document.reference = Some("websocket".to_owned());
    for cell in &mut document.cells {
        let facts = Cell { trials: Vec::new(), ..cell.clone() };
        for trial in &mut cell.trials {
            let share = |n: u64| AgentPart { outcome: Some(trial.outcome.pack()), ..agent(n, 0, 0, true) };
            trial.agents = vec![AgentPart { lost: None, ..share(0) }, AgentPart { lost: None, ..share(1) }];
            trial.outcome = sum_of_agents(&trial.agents).expect("they were just packed");
            trial.agents[1].clock = Some(AgentClock { uncertainty: 40 * MILLI, ..AgentClock::default() });
            trial.absent = leave_out_one_way(&facts, &mut trial.outcome, &mut trial.agents);
            let judgement = judge(&Evidence {
                outcome: &trial.outcome,
                generator: &trial.generator,
                target: trial.target.as_ref(),
                load: &facts.load,
                calibration: None,
                agents: &trial.agents,
                absent: &trial.absent,
            });
            (trial.invalid, trial.warnings) = (judgement.invalid, judgement.warnings);
        }
    }
    document
}

fn agent(n: u64, arm: usize, block: u32, is_lost: bool) -> AgentPart {
    let zone = if n < 2 { "eu" } else { "<script>alert(1)</script>" };
    let share = outcome("chat", 0, arm, 10 * block + n as u32);
    AgentPart {
        name: ["eu-1", "eu-2", "<b>us</b>|1"][n as usize].to_owned(),
        id: format!("{:016x}", mix(77, n)),
        labels: [("zone".to_owned(), zone.to_owned())].into(),
        cores: 2 + n,
        workers: 1,
        sessions: SESSIONS,
        clock: Some(AgentClock {
            offset: [-1_200_000_000_000, 41_000, 3_000_000][n as usize],
            uncertainty: 30_000 * (n + 1),
            drift_ppm: 1.5,
            samples: 40,
        }),
        outcome: (!is_lost).then(|| share.pack()),
        generator: Usage { cpu_nanos: 300 * MILLI, wall_nanos: 1_400 * MILLI, ..Usage::default() },
        calibration: Some(Calibration { lateness_p50: 8_000, lateness_p99: 61_000 + n, samples: 1000 }),
        bus: AgentTraffic {
            packets_sent: 30,
            packets_received: 90,
            bytes_sent: 9_000,
            bytes_received: 140_000 * (n + 1),
            resent: n,
            doubled: 0,
        },
        lost: is_lost.then(|| "nothing was heard of it for 10.0 s".to_owned()),
    }
}

/// Makes a trial one whose generator can't be trusted.
pub fn invalidate(trial: &mut Trial) {
    trial.invalid = vec![Finding { code: "x".to_owned(), message: "seen".to_owned(), advice: "do".to_owned() }];
}

fn meta() -> Meta {
    Meta {
        wsbench_version: "0.1.0".to_owned(),
        git_revision: Some("3efc5bb".to_owned()),
        started: "2026-01-15T10:00:00Z".to_owned(),
        finished: "2026-01-15T10:01:12Z".to_owned(),
        selftest: None,
        command_line: ["wsbench", "run", "scenarios/chat.toml"].map(str::to_owned).to_vec(),
        host: Host {
            os: "Debian GNU/Linux 13".to_owned(),
            kernel: "6.12.0".to_owned(),
            cpu_model: "Example CPU <8 cores> & more".to_owned(),
            cores: 2,
            memory_bytes: 8 << 30,
            open_files_limit: 20_000,
            ephemeral_ports: Some((32_768, 60_999)),
        },
    }
}

fn cell(workload: &str, delay: Nanos, arm: usize) -> Cell {
    let Typical(name, engine, ..) = ARMS[arm];
    let polls = name.ends_with("polling");
    let settings: &[(&str, &str)] =
        if name.contains("poll") { &[("headers", "minimal"), ("keep-alive", "yes"), ("batch", "yes")] } else { &[] };
    Cell {
        arm: name.to_owned(),
        transport: name.to_owned(),
        workload: workload.to_owned(),
        dialect: "wsbench".to_owned(),
        engine: engine.map(str::to_owned),
        target: "embedded".to_owned(),
        settings: settings.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        insecure: false,
        load: LoadFacts {
            sessions: SESSIONS,
            arrival: "poisson".to_owned(),
            rate: RATE as f64,
            warmup: WARMUP,
            duration: SECOND,
            timeout: 2 * SECOND,
            delay,
            groups: if workload == "connect" { 0 } else { ROOMS },
            payload: (128, 128),
            poll_interval: (name == "short-polling").then_some(POLL_INTERVAL),
            batch: polls.then_some(true),
            spin: false,
        },
        trials: (0..TRIALS).map(|block| trial(workload, delay, arm, block)).collect(),
    }
}

fn trial(workload: &str, delay: Nanos, arm: usize, block: u32) -> Trial {
    let place = ((arm as u64 + mix(3, block.into())) % ARMS.len() as u64) as u32;
    let started = u64::from(block) * 21 * SECOND + u64::from(place) * 3 * SECOND;
    let late_block = ARMS[arm].0 == "http-streaming" && block == 1;
    let usage = |cpu_us: u64, rss: u64| Usage {
        cpu_nanos: 5000 * (cpu_us + u64::from(block)) * 1000,
        wall_nanos: 1_400 * MILLI,
        rss_before_connecting: 6 << 20,
        rss_peak: (6 << 20) + SESSIONS * rss,
        ..Usage::default()
    };
    Trial {
        block,
        place,
        started,
        outcome: outcome(workload, delay, arm, block),
        generator: usage(20 + ARMS[arm].2 / 10, 11_000),
        target: Some(TargetFacts {
            usage: usage(10 + ARMS[arm].2 / 12, 9_000),
            events: if workload == "push" { RATE } else { 0 },
            lateness: Histogram::default(),
            accepted: SESSIONS * ARMS[arm].5,
            received: RATE * 5 / 4,
            delivered: 5000,
            dropped: 0,
            truth: None,
        }),
        invalid: if late_block {
            vec![Finding {
                code: "late-sends".to_owned(),
                message: "the generator sent late: p99 of lateness is 3.10 ms, more than 2.10 ms".to_owned(),
                advice: "lower the rate or the number of sessions".to_owned(),
            }]
        } else {
            Vec::new()
        },
        warnings: if ARMS[arm].0 == "short-polling" && block == 0 {
            vec![Finding {
                code: "busy-core".to_owned(),
                message: "the generator used 93 % of its core".to_owned(),
                advice: "lower the rate to be sure".to_owned(),
            }]
        } else {
            Vec::new()
        },
        failure: None,
        kernel: None,
        agents: Vec::new(),
        absent: Vec::new(),
    }
}

/// Uniform in 0..1, by what it is drawn for.
fn unit(seed: u64, what: u64) -> f64 {
    (mix(seed, what) >> 11) as f64 / (1u64 << 53) as f64
}

/// Response time of message `n`, in steps of 20 µs so that the file stays small.
fn response(workload: &str, delay: Nanos, arm: usize, seed: u64, n: u64) -> Nanos {
    let Typical(name, _, own, ..) = ARMS[arm];
    let u = |k: u64| unit(seed, 8 * n + k);
    let own = own as f64 * 1e3 * (0.8 + 0.4 * u(0) - 0.25 * (1.0 - u(1)).ln() * (1.0 + 6.0 * f64::from(u(2) > 0.97)));
    let transits = if workload == "push" { 1.0 } else { 2.0 };
    let round_trip = 2.0 * delay as f64;
    let waited = match name {
        "short-polling" => u(3) * (POLL_INTERVAL as f64 + round_trip),
        "long-polling" => {
            let load = RATE as f64 / ROOMS as f64 * round_trip / SECOND as f64;
            let missed = load / (load + (-load).exp());
            if u(4) < missed { u(3) * round_trip } else { 0.0 }
        }
        _ => 0.0,
    };
    let nanos = transits * delay as f64 + own + waited;
    (nanos / 20_000.0).round() as u64 * 20_000
}

fn outcome(workload: &str, delay: Nanos, arm: usize, block: u32) -> Outcome {
    let seed = mix(arm as u64, block.into());
    let copies = if workload == "connect" { 1 } else { SESSIONS / ROOMS };
    let lost = if ARMS[arm].0 == "udp" { 2 } else { 0 };
    let scheduled = RATE + mix(5, block.into()) % 9;
    let expected = scheduled * copies;
    let mut outcome = Outcome {
        measure: counters(scheduled, expected, lost),
        warmup: counters(RATE / 4, RATE / 4 * copies, 0),
        sessions: Sessions { asked: SESSIONS, connected: SESSIONS, peak: SESSIONS, held: None },
        order_tracked: ARMS[arm].0 != "http-streaming",
        ..Outcome::default()
    };
    for n in 0..expected - lost {
        let response = response(workload, delay, arm, seed, n);
        outcome.histograms.record(Metric::ResponseTime, response);
        outcome.histograms.record(Metric::ServiceTime, response.saturating_sub(20_000));
        if n % copies == 0 {
            let late = 10_000 + (unit(seed, n) * 4.0) as u64 * 10_000;
            outcome.histograms.record(Metric::SendLateness, late);
            outcome.histograms.record(Metric::Queueing, 1_000);
            outcome.histograms.record(Metric::LastReceipt, response + 2 * MILLI);
        }
    }
    connecting(&mut outcome, delay, arm, seed);
    outcome.traffic = traffic(workload, arm, expected);
    outcome.intervals = intervals(workload, delay, arm, seed, copies);
    if ARMS[arm].0 == "udp" {
        outcome.errors.insert("foreign".to_owned(), 1);
    }
    outcome
}

fn counters(scheduled: u64, expected: u64, lost: u64) -> Counters {
    Counters { scheduled, sent: scheduled, expected, delivered: expected - lost, lost, ..Counters::default() }
}

fn connecting(outcome: &mut Outcome, delay: Nanos, arm: usize, seed: u64) {
    let round_trip = 2 * delay;
    for session in 0..SESSIONS {
        let jitter = (unit(seed, session) * 10.0) as u64 * 20_000;
        let tcp = round_trip + 100_000 + jitter;
        let upgrade = round_trip + 200_000 + jitter;
        let connect = if ARMS[arm].0 == "udp" { 2 * upgrade } else { tcp + upgrade };
        if ARMS[arm].0 != "udp" {
            outcome.histograms.record(Metric::Tcp, tcp);
        }
        outcome.histograms.record(Metric::Upgrade, connect - if ARMS[arm].0 == "udp" { 0 } else { tcp });
        outcome.histograms.record(Metric::Connect, connect);
        let first = match ARMS[arm].0 {
            "long-polling" | "short-polling" => connect,
            _ => connect + 200_000 + jitter,
        };
        outcome.histograms.record(Metric::FirstMessage, first);
        outcome.histograms.record(Metric::Close, round_trip + jitter);
        if ARMS[arm].0 == "websocket" {
            outcome.histograms.record(Metric::Ping, round_trip + 60_000 + jitter);
        }
        if ARMS[arm].0.ends_with("polling") {
            outcome.histograms.record(Metric::PollGap, 40_000);
            outcome.histograms.record(Metric::MessagesPerPoll, 1 + session % 3);
        }
    }
}

fn traffic(workload: &str, arm: usize, expected: u64) -> Traffic {
    let Typical(name, _, _, framing, wire, connections) = ARMS[arm];
    let volume = |messages: u64, framing: u64, wire: u64| Volume {
        messages,
        payload: messages * 128,
        framing: messages * framing,
        wire: messages * (128 + framing + wire),
    };
    let sent = if workload == "push" { 0 } else { RATE * 5 / 4 };
    Traffic {
        sent: volume(sent, framing.0, wire.0),
        received: volume(expected + expected / 4, framing.1, wire.1),
        connections: SESSIONS * connections,
        handshake: SESSIONS * if name == "websocket" { 420 } else { 160 },
        polls: if name.ends_with("polling") { 4_000 } else { 0 },
        empty_polls: if name == "short-polling" { 900 } else { 0 },
        wire_known: SESSIONS * connections,
        ..Traffic::default()
    }
}

fn intervals(workload: &str, delay: Nanos, arm: usize, seed: u64, copies: u64) -> Vec<Interval> {
    let phases = [Phase::Warmup, Phase::Measure, Phase::Measure, Phase::Measure, Phase::Measure, Phase::Drain];
    let slice = |(i, phase): (usize, &Phase)| {
        let drain = *phase == Phase::Drain;
        let delivered = if drain { 60 } else { RATE / 4 * copies };
        let mut histogram = Histogram::default();
        (0..delivered).for_each(|n| {
            histogram.record(response(workload, delay, arm, mix(seed, i as u64), n));
        });
        Interval {
            start: i as u64 * SLICE,
            length: if drain { SLICE / 5 } else { SLICE },
            phase: *phase,
            sent: if drain { 0 } else { RATE / 4 },
            delivered,
            errors: 0,
            response_time: histogram.pack(),
        }
    };
    phases.iter().enumerate().map(slice).collect()
}

#[test]
fn the_fixture_of_version_1_still_loads_as_what_it_was() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/result-v1.json");
    if std::env::var_os("WSBENCH_WRITE_FIXTURE").is_some() {
        document().save(&path).unwrap();
    }
    assert_eq!(Document::load(&path).unwrap(), document());
}
