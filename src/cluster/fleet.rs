//! The agents that one run hired: found, hired, each given its share of every trial, kept in touch with, released.
//!
//! | file | what |
//! |---|---|
//! | `find.rs` | who is there, and who of them can work for this run |
//! | `member.rs` | one agent: the conversation with it, and who listens to its workers |

use super::agent::Card;
use super::agent::words::{self, Subjects, ToAgent};
use super::host;
use super::link::{self, FromWorker, Link, ToWorker};
use crate::bus::{BusError, Carrier, Conversation, Inbox, Peek, Received, forgotten};
use crate::clock::{MILLI, Nanos, SECOND};
use crate::plan::{AgentLimits, Cell, FleetShortage, Processes, Share, shares};
use crate::result::Calibration;
use futures_util::future::join_all;
use std::cell::{Cell as StdCell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

mod find;
mod member;

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
    pub(super) fn new<C: Carrier>(found: &Found<C>) -> Fleet {
        let to_send = Rc::new(Notify::new());
        let hire = |card: &Card| {
            let conversation = Conversation::new(rand::random(), found.carrier.limit(), found.carrier.now());
            let member = Rc::new(Member::new(card.clone(), conversation, to_send.clone()));
            // It fits: it is the first that is said.
            let _ = member.say(&ToAgent::Hire { run: found.run.clone(), grace: GRACE });
            member
        };
        let members = found.cards.iter().map(hire).collect();
        let (heard, told, lost) = (Notify::new(), StdCell::new(0), RefCell::default());
        Fleet { members, to_send, heard, told, lost }
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
    pub(super) async fn attend<C: Carrier>(&self, found: &Found<C>, inbox: &mut C::Inbox) -> Infallible {
        loop {
            if let Err(error) = self.carry(found, inbox).await {
                // Nothing will ever come that way again.
                for member in &self.members {
                    self.lose(member, error.to_string());
                }
                self.heard.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }

    async fn carry<C: Carrier>(&self, found: &Found<C>, inbox: &mut C::Inbox) -> Result<(), BusError> {
        let carrier = &found.carrier;
        let now = carrier.now();
        let mut wake = now + SECOND;
        for member in &self.members {
            if member.look(GRACE, now) {
                self.note_loss(member);
            }
            if member.wake_at(GRACE, now) <= now {
                let (to, reply) = (found.subjects.agent(&member.card.id), found.subjects.from(&found.run, &member.card.id));
                for packet in member.packets(now) {
                    carrier.ask(&to, &reply, packet).await?;
                }
            }
            wake = wake.min(member.wake_at(GRACE, now));
        }
        let now = carrier.now();
        tokio::select! {
            biased;
            received = inbox.next() => self.hear(found, &received.ok_or(BusError::Closed)?).await,
            () = self.to_send.notified() => Ok(()),
            () = tokio::time::sleep(Duration::from_nanos(wake.saturating_sub(now))) => Ok(()),
        }
    }

    async fn hear<C: Carrier>(&self, found: &Found<C>, received: &Received) -> Result<(), BusError> {
        let Ok(peek) = Peek::at(&received.bytes) else { return Ok(()) };
        let member = self.members.iter().find(|member| member.conversation() == peek.conversation);
        match member.filter(|member| member.is_there()) {
            Some(member) => {
                // Bytes that no agent would send change nothing.
                let _ = member.heard(&received.bytes, found.carrier.now());
                if !member.is_there() {
                    self.note_loss(member);
                }
                self.heard.notify_one();
            }
            // Whoever was given up is to know that.
            None if !peek.forgotten => {
                if let Some(id) = found.subjects.sender(&received.subject) {
                    let packet = forgotten(peek.conversation);
                    found.carrier.publish(&found.subjects.agent(id), packet).await?;
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

    pub(super) fn has_lost_anyone(&self) -> bool {
        self.members.iter().any(|member| !member.is_there())
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
        let here = host::machine();
        let mut of_machine: BTreeMap<&str, u32> = BTreeMap::new();
        let seats: Vec<u32> = shares
            .iter()
            .map(|share| {
                let workers = of_machine.entry(&self.members[share.agent].card.machine).or_default();
                let seat = *workers;
                *workers += share.workers.len() as u32;
                seat
            })
            .collect();
        for (share, seat) in shares.iter().zip(seats) {
            let member = &self.members[share.agent];
            member.renew();
            let targets = if member.card.machine == here { processes.targets } else { 0 };
            let workers = of_machine.get(member.card.machine.as_str()).copied().unwrap_or(0);
            let share = words::Share { workers: share.workers.clone(), seat, on_machine: (workers, targets) };
            // Who can't be told is lost, as its workers' links say.
            let _ = member.say(&ToAgent::Share(share));
        }
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
        let all = self.members.iter().filter_map(|member| member.calibration.get());
        all.max_by_key(|calibration| calibration.lateness_p99)
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
