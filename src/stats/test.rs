//! The two tests by ranks: Wilcoxon's of pairs, and Mann and Whitney's of two samples.

use super::{is_sound, null::Null, ranks::doubled_midranks};

/// What a test found, one-sided: how often chance alone would show as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// P(statistic ≥ the observed): small where the new values are greater.
    pub p_greater: f64,
    /// P(statistic ≤ the observed): small where they are less.
    pub p_less: f64,
}

/// Wilcoxon's signed-rank test: do differences tend to be over 0 (`p_greater`), or under? Zeros are dropped, equal sizes
/// share their ranks, and all 2^n ways to give them signs are counted. `None` if nothing is left or a value isn't finite.
pub fn signed_rank(differences: &[f64]) -> Option<Test> {
    if !is_sound(differences) {
        return None;
    }
    let differences: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    if differences.is_empty() {
        return None;
    }
    let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    let ranks = doubled_midranks(&sizes);
    let positive = differences.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    let (p_greater, p_less) = Null::of_signs(&ranks).tails(positive);
    Some(Test { p_greater, p_less })
}

/// The rank-sum test of Wilcoxon, Mann and Whitney: do the new values tend to be larger (`p_greater`), or smaller? Equal
/// values share their ranks, and all ways to split the values in two are counted. `None` if a side is empty or a value isn't
/// finite.
pub fn rank_sum(base: &[f64], new: &[f64]) -> Option<Test> {
    if !is_sound(base) || !is_sound(new) {
        return None;
    }
    let ranks = doubled_midranks(&[new, base].concat());
    let sum = ranks[..new.len()].iter().sum();
    let (p_greater, p_less) = Null::of_choice(&ranks, new.len()).tails(sum);
    Some(Test { p_greater, p_less })
}
