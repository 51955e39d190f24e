use super::*;
use crate::measure::Metric as Measured;
use crate::result::testing;

fn with(thresholds: &[&str], change: impl Fn(&mut Document)) -> Vec<Checked> {
    let mut document = testing::document();
    let hold = |text: &&str| Hold { hold: text.parse().unwrap_or_else(|e| panic!("{text}: {e}")), abort: true };
    document.thresholds = thresholds.iter().map(hold).collect();
    change(&mut document);
    check(&document)
}

fn one(threshold: &str, change: impl Fn(&mut Document)) -> Checked {
    let mut all = with(&[threshold], change);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn nothing(_: &mut Document) {}

#[test]
fn every_metric_is_the_figure_of_the_report() {
    let summary = testing::document().cells[0].summary();
    let counters = &summary.counters;
    let part = |n: u64, of: u64| n as f64 / of as f64;
    let bytes = summary.bytes_per_message;
    for (metric, expected, limit) in [
        ("p50", summary.response_time.p50.map(|n| n as f64), "1s"),
        ("p99", summary.response_time.p99.map(|n| n as f64), "1s"),
        ("max", summary.response_time.max.map(|n| n as f64), "1s"),
        ("p90 service-time", summary.service_time.p90.map(|n| n as f64), "1s"),
        ("p50 last-receipt", summary.last_receipt.p50.map(|n| n as f64), "1s"),
        ("p50 connect", summary.connect.total.p50.map(|n| n as f64), "1s"),
        ("p50 first-message", summary.connect.first_message.p50.map(|n| n as f64), "1s"),
        ("reach", summary.reach, "50%"),
        ("loss", Some(part(counters.lost + counters.unfinished + counters.late, counters.expected)), "50%"),
        ("skipped", Some(part(counters.skipped, counters.scheduled)), "50%"),
        ("rate", summary.delivered_rate, "1/s"),
        ("cpu", summary.cpu_us_per_message.target.map(|us| us * 1e3), "1s"),
        ("memory", summary.rss_per_session.target, "1GB"),
        ("bytes", bytes.payload.zip(bytes.framing).map(|(a, b)| a + b), "1B"),
        ("framing", bytes.framing, "1B"),
        ("wire", bytes.wire, "1B"),
        ("connections", summary.connections_per_session, "1"),
        ("errors", Some(0.0), "1"),
    ] {
        assert!(expected.is_some(), "{metric}");
        let checked = one(&format!("websocket: {metric} < {limit}"), nothing);
        assert_eq!(checked.measured, expected, "{metric}: {checked:?}");
        assert_eq!(checked.outcome == Outcome::Held, expected < checked.limit, "{metric}: {checked:?}");
    }
    let mean = testing::document().cells[0].merged(Measured::ResponseTime).mean();
    assert_eq!(one("websocket: mean < 1s", nothing).measured, Some(mean));
}

#[test]
fn errors_are_counted_by_class_or_all() {
    assert_eq!(one("websocket: errors == 0", nothing).measured_in_words(), "0");
    let two = |document: &mut Document| {
        let errors = &mut document.cells[0].trials[0].outcome.errors;
        errors.insert("refused".to_owned(), 2);
        errors.insert("reset".to_owned(), 3);
    };
    assert_eq!(one("websocket: errors <= 4", two).measured, Some(5.0));
    assert_eq!(one("websocket: errors <= 4", two).outcome, Outcome::Broken);
    assert_eq!(one("websocket: errors.refused <= 2", two).outcome, Outcome::Held);
}

#[test]
fn an_arm_is_held_against_another() {
    let summary = |arm: usize| testing::document().cells[arm].summary().response_time.p50.unwrap() as f64;
    let half = one("websocket.p50 <= 0.5 * long-polling.p50", nothing);
    assert_eq!((half.measured, half.limit), (Some(summary(0)), Some(0.5 * summary(3))));
    assert_eq!(half.outcome == Outcome::Held, summary(0) <= 0.5 * summary(3));
    assert_eq!(one("websocket.p50 <= long-polling.p50", nothing).outcome, Outcome::Held);
    assert_eq!(one("websocket.p50 > long-polling.p50", nothing).outcome, Outcome::Broken);
}

#[test]
fn without_an_arm_it_is_about_all_of_them() {
    let arms = |rows: Vec<Checked>| rows.into_iter().map(|row| row.arm).collect::<Vec<_>>();
    assert_eq!(arms(with(&["p50 < 1s"], nothing)).len(), 7);
    let others = arms(with(&["p50 < 2 * tcp.p50"], nothing));
    assert!(others.len() == 6 && !others.contains(&"tcp".to_owned()), "{others:?}");
}

#[test]
fn what_can_not_be_measured_is_not_held() {
    let few = one("websocket: p99.9 < 1h", nothing);
    assert_eq!((few.outcome, few.measured), (Outcome::NotMeasurable, None));
    assert!(few.outcome.fails() && few.measured_in_words().contains("p99.9 needs 100000"), "{few:?}");
    let against = one("websocket.p50 < tcp.p99.9", nothing);
    assert_eq!((against.outcome, against.limit), (Outcome::NotMeasurable, None));
    assert!(against.why.is_some_and(|why| why.starts_with("tcp: too few samples")));
    let foreign = |document: &mut Document| document.cells[0].trials[1].target = None;
    assert_eq!(one("websocket: cpu < 1s", foreign).outcome, Outcome::NotMeasurable);
}

#[test]
fn what_never_came_took_for_ever() {
    let lose = |document: &mut Document| {
        for cell in &mut document.cells {
            cell.trials.iter_mut().for_each(|trial| trial.outcome.measure.unfinished = 1_000);
        }
    };
    let lost = one("websocket: p99 < 1h", lose);
    assert_eq!((lost.outcome, lost.measured), (Outcome::Broken, Some(f64::INFINITY)));
    assert_eq!(serde_json::to_value(&lost).unwrap()["measured"], "inf");
    assert_eq!(one("websocket: p50 < 1h", lose).outcome, Outcome::Held);
    let neither = one("websocket.p99 <= long-polling.p99", lose);
    assert_eq!(neither.outcome, Outcome::NotMeasurable, "infinity is not at most infinity");
    assert_eq!(one("websocket: max < 1h", lose).measured, Some(f64::INFINITY));
}

#[test]
fn trials_in_which_the_generator_could_not_be_trusted_are_no_evidence() {
    let spoil = |document: &mut Document| {
        document.cells[0].trials[0].outcome.errors.insert("refused".to_owned(), 2);
        testing::invalidate(&mut document.cells[0].trials[0]);
    };
    assert_eq!(one("websocket: errors == 0", spoil).outcome, Outcome::Held);
    let spoil_all = |document: &mut Document| document.cells[0].trials.iter_mut().for_each(testing::invalidate);
    let none = one("websocket: p50 < 1h", spoil_all);
    assert_eq!((none.outcome, none.why.as_deref()), (Outcome::NotMeasurable, Some("there is no valid trial")));
}

#[test]
fn a_trial_in_which_the_target_failed_is_evidence_against_it() {
    let fail = |document: &mut Document| {
        document.cells[0].trials[1].failure = Some("no session could be opened".to_owned());
        document.cells[0].trials[1].outcome.errors.insert("refused".to_owned(), 50);
    };
    assert_eq!(one("websocket: errors == 0", fail).measured, Some(50.0));
    let failed = one("websocket: p50 < 1h", fail);
    assert!(
        failed.outcome == Outcome::NotMeasurable && failed.measured_in_words().contains("no session"),
        "{failed:?}"
    );
}

#[test]
fn an_arm_that_did_not_run_makes_a_threshold_void() {
    let without = |document: &mut Document| drop(document.cells.remove(0));
    for threshold in ["websocket: p50 < 1ns", "websocket.p50 < 0.1 * tcp.p50", "tcp.p50 < 0.1 * websocket.p50"] {
        let void = one(threshold, without);
        assert_eq!((void.outcome, void.why.as_deref()), (Outcome::Void, Some("websocket did not run")));
        assert!(!void.outcome.fails());
    }
}

#[test]
fn only_what_is_broken_for_certain_ends_a_run() {
    let ended = |threshold: &str, abort: bool| {
        let mut document = testing::document();
        document.thresholds = vec![Hold { hold: threshold.parse().unwrap(), abort }];
        super::abort(&document)
    };
    assert_eq!(ended("errors < 100", true), None);
    assert_eq!(ended("websocket: p99.9 < 1ns", true), None, "nobody knows yet");
    assert_eq!(ended("websocket: p50 < 1ns", false), None);
    let why = ended("websocket: p50 < 1ns", true).unwrap();
    assert!(why.starts_with("`websocket: p50 < 1ns` was broken by websocket: "), "{why}");
}

#[test]
fn what_was_left_out_is_not_measurable_whatever_never_came() {
    let leave_out = |document: &mut Document| {
        let trial = &mut document.cells[0].trials[1];
        trial.outcome.histograms.remove(Measured::ResponseTime);
        let reason = "the clock of agent `b` was never measured".to_owned();
        trial.absent = vec![crate::result::Absent { metric: Measured::ResponseTime, reason }];
        // Enough for a quantile of those that never came.
        (trial.outcome.measure.lost, trial.outcome.measure.delivered) = (trial.outcome.measure.delivered, 0);
    };
    for metric in ["p50 < 1s", "p50 > 1ns", "mean < 1s", "max < 1s"] {
        let checked = one(&format!("websocket: {metric}"), leave_out);
        assert_eq!(checked.outcome, Outcome::NotMeasurable, "{checked:?}");
        assert_eq!(
            checked.measured_in_words(),
            "response-time was left out: the clock of agent `b` was never measured"
        );
    }
    assert_eq!(one("websocket: p50 connect < 1s", leave_out).outcome, Outcome::Held);
    let limit = one("tcp.p50 < 2 * websocket.p50", leave_out);
    assert_eq!(limit.outcome, Outcome::NotMeasurable, "nor by what it would have to keep");
    let mut document = testing::document();
    leave_out(&mut document);
    let summary = document.cells[0].summary();
    assert_eq!((summary.response_time.count, summary.response_time_with_missing.p99), (0, Default::default()));
    assert!(summary.response_time_with_missing.missing > 100 && summary.absent.len() == 1);
}
