//! A worker that an agent runs on another machine: its messages are carried over the bus.

use super::{FromWorker, LinkError, ToWorker};
use crate::cluster::agent::words::ToAgent;
use crate::cluster::fleet::Member;
use std::rc::Rc;
use tokio::sync::mpsc::UnboundedReceiver;

pub(in crate::cluster) struct Worker {
    member: Rc<Member>,
    number: u32,
    said: UnboundedReceiver<Said>,
}

/// What came of a worker.
pub(in crate::cluster) enum Said {
    Message(FromWorker),
    /// How it ended, and its last words.
    Gone(String),
}

impl Worker {
    /// Worker `number` of the whole run. It is started by the first order that it gets.
    pub(in crate::cluster) fn new(member: Rc<Member>, number: u32) -> Worker {
        let said = member.listen(number);
        Worker { member, number, said }
    }

    /// The start is told by the clock of the agent's machine.
    pub(super) fn tell(&mut self, message: ToWorker) -> Result<(), LinkError> {
        let order = match message {
            ToWorker::Start { at } => ToWorker::Start { at: self.member.begins(at)? },
            message => message,
        };
        self.member.say(&ToAgent::Worker { worker: self.number, order })
    }

    /// Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<FromWorker, LinkError> {
        match self.said.recv().await {
            Some(Said::Message(message)) => Ok(message),
            Some(Said::Gone(words)) => Err(LinkError::Gone { agent: self.member.name().to_owned(), words }),
            None => Err(self.member.lost()),
        }
    }

    pub(in crate::cluster) fn agent(&self) -> &str {
        self.member.name()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.member.listen_no_more(self.number);
    }
}
