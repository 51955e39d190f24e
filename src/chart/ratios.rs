//! Each arm against the reference: ratio of p50 and p99, a dot for each block and a line over their whole range.

use super::palette::{Dash, NEUTRAL};
use super::spec::{Align, ChartSpec, Entry, Mark, Panel, Swatch};
use super::{Ink, Inks, Rgb, axis, label, subtitle};
use crate::compare::TIE;
use crate::compare::{ArmRatio, Comparison, Ratio, against_reference};
use crate::result::Document;
use crate::units::three_digits;

/// How much lighter p50's bar is than p99's.
const LIGHTER: f64 = 0.55;
const THICKNESS: f64 = 0.3;

pub fn spec(document: &Document) -> Option<ChartSpec> {
    let comparison = against_reference(document)?;
    let inks = Inks::of(document);
    let arms: Vec<&ArmRatio> = comparison.arms.iter().filter(|a| a.p50.is_some() || a.p99.is_some()).collect();
    let ratios = || arms.iter().flat_map(|a| [&a.p50, &a.p99]).flatten();
    let low = ratios().map(|r| r.min).fold(1.0, f64::min);
    let high = ratios().map(|r| r.max).fold(1.0, f64::max);
    if arms.is_empty() {
        return None;
    }
    // A sixth of the axis at each end that has bars.
    let room = (high / low).powf(0.16).max(1.1);
    let cell_of = |arm: &&ArmRatio| document.cells.iter().enumerate().find(|(_, c)| c.arm == arm.arm);
    let cells: Vec<_> = arms.iter().filter_map(cell_of).collect();
    let mut marks = Vec::new();
    for (row, (arm, (at, _))) in arms.iter().zip(&cells).enumerate() {
        let colour = inks.of_cell(*at).colour;
        let rows = [(&arm.p50, -0.18, colour.lighter(LIGHTER)), (&arm.p99, 0.18, colour)];
        for (ratio, offset, fill) in rows {
            if let Some(ratio) = ratio {
                bar(&mut marks, ratio, row as f64 + offset, fill);
            }
        }
    }
    marks.push(Mark::Line {
        points: vec![(1.0, -0.5), (1.0, arms.len() as f64 - 0.5)],
        ink: Ink { colour: super::palette::TEXT, dash: Dash::Solid, width: 1.4 },
        dots: false,
    });
    let entry = |label: &str, swatch| Entry { label: label.to_owned(), swatch };
    Some(ChartSpec {
        title: title(document, &comparison),
        subtitle: subtitle(document, "Ratios within a block"),
        panels: vec![Panel {
            // Room for the figures beside the bars.
            x: axis::log(
                &format!(
                    "response time ÷ that of {} (log; under 1 is faster)",
                    name_of(document, &comparison.reference)
                ),
                if low < 1.0 { low / room } else { low },
                if high > 1.0 { high * room } else { high },
            ),
            y: axis::rows(cells.iter().map(|(_, cell)| label(cell))),
            bands: Vec::new(),
            marks,
        }],
        legend: vec![
            entry("p50, median block", Swatch::Fill(NEUTRAL.lighter(LIGHTER))),
            entry("p99, median block", Swatch::Fill(NEUTRAL)),
            entry("one block", Swatch::Dot(super::palette::TEXT)),
        ],
        height: 80 + 62 * arms.len() as u32,
    })
}

fn bar(marks: &mut Vec<Mark>, ratio: &Ratio, y: f64, fill: Rgb) {
    let text = super::palette::TEXT;
    marks.push(Mark::Bar { from: 1.0, to: ratio.spread.median, y, thickness: THICKNESS, fill });
    marks.push(Mark::Line {
        points: vec![(ratio.min, y), (ratio.max, y)],
        ink: Ink { colour: text, dash: Dash::Solid, width: 1.2 },
        dots: false,
    });
    marks.extend(ratio.blocks.iter().map(|(_, x)| Mark::Dot { x: *x, y, fill: text }));
    let faster = ratio.spread.median < 1.0;
    marks.push(Mark::Text {
        x: if faster { ratio.min } else { ratio.max },
        y,
        text: format!("{}×", three_digits(ratio.spread.median)),
        align: if faster { Align::Right } else { Align::Left },
    });
}

/// An arm as the legends name it.
fn name_of(document: &Document, arm: &str) -> String {
    document.cells.iter().find(|c| c.arm == arm).map_or(arm.to_owned(), label)
}

/// Counts an arm as lower or higher only if all its blocks were. Arms without a valid trial don't count.
fn title(document: &Document, comparison: &Comparison) -> String {
    let is_valid = |arm: &str| document.cells.iter().any(|c| c.arm == arm && c.has_valid_trial());
    let rated = |pick: fn(&ArmRatio) -> Option<&Ratio>| {
        comparison.arms.iter().filter(|a| is_valid(&a.arm)).filter_map(pick).collect::<Vec<_>>()
    };
    let (name, ratios) = match rated(|a| a.p99.as_ref()) {
        none if none.is_empty() => ("p50", rated(|a| a.p50.as_ref())),
        ratios => ("p99", ratios),
    };
    if ratios.is_empty() || !is_valid(&comparison.reference) {
        return "Response times of the arms side by side".to_owned();
    }
    let lower = ratios.iter().filter(|r| r.max < 1.0 - TIE).count();
    let higher = ratios.iter().filter(|r| r.min > 1.0 + TIE).count();
    let arms = |n: usize| format!("{n} of {}", ratios.len());
    let reference = &comparison.reference;
    match (lower, higher) {
        (0, 0) => format!("No arm's {name} differs from {reference} by more than 5 % in every block"),
        (n, 0) => format!("{} arms have a lower {name} than {reference} in every block", arms(n)),
        (0, n) => format!("{} arms have a higher {name} than {reference} in every block", arms(n)),
        (l, h) => format!("{} arms have a lower {name} than {reference} in every block, {h} a higher", arms(l)),
    }
}
