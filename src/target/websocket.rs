//! The WebSocket face: what an upgrade comes to is decided here, once; frames are the engine's affair. Our own engine is on
//! the reactor; a session of a library has tasks, and so has one that is a stream of HTTP/2 (`tunnel.rs`).

use super::join::Refusal;
use super::outbox::Message;
use super::place::{PlaceName, value};
use super::server::Core;
use super::session::Session;
use super::socket::Socket;
use super::stream::{HANDSHAKE, linger, read_some, refuse};
use crate::catalog::{BadUpgrade, Engine};
use crate::codec::CodecError;
use crate::codec::upgrade::{self, Request};
use crate::codec::websocket::deflate::Agreed;
use bytes::Bytes;
use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use tokio::time::timeout;

mod fast;
mod native;
mod tungstenite;
mod tunnel;

pub use native::Websocket;
pub use tunnel::enter;

/// What a library makes of the bytes it read.
#[derive(Debug, PartialEq, Eq)]
enum Incoming {
    Message(Message),
    /// A frame that the protocol owes: a pong.
    Answer(Bytes),
    /// The last word: the client's close, or bytes that break RFC 6455; with the close frame that is owed for it.
    End(Option<Bytes>),
}

/// Serves a client by one of the libraries.
pub async fn serve(core: Rc<Core>, socket: Socket) -> io::Result<()> {
    let Some((request, early)) = timeout(HANDSHAKE, read_head(&core, &socket)).await?? else { return Ok(()) };
    core.network.inbound.cross().await;
    let Accepted { place, answer, .. } = match accept(&core, request) {
        Ok(accepted) => accepted,
        Err(refusal) => return refuse(&core, &socket, &refusal).await,
    };
    let closing = place.is_to_close();
    let session = Session::join(&core, place, answer.into());
    if !closing {
        let session = Rc::downgrade(&session);
        keep_alive(&core, move |frame| session.upgrade()?.send_unasked(frame));
    }
    let socket = Rc::new(socket);
    let close_sent = Rc::new(Cell::new(false));
    let (reader, writing) = if core.engine == Engine::Tungstenite {
        let reader = tungstenite::Reader::new(early, socket.clone(), close_sent.clone());
        (Reader::Tungstenite(reader), session.start_writing(&socket, tungstenite::encoder(close_sent)))
    } else {
        let reader = fast::Reader::new(early, socket.clone(), close_sent.clone());
        (Reader::Fast(reader), session.start_writing(&socket, fast::encoder(close_sent)))
    };
    session.clone().run(read(&core, &session, reader), writing, linger(&core, &socket)).await
}

/// A client that may come in.
struct Accepted {
    place: PlaceName,
    /// What says so.
    answer: Vec<u8>,
    /// How its messages are compressed, if they are.
    deflate: Option<Agreed>,
}

/// What a client may join by its request; or the answer that turns it away. Only our own engine compresses.
fn accept(core: &Core, request: Result<Request, CodecError>) -> Result<Accepted, Vec<u8>> {
    let request = request.map_err(|problem| answer("400 Bad Request", &problem.to_string()))?;
    let token = request.path.split_once('?').and_then(|(_, query)| value(query, "token"));
    let place = core.admit(&request.path, token.as_deref()).map_err(|refusal| {
        let status = if refusal == Refusal::Token { "401 Unauthorized" } else { "404 Not Found" };
        answer(status, &refusal.to_string())
    })?;
    if let Some(bad) = core.oracle.as_ref().and_then(|oracle| oracle.bad_upgrade()) {
        return Err(bad_answer(bad, &request));
    }
    let is_native = core.engine == Engine::Native;
    let deflate = request.extensions.as_deref().filter(|_| is_native).and_then(Agreed::of_offers);
    let extensions = deflate.map(Agreed::header);
    let subprotocol = request.subprotocols.first().map(String::as_str);
    let answer = upgrade::write_response_with(&request.key, subprotocol, extensions.as_deref());
    Ok(Accepted { place, answer, deflate })
}

/// Pings a session by `send`, and sends it pongs, if the oracle wants it. An empty control frame is these two bytes
/// whichever engine would write it.
fn keep_alive(core: &Core, send: impl Fn(&'static [u8]) -> Option<bool> + Clone + 'static) {
    let Some(oracle) = &core.oracle else { return };
    let again = send.clone();
    oracle.keep_alive(move || send(b"\x89\x00"), move || again(b"\x8A\x00"));
}

/// What an upgrade is answered wrongly on purpose.
fn bad_answer(bad: BadUpgrade, request: &Request) -> Vec<u8> {
    let status = match bad {
        BadUpgrade::TooManyRequests => "429 Too Many Requests",
        BadUpgrade::Unavailable => "503 Service Unavailable",
        // The right answer to another key.
        BadUpgrade::Accept => return upgrade::write_response(&format!("not {}", request.key), None),
    };
    answer(&format!("{status}\r\nRetry-After: 1"), "on purpose")
}

/// Either library's reading side.
enum Reader {
    Fast(fast::Reader),
    Tungstenite(tungstenite::Reader),
}

impl Reader {
    async fn next(&mut self, core: &Core) -> io::Result<Incoming> {
        match self {
            Reader::Fast(reader) => reader.next().await,
            Reader::Tungstenite(reader) => reader.next(core).await,
        }
    }
}

/// Reads to the client's last word; returns what is owed for it.
async fn read(core: &Core, session: &Rc<Session>, mut reader: Reader) -> io::Result<Option<Bytes>> {
    loop {
        match reader.next(core).await? {
            Incoming::Message(message) => session.arrived(message),
            Incoming::Answer(frame) => session.answered(frame),
            Incoming::End(frame) => return Ok(frame),
        }
        core.network.inbound.room().await;
    }
}

type Head = (Result<Request, CodecError>, Vec<u8>);

/// The client's request, and the bytes that came with it; `None` if it went away before.
async fn read_head(core: &Core, socket: &Socket) -> io::Result<Option<Head>> {
    let mut bytes = Vec::new();
    while read_some(core, socket, |read| bytes.extend_from_slice(read)).await?.is_some() {
        match upgrade::read_request(&bytes) {
            Ok(Some((request, head_len))) => return Ok(Some((Ok(request), bytes.split_off(head_len)))),
            Ok(None) => {}
            Err(problem) => return Ok(Some((Err(problem), Vec::new()))),
        }
    }
    Ok(None)
}

fn answer(status: &str, problem: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{problem}", problem.len()).into_bytes()
}

/// An encoder's answer for an item after which more may come.
const GOES_ON: ControlFlow<()> = ControlFlow::Continue(());
