//! A worker on this machine: a child process, spoken to over its pipes.

use super::{FromWorker, Link, ToWorker};
use crate::cluster::child::{Child, ChildError};
use std::path::Path;

pub(in crate::cluster) struct Worker(Child);

impl Worker {
    pub(super) fn start(program: &Path) -> Result<Worker, ChildError> {
        Child::start(program, "worker", Link::NAME).map(Worker)
    }

    /// `None` once it has ended.
    pub(super) fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    pub(super) async fn tell(&mut self, message: &ToWorker) -> Result<(), ChildError> {
        self.0.tell(message).await
    }

    /// Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<FromWorker, ChildError> {
        self.0.next().await
    }

    pub(super) async fn last_words(&mut self, error: ChildError) -> ChildError {
        self.0.last_words(error).await
    }
}
