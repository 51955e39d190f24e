//! Response time over the run, p99 above p50, merged over trials, with the phases marked.

use super::axis::{self, TimeUnit};
use super::spec::{Band, ChartSpec, Entry, Mark, Panel, Swatch};
use super::{Ink, Inks, label, layered, subtitle};
use crate::measure::{BEYOND_TRIAL, Histogram};
use crate::result::{Cell, Document};
use crate::units::{show_nanos, three_digits};
use std::collections::BTreeMap;

/// In nanoseconds.
const SECOND: f64 = 1e9;
/// With more points than this on a line, they aren't marked one by one.
const MARKED: usize = 40;

/// One arm's slices: middle of the slice and value, nanoseconds.
struct Series {
    arm: String,
    is_valid: bool,
    ink: Ink,
    p50: Vec<(f64, f64)>,
    p99: Vec<(f64, f64)>,
}

pub fn spec(document: &Document) -> Option<ChartSpec> {
    let inks = Inks::of(document);
    let series: Vec<Series> = document
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| of_cell(cell, inks.of_cell(at)))
        .filter(|s| !s.p50.is_empty())
        .collect();
    let load = document.cells.iter().map(|c| &c.load).max_by_key(|l| l.warmup.saturating_add(l.duration))?;
    let measured = (seconds(load.warmup), seconds(load.warmup.saturating_add(load.duration)));
    // Trials that are no longer than a slice have one point, which shows nothing over time.
    let is_over_time = |s: &Series| s.p50.iter().filter(|(at, _)| *at < measured.1 * SECOND).count() > 1;
    if !series.iter().any(is_over_time) {
        return None;
    }
    let last = series.iter().flat_map(|s| &s.p50).map(|p| p.0).fold(0.0, f64::max) / SECOND;
    // Room for the name of the drain, however short it was.
    let end = (last * 1.02).max(measured.1 * 1.08);
    let panels: Vec<Panel> = [("p99", true), ("p50", false)]
        .iter()
        .filter_map(|(name, tail)| panel(name, &series, |s| if *tail { &s.p99 } else { &s.p50 }, measured, end))
        .collect();
    let entry = |s: &Series| Entry { label: s.arm.clone(), swatch: Swatch::Line(s.ink) };
    Some(ChartSpec {
        title: title(&series, measured),
        subtitle: subtitle(document, "Response time by time of receipt, trials merged"),
        height: 60 + 290 * panels.len() as u32,
        legend: series.iter().map(entry).collect(),
        panels,
    })
}

fn of_cell(cell: &Cell, ink: Ink) -> Series {
    let mut slices: BTreeMap<u64, (u64, Histogram)> = BTreeMap::new();
    for (interval, histogram) in cell.trusted().iter().flat_map(|t| t.intervals()).flatten() {
        let (length, merged) = slices.entry(interval.start).or_default();
        *length = (*length).max(interval.length);
        merged.merge(&histogram);
    }
    let line = |q: f64| {
        let point = |(start, (length, histogram)): (&u64, &(u64, Histogram))| {
            let value = histogram.quantile(q, BEYOND_TRIAL)?;
            Some((*start as f64 + *length as f64 / 2.0, value as f64))
        };
        slices.iter().filter_map(point).collect()
    };
    Series { arm: label(cell), is_valid: cell.has_valid_trial(), ink, p50: line(0.5), p99: line(0.99) }
}

fn panel(
    name: &str,
    series: &[Series],
    of: impl Fn(&Series) -> &Vec<(f64, f64)>,
    measured: (f64, f64),
    end: f64,
) -> Option<Panel> {
    let values = || series.iter().flat_map(&of).map(|p| p.1);
    let highest = values().reduce(f64::max)?;
    let lowest = values().fold(highest, f64::min);
    let unit = TimeUnit::fitting(highest);
    let marks = series.iter().map(|s| {
        let points: Vec<_> = of(s).iter().map(|(at, v)| (at / SECOND, v / unit.nanos)).collect();
        Mark::Line { dots: points.len() <= MARKED, points, ink: s.ink }
    });
    let band = |from, to, label: &str, shaded| Band { from, to, label: label.to_owned(), shaded };
    Some(Panel {
        x: axis::exactly("time since the start of warmup (s)", end),
        y: axis::positive(&format!("{name} response time"), unit.name, lowest / unit.nanos, highest / unit.nanos),
        bands: vec![
            band(0.0, measured.0, "warmup", true),
            band(measured.0, measured.1, "measure", false),
            band(measured.1, end, "drain", true),
        ],
        marks: layered(marks),
    })
}

/// Names the valid arm whose p99 moved most within the measured window.
fn title(series: &[Series], measured: (f64, f64)) -> String {
    let swing = |s: &Series| {
        let in_window = |at: f64| (measured.0..measured.1).contains(&(at / SECOND));
        let values: Vec<f64> = s.p99.iter().filter(|(at, _)| in_window(*at)).map(|p| p.1).collect();
        let (low, high) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
        (values.len() > 1 && low > 0.0).then_some((low, high))
    };
    let swings = series.iter().filter(|s| s.is_valid).filter_map(|s| Some((s, swing(s)?)));
    match swings.max_by(|a, b| (a.1.1 / a.1.0).total_cmp(&(b.1.1 / b.1.0))) {
        None => "Response time over the run".to_owned(),
        Some((_, (low, high))) if high / low < 1.25 => {
            format!("Response times are steady: no arm's p99 moves by more than {}×", three_digits(high / low))
        }
        Some((s, (low, high))) => {
            format!("{}'s p99 moves most over the run: {} to {}", s.arm, show_nanos(low), show_nanos(high))
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;
    use crate::schedule::Phase;

    #[test]
    fn trials_no_longer_than_a_slice_have_no_picture_over_time() {
        let kept = |phases: &[Phase], most: usize| {
            let mut document = testing::document();
            for trial in document.cells.iter_mut().flat_map(|cell| &mut cell.trials) {
                let intervals = &mut trial.outcome.intervals;
                intervals.retain(|interval| phases.contains(&interval.phase));
                intervals.truncate(most);
            }
            spec(&document).is_some()
        };
        assert!(!kept(&[Phase::Measure], 1));
        assert!(!kept(&[], 0));
        assert!(kept(&[Phase::Measure], 2));
    }
}
