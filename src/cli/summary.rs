//! The table that a run ends with.

use super::exit::did_nothing;
use crate::result::{CellSummary, Document};
use crate::units::show_nanos;
use comfy_table::{CellAlignment, Table, presets};
use std::path::Path;

/// A table of the arms, what is wrong with the run, and where the report is.
pub(super) fn text(document: &Document, dir: &Path) -> String {
    let cells = document.summary();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["arm", "p50", "p90", "p99", "skipped", "expected", "delivered", "missing", "errors", "valid"]);
    for cell in &cells {
        table.add_row(row(cell));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = String::from("\n");
    text += &table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
    for floor in document.floors_in_words() {
        text += &format!("{floor}\n");
    }
    for omitted in &document.omitted {
        text += &format!("not run: {}: {}\n", omitted.arm, omitted.reason);
    }
    text += &findings(document);
    if document.partial {
        text += "\nPARTIAL: the run was interrupted; what was measured until then is in the report\n";
    }
    text += &format!("\n{}\n", dir.join("report.html").display());
    text
}

fn row(cell: &CellSummary) -> Vec<String> {
    let time = |value: Option<u64>| value.map_or("–".to_owned(), |v| show_nanos(v as f64));
    let errors: u64 = cell.errors.values().sum();
    let counters = &cell.counters;
    vec![
        cell.arm.clone(),
        time(cell.response_time.p50),
        time(cell.response_time.p90),
        time(cell.response_time.p99),
        counters.skipped.to_string(),
        counters.expected.to_string(),
        (counters.delivered + counters.late).to_string(),
        (counters.lost + counters.unfinished).to_string(),
        errors.to_string(),
        format!("{}/{}", cell.valid, cell.trials),
    ]
}

/// Each reason once, with the arms and how many of their trials it concerns.
fn findings(document: &Document) -> String {
    let mut text = String::new();
    for cell in &document.cells {
        if let Some(failure) = cell.trials.iter().find_map(|trial| trial.failure.as_ref()) {
            text += &format!("\nfailed: {}: {failure}\n", cell.arm);
        } else if !cell.trials.is_empty() && cell.trials.iter().all(did_nothing) {
            text += &format!("\nfailed: {}: nothing of what was sent was answered\n", cell.arm);
        }
        let invalid: Vec<_> = cell.trials.iter().filter(|trial| !trial.invalid.is_empty()).collect();
        if let Some(reason) = invalid.first().and_then(|trial| trial.invalid.first()) {
            text += &format!(
                "\nINVALID: {}, {} of {} trials: {}\n  {}\n",
                cell.arm,
                invalid.len(),
                cell.trials.len(),
                reason.message,
                reason.advice
            );
        }
    }
    text
}
