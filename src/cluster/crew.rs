//! The workers of a trial: started together, heard as they speak, summed when they are done. One that dies or hangs is
//! lost with its sessions; the others go on.

use super::child::ChildError;
use super::link::{FromWorker, Link, Slice, ToWorker};
use super::loss::{Loss, Role};
use crate::clock::{self, Nanos};
use crate::engine::Live;
use crate::measure::{HistogramError, Outcome};
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
    /// Starts a worker for each slice. `sessions`: how many each is to open.
    pub(super) async fn start(program: &Path, slices: Vec<(Slice, u64)>) -> Result<Crew, ChildError> {
        let mut members = Vec::with_capacity(slices.len());
        for (slice, sessions) in slices {
            let mut link = Link::start(program)?;
            link.tell(&ToWorker::Prepare(Box::new(slice))).await?;
            let heard = clock::now();
            members.push(Member { link: Some(link), sessions, heard, ready: None, live: None, done: None });
        }
        Ok(Crew { members, losses: Vec::new() })
    }

    /// What the next worker that says anything says, and which it is; a worker that has died is lost in passing. `None`:
    /// nobody is left to hear. Safe to cancel.
    pub(super) async fn hear(&mut self) -> Option<Result<(usize, FromWorker), (usize, ChildError)>> {
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
            if let Err(error) = link.tell(message).await {
                self.lose(index, error).await;
            }
        }
    }

    /// Gives a worker up, with its sessions and what it said last.
    pub(super) async fn lose(&mut self, index: usize, error: ChildError) {
        let of = self.members.len() as u32;
        let member = &mut self.members[index];
        let Some(mut link) = member.link.take() else { return };
        let words = link.last_words(error).await.to_string();
        member.live = None;
        self.losses.push(Loss { role: Role::Worker, index: index as u32, of, sessions: member.sessions, words });
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
                self.lose(index, ChildError::Hung { name: Link::NAME }).await;
            }
        }
    }

    /// What all of them measured, in the order of their numbers. The sessions of lost workers were asked for, and failed.
    pub(super) fn merged(&mut self) -> Result<(Outcome, Usage), HistogramError> {
        let mut done = self.members.iter_mut().filter_map(|member| member.done.take());
        let (mut outcome, mut usage) = match done.next() {
            Some((outcome, usage)) => (*outcome, usage),
            None => (Outcome { order_tracked: true, ..Outcome::default() }, Usage::default()),
        };
        for (other, others) in done {
            outcome.merge(&other)?;
            usage.merge(&others);
        }
        for loss in &self.losses {
            outcome.sessions.asked += loss.sessions;
            *outcome.errors.entry(loss.role.code().to_owned()).or_default() += loss.sessions;
        }
        Ok((outcome, usage))
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
