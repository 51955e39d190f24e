//! The bus: what carries messages between a coordinator and agents on other machines.
//!
//! A bus has subjects, to which anybody who may can publish and subscribe ([`Carrier`]; [`Nats`] is the real one). It may lose,
//! double, delay and reorder what it carries, and forget everything when it restarts. A [`Conversation`] makes of that an ordered
//! and complete exchange of messages between two ends, of whatever length, and tells how far the peer's clock is ahead of ours
//! ([`Offset`]). It does no I/O: `(now, packet) → messages`, `now → packets to publish`.
//!
//! How a conversation is led, at either end:
//!
//! ```text
//! loop {
//!     for packet in conversation.packets(carrier.now()) { carrier.publish(subject, packet).await?; }
//!     select! {
//!         received = inbox.next() => messages = conversation.hear(&received.bytes, carrier.now())?,
//!         () = sleep until conversation.wake_at() => {}
//!     }
//! }
//! ```
//!
//! Who begins a conversation draws its number at random. The other end begins its own half when it hears a packet of a number that it
//! doesn't know and that [opens](Peek::opens); to one that doesn't open it answers [`forgotten`], which the peer's
//! [`Conversation::is_forgotten`] then tells.

mod carrier;
mod conversation;
mod incoming;
mod nats;
mod offset;
mod outgoing;
mod packet;

#[cfg(test)]
mod tests;

pub use carrier::{Carrier, Inbox, Received};
pub use conversation::{BusTraffic, Conversation, HEARTBEAT};
pub use nats::{Health, Nats, NatsInbox, NatsOptions};
pub use offset::{Clocks, MAX_DRIFT_PPM, Offset};
pub use packet::{PacketError, Peek, forgotten};

/// What a message may be long at most, bytes.
pub const MAX_MESSAGE: usize = 64 << 20;

/// Why something can't go over the bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Before anything was tried.
    #[error("{0}")]
    Settings(String),
    #[error(
        "no NATS server answers at {url}: {why}. Is nats-server running there, and does a firewall let TCP through?"
    )]
    Unreachable { url: String, why: String },
    #[error("the NATS server at {url} doesn't accept {who}: {why}")]
    Credentials { url: String, who: &'static str, why: String },
    #[error("no TLS with the NATS server at {url}: {why}")]
    Tls { url: String, why: String },
    #[error("the NATS server doesn't let this user {doing} {subject}: its permissions have to allow that")]
    Denied { doing: &'static str, subject: String },
    #[error("{0:?} can't be a subject")]
    Subject(String),
    #[error("a message of {length} bytes is longer than the {limit} that can be carried")]
    TooLong { length: usize, limit: usize },
    #[error("{waiting} bytes wait for the peer already: it has stopped listening")]
    Full { waiting: usize },
    #[error("the connection to the bus is closed")]
    Closed,
    #[error(transparent)]
    Packet(#[from] PacketError),
}
