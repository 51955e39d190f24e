//! MQTT 3.1.1: a topic for each room, QoS 0 or 1.
//!
//! A session is joined once its subscription was granted; one that only publishes, once it is connected.

use super::{Dialect, Heard, HttpFace, Place, Receive, Refusal, Talk};
use crate::catalog::{self, Format, TransportKind};
use crate::codec::mqtt::{self, Connect, DISCONNECT, Packet, Qos};
use crate::codec::partial::Partial;
use std::cell::{Cell, RefCell};

/// Number of a session's only subscription.
const SUBSCRIPTION: u16 = 1;

pub(super) struct Mqtt {
    settings: catalog::Mqtt,
}

impl Mqtt {
    pub(super) fn new(settings: &catalog::Mqtt) -> Mqtt {
        Mqtt { settings: settings.clone() }
    }
}

impl Dialect for Mqtt {
    fn talk(&self, place: &Place, _: TransportKind) -> Option<Box<dyn Talk>> {
        Some(Box::new(MqttTalk::new(&self.settings, place)))
    }

    fn http(&self, _: &Place, _: u64, _: Receive) -> Box<dyn HttpFace> {
        unreachable!("the plan asks for MQTT over TCP and WebSocket alone")
    }
}

struct MqttTalk {
    state: Cell<State>,
    partial: RefCell<Partial>,
    /// The CONNECT; empty once it was said.
    connect: RefCell<Vec<u8>>,
    topic: Box<str>,
    qos: Qos,
    is_publisher: bool,
    /// Number of the latest packet of ours that has one.
    latest: Cell<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Until the CONNACK.
    Connecting,
    /// Until the SUBACK.
    Subscribing,
    Joined,
}

impl MqttTalk {
    fn new(settings: &catalog::Mqtt, place: &Place) -> MqttTalk {
        let fill = |text: &Option<String>| text.as_deref().map(|text| place.fill(text));
        let (user, password) = (fill(&settings.user), fill(&settings.password));
        // Servers must take 23 characters (§3.1.3.1); two sessions of one name would throw each other out.
        let client_id = format!("wsbench-{}-{:08x}", place.session, super::nonce());
        let mut connect = Vec::new();
        let said = Connect { client_id: &client_id, user: user.as_deref(), password: password.as_deref() };
        mqtt::connect(said, &mut connect);
        MqttTalk {
            state: Cell::new(State::Connecting),
            partial: RefCell::default(),
            connect: RefCell::new(connect),
            topic: place.fill(settings.topic()).into(),
            qos: if settings.qos == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce },
            is_publisher: place.is_publisher,
            latest: Cell::new(SUBSCRIPTION),
        }
    }

    /// Takes one packet; what it asks for goes to `say`.
    fn take(&self, packet: Packet, say: &mut Vec<u8>, on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        match (packet, self.state.get()) {
            (Packet::ConnAck { code: 0 }, State::Connecting) if self.is_publisher => {
                self.state.set(State::Joined);
                on(Heard::Joined);
            }
            (Packet::ConnAck { code: 0 }, State::Connecting) => {
                self.state.set(State::Subscribing);
                mqtt::subscribe(SUBSCRIPTION, &self.topic, self.qos, say);
            }
            (Packet::ConnAck { code }, State::Connecting) => return Err(Refusal::Refused(refused(code))),
            (Packet::SubAck { id: SUBSCRIPTION, codes: [0 | 1] }, State::Subscribing) => {
                self.state.set(State::Joined);
                on(Heard::Joined);
            }
            (Packet::SubAck { .. }, State::Subscribing) => {
                return Err(Refusal::Refused(format!("it doesn't grant the subscription to {}", self.topic)));
            }
            // A server may send messages of a topic before it says that the topic is granted.
            (Packet::Publish { id, payload, .. }, State::Subscribing | State::Joined) => {
                on(Heard::Message(payload));
                id.into_iter().for_each(|id| mqtt::puback(id, say));
            }
            (Packet::PubAck { .. } | Packet::PingResp, State::Joined) => {}
            (packet, state) => {
                let what = match packet {
                    Packet::ConnAck { .. } => "CONNACK",
                    Packet::Publish { .. } => "PUBLISH",
                    Packet::PubAck { .. } => "PUBACK",
                    Packet::SubAck { .. } => "SUBACK",
                    Packet::PingResp => "PINGRESP",
                };
                return Err(Refusal::Alien(format!("{what} while {state:?}").to_lowercase()));
            }
        }
        Ok(())
    }

    fn next_id(&self) -> u16 {
        self.latest.set(self.latest.get().checked_add(1).unwrap_or(1));
        self.latest.get()
    }
}

/// Why a server doesn't accept a connection (§3.2.2.3).
fn refused(code: u8) -> String {
    match code {
        1 => "it doesn't speak MQTT 3.1.1".to_owned(),
        2 => "it doesn't take the client's name".to_owned(),
        3 => "its MQTT service is unavailable".to_owned(),
        4 => "the user or the password is wrong".to_owned(),
        5 => "the client is not authorized".to_owned(),
        other => format!("with code {other}"),
    }
}

impl Talk for MqttTalk {
    fn begin(&self, on: &mut dyn FnMut(Heard<'_>)) {
        on(Heard::Say(&self.connect.take()));
    }

    fn publish(&self, _: u64, payload: &[u8], out: &mut Vec<u8>) {
        let id = (self.qos == Qos::AtLeastOnce).then(|| self.next_id());
        mqtt::publish(&self.topic, id, payload, out);
    }

    fn hear(&self, bytes: &[u8], on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        let mut say = Vec::new();
        let mut partial = self.partial.take();
        partial.feed(bytes, |bytes| {
            let mut used = 0;
            while let Some((packet, size)) = mqtt::next(&bytes[used..])? {
                self.take(packet, &mut say, on)?;
                used += size;
            }
            Ok::<_, Refusal>(used)
        })?;
        self.partial.replace(partial);
        if !say.is_empty() {
            on(Heard::Say(&say));
        }
        Ok(())
    }

    fn leave(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&DISCONNECT);
    }

    fn format(&self) -> Option<Format> {
        Some(Format::Binary)
    }
}

#[cfg(test)]
mod tests;
