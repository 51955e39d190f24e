//! fastwebsockets as the engine: it reads and writes frames; messages are made of them by `codec::frames`, pongs and
//! closes here.
//!
//! Its own answers are switched off: it would answer at once, past the emulated network, and would answer our own close
//! with a second one.

use super::super::outbox::{Item, Message};
use super::super::socket::Socket;
use super::{GOES_ON, Incoming};
use crate::catalog::Format;
use crate::codec::MAX_MESSAGE;
use crate::codec::frames::Assembler;
use crate::codec::websocket::{Arrival, Violation};
use bytes::Bytes;
use fastwebsockets::{Frame, Payload, Role, WebSocketError, WebSocketRead, after_handshake_split};
use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf, sink};

/// Reads whole messages. `next` must be awaited to its end: half a frame that was read is lost when it is dropped.
pub struct Reader {
    frames: WebSocketRead<Stream>,
    assembler: Assembler,
    close_sent: Rc<Cell<bool>>,
}

impl Reader {
    /// `early`: what came together with the upgrade. `close_sent` is shared with the encoder.
    pub fn new(early: Vec<u8>, socket: Rc<Socket>, close_sent: Rc<Cell<bool>>) -> Reader {
        let (mut frames, _) = after_handshake_split(Stream { early: early.into(), socket }, sink(), Role::Server);
        frames.set_auto_close(false);
        frames.set_auto_pong(false);
        // The library refuses messages of exactly its limit.
        frames.set_max_message_size(MAX_MESSAGE + 1);
        Reader { frames, assembler: Assembler::new(Role::Server), close_sent }
    }

    pub async fn next(&mut self) -> io::Result<Incoming> {
        loop {
            let read = self.frames.read_frame(&mut |_| async { Ok::<(), WebSocketError>(()) }).await;
            let mut frame = match read {
                Ok(frame) => frame,
                Err(WebSocketError::IoError(error)) => return Err(error),
                Err(WebSocketError::UnexpectedEOF) => return Ok(Incoming::End(None)),
                Err(error) => return Ok(broken(&error.into(), &self.close_sent)),
            };
            match self.assembler.take(&mut frame) {
                Ok(arrival) => {
                    if let Some(incoming) = arrival.and_then(|arrival| incoming(arrival, &self.close_sent)) {
                        return Ok(incoming);
                    }
                }
                Err(violation) => return Ok(broken(&violation, &self.close_sent)),
            }
        }
    }
}

/// What `arrival` asks for; `None` if nothing.
fn incoming(arrival: Arrival, close_sent: &Cell<bool>) -> Option<Incoming> {
    match arrival {
        Arrival::Message(format, payload) => {
            Some(Incoming::Message(Message { format, payload: payload.into_owned().into() }))
        }
        Arrival::Ping(payload) => Some(Incoming::Answer(encode(Frame::pong(payload.into())))),
        Arrival::Pong(_) => None,
        // Answered with the same code, unless it is itself the answer to ours.
        Arrival::Close(Some(number)) => Some(owed(Frame::close(number, b""), close_sent)),
        Arrival::Close(None) => Some(owed(Frame::close_raw(Payload::Borrowed(&[])), close_sent)),
    }
}

fn broken(violation: &Violation, close_sent: &Cell<bool>) -> Incoming {
    owed(Frame::close(violation.close_code(), b""), close_sent)
}

fn owed(close: Frame, close_sent: &Cell<bool>) -> Incoming {
    let answered = close_sent.replace(true);
    Incoming::End((!answered).then(|| encode(close)))
}

pub fn encoder(close_sent: Rc<Cell<bool>>) -> impl FnMut(Item, &mut Vec<u8>) -> ControlFlow<()> {
    move |item, out| {
        match item {
            Item::Message(Message { format: Format::Text, payload }) => {
                append(Frame::text(Payload::Borrowed(&payload)), out);
            }
            Item::Message(Message { format: Format::Binary, payload }) => {
                append(Frame::binary(Payload::Borrowed(&payload)), out);
            }
            Item::Raw(bytes) => out.extend_from_slice(&bytes),
            Item::Close(number) if !close_sent.replace(true) => append(Frame::close(number, b""), out),
            Item::Close(_) => {}
            Item::End => return ControlFlow::Break(()),
        }
        GOES_ON
    }
}

fn encode(frame: Frame) -> Bytes {
    let mut out = Vec::new();
    append(frame, &mut out);
    out.into()
}

fn append(mut frame: Frame, out: &mut Vec<u8>) {
    // The longest head there is: two bytes, a length of eight and a mask of four, rounded up.
    let mut head = [0; 16];
    let head_len = frame.fmt_head(&mut head);
    out.extend_from_slice(&head[..head_len]);
    out.extend_from_slice(&frame.payload);
}

/// A socket's reading side, with the bytes that were read before.
struct Stream {
    early: Bytes,
    socket: Rc<Socket>,
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let n = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(n));
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.socket.poll_read_ready(context))?;
            match self.socket.try_read(buffer.initialize_unfilled()) {
                Ok(n) => {
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}
