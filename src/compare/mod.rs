//! What a result says when its arms are set beside each other: ratios to the reference, what theory predicts, and the
//! verdict on each claim. Pure: a document in, figures and words out.

mod claims;
mod headline;
mod reference;
mod spread;
mod theory;

pub use claims::{Claim, Effect, Unit, Verdict, claims};
pub use headline::headline;
pub use reference::{ArmRatio, Comparison, Ratio, against_reference, paired_ratios};
pub use spread::Spread;
pub use theory::{Extra, Prediction, Unmodelled, predict};

/// A ratio this close to 1 is a tie.
pub const TIE: f64 = 0.05;
