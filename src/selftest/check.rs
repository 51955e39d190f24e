//! Holding what was measured against what is known.

use crate::result::{Check, Verdict};
use crate::units::show_nanos;
use std::fmt::Display;

/// Collects the checks of one suite.
#[derive(Debug)]
pub struct Checks {
    suite: &'static str,
    pub list: Vec<Check>,
}

impl Checks {
    pub fn new(suite: &'static str) -> Checks {
        Checks { suite, list: Vec::new() }
    }

    fn add(&mut self, what: &str, expected: String, measured: String, tolerance: String, verdict: Verdict) {
        let (suite, what) = (self.suite.to_owned(), what.to_owned());
        self.list.push(Check { suite, what, expected, measured, tolerance, verdict });
    }

    /// Equal, or failed.
    pub fn exact<T: PartialEq + Display>(&mut self, what: &str, expected: T, measured: T) {
        let verdict = verdict(expected == measured);
        self.add(what, expected.to_string(), measured.to_string(), "exact".to_owned(), verdict);
    }

    /// A time that may be `below` less and `above` more than expected, nanoseconds. Without a measurement it has failed.
    pub fn time(&mut self, what: &str, expected: u64, measured: Option<u64>, below: u64, above: u64) {
        let tolerance = match below == above {
            true => format!("±{}", show(above)),
            false => format!("−{} +{}", show(below), show(above)),
        };
        let range = expected.saturating_sub(below)..=expected.saturating_add(above);
        let verdict = verdict(measured.is_some_and(|measured| range.contains(&measured)));
        self.add(what, show(expected), measured.map_or("nothing".to_owned(), show), tolerance, verdict);
    }

    /// Pairs of expected and measured times, nanoseconds: each may be off by `precision` (a share), and `above` longer.
    pub fn times(&mut self, what: &str, pairs: &[(u64, u64)], precision: f64, above: u64) {
        let fits = |(expected, measured): &(u64, u64)| {
            let (expected, measured) = (*expected as f64, *measured as f64);
            let range = expected * (1.0 - precision)..=expected * (1.0 + precision) + above as f64;
            expected > 0.0 && range.contains(&measured)
        };
        let list =
            |pick: fn(&(u64, u64)) -> u64| pairs.iter().map(|pair| show(pick(pair))).collect::<Vec<_>>().join(", ");
        let tolerance = format!("±{} % +{}", precision * 100.0, show(above));
        self.add(what, list(|pair| pair.0), list(|pair| pair.1), tolerance, verdict(pairs.iter().all(fits)));
    }

    /// A time of at least this many nanoseconds.
    pub fn at_least(&mut self, what: &str, least: u64, measured: u64) {
        self.add(what, format!("≥ {}", show(least)), show(measured), "–".to_owned(), verdict(measured >= least));
    }

    /// A time of at most this many nanoseconds.
    pub fn at_most(&mut self, what: &str, most: u64, measured: u64) {
        self.add(what, format!("≤ {}", show(most)), show(measured), "–".to_owned(), verdict(measured <= most));
    }

    /// Something that is so or isn't.
    pub fn holds(&mut self, what: &str, expected: &str, measured: String, does: bool) {
        self.add(what, expected.to_owned(), measured, "–".to_owned(), verdict(does));
    }

    /// A property of the machine.
    pub fn floor(&mut self, what: &str, measured: String) {
        self.add(what, "–".to_owned(), measured, "–".to_owned(), Verdict::Floor);
    }

    pub fn skipped(&mut self, what: &str, why: String) {
        self.add(what, "–".to_owned(), why, "–".to_owned(), Verdict::Skipped);
    }
}

fn verdict(holds: bool) -> Verdict {
    if holds { Verdict::Pass } else { Verdict::Fail }
}

fn show(nanos: u64) -> String {
    show_nanos(nanos as f64)
}
