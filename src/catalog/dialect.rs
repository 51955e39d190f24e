//! The application protocol of one arm, with its settings.

mod socketio;

use super::{DialectKind, TransportKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use socketio::{Emit, Received, SocketIo, Spot, fill_texts};

/// What is spoken over a transport, resolved and complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    Raw,
    Wsbench,
    Nchan(Nchan),
    #[serde(rename = "socket.io")]
    SocketIo(Box<SocketIo>),
    Nats(Nats),
    Mqtt(Mqtt),
    Custom(Box<Custom>),
}

/// nginx with the nchan module.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nchan {}

/// The NATS client protocol.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {}

/// MQTT 3.1.1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {}

/// A protocol that the scenario describes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {}

impl Dialect {
    pub fn kind(&self) -> DialectKind {
        match self {
            Dialect::Raw => DialectKind::Raw,
            Dialect::Wsbench => DialectKind::Wsbench,
            Dialect::Nchan(_) => DialectKind::Nchan,
            Dialect::SocketIo(_) => DialectKind::SocketIo,
            Dialect::Nats(_) => DialectKind::Nats,
            Dialect::Mqtt(_) => DialectKind::Mqtt,
            Dialect::Custom(_) => DialectKind::Custom,
        }
    }

    /// As a result may show it, with `instead` in the place of what is secret.
    pub fn without_secrets(&self, instead: &str) -> Dialect {
        match self {
            Dialect::SocketIo(settings) => Dialect::SocketIo(Box::new(settings.without_secrets(instead))),
            other => other.clone(),
        }
    }

    /// Whether the target acknowledges each message that it took, beside what comes of it.
    pub fn acknowledges(&self) -> bool {
        match self {
            Dialect::SocketIo(settings) => settings.acknowledges(),
            _ => false,
        }
    }
}

impl DialectKind {
    /// The transports over which it is spoken.
    pub fn transports(self) -> &'static [TransportKind] {
        use TransportKind::{Http, HttpStreaming, LongPolling, ShortPolling, Sse, Tcp, Udp, Websocket};
        match self {
            DialectKind::Raw => &[Websocket, Tcp, Udp, Http],
            DialectKind::Wsbench | DialectKind::Custom => TransportKind::ALL,
            DialectKind::Nchan => &[Websocket, LongPolling, ShortPolling, Sse, HttpStreaming],
            DialectKind::SocketIo => &[Websocket, LongPolling],
            DialectKind::Nats | DialectKind::Mqtt => &[Websocket, Tcp],
        }
    }

    /// Whether a session can begin by polling and go over to a WebSocket.
    pub fn begins_by_polling(self) -> bool {
        self == DialectKind::SocketIo
    }

    /// Whether it cuts a byte stream into messages by itself, so that tcp has no framing of its own and a WebSocket
    /// message is no more than a piece of the stream.
    pub fn is_stream(self) -> bool {
        matches!(self, DialectKind::Nats | DialectKind::Mqtt)
    }
}
