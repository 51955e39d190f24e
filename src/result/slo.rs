//! A service level objective: what a load must keep to count as held, and whether a trial did.

use super::{Cell, Trial};
use crate::clock::Nanos;
use crate::measure::{Counters, Metric, Sessions};
use crate::threshold::{Quantile, Time};
use crate::units::{Share, Span, show_nanos};
use serde::{Deserialize, Serialize};
use std::fmt;

mod parse;

/// Part of what is scheduled that must have been sent, and of the sessions that must have connected. Implied: a target that
/// is asked less than the load hasn't held it.
const KEPT: f64 = 0.995;
/// Part of the expected deliveries that may be missing or late over UDP, unless `loss` says otherwise. Elsewhere none may.
const LOSS_OVER_UDP: f64 = 0.001;

/// Limits that all must be kept, such as `p99 < 50ms and loss <= 1%`.
///
/// Printed text parses to the same objective, and serde uses it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slo {
    limits: Vec<Limit>,
    /// Part of the expected deliveries that may be lost, unfinished or late; `None`: what the transport allows.
    loss: Option<Share>,
}

/// A quantile of a time that must stay under a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    pub quantile: Quantile,
    pub metric: Time,
    pub below: Span,
}

/// Whether one trial kept an objective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Yes,
    /// What was broken, with figures.
    No(String),
    /// The generator couldn't be trusted: it says nothing of the target.
    Invalid,
}

/// A quantile of a trial in which what never came counts as infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Nothing was measured.
    Nothing,
    At(Nanos),
    Never,
}

impl Time {
    /// Where its samples are.
    pub fn histogram(self) -> Metric {
        match self {
            Time::ResponseTime => Metric::ResponseTime,
            Time::ServiceTime => Metric::ServiceTime,
            Time::LastReceipt => Metric::LastReceipt,
            Time::Connect => Metric::Connect,
            Time::FirstMessage => Metric::FirstMessage,
        }
    }

    /// How many never came. For last receipts a count of copies, which is no less than that of their messages.
    pub fn missing(self, counters: &Counters, sessions: &Sessions) -> u64 {
        match self {
            Time::Connect => sessions.asked.saturating_sub(sessions.connected),
            _ => counters.lost.saturating_add(counters.unfinished),
        }
    }
}

impl Limit {
    fn missing(&self, trial: &Trial) -> u64 {
        self.metric.missing(&trial.outcome.measure, &trial.outcome.sessions)
    }

    /// What a trial shows, however few samples it rests on: at a low load a highest quantile is the longest of them all,
    /// which is on the strict side.
    pub fn read(&self, trial: &Trial) -> Reading {
        if trial.absence(self.metric.histogram()).is_some() {
            return Reading::Nothing;
        }
        let missing = self.missing(trial);
        match trial.outcome.histograms.get(self.metric.histogram()) {
            None if missing == 0 => Reading::Nothing,
            None => Reading::Never,
            Some(histogram) => match histogram.quantile_with_missing(self.quantile.q(), missing, 0) {
                Some(Some(nanos)) => Reading::At(nanos),
                Some(None) | None => Reading::Never,
            },
        }
    }

    /// What of it `trial` broke, in words.
    fn broken_by(&self, trial: &Trial) -> Option<String> {
        let what = format!("{} {}", self.quantile.name(), self.metric.name());
        match self.read(trial) {
            Reading::Nothing => Some(format!("no {} was measured", self.metric.name())),
            Reading::Never => Some(format!("{what} is infinite: {} never came", self.missing(trial))),
            Reading::At(nanos) if nanos < self.below.nanos() => None,
            Reading::At(nanos) => Some(format!("{what} {}", show_nanos(nanos as f64))),
        }
    }
}

impl Slo {
    /// The limit that a curve over the load is drawn of: the first; `None` if only loss is limited.
    pub fn first(&self) -> Option<&Limit> {
        self.limits.first()
    }

    /// Whether `trial` of `cell` kept it all, with what is implied: that the load was what was asked, and that no more was
    /// lost than may be.
    pub fn judge(&self, cell: &Cell, trial: &Trial) -> Kept {
        if !trial.invalid.is_empty() || trial.outcome.interrupted {
            return Kept::Invalid;
        }
        if let Some(failure) = &trial.failure {
            return Kept::No(failure.clone());
        }
        let mut broken: Vec<String> = self.limits.iter().filter_map(|limit| limit.broken_by(trial)).collect();
        broken.extend(self.loss_of(cell, trial));
        broken.extend(short_of_load(cell, trial));
        if broken.is_empty() { Kept::Yes } else { Kept::No(broken.join("; ")) }
    }

    fn loss_of(&self, cell: &Cell, trial: &Trial) -> Option<String> {
        let counters = trial.outcome.measure;
        let gone = [counters.lost, counters.unfinished, counters.late].into_iter().fold(0, u64::saturating_add);
        let usual = if cell.transport == "udp" { LOSS_OVER_UDP } else { 0.0 };
        let allowed = self.loss.map_or(usual, Share::part);
        let is_over = gone as f64 > allowed * counters.expected as f64;
        is_over.then(|| format!("{gone} of {} deliveries lost, unfinished or late", counters.expected))
    }
}

/// What was asked for and did not happen.
fn short_of_load(cell: &Cell, trial: &Trial) -> Option<String> {
    let (counters, sessions) = (trial.outcome.measure, trial.outcome.sessions);
    let is_short = |done: u64, asked: u64| (done as f64) < KEPT * asked as f64;
    if cell.workload != "connect" && is_short(sessions.connected, sessions.asked) {
        return Some(format!("{} of {} sessions connected", sessions.connected, sessions.asked));
    }
    let sent = || format!("{} of {} messages sent", counters.sent, counters.scheduled);
    is_short(counters.sent, counters.scheduled).then(sent)
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.quantile.name())?;
        if self.metric != Time::ResponseTime {
            write!(f, " {}", self.metric.name())?;
        }
        write!(f, " < {}", self.below)
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let limits = self.limits.iter().map(Limit::to_string);
        let all: Vec<String> = limits.chain(self.loss.map(|share| format!("loss <= {share}"))).collect();
        f.write_str(&all.join(" and "))
    }
}

impl From<Slo> for String {
    fn from(slo: Slo) -> String {
        slo.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    fn judged(slo: &str, change: impl Fn(&mut Trial)) -> Kept {
        let document = testing::of("echo", 0);
        let mut trial = document.cells[1].trials[0].clone();
        change(&mut trial);
        slo.parse::<Slo>().unwrap().judge(&document.cells[1], &trial)
    }

    fn why(slo: &str, change: impl Fn(&mut Trial)) -> String {
        match judged(slo, change) {
            Kept::No(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_limit_counts() {
        assert_eq!(judged("p50 < 1s and p99 < 1s, max service-time < 1s", |_| ()), Kept::Yes);
        assert!(why("p50 < 1s and max < 1us", |_| ()).starts_with("max response-time "));
        assert_eq!(why("p50 last-receipt < 1s", |t| t.outcome.histograms = Default::default()), {
            "no last-receipt was measured"
        });
    }

    #[test]
    fn a_message_that_never_came_took_for_ever() {
        let lose = |n: u64| {
            move |t: &mut Trial| {
                let c = &mut t.outcome.measure;
                (c.unfinished, c.delivered) = (n, c.expected - n);
            }
        };
        assert_eq!(judged("p50 < 1s and loss < 1%", lose(1)), Kept::Yes);
        assert!(why("max < 1s and loss < 1%", lose(1)).contains("max response-time is infinite: 1 never came"));
        assert!(why("p50 < 1s", lose(1)).contains("1 of "), "a reliable transport loses nothing");
        assert!(why("p50 < 1s and loss <= 0.01%", lose(9)).contains("9 of "));
    }

    #[test]
    fn udp_may_lose_a_thousandth_unless_told_otherwise() {
        let document = testing::of("echo", 0);
        let mut trial = document.cells[2].trials[0].clone();
        assert_eq!(document.cells[2].transport, "udp");
        let judge = |slo: &str, trial: &Trial| slo.parse::<Slo>().unwrap().judge(&document.cells[2], trial);
        trial.outcome.measure = Counters { scheduled: 10_000, sent: 10_000, expected: 10_000, ..Counters::default() };
        trial.outcome.measure.lost = 10;
        assert_eq!(judge("p50 < 1s", &trial), Kept::Yes);
        assert!(matches!(judge("p50 < 1s and loss < 0%", &trial), Kept::No(_)));
        trial.outcome.measure.lost = 11;
        assert!(matches!(judge("p50 < 1s", &trial), Kept::No(_)));
    }

    #[test]
    fn a_load_that_was_not_offered_is_not_held() {
        assert!(why("p50 < 1s", |t| t.outcome.measure.sent -= 3).contains("messages sent"));
        assert!(why("p50 < 1s", |t| t.outcome.sessions.connected = 9).contains("9 of 200 sessions connected"));
        assert_eq!(why("p50 < 1s", |t| t.failure = Some("refused".into())), "refused");
    }

    #[test]
    fn a_generator_that_was_the_limit_says_nothing_of_the_target() {
        assert_eq!(judged("p50 < 1ns", testing::invalidate), Kept::Invalid);
        assert_eq!(judged("p50 < 1ns", |t| t.outcome.interrupted = true), Kept::Invalid);
        let broken = |t: &mut Trial| {
            testing::invalidate(t);
            t.failure = Some("the worker died".into());
        };
        assert_eq!(judged("p50 < 1s", broken), Kept::Invalid);
    }
}
