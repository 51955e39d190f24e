//! The names of things, as they are written in scenarios and results, and what each kind can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Declares an enum whose variants have one spelling everywhere: TOML, JSON, command line, report.
macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<$name, ()> {
                $name::ALL.iter().copied().find(|k| k.name() == text).ok_or(())
            }
        }
    };
}

kinds! {
    /// How bytes travel.
    TransportKind {
        Websocket = "websocket",
        Tcp = "tcp",
        Udp = "udp",
        /// Publish by POST, receive by a held GET.
        LongPolling = "long-polling",
        /// Publish by POST, receive by a GET at an interval (AJAX).
        ShortPolling = "short-polling",
        /// Publish by POST, receive by `text/event-stream`.
        Sse = "sse",
        /// Publish by POST, receive by an endless chunked response (Comet streaming).
        HttpStreaming = "http-streaming",
        /// Each message is a request of its own, and its answer the response.
        Http = "http",
    }
}

kinds! {
    /// What a request of [`TransportKind::Http`] is.
    HttpMethod {
        /// The message is the request's body.
        Post = "POST",
        /// The request stands for the message, whose payload isn't sent.
        Get = "GET",
    }
}

kinds! {
    /// What speaks RFC 6455.
    Engine {
        /// The codec and the reactor of this program.
        Native = "native",
        Fastwebsockets = "fastwebsockets",
        Tungstenite = "tungstenite",
    }
}

kinds! {
    /// What a session over a WebSocket begins by.
    Start {
        Websocket = "websocket",
        /// HTTP requests, until the WebSocket takes over.
        Polling = "polling",
    }
}

kinds! {
    /// What is exchanged and what counts as done.
    WorkloadKind { Echo = "echo", Chat = "chat", Push = "push", Connect = "connect" }
}

kinds! {
    /// Whether a payload is text or binary.
    Format { Text = "text", Binary = "binary" }
}

kinds! {
    /// How a TCP stream is cut into messages.
    Framing {
        /// Four bytes, big endian, then the payload.
        Length = "length",
        /// A line feed ends each message; payloads hold none.
        Newline = "newline",
        /// Every message has the same length; no framing bytes at all.
        Fixed = "fixed",
    }
}

kinds! {
    /// Which headers an HTTP request carries.
    HeaderProfile {
        /// What the protocol requires and no more.
        Minimal = "minimal",
        /// What a desktop browser sends with a same-origin `fetch`, and a usual server answers.
        Browser = "browser",
    }
}

kinds! {
    /// Open: due instants don't wait for answers. Closed: each session waits for its answer first.
    Arrival { Constant = "constant", Poisson = "poisson", Closed = "closed" }
}

kinds! {
    /// What becomes of a run that loses an agent.
    #[derive(Default)]
    AgentLoss {
        /// The trial ends in order, and the run with it.
        #[default]
        Abort = "abort",
        /// The others go on, and later trials are shared out to those who are left.
        Continue = "continue",
    }
}

kinds! {
    /// What a search for capacity raises.
    Dimension { Rate = "rate", Sessions = "sessions" }
}

kinds! {
    /// The application protocol spoken over a transport.
    DialectKind {
        /// Payloads as they are.
        Raw = "raw",
        /// The embedded target's protocol (`docs/protocol.md`).
        Wsbench = "wsbench",
        /// nginx with the nchan module.
        Nchan = "nchan",
        /// Socket.IO 4 over Engine.IO 4.
        SocketIo = "socket.io",
        /// The NATS client protocol.
        Nats = "nats",
        /// MQTT 3.1.1.
        Mqtt = "mqtt",
        /// As `[dialect.custom]` describes it.
        Custom = "custom",
    }
}

kinds! {
    /// Which end starts the closing handshake.
    Closer { Client = "client", Server = "server" }
}

kinds! {
    /// What a connect workload waits for.
    FirstMessage {
        /// The target speaks first, as the wsbench dialect lets a session ask.
        Greeting = "greeting",
        /// The session sends one message and waits for its echo: works with any echo server.
        Echo = "echo",
    }
}

impl TransportKind {
    /// Nothing is lost or reordered between two live ends.
    pub fn is_reliable(self) -> bool {
        self != TransportKind::Udp
    }

    /// Receives over HTTP and publishes by POST.
    pub fn is_http(self) -> bool {
        matches!(self, Self::LongPolling | Self::ShortPolling | Self::Sse | Self::HttpStreaming)
    }

    /// URL schemes a target of this transport may have.
    pub fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Websocket => &["ws", "wss", "ws+unix"],
            Self::Tcp => &["tcp", "tls", "unix", "nats", "mqtt", "mqtts"],
            Self::Udp => &["udp"],
            _ => &["http", "https", "http+unix"],
        }
    }

    /// The scheme of its URLs with or without TLS, which UDP doesn't have.
    pub fn scheme(self, tls: bool) -> &'static str {
        let schemes = self.schemes();
        schemes[usize::from(tls).min(schemes.len() - 1)]
    }

    /// Why this workload makes no sense on this transport, if it doesn't.
    pub fn refuses(self, workload: WorkloadKind) -> Option<&'static str> {
        match (self, workload) {
            (Self::Udp, WorkloadKind::Connect) => {
                Some("UDP has no connection: there is no handshake to time and nothing to close")
            }
            (Self::Http, WorkloadKind::Chat | WorkloadKind::Push) => Some(
                "an HTTP response answers its own request, so nothing can be told to others: \
                 long-polling, short-polling, sse and http-streaming do that",
            ),
            _ => None,
        }
    }
}

impl Arrival {
    pub fn is_open(self) -> bool {
        self != Arrival::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_everywhere() {
        for kind in TransportKind::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("{:?}", kind.name()));
        }
    }
}
