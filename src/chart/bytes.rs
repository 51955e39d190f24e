//! What a delivered message costs in bytes: payload, what the protocol adds, and TCP/IP's headers.

use super::palette::NEUTRAL;
use super::spec::{Align, ChartSpec, Entry, Mark, Panel, Swatch};
use super::{Inks, axis, label, pair, subtitle};
use crate::result::{BytesPerMessage, Cell, Document};
use crate::units::three_digits;

/// How light payload, framing and TCP/IP are.
const SHADES: [f64; 3] = [0.0, 0.4, 0.75];

pub fn spec(document: &Document) -> Option<ChartSpec> {
    let inks = Inks::of(document);
    let rows: Vec<_> = document
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| (label(cell), inks.of_cell(at), parts(&cell.summary().bytes_per_message)))
        .filter(|(.., parts)| parts[0].is_some())
        .collect();
    if rows.is_empty() {
        return None;
    }
    let mut marks = Vec::new();
    let mut longest = 0.0f64;
    for (row, (_, ink, parts)) in rows.iter().enumerate() {
        let mut from = 0.0;
        for (part, shade) in parts.iter().zip(SHADES) {
            let to = from + part.unwrap_or(0.0);
            marks.push(Mark::Bar { from, to, y: row as f64, thickness: 0.56, fill: ink.colour.lighter(shade) });
            from = to;
        }
        let unknown = if parts[2].is_none() { ", TCP/IP unknown" } else { "" };
        let text = format!("{} B{unknown}", three_digits(from));
        marks.push(Mark::Text { x: from, y: row as f64, text, align: Align::Left });
        longest = longest.max(from);
    }
    let has_saved = document.cells.iter().any(|cell| cell.summary().bytes_per_message.saved.is_some());
    let payload = if has_saved { "payload as it travelled" } else { "payload" };
    let speaks_tls = |cell: &Cell| cell.trials.iter().any(|trial| trial.outcome.tls.is_some());
    // Framing is counted above TLS.
    let below =
        if document.cells.iter().any(speaks_tls) { "TLS, TCP/IP headers, ACKs" } else { "TCP/IP headers, ACKs" };
    let entry =
        |(label, shade): (&str, f64)| Entry { label: label.to_owned(), swatch: Swatch::Fill(NEUTRAL.lighter(shade)) };
    Some(ChartSpec {
        title: title(document),
        subtitle: subtitle(document, "Bytes of both directions ÷ messages delivered"),
        panels: vec![Panel {
            x: axis::exactly("bytes per delivered message (B)", longest * 1.16),
            y: axis::rows(rows.iter().map(|(name, ..)| name.clone())),
            bands: Vec::new(),
            marks,
        }],
        legend: [payload, "framing", below].into_iter().zip(SHADES).map(entry).collect(),
        height: 80 + 44 * rows.len() as u32,
    })
}

/// Payload as it travelled, framing, and what is on the wire beyond both.
fn parts(bytes: &BytesPerMessage) -> [Option<f64>; 3] {
    let below = bytes.above_tcp();
    [bytes.carried(), bytes.framing, bytes.wire.zip(below).map(|(wire, below)| (wire - below).max(0.0))]
}

fn title(document: &Document) -> String {
    let total = |cell: &Cell| {
        let bytes = cell.summary().bytes_per_message;
        bytes.wire.map(|w| (w, "on the wire")).or(bytes.above_tcp().map(|bytes| (bytes, "above TCP")))
    };
    let both = pair(document).and_then(|(a, b)| Some((a, b, total(a)?, total(b)?)));
    match both {
        Some((focus, reference, (a, place), (b, other))) if place == other && a > 0.0 => format!(
            "A message costs {} B {place} with {}, {} B with {} ({}×)",
            three_digits(a),
            focus.arm,
            three_digits(b),
            reference.arm,
            three_digits(b / a)
        ),
        _ => "What a delivered message costs in bytes".to_owned(),
    }
}
