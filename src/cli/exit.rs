//! Exit codes, a contract with scripts: a tool that failed and a product that regressed never share one.

use crate::bus::BusError;
use crate::result::{ArmCapacity, Document, End, Trial};
use crate::verdict::{Comparison, NotComparable, Verdict, thresholds};
use std::process::ExitCode;

/// How a command ended. The numbers 99, 104 and 105 are k6's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    /// Could not be done: target unreachable, I/O.
    Failed = 1,
    /// The command line is wrong in a way that the argument parser can't see.
    Usage = 2,
    /// Two runs that can't be held against each other.
    NotComparable = 94,
    /// The generator was the bottleneck.
    Invalid = 95,
    /// Worse than what it was judged by.
    Regression = 96,
    /// Nobody can tell whether it is, and that was asked to be a failure.
    Inconclusive = 97,
    /// A threshold was broken, or nobody can tell.
    Threshold = 99,
    BadScenario = 104,
    /// What was measured is saved and marked partial: someone interrupted it, or a process of the run was lost.
    Interrupted = 105,
}

/// Whether a trial connected nobody, broke off, or completed nothing of what it scheduled.
pub(super) fn did_nothing(trial: &Trial) -> bool {
    let counters = trial.outcome.measure;
    let is_empty = counters.scheduled > 0 && counters.delivered + counters.late == 0;
    trial.failure.is_some() || (is_empty && !trial.outcome.interrupted)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// Of what could not be done. Where the bus is, and who we are there, is part of the command line.
    pub(super) fn of_error(error: &anyhow::Error) -> Exit {
        match error.downcast_ref() {
            Some(BusError::Settings(_)) => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// The first of two that applies, in the order 104, 1, 105, 95, 94, 99, 96, 97, 0.
    pub(super) fn or(self, other: Exit) -> Exit {
        let place = |exit: Exit| match exit {
            Exit::Usage => 0,
            Exit::BadScenario => 1,
            Exit::Failed => 2,
            Exit::Interrupted => 3,
            Exit::Invalid => 4,
            Exit::NotComparable => 5,
            Exit::Threshold => 6,
            Exit::Regression => 7,
            Exit::Inconclusive => 8,
            Exit::Done => 9,
        };
        if place(self) <= place(other) { self } else { other }
    }

    /// Of a comparison. One in which nothing counts has compared nothing.
    pub(super) fn of_comparison(comparison: &Comparison, is_strict: bool) -> Exit {
        match comparison.verdict {
            _ if comparison.unjudged().is_some() => Exit::NotComparable,
            Verdict::Regression => Exit::Regression,
            Verdict::Inconclusive if is_strict => Exit::Inconclusive,
            Verdict::Inconclusive | Verdict::Improvement | Verdict::NoChange => Exit::Done,
        }
    }

    /// Of one that could not be made.
    pub(super) fn of_refusal(problem: &NotComparable) -> Exit {
        match problem {
            NotComparable::Failed { .. } => Exit::Failed,
            NotComparable::Untrusted { .. } => Exit::Invalid,
            NotComparable::NoSuchArm { .. } => Exit::Usage,
            NotComparable::Differs(_)
            | NotComparable::Search(_)
            | NotComparable::Empty(_)
            | NotComparable::NothingInCommon { .. }
            | NotComparable::NothingToJudge(_) => Exit::NotComparable,
        }
    }

    /// The first that applies, in the order 1, 105, 95, 99, 0. Some sessions failing is not a failure of the run: that is for
    /// the counts to say. An arm that connected nobody or completed nothing is.
    pub(super) fn of(document: &Document) -> Exit {
        if let Some(capacity) = &document.capacity {
            return Exit::of_search(document, &capacity.arms);
        }
        let mut trials = document.cells.iter().flat_map(|cell| &cell.trials);
        let failed = document.cells.iter().any(|cell| !cell.trials.is_empty() && cell.trials.iter().all(did_nothing));
        match () {
            () if failed => Exit::Failed,
            () if document.partial => Exit::Interrupted,
            () if trials.any(|trial| !trial.invalid.is_empty()) => Exit::Invalid,
            () if thresholds::check(document).iter().any(|checked| checked.outcome.fails()) => Exit::Threshold,
            () => Exit::Done,
        }
    }

    /// Trials at loads that are too high may fail, and INVALID ones say where the generator ends: neither spoils a search.
    /// An arm that never completed anything does, and so does a generator that was the limit for every arm, since then
    /// nothing was found out of any target.
    fn of_search(document: &Document, arms: &[ArmCapacity]) -> Exit {
        let trials = |arm: &str| {
            document.cells.iter().filter(|cell| cell.arm == arm).flat_map(|cell| &cell.trials).collect::<Vec<_>>()
        };
        let is_dead = |arm: &ArmCapacity| {
            let trials = trials(&arm.arm);
            !trials.is_empty() && trials.into_iter().all(did_nothing)
        };
        match () {
            () if arms.iter().any(is_dead) => Exit::Failed,
            () if document.partial => Exit::Interrupted,
            () if arms.iter().all(|arm| arm.end == Some(End::GeneratorLimit)) => Exit::Invalid,
            () => Exit::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn of_two_the_first_in_the_order_applies() {
        let order = [104, 1, 105, 95, 94, 99, 96, 97, 0];
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::NotComparable,
            Exit::Invalid,
            Exit::Regression,
            Exit::Inconclusive,
            Exit::Threshold,
            Exit::BadScenario,
            Exit::Interrupted,
        ];
        let place = |exit: Exit| order.iter().position(|code| *code == exit as u8).unwrap();
        for (one, other) in all.iter().flat_map(|one| all.map(|other| (*one, other))) {
            assert_eq!(place(one.or(other)), place(one).min(place(other)), "{one:?}, {other:?}");
        }
    }

    #[test]
    fn a_broken_threshold_comes_after_everything_that_spoils_a_run() {
        let mut document = testing::document();
        let cells = document.cells.iter_mut();
        cells.for_each(|cell| cell.trials.retain(|trial| trial.invalid.is_empty()));
        let hold = |text: &str| crate::threshold::Hold { hold: text.parse().unwrap(), abort: false };
        document.thresholds = vec![hold("p50 < 1h"), hold("elsewhere: p50 < 1ns")];
        assert_eq!(Exit::of(&document), Exit::Done);
        document.thresholds.push(hold("websocket: p99.9 < 1h"));
        assert_eq!(Exit::of(&document), Exit::Threshold, "not measurable");
        document.thresholds = vec![hold("websocket: p50 < 1ns")];
        document.aborted = Some("why".to_owned());
        assert_eq!(Exit::of(&document), Exit::Threshold);
        testing::invalidate(&mut document.cells[1].trials[0]);
        assert_eq!(Exit::of(&document), Exit::Invalid);
        document.partial = true;
        assert_eq!(Exit::of(&document), Exit::Interrupted);
    }
}
