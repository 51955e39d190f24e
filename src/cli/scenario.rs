//! Scenario files: reading one into a plan, writing a starter, printing their schema.

use super::args::PlanArgs;
use super::exit::Exit;
use crate::plan::{self, Limits, Plan};
use crate::result::{ScenarioText, redact_scenario};
use crate::{cluster, scenario};
use anyhow::Context;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;

/// A plan and the text it was made from.
pub(super) struct Read {
    pub plan: Plan,
    pub text: ScenarioText,
}

/// Reads, resolves and checks; `Err` is the exit code, and why has been said.
pub(super) fn read(args: &PlanArgs, no_charts: bool, color: bool) -> Result<Read, Exit> {
    let path = args.scenario.display().to_string();
    let text = std::fs::read_to_string(&args.scenario).map_err(|error| {
        eprintln!("error: {path}: {error}\n  = help: `wsbench init` writes a starter scenario");
        Exit::BadScenario
    })?;
    let refuse = |rendered: String| {
        eprintln!("{}", rendered.trim_end());
        Exit::BadScenario
    };
    let parsed = scenario::parse(&path, &text).map_err(|error| refuse(error.render(color)))?;
    let plan = plan::build(&parsed, &args.overrides(no_charts)).map_err(|error| refuse(error.render(color)))?;
    let text = ScenarioText {
        name: plan.name.clone(),
        description: plan.description.clone(),
        path,
        hash: Sha256::digest(&text).iter().map(|b| format!("{b:02x}")).collect(),
        text: redact_scenario(&text),
    };
    Ok(Read { plan, text })
}

/// What this machine grants a run.
pub(super) fn limits() -> Limits {
    cluster::raise_open_files_limit();
    let host = cluster::host();
    let (low, high) = host.ephemeral_ports.unwrap_or((32768, 60999));
    Limits { descriptors: host.open_files_limit, ports: u64::from(high.saturating_sub(low)) + 1 }
}

/// `wsbench init`.
pub(super) fn init(path: &Path) -> anyhow::Result<Exit> {
    let mut file = std::fs::File::create_new(path)
        .with_context(|| format!("{} is not written: choose another name", path.display()))?;
    file.write_all(scenario::STARTER.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    println!("wrote {0}\nnext: wsbench check {0}, then wsbench run {0}", path.display());
    Ok(Exit::Done)
}

/// `wsbench schema`.
pub(super) fn schema() -> anyhow::Result<Exit> {
    println!("{:#}", scenario::schema());
    Ok(Exit::Done)
}
