//! The application protocol of one arm, with its settings.

mod socketio;

use super::{Custom, DialectKind, TransportKind};
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

/// The NATS client protocol. `{room}` and `{session}` stand for a session's own in every setting.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// What sessions subscribe to and publish to. Default: `room.{room}`, and `echo.{session}` in echo and connect.
    pub subject: Option<String>,
    /// Echo and connect: ask the service at this subject, which answers to an inbox of the session's own, instead of having
    /// the broker return each message to its sender.
    pub request: Option<String>,
    /// Subscribe as a member of this queue group, in which a message goes to one member alone.
    pub queue: Option<String>,
    /// Whom to connect as.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// The token to connect with, where the server wants that instead of a user.
    pub token: Option<String>,
}

/// MQTT 3.1.1. `{room}` and `{session}` stand for a session's own in every text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// What sessions subscribe to and publish to. Default: `room/{room}`, and `echo/{session}` in echo and connect.
    pub topic: Option<String>,
    /// Messages both ways are sent once and forgotten, 0, or acknowledged, 1.
    pub qos: u8,
    /// Whom to connect as.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
}

impl Nats {
    /// What to subscribe and to publish to.
    pub fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or("room.{room}")
    }
}

impl Mqtt {
    /// What to subscribe and to publish to.
    pub fn topic(&self) -> &str {
        self.topic.as_deref().unwrap_or("room/{room}")
    }
}

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
        match self {
            Dialect::Custom(custom) => custom.texts_mut(on),
            Dialect::Nchan(nchan) => {
                [&mut nchan.publish, &mut nchan.info].into_iter().flatten().for_each(|path| on("path", path))
            }
            Dialect::Nats(nats) => {
                nats.password.iter_mut().for_each(|text| on("password", text));
                nats.token.iter_mut().for_each(|text| on("token", text));
            }
            Dialect::Mqtt(mqtt) => mqtt.password.iter_mut().for_each(|text| on("password", text)),
            Dialect::SocketIo(settings) => settings.texts_mut(on),
            Dialect::Raw | Dialect::Wsbench => {}
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

    /// The one that a URL's scheme names, where it is a dialect's own.
    pub fn of_scheme(scheme: &str) -> Option<DialectKind> {
        match scheme {
            "nats" => Some(DialectKind::Nats),
            "mqtt" | "mqtts" => Some(DialectKind::Mqtt),
            _ => None,
        }
    }

    /// The WebSocket subprotocol that it is spoken under: offered unless an arm offers others, and one of those has to be
    /// chosen.
    pub fn subprotocol(self) -> Option<&'static str> {
        (self == DialectKind::Mqtt).then_some("mqtt")
    }
}
