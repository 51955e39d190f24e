//! Known answers: what the target and the generator do is drawn first, the core measures it, and the summary of a saved
//! document is compared with the exact figures, made by sorting.

use super::super::*;
use super::world::{Copy, Fate, MS, World, chat, echo, setup, udp, websocket};
use crate::catalog::{Arrival, Distribution};
use crate::clock::SECOND;
use crate::measure::Histogram;
use crate::result::{Document, Evidence, Finding, Quantiles, Trial, Usage, judge, testing};
use crate::schedule::Stage;
use crate::seed;
use crate::units::{Rate, Span};
use rand_distr::{Distribution as _, Exp, LogNormal, Pareto, Uniform};
use std::cell::{Cell, RefCell};

const SESSIONS: u32 = 60;
const WORKERS: u32 = 3;
/// Of warmup, milliseconds.
const WARMUP: u64 = 100;

/// 60 sessions at `rate` for `millis` after the warmup, with time enough for every answer.
fn lasting(mut setup: Setup, rate: f64, millis: u64) -> Setup {
    let rate = Rate::new(rate).unwrap();
    let stage = |ms| Stage { from: rate, to: rate, over: Span::from_millis(ms) };
    let load = &mut setup.cell.load;
    load.sessions = SESSIONS;
    load.schedule.stages = vec![stage(WARMUP), stage(millis)];
    (load.warmup, load.duration) = (Span::from_millis(WARMUP), Span::from_millis(millis));
    (load.timeout, load.drain) = (Span::from_millis(30_000), Span::from_millis(30_000));
    setup
}

/// Whether what is due or happens at this instant since the start belongs to the measured window.
fn is_measured(at: Nanos) -> bool {
    at >= WARMUP * MS
}

/// Due instants since the start, by id.
fn due(setup: &Setup) -> Vec<Nanos> {
    setup.cell.load.schedule.arrivals().collect()
}

/// One trial over so many workers, each heard as the coordinator hears it, and merged.
fn measure(setup: &Setup, workers: u32, fate: Fate, frozen: Option<(Nanos, Nanos)>) -> Outcome {
    let mut merged = Outcome { order_tracked: true, ..Outcome::default() };
    for worker in 0..workers {
        let mut world = World::new(Setup { worker, workers, ..setup.clone() }, fate);
        world.has_pongs = true;
        let said = serde_json::to_string(&world.run(frozen)).unwrap();
        merged.merge(&serde_json::from_str(&said).unwrap()).unwrap();
    }
    merged
}

/// The document of these trials, judged, saved and loaded again.
fn document(setup: &Setup, outcomes: Vec<Outcome>) -> Document {
    let mut document = testing::document();
    document.cells.truncate(1);
    let cell = &mut document.cells[0];
    let load = &setup.cell.load;
    (cell.load.arrival, cell.load.duration) = (load.schedule.arrival.to_string(), load.duration.nanos());
    cell.trials = outcomes.into_iter().map(|outcome| trial(outcome, cell)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    document.save(&path).unwrap();
    Document::load(&path).unwrap()
}

fn trial(outcome: Outcome, cell: &crate::result::Cell) -> Trial {
    let generator = Usage::default();
    let evidence = Evidence {
        outcome: &outcome,
        generator: &generator,
        target: None,
        load: &cell.load,
        calibration: None,
        agents: &[],
        absent: &[],
    };
    let judgement = judge(&evidence);
    Trial {
        block: 0,
        place: 0,
        started: 0,
        generator,
        target: None,
        invalid: judgement.invalid,
        warnings: judgement.warnings,
        failure: None,
        kernel: None,
        agents: Vec::new(),
        absent: Vec::new(),
        outcome,
    }
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// The sample of `sorted` with the rank of `parts` in 10,000, rounded up.
fn exact(sorted: &[Nanos], parts: usize) -> Nanos {
    sorted[(sorted.len() * parts).div_ceil(10_000) - 1]
}

/// Never less than exact, and never more by over a 1024th: what three significant digits of an HdrHistogram hold.
#[track_caller]
fn assert_near(got: Nanos, exact: Nanos, what: &str) {
    // The lowest value that a histogram keeps is 1.
    let exact = exact.max(1);
    assert!(exact <= got && (got - exact) * 1024 <= exact, "{what}: {got} where {exact} is exact");
}

/// Every figure of the summary against the values themselves.
#[track_caller]
fn assert_exact(shown: &Quantiles, mut truth: Vec<Nanos>) {
    truth.sort_unstable();
    assert_eq!(shown.count, truth.len() as u64);
    assert!(truth.len() >= 100_000, "too few to support p99.9");
    let all = [(shown.p50, 5000), (shown.p90, 9000), (shown.p99, 9900), (shown.p999, 9990), (shown.max, 10_000)];
    for (got, parts) in all {
        assert_near(got.expect("supported"), exact(&truth, parts), &format!("quantile {parts}/10000"));
    }
    let mean = truth.iter().map(|value| *value as f64).sum::<f64>() / truth.len() as f64;
    assert!((shown.mean.unwrap() / mean - 1.0).abs() <= 0.001, "mean {:?} where {mean} is exact", shown.mean);
}

/// `count` values of a distribution as a scenario writes it, nanoseconds.
fn draw(distribution: &str, count: usize, seed: u64) -> Vec<Nanos> {
    let mut rng = seed::stream(seed);
    let nanos = |span: Span| span.nanos() as f64;
    let mut next: Box<dyn FnMut() -> f64> = match distribution.parse().unwrap() {
        Distribution::Constant(value) => Box::new(move || nanos(value)),
        Distribution::Uniform(least, most) => {
            let uniform = Uniform::new_inclusive(nanos(least), nanos(most)).unwrap();
            Box::new(move || uniform.sample(&mut rng))
        }
        Distribution::Exponential(mean) => {
            let exponential = Exp::new(1.0 / nanos(mean)).unwrap();
            Box::new(move || exponential.sample(&mut rng))
        }
        Distribution::Lognormal(median, sigma) => {
            let lognormal = LogNormal::new(nanos(median).ln(), sigma).unwrap();
            Box::new(move || lognormal.sample(&mut rng))
        }
        Distribution::Bimodal(usual, slow, share) => {
            let uniform = Uniform::new(0.0, 1.0).unwrap();
            Box::new(move || nanos(if uniform.sample(&mut rng) < share.part() { slow } else { usual }))
        }
        Distribution::Pareto(least, alpha) => {
            let pareto = Pareto::new(nanos(least), alpha).unwrap();
            Box::new(move || pareto.sample(&mut rng))
        }
    };
    (0..count).map(|_| next() as Nanos).collect()
}

/// Two trials of different delays over three workers: 102,000 messages measured.
#[track_caller]
fn assert_measured(distribution: &str) {
    let mut setup = lasting(setup(echo(), websocket(), Arrival::Constant), 50_000.0, 1020);
    setup.interval = SECOND;
    let due = due(&setup);
    let (mut outcomes, mut truth) = (Vec::new(), Vec::new());
    for block in 0..2 {
        let delays = draw(distribution, due.len(), block);
        let fate = |copy: Copy| vec![delays[copy.id as usize]];
        outcomes.push(measure(&setup, WORKERS, &fate, None));
        truth.extend(due.iter().zip(&delays).filter(|(due, _)| is_measured(**due)).map(|(_, delay)| *delay));
    }
    let document = document(&setup, outcomes);
    let summary = document.cells[0].summary();
    let n = truth.len() as u64;
    let counters = &summary.counters;
    assert_eq!((summary.trials, summary.valid, summary.reach), (2, 2, Some(1.0)));
    assert_eq!((counters.scheduled, counters.sent, counters.expected, counters.delivered), (n, n, n, n));
    assert_eq!((counters.skipped, counters.late, counters.lost, counters.unfinished), (0, 0, 0, 0));
    assert_eq!((counters.duplicate, counters.reordered, counters.unmatched), (0, Some(0), 0));
    assert_exact(&summary.service_time, truth.clone());
    assert_exact(&summary.response_time, truth);
    assert_eq!((summary.send_lateness.max, summary.queueing.max), (Some(1), Some(1)), "a virtual clock is on time");
}

#[test]
fn a_constant_delay() {
    assert_measured("constant(20ms)");
}

#[test]
fn a_uniform_delay() {
    assert_measured("uniform(10ms, 30ms)");
}

#[test]
fn an_exponential_delay() {
    assert_measured("exponential(20ms)");
}

#[test]
fn a_lognormal_delay() {
    assert_measured("lognormal(20ms, 0.5)");
}

#[test]
fn a_bimodal_delay() {
    assert_measured("bimodal(5ms, 50ms, 5%)");
}

#[test]
fn a_pareto_delay() {
    assert_measured("pareto(5ms, 2.5)");
}

#[test]
fn trials_are_merged_and_their_quantiles_never_averaged() {
    let setup = lasting(setup(echo(), websocket(), Arrival::Constant), 50_000.0, 1000);
    let outcomes = [10 * MS, 100 * MS].map(|delay| measure(&setup, 1, &|_| vec![delay], None));
    let truth = [[10 * MS; 50_000], [100 * MS; 50_000]].concat();
    assert_exact(&document(&setup, outcomes.to_vec()).cells[0].summary().response_time, truth);
}

#[test]
fn workers_merged_are_one_worker_to_the_last_bucket() {
    for workload in [echo(), chat()] {
        let setup = lasting(setup(workload, udp(), Arrival::Poisson), 5_000.0, 1000);
        let fate = |copy: Copy| match seed::pick(7, copy.id ^ u64::from(copy.receiver) << 32, 100) {
            0..3 => vec![],
            3..6 => vec![MS, 3 * MS],
            part => vec![MS * part],
        };
        let together = [1, 2, 4].map(|workers| {
            let mut outcome = measure(&setup, workers, &fate, None);
            // How far the last slice reached depends on when its worker finished.
            outcome.intervals.last_mut().unwrap().length = 0;
            outcome
        });
        assert!(together[0].measure.expected >= 4_000 && together[0].measure.reordered > 0);
        assert_eq!(together[0], together[1]);
        assert_eq!(together[0], together[2]);
    }
}

#[test]
fn a_stalled_target_shows_in_full_with_open_arrival() {
    let setup = lasting(setup(echo(), websocket(), Arrival::Constant), 20_000.0, 5000);
    // Still for 200 ms in every second: what comes then is answered at its end.
    let delay = |at: Nanos| (200 * MS).saturating_sub(at % SECOND).max(MS / 100);
    let truth: Vec<Nanos> = due(&setup).into_iter().filter(|at| is_measured(*at)).map(delay).collect();
    let document = document(&setup, vec![measure(&setup, WORKERS, &|copy| vec![delay(copy.at)], None)]);
    let (cell, summary) = (&document.cells[0], document.cells[0].summary());
    assert_exact(&summary.response_time, truth.clone());
    assert_exact(&summary.service_time, truth);
    assert_eq!((summary.arrival.as_str(), summary.valid), ("constant", 1));
    for (q, millis) in [(0.9, 100.0), (0.95, 150.0), (0.99, 190.0)] {
        let got = cell.merged(Metric::ResponseTime).at(q) as f64 / MS as f64;
        // A thousandth, and the 50 µs from one message to the next.
        assert!((got - millis).abs() <= millis / 1000.0 + 0.05, "{q}: {got} ms where {millis} ms is known");
    }
}

#[test]
fn a_stalled_target_hides_with_closed_arrival_and_the_figures_say_closed() {
    let setup = lasting(setup(echo(), websocket(), Arrival::Closed), 1.0, 4000);
    let truth = RefCell::new(Vec::new());
    let fate = |copy: Copy| {
        let delay = (200 * MS).saturating_sub(copy.at % SECOND).max(2 * MS);
        if is_measured(copy.at) {
            truth.borrow_mut().push(delay);
        }
        vec![delay]
    };
    let document = document(&setup, vec![measure(&setup, WORKERS, &fate, None)]);
    let summary = document.cells[0].summary();
    assert!(truth.borrow().len() >= 90_000 && summary.arrival == "closed");
    let mut truth = truth.into_inner();
    truth.sort_unstable();
    assert_eq!(summary.response_time.count, truth.len() as u64);
    for (got, parts) in [(summary.response_time.p50, 5000), (summary.response_time.p99, 9900)] {
        assert_near(got.unwrap(), exact(&truth, parts), "closed");
        assert_near(got.unwrap(), 2 * MS, "nothing of a stall of 200 ms in every second");
    }
    let folder = tempfile::tempdir().unwrap();
    crate::export::write_all(&document, folder.path(), false).unwrap();
    for page in ["summary.md", "report.html"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains("Closed arrival"), "{page}");
    }
}

#[test]
fn a_stalled_generator_shows_in_lateness_and_response_and_is_told() {
    let setup = lasting(setup(echo(), websocket(), Arrival::Constant), 25_000.0, 4000);
    let (stop, go, delay) = (1000 * MS, 1500 * MS, 5 * MS);
    // While the generator stands still it neither sends nor reads.
    let awake = |at: Nanos| if (stop..go).contains(&at) { go } else { at };
    let (mut response, mut service, mut lateness) = (Vec::new(), Vec::new(), Vec::new());
    for due in due(&setup).into_iter().filter(|at| is_measured(*at)) {
        let sent = awake(due);
        let received = awake(sent + delay);
        response.push(received - due);
        service.push(received - sent);
        lateness.push(sent - due);
    }
    let outcome = measure(&setup, WORKERS, &|_| vec![delay], Some((stop, go)));
    let document = document(&setup, vec![outcome]);
    let summary = document.cells[0].summary();
    assert_exact(&summary.response_time, response);
    assert_exact(&summary.send_lateness, lateness);
    assert_exact(&summary.service_time, service);
    assert_near(summary.service_time.p99.unwrap(), delay, "the target was never slow");
    assert_eq!(summary.valid, 0);
    assert_eq!(codes(&document.cells[0].trials[0].invalid), ["late-sends"]);
}

#[test]
fn a_slow_target_is_never_held_against_the_generator() {
    for (arrival, rate, least) in
        [(Arrival::Constant, 50_000.0, 500), (Arrival::Poisson, 2_000.0, 2000), (Arrival::Closed, 1.0, 500)]
    {
        let setup = lasting(setup(echo(), websocket(), arrival), rate, 2000);
        let fate = |copy: Copy| vec![least * MS + seed::pick(5, copy.id, 100 * MS)];
        let document = document(&setup, vec![measure(&setup, WORKERS, &fate, None)]);
        let trial = &document.cells[0].trials[0];
        assert_eq!(codes(&trial.invalid), [""; 0], "{arrival}");
        assert!(trial.is_valid() && trial.response_time(0.5).unwrap() >= least * MS);
    }
}

/// What a path does to a datagram, drawn by its id.
enum Path {
    Drops,
    Doubles,
    /// It arrives after the next one of the same sender.
    Swaps,
    Delays,
    Carries,
}

fn path(id: u64) -> Path {
    match seed::pick(99, id, 1000) {
        0..50 => Path::Drops,
        50..70 => Path::Doubles,
        70..80 => Path::Swaps,
        80..85 => Path::Delays,
        _ => Path::Carries,
    }
}

#[test]
fn dropped_doubled_swapped_and_late_datagrams_are_counted_to_the_last_one() {
    let mut setup = lasting(setup(echo(), udp(), Arrival::Constant), 50_000.0, 2100);
    setup.cell.load.timeout = Span::from_millis(100);
    // A session sends every 60th message.
    let next = u64::from(SESSIONS) * SECOND / 50_000;
    let arrivals = |id| match path(id) {
        Path::Drops => vec![],
        Path::Doubles => vec![MS, 4 * MS],
        Path::Swaps => vec![MS + next + next / 2],
        Path::Delays => vec![150 * MS],
        Path::Carries => vec![MS],
    };
    let document = document(&setup, vec![measure(&setup, WORKERS, &|copy| arrivals(copy.id), None)]);
    let summary = document.cells[0].summary();

    let schedule = &setup.cell.load.schedule;
    let senders = schedule.senders(SESSIONS);
    let (mut lost, mut late, mut doubled, mut count, mut truth) = (0, 0, 0, 0, Vec::new());
    let mut heard = Vec::new();
    for (id, due) in (0..).zip(due(&setup)) {
        let delays = arrivals(id);
        heard.extend(delays.first().map(|delay| (due + delay, schedule.sender(id, &senders), id, due)));
        if is_measured(due) {
            count += 1;
            lost += u64::from(delays.is_empty());
            late += u64::from(delays.first() == Some(&(150 * MS)));
            doubled += delays.len().saturating_sub(1) as u64;
            truth.extend(delays.first());
        }
    }
    heard.sort_unstable();
    let mut latest = vec![None; SESSIONS as usize];
    let mut reordered = 0;
    for (_, sender, id, due) in heard {
        let latest = &mut latest[sender as usize];
        reordered += u64::from(*latest > Some(id) && is_measured(due));
        *latest = (*latest).max(Some(id));
    }
    assert!(lost > 5000 && late > 400 && doubled > 2000 && reordered > 900, "{lost} {late} {doubled} {reordered}");
    let counters = &summary.counters;
    assert_eq!((counters.scheduled, counters.sent, counters.expected), (count, count, count));
    assert_eq!((counters.delivered, counters.late, counters.lost), (count - lost - late, late, lost));
    assert_eq!((counters.unfinished, counters.unmatched), (0, 0));
    assert_eq!((counters.duplicate, counters.reordered), (doubled, Some(reordered)));
    assert_eq!(summary.reach, Some((count - lost) as f64 / count as f64));
    assert_eq!(summary.response_time_with_missing.missing, lost);
    truth.sort_unstable();
    assert_near(summary.response_time.p50.unwrap(), exact(&truth, 5000), "p50");
    assert_near(summary.response_time.max.unwrap(), 150 * MS, "late ones count too");
}

#[test]
fn dropped_copies_of_a_fan_out_are_unfinished_to_the_last_one() {
    let mut setup = lasting(setup(chat(), websocket(), Arrival::Poisson), 7_000.0, 1000);
    // Four rooms of fifteen.
    setup.interval = SECOND;
    let copies = 15;
    let (dropped, whole) = (Cell::new(0), Cell::new(0));
    let truth = RefCell::new(Vec::new());
    let is_dropped = |id, receiver: u32| seed::pick(31, id << 8 | u64::from(receiver), 200) == 0;
    let delay = |id, receiver: u32| MS + seed::pick(32, id << 8 | u64::from(receiver), 40 * MS);
    let fate = |copy: Copy| {
        let is_lost = is_dropped(copy.id, copy.receiver);
        if is_measured(copy.at) {
            match is_lost {
                true => dropped.set(dropped.get() + 1),
                false => truth.borrow_mut().push(delay(copy.id, copy.receiver)),
            }
            // One copy in fifteen stands for its message.
            whole.set(whole.get() + 1);
        }
        if is_lost { vec![] } else { vec![delay(copy.id, copy.receiver)] }
    };
    let document = document(&setup, vec![measure(&setup, WORKERS, &fate, None)]);
    let summary = document.cells[0].summary();
    let counters = &summary.counters;
    assert_eq!(counters.expected, counters.sent * copies);
    assert_eq!((counters.expected, counters.unfinished), (whole.get(), dropped.get()));
    assert!(dropped.get() > 400);
    assert_eq!((counters.delivered, counters.lost), (whole.get() - dropped.get(), 0));
    let missing = dropped.get() as f64 / whole.get() as f64;
    assert!((summary.reach.unwrap() - (1.0 - missing)).abs() < 1e-12);
    assert_exact(&summary.response_time, truth.into_inner());
}

#[test]
fn a_pong_is_no_reply() {
    let mut setup = lasting(setup(echo(), websocket(), Arrival::Constant), 50_000.0, 2000);
    setup.cell.load.drain = Span::from_millis(1000);
    // Every tenth message is never answered, however many pongs come.
    let fate = |copy: Copy| if copy.id.is_multiple_of(10) { vec![] } else { vec![MS] };
    let outcome = measure(&setup, WORKERS, &fate, None);
    let counters = outcome.measure;
    assert_eq!((counters.sent, counters.delivered, counters.unfinished), (100_000, 90_000, 10_000));
    assert_eq!((counters.late, counters.duplicate, counters.unmatched), (0, 0, 0));
    let replies = outcome.warmup.delivered + counters.delivered;
    assert_eq!(outcome.histograms.get(Metric::Ping).map(Histogram::count), Some(replies), "one before each copy");
    assert_eq!(outcome.histograms.get(Metric::ResponseTime).map(Histogram::count), Some(90_000));
}

#[test]
fn a_message_on_the_books_at_the_end_is_unfinished_whatever_its_place() {
    for silent in [0, 1, 57, 499] {
        let setup = lasting(setup(echo(), websocket(), Arrival::Constant), 500.0, 1000);
        let first = due(&setup).iter().filter(|at| !is_measured(**at)).count() as u64;
        let fate = |copy: Copy| if copy.id == first + silent { vec![] } else { vec![MS] };
        let counters = measure(&setup, WORKERS, &fate, None).measure;
        assert_eq!((counters.sent, counters.delivered, counters.unfinished), (500, 499, 1), "{silent}");
        assert!(counters.balance());
    }
}
