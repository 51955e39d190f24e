//! The share of messages delivered within a time, with what theory says dotted over it.

use super::axis::{self, TimeUnit};
use super::palette::{Dash, NEUTRAL};
use super::spec::{ChartSpec, Entry, Mark, Panel, Scale, Swatch};
use super::{Ink, Inks, label, layered, pair, subtitle};
use crate::compare::predict;
use crate::measure::{BEYOND_MERGED, Histogram, Metric};
use crate::result::Document;
use crate::units::show_nanos;

pub fn spec(document: &Document) -> Option<ChartSpec> {
    let inks = Inks::of(document);
    let mut lines: Vec<(Vec<(f64, f64)>, Ink)> = Vec::new();
    let mut theory: Vec<(Vec<(f64, f64)>, Ink)> = Vec::new();
    let mut legend = Vec::new();
    for (at, cell) in document.cells.iter().enumerate() {
        let histogram = cell.merged(Metric::ResponseTime);
        if histogram.quantile(0.5, BEYOND_MERGED).is_none() {
            continue;
        }
        let ink = inks.of_cell(at);
        lines.push((steps(&histogram), ink));
        legend.push(Entry { label: label(cell), swatch: Swatch::Line(ink) });
        if let Ok(prediction) = predict(cell) {
            theory.push((prediction.curve(), ink.theory()));
        }
    }
    if lines.is_empty() {
        return None;
    }
    if !theory.is_empty() {
        let ink = Ink { colour: NEUTRAL, dash: Dash::Dots, width: 2.4 };
        legend.push(Entry { label: "theory, network alone".to_owned(), swatch: Swatch::Line(ink) });
    }
    // The last stretch of each tail would squeeze everything else together.
    let end = document.cells.iter().map(|c| c.merged(Metric::ResponseTime).at(0.995)).max()? as f64 * 1.05;
    let start = lines.iter().filter_map(|(points, _)| points.first()).map(|p| p.0).fold(f64::MAX, f64::min);
    let unit = TimeUnit::fitting(end);
    let mut x = axis::positive("response time", unit.name, start / unit.nanos, end / unit.nanos);
    if let Scale::Linear { .. } = x.scale {
        x = axis::exactly(&x.label, end / unit.nanos);
    }
    let mut y = axis::from_zero("delivered within that time (%)", 100.0);
    y.scale = Scale::Linear { from: 0.0, to: 100.0 };
    let marks = lines.into_iter().chain(theory).map(|(points, ink)| Mark::Line {
        points: points.into_iter().filter(|p| p.0 <= end).map(|(t, share)| (t / unit.nanos, share * 100.0)).collect(),
        ink,
        dots: false,
    });
    Some(ChartSpec {
        title: title(document),
        subtitle: subtitle(document, "Share of deliveries by response time"),
        panels: vec![Panel { x, y, bands: Vec::new(), marks: layered(marks) }],
        legend,
        height: 440,
    })
}

/// Value and share delivered by then; a step up at each recorded value.
fn steps(histogram: &Histogram) -> Vec<(f64, f64)> {
    let total = histogram.count() as f64;
    let mut points = Vec::new();
    let mut before = 0.0;
    for (value, at_most) in histogram.steps() {
        let share = at_most as f64 / total;
        points.extend([(value as f64, before), (value as f64, share)]);
        before = share;
    }
    points
}

fn title(document: &Document) -> String {
    let within = |cell: &crate::result::Cell| {
        let p90 = cell.merged(Metric::ResponseTime).quantile(0.9, BEYOND_MERGED)?;
        Some(format!("{} on {}", show_nanos(p90 as f64), cell.arm))
    };
    let both = pair(document).and_then(|(focus, reference)| Some((within(focus)?, within(reference)?)));
    match both {
        Some((focus, reference)) => format!("90 % of messages arrive within {focus}, {reference}"),
        None => "How soon messages arrive".to_owned(),
    }
}
