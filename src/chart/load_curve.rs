//! Latency over the load: what a search for capacity saw of every arm at every load that it tried, and where the knee is.

use super::axis::{self, TimeUnit};
use super::palette::{Dash, Ink, MUTED, NEUTRAL};
use super::spec::{ChartSpec, Entry, Mark, Panel, Swatch};
use super::{Inks, layered, subtitle};
use crate::result::{Capacity, Cell, Document};

/// How far over the highest figure that is finite an infinite one is drawn.
const INFINITE: f64 = 2.0;

/// What was read at one load: finite figures in nanoseconds, `f64::INFINITY` where too much never came.
struct Point {
    load: u64,
    valid: Vec<f64>,
    invalid: Vec<f64>,
}

struct Curve<'a> {
    arm: &'a str,
    ink: Ink,
    points: Vec<Point>,
    /// The highest load that held, as the axis has it.
    knee: Option<u64>,
}

pub fn spec(document: &Document) -> Option<ChartSpec> {
    let capacity = document.capacity.as_ref()?;
    let limit = capacity.slo.first()?;
    let curves = curves(document, capacity);
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let figures = || points().flat_map(|p| p.valid.iter().chain(&p.invalid)).copied();
    let finite = || figures().filter(|nanos| nanos.is_finite()).chain([limit.below.nanos() as f64]);
    let (least, most) = (points().map(|p| p.load).min()?, points().map(|p| p.load).max()?);
    let highest = finite().fold(0.0, f64::max);
    let lowest = finite().fold(highest, f64::min);
    let top = if figures().any(f64::is_infinite) { highest * INFINITE } else { highest };
    let unit = TimeUnit::fitting(highest);
    let scale = Scale { unit: unit.nanos, top };
    let mut x = axis::log(&x_label(capacity), least as f64, most as f64);
    x.ticks.iter_mut().for_each(|tick| tick.label = short(tick.at));
    let y_label = format!("{} {} ({}, log)", limit.quantile.name(), limit.metric.name(), unit.name);
    let y = axis::log(&y_label, lowest / unit.nanos, top / unit.nanos);
    let slo = Ink { colour: MUTED, dash: Dash::Short, width: 1.4 };
    let line = scale.place(limit.below.nanos() as f64);
    let across = vec![(least as f64 * 0.93, line), (most as f64 * 1.07, line)];
    let mut marks = vec![Mark::Line { points: across, ink: slo, dots: false }];
    marks.extend(curves.iter().flat_map(|curve| scale.trials(curve)));
    marks.extend(layered(curves.iter().map(|curve| scale.line(curve))));
    marks.extend(curves.iter().filter_map(|curve| scale.knee(curve)));
    let name = |curve: &Curve| format!("{}: {}", curve.arm, figure(capacity, curve.arm));
    let mut legend: Vec<Entry> =
        curves.iter().map(|curve| Entry { label: name(curve), swatch: Swatch::Line(curve.ink) }).collect();
    legend.push(Entry { label: limit.to_string(), swatch: Swatch::Line(slo) });
    if curves.iter().any(|curve| curve.knee.is_some()) {
        legend.push(Entry { label: "knee: highest load held".to_owned(), swatch: Swatch::Target(NEUTRAL) });
    }
    legend.push(Entry { label: "one trial".to_owned(), swatch: Swatch::Dot(NEUTRAL) });
    if points().any(|point| !point.invalid.is_empty()) {
        legend.push(Entry { label: "INVALID: doesn't count".to_owned(), swatch: Swatch::Ring(NEUTRAL) });
    }
    let what =
        format!("Lines: median of a load's valid trials{}", if top > highest { "; at the top: infinite" } else { "" });
    Some(ChartSpec {
        title: capacity.headline(),
        subtitle: subtitle(document, &what),
        panels: vec![Panel { x, y, bands: Vec::new(), marks }],
        legend,
        height: 480,
    })
}

fn x_label(capacity: &Capacity) -> String {
    match capacity.of.as_str() {
        "sessions" => "sessions (log)".to_owned(),
        _ => "asked rate over all sessions (1/s, log)".to_owned(),
    }
}

fn curves<'a>(document: &'a Document, capacity: &'a Capacity) -> Vec<Curve<'a>> {
    let inks = Inks::of(document);
    let of_arm = |arm: &'a crate::result::ArmCapacity| {
        let cells = || document.cells.iter().enumerate().filter(|(_, cell)| cell.arm == arm.arm);
        let mut points: Vec<Point> = cells().map(|(_, cell)| point(capacity, cell)).collect();
        points.retain(|point| !point.valid.is_empty() || !point.invalid.is_empty());
        let (at, _) = cells().next()?;
        Some(Curve { arm: &arm.arm, ink: inks.of_cell(at), points, knee: arm.held })
    };
    capacity.arms.iter().filter_map(of_arm).filter(|curve| !curve.points.is_empty()).collect()
}

fn point(capacity: &Capacity, cell: &Cell) -> Point {
    // A log axis has no place for nothing.
    let load = capacity.load_of(cell).max(1);
    Point { load, valid: capacity.readings(cell, true), invalid: capacity.readings(cell, false) }
}

/// What the legend says of an arm: its capacity, or the bound that is known.
fn figure(capacity: &Capacity, arm: &str) -> String {
    capacity.arm(arm).map_or_else(String::new, |arm| capacity.brief(arm))
}

/// `500`, `2k`, `1.5k`, `1M`.
fn short(load: f64) -> String {
    let (value, unit) = match load {
        n if n >= 1e6 => (n / 1e6, "M"),
        n if n >= 1e3 => (n / 1e3, "k"),
        n => (n, ""),
    };
    format!("{}{unit}", (value * 100.0).round() / 100.0)
}

/// Nanoseconds to the y axis.
struct Scale {
    unit: f64,
    top: f64,
}

impl Scale {
    fn place(&self, nanos: f64) -> f64 {
        nanos.max(1.0).min(self.top) / self.unit
    }

    /// The medians of loads that had a valid trial.
    fn line(&self, curve: &Curve) -> Mark {
        let points = curve.points.iter().filter_map(|p| Some((p.load as f64, self.place(median(&p.valid)?)))).collect();
        Mark::Line { points, ink: curve.ink, dots: false }
    }

    /// Every trial, beside its line.
    fn trials(&self, curve: &Curve) -> Vec<Mark> {
        let pale = curve.ink.colour.lighter(0.45);
        let of = |point: &Point| {
            let x = point.load as f64;
            let valid = point.valid.iter().map(|nanos| Mark::Dot { x, y: self.place(*nanos), fill: pale });
            let invalid =
                point.invalid.iter().map(|nanos| Mark::Ring { x, y: self.place(*nanos), ink: curve.ink.colour });
            valid.chain(invalid).collect::<Vec<_>>()
        };
        curve.points.iter().flat_map(of).collect()
    }

    fn knee(&self, curve: &Curve) -> Option<Mark> {
        let knee = curve.points.iter().find(|point| Some(point.load) == curve.knee)?;
        let y = self.place(median(&knee.valid)?);
        Some(Mark::Target { x: knee.load as f64, y, ink: curve.ink.colour })
    }
}

/// Of sorted figures; where two share the middle, the higher: one of them may be infinite.
fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    fn legend(spec: &ChartSpec) -> Vec<&str> {
        spec.legend.iter().map(|entry| entry.label.as_str()).collect()
    }

    #[test]
    fn each_arm_has_a_line_and_its_figure() {
        let spec = spec(&testing::capacity()).unwrap();
        assert_eq!(
            legend(&spec),
            [
                "websocket: 800/s",
                "tcp: ≥ 400/s",
                "long-polling: < 50/s",
                "p99 < 5ms",
                "knee: highest load held",
                "one trial",
                "INVALID: doesn't count",
            ]
        );
        let marks = &spec.panels[0].marks;
        let knees: Vec<f64> =
            marks.iter().filter_map(|m| if let Mark::Target { x, .. } = m { Some(*x) } else { None }).collect();
        assert_eq!(knees, [800.0, 400.0]);
    }

    #[test]
    fn invalid_trials_are_rings_and_no_line_goes_through_them() {
        let document = testing::capacity();
        let spec = spec(&document).unwrap();
        let marks = &spec.panels[0].marks;
        let rings: Vec<f64> =
            marks.iter().filter_map(|m| if let Mark::Ring { x, .. } = m { Some(*x) } else { None }).collect();
        assert_eq!(rings, [800.0; 3], "tcp at 800/s");
        let tcp = Inks::of(&document).of_cell(3);
        let lengths: Vec<usize> = marks
            .iter()
            .filter_map(|m| {
                if let Mark::Line { points, ink, .. } = m { (*ink == tcp).then_some(points.len()) } else { None }
            })
            .collect();
        assert_eq!(lengths, [1]);
    }

    #[test]
    fn what_never_came_is_at_the_top() {
        let mut document = testing::capacity();
        for trial in &mut document.cells[2].trials {
            trial.outcome.measure.unfinished = trial.outcome.measure.expected;
        }
        let spec = spec(&document).unwrap();
        assert!(spec.subtitle.contains("at the top: infinite"));
        let highest = |m: &Mark| if let Mark::Dot { x, y, .. } = m { Some((*x, *y)) } else { None };
        let (x, _) = spec.panels[0].marks.iter().filter_map(highest).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(x, 1600.0);
    }

    #[test]
    fn a_search_that_tried_nothing_has_no_picture() {
        let mut document = testing::capacity();
        document.cells.clear();
        assert_eq!(spec(&document), None);
    }
}
