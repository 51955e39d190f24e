//! WebSocket: one opening handshake for all engines, then one of them: our own on the reactor, or a library's. By HTTP/2 a
//! session is a stream (`tunnel.rs`), which our own can't read.

use super::closing::{Closing, Stop};
use super::counted::Counted;
use super::headers::{Purpose, Said};
use super::io::{Io, Read, Socket, poll_read_with};
use super::joining::{Joined, Joining};
use super::net::{Ground, Runtime, dial};
use super::session::Session;
use super::speech::Speech;
use super::{ConnectPhases, Ended, Endpoint, ErrorClass, Failure, Opened, Opening};
use crate::catalog::{Engine, HttpVersion, Start, Websocket};
use crate::clock::{Nanos, now};
use crate::codec::upgrade::{self, Refused, Request, read_response, write_request};
use crate::codec::websocket::deflate::{self, Agreed, Deflater};
use crate::codec::websocket::{Decoder, Role};
use crate::dialect::{Talk, speak};
use crate::seed;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

mod fast;
pub(super) mod native;
mod polling;
mod tungstenite;
mod tunnel;

/// Opens a session of an engine that needs a task.
pub(super) async fn open(opening: &Opening, settings: &Websocket) -> Result<Opened, Failure> {
    if settings.http == HttpVersion::Two {
        return tunnel::open(opening, settings).await;
    }
    let speech = Speech::new(&opening.endpoint, &opening.place);
    // Whatever joining took came in whole messages: the engine begins behind them.
    let (joined, _, phases) = upgraded(&Runtime, opening, settings, &speech).await?;
    let frames = Frames::new(settings);
    let session = opening.session(speech, Some(settings.close_code));
    let stream = Counted::joined_by(joined, session.meter.clone());
    let connection = session.clone().run(live(session, settings.engine, stream, frames));
    Ok(Opened { connection, phases })
}

/// What a library's engine reads and writes, shared by its two halves.
trait Bytes: AsyncRead + AsyncWrite + Clone + Unpin {}
impl<T: AsyncRead + AsyncWrite + Clone + Unpin> Bytes for T {}

async fn live(session: Rc<Session>, engine: Engine, bytes: impl Bytes, frames: Frames) -> Ended {
    match engine {
        Engine::Tungstenite => tungstenite::live(&session, bytes, frames).await,
        _ => fast::live(&session, bytes, frames).await,
    }
}

/// What reads and writes a session's messages. The decoder is the one that what comes next belongs to.
struct Codec {
    decoder: Decoder,
    deflater: Deflater,
}

/// Connects, shakes hands, and joins.
async fn upgraded<G: Ground>(
    ground: &G,
    opening: &Opening,
    settings: &Websocket,
    speech: &Speech,
) -> Result<(Joined<G::Socket>, Codec, ConnectPhases), Failure> {
    let endpoint = &*opening.endpoint;
    if settings.start == Start::Polling {
        // Boxed, so that those who begin otherwise aren't as large.
        return Box::pin(polling::upgraded(ground, opening, settings, speech)).await;
    }
    let dialed = dial(ground, endpoint, settings.nodelay, opening.deadline).await?;
    let connected = now();
    let said = Said::new(endpoint, &opening.place, settings.headers, &settings.extra_headers, &settings.identity);
    let path = speak(&endpoint.dialect, &endpoint.token).upgrade_path(&opening.place);
    let shake = pin!(shake_hands(endpoint, settings, &said, path, Joining::new(dialed.io), speech.talk()));
    let what = "the WebSocket handshake";
    let joined = opening.deadline.bound(ground, ErrorClass::HandshakeTimeout, what, shake).await?;
    let ended = now();
    let phases = ConnectPhases {
        tcp: Some(dialed.tcp),
        tls: dialed.tls,
        upgrade: Some(ended - connected),
        total: ended - opening.began,
        ..ConnectPhases::default()
    };
    let (joining, codec, head) = joined;
    Ok((joining.joined(head), codec, phases))
}

/// Upgrades the connection by a request for `path`, and talks until `talk` says that it is joined, which is up to where in
/// what came.
async fn shake_hands<S: Socket>(
    endpoint: &Endpoint,
    settings: &Websocket,
    said: &Said,
    path: String,
    mut joining: Joining<Io<S>>,
    talk: Option<&dyn Talk>,
) -> Result<(Joining<Io<S>>, Codec, usize), Failure> {
    let request = Request {
        path,
        key: generate_key(),
        subprotocols: settings.subprotocols.clone(),
        extensions: settings.deflate.then(|| deflate::OFFER.to_owned()),
    };
    let mut headers = said.headers(Purpose::Upgrade);
    headers.extend(said.cookie.iter().map(|cookie| ("Cookie".to_owned(), cookie.clone())));
    joining.ask(&write_request(&said.host, &request, &headers)).await?;
    let whole =
        |answer: &[u8]| Ok(read_response(answer, &request)?.map(|to| ((to.subprotocol, to.extensions), to.head_len)));
    let ((chosen, extensions), mut head) = joining.answer("the answer to the upgrade", whole).await?;
    check_chosen(endpoint, settings, chosen.is_some())?;
    let mut decoder = Decoder::new(Role::Client);
    let mut deflater = Deflater::default();
    if settings.deflate {
        let agreed = agreed(extensions)?;
        endpoint.agreements.note(agreed.header());
        let inflater;
        (deflater, inflater) = agreed.for_client();
        decoder = decoder.inflating(inflater);
    }
    if let Some(talk) = talk {
        (_, head) = joining.talk(talk, &mut decoder, head).await?;
    }
    Ok((joining, Codec { decoder, deflater }, head))
}

/// A dialect that has a subprotocol needs it to be chosen, if it was offered.
fn check_chosen(endpoint: &Endpoint, settings: &Websocket, is_chosen: bool) -> Result<(), Failure> {
    if endpoint.dialect.kind().subprotocol().is_some() && !settings.subprotocols.is_empty() && !is_chosen {
        let detail = format!("the target chose no subprotocol of {}", settings.subprotocols.join(", "));
        return Err(Failure::new(ErrorClass::BadSubprotocol, detail));
    }
    Ok(())
}

/// What the target makes of the offer to compress. One that declines isn't what was asked for.
fn agreed(extensions: Option<String>) -> Result<Agreed, Failure> {
    let failure = |detail| Failure::new(ErrorClass::UpgradeInvalid, detail);
    let Some(answer) = extensions else {
        return Err(failure("the target doesn't compress (permessage-deflate); leave out `deflate`".to_owned()));
    };
    Agreed::of_answer(&answer)
        .ok_or_else(|| failure(format!("the server chose {answer:?}, which is not what was offered")))
}

impl From<upgrade::Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        let class = match &refused {
            Refused::Status { status } => ErrorClass::UpgradeStatus(*status),
            Refused::Accept { .. } => ErrorClass::BadAccept,
            Refused::Subprotocol(_) => ErrorClass::BadSubprotocol,
            Refused::Missing(_) | Refused::Extension(_) | Refused::Malformed(_) => ErrorClass::UpgradeInvalid,
        };
        Failure::new(class, refused.to_string())
    }
}

/// How messages become frames, whatever the engine.
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

    /// How long the ping took that a pong answers; one that nobody asked for says nothing (RFC 6455 §5.5.3).
    fn round_trip(&self, payload: &[u8], at: Nanos) -> Option<Nanos> {
        let sent = self.sent.get().filter(|sent| payload == sent.to_be_bytes())?;
        self.sent.set(None);
        Some(at.saturating_sub(sent))
    }

    fn answered(&self, session: &Session, payload: &[u8]) {
        if let Some(round_trip) = self.round_trip(payload, now()) {
            session.sink.on_pong(session.id, round_trip);
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

/// What is missing when the stream ends without a Close of the target's.
fn without_close(closing: &Closing) -> &'static str {
    match closing.is_by_us() {
        true => "the stream ended without an answer to our Close",
        false => "the stream ended without a Close",
    }
}

/// How a session ends whose engine stopped reading.
async fn end(session: &Session, stream: &impl Bytes, stop: Stop) -> Ended {
    match stop {
        Stop::Closed(code) => {
            session.target_closes(code);
            // Whatever follows is discarded (RFC 6455 §1.4); some servers reset what they have closed.
            let mut rest = stream.clone();
            let mut read =
                async || poll_fn(|cx| poll_read_with(|into| Pin::new(&mut rest).poll_read(cx, into), |_, _| ())).await;
            while let Ok(Read::Bytes(())) = read().await {}
            session.closing.closed()
        }
        Stop::End => session.closing.cut_off(without_close(&session.closing)),
        Stop::Broken(failure) => session.closing.broken(failure),
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
