//! The application protocol of one arm, with its settings.

use super::{DialectKind, TransportKind};
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
pub struct Nchan {
    /// Path to which messages are published by POST; without it the URL's own. On a WebSocket they go over the socket.
    pub publish: Option<String>,
    /// Path at which nchan_publisher tells of the channel's latest message, from which on a session polls; without it `publish`.
    pub info: Option<String>,
}

impl Nchan {
    /// Where to ask for the channel's latest message, if that is known.
    pub fn info(&self) -> Option<&str> {
        self.info.as_deref().or(self.publish.as_deref())
    }
}

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

/// A protocol that the scenario describes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {}

impl Dialect {
    /// Paths among the settings, whose queries may hold secrets.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let paths = match self {
            Dialect::Nchan(nchan) => vec![&mut nchan.publish, &mut nchan.info],
            _ => Vec::new(),
        };
        paths.into_iter().flatten()
    }

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
