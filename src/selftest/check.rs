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

/// A time that may be longer than expected by as much, nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Longer {
    pub expected: u64,
    pub measured: u64,
    pub by: u64,
}

impl Longer {
    fn fits(&self, precision: f64) -> bool {
        let (expected, measured) = (self.expected as f64, self.measured as f64);
        let range = expected * (1.0 - precision)..=expected * (1.0 + precision) + self.by as f64;
        expected > 0.0 && range.contains(&measured)
    }
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

    /// Times that may each be off by `precision` (a share), and a little longer.
    pub fn longer(&mut self, what: &str, precision: f64, times: &[Longer]) {
        let list = |pick: fn(&Longer) -> u64| times.iter().map(|time| show(pick(time))).collect::<Vec<_>>().join(", ");
        let tolerance = format!("±{} % +({})", precision * 100.0, list(|time| time.by));
        let holds = times.iter().all(|time| time.fits(precision));
        self.add(what, list(|time| time.expected), list(|time| time.measured), tolerance, verdict(holds));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(check: impl Fn(&mut Checks)) -> Vec<Verdict> {
        let mut checks = Checks::new("suite");
        check(&mut checks);
        checks.list.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn what_is_outside_its_tolerance_fails() {
        use Verdict::{Fail, Pass};
        let exact = verdicts(|checks| (6..9).for_each(|measured| checks.exact("", 7, measured)));
        assert_eq!(exact, [Fail, Pass, Fail]);
        let time = [None, Some(94), Some(95), Some(110), Some(111)];
        let time = verdicts(|checks| time.iter().for_each(|measured| checks.time("", 100, *measured, 5, 10)));
        assert_eq!(time, [Fail, Fail, Pass, Pass, Fail]);
        let bounds = verdicts(|checks| {
            (9..=11).for_each(|measured| checks.at_least("", 10, measured));
            (9..=11).for_each(|measured| checks.at_most("", 10, measured));
        });
        assert_eq!(bounds, [Fail, Pass, Pass, Pass, Pass, Fail]);
    }

    #[test]
    fn one_time_that_is_shorter_or_much_longer_fails_them_all() {
        let of = |measured: u64| Longer { expected: 1000, measured, by: 50 };
        for (measured, verdict) in
            [(997, Verdict::Fail), (998, Verdict::Pass), (1052, Verdict::Pass), (1053, Verdict::Fail)]
        {
            assert_eq!(verdicts(|checks| checks.longer("", 0.002, &[of(1000), of(measured)])), [verdict], "{measured}");
        }
        let nothing = Longer { expected: 0, measured: 0, by: 50 };
        assert_eq!(verdicts(|checks| checks.longer("", 0.002, &[nothing])), [Verdict::Fail]);
    }
}
