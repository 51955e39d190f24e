//! What one trial measured: histograms, counters, intervals. Everything here merges; nothing averages percentiles.
//!
//! A worker records into these while it runs, they travel to the coordinator as JSON, are merged there over workers and
//! are stored as they are in the result document. Latencies are nanoseconds.

mod counters;
mod handshakes;
mod histogram;
mod outcome;
mod recorder;
mod truth;

pub use counters::{Counters, KernelBytes, Traffic, Volume};
pub use handshakes::{Agreed, Handshakes};
pub use histogram::{Histogram, HistogramError, Packed};
pub use outcome::{Acknowledgements, Held, Histograms, Interval, Metric, Outcome, Sessions};
pub use recorder::Recorder;
pub use truth::Truth;

/// Samples that must lie beyond a merged quantile before it is worth printing.
pub const BEYOND_MERGED: u64 = 100;
/// Samples that must lie beyond a quantile of a single trial before statistics may use it.
pub const BEYOND_TRIAL: u64 = 10;
