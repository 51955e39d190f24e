//! Verdicts on runs whose difference is known.

use super::testing::{MESSAGES, lose, noisy, run_of, set_latency};
use super::*;
use crate::measure::Counters;
use crate::result::{Document, DuetSide, Half, KernelMemory, testing};
use serde_json::{Value, json};
use std::sync::LazyLock;

fn judged(base: &Document, new: &Document) -> Comparison {
    compare(base, new, Design::Separate, &Options::default()).unwrap()
}

fn row(comparison: &Comparison, metric: Metric) -> &Row {
    comparison.rows.iter().find(|row| row.metric == metric).unwrap()
}

fn verdict(comparison: &Comparison, metric: Metric) -> Verdict {
    row(comparison, metric).verdict
}

/// Trials that differ by a per cent or so, `times` as slow.
fn about(times: f64, seed: u64) -> Document {
    run_of(&noisy(10, 0.01, seed).iter().map(|noise| noise * times).collect::<Vec<_>>())
}

fn refused(base: &Document, new: &Document, options: &Options) -> NotComparable {
    compare(base, new, Design::Separate, options).unwrap_err()
}

#[test]
fn twelve_per_cent_more_is_a_regression_and_the_mirror_an_improvement() {
    let (fast, slow) = (about(1.0, 1), about(1.12, 2));
    let worse = judged(&fast, &slow);
    assert_eq!(worse.verdict, Verdict::Regression);
    assert_eq!(verdict(&worse, Metric::P50), Verdict::Regression);
    assert_eq!(verdict(&worse, Metric::P99), Verdict::Regression);
    assert_eq!(verdict(&worse, Metric::CpuPerMessage), Verdict::Regression);
    assert_eq!(verdict(&worse, Metric::DeliveredRate), Verdict::NoChange);
    assert_eq!(verdict(&worse, Metric::FramingPerMessage), Verdict::NoChange);
    assert_eq!((worse.base.trials, worse.new.trials), (10, 10));
    let better = judged(&slow, &fast);
    assert_eq!(better.verdict, Verdict::Improvement);
    assert_eq!(verdict(&better, Metric::P99), Verdict::Improvement);
    let (there, back) = (row(&worse, Metric::P99).effect.unwrap(), row(&better, Metric::P99).effect.unwrap());
    assert!((there.ratio * back.ratio - 1.0).abs() < 1e-9);
    assert!((there.ratio - 1.12).abs() < 0.02, "{there:?}");
}

#[test]
fn the_wording_is_this() {
    let worse = judged(&about(1.0, 1), &about(1.12, 2));
    let lines: Vec<String> = worse.rows.iter().map(|row| format!("{} | {}", row.words(&worse), row.values())).collect();
    insta::assert_snapshot!(lines.join("\n"));
    let paired = compare(&about(1.0, 1), &about(1.12, 2), Design::Paired, &Options::default()).unwrap();
    let p99 = row(&paired, Metric::P99).words(&paired);
    assert!(p99.starts_with("REGRESSION echo/websocket p99 +1") && p99.ends_with("adj-p=0.004 n=10 pairs"), "{p99}");
}

#[test]
fn the_same_again_is_no_change() {
    let same = judged(&about(1.0, 1), &about(1.0, 2));
    assert_eq!(same.verdict, Verdict::NoChange, "{:#?}", same.rows);
    assert!(same.rows.iter().all(|row| row.is_gated));
}

#[test]
fn what_is_certain_but_smaller_than_noise_is_no_change() {
    let small = judged(&about(1.0, 1), &about(1.025, 2));
    let effect = row(&small, Metric::P50).effect.unwrap();
    assert!(effect.adjusted_p_worse.unwrap() < 0.05, "{effect:?}");
    assert_eq!(verdict(&small, Metric::P50), Verdict::NoChange);
    let rules = Rules { noise: 0.01, ..Rules::default() };
    let strict =
        compare(&about(1.0, 1), &about(1.025, 2), Design::Separate, &Options { rules, ..Options::default() }).unwrap();
    assert_eq!(verdict(&strict, Metric::P50), Verdict::Regression);
}

#[test]
fn where_trials_differ_wildly_it_says_what_could_have_been_seen() {
    let wild = |seed| run_of(&noisy(10, 0.3, seed));
    let comparison = judged(&wild(1), &wild(2));
    assert_eq!(comparison.verdict, Verdict::Inconclusive);
    let effect = row(&comparison, Metric::P50).effect.unwrap();
    assert!((0.2..1.0).contains(&effect.detectable.unwrap()), "{effect:?}");
    assert!(effect.trials_needed.unwrap() > 500, "{effect:?}");
    let words = row(&comparison, Metric::P50).words(&comparison);
    assert!(words.starts_with("INCONCLUSIVE") && words.contains("could have been seen"), "{words}");
}

#[test]
fn pairs_see_through_drift_that_hits_both() {
    let drift: Vec<f64> = (0..12).map(|n| 1.0 + f64::from(n) / 5.0).collect();
    let slower: Vec<f64> = drift.iter().zip(noisy(12, 0.005, 3)).map(|(drift, noise)| drift * 1.06 * noise).collect();
    let (base, new) = (run_of(&drift), run_of(&slower));
    assert_eq!(verdict(&judged(&base, &new), Metric::P99), Verdict::Inconclusive);
    let paired = compare(&base, &new, Design::Paired, &Options::default()).unwrap();
    assert_eq!(verdict(&paired, Metric::P99), Verdict::Regression);
}

#[test]
fn pairs_are_found_by_their_block_and_lost_with_either_half() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 1));
    new.cells[0].trials.reverse();
    testing::invalidate(&mut new.cells[0].trials[0]);
    let paired = compare(&base, &new, Design::Paired, &Options::default()).unwrap();
    let p50 = row(&paired, Metric::P50);
    assert_eq!(p50.base.len(), 9);
    assert_eq!(p50.base, p50.new, "each beside its own");
    assert_eq!((paired.base.trials, paired.verdict), (9, Verdict::NoChange));
    assert!(paired.left_out[0].contains("1 of 10 trials of the candidate: INVALID"), "{:?}", paired.left_out);
}

#[test]
fn one_trial_in_which_messages_vanish_decides_nothing_whatever_the_transport() {
    for transport in ["websocket", "udp"] {
        let (mut base, mut new) = (about(1.0, 1), about(1.0, 1));
        base.cells[0].transport = transport.to_owned();
        new.cells[0].transport = transport.to_owned();
        lose(&mut new.cells[0].trials[4], 30);
        let lossy = judged(&base, &new);
        let p99 = row(&lossy, Metric::P99);
        assert_eq!((p99.verdict, p99.new[4]), (Verdict::NoChange, f64::INFINITY), "{transport}: {p99:?}");
        assert!(p99.note.as_ref().unwrap().contains("in 1 of 10 of the new run"), "{p99:?}");
        let rate = row(&lossy, Metric::DeliveredRate);
        assert_eq!(rate.note.as_deref(), Some("never came: 0 of 15000 deliveries → 30 of 15000"));
        assert_eq!(verdict(&judged(&new, &base), Metric::P99), Verdict::NoChange);
    }
}

#[test]
fn where_messages_vanish_in_most_trials_that_is_a_regression_and_the_mirror_an_improvement() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 1));
    new.cells[0].trials.iter_mut().for_each(|trial| lose(trial, 30));
    let lossy = judged(&base, &new);
    let p99 = row(&lossy, Metric::P99);
    assert_eq!((p99.verdict, p99.effect.unwrap().ratio), (Verdict::Regression, f64::INFINITY));
    assert!(p99.effect.unwrap().adjusted_p_worse.is_some(), "within the correction: {p99:?}");
    assert!(p99.words(&lossy).contains("+∞ %") && p99.values().ends_with("→ never"), "{p99:?}");
    assert_eq!(verdict(&lossy, Metric::P50), Verdict::NoChange, "half of them came");
    assert_eq!(lossy.verdict, Verdict::Regression);
    assert_eq!(verdict(&judged(&new, &base), Metric::P99), Verdict::Improvement);
}

#[test]
fn where_both_lose_too_much_nothing_is_told() {
    let mut lossy = about(1.0, 1);
    lossy.cells[0].trials.iter_mut().for_each(|trial| lose(trial, 30));
    assert_eq!(verdict(&judged(&lossy, &lossy), Metric::P99), Verdict::Inconclusive);
    let mut most = about(1.0, 1);
    most.cells[0].trials.iter_mut().skip(1).for_each(|trial| lose(trial, 30));
    let most = judged(&most, &most);
    assert_eq!(verdict(&most, Metric::P99), Verdict::Inconclusive, "nine of ten never came, on either side");
}

#[test]
fn trials_in_which_the_target_failed_are_a_regression_if_the_base_had_none() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    for trial in &mut new.cells[0].trials[..4] {
        trial.failure = Some("every session had ended".to_owned());
    }
    let worse = judged(&base, &new);
    let failed = row(&worse, Metric::FailedTrials);
    assert_eq!((failed.verdict, failed.is_gated, worse.verdict), (Verdict::Regression, true, Verdict::Regression));
    assert_eq!(failed.values(), "0 of 10 → 4 of 10");
    assert_eq!(failed.words(&worse), "REGRESSION echo/websocket failed-trials n=10+10 trials");
    assert_eq!(verdict(&worse, Metric::P99), Verdict::NoChange, "by the six that are left");
    let p99 = Options { metrics: vec![Metric::P99], ..Options::default() };
    let chosen = compare(&base, &new, Design::Separate, &p99).unwrap();
    assert_eq!(chosen.verdict, Verdict::Regression, "no choice of metrics hides it");

    let fixed = judged(&new, &base);
    assert_eq!((verdict(&fixed, Metric::FailedTrials), fixed.verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
    assert!(
        row(&fixed, Metric::FailedTrials)
            .note
            .as_ref()
            .unwrap()
            .contains("in 4 of 10 trials of the base, in 0 of 10 of the new run: such a base")
    );
    let faster = judged(&new, &about(0.8, 3));
    assert_eq!((verdict(&faster, Metric::P50), faster.verdict), (Verdict::Improvement, Verdict::Inconclusive));
    assert_eq!(verdict(&judged(&new, &new), Metric::FailedTrials), Verdict::Inconclusive);

    // The generator's fault, or an interrupt, says nothing of the target.
    new.cells[0].trials[..4].iter_mut().for_each(testing::invalidate);
    assert!(judged(&base, &new).rows.iter().all(|row| row.metric != Metric::FailedTrials));
}

#[test]
fn no_change_at_a_look_that_spends_less_of_alpha_asks_for_more() {
    let base = run_of(&noisy(10, 0.035, 1));
    let is_alike = |alpha, times: f64| {
        let new = run_of(&noisy(10, 0.035, 2).iter().map(|noise| noise * times).collect::<Vec<f64>>());
        let options = Options { rules: Rules { alpha, ..Rules::default() }, ..Options::default() };
        verdict(&compare(&base, &new, Design::Paired, &options).unwrap(), Metric::P50) == Verdict::NoChange
    };
    // Somewhere the interval of 90 % is within the band, and that of 98 % isn't.
    let told = |alpha| (0..15).map(|n| is_alike(alpha, 1.0 + f64::from(n) / 250.0)).filter(|told| *told).count();
    let (usual, look) = (told(0.05), told(0.01));
    assert!(look < usual, "{look} of 15 at 1 %, {usual} at 5 %");
    let confidence = |alpha| Rules { alpha, ..Rules::default() }.confidence();
    assert!((confidence(0.01) - 0.98).abs() < 1e-12 && (confidence(0.05) - 0.9).abs() < 1e-12);
}

#[test]
fn a_change_is_never_shown_as_the_same_twice() {
    let template = row(&judged(&about(1.0, 1), &about(1.0, 2)), Metric::P99).clone();
    let shown = |verdict, base: f64, new: f64| {
        Row { verdict, base: vec![base; 3], new: vec![new; 3], ..template.clone() }.values()
    };
    assert_eq!(shown(Verdict::NoChange, 3_700_100.0, 3_700_400.0), "3.70 ms → 3.70 ms");
    assert_eq!(shown(Verdict::Regression, 3_700_100.0, 3_700_400.0), "3700100 ns → 3700400 ns");
    assert_eq!(shown(Verdict::Regression, 3_700_100.0, 3_900_000.0), "3.70 ms → 3.90 ms");
    assert_eq!(shown(Verdict::Improvement, 3_700_100.0, 3_700_100.0), "median 3.70 ms in both");
}

#[test]
fn sessions_that_never_connect_show_in_the_delivered_rate() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    for trial in &mut new.cells[0].trials {
        let sent = MESSAGES - MESSAGES / 10;
        trial.outcome.measure = Counters {
            scheduled: MESSAGES,
            sent,
            skipped: MESSAGES - sent,
            expected: sent,
            delivered: sent,
            ..Counters::default()
        };
    }
    let comparison = judged(&base, &new);
    assert_eq!(verdict(&comparison, Metric::DeliveredRate), Verdict::Regression);
    assert_eq!(row(&comparison, Metric::DeliveredRate).values(), "1500/s → 1350/s");
}

#[test]
fn another_seeds_schedule_holds_a_little_more_and_is_no_faster() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    new.seed = 8;
    for trial in &mut new.cells[0].trials {
        let all = MESSAGES + 80;
        trial.outcome.measure =
            Counters { scheduled: all, sent: all, expected: all, delivered: all, ..Counters::default() };
    }
    assert_eq!(verdict(&judged(&base, &new), Metric::DeliveredRate), Verdict::NoChange);
}

#[test]
fn framing_is_the_same_to_the_byte_or_it_changed() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    new.cells[0].trials.iter_mut().for_each(|trial| trial.outcome.traffic.sent.framing += MESSAGES);
    let more = judged(&base, &new);
    let bytes = row(&more, Metric::FramingPerMessage);
    assert_eq!((bytes.verdict, more.verdict), (Verdict::Regression, Verdict::Regression));
    assert_eq!(bytes.words(&more), "REGRESSION echo/websocket framing-per-message +8.3 %, to the byte");
    assert_eq!(bytes.values(), "12 B → 13 B");
    assert!(bytes.effect.unwrap().adjusted_p_worse.is_none(), "outside the correction");
    assert_eq!(verdict(&judged(&new, &base), Metric::FramingPerMessage), Verdict::Improvement);
    new.seed = 8;
    let seeds = judged(&base, &new);
    assert!(!row(&seeds, Metric::FramingPerMessage).is_gated);
    assert_eq!(seeds.verdict, Verdict::NoChange);
}

#[test]
fn framing_that_was_seen_once_or_depends_on_how_messages_meet_is_no_fact() {
    let more = |n: usize, transport: &str| {
        let (mut base, mut new) = (run_of(&noisy(n, 0.01, 1)), run_of(&noisy(n, 0.01, 2)));
        new.cells[0].trials.iter_mut().for_each(|trial| trial.outcome.traffic.sent.framing += MESSAGES);
        [&mut base, &mut new].into_iter().for_each(|run| run.cells[0].transport = transport.to_owned());
        judged(&base, &new)
    };
    let once = more(1, "websocket");
    let bytes = row(&once, Metric::FramingPerMessage);
    assert_eq!((bytes.verdict, bytes.is_gated), (Verdict::Inconclusive, false), "{bytes:?}");
    assert!(bytes.note.as_ref().unwrap().contains("one trial"), "{bytes:?}");
    assert_ne!(once.verdict, Verdict::Regression);
    assert_eq!(more(2, "websocket").verdict, Verdict::Regression);
    for transport in ["long-polling", "short-polling", "sse", "http-streaming"] {
        let ten = more(10, transport);
        assert!(!row(&ten, Metric::FramingPerMessage).is_gated, "{transport}");
        assert_eq!(ten.verdict, Verdict::NoChange, "{transport}");
    }
}

#[test]
fn framing_is_no_fact_where_it_is_shared_out_over_less_than_was_sent() {
    let (base, mut new) = (run_of(&noisy(10, 0.01, 1)), run_of(&noisy(10, 0.01, 2)));
    let trial = &mut new.cells[0].trials[3];
    lose(trial, 5);
    trial.outcome.traffic.sent.framing += 1;
    let comparison = judged(&base, &new);
    let bytes = row(&comparison, Metric::FramingPerMessage);
    assert!(!bytes.is_gated && bytes.note.as_ref().unwrap().contains("not all was"), "{bytes:?}");
    assert_ne!(comparison.verdict, Verdict::Regression);
}

#[test]
fn framing_that_depends_on_how_messages_meet_is_judged_but_gates_nothing() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    for (n, trial) in new.cells[0].trials.iter_mut().enumerate() {
        trial.outcome.traffic.sent.framing += MESSAGES + n as u64;
    }
    let comparison = judged(&base, &new);
    let bytes = row(&comparison, Metric::FramingPerMessage);
    assert_eq!((bytes.verdict, bytes.is_gated), (Verdict::Regression, false));
    assert!(bytes.words(&comparison).contains(" p<0.001 "), "{}", bytes.words(&comparison));
    assert_eq!(comparison.verdict, Verdict::NoChange);
    let itself = judged(&new, &new);
    let words = row(&itself, Metric::FramingPerMessage).words(&itself);
    assert!(words.contains("95 % CI") && !words.contains("to the byte"), "{words}");
}

#[test]
fn the_generators_cpu_is_not_the_products() {
    let mut new = about(1.0, 2);
    for (n, trial) in new.cells[0].trials.iter_mut().enumerate() {
        trial.target = None;
        trial.generator.cpu_nanos *= 2 + n as u64 % 2;
    }
    let mut base = about(1.0, 1);
    base.cells[0].trials.iter_mut().for_each(|trial| trial.target = None);
    let comparison = judged(&base, &new);
    let cpu = row(&comparison, Metric::CpuPerMessage);
    assert_eq!((cpu.verdict, cpu.is_gated), (Verdict::Regression, false));
    assert!(cpu.note.as_ref().unwrap().contains("generator"), "{cpu:?}");
    assert_eq!(comparison.verdict, Verdict::NoChange);
}

#[test]
fn a_quantile_that_a_trial_cant_give_is_left_out_with_the_reason() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    let trial = &mut new.cells[0].trials[3];
    let mut few = crate::measure::Histograms::default();
    (0..900).for_each(|_| few.record(crate::measure::Metric::ResponseTime, 20_000_000));
    trial.outcome.histograms = few;
    let comparison = judged(&base, &new);
    assert!(comparison.rows.iter().all(|row| row.metric != Metric::P99));
    assert!(comparison.left_out[0].starts_with("websocket p99: not judged: "), "{:?}", comparison.left_out);
    assert!(comparison.left_out[0].contains("1000"), "{:?}", comparison.left_out);
}

#[test]
fn what_is_chosen_counts_and_the_rest_is_shown() {
    let (base, new) = (about(1.0, 1), about(1.12, 2));
    let options = Options { metrics: vec![Metric::DeliveredRate], ..Options::default() };
    let comparison = compare(&base, &new, Design::Separate, &options).unwrap();
    assert_eq!((comparison.rows.len(), comparison.verdict), (5, Verdict::NoChange));
    assert_eq!(verdict(&comparison, Metric::P99), Verdict::Regression);
    let (mut two, mut two_new) = (base.clone(), new.clone());
    for (document, times) in [(&mut two, 1.0), (&mut two_new, 1.0)] {
        let other = about(times, 5).cells.remove(0);
        document.cells.push(crate::result::Cell { arm: "tcp".to_owned(), ..other });
    }
    let options = Options { arms: vec!["tcp".to_owned()], ..Options::default() };
    assert_eq!(compare(&two, &two_new, Design::Separate, &options).unwrap().verdict, Verdict::NoChange);
    let options = Options { arms: vec!["sse".to_owned()], ..Options::default() };
    assert!(matches!(refused(&two, &two_new, &options), NotComparable::NoSuchArm { .. }));
    let one = judged(&two, &new);
    assert_eq!(one.left_out, ["tcp: not compared: it is in base alone"]);
}

#[test]
fn one_regression_outweighs_all_and_doubt_outweighs_gain() {
    use Verdict::{Improvement, Inconclusive, NoChange, Regression};
    let whole = |verdicts: &[Verdict]| {
        let template = judged(&about(1.0, 1), &about(1.0, 2)).rows.remove(0);
        let rows: Vec<Row> = verdicts.iter().map(|verdict| Row { verdict: *verdict, ..template.clone() }).collect();
        judge::whole(&rows)
    };
    assert_eq!(whole(&[NoChange, Improvement, Inconclusive, Regression]), Regression);
    assert_eq!(whole(&[NoChange, Improvement, Inconclusive]), Inconclusive);
    assert_eq!(whole(&[NoChange, Improvement]), Improvement);
    assert_eq!(whole(&[NoChange]), NoChange);
    assert_eq!(whole(&[]), Inconclusive);
}

#[test]
fn few_trials_are_told_and_too_few_with_the_number_needed() {
    let few = |n: usize| judged(&run_of(&noisy(n, 0.01, 1)), &run_of(&noisy(n, 0.01, 2))).remarks().join("\n");
    // Four ranked rows: 4 ÷ 70 is over 0.05, 4 ÷ 252 isn't.
    assert!(few(4).contains("too few trials (4 and 4)") && few(4).contains("at least 5 trials a side"), "{}", few(4));
    assert!(few(5).contains("few trials (5 and 5)") && !few(5).contains("too few"), "{}", few(5));
    assert!(!few(10).contains("few trials"), "{}", few(10));
    assert!(few(10).contains("drift"));
    let paired = |n: usize| {
        let (base, new) = (run_of(&noisy(n, 0.01, 1)), run_of(&noisy(n, 0.01, 2)));
        compare(&base, &new, Design::Paired, &Options::default()).unwrap().remarks().join("\n")
    };
    assert!(paired(6).contains("at least 7 pairs"), "{}", paired(6));
    assert_eq!(paired(10), "");
    let one = judged(&run_of(&[1.0]), &run_of(&[2.0]));
    assert_eq!(verdict(&one, Metric::P50), Verdict::Inconclusive);
}

#[test]
fn where_no_row_counts_nothing_was_judged() {
    let options = Options { metrics: vec![Metric::P99], ..Options::default() };
    let (mut base, mut new) = (about(1.0, 1), about(1.3, 2));
    let compared = |base: &Document, new: &Document| compare(base, new, Design::Separate, &options).unwrap();
    assert_eq!(compared(&base, &new).unjudged(), None);
    for trial in base.cells[0].trials.iter_mut().chain(&mut new.cells[0].trials) {
        lose(trial, 600);
        trial.outcome.measure.unfinished = 0;
    }
    let nothing = compared(&base, &new);
    assert_eq!((nothing.word(), nothing.verdict), ("NOT JUDGED", Verdict::Inconclusive));
    assert!(nothing.headline().starts_with("NOT JUDGED: ") && nothing.unjudged().unwrap().contains("--metrics"));
    assert!(nothing.left_out.iter().any(|line| line.contains("1000 deliveries")), "{:?}", nothing.left_out);
}

#[test]
fn a_planned_look_says_what_it_goes_by_and_doesnt_ask_for_more_trials() {
    let (base, new) = (run_of(&noisy(7, 0.01, 1)), run_of(&noisy(7, 0.01, 2)));
    let look = Some(Look { number: 1, of: 2, alpha: 0.05 });
    let rules = Rules { alpha: 0.01, ..Rules::default() };
    let options = Options { rules, look, metrics: vec![Metric::P50], ..Options::default() };
    let first = compare(&base, &new, Design::Paired, &options).unwrap();
    assert_eq!(
        first.look_in_words().unwrap(),
        "look 1 of 2 that were planned, which goes by α = 1 % of the 5 % for all of them"
    );
    assert!(!first.remarks().join("\n").contains("few"), "{:?}", first.remarks());
    let words = row(&first, Metric::P50).words(&first);
    assert!(words.contains(" (α = 1 %) n=7 pairs"), "{words}");
    let others = row(&first, Metric::P99).words(&first);
    assert!(!others.contains('α'), "its p is held against nothing: {others}");
    let unplanned = compare(&base, &new, Design::Paired, &Options { look: None, ..options }).unwrap();
    assert!(unplanned.remarks().join("\n").contains("few trials (7 and 7)"));
}

#[test]
fn the_sides_of_one_duet_are_pairs_and_are_told_apart_whatever_their_names() {
    let side = |id: &str, half| Some(DuetSide { id: id.to_owned(), half });
    let (mut base, mut new) = (about(1.0, 1), about(1.0, 2));
    assert_eq!(design(&base, &new), Design::Separate);
    (base.duet, new.duet) = (side("a", Half::Base), side("a", Half::Candidate));
    assert_eq!((design(&base, &new), design(&new, &base)), (Design::Paired, Design::Paired));
    assert_eq!(design(&base, &base), Design::Separate, "a run and itself");
    new.duet = side("b", Half::Candidate);
    assert_eq!(design(&base, &new), Design::Separate);

    let options = Options { names: ("./server".to_owned(), "./server".to_owned()), ..Options::default() };
    testing::invalidate(&mut base.cells[0].trials[0]);
    testing::invalidate(&mut new.cells[0].trials[1]);
    new.partial = true;
    for (design, candidate) in [(Design::Paired, "the candidate"), (Design::Separate, "the new run")] {
        let comparison = compare(&base, &new, design, &options).unwrap();
        let of = |who: &str| format!("websocket: 1 of 10 trials of {who}: INVALID: x");
        assert_eq!(comparison.left_out, [of("the base"), of(candidate)]);
        assert!(comparison.remarks()[0].starts_with(&format!("{candidate} is partial")), "{:?}", comparison.remarks());
    }
    base.cells[0].trials.truncate(1);
    assert!(refused(&base, &new, &options).to_string().contains("in the base can be trusted"));
}

#[test]
fn what_is_many_times_as_much_is_said_as_a_multiple() {
    let far = judged(&about(1.0, 1), &about(45.3, 2));
    let words = row(&far, Metric::P50).words(&far);
    assert!(words.contains(" p50 ×45.") && words.contains("[95 % CI ×4") && !words.contains("× %"), "{words}");
    let one = compare(&run_of(&[1.0]), &run_of(&[2.0]), Design::Paired, &Options::default()).unwrap();
    let words = row(&one, Metric::P50).words(&one);
    assert!(words.contains("n=1 pair") && !words.contains("n=1 pairs"), "{words}");
}

#[test]
fn cpu_over_nothing_is_not_called_cpu_that_nobody_counted() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    let trial = &mut new.cells[0].trials[0];
    trial.outcome.measure = Counters { scheduled: MESSAGES, skipped: MESSAGES, ..Counters::default() };
    let left_out = judged(&base, &new).left_out;
    let cpu = left_out.iter().find(|line| line.contains("cpu-per-message")).unwrap();
    assert!(cpu.ends_with("in a trial nothing was delivered"), "{cpu}");
}

#[test]
fn trials_that_cant_be_trusted_are_left_out_and_listed() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    for trial in &mut new.cells[0].trials[..2] {
        set_latency(trial, 9.0);
        testing::invalidate(trial);
    }
    new.cells[0].trials[2].outcome.interrupted = true;
    new.cells[0].trials[3].failure = Some("no session could be opened".to_owned());
    new.partial = true;
    new.aborted = Some("errors == 0 was broken".to_owned());
    let comparison = judged(&base, &new);
    assert_eq!((comparison.base.trials, comparison.new.trials), (10, 6));
    assert_eq!(
        comparison.left_out,
        [
            "websocket: 2 of 10 trials of new: INVALID: x",
            "websocket: 1 of 10 trials of new: interrupted",
            "websocket: 1 of 10 trials of new: failed: no session could be opened",
        ]
    );
    let remarks = comparison.remarks();
    assert!(
        remarks.contains(&"new is partial: it was interrupted, or lost a process or an agent".to_owned()),
        "{remarks:?}"
    );
    assert!(remarks.contains(&"new ended early: errors == 0 was broken".to_owned()), "{remarks:?}");
    let mirrored = judged(&new, &base).remarks();
    assert!(mirrored.contains(&"base ended early: errors == 0 was broken".to_owned()), "{mirrored:?}");
    assert_eq!(verdict(&comparison, Metric::P50), Verdict::NoChange);
}

#[test]
fn runs_without_a_trial_to_judge_by_are_refused_in_words() {
    let options = Options::default();
    let (good, mut bad) = (about(1.0, 1), about(1.0, 2));
    bad.cells[0].trials.iter_mut().for_each(testing::invalidate);
    let error = refused(&good, &bad, &options);
    assert!(matches!(&error, NotComparable::Untrusted { side, .. } if side == "new"), "{error:?}");
    assert!(error.to_string().contains("--arms"), "{error}");
    assert!(matches!(refused(&bad, &good, &options), NotComparable::Untrusted { side, .. } if side == "base"));
    let mut failed = good.clone();
    failed.cells[0].trials.iter_mut().for_each(|trial| trial.failure = Some("refused".to_owned()));
    assert!(matches!(refused(&good, &failed, &options), NotComparable::Failed { .. }));
    let mut empty = good.clone();
    empty.cells[0].trials.clear();
    assert_eq!(refused(&empty, &good, &options), NotComparable::Empty("base".to_owned()));
    assert_eq!(refused(&good, &testing::capacity(), &options), NotComparable::Search("new".to_owned()));
    let mut other = good.clone();
    other.cells[0].arm = "tcp".to_owned();
    assert!(refused(&good, &other, &options).to_string().contains("base has websocket, new has tcp"));
}

#[test]
fn an_arm_that_gates_nothing_may_be_unusable() {
    let (mut base, mut new) = (about(1.0, 1), about(1.0, 2));
    for document in [&mut base, &mut new] {
        let other = about(1.0, 5).cells.remove(0);
        document.cells.push(crate::result::Cell { arm: "tcp".to_owned(), ..other });
    }
    new.cells[1].trials.iter_mut().for_each(testing::invalidate);
    assert!(matches!(refused(&base, &new, &Options::default()), NotComparable::Untrusted { .. }));
    let options = Options { arms: vec!["websocket".to_owned()], ..Options::default() };
    let comparison = compare(&base, &new, Design::Separate, &options).unwrap();
    assert_eq!(comparison.verdict, Verdict::NoChange);
    assert!(comparison.left_out.iter().any(|line| line.starts_with("tcp: not compared")), "{:?}", comparison.left_out);
}

/// What is found to differ when `to` stands at `pointer` of the plan.
fn differing(pointer: &str, to: Value) -> Vec<String> {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    new.plan.pointer_mut(parent).unwrap()[key] = to;
    differences_of(&base, &new)
}

fn differences_of(base: &Document, new: &Document) -> Vec<String> {
    match compare(base, new, Design::Separate, &Options::default()) {
        Err(NotComparable::Differs(differences)) => differences.iter().map(Difference::to_string).collect(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => Vec::new(),
    }
}

#[test]
fn what_changes_a_measurement_makes_runs_incomparable() {
    for (pointer, to, expected) in [
        ("/cells/0/load/sessions", json!(400), "load.sessions of websocket: 200 → 400"),
        ("/cells/0/load/workers", json!(2), "load.workers of websocket: none → 2"),
        ("/cells/0/load/spin", json!(true), "load.spin of websocket: none → true"),
        ("/cells/0/workload", json!({"chat": {"rooms": 3}}), "workload of websocket: echo → chat"),
        ("/cells/0/transport", json!({"tcp": {}}), "transport of websocket: websocket → tcp"),
        (
            "/cells/0/transport/websocket",
            json!({"engine": "tungstenite"}),
            "transport.websocket.engine of websocket: native → tungstenite",
        ),
        (
            "/cells/0/load/schedule",
            json!({"stages": [{"from": "500/s", "to": "900/s"}]}),
            "load.schedule.stages[0].to of websocket: 500/s → 900/s",
        ),
        ("/embedded/hold", json!("5s"), "embedded.hold: 25s → 5s"),
        ("/embedded/oracle", json!({"reply_delay": "20ms"}), "embedded.oracle.reply_delay: none → 20ms"),
    ] {
        assert_eq!(differing(pointer, to), [expected], "{pointer}");
    }
}

#[test]
fn what_changes_no_measurement_doesnt_count() {
    for (pointer, to) in [
        ("/name", json!("other")),
        ("/description", json!("of it")),
        ("/seed", json!(9)),
        ("/trials", json!(20)),
        ("/reference", json!("websocket")),
        ("/output", json!({"charts": false})),
        ("/omitted", json!([{"arm": "udp"}])),
        ("/cells/0/load/schedule/seed", json!(9)),
        ("/cells/0/load/spin", json!(false)),
        ("/cells/0/load/source_ips", json!([])),
        ("/embedded/oracle/seed", json!(9)),
        ("/embedded/oracle/log", json!("held.csv")),
    ] {
        assert_eq!(differing(pointer, to), [] as [String; 0], "{pointer}");
    }
}

#[test]
fn of_a_target_counts_what_it_speaks_and_whether_it_is_here() {
    let at = |target: &str| {
        let mut document = about(1.0, 1);
        document.cells[0].target = target.to_owned();
        document.plan["embedded"]["hold"] = json!(target);
        document
    };
    let differ = |base: &str, new: &str| differences_of(&at(base), &at(new));
    assert_eq!(differ("ws://127.0.0.1:9001/a", "ws://localhost:7/b?token=x"), [] as [String; 0]);
    assert_eq!(differ("ws://[::1]:9001/a", "ws://user@127.0.0.1/"), [] as [String; 0]);
    assert_eq!(differ("wss://a.example/", "wss://b.example:444/"), [] as [String; 0]);
    assert_eq!(
        differ("ws://127.0.0.1:1/", "wss://127.0.0.1:1/"),
        ["target of websocket: ws on the loopback → wss on the loopback"]
    );
    assert_eq!(
        differ("embedded", "ws://a.example/"),
        ["target of websocket: embedded → ws over a network"],
        "and how the embedded one is, isn't asked"
    );
}

#[test]
fn the_machine_must_be_the_same() {
    let base = about(1.0, 1);
    let with = |change: fn(&mut crate::result::Host)| {
        let mut new = about(1.0, 2);
        change(&mut new.meta.host);
        differences_of(&base, &new)
    };
    assert_eq!(with(|host| host.kernel = "6.13.0".to_owned()), ["kernel: 6.12.0 → 6.13.0"]);
    assert_eq!(with(|host| host.cores = 4), ["cores: 2 → 4"]);
    assert_eq!(with(|host| host.os.clear()), ["operating system: Debian GNU/Linux 13 → unknown"]);
    assert_eq!(with(|host| host.cpu_model = "Other".to_owned()).len(), 1);
    assert_eq!(with(|host| host.memory_bytes = 4 << 30), ["memory: 8192 MiB → 4096 MiB"]);
    assert_eq!(with(|host| host.memory_bytes += 300 << 20), [] as [String; 0]);
    assert_eq!(with(|host| host.open_files_limit = 1), [] as [String; 0]);
}

#[test]
fn the_fleet_must_be_as_many_machines_of_as_many_cores() {
    let with = |cores: &[u64]| {
        let mut run = about(1.0, 2);
        let agent = |cores: &u64| crate::result::AgentPart { cores: *cores, ..Default::default() };
        run.cells[0].trials[0].agents = cores.iter().map(agent).collect();
        run
    };
    assert_eq!(differences_of(&with(&[2, 8, 2]), &with(&[8, 2, 2])), [] as [String; 0], "whatever their names");
    assert_eq!(differences_of(&with(&[]), &with(&[2, 8, 2])), ["agents: none → 2 of 2 cores, 1 of 8 cores"]);
    assert_eq!(differences_of(&with(&[2]), &with(&[4])), ["agents: 1 of 2 cores → 1 of 4 cores"]);
}

#[test]
fn times_that_were_left_out_are_not_judged_and_it_is_said_why() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    let trial = &mut new.cells[0].trials[0];
    trial.outcome.histograms.remove(crate::measure::Metric::ResponseTime);
    let reason = "two clocks".to_owned();
    trial.absent = vec![crate::result::Absent { metric: crate::measure::Metric::ResponseTime, reason }];
    let comparison = compare(&base, &new, Design::Separate, &Options::default()).unwrap();
    assert!(comparison.rows.iter().all(|row| !matches!(row.metric, Metric::P50 | Metric::P99)));
    let said: Vec<&String> = comparison.left_out.iter().filter(|words| words.contains("two clocks")).collect();
    assert_eq!(said.len(), 2, "{:?}", comparison.left_out);
}

#[test]
fn the_same_difference_of_many_arms_is_one_line() {
    let (mut base, mut new) = (about(1.0, 1), about(1.0, 2));
    for (document, sessions) in [(&mut base, 100), (&mut new, 300)] {
        let other = crate::result::Cell { arm: "b".to_owned(), ..document.cells[0].clone() };
        document.cells.push(other);
        document.plan["cells"] = json!([
            {"arm": "websocket", "load": {"sessions": sessions}},
            {"arm": "b", "load": {"sessions": sessions}},
        ]);
    }
    assert_eq!(differences_of(&base, &new), ["load.sessions of websocket, b: 100 → 300"]);
}

#[test]
fn what_is_forced_keeps_what_differs() {
    let (base, mut new) = (about(1.0, 1), about(1.12, 2));
    new.meta.host.kernel = "6.13.0".to_owned();
    new.meta.wsbench_version = "0.2.0".to_owned();
    let error = refused(&base, &new, &Options::default()).to_string();
    assert!(error.contains("\n  kernel: 6.12.0 → 6.13.0\n") && error.contains("--force"), "{error}");
    let options = Options { force: true, ..Options::default() };
    let forced = compare(&base, &new, Design::Separate, &options).unwrap();
    assert_eq!((forced.differences.len(), forced.verdict), (1, Verdict::Regression));
    let remarks = forced.remarks().join("\n");
    assert!(remarks.contains("forced") && remarks.contains("wsbench 0.1.0 and by 0.2.0"), "{remarks}");
}

#[test]
fn before_a_run_its_plan_is_enough() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 2));
    new.cells[0].trials.clear();
    assert_eq!(prepare(&base, &new, &Options::default()), Ok(Vec::new()));
    new.plan["cells"][0]["load"]["sessions"] = json!(1);
    assert!(matches!(prepare(&base, &new, &Options::default()), Err(NotComparable::Differs(_))));
}

#[test]
fn a_comparison_survives_its_file() {
    let (base, mut new) = (about(1.0, 1), about(1.0, 1));
    new.cells[0].trials.iter_mut().for_each(|trial| lose(trial, 30));
    base.cells[0].trials.iter().for_each(|trial| assert_eq!(trial.kernel, None::<KernelMemory>));
    new.cells[0].transport = "udp".to_owned();
    let mut comparison = judged(&base, &new);
    comparison.rows[1].effect = comparison.rows[0].effect.map(|effect| Effect { ratio: f64::INFINITY, ..effect });
    comparison.rows.iter_mut().skip(2).for_each(|row| row.effect = None);
    let effects = comparison.rows.iter_mut().filter_map(|row| row.effect.as_mut());
    effects.for_each(|effect| (effect.ci95, effect.ci90) = ((Some(1.5), None), (None, Some(0.25))));
    let text = serde_json::to_string(&comparison).unwrap();
    assert!(text.contains("\"ratio\":\"inf\"") && text.contains("[\"inf\",\"inf\","), "{text}");
    let again: Comparison = serde_json::from_str(&text).unwrap();
    assert_eq!((&again.rows[1].new, again.rows[1].effect.unwrap().ratio), (&comparison.rows[1].new, f64::INFINITY));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["rows"][1]["effect"]["ci95"], json!([1.5, null]));
}

/// Rows of nothing but noise, and of an effect that all of them have.
fn drawn(gated: usize, n: usize, noise: f64, effect: f64, seed: u64) -> Vec<(Row, judge::By)> {
    static TEMPLATE: LazyLock<Row> = LazyLock::new(|| judged(&about(1.0, 1), &about(1.0, 2)).rows.remove(0));
    (0..gated as u64)
        .map(|at| {
            let base = noisy(n, noise, 1_000_003 * seed + 2 * at);
            let new = noisy(n, noise, 1_000_003 * seed + 2 * at + 1).iter().map(|value| value * effect).collect();
            (Row { base, new, ..TEMPLATE.clone() }, judge::By::Ranks)
        })
        .collect()
}

/// Share of so many comparisons in which the whole is `verdict`.
fn share(verdict: Verdict, times: u64, draw: impl Fn(u64) -> Vec<(Row, judge::By)>, design: Design) -> f64 {
    let is_it = |seed: &u64| {
        let mut rows = draw(*seed);
        judge::judge(&mut rows, design, &Rules::default());
        judge::whole(rows.iter().map(|(row, _)| row)) == verdict
    };
    (0..times).filter(is_it).count() as f64 / times as f64
}

#[test]
fn of_runs_that_differ_in_nothing_few_are_called_regressions() {
    for (gated, n, noise, times, design) in
        [(4, 10, 0.1, 600, Design::Paired), (1, 12, 0.05, 600, Design::Paired), (3, 7, 0.2, 200, Design::Separate)]
    {
        // The bound is 5 % and three standard errors.
        let margin = 3.0 * (0.05f64 * 0.95 / times as f64).sqrt();
        let alarms = share(Verdict::Regression, times, |seed| drawn(gated, n, noise, 1.0, seed), design);
        assert!(alarms <= 0.05 + margin, "{gated} rows, n = {n}, {design:?}: {alarms}");
    }
}

#[test]
fn of_runs_that_differ_by_five_per_cent_most_are_found() {
    // Noise of 5 % of a pair's ratio is 3.5 % of either side's value.
    let noise = 0.05 / 2f64.sqrt();
    for (gated, n, power) in [(1, 20, 0.9), (4, 20, 0.9), (1, 10, 0.7)] {
        let found = share(Verdict::Regression, 100, |seed| drawn(gated, n, noise, 1.05, seed), Design::Paired);
        assert!(found >= power, "{gated} rows, n = {n}: {found}");
    }
}
