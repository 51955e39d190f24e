//! fastwebsockets as the engine: it reads and writes frames; messages, pongs and closes are made of them here.
//!
//! Its own answers are switched off: it would answer at once, past the emulated network, and would answer our own close
//! with a second one.

use super::super::outbox::{Item, Message};
use super::{GOES_ON, Incoming, code};
use crate::catalog::Format;
use crate::codec::MAX_MESSAGE;
use bytes::{Bytes, BytesMut};
use fastwebsockets::{CloseCode, Frame, OpCode, Payload, Role, WebSocketError, WebSocketRead, after_handshake_split};
use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf, sink};
use tokio::net::TcpStream;

/// Most of a control frame's payload (RFC 6455 §5.5), bytes.
const LARGEST_CONTROL: usize = 125;

/// Reads whole messages. `next` must be awaited to its end: half a frame that was read is lost when it is dropped.
pub struct Reader {
    frames: WebSocketRead<Stream>,
    partial: Option<(Format, BytesMut)>,
    close_sent: Rc<Cell<bool>>,
}

impl Reader {
    /// `early`: what came together with the upgrade. `close_sent` is shared with the encoder.
    pub fn new(early: Vec<u8>, socket: Rc<TcpStream>, close_sent: Rc<Cell<bool>>) -> Reader {
        let (mut frames, _) = after_handshake_split(Stream { early: early.into(), socket }, sink(), Role::Server);
        frames.set_auto_close(false);
        frames.set_auto_pong(false);
        // The library refuses messages of exactly its limit.
        frames.set_max_message_size(MAX_MESSAGE + 1);
        Reader { frames, partial: None, close_sent }
    }

    pub async fn next(&mut self) -> io::Result<Incoming> {
        loop {
            let read = self.frames.read_frame(&mut |_| async { Ok::<(), WebSocketError>(()) }).await;
            let frame = match read {
                Ok(frame) => frame,
                Err(WebSocketError::IoError(error)) => return Err(error),
                Err(WebSocketError::UnexpectedEOF) => return Ok(Incoming::End(None)),
                Err(error) => return Ok(broken(code_for(&error), &self.close_sent)),
            };
            if let Some(incoming) = take(frame, &mut self.partial, &self.close_sent) {
                return Ok(incoming);
            }
        }
    }
}

/// What `frame` completes; `None` if more is to come.
fn take(frame: Frame, partial: &mut Option<(Format, BytesMut)>, close_sent: &Cell<bool>) -> Option<Incoming> {
    let format = match frame.opcode {
        OpCode::Text => Format::Text,
        OpCode::Binary => Format::Binary,
        OpCode::Continuation => return extend(frame, partial, close_sent),
        _ if frame.payload.len() > LARGEST_CONTROL => return Some(broken(code::PROTOCOL, close_sent)),
        OpCode::Pong => return None,
        OpCode::Ping => return Some(Incoming::Answer(encode(Frame::pong(frame.payload)))),
        OpCode::Close => return Some(closed(&frame.payload, close_sent)),
    };
    if partial.is_some() {
        return Some(broken(code::PROTOCOL, close_sent));
    }
    if frame.fin {
        return Some(Incoming::Message(Message::new(format, &frame.payload)));
    }
    *partial = Some((format, BytesMut::from(&frame.payload[..])));
    None
}

fn extend(frame: Frame, partial: &mut Option<(Format, BytesMut)>, close_sent: &Cell<bool>) -> Option<Incoming> {
    let Some((format, mut payload)) = partial.take() else { return Some(broken(code::PROTOCOL, close_sent)) };
    if payload.len() + frame.payload.len() > MAX_MESSAGE {
        return Some(broken(code::TOO_LARGE, close_sent));
    }
    payload.extend_from_slice(&frame.payload);
    if !frame.fin {
        *partial = Some((format, payload));
        return None;
    }
    if format == Format::Text && std::str::from_utf8(&payload).is_err() {
        return Some(broken(code::NOT_UTF8, close_sent));
    }
    Some(Incoming::Message(Message { format, payload: payload.freeze() }))
}

/// The client's close frame: answered with the same code, unless it is itself the answer to ours.
fn closed(payload: &[u8], close_sent: &Cell<bool>) -> Incoming {
    let Some((number, reason)) = payload.split_first_chunk::<2>() else {
        return match payload {
            [] => owed(Frame::close_raw(Payload::Borrowed(&[])), close_sent),
            _ => broken(code::PROTOCOL, close_sent),
        };
    };
    let number = u16::from_be_bytes(*number);
    if !CloseCode::from(number).is_allowed() {
        return broken(code::PROTOCOL, close_sent);
    }
    if std::str::from_utf8(reason).is_err() {
        return broken(code::NOT_UTF8, close_sent);
    }
    owed(Frame::close(number, b""), close_sent)
}

fn broken(number: u16, close_sent: &Cell<bool>) -> Incoming {
    owed(Frame::close(number, b""), close_sent)
}

fn owed(close: Frame, close_sent: &Cell<bool>) -> Incoming {
    let answered = close_sent.replace(true);
    Incoming::End((!answered).then(|| encode(close)))
}

fn code_for(error: &WebSocketError) -> u16 {
    match error {
        WebSocketError::FrameTooLarge => code::TOO_LARGE,
        WebSocketError::InvalidUTF8 => code::NOT_UTF8,
        _ => code::PROTOCOL,
    }
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
    socket: Rc<TcpStream>,
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
