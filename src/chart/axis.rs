//! Axes with ticks at round values and a unit that fits.

use super::spec::{Axis, Scale, Tick};
use crate::units::three_digits;

/// A unit of time for an axis: what to divide nanoseconds by, and its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeUnit {
    pub nanos: f64,
    pub name: &'static str,
}

impl TimeUnit {
    /// The largest unit in which `longest` nanoseconds is at least 1.
    pub fn fitting(longest: f64) -> TimeUnit {
        let (nanos, name) = match longest {
            n if n >= 1e9 => (1e9, "s"),
            n if n >= 1e6 => (1e6, "ms"),
            _ => (1e3, "µs"),
        };
        TimeUnit { nanos, name }
    }
}

/// An axis of values over 0: from 0 if they are within a factor of 6, else logarithmic, and it says so.
pub fn positive(label: &str, unit: &str, smallest: f64, largest: f64) -> Axis {
    if smallest > 0.0 && largest / smallest > 6.0 {
        let mut axis = log(&format!("{label} ({unit}, log)"), smallest, largest);
        axis.ticks.iter_mut().for_each(|t| t.label = plain(t.at));
        return axis;
    }
    from_zero(&format!("{label} ({unit})"), largest)
}

/// 0 to a round value at or over `largest`.
pub fn from_zero(label: &str, largest: f64) -> Axis {
    let step = round_step(largest.max(1e-9) / 5.0);
    let count = (largest / step - 1e-9).ceil().max(1.0);
    let ticks = (0..=count as u32).map(|n| tick(f64::from(n) * step)).collect();
    Axis { label: label.to_owned(), scale: Scale::Linear { from: 0.0, to: count * step }, ticks, grid: true }
}

/// 0 to exactly `to`, with round ticks on the way.
pub fn exactly(label: &str, to: f64) -> Axis {
    let to = to.max(1e-9);
    let step = round_step(to / 6.0);
    let ticks = (0..=(to / step) as u32).map(|n| tick(f64::from(n) * step)).collect();
    Axis { label: label.to_owned(), scale: Scale::Linear { from: 0.0, to }, ticks, grid: true }
}

/// Logarithmic from a little under `smallest` to a little over `largest`, both over 0.
pub fn log(label: &str, smallest: f64, largest: f64) -> Axis {
    let (from, to) = (smallest * 0.93, largest * 1.07);
    let decades = (to / from).log10();
    let steps: &[f64] = match decades {
        d if d > 5.0 => &[1.0],
        d if d > 1.2 => &[1.0, 2.0, 5.0],
        d if d > 0.5 => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
        _ => &[1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0],
    };
    let (first, last) = (from.log10().floor() as i32, to.log10().ceil() as i32);
    let ticks = (first..=last)
        .flat_map(|exponent| steps.iter().map(move |s| s * 10f64.powi(exponent)))
        .filter(|at| (from..=to).contains(at))
        .map(tick)
        .collect();
    Axis { label: label.to_owned(), scale: Scale::Log { from, to }, ticks, grid: true }
}

/// Ratios around 1 as changes in per cent; as multiples and logarithmic where they are far apart. Ticks end at `high`; the
/// axis goes on for the share `room` of its length, for words.
pub fn change(label: &str, low: f64, high: f64, room: f64) -> Axis {
    if high / low > 2.5 {
        let mut axis = log(&format!("{label} (log)"), low / 0.93, high / 1.07);
        axis.ticks.iter_mut().for_each(|tick| tick.label = format!("×{}", plain(tick.at)));
        axis.scale = Scale::Log { from: low, to: low * (high / low).powf(1.0 / (1.0 - room)) };
        return axis;
    }
    let step = round_step((high - low) * 100.0 / 6.0);
    let percents = ((low - 1.0) * 100.0 / step).ceil() as i64..=((high - 1.0) * 100.0 / step + 1e-9).floor() as i64;
    let ticks = percents.map(|n| n as f64 * step).map(|percent| Tick {
        at: 1.0 + percent / 100.0,
        label: match percent {
            0.0 => "0 %".to_owned(),
            p if p > 0.0 => format!("+{} %", plain(p)),
            p => format!("−{} %", plain(-p)),
        },
    });
    Axis {
        label: label.to_owned(),
        ticks: ticks.collect(),
        scale: Scale::Linear { from: low, to: low + (high - low) / (1.0 - room) },
        grid: true,
    }
}

/// Ticks of quantiles nearer to one another than this part of the axis would run into one another.
const APART: f64 = 0.08;

/// Quantiles up to `to`, a tick at each nine and at the end.
pub fn nines(label: &str, to: f64) -> Axis {
    let marks =
        [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99"), (0.99999, "99.999")];
    let scale = Scale::Nines { to };
    let is_clear = |q: f64| q == to || scale.place(q) <= 1.0 - APART;
    let within = marks.iter().filter(|(q, _)| *q <= to && is_clear(*q));
    let mut ticks: Vec<Tick> = within.map(|(q, text)| Tick { at: *q, label: text.to_string() }).collect();
    if ticks.last().is_none_or(|last| last.at < to) {
        ticks.push(Tick { at: to, label: percentile(to) });
    }
    Axis { label: label.to_owned(), scale, ticks, grid: true }
}

/// A quantile in per cent, never more than it is, with a digit beyond its nines: `95`, `99.5`, `99.983`.
fn percentile(q: f64) -> String {
    let decimals = (-(1.0 - q).log10()).floor().clamp(1.0, 6.0) as usize;
    let scale = 10f64.powi(decimals as i32);
    let text = format!("{:.decimals$}", (q * 100.0 * scale + 1e-6).floor() / scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A row for each name, the first on top, at 0, 1, 2 and so on.
pub fn rows(names: impl Iterator<Item = String>) -> Axis {
    let ticks: Vec<Tick> = names.enumerate().map(|(n, label)| Tick { at: n as f64, label }).collect();
    let last = ticks.len().max(1) as f64 - 0.5;
    Axis { label: String::new(), scale: Scale::Linear { from: last, to: -0.5 }, ticks, grid: false }
}

fn tick(at: f64) -> Tick {
    Tick { at, label: plain(at) }
}

/// Without trailing zeros: `0.5`, `20`, `1500`.
fn plain(value: f64) -> String {
    let text = if value.abs() >= 100.0 { format!("{value:.0}") } else { three_digits(value) };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].iter().map(|s| s * power).find(|s| *s >= least * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> String {
        axis.ticks.iter().map(|t| t.label.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&from_zero("", 97.0)), "0 20 40 60 80 100");
        assert_eq!(labels(&from_zero("", 0.9)), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(labels(&exactly("", 1.3)), "0 0.5 1");
        assert_eq!(labels(&log("", 0.03, 6.0)), "0.05 0.1 0.2 0.5 1 2 5");
        assert_eq!(labels(&log("", 0.53, 1.0)), "0.5 0.6 0.7 0.8 0.9 1");
        assert_eq!(labels(&nines("", 0.995)), "0 50 90 99 99.5");
        assert_eq!(labels(&nines("", 0.999)), "0 50 90 99 99.9");
        assert_eq!(labels(&nines("", 2.0 / 3.0)), "0 50 66.6");
        assert_eq!(labels(&nines("", 0.5)), "0 50");
        assert_eq!(labels(&nines("", 0.905)), "0 50 90.5", "90 would run into the end");
        assert_eq!(labels(&nines("", 0.99983)), "0 50 90 99 99.9 99.983");
        assert_eq!(labels(&change("", 0.93, 1.13, 0.3)), "−5 % 0 % +5 % +10 %");
        assert_eq!(labels(&change("", 0.5, 10.0, 0.3)), "×0.5 ×1 ×2 ×5 ×10");
        assert_eq!(labels(&positive("", "ms", 20.0, 97.0)), "0 20 40 60 80 100");
        assert_eq!(labels(&positive("", "ms", 0.05, 20.0)), "0.05 0.1 0.2 0.5 1 2 5 10 20");
    }

    #[test]
    fn strange_values_make_strange_axes_but_axes() {
        for (smallest, largest) in [(0.0, 0.0), (1.0, 1.0), (1e-300, 1e300), (0.0, 1e18)] {
            let axis = positive("", "ms", smallest, largest);
            assert!(axis.ticks.len() < 1000, "{}", axis.ticks.len());
        }
    }

    #[test]
    fn units_fit() {
        assert_eq!(TimeUnit::fitting(4.2e7).name, "ms");
        assert_eq!(TimeUnit::fitting(10.0).name, "µs");
        assert_eq!(TimeUnit::fitting(1e9).name, "s");
    }
}
