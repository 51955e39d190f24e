//! WebSocket as a stream of HTTP/2 (RFC 8441), whichever engine the target has: our own codec, with tasks.

use super::native::{Writer, written};
use super::{Incoming, keep_alive};
use crate::catalog::BadUpgrade;
use crate::codec::websocket::{Arrival, Decoder, Role};
use crate::target::join::Refusal;
use crate::target::outbox::{Item, Message, Outbox};
use crate::target::outlet::Encode;
use crate::target::place::value;
use crate::target::server::Core;
use crate::target::session::Session;
use bytes::Bytes;
use hyper::StatusCode;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::spawn_local;

/// A client that may come in. Its place is taken already, so that nothing is lost to it from the answer on.
pub struct Entrant {
    core: Rc<Core>,
    session: Rc<Session>,
}

/// Lets a client into the place of `path`, or says by which status it is turned away.
pub fn enter(core: &Rc<Core>, path: &str) -> Result<Entrant, StatusCode> {
    let token = path.split_once('?').and_then(|(_, query)| value(query, "token"));
    let place = core.admit(path, token.as_deref()).map_err(|refusal| match refusal {
        Refusal::Token => StatusCode::UNAUTHORIZED,
        _ => StatusCode::NOT_FOUND,
    })?;
    match core.oracle.as_ref().and_then(|oracle| oracle.bad_upgrade()) {
        None => {}
        Some(BadUpgrade::TooManyRequests) => return Err(StatusCode::TOO_MANY_REQUESTS),
        // There is no accept here that could be wrong.
        Some(BadUpgrade::Unavailable | BadUpgrade::Accept) => return Err(StatusCode::SERVICE_UNAVAILABLE),
    }
    let closing = place.is_to_close();
    let session = Session::join(core, place, Bytes::new());
    if !closing {
        let session = Rc::downgrade(&session);
        keep_alive(core, move |frame| session.upgrade()?.send_unasked(frame));
    }
    Ok(Entrant { core: core.clone(), session })
}

impl Entrant {
    /// Serves the client once `stream` is there.
    pub fn serve<S: AsyncRead + AsyncWrite + 'static>(self, stream: impl Future<Output = io::Result<S>> + 'static) {
        spawn_local(async move {
            let Entrant { core, session } = self;
            let gone = || async { Ok(None) };
            let writer = Rc::new(Writer::default());
            match stream.await {
                Ok(stream) => {
                    let (read, write) = tokio::io::split(stream);
                    let encoder = writer.clone();
                    let writing =
                        session.start_writing_by(async move |_, outbox| write_out(outbox, write, &encoder).await);
                    // What a stream ends with is told by its own frames: there is nothing to linger for.
                    session.clone().run(hear(&core, &session, read, &writer), writing, async { Ok(()) }).await
                }
                Err(_) => {
                    let writing = session.start_writing_by(async |_, _| Ok(()));
                    session.run(gone(), writing, async { Ok(()) }).await
                }
            }
        });
    }
}

/// Reads to the client's last word; returns what is owed for it.
async fn hear<S: AsyncRead + AsyncWrite>(
    core: &Core,
    session: &Rc<Session>,
    mut stream: ReadHalf<S>,
    writer: &Writer,
) -> io::Result<Option<Bytes>> {
    let mut decoder = Decoder::new(Role::Server);
    let mut bytes = Vec::with_capacity(CHUNK);
    loop {
        bytes.clear();
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        for incoming in decoded(&mut decoder, &mut bytes, writer) {
            match incoming {
                Incoming::Message(message) => session.arrived(message),
                Incoming::Answer(frame) => session.answered(frame),
                Incoming::End(owed) => return Ok(owed),
            }
        }
        core.network.inbound.room().await;
    }
}

fn decoded(decoder: &mut Decoder, bytes: &mut [u8], writer: &Writer) -> VecDeque<Incoming> {
    let mut came = VecDeque::new();
    let pushed = decoder.push(bytes, |arrival| {
        match arrival {
            Arrival::Message(format, payload) => came.push_back(Incoming::Message(Message::new(format, &payload))),
            Arrival::Ping(payload) => {
                came.push_back(Incoming::Answer(written(|encoder, out| encoder.pong(payload, out))));
            }
            Arrival::Pong(_) => {}
            Arrival::Close(code) => came.push_back(Incoming::End(writer.owed(code))),
        }
        ControlFlow::Continue(())
    });
    if let Err(violation) = pushed {
        came.push_back(Incoming::End(writer.owed(Some(violation.close_code()))));
    }
    came
}

/// Bytes read at once, and encoded before they are written.
const CHUNK: usize = 16 * 1024;

/// Writes what comes to the outbox, until the last of it; then ends this direction.
async fn write_out<S: AsyncRead + AsyncWrite>(
    outbox: &Outbox,
    mut stream: WriteHalf<S>,
    writer: &Writer,
) -> io::Result<()> {
    let mut out = Vec::new();
    loop {
        let mut next = Some(outbox.next().await);
        let mut ended = false;
        while let Some(item) = next {
            match item {
                Item::Message(message) => writer.message(&message, &mut out),
                Item::Raw(bytes) => out.extend_from_slice(&bytes),
                Item::Close(code) => drop(writer.close(code, &mut out)),
                Item::End => ended = true,
            }
            next = if !ended && out.len() < CHUNK { outbox.pop() } else { None };
        }
        stream.write_all(&out).await?;
        stream.flush().await?;
        out.clear();
        out.shrink_to(CHUNK);
        if ended {
            return stream.shutdown().await;
        }
    }
}
