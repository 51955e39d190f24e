//! Runs by agents: finding them, and what must be so before they are hired.

use super::args::{FleetArgs, twice};
use super::bus::complaint;
use super::exit::Exit;
use super::say;
use crate::bus::Nats;
use crate::cluster::{self, Card, Found, Wanted};
use crate::plan::{self, Limits, Plan, Target};
use crate::transport;
use std::net::IpAddr;
use tokio::runtime::Runtime;

/// The agents that are to run a plan, and their bus.
pub(super) struct Agents {
    pub nats: Nats,
    pub found: Found,
}

/// `Ok(None)`: none were asked for. The inner `Err`: what is asked makes no sense, and has been said.
pub(super) fn find(args: &FleetArgs, runtime: &Runtime) -> anyhow::Result<Result<Option<Agents>, Exit>> {
    let wrong = |problem: &str, help: &str| {
        say::err(&format!("error: {problem}\n  = help: {help}"));
        Ok(Err(Exit::Usage))
    };
    let nats = args.nats.options("wsbench run");
    let (nats, agents) = match (nats, args.agents) {
        // A bus may be named by the environment for other commands.
        (_, None) => return Ok(Ok(None)),
        (None, Some(_)) => {
            return wrong(
                "--agents needs a bus",
                "name its server with `--nats nats://HOST:4222`, or WSBENCH_NATS_URL",
            );
        }
        (Some(nats), Some(agents)) => (nats, agents),
    };
    if let Some(key) = twice(&args.label) {
        return wrong(&format!("--label: {key} is named twice"), "an agent has one value for each label");
    }
    if let Some(ip) = args.advertise.filter(|ip| !transport::is_own(*ip)) {
        return wrong(
            &format!("--advertise: this machine has no address {ip}"),
            "`ip address` shows those that it has",
        );
    }
    let wanted = Wanted {
        how_many: agents.number(),
        wait: args.wait.0,
        labels: args.label.clone(),
        prefix: args.nats.nats_prefix.clone(),
    };
    let (nats, found) = runtime.block_on(async {
        let nats = Nats::connect(&nats).await?;
        let found = cluster::find(&nats, &wanted).await.map_err(|error| complaint(&nats, error.into()))?;
        anyhow::Ok((nats, found))
    })?;
    found.left_out.iter().for_each(|why| say::err(&format!("left out: {why}")));
    Ok(Ok(Some(Agents { nats, found })))
}

/// The embedded target is reached at `address`.
pub(super) fn advertise(plan: &mut Plan, address: Option<IpAddr>) {
    let Some(address) = address else { return };
    for cell in plan.cells.iter_mut().filter(|cell| cell.target == Target::Embedded) {
        cell.network.listen = address;
    }
}

/// What is in the way of a run by these agents.
pub(super) fn problems(plan: &Plan, agents: &Agents, here: &Limits) -> Vec<String> {
    let limits: Vec<_> = agents.found.cards.iter().map(Card::limits).collect();
    let shortages = plan::fleet_shortages(plan, &limits, here).into_iter().map(|shortage| shortage.to_string());
    unreached(plan, &agents.found.cards).into_iter().chain(shortages).collect()
}

/// An embedded target on a loopback that some of them don't see.
fn unreached(plan: &Plan, cards: &[Card]) -> Option<String> {
    let is_hidden = |cell: &&plan::Cell| cell.target == Target::Embedded && cell.network.listen.is_loopback();
    let cell = plan.cells.iter().find(is_hidden)?;
    let far = cards.iter().find(|card| !card.is_here())?;
    Some(format!(
        "arm `{}` has its target on this machine's loopback, where agent `{}` can't reach it\n  = help: say at which address of \
         this machine agents reach it, with `--advertise IP`, or name a target of your own with `--target`",
        cell.arm, far.name
    ))
}
