//! `[transports.NAME]`: one arm of the comparison.

use super::at::{At, Named};
use crate::catalog::{DialectKind, Engine, Framing, HeaderProfile, HttpMethod, Start, TransportKind};
use crate::units::{ByteSize, Span};
use schemars::JsonSchema;
use serde::Deserialize;

/// A transport with its settings. Which transport knows which setting is checked by the plan.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Arm {
    /// How bytes travel. Default: the arm's name, where that is a transport's.
    pub transport: Option<At<TransportKind>>,
    /// The application protocol. Default at a URL: the one that its scheme names, or that has the only `[dialect.…]` table;
    /// else raw for WebSocket, TCP, UDP and http, and wsbench for the others. The embedded target speaks wsbench.
    pub dialect: Option<At<DialectKind>>,
    /// websocket: what speaks RFC 6455 at the client. Default: native.
    pub engine: Option<At<Engine>>,
    /// websocket, long-polling, short-polling, sse and http-streaming: 2 speaks HTTP/2, by which a session has one
    /// connection for all that it asks for; a WebSocket is a stream of it. Default: 1.
    pub http: Option<At<u8>>,
    /// websocket: true compresses messages (permessage-deflate); the build must have it. Default: false.
    pub deflate: Option<At<bool>>,
    /// websocket: what a session begins by; `polling` needs a dialect that can go over to the WebSocket then. Default:
    /// websocket.
    pub start: Option<At<Start>>,
    /// websocket: largest payload of one frame; longer messages are fragmented. Default: never fragment.
    pub fragment: Option<At<ByteSize>>,
    /// websocket: subprotocols to offer. Default: none, and `mqtt` in that dialect.
    pub subprotocols: Option<At<Vec<At<String>>>>,
    /// websocket: how often the client pings each session. Default: never.
    pub ping_every: Option<At<Span>>,
    /// websocket: close code that the client sends. Default: 1000.
    pub close_code: Option<At<u16>>,
    /// websocket and HTTP: which headers requests carry. Default: minimal.
    pub headers: Option<At<HeaderProfile>>,
    /// websocket and HTTP: headers to add, name to value. Default: none.
    pub extra_headers: Option<At<Named<At<String>>>>,
    /// websocket and HTTP: the Host header, such as that of a virtual host. May hold marks. Default: as in the URL.
    pub host: Option<At<String>>,
    /// websocket and HTTP: the Origin header. May hold marks. Default: none, or the browser's.
    pub origin: Option<At<String>>,
    /// websocket and HTTP: credentials; they are in no result. Default: those of the URL.
    pub auth: Option<At<Auth>>,
    /// HTTP: are cookies that the target sets sent back to it? Default: true.
    pub cookies: Option<At<bool>>,
    /// All but udp: TCP_NODELAY. Default: true.
    pub nodelay: Option<At<bool>>,
    /// All but udp, embedded target: speak TLS? At a URL its scheme decides. Default: false.
    pub tls: Option<At<bool>>,
    /// All but udp, where TLS is spoken: take up earlier sessions, by tickets that a worker keeps? Default: false, each handshake
    /// is a whole one.
    pub resumption: Option<At<bool>>,
    /// tcp: how the stream is cut into messages. Default: length.
    pub framing: Option<At<Framing>>,
    /// udp: SO_RCVBUF to ask for. Default: 1MiB.
    pub receive_buffer: Option<At<ByteSize>>,
    /// http: what a request is; with GET the payload isn't sent. Default: POST.
    pub method: Option<At<HttpMethod>>,
    /// long-polling, short-polling, sse and http-streaming: false opens a new connection for every request. Default: true.
    pub keep_alive: Option<At<bool>>,
    /// long-polling and short-polling: may one response carry several messages? Default: true.
    pub batch: Option<At<bool>>,
    /// short-polling: pause between a response and the next request. Default: 250ms.
    pub interval: Option<At<Span>>,
}

/// The Authorization header: one of these. May hold marks, and `${NAME}` for a variable of the environment.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `user:password`.
    Basic(At<String>),
    /// A token.
    Bearer(At<String>),
}
