use super::*;
use crate::result::DuetSide;
use crate::result::testing::invalidate;
use crate::verdict::testing::{noisy, run_of};

/// A run of three trials that began on this day of January.
fn run(day: u32, factor: f64, change: impl Fn(&mut Document)) -> Run {
    let mut document = run_of(&[factor * 0.99, factor, factor * 1.01]);
    document.meta.started = format!("2026-01-{day:02}T10:00:00Z");
    change(&mut document);
    Run::of(format!("{day}/result.json"), document).unwrap()
}

fn days(factors: &[f64]) -> Vec<Run> {
    factors.iter().enumerate().map(|(n, factor)| run(n as u32 + 1, *factor, |_| ())).collect()
}

fn of(group: &Group, metric: Metric) -> &Series {
    group.series.iter().find(|series| series.metric == metric).unwrap()
}

fn places(values: &[f64]) -> Vec<usize> {
    let some: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
    changes(&some, Metric::P50).into_iter().map(|change| change.run).collect()
}

#[test]
fn a_step_is_found_where_it_is_with_its_size_and_direction() {
    let mut factors = noisy(8, 0.01, 1);
    factors.extend(noisy(8, 0.01, 2).iter().map(|factor| factor * 1.3));
    let groups = groups(days(&factors));
    assert_eq!(groups.len(), 1);
    let p50 = of(&groups[0], Metric::P50);
    assert_eq!(p50.changes.len(), 1, "{p50:?}");
    let change = &p50.changes[0];
    assert_eq!((change.run, change.is_worse), (8, true));
    assert!((change.share().unwrap() - 0.3).abs() < 0.03 && change.words().starts_with('+'), "{change:?}");
    // 2 of 12870 ways to split, in 9 stretches from the start and 15 amid the others.
    assert!((change.p - 24.0 * 2.0 / 12870.0).abs() < 1e-9, "{change:?}");
}

#[test]
fn of_more_runs_than_a_test_takes_the_newest_are_searched() {
    let values: Vec<f64> = (0..2_100).map(|n| if n < 2_070 { 1.0 } else { 1.3 }).collect();
    assert_eq!(places(&values), [2_070]);
}

#[test]
fn two_steps_are_two_and_a_spike_is_none() {
    let level = |n, at: f64, seed| noisy(n, 0.01, seed).into_iter().map(move |factor| factor * at);
    let there_and_back: Vec<f64> = level(8, 1.0, 1).chain(level(8, 1.5, 2)).chain(level(8, 1.0, 3)).collect();
    assert_eq!(places(&there_and_back), [8, 16]);
    let mut spike: Vec<f64> = level(16, 1.0, 4).collect();
    spike[8] *= 3.0;
    assert!(places(&spike).is_empty());
}

#[test]
fn what_is_less_than_noise_or_too_short_to_tell_is_no_change() {
    let step = |n: usize, by: f64| -> Vec<f64> { (0..2 * n).map(|i| if i < n { 1.0 } else { by }).collect() };
    assert_eq!(places(&step(4, 1.1)), [4], "one way in 35 of eight runs");
    assert!(places(&step(3, 1.1)).is_empty());
    assert!(places(&step(10, 1.02)).is_empty());
    let bytes: Vec<Option<f64>> = step(10, 1.02).into_iter().map(Some).collect();
    assert_eq!(changes(&bytes, Metric::FramingPerMessage).len(), 1, "bytes are counted exactly");
    let never: Vec<f64> = (0..12).map(|i| if i < 6 { 1.0 } else { f64::INFINITY }).collect();
    assert_eq!(places(&never), [6]);
}

#[test]
fn every_stretch_is_long_enough_and_there_once() {
    assert_eq!(stretches(7).count(), 0);
    assert_eq!(stretches(9).collect::<Vec<_>>(), [(0, 4), (0, 5)]);
    assert_eq!(stretches(12).collect::<Vec<_>>(), [(0, 4), (0, 5), (0, 6), (0, 7), (0, 8), (4, 8)]);
}

#[test]
fn chance_alone_makes_few_changes() {
    let alarms = (0..400u64).filter(|seed| !places(&noisy(20, 0.1, 1000 + seed)).is_empty()).count();
    assert!(alarms <= 400 * 5 / 100, "{alarms} of 400 series");
}

#[test]
fn a_run_without_a_figure_is_stepped_over() {
    let values: Vec<Option<f64>> = (0..12).map(|i| (i != 5).then_some(if i < 7 { 1.0 } else { 2.0 })).collect();
    assert_eq!(changes(&values, Metric::P50)[0].run, 7);
}

#[test]
fn only_comparable_runs_share_a_group() {
    let kernel = |document: &mut Document| document.meta.host.kernel = "7.0".to_owned();
    let other = |document: &mut Document| document.scenario.name = "other".to_owned();
    let runs =
        vec![run(5, 1.0, kernel), run(1, 1.0, |_| ()), run(2, 1.0, |_| ()), run(3, 1.0, other), run(6, 1.0, |_| ())];
    let groups = groups(runs);
    let files = |group: &Group| group.runs.iter().map(|run| run.file[..1].to_owned()).collect::<Vec<_>>();
    assert_eq!(groups.iter().map(files).collect::<Vec<_>>(), [vec!["1", "2", "6"], vec!["3"], vec!["5"]]);
    assert!(groups[0].differences.is_empty() && groups[1].differences.is_empty());
    assert_eq!(groups[2].differences.iter().map(|d| d.what.as_str()).collect::<Vec<_>>(), ["kernel"]);
    assert!(groups[2].name.ends_with("-2"), "{}", groups[2].name);
}

#[test]
fn figures_are_medians_of_valid_trials() {
    let mut document = run_of(&[9.0, 1.0, 2.0, 3.0]);
    invalidate(&mut document.cells[0].trials[0]);
    let run = Run::of("x".to_owned(), document).unwrap();
    let rows = groups(vec![run]);
    let p50 = of(&rows[0], Metric::P50).values[0].unwrap();
    let alone = groups(vec![Run::of("x".to_owned(), run_of(&[2.0])).unwrap()]);
    assert_eq!(Some(p50), of(&alone[0], Metric::P50).values[0]);
}

#[test]
fn of_a_duet_the_candidate_counts_and_the_base_is_left_out() {
    let side = |half| {
        let mut document = run_of(&[1.0]);
        document.duet = Some(DuetSide { id: "d".to_owned(), half });
        Run::of("x".to_owned(), document)
    };
    assert_eq!(side(Half::Base).unwrap_err(), BASE_OF_DUET);
    assert!(side(Half::Candidate).is_ok());
}

#[test]
fn a_partial_run_counts_and_is_named() {
    let partial = run(2, 1.0, |document| document.partial = true);
    let groups = groups(vec![run(1, 1.0, |_| ()), partial]);
    assert_eq!(groups[0].runs.len(), 2);
    let notes = groups[0].notes();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].starts_with("2/result.json is partial"), "{notes:?}");
}

#[test]
fn what_has_no_history_says_why() {
    let mut invalid = run_of(&[1.0]);
    invalidate(&mut invalid.cells[0].trials[0]);
    assert!(Run::of("x".to_owned(), invalid).unwrap_err().contains("no valid trial"));
    assert!(Run::of("x".to_owned(), crate::result::testing::capacity()).unwrap_err().contains("capacity"));
    let mut undated = run_of(&[1.0]);
    undated.meta.started = "once".to_owned();
    assert!(Run::of("x".to_owned(), undated).unwrap_err().contains("\"once\""));
}
