//! Response time by percentile of both runs over one another, a panel an arm: where in the distribution they part.

use super::{Compared, words};
use crate::chart::axis::{self, TimeUnit};
use crate::chart::palette::{Dash, NEUTRAL};
use crate::chart::percentiles::curve;
use crate::chart::spec::{Band, ChartSpec, Entry, Mark, Panel, Swatch};
use crate::chart::{Ink, Inks, label, layered, subtitle};
use crate::measure::{BEYOND_MERGED, Histogram, Metric};
use crate::result::Cell;
use crate::units::show_nanos;

/// How much lighter the base's line is.
const LIGHTER: f64 = 0.35;

pub fn spec(compared: Compared) -> Option<ChartSpec> {
    let inks = Inks::of(compared.base);
    let partner = |cell: &Cell| compared.new.cells.iter().find(|c| c.arm == cell.arm && c.workload == cell.workload);
    let cells = compared.base.cells.iter().enumerate();
    let panels: Vec<Panel> = cells.filter_map(|(at, cell)| panel(cell, partner(cell)?, inks.of_cell(at))).collect();
    if panels.is_empty() {
        return None;
    }
    let side = |name: String, ink: Ink| Entry { label: name, swatch: Swatch::Line(ink) };
    let [base, new] = words::sides(compared.comparison);
    let neutral = Ink { colour: NEUTRAL, dash: Dash::Solid, width: 2.0 };
    Some(ChartSpec {
        title: "Where in the distribution the runs part".to_owned(),
        subtitle: subtitle(compared.new, "Response time by percentile, valid trials merged"),
        height: 8 + 270 * panels.len() as u32,
        panels,
        legend: vec![side(base, of_base(neutral)), side(new, neutral)],
    })
}

fn of_base(ink: Ink) -> Ink {
    Ink { colour: ink.colour.lighter(LIGHTER), dash: Dash::Long, ..ink }
}

/// `None`: too few samples on either side.
fn panel(base: &Cell, new: &Cell, ink: Ink) -> Option<Panel> {
    let ink = Ink { dash: Dash::Solid, ..ink };
    let histograms = [base, new].map(|cell| cell.merged(Metric::ResponseTime));
    let curves = [curve(&histograms[0]), curve(&histograms[1])];
    let all = || curves.iter().flatten();
    if curves.iter().any(Vec::is_empty) {
        return None;
    }
    let furthest = all().map(|p| p.0).fold(0.0, f64::max);
    let highest = all().map(|p| p.1).fold(0.0, f64::max);
    let lowest = all().map(|p| p.1).fold(highest, f64::min);
    let unit = TimeUnit::fitting(highest);
    let line = |(points, ink): (&Vec<(f64, f64)>, Ink)| Mark::Line {
        points: points.iter().map(|(q, nanos)| (*q, nanos / unit.nanos)).collect(),
        ink,
        dots: false,
    };
    let name = Band { from: 0.0, to: furthest, label: moved(new, &histograms), shaded: false };
    Some(Panel {
        x: axis::nines("percentile of deliveries (%)", furthest),
        y: axis::positive("response time", unit.name, lowest / unit.nanos, highest / unit.nanos),
        bands: vec![name],
        // The base's dashes over the new run's line: both are seen where they coincide.
        marks: layered(curves.iter().zip([of_base(ink), ink]).map(line)),
    })
}

/// The arm, and how its p99 moved, or its p50 if that is all there is.
fn moved(cell: &Cell, [base, new]: &[Histogram; 2]) -> String {
    let quantiles = [(0.99, "p99"), (0.5, "p50")];
    let found = quantiles.iter().find_map(|(q, name)| {
        let at = |histogram: &Histogram| Some(show_nanos(histogram.quantile(*q, BEYOND_MERGED)? as f64));
        Some(format!("{}: {name} {} → {}", label(cell), at(base)?, at(new)?))
    });
    found.unwrap_or_else(|| label(cell))
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::result::testing::document;

    #[test]
    fn a_panel_an_arm_that_both_runs_have() {
        let (base, comparison) = (document(), testing::comparison());
        let mut new = testing::slower(&base);
        new.cells.remove(1);
        let spec = spec(Compared { comparison: &comparison, base: &base, new: &new }).unwrap();
        let names: Vec<&str> = spec.panels.iter().map(|p| p.bands[0].label.as_str()).collect();
        assert_eq!(names.len(), base.cells.len() - 1);
        assert!(names[0].starts_with("websocket: p99 ") && names.iter().all(|n| !n.starts_with("tcp")), "{names:?}");
    }
}
