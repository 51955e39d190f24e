//! Every trial of both runs, a panel a metric and a row an arm, so that a reader sees what the verdict rests on.

use super::{Compared, words};
use crate::chart::palette::{Dash, NEUTRAL};
use crate::chart::spec::{Align, Band, ChartSpec, Entry, Mark, Panel, Swatch, Tick};
use crate::chart::{Ink, Inks, axis};
use crate::result::Document;
use crate::verdict::{Comparison, Design, Metric, Row};

/// Share of the panel's width that the medians in words take.
const WORDS: f64 = 0.3;
/// How far from a row's middle its two lanes lie.
const LANE: f64 = 0.2;
/// Beyond these, ratios are drawn at the edge.
const FURTHEST: f64 = 1000.0;
/// How much lighter the lines are that join pairs.
const LIGHTER: f64 = 0.45;

pub fn spec(compared: Compared) -> Option<ChartSpec> {
    let comparison = compared.comparison;
    let panels: Vec<(u32, Panel)> = Metric::ALL.into_iter().filter_map(|metric| panel(compared, metric)).collect();
    if panels.is_empty() {
        return None;
    }
    let paired = comparison.design == Design::Paired;
    let entry = |label: String, swatch| Entry { label, swatch };
    let [base, new] = words::sides(comparison);
    let mut legend = vec![entry(base, Swatch::Ring(NEUTRAL)), entry(new, Swatch::Dot(NEUTRAL))];
    if paired {
        let line = Ink { colour: NEUTRAL.lighter(LIGHTER), dash: Dash::Solid, width: 1.0 };
        legend.push(entry("a pair".to_owned(), Swatch::Line(line)));
    }
    Some(ChartSpec {
        title: title(comparison),
        subtitle: format!(
            "{}: one mark a trial, ÷ the base's median; medians in words{}",
            comparison.scenario,
            if paired { "" } else { " · the runs were made one after the other" }
        ),
        // All panels are as high as the one with the most rows needs.
        height: panels.iter().map(|(height, _)| height).max()? * panels.len() as u32 + 8,
        panels: panels.into_iter().map(|(_, panel)| panel).collect(),
        legend,
    })
}

fn title(comparison: &Comparison) -> String {
    let (base, new) = (comparison.base.trials, comparison.new.trials);
    match (comparison.design, base == new) {
        (Design::Paired, _) => format!("What it rests on: {base} pairs of trials"),
        (Design::Separate, true) => format!("What it rests on: {base} trials a side"),
        (Design::Separate, false) => format!("What it rests on: {base} trials of the base and {new} of the new run"),
    }
}

/// With its height in pixels; `None`: no trial has this metric.
fn panel(compared: Compared, metric: Metric) -> Option<(u32, Panel)> {
    let has_values = |row: &&Row| row.metric == metric && !(row.base.is_empty() && row.new.is_empty());
    let rows: Vec<&Row> = compared.comparison.rows.iter().filter(has_values).collect();
    if rows.is_empty() {
        return None;
    }
    let shares: Vec<Shares> = rows.iter().map(|row| Shares::of(row)).collect();
    let all = || shares.iter().flat_map(|s| s.base.iter().chain(&s.new)).copied();
    let finite = || all().filter(|r| r.is_finite() && *r > 0.0).map(|r| r.clamp(1.0 / FURTHEST, FURTHEST));
    let (low, high) = (finite().fold(0.97, f64::min), finite().fold(1.03, f64::max));
    let room = (high / low).powf(0.08);
    let (low, high) = (low / room, high * room);
    let any_infinite = all().any(f64::is_infinite);
    let mut x = axis::change("trial ÷ the base's median", low, high, WORDS);
    if any_infinite {
        // The last tick may stand where the infinite ones are drawn.
        x.ticks.retain(|tick| x.scale.place(tick.at) < x.scale.place(high) - 0.06);
        x.ticks.push(Tick { at: high, label: "∞".to_owned() });
    }
    let mut marks = Vec::new();
    for (n, (row, shares)) in rows.iter().zip(&shares).enumerate() {
        let ink = ink_of(compared.base, row);
        shares.draw(&mut marks, n as f64, ink, compared.comparison.design, (low, high));
        // Clear of a dot at the edge.
        let x = high * (high / low).powf(0.02);
        marks.push(Mark::Text { x, y: n as f64, text: words::values(row), align: Align::Left });
    }
    let more = if metric.is_worse_when_larger() { "" } else { " (more is better)" };
    let name = Band { from: low, to: high, label: format!("{}{more}", words::metric(metric)), shaded: false };
    let y = axis::rows(rows.iter().map(|row| row.arm.clone()));
    Some((78 + 42 * rows.len() as u32, Panel { x, y, bands: vec![name], marks }))
}

/// A row's values ÷ the base's median.
struct Shares {
    base: Vec<f64>,
    new: Vec<f64>,
}

impl Shares {
    /// Where the base has no finite median above 0, by the largest finite value of either.
    fn of(row: &Row) -> Shares {
        let is_usable = |value: &f64| value.is_finite() && *value > 0.0;
        let largest = || row.base.iter().chain(&row.new).copied().filter(is_usable).reduce(f64::max);
        let unit = words::median(&row.base).filter(is_usable).or_else(largest).unwrap_or(1.0);
        let shares = |values: &[f64]| values.iter().map(|value| value / unit).collect();
        Shares { base: shares(&row.base), new: shares(&row.new) }
    }

    fn draw(&self, marks: &mut Vec<Mark>, y: f64, ink: Ink, design: Design, (low, high): (f64, f64)) {
        let at = |share: &f64| share.clamp(low, high);
        if design == Design::Paired {
            let line = Ink { colour: ink.colour.lighter(LIGHTER), dash: Dash::Solid, width: 1.0 };
            let pairs = self.base.iter().zip(&self.new);
            let join = |(base, new)| vec![(at(base), y - LANE), (at(new), y + LANE)];
            marks.extend(pairs.map(|pair| Mark::Line { points: join(pair), ink: line, dots: false }));
        }
        marks.extend(self.base.iter().map(|share| Mark::Ring { x: at(share), y: y - LANE, ink: ink.colour }));
        marks.extend(self.new.iter().map(|share| Mark::Dot { x: at(share), y: y + LANE, fill: ink.colour }));
    }
}

/// The ink of the row's arm.
fn ink_of(document: &Document, row: &Row) -> Ink {
    let is_it = |cell: &crate::result::Cell| cell.arm == row.arm && cell.workload == row.workload;
    // A cell that isn't there has the neutral ink.
    Inks::of(document).of_cell(document.cells.iter().position(is_it).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::result::testing::document;

    fn marks(comparison: &Comparison) -> Vec<Mark> {
        let document = document();
        let spec = spec(Compared { comparison, base: &document, new: &document }).unwrap();
        spec.panels.into_iter().flat_map(|panel| panel.marks).collect()
    }

    #[test]
    fn every_trial_is_a_mark_and_pairs_are_joined() {
        let mut comparison = testing::comparison();
        let count = |comparison: &Comparison| {
            let marks = marks(comparison);
            let of = |is_it: fn(&Mark) -> bool| marks.iter().filter(|m| is_it(m)).count();
            (
                of(|m| matches!(m, Mark::Ring { .. })),
                of(|m| matches!(m, Mark::Dot { .. })),
                of(|m| matches!(m, Mark::Line { .. })),
            )
        };
        assert_eq!(count(&comparison), (70, 70, 70));
        comparison.design = Design::Separate;
        assert_eq!(count(&comparison), (70, 70, 0));
    }

    #[test]
    fn infinite_trials_stand_at_their_own_tick() {
        let document = document();
        let comparison = testing::infinite();
        let spec = spec(Compared { comparison: &comparison, base: &document, new: &document }).unwrap();
        let ticks: Vec<bool> = spec.panels.iter().map(|p| p.x.ticks.iter().any(|t| t.label == "∞")).collect();
        assert_eq!(ticks, [false, true]);
    }
}
