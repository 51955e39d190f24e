//! Thresholds: what must hold of a run, such as `websocket: p99 < 50ms` or `websocket.p99 <= 0.5 * long-polling.p99`.
//!
//! The language alone: whether a threshold was kept is found out of a result ([`crate::verdict`]). Printed text parses to the
//! same threshold, and serde uses it.

use crate::units::{ByteSize, Rate, Share, Span};
use serde::{Deserialize, Serialize};
use std::fmt;

mod metric;
mod parse;
mod text;

pub use metric::{Kind, Metric, Quantile, Time};
pub use text::{Piece, TextError, hint};

/// A metric of an arm, held against a value or against another arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Threshold {
    /// `None`: every arm that ran, but for the one that it is held against.
    pub arm: Option<String>,
    pub metric: Metric,
    pub op: Op,
    pub limit: Limit,
}

/// What a metric is held against.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    Value(Value),
    /// `factor` × a metric of the same kind of an arm of the same run.
    Of {
        factor: f64,
        arm: String,
        metric: Metric,
    },
}

/// A quantity of a metric's kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Time(Span),
    Share(Share),
    Rate(Rate),
    Bytes(ByteSize),
    Number(f64),
}

/// How a metric must stand to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

/// A threshold of a run, and what happens when it is broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub hold: Threshold,
    /// No further trial starts once it is broken.
    #[serde(default)]
    pub abort: bool,
}

impl Threshold {
    /// The arms that it names.
    pub fn arms(&self) -> impl Iterator<Item = &str> {
        let other = match &self.limit {
            Limit::Value(_) => None,
            Limit::Of { arm, .. } => Some(arm),
        };
        self.arm.iter().chain(other).map(String::as_str)
    }

    /// Whether it is about `arm` by name, or because it names none and is not held against it.
    pub fn is_about(&self, arm: &str) -> bool {
        match (&self.arm, &self.limit) {
            (Some(own), _) => own == arm,
            (None, Limit::Of { arm: other, .. }) => other != arm,
            (None, Limit::Value(_)) => true,
        }
    }
}

impl Value {
    /// In nanoseconds, bytes, a second, or as a part of one.
    pub fn number(self) -> f64 {
        match self {
            Value::Time(span) => span.nanos() as f64,
            Value::Share(share) => share.part(),
            Value::Rate(rate) => rate.per_second(),
            Value::Bytes(size) => size.0 as f64,
            Value::Number(number) => number,
        }
    }
}

impl Op {
    /// Longer signs before those that they begin with.
    pub const ALL: [Op; 6] = [Op::AtMost, Op::AtLeast, Op::Equal, Op::Unequal, Op::Less, Op::More];

    pub fn sign(self) -> &'static str {
        match self {
            Op::Less => "<",
            Op::AtMost => "<=",
            Op::More => ">",
            Op::AtLeast => ">=",
            Op::Equal => "==",
            Op::Unequal => "!=",
        }
    }

    pub fn holds(self, measured: f64, limit: f64) -> bool {
        match self {
            Op::Less => measured < limit,
            Op::AtMost => measured <= limit,
            Op::More => measured > limit,
            Op::AtLeast => measured >= limit,
            Op::Equal => measured == limit,
            Op::Unequal => measured != limit,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let Some(arm) = &self.arm {
            f.write_str(arm)?;
            f.write_str(if matches!(self.limit, Limit::Value(_)) { ": " } else { "." })?;
        }
        write!(f, "{} {} {}", self.metric, self.op.sign(), self.limit)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Limit::Value(value) => value.fmt(f),
            Limit::Of { factor: 1.0, arm, metric } => write!(f, "{arm}.{metric}"),
            Limit::Of { factor, arm, metric } => write!(f, "{factor} * {arm}.{metric}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Value::Time(span) => span.fmt(f),
            Value::Share(share) => share.fmt(f),
            Value::Rate(rate) => rate.fmt(f),
            Value::Bytes(size) => size.fmt(f),
            Value::Number(number) => number.fmt(f),
        }
    }
}

impl From<Threshold> for String {
    fn from(threshold: Threshold) -> String {
        threshold.to_string()
    }
}

impl TryFrom<String> for Threshold {
    type Error = TextError;

    fn try_from(text: String) -> Result<Threshold, TextError> {
        text.parse()
    }
}

impl schemars::JsonSchema for Threshold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "x-unit": "threshold", "examples": ["websocket: p99 < 50ms"] })
    }
}
