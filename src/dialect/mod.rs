//! The application protocol spoken over a transport, without I/O.
//!
//! A dialect has two faces. The message face says how a session joins where the transport carries messages by itself, and
//! what a message looks like: as the payload is, or as its [`Talk`] dresses it. The HTTP face ([`HttpFace`]) says what to ask
//! for where receiving is a matter of requests; what comes of them goes through the same talk. A new dialect is a file and
//! a row in [`speak`].

use crate::catalog::{self, Framing, HeaderProfile, TransportKind};
use crate::codec::CodecError;
use std::sync::LazyLock;

pub mod custom;
mod http;
mod mqtt;
mod nats;
mod nchan;
mod place;
mod raw;
mod socketio;
mod talk;
mod wsbench;

pub use http::{Ask, Form, Head, Headers, HttpFace, Receive, Switch};
pub use place::Place;
pub use talk::{Heard, Talk};

/// What a dialect says on each transport.
pub trait Dialect {
    /// Path and query of the upgrade request that joins `place`.
    fn upgrade_path(&self, place: &Place) -> String {
        place.path.clone()
    }
    /// Path and query of a request, where each message is one of its own.
    fn request_path(&self, place: &Place, _headers: HeaderProfile) -> String {
        place.path.clone()
    }
    /// The request that carries a message, where each is one of its own; its body is what the talk makes of the payload.
    fn request(&self, place: &Place, headers: HeaderProfile) -> Form {
        Form { method: None, path: self.request_path(place, headers), headers: Vec::new() }
    }
    /// The conversation of a session at `place`. `None`: payloads travel as they are.
    fn talk(&self, _place: &Place, _transport: TransportKind) -> Option<Box<dyn Talk>> {
        None
    }
    /// What a client says first on a TCP stream, before its framing begins; `None`: nothing.
    fn stream_join(&self, _place: &Place, _framing: Framing, _fixed: usize) -> Option<String> {
        None
    }
    /// Reads the target's answering line, without its line feed.
    fn stream_joined(&self, _line: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }
    /// The datagram that asks to join, first without and then with the target's cookie; `None`: nothing to ask.
    fn datagram_join(&self, _place: &Place, _cookie: Option<&str>) -> Option<String> {
        None
    }
    /// Tells the dialect's own datagrams from payloads.
    fn datagram<'a>(&self, bytes: &'a [u8]) -> Datagram<'a> {
        Datagram::Payload(bytes)
    }
    /// The datagram that ends a session, if there is one.
    fn datagram_leave(&self) -> Option<&'static str> {
        None
    }
    /// The HTTP face of a new session at `place`, which names itself by `sid` where the dialect names sessions.
    fn http(&self, place: &Place, sid: u64, receive: Receive) -> Box<dyn HttpFace>;
}

/// A datagram from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram<'a> {
    Payload(&'a [u8]),
    /// Ask again with this cookie.
    Cookie(&'a str),
    Joined,
    Refused(&'a str),
    /// The dialect's own, but nothing that it knows.
    Unknown,
}

/// What the target said ends the joining, or the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the target refused: {0}")]
    Refused(String),
    #[error("the target's answer is not of this dialect: {0}")]
    Alien(String),
    /// It says good-bye.
    #[error("the target closed: {0}")]
    Over(String),
}

/// Bytes that break the rules of a dialect's own format.
impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Refusal {
        Refusal::Alien(error.to_string())
    }
}

/// The dialect with these settings; `token` is the run's.
pub fn speak(dialect: &catalog::Dialect, token: &str) -> Box<dyn Dialect> {
    match dialect {
        catalog::Dialect::Raw => Box::new(raw::Raw),
        catalog::Dialect::Wsbench => Box::new(wsbench::Wsbench::new(token)),
        catalog::Dialect::Custom(custom) => Box::new(custom::Custom::new(custom)),
        catalog::Dialect::Nats(settings) => Box::new(nats::Nats::new(settings)),
        catalog::Dialect::Mqtt(settings) => Box::new(mqtt::Mqtt::new(settings)),
        catalog::Dialect::Nchan(settings) => Box::new(nchan::Nchan(settings.clone())),
        catalog::Dialect::SocketIo(settings) => Box::new(socketio::SocketIo((**settings).clone())),
    }
}

/// At most 80 characters of what came, fit for a person's eyes.
fn excerpt(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(80)].escape_ascii().to_string()
}

/// Tells this process's sessions from those of others at one broker.
fn nonce() -> u32 {
    static NONCE: LazyLock<u32> = LazyLock::new(rand::random);
    *NONCE
}
