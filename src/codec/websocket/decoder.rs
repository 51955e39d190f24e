//! Bytes → messages and control frames.

use super::close::read_close;
use super::deflate::Inflater;
use super::head::{Control, Head, Kind};
use super::mask::{self, Mask};
use super::{Arrival, Role, Violation};
use crate::catalog::Format;
use crate::codec::MAX_MESSAGE;
use std::borrow::Cow;
use std::ops::ControlFlow;

/// What is set aside for a message at once, at most, bytes: the rest only as it comes, whatever length was announced.
const SET_ASIDE: usize = 16 << 10;

/// Takes bytes as they were read, hands on what they bring.
///
/// A frame that lies whole in them, and is a whole message or a control frame, is handed on where it lies, unmasked in
/// place; only what is half read is copied, and its memory given back with its last byte. A message is refused as too
/// large (see [`MAX_MESSAGE`]) by the length that its frame announces, and a text at the read that shows that it isn't UTF-8,
/// even in the middle of a frame.
#[derive(Debug)]
pub struct Decoder {
    /// Of this end.
    role: Role,
    /// A Close or a violation came: what follows is discarded (§1.4, §7.1.7).
    over: bool,
    half_read: Option<Box<HalfRead>>,
    inflater: Inflater,
}

/// What is kept from one read to the next.
#[derive(Debug, Default)]
struct HalfRead {
    /// A frame's first bytes, as they came: a head that isn't whole, or a control frame that isn't, which may stand between
    /// the frames of a message.
    start: Vec<u8>,
    message: Option<Message>,
}

/// A message that has begun.
#[derive(Debug)]
struct Message {
    format: Format,
    compressed: bool,
    bytes: Vec<u8>,
    /// Length of the part of a text's `bytes` that is whole characters.
    characters: usize,
    /// What is still to come of the latest frame's payload, bytes.
    left: usize,
    /// For the next byte of that frame.
    mask: Option<Mask>,
    /// Whether that frame is the last.
    fin: bool,
}

/// How many bytes were taken, and whether to go on.
type Taken = (usize, ControlFlow<()>);

impl Decoder {
    /// `role`: of this end.
    pub fn new(role: Role) -> Decoder {
        Decoder { role, over: false, half_read: None, inflater: Inflater::default() }
    }

    /// Takes compressed messages as well.
    pub fn inflating(self, inflater: Inflater) -> Decoder {
        Decoder { inflater, ..self }
    }

    /// What compression took off all payloads together, bytes.
    pub fn saved(&self) -> u64 {
        self.inflater.saved()
    }

    /// Takes what was read, in cuts of any size; what it brings goes to `on` in order. Returns how many of the bytes were
    /// taken: all, unless `on` broke off; then those up to the end of what `on` got last, and the others may be pushed
    /// later. `bytes` are unmasked where they lie, so that their content is of no use afterwards.
    #[inline]
    pub fn push<F>(&mut self, bytes: &mut [u8], mut on: F) -> Result<usize, Violation>
    where
        F: FnMut(Arrival) -> ControlFlow<()>,
    {
        let mut used = 0;
        while used < bytes.len() {
            match self.step(&mut bytes[used..], &mut on) {
                Ok((taken, ControlFlow::Continue(()))) => used += taken,
                Ok((taken, ControlFlow::Break(()))) => return Ok(used + taken),
                Err(violation) => {
                    self.end();
                    return Err(violation);
                }
            }
        }
        Ok(used)
    }

    #[inline]
    fn step<F>(&mut self, bytes: &mut [u8], on: &mut F) -> Result<Taken, Violation>
    where
        F: FnMut(Arrival) -> ControlFlow<()>,
    {
        match &mut self.half_read {
            None if self.over => Ok((bytes.len(), ControlFlow::Continue(()))),
            None => self.frame(bytes, on),
            Some(half) => match &mut half.message {
                Some(message) if message.left > 0 => {
                    let taken = message.extend(bytes)?;
                    Ok((taken, self.settle(on)?))
                }
                _ if half.start.is_empty() => self.frame(bytes, on),
                _ => self.complete(bytes, on),
            },
        }
    }

    /// Takes the frame that `bytes` begin with, or what there is of it.
    #[inline]
    fn frame<F>(&mut self, bytes: &mut [u8], on: &mut F) -> Result<Taken, Violation>
    where
        F: FnMut(Arrival) -> ControlFlow<()>,
    {
        let Some(head) = Head::read(bytes, self.role, self.inflater.is_on())? else { return Ok(self.keep(bytes)) };
        let end = head.size + head.len;
        let is_whole = end <= bytes.len();
        match head.kind {
            Kind::Control(_) if !is_whole => Ok(self.keep(bytes)),
            Kind::Control(control) => Ok((end, self.control(control, &head, &mut bytes[..end], on)?)),
            Kind::Message(format) if is_whole && head.fin && self.half_read.is_none() => {
                let payload = &mut bytes[head.size..end];
                if let Some(mask) = head.mask {
                    mask::apply(mask, payload);
                }
                if head.compressed {
                    return Ok((end, self.inflate(format, payload, on)?));
                }
                if format == Format::Text && std::str::from_utf8(payload).is_err() {
                    return Err(Violation::NotUtf8);
                }
                Ok((end, on(Arrival::Message(format, Cow::Borrowed(payload)))))
            }
            Kind::Message(_) | Kind::Continuation => {
                let taken = self.open(&head)?.extend(&bytes[head.size..])?;
                Ok((head.size + taken, self.settle(on)?))
            }
        }
    }

    #[cold]
    fn keep(&mut self, bytes: &[u8]) -> Taken {
        self.half_read.get_or_insert_default().start.extend_from_slice(bytes);
        (bytes.len(), ControlFlow::Continue(()))
    }

    /// Takes what is missing of the frame whose first bytes were kept.
    #[cold]
    fn complete<F>(&mut self, bytes: &[u8], on: &mut F) -> Result<Taken, Violation>
    where
        F: FnMut(Arrival) -> ControlFlow<()>,
    {
        let mut start = std::mem::take(&mut self.half_read.get_or_insert_default().start);
        for (at, byte) in bytes.iter().enumerate() {
            start.push(*byte);
            let Some(head) = Head::read(&start, self.role, self.inflater.is_on())? else { continue };
            match head.kind {
                Kind::Control(_) if start.len() < head.size + head.len => {}
                Kind::Control(control) => {
                    self.let_go();
                    return Ok((at + 1, self.control(control, &head, &mut start, on)?));
                }
                Kind::Message(_) | Kind::Continuation => {
                    let taken = self.open(&head)?.extend(&bytes[at + 1..])?;
                    return Ok((at + 1 + taken, self.settle(on)?));
                }
            }
        }
        self.half_read.get_or_insert_default().start = start;
        Ok((bytes.len(), ControlFlow::Continue(())))
    }

    /// Hands on a whole control frame.
    fn control<F>(
        &mut self,
        control: Control,
        head: &Head,
        frame: &mut [u8],
        on: &mut F,
    ) -> Result<ControlFlow<()>, Violation>
    where
        F: FnMut(Arrival) -> ControlFlow<()>,
    {
        let payload = &mut frame[head.size..];
        if let Some(mask) = head.mask {
            mask::apply(mask, payload);
        }
        Ok(match control {
            Control::Ping => on(Arrival::Ping(payload)),
            Control::Pong => on(Arrival::Pong(payload)),
            Control::Close => {
                let code = read_close(payload)?;
                self.end();
                on(Arrival::Close(code))
            }
        })
    }

    /// Begins or goes on with the message that a data frame is of.
    #[cold]
    fn open(&mut self, head: &Head) -> Result<&mut Message, Violation> {
        let begun = &mut self.half_read.get_or_insert_default().message;
        let message = match head.kind {
            Kind::Message(_) if begun.is_some() => {
                return Err(Violation::protocol("a new message inside a fragmented one"));
            }
            Kind::Message(format) => begun.insert(Message::new(format, head.compressed)),
            _ => begun.as_mut().ok_or(Violation::protocol("a continuation of nothing"))?,
        };
        if head.len > MAX_MESSAGE - message.bytes.len() {
            return Err(Violation::TooLarge);
        }
        (message.left, message.mask, message.fin) = (head.len, head.mask, head.fin);
        Ok(message)
    }

    /// Hands on the message that has begun, if it is whole.
    fn settle<F>(&mut self, on: &mut F) -> Result<ControlFlow<()>, Violation>
    where
        F: FnMut(Arrival) -> ControlFlow<()>,
    {
        let Some(half) = &mut self.half_read else { return Ok(ControlFlow::Continue(())) };
        let Some(message) = half.message.take_if(|message| message.is_whole()) else {
            return Ok(ControlFlow::Continue(()));
        };
        self.let_go();
        match message.compressed {
            true => self.inflate(message.format, &message.bytes, on),
            false => Ok(on(Arrival::Message(message.format, Cow::Owned(message.bytes)))),
        }
    }

    /// Hands on what a compressed message carries.
    #[cold]
    fn inflate<F>(&mut self, format: Format, bytes: &[u8], on: &mut F) -> Result<ControlFlow<()>, Violation>
    where
        F: FnMut(Arrival) -> ControlFlow<()>,
    {
        let payload = self.inflater.message(bytes)?;
        match format {
            Format::Text if std::str::from_utf8(&payload).is_err() => Err(Violation::NotUtf8),
            _ => Ok(on(Arrival::Message(format, Cow::Owned(payload)))),
        }
    }

    /// Gives back what is kept for nothing.
    fn let_go(&mut self) {
        self.half_read.take_if(|half| half.start.is_empty() && half.message.is_none());
    }

    fn end(&mut self) {
        self.over = true;
        self.half_read = None;
    }
}

impl Message {
    fn new(format: Format, compressed: bool) -> Message {
        Message { format, compressed, bytes: Vec::new(), characters: 0, left: 0, mask: None, fin: false }
    }

    fn is_whole(&self) -> bool {
        self.fin && self.left == 0
    }

    /// Takes as much of the open frame's payload as there is; returns how much.
    fn extend(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let n = self.left.min(bytes.len());
        if self.bytes.capacity() - self.bytes.len() < n {
            self.bytes.reserve(self.left.min(n.max(SET_ASIDE)));
        }
        match self.mask {
            Some(mask) => {
                mask::append(mask, &bytes[..n], &mut self.bytes);
                self.mask = Some(mask::after(mask, n));
            }
            None => self.bytes.extend_from_slice(&bytes[..n]),
        }
        self.left -= n;
        if self.format == Format::Text && !self.compressed {
            self.check_characters()?;
        }
        Ok(n)
    }

    /// A read or a fragment may end within a character, the message may not.
    fn check_characters(&mut self) -> Result<(), Violation> {
        let new = &self.bytes[self.characters..];
        self.characters += match std::str::from_utf8(new) {
            Ok(_) => new.len(),
            Err(error) if self.is_whole() || error.error_len().is_some() => return Err(Violation::NotUtf8),
            Err(error) => error.valid_up_to(),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn kept(decoder: &Decoder) -> usize {
        let half = decoder.half_read.iter();
        half.map(|h| h.start.capacity() + h.message.iter().map(|m| m.bytes.capacity()).sum::<usize>()).sum()
    }

    fn push(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<usize>, u16> {
        let mut sizes = Vec::new();
        let on = |arrival: Arrival| {
            if let Arrival::Message(_, payload) = arrival {
                sizes.push(payload.len());
            }
            ControlFlow::Continue(())
        };
        let used = decoder.push(&mut bytes.to_vec(), on).map_err(|violation| violation.close_code())?;
        assert_eq!(used, bytes.len());
        Ok(sizes)
    }

    #[test]
    fn an_idle_decoder_is_small_and_keeps_nothing() {
        assert_eq!(size_of::<Decoder>(), 24);
        let mut decoder = Decoder::new(Role::Client);
        assert_eq!(push(&mut decoder, b"\x82\x7F\0\0\0\0\0\x0F\0\0"), Ok(vec![]));
        for _ in 0..14 {
            assert_eq!(push(&mut decoder, &[7; 0x1_0000]), Ok(vec![]));
        }
        assert!(kept(&decoder) >= 14 * 0x1_0000);
        assert_eq!(push(&mut decoder, b"\x81"), Ok(vec![]));
        assert_eq!(push(&mut decoder, &[7; 0xFFFF]), Ok(vec![0xF_0000]));
        assert!(decoder.half_read.is_none());
        // The same after a control frame in two pieces.
        assert_eq!(push(&mut decoder, b"\x89\x02a"), Ok(vec![]));
        assert!(decoder.half_read.is_some());
        assert_eq!(push(&mut decoder, b"b"), Ok(vec![]));
        assert!(decoder.half_read.is_none());
    }

    #[test]
    fn whole_frames_are_handed_on_where_they_lie() {
        let mut wire = b"\x82\x81\0\0\0\0a\x81\x82\x01\x02\x03\x04cc".to_vec();
        let within = wire.as_ptr_range();
        let mut whole = Vec::new();
        let used = Decoder::new(Role::Server).push(&mut wire, |arrival| {
            if let Arrival::Message(_, Cow::Borrowed(payload)) = arrival {
                assert!(within.contains(&payload.as_ptr()));
                whole.push(payload.to_vec());
            }
            ControlFlow::Continue(())
        });
        assert_eq!((used, whole), (Ok(15), vec![b"a".to_vec(), b"ba".to_vec()]));
    }

    #[test]
    fn too_large_is_refused_before_it_is_kept() {
        for size in [MAX_MESSAGE as u64 + 1, u64::MAX] {
            let mut decoder = Decoder::new(Role::Client);
            let head = [&[0x82, 127], size.to_be_bytes().as_slice()].concat();
            assert_eq!(push(&mut decoder, &head), Err(1009));
            assert_eq!(kept(&decoder), 0);
        }
        let head = |first: u8, size: usize| [&[first, 127], (size as u64).to_be_bytes().as_slice()].concat();
        let half = vec![0; MAX_MESSAGE / 2];
        let mut decoder = Decoder::new(Role::Client);
        assert_eq!(push(&mut decoder, &[head(0x02, half.len()), half.clone()].concat()), Ok(vec![]));
        assert_eq!(push(&mut decoder, &head(0x00, half.len())), Ok(vec![]));
        assert_eq!(push(&mut decoder, &half), Ok(vec![]));
        // An empty fragment still fits, one more byte doesn't.
        assert_eq!(push(&mut decoder, b"\x00\x00"), Ok(vec![]));
        assert_eq!(push(&mut decoder, b"\x00\x01"), Err(1009));
        assert_eq!(kept(&decoder), 0);
        let mut decoder = Decoder::new(Role::Client);
        assert_eq!(push(&mut decoder, &head(0x82, MAX_MESSAGE)), Ok(vec![]));
        assert_eq!(push(&mut decoder, &half[1..]), Ok(vec![]));
        assert_eq!(push(&mut decoder, &half), Ok(vec![]));
        assert_eq!(push(&mut decoder, b"\0\x82"), Ok(vec![MAX_MESSAGE]));
    }

    #[test]
    fn what_is_announced_is_not_set_aside_at_once() {
        let mut decoder = Decoder::new(Role::Client);
        assert_eq!(push(&mut decoder, b"\x82\x7F\0\0\0\0\x01\0\0\0x"), Ok(vec![]));
        assert_eq!(kept(&decoder), SET_ASIDE);
        // It is used up before more is.
        assert_eq!(push(&mut decoder, &[b'x'; 100]), Ok(vec![]));
        assert_eq!(kept(&decoder), SET_ASIDE);
        let mut small = Decoder::new(Role::Client);
        assert_eq!(push(&mut small, b"\x82\x64x"), Ok(vec![]));
        assert_eq!(kept(&small), 100);
    }

    proptest! {
        /// Heads are what garbage seldom is by chance, so they are mixed in.
        #[test]
        fn garbage_never_panics_and_keeps_no_more_than_came(
            pieces in vec((prop_oneof![3 => 0u8..3, 1 => 0u8..16], 0u8..128, any::<bool>(), vec(any::<u8>(), 0..90)), 0..30),
            is_server in any::<bool>(),
        ) {
            let mut decoder = Decoder::new(if is_server { Role::Server } else { Role::Client });
            let mut came = 0;
            for (opcode, size, fin, mut garbage) in pieces {
                garbage.splice(0..0, [opcode | if fin { 0x80 } else { 0 }, size | u8::from(is_server) << 7]);
                came += garbage.len();
                let _ = push(&mut decoder, &garbage);
                // The smallest vector has room for eight.
                prop_assert!(kept(&decoder) <= 2 * came + SET_ASIDE + 8);
            }
        }
    }
}
