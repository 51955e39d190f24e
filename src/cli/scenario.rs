//! Scenario files: reading one into a plan, printing their schema.

use super::args::PlanArgs;
use super::exit::Exit;
use super::say;
use crate::plan::{self, Limits, Plan};
use crate::result::{ScenarioText, mask_scenario, redact_scenario};
use crate::{cluster, scenario};
use sha2::{Digest, Sha256};

/// A plan and the text it was made from.
pub(super) struct Read {
    pub plan: Plan,
    pub text: ScenarioText,
}

/// Reads, resolves and checks; `Err` is the exit code, and why has been said.
pub(super) fn read(args: &PlanArgs, no_charts: bool, color: bool) -> Result<Read, Exit> {
    let path = args.scenario.display().to_string();
    let text = std::fs::read_to_string(&args.scenario).map_err(|error| {
        say::err(&format!("error: {path}: {error}\n  = help: `wsbench init` writes a starter scenario"));
        Exit::BadScenario
    })?;
    let refuse = |rendered: String| {
        say::coloured(rendered.trim_end());
        Exit::BadScenario
    };
    let parsed = scenario::parse(&path, &text).map_err(|mut error| {
        error.source.text = mask_scenario(&text).into();
        refuse(error.render(color))
    })?;
    let plan = plan::build(&parsed, &args.overrides(no_charts)).map_err(|mut error| {
        error.source.text = mask_scenario(&text).into();
        let exit = refuse(error.render(color));
        // What is mistyped on the command line is no mistake of the scenario's.
        if error.is_of_flags() { Exit::Usage } else { exit }
    })?;
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
    let files = std::fs::read_to_string("/proc/sys/fs/file-max").ok().and_then(|text| text.trim().parse().ok());
    Limits {
        descriptors: host.open_files_limit,
        ports: u64::from(high.saturating_sub(low)) + 1,
        files: files.unwrap_or(u64::MAX),
    }
}

/// `wsbench schema`.
pub(super) fn schema() -> anyhow::Result<Exit> {
    say::out(&format!("{:#}\n", scenario::schema()))?;
    Ok(Exit::Done)
}
