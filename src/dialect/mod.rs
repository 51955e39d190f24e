//! The application protocol spoken over a transport, without I/O.
//!
//! A dialect has two faces. The message face ([`Dialect`]) says how a session joins where the transport carries messages
//! by itself; payloads travel as they are. The HTTP face ([`HttpFace`]) says what to ask for where receiving is a matter of
//! requests. A new dialect is a file and a row in [`speak`].

use crate::catalog::{DialectKind, Format, Framing, HeaderProfile, TransportKind};

mod raw;
mod wsbench;

/// What a dialect says on WebSocket, TCP and UDP.
pub trait Dialect {
    /// Path and query of the upgrade request that joins `place`.
    fn upgrade_path(&self, place: &str) -> String;
    /// Path and query of a request, where each message is one of its own.
    fn request_path(&self, place: &str, headers: HeaderProfile) -> String;
    /// What a client says first on a TCP stream; `None`: it is joined as soon as it is connected.
    fn stream_join(&self, place: &str, framing: Framing, fixed: usize) -> Option<String>;
    /// Reads the target's answering line, without its line feed.
    fn stream_joined(&self, line: &[u8]) -> Result<(), Refusal>;
    /// The datagram that asks to join, first without and then with the target's cookie; `None`: nothing to ask.
    fn datagram_join(&self, place: &str, cookie: Option<&str>) -> Option<String>;
    /// Tells the dialect's own datagrams from payloads.
    fn datagram<'a>(&self, bytes: &'a [u8]) -> Datagram<'a>;
    /// The datagram that ends a session, if there is one.
    fn datagram_leave(&self) -> Option<&'static str>;
    /// The HTTP face of a new session at `place`, which names itself by `sid` where the dialect names sessions.
    fn http(&self, place: &str, sid: u64, receive: Receive) -> Box<dyn HttpFace>;
}

/// How a session receives over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receive {
    /// One of the four that [are HTTP](TransportKind::is_http).
    pub transport: TransportKind,
    /// Polling: may one response carry several messages?
    pub batch: bool,
    /// Headers asked of the target's answers.
    pub headers: HeaderProfile,
    pub format: Format,
}

/// Requests of one session over HTTP. All paths include the query.
pub trait HttpFace {
    /// The GET that joins. Of an event stream or a chunked stream it is also the one that receives. `None`: polling
    /// needs no joining.
    fn join(&self) -> Option<String>;
    /// Takes the cursor that the join was answered with.
    fn joined(&mut self, cursor: Option<u64>) -> Result<(), Refusal>;
    /// The GET that asks for the next messages.
    fn poll(&self) -> String;
    /// So many messages came: the next poll asks for what comes after them.
    fn received(&mut self, messages: u64);
    /// Is a polled body a sequence of length-prefixed messages, rather than one message as it is?
    fn is_batched(&self) -> bool;
    /// The POST that publishes.
    fn publish(&self) -> String;
    /// The DELETE that ends the session, if there is one.
    fn leave(&self) -> Option<String>;
    /// Was the target asked to end the session once it is joined?
    fn is_over_when_joined(&self) -> bool;
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

/// The target's answer to joining was not a yes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the target refused: {0}")]
    Refused(String),
    #[error("the target's answer to the join is not of this dialect: {0}")]
    Alien(String),
}

/// The dialect of that kind; `token` is the run's.
pub fn speak(kind: DialectKind, token: &str) -> Box<dyn Dialect> {
    match kind {
        DialectKind::Raw => Box::new(raw::Raw),
        DialectKind::Wsbench => Box::new(wsbench::Wsbench::new(token)),
    }
}

/// At most 80 characters of what came, fit for a person's eyes.
fn excerpt(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(80)].escape_ascii().to_string()
}
