//! What can count for a verdict at all, as far as that is known before a run: no hour should go by for nothing to be judged.

use super::Metric;
use super::comparable::in_both;
use super::compare::{MEETING, NotComparable, Options, is_complete};
use super::values::{few_samples, samples, samples_needed};
use crate::result::{Cell, Document, Trial};

/// What is known of an arm before it runs, or before it runs again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    pub arm: String,
    /// Its kind, such as `sse`.
    pub transport: String,
    /// Deliveries of a trial, at most; `None`: nobody can say.
    pub samples: Option<u64>,
    /// Trials of the side that will have fewer.
    pub trials: u32,
    /// Whether both sides may come to know what the target costs.
    pub is_target_known: bool,
}

/// Whether any row can count for the verdict.
///
/// # Errors
/// None can, with the reason of each.
pub fn foresee(arms: &[Foreseen], options: &Options) -> Result<(), NotComparable> {
    let mut reasons = Vec::new();
    for arm in arms.iter().filter(|arm| options.arms.is_empty() || options.arms.contains(&arm.arm)) {
        for metric in &options.metrics {
            match why_not(*metric, arm) {
                Some(why) => reasons.push(format!("{} {}: {why}", arm.arm, metric.name())),
                None => return Ok(()),
            }
        }
    }
    Err(NotComparable::NothingToJudge(reasons))
}

/// What a run of so many trials of each arm will have, that is to be judged by `base`; `new` is its document without a trial.
pub fn foreseen(base: &Document, new: &Document, trials: u32) -> Vec<Foreseen> {
    in_both(base, new).into_iter().map(|(base, new)| of_cells(base, new, trials)).collect()
}

fn of_cells(base: &Cell, new: &Cell, trials: u32) -> Foreseen {
    let complete: Vec<&Trial> = base.trials.iter().filter(|trial| is_complete(trial)).collect();
    Foreseen {
        arm: new.arm.clone(),
        transport: new.transport.clone(),
        samples: complete.iter().map(|trial| samples(trial)).min(),
        trials: trials.min(complete.len() as u32),
        is_target_known: new.target == "embedded" && complete.iter().all(|trial| trial.target.is_some()),
    }
}

/// Why a metric of this arm can't count.
fn why_not(metric: Metric, arm: &Foreseen) -> Option<String> {
    let lacks = |needed: u64| arm.samples.is_some_and(|samples| samples < needed);
    let too_few = |q: f64| lacks(samples_needed(q)).then(|| few_samples(q));
    match metric {
        Metric::P50 => too_few(0.5),
        Metric::P99 => too_few(0.99),
        Metric::DeliveredRate => lacks(1).then(|| "nothing is scheduled".to_owned()),
        Metric::CpuPerMessage => {
            (!arm.is_target_known).then(|| "the CPU of a server that isn't started here can't be seen".to_owned())
        }
        Metric::FramingPerMessage if MEETING.contains(&&*arm.transport) => {
            Some("depends on how messages meet".to_owned())
        }
        Metric::FramingPerMessage => (arm.trials < 2).then(|| "one trial can't show that it is always so".to_owned()),
        Metric::FailedTrials => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run_of;
    use super::*;
    use std::slice::from_ref;

    fn arm() -> Foreseen {
        Foreseen {
            arm: "a".to_owned(),
            transport: "websocket".to_owned(),
            samples: Some(1_000),
            trials: 2,
            is_target_known: true,
        }
    }

    fn reasons(arms: &[Foreseen], metrics: &[Metric]) -> Vec<String> {
        let options = Options { metrics: metrics.to_vec(), ..Options::default() };
        match foresee(arms, &options) {
            Ok(()) => Vec::new(),
            Err(NotComparable::NothingToJudge(reasons)) => reasons,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_can_count_needs_no_more_than_it_takes() {
        for metric in Metric::ALL {
            assert!(reasons(&[arm()], &[metric]).is_empty(), "{metric:?}");
        }
        let few = Foreseen { samples: Some(999), ..arm() };
        assert!(
            reasons(from_ref(&few), &[Metric::P99])[0].starts_with("a p99: a trial has fewer than the 1000 deliveries")
        );
        assert!(reasons(from_ref(&few), &[Metric::P99, Metric::P50]).is_empty());
        assert!(reasons(&[few.clone(), arm()], &[Metric::P99]).is_empty(), "one arm has enough");
        let unknown = Foreseen { samples: None, ..arm() };
        assert!(reasons(&[unknown], &[Metric::P99]).is_empty(), "nobody can say");
        let elsewhere = Foreseen { is_target_known: false, ..few };
        assert_eq!(reasons(&[elsewhere], &[Metric::P99, Metric::CpuPerMessage]).len(), 2);
        let polling = Foreseen { transport: "sse".to_owned(), ..arm() };
        assert!(reasons(&[polling], &[Metric::FramingPerMessage])[0].contains("how messages meet"));
        assert_eq!(reasons(&[Foreseen { trials: 1, ..arm() }], &[Metric::FramingPerMessage]).len(), 1);
    }

    #[test]
    fn an_arm_that_is_not_asked_about_saves_nothing() {
        let few = Foreseen { arm: "b".to_owned(), samples: Some(1), ..arm() };
        let options = Options { arms: vec!["b".to_owned()], metrics: vec![Metric::P99], ..Options::default() };
        assert!(foresee(&[arm(), few], &options).is_err());
    }

    #[test]
    fn a_base_tells_what_the_run_after_it_will_have() {
        let base = run_of(&[1.0; 3]);
        let mut new = base.clone();
        new.cells[0].trials.clear();
        let of = |base: &Document| foreseen(base, &new, 5).remove(0);
        let seen = of(&base);
        assert_eq!((seen.samples, seen.trials, seen.is_target_known), (Some(1_500), 3, true));
        let mut blind = base.clone();
        blind.cells[0].trials[1].target = None;
        assert!(!of(&blind).is_target_known);
    }
}
