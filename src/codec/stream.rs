//! Messages on a byte stream: by length prefix, by line, or of fixed size. Also the body of a batched poll.

use super::{CodecError, Decode, MAX_MESSAGE};
use crate::catalog::Framing;

/// Cuts a stream into messages; also knows how to write them.
#[derive(Debug, Clone)]
pub struct StreamCodec {
    framing: Framing,
    /// Message size for fixed framing, bytes.
    fixed: usize,
    limit: usize,
    partial: Vec<u8>,
}

const PREFIX: usize = 4;

impl StreamCodec {
    /// `fixed` is the size of every message with [`Framing::Fixed`] (at least 1), and ignored otherwise.
    pub fn new(framing: Framing, fixed: usize) -> StreamCodec {
        StreamCodec { framing, fixed: fixed.max(1), limit: MAX_MESSAGE, partial: Vec::new() }
    }

    /// Refuses messages over `limit` bytes.
    pub fn with_limit(self, limit: usize) -> StreamCodec {
        StreamCodec { limit, ..self }
    }

    /// Appends `message` with its framing.
    pub fn encode(&self, message: &[u8], out: &mut Vec<u8>) {
        if self.framing == Framing::Length {
            out.extend_from_slice(&(message.len() as u32).to_be_bytes());
        }
        out.extend_from_slice(message);
        if self.framing == Framing::Newline {
            out.push(b'\n');
        }
    }

    /// Bytes that framing adds to one message.
    pub fn overhead(&self) -> usize {
        match self.framing {
            Framing::Length => PREFIX,
            Framing::Newline => 1,
            Framing::Fixed => 0,
        }
    }

    /// True when no message has been begun: a stream that ends now ends cleanly.
    pub fn is_clean(&self) -> bool {
        self.partial.is_empty()
    }

    /// Where the first message lies in `bytes`, and where the next one starts; `None`: not whole yet.
    fn next(&self, bytes: &[u8]) -> Result<Option<(std::ops::Range<usize>, usize)>, CodecError> {
        let checked = |size: usize| match size {
            size if size > self.limit => Err(CodecError::TooLarge { size, limit: self.limit }),
            size => Ok(size),
        };
        Ok(match self.framing {
            Framing::Length => match bytes.first_chunk::<PREFIX>() {
                None => None,
                Some(prefix) => {
                    let end = PREFIX + checked(u32::from_be_bytes(*prefix) as usize)?;
                    (bytes.len() >= end).then_some((PREFIX..end, end))
                }
            },
            Framing::Newline => match memchr::memchr(b'\n', bytes) {
                Some(end) => Some((0..checked(end)?, end + 1)),
                None => {
                    checked(bytes.len())?;
                    None
                }
            },
            Framing::Fixed => (bytes.len() >= self.fixed).then_some((0..self.fixed, self.fixed)),
        })
    }

    fn drain(&self, bytes: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<usize, CodecError> {
        let mut used = 0;
        while let Some((message, end)) = self.next(&bytes[used..])? {
            on_message(&bytes[used..][message]);
            used += end;
        }
        Ok(used)
    }
}

impl Decode for StreamCodec {
    fn push(&mut self, bytes: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<(), CodecError> {
        if self.partial.is_empty() {
            let used = self.drain(bytes, on_message)?;
            self.partial.extend_from_slice(&bytes[used..]);
        } else {
            self.partial.extend_from_slice(bytes);
            let partial = std::mem::take(&mut self.partial);
            let used = self.drain(&partial, on_message)?;
            self.partial = partial;
            self.partial.drain(..used);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(codec: &mut StreamCodec, chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, CodecError> {
        let mut got = Vec::new();
        for chunk in chunks {
            codec.push(chunk, &mut |m| got.push(m.to_vec()))?;
        }
        Ok(got)
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_messages(
            sizes in proptest::collection::vec(1usize..50, 1..20), cut in 1usize..40, framing in 0usize..3,
        ) {
            let framing = Framing::ALL[framing];
            let messages: Vec<Vec<u8>> = sizes
                .iter()
                .enumerate()
                .map(|(i, n)| vec![b'a' + (i % 26) as u8; if framing == Framing::Fixed { 7 } else { *n }])
                .collect();
            let mut codec = StreamCodec::new(framing, 7);
            let mut wire = Vec::new();
            messages.iter().for_each(|m| codec.encode(m, &mut wire));
            let payload: usize = messages.iter().map(Vec::len).sum();
            prop_assert_eq!(wire.len(), payload + messages.len() * codec.overhead());
            let chunks: Vec<&[u8]> = wire.chunks(cut).collect();
            prop_assert_eq!(all(&mut codec, &chunks).unwrap(), messages);
            prop_assert!(codec.is_clean());
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), framing in 0usize..3) {
            let _ = all(&mut StreamCodec::new(Framing::ALL[framing], 9), &[&bytes, &bytes]);
        }
    }

    #[test]
    fn too_large_is_refused_before_it_is_kept() {
        let mut codec = StreamCodec::new(Framing::Length, 0).with_limit(100);
        let error = all(&mut codec, &[&[0xFF, 0xFF, 0xFF, 0xFF]]).unwrap_err();
        assert_eq!(error, CodecError::TooLarge { size: 0xFFFF_FFFF, limit: 100 });
        let mut lines = StreamCodec::new(Framing::Newline, 0).with_limit(100);
        assert!(all(&mut lines, &[&[b'x'; 101]]).is_err());
    }
}
