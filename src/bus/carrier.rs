//! What a bus has to offer: publish and subscribe.

use super::BusError;
use crate::clock::Nanos;
use bytes::Bytes;

/// A message as it comes from a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Where it was published.
    pub subject: String,
    pub bytes: Bytes,
    /// Where its sender wants an answer.
    pub reply: Option<String>,
}

/// One process's connection to a bus.
///
/// What is published may be lost without a word, above all while there is no connection.
pub trait Carrier {
    type Inbox: Inbox;

    /// Sends to everyone who listens to `subject` now.
    ///
    /// # Errors
    /// If it can't be sent and never will be.
    fn publish(&self, subject: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), BusError>>;

    /// As [`Carrier::publish`], and says where answers are wanted.
    ///
    /// # Errors
    /// As [`Carrier::publish`].
    fn ask(&self, subject: &str, reply: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), BusError>>;

    /// Listens to a subject, in which `*` stands for any one word and `>` for all that follow. What this process publishes from now
    /// on is answered to an inbox that is there.
    ///
    /// # Errors
    /// If the subject isn't one.
    fn subscribe(&self, subject: &str) -> impl Future<Output = Result<Self::Inbox, BusError>>;

    /// What a message may be long at most, bytes.
    fn limit(&self) -> usize;

    /// The clock by which this process leads its conversations.
    fn now(&self) -> Nanos;
}

/// What comes to one subscription.
pub trait Inbox {
    /// The next message, in the order of their coming; `None` once there will be no more. Safe to cancel.
    fn next(&mut self) -> impl Future<Output = Option<Received>>;
}
