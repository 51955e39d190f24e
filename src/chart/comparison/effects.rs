//! What changed, and how sure that is: an effect with its 95 % interval a row, the noise threshold shaded. A verdict shows
//! by its sign and in words as well as by its colour.

use super::{Compared, words};
use crate::chart::palette::{BAND, BETTER, Dash, MUTED, NEUTRAL, TEXT, WORSE};
use crate::chart::short::shortened;
use crate::chart::spec::{Align, Band, ChartSpec, Entry, Mark, Panel, Shape, Swatch};
use crate::chart::{Ink, Rgb, axis};
use crate::units::three_digits;
use crate::verdict::{Design, Row, Rules, Verdict};

/// Share of the panel's width that the figures in words take.
const WORDS: f64 = 0.36;
/// Beyond these, ratios are drawn at the edge.
const FURTHEST: f64 = 1000.0;
/// Longest name of an arm in a row's label, characters.
const LONGEST: usize = 18;

pub fn spec(compared: Compared) -> Option<ChartSpec> {
    let comparison = compared.comparison;
    let rows = &comparison.rows;
    if rows.is_empty() {
        return None;
    }
    let (low, high) = reach(rows, &comparison.rules);
    let mut x = axis::change("new ÷ base", low, high, WORDS);
    x.label += "; to the right: more";
    let mut marks = vec![Mark::Line {
        points: vec![(1.0, -0.5), (1.0, rows.len() as f64 - 0.5)],
        ink: Ink { colour: MUTED, dash: Dash::Solid, width: 1.2 },
        dots: false,
    }];
    rows.iter().enumerate().for_each(|(n, row)| effect(&mut marks, row, n as f64, (low, high)));
    let noise = comparison.rules.noise;
    let band = Band { from: 1.0 - noise, to: 1.0 + noise, label: String::new(), shaded: true };
    Some(ChartSpec {
        title: words::headline(comparison),
        subtitle: format!(
            "{}: effect with its 95 % interval, {} against {} · {}{}",
            comparison.scenario,
            comparison.new.name,
            comparison.base.name,
            match comparison.design {
                Design::Paired => "trials in pairs",
                Design::Separate => "one run after the other: drift of the machine isn't controlled",
            },
            if rows.iter().all(|row| row.is_gated) { "" } else { " · in brackets: not gated" }
        ),
        panels: vec![Panel { x, y: axis::rows(rows.iter().map(label)), bands: vec![band], marks }],
        legend: legend(noise),
        // Room for the legend beside a single row.
        height: (84 + 27 * rows.len() as u32).max(130),
    })
}

/// The smallest and largest ratio that are drawn, with some room; the noise threshold is always seen.
fn reach(rows: &[Row], rules: &Rules) -> (f64, f64) {
    let bounds = |row: &Row| row.effect.map(|e| [Some(e.ratio), e.ci95.0, e.ci95.1]);
    let all = || rows.iter().filter_map(bounds).flatten().flatten().filter(|r| r.is_finite() && *r > 0.0);
    let all = || all().map(|r| r.clamp(1.0 / FURTHEST, FURTHEST));
    let band = (2.0 * rules.noise).clamp(0.02, 0.5);
    let (low, high) = (all().fold(1.0 - band, f64::min), all().fold(1.0 + band, f64::max));
    let room = (high / low).powf(0.06);
    (low / room, high * room)
}

fn effect(marks: &mut Vec<Mark>, row: &Row, y: f64, (low, high): (f64, f64)) {
    let (colour, shape) = ink(row.verdict);
    // Clear of a sign at the edge.
    let x = high * (high / low).powf(0.02);
    let text = |text: String| Mark::Text { x, y, text, align: Align::Left };
    let Some(effect) = row.effect else {
        marks.push(text(format!("{} {}", words::sign(row.verdict), words::values(row))));
        return;
    };
    // An open bound goes to the edge, and so does what lies beyond it.
    let ends = (effect.ci95.0.unwrap_or(low), effect.ci95.1.unwrap_or(high));
    let (from, to) = (ends.0.clamp(low, high), ends.1.clamp(low, high));
    let ink = Ink { colour, dash: Dash::Solid, width: 2.2 };
    marks.push(Mark::Line { points: vec![(from, y), (to, y)], ink, dots: false });
    for (is_beyond, x, shape) in [
        (effect.ci95.0.is_none() || ends.0 < low, low, Shape::ArrowLeft),
        (effect.ci95.1.is_none() || ends.1 > high, high, Shape::ArrowRight),
    ] {
        if is_beyond {
            marks.push(Mark::Sign { x, y, shape, ink: colour });
        }
    }
    let x = effect.ratio.clamp(low, high);
    marks.push(match shape {
        Some(shape) => Mark::Sign { x, y, shape, ink: colour },
        None => Mark::Ring { x, y, ink: colour },
    });
    let figures = format!("{} {}", words::change(effect.ratio), words::interval(effect.ci95).replace(" %", ""));
    marks.push(text(format!("{} {figures}", words::sign(row.verdict))));
}

/// Colour and shape of a verdict; `None`: a ring.
fn ink(verdict: Verdict) -> (Rgb, Option<Shape>) {
    match verdict {
        Verdict::Regression => (WORSE, Some(Shape::Cross)),
        Verdict::Improvement => (BETTER, Some(Shape::Diamond)),
        Verdict::NoChange => (TEXT, Some(Shape::Square)),
        Verdict::Inconclusive => (NEUTRAL, None),
    }
}

fn legend(noise: f64) -> Vec<Entry> {
    let verdicts = [Verdict::Regression, Verdict::Improvement, Verdict::NoChange, Verdict::Inconclusive];
    let entry = |verdict: Verdict| {
        let (colour, shape) = ink(verdict);
        let swatch = shape.map_or(Swatch::Ring(colour), |shape| Swatch::Sign(shape, colour));
        Entry { label: format!("{} {}", words::sign(verdict), verdict.words()), swatch }
    };
    let percent = three_digits(noise * 100.0);
    let percent = if percent.contains('.') { percent.trim_end_matches('0').trim_end_matches('.') } else { &percent };
    let band = Entry { label: format!("noise, ±{percent} %"), swatch: Swatch::Fill(BAND) };
    verdicts.into_iter().map(entry).chain([band]).collect()
}

/// Arm and metric; the metric is never cut.
fn label(row: &Row) -> String {
    let label = format!("{} {}", shortened(&row.arm, LONGEST), words::metric(row.metric));
    if row.is_gated { label } else { format!("({label})") }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::result::testing::document;

    fn marks(comparison: &crate::verdict::Comparison) -> Vec<Mark> {
        let document = document();
        spec(Compared { comparison, base: &document, new: &document }).unwrap().panels.remove(0).marks
    }

    #[test]
    fn verdicts_differ_in_shape_and_sign_and_not_by_colour_alone() {
        let all = [Verdict::Regression, Verdict::Improvement, Verdict::NoChange, Verdict::Inconclusive];
        for (n, a) in all.iter().enumerate() {
            for b in &all[n + 1..] {
                assert!(ink(*a).1 != ink(*b).1 && words::sign(*a) != words::sign(*b) && ink(*a).0 != ink(*b).0);
            }
        }
    }

    #[test]
    fn an_open_bound_is_an_arrow_and_what_lies_outside_is_drawn_at_the_edge() {
        let marks = marks(&testing::infinite());
        let arrows =
            |shape: Shape| marks.iter().filter(|m| matches!(m, Mark::Sign { shape: s, .. } if *s == shape)).count();
        assert_eq!((arrows(Shape::ArrowLeft), arrows(Shape::ArrowRight)), (2, 2));
        let said = |words: &str| marks.iter().any(|m| matches!(m, Mark::Text { text, .. } if text.contains(words)));
        assert!(said("✗ ∞ [?, ?]") && said("? +3.0 % [?, ?]") && said("✗ 32.2 ms → "), "{marks:?}");
    }
}
