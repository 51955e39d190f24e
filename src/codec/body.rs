//! The body of an HTTP answer, cut into messages: of a poll's whole body, or of a stream as it comes.

use super::sse::SseDecoder;
use super::stream::StreamCodec;
use super::{CodecError, Decode, MAX_MESSAGE};
use crate::catalog::{Format, Framing};

/// Where the messages lie in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// There are none.
    Nothing,
    /// It is one message, be it empty.
    Whole,
    /// It is one message, or empty and none.
    WholeOrNone,
    /// Each behind its length (four bytes, big endian).
    Lengths,
    /// An event stream.
    Events(Format),
    /// With this byte between them; two in a row have no message between them.
    Separated(u8),
    /// Only the dialect knows: the body is to be left whole.
    Own,
}

/// A body on its way in.
#[derive(Debug)]
pub enum Body {
    Nothing,
    Whole { bytes: Vec<u8>, or_none: bool },
    Lengths(StreamCodec),
    Events(SseDecoder),
    Separated { by: u8, bytes: Vec<u8> },
    Own(Vec<u8>),
}

impl Body {
    pub fn new(cut: Cut) -> Body {
        match cut {
            Cut::Nothing => Body::Nothing,
            Cut::Whole | Cut::WholeOrNone => Body::Whole { bytes: Vec::new(), or_none: cut == Cut::WholeOrNone },
            Cut::Lengths => Body::Lengths(StreamCodec::new(Framing::Length, 0)),
            Cut::Events(format) => Body::Events(SseDecoder::new(format)),
            Cut::Separated(by) => Body::Separated { by, bytes: Vec::new() },
            Cut::Own => Body::Own(Vec::new()),
        }
    }

    /// Takes what came of it and hands on the messages that are whole.
    pub fn push(&mut self, chunk: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<(), CodecError> {
        match self {
            Body::Nothing => Ok(()),
            Body::Whole { bytes, .. } | Body::Own(bytes) => keep(bytes, chunk),
            Body::Lengths(codec) => codec.push(chunk, on_message),
            Body::Events(decoder) => decoder.push(chunk, on_message),
            Body::Separated { by, bytes } => {
                let mut rest = chunk;
                while let Some(end) = memchr::memchr(*by, rest) {
                    keep(bytes, &rest[..end])?;
                    if !bytes.is_empty() {
                        on_message(bytes);
                        bytes.clear();
                    }
                    rest = &rest[end + 1..];
                }
                keep(bytes, rest)
            }
        }
    }

    /// The body ended here. Returns what is left to the dialect.
    pub fn end(self, on_message: &mut dyn FnMut(&[u8])) -> Result<Option<Vec<u8>>, CodecError> {
        match self {
            Body::Own(bytes) => return Ok(Some(bytes)),
            Body::Whole { bytes, or_none } => {
                if !(bytes.is_empty() && or_none) {
                    on_message(&bytes);
                }
            }
            Body::Separated { bytes, .. } => {
                if !bytes.is_empty() {
                    on_message(&bytes);
                }
            }
            Body::Lengths(codec) if !codec.is_clean() => {
                return Err(CodecError::Malformed("a body that ends in the middle of a message"));
            }
            Body::Nothing | Body::Lengths(_) | Body::Events(_) => {}
        }
        Ok(None)
    }

    /// Whether no message has been begun: a stream that ends now ends cleanly.
    pub fn is_clean(&self) -> bool {
        match self {
            Body::Lengths(codec) => codec.is_clean(),
            _ => true,
        }
    }
}

fn keep(bytes: &mut Vec<u8>, more: &[u8]) -> Result<(), CodecError> {
    let size = bytes.len() + more.len();
    if size > MAX_MESSAGE {
        return Err(CodecError::TooLarge { size, limit: MAX_MESSAGE });
    }
    bytes.extend_from_slice(more);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(cut: Cut, chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, CodecError> {
        let (mut body, mut got) = (Body::new(cut), Vec::new());
        for chunk in chunks {
            body.push(chunk, &mut |m| got.push(m.to_vec()))?;
        }
        let own = body.end(&mut |m| got.push(m.to_vec()))?;
        got.extend(own);
        Ok(got)
    }

    #[test]
    fn a_body_is_one_message_or_several() {
        assert_eq!(read(Cut::Whole, &[b"he", b"llo"]).unwrap(), [b"hello"]);
        assert_eq!(read(Cut::Whole, &[]).unwrap(), [b""]);
        assert!(read(Cut::WholeOrNone, &[]).unwrap().is_empty());
        assert!(read(Cut::Nothing, &[b"x"]).unwrap().is_empty());
        assert_eq!(read(Cut::Own, &[b"x", b"y"]).unwrap(), [b"xy"]);
        assert_eq!(read(Cut::Lengths, &[b"\0\0\0\x01a\0\0\0", b"\x02bc"]).unwrap(), [b"a".as_slice(), b"bc"]);
        assert_eq!(read(Cut::Events(Format::Text), &[b"data: a\n", b"\ndata: b\n\n"]).unwrap(), [b"a", b"b"]);
    }

    #[test]
    fn a_batch_cut_short_and_a_message_too_large_are_errors() {
        assert!(matches!(read(Cut::Lengths, &[b"\0\0\0\x05a"]), Err(CodecError::Malformed(_))));
        let half = vec![0; MAX_MESSAGE / 2 + 1];
        for cut in [Cut::Whole, Cut::Own, Cut::Separated(b'\n')] {
            assert!(matches!(read(cut, &[&half, &half]), Err(CodecError::TooLarge { .. })), "{cut:?}");
        }
    }

    proptest! {
        #[test]
        fn separated_messages_are_the_same_in_any_cut(text in "[ab\n]{0,60}", size in 1usize..9) {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let messages: Vec<&[u8]> = text.as_bytes().split(|b| *b == b'\n').filter(|m| !m.is_empty()).collect();
            prop_assert_eq!(read(Cut::Separated(b'\n'), &chunks).unwrap(), messages);
        }
    }
}
