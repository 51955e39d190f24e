//! A comparison in words: one wording for the terminal, the summary and the tools of CI.

use super::compare::{WIDEN, called};
use super::{Comparison, Design, Difference, Effect, Look, Metric, Row, Rules, Verdict};
use crate::units::{show_nanos, three_digits};
use std::fmt;

/// Trials a side below which a comparison says that there are few.
pub const RECOMMENDED: usize = 10;
/// From so many times as much on, a change is said as a multiple: nobody reads `+4423.7 %`.
pub const AS_MULTIPLE: f64 = 11.0;

impl Row {
    /// Such as `chat/websocket p99`.
    pub fn name(&self) -> String {
        format!("{}/{} {}", self.workload, self.arm, self.metric.name())
    }

    /// The verdict with its figures, such as `REGRESSION chat/websocket p99 +11.8 % [95 % CI +8.1, +15.6] adj-p=0.004 n=10
    /// pairs`; the chance of a false alarm that its p is held against, where that is not the usual one; of one that can't be
    /// told, also what could have been.
    pub fn words(&self, comparison: &Comparison) -> String {
        let design = comparison.design;
        let mut words = format!("{} {}", self.verdict.words(), self.name());
        match &self.effect {
            Some(effect) if self.is_exact(effect) => words += &format!(" {}, to the byte", change(effect.ratio)),
            Some(effect) => {
                let alpha = if self.is_gated { unusual(&comparison.rules) } else { String::new() };
                words += &format!(" {}{alpha} {}", statistics(self.metric, effect), self.count(design));
            }
            None => words += &format!(" {}", self.count(design)),
        }
        if let (Verdict::Inconclusive, Some(effect)) = (self.verdict, &self.effect) {
            words += &within_reach(effect, design);
        }
        words
    }

    /// Such as `1.23 ms → 1.38 ms`: the medians of the trials' values, to more digits where a change would not show. Of
    /// trials that failed, how many.
    pub fn values(&self) -> String {
        if self.metric == Metric::FailedTrials {
            let count = |values: &[f64]| format!("{} of {}", values.iter().sum::<f64>(), values.len());
            return format!("{} → {}", count(&self.base), count(&self.new));
        }
        let medians = [median(&self.base), median(&self.new)];
        let [base, new] = medians.map(|value| self.metric.show(value));
        let is_change = matches!(self.verdict, Verdict::Regression | Verdict::Improvement);
        if !is_change || base != new {
            return format!("{base} → {new}");
        }
        match medians.map(|value| self.metric.show_all(value)) {
            [exactly, same] if exactly == same => format!("median {base} in both"),
            [base, new] => format!("{base} → {new}"),
        }
    }

    /// Whether the verdict rests on no statistics: every trial of a side had the same framing.
    fn is_exact(&self, effect: &Effect) -> bool {
        let is_same = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
        self.metric == Metric::FramingPerMessage
            && effect.trials_needed.is_none()
            && is_same(&self.base)
            && is_same(&self.new)
    }

    fn count(&self, design: Design) -> String {
        match design {
            Design::Paired => format!("n={}", counted(self.base.len(), "pair")),
            Design::Separate => format!("n={}+{} trials", self.base.len(), self.new.len()),
        }
    }
}

impl Metric {
    /// A value for a reader.
    pub fn show(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => "never".to_owned(),
            Metric::P50 | Metric::P99 | Metric::CpuPerMessage => show_nanos(value),
            Metric::DeliveredRate => format!("{}/s", three_digits(value)),
            Metric::FramingPerMessage => format!("{} B", (value * 1e3).round() / 1e3),
            Metric::FailedTrials => value.to_string(),
        }
    }

    /// The same to the last digit.
    fn show_all(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => self.show(value),
            Metric::P50 | Metric::P99 | Metric::CpuPerMessage => format!("{value} ns"),
            Metric::DeliveredRate => format!("{value}/s"),
            Metric::FramingPerMessage => format!("{value} B"),
            Metric::FailedTrials => value.to_string(),
        }
    }
}

impl Comparison {
    /// What all rows come to, such as `REGRESSION: 1 of 4 gated rows`.
    pub fn headline(&self) -> String {
        let gated: Vec<&Row> = self.rows.iter().filter(|row| row.is_gated).collect();
        let alike = gated.iter().filter(|row| row.verdict == self.verdict).count();
        match gated.len() {
            0 => format!("{}: no row counts for the verdict", self.word()),
            rows => format!("{}: {alike} of {rows} gated rows", self.word()),
        }
    }

    /// The verdict as people read it; that there is none, where nothing counts for it.
    pub fn word(&self) -> &'static str {
        if self.rows.iter().any(|row| row.is_gated) { self.verdict.words() } else { "NOT JUDGED" }
    }

    /// That nothing was judged, and what to do about it.
    pub fn unjudged(&self) -> Option<String> {
        let is_judged = self.rows.iter().any(|row| row.is_gated);
        (!is_judged).then(|| format!("nothing was judged: no row counts for the verdict\n{WIDEN}"))
    }

    /// Which of several looks it is, and what that one goes by.
    pub fn look_in_words(&self) -> Option<String> {
        let Look { number, of, alpha } = self.look?;
        let (own, all) = (share(self.rules.alpha), share(alpha));
        Some(format!("look {number} of {of} that were planned, which goes by α = {own} of the {all} for all of them"))
    }

    /// What a reader must know before believing any of it.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if !self.differences.is_empty() {
            remarks.push("forced: the runs are not comparable, and what differs may be all that is seen".to_owned());
        }
        let (base, new) = called(&(self.base.name.clone(), self.new.name.clone()), self.design);
        for (side, name) in [(&self.base, base), (&self.new, new)] {
            if side.partial {
                remarks.push(format!("{name} is partial: it was interrupted, or lost a process or an agent"));
            }
            remarks.extend(side.aborted.iter().map(|why| format!("{name} ended early: {why}")));
        }
        remarks.extend(self.shortage());
        if self.design == Design::Separate {
            remarks.push(
                "one run after the other: drift of the machine between them is not controlled (`wsbench duet` does)"
                    .to_owned(),
            );
        }
        let (base, new) = (&self.base.wsbench_version, &self.new.wsbench_version);
        if base != new {
            remarks.push(format!("measured by wsbench {base} and by {new}: the instrument changed too"));
        }
        remarks
    }

    /// That there are few trials, or too few for any verdict.
    fn shortage(&self) -> Option<String> {
        let (base, new) = (self.base.trials, self.new.trials);
        let what = match self.design {
            Design::Paired => "pairs",
            Design::Separate => "trials a side",
        };
        let is_ranked = |row: &&Row| row.effect.is_some_and(|effect| effect.adjusted_p_worse.is_some());
        let family = self.rows.iter().filter(is_ranked).count();
        let is_possible = |base, new| rarest(self.design, base, new) * family as f64 <= self.rules.alpha;
        if family > 0 && !is_possible(base, new) {
            let needed = (1..).find(|n| is_possible(*n, *n)).unwrap_or(RECOMMENDED);
            return Some(format!(
                "too few trials ({base} and {new}) for any change to be told: with {family} gated rows at least {needed} \
                 {what} are needed, and {} are recommended",
                needed.max(RECOMMENDED)
            ));
        }
        // A look before the last was planned with as many as it has.
        let is_last = self.look.is_none_or(|look| look.number == look.of);
        let is_few = is_last && base.min(new) < RECOMMENDED;
        is_few.then(|| format!("few trials ({base} and {new}): at least {RECOMMENDED} {what} are recommended"))
    }
}

/// The least p there can be.
fn rarest(design: Design, base: usize, new: usize) -> f64 {
    match design {
        Design::Paired => 0.5f64.powi(base.min(new) as i32),
        // One way of all to choose the new ones.
        Design::Separate => (1..=new).map(|k| k as f64 / (base + k) as f64).product(),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {} → {}", self.what, self.base, self.new)
    }
}

/// ` (α = 4 %)`, where it isn't what nobody asked to be another.
fn unusual(rules: &Rules) -> String {
    if rules.alpha == Rules::default().alpha { String::new() } else { format!(" (α = {})", share(rules.alpha)) }
}

/// `5 %`, `0.8 %`.
fn share(part: f64) -> String {
    format!("{} %", (part * 1e4).round() / 1e2)
}

/// `1 pair`, `2 pairs`.
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `+11.8 % [95 % CI +8.1, +15.6] adj-p=0.004`.
fn statistics(metric: Metric, effect: &Effect) -> String {
    let bound = |bound: Option<f64>| bound.map_or("–".to_owned(), percent);
    let (low, high) = effect.ci95;
    // The p of the direction that it points in.
    let is_worse = (effect.ratio >= 1.0) == metric.is_worse_when_larger();
    let (adjusted, own) = match is_worse {
        true => (effect.adjusted_p_worse, effect.p_worse),
        false => (effect.adjusted_p_better, effect.p_better),
    };
    let p = match adjusted {
        Some(adjusted) => format!("adj-p{}", probability(adjusted)),
        None => format!("p{}", probability(own)),
    };
    format!("{} [95 % CI {}, {}] {p}", change(effect.ratio), bound(low), bound(high))
}

/// What could have been seen, and what it would take.
fn within_reach(effect: &Effect, design: Design) -> String {
    let what = match design {
        Design::Paired => "pairs",
        Design::Separate => "trials a side",
    };
    let size = |share: f64| match 1.0 + share {
        ratio if ratio >= AS_MULTIPLE => change(ratio),
        _ => format!("{:.1} %", share * 100.0),
    };
    let seen = effect.detectable.map(|share| format!("a change of {} could have been seen", size(share)));
    let needed = effect.trials_needed.map(|n| format!("{n} {what} would show one at the threshold"));
    let words: Vec<String> = seen.into_iter().chain(needed).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) }
}

/// A ratio as a change: `+11.8 %`, `×45.3`.
pub(super) fn change(ratio: f64) -> String {
    match percent(ratio) {
        multiple if multiple.starts_with('×') => multiple,
        percent => format!("{percent} %"),
    }
}

/// The same without the sign of per cent: `+11.8`.
fn percent(ratio: f64) -> String {
    let change = (ratio - 1.0) * 100.0;
    match () {
        () if ratio.is_infinite() => "+∞".to_owned(),
        () if ratio >= AS_MULTIPLE => format!("×{}", three_digits(ratio)),
        // No minus before nothing.
        () if change.abs() < 0.05 => "+0.0".to_owned(),
        () => format!("{change:+.1}"),
    }
}

fn probability(p: f64) -> String {
    match p {
        p if p < 0.001 => "<0.001".to_owned(),
        p if p < 0.1 => format!("={p:.3}"),
        p => format!("={p:.2}"),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => sorted[n / 2 - 1] / 2.0 + sorted[n / 2] / 2.0,
    }
}
