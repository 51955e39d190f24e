//! A peer that keeps to no rule: errors, never a panic, never memory without bound.

use super::exchange::message;
use crate::bus::packet::{Echo, HEADER, Packet, PacketError, Piece, WINDOW};
use crate::bus::{Conversation, MAX_MESSAGE};
use proptest::prelude::*;

const PACKET: Packet =
    Packet { conversation: 1, opens: false, forgotten: false, sent: 5, echo: None, acked: 0, beyond: 0, piece: None };

fn piece(number: u64, bytes: &[u8]) -> Packet<'_> {
    Packet { piece: Some(Piece { number, is_last: false, bytes }), ..PACKET }
}

/// One that has said ten pieces, all of which are on their way.
fn talking() -> Conversation {
    let mut end = Conversation::new(1, 200, 0);
    end.say(&message(1, 10 * (200 - HEADER))).unwrap();
    assert_eq!(end.packets(0).len(), 10);
    end
}

#[test]
fn what_was_never_said_cant_be_acknowledged() {
    let mut end = talking();
    for (acked, beyond) in [(11, 0), (u64::MAX, 0), (u64::MAX, u64::MAX), (0, 1 << 9), (9, 1), (10, 1), (0, 1 << 63)] {
        let lie = Packet { acked, beyond, ..PACKET }.write();
        assert!(matches!(end.hear(&lie, 1), Err(PacketError::Unsaid { said: 10, .. })), "{acked} {beyond}");
    }
    assert!(!end.has_heard() && end.has_unheard());
    // What is just still possible.
    end.hear(&Packet { acked: 0, beyond: 1 << 8, ..PACKET }.write(), 1).unwrap();
    end.hear(&Packet { acked: 9, ..PACKET }.write(), 1).unwrap();
    // The one that came early is not waited for any longer.
    assert!(!end.packets(0).iter().any(|packet| Packet::read(packet).unwrap().piece.is_some()));
    end.hear(&Packet { acked: 10, ..PACKET }.write(), 1).unwrap();
    assert!(!end.has_unheard());
    // An old one, overtaken.
    end.hear(&Packet { acked: 3, beyond: 0b1110, ..PACKET }.write(), 1).unwrap();
    assert!(!end.has_unheard());
}

#[test]
fn what_is_acknowledged_waits_no_longer() {
    let mut end = Conversation::new(1, MAX_MESSAGE, 0);
    let long = vec![0; MAX_MESSAGE - HEADER];
    for acked in 1..=4 {
        end.say(&long).unwrap();
        assert_eq!(end.packets(0).len(), 1);
        end.hear(&Packet { acked, ..PACKET }.write(), 0).unwrap();
    }
}

#[test]
fn pieces_far_ahead_are_refused_and_many_early_ones_are_not_kept() {
    let mut end = Conversation::new(1, 1 << 20, 0);
    for number in [WINDOW, u64::MAX] {
        let refused = end.hear(&piece(number, b"x").write(), 1);
        assert_eq!(refused, Err(PacketError::Ahead { piece: number, next: 0 }));
    }
    let megabyte = vec![0; 1 << 20];
    for number in 1..WINDOW {
        end.hear(&piece(number, &megabyte).write(), 1).unwrap();
    }
    // Eight are kept; what isn't kept isn't acknowledged either, so it comes again.
    let answer = end.packets(1);
    assert_eq!(Packet::read(&answer[0]).unwrap().beyond, 0xff);
}

#[test]
fn what_came_twice_or_has_had_its_turn_takes_no_room_from_what_comes_early() {
    let mut end = Conversation::new(1, 1 << 20, 0);
    let megabyte = vec![0; 1 << 20];
    for pair in 0..20 {
        for _ in 0..20 {
            end.hear(&piece(2 * pair + 1, &megabyte).write(), 1).unwrap();
        }
        assert_eq!(Packet::read(&end.packets(1)[0]).unwrap().beyond, 1, "{pair}");
        end.hear(&piece(2 * pair, b"").write(), 1).unwrap();
        assert_eq!(Packet::read(&end.packets(1)[0]).unwrap().acked, 2 * pair + 2);
    }
    assert_eq!(end.traffic().doubled, 20 * 19);
}

#[test]
fn a_message_without_an_end_ends_the_conversation() {
    let mut end = Conversation::new(1, 1 << 20, 0);
    let bytes = vec![0; 8 << 20];
    for number in 0..(MAX_MESSAGE / bytes.len()) as u64 {
        end.hear(&piece(number, &bytes).write(), 1).unwrap();
    }
    let long = end.hear(&piece((MAX_MESSAGE / bytes.len()) as u64, b"x").write(), 1);
    assert_eq!(long, Err(PacketError::Long(MAX_MESSAGE)));
    assert!(end.is_forgotten());
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let number = || prop_oneof![0..80_u64, any::<u64>(), Just(u64::MAX)];
    let bits = prop_oneof![Just(0), 0..1024_u64, any::<u64>()];
    let body = proptest::option::of((number(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..100)));
    let echo = proptest::option::of((number(), number()));
    (number(), number(), bits, any::<bool>(), echo, body).prop_map(|(sent, acked, beyond, opens, echo, body)| {
        let echo = echo.map(|(sent, heard)| Echo { sent, heard });
        let piece = body.as_ref().map(|(number, is_last, bytes)| Piece { number: *number, is_last: *is_last, bytes });
        Packet { sent, acked, beyond, opens, echo, piece, ..PACKET }.write()
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(packets in proptest::collection::vec(any_packet(), 0..60), steps in proptest::collection::vec(0..1u64 << 33, 60)) {
        let mut end = talking();
        let mut now = 0;
        for (packet, step) in packets.iter().zip(steps) {
            now += step;
            let _ = end.hear(packet, now);
            let sent = end.packets(now);
            prop_assert!(sent.len() <= 11);
            prop_assert!(sent.iter().all(|packet| packet.len() <= 200));
            let _ = (end.wake_at(), end.silent_for(now), end.traffic());
            if let Some(offset) = end.offset() {
                prop_assert!(offset.drift_ppm.is_finite());
                let _ = (offset.there(0), offset.there(u64::MAX));
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_worse(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut end = talking();
        end.hear(&bytes, 1).unwrap_err();
        let mut ours = b"wsb1".to_vec();
        ours.extend(&bytes);
        let _ = end.hear(&ours, 1);
    }
}
