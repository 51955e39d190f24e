//! The fastwebsockets engine: its frame reader, its frame writer and its mask; assembling, pings and closing are here.
//!
//! Its reader isn't cancel-safe, so one future owns it from the handshake to the end of the stream. Its own collector of
//! fragments has no limit on a message, and it takes masked frames from a server; both are checked here.

use super::{Frames, Pings, broke, ended, keep_pinging};
use crate::catalog::Format;
use crate::clock::{Nanos, now};
use crate::codec::MAX_MESSAGE;
use crate::transport::counted::Counted;
use crate::transport::outbox::Item;
use crate::transport::session::Session;
use crate::transport::stream::{self, CloseBy};
use crate::transport::{Ended, ErrorClass, Failure};
use fastwebsockets::{CloseCode, Frame, OpCode, Payload, Role, WebSocketError, WebSocketRead, after_handshake_split};
use std::convert::Infallible;
use std::future::{Ready, ready};

/// Largest payload of a control frame, bytes (RFC 6455 §5.5).
const MAX_CONTROL: usize = 125;

pub(super) async fn live(session: &Session, stream: Counted, frames: Frames) -> Ended {
    let pings = Pings::default();
    let write = stream::write(session, stream.clone(), CloseBy::Frame, |item, at, wire| {
        encode(item, at, frames, &pings, wire);
    });
    let (mut reader, _) = after_handshake_split(stream, tokio::io::sink(), Role::Client);
    reader.set_auto_close(false);
    reader.set_auto_pong(false);
    reader.set_max_message_size(MAX_MESSAGE + 1);
    tokio::select! {
        biased;
        never = write => match never {},
        never = keep_pinging(session, frames.ping_every) => match never {},
        ended = read(session, &mut reader, &pings) => ended,
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
            for piece in frames.cut(&message.payload) {
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

async fn read(session: &Session, reader: &mut WebSocketRead<Counted>, pings: &Pings) -> Ended {
    let mut assembly = Assembly::default();
    // Nothing is answered by the engine itself, so there is nothing for it to send.
    let mut obliged = |_: Frame<'static>| -> Ready<Result<(), Infallible>> { ready(Ok(())) };
    loop {
        let result = match reader.read_frame(&mut obliged).await {
            Ok(frame) => take(session, frame, &mut assembly, pings),
            Err(WebSocketError::UnexpectedEOF) => return ended(session),
            Err(error) => Err(failure(error)),
        };
        if let Err(failure) = result {
            return broke(session, failure);
        }
    }
}

fn take(session: &Session, mut frame: Frame, assembly: &mut Assembly, pings: &Pings) -> Result<(), Failure> {
    let at = now();
    if is_masked(&mut frame) {
        return Err(protocol("a masked frame from a server"));
    }
    if session.target_closed() {
        return Err(protocol("a frame after the Close"));
    }
    let payload = &*frame.payload;
    match frame.opcode {
        OpCode::Text | OpCode::Binary | OpCode::Continuation => {
            assembly.push(frame.opcode, frame.fin, payload, |format, message| {
                session.deliver(message, Some(format), at);
            })
        }
        _ if payload.len() > MAX_CONTROL => Err(protocol("a control frame of over 125 bytes")),
        OpCode::Ping => {
            session.outbox.pong(payload);
            Ok(())
        }
        OpCode::Pong => {
            pings.answered(session, payload);
            Ok(())
        }
        OpCode::Close => {
            session.target_closes(close_code(payload)?);
            Ok(())
        }
    }
}

/// The engine reads a frame's mask but doesn't tell; its head as the engine would write it does.
fn is_masked(frame: &mut Frame) -> bool {
    let mut head = [0; 16];
    frame.fmt_head(&mut head);
    head[1] & 0x80 != 0
}

/// The code of a Close, as RFC 6455 §5.5.1 and §7.4 allow it.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Failure> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !CloseCode::from(code).is_allowed() {
                return Err(protocol(&format!("a Close with the code {code}, which may not be sent")));
            }
            std::str::from_utf8(reason).map_err(|_| protocol("a Close whose reason is not UTF-8"))?;
            Ok(Some(code))
        }
        _ => Err(protocol("a Close with half a code")),
    }
}

/// A message whose last fragment hasn't come.
#[derive(Default)]
struct Assembly {
    begun: Option<OpCode>,
    bytes: Vec<u8>,
}

impl Assembly {
    /// Takes a data frame, hands on the message if that makes it whole.
    fn push(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &[u8],
        deliver: impl FnOnce(Format, &[u8]),
    ) -> Result<(), Failure> {
        let first = match (opcode, self.begun) {
            (OpCode::Continuation, None) => return Err(protocol("a continuation of nothing")),
            (OpCode::Continuation, Some(first)) => first,
            (_, Some(_)) => return Err(protocol("a new message inside a fragmented one")),
            (opcode, None) => opcode,
        };
        let size = self.bytes.len() + payload.len();
        if size > MAX_MESSAGE {
            let detail = format!("a message of over {MAX_MESSAGE} bytes");
            return Err(Failure::new(ErrorClass::TooLarge, detail));
        }
        if !fin {
            self.begun = Some(first);
            self.bytes.extend_from_slice(payload);
            return Ok(());
        }
        self.begun = None;
        let collected = std::mem::take(&mut self.bytes);
        let whole = if collected.is_empty() { payload } else { &[&collected, payload].concat() };
        let format = if first == OpCode::Text { Format::Text } else { Format::Binary };
        if format == Format::Text && std::str::from_utf8(whole).is_err() {
            return Err(protocol("a text message that is not UTF-8"));
        }
        deliver(format, whole);
        Ok(())
    }
}

fn protocol(detail: &str) -> Failure {
    Failure::new(ErrorClass::Protocol, detail)
}

fn failure(error: WebSocketError) -> Failure {
    match error {
        WebSocketError::IoError(error) => error.into(),
        WebSocketError::FrameTooLarge => {
            Failure::new(ErrorClass::TooLarge, format!("a frame of over {MAX_MESSAGE} bytes"))
        }
        other => protocol(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(frames: &[(OpCode, bool, &[u8])]) -> Result<Vec<Vec<u8>>, ErrorClass> {
        let mut assembly = Assembly::default();
        let mut got = Vec::new();
        for (opcode, fin, payload) in frames {
            assembly.push(*opcode, *fin, payload, |_, m| got.push(m.to_vec())).map_err(|f| f.class)?;
        }
        Ok(got)
    }

    #[test]
    fn fragments_become_the_message_they_were() {
        use OpCode::{Continuation, Text};
        // The second fragment begins in the middle of a character.
        let frames: &[(OpCode, bool, &[u8])] =
            &[(Text, false, b"a\xC2"), (Continuation, false, b"\xB5"), (Continuation, true, b""), (Text, true, b"z")];
        assert_eq!(assembled(frames).unwrap(), ["aµ".as_bytes(), b"z"]);
    }

    #[test]
    fn fragments_out_of_order_too_large_or_not_text_are_refused() {
        use OpCode::{Binary, Continuation, Text};
        assert_eq!(assembled(&[(Continuation, true, b"x")]), Err(ErrorClass::Protocol));
        assert_eq!(assembled(&[(Text, false, b"x"), (Text, true, b"x")]), Err(ErrorClass::Protocol));
        assert_eq!(assembled(&[(Text, false, b"\xC2"), (Continuation, true, b"x")]), Err(ErrorClass::Protocol));
        let half = vec![0; MAX_MESSAGE / 2 + 1];
        assert_eq!(assembled(&[(Binary, false, &half), (Continuation, true, &half)]), Err(ErrorClass::TooLarge));
    }

    #[test]
    fn close_codes_are_checked() {
        assert_eq!(close_code(b"").unwrap(), None);
        assert_eq!(close_code(b"\x03\xE9bye").unwrap(), Some(1001));
        for bad in [b"\x03".as_slice(), b"\x03\xED", b"\x03\xE8\xFF"] {
            assert_eq!(close_code(bad).unwrap_err().class, ErrorClass::Protocol);
        }
    }
}
