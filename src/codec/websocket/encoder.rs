//! Messages and control frames → bytes.

use super::deflate::Deflater;
use super::head::{COMPRESSED, Control, Head, Kind};
use super::{LARGEST_CONTROL, Role, mask};
use crate::catalog::Format;
use rand::Rng as _;
use rand::rngs::ChaCha8Rng;

/// The longest head, bytes.
const LARGEST_HEAD: usize = 14;

/// Writes frames as its end must: a client's with a mask each, a server's without, so that one frame of a server can go to
/// any number of sessions.
///
/// A mask must not be foreseeable by whoever chose the payload (§10.3). ChaCha with eight rounds, keyed by the system
/// once for each encoder, is a cipher that nobody has broken; it makes masks by the block, some nanoseconds each.
#[derive(Debug)]
pub struct Encoder {
    masks: Option<Box<ChaCha8Rng>>,
}

impl Encoder {
    /// `role`: of this end.
    pub fn new(role: Role) -> Encoder {
        Encoder { masks: (role == Role::Client).then(|| Box::new(rand::make_rng())) }
    }

    /// Appends a message in frames of at most `fragment` bytes each (at least 1; `usize::MAX`: in one frame). Whether a
    /// text is UTF-8 is the caller's to know.
    #[inline]
    pub fn message(&mut self, format: Format, payload: &[u8], fragment: usize, out: &mut Vec<u8>) {
        let mut kind = Kind::Message(format);
        let mut rest = payload;
        while let Some((piece, more)) = rest.split_at_checked(fragment.max(1)).filter(|(_, more)| !more.is_empty()) {
            self.frame(kind, false, piece, out);
            kind = Kind::Continuation;
            rest = more;
        }
        self.frame(kind, true, rest, out);
    }

    /// As [`message`](Self::message), compressed by `deflater` if that compresses at all.
    pub fn deflated(
        &mut self,
        deflater: &mut Deflater,
        format: Format,
        payload: &[u8],
        fragment: usize,
        out: &mut Vec<u8>,
    ) {
        let (mut carrier, begun) = (Vec::new(), out.len());
        if deflater.message(payload, &mut carrier) {
            self.message(format, &carrier, fragment, out);
            out[begun] |= COMPRESSED;
        } else {
            self.message(format, payload, fragment, out);
        }
    }

    /// Appends a Ping; `payload` of at most [`LARGEST_CONTROL`] bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.control(Control::Ping, payload, out);
    }

    /// Appends a Pong; `payload` of at most [`LARGEST_CONTROL`] bytes, as a Ping that arrived has it.
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.control(Control::Pong, payload, out);
    }

    /// Appends a Close, with `code` if there is one, and no reason.
    pub fn close(&mut self, code: Option<u16>, out: &mut Vec<u8>) {
        match code {
            Some(code) => self.control(Control::Close, &code.to_be_bytes(), out),
            None => self.control(Control::Close, &[], out),
        }
    }

    fn control(&mut self, control: Control, payload: &[u8], out: &mut Vec<u8>) {
        debug_assert!(payload.len() <= LARGEST_CONTROL, "a control frame of {} bytes", payload.len());
        self.frame(Kind::Control(control), true, payload, out);
    }

    #[inline]
    fn frame(&mut self, kind: Kind, fin: bool, payload: &[u8], out: &mut Vec<u8>) {
        let mask = self.masks.as_mut().map(|masks| masks.next_u32().to_ne_bytes());
        out.reserve(LARGEST_HEAD + payload.len());
        Head::write(kind, fin, mask, payload.len(), out);
        match mask {
            Some(mask) => mask::append(mask, payload, out),
            None => out.extend_from_slice(payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn wire(role: Role, write: impl Fn(&mut Encoder, &mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Encoder::new(role), &mut out);
        out
    }

    #[test]
    fn a_server_writes_what_the_rfc_shows() {
        // The frames of §5.7.
        let message = |fragment: usize| wire(Role::Server, |e, out| e.message(Format::Text, b"Hello", fragment, out));
        assert_eq!(message(usize::MAX), b"\x81\x05Hello");
        assert_eq!(message(3), b"\x01\x03Hel\x80\x02lo");
        assert_eq!(wire(Role::Server, |e, out| e.ping(b"Hello", out)), b"\x89\x05Hello");
        for (size, head) in [(256, b"\x82\x7E\x01\x00".as_slice()), (65536, b"\x82\x7F\0\0\0\0\0\x01\0\0")] {
            let message = wire(Role::Server, |e, out| e.message(Format::Binary, &vec![7; size], usize::MAX, out));
            assert_eq!(message, [head, &vec![7; size]].concat());
        }
    }

    #[test]
    fn lengths_take_as_few_bytes_as_they_can() {
        for (size, head) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)] {
            let message = |role| wire(role, |e, out| e.message(Format::Binary, &vec![7; size], usize::MAX, out));
            assert_eq!(message(Role::Server).len(), head + size);
            assert_eq!(message(Role::Client).len(), head + 4 + size);
        }
    }

    #[test]
    fn a_message_is_cut_into_fragments_of_the_size_asked_for() {
        let cut =
            |fragment, payload: &[u8]| wire(Role::Server, |e, out| e.message(Format::Binary, payload, fragment, out));
        assert_eq!(cut(3, b"abcdefg"), b"\x02\x03abc\x00\x03def\x80\x01g");
        assert_eq!(cut(3, b"abcdef"), b"\x02\x03abc\x80\x03def");
        assert_eq!(cut(3, b"abc"), b"\x82\x03abc");
        assert_eq!(cut(3, b""), b"\x82\x00");
        assert_eq!(cut(0, b"ab"), b"\x02\x01a\x80\x01b");
    }

    #[test]
    fn control_frames_carry_what_they_are_given() {
        assert_eq!(wire(Role::Server, |e, out| e.pong(b"x", out)), b"\x8A\x01x");
        assert_eq!(wire(Role::Server, |e, out| e.close(Some(1001), out)), b"\x88\x02\x03\xE9");
        assert_eq!(wire(Role::Server, |e, out| e.close(None, out)), b"\x88\x00");
        assert_eq!(wire(Role::Client, |e, out| e.close(None, out))[..2], *b"\x88\x80");
    }

    #[test]
    fn every_frame_of_a_client_has_a_mask_of_its_own() {
        let frames = wire(Role::Client, |e, out| e.message(Format::Binary, &[0; 1000], 10, out));
        let masks: HashSet<&[u8]> = frames.chunks(16).map(|frame| &frame[2..6]).collect();
        // Two of a hundred may be the same by chance, once in a million times.
        assert!(masks.len() > 97);
        assert!(!masks.contains([0; 4].as_slice()));
        for frame in frames.chunks(16) {
            assert!(frame[6..].iter().enumerate().all(|(i, byte)| *byte == frame[2 + i % 4]));
        }
        // Nor has another encoder the same ones.
        let others = wire(Role::Client, |e, out| e.message(Format::Binary, &[0; 1000], 10, out));
        assert!(others.chunks(16).filter(|frame| masks.contains(&frame[2..6])).count() < 3);
    }
}
