//! What could have been seen: the effect that a test would find four times in five, and the trials that an effect needs.
//!
//! By the normal approximation to the t-test with Guenther's correction for small samples, and the efficiency 3/π of the
//! signed ranks beside it for normal noise: n = (zα + zβ)² σ²/δ² + zα²/2, and n · 3/π in the place of n. Simulated power at
//! what this says is between 0.75 and 0.81 from 8 pairs up (`the_power_is_what_is_said` in the tests).

use super::normal;

/// The share of real effects that a test is to find.
pub const POWER: f64 = 0.8;

/// How efficient signed ranks are beside means where noise is normal.
const EFFICIENCY: f64 = 3.0 / std::f64::consts::PI;

/// The smallest effect that `n` pairs find with a power of 0.8, one-sided at `alpha`, where differences of pairs have the
/// standard deviation `noise`; in the unit of the noise. Of two samples of `n` each, take √2 × the deviation of one value.
/// `None` where `n` pairs can't reach `alpha` at all, or a number makes no sense.
pub fn detectable(noise: f64, n: usize, alpha: f64) -> Option<f64> {
    if !(noise >= 0.0 && noise.is_finite()) || (n as u64) < fewest(alpha)? {
        return None;
    }
    let (z_alpha, z_power) = (normal::quantile_above(alpha), normal::quantile_above(1.0 - POWER));
    let free = n as f64 * EFFICIENCY - z_alpha * z_alpha / 2.0;
    Some((z_alpha + z_power).max(0.0) * noise / free.sqrt())
}

/// How many pairs find `effect` with a power of 0.8, one-sided at `alpha`, where differences of pairs have the standard
/// deviation `noise`. The inverse of [`detectable`]. `None` where a number makes no sense.
pub fn needed(noise: f64, effect: f64, alpha: f64) -> Option<u64> {
    let fewest = fewest(alpha)?;
    if !(noise >= 0.0 && noise.is_finite() && effect > 0.0 && effect.is_finite()) {
        return None;
    }
    let (z_alpha, z_power) = (normal::quantile_above(alpha), normal::quantile_above(1.0 - POWER));
    let free = ((z_alpha + z_power).max(0.0) * noise / effect).powi(2) + z_alpha * z_alpha / 2.0;
    Some(((free / EFFICIENCY).ceil() as u64).max(fewest))
}

/// The fewest pairs whose rarest arrangement is as rare as `alpha`.
fn fewest(alpha: f64) -> Option<u64> {
    (alpha > 0.0 && alpha < 1.0).then(|| (-alpha.log2()).ceil() as u64)
}
