//! Series for github-action-benchmark, which draws them over commits: a JSON array of name, unit, value, range and extra.
//! Names and units never depend on the figures, so that a series goes on from run to run.

use crate::compare::Spread;
use crate::result::{Cell, CellSummary, Document, Trial};
use serde::Serialize;

/// One point of a series.
#[derive(Serialize)]
struct Point {
    name: String,
    unit: &'static str,
    value: f64,
    /// How far trials lie apart: half the interval of their median.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// One kind of figure: name, unit, the value of a cell, and that of one of its trials.
type Figure = (&'static str, &'static str, fn(&CellSummary) -> Option<f64>, fn(&Cell, &Trial) -> Option<f64>);

const SMALLER: &[Figure] = &[
    ("p50 response time", "ms", |s| s.response_time.p50.map(millis), |_, t| t.response_time(0.5).map(millis)),
    ("p99 response time", "ms", |s| s.response_time.p99.map(millis), |_, t| t.response_time(0.99).map(millis)),
    (
        "missing deliveries",
        "%",
        |s| Some((1.0 - s.reach?) * 100.0),
        |_, t| Some((1.0 - t.outcome.measure.reach()?) * 100.0),
    ),
    (
        "CPU of the target a message",
        "µs",
        |s| s.cpu_us_per_message.target,
        |cell, trial| alone(cell, trial).cpu_us_per_message.target,
    ),
    (
        "framing a message",
        "B",
        |s| s.bytes_per_message.framing,
        |cell, trial| alone(cell, trial).bytes_per_message.framing,
    ),
];

const BIGGER: &[Figure] =
    &[("delivered", "messages/s", |s| s.delivered_rate, |cell, trial| alone(cell, trial).delivered_rate)];

/// `customSmallerIsBetter`: times and costs; of a search for capacity, nothing.
pub fn smaller_is_better(document: &Document) -> String {
    json(&points(document, SMALLER))
}

/// `customBiggerIsBetter`: rates; of a search, what each arm holds.
pub fn bigger_is_better(document: &Document) -> String {
    let Some(capacity) = &document.capacity else { return json(&points(document, BIGGER)) };
    let unit = if capacity.of == "sessions" { "sessions" } else { "messages/s" };
    let point = |arm: &crate::result::ArmCapacity| Point {
        name: format!("{}/{} capacity", document.scenario.name, arm.arm),
        unit,
        value: arm.held.unwrap_or(0) as f64,
        range: None,
        extra: format!("{} under {}", capacity.words(arm), capacity.slo),
    };
    json(&capacity.arms.iter().map(point).collect::<Vec<_>>())
}

/// Arms without a valid trial, and figures that too few samples support, are left out.
fn points(document: &Document, figures: &[Figure]) -> Vec<Point> {
    let is_shown = |cell: &&Cell| document.capacity.is_none() && cell.has_valid_trial();
    let cells = document.cells.iter().filter(is_shown);
    cells.flat_map(|cell| of_cell(&document.scenario.name, cell, figures)).collect()
}

fn of_cell(scenario: &str, cell: &Cell, figures: &[Figure]) -> Vec<Point> {
    let summary = cell.summary();
    let point = |(name, unit, of_cell, of_trial): &Figure| {
        let spread = Spread::of(cell.trusted().into_iter().filter_map(|trial| of_trial(cell, trial)));
        Some(Point {
            name: format!("{scenario}/{} {name}", cell.arm),
            unit,
            value: rounded(of_cell(&summary)?),
            range: spread.filter(|s| s.trials > 1).map(|s| format!("± {}", rounded((s.high - s.low) / 2.0))),
            extra: format!("{}, {} of {} trials valid", cell.workload, summary.valid, summary.trials),
        })
    };
    figures.iter().filter_map(point).collect()
}

/// The figures of one trial.
fn alone(cell: &Cell, trial: &Trial) -> CellSummary {
    Cell { trials: vec![trial.clone()], ..cell.clone() }.summary()
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// To six digits behind the point, a nanosecond of a millisecond.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn json(points: &[Point]) -> String {
    let mut text = serde_json::to_string_pretty(points).expect("points have string keys only");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;
    use serde_json::Value;

    fn parsed(text: &str) -> Vec<Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn points_have_the_fields_that_the_action_reads_and_a_name_of_their_own() {
        let document = testing::document();
        let points = [parsed(&smaller_is_better(&document)), parsed(&bigger_is_better(&document))].concat();
        for point in &points {
            let fields: Vec<&String> = point.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["extra", "name", "range", "unit", "value"]);
            assert!(point["value"].as_f64().unwrap() >= 0.0 && point["range"].as_str().unwrap().starts_with("± "));
        }
        let mut names: Vec<&str> = points.iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert!(
            names.contains(&"chat/websocket p99 response time") && names.contains(&"chat/udp delivered"),
            "{names:?}"
        );
        names.sort();
        names.dedup();
        assert_eq!(names.len(), points.len());
    }

    #[test]
    fn arms_that_can_not_be_trusted_make_no_point() {
        let mut document = testing::document();
        document.cells[0].trials.iter_mut().for_each(testing::invalidate);
        let text = smaller_is_better(&document);
        assert!(!text.contains("chat/websocket ") && text.contains("chat/tcp "), "{text}");
    }

    #[test]
    fn a_capacity_is_a_point() {
        let points = parsed(&bigger_is_better(&testing::capacity()));
        assert_eq!((&points[0]["name"], &points[0]["value"]), (&"echo/websocket capacity".into(), &800.0.into()));
        assert_eq!(smaller_is_better(&testing::capacity()), "[]\n");
    }
}
