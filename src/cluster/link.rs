//! What coordinator and worker say to each other, wherever the worker is.
//!
//! | file | what carries it |
//! |---|---|
//! | `child.rs` | the pipes of a child process on this machine: a JSON line a message |
//! | `agent.rs` | a conversation over the bus with the agent that runs it on another machine |

use super::child::ChildError;
use crate::catalog::Pem;
use crate::clock::Nanos;
use crate::engine::Live;
use crate::measure::Outcome;
use crate::plan::Cell;
use crate::result::{Calibration, Usage};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::Path;

pub(super) mod agent;
mod child;

/// A worker's share of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Slice {
    pub cell: Cell,
    /// Where to connect: the cell's URL, or the embedded target's.
    pub url: String,
    /// The one certificate to trust; `None`: whom the cell says.
    pub certificate: Option<Pem>,
    pub token: String,
    pub run: u32,
    /// Length of the time slices, nanoseconds.
    pub interval: Nanos,
    pub worker: u32,
    pub workers: u32,
    /// Addresses that its sessions leave from in turn; empty: the system's choice.
    pub sources: Vec<IpAddr>,
    /// Core to run on; `None`: wherever.
    pub core: Option<usize>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum ToWorker {
    /// Measure for this long how late this machine wakes an idle worker on this core, nanoseconds.
    Calibrate { length: Nanos, core: Option<usize> },
    /// Connect everyone, and say when that is done.
    Prepare(Box<Slice>),
    /// The schedule starts at this instant of the monotonic clock.
    Start { at: Nanos },
    /// End early and in order.
    Stop,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromWorker {
    Calibrated(Calibration),
    /// Every session has been tried; so many are open, and hold so many connections.
    Ready {
        open: u64,
        connections: u64,
    },
    Live(Live),
    Done {
        outcome: Box<Outcome>,
        usage: Usage,
    },
    /// It can't go on, and why.
    Failed {
        problem: String,
    },
}

/// A worker, as its coordinator holds it.
pub(super) enum Link {
    Child(Box<child::Worker>),
    Agent(agent::Worker),
}

/// A worker that can't be spoken to any more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error("agent `{agent}`: {words}")]
    Gone { agent: String, words: String },
    #[error("agent `{agent}` was lost: {words}")]
    AgentLost { agent: String, words: String },
}

impl Link {
    /// How messages call it.
    pub(super) const NAME: &'static str = "worker";

    /// One on this machine.
    pub(super) fn start(program: &Path) -> Result<Link, ChildError> {
        child::Worker::start(program).map(|worker| Link::Child(Box::new(worker)))
    }

    /// Of a process on this machine that lives.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Link::Child(worker) => worker.pid(),
            Link::Agent(_) => None,
        }
    }

    pub(super) async fn begin(&mut self, slice: Slice) -> Result<(), LinkError> {
        self.tell(ToWorker::Prepare(Box::new(slice))).await
    }

    pub(super) async fn tell(&mut self, message: ToWorker) -> Result<(), LinkError> {
        match self {
            Link::Child(worker) => Ok(worker.tell(&message).await?),
            Link::Agent(worker) => worker.tell(message),
        }
    }

    /// The next message; of a worker that is gone, with its last words.
    pub(super) async fn hear(&mut self) -> Result<FromWorker, LinkError> {
        match self.next().await {
            Ok(message) => Ok(message),
            Err(error) => Err(self.last_words(error).await),
        }
    }

    /// As [`Link::hear`] without the last words of a worker that is gone. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<FromWorker, LinkError> {
        match self {
            Link::Child(worker) => Ok(worker.next().await?),
            Link::Agent(worker) => worker.next().await,
        }
    }

    /// The worker said that it can't go on.
    pub(super) fn gave_up(&self, problem: String) -> LinkError {
        self.said(ChildError::GaveUp { name: Link::NAME, detail: problem })
    }

    /// It said nothing where it should have.
    pub(super) fn hung(&self) -> LinkError {
        self.said(ChildError::Hung { name: Link::NAME })
    }

    fn said(&self, error: ChildError) -> LinkError {
        match self {
            Link::Child(_) => error.into(),
            Link::Agent(worker) => LinkError::Gone { agent: worker.agent().to_owned(), words: error.to_string() },
        }
    }

    /// `error` with how the worker ended and what its last words were, if it is gone.
    pub(super) async fn last_words(&mut self, error: LinkError) -> LinkError {
        match (self, error) {
            (Link::Child(worker), LinkError::Child(error)) => worker.last_words(error).await.into(),
            (_, error) => error,
        }
    }
}
