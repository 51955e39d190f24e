//! The HTTP face of a dialect: what to ask for where receiving is a matter of requests.

use super::{Refusal, Talk};
use crate::catalog::{Format, HeaderProfile, TransportKind};
use crate::codec::body::Cut;
use bytes::Bytes;

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

impl Receive {
    /// How a body is cut where the dialect has no ways of its own: events, messages behind their lengths, or one message.
    pub fn usual_cut(self) -> Cut {
        match self.transport {
            TransportKind::Sse => Cut::Events(self.format),
            TransportKind::HttpStreaming => Cut::Lengths,
            _ if self.batch => Cut::Lengths,
            _ => Cut::Whole,
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Beyond those of the arm.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Ask {
    pub fn get(path: String) -> Ask {
        Ask { method: "GET", path, headers: Vec::new(), body: Bytes::new() }
    }

    pub fn post(path: String, body: Bytes) -> Ask {
        Ask { method: "POST", path, headers: Vec::new(), body }
    }
}

/// What stands before the body of a request that carries a message, where each is one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// `None`: as the arm says.
    pub method: Option<&'static str>,
    /// Path and query.
    pub path: String,
    /// Beyond those of the arm.
    pub headers: Vec<(String, String)>,
}

/// The head of an answer.
pub struct Head<'a> {
    pub status: u16,
    pub headers: &'a dyn Headers,
}

/// The headers of an answer.
pub trait Headers {
    /// The value of the first with that name, whatever its case, if it is text.
    fn get(&self, name: &str) -> Option<&str>;
}

#[cfg(test)]
impl<const N: usize> Headers for [(&str, &str); N] {
    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// How a session that began by polling goes over to a WebSocket.
pub struct Switch {
    /// Path and query of the upgrade request.
    pub path: String,
    /// What is said over the WebSocket until it is known to carry the session.
    pub probe: Box<dyn Talk>,
    /// What is said then: from here on everything comes and goes over the WebSocket.
    pub last: &'static [u8],
}

/// Requests of one session over HTTP.
pub trait HttpFace {
    /// The request that joins, or the next of them once one was answered. Of an event stream or a chunked stream it is also
    /// the one that receives. `None`: there is none (any more); a session that has a [`Talk`](super::Talk) polls until that
    /// says that it is joined.
    fn join(&mut self) -> Option<Ask>;
    /// The request for the next messages.
    fn poll(&mut self) -> Ask;
    /// Whether an answer of this status to a poll says that there is nothing new.
    fn is_nothing_new(&self, status: u16) -> bool {
        status == 204
    }
    /// Takes the head of an answer to a join or a poll: keeps what the next request needs of it, and says how the body is
    /// cut into messages. Never one that [says that there is nothing new](Self::is_nothing_new), but for the join's.
    fn answered(&mut self, head: &Head) -> Result<Cut, Refusal>;
    /// Cuts a body that was to be [left whole](Cut::Own).
    fn cut(&mut self, _body: &[u8], _on_message: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        Ok(())
    }
    /// So many messages came of a poll: the next asks for what comes after them.
    fn received(&mut self, messages: u64);
    /// The request that publishes `body`, as the [`Talk`](super::Talk) dressed it if there is one.
    fn publish(&mut self, body: Bytes) -> Ask;
    /// The request that ends the session, if there is one.
    fn leave(&mut self) -> Option<Ask>;
    /// How the session goes over to a WebSocket, once it is joined; `None`: the target doesn't offer it.
    fn switch(&self) -> Option<Switch> {
        None
    }
    /// Was the target asked to end the session once it is joined?
    fn is_over_when_joined(&self) -> bool {
        false
    }
}
