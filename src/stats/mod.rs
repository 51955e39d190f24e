//! Exact statistics of small samples, such as the trials of two runs. No random numbers: every p-value is a count of equally
//! likely arrangements, ties and all.
//!
//! The counts are kept as probabilities in `f64`. Nothing overflows, since they sum to 1; nothing cancels, since only
//! positive terms are added; each of at most [`MOST`] steps rounds thrice, so that a p-value is right to 1e-11 of itself.
//! Beyond [`EXACT`] values a side, where counting would take seconds, the normal curve stands in, within 2e-3 of the count;
//! beyond [`MOST`] nothing is computed, since a document from elsewhere must not take all memory.

mod holm;
mod normal;
mod null;
mod power;
mod ranks;
mod shift;
mod test;
#[cfg(test)]
mod tests;

pub use holm::holm;
pub use power::{POWER, detectable, needed};
pub use ranks::doubled_midranks;
pub use shift::{Shift, shift, shift_of_pairs};
pub use test::{Test, rank_sum, signed_rank};

/// Up to so many values a side every p-value and every interval is counted out, and with more on one side as long as the
/// product of both is no larger.
pub const EXACT: usize = 200;

/// With more values than this a side nothing is computed.
pub const MOST: usize = 2000;

/// Values that can be judged: some, not too many, and all of them finite.
fn is_sound(values: &[f64]) -> bool {
    (1..=MOST).contains(&values.len()) && values.iter().all(|value| value.is_finite())
}
