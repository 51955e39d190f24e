//! An agent: a process on a machine that runs workers for a coordinator elsewhere. It listens to nothing but the bus, carries
//! messages between its workers and whoever hired it, and is free again once that is over, in whatever way.
//!
//! | file | what |
//! |---|---|
//! | `words.rs` | what coordinators and agents say to each other |
//! | `guard.rs` | what its owner allows |
//! | `hands.rs` | the workers that it runs |

use super::coordinator::Halt;
use super::host;
use super::link::{FromWorker, LinkError};
use crate::bus::{BusError, Carrier, Conversation, Inbox, Peek, Received, forgotten};
use crate::clock::{Nanos, SECOND};
use crate::units::Span;
use hands::Hands;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use words::{FromAgent, PROTOCOL, State, Subjects, ToAgent, Who};

mod guard;
mod hands;
pub(super) mod words;

pub use guard::{Allowance, AllowedTarget};
pub use words::{Card, is_prefix};

/// How long a conversation is led on that has come to its end, or to nothing yet.
const COURTESY: Nanos = 5 * SECOND;
/// Most of these.
const MOST_CALLERS: usize = 16;
/// How long a coordinator may let itself be missed at least, and at most: one message is not to hold an agent for long.
const GRACE: std::ops::RangeInclusive<Nanos> = SECOND..=30 * SECOND;
/// How long it takes to say good-bye at most.
const PARTING: Nanos = SECOND;

/// What an agent needs to know.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// This program; workers are started from it.
    pub program: PathBuf,
    /// Before all subjects.
    pub prefix: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub allowance: Allowance,
}

/// What happens to an agent.
#[derive(Debug)]
pub enum AgentNews<'a> {
    /// It is there and free.
    Waiting(&'a Card),
    Hired {
        run: &'a str,
    },
    /// Someone else wanted it meanwhile.
    Wanted {
        run: &'a str,
    },
    /// The first order of a trial for it: so many workers are its part.
    Share {
        workers: u32,
    },
    /// All of its workers of this trial are done.
    Done {
        sessions: u64,
    },
    /// Something was not done, and why.
    Refused {
        problem: &'a str,
    },
    /// It is free again, and why.
    Released {
        why: &'a str,
    },
}

/// The life of an agent: until `halt`, or until the bus can't be used any more.
pub async fn serve<C: Carrier>(
    carrier: &C,
    options: &AgentOptions,
    mut halt: Halt,
    news: &mut dyn FnMut(AgentNews),
) -> Result<(), BusError> {
    let subjects = Subjects::new(&options.prefix);
    let card = card(options);
    let mut asked = carrier.subscribe(&subjects.who()).await?;
    let mut told = carrier.subscribe(&subjects.agent(&card.id)).await?;
    let mut agent = Agent { carrier, options, subjects, card, job: None, callers: Vec::new() };
    agent.announce().await?;
    news(AgentNews::Waiting(&agent.card));
    loop {
        agent.send().await?;
        let wake = agent.wake_at();
        let now = carrier.now();
        tokio::select! {
            // Nothing that others say keeps it from its own.
            biased;
            () = halt.wait() => break,
            () = tokio::time::sleep(Duration::from_nanos(wake.saturating_sub(now))) => {}
            who = asked.next() => agent.answer(&who.ok_or(BusError::Closed)?).await?,
            packet = told.next() => agent.heard(&packet.ok_or(BusError::Closed)?, news).await?,
            (worker, said) = hear(&mut agent.job) => {
                let said = match said {
                    Ok(said) => FromAgent::Worker { worker, said },
                    Err(error) => FromAgent::WorkerGone { worker, words: agent.bury(worker, error).await },
                };
                agent.pass_on(worker, said, news);
            }
        }
        agent.look(news).await?;
    }
    agent.part(&mut told).await
}

/// Of its workers; forever, if it has none. Safe to cancel.
async fn hear(job: &mut Option<Job>) -> (u32, Result<FromWorker, LinkError>) {
    match job {
        Some(job) => job.hands.hear().await,
        None => std::future::pending().await,
    }
}

struct Agent<'a, C> {
    carrier: &'a C,
    options: &'a AgentOptions,
    subjects: Subjects,
    card: Card,
    /// What it works for; `None`: it is free.
    job: Option<Job>,
    /// Conversations that hired nobody, or no more.
    callers: Vec<Caller>,
}

struct Job {
    run: String,
    conversation: Conversation,
    /// For how long its coordinator may be silent.
    grace: Nanos,
    hands: Hands,
}

struct Caller {
    conversation: Conversation,
    run: String,
    until: Nanos,
}

impl<C: Carrier> Agent<'_, C> {
    /// Tells everyone what it is.
    async fn announce(&self) -> Result<(), BusError> {
        self.carrier.publish(&self.subjects.cards(), json(&self.card)).await
    }

    async fn answer(&self, who: &Received) -> Result<(), BusError> {
        match serde_json::from_slice::<Who>(&who.bytes) {
            Ok(who) if words::is_word(&who.run) => {
                self.carrier.publish(&self.subjects.cards_for(&who.run), json(&self.card)).await
            }
            _ => Ok(()),
        }
    }

    /// Publishes what there is to publish.
    async fn send(&mut self) -> Result<(), BusError> {
        let now = self.carrier.now();
        let job = self.job.iter_mut().map(|job| (&mut job.conversation, &job.run));
        let callers = self.callers.iter_mut().map(|caller| (&mut caller.conversation, &caller.run));
        for (conversation, run) in job.chain(callers) {
            let subject = self.subjects.from(run, &self.card.id);
            for packet in conversation.packets(now) {
                self.carrier.publish(&subject, packet).await?;
            }
        }
        Ok(())
    }

    fn wake_at(&self) -> Nanos {
        let now = self.carrier.now();
        let of = |conversation: &Conversation, patience: Nanos| {
            conversation.wake_at().min(now + patience.saturating_sub(conversation.silent_for(now)))
        };
        let job = self.job.iter().map(|job| of(&job.conversation, job.grace));
        let callers = self.callers.iter().map(|caller| caller.conversation.wake_at().min(caller.until));
        job.chain(callers).min().unwrap_or(now + COURTESY)
    }

    /// A packet came.
    async fn heard(&mut self, packet: &Received, news: &mut dyn FnMut(AgentNews<'_>)) -> Result<(), BusError> {
        let now = self.carrier.now();
        let Ok(peek) = Peek::at(&packet.bytes) else { return Ok(()) };
        if let Some(job) = self.job.as_mut().filter(|job| job.conversation.id() == peek.conversation) {
            // Bytes that no coordinator would send change nothing.
            let Ok(messages) = job.conversation.hear(&packet.bytes, now) else { return Ok(()) };
            for message in messages {
                self.obey(&message, news).await?;
            }
            return Ok(());
        }
        if let Some(at) = self.callers.iter().position(|caller| caller.conversation.id() == peek.conversation) {
            return self.called(at, packet, news);
        }
        let reply = packet.reply.as_deref().unwrap_or_default();
        let Some(run) = self.subjects.run_of(reply, &self.card.id).map(str::to_owned) else { return Ok(()) };
        if peek.forgotten {
            return Ok(());
        }
        if !peek.opens {
            return self.carrier.publish(reply, forgotten(peek.conversation)).await;
        }
        if self.callers.len() < MOST_CALLERS {
            let conversation = Conversation::new(peek.conversation, self.carrier.limit(), now);
            self.callers.push(Caller { conversation, run, until: now + COURTESY });
            return self.called(self.callers.len() - 1, packet, news);
        }
        Ok(())
    }

    /// Someone calls who hasn't hired it.
    fn called(&mut self, at: usize, packet: &Received, news: &mut dyn FnMut(AgentNews<'_>)) -> Result<(), BusError> {
        let caller = &mut self.callers[at];
        let Ok(messages) = caller.conversation.hear(&packet.bytes, self.carrier.now()) else { return Ok(()) };
        let hire = messages.iter().find_map(|message| match serde_json::from_slice(message) {
            Ok(ToAgent::Hire { run, grace }) => (run == caller.run).then_some(grace),
            _ => None,
        });
        let Some(grace) = hire else { return Ok(()) };
        match &self.job {
            Some(job) => {
                news(AgentNews::Wanted { run: &caller.run });
                let problem = format!("it works for run {} already", job.run);
                caller.conversation.say(&json(&FromAgent::Refused { problem }))
            }
            None => {
                let Caller { mut conversation, run, .. } = self.callers.swap_remove(at);
                conversation.say(&json(&FromAgent::Hired))?;
                news(AgentNews::Hired { run: &run });
                let grace = grace.clamp(*GRACE.start(), *GRACE.end());
                self.card.state = State::Busy;
                self.job = Some(Job { run, conversation, grace, hands: Hands::default() });
                Ok(())
            }
        }
    }

    /// Does what its coordinator says.
    async fn obey(&mut self, message: &[u8], news: &mut dyn FnMut(AgentNews<'_>)) -> Result<(), BusError> {
        let now = self.carrier.now();
        let Some(job) = &mut self.job else { return Ok(()) };
        match serde_json::from_slice(message) {
            Ok(ToAgent::Hire { .. }) => {}
            Ok(ToAgent::Share(share)) => {
                news(AgentNews::Share { workers: share.workers.len() as u32 });
                job.hands.begin(share);
            }
            Ok(ToAgent::Worker { worker, order }) => {
                let told = job.hands.tell(&self.options.program, worker, order, &self.options.allowance, now).await;
                if let Err(problem) = told {
                    news(AgentNews::Refused { problem: &problem });
                    let said = FromWorker::Failed { problem };
                    self.pass_on(worker, FromAgent::Worker { worker, said }, news);
                }
            }
            Ok(ToAgent::EndTrial) => job.hands.end(),
            Ok(ToAgent::Dismiss) => self.release("the run is over", news).await?,
            Err(error) => {
                let problem = format!("an order that it doesn't understand: {error}");
                self.release(&problem, news).await?;
            }
        }
        Ok(())
    }

    /// What a worker said goes to the coordinator.
    fn pass_on(&mut self, worker: u32, said: FromAgent, news: &mut dyn FnMut(AgentNews<'_>)) {
        let Some(job) = &mut self.job else { return };
        // Where it can't be said any more, silence tells.
        let _ = job.conversation.say(&json(&said));
        if let FromAgent::Worker { said: FromWorker::Done { .. } | FromWorker::Failed { .. }, .. } = said {
            job.hands.release(worker);
            if matches!(said, FromAgent::Worker { said: FromWorker::Done { .. }, .. }) && job.hands.is_empty() {
                news(AgentNews::Done { sessions: job.hands.sessions() });
            }
        }
    }

    async fn bury(&mut self, worker: u32, error: LinkError) -> String {
        match &mut self.job {
            Some(job) => job.hands.bury(worker, error).await,
            None => error.to_string(),
        }
    }

    /// Whether the coordinator is still there, and who calls still.
    async fn look(&mut self, news: &mut dyn FnMut(AgentNews<'_>)) -> Result<(), BusError> {
        let now = self.carrier.now();
        self.callers.retain(|caller| now < caller.until && !caller.conversation.is_forgotten());
        let Some(job) = &self.job else { return Ok(()) };
        let silent = job.conversation.silent_for(now);
        match () {
            () if job.conversation.is_forgotten() => self.release("its coordinator had given it up", news).await,
            () if silent > job.grace => {
                let grace = Span(Duration::from_nanos(job.grace));
                self.release(&format!("nothing was heard of its coordinator for {grace}"), news).await
            }
            () => Ok(()),
        }
    }

    /// Ends its workers, and is free again.
    async fn release(&mut self, why: &str, news: &mut dyn FnMut(AgentNews<'_>)) -> Result<(), BusError> {
        let Some(Job { run, conversation, .. }) = self.job.take() else { return Ok(()) };
        // The last that was heard is yet to be acknowledged.
        self.callers.push(Caller { conversation, run, until: self.carrier.now() + COURTESY });
        self.card.state = State::Idle;
        news(AgentNews::Released { why });
        news(AgentNews::Waiting(&self.card));
        self.announce().await
    }

    /// Ends its workers, and says good-bye to whoever hired it.
    async fn part(mut self, told: &mut C::Inbox) -> Result<(), BusError> {
        let until = self.carrier.now() + PARTING;
        let Some(job) = &mut self.job else { return Ok(()) };
        job.hands.end();
        let words = "it was told to end".to_owned();
        job.conversation.say(&json(&FromAgent::Bye { words }))?;
        loop {
            self.send().await?;
            let now = self.carrier.now();
            let Some(job) = self.job.as_mut().filter(|job| job.conversation.has_unheard() && now < until) else {
                return Ok(());
            };
            let wake = job.conversation.wake_at().min(until);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_nanos(wake.saturating_sub(now))) => {}
                packet = told.next() => {
                    let packet = packet.ok_or(BusError::Closed)?;
                    // What it is told no longer counts.
                    let _ = job.conversation.hear(&packet.bytes, self.carrier.now());
                }
            }
        }
    }
}

fn json(message: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

/// What this machine is to a coordinator.
fn card(options: &AgentOptions) -> Card {
    let host = host::host();
    let (low, high) = host.ephemeral_ports.unwrap_or(host::USUAL_PORTS);
    Card {
        id: format!("{:016x}", rand::random::<u64>()),
        name: options.name.clone(),
        labels: options.labels.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        machine: host::machine(),
        cores: host.cores,
        descriptors: host.open_files_limit,
        ports: u64::from(high.saturating_sub(low)) + 1,
        max_sessions: options.allowance.max_sessions,
        max_rate: options.allowance.max_rate,
        state: State::Idle,
    }
}
