//! `[values]`: what marks stand for, beside `{room}` and `{session}`.

use super::at::At;
use schemars::JsonSchema;
use serde::Deserialize;

/// What a name stands for in each session: one of these.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// A CSV file, beside the scenario, with a row of names above; session `n` has row `n` modulo the number of rows, as
    /// `{NAME.COLUMN}`.
    Csv(At<String>),
    /// `{NAME}` is this number and the session's, added.
    Counter(At<u64>),
}
