//! Many tests at once.

/// Holm's step-down adjustment of p-values, in the order given: compared with α, the adjusted ones keep the chance of even
/// one false alarm among them all at α. A p that is no number counts as 1.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let p: Vec<f64> = p.iter().map(|p| if p.is_nan() { 1.0 } else { *p }).collect();
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0f64;
    for (place, at) in order.into_iter().enumerate() {
        largest = largest.max(p[at] * (p.len() - place) as f64).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_adjusted_by_hand() {
        // R: p.adjust(c(.01, .04, .03, .005), "holm") is 0.03 0.06 0.06 0.02.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (one, want) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((one - want).abs() < 1e-15, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
        assert_eq!(holm(&[0.04]), [0.04]);
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
        assert_eq!(holm(&[]), [0.0; 0]);
    }
}
