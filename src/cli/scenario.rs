//! Scenario files: reading one into a plan, printing their schema.

use super::args::PlanArgs;
use super::exit::Exit;
use super::say;
use crate::catalog::Block;
use crate::plan::{self, Limits, Plan, Target};
use crate::result::{ScenarioText, mask_scenario, redact_scenario};
use crate::scenario::{Place, Problem, Scenario, Source};
use crate::{cluster, scenario, transport};
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
    let foreign = foreign_addresses(&parsed, &plan, args);
    if !foreign.is_empty() {
        let source = Source { path, text: mask_scenario(&text).into() };
        return Err(refuse(scenario::render(&source, &foreign, color)));
    }
    let text = ScenarioText {
        name: plan.name.clone(),
        description: plan.description.clone(),
        path,
        hash: Sha256::digest(&text).iter().map(|b| format!("{b:02x}")).collect(),
        text: redact_scenario(&text),
    };
    Ok(Read { plan, text })
}

/// Addresses that the scenario or a flag takes for this machine's, and which it hasn't.
fn foreign_addresses(scenario: &Scenario, plan: &Plan, args: &PlanArgs) -> Vec<Problem> {
    let mut own: Vec<(Place, Block)> = match args.source_ip.as_slice() {
        // Those are the agents'.
        _ if args.has_agents => Vec::new(),
        [] => {
            let said = scenario.file.load.source_ips.iter().flat_map(|blocks| blocks.iter());
            said.map(|block| (block.place.clone(), block.value)).collect()
        }
        flags => flags.iter().map(|block| (Place::Flag("--source-ip"), *block)).collect(),
    };
    if let scenario::Target::Embedded(embedded) = &scenario.file.target
        && plan.cells.iter().any(|cell| cell.target == Target::Embedded)
    {
        own.push((embedded.listen.place.clone(), embedded.listen.value.into()));
    }
    let foreign = own.iter().filter_map(|(place, block)| {
        let address = block.addresses().find(|address| !transport::is_own(*address))?;
        let problem = Problem::new(place, format!("this machine has no address {address}"));
        Some(problem.hint("`ip address` shows those that it has; the loopback of IPv4 has all of 127.0.0.0/8"))
    });
    foreign.collect()
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
