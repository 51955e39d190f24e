//! A comparison as test cases: one a gated row, and one a threshold of the new run.

use super::run::{of_thresholds, properties};
use super::{Case, Outcome, Suite};
use crate::result::Document;
use crate::verdict::{Comparison, Row, Verdict};

/// `new` is the run that was held against the other.
pub fn of_comparison(comparison: &Comparison, new: &Document) -> String {
    let mut properties = properties(new);
    properties.push(("base", comparison.base.name.clone()));
    properties.push(("new", comparison.new.name.clone()));
    properties.extend(comparison.differences.iter().map(|difference| ("differs", difference.to_string())));
    let gated = comparison.rows.iter().filter(|row| row.is_gated);
    // A suite without a case looks as if all were well.
    let nothing = comparison.unjudged().map(|why| Case {
        class: comparison.scenario.clone(),
        name: "something was judged".to_owned(),
        outcome: Outcome::Error("NOT JUDGED", why),
    });
    Suite {
        name: comparison.scenario.clone(),
        started: comparison.new.started.clone(),
        properties,
        cases: nothing.into_iter().chain(gated.map(|row| of_row(comparison, row))).chain(of_thresholds(new)).collect(),
    }
    .xml()
}

fn of_row(comparison: &Comparison, row: &Row) -> Case {
    let note = row.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
    let words = format!("{}{note}", row.words(comparison));
    Case {
        class: format!("{}.{}/{}", comparison.scenario, row.workload, row.arm),
        name: row.metric.name().to_owned(),
        outcome: match row.verdict {
            Verdict::Regression => Outcome::Failed(row.verdict.words(), words),
            Verdict::Inconclusive => Outcome::Skipped(words),
            Verdict::Improvement | Verdict::NoChange => Outcome::Passed(Some(words)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::comparison::testing;
    use crate::result::testing::document;

    #[test]
    fn a_regression_fails_and_what_can_not_be_told_is_skipped() {
        let mut new = document();
        new.thresholds = vec![crate::threshold::Hold { hold: "tcp: p50 < 1h".parse().unwrap(), abort: false }];
        let xml = of_comparison(&testing::comparison(), &new);
        assert!(
            xml.contains("<testsuite name=\"chat\" tests=\"7\" failures=\"2\" errors=\"0\" skipped=\"1\""),
            "{xml}"
        );
        assert!(
            xml.contains("<failure type=\"REGRESSION\" message=\"REGRESSION chat/websocket p99 +11.8 % ["),
            "{xml}"
        );
        assert!(xml.contains("<skipped message=\"INCONCLUSIVE chat/sse p99 "), "{xml}");
        assert!(!xml.contains("framing-per-message"), "{xml}");
    }

    #[test]
    fn where_nothing_was_judged_the_suite_is_not_green() {
        let mut nothing = testing::comparison();
        nothing.rows.iter_mut().for_each(|row| row.is_gated = false);
        let xml = of_comparison(&nothing, &document());
        assert!(
            xml.contains("tests=\"1\" failures=\"0\" errors=\"1\"") && xml.contains("type=\"NOT JUDGED\""),
            "{xml}"
        );
    }

    #[test]
    fn a_target_that_failed_is_a_case_that_fails() {
        let (base, mut new) = (crate::verdict::testing::run_of(&[1.0; 3]), crate::verdict::testing::run_of(&[1.0; 3]));
        new.cells[0].trials[2].failure = Some("every session had ended".to_owned());
        let options = crate::verdict::Options::default();
        let comparison = crate::verdict::compare(&base, &new, crate::verdict::Design::Separate, &options).unwrap();
        let xml = of_comparison(&comparison, &new);
        let words =
            "REGRESSION echo/websocket failed-trials n=3+3 trials (the target failed in 0 of 3 trials of the base";
        assert!(
            xml.contains(&format!("<failure type=\"REGRESSION\" message=\"{words}, in 1 of 3 of the new run)")),
            "{xml}"
        );
    }
}
