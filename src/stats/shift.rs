//! By how much: the estimate of Hodges and Lehmann, and the exact interval around it.

use super::{is_sound, null::Null};

/// A shift between two samples, with all that its interval needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// The median of the averages or differences below.
    pub estimate: f64,
    /// Averages of two differences each (Walsh), or differences of one value of either side; ascending.
    pub(super) sorted: Vec<f64>,
    samples: Samples,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Samples {
    Pairs(usize),
    Two { base: usize, new: usize },
}

impl Shift {
    /// The interval of `confidence`, such as 0.95, with half of the rest on either side: the shifts that the exact test
    /// would not refuse. A bound is absent where so few values can't give that confidence, or it isn't between 0 and 1. With
    /// ties the interval errs on the wide side.
    pub fn interval(&self, confidence: f64) -> (Option<f64>, Option<f64>) {
        if !(confidence > 0.0 && confidence < 1.0) {
            return (None, None);
        }
        let ranks = |n: usize| (1..=n as u32).collect::<Vec<u32>>();
        let null = match self.samples {
            Samples::Pairs(n) => Null::of_signs(&ranks(n)),
            Samples::Two { base, new } => Null::of_choice(&ranks(base + new), new),
        };
        // The bound is the last value that must be crossed before the test would no longer refuse; the distribution is
        // symmetric, so the same number is cut off at the other end.
        let Some(cut) = null.rarest((1.0 - confidence) / 2.0).checked_sub(1) else { return (None, None) };
        let low = self.sorted.get(cut);
        let high = self.sorted.iter().rev().nth(cut);
        (low.copied(), high.copied())
    }
}

/// The shift of paired differences from 0: the median of all averages of two of them, each with itself too. Zeros count.
pub fn shift_of_pairs(differences: &[f64]) -> Option<Shift> {
    if !is_sound(differences) {
        return None;
    }
    let from = |at: usize| differences[at..].iter().map(move |other| differences[at] / 2.0 + other / 2.0);
    let averages = (0..differences.len()).flat_map(from).collect();
    around(averages, Samples::Pairs(differences.len()))
}

/// The shift from the base's values to the new ones: the median of all differences new − base.
pub fn shift(base: &[f64], new: &[f64]) -> Option<Shift> {
    if !is_sound(base) || !is_sound(new) {
        return None;
    }
    let differences = new.iter().flat_map(|new| base.iter().map(move |base| new - base)).collect();
    around(differences, Samples::Two { base: base.len(), new: new.len() })
}

fn around(mut sorted: Vec<f64>, samples: Samples) -> Option<Shift> {
    // Two finite values may lie further apart than a number can be.
    if sorted.iter().any(|value| !value.is_finite()) {
        return None;
    }
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    Some(Shift { estimate: low / 2.0 + high / 2.0, sorted, samples })
}
