//! The WebSocket face: the upgrade is done here, once; frames are the engine's affair.

use super::join::Refusal;
use super::outbox::Message;
use super::place::value;
use super::server::Core;
use super::session::Session;
use super::stream::{HANDSHAKE, read_some, refuse};
use crate::catalog::{BadUpgrade, Engine};
use crate::codec::CodecError;
use crate::codec::upgrade::{self, Request};
use bytes::Bytes;
use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use tokio::net::TcpStream;
use tokio::time::timeout;

mod fast;
mod tungstenite;

/// What an engine makes of the bytes it read.
#[derive(Debug, PartialEq, Eq)]
enum Incoming {
    Message(Message),
    /// A frame that the protocol owes: a pong.
    Answer(Bytes),
    /// The last word: the client's close, or bytes that break RFC 6455; with the close frame that is owed for it.
    End(Option<Bytes>),
}

pub async fn serve(core: Rc<Core>, socket: TcpStream) -> io::Result<()> {
    let Some((request, early)) = timeout(HANDSHAKE, read_head(&core, &socket)).await?? else { return Ok(()) };
    core.network.inbound.cross().await;
    let request = match request {
        Ok(request) => request,
        Err(problem) => return refuse(&core, &socket, &answer("400 Bad Request", &problem.to_string())).await,
    };
    let token = request.path.split_once('?').and_then(|(_, query)| value(query, "token"));
    let place = match core.admit(&request.path, token.as_deref()) {
        Ok(place) => place,
        Err(refusal) => {
            let status = if refusal == Refusal::Token { "401 Unauthorized" } else { "404 Not Found" };
            return refuse(&core, &socket, &answer(status, &refusal.to_string())).await;
        }
    };
    if let Some(bad) = core.oracle.as_ref().and_then(|oracle| oracle.bad_upgrade()) {
        return refuse(&core, &socket, &bad_answer(bad, &request)).await;
    }
    let closing = place.greeting().is_some_and(|greeting| greeting.then_close);
    let accepted = upgrade::write_response(&request.key, request.subprotocols.first().map(String::as_str));
    let session = Session::join(&core, place, accepted.into());
    if !closing {
        keep_alive(&core, &session);
    }
    let socket = Rc::new(socket);
    let close_sent = Rc::new(Cell::new(false));
    let (reader, writing) = match core.engine {
        Engine::Native | Engine::Fastwebsockets => (
            Reader::Fast(fast::Reader::new(early, socket.clone(), close_sent.clone())),
            session.start_writing(&socket, fast::encoder(close_sent)),
        ),
        Engine::Tungstenite => (
            Reader::Tungstenite(tungstenite::Reader::new(early, socket.clone(), close_sent.clone())),
            session.start_writing(&socket, tungstenite::encoder(close_sent)),
        ),
    };
    session.clone().run(&socket, read(&core, &session, reader), writing).await
}

/// Pings the session, and sends it pongs, if the oracle wants it. An empty control frame is these two bytes whichever
/// engine would write it.
fn keep_alive(core: &Core, session: &Rc<Session>) {
    let Some(oracle) = &core.oracle else { return };
    let send = |frame: &'static [u8]| {
        let session = Rc::downgrade(session);
        move || session.upgrade()?.send_unasked(frame)
    };
    oracle.keep_alive(send(b"\x89\x00"), send(b"\x8A\x00"));
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

/// Either engine's reading side.
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
async fn read_head(core: &Core, socket: &TcpStream) -> io::Result<Option<Head>> {
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
