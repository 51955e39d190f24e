use super::*;
use ::mqttbytes::v4 as theirs;
use ::mqttbytes::{QoS, v4::Packet as Theirs};
use bytes::BytesMut;
use proptest::prelude::*;

/// What another implementation reads of what we write, all of it.
fn read_by_another(write: impl FnOnce(&mut Vec<u8>)) -> Theirs {
    let mut out = Vec::new();
    write(&mut out);
    let mut stream = BytesMut::from(&out[..]);
    let packet = theirs::read(&mut stream, usize::MAX).unwrap();
    assert!(stream.is_empty());
    packet
}

fn written_by_another(write: impl FnOnce(&mut BytesMut) -> Result<usize, ::mqttbytes::Error>) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out).unwrap();
    out.to_vec()
}

#[test]
fn another_implementation_reads_what_we_say() {
    let whole = Connect { client_id: "wsbench-3", user: Some("me"), password: Some("hunter2") };
    let Theirs::Connect(read) = read_by_another(|out| connect(whole, out)) else { panic!() };
    let login = read.login.unwrap();
    assert_eq!((read.client_id.as_str(), read.clean_session, read.keep_alive), ("wsbench-3", true, 0));
    assert_eq!((login.username.as_str(), login.password.as_str()), ("me", "hunter2"));
    let bare = Connect { client_id: "x", user: None, password: None };
    let Theirs::Connect(read) = read_by_another(|out| connect(bare, out)) else { panic!() };
    assert_eq!(read.login, None);

    for (ours, other) in [(Qos::AtMostOnce, QoS::AtMostOnce), (Qos::AtLeastOnce, QoS::AtLeastOnce)] {
        let Theirs::Subscribe(read) = read_by_another(|out| subscribe(7, "room/1", ours, out)) else { panic!() };
        let filter = &read.filters[0];
        assert_eq!((read.pkid, filter.path.as_str(), filter.qos), (7, "room/1", other));
    }
    assert_eq!(read_by_another(|out| puback(0x1234, out)), Theirs::PubAck(theirs::PubAck::new(0x1234)));
    assert_eq!(read_by_another(|out| out.extend_from_slice(&DISCONNECT)), Theirs::Disconnect);
}

#[test]
fn what_another_implementation_says_is_read() {
    let accepted = theirs::ConnAck::new(theirs::ConnectReturnCode::Success, false);
    let bytes = written_by_another(|out| accepted.write(out));
    assert_eq!(next(&bytes), Ok(Some((Packet::ConnAck { code: 0 }, bytes.len()))));
    let refused = theirs::ConnAck::new(theirs::ConnectReturnCode::NotAuthorized, false);
    let bytes = written_by_another(|out| refused.write(out));
    assert_eq!(next(&bytes), Ok(Some((Packet::ConnAck { code: 5 }, bytes.len()))));
    let codes = vec![theirs::SubscribeReasonCode::Success(QoS::AtLeastOnce), theirs::SubscribeReasonCode::Failure];
    let bytes = written_by_another(|out| theirs::SubAck::new(7, codes).write(out));
    assert_eq!(next(&bytes), Ok(Some((Packet::SubAck { id: 7, codes: &[1, 0x80] }, bytes.len()))));
    let bytes = written_by_another(|out| theirs::PubAck::new(9).write(out));
    assert_eq!(next(&bytes), Ok(Some((Packet::PubAck { id: 9 }, bytes.len()))));
    assert_eq!(next(&[0xD0, 0, 1]), Ok(Some((Packet::PingResp, 2))));
}

#[test]
fn what_breaks_the_rules_is_refused() {
    for bytes in [
        b"SSH-2.0-x".as_slice(),
        // CONNECT and SUBSCRIBE are for clients to send, 15 is nobody's.
        &[0x10, 0],
        &[0x82, 0],
        &[0xF0, 0],
        &[0x20, 1, 0],
        &[0x40, 3, 0, 1, 2],
        &[0xD0, 1, 0],
        &[0x30, 0xFF, 0xFF, 0xFF, 0xFF],
        // A topic longer than its packet, QoS 1 without a number, with the number 0, and QoS 2.
        &[0x30, 4, 0, 9, b'a', b'b'],
        &[0x32, 3, 0, 1, b'a'],
        &[0x32, 5, 0, 1, b'a', 0, 0],
        &[0x34, 5, 0, 1, b'a', 0, 1],
    ] {
        assert!(matches!(next(bytes), Err(CodecError::Malformed(_))), "{bytes:?}");
    }
    assert!(matches!(next(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]), Err(CodecError::TooLarge { .. })));
}

#[test]
fn a_duplicate_is_a_message_like_another() {
    let packet = Packet::Publish { topic: b"a", id: Some(3), payload: b"x" };
    assert_eq!(next(&[0x3A, 6, 0, 1, b'a', 0, 3, b'x']), Ok(Some((packet, 8))));
}

proptest! {
    #[test]
    fn messages_go_both_ways_and_in_any_cut(
        topic in "[a-z/]{1,40}", id in proptest::option::of(1u16..), payload in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut out = Vec::new();
        publish(&topic, id, &payload, &mut out);
        let mut stream = BytesMut::from(&out[..]);
        let Theirs::Publish(read) = theirs::read(&mut stream, usize::MAX).unwrap() else { panic!() };
        prop_assert_eq!((&read.topic, read.pkid, &read.payload[..]), (&topic, id.unwrap_or(0), &payload[..]));
        let whole = Packet::Publish { topic: topic.as_bytes(), id, payload: &payload };
        prop_assert_eq!(next(&out), Ok(Some((whole, out.len()))));
        for cut in 0..out.len() {
            prop_assert_eq!(next(&out[..cut]), Ok(None));
        }
    }

    #[test]
    fn no_bytes_panic(first in prop_oneof![Just(0x20u8), 0x30u8..0x40, Just(0x90), any::<u8>()], rest in proptest::collection::vec(any::<u8>(), 0..40)) {
        let bytes = [&[first], rest.as_slice()].concat();
        if let Ok(Some((_, used))) = next(&bytes) {
            prop_assert!((1..=bytes.len()).contains(&used));
        }
    }
}
