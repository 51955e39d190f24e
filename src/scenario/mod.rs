//! The TOML file that a person writes: its types, its defaults, and errors that point at the place.
//!
//! Reading goes in three steps: the TOML parser finds errors of syntax; `shape` holds the tables against the JSON
//! Schema that these types yield, so that the parser and people's editors refuse the same things; serde then fills the
//! types. What a scenario *means* is the plan's business.

use crate::units::Span;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Deserialize;
use std::sync::{Arc, LazyLock};

mod arm;
mod at;
mod dialect;
mod error;
mod load;
mod payload;
mod placed;
mod shape;
mod suggest;
mod target;
mod threshold;
mod tls;
mod values;
mod workload;

pub use arm::{Arm, Auth};
pub use at::{At, Named, Place};
pub use dialect::Dialects;
pub use error::{Problem, ScenarioError, Source, brief, in_order, render};
pub use load::{Load, Stage};
pub use payload::{Between, Payload, Weighted};
pub use placed::Placed;
pub use suggest::{hint, nearest};
pub use target::{Embedded, Network, Target};
pub use threshold::Entry;
pub use tls::Tls;
pub use values::Value;
pub use workload::{Chat, Connect, Echo, PayloadKeys, Push, Workload};

/// What `wsbench init` writes: a small scenario with every choice explained.
pub const STARTER: &str = include_str!("starter.toml");

/// Larger files are not scenarios.
const MAX_TEXT: usize = 1 << 20;

/// A scenario and the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    pub source: Source,
    pub file: File,
}

/// A load test: what is exchanged, how much of it, with which server, and over which transports.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Names the report. Default: the file's name.
    pub name: Option<At<String>>,
    /// One line for the report.
    #[serde(default)]
    pub description: String,
    /// Draws the schedule, the payloads and the order of trials. The same seed gives the same run.
    #[serde(default = "first_seed")]
    pub seed: At<u64>,
    /// What is exchanged and what counts as done.
    pub workload: Workload,
    /// How many sessions, how fast, for how long.
    #[serde(default)]
    pub load: At<Load>,
    /// The server under test. Default: the embedded target.
    #[serde(default)]
    pub target: Target,
    /// The emulated network.
    #[serde(default)]
    pub network: Network,
    /// Values of each session, under names of your own: what marks in URLs, headers, credentials and templates stand for.
    #[serde(default)]
    pub values: Named<Value>,
    /// What is spoken with a server of your own.
    #[serde(default)]
    pub dialect: Dialects,
    /// Whom to trust at URLs that ask for TLS, and who to be.
    #[serde(default)]
    pub tls: Tls,
    /// The arms of the comparison, in the order of the report.
    pub transports: At<Named<At<Arm>>>,
    /// The arm that the others are compared with. Default: the first long-polling arm, else the first arm.
    pub reference: Option<At<String>>,
    /// What must hold, such as `websocket: p99 < 50ms`; else the exit code is 99. Default: nothing.
    #[serde(default)]
    pub thresholds: Vec<At<Entry>>,
    /// What is written.
    #[serde(default)]
    pub output: Output,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Draw charts?
    pub charts: At<bool>,
    /// Length of the time slices in which response times are kept.
    pub interval: At<Span>,
}

impl Default for Output {
    fn default() -> Output {
        Output { charts: At::default_value(true), interval: At::default_value(Span::from_millis(1000)) }
    }
}

fn first_seed() -> At<u64> {
    At::default_value(1)
}

/// Reads a scenario. `path` is for messages, and its last part names a scenario that has no `name`.
///
/// # Errors
/// Everything that was found wrong at once, as far as one error doesn't hide another.
pub fn parse(path: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let source = Source { path: path.to_owned(), text: Arc::from(text) };
    match file(text) {
        Ok(file) => Ok(Scenario { source, file }),
        Err(problems) => Err(ScenarioError { source, problems: in_order(problems) }),
    }
}

fn file(text: &str) -> Result<File, Vec<Problem>> {
    if text.len() > MAX_TEXT {
        return Err(vec![Problem::new(&Place::Default, "the file is larger than 1 MiB: it can't be a scenario")]);
    }
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(from_toml).collect());
    }
    let problems = shape::check(&table, &SCHEMA);
    if !problems.is_empty() {
        return Err(problems);
    }
    File::deserialize(toml::de::Deserializer::from(table)).map_err(|e| vec![from_toml(&e)])
}

fn from_toml(error: &toml::de::Error) -> Problem {
    let place = error.span().map_or(Place::Default, Place::File);
    Problem::quote(&place, error.message())
}

static SCHEMA: LazyLock<serde_json::Value> = LazyLock::new(schema);

/// The JSON Schema of a scenario, for editors: every key with its description, unknown keys forbidden.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    shape::for_toml(&mut schema);
    schema.to_value()
}

impl Scenario {
    /// What the scenario is called: `name`, or else the file's name with anything unfit for a folder's name replaced.
    pub fn name(&self) -> String {
        if let Some(name) = &self.file.name {
            return name.value.clone();
        }
        let last = self.source.path.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = last.strip_suffix(".toml").unwrap_or(last);
        let fit = |c: char| if is_name_char(c) { c } else { '-' };
        let name: String = stem.chars().take(64).map(fit).collect();
        if is_name(&name) { name } else { "scenario".to_owned() }
    }
}

/// Whether `text` may name a scenario or an arm: such names become folders, columns and parts of `ARM=URL`.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && !text.starts_with(['.', '-']) && text.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}
