//! The fastwebsockets engine: its frame reader, its frame writer and its mask; pings and closing are here, and what it
//! doesn't check of frames is `codec::frames`'.
//!
//! Its reader isn't cancel-safe, so one future owns it from the handshake to the target's Close or the end of the stream.

use super::{Bytes, Frames, Pings, end, keep_pinging};
use crate::catalog::Format;
use crate::clock::{Nanos, now};
use crate::codec::MAX_MESSAGE;
use crate::codec::frames::Assembler;
use crate::codec::websocket::{Arrival, Violation};
use crate::transport::Ended;
use crate::transport::closing::Stop;
use crate::transport::queue::Item;
use crate::transport::session::Session;
use crate::transport::stream::{self, CloseBy};
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocketError, WebSocketRead, after_handshake_split};
use std::convert::Infallible;
use std::future::{Ready, ready};

pub(super) async fn live(session: &Session, stream: impl Bytes, frames: Frames) -> Ended {
    let pings = Pings::default();
    let write = stream::write(session, stream.clone(), CloseBy::Frame, |item, at, wire| {
        encode(item, at, frames, &pings, wire);
    });
    let (mut reader, _) = after_handshake_split(stream.clone(), tokio::io::sink(), Role::Client);
    reader.set_auto_close(false);
    reader.set_auto_pong(false);
    reader.set_max_message_size(MAX_MESSAGE + 1);
    tokio::select! {
        biased;
        never = write => match never {},
        never = keep_pinging(session, frames.ping_every) => match never {},
        ended = async { end(session, &stream, read(session, &mut reader, &pings).await).await } => ended,
    }
}

/// Appends an item as frames.
fn encode(item: Item, at: Nanos, frames: Frames, pings: &Pings, wire: &mut Vec<u8>) {
    match item {
        Item::Pong(payload) => append(Frame::pong(payload.into()), wire),
        Item::Ping => {
            let payload = pings.send(at).to_vec();
            append(Frame::new(true, OpCode::Ping, None, payload.into()), wire);
        }
        Item::Message(message) => {
            let opcode = match message.format {
                Format::Text => OpCode::Text,
                Format::Binary => OpCode::Binary,
            };
            for piece in frames.cut(&message.bytes) {
                let opcode = if piece.is_first { opcode } else { OpCode::Continuation };
                append(Frame::new(piece.is_last, opcode, None, piece.bytes.into()), wire);
            }
        }
        Item::Close(Some(code)) => append(Frame::close(code, b""), wire),
        Item::Close(None) => append(Frame::close_raw(Payload::Borrowed(b"")), wire),
    }
}

fn append(mut frame: Frame, wire: &mut Vec<u8>) {
    frame.mask();
    let mut head = [0; 16];
    let head_len = frame.fmt_head(&mut head);
    wire.extend_from_slice(&head[..head_len]);
    wire.extend_from_slice(&frame.payload);
}

async fn read(session: &Session, reader: &mut WebSocketRead<impl Bytes>, pings: &Pings) -> Stop {
    let mut assembler = Assembler::new(Role::Client);
    // Nothing is answered by the engine itself, so there is nothing for it to send.
    let mut obliged = |_: Frame<'static>| -> Ready<Result<(), Infallible>> { ready(Ok(())) };
    loop {
        let mut frame = match reader.read_frame(&mut obliged).await {
            Ok(frame) => frame,
            Err(WebSocketError::UnexpectedEOF) => return Stop::End,
            Err(WebSocketError::IoError(error)) => return Stop::Broken(error.into()),
            Err(error) => return violated(&error.into()),
        };
        let at = now();
        match assembler.take(&mut frame) {
            Ok(None) => {}
            Ok(Some(Arrival::Message(format, payload))) => {
                if let Err(failure) = session.deliver(&payload, Some(format), at) {
                    return Stop::Broken(failure);
                }
            }
            Ok(Some(Arrival::Ping(payload))) => session.outbox.pong(payload),
            Ok(Some(Arrival::Pong(payload))) => pings.answered(session, payload),
            Ok(Some(Arrival::Close(code))) => return Stop::Closed(code),
            Err(violation) => return violated(&violation),
        }
    }
}

fn violated(violation: &Violation) -> Stop {
    Stop::Violation(violation.close_code(), violation.into())
}
