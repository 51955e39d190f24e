//! The tag inside a payload: which message this is, and when it was due.
//!
//! | bytes | what |
//! |---|---|
//! | 0–2 | magic `C2 C6 F5`, which is `wsb1` in base64 |
//! | 3 | kind |
//! | 4–7 | run, big endian: a number drawn for each trial, so that strays of another are told apart |
//! | 8–15 | id, big endian: the number of the message in the schedule |
//! | 16–23 | due instant, big endian, nanoseconds of `CLOCK_MONOTONIC` |
//!
//! 24 bytes binary; as text the same in URL-safe base64, 32 characters.

use crate::clock::Nanos;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

mod payload;
pub use payload::{Composer, FILL_MARK, Parts, PayloadSpec, Sizes, TAG_MARK};

/// A tag's length in a binary payload, bytes.
pub const BINARY_LEN: usize = 24;
/// A tag's length in a text payload, characters.
pub const TEXT_LEN: usize = 32;

const MAGIC: [u8; 3] = [0xC2, 0xC6, 0xF5];
const TEXT_MAGIC: &[u8; 4] = b"wsb1";

/// Who made the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sent by a session of the generator.
    Message = 1,
    /// Originated by the target (push).
    Event = 2,
    /// The target's first message to a session that asked for one (connect).
    Greeting = 3,
}

/// Identity of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub kind: Kind,
    pub run: u32,
    pub id: u64,
    pub due: Nanos,
}

impl Tag {
    pub fn encode(&self) -> [u8; BINARY_LEN] {
        let mut bytes = [0; BINARY_LEN];
        bytes[..3].copy_from_slice(&MAGIC);
        bytes[3] = self.kind as u8;
        bytes[4..8].copy_from_slice(&self.run.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.id.to_be_bytes());
        bytes[16..].copy_from_slice(&self.due.to_be_bytes());
        bytes
    }

    pub fn encode_text(&self) -> [u8; TEXT_LEN] {
        let mut text = [0; TEXT_LEN];
        URL_SAFE_NO_PAD.encode_slice(self.encode(), &mut text).expect("24 bytes are 32 characters");
        text
    }

    /// The tag of a payload, wherever in it: at the front (the fast case), or inside a template.
    pub fn find(payload: &[u8]) -> Option<Tag> {
        if payload.starts_with(&MAGIC) {
            return Tag::decode(payload.get(..BINARY_LEN)?);
        }
        memchr::memmem::find_iter(payload, TEXT_MAGIC).find_map(|at| {
            let mut bytes = [0; BINARY_LEN];
            let n = URL_SAFE_NO_PAD.decode_slice(payload.get(at..at + TEXT_LEN)?, &mut bytes).ok()?;
            Tag::decode(&bytes[..n])
        })
    }

    fn decode(bytes: &[u8]) -> Option<Tag> {
        let bytes: &[u8; BINARY_LEN] = bytes.try_into().ok()?;
        let kind = match (bytes[..3] == MAGIC, bytes[3]) {
            (true, 1) => Kind::Message,
            (true, 2) => Kind::Event,
            (true, 3) => Kind::Greeting,
            _ => return None,
        };
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let run = u32::from_be_bytes(bytes[4..8].try_into().expect("four bytes"));
        Some(Tag { kind, run, id: number(8), due: number(16) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn found_again_in_any_surroundings(run: u32, id: u64, due: u64, before in "[a-z{\": ]{0,40}", after in ".{0,40}") {
            let tag = Tag { kind: Kind::Message, run, id, due };
            let mut binary = tag.encode().to_vec();
            binary.extend(after.as_bytes());
            prop_assert_eq!(Tag::find(&binary), Some(tag));
            let text = [before.as_bytes(), &tag.encode_text(), after.as_bytes()].concat();
            prop_assert_eq!(Tag::find(&text), Some(tag));
        }

        #[test]
        fn garbage_has_no_tag_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Tag::find(&bytes).is_none());
        }
    }

    #[test]
    fn a_cut_tag_is_none() {
        let tag = Tag { kind: Kind::Event, run: 1, id: 2, due: 3 };
        assert_eq!(Tag::find(&tag.encode()[..20]), None);
        assert_eq!(Tag::find(&tag.encode_text()[..31]), None);
        assert_eq!(&tag.encode_text()[..4], b"wsb1");
    }
}
