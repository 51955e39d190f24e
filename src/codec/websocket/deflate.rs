//! Compression of messages (permessage-deflate, RFC 7692): what both ends agree on, and each end's two streams.

use super::Violation;
use crate::codec::MAX_MESSAGE;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What a client asks for: the name, and nothing beyond it, since the windows here are always the largest.
pub const OFFER: &str = "permessage-deflate";

const CLIENT_FORGETS: &str = "client_no_context_takeover";
const SERVER_FORGETS: &str = "server_no_context_takeover";
const CLIENT_WINDOW: &str = "client_max_window_bits";
const SERVER_WINDOW: &str = "server_max_window_bits";
/// The largest window, by its number of bits.
const LARGEST_WINDOW: u8 = 15;

/// What a flush ends with, which isn't sent (§7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// An empty message (§7.2.3.6).
const EMPTY: u8 = 0;
/// What is set aside at once for a message that is being inflated, bytes.
const SET_ASIDE: usize = 16 << 10;

/// What both ends agreed on (§7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreed {
    /// Whether an end begins each message without what it remembers of those before.
    pub client_forgets: bool,
    pub server_forgets: bool,
    /// Bits of the server's window, where it says so.
    pub server_window: Option<u8>,
}

/// One extension as it is named in a header, with its parameters.
struct Named<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Named<'a> {
    fn all(header: &'a str) -> impl Iterator<Item = Named<'a>> {
        header.split(',').filter_map(|text| {
            let mut parts = text.split(';').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?;
            let parameters = parts.map(|part| match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start().trim_matches('"'))),
                None => (part, None),
            });
            Some(Named { name, parameters: parameters.collect() })
        })
    }

    fn names_twice(&self) -> bool {
        let names = || self.parameters.iter().map(|(name, _)| name);
        names().enumerate().any(|(at, name)| names().skip(at + 1).any(|other| other == name))
    }
}

fn window(bits: Option<&str>) -> Option<u8> {
    bits?.parse().ok().filter(|bits| (8..=LARGEST_WINDOW).contains(bits))
}

impl Agreed {
    /// What a server's answer to [`OFFER`] says; `None`: nothing that a client could keep (§7.1).
    pub fn of_answer(header: &str) -> Option<Agreed> {
        let mut named = Named::all(header);
        let only = named.next().filter(|only| only.name == OFFER && !only.names_twice())?;
        if named.next().is_some() {
            return None;
        }
        let mut agreed = Agreed::default();
        for (name, value) in only.parameters {
            match (name, value) {
                (CLIENT_FORGETS, None) => agreed.client_forgets = true,
                (SERVER_FORGETS, None) => agreed.server_forgets = true,
                // The largest window reads what any other wrote.
                (SERVER_WINDOW, bits) if window(bits).is_some() => agreed.server_window = window(bits),
                _ => return None,
            }
        }
        Some(agreed)
    }

    /// What a server agrees on of what a client offers; `None`: nothing, and then nothing is compressed.
    pub fn of_offers(header: &str) -> Option<Agreed> {
        Named::all(header).filter(|offer| offer.name == OFFER && !offer.names_twice()).find_map(|offer| {
            let mut agreed = Agreed::default();
            for (name, value) in offer.parameters {
                match (name, value) {
                    (CLIENT_FORGETS, None) => agreed.client_forgets = true,
                    (SERVER_FORGETS, None) => agreed.server_forgets = true,
                    (CLIENT_WINDOW, None) => {}
                    (CLIENT_WINDOW, bits) if window(bits).is_some() => {}
                    // A smaller one could not be kept to.
                    (SERVER_WINDOW, bits) if window(bits) == Some(LARGEST_WINDOW) => {}
                    _ => return None,
                }
            }
            Some(agreed)
        })
    }

    /// As a server answers, whatever the order and the spaces.
    pub fn header(self) -> String {
        let flags = [(CLIENT_FORGETS, self.client_forgets), (SERVER_FORGETS, self.server_forgets)];
        let set = flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (*name).to_owned());
        let window = self.server_window.map(|bits| format!("{SERVER_WINDOW}={bits}"));
        set.chain(window).fold(OFFER.to_owned(), |header, parameter| header + "; " + &parameter)
    }

    /// Both streams of a client's session.
    pub fn for_client(self) -> (Deflater, Inflater) {
        (Deflater::new(self.client_forgets), Inflater::new(self.server_forgets))
    }

    /// Both streams of a server's session.
    pub fn for_server(self) -> (Deflater, Inflater) {
        (Deflater::new(self.server_forgets), Inflater::new(self.client_forgets))
    }
}

/// Compresses the messages of a session, if that was agreed on.
#[derive(Debug, Default)]
pub struct Deflater {
    on: Option<Box<Stream<Compress>>>,
}

/// Inflates the messages of a session, if that was agreed on.
#[derive(Debug, Default)]
pub struct Inflater {
    on: Option<Box<Stream<Decompress>>>,
}

#[derive(Debug)]
struct Stream<T> {
    stream: T,
    forgets: bool,
    /// Payloads less what carried them, bytes.
    saved: i64,
}

impl<T> Stream<T> {
    fn new(stream: T, forgets: bool) -> Option<Box<Stream<T>>> {
        Some(Box::new(Stream { stream, forgets, saved: 0 }))
    }

    fn note(&mut self, payload: usize, carried: usize) {
        self.saved = self.saved.saturating_add(payload as i64 - carried as i64);
    }
}

impl Deflater {
    fn new(forgets: bool) -> Deflater {
        Deflater { on: Stream::new(Compress::new(Compression::default(), false), forgets) }
    }

    /// Appends what carries `payload`; false if it has to go as it is.
    pub fn message(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(on) = &mut self.on else { return false };
        let begun = out.len();
        if payload.is_empty() {
            out.push(EMPTY);
        } else {
            // More than the worst case needs, so that one call does it.
            out.reserve(payload.len() + payload.len() / 8 + 64);
            let before = on.stream.total_in();
            let done = on.stream.compress_vec(payload, out, FlushCompress::Sync);
            let is_whole = on.stream.total_in() - before == payload.len() as u64 && out.ends_with(&TAIL);
            if done.is_err() || !is_whole {
                out.truncate(begun);
                on.stream.reset();
                return false;
            }
            out.truncate(out.len() - TAIL.len());
        }
        if on.forgets {
            on.stream.reset();
        }
        on.note(payload.len(), out.len() - begun);
        true
    }

    /// What compression took off all payloads together, bytes.
    pub fn saved(&self) -> u64 {
        self.on.as_ref().map_or(0, |on| on.saved.max(0) as u64)
    }
}

impl Inflater {
    fn new(forgets: bool) -> Inflater {
        Inflater { on: Stream::new(Decompress::new(false), forgets) }
    }

    pub fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// The payload that `bytes` carry; never more than a message may have.
    pub fn message(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Violation> {
        let mut payload = Vec::new();
        if let Some(on) = &mut self.on {
            inflate(&mut on.stream, bytes, &mut payload)?;
            inflate(&mut on.stream, &TAIL, &mut payload)?;
            if on.forgets {
                on.stream.reset(false);
            }
            on.note(payload.len(), bytes.len());
        }
        Ok(payload)
    }

    /// As [`Deflater::saved`].
    pub fn saved(&self) -> u64 {
        self.on.as_ref().map_or(0, |on| on.saved.max(0) as u64)
    }
}

fn inflate(stream: &mut Decompress, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Violation> {
    loop {
        if out.len() == out.capacity() {
            out.reserve(out.len().clamp(SET_ASIDE, MAX_MESSAGE));
        }
        let (read, had) = (stream.total_in(), out.len());
        let status = stream.decompress_vec(bytes, out, FlushDecompress::Sync);
        let status = status.map_err(|_| Violation::protocol("a compressed message that can't be inflated"))?;
        bytes = &bytes[(stream.total_in() - read) as usize..];
        if out.len() > MAX_MESSAGE {
            return Err(Violation::TooLarge);
        }
        if status == Status::StreamEnd {
            // A last block is followed by a new stream, if by anything.
            stream.reset(false);
        }
        let is_stuck = stream.total_in() == read && out.len() == had;
        if out.len() < out.capacity() && (bytes.is_empty() || is_stuck) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_to_or_refused() {
        let forgets =
            |client_forgets, server_forgets| Some(Agreed { client_forgets, server_forgets, ..Agreed::default() });
        let small = Agreed { server_forgets: true, server_window: Some(10), ..Agreed::default() };
        for (header, agreed) in [
            ("permessage-deflate", forgets(false, false)),
            ("permessage-deflate; client_no_context_takeover", forgets(true, false)),
            ("permessage-deflate ;server_no_context_takeover; server_max_window_bits = \"10\"", Some(small)),
            // Not offered, not known, out of range, twice, another.
            ("permessage-deflate; client_max_window_bits=15", None),
            ("permessage-deflate; level=9", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; client_no_context_takeover=1", None),
            ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
            ("permessage-deflate, permessage-deflate", None),
            ("x-webkit-deflate-frame", None),
            ("", None),
        ] {
            assert_eq!(Agreed::of_answer(header), agreed, "{header}");
        }
        assert_eq!(small.header(), "permessage-deflate; server_no_context_takeover; server_max_window_bits=10");
    }

    mod streams {
        use super::*;
        use proptest::collection::vec;
        use proptest::prelude::*;

        #[test]
        fn the_first_offer_that_can_be_kept_is_taken() {
            for (header, answer) in [
                ("permessage-deflate", Some("permessage-deflate")),
                ("permessage-deflate; client_max_window_bits", Some("permessage-deflate")),
                (
                    "permessage-deflate; server_max_window_bits=9, permessage-deflate; server_no_context_takeover",
                    Some("permessage-deflate; server_no_context_takeover"),
                ),
                (
                    "foo, permessage-deflate; client_no_context_takeover; client_max_window_bits=12",
                    Some("permessage-deflate; client_no_context_takeover"),
                ),
                ("permessage-deflate; server_max_window_bits=9", None),
                ("permessage-deflate; unknown", None),
                ("foo", None),
            ] {
                assert_eq!(Agreed::of_offers(header).map(Agreed::header).as_deref(), answer, "{header}");
            }
        }

        #[test]
        fn the_examples_of_the_rfc_are_read() {
            let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
            let (mut deflater, mut inflater) = Agreed::default().for_client();
            // §7.2.3.1, and §7.2.3.2 with what was remembered of it.
            assert_eq!(inflater.message(hello).unwrap(), b"Hello");
            assert_eq!(inflater.message(b"\xf2\x00\x11\x00\x00").unwrap(), b"Hello");
            // §7.2.3.3: not compressed; §7.2.3.4: a last block; §7.2.3.6: empty.
            assert_eq!(inflater.message(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00").unwrap(), b"Hello");
            assert_eq!(inflater.message(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00").unwrap(), b"Hello");
            assert_eq!(inflater.message(b"\x00").unwrap(), b"");
            let mut out = Vec::new();
            assert!(deflater.message(b"Hello", &mut out));
            assert_eq!(out, hello);
        }

        #[test]
        fn what_forgets_begins_anew_each_time() {
            let size = |agreed: Agreed| {
                let (mut deflater, mut inflater) = (agreed.for_client().0, agreed.for_server().1);
                let sizes: Vec<usize> = (0..2)
                    .map(|_| {
                        let mut out = Vec::new();
                        assert!(deflater.message(b"the same words over and over", &mut out));
                        assert_eq!(inflater.message(&out).unwrap(), b"the same words over and over");
                        out.len()
                    })
                    .collect();
                assert_eq!(deflater.saved(), inflater.saved());
                (sizes[0], sizes[1])
            };
            let (first, second) = size(Agreed::default());
            assert!(second < first / 2, "{first}, {second}");
            let (first, second) = size(Agreed { client_forgets: true, ..Agreed::default() });
            assert_eq!(first, second);
        }

        #[test]
        fn a_small_message_does_not_fill_the_memory() {
            let (mut deflater, mut inflater) = Agreed::default().for_client();
            let mut bomb = Vec::new();
            for payload in [vec![0; MAX_MESSAGE], vec![0; MAX_MESSAGE + 1]] {
                bomb.clear();
                assert!(deflater.message(&payload, &mut bomb));
                assert!(bomb.len() < payload.len() / 500);
                match payload.len() {
                    MAX_MESSAGE => assert_eq!(inflater.message(&bomb).unwrap().len(), MAX_MESSAGE),
                    _ => assert_eq!(inflater.message(&bomb), Err(Violation::TooLarge)),
                }
            }
        }

        proptest! {
            #[test]
            fn what_goes_in_comes_out(
                payloads in vec(vec(prop_oneof![Just(b'a'), any::<u8>()], 0..3000), 1..8),
                client_forgets: bool,
            ) {
                let agreed = Agreed { client_forgets, ..Agreed::default() };
                let (mut deflater, mut inflater) = (agreed.for_client().0, agreed.for_server().1);
                for payload in payloads {
                    let mut out = b"kept".to_vec();
                    prop_assert!(deflater.message(&payload, &mut out));
                    prop_assert_eq!(inflater.message(&out[4..]).unwrap(), payload);
                }
            }

            #[test]
            fn garbage_never_panics(bytes in vec(any::<u8>(), 0..300)) {
                let _ = Agreed::default().for_client().1.message(&bytes);
                let _ = Agreed::of_answer(&String::from_utf8_lossy(&bytes));
                let _ = Agreed::of_offers(&String::from_utf8_lossy(&bytes));
            }
        }
    }
}
