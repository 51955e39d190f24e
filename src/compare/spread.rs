//! A median with an interval from trials, without any assumption on their distribution.

/// The median of per-trial values and an interval for it from their order statistics.
///
/// Between the k-th smallest and the k-th largest of n independent values lies their distribution's median with
/// probability 1 − 2·P(X < k), X binomial (n, ½). k is the largest for which that is at least 95 %; with five values or
/// fewer even the whole range covers less, and `coverage` says how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// Probability with which low–high holds the median: 0.97 for the whole range of six trials.
    pub coverage: f64,
    pub trials: usize,
}

/// The coverage that is aimed at.
const COVERAGE: f64 = 0.95;

impl Spread {
    /// `None` for no values; values that aren't finite are left out.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        if n == 0 {
            return None;
        }
        let (outside, coverage) = widest_cut(n);
        Some(Spread {
            median: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
            low: sorted[outside],
            high: sorted[n - 1 - outside],
            coverage,
            trials: n,
        })
    }

    /// Whether every value of the interval is over `bound`.
    pub fn is_above(&self, bound: f64) -> bool {
        self.low > bound
    }

    /// Whether every value of the interval is under `bound`.
    pub fn is_below(&self, bound: f64) -> bool {
        self.high < bound
    }
}

/// How many values to leave out at each end of `n`, and the coverage of what is left.
fn widest_cut(n: usize) -> (usize, f64) {
    // P(X = 0), then P(X = 1) and so on; from some thousand values on the first underflow to 0, as they should.
    let mut probability = 0.5f64.powi(n as i32);
    let mut below = probability;
    let mut cut = (0, 1.0 - 2.0 * below);
    for k in 1..n.div_ceil(2) {
        probability *= (n - k + 1) as f64 / k as f64;
        below += probability;
        if 1.0 - 2.0 * below < COVERAGE {
            break;
        }
        cut = (k, 1.0 - 2.0 * below);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Spread {
        Spread::of(values.iter().copied()).unwrap()
    }

    #[test]
    fn a_median_and_the_range_of_few() {
        let three = of(&[3.0, 1.0, 2.0]);
        assert_eq!((three.median, three.low, three.high, three.coverage), (2.0, 1.0, 3.0, 0.75));
        let six = of(&[6.0, 1.0, 2.0, 5.0, 3.0, 4.0]);
        assert_eq!((six.median, six.low, six.high, six.coverage), (3.5, 1.0, 6.0, 0.96875));
        assert_eq!(of(&[5.0]).coverage, 0.0);
        assert_eq!(Spread::of([f64::NAN, f64::INFINITY]), None);
    }

    #[test]
    fn many_trials_leave_out_their_extremes_as_the_tables_say() {
        // Tables of the sign test: n = 9 → 2nd and 8th (96.1 %), n = 20 → 6th and 15th (95.9 %).
        let nine: Vec<f64> = (1..=9).map(f64::from).collect();
        assert_eq!((of(&nine).low, of(&nine).high), (2.0, 8.0));
        assert!((of(&nine).coverage - 0.961).abs() < 0.001);
        let twenty: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!((of(&twenty).low, of(&twenty).high), (6.0, 15.0));
        assert!((of(&twenty).coverage - 0.9586).abs() < 0.001);
        let thousands: Vec<f64> = (0..5000).map(f64::from).collect();
        assert!(of(&thousands).low <= of(&thousands).median);
    }
}
