//! Which workers of a cell each agent runs. Workers are numbered through the whole fleet and rooms are theirs as ever
//! (`workload::Roster`), so that no room is divided between machines; an agent gets more of the load by more workers.

use super::processes::{RESERVE, comfortably, rate_of_worker, room, sockets_of_workers};
use super::sources::needs_own;
use super::{Cell, MOST_WORKERS, Plan, Processes, Shortage, facts, sessions_of_worker};
use crate::catalog::Block;
use crate::units::Rate;
use std::ops::Range;

/// What an agent's machine grants, and what it was told to take at most.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentLimits {
    /// What messages call it.
    pub name: String,
    pub cores: u64,
    /// Open files of one process.
    pub descriptors: u64,
    /// Size of the ephemeral range.
    pub ports: u64,
    /// Of all its workers together.
    pub max_sessions: Option<u64>,
    /// Messages a second that all its workers may send together, on average.
    pub max_rate: Option<Rate>,
}

/// The workers that one agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its place among the agents that were given.
    pub agent: usize,
    /// Numbers among the whole fleet's workers; never empty.
    pub workers: Range<u32>,
}

/// A fleet that can't run a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FleetShortage {
    #[error("there is no agent to run it")]
    Nobody,
    #[error("arm `{arm}` has {needed} sessions, and the agents take {taken}: {tightest}; {remedy}")]
    Room { arm: String, needed: u64, taken: u64, tightest: String, remedy: String },
    #[error("arm `{arm}` can't be shared out: agent `{agent}` would {excess}; {remedy}")]
    Uneven { arm: String, agent: String, excess: String, remedy: String },
    #[error(transparent)]
    Here(#[from] Shortage),
}

/// Shares `cell` out: a worker for each agent and more for those with more cores, in proportion to the one with the fewest;
/// more where a process has too few descriptors; less of the load for whoever takes no more. With fewer rooms than agents
/// some run nothing.
///
/// # Errors
/// If the agents don't take the whole cell; says what is missing.
pub fn shares(cell: &Cell, agents: &[AgentLimits]) -> Result<Vec<Share>, FleetShortage> {
    let intakes: Vec<Intake> = agents.iter().map(|agent| Intake::of(agent, cell)).collect();
    let quotas = quotas(cell, agents, &intakes)?;
    let weights = weights(agents, &quotas);
    let most = units(cell).min(MOST_WORKERS);
    let least = match cell.load.workers {
        Some(asked) => asked.max(quotas.iter().filter(|quota| **quota > 0.0).count() as u32),
        None => weights.iter().sum(),
    };
    let least = least.clamp(1, most);
    let counts = if cell.load.workers.is_some() { least..=least } else { least..=most };
    let mut excess = None;
    // A process isn't filled to its last descriptor if there is another way.
    for held in [comfortably, |descriptors: u64| descriptors.saturating_sub(RESERVE)] {
        for workers in counts.clone() {
            let shares = divided(workers, &quotas);
            match shares.iter().find_map(|share| Excess::of(share, workers, cell, &agents[share.agent], held)) {
                None => return Ok(shares),
                Some(found) => excess = Some(found),
            }
        }
    }
    Err(excess.map_or(FleetShortage::Nobody, |excess| excess.told(cell)))
}

/// The sessions that one agent's workers open, of `workers` in all; publishers included.
pub fn sessions_of_share(cell: &Cell, share: &Range<u32>, workers: u32) -> u64 {
    share.clone().map(|worker| sessions_of_worker(cell, worker, workers)).sum()
}

/// What is missing for `plan`: of its agents, whose limits are theirs, and for the embedded target, which runs here.
pub fn fleet_shortages(plan: &Plan, agents: &[AgentLimits], here: &super::Limits) -> Vec<FleetShortage> {
    let of = |cell: &Cell| match shares(cell, agents) {
        Err(shortage) => vec![shortage],
        Ok(shares) => {
            let processes = Processes::of_fleet(cell, total(&shares), here.descriptors);
            facts::target_shortages(cell, &processes, here).into_iter().map(FleetShortage::Here).collect()
        }
    };
    plan.cells.iter().flat_map(of).collect()
}

/// Workers of the whole fleet.
pub fn total(shares: &[Share]) -> u32 {
    shares.iter().map(|share| share.workers.end).max().unwrap_or(0)
}

/// What can't be divided: rooms, topics, or sessions that are each alone.
fn units(cell: &Cell) -> u32 {
    cell.workload.groups().unwrap_or(cell.load.sessions).max(1)
}

/// Why an agent takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Sessions,
    Ports,
    Rate,
    Descriptors,
    /// Closed arrival has no rate that could be promised.
    NoRate,
}

impl Bound {
    fn name(self) -> &'static str {
        match self {
            Bound::Sessions => "--max-sessions",
            Bound::Ports => "its local ports towards one address",
            Bound::Rate => "--max-rate",
            Bound::Descriptors => "the descriptors of a process",
            Bound::NoRate => "--max-rate, and closed arrival has no rate that could be kept",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Bound::Sessions => "raise its --max-sessions",
            Bound::Ports => "widen its net.ipv4.ip_local_port_range, or name several of its addresses by `source_ips`",
            Bound::Rate => "raise its --max-rate",
            Bound::Descriptors => "raise its `ulimit -n`",
            Bound::NoRate => "choose an open `arrival`, or an agent without --max-rate",
        }
    }
}

/// How many rooms an agent takes, perhaps without end, and what keeps it from more.
#[derive(Debug, Clone, Copy)]
struct Intake {
    rooms: f64,
    bound: Option<Bound>,
}

impl Intake {
    fn of(agent: &AgentLimits, cell: &Cell) -> Intake {
        let room = room(cell);
        let each = |limit: u64, of_room: u64| (limit / of_room.max(1)) as f64;
        let mut bounds =
            vec![(if room.sockets + RESERVE > agent.descriptors { 0.0 } else { f64::INFINITY }, Bound::Descriptors)];
        bounds.extend(agent.max_sessions.map(|most| (each(most, room.sessions), Bound::Sessions)));
        bounds.extend(ports(agent, cell).map(|(ports, needed)| {
            let waiting = ports as f64 / facts::ports_in_time_wait(cell).max(1) as f64 * f64::from(units(cell));
            (each(ports, needed).min(waiting.floor()), Bound::Ports)
        }));
        bounds.extend(agent.max_rate.map(|most| match room.rate {
            rate if rate.is_infinite() => (0.0, Bound::NoRate),
            // As everywhere a hair of tolerance.
            rate if rate > 0.0 => ((most.per_second() / rate * (1.0 + TOLERANCE)).floor(), Bound::Rate),
            _ => (f64::INFINITY, Bound::Rate),
        }));
        let tightest = bounds.into_iter().min_by(|(one, _), (other, _)| one.total_cmp(other));
        match tightest.filter(|(most, _)| most.is_finite()) {
            Some((rooms, bound)) => Intake { rooms, bound: Some(bound) },
            None => Intake { rooms: f64::INFINITY, bound: None },
        }
    }
}

/// Rates are no whole numbers.
const TOLERANCE: f64 = 1e-9;

/// Ports that an agent has towards the target, and that a room takes; `None`: as many as are wanted.
fn ports(agent: &AgentLimits, cell: &Cell) -> Option<(u64, u64)> {
    if cell.target.is_unix() || needs_own(cell) {
        return None;
    }
    let addresses: u64 = cell.load.source_ips.iter().map(Block::count).sum();
    Some((agent.ports.saturating_mul(addresses.max(1)), room(cell).sockets))
}

/// The rooms that each agent is to have, not yet whole numbers: by its cores, but no more than it takes. Of more agents than
/// rooms the last have none.
fn quotas(cell: &Cell, agents: &[AgentLimits], intakes: &[Intake]) -> Result<Vec<f64>, FleetShortage> {
    let all = f64::from(units(cell));
    let takers = || agents.iter().zip(intakes).filter(|(_, intake)| intake.rooms >= 1.0);
    let taken: f64 = takers().map(|(_, intake)| intake.rooms).sum();
    if taken < all {
        return Err(too_little(cell, agents, intakes));
    }
    let mut by_size: Vec<usize> = (0..agents.len()).filter(|index| intakes[*index].rooms >= 1.0).collect();
    by_size.sort_by(|one, other| agents[*other].cores.cmp(&agents[*one].cores));
    by_size.truncate(units(cell) as usize);
    by_size.sort_unstable();
    // Of few rooms the largest agents may not take all.
    let by_size = match by_size.iter().map(|index| intakes[*index].rooms).sum::<f64>() < all {
        true => (0..agents.len()).filter(|index| intakes[*index].rooms >= 1.0).collect(),
        false => by_size,
    };
    let mut quotas = vec![0.0; agents.len()];
    let (mut open, mut left) = (by_size, all);
    loop {
        let cores: f64 = open.iter().map(|index| agents[*index].cores.max(1) as f64).sum();
        let fair = |index: usize| left * agents[index].cores.max(1) as f64 / cores;
        let (full, others): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|index| intakes[**index].rooms <= fair(**index));
        if full.is_empty() {
            others.iter().for_each(|index| quotas[*index] = fair(*index));
            return Ok(quotas);
        }
        for index in full {
            quotas[index] = intakes[index].rooms.min(left);
            left -= quotas[index];
        }
        open = others;
        if open.is_empty() || left <= 0.0 {
            return Ok(quotas);
        }
    }
}

/// Workers of each agent where nothing keeps it from its part.
fn weights(agents: &[AgentLimits], quotas: &[f64]) -> Vec<u32> {
    let has_part = |index: &usize| quotas[*index] > 0.0;
    let fewest = (0..agents.len()).filter(has_part).map(|index| agents[index].cores.max(1)).min().unwrap_or(1);
    let weight = |index| {
        if has_part(&index) { (agents[index].cores / fewest).max(1).min(MOST_WORKERS.into()) as u32 } else { 0 }
    };
    (0..agents.len()).map(weight).collect()
}

/// `workers` shared out by `quotas`, one at least to everyone who has a part: whole numbers by their largest remainders.
fn divided(workers: u32, quotas: &[f64]) -> Vec<Share> {
    let sum: f64 = quotas.iter().sum();
    let ideal: Vec<f64> = quotas.iter().map(|quota| quota / sum * f64::from(workers)).collect();
    let mut counts: Vec<u32> =
        ideal.iter().map(|n| if *n > 0.0 { ((n + TOLERANCE) as u32).max(1) } else { 0 }).collect();
    let lacks = |counts: &[u32], index: usize| ideal[index] - f64::from(counts[index]);
    let by_lack = |counts: &[u32], one: usize, other: usize| {
        lacks(counts, one).total_cmp(&lacks(counts, other)).then(other.cmp(&one))
    };
    while counts.iter().sum::<u32>() < workers {
        let neediest =
            (0..ideal.len()).filter(|index| ideal[*index] > 0.0).max_by(|one, other| by_lack(&counts, *one, *other));
        let Some(neediest) = neediest else { break };
        counts[neediest] += 1;
    }
    while counts.iter().sum::<u32>() > workers {
        let richest =
            (0..ideal.len()).filter(|index| counts[*index] > 1).min_by(|one, other| by_lack(&counts, *one, *other));
        // More agents than workers: the last have none.
        let richest = richest.or_else(|| (0..ideal.len()).rfind(|index| counts[*index] > 0));
        let Some(richest) = richest else { break };
        counts[richest] -= 1;
    }
    let mut next = 0;
    let share = |(agent, count): (usize, u32)| {
        let workers = next..next + count;
        next = workers.end;
        (count > 0).then_some(Share { agent, workers })
    };
    counts.into_iter().enumerate().filter_map(share).collect()
}

/// What a share would ask too much of.
struct Excess<'a> {
    agent: &'a AgentLimits,
    bound: Bound,
    words: String,
}

impl<'a> Excess<'a> {
    fn of(
        share: &Share,
        workers: u32,
        cell: &Cell,
        agent: &'a AgentLimits,
        held: fn(u64) -> u64,
    ) -> Option<Excess<'a>> {
        let found = |bound: Bound, words: String| Some(Excess { agent, bound, words });
        let sockets = sockets_of_workers(cell, share.workers.start, workers);
        if sockets > held(agent.descriptors) {
            let (needed, limit) = (sockets + RESERVE, agent.descriptors);
            return found(
                Bound::Descriptors,
                format!("need {needed} descriptors in a worker, and {limit} are allowed"),
            );
        }
        let sessions = sessions_of_share(cell, &share.workers, workers);
        if let Some(most) = agent.max_sessions.filter(|most| sessions > *most) {
            return found(Bound::Sessions, format!("run {sessions} sessions, and takes {most}"));
        }
        let rate: f64 = share.workers.clone().map(|worker| rate_of_worker(cell, worker, workers)).sum();
        if let Some(most) = agent.max_rate.filter(|most| rate > most.per_second() * (1.0 + TOLERANCE)) {
            return found(Bound::Rate, format!("send {rate:.1} messages a second, and takes {most}"));
        }
        let (available, _) = ports(agent, cell)?;
        let part = sessions as f64 / total_sessions(cell).max(1) as f64;
        let waiting = (facts::ports_in_time_wait(cell) as f64 * part) as u64;
        let needed = waiting.max(sessions * cell.transport.sockets_per_session());
        if needed > available {
            return found(Bound::Ports, format!("need {needed} local ports towards one address, and has {available}"));
        }
        None
    }

    fn told(self, cell: &Cell) -> FleetShortage {
        let workers = match cell.load.workers {
            Some(_) => "leave `workers` out, so that shares can be finer, or ",
            None => "",
        };
        let remedy = format!("{workers}take one more agent, or {}", self.bound.remedy());
        FleetShortage::Uneven { arm: cell.arm.clone(), agent: self.agent.name.clone(), excess: self.words, remedy }
    }
}

fn total_sessions(cell: &Cell) -> u64 {
    sessions_of_worker(cell, 0, 1)
}

/// Agents that a message names.
const NAMED: usize = 3;

/// The fleet takes less than there is.
fn too_little(cell: &Cell, agents: &[AgentLimits], intakes: &[Intake]) -> FleetShortage {
    if agents.is_empty() {
        return FleetShortage::Nobody;
    }
    let of_room = room(cell).sessions;
    let mut tight: Vec<(&AgentLimits, f64, Bound)> =
        agents.iter().zip(intakes).filter_map(|(agent, intake)| Some((agent, intake.rooms, intake.bound?))).collect();
    tight.sort_by(|(_, one, _), (_, other, _)| one.total_cmp(other));
    let named = tight.iter().take(NAMED).map(|(agent, most, bound)| {
        let sessions = *most as u64 * of_room;
        format!("`{}` {sessions} ({})", agent.name, bound.name())
    });
    let mut tightest: Vec<String> = named.collect();
    if tight.len() > NAMED {
        tightest.push(format!("{} others", tight.len() - NAMED));
    }
    let taken: f64 = intakes.iter().map(|intake| intake.rooms).sum();
    let missing = f64::from(units(cell)) - taken;
    let largest = tight.last().filter(|(_, most, _)| *most >= 1.0);
    let more = largest
        .map(|(agent, most, _)| format!("take {} more like `{}`, or ", (missing / most).ceil() as u64, agent.name));
    let is_divided = cell.workload.groups().is_some();
    let whole = if is_divided && largest.is_none() {
        format!(" (no room of {of_room} sessions is divided)")
    } else {
        String::new()
    };
    let remedy = tight.first().map_or("", |(_, _, bound)| bound.remedy());
    FleetShortage::Room {
        arm: cell.arm.clone(),
        needed: total_sessions(cell),
        taken: taken as u64 * of_room,
        tightest: tightest.join(", "),
        remedy: format!("{}{remedy}{whole}", more.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
