//! What connecting came to, phase by phase, the arms beside each other.

use super::{DASH, nanos};
use crate::chart;
use crate::measure::{BEYOND_TRIAL, Metric};
use crate::result::{Cell, Document};
use crate::units::three_digits;
use serde::Serialize;

const PHASES: [(&str, Metric); 6] = chart::phases_and(("in all", Metric::Connect));

/// A table: the phases that any arm has, each arm's medians, and the bytes of its handshake a session.
#[derive(Debug, Serialize)]
pub struct Connecting {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Connecting {
    pub fn of(document: &Document) -> Option<Connecting> {
        let medians: Vec<[Option<u64>; 6]> = document.cells.iter().map(medians).collect();
        let seen: Vec<usize> =
            (0..PHASES.len()).filter(|n| medians.iter().any(|phases| phases[*n] > Some(0))).collect();
        if seen.is_empty() {
            return None;
        }
        let rows = document.cells.iter().zip(&medians).map(|(cell, phases)| {
            let bytes = cell.summary().connect.handshake_bytes_per_session.map_or(DASH.to_owned(), three_digits);
            seen.iter().map(|n| nanos(phases[*n])).chain([bytes]).collect()
        });
        let columns = seen.iter().map(|n| PHASES[*n].0).chain(["handshake B"]);
        Some(Connecting { columns: columns.collect(), rows: rows.collect() })
    }
}

fn medians(cell: &Cell) -> [Option<u64>; 6] {
    PHASES.map(|(_, metric)| cell.merged(metric).quantile(0.5, BEYOND_TRIAL))
}
