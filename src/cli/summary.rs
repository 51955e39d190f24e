//! The table that a run ends with.

use super::exit::did_nothing;
use crate::result::{AgentSummary, ArmCapacity, Capacity, Cell, CellSummary, Document, End, Finding, agent_table};
use crate::units::{show_bytes, show_nanos};
use crate::verdict::thresholds;
use comfy_table::{CellAlignment, Table, presets};
use std::path::Path;

/// A table of the arms, what is wrong with the run, and where the report is.
pub(super) fn text(document: &Document, dir: &Path) -> String {
    let (table, wrong) = match &document.capacity {
        Some(capacity) => (capacities(capacity), limits(document, capacity)),
        None => (arms(document), findings(document)),
    };
    let mut text = String::from("\n");
    text += &table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
    for floor in document.floors_in_words() {
        text += &format!("{floor}\n");
    }
    if document.capacity.is_none() {
        text += &memory(&document.summary());
    }
    text += &agents(document);
    text += &labels(document);
    for omitted in &document.omitted {
        text += &format!("not run: {}: {}\n", omitted.arm, omitted.reason);
    }
    text += &limits_kept(document);
    text += &wrong;
    if let Some(why) = &document.aborted {
        text += &format!("\nABORTED: {why}; no further trial was started\n");
    }
    if document.partial {
        text +=
            "\nPARTIAL: the run was interrupted, or lost a process or an agent; what was measured is in the report\n";
    }
    text += &format!("\n{}\n", dir.join("report.html").display());
    text
}

/// What a search found of each arm.
fn capacities(capacity: &Capacity) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["arm", &capacity.slo.to_string(), "failed at", "by"]);
    for arm in &capacity.arms {
        let failed = arm.failed.as_ref();
        let at = failed.map_or("–".to_owned(), |failed| capacity.show(failed.load));
        let why = failed.map_or_else(|| capacity.end_words(arm).to_owned(), |failed| failed.why.clone());
        table.add_row([arm.arm.clone(), capacity.words(arm), at, why]);
    }
    table
}

/// Why the generator was the limit, for the arms of which it was.
fn limits(document: &Document, capacity: &Capacity) -> String {
    let is_limited = |arm: &&ArmCapacity| arm.end == Some(End::GeneratorLimit);
    let first = |arm: &ArmCapacity| {
        let cells = document.cells.iter().filter(|cell| cell.arm == arm.arm && Some(capacity.load_of(cell)) > arm.held);
        let lowest = cells.min_by_key(|cell| capacity.load_of(cell))?;
        Some(invalid(lowest, &document.name_of(lowest)))
    };
    capacity.arms.iter().filter(is_limited).filter_map(first).collect()
}

fn arms(document: &Document) -> Table {
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
    table
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

/// Agents that the terminal shows.
const AGENTS: usize = 12;

/// The machines that ran it: those that were lost first, then those of the worst known clocks.
fn agents(document: &Document) -> String {
    let mut fleet = document.fleet();
    if fleet.is_empty() {
        return String::new();
    }
    let more = fleet.len().saturating_sub(AGENTS);
    if more > 0 {
        let worst = |agent: &AgentSummary| (agent.losses, agent.clock.map_or(u64::MAX, |clock| clock.uncertainty));
        fleet.sort_by_key(|agent| std::cmp::Reverse(worst(agent)));
        fleet.truncate(AGENTS);
    }
    let (columns, rows) = agent_table(&fleet);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| column.name));
    for row in rows {
        table.add_row(row);
    }
    for (column, facts) in table.column_iter_mut().zip(&columns) {
        if facts.is_number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text: String = String::from("\n");
    text += &table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
    if more > 0 {
        text += &format!("and {more} more, in summary.md\n");
    }
    text
}

/// Every threshold with what was measured.
pub(super) fn limits_kept(document: &Document) -> String {
    let checked = thresholds::check(document);
    if checked.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["threshold", "arm", "measured", "limit", ""]);
    for row in &checked {
        let limit = row.limit_in_words().unwrap_or_default();
        let measured = row.measured_in_words();
        table.add_row([&row.threshold, &row.arm, &measured, &limit, row.outcome.words()]);
    }
    let lines = table.to_string();
    lines.lines().fold(String::from("\n"), |text, line| text + line.trim_end() + "\n")
}

/// What a session took of each end's memory and of the system's, where sessions stay.
fn memory(cells: &[CellSummary]) -> String {
    let of = |idle: Option<f64>, peak: Option<f64>| {
        let show = |bytes: Option<f64>| bytes.map_or("–".to_owned(), show_bytes);
        format!("{} / {}", show(idle), show(peak))
    };
    let mut text = String::new();
    for cell in cells.iter().filter(|cell| cell.rss_per_session.generator.is_some()) {
        let (idle, peak, kernel) = (cell.rss_idle_per_session, cell.rss_per_session, cell.kernel_per_session);
        text += &format!(
            "memory a session, idle / most: {}: generator {}, target {}, system for both ends {}\n",
            cell.arm,
            of(idle.generator, peak.generator),
            of(idle.target, peak.target),
            of(kernel.idle, kernel.peak),
        );
    }
    text
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
        text += &invalid(cell, &cell.arm);
    }
    text
}

/// Why trials of an arm can't be trusted: each reason once, as it was first seen, with how many trials it concerns.
fn invalid(cell: &Cell, name: &str) -> String {
    let mut reasons: Vec<(&Finding, usize)> = Vec::new();
    for finding in cell.trials.iter().flat_map(|trial| &trial.invalid) {
        match reasons.iter_mut().find(|(first, _)| first.code == finding.code) {
            Some((_, trials)) => *trials += 1,
            None => reasons.push((finding, 1)),
        }
    }
    let of = cell.trials.len();
    let line = |(finding, trials): (&Finding, usize)| {
        format!("\nINVALID: {}, {trials} of {of} trials: {}\n  {}\n", name, finding.message, finding.advice)
    };
    reasons.into_iter().map(line).collect()
}

/// What every figure above has to be read with.
fn labels(document: &Document) -> String {
    let mut text = String::new();
    if document.cells.iter().any(Cell::is_closed) {
        text += "closed arrival: the load waits for answers, so a stall of the target hides most of its own effect\n";
    }
    if let Some(left_out) = document.left_out_in_words() {
        text += &format!("left out: {left_out}\n");
    }
    let insecure = document.insecure_arms();
    if !insecure.is_empty() {
        text +=
            &format!("INSECURE: {}: any certificate was taken, so nobody knows who answered\n", insecure.join(", "));
    }
    if document.has_oracle() {
        text += "oracle: the target misbehaved on purpose, as the scenario says\n";
    }
    if let Some(delay) = document.cells.iter().map(|cell| cell.load.delay).max().filter(|delay| *delay > 0) {
        text += &format!("emulated network: {} each way\n", show_nanos(delay as f64));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn agents_are_a_table_of_which_the_worst_come_first_if_they_are_many() {
        assert_eq!(agents(&testing::document()), "");
        let mut document = testing::fleet();
        let text = agents(&document);
        let names: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["eu-1", "eu-2", "<b>us</b>|1"]);
        assert!(text.contains("−1200 s ± 30.0 µs") && text.contains("in 2 of 6 trials: nothing was heard"), "{text}");
        let trial = &mut document.cells[0].trials[0];
        let first = trial.agents[0].clone();
        trial.agents.extend((0..40).map(|n| {
            let clock = first.clock.map(|clock| crate::result::AgentClock { uncertainty: n, ..clock });
            crate::result::AgentPart {
                id: format!("more-{n}"),
                name: format!("\u{1b}[2Jmore-{n}"),
                clock,
                ..first.clone()
            }
        }));
        let text = agents(&document);
        assert!(text.ends_with("and 31 more, in summary.md\n") && !text.contains('\u{1b}'), "{text}");
        let names: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names[..3], ["<b>us</b>|1", "eu-2", "eu-1"], "{text}");
    }

    #[test]
    fn what_was_left_out_is_told() {
        let start = "left out: last-receipt and response-time of websocket, tcp: one way, from the target's clock to an agent's;";
        assert!(labels(&testing::left_out()).starts_with(start), "{}", labels(&testing::left_out()));
        assert!(!labels(&testing::fleet()).contains("left out"));
    }
}
