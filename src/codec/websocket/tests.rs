//! The decoder against any cut of its bytes, and against the two libraries.

use super::{Arrival, Decoder, Encoder, Role, Violation};
use crate::catalog::Format;
use crate::codec::MAX_MESSAGE;
use crate::codec::frames::Assembler;
use fastwebsockets::{WebSocketError, after_handshake_split};
use futures_util::FutureExt as _;
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use tokio_tungstenite::tungstenite::protocol::{Message, Role as TheirRole, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, protocol::frame::coding::CloseCode};

/// An arrival that outlives the bytes it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Got {
    Message(Format, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

impl From<Arrival<'_>> for Got {
    fn from(arrival: Arrival) -> Got {
        match arrival {
            Arrival::Message(format, payload) => Got::Message(format, payload.into_owned()),
            Arrival::Ping(payload) => Got::Ping(payload.to_vec()),
            Arrival::Pong(payload) => Got::Pong(payload.to_vec()),
            Arrival::Close(code) => Got::Close(code),
        }
    }
}

/// What came, and the close code that is owed for what broke the rules.
type Outcome = (Vec<Got>, Option<u16>);

/// Pushes `wire` in pieces that end at `cuts`, and again from where the callback broke off, if it `pauses`.
fn decoded(role: Role, wire: &[u8], cuts: &[usize], pauses: bool) -> Outcome {
    let mut decoder = Decoder::new(role);
    let mut got: Vec<Got> = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
    cuts.push(wire.len());
    cuts.sort_unstable();
    let mut at = 0;
    for cut in cuts {
        while at < cut {
            let before = got.len();
            let pushed = decoder.push(&mut wire[at..cut].to_vec(), |arrival| {
                got.push(arrival.into());
                if pauses { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match pushed {
                Ok(used) => at += used,
                Err(violation) => return (got, Some(violation.close_code())),
            }
            assert!(at == cut || pauses && got.len() == before + 1);
        }
    }
    (got, None)
}

/// The same wire read by fastwebsockets and put together by `codec::frames`.
fn by_fastwebsockets(role: Role, wire: &[u8]) -> Outcome {
    let role = if role == Role::Server { fastwebsockets::Role::Server } else { fastwebsockets::Role::Client };
    let (mut reader, _) = after_handshake_split(wire, tokio::io::sink(), role);
    reader.set_auto_close(false);
    reader.set_auto_pong(false);
    reader.set_max_message_size(MAX_MESSAGE + 1);
    let mut assembler = Assembler::new(role);
    let mut got = Vec::new();
    loop {
        let mut answer = |_| async { Ok::<(), WebSocketError>(()) };
        let read = reader.read_frame(&mut answer).now_or_never().expect("the bytes are all there");
        let mut frame = match read {
            Ok(frame) => frame,
            Err(WebSocketError::UnexpectedEOF) => return (got, None),
            Err(error) => return (got, Some(Violation::from(error).close_code())),
        };
        match assembler.take(&mut frame) {
            Ok(arrival) => got.extend(arrival.map(Got::from)),
            Err(violation) => return (got, Some(violation.close_code())),
        }
        if let Some(Got::Close(_)) = got.last() {
            return (got, None);
        }
    }
}

fn by_tungstenite(role: Role, wire: &[u8]) -> Outcome {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let role = if role == Role::Server { TheirRole::Server } else { TheirRole::Client };
    let mut context = WebSocketContext::new(role, Some(config));
    let mut stream = Stream(wire);
    let mut got = Vec::new();
    loop {
        got.push(match context.read(&mut stream) {
            Ok(Message::Text(text)) => Got::Message(Format::Text, text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => Got::Message(Format::Binary, bytes.to_vec()),
            Ok(Message::Ping(payload)) => Got::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Got::Pong(payload.to_vec()),
            // What it makes of a code that may not be sent.
            Ok(Message::Close(Some(frame)))
                if frame.code == CloseCode::Protocol && frame.reason == "Protocol violation" =>
            {
                return (got, Some(1002));
            }
            Ok(Message::Close(frame)) => {
                got.push(Got::Close(frame.map(|frame| frame.code.into())));
                return (got, None);
            }
            Ok(Message::Frame(_)) => unreachable!("it hands on messages"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return (got, None),
            Err(Error::Capacity(_)) => return (got, Some(1009)),
            Err(Error::Utf8(_)) => return (got, Some(1007)),
            Err(Error::Protocol(_)) => return (got, Some(1002)),
            Err(error) => panic!("{error}"),
        });
    }
}

/// Gives what was read, takes what is answered.
struct Stream<'a>(&'a [u8]);

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A frame as any peer may write it.
#[derive(Debug, Clone)]
struct Frame {
    first: u8,
    payload: Vec<u8>,
    mask: [u8; 4],
    /// Bytes that its length takes at least: 0, 2 or 8.
    length: usize,
}

impl Frame {
    fn write(&self, to: Role, wire: &mut Vec<u8>) {
        let masked = if to == Role::Server { 0x80 } else { 0 };
        wire.push(self.first);
        let len = self.payload.len();
        match (self.length, len) {
            (0, ..126) => wire.push(masked | len as u8),
            (..8, ..0x1_0000) => {
                wire.push(masked | 126);
                wire.extend((len as u16).to_be_bytes());
            }
            _ => {
                wire.push(masked | 127);
                wire.extend((len as u64).to_be_bytes());
            }
        }
        if to == Role::Server {
            wire.extend(self.mask);
            wire.extend(self.payload.iter().enumerate().map(|(i, byte)| byte ^ self.mask[i % 4]));
        } else {
            wire.extend(&self.payload);
        }
    }
}

fn frame(first: u8, payload: Vec<u8>) -> impl Strategy<Value = Frame> {
    let length = prop_oneof![4 => Just(0usize), 1 => Just(2), 1 => Just(8)];
    (any::<[u8; 4]>(), length).prop_map(move |(mask, length)| Frame { first, payload: payload.clone(), mask, length })
}

fn control() -> impl Strategy<Value = Vec<Frame>> {
    let payload = vec(any::<u8>(), 0..126);
    let first = prop_oneof![10 => Just(0x89u8), 10 => Just(0x8A), 1 => Just(0x88)];
    (first, payload, any::<[u8; 4]>(), prop_oneof![Just(1000u16), Just(1001), Just(1005), Just(3000)]).prop_map(
        |(first, mut payload, mask, code)| {
            if first == 0x88 {
                payload = code.to_be_bytes().to_vec();
            }
            vec![Frame { first, payload, mask, length: 0 }]
        },
    )
}

/// A message in one frame or in several, with control frames between; text may be broken.
fn message() -> impl Strategy<Value = Vec<Frame>> {
    let payload = prop_oneof![
        6 => "\\PC{0,60}".prop_map(|text| (0x1, text.into_bytes())),
        1 => vec(any::<u8>(), 0..20).prop_map(|bytes| (0x1, bytes)),
        6 => vec(any::<u8>(), 0..300).prop_map(|bytes| (0x2, bytes)),
        1 => (60_000usize..70_000).prop_map(|size| (0x1, vec![b'x'; size])),
    ];
    let cuts = prop_oneof![2 => Just(vec![]), 1 => vec((any::<prop::sample::Index>(), vec(control(), 0..2)), 0..4)];
    (payload, cuts).prop_flat_map(|((opcode, payload), cuts)| {
        let mut ends: Vec<usize> = cuts.iter().map(|(cut, _)| cut.index(payload.len() + 1)).collect();
        ends.sort_unstable();
        let mut frames: Vec<BoxedStrategy<Vec<Frame>>> = Vec::new();
        let mut at = 0;
        for (number, end) in ends.iter().copied().chain([payload.len()]).enumerate() {
            let first = if number == 0 { opcode } else { 0 } | if number == ends.len() { 0x80 } else { 0 };
            frames.push(frame(first, payload[at..end].to_vec()).prop_map(|frame| vec![frame]).boxed());
            let between = cuts.get(number).map(|(_, controls)| controls.concat());
            frames.extend(between.map(|controls| Just(controls).boxed()));
            at = end;
        }
        frames.prop_map(|frames| frames.concat())
    })
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

/// Bytes for an end of the role that comes with them: frames, often with one missing, some bytes changed or cut off.
fn wire() -> impl Strategy<Value = (Role, Vec<u8>)> {
    let frames = vec(prop_oneof![3 => message().boxed(), 1 => control().boxed()], 0..8);
    let flaws = prop_oneof![Just(vec![]), vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)];
    let lost = prop_oneof![2 => Just(0), 1 => 0usize..100];
    let missing = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (role(), frames, missing, flaws, lost).prop_map(|(role, frames, missing, flaws, lost)| {
        let mut wire = Vec::new();
        let mut frames = frames.concat();
        if let Some(missing) = missing.filter(|_| !frames.is_empty()) {
            frames.remove(missing.index(frames.len()));
        }
        frames.iter().for_each(|frame| frame.write(role, &mut wire));
        wire.truncate(wire.len().saturating_sub(lost));
        for (at, byte) in flaws {
            if !wire.is_empty() {
                let at = at.index(wire.len());
                wire[at] = byte;
            }
        }
        (role, wire)
    })
}

/// What `ours` and a library's outcome must have in common: everything that came; and a violation that the library sees
/// is one here. Here a head may be refused before its payload is looked at, or is there at all.
fn agree(ours: &Outcome, theirs: &Outcome) -> Result<(), TestCaseError> {
    prop_assert_eq!(&ours.0, &theirs.0);
    match (ours.1, theirs.1) {
        (ours, theirs) if ours == theirs => {}
        (Some(1002), Some(1007 | 1009)) => {}
        (Some(1002 | 1007), None) if !matches!(ours.0.last(), Some(Got::Close(_))) => {}
        (ours, theirs) => prop_assert!(false, "{ours:?} where the library says {theirs:?}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_cut_gives_the_same_arrivals((role, wire) in wire(), cuts in vec(any::<usize>(), 0..12), pauses in any::<bool>()) {
        let whole = decoded(role, &wire, &[], false);
        prop_assert_eq!(&decoded(role, &wire, &cuts, pauses), &whole);
        if wire.len() < 2000 {
            let every: Vec<usize> = (0..wire.len()).collect();
            prop_assert_eq!(&decoded(role, &wire, &every, pauses), &whole);
        }
    }

    #[test]
    fn the_libraries_read_the_same((role, wire) in wire()) {
        let ours = decoded(role, &wire, &[], false);
        agree(&ours, &by_fastwebsockets(role, &wire))?;
        // It doesn't know the registry's latest code.
        if ours.0.last() != Some(&Got::Close(Some(1014))) {
            agree(&ours, &by_tungstenite(role, &wire))?;
        }
    }

    #[test]
    fn what_is_written_is_read(
        (text, binary) in ("\\PC{0,300}", vec(any::<u8>(), 0..700)), fragment in 1usize..400, role in role(),
    ) {
        let mut wire = Vec::new();
        let mut encoder = Encoder::new(role);
        encoder.message(Format::Text, text.as_bytes(), fragment, &mut wire);
        encoder.ping(b"ping", &mut wire);
        encoder.message(Format::Binary, &binary, usize::MAX, &mut wire);
        encoder.pong(&[], &mut wire);
        encoder.close(Some(1000), &mut wire);
        let other = if role == Role::Client { Role::Server } else { Role::Client };
        let want = vec![
            Got::Message(Format::Text, text.into_bytes()),
            Got::Ping(b"ping".to_vec()),
            Got::Message(Format::Binary, binary),
            Got::Pong(vec![]),
            Got::Close(Some(1000)),
        ];
        let got = decoded(other, &wire, &[], false);
        prop_assert_eq!(&got, &(want, None));
        prop_assert_eq!(&got, &by_tungstenite(other, &wire));
        prop_assert_eq!(&got, &by_fastwebsockets(other, &wire));
    }
}

#[test]
fn the_frames_that_the_rfc_shows() {
    // §5.7.
    let hello = || Got::Message(Format::Text, b"Hello".to_vec());
    let binary = |size| Got::Message(Format::Binary, vec![7; size]);
    let medium = [b"\x82\x7E\x01\x00".as_slice(), &[7; 256]].concat();
    let large = [b"\x82\x7F\0\0\0\0\0\x01\0\0".as_slice(), &[7; 65536]].concat();
    let server: [(&[u8], Got); 5] = [
        (b"\x81\x05Hello", hello()),
        (b"\x01\x03Hel\x80\x02lo", hello()),
        (b"\x89\x05Hello", Got::Ping(b"Hello".to_vec())),
        (&medium, binary(256)),
        (&large, binary(65536)),
    ];
    for (wire, want) in server {
        assert_eq!(decoded(Role::Client, wire, &[], false), (vec![want], None));
    }
    let masked = b"\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58";
    for (head, want) in [(b"\x81\x85", hello()), (b"\x8A\x85", Got::Pong(b"Hello".to_vec()))] {
        assert_eq!(decoded(Role::Server, &[head, masked.as_slice()].concat(), &[], false), (vec![want], None));
    }
}

#[test]
fn each_violation_has_its_code_at_the_byte_that_shows_it() {
    let cases: &[(Role, &[u8], u16)] = &[
        // Reserved bits and opcodes.
        (Role::Client, b"\xC1", 1002),
        (Role::Client, b"\xA1", 1002),
        (Role::Client, b"\x91", 1002),
        (Role::Client, b"\x83", 1002),
        (Role::Server, b"\x8F", 1002),
        // Masks that belong to the other end.
        (Role::Client, b"\x81\x81", 1002),
        (Role::Server, b"\x81\x01", 1002),
        // Control frames in fragments, and too long; the short way and the long way.
        (Role::Client, b"\x09", 1002),
        (Role::Client, b"\x89\x7E\x00\x7E", 1002),
        (Role::Server, b"\x8A\xFF\0\0\0\0\0\0\0\x7E", 1002),
        // Fragments out of order.
        (Role::Client, b"\x80\x01", 1002),
        (Role::Client, b"\x01\x01a\x81\x00", 1002),
        // Closes.
        (Role::Client, b"\x88\x01\x03", 1002),
        (Role::Client, b"\x88\x02\x03\xED", 1002),
        (Role::Client, b"\x88\x03\x03\xE8\xFF", 1007),
        // Text that isn't: in one frame, at the end of one, in fragments, under a mask.
        (Role::Client, b"\x81\x03a\xFF", 1007),
        (Role::Client, b"\x81\x02a\xC2", 1007),
        (Role::Client, b"\x01\x01\xC2\x00\x01x", 1007),
        (Role::Client, b"\x01\x01\xC2\x80\x00", 1007),
        (Role::Server, b"\x81\x85\x01\x02\x03\x04a\xFD", 1007),
        // Sizes.
        (Role::Client, b"\x82\x7F\0\0\0\0\x01\0\0\x01", 1009),
        (Role::Client, b"\x82\x7F\x80\0\0\0\0\0\0\0", 1009),
    ];
    for (role, wire, code) in cases {
        let every: Vec<usize> = (0..wire.len()).collect();
        assert_eq!(decoded(*role, wire, &every, false).1, Some(*code), "{wire:02X?}");
        assert_eq!(decoded(*role, wire, &[], false).1, Some(*code), "{wire:02X?} at once");
        assert_eq!(decoded(*role, &wire[..wire.len() - 1], &every, false).1, None, "{wire:02X?} shows it before");
    }
}

#[test]
fn nothing_is_read_behind_a_close_or_a_violation() {
    let close = decoded(Role::Client, b"\x88\x00\x81\x01x\xFF", &[3], false);
    assert_eq!(close, (vec![Got::Close(None)], None));
    let mut decoder = Decoder::new(Role::Client);
    assert!(decoder.push(&mut b"\xFF".to_vec(), |_| ControlFlow::Continue(())).is_err());
    let pushed = decoder.push(&mut b"\x81\x01x".to_vec(), |arrival| panic!("{arrival:?}"));
    assert_eq!(pushed, Ok(3));
}
