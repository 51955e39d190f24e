//! What coordinator and worker say to each other, wherever the worker is.
//!
//! | file | what carries it |
//! |---|---|
//! | `child.rs` | the pipes of a child process on this machine: a JSON line a message |

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

#[derive(Debug, Serialize, Deserialize)]
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
    Child(child::Worker),
}

impl Link {
    /// How messages call it.
    pub(super) const NAME: &'static str = "worker";

    /// One on this machine.
    pub(super) fn start(program: &Path) -> Result<Link, ChildError> {
        child::Worker::start(program).map(Link::Child)
    }

    /// Of a process on this machine that lives.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Link::Child(worker) => worker.pid(),
        }
    }

    pub(super) async fn tell(&mut self, message: &ToWorker) -> Result<(), ChildError> {
        match self {
            Link::Child(worker) => worker.tell(message).await,
        }
    }

    /// The next message; of a worker that is gone, with its last words.
    pub(super) async fn hear(&mut self) -> Result<FromWorker, ChildError> {
        match self.next().await {
            Ok(message) => Ok(message),
            Err(error) => Err(self.last_words(error).await),
        }
    }

    /// As [`Link::hear`] without the last words of a worker that is gone. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<FromWorker, ChildError> {
        match self {
            Link::Child(worker) => worker.next().await,
        }
    }

    /// The worker said that it can't go on.
    pub(super) fn gave_up(&self, problem: String) -> ChildError {
        ChildError::GaveUp { name: Link::NAME, detail: problem }
    }

    /// `error` with how the worker ended and what its last words were, if it is gone.
    pub(super) async fn last_words(&mut self, error: ChildError) -> ChildError {
        match self {
            Link::Child(worker) => worker.last_words(error).await,
        }
    }
}
