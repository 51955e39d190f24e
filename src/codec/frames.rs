//! What RFC 6455 asks of the frames that come, beyond what the fastwebsockets reader checks; for either end.
//!
//! The reader itself refuses reserved bits and opcodes, fragmented control frames, and text in one frame that isn't UTF-8.
//! It takes frames with a mask from servers and without one from clients, knows no messages of several frames, and leaves
//! closes alone when it isn't to answer them.

use super::MAX_MESSAGE;
use super::websocket::{Arrival, LARGEST_CONTROL, Violation, read_close};
use crate::catalog::Format;
use fastwebsockets::{Frame, OpCode, Role, WebSocketError};

/// For what the reader refused; a stream that ended or broke is no violation, and the caller's to tell apart.
impl From<WebSocketError> for Violation {
    fn from(error: WebSocketError) -> Violation {
        match error {
            WebSocketError::FrameTooLarge => Violation::TooLarge,
            WebSocketError::InvalidUTF8 => Violation::NotUtf8,
            other => Violation::Protocol(other.to_string().into()),
        }
    }
}

/// Checks frames one after the other and puts fragments together.
pub struct Assembler {
    role: Role,
    begun: Option<Format>,
    /// What came of the message that has begun.
    bytes: Vec<u8>,
    /// Length of the part of a text's `bytes` that is whole characters.
    characters: usize,
}

impl Assembler {
    /// `role`: of this end, as the reader's.
    pub fn new(role: Role) -> Assembler {
        Assembler { role, begun: None, bytes: Vec::new(), characters: 0 }
    }

    /// Takes the next frame; `None` if it is part of a message of which more is to come.
    pub fn take<'a>(&mut self, frame: &'a mut Frame) -> Result<Option<Arrival<'a>>, Violation> {
        match (is_masked(frame), self.role) {
            (false, Role::Server) => return Err(Violation::protocol("a frame without a mask from a client")),
            (true, Role::Client) => return Err(Violation::protocol("a masked frame from a server")),
            (true, Role::Server) | (false, Role::Client) => {}
        }
        let payload = &*frame.payload;
        match frame.opcode {
            OpCode::Text => self.begin(Format::Text, frame.fin, payload),
            OpCode::Binary => self.begin(Format::Binary, frame.fin, payload),
            OpCode::Continuation => self.extend(frame.fin, payload),
            _ if payload.len() > LARGEST_CONTROL => Err(Violation::protocol("a control frame of over 125 bytes")),
            OpCode::Ping => Ok(Some(Arrival::Ping(payload))),
            OpCode::Pong => Ok(Some(Arrival::Pong(payload))),
            OpCode::Close => Ok(Some(Arrival::Close(read_close(payload)?))),
        }
    }

    fn begin<'a>(&mut self, format: Format, fin: bool, payload: &'a [u8]) -> Result<Option<Arrival<'a>>, Violation> {
        if self.begun.is_some() {
            return Err(Violation::protocol("a new message inside a fragmented one"));
        }
        if fin {
            return Ok(Some(Arrival::Message(format, payload.into())));
        }
        self.begun = Some(format);
        self.characters = 0;
        self.extend(false, payload)
    }

    fn extend<'a>(&mut self, fin: bool, payload: &[u8]) -> Result<Option<Arrival<'a>>, Violation> {
        let format = self.begun.ok_or(Violation::protocol("a continuation of nothing"))?;
        if self.bytes.len() + payload.len() > MAX_MESSAGE {
            return Err(Violation::TooLarge);
        }
        self.bytes.extend_from_slice(payload);
        if format == Format::Text {
            self.check_characters(fin)?;
        }
        if !fin {
            return Ok(None);
        }
        self.begun = None;
        Ok(Some(Arrival::Message(format, std::mem::take(&mut self.bytes).into())))
    }

    /// A fragment may end within a character, the message may not.
    fn check_characters(&mut self, fin: bool) -> Result<(), Violation> {
        let new = &self.bytes[self.characters..];
        self.characters += match std::str::from_utf8(new) {
            Ok(_) => new.len(),
            Err(error) if fin || error.error_len().is_some() => return Err(Violation::NotUtf8),
            Err(error) => error.valid_up_to(),
        };
        Ok(())
    }
}

/// The reader reads a frame's mask but doesn't tell; the frame's head as it would be written does.
fn is_masked(frame: &mut Frame) -> bool {
    let mut head = [0; 16];
    frame.fmt_head(&mut head);
    head[1] & 0x80 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use OpCode::{Binary, Continuation, Text};

    /// The messages of frames from a server, or the close code that is owed for them.
    fn assembled(frames: &[(OpCode, bool, &[u8])]) -> Result<Vec<Vec<u8>>, u16> {
        let mut assembler = Assembler::new(Role::Client);
        let mut got = Vec::new();
        for (opcode, fin, payload) in frames {
            let mut frame = Frame::new(*fin, *opcode, None, (*payload).into());
            let arrival = assembler.take(&mut frame).map_err(|violation| violation.close_code())?;
            if let Some(Arrival::Message(_, message)) = arrival {
                got.push(message.into_owned());
            }
        }
        Ok(got)
    }

    #[test]
    fn fragments_become_the_message_they_were() {
        // The second fragment begins in the middle of a character, and an empty one comes between.
        let frames: &[(OpCode, bool, &[u8])] = &[
            (Text, false, b"a\xC2"),
            (Continuation, false, b""),
            (OpCode::Ping, true, b"x"),
            (Continuation, false, b"\xB5"),
            (Continuation, true, b""),
            (Text, true, b"z"),
            (Binary, false, b"\xC2"),
            (Continuation, true, b"\xC2"),
        ];
        assert_eq!(assembled(frames).unwrap(), ["aµ".as_bytes(), b"z", b"\xC2\xC2"]);
    }

    #[test]
    fn fragments_out_of_order_or_too_large_are_refused() {
        assert_eq!(assembled(&[(Continuation, true, b"x")]), Err(1002));
        assert_eq!(assembled(&[(Text, false, b"x"), (Text, true, b"x")]), Err(1002));
        let half = vec![0; MAX_MESSAGE / 2 + 1];
        assert_eq!(assembled(&[(Binary, false, &half), (Continuation, true, &half)]), Err(1009));
    }

    #[test]
    fn text_is_refused_at_the_fragment_that_spoils_it() {
        assert_eq!(
            assembled(&[(Text, false, b"ab\xC2"), (Continuation, false, b"\xB5"), (Continuation, false, b"x")]),
            Ok(vec![])
        );
        assert_eq!(assembled(&[(Text, false, b"ab\xC2"), (Continuation, false, b"x")]), Err(1007));
        assert_eq!(assembled(&[(Text, false, b"\xFF")]), Err(1007));
        assert_eq!(assembled(&[(Text, false, b"a"), (Continuation, true, b"\xC2")]), Err(1007));
    }

    #[test]
    fn control_frames_are_short() {
        for opcode in [OpCode::Ping, OpCode::Pong, OpCode::Close] {
            assert_eq!(assembled(&[(opcode, true, &[3; 126])]), Err(1002), "{opcode:?}");
        }
    }

    #[test]
    fn a_mask_belongs_to_clients_alone() {
        for (role, mask) in [(Role::Client, Some([1, 2, 3, 4])), (Role::Server, None)] {
            let mut frame = Frame::new(true, Binary, mask, b"x".as_slice().into());
            assert_eq!(Assembler::new(role).take(&mut frame).unwrap_err().close_code(), 1002);
        }
    }
}
