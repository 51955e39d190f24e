//! Pictures of a result. A chart is a function from the document to a [`ChartSpec`], which says what to draw and knows
//! nothing of pixels; one file, `draw`, draws every spec.
//!
//! A new chart is one new file and one row in [`CHARTS`], or in `comparison` if it is of two runs.

use crate::result::{Cell, Document};
use crate::units::{Span, three_digits};
use std::time::Duration;

mod axis;
mod bytes;
mod cdf;
pub(crate) mod comparison;
mod connect;
mod draw;
mod history;
mod load_curve;
mod palette;
mod percentiles;
mod ratios;
mod short;
mod spec;
mod time;

pub use connect::phases_and;
pub use draw::{DrawError, draw};
pub use history::{show, spec as history_charts};
pub use palette::{Dash, Ink, Inks, Rgb};
pub use spec::{Align, Axis, Band, ChartSpec, Entry, Mark, Panel, Scale, Shape, Swatch, Tick};

/// One picture.
pub struct Chart {
    /// Name of its file.
    pub file: &'static str,
    pub of: Kind,
    /// `None`: the document has nothing to show in it.
    pub spec: fn(&Document) -> Option<ChartSpec>,
}

/// Which documents a chart is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One cell an arm.
    Run,
    /// A search for capacity: a cell for each arm and load.
    Search,
}

/// In the order in which a reader should meet them.
pub const CHARTS: &[Chart] = &[
    Chart { file: "latency-over-load.svg", of: Kind::Search, spec: load_curve::spec },
    Chart { file: "latency-by-percentile.svg", of: Kind::Run, spec: percentiles::spec },
    Chart { file: "reference-ratio.svg", of: Kind::Run, spec: ratios::spec },
    Chart { file: "delivery-cdf.svg", of: Kind::Run, spec: cdf::spec },
    Chart { file: "response-over-time.svg", of: Kind::Run, spec: time::spec },
    Chart { file: "bytes-per-message.svg", of: Kind::Run, spec: bytes::spec },
    Chart { file: "connect-phases.svg", of: Kind::Run, spec: connect::spec },
];

/// File and picture of each chart that this document has something to show in.
pub fn drawable(document: &Document) -> Vec<(&'static str, ChartSpec)> {
    let kind = if document.capacity.is_some() { Kind::Search } else { Kind::Run };
    let charts = CHARTS.iter().filter(|chart| chart.of == kind);
    charts.filter_map(|chart| Some((chart.file, (chart.spec)(document)?))).collect()
}

/// The arm that titles speak of and the one it is set against: plain WebSocket, or else the first arm, and the
/// reference. `None` unless they are two with a valid trial.
fn pair(document: &Document) -> Option<(&Cell, &Cell)> {
    let valid = || document.cells.iter().filter(|c| c.has_valid_trial());
    let reference = valid().find(|c| Some(&c.arm) == document.reference.as_ref())?;
    let others = || valid().filter(|c| c.arm != reference.arm);
    let websocket = others().find(|c| c.arm == "websocket").or_else(|| others().find(|c| c.transport == "websocket"));
    Some((websocket.or_else(|| others().next())?, reference))
}

/// Lines in drawing order where many coincide: the first arms on top, dashes over solid lines, theory over all.
fn layered(lines: impl DoubleEndedIterator<Item = Mark>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = lines.rev().collect();
    marks.sort_by_key(|mark| match mark {
        Mark::Line { ink, .. } => ink.dash,
        _ => Dash::Solid,
    });
    marks
}

/// An arm's name in a legend, marked if nothing rests on it.
fn label(cell: &Cell) -> String {
    if cell.has_valid_trial() { cell.arm.clone() } else { format!("{} (invalid)", cell.arm) }
}

/// The conditions of the run in a line.
fn subtitle(document: &Document, what: &str) -> String {
    let mut parts = vec![what.to_owned()];
    if let Some(cell) = document.cells.first() {
        let load = &cell.load;
        let raised = document.capacity.as_ref().map(|capacity| capacity.of.as_str());
        parts.push(match raised {
            Some("sessions") => cell.workload.clone(),
            _ => format!("{}, {} sessions", cell.workload, load.sessions),
        });
        parts.push(match raised {
            _ if cell.is_closed() => "closed arrival: hides stalls".to_owned(),
            Some("rate") => load.arrival.clone(),
            _ => format!("{}/s {}", three_digits(load.rate), load.arrival),
        });
        parts.push(match load.payload {
            (min, max) if min == max => format!("{min} B"),
            (min, max) => format!("{min}–{max} B"),
        });
        if load.delay > 0 {
            parts.push(format!("emulated network, {} each way", Span(Duration::from_nanos(load.delay))));
        }
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn every_chart_is_drawn_and_the_same_each_time() {
        let mut drawn = Vec::new();
        for document in [testing::capacity(), testing::document()] {
            for (file, spec) in drawable(&document) {
                assert!(!spec.title.is_empty() && !spec.panels.is_empty());
                let svg = draw(&spec).unwrap();
                assert_eq!(svg, draw(&spec).unwrap());
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{file}");
                drawn.push(file);
            }
        }
        assert_eq!(drawn, CHARTS.iter().map(|chart| chart.file).collect::<Vec<_>>());
    }

    #[test]
    fn an_empty_run_has_no_charts() {
        let mut document = testing::document();
        document.cells.iter_mut().for_each(|c| c.trials.clear());
        assert_eq!(drawable(&document), []);
        document.cells.clear();
        assert_eq!(drawable(&document), []);
    }

    #[test]
    fn names_from_outside_are_escaped() {
        let mut document = testing::document();
        document.cells[0].arm = "<script>alert(1)</script>\u{0}\u{b}&\"".to_owned();
        for (file, spec) in drawable(&document) {
            let svg = draw(&spec).unwrap();
            assert!(!svg.contains("<script") && !svg.contains('\u{0}') && !svg.contains('\u{b}'), "{file}");
        }
    }

    #[test]
    fn titles_state_what_is_seen() {
        let titles: Vec<String> = drawable(&testing::document()).into_iter().map(|(_, spec)| spec.title).collect();
        insta::assert_snapshot!(titles.join("\n"));
    }

    #[test]
    fn titles_do_not_speak_of_arms_without_a_valid_trial() {
        let titles_without = |arms: &[&str]| {
            let mut document = testing::document();
            let bad = |c: &&mut Cell| arms.is_empty() || arms.contains(&c.arm.as_str());
            let trials = document.cells.iter_mut().filter(bad).flat_map(|c| &mut c.trials);
            trials.for_each(testing::invalidate);
            let charts = drawable(&document);
            for (file, spec) in &charts {
                let said = format!("{spec:?}");
                assert!(arms.iter().all(|arm| said.contains(&format!("{arm} (invalid)"))), "{file}");
            }
            charts.into_iter().map(|(_, spec)| spec.title).collect::<Vec<_>>().join("\n")
        };
        let no_websocket = titles_without(&["websocket"]);
        assert!(!no_websocket.contains("websocket"), "{no_websocket}");
        assert!(no_websocket.contains("long-polling") && no_websocket.contains("4 of 5 arms"), "{no_websocket}");
        let no_reference = titles_without(&["long-polling"]);
        assert!(!no_reference.contains("long-polling") && no_reference.contains("udp"), "{no_reference}");
        let none = titles_without(&[]);
        assert!(testing::document().cells.iter().all(|c| !none.contains(&c.arm)), "{none}");
    }
}
