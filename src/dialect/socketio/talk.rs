//! A session's conversation: the namespace, the room, events and acknowledgements.

use super::packet::{ACK, BINARY_ACK, BINARY_EVENT, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, Packet};
use crate::catalog::{Format, Received, SocketIo, fill_texts};
use crate::dialect::{Heard, Place, Refusal, Talk, excerpt};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io::Write as _;

/// The acknowledgement of the join: the largest number that JavaScript tells from its neighbours. Tickets stay below it.
const OF_THE_JOIN: u64 = (1 << 53) - 1;

pub(super) struct Conversation {
    /// `/`, or `/chat`.
    namespace: String,
    /// What connects the namespace and what joins the room; gone once said.
    connect: RefCell<Vec<u8>>,
    join: RefCell<Option<(Vec<u8>, bool)>>,
    publish: Option<Publish>,
    receive: Option<Received>,
    progress: Cell<Progress>,
    /// Messages to pass over: they belong to a packet that did.
    attachments: Cell<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Opening,
    Connecting,
    Joining,
    Joined,
}

/// The event that publishes, around its payload.
struct Publish {
    before: String,
    after: String,
    ack: bool,
}

impl Conversation {
    pub fn new(settings: &SocketIo, place: &Place) -> Conversation {
        let fill = |text: &str| place.fill(text);
        let namespace = if settings.namespace.is_empty() { "/".to_owned() } else { fill(&settings.namespace) };
        let mut connect = packet(CONNECT, &namespace);
        if let Some(auth) = &settings.auth {
            let mut auth = Value::Object(auth.clone());
            fill_texts(&mut auth, &fill);
            connect.extend_from_slice(auth.to_string().as_bytes());
        }
        let join = settings.join.as_ref().map(|join| {
            let mut said = packet(EVENT, &namespace);
            if join.ack {
                put_number(OF_THE_JOIN, &mut said);
            }
            said.extend_from_slice(join.around_payload(fill).0.as_bytes());
            (said, join.ack)
        });
        let publish = settings.publish.as_ref().map(|publish| {
            let (before, after) = publish.around_payload(fill);
            Publish { before, after, ack: publish.ack }
        });
        Conversation {
            namespace,
            connect: RefCell::new(connect),
            join: RefCell::new(join),
            publish,
            receive: settings.receive.clone(),
            progress: Cell::new(Progress::Opening),
            attachments: Cell::new(0),
        }
    }

    fn hear_packet(&self, bytes: &[u8], on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        let packet = Packet::parse(bytes).ok_or_else(|| alien("4", bytes))?;
        self.attachments.set(packet.attachments);
        if packet.namespace != self.namespace.as_bytes() {
            return Ok(());
        }
        match packet.kind {
            CONNECT => self.connected(on),
            DISCONNECT => return Err(Refusal::Over("it disconnected the namespace".to_owned())),
            CONNECT_ERROR => return Err(Refusal::Refused(reason(packet.data))),
            EVENT => self.event(packet.data, on)?,
            BINARY_EVENT if self.is_awaited(packet.data)? => {
                let problem = "the event that brings payloads has binary attachments, which are not read";
                return Err(Refusal::Alien(problem.to_owned()));
            }
            ACK | BINARY_ACK => self.acknowledged(&packet, on)?,
            _ => {}
        }
        Ok(())
    }

    /// The namespace is connected.
    fn connected(&self, on: &mut dyn FnMut(Heard<'_>)) {
        if self.progress.get() != Progress::Connecting {
            return;
        }
        let join = self.join.take();
        let waits = join.as_ref().is_some_and(|(_, ack)| *ack);
        self.progress.set(if waits { Progress::Joining } else { Progress::Joined });
        if let Some((said, _)) = join {
            on(Heard::Say(&said));
        }
        if !waits {
            on(Heard::Joined);
        }
    }

    fn acknowledged(&self, packet: &Packet, on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        match (packet.id, self.progress.get()) {
            (Some(OF_THE_JOIN), Progress::Joining) => {
                self.progress.set(Progress::Joined);
                on(Heard::Joined);
            }
            (Some(ticket), Progress::Joined) if self.receive.is_some() => on(Heard::Acknowledged { ticket }),
            (Some(ticket), Progress::Joined) => {
                let arguments = list(packet.data)?;
                let payload = arguments.first().map_or(Cow::Borrowed(""), |first| text_of(first));
                on(Heard::Answer { ticket, payload: payload.as_bytes() });
            }
            _ => {}
        }
        Ok(())
    }

    fn is_awaited(&self, data: &[u8]) -> Result<bool, Refusal> {
        let Some(receive) = &self.receive else { return Ok(false) };
        Ok(list(data)?.first().is_some_and(|name| text_of(name) == receive.event))
    }

    fn event(&self, data: &[u8], on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        let Some(receive) = &self.receive else { return Ok(()) };
        let list = list(data)?;
        if list.first().is_none_or(|name| text_of(name) != receive.event) {
            return Ok(());
        }
        // Without a payload where it should be it is a message all the same, of nobody's.
        let (argument, within) = receive.at.split().unwrap_or_default();
        let payload = match list.get(argument.saturating_add(1)) {
            Some(argument) if within.is_empty() => text_of(argument),
            Some(argument) => inside(argument, within).into(),
            None => Cow::Borrowed(""),
        };
        on(Heard::Message(payload.as_bytes()));
        Ok(())
    }
}

impl Talk for Conversation {
    /// The server speaks first.
    fn begin(&self, _: &mut dyn FnMut(Heard<'_>)) {}

    fn publish(&self, ticket: u64, payload: &[u8], out: &mut Vec<u8>) {
        let Some(publish) = &self.publish else { return };
        put_head(EVENT, &self.namespace, out);
        if publish.ack {
            put_number(ticket, out);
        }
        out.extend_from_slice(publish.before.as_bytes());
        put_escaped(payload, out);
        out.extend_from_slice(publish.after.as_bytes());
    }

    fn hear(&self, bytes: &[u8], on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        if let Some(left) = self.attachments.get().checked_sub(1) {
            self.attachments.set(left);
            return Ok(());
        }
        match bytes.split_first() {
            Some((b'0', _)) if self.progress.get() == Progress::Opening => {
                self.progress.set(Progress::Connecting);
                on(Heard::Say(&self.connect.take()));
                Ok(())
            }
            Some((b'1', _)) => Err(Refusal::Over("it closed the session".to_owned())),
            Some((b'2', _)) => {
                on(Heard::Say(b"3"));
                Ok(())
            }
            Some((b'3' | b'6', _)) => Ok(()),
            Some((b'4', packet)) => self.hear_packet(packet, on),
            _ => Err(alien("", bytes)),
        }
    }

    fn leave(&self, out: &mut Vec<u8>) {
        put_head(DISCONNECT, &self.namespace, out);
    }

    fn format(&self) -> Option<Format> {
        Some(Format::Text)
    }
}

fn packet(kind: u8, namespace: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_head(kind, namespace, &mut out);
    out
}

/// Appends what a packet begins with; the root namespace isn't named.
fn put_head(kind: u8, namespace: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'4', kind]);
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}

fn put_number(number: u64, out: &mut Vec<u8>) {
    // Writing to memory doesn't fail.
    let _ = write!(out, "{number}");
}

/// Appends text as it stands within quotes in JSON.
fn put_escaped(text: &[u8], out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| !is_plain(byte)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            // Writing to memory doesn't fail.
            byte => _ = write!(out, "\\u{byte:04x}"),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// The items of a JSON list, as they are written.
fn list(data: &[u8]) -> Result<Vec<&RawValue>, Refusal> {
    serde_json::from_slice(data).map_err(|_| alien("", data))
}

/// A JSON text; of anything else its JSON.
fn text_of(value: &RawValue) -> Cow<'_, str> {
    let json = value.get();
    if !json.starts_with('"') {
        return Cow::Borrowed(json);
    }
    match serde_json::from_str::<&str>(json) {
        Ok(text) => Cow::Borrowed(text),
        // It has escapes.
        Err(_) => serde_json::from_str::<String>(json).map_or(Cow::Borrowed(json), Cow::Owned),
    }
}

/// What is at `pointer` (RFC 6901) in `value`; nothing if there is nothing.
fn inside(value: &RawValue, pointer: &str) -> String {
    let value: Option<Value> = serde_json::from_str(value.get()).ok();
    match value.as_ref().and_then(|value| value.pointer(pointer)) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Why the namespace can't be connected.
fn reason(data: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(data).ok();
    let message = value.as_ref().and_then(|value| value["message"].as_str().or(value.as_str()));
    excerpt(message.map_or(data, str::as_bytes))
}

fn alien(before: &str, bytes: &[u8]) -> Refusal {
    Refusal::Alien(format!("{before}{}", excerpt(bytes)))
}

#[cfg(test)]
mod tests;
