//! The agents that ran it, as a table.

use crate::result::{AgentColumn, AgentSummary, agent_table};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct FleetView {
    pub columns: Vec<AgentColumn>,
    /// As many words as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl FleetView {
    /// `None`: there were no agents.
    pub(super) fn of(agents: &[AgentSummary]) -> Option<FleetView> {
        let (columns, rows) = agent_table(agents);
        (!rows.is_empty()).then_some(FleetView { columns, rows })
    }
}
