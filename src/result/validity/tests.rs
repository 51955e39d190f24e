//! The verdict on the generator, rule by rule.

use super::*;
use crate::clock::SECOND;
use crate::measure::{Counters, Sessions};

/// A trial of a second with 2,000 answers of 10 ms, sent `late` nanoseconds late.
fn outcome(late: u64) -> Outcome {
    let mut outcome = Outcome {
        order_tracked: true,
        sessions: Sessions { asked: 5, connected: 5, peak: 5, held: None },
        measure: Counters { scheduled: 2000, sent: 2000, expected: 2000, delivered: 2000, ..Counters::default() },
        ..Outcome::default()
    };
    for _ in 0..2000 {
        outcome.histograms.record(Metric::ResponseTime, 10 * MILLI);
        outcome.histograms.record(Metric::SendLateness, late);
    }
    outcome
}

struct Case {
    outcome: Outcome,
    generator: Usage,
    target: Option<TargetFacts>,
    load: LoadFacts,
    calibration: Option<Calibration>,
}

impl Case {
    fn new(late: u64) -> Case {
        Case {
            outcome: outcome(late),
            generator: Usage { cpu_nanos: SECOND / 2, wall_nanos: SECOND, ..Usage::default() },
            target: None,
            load: LoadFacts { duration: SECOND, arrival: "poisson".into(), ..LoadFacts::default() },
            calibration: None,
        }
    }

    fn codes(&self) -> (Vec<String>, Vec<String>) {
        let judgement = judge(&Evidence {
            outcome: &self.outcome,
            generator: &self.generator,
            target: self.target.as_ref(),
            load: &self.load,
            calibration: self.calibration.as_ref(),
            agents: &[],
            absent: &[],
        });
        let codes = |list: Vec<Finding>| {
            assert!(list.iter().all(|f| !f.message.is_empty() && !f.advice.is_empty()));
            list.into_iter().map(|f| f.code).collect()
        };
        (codes(judgement.invalid), codes(judgement.warnings))
    }

    fn invalid(&self) -> Vec<String> {
        self.codes().0
    }

    fn warnings(&self) -> Vec<String> {
        assert_eq!(self.codes().0, [""; 0]);
        self.codes().1
    }
}

fn target(late: u64) -> TargetFacts {
    let mut lateness = Histogram::default();
    (0..2000).for_each(|_| lateness.record(late));
    let usage = Usage { cpu_nanos: SECOND / 2, wall_nanos: SECOND, ..Usage::default() };
    TargetFacts { usage, events: 2000, lateness, accepted: 5, received: 0, delivered: 2000, dropped: 0, truth: None }
}

#[test]
fn an_honest_trial_is_valid_and_without_warnings() {
    assert_eq!(Case::new(100_000).warnings(), [""; 0]);
}

#[test]
fn lateness_over_a_tenth_of_the_response_time_invalidates() {
    assert_eq!(Case::new(990_000).invalid(), [""; 0]);
    assert_eq!(Case::new(1_020_000).invalid(), ["late-sends"]);
}

#[test]
fn lateness_under_the_floor_is_never_held_against_a_fast_target() {
    let fast = |late| {
        let mut case = Case::new(late);
        case.outcome.histograms = Default::default();
        for _ in 0..2000 {
            case.outcome.histograms.record(Metric::ResponseTime, 50_000);
            case.outcome.histograms.record(Metric::SendLateness, late);
        }
        case.invalid()
    };
    assert_eq!(fast(495_000), [""; 0]);
    assert_eq!(fast(505_000), ["late-sends"]);
}

#[test]
fn lateness_that_the_machine_shows_when_idle_is_allowed_threefold() {
    let calibrated = |late| {
        let calibration = Calibration { lateness_p50: 50_000, lateness_p99: MILLI, samples: 1000 };
        Case { calibration: Some(calibration), ..Case::new(late) }.invalid()
    };
    assert_eq!(calibrated(2_980_000), [""; 0]);
    assert_eq!(calibrated(3_020_000), ["late-sends"]);
}

#[test]
fn a_short_trial_is_judged_by_a_quantile_that_it_supports() {
    let short = |slow: u64| {
        let mut case = Case::new(1);
        case.outcome.histograms = Default::default();
        for n in 0..200 {
            case.outcome.histograms.record(Metric::ResponseTime, 10 * MILLI);
            case.outcome.histograms.record(Metric::SendLateness, if n < slow { 5 * MILLI } else { 1000 });
        }
        case.invalid()
    };
    assert_eq!(short(15), [""; 0]);
    assert_eq!(short(25), ["late-sends"]);
}

#[test]
fn the_target_of_a_push_workload_is_judged_by_the_same_rule() {
    assert_eq!(Case { target: Some(target(990_000)), ..Case::new(1) }.invalid(), [""; 0]);
    assert_eq!(Case { target: Some(target(1_020_000)), ..Case::new(1) }.invalid(), ["late-target-sends"]);
}

#[test]
fn standing_still_for_more_than_a_hundredth_invalidates() {
    let mut case = Case::new(1);
    case.outcome.standstill = STANDSTILL_FLOOR;
    assert_eq!(case.invalid(), [""; 0], "one hiccup of the machine in a short trial");
    case.outcome.standstill += 1;
    assert_eq!(case.invalid(), ["standstill"]);
    case.load.duration = 10 * SECOND;
    case.outcome.standstill = SECOND / 10;
    assert_eq!(case.invalid(), [""; 0]);
    assert!(case.warnings().contains(&"short-standstill".to_owned()), "its highest quantiles are spoiled");
    case.outcome.standstill += 1;
    assert_eq!(case.invalid(), ["standstill"]);
}

#[test]
fn skipping_more_than_a_hundredth_by_its_own_fault_invalidates() {
    let mut case = Case::new(1);
    case.outcome.skipped_by_generator = 20;
    assert_eq!(case.invalid(), [""; 0]);
    case.outcome.skipped_by_generator = 21;
    assert_eq!(case.invalid(), ["skipped-by-generator"]);
}

#[test]
fn dropping_more_than_a_hundredth_on_arrival_invalidates() {
    let mut case = Case::new(1);
    case.outcome.traffic.receive_drops = 20;
    assert_eq!(case.invalid(), [""; 0]);
    case.outcome.traffic.receive_drops = 21;
    assert_eq!(case.invalid(), ["receive-drops"]);
    case.outcome.warmup = Counters { scheduled: 100, sent: 100, expected: 100, delivered: 100, ..Counters::default() };
    assert_eq!(case.invalid(), [""; 0], "drops are of warmup as well");
    case.outcome.traffic.receive_drops = 22;
    assert_eq!(case.invalid(), ["receive-drops"]);
}

#[test]
fn a_busy_core_is_a_warning_and_under_closed_arrival_a_lower_bound() {
    let mut case = Case::new(1);
    case.generator.cpu_nanos = SECOND * 9 / 10;
    assert_eq!(case.warnings(), [""; 0]);
    case.generator.cpu_nanos += 1000;
    assert_eq!(case.warnings(), ["busy-core"]);
    case.load.arrival = "closed".into();
    assert_eq!(case.warnings(), ["generator-limited"]);
}

#[test]
fn what_an_interrupt_or_the_generator_left_unsent_is_not_held_against_the_sessions() {
    let mut case = Case::new(1);
    (case.outcome.measure.sent, case.outcome.measure.skipped) = (1900, 100);
    assert_eq!(case.warnings(), ["skipped"]);
    case.outcome.interrupted = true;
    assert_eq!(case.warnings(), [""; 0]);
    case.outcome.interrupted = false;
    case.outcome.skipped_by_generator = 100;
    assert_eq!(case.codes(), (vec!["skipped-by-generator".to_owned()], vec![]));
}

#[test]
fn a_trial_in_which_nothing_was_scheduled_is_not_told_that_it_was_short() {
    let mut case = Case::new(1);
    case.outcome = Outcome::default();
    assert_eq!(case.warnings(), [""; 0]);
    case.outcome.histograms.record(Metric::ResponseTime, MILLI);
    assert_eq!(case.warnings(), [""; 0]);
    case.outcome.measure.expected = 1;
    assert!(case.warnings().contains(&"no-reorder-tracking".to_owned()));
    assert!(case.warnings().contains(&"few-samples".to_owned()));
}

#[test]
fn what_a_reader_should_know_is_a_warning() {
    let warned = |change: fn(&mut Case)| {
        let mut case = Case { target: Some(target(1)), ..Case::new(1) };
        change(&mut case);
        case.warnings()
    };
    assert_eq!(warned(|c| c.outcome.order_tracked = false), ["no-reorder-tracking"]);
    assert_eq!(warned(|c| c.outcome.sessions.connected = 4), ["not-all-connected"]);
    assert_eq!(warned(|c| (c.outcome.measure.sent, c.outcome.measure.skipped) = (1980, 20)), [""; 0]);
    assert_eq!(warned(|c| (c.outcome.measure.sent, c.outcome.measure.skipped) = (1979, 21)), ["skipped"]);
    assert_eq!(warned(|c| c.outcome.measure.unfinished = 1), ["unbalanced-counts"]);
    assert_eq!(warned(|c| c.outcome.warmup.sent = u64::MAX), ["unbalanced-counts"]);
    assert_eq!(warned(|c| c.outcome.histograms.record(Metric::ResponseTime, 61 * SECOND)), ["values-overflowed"]);
    assert_eq!(warned(|c| c.target.as_mut().unwrap().dropped = 1), ["target-dropped"]);
    assert_eq!(warned(|c| c.target.as_mut().unwrap().usage.cpu_nanos = SECOND), ["busy-target"]);
    assert_eq!(
        warned(|c| {
            c.outcome.histograms = Default::default();
            (0..999).for_each(|_| c.outcome.histograms.record(Metric::ResponseTime, MILLI));
        }),
        ["few-samples"]
    );
}
