//! The TCP face: one line to join, then messages cut by the framing that it asked for.

use super::direct::{Direct, Heard, Protocol};
use super::join::{JoinLine, LONGEST_LINE, Refusal};
use super::joining::{Entrant, Face};
use super::outbox::Message;
use super::outlet::Encode;
use super::shared::Chunk;
use crate::catalog::Framing;
use crate::codec::Decode;
use crate::codec::stream::StreamCodec;
use bytes::Bytes;
use std::ops::ControlFlow;

/// How clients come in.
pub struct Tcp;

impl Face for Tcp {
    /// The line without its line feed.
    type Asked = Vec<u8>;

    fn ask(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        match memchr::memchr(b'\n', bytes) {
            Some(end) => Some((bytes[..end].to_vec(), end + 1)),
            None => (bytes.len() > LONGEST_LINE).then(|| (bytes.to_vec(), bytes.len())),
        }
    }

    fn enter(entrant: Entrant, line: Vec<u8>) {
        let core = &entrant.shared.core;
        let line = JoinLine::parse(&line).ok_or(Refusal::Line);
        let joined = line.and_then(|line| Ok((core.admit(line.place, line.value("token"))?, line.framing()?)));
        match joined {
            Ok((place, codec)) => {
                Direct::join(entrant, place, (codec.clone(), codec), Bytes::from_static(b"OK\n"));
            }
            Err(refusal) => {
                let unused = StreamCodec::new(Framing::Length, 0);
                Direct::refuse(entrant, (unused.clone(), unused), format!("ERR {refusal}\n").into());
            }
        }
    }
}

impl Protocol for StreamCodec {
    type Encoder = StreamCodec;

    fn decode(&mut self, bytes: &mut [u8], session: &Direct<StreamCodec>) -> Heard {
        let chunk = Chunk::of(bytes);
        let taken = self.push(bytes, &mut |message| {
            session.arrived(Message::untyped(message), chunk.ends_with(message));
        });
        // Bytes that don't fit the framing end the session like a FIN does.
        if taken.is_ok() { Heard::Goes } else { Heard::Ends(None) }
    }
}

impl Encode for StreamCodec {
    fn message(&self, message: &Message, out: &mut Vec<u8>) {
        self.encode(&message.payload, out);
    }

    fn close(&self, _: u16, _: &mut Vec<u8>) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}
