//! The verdict on each row, by the ranks of its trials' values.

use super::{Design, Effect, Metric, Row, Rules, Verdict};
use crate::stats;

/// A value that is infinite, or nothing at all, on the logarithmic scale: far beyond every other. Ranks ask no more of it.
const FAR: f64 = 1e6;
/// Beyond this a shift is made of such values.
const BEYOND: f64 = 1e3;

/// What a row's verdict goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Ranks,
    /// It was plain to see; nothing is left to judge.
    Fact,
}

/// Fills in the effects and verdicts of rows that go by ranks: first each alone, then all gated ones together.
pub(super) fn judge(rows: &mut [(Row, By)], design: Design, rules: &Rules) {
    let mut rows: Vec<&mut Row> = rows.iter_mut().filter(|(_, by)| *by == By::Ranks).map(|(row, _)| row).collect();
    let mut bands = Vec::new();
    for row in &mut rows {
        let measured = measured(row, design, rules.confidence());
        row.effect = measured.map(|(effect, _)| effect);
        bands.push(measured.is_some_and(|(_, band)| is_within(row, band, rules)));
    }
    correct(&mut rows);
    let family = rows.iter().filter(|row| row.is_gated && row.effect.is_some()).count();
    for (row, is_alike) in rows.into_iter().zip(bands) {
        let noise = noise(row, design);
        // Holm's correction holds the smallest p of all against α ÷ the size of the family.
        let alpha = if row.is_gated { rules.alpha / family.max(1) as f64 } else { rules.alpha };
        let threshold = of_share(row.metric, rules.noise);
        if let (Some(effect), Some((deviation, n))) = (&mut row.effect, noise) {
            effect.detectable = stats::detectable(deviation, n, alpha).map(|log| share(row.metric, log));
            effect.trials_needed = stats::needed(deviation, threshold, alpha);
        }
        row.verdict = row.effect.map_or(Verdict::Inconclusive, |effect| verdict(row.metric, &effect, is_alike, rules));
    }
}

/// What all gated rows come to. One that got worse outweighs all; one that can't be told outweighs those that got better.
pub(super) fn whole<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Verdict {
    let gated: Vec<Verdict> = rows.into_iter().filter(|row| row.is_gated).map(|row| row.verdict).collect();
    let order = [Verdict::Regression, Verdict::Inconclusive, Verdict::Improvement, Verdict::NoChange];
    order.into_iter().find(|verdict| gated.contains(verdict)).unwrap_or(Verdict::Inconclusive)
}

fn verdict(metric: Metric, effect: &Effect, is_alike: bool, rules: &Rules) -> Verdict {
    let worse = if metric.is_worse_when_larger() { effect.ratio - 1.0 } else { 1.0 - effect.ratio };
    let p_worse = effect.adjusted_p_worse.unwrap_or(effect.p_worse);
    let p_better = effect.adjusted_p_better.unwrap_or(effect.p_better);
    match () {
        () if p_worse <= rules.alpha && worse >= rules.noise && worse > 0.0 => Verdict::Regression,
        () if p_better <= rules.alpha && -worse >= rules.noise && worse < 0.0 => Verdict::Improvement,
        () if is_alike => Verdict::NoChange,
        () => Verdict::Inconclusive,
    }
}

/// Bounds of a ratio; absent where so few trials can't give one.
type Interval = (Option<f64>, Option<f64>);

/// Whether the interval shows that nothing changed. Where half of a side never came, there is nothing that could be alike.
fn is_within(row: &Row, band: Interval, rules: &Rules) -> bool {
    let is_lost = |values: &[f64]| 2 * values.iter().filter(|value| value.is_infinite()).count() >= values.len();
    !is_lost(&row.base)
        && !is_lost(&row.new)
        && matches!(band, (Some(low), Some(high))
            if low >= 1.0 - rules.equivalence && high <= 1.0 + rules.equivalence)
}

/// The effect by the row's own trials, and its interval of this confidence. `None` where no value is finite, too.
fn measured(row: &Row, design: Design, confidence: f64) -> Option<(Effect, Interval)> {
    if row.base.iter().chain(&row.new).all(|value| value.is_infinite()) {
        return None;
    }
    let (base, new) = (logs(&row.base), logs(&row.new));
    let (test, shift) = match design {
        Design::Separate => (stats::rank_sum(&base, &new)?, stats::shift(&base, &new)?),
        Design::Paired => {
            let differences = differences(&base, &new);
            // Where every pair is the same, nothing speaks for either side.
            let test = stats::signed_rank(&differences).unwrap_or(stats::Test { p_greater: 1.0, p_less: 1.0 });
            (test, stats::shift_of_pairs(&differences)?)
        }
    };
    let bounds = |confidence| {
        let bound = |log: Option<f64>| log.filter(|log| log.abs() < BEYOND).map(f64::exp);
        let (low, high) = shift.interval(confidence);
        (bound(low), bound(high))
    };
    let (p_worse, p_better) = match row.metric.is_worse_when_larger() {
        true => (test.p_greater, test.p_less),
        false => (test.p_less, test.p_greater),
    };
    let effect = Effect {
        ratio: match shift.estimate {
            log if log >= BEYOND => f64::INFINITY,
            log if log <= -BEYOND => 0.0,
            log => log.exp(),
        },
        ci95: bounds(0.95),
        ci90: bounds(0.90),
        p_worse,
        p_better,
        adjusted_p_worse: None,
        adjusted_p_better: None,
        detectable: None,
        trials_needed: None,
    };
    Some((effect, bounds(confidence)))
}

/// Holm's correction over the gated rows, for either direction.
fn correct(rows: &mut [&mut Row]) {
    let mut gated: Vec<&mut Effect> =
        rows.iter_mut().filter(|row| row.is_gated).filter_map(|row| row.effect.as_mut()).collect();
    let worse = stats::holm(&gated.iter().map(|effect| effect.p_worse).collect::<Vec<_>>());
    let better = stats::holm(&gated.iter().map(|effect| effect.p_better).collect::<Vec<_>>());
    for (effect, (worse, better)) in gated.iter_mut().zip(worse.into_iter().zip(better)) {
        effect.adjusted_p_worse = Some(worse);
        effect.adjusted_p_better = Some(better);
    }
}

/// The standard deviation of one trial against another on the logarithmic scale, and how many there are of such.
fn noise(row: &Row, design: Design) -> Option<(f64, usize)> {
    let (base, new) = (logs(&row.base), logs(&row.new));
    if base.iter().chain(&new).any(|log| log.abs() >= BEYOND) {
        return None;
    }
    match design {
        Design::Paired => Some((variance(&differences(&base, &new))?.sqrt(), base.len())),
        Design::Separate => {
            // Of the difference of two means, times the smaller number: as if there were so many pairs.
            let n = base.len().min(new.len());
            let of_mean = variance(&base)? / base.len() as f64 + variance(&new)? / new.len() as f64;
            Some(((of_mean * n as f64).sqrt(), n))
        }
    }
}

fn variance(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.len() > 1).then(|| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

fn differences(base: &[f64], new: &[f64]) -> Vec<f64> {
    base.iter().zip(new).map(|(base, new)| new - base).collect()
}

fn logs(values: &[f64]) -> Vec<f64> {
    let log = |value: &f64| match *value {
        value if value == f64::INFINITY => FAR,
        value if value <= 0.0 => -FAR,
        value => value.ln(),
    };
    values.iter().map(log).collect()
}

/// A change for the worse by this share, on the logarithmic scale.
fn of_share(metric: Metric, share: f64) -> f64 {
    if metric.is_worse_when_larger() { share.ln_1p() } else { -(-share).ln_1p() }
}

/// The inverse of [`of_share`].
fn share(metric: Metric, log: f64) -> f64 {
    if metric.is_worse_when_larger() { log.exp_m1() } else { -(-log).exp_m1() }
}
