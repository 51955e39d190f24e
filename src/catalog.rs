//! What kinds exist, what settings each takes, and what each can do. A pure table; everything above names kinds by it.

use crate::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};

#[macro_use]
mod kinds;
mod block;
mod custom;
mod dialect;
mod distribution;
mod errors;
mod identity;
mod oracle;
mod settings;
mod tls;
mod url;
mod version;
pub use block::{Block, BlockError};
pub use custom::{
    Answer, Asking, By, Bytes, Correlate, Cursor, Custom, CustomHttp, Cuts, Encoding, Messages, Number, Own, Template,
    Verb, Within,
};
pub use dialect::{Dialect, Emit, Mqtt, Nats, Nchan, Received, SocketIo, Spot, fill_texts};
pub use distribution::Distribution;
pub use errors::{ERROR_CLASSES, is_error_class};
pub use identity::{Auth, Identity};
pub use kinds::*;
pub use oracle::{BadUpgrade, Oracle, Stall};
pub use tls::{ClientCertificate, Pem, PemError, Tls};
pub use url::{TargetUrl, UrlError};
pub use version::HttpVersion;

/// How bytes travel for one arm: the transport with its settings, resolved and complete.
///
/// Settings that a transport doesn't know are not here to be ignored: each variant holds only its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    Websocket(Websocket),
    Tcp(Tcp),
    Udp(Udp),
    LongPolling(Http),
    ShortPolling(Http),
    Sse(Http),
    HttpStreaming(Http),
    Http(HttpRequests),
}

/// RFC 6455 over a TCP connection, with one of the [engines](Engine).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Websocket {
    pub engine: Engine,
    /// What the session is carried by: a connection of its own that is upgraded, or a stream of HTTP/2 (RFC 8441).
    #[serde(default)]
    pub http: HttpVersion,
    /// Compress messages (permessage-deflate, RFC 7692): a target that doesn't is refused.
    #[serde(default)]
    pub deflate: bool,
    /// What a session begins by.
    pub start: Start,
    /// Largest payload of one frame; longer messages are sent in fragments. `None`: never fragment.
    pub fragment: Option<ByteSize>,
    /// `Sec-WebSocket-Protocol` values to offer.
    pub subprotocols: Vec<String>,
    /// How often the client pings each session; `None`: never.
    pub ping_every: Option<Span>,
    /// Close code that the client sends (RFC 6455 §7.4).
    pub close_code: u16,
    pub headers: HeaderProfile,
    pub extra_headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Identity::is_usual")]
    pub identity: Identity,
    pub nodelay: bool,
}

/// A TCP stream cut into messages by `framing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tcp {
    pub framing: Framing,
    pub nodelay: bool,
}

/// One message a datagram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Udp {
    /// `SO_RCVBUF` asked for, so that the generator's own buffer isn't what drops.
    pub receive_buffer: ByteSize,
}

/// Publish by POST, receive by GET; what the GET is like depends on the transport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// By HTTP/2 a session has one connection: whatever it asks for is a stream of that.
    #[serde(default)]
    pub http: HttpVersion,
    /// `false`: a new TCP connection for every request.
    pub keep_alive: bool,
    /// Long and short polling: may one response carry several messages?
    pub batch: bool,
    /// Short polling: from one response to the next request.
    pub interval: Option<Span>,
    pub headers: HeaderProfile,
    pub extra_headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Identity::is_usual")]
    pub identity: Identity,
    pub nodelay: bool,
}

/// Each message is a request of its own, one at a time on a connection that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpRequests {
    pub method: HttpMethod,
    pub headers: HeaderProfile,
    pub extra_headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Identity::is_usual")]
    pub identity: Identity,
    pub nodelay: bool,
}

impl Transport {
    pub fn kind(&self) -> TransportKind {
        match self {
            Transport::Websocket(_) => TransportKind::Websocket,
            Transport::Tcp(_) => TransportKind::Tcp,
            Transport::Udp(_) => TransportKind::Udp,
            Transport::LongPolling(_) => TransportKind::LongPolling,
            Transport::ShortPolling(_) => TransportKind::ShortPolling,
            Transport::Sse(_) => TransportKind::Sse,
            Transport::HttpStreaming(_) => TransportKind::HttpStreaming,
            Transport::Http(_) => TransportKind::Http,
        }
    }

    /// The WebSocket engine in use, where one is.
    pub fn engine(&self) -> Option<Engine> {
        match self {
            Transport::Websocket(w) => Some(w.engine),
            _ => None,
        }
    }

    /// What HTTP the arm speaks; `None` where it is none that could be chosen.
    pub fn http(&self) -> Option<HttpVersion> {
        match self {
            Transport::Websocket(w) => Some(w.http),
            Transport::LongPolling(h)
            | Transport::ShortPolling(h)
            | Transport::Sse(h)
            | Transport::HttpStreaming(h) => Some(h.http),
            Transport::Tcp(_) | Transport::Udp(_) | Transport::Http(_) => None,
        }
    }

    /// Whether a connection lasts as long as its session, if the target lets it.
    pub fn keeps_alive(&self) -> bool {
        match self {
            Transport::Websocket(_) | Transport::Tcp(_) | Transport::Udp(_) | Transport::Http(_) => true,
            Transport::LongPolling(h)
            | Transport::ShortPolling(h)
            | Transport::Sse(h)
            | Transport::HttpStreaming(h) => h.keep_alive,
        }
    }

    /// Names and values that the arm adds to each request; none where there are no headers.
    pub fn extra_headers_mut(&mut self) -> &mut [(String, String)] {
        match self {
            Transport::Websocket(w) => &mut w.extra_headers,
            Transport::Http(h) => &mut h.extra_headers,
            Transport::Tcp(_) | Transport::Udp(_) => &mut [],
            Transport::LongPolling(h)
            | Transport::ShortPolling(h)
            | Transport::Sse(h)
            | Transport::HttpStreaming(h) => &mut h.extra_headers,
        }
    }

    /// What the arm's requests say of who asks whom; `None` where there are no headers.
    pub fn identity_mut(&mut self) -> Option<&mut Identity> {
        match self {
            Transport::Websocket(w) => Some(&mut w.identity),
            Transport::Http(h) => Some(&mut h.identity),
            Transport::Tcp(_) | Transport::Udp(_) => None,
            Transport::LongPolling(h)
            | Transport::ShortPolling(h)
            | Transport::Sse(h)
            | Transport::HttpStreaming(h) => Some(&mut h.identity),
        }
    }

    /// Descriptors that one session may hold at once on the generator's side.
    pub fn sockets_per_session(&self) -> u64 {
        match self {
            Transport::LongPolling(h)
            | Transport::ShortPolling(h)
            | Transport::Sse(h)
            | Transport::HttpStreaming(h) => match h.http {
                // One connection receives, one publishes.
                HttpVersion::One => 2,
                HttpVersion::Two => 1,
            },
            // The connection that it begins by stays until the other took over.
            Transport::Websocket(Websocket { start: Start::Polling, .. }) => 2,
            Transport::Websocket(_) | Transport::Tcp(_) | Transport::Udp(_) | Transport::Http(_) => 1,
        }
    }
}
