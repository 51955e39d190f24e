//! Which load to try next. Pure: it is told what came of a load, and answers with another, until it is done.
//!
//! From the first load it doubles, or halves, until it has one that held and one that didn't; then it bisects to the asked
//! precision. What it found is tried once more, since the highest of several tries is partly luck; if that fails it steps
//! down, further each time, and whatever holds there is confirmed likewise.

/// What came of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Held,
    Missed,
    /// The generator couldn't be trusted: nothing is known of the target.
    Invalid,
}

/// Why a search is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// This load held twice, and the next higher one that was tried missed.
    Found(u64),
    /// The same, but no higher one is known to be too much: it was INVALID.
    AtLeast(u64),
    /// The upper bound held twice.
    UpperBound,
    /// The lower bound missed.
    BelowLowerBound,
    /// The lower bound was INVALID.
    NothingValid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Doubling, halving, bisecting.
    Seeking,
    /// Trying once more what held.
    Confirming,
    /// Looking for less, since that did not hold again.
    Retreating,
    Over(Over),
}

/// The search of one arm.
#[derive(Debug, Clone)]
pub(super) struct Search {
    from: u64,
    to: u64,
    precision: f64,
    load: u64,
    stage: Stage,
    /// The highest load that held, below any that didn't.
    held: Option<u64>,
    /// The lowest load that did not, and whether that was the target's doing.
    refused: Option<(u64, Answer)>,
    /// Part of a load by which the next retreat goes below it.
    step: f64,
}

impl Search {
    /// From `first` on, within `from` to `to`: whole loads, from 1. `precision` is the part of a load by which the lowest
    /// that misses may be over the highest that holds.
    pub(super) fn new(first: u64, from: u64, to: u64, precision: f64) -> Search {
        let (from, to) = (from.max(1), to.max(from).max(1));
        Search {
            from,
            to,
            precision,
            load: first.clamp(from, to),
            stage: Stage::Seeking,
            held: None,
            refused: None,
            step: precision,
        }
    }

    /// The load to try; `None` when it is over.
    pub(super) fn next(&self) -> Option<u64> {
        (!matches!(self.stage, Stage::Over(_))).then_some(self.load)
    }

    /// How it ended.
    pub(super) fn over(&self) -> Option<Over> {
        match self.stage {
            Stage::Over(over) => Some(over),
            _ => None,
        }
    }

    /// The highest load that has held so far, for a search that is cut short: it was not confirmed.
    pub(super) fn so_far(&self) -> Option<u64> {
        self.held
    }

    /// What came of the load that [`Search::next`] said.
    pub(super) fn told(&mut self, answer: Answer) {
        match (self.stage, answer) {
            (Stage::Over(_), _) => {}
            (Stage::Confirming, Answer::Held) => self.stage = Stage::Over(self.confirmed()),
            (_, Answer::Held) => {
                self.held = Some(self.load);
                match self.stage {
                    Stage::Retreating => self.stage = Stage::Confirming,
                    _ => self.seek(),
                }
            }
            (stage, answer) => {
                self.refused = Some((self.load, answer));
                match stage {
                    Stage::Seeking => self.seek(),
                    _ => self.retreat(),
                }
            }
        }
    }

    fn confirmed(&self) -> Over {
        match self.refused {
            None => Over::UpperBound,
            Some((_, Answer::Invalid)) => Over::AtLeast(self.load),
            Some(_) => Over::Found(self.load),
        }
    }

    fn seek(&mut self) {
        match (self.held, self.refused) {
            (Some(held), None) if held < self.to => self.load = held.saturating_mul(2).min(self.to),
            (None, Some((refused, _))) if refused > self.from => self.load = (refused / 2).max(self.from),
            (Some(held), Some((refused, _))) if !self.is_close(held, refused) => self.load = between(held, refused),
            (Some(held), _) => {
                self.load = held;
                self.stage = Stage::Confirming;
            }
            (None, _) => self.end_at_the_bottom(),
        }
    }

    fn retreat(&mut self) {
        self.held = None;
        if self.load <= self.from {
            return self.end_at_the_bottom();
        }
        let below = (self.load as f64 / (1.0 + self.step)) as u64;
        self.load = below.clamp(self.from, self.load - 1);
        self.step *= 2.0;
        self.stage = Stage::Retreating;
    }

    fn end_at_the_bottom(&mut self) {
        self.stage = Stage::Over(match self.refused {
            Some((_, Answer::Invalid)) => Over::NothingValid,
            _ => Over::BelowLowerBound,
        });
    }

    fn is_close(&self, held: u64, refused: u64) -> bool {
        refused - held <= 1 || (refused - held) as f64 <= self.precision * held as f64
    }
}

/// In the middle by ratio, and truly between two loads that aren't neighbours.
fn between(held: u64, refused: u64) -> u64 {
    let middle = (held as f64 * refused as f64).sqrt().round() as u64;
    middle.clamp(held + 1, refused - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that was tried, with its answer.
    fn ran(mut search: Search, mut truth: impl FnMut(u64) -> Answer) -> (Over, Vec<(u64, Answer)>) {
        let mut tried = Vec::new();
        while let Some(load) = search.next() {
            let answer = truth(load);
            search.told(answer);
            tried.push((load, answer));
            assert!(tried.len() <= most(&search), "{search:?}");
        }
        (search.over().unwrap(), tried)
    }

    /// Bracketing, bisecting, and two series for each retreat.
    fn most(search: &Search) -> usize {
        let range = (search.to as f64 / search.from as f64).log2();
        let bisecting = (1.0 + (2f64.ln() / search.precision.ln_1p()).log2().max(0.0)).ceil();
        let retreats = (range / search.precision.ln_1p()).log2().max(0.0).ceil() + 3.0;
        (range.ceil() + 3.0 + bisecting + 2.0 * retreats) as usize
    }

    fn loads(tried: &[(u64, Answer)]) -> Vec<u64> {
        tried.iter().map(|(load, _)| *load).collect()
    }

    fn up_to(most: u64) -> impl FnMut(u64) -> Answer {
        move |load| if load <= most { Answer::Held } else { Answer::Missed }
    }

    #[test]
    fn it_doubles_bisects_and_confirms() {
        let (over, tried) = ran(Search::new(100, 10, 100_000, 0.1), up_to(700));
        assert_eq!(loads(&tried), [100, 200, 400, 800, 566, 673, 734, 673]);
        assert_eq!(over, Over::Found(673));
    }

    #[test]
    fn it_halves_when_the_first_load_is_too_much() {
        let (over, tried) = ran(Search::new(100, 10, 100_000, 0.5), up_to(40));
        assert_eq!((over, loads(&tried)), (Over::Found(35), vec![100, 50, 25, 35, 35]));
        let (over, tried) = ran(Search::new(100, 30, 100_000, 0.5), up_to(0));
        assert_eq!((over, loads(&tried)), (Over::BelowLowerBound, vec![100, 50, 30]));
    }

    #[test]
    fn the_upper_bound_is_tried_itself_and_confirmed() {
        let (over, tried) = ran(Search::new(100, 10, 300, 0.1), up_to(u64::MAX));
        assert_eq!((over, loads(&tried)), (Over::UpperBound, vec![100, 200, 300, 300]));
    }

    #[test]
    fn an_invalid_load_is_never_held_against_the_target() {
        let truth = |load| if load <= 500 { Answer::Held } else { Answer::Invalid };
        let (over, _) = ran(Search::new(100, 10, 100_000, 0.1), truth);
        assert!(matches!(over, Over::AtLeast(460..=500)), "{over:?}");
        let (over, _) = ran(Search::new(100, 10, 100_000, 0.1), |_| Answer::Invalid);
        assert_eq!(over, Over::NothingValid);
    }

    #[test]
    fn what_does_not_hold_again_is_not_reported() {
        let mut times = 0;
        // 700 holds the first time that it is tried, 600 always.
        let (over, tried) = ran(Search::new(700, 10, 1000, 0.1), |load| {
            times += u32::from(load == 700);
            match load {
                ..=600 => Answer::Held,
                700 if times == 1 => Answer::Held,
                _ => Answer::Missed,
            }
        });
        assert_eq!(loads(&tried), [700, 1000, 837, 765, 700, 636, 530, 530]);
        assert_eq!(over, Over::Found(530));
    }

    proptest! {
        #[test]
        fn a_monotone_truth_is_found_to_the_precision(
            from in 1u64..1000, range in 0u64..1_000_000, first in 1u64..1_000_000, most in 0u64..1_000_000,
            valid in 0u64..1_000_000, precision in 0.01f64..0.5,
        ) {
            let to = from + range;
            let truth = |load| match load {
                _ if load <= most => Answer::Held,
                _ if load > valid.max(most) => Answer::Invalid,
                _ => Answer::Missed,
            };
            let (over, tried) = ran(Search::new(first, from, to, precision), truth);
            let close = |held: u64| held <= most && most as f64 <= held as f64 * (1.0 + precision) + 1.0;
            match over {
                Over::Found(held) => prop_assert!(close(held)),
                Over::AtLeast(held) => prop_assert!(held <= most),
                Over::UpperBound => prop_assert!(to <= most),
                Over::BelowLowerBound | Over::NothingValid => prop_assert!(most < from),
            }
            prop_assert!(tried.iter().all(|(load, _)| (from..=to).contains(load)));
        }

        #[test]
        fn a_noisy_truth_ends_too_and_what_is_reported_held_twice(
            from in 1u64..1000, range in 0u64..1_000_000, first in 1u64..1_000_000, precision in 0.01f64..0.5,
            answers in proptest::collection::vec(0u8..3, 1..100),
        ) {
            let to = from + range;
            let mut n = 0;
            let (over, tried) = ran(Search::new(first, from, to, precision), |_| {
                n += 1;
                [Answer::Held, Answer::Missed, Answer::Invalid][answers[n % answers.len()] as usize]
            });
            let held = match over {
                Over::Found(held) | Over::AtLeast(held) => held,
                Over::UpperBound => to,
                Over::BelowLowerBound | Over::NothingValid => return Ok(()),
            };
            let times = tried.iter().filter(|(load, answer)| *load == held && *answer == Answer::Held).count();
            prop_assert!(times >= 2, "{held} in {tried:?}");
            prop_assert_eq!(*tried.last().unwrap(), (held, Answer::Held));
        }
    }
}
