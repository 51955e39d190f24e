//! The workers of a trial: started together, heard as they speak, summed when they are done. One that dies or hangs is
//! lost with its sessions; the others go on.

use super::fleet::Fleet;
use super::link::{FromWorker, Link, LinkError, Slice, ToWorker};
use super::loss::{Loss, Role};
use crate::clock::{self, Nanos};
use crate::engine::Live;
use crate::measure::{HistogramError, Outcome};
use crate::plan::Share;
use crate::result::Usage;
use crate::schedule::Phase;
use futures_util::future::select_all;
use std::path::Path;

/// All workers of one trial.
pub(super) struct Crew {
    members: Vec<Member>,
    pub losses: Vec<Loss>,
}

struct Member {
    /// `None` once it is done or lost.
    link: Option<Link>,
    /// Which of the fleet runs it; `None`: this machine.
    agent: Option<usize>,
    /// That it is to open.
    sessions: u64,
    heard: Nanos,
    ready: Option<Ready>,
    live: Option<Live>,
    done: Option<(Box<Outcome>, Usage)>,
}

/// A worker has tried all its sessions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ready {
    pub open: u64,
    pub connections: u64,
}

impl Crew {
    /// Starts a worker on this machine for each slice. `sessions`: how many each is to open.
    pub(super) async fn start(program: &Path, slices: Vec<(Slice, u64)>) -> Result<Crew, LinkError> {
        let mut members = Vec::with_capacity(slices.len());
        for (slice, sessions) in slices {
            let mut link = Link::start(program)?;
            link.begin(slice).await?;
            members.push(Member::new(link, None, sessions));
        }
        Ok(Crew { members, losses: Vec::new() })
    }

    /// Has the agents of `fleet` start them, by their shares. Who can't be told is lost.
    pub(super) async fn hire(fleet: &Fleet, shares: &[Share], slices: Vec<(Slice, u64)>) -> Crew {
        let mut crew = Crew { members: Vec::with_capacity(slices.len()), losses: Vec::new() };
        let agents = shares.iter().flat_map(|share| share.workers.clone().map(|_| share.agent));
        let mut untold = Vec::new();
        for (agent, (slice, sessions)) in agents.zip(slices) {
            let mut link = fleet.worker(agent, slice.worker);
            if let Err(error) = link.begin(slice).await {
                untold.push((crew.members.len(), error));
            }
            crew.members.push(Member::new(link, Some(agent), sessions));
        }
        for (index, error) in untold {
            crew.lose(index, error).await;
        }
        crew
    }

    /// What the next worker that says anything says, and which it is; a worker that has died is lost in passing. `None`:
    /// nobody is left to hear. Safe to cancel.
    pub(super) async fn hear(&mut self) -> Option<Result<(usize, FromWorker), (usize, LinkError)>> {
        let listening = self.members.iter_mut().enumerate().filter_map(|(index, member)| {
            let link = member.link.as_mut()?;
            Some(Box::pin(async move {
                match link.next().await {
                    Ok(message) => Ok((index, message)),
                    Err(error) => Err((index, error)),
                }
            }))
        });
        let listening: Vec<_> = listening.collect();
        if listening.is_empty() {
            return None;
        }
        let heard = select_all(listening).await.0;
        let (Ok((index, _)) | Err((index, _))) = &heard;
        self.members[*index].heard = clock::now();
        Some(heard)
    }

    pub(super) fn is_ready(&mut self, index: usize, ready: Ready) {
        self.members[index].ready = Some(ready);
    }

    /// Takes in how a worker is doing; the sum of all that spoke so far.
    pub(super) fn is_doing(&mut self, index: usize, live: Live) -> Live {
        self.members[index].live = Some(live);
        sum(self.members.iter().filter_map(|member| member.live.as_ref()))
    }

    pub(super) fn is_done(&mut self, index: usize, outcome: Box<Outcome>, usage: Usage) {
        let member = &mut self.members[index];
        (member.done, member.link) = (Some((outcome, usage)), None);
    }

    /// Whether everyone who is left has tried all its sessions; the sum, if so.
    pub(super) fn all_ready(&self) -> Option<Ready> {
        self.members.iter().filter(|member| member.link.is_some()).try_fold(Ready::default(), |sum, member| {
            let ready = member.ready?;
            Some(Ready { open: sum.open + ready.open, connections: sum.connections + ready.connections })
        })
    }

    /// Whether everyone is done or lost.
    pub(super) fn is_over(&self) -> bool {
        self.members.iter().all(|member| member.link.is_none())
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.members.iter().filter_map(|member| member.link.as_ref()?.pid()).collect()
    }

    /// Tells everyone who is left.
    pub(super) async fn tell(&mut self, message: &ToWorker) {
        for index in 0..self.members.len() {
            let Some(link) = self.members[index].link.as_mut() else { continue };
            if let Err(error) = link.tell(message.clone()).await {
                self.lose(index, error).await;
            }
        }
    }

    /// Gives a worker up, with its sessions and what it said last.
    pub(super) async fn lose(&mut self, index: usize, error: LinkError) {
        let of = self.members.len() as u32;
        let member = &mut self.members[index];
        let Some(mut link) = member.link.take() else { return };
        let error = link.last_words(error).await;
        member.live = None;
        let role = if matches!(error, LinkError::AgentLost { .. }) { Role::Agent } else { Role::Worker };
        let words = error.to_string();
        self.losses.push(Loss { role, index: index as u32, of, sessions: member.sessions, words });
    }

    /// Whether an agent was lost with workers of this trial.
    pub(super) fn has_lost_agent(&self) -> bool {
        self.losses.iter().any(|loss| loss.role == Role::Agent)
    }

    /// What a worker said, and where it was said if that isn't here.
    pub(super) fn told_by(&self, index: usize, problem: String) -> String {
        match &self.members[index].link {
            Some(Link::Agent(worker)) => format!("agent `{}`: {problem}", worker.agent()),
            _ => problem,
        }
    }

    /// A worker said that it can't go on.
    pub(super) async fn gave_up(&mut self, index: usize, problem: String) {
        let Some(link) = &self.members[index].link else { return };
        let error = link.gave_up(problem);
        self.lose(index, error).await;
    }

    /// Gives up everyone who has not been heard since `since`.
    pub(super) async fn lose_silent(&mut self, since: Nanos) {
        self.lose_hung(|member| member.heard <= since).await;
    }

    /// Gives up everyone who still has sessions to try.
    pub(super) async fn lose_unready(&mut self) {
        self.lose_hung(|member| member.ready.is_none()).await;
    }

    /// Gives up everyone who is left.
    pub(super) async fn lose_all(&mut self) {
        self.lose_hung(|_| true).await;
    }

    async fn lose_hung(&mut self, is_hung: impl Fn(&Member) -> bool) {
        for index in 0..self.members.len() {
            if is_hung(&self.members[index]) {
                let Some(link) = &self.members[index].link else { continue };
                let error = link.hung();
                self.lose(index, error).await;
            }
        }
    }

    /// What the workers of each machine measured. The sessions of lost workers were asked for, and failed. `finish` completes
    /// what a part measured, in which so many connections were held.
    pub(super) fn parts(&mut self, finish: impl Fn(&mut Outcome, u64)) -> Result<Vec<Part>, HistogramError> {
        let mut parts: Vec<Part> = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            if parts.last().is_none_or(|part| part.agent != member.agent) {
                parts.push(Part { agent: member.agent, ..Part::default() });
            }
            let Some(part) = parts.last_mut() else { continue };
            part.workers += 1;
            part.sessions += member.sessions;
            part.held += member.ready.map_or(0, |ready| ready.connections);
            if let Some((outcome, usage)) = member.done.take() {
                part.add(*outcome, &usage)?;
            }
            part.losses.extend(self.losses.iter().filter(|loss| loss.index == index as u32).cloned());
        }
        for part in &mut parts {
            part.is_lost = part.losses.iter().any(|loss| loss.role == Role::Agent);
            if part.outcome.is_none() && part.is_lost {
                // Nothing is left of it that they could be counted in.
                continue;
            }
            let outcome = part.outcome.get_or_insert(Outcome { order_tracked: true, ..Outcome::default() });
            finish(outcome, part.held);
            part.losses.drain(..).for_each(|loss| loss.count_in(outcome));
        }
        Ok(parts)
    }
}

/// What the workers of one machine measured.
#[derive(Default)]
pub(super) struct Part {
    /// Which of the fleet; `None`: this machine.
    pub agent: Option<usize>,
    pub workers: u64,
    pub sessions: u64,
    /// `None`: nobody was left to say.
    pub outcome: Option<Outcome>,
    pub usage: Usage,
    /// It ended with its agent.
    pub is_lost: bool,
    held: u64,
    losses: Vec<Loss>,
}

impl Part {
    fn add(&mut self, outcome: Outcome, usage: &Usage) -> Result<(), HistogramError> {
        match &mut self.outcome {
            Some(mine) => {
                self.usage.merge(usage);
                mine.merge(&outcome)?;
            }
            None => (self.outcome, self.usage) = (Some(outcome), *usage),
        }
        Ok(())
    }
}

impl Member {
    fn new(link: Link, agent: Option<usize>, sessions: u64) -> Member {
        let heard = clock::now();
        Member { link: Some(link), agent, sessions, heard, ready: None, live: None, done: None }
    }
}

/// How all of them are doing: counts summed, quantiles of the slowest.
fn sum<'a>(all: impl Iterator<Item = &'a Live>) -> Live {
    let none = Live { phase: Phase::Ramp, open_sessions: 0, sent: 0, delivered: 0, errors: 0, p50: 0, p99: 0 };
    all.fold(none, |sum, live| Live {
        phase: if live.phase as u8 > sum.phase as u8 { live.phase } else { sum.phase },
        open_sessions: sum.open_sessions + live.open_sessions,
        sent: sum.sent + live.sent,
        delivered: sum.delivered + live.delivered,
        errors: sum.errors + live.errors,
        p50: sum.p50.max(live.p50),
        p99: sum.p99.max(live.p99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_all_is_the_sum_of_counts_and_the_worst_of_times() {
        let live = |phase, n: u64| Live {
            phase,
            open_sessions: n,
            sent: 2 * n,
            delivered: 3 * n,
            errors: 4 * n,
            p50: 100 * n,
            p99: 1000 / n,
        };
        let all = [live(Phase::Measure, 1), live(Phase::Warmup, 2), live(Phase::Measure, 4)];
        let merged = sum(all.iter());
        assert_eq!((merged.open_sessions, merged.sent, merged.delivered, merged.errors), (7, 14, 21, 28));
        assert_eq!((merged.phase, merged.p50, merged.p99), (Phase::Measure, 400, 1000));
    }
}
