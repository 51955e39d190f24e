//! A run as test cases: for each arm whether messages were answered and whether the generator could be trusted, and each
//! threshold.

use super::{Case, Outcome, Suite};
use crate::result::{Cell, Document, Finding};
use crate::verdict::thresholds::{self, Outcome as Kept};

pub fn of_run(document: &Document) -> String {
    let name = &document.scenario.name;
    let mut cases = vec![Case {
        class: name.clone(),
        name: "the run went to its end".to_owned(),
        outcome: match &document.aborted {
            _ if document.partial => {
                Outcome::Error("partial", "the run was interrupted, or lost a process or an agent".to_owned())
            }
            Some(why) => Outcome::Failed("aborted", why.clone()),
            None => Outcome::Passed(None),
        },
    }];
    match &document.capacity {
        // Loads that fail and INVALID trials are what a search looks for.
        Some(capacity) => cases.extend(capacity.arms.iter().map(|arm| Case {
            class: format!("{name}.{}", arm.arm),
            name: format!("capacity under {}", capacity.slo),
            outcome: Outcome::Passed(Some(format!("{}; {}", capacity.words(arm), capacity.end_words(arm)))),
        })),
        None => cases.extend(document.cells.iter().flat_map(|cell| of_cell(name, cell))),
    }
    cases.extend(of_thresholds(document));
    Suite { name: name.clone(), started: document.meta.started.clone(), properties: properties(document), cases }.xml()
}

/// What ran, for who finds the file alone.
pub(super) fn properties(document: &Document) -> Vec<(&'static str, String)> {
    let meta = &document.meta;
    let mut properties = vec![
        ("wsbench", meta.wsbench_version.clone()),
        ("plan", document.plan_hash.clone()),
        ("kernel", meta.host.kernel.clone()),
        ("processor", meta.host.cpu_model.clone()),
    ];
    properties.extend(meta.git_revision.clone().map(|revision| ("git revision", revision)));
    properties
}

/// A case for each threshold and arm.
pub(super) fn of_thresholds(document: &Document) -> impl Iterator<Item = Case> {
    let checked = thresholds::check(document).into_iter();
    checked.map(|checked| {
        let words = checked.measured_in_words();
        Case {
            class: format!("{}.thresholds/{}", document.scenario.name, checked.arm),
            outcome: match checked.outcome {
                Kept::Held => Outcome::Passed(Some(words)),
                Kept::Broken | Kept::NotMeasurable => {
                    let kind = checked.outcome.words();
                    Outcome::Failed(kind, format!("{kind}: {}: {words}", checked.threshold))
                }
                Kept::Void => Outcome::Skipped(words),
            },
            name: checked.threshold,
        }
    })
}

fn of_cell(scenario: &str, cell: &Cell) -> [Case; 2] {
    let case = |name: &str, outcome| Case {
        class: format!("{scenario}.{}/{}", cell.workload, cell.arm),
        name: name.to_owned(),
        outcome,
    };
    [case("messages were answered", answered(cell)), case("the generator could be trusted", trusted(cell))]
}

fn answered(cell: &Cell) -> Outcome {
    let summary = cell.summary();
    let counts = &summary.counters;
    let seen = format!(
        "{} of {} expected deliveries came; {} skipped, {} late, {} lost, {} unfinished, {} errors",
        counts.delivered.saturating_add(counts.late),
        counts.expected,
        counts.skipped,
        counts.late,
        counts.lost,
        counts.unfinished,
        summary.errors.values().fold(0, |sum, n| n.saturating_add(sum))
    );
    match summary.failures.as_slice() {
        [] if cell.trials.is_empty() => Outcome::Skipped("no trial was run".to_owned()),
        [] if counts.scheduled > 0 && counts.delivered.saturating_add(counts.late) == 0 => {
            Outcome::Failed("silence", seen)
        }
        [] => Outcome::Passed(Some(seen)),
        failures => Outcome::Failed("stopped", format!("{}; {seen}", failures.join("; "))),
    }
}

fn trusted(cell: &Cell) -> Outcome {
    let is_invalid = |t: &&crate::result::Trial| !t.invalid.is_empty();
    let invalid: Vec<_> = cell.trials.iter().filter(is_invalid).collect();
    let words = |Finding { message, advice, .. }: &Finding| format!("{message}; {advice}");
    match invalid.as_slice() {
        [] => Outcome::Passed(None),
        [first, ..] => Outcome::Error(
            "INVALID",
            format!(
                "INVALID in {} of {} trials, such as block {}: {}",
                invalid.len(),
                cell.trials.len(),
                first.block,
                first.invalid.iter().map(words).collect::<Vec<_>>().join("; ")
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn an_invalid_trial_is_an_error_and_a_stopped_one_a_failure() {
        let mut document = testing::document();
        let xml = of_run(&document);
        assert!(xml.contains("tests=\"15\" failures=\"0\" errors=\"1\" skipped=\"0\""), "{xml}");
        assert!(xml.contains("<error type=\"INVALID\" message=\"INVALID in 1 of 3 trials, such as block 1: "), "{xml}");
        document.cells[0].trials[0].failure = Some("the worker died".into());
        document.partial = true;
        document.cells[2].trials.clear();
        let xml = of_run(&document);
        assert!(xml.contains("failures=\"1\" errors=\"2\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("message=\"the worker died; "), "{xml}");
    }

    #[test]
    fn thresholds_are_cases_and_what_nobody_can_tell_fails() {
        let mut document = testing::document();
        let hold = |text: &str| crate::threshold::Hold { hold: text.parse().unwrap(), abort: false };
        document.thresholds = ["websocket: p50 < 1h", "tcp: p50 < 1us", "sse: p99.9 < 1h"].map(hold).to_vec();
        let xml = of_run(&document);
        assert!(xml.contains("tests=\"18\" failures=\"2\" errors=\"1\""), "{xml}");
        assert!(xml.contains("<failure type=\"BROKEN\" message=\"BROKEN: tcp: p50 &lt; 1us: 20.2 ms\">"), "{xml}");
        assert!(xml.contains("<failure type=\"NOT MEASURABLE\""), "{xml}");
        assert!(
            xml.contains("<testcase classname=\"chat.thresholds/websocket\" name=\"websocket: p50 &lt; 1h\">"),
            "{xml}"
        );
    }

    #[test]
    fn an_arm_that_nobody_answered_failed() {
        let mut document = testing::document();
        for trial in &mut document.cells[0].trials {
            trial.outcome.measure.lost += std::mem::take(&mut trial.outcome.measure.delivered);
        }
        assert!(of_run(&document).contains("<failure type=\"silence\" message=\"0 of "));
    }
}
