//! What can be limited, by the names that people give it.

use crate::units::{show_bytes, show_nanos, three_digits};
use std::fmt;

/// A figure of an arm over all its trials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    Quantile(Quantile, Time),
    Mean(Time),
    /// Of the expected deliveries, the share that came, late ones included.
    Reach,
    /// Of the expected deliveries, the share that was lost, unfinished or late.
    Loss,
    /// Of what was scheduled, the share that was never sent.
    Skipped,
    /// Of one class, or of all.
    Errors(Option<String>),
    /// Deliveries a second.
    Rate,
    /// CPU of the embedded target a message.
    Cpu,
    /// Memory of the embedded target a session, at the most.
    Memory,
    /// Payload and framing of both directions a message.
    Bytes,
    /// Framing alone.
    Framing,
    /// From the IP header up.
    Wire,
    /// Connections opened a session.
    Connections,
}

/// A quantile by the name that people give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    P50,
    P90,
    P99,
    P999,
    Max,
}

/// A time that can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    ResponseTime,
    ServiceTime,
    LastReceipt,
    Connect,
    FirstMessage,
}

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nanoseconds.
    Time,
    /// From 0 to 1.
    Share,
    /// A second.
    Rate,
    Bytes,
    Number,
}

/// What stands before the class of an error.
const ERRORS_OF: &str = "errors.";

impl Quantile {
    pub const ALL: [Quantile; 5] = [Quantile::P50, Quantile::P90, Quantile::P99, Quantile::P999, Quantile::Max];

    pub fn name(self) -> &'static str {
        match self {
            Quantile::P50 => "p50",
            Quantile::P90 => "p90",
            Quantile::P99 => "p99",
            Quantile::P999 => "p99.9",
            Quantile::Max => "max",
        }
    }

    /// From 0 to 1.
    pub fn q(self) -> f64 {
        match self {
            Quantile::P50 => 0.5,
            Quantile::P90 => 0.9,
            Quantile::P99 => 0.99,
            Quantile::P999 => 0.999,
            Quantile::Max => 1.0,
        }
    }

    /// Samples without which it can't be told: a hundred lie beyond it. `None`: any will do.
    pub fn samples(self) -> Option<u64> {
        (self != Quantile::Max).then(|| (100.0 / (1.0 - self.q())).round() as u64)
    }
}

impl Time {
    pub const ALL: [Time; 5] =
        [Time::ResponseTime, Time::ServiceTime, Time::LastReceipt, Time::Connect, Time::FirstMessage];

    pub fn name(self) -> &'static str {
        match self {
            Time::ResponseTime => "response-time",
            Time::ServiceTime => "service-time",
            Time::LastReceipt => "last-receipt",
            Time::Connect => "connect",
            Time::FirstMessage => "first-message",
        }
    }

    /// The time of this name; an underscore is as good as a hyphen.
    pub fn named(name: &str) -> Option<Time> {
        Time::ALL.into_iter().find(|time| time.name() == name.replace('_', "-"))
    }
}

impl Metric {
    /// Every metric by its first word; an error's class may follow `errors.`.
    pub fn all() -> impl Iterator<Item = Metric> {
        let quantiles = Quantile::ALL.into_iter().map(|quantile| Metric::Quantile(quantile, Time::ResponseTime));
        let others = [
            Metric::Mean(Time::ResponseTime),
            Metric::Reach,
            Metric::Loss,
            Metric::Skipped,
            Metric::Errors(None),
            Metric::Rate,
            Metric::Cpu,
            Metric::Memory,
            Metric::Bytes,
            Metric::Framing,
            Metric::Wire,
            Metric::Connections,
        ];
        quantiles.chain(others)
    }

    /// The metric whose first word is `word`: a time's is that of the response, unless another word says otherwise.
    pub fn named(word: &str) -> Option<Metric> {
        let is_class = |class: &str| {
            !class.is_empty() && class.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        match word.strip_prefix(ERRORS_OF) {
            Some(class) => is_class(class).then(|| Metric::Errors(Some(class.to_owned()))),
            None => Metric::all().find(|metric| metric.word() == word),
        }
    }

    /// The first word of its name, without an error's class.
    pub fn word(&self) -> &'static str {
        match self {
            Metric::Quantile(quantile, _) => quantile.name(),
            Metric::Mean(_) => "mean",
            Metric::Reach => "reach",
            Metric::Loss => "loss",
            Metric::Skipped => "skipped",
            Metric::Errors(_) => "errors",
            Metric::Rate => "rate",
            Metric::Cpu => "cpu",
            Metric::Memory => "memory",
            Metric::Bytes => "bytes",
            Metric::Framing => "framing",
            Metric::Wire => "wire",
            Metric::Connections => "connections",
        }
    }

    /// The same of another time; `None` where it is of no time at all.
    pub(super) fn of(self, time: Time) -> Option<Metric> {
        match self {
            Metric::Quantile(quantile, _) => Some(Metric::Quantile(quantile, time)),
            Metric::Mean(_) => Some(Metric::Mean(time)),
            _ => None,
        }
    }

    /// The time that it is of.
    pub fn time(&self) -> Option<Time> {
        match self {
            Metric::Quantile(_, time) | Metric::Mean(time) => Some(*time),
            _ => None,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Metric::Quantile(..) | Metric::Mean(_) | Metric::Cpu => Kind::Time,
            Metric::Reach | Metric::Loss | Metric::Skipped => Kind::Share,
            Metric::Rate => Kind::Rate,
            Metric::Memory | Metric::Bytes | Metric::Framing | Metric::Wire => Kind::Bytes,
            Metric::Errors(_) | Metric::Connections => Kind::Number,
        }
    }
}

impl Kind {
    /// For a reader; what is infinite never came.
    pub fn show(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => "∞".to_owned(),
            Kind::Time => show_nanos(value),
            Kind::Share => share(value),
            Kind::Rate => format!("{}/s", three_digits(value)),
            Kind::Bytes => show_bytes(value),
            Kind::Number if value.fract() == 0.0 => format!("{value}"),
            Kind::Number => three_digits(value),
        }
    }

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Time => "a time",
            Kind::Share => "a share",
            Kind::Rate => "a rate",
            Kind::Bytes => "an amount of bytes",
            Kind::Number => "a number",
        }
    }
}

/// 0 and 1 are shown as such only where nothing at all is missing from them.
fn share(part: f64) -> String {
    let text = format!("{part:.6}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "0" if part > 0.0 => "< 0.000001".to_owned(),
        "1" if part < 1.0 => "> 0.999999".to_owned(),
        shown => shown.to_owned(),
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Metric::Errors(Some(class)) => write!(f, ".{class}"),
            _ => match self.time() {
                Some(time) if time != Time::ResponseTime => write!(f, " {}", time.name()),
                _ => Ok(()),
            },
        }
    }
}
