//! The flat summary as JSON, for scripts.

use crate::result::{AgentSummary, ArmCapacity, Capacity, Cell, CellSummary, Document, Kept, Slo};
use crate::verdict::thresholds::{self, Checked};
use serde::Serialize;

/// The findings of a search.
#[derive(Serialize)]
struct Findings<'a> {
    slo: &'a Slo,
    of: &'a str,
    arms: Vec<ArmFindings<'a>>,
}

#[derive(Serialize)]
struct ArmFindings<'a> {
    #[serde(flatten)]
    found: &'a ArmCapacity,
    /// Ascending.
    loads: Vec<LoadFindings>,
}

/// An arm at a load.
#[derive(Serialize)]
struct LoadFindings {
    load: u64,
    /// Valid trials that kept the objective.
    kept: usize,
    #[serde(flatten)]
    summary: CellSummary,
}

/// An arm of a run.
#[derive(Serialize)]
struct ArmSummary<'a> {
    #[serde(flatten)]
    summary: CellSummary,
    /// Those that are about this arm.
    thresholds: Vec<&'a Checked>,
    /// Where several machines ran it: each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agents: Vec<AgentSummary>,
}

/// With the names of `docs/result.md`, indented, ending in a line feed: an array of cells, or of a search for capacity an
/// object with its arms.
pub fn summary_json(document: &Document) -> String {
    let shown = match &document.capacity {
        None => serde_json::to_string_pretty(&arms(document, &thresholds::check(document))),
        Some(capacity) => serde_json::to_string_pretty(&findings(document, capacity)),
    };
    let mut text = shown.expect("a summary has string keys only");
    text.push('\n');
    text
}

fn arms<'a>(document: &Document, checked: &'a [Checked]) -> Vec<ArmSummary<'a>> {
    let of = |arm: &str| checked.iter().filter(|row| row.arm == arm).collect();
    let arm = |cell: &Cell| ArmSummary { thresholds: of(&cell.arm), agents: cell.agents(), summary: cell.summary() };
    document.cells.iter().map(arm).collect()
}

fn findings<'a>(document: &'a Document, capacity: &'a Capacity) -> Findings<'a> {
    let at_load = |cell: &Cell| LoadFindings {
        load: capacity.load_of(cell),
        kept: cell.trials.iter().filter(|trial| capacity.slo.judge(cell, trial) == Kept::Yes).count(),
        summary: cell.summary(),
    };
    let of_arm = |found: &'a ArmCapacity| {
        let cells = document.cells.iter().filter(|cell| cell.arm == found.arm);
        ArmFindings { found, loads: cells.map(at_load).collect() }
    };
    Findings { slo: &capacity.slo, of: &capacity.of, arms: capacity.arms.iter().map(of_arm).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn agents_are_told_where_there_are_some() {
        let value: serde_json::Value = serde_json::from_str(&summary_json(&testing::fleet())).unwrap();
        let agent = &value[0]["agents"][2];
        assert_eq!((&agent["name"], &agent["losses"]), (&"<b>us</b>|1".into(), &1.into()));
        assert!(agent["response_time"]["p50"].is_u64() && agent["clock"]["uncertainty"].is_u64(), "{agent}");
        let alone: serde_json::Value = serde_json::from_str(&summary_json(&testing::document())).unwrap();
        assert!(alone[0].get("agents").is_none() && alone[0].get("absent").is_none());
    }

    #[test]
    fn the_findings_of_a_search_have_every_name() {
        let value: serde_json::Value = serde_json::from_str(&summary_json(&testing::capacity())).unwrap();
        assert_eq!((&value["slo"], &value["of"]), (&"p99 < 5ms".into(), &"rate".into()));
        let arm = &value["arms"][0];
        assert_eq!(
            (&arm["arm"], &arm["held"], &arm["failed"]["load"]),
            (&"websocket".into(), &800.into(), &1600.into())
        );
        assert_eq!((&arm["end"], &value["arms"][1]["end"]), (&"found".into(), &"generator-limit".into()));
        let load = &arm["loads"][1];
        assert_eq!((&load["load"], &load["kept"], &load["valid"]), (&800.into(), &6.into(), &6.into()));
        assert!(load["response_time"]["p50"].is_u64());
        assert_eq!(value["arms"][2]["held"], serde_json::Value::Null);
    }
}
