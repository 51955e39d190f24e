//! The agents that one run hired: found, hired, each given its share of every trial, kept in touch with, released.
//!
//! | file | what |
//! |---|---|
//! | `find.rs` | who is there, and who of them can work for this run |
//! | `member.rs` | one agent: the conversation with it, and who listens to its workers |

use super::agent::Card;
use super::agent::words::{self, ToAgent};
use super::cores;
use super::crew::Part;
use super::host;
use super::link::{self, FromWorker, Link, ToWorker};
use crate::bus::{BusError, BusTraffic, Carrier, Conversation, HEARTBEAT, Inbox, Offset, Peek, Received, forgotten};
use crate::catalog::AgentLoss;
use crate::clock::{self, MILLI, Nanos, SECOND};
use crate::plan::{AgentLimits, Cell, FleetShortage, Processes, Share, shares};
use crate::result::{AgentClock, AgentPart, AgentTraffic, Calibration, Usage, redact_labels, worst_calibration};
use futures_util::future::join_all;
use std::cell::{Cell as StdCell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

mod find;
mod member;

#[cfg(test)]
mod tests;

pub use find::{FindError, Found, Wanted, find};
pub(super) use member::Member;

/// How long an agent, or to an agent its coordinator, may let itself be missed: longer than a bus takes to be restarted, shorter
/// than anyone would want to wait for a run that is lost.
pub(super) const GRACE: Nanos = 10 * SECOND;
/// From the order to start to the start: time to hear it, and to hear it again if it was lost.
const LEAD: Nanos = 500 * MILLI;
/// And this many of the longest round trips, up to so much.
const ROUNDS: Nanos = 8;
const LONGEST_LEAD: Nanos = 20 * SECOND;
/// Who was heard within this time is in touch: two heartbeats, and one that is late.
const TOUCH: Nanos = 3 * HEARTBEAT;
/// How long the agents may take to hear that they are free.
const PARTING: Duration = Duration::from_secs(2);
/// How long a calibration lasts, and how much longer its answer may take.
const CALIBRATING: Nanos = SECOND;
const ANSWERING: Duration = Duration::from_secs(15);

/// A fleet that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("agent `{agent}` could not be hired: {why}")]
    Hire { agent: String, why: String },
}

/// Everyone who was hired, the lost ones too.
pub(super) struct Fleet {
    members: Vec<Rc<Member>>,
    on_loss: AgentLoss,
    /// There is something to publish.
    to_send: Rc<Notify>,
    /// Someone was heard, or lost.
    heard: Notify,
    /// Losses that were told of.
    told: StdCell<usize>,
    /// In the order in which they happened.
    lost: RefCell<Vec<(String, String)>>,
}

impl Fleet {
    /// Hires whoever was found: [`Fleet::hired`] waits for their answers.
    pub(super) fn new<C: Carrier>(carrier: &C, found: &Found, on_loss: AgentLoss) -> Fleet {
        let to_send = Rc::new(Notify::new());
        let hire = |card: &Card| {
            let conversation = Conversation::new(rand::random(), carrier.limit(), carrier.now());
            let member = Rc::new(Member::new(card.clone(), conversation, to_send.clone()));
            // It fits: it is the first that is said.
            let _ = member.say(&ToAgent::Hire { run: found.run.clone(), grace: GRACE });
            member
        };
        let members = found.cards.iter().map(hire).collect();
        let (heard, told, lost) = (Notify::new(), StdCell::new(0), RefCell::default());
        Fleet { members, on_loss, to_send, heard, told, lost }
    }

    /// Until everyone has taken the work.
    pub(super) async fn hired(&self) -> Result<(), FleetError> {
        loop {
            let refused = self.members.iter().find_map(|member| {
                let answer = member.answer().and_then(Result::err);
                answer.or_else(|| member.why_lost()).map(|why| (member, why))
            });
            if let Some((member, why)) = refused {
                return Err(FleetError::Hire { agent: member.name().to_owned(), why });
            }
            if self.members.iter().all(|member| member.answer().is_some()) {
                return Ok(());
            }
            self.heard.notified().await;
        }
    }

    /// Carries what is said between the agents and whoever else is at work; never ends.
    pub(super) async fn attend<C: Carrier>(&self, carrier: &C, found: &Found, inbox: &mut C::Inbox) -> Infallible {
        loop {
            if let Err(error) = self.carry(carrier, found, inbox).await {
                // Nothing will ever come that way again.
                for member in &self.members {
                    self.lose(member, error.to_string());
                }
                self.heard.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }

    async fn carry<C: Carrier>(&self, carrier: &C, found: &Found, inbox: &mut C::Inbox) -> Result<(), BusError> {
        let now = carrier.now();
        let mut wake = now + SECOND;
        for member in &self.members {
            if member.look(GRACE, now) {
                self.note_loss(member);
            }
            if member.wake_at(GRACE, now) <= now {
                let (to, reply) =
                    (found.subjects.agent(&member.card.id), found.subjects.from(&found.run, &member.card.id));
                for packet in member.packets(now) {
                    carrier.ask(&to, &reply, packet).await?;
                }
            }
            wake = wake.min(member.wake_at(GRACE, now));
        }
        let now = carrier.now();
        tokio::select! {
            biased;
            received = inbox.next() => self.hear(carrier, found, &received.ok_or(BusError::Closed)?).await,
            () = self.to_send.notified() => Ok(()),
            () = tokio::time::sleep(Duration::from_nanos(wake.saturating_sub(now))) => Ok(()),
        }
    }

    async fn hear<C: Carrier>(&self, carrier: &C, found: &Found, received: &Received) -> Result<(), BusError> {
        let Ok(peek) = Peek::at(&received.bytes) else { return Ok(()) };
        let member = self.members.iter().find(|member| member.conversation() == peek.conversation);
        match member.filter(|member| member.is_there()) {
            Some(member) => {
                // Bytes that no agent would send change nothing.
                let _ = member.heard(&received.bytes, carrier.now());
                if !member.is_there() {
                    self.note_loss(member);
                }
                self.heard.notify_one();
            }
            // Whoever was given up is to know that.
            None if !peek.forgotten => {
                if let Some(id) = found.subjects.sender(&received.subject) {
                    let packet = forgotten(peek.conversation);
                    carrier.publish(&found.subjects.agent(id), packet).await?;
                }
            }
            None => {}
        }
        Ok(())
    }

    fn lose(&self, member: &Member, words: String) {
        if member.is_there() {
            member.lose(words);
            self.note_loss(member);
        }
    }

    fn note_loss(&self, member: &Member) {
        let words = member.why_lost().unwrap_or_default();
        self.lost.borrow_mut().push((member.name().to_owned(), words));
        self.heard.notify_one();
    }

    /// Agents that were lost since this was asked last: their names, and why.
    pub(super) fn take_losses(&self) -> Vec<(String, String)> {
        let lost = self.lost.borrow();
        lost[self.told.replace(lost.len()).min(lost.len())..].to_vec()
    }

    /// Whether a trial of `cell` may begin: nobody was lost whose loss is to end the run, and whoever is left takes it.
    pub(super) fn can_go_on(&self, cell: &Cell) -> bool {
        let is_whole = self.members.iter().all(|member| member.is_there());
        (is_whole || !self.ends_by_a_loss()) && self.shares(cell).is_ok()
    }

    /// Whether a run ends with the first agent that is lost.
    pub(super) fn ends_by_a_loss(&self) -> bool {
        self.on_loss == AgentLoss::Abort
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.members.iter().map(|member| member.name()).collect()
    }

    pub(super) fn member(&self, agent: usize) -> &Rc<Member> {
        &self.members[agent]
    }

    /// Who runs which workers of `cell`, of those that are left.
    pub(super) fn shares(&self, cell: &Cell) -> Result<Vec<Share>, FleetShortage> {
        let left: Vec<usize> = (0..self.members.len()).filter(|agent| self.members[*agent].is_there()).collect();
        let limits: Vec<AgentLimits> = left.iter().map(|agent| self.members[*agent].card.limits()).collect();
        let shares = shares(cell, &limits)?;
        Ok(shares.into_iter().map(|share| Share { agent: left[share.agent], ..share }).collect())
    }

    /// Tells everyone what is theirs of a new trial.
    pub(super) fn begin_trial(&self, shares: &[Share], processes: &Processes) {
        let machines = self.machines(shares, processes);
        let mut seats: BTreeMap<&str, u32> = BTreeMap::new();
        for share in shares {
            let member = &self.members[share.agent];
            member.renew();
            let machine = member.card.machine.as_str();
            let next = seats.entry(machine).or_default();
            let seat = *next;
            *next += share.workers.len() as u32;
            let on_machine = machines.get(machine).copied().unwrap_or_default();
            let share = words::Share { workers: share.workers.clone(), seat, on_machine };
            // Who can't be told is lost, as its workers' links say.
            let _ = member.say(&ToAgent::Share(share));
        }
    }

    /// The workers and embedded targets that run on each machine.
    fn machines(&self, shares: &[Share], processes: &Processes) -> BTreeMap<&str, (u32, u32)> {
        let here = host::machine();
        let mut machines: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for share in shares {
            let machine = self.members[share.agent].card.machine.as_str();
            let targets = if machine == here { processes.targets } else { 0 };
            let (workers, _) = *machines.get(machine).unwrap_or(&(0, 0));
            machines.insert(machine, (workers + share.workers.len() as u32, targets));
        }
        machines
    }

    /// How many cores all workers share.
    pub(super) fn cores(&self, shares: &[Share], processes: &Processes) -> u64 {
        let machines = self.machines(shares, processes);
        let of = |(machine, (workers, targets)): (&str, (u32, u32))| {
            let cores = self.members.iter().find(|member| member.card.machine == machine).map_or(1, |m| m.card.cores);
            cores::shared(workers, targets, cores)
        };
        machines.into_iter().map(of).sum::<u64>().max(1)
    }

    pub(super) fn worker(&self, agent: usize, number: u32) -> Link {
        Link::Agent(link::agent::Worker::new(self.members[agent].clone(), number))
    }

    /// Whoever is left of the workers is ended.
    pub(super) fn end_trial(&self) {
        for member in &self.members {
            let _ = member.say(&ToAgent::EndTrial);
        }
    }

    /// Until everyone was heard a moment ago: who can't be reached now would hear the order to start too late. Whoever stays
    /// silent is lost by then.
    pub(super) async fn in_touch(&self) {
        while self.members.iter().any(|member| member.is_silent_for(TOUCH, clock::now())) {
            self.heard.notified().await;
        }
    }

    /// How long before its instant the start must be ordered.
    pub(super) fn lead(&self) -> Nanos {
        let there = self.members.iter().filter(|member| member.is_there());
        // Half of the round trip that is left is what is uncertain.
        let round = there.filter_map(|member| member.offset()).map(|offset| 2 * offset.uncertainty).max().unwrap_or(0);
        (LEAD + ROUNDS.saturating_mul(round)).min(LONGEST_LEAD)
    }

    /// How late each machine wakes an idle worker.
    pub(super) async fn calibrate(&self) {
        let calibrating = self.members.iter().enumerate().map(|(agent, member)| async move {
            let mut worker = self.worker(agent, 0);
            let asked = async {
                worker.tell(ToWorker::Calibrate { length: CALIBRATING, core: None }).await?;
                worker.hear().await
            };
            if let Ok(Ok(FromWorker::Calibrated(calibration))) = tokio::time::timeout(ANSWERING, asked).await {
                member.calibration.set(Some(calibration));
            }
        });
        join_all(calibrating).await;
        self.end_trial();
    }

    /// Of the machine that wakes its workers the latest.
    pub(super) fn worst_calibration(&self) -> Option<Calibration> {
        let part = |member: &Rc<Member>| AgentPart { calibration: member.calibration.get(), ..AgentPart::default() };
        worst_calibration(&self.members.iter().map(part).collect::<Vec<_>>())
    }

    /// What an agent had of a trial, before which so much had been exchanged with it.
    pub(super) fn part(&self, agent: usize, part: Part, before: BusTraffic) -> AgentPart {
        let member = &self.members[agent];
        let Card { name, id, labels, cores, .. } = member.card.clone();
        let now = member.traffic();
        // Of many workers each has a core of its own as long as there are some.
        let generator = Usage { cores: part.workers.min(cores).max(1), ..part.usage };
        AgentPart {
            name,
            id,
            labels: redact_labels(&labels),
            cores,
            workers: part.workers,
            sessions: part.sessions,
            clock: member.clocks().map(|(start, end)| clock_of(start, end)),
            outcome: part.outcome.map(|outcome| outcome.pack()),
            generator,
            calibration: member.calibration.get(),
            bus: AgentTraffic {
                packets_sent: now.packets_sent - before.packets_sent,
                packets_received: now.packets_received - before.packets_received,
                bytes_sent: now.bytes_sent - before.bytes_sent,
                bytes_received: now.bytes_received - before.bytes_received,
                resent: now.resent - before.resent,
                doubled: now.doubled - before.doubled,
            },
            lost: member.why_lost().filter(|_| part.is_lost),
        }
    }

    /// Lets everyone go, and waits a little for them to hear it.
    pub(super) async fn dismiss(&self) {
        for member in &self.members {
            let _ = member.say(&ToAgent::Dismiss);
        }
        let heard = async {
            while self.members.iter().any(|member| member.has_unheard()) {
                self.heard.notified().await;
            }
        };
        let _ = tokio::time::timeout(PARTING, heard).await;
    }
}

/// A schedule goes by the clock as it was known at its start. What is certain to have changed by its end makes that less sure.
fn clock_of(start: Offset, end: Offset) -> AgentClock {
    let sure = start.uncertainty.max(end.uncertainty);
    let drifted = start.offset.abs_diff(end.offset).saturating_sub(start.uncertainty.saturating_add(end.uncertainty));
    AgentClock {
        offset: start.offset,
        uncertainty: sure.saturating_add(drifted),
        drift_ppm: end.drift_ppm,
        samples: end.samples,
    }
}

impl Card {
    /// What its machine and its owner grant.
    pub fn limits(&self) -> AgentLimits {
        AgentLimits {
            name: self.name.clone(),
            cores: self.cores,
            descriptors: self.descriptors,
            ports: self.ports,
            max_sessions: self.max_sessions,
            max_rate: self.max_rate,
        }
    }

    /// Whether it is on this machine, and sees its loopback.
    pub fn is_here(&self) -> bool {
        self.machine == host::machine()
    }
}
