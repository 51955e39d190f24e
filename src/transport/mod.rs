//! The client side of every transport: connect, send, receive.
//!
//! Receiving pushes: a connection hands each message to its [`Sink`] the moment it was read; nobody polls a `recv()` per
//! session. Everything here runs on one single-threaded runtime (`spawn_local`), so nothing is `Send` and nothing locks.
//!
//! | transport | file |
//! |---|---|
//! | websocket (every engine) | `websocket.rs` |
//! | tcp | `tcp.rs` |
//! | udp | `udp.rs` |
//! | http | `requests.rs` |
//! | long-polling, short-polling, sse, http-streaming | `http.rs` and its strategies; by HTTP/2 on `trunk.rs` |

use crate::catalog::{Dialect, Engine, Format, Transport};
use crate::clock::{Nanos, now};
use crate::measure::Traffic;
use crate::reactor::{Reactor, Seat};
use socket2::SockAddr;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::spawn_local;

mod closing;
mod cookies;
mod counted;
mod direct;
mod failure;
mod headers;
mod http;
mod io;
mod joining;
mod meter;
mod net;
mod outbox;
mod queue;
mod receive_drops;
mod requests;
mod session;
mod source;
mod speech;
mod stream;
mod tcp;
mod tcp_info;
mod tickets;
mod tls;
mod trunk;
mod udp;
mod websocket;

use net::Deadline;
use session::Session;
use speech::Speech;

pub use crate::dialect::Place;
pub use failure::{ErrorClass, Failure};
pub use net::{address_of_socket, resolve};
pub use source::{Sources, is_own};
pub use tls::Tls;

/// Number of a session within its worker.
pub type SessionId = u32;

/// Where to connect and what to ask for; shared settings of all sessions of a cell.
pub struct Endpoint {
    /// Of IP, or a Unix socket's (websocket, tcp and HTTP).
    pub address: SockAddr,
    /// `Host` header: name and port as in the URL.
    pub authority: String,
    /// `None`: without TLS.
    pub tls: Option<Tls>,
    pub transport: Transport,
    pub dialect: Dialect,
    /// Text or binary messages, as this load sends them and as an HTTP session asks for them.
    pub format: Format,
    /// Size of every message, for fixed framing, bytes.
    pub fixed_size: usize,
    /// The run's token; the wsbench dialect joins with it.
    pub token: String,
    /// Bound on the whole of connecting and joining.
    pub connect_timeout: Duration,
    /// Whether sessions will publish: an HTTP session then opens its publishing connection as it joins.
    pub publishes: bool,
    /// Most bytes that may wait to be sent on one session.
    pub outbox_limit: usize,
    pub reactor: Rc<Reactor>,
    /// What its sessions agreed on with the target.
    pub agreements: Agreements,
    /// Where connections leave from.
    pub sources: Sources,
}

/// What sessions agreed on with the target as they joined, beyond what was asked for: the parameters of an extension, and how
/// many sessions have them.
#[derive(Debug, Default)]
pub struct Agreements(RefCell<BTreeMap<String, u64>>);

impl Agreements {
    fn note(&self, agreed: String) {
        *self.0.borrow_mut().entry(agreed).or_default() += 1;
    }

    pub fn all(&self) -> BTreeMap<String, u64> {
        self.0.borrow().clone()
    }
}

/// Instants of a successful connect, as lengths, nanoseconds. `None`: the phase doesn't exist for this transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectPhases {
    pub tcp: Option<Nanos>,
    pub tls: Option<Nanos>,
    /// From a ready connection to a joined session.
    pub upgrade: Option<Nanos>,
    /// Where a session begins by polling: from a joined session to its WebSocket carrying it.
    pub switch: Option<Nanos>,
    pub total: Nanos,
}

/// How a session ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: as we asked. Otherwise what broke it, the target's own close included.
    pub failure: Option<Failure>,
    /// How long the closing handshake took, if there was a whole one: from the first close (frame or FIN, either end's)
    /// to the end of the stream; over HTTP from leaving (DELETE) to its answer. Absent where the target's close and the end
    /// of the stream are one (a FIN of the target's).
    pub close_time: Option<Nanos>,
    /// Close code of the target (RFC 6455 §7.4), where there is one.
    pub code: Option<u16>,
}

/// Receives what happens on connections. Calls come in order for each session, never from two places at once, and never
/// from within [`Connection::send`] or [`Connection::close`].
pub trait Sink {
    /// The session is open. First of its calls, but for [`Sink::on_fault`].
    fn on_opened(&self, session: SessionId, opened: Opened);
    /// The session couldn't be opened; the last call.
    fn on_open_failed(&self, session: SessionId, failure: Failure);
    /// Message `ticket` is about to be written, at `at`.
    fn on_sent(&self, session: SessionId, ticket: u64, at: Nanos);
    /// A payload was read. Control frames and the dialect's own messages never come here. `format` is what the sender
    /// called it; `None` where the transport doesn't say (all but WebSocket).
    fn on_message(&self, session: SessionId, payload: &[u8], format: Option<Format>, received_at: Nanos);
    /// The response to message `ticket`, with a body of `size` bytes, where each message is a request of its own.
    fn on_answer(&self, session: SessionId, ticket: u64, size: u64, received_at: Nanos);
    /// The target took message `ticket`, in a dialect that [acknowledges](Dialect::acknowledges) beside what comes of it.
    fn on_acknowledged(&self, _session: SessionId, _ticket: u64, _received_at: Nanos) {}
    /// A ping of ours came back.
    fn on_pong(&self, session: SessionId, round_trip: Nanos);
    /// A request for messages ended: how many it brought, and how long after the response before it it was asked.
    fn on_poll(&self, session: SessionId, messages: u64, gap: Option<Nanos>);
    /// Something went wrong that the session survives (an HTTP 5xx on one POST, a foreign datagram). A message that
    /// was lost with it is named by its ticket; if that was never in [`Sink::on_sent`], not a byte of it was written (the
    /// connection for its POST failed).
    fn on_fault(&self, session: SessionId, ticket: Option<u64>, failure: Failure);
    /// The session is over, for whatever reason; called exactly once for each opened session, and the last call.
    fn on_ended(&self, session: SessionId, ended: Ended);
}

/// An open, joined session. Dropping it aborts the session without any closing handshake and without `on_ended`.
pub trait Connection {
    /// Takes one message for sending; returns at once. A `ticket` that is not sent yet comes back in [`Sink::on_sent`].
    /// `format` is what the message is called where the transport says (WebSocket); text must be UTF-8.
    fn send(&mut self, ticket: u64, format: Format, payload: &[u8]) -> Result<Sent, Unsent>;
    /// Starts the closing handshake; `on_ended` follows, unless the target never answers.
    fn close(&mut self);
    /// Bytes and connections so far, also after the session has ended; `handshake` holds joining and, over UDP, leaving.
    /// With `wire`, also asks the system for what went over the wire (`tcp_info.rs` says how; UDP's is arithmetic) and for
    /// the datagrams that it dropped on arrival.
    fn traffic(&self, wire: bool) -> Traffic;
    /// TCP connections or UDP sockets that the session holds open now.
    fn open_connections(&self) -> u64;
}

/// When a message that was taken is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was, from this instant on.
    At(Nanos),
    /// When its turn comes.
    Later,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// Too much is waiting already.
    Full,
    /// The session has ended or is closing.
    Closed,
}

/// A new session: its connection, and how long each phase of connecting took.
pub struct Opened {
    pub connection: Box<dyn Connection>,
    pub phases: ConnectPhases,
}

/// Connects and joins, which ends in [`Sink::on_opened`] or [`Sink::on_open_failed`]; neither is called from within. Never
/// takes longer than the endpoint's `connect_timeout`. Must run within a `LocalSet` or a local runtime.
pub fn open(endpoint: Rc<Endpoint>, place: Place, session: SessionId, sink: Rc<dyn Sink>) {
    let transport = endpoint.transport.clone();
    let opening = Opening::new(endpoint, place, session, sink);
    match transport {
        Transport::Tcp(settings) => {
            opening.on_reactor(async move |seat, opening| tcp::open(seat, opening, &settings).await);
        }
        Transport::Http(settings) => {
            opening.on_reactor(async move |seat, opening| requests::open(seat, opening, &settings).await);
        }
        Transport::Websocket(settings) if settings.engine == Engine::Native => {
            opening.on_reactor(async move |seat, opening| websocket::native::open(seat, opening, &settings).await);
        }
        Transport::Websocket(settings) => {
            opening.on_runtime(async move |opening| websocket::open(opening, &settings).await);
        }
        Transport::Udp(settings) => opening.on_runtime(async move |opening| udp::open(opening, &settings).await),
        Transport::LongPolling(settings)
        | Transport::ShortPolling(settings)
        | Transport::Sse(settings)
        | Transport::HttpStreaming(settings) => {
            opening.on_runtime(async move |opening| http::open(opening, &settings).await);
        }
    }
}

/// A session on its way to being joined.
struct Opening {
    endpoint: Rc<Endpoint>,
    place: Place,
    id: SessionId,
    sink: Rc<dyn Sink>,
    deadline: Deadline,
    began: Nanos,
}

impl Opening {
    fn new(endpoint: Rc<Endpoint>, place: Place, id: SessionId, sink: Rc<dyn Sink>) -> Opening {
        let deadline = Deadline::after(endpoint.connect_timeout);
        Opening { endpoint, place, id, sink, deadline, began: now() }
    }

    /// Has it opened by the reactor.
    fn on_reactor(self, open: impl AsyncFnOnce(&Rc<Seat>, &Opening) -> Result<Opened, Failure> + 'static) {
        let reactor = self.endpoint.reactor.clone();
        reactor.carry_out(async move |seat| {
            let opened = open(&seat, &self).await;
            if opened.is_err() {
                // It may have failed within the call that began it.
                seat.turn().await;
            }
            self.tell(opened);
        });
    }

    /// Has it opened by a task.
    fn on_runtime(self, open: impl AsyncFnOnce(&Opening) -> Result<Opened, Failure> + 'static) {
        spawn_local(async move {
            let opened = open(&self).await;
            self.tell(opened);
        });
    }

    fn tell(&self, opened: Result<Opened, Failure>) {
        match opened {
            Ok(opened) => self.sink.on_opened(self.id, opened),
            Err(failure) => self.sink.on_open_failed(self.id, failure),
        }
    }

    /// The session with a task of its own; `close_code` where the transport has one.
    fn session(&self, speech: Speech, close_code: Option<u16>) -> Rc<Session> {
        Session::new(self.id, self.sink.clone(), self.endpoint.outbox_limit, speech, close_code)
    }
}
