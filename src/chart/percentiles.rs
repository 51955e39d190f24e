//! Response time by percentile, each nine as wide as the one before, so that the tail can be seen. Lines end where 100
//! samples lie beyond: further on there is only noise.

use super::axis::{self, TimeUnit};
use super::palette::{Dash, Ink, MUTED};
use super::spec::{ChartSpec, Entry, Mark, Panel, Swatch};
use super::{Inks, label, layered, subtitle};
use crate::compare;
use crate::measure::{BEYOND_MERGED, Histogram, Metric};
use crate::result::{Cell, Document, NetworkFloor};
use crate::units::show_nanos;

/// Points on each line.
const POINTS: u32 = 240;

pub fn spec(document: &Document) -> Option<ChartSpec> {
    let inks = Inks::of(document);
    let curves: Vec<_> = document
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| {
            let histogram = cell.merged(Metric::ResponseTime);
            (named(cell, &histogram), inks.of_cell(at), curve(&histogram))
        })
        .filter(|(.., points)| !points.is_empty())
        .collect();
    let all = || curves.iter().flat_map(|(.., points)| points);
    let furthest = all().map(|p| p.0).fold(0.0, f64::max);
    let floor = floor(document);
    let least = floor.as_ref().map_or(f64::MAX, |(_, nanos)| *nanos);
    let (lowest, highest) = (all().map(|p| p.1).fold(least, f64::min), all().map(|p| p.1).fold(0.0, f64::max));
    if curves.is_empty() {
        return None;
    }
    let unit = TimeUnit::fitting(highest);
    let marks = curves.iter().map(|(_, ink, points)| Mark::Line {
        points: points.iter().map(|(q, nanos)| (*q, nanos / unit.nanos)).collect(),
        ink: *ink,
        dots: false,
    });
    let mut legend: Vec<Entry> =
        curves.iter().map(|(name, ink, _)| Entry { label: name.clone(), swatch: Swatch::Line(*ink) }).collect();
    let mut marks = layered(marks);
    if let Some((label, nanos)) = floor {
        let ink = Ink { colour: MUTED, dash: Dash::Short, width: 1.0 };
        let y = nanos / unit.nanos;
        marks.insert(0, Mark::Line { points: vec![(0.0, y), (furthest, y)], ink, dots: false });
        legend.push(Entry { label, swatch: Swatch::Line(ink) });
    }
    Some(ChartSpec {
        title: title(document),
        subtitle: subtitle(document, "Response time by percentile"),
        panels: vec![Panel {
            x: axis::nines("percentile of deliveries (%)", furthest),
            y: axis::positive("response time", unit.name, lowest / unit.nanos, highest / unit.nanos),
            bands: Vec::new(),
            marks,
        }],
        legend,
        height: 440,
    })
}

/// The floor of the network, with its label, where all targets share one and it is under the curves: an emulated delay is
/// not in it.
fn floor(document: &Document) -> Option<(String, f64)> {
    let [NetworkFloor { p50: Some(p50), .. }] = document.network_floor.as_slice() else { return None };
    let nanos = *p50 as f64;
    let is_emulated = document.cells.iter().any(|cell| cell.load.delay > 0);
    (!is_emulated && *p50 > 0).then(|| (format!("ICMP echo, p50 {}", show_nanos(nanos)), nanos))
}

fn title(document: &Document) -> String {
    match document.cells.iter().any(Cell::has_valid_trial) {
        true => compare::headline(document),
        false => "How long messages take".to_owned(),
    }
}

/// The arm with its p99, or its p50 if that is all there is: lines that coincide can't be told apart otherwise.
fn named(cell: &Cell, histogram: &Histogram) -> String {
    let quantiles = [(0.99, "p99"), (0.5, "p50")];
    let highest = quantiles.iter().find_map(|(q, name)| Some((name, histogram.quantile(*q, BEYOND_MERGED)?)));
    match highest {
        Some((name, nanos)) => format!("{}, {name} {}", label(cell), show_nanos(nanos as f64)),
        None => label(cell),
    }
}

/// Quantile and nanoseconds, evenly spaced in nines up to the last supported quantile.
pub(super) fn curve(histogram: &Histogram) -> Vec<(f64, f64)> {
    let furthest = 1.0 - BEYOND_MERGED as f64 / histogram.count().max(1) as f64;
    if furthest < 0.5 {
        return Vec::new();
    }
    let nines = -(1.0 - furthest).log10();
    (0..=POINTS)
        .map(|n| {
            let q = 1.0 - 10f64.powf(-nines * f64::from(n) / f64::from(POINTS));
            (q, histogram.at(q) as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn a_line_ends_where_its_samples_do() {
        let mut histogram = Histogram::default();
        (0..199).for_each(|n| histogram.record(n * 1000));
        assert!(curve(&histogram).is_empty());
        (199..10_000).for_each(|n| histogram.record(n * 1000));
        let (q, nanos) = *curve(&histogram).last().unwrap();
        assert!((q - 0.99).abs() < 1e-9 && (nanos / 9_900_000.0 - 1.0).abs() < 0.01);
    }
    #[test]
    fn the_floor_is_a_line_under_the_curves_unless_a_delay_is_emulated() {
        let floor = NetworkFloor { p50: Some(21_000), ..NetworkFloor::default() };
        let named = |delay: u64| {
            let document = Document { network_floor: vec![floor.clone()], ..testing::of("chat", delay) };
            let spec = spec(&document).unwrap();
            spec.legend.into_iter().map(|entry| entry.label).find(|label| label.contains("ICMP"))
        };
        assert_eq!(named(0).as_deref(), Some("ICMP echo, p50 21.0 µs"));
        assert_eq!(named(testing::DELAY), None);
    }
}
