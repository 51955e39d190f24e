//! When a duet is judged: once, or twice if it is long enough, each look spending its share of the chance of a false alarm.

use crate::verdict::{Comparison, Look, Options, Rules, Verdict};

/// From so many pairs up there may be a first look, after half of them.
const WORTH_TWO: u32 = 12;
/// What the first look spends of α; the second spends the rest.
const FIRST: f64 = 0.2;

/// The looks at one duet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Looks {
    pairs: u32,
    alpha: f64,
    family: usize,
}

impl Looks {
    /// At a duet of so many pairs, `alpha` over all looks, and over a family of so many rows.
    pub(super) fn of(pairs: u32, alpha: f64, family: usize) -> Looks {
        Looks { pairs, alpha, family }
    }

    /// After so many pairs there is a first look, if there are two. None that could not tell anything: of `n` pairs that all
    /// point one way the chance is 1 in 2^n, and of a family of rows one may be told at its part of α alone.
    pub(super) fn first_after(&self) -> Option<u32> {
        let first = self.pairs / 2;
        let rarest = 0.5f64.powf(first.into()) * self.family.max(1) as f64;
        (self.pairs >= WORTH_TWO && rarest <= self.alpha * FIRST).then_some(first)
    }

    /// `options` with what the first or the last look may spend.
    pub(super) fn options(&self, options: &Options, is_first: bool) -> Options {
        let first = self.alpha * FIRST;
        let (alpha, number) = match (self.first_after(), is_first) {
            (None, _) => return Options { rules: Rules { alpha: self.alpha, ..options.rules }, ..options.clone() },
            (Some(_), true) => (first, 1),
            (Some(_), false) => (self.alpha - first, 2),
        };
        let look = Some(Look { number, of: 2, alpha: self.alpha });
        Options { rules: Rules { alpha, ..options.rules }, look, ..options.clone() }
    }
}

/// Whether a first look is enough: a regression is what the duet was for, and more pairs can't take it back; else every
/// gated row must be told.
pub(super) fn is_decided(comparison: &Comparison) -> bool {
    let mut gated = comparison.rows.iter().filter(|row| row.is_gated).peekable();
    comparison.verdict == Verdict::Regression
        || (gated.peek().is_some() && gated.all(|row| row.verdict != Verdict::Inconclusive))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Design, Metric, Row, Side};

    #[test]
    fn two_looks_spend_no_more_than_one() {
        let options = Options::default();
        let twenty = Looks::of(20, 0.05, 1);
        assert_eq!(twenty.first_after(), Some(10));
        let spent = |is_first| twenty.options(&options, is_first).rules.alpha;
        assert!((spent(true) - 0.01).abs() < 1e-12 && (spent(false) - 0.04).abs() < 1e-12);
        let look = |is_first| twenty.options(&options, is_first).look.map(|look| (look.number, look.of, look.alpha));
        assert_eq!((look(true), look(false)), (Some((1, 2, 0.05)), Some((2, 2, 0.05))));
        assert_eq!(Looks::of(11, 0.05, 1).options(&options, false).look, None, "one look needs no name");
        assert_eq!(Looks::of(11, 0.05, 1).first_after(), None);
        assert_eq!(Looks::of(11, 0.05, 1).options(&options, false).rules.alpha, 0.05);
        // Six pairs of which all got worse are one chance in 64, which is more than a fifth of 5 %.
        assert_eq!(Looks::of(13, 0.05, 1).first_after(), None);
        assert_eq!(Looks::of(13, 0.10, 1).first_after(), Some(6));
        assert_eq!(Looks::of(14, 0.05, 1).first_after(), Some(7));
        // Of two rows each has half of it: seven pairs are one chance in 128 too many.
        assert_eq!(Looks::of(14, 0.05, 2).first_after(), None);
        assert_eq!(Looks::of(16, 0.05, 2).first_after(), Some(8));
        assert_eq!(Looks::of(20, 0.05, 10).first_after(), Some(10));
        assert_eq!(Looks::of(20, 0.05, 11).first_after(), None);
    }

    #[test]
    fn a_first_look_ends_a_duet_with_a_regression_or_with_nothing_left_to_tell() {
        let row = |metric, verdict, is_gated| Row {
            workload: "echo".to_owned(),
            arm: "tcp".to_owned(),
            metric,
            is_gated,
            base: Vec::new(),
            new: Vec::new(),
            effect: None,
            verdict,
            note: None,
        };
        let of = |verdict, rows| Comparison {
            schema_version: 1,
            scenario: "echo".to_owned(),
            design: Design::Paired,
            base: Side::default(),
            new: Side::default(),
            rules: Rules::default(),
            differences: Vec::new(),
            rows,
            left_out: Vec::new(),
            verdict,
            look: None,
        };
        use Verdict::{Improvement, Inconclusive, NoChange, Regression};
        let told = [row(Metric::P50, NoChange, true), row(Metric::P99, Improvement, true)];
        let open = row(Metric::CpuPerMessage, Inconclusive, true);
        let ungated = row(Metric::CpuPerMessage, Inconclusive, false);
        assert!(is_decided(&of(Improvement, told.to_vec())));
        assert!(is_decided(&of(Improvement, [told.to_vec(), vec![ungated.clone()]].concat())));
        assert!(!is_decided(&of(Inconclusive, [told.to_vec(), vec![open.clone()]].concat())));
        assert!(is_decided(&of(Regression, vec![row(Metric::P50, Regression, true), open])));
        assert!(!is_decided(&of(Inconclusive, vec![ungated])), "nothing is gated");
    }
}
