//! How long connecting takes, phase by phase: medians, stacked.

use super::axis::{self, TimeUnit};
use super::palette::NEUTRAL;
use super::spec::{Align, ChartSpec, Entry, Mark, Panel, Swatch};
use super::{Inks, Rgb, label, pair, subtitle};
use crate::measure::{BEYOND_TRIAL, Metric};
use crate::result::{Cell, Document};
use crate::units::show_nanos;

/// Name and lightness of each phase; the last one is what is left until the first message.
const PHASES: [(&str, Metric, f64); 5] = [
    ("resolve", Metric::Resolve, 0.0),
    ("TCP", Metric::Tcp, 0.2),
    ("TLS", Metric::Tls, 0.4),
    ("upgrade or join", Metric::Upgrade, 0.6),
    ("until first message", Metric::FirstMessage, 0.8),
];

pub fn spec(document: &Document) -> Option<ChartSpec> {
    let inks = Inks::of(document);
    let rows: Vec<_> = document
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| (label(cell), inks.of_cell(at), phases(cell)))
        .filter(|(.., phases)| phases.iter().flatten().count() > 0)
        .collect();
    let longest = rows.iter().map(|(.., p)| p.iter().flatten().sum::<f64>()).fold(0.0, f64::max);
    if longest <= 0.0 {
        return None;
    }
    let unit = TimeUnit::fitting(longest);
    let mut marks = Vec::new();
    for (row, (_, ink, phases)) in rows.iter().enumerate() {
        let mut from = 0.0;
        for (phase, (.., shade)) in phases.iter().zip(PHASES) {
            let to = from + phase.unwrap_or(0.0) / unit.nanos;
            marks.push(Mark::Bar { from, to, y: row as f64, thickness: 0.56, fill: ink.colour.lighter(shade) });
            from = to;
        }
        let text = show_nanos(from * unit.nanos);
        marks.push(Mark::Text { x: from, y: row as f64, text, align: Align::Left });
    }
    let seen = |n: usize| rows.iter().any(|(.., phases)| phases[n].is_some());
    let shade = |lighter: f64| -> Rgb { NEUTRAL.lighter(lighter) };
    let legend = PHASES
        .iter()
        .enumerate()
        .filter(|(n, _)| seen(*n))
        .map(|(_, (name, _, lighter))| Entry { label: name.to_string(), swatch: Swatch::Fill(shade(*lighter)) });
    Some(ChartSpec {
        title: title(document),
        subtitle: subtitle(document, "Median of each phase of connecting, successes only (medians needn't add up)"),
        panels: vec![Panel {
            x: axis::exactly(&format!("time since the first packet ({})", unit.name), longest / unit.nanos * 1.16),
            y: axis::rows(rows.iter().map(|(name, ..)| name.clone())),
            bands: Vec::new(),
            marks,
        }],
        legend: legend.collect(),
        height: 80 + 44 * rows.len() as u32,
    })
}

/// The median of each phase, nanoseconds; the last is first message − connected.
fn phases(cell: &Cell) -> [Option<f64>; 5] {
    let median = |metric| cell.merged(metric).quantile(0.5, BEYOND_TRIAL).map(|v| v as f64);
    PHASES.map(|(_, metric, _)| match metric {
        Metric::FirstMessage => {
            let waited = median(Metric::FirstMessage)? - median(Metric::Connect)?;
            // Where messages come by chance, how soon the first one does says nothing about connecting.
            (cell.workload == "connect" && waited > 0.0).then_some(waited)
        }
        metric => median(metric),
    })
}

fn title(document: &Document) -> String {
    let total = |cell: &Cell| phases(cell).iter().flatten().copied().reduce(|a, b| a + b).map(show_nanos);
    let both = pair(document).and_then(|(a, b)| Some((a, b, total(a)?, total(b)?)));
    let until =
        if document.cells.iter().any(|c| c.workload == "connect") { "a first message" } else { "a joined session" };
    match both {
        Some((a, b, ours, theirs)) => {
            format!("{} needs {ours} to {until}, {} {theirs}", a.arm, b.arm)
        }
        None => "How long connecting takes".to_owned(),
    }
}
