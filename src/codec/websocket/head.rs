//! The head of a frame (§5.2).

use super::mask::Mask;
use super::{LARGEST_CONTROL, Role, Violation};
use crate::catalog::Format;
use crate::codec::MAX_MESSAGE;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
/// The first reserved bit: where compression was agreed on, that of a message that is compressed (RFC 7692 §6).
pub(super) const COMPRESSED: u8 = 0x40;
const MASKED: u8 = 0x80;
/// Length codes behind which the length stands in two and in eight bytes.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first frame of a message, or the only one.
    Message(Format),
    Continuation,
    Control(Control),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Close,
    Ping,
    Pong,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub kind: Kind,
    pub fin: bool,
    /// The message that begins here is compressed.
    pub compressed: bool,
    pub mask: Option<Mask>,
    /// Of the payload, bytes.
    pub len: usize,
    /// Of the head itself, bytes.
    pub size: usize,
}

impl Kind {
    fn of(opcode: u8) -> Result<Kind, Violation> {
        Ok(match opcode {
            0x0 => Kind::Continuation,
            0x1 => Kind::Message(Format::Text),
            0x2 => Kind::Message(Format::Binary),
            0x8 => Kind::Control(Control::Close),
            0x9 => Kind::Control(Control::Ping),
            0xA => Kind::Control(Control::Pong),
            _ => return Err(Violation::protocol("a frame with a reserved opcode")),
        })
    }

    fn opcode(self) -> u8 {
        match self {
            Kind::Continuation => 0x0,
            Kind::Message(Format::Text) => 0x1,
            Kind::Message(Format::Binary) => 0x2,
            Kind::Control(Control::Close) => 0x8,
            Kind::Control(Control::Ping) => 0x9,
            Kind::Control(Control::Pong) => 0xA,
        }
    }
}

impl Head {
    /// Reads the head that `bytes` begin with, and refuses it as soon as it is seen to break the rules; `None`: not whole
    /// yet. `role`: of this end; `inflates`: it may be sent compressed messages. A length need not be written in as few bytes
    /// as it could be.
    #[inline]
    pub fn read(bytes: &[u8], role: Role, inflates: bool) -> Result<Option<Head>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let allowed = if inflates { COMPRESSED } else { 0 };
        if first & RESERVED & !allowed != 0 {
            return Err(Violation::protocol("a frame with a reserved bit"));
        }
        let kind = Kind::of(first & 0x0F)?;
        let compressed = first & COMPRESSED != 0;
        if compressed && !matches!(kind, Kind::Message(_)) {
            return Err(Violation::protocol("a frame that can't begin a compressed message"));
        }
        let fin = first & FIN != 0;
        let is_control = matches!(kind, Kind::Control(_));
        if is_control && !fin {
            return Err(Violation::protocol("a control frame in fragments"));
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let is_masked = second & MASKED != 0;
        match role {
            Role::Server if !is_masked => return Err(Violation::protocol("a frame without a mask from a client")),
            Role::Client if is_masked => return Err(Violation::protocol("a masked frame from a server")),
            Role::Server | Role::Client => {}
        }
        let (len, size) = match second & !MASKED {
            IN_TWO => match bytes[2..].first_chunk() {
                Some(len) => (u16::from_be_bytes(*len).into(), 4),
                None => return Ok(None),
            },
            IN_EIGHT => match bytes[2..].first_chunk() {
                Some(len) => (usize::try_from(u64::from_be_bytes(*len)).unwrap_or(usize::MAX), 10),
                None => return Ok(None),
            },
            len => (len.into(), 2),
        };
        if is_control && len > LARGEST_CONTROL {
            return Err(Violation::protocol("a control frame of over 125 bytes"));
        }
        if len > MAX_MESSAGE {
            return Err(Violation::TooLarge);
        }
        if !is_masked {
            return Ok(Some(Head { kind, fin, compressed, mask: None, len, size }));
        }
        let Some(mask) = bytes[size..].first_chunk() else { return Ok(None) };
        Ok(Some(Head { kind, fin, compressed, mask: Some(*mask), len, size: size + mask.len() }))
    }

    /// Appends the head of a frame.
    #[inline]
    pub fn write(kind: Kind, fin: bool, mask: Option<Mask>, len: usize, out: &mut Vec<u8>) {
        let first = kind.opcode() | if fin { FIN } else { 0 };
        let masked = if mask.is_some() { MASKED } else { 0 };
        // Pieces of a size that the compiler knows are stored, not copied by a call.
        if len <= LARGEST_CONTROL {
            out.extend_from_slice(&[first, masked | len as u8]);
        } else if let Ok(len) = u16::try_from(len) {
            let [high, low] = len.to_be_bytes();
            out.extend_from_slice(&[first, masked | IN_TWO, high, low]);
        } else {
            out.extend_from_slice(&[first, masked | IN_EIGHT]);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
        if let Some(mask) = mask {
            out.extend_from_slice(&mask);
        }
    }
}
