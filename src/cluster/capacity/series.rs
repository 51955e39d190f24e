//! What the trials of one load say together.

use super::search::Answer;
use crate::result::Kept;

/// INVALID trials of one load that are run again.
const REPEATS: u32 = 2;

/// A load holds if most of the trials asked for hold it. All of them would be the wrong bar: the more trials, the lower the
/// answer, and one second in which the machine had something else to do would decide it. INVALID trials don't count; up to
/// two are run again, and if there are too few valid ones even then, so is the load.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    wanted: u32,
    held: u32,
    missed: u32,
    invalid: u32,
    /// What the first trial that missed broke.
    why: Option<String>,
}

impl Series {
    /// Of `wanted` valid trials, at least one.
    pub(super) fn new(wanted: u32) -> Series {
        Series { wanted: wanted.max(1), ..Series::default() }
    }

    pub(super) fn add(&mut self, kept: Kept) {
        match kept {
            Kept::Yes => self.held += 1,
            Kept::Invalid => self.invalid += 1,
            Kept::No(why) => {
                self.missed += 1;
                self.why.get_or_insert(why);
            }
        }
    }

    /// What it comes to; `None` while another trial is needed. Trials that can't change it are not asked for.
    pub(super) fn answer(&self) -> Option<Answer> {
        let majority = self.wanted / 2 + 1;
        let tried = self.held + self.missed + self.invalid;
        match () {
            () if self.held >= majority => Some(Answer::Held),
            () if self.missed > self.wanted - majority => Some(Answer::Missed),
            () if tried >= self.wanted + REPEATS => Some(Answer::Invalid),
            () => None,
        }
    }

    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `h`eld, `m`issed, `i`nvalid; the answer and how many trials it took.
    fn of(wanted: u32, trials: &str) -> (Option<Answer>, usize) {
        let mut series = Series::new(wanted);
        for (n, trial) in trials.chars().enumerate() {
            if let Some(answer) = series.answer() {
                return (Some(answer), n);
            }
            series.add(match trial {
                'h' => Kept::Yes,
                'm' => Kept::No(format!("trial {n}")),
                _ => Kept::Invalid,
            });
        }
        (series.answer(), trials.len())
    }

    #[test]
    fn most_of_the_trials_decide_and_none_too_many_is_run() {
        assert_eq!(of(3, "hhm"), (Some(Answer::Held), 2));
        assert_eq!(of(3, "mhh"), (Some(Answer::Held), 3));
        assert_eq!(of(3, "hmm"), (Some(Answer::Missed), 3));
        assert_eq!(of(1, "m"), (Some(Answer::Missed), 1));
        assert_eq!(of(2, "hm"), (Some(Answer::Missed), 2), "one of two is not most");
        assert_eq!(of(4, "hhmm"), (Some(Answer::Missed), 4));
        assert_eq!(of(3, "hm"), (None, 2));
    }

    #[test]
    fn invalid_trials_are_run_again_twice_and_never_count() {
        assert_eq!(of(3, "ihih"), (Some(Answer::Held), 4));
        assert_eq!(of(3, "imim"), (Some(Answer::Missed), 4));
        assert_eq!(of(3, "ihimi"), (Some(Answer::Invalid), 5));
        assert_eq!(of(1, "iii"), (Some(Answer::Invalid), 3));
    }

    #[test]
    fn the_first_reason_is_told() {
        let mut series = Series::new(3);
        assert_eq!(series.why(), None);
        ["p99 60 ms", "p99 70 ms"].iter().for_each(|why| series.add(Kept::No((*why).to_owned())));
        assert_eq!(series.why(), Some("p99 60 ms"));
    }
}
