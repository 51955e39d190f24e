//! The normal curve.

use std::f64::consts::TAU;

/// P(Z > z) of a standard normal Z: a Taylor series near the middle, a continued fraction in the tail.
pub fn above(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - above(-z);
    }
    let density = (-z * z / 2.0).exp() / TAU.sqrt();
    if z > 3.0 {
        return density / (1..=120).rev().fold(z, |rest, n| z + f64::from(n) / rest);
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..=60 {
        term *= z * z / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 - density * sum
}

/// The z that a standard normal exceeds with probability `tail`, which is over 0 and under 1.
pub fn quantile_above(tail: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if above(middle) > tail { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_at_the_back_of_every_book() {
        for (z, tail) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457_05),
            (1.96, 0.024_997_895_148_220_435),
            // Either side of where one formula hands over to the other.
            (2.999_999_999, 0.001_349_898_031_630_094_6),
            (3.000_000_001, 0.001_349_898_031_630_094_6),
            (5.0, 2.866_515_718_791_939e-7),
            (-1.0, 0.841_344_746_068_542_9),
        ] {
            assert!((above(z) / tail - 1.0).abs() < 1e-8, "{z}: {} for {tail}", above(z));
        }
        assert!((quantile_above(0.05) - 1.644_853_626_951_472_7).abs() < 1e-12);
        assert!((quantile_above(0.975) + 1.959_963_984_540_054).abs() < 1e-12);
    }
}
