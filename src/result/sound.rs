//! Whether the figures of a saved result can be those of a run: what a person or a broken program wrote over them would be
//! judged like any other.

use super::validity::UNBALANCED;
use super::{Cell, Document, Trial};
use crate::measure::Counters;

impl Document {
    /// # Errors
    /// The first place whose figures no run can have, and why.
    pub(super) fn check_figures(&self) -> Result<(), (String, String)> {
        for (c, cell) in self.cells.iter().enumerate() {
            let at = |field: &str| format!("cells[{c}]{field}");
            if let Some(first) = self.cells[..c].iter().position(|other| self.is_same(other, cell)) {
                let what = if self.capacity.is_some() { "arm and load" } else { "arm" };
                return Err((at(".arm"), format!("{:?} is the {what} of cells[{first}] already", cell.arm)));
            }
            if cell.load.rate < 0.0 {
                return Err((at(".load.rate"), format!("{} a second is no rate", cell.load.rate)));
            }
            for (t, trial) in cell.trials.iter().enumerate() {
                let at = |field: &str| at(&format!(".trials[{t}].outcome.{field}"));
                let outcome = &trial.outcome;
                if cell.load.duration == 0 && outcome.measured == 0 && outcome.measure.expected > 0 {
                    return Err((at("measured"), "nothing can be delivered in no time".to_owned()));
                }
                if let Some(name) = unsummed(trial) {
                    return Err((at(name), "the counts of the agents have another sum".to_owned()));
                }
                for (name, counters) in [("warmup", &outcome.warmup), ("measure", &outcome.measure)] {
                    if !counters.balance() && !is_known(trial) {
                        return Err((at(name), sums(counters)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether two cells claim to be the same.
    fn is_same(&self, one: &Cell, other: &Cell) -> bool {
        let load = |cell: &Cell| (cell.load.sessions, cell.load.rate.round() as u64);
        one.arm == other.arm && (self.capacity.is_none() || load(one) == load(other))
    }
}

/// Which counts are not those of the trial's agents together; `None`: all are, or there were no agents.
fn unsummed(trial: &Trial) -> Option<&'static str> {
    let parts = || trial.agents.iter().filter_map(|agent| agent.outcome.as_ref());
    let (mut warmup, mut measure) = (Counters::default(), Counters::default());
    parts().for_each(|part| {
        warmup += part.warmup;
        measure += part.measure;
    });
    match trial.agents.is_empty() {
        false if warmup != trial.outcome.warmup => Some("warmup"),
        false if measure != trial.outcome.measure => Some("measure"),
        _ => None,
    }
}

/// Whether the program that measured saw it itself, and said so.
fn is_known(trial: &Trial) -> bool {
    trial.warnings.iter().any(|finding| finding.code == UNBALANCED)
}

/// Which sum doesn't hold.
fn sums(counters: &Counters) -> String {
    let Counters { scheduled, sent, skipped, expected, delivered, late, lost, unfinished, .. } = counters;
    match sent.checked_add(*skipped) == Some(*scheduled) {
        false => format!("the sums don't hold: {sent} sent and {skipped} skipped are not {scheduled} scheduled"),
        true => format!(
            "the sums don't hold: {delivered} delivered, {late} late, {lost} lost and {unfinished} unfinished are not \
             {expected} expected"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    /// What is wrong once `edit` has been at a good result.
    fn edited(edit: impl Fn(&mut Document)) -> (String, String) {
        let mut document = testing::document();
        assert_eq!(document.check_figures(), Ok(()));
        edit(&mut document);
        document.check_figures().unwrap_err()
    }

    fn measure(document: &mut Document) -> &mut Counters {
        &mut document.cells[1].trials[2].outcome.measure
    }

    #[test]
    fn counts_that_no_run_can_have_are_told_with_their_place() {
        let (place, why) = edited(|document| measure(document).delivered = 1 << 63);
        assert_eq!(place, "cells[1].trials[2].outcome.measure");
        assert!(why.contains("9223372036854775808 delivered") && why.ends_with("expected"), "{why}");
        let (_, why) = edited(|document| measure(document).expected -= 1);
        assert!(why.starts_with("the sums don't hold"), "{why}");
        let (place, why) = edited(|document| document.cells[0].trials[0].outcome.warmup.sent = u64::MAX);
        assert!(place.ends_with(".warmup") && why.contains("18446744073709551615 sent"), "{place}: {why}");
    }

    #[test]
    fn what_the_program_itself_found_unbalanced_is_read() {
        let mut document = testing::document();
        measure(&mut document).delivered += 1;
        let warning = super::super::Finding {
            code: UNBALANCED.to_owned(),
            message: "the sums don't hold".to_owned(),
            advice: "tell us".to_owned(),
        };
        document.cells[1].trials[2].warnings.push(warning);
        assert_eq!(document.check_figures(), Ok(()));
    }

    #[test]
    fn an_arm_that_is_there_twice_and_a_rate_below_nothing_are_none() {
        let (place, why) = edited(|document| document.cells[2].arm = document.cells[0].arm.clone());
        assert_eq!((place.as_str(), why.as_str()), ("cells[2].arm", "\"websocket\" is the arm of cells[0] already"));
        assert_eq!(edited(|document| document.cells[3].load.rate = -5.0).0, "cells[3].load.rate");
        let timeless = |document: &mut Document| {
            document.cells[0].load.duration = 0;
            document.cells[0].trials[0].outcome.measured = 0;
        };
        assert_eq!(edited(timeless).0, "cells[0].trials[0].outcome.measured");
    }

    #[test]
    fn a_trial_counts_what_its_agents_counted() {
        let mut document = testing::fleet();
        assert_eq!(document.check_figures(), Ok(()));
        let trial = &mut document.cells[1].trials[0];
        trial.outcome.measure.duplicate += 1;
        let (place, why) = document.check_figures().unwrap_err();
        assert_eq!(place, "cells[1].trials[0].outcome.measure");
        assert_eq!(why, "the counts of the agents have another sum");
    }

    #[test]
    fn a_search_has_an_arm_once_for_each_load() {
        let mut document = testing::capacity();
        assert_eq!(document.check_figures(), Ok(()));
        let again = document.cells[0].clone();
        document.cells.push(again);
        assert!(document.check_figures().unwrap_err().1.contains("arm and load"));
    }
}
