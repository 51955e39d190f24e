//! The NATS client protocol: a subject for each room, or requests that a service answers.
//!
//! The server speaks first. Our CONNECT, our subscription and a PING go in one write: the PONG says that all of it holds.

use super::{Dialect, Heard, HttpFace, Place, Receive, Refusal, Talk, excerpt};
use crate::catalog::{self, Format, TransportKind};
use crate::codec::nats::{self, Operation};
use crate::codec::partial::Partial;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::io::Write as _;

/// Number of a session's only subscription.
const SUBSCRIPTION: &str = "1";
/// What a server says and goes on: the session survives it.
const SURVIVED: [&str; 3] = ["permissions violation", "invalid publish subject", "invalid subject"];

pub(super) struct Nats {
    settings: catalog::Nats,
}

impl Nats {
    pub(super) fn new(settings: &catalog::Nats) -> Nats {
        Nats { settings: settings.clone() }
    }
}

impl Dialect for Nats {
    fn talk(&self, place: &Place, _: TransportKind) -> Option<Box<dyn Talk>> {
        Some(Box::new(NatsTalk::new(&self.settings, place)))
    }

    fn http(&self, _: &Place, _: u64, _: Receive) -> Box<dyn HttpFace> {
        unreachable!("the plan asks for NATS over TCP and WebSocket alone")
    }
}

struct NatsTalk {
    state: Cell<State>,
    partial: RefCell<Partial>,
    /// What is said to the server's INFO; empty from then on.
    opening: RefCell<Opening>,
    /// All of a PUB before its ticket, where there is one, and its size.
    publish: Box<str>,
    /// Of a session that asks a service: what stands before the ticket in the subject of an answer.
    inbox: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Until the server's INFO.
    Greeting,
    /// Until the PONG.
    Joining,
    Joined,
}

#[derive(Default)]
struct Opening {
    connect: Map<String, Value>,
    subscribe: String,
}

/// What matters of a server's INFO.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Info {
    headers: bool,
}

impl NatsTalk {
    fn new(settings: &catalog::Nats, place: &Place) -> NatsTalk {
        let fill = |text: &Option<String>| text.as_deref().map(|text| place.fill(text));
        let mut connect = Map::new();
        let mut put = |key: &str, value: Value| connect.insert(key.to_owned(), value);
        put("verbose", json!(false));
        put("pedantic", json!(false));
        put("lang", json!("rust"));
        put("name", json!("wsbench"));
        put("version", json!(env!("CARGO_PKG_VERSION")));
        put("protocol", json!(1));
        put("headers", json!(false));
        let credentials = [("user", &settings.user), ("pass", &settings.password), ("auth_token", &settings.token)];
        for (key, value) in credentials {
            fill(value).map(|value| put(key, value.into()));
        }
        let subject = place.fill(settings.subject());
        let inbox = settings.request.as_ref().map(|_| format!("_INBOX.{:08x}-{}.", super::nonce(), place.session));
        let publish = match (fill(&settings.request), &inbox) {
            (Some(request), Some(inbox)) => format!("PUB {request} {inbox}"),
            _ => format!("PUB {subject} "),
        };
        let subscribe = match (&inbox, fill(&settings.queue)) {
            _ if place.is_publisher => String::new(),
            (Some(inbox), _) => format!("SUB {inbox}* {SUBSCRIPTION}\r\n"),
            (None, Some(queue)) => format!("SUB {subject} {queue} {SUBSCRIPTION}\r\n"),
            (None, None) => format!("SUB {subject} {SUBSCRIPTION}\r\n"),
        };
        NatsTalk {
            state: Cell::new(State::Greeting),
            partial: RefCell::default(),
            opening: RefCell::new(Opening { connect, subscribe }),
            publish: publish.into(),
            inbox: inbox.map(Into::into),
        }
    }

    fn take(&self, operation: Operation, on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        match (operation, self.state.get()) {
            (Operation::Info(info), State::Greeting) => {
                let opening = self.opening(info)?;
                self.state.set(State::Joining);
                on(Heard::Say(opening.as_bytes()));
            }
            (Operation::Pong, State::Joining) => {
                self.state.set(State::Joined);
                on(Heard::Joined);
            }
            (Operation::Ping, _) => on(Heard::Say(b"PONG\r\n")),
            (Operation::Err(text), state) => on(went_wrong(text, state)?),
            (Operation::Message { subject, headers, payload }, _) => on(self.message(subject, headers, payload)),
            // Servers tell about their cluster at any time, and acknowledge where a client wants that.
            (Operation::Info(_) | Operation::Pong | Operation::Ok, _) => {}
        }
        Ok(())
    }

    /// CONNECT, SUB and PING. A server that knows headers is asked to say when nobody answers a request.
    fn opening(&self, info: &[u8]) -> Result<String, Refusal> {
        let info: Info = serde_json::from_slice(info).map_err(|_| Refusal::Alien(excerpt(info)))?;
        let Opening { mut connect, subscribe } = self.opening.take();
        if info.headers && self.inbox.is_some() {
            connect.insert("headers".to_owned(), json!(true));
            connect.insert("no_responders".to_owned(), json!(true));
        }
        Ok(format!("CONNECT {}\r\n{subscribe}PING\r\n", Value::Object(connect)))
    }

    fn message<'a>(&self, subject: &[u8], headers: &[u8], payload: &'a [u8]) -> Heard<'a> {
        let Some(ticket) = self.ticket(subject) else { return Heard::Message(payload) };
        match headers.starts_with(b"NATS/1.0 503") {
            true => Heard::Fault { ticket: Some(ticket), problem: "nobody answers the request".to_owned() },
            false => Heard::Answer { ticket, payload },
        }
    }

    /// Which request something that came to `subject` answers.
    fn ticket(&self, subject: &[u8]) -> Option<u64> {
        let ticket = subject.strip_prefix(self.inbox.as_ref()?.as_bytes())?;
        std::str::from_utf8(ticket).ok()?.parse().ok()
    }
}

/// What becomes of a session to which the server says `text`.
fn went_wrong(text: &[u8], state: State) -> Result<Heard<'static>, Refusal> {
    let problem = excerpt(text);
    let is_survived = SURVIVED.iter().any(|start| text.to_ascii_lowercase().starts_with(start.as_bytes()));
    match state {
        State::Joined if is_survived => Ok(Heard::Fault { ticket: None, problem }),
        State::Joined => Err(Refusal::Over(problem)),
        State::Greeting | State::Joining => Err(Refusal::Refused(problem)),
    }
}

impl Talk for NatsTalk {
    fn begin(&self, _: &mut dyn FnMut(Heard<'_>)) {}

    fn publish(&self, ticket: u64, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.publish.as_bytes());
        let written = match self.inbox {
            Some(_) => write!(out, "{ticket} {}\r\n", payload.len()),
            None => write!(out, "{}\r\n", payload.len()),
        };
        written.expect("writing to memory doesn't fail");
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    fn hear(&self, bytes: &[u8], on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        let mut partial = self.partial.take();
        partial.feed(bytes, |bytes| {
            let mut used = 0;
            while let Some((operation, size)) = nats::next(&bytes[used..])? {
                self.take(operation, on)?;
                used += size;
            }
            Ok::<_, Refusal>(used)
        })?;
        self.partial.replace(partial);
        Ok(())
    }

    fn format(&self) -> Option<Format> {
        Some(Format::Binary)
    }
}

#[cfg(test)]
mod tests;
