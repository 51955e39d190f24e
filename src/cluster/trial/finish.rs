//! The end of a trial: what everyone saw, summed, and whether it failed.

use super::{Running, TrialError, Tried};
use crate::cluster::cores;
use crate::cluster::crew::Part;
use crate::cluster::fleet::Fleet;
use crate::cluster::loss::Role;
use crate::cluster::usage::Meter;
use crate::measure::{Held, Outcome};
use crate::result::{AgentPart, TargetFacts, Usage, redact_words, sum_of_agents};

impl Running<'_> {
    /// Stops the targets and sums what everyone saw.
    pub(super) async fn finish(mut self, is_deserted: bool) -> Result<Tried, TrialError> {
        self.kernel.look();
        let usage = self.server.as_ref().and_then(Meter::read_whole);
        let target = self.targets.stop().await?.or_else(|| usage.map(of_server));
        let is_interrupted = self.is_ending();
        let holds = self.held.is_some();
        // That nobody was there isn't an interrupt, although it was ended like one.
        let finish = |outcome: &mut Outcome, counted| {
            outcome.interrupted = is_interrupted;
            redact_words(outcome.said.values_mut(), self.order.cell, self.order.token);
            outcome.sessions.held = holds.then_some(Held { counted, kernel: None });
        };
        let parts = self.crew.parts(finish)?;
        let mut generator = Usage::default();
        parts.iter().for_each(|part| generator.merge(&part.usage));
        let (outcome, agents) = match self.order.fleet {
            Some(fleet) => {
                generator.cores = fleet.cores(&self.shares, &self.processes);
                let agents = self.parts(fleet, parts);
                (sum_of_agents(&agents)?, agents)
            }
            None => {
                generator.cores = cores::used(&cores::workers(self.processes.workers, self.processes.targets));
                let mut outcome = parts.into_iter().find_map(|part| part.outcome).unwrap_or_default();
                outcome.sessions.held = self.held;
                (outcome, Vec::new())
            }
        };
        let counters = outcome.measure;
        let is_deserted =
            is_deserted || outcome.sessions.connected == 0 || (counters.scheduled > 0 && counters.sent == 0);
        // What the system took here is the target's alone, if the generator is elsewhere.
        let kernel = self.kernel.seen().filter(|_| self.order.fleet.is_none());
        let mut losses = self.crew.losses;
        let are_all_lost = losses.len() == self.processes.workers as usize;
        let failure = match losses.first() {
            // Nothing failed that was tried: the machines are gone.
            Some(_) if are_all_lost && losses.iter().all(|loss| loss.role == Role::Agent) => None,
            Some(first) if are_all_lost => Some(first.words.clone()),
            _ => (is_deserted && !is_interrupted).then(|| deserted(&outcome)),
        };
        losses.append(&mut self.targets.losses);
        Ok(Tried { outcome, generator, target, kernel, failure, is_broken: false, losses, agents })
    }

    /// What each agent had of it.
    fn parts(&self, fleet: &Fleet, parts: Vec<Part>) -> Vec<AgentPart> {
        let of = |part: Part| {
            let agent = part.agent?;
            let place = self.shares.iter().position(|share| share.agent == agent)?;
            Some(fleet.part(agent, part, self.before.get(place).copied().unwrap_or_default()))
        };
        parts.into_iter().filter_map(of).collect()
    }
}

/// Nothing but its usage is known of a server that a command started, and it may run on every core.
fn of_server(usage: Usage) -> TargetFacts {
    TargetFacts { usage: Usage { cores: cores::allowed().len() as u64, ..usage }, ..TargetFacts::default() }
}

fn deserted(outcome: &Outcome) -> String {
    let words = |class: &str| outcome.said.get(class).map(|words| format!(" ({words})")).unwrap_or_default();
    let classes: Vec<String> =
        outcome.errors.iter().map(|(class, n)| format!("{class} × {n}{}", words(class))).collect();
    let what = match outcome.sessions.connected {
        0 => "no session could be opened",
        _ => "every session had ended before anything could be sent",
    };
    format!("{what}: {}", classes.join(", "))
}
