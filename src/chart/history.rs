//! A figure of every arm over the runs of a group, by the time of their starts, with the places where it seems to have
//! changed.

use super::axis::{self, TimeUnit};
use super::palette::NEUTRAL;
use super::spec::{Axis, Band, ChartSpec, Entry, Mark, Panel, Scale, Swatch, Tick};
use super::{Ink, Inks};
use crate::units::{show_bytes, show_nanos, three_digits};
use crate::verdict::Metric;
use crate::verdict::history::{Change, Group, Series};

/// How far over the highest figure that is finite an infinite one is drawn.
const INFINITE: f64 = 2.0;
/// Room over the highest figure, so that no ring around one runs into the panel's name.
const ROOM: f64 = 1.25;
/// Height of a picture of one arm, and of each panel where there are several, pixels.
const ALONE: u32 = 420;
const AMONG_OTHERS: u32 = 190;
/// Names of instants along the axis, at most.
const TICKS: i64 = 5;
const DAY: i64 = 86_400;

/// File and picture of each metric that any run of `group` has.
pub fn spec(group: &Group) -> Vec<(&'static str, ChartSpec)> {
    Metric::ALL.into_iter().filter_map(|metric| Some((metric.name(), of_metric(group, metric)?))).collect()
}

fn of_metric(group: &Group, metric: Metric) -> Option<ChartSpec> {
    let series: Vec<&Series> = group.series.iter().filter(|series| series.metric == metric).collect();
    // Inks go by all arms, so that an arm has one colour in every picture of the group.
    let mut arms: Vec<(&str, &str)> = group.series.iter().map(|series| (&*series.arm, &*series.transport)).collect();
    arms.dedup();
    let inks = Inks::of_arms(&arms);
    let ink = |series: &Series| inks.of_cell(arms.iter().position(|(arm, _)| *arm == series.arm).unwrap_or(arms.len()));
    let panels: Vec<Panel> = series.iter().filter_map(|series| panel(group, series, ink(series))).collect();
    if panels.is_empty() {
        return None;
    }
    let has_changed = series.iter().any(|series| !series.changes.is_empty());
    let changed = Entry { label: "seems to have changed".to_owned(), swatch: Swatch::Target(NEUTRAL) };
    let is_infinite = series.iter().any(|series| series.present().any(|(_, value)| value.is_infinite()));
    let at_top = if is_infinite { "; at the top: infinite" } else { "" };
    let runs = group.count();
    Some(ChartSpec {
        title: title(group, metric, &series),
        subtitle: format!("{runs} of {} by their start, UTC · median over a run's valid trials{at_top}", group.name),
        height: if panels.len() == 1 { ALONE } else { AMONG_OTHERS * panels.len() as u32 },
        panels,
        legend: has_changed.then_some(changed).into_iter().collect(),
    })
}

/// One arm, on a scale of its own: arms that are alike would hide one another on one. `None`: nothing in it is finite.
fn panel(group: &Group, series: &Series, ink: Ink) -> Option<Panel> {
    let figures = || series.present().map(|(_, value)| value);
    let finite = || figures().filter(|value| value.is_finite());
    let highest = finite().reduce(f64::max)?;
    let lowest = finite().fold(highest, f64::min);
    let top = if figures().any(f64::is_infinite) { highest * INFINITE } else { highest };
    let (label, unit, divisor) = scale(series.metric, highest);
    let place = |value: f64| value.min(top) / divisor;
    let x = |run: usize| (group.runs[run].time - group.runs[0].time) as f64;
    let points = series.present().map(|(run, value)| (x(run), place(value))).collect();
    let target = |run: usize| Some(Mark::Target { x: x(run), y: place(series.values[run]?), ink: ink.colour });
    let targets = series.changes.iter().filter_map(|change| target(change.run));
    Some(Panel {
        x: times(group),
        y: axis::positive(label, unit, lowest / divisor, top * ROOM / divisor),
        // As wide as the panel, whose name it is.
        bands: vec![Band { from: f64::MIN, to: f64::MAX, label: entry(series), shaded: false }],
        marks: std::iter::once(Mark::Line { points, ink, dots: true }).chain(targets).collect(),
    })
}

/// An arm, and by how much it changed.
fn entry(series: &Series) -> String {
    let changes: Vec<String> = series.changes.iter().map(Change::words).collect();
    if changes.is_empty() { series.arm.clone() } else { format!("{}: {}", series.arm, changes.join(", ")) }
}

/// What an axis says, its unit, and what to divide by.
fn scale(metric: Metric, highest: f64) -> (&'static str, &'static str, f64) {
    let time = TimeUnit::fitting(highest);
    match metric {
        Metric::P50 => ("p50 response time", time.name, time.nanos),
        Metric::P99 => ("p99 response time", time.name, time.nanos),
        Metric::CpuPerMessage => ("CPU a message", time.name, time.nanos),
        Metric::DeliveredRate => ("delivered", "1/s", 1.0),
        Metric::FramingPerMessage => ("framing a message", "B", 1.0),
        Metric::FailedTrials => ("failed trials", "", 1.0),
    }
}

/// What a reader should look at: the largest change, or how far the first and the last run are apart.
fn title(group: &Group, metric: Metric, series: &[&Series]) -> String {
    let largest = series
        .iter()
        .flat_map(|series| series.changes.iter().map(move |change| (series, change)))
        .max_by(|a, b| size(a.1.share()).total_cmp(&size(b.1.share())));
    let name = metric.name();
    match largest {
        Some((series, change)) => format!(
            "{}'s {name} seems to have changed by {}: {} to {}",
            series.arm,
            change.words(),
            show(metric, change.before),
            show(metric, change.after)
        ),
        None if group.runs.len() < 2 * crate::verdict::history::FEWEST => {
            format!("{name}: too few runs to see a change")
        }
        None => format!("{name}: no change that stands out from chance"),
    }
}

fn size(share: Option<f64>) -> f64 {
    share.map_or(f64::INFINITY, f64::abs)
}

/// A figure of `metric` for a reader.
pub fn show(metric: Metric, value: f64) -> String {
    match metric {
        _ if value.is_infinite() => "∞".to_owned(),
        Metric::P50 | Metric::P99 | Metric::CpuPerMessage => show_nanos(value),
        Metric::DeliveredRate => format!("{}/s", three_digits(value)),
        Metric::FramingPerMessage => show_bytes(value),
        Metric::FailedTrials => value.to_string(),
    }
}

/// From the first start to the last, seconds from the first.
fn times(group: &Group) -> Axis {
    let first = group.runs[0].time;
    let last = group.runs.last().map_or(first, |run| run.time);
    let length = last - first;
    let format = if length >= TICKS * DAY { "%Y-%m-%d" } else { "%b %d %H:%M" };
    let tick = |n: i64| {
        let at = length * n / TICKS;
        let label = jiff::Timestamp::from_second(first.saturating_add(at));
        Tick { at: at as f64, label: label.map_or(String::new(), |time| time.strftime(format).to_string()) }
    };
    // Runs within a minute have one name.
    let mut ticks: Vec<Tick> = (0..=TICKS).map(tick).collect();
    ticks.dedup_by(|later, tick| later.label == tick.label);
    let margin = (length as f64 * 0.04).max(1.0);
    Axis {
        label: "start of the run (UTC)".to_owned(),
        scale: Scale::Linear { from: -margin, to: length as f64 + margin },
        ticks,
        grid: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::draw;
    use crate::verdict::history::{Run, groups};
    use crate::verdict::testing::{noisy, run_of};

    fn group(factors: &[f64]) -> Group {
        group_of(factors, |_| ())
    }

    fn group_of(factors: &[f64], edit: impl Fn(&mut crate::result::Document)) -> Group {
        let run = |(n, factor): (usize, &f64)| {
            let mut document = run_of(&[*factor]);
            edit(&mut document);
            document.meta.started = format!("2026-01-{:02}T10:00:00Z", n + 1);
            Run::of(n.to_string(), document).unwrap()
        };
        groups(factors.iter().enumerate().map(run).collect()).remove(0)
    }

    fn targets(spec: &ChartSpec) -> usize {
        spec.panels[0].marks.iter().filter(|mark| matches!(mark, Mark::Target { .. })).count()
    }

    #[test]
    fn every_metric_has_a_picture_and_a_step_is_marked_in_it() {
        let mut factors = noisy(8, 0.01, 1);
        factors.extend(noisy(8, 0.01, 2).iter().map(|factor| factor * 1.3));
        let charts = spec(&group(&factors));
        assert_eq!(
            charts.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["p50", "p99", "delivered-rate", "cpu-per-message", "framing-per-message"]
        );
        assert_eq!(targets(&charts[0].1), 1);
        let name = &charts[0].1.panels[0].bands[0].label;
        assert!(name.starts_with("websocket: +"), "{name}");
        assert_eq!((charts[0].1.legend.len(), charts[4].1.legend.len()), (1, 0));
        assert!(charts[0].1.title.contains("seems to have changed by +"), "{}", charts[0].1.title);
        assert_eq!(targets(&charts[4].1), 0);
        for (name, chart) in &charts {
            let svg = draw(chart).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
        }
    }

    #[test]
    fn arms_that_are_alike_dont_hide_one_another() {
        let two = group_of(&[1.0, 1.1, 1.2], |document| {
            let tcp = crate::result::Cell { arm: "tcp".to_owned(), ..document.cells[0].clone() };
            document.cells.push(tcp);
        });
        for (name, chart) in spec(&two) {
            let names: Vec<&str> = chart.panels.iter().map(|panel| panel.bands[0].label.as_str()).collect();
            assert_eq!(names, ["websocket", "tcp"], "{name}");
            let svg = draw(&chart).unwrap();
            assert!(svg.contains("websocket") && svg.contains("tcp"), "{name}");
        }
    }

    #[test]
    fn one_run_and_infinite_figures_are_drawn_as_well() {
        let mut few = group(&[1.0]);
        assert!(spec(&few)[0].1.title.contains("too few runs"));
        assert_eq!(spec(&few)[0].1.panels[0].x.ticks.len(), 1);
        few.series[0].values[0] = Some(f64::INFINITY);
        assert!(spec(&few).iter().all(|(name, _)| *name != "p50"), "nothing finite, no scale");
        let mut some = group(&[1.0, 1.1]);
        some.series[0].values[1] = Some(f64::INFINITY);
        let chart = &spec(&some)[0].1;
        assert!(chart.subtitle.contains("at the top: infinite") && !draw(chart).unwrap().contains("inf\""));
    }
}
