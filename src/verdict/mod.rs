//! Verdicts between two runs: what changed, how sure that is, and whether it is a regression.
//!
//! The unit is the trial, never the message: messages of one trial are correlated, and pooling them raises false alarms.
//! How it is judged is in `docs/verdicts.md`.

use serde::{Deserialize, Serialize};

mod comparable;
mod compare;
mod foresight;
pub mod history;
mod infinite;
mod judge;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod thresholds;
mod values;
mod words;

pub use compare::{NotComparable, Options, compare, design, prepare};
pub use foresight::{Foreseen, foresee, foreseen};
pub use words::{AS_MULTIPLE, RECOMMENDED};

/// The version of a comparison that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Two runs, metric by metric. What `wsbench compare` and `wsbench duet` find, and what every rendering of it is drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub schema_version: u32,
    pub scenario: String,
    pub design: Design,
    pub base: Side,
    pub new: Side,
    pub rules: Rules,
    /// What would have made them incomparable, had it not been forced; empty: nothing.
    pub differences: Vec<Difference>,
    /// In the base's order of cells, each cell's metrics in theirs.
    pub rows: Vec<Row>,
    /// Trials left out on either side, and why, in words.
    pub left_out: Vec<String>,
    /// What all gated rows come to; where there is none, inconclusive.
    pub verdict: Verdict,
    /// Which of several looks that were planned; absent where there was to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
}

/// One of several looks at the same run as it grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// From 1.
    pub number: u32,
    pub of: u32,
    /// Chance of a false alarm over all of them; the rules have what this one spends of it.
    pub alpha: f64,
}

/// How the two were run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Design {
    /// One after the other: drift of the machine between them is not controlled.
    Separate,
    /// In blocks of both, in drawn order: trials of one block are a pair.
    Paired,
}

/// One of the two runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Side {
    /// What a reader calls it: a baseline's name, a file, a command.
    pub name: String,
    pub started: String,
    pub wsbench_version: String,
    pub git_revision: Option<String>,
    /// Valid trials of the cell that has the fewest.
    pub trials: usize,
    /// It was interrupted, or lost a process or an agent: later trials are missing.
    pub partial: bool,
    /// Why it ended before all trials had run, by its own rules.
    pub aborted: Option<String>,
}

/// What the verdicts go by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Chance of a false alarm over all gated rows, one-sided.
    pub alpha: f64,
    /// Relative change below which nothing is called a regression or an improvement.
    pub noise: f64,
    /// Half the width of the band in which the interval must lie for NO CHANGE.
    pub equivalence: f64,
}

/// The least confidence of the interval that NO CHANGE goes by.
const LEAST_CONFIDENCE: f64 = 0.9;

impl Rules {
    /// Confidence of the interval that must lie within the band for NO CHANGE: 1 − 2α, so that a look that spends less of α
    /// asks for more here too; never under 90 %.
    pub fn confidence(&self) -> f64 {
        (1.0 - 2.0 * self.alpha).max(LEAST_CONFIDENCE)
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { alpha: 0.05, noise: 0.03, equivalence: 0.05 }
    }
}

/// Something that differs between the runs and would make a comparison meaningless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Such as `load.rate of websocket` or `kernel`.
    pub what: String,
    pub base: String,
    pub new: String,
}

/// One metric of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub workload: String,
    pub arm: String,
    pub metric: Metric,
    /// Counts for the whole's verdict.
    pub is_gated: bool,
    /// The trials' values, in the order in which they ran; paired: the nth of one belongs to the nth of the other (but for
    /// [`Metric::FailedTrials`]).
    /// Infinite (`"inf"`): more deliveries never came than the quantile leaves room for.
    #[serde(with = "infinite::list")]
    pub base: Vec<f64>,
    #[serde(with = "infinite::list")]
    pub new: Vec<f64>,
    /// new ÷ base (Hodges–Lehmann); `None`: nothing to tell it by.
    pub effect: Option<Effect>,
    pub verdict: Verdict,
    /// Why it is as it is, where figures don't say it.
    pub note: Option<String>,
}

/// An effect as a ratio: 1.05 is five per cent more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// `"inf"` where most of the new trials' values are infinite.
    #[serde(with = "infinite")]
    pub ratio: f64,
    /// Confidence intervals; a bound that so few trials can't give is absent.
    pub ci95: (Option<f64>, Option<f64>),
    pub ci90: (Option<f64>, Option<f64>),
    /// That a change for the worse as large as this one shows where there is none, one-sided.
    pub p_worse: f64,
    /// The same for a change for the better.
    pub p_better: f64,
    /// Both after Holm's correction over the gated rows; absent for others.
    pub adjusted_p_worse: Option<f64>,
    pub adjusted_p_better: Option<f64>,
    /// Smallest change that so many trials with this noise show four times in five, as a share; absent where unknown.
    pub detectable: Option<f64>,
    /// Trials (pairs) that would show a change of the noise threshold four times in five; absent where unknown.
    pub trials_needed: Option<u64>,
}

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Response time, nanoseconds.
    P50,
    P99,
    /// Deliveries a second: more is better.
    DeliveredRate,
    /// CPU of the target where it is known, nanoseconds; else the generator's.
    CpuPerMessage,
    /// Framing of both directions for each delivered message, bytes: the same or not, no statistics.
    #[serde(alias = "bytes-per-message")]
    FramingPerMessage,
    /// Trials in which the target failed: 1 for one that did, 0 for one that didn't. Stands only where there are any.
    FailedTrials,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Regression,
    Improvement,
    NoChange,
    Inconclusive,
}

impl Metric {
    /// What can be chosen, and has a value in every trial.
    pub const ALL: [Metric; 5] =
        [Metric::P50, Metric::P99, Metric::DeliveredRate, Metric::CpuPerMessage, Metric::FramingPerMessage];

    /// As in the JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Metric::P50 => "p50",
            Metric::P99 => "p99",
            Metric::DeliveredRate => "delivered-rate",
            Metric::CpuPerMessage => "cpu-per-message",
            Metric::FramingPerMessage => "framing-per-message",
            Metric::FailedTrials => "failed-trials",
        }
    }

    /// Whether it differs from trial to trial by chance, and is judged by ranks.
    pub fn has_noise(self) -> bool {
        self != Metric::FramingPerMessage
    }

    /// Whether a larger value is a worse one.
    pub fn is_worse_when_larger(self) -> bool {
        self != Metric::DeliveredRate
    }
}

impl Verdict {
    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Regression => "REGRESSION",
            Verdict::Improvement => "IMPROVEMENT",
            Verdict::NoChange => "NO CHANGE",
            Verdict::Inconclusive => "INCONCLUSIVE",
        }
    }
}
