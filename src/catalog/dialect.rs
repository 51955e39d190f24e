//! The application protocol of one arm, with its settings.

use super::{Custom, DialectKind, TransportKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is spoken over a transport, resolved and complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    Raw,
    Wsbench,
    Nchan(Nchan),
    #[serde(rename = "socket.io")]
    SocketIo(SocketIo),
    Nats(Nats),
    Mqtt(Mqtt),
    Custom(Box<Custom>),
}

/// nginx with the nchan module.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nchan {}

/// Socket.IO 4 over Engine.IO 4.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SocketIo {}

/// The NATS client protocol.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {}

/// MQTT 3.1.1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {}

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

    /// How many replies a request of an echo gets.
    pub fn replies(&self) -> u32 {
        match self {
            Dialect::Custom(custom) => custom.replies.get(),
            _ => 1,
        }
    }

    /// Whether replies may overtake one another although the transport keeps their order: who answers them by number may
    /// take them as they are done.
    pub fn may_reorder(&self) -> bool {
        matches!(self, Dialect::Custom(_))
    }

    /// Hands over each text of the settings that may hold a credential, with the name that it stands under.
    pub fn texts_mut(&mut self, on: &mut dyn FnMut(&str, &mut String)) {
        if let Dialect::Custom(custom) = self {
            custom.texts_mut(on);
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

    /// Whether it cuts a byte stream into messages by itself, so that tcp has no framing of its own and a WebSocket
    /// message is no more than a piece of the stream.
    pub fn is_stream(self) -> bool {
        matches!(self, DialectKind::Nats | DialectKind::Mqtt)
    }
}
