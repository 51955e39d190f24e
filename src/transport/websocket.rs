//! WebSocket: one opening handshake for both engines, then either engine on the same session.

use super::counted::{Counted, Read};
use super::headers::{self, Purpose};
use super::net::dial;
use super::session::Session;
use super::{ConnectPhases, Ended, Endpoint, ErrorClass, Failure, Opened, Opening};
use crate::catalog::{Engine, Websocket};
use crate::clock::{Nanos, now};
use crate::codec::upgrade::{self, Refused, Request, read_response, write_request};
use crate::dialect::speak;
use crate::seed;
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

mod fast;
mod tungstenite;

pub(super) async fn open(opening: Opening, settings: &Websocket) -> Result<Opened, Failure> {
    let Opening { endpoint, place, session, deadline, began } = opening;
    let dialed = dial(&endpoint, settings.nodelay, &session.meter, deadline).await?;
    let connected = now();
    let shake = shake_hands(&endpoint, settings, &place, &dialed.stream);
    deadline.bound(ErrorClass::HandshakeTimeout, "the WebSocket handshake", shake).await?;
    let ended = now();
    let phases = ConnectPhases {
        tcp: Some(dialed.tcp),
        tls: dialed.tls,
        upgrade: Some(ended - connected),
        total: ended - began,
    };
    let frames = Frames::new(settings);
    let stream = dialed.stream;
    let life = session.clone();
    let connection = match settings.engine {
        Engine::Fastwebsockets => session.run(async move { fast::live(&life, stream, frames).await }),
        Engine::Tungstenite => session.run(async move { tungstenite::live(&life, stream, frames).await }),
    };
    Ok(Opened { connection, phases })
}

/// Upgrades the stream; bytes that came behind the answer are left to be read.
async fn shake_hands(endpoint: &Endpoint, settings: &Websocket, place: &str, stream: &Counted) -> Result<(), Failure> {
    let request = Request {
        path: speak(endpoint.dialect, &endpoint.token).upgrade_path(place),
        key: generate_key(),
        subprotocols: settings.subprotocols.clone(),
    };
    let tls = endpoint.tls_name.is_some();
    let mut headers = headers::of(Purpose::Upgrade, settings.headers, &endpoint.authority, tls);
    headers.extend_from_slice(&settings.extra_headers);
    stream.clone().write_all(&write_request(&endpoint.authority, &request, &headers)).await?;
    stream.clone().flush().await?;
    let mut answer = Vec::new();
    loop {
        if let Read::End = stream.read_with(|bytes, _| answer.extend_from_slice(bytes)).await? {
            let detail = format!("the stream ended {} bytes into the answer to the upgrade", answer.len());
            return Err(Failure::new(ErrorClass::Truncated, detail));
        }
        if let Some(accepted) = read_response(&answer, &request)? {
            stream.unread(&answer[accepted.head_len..]);
            stream.joined(accepted.head_len as u64);
            return Ok(());
        }
    }
}

impl From<upgrade::Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        let class = match &refused {
            Refused::Status { status } => ErrorClass::UpgradeStatus(*status),
            Refused::Accept { .. } => ErrorClass::BadAccept,
            Refused::Subprotocol(_) => ErrorClass::BadSubprotocol,
            Refused::Missing(_) | Refused::Malformed(_) => ErrorClass::UpgradeInvalid,
        };
        Failure::new(class, refused.to_string())
    }
}

/// How messages become frames, for either engine.
#[derive(Debug, Clone, Copy)]
struct Frames {
    /// Largest payload of one frame, bytes.
    fragment: usize,
    ping_every: Option<Duration>,
}

impl Frames {
    fn new(settings: &Websocket) -> Frames {
        let fragment = settings.fragment.and_then(|size| usize::try_from(size.0).ok()).unwrap_or(usize::MAX);
        Frames { fragment: fragment.max(1), ping_every: settings.ping_every.map(|span| span.0) }
    }

    /// The pieces in which a message travels, each with whether it is the first and the last; an empty message is one.
    fn cut(self, payload: &[u8]) -> impl Iterator<Item = Piece<'_>> {
        let pieces = payload.len().div_ceil(self.fragment).max(1);
        let at = move |n: usize| n.saturating_mul(self.fragment).min(payload.len());
        (0..pieces).map(move |n| Piece {
            bytes: &payload[at(n)..at(n + 1)],
            is_first: n == 0,
            is_last: n + 1 == pieces,
        })
    }
}

/// What one frame carries of a message.
#[derive(Debug, PartialEq, Eq)]
struct Piece<'a> {
    bytes: &'a [u8],
    is_first: bool,
    is_last: bool,
}

/// Pings that are on their way.
#[derive(Debug, Default)]
struct Pings {
    /// When the latest was written; its payload says the same, so that no other pong can answer it.
    sent: std::cell::Cell<Option<Nanos>>,
}

impl Pings {
    /// The payload of a ping written now.
    fn send(&self, at: Nanos) -> [u8; 8] {
        self.sent.set(Some(at));
        at.to_be_bytes()
    }

    /// Takes a pong; one that nobody asked for says nothing (RFC 6455 §5.5.3).
    fn answered(&self, session: &Session, payload: &[u8]) {
        let at = now();
        match self.sent.get() {
            Some(sent) if payload == sent.to_be_bytes() => {
                self.sent.set(None);
                session.sink.on_pong(session.id, at - sent);
            }
            _ => {}
        }
    }
}

/// Asks for a ping every so often, sessions spread evenly over the period.
async fn keep_pinging(session: &Session, every: Option<Duration>) -> Infallible {
    let Some(every) = every.filter(|e| !e.is_zero()) else { return pending().await };
    let period = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
    tokio::time::sleep(Duration::from_nanos(seed::pick(0, session.id.into(), period))).await;
    loop {
        session.outbox.ping();
        tokio::time::sleep(every).await;
    }
}

/// Why an engine reads no more.
enum Stop {
    /// The target's Close, with its code.
    Closed(Option<u16>),
    /// The end of the stream, without a Close.
    End,
    /// The stream broke.
    Broken(Failure),
    /// The target broke RFC 6455; with the code of the Close that says so.
    Violation(u16, Failure),
}

/// How a session ends whose engine stopped reading.
async fn end(session: &Session, stream: &Counted, stop: Stop) -> Ended {
    match stop {
        Stop::Closed(code) => {
            session.target_closes(code);
            // Whatever follows is discarded (RFC 6455 §1.4); some servers reset what they have closed.
            while let Ok(Read::Bytes(())) = stream.read_with(|_, _| ()).await {}
            session.closed()
        }
        Stop::End if session.closed_by_us() => session.cut_off("the stream ended without an answer to our Close"),
        Stop::End => session.cut_off("the stream ended without a Close"),
        Stop::Broken(failure) => session.broken(failure),
        Stop::Violation(code, failure) => session.fail(code, failure).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_into_fragments_of_the_size_asked_for() {
        let cut = |fragment: usize, payload: &'static [u8]| {
            let frames = Frames { fragment, ping_every: None };
            frames.cut(payload).map(|p| (p.bytes, p.is_first, p.is_last)).collect::<Vec<_>>()
        };
        assert_eq!(
            cut(3, b"abcdefg"),
            [(b"abc".as_slice(), true, false), (b"def".as_slice(), false, false), (b"g".as_slice(), false, true)]
        );
        assert_eq!(cut(3, b"abc"), [(b"abc".as_slice(), true, true)]);
        assert_eq!(cut(usize::MAX, b"abcdefg"), [(b"abcdefg".as_slice(), true, true)]);
        assert_eq!(cut(3, b""), [(b"".as_slice(), true, true)]);
    }
}
