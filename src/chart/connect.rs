//! How long connecting takes, phase by phase: medians, stacked.

use super::axis::{self, TimeUnit};
use super::palette::NEUTRAL;
use super::spec::{Align, ChartSpec, Entry, Mark, Panel, Swatch};
use super::{Inks, label, pair, subtitle};
use crate::measure::{BEYOND_TRIAL, Metric};
use crate::result::{Cell, Document};
use crate::units::show_nanos;

/// The last one is what is left until the first message.
const PHASES: [(&str, Metric); 6] = phases_and(("until first message", Metric::FirstMessage));

/// The phases of connecting in their order, as readers know them, and what comes last.
pub const fn phases_and(last: (&'static str, Metric)) -> [(&'static str, Metric); 6] {
    [
        ("resolve", Metric::Resolve),
        ("TCP", Metric::Tcp),
        ("TLS", Metric::Tls),
        ("upgrade or join", Metric::Upgrade),
        ("switch to the WebSocket", Metric::Switch),
        last,
    ]
}

/// How light the last phase of those that were seen is; the first has the arm's own colour.
const LIGHTEST: f64 = 0.75;

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
    let seen: Vec<usize> = (0..PHASES.len()).filter(|n| rows.iter().any(|(.., phases)| phases[*n].is_some())).collect();
    let shade = |place: usize| LIGHTEST * place as f64 / (seen.len() - 1).max(1) as f64;
    let mut marks = Vec::new();
    for (row, (_, ink, phases)) in rows.iter().enumerate() {
        let mut from = 0.0;
        for (place, n) in seen.iter().enumerate() {
            let to = from + phases[*n].unwrap_or(0.0) / unit.nanos;
            marks.push(Mark::Bar { from, to, y: row as f64, thickness: 0.56, fill: ink.colour.lighter(shade(place)) });
            from = to;
        }
        let text = show_nanos(from * unit.nanos);
        marks.push(Mark::Text { x: from, y: row as f64, text, align: Align::Left });
    }
    let legend = seen.iter().enumerate().map(|(place, n)| Entry {
        label: PHASES[*n].0.to_owned(),
        swatch: Swatch::Fill(NEUTRAL.lighter(shade(place))),
    });
    // A TCP handshake is answered by the target's system, which emulates nothing.
    let but = match document.cells.iter().any(|cell| cell.load.delay > 0) {
        true => "; TCP's emulated round trip is in the phase after it",
        false => "",
    };
    Some(ChartSpec {
        title: title(document),
        subtitle: subtitle(document, "Median of each phase, successes only"),
        panels: vec![Panel {
            x: axis::exactly(&format!("time since the first packet ({}){but}", unit.name), longest / unit.nanos * 1.16),
            y: axis::rows(rows.iter().map(|(name, ..)| name.clone())),
            bands: Vec::new(),
            marks,
        }],
        legend: legend.collect(),
        height: 80 + 44 * rows.len() as u32,
    })
}

/// The median of each phase, nanoseconds; the last is first message − connected.
fn phases(cell: &Cell) -> [Option<f64>; 6] {
    let median = |metric| cell.merged(metric).quantile(0.5, BEYOND_TRIAL).map(|v| v as f64);
    PHASES.map(|(_, metric)| match metric {
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
