use super::*;
use proptest::prelude::*;

const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];
const GRANTED: &[u8] = &[0x90, 3, 0, 1, 1];

fn settings(qos: u8) -> catalog::Mqtt {
    catalog::Mqtt { qos, ..catalog::Mqtt::default() }
}

fn place() -> Place {
    Place { room: 3, session: 14, ..Place::from("/") }
}

#[derive(Debug, PartialEq, Eq)]
enum Got {
    Joined,
    Message(Vec<u8>),
    Say(Vec<u8>),
}

fn hear(talk: &MqttTalk, bytes: &[u8]) -> Result<Vec<Got>, Refusal> {
    let mut all = Vec::new();
    talk.hear(bytes, &mut |heard| {
        all.push(match heard {
            Heard::Joined => Got::Joined,
            Heard::Message(payload) => Got::Message(payload.to_vec()),
            Heard::Say(said) => Got::Say(said.to_vec()),
            other => panic!("{other:?}"),
        });
    })?;
    Ok(all)
}

fn joined(qos: u8) -> MqttTalk {
    let talk = MqttTalk::new(&settings(qos), &place());
    let mut subscribe = Vec::new();
    let asked = if qos == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
    mqtt::subscribe(1, "room/3", asked, &mut subscribe);
    assert_eq!(hear(&talk, ACCEPTED).unwrap(), [Got::Say(subscribe)]);
    assert_eq!(hear(&talk, GRANTED).unwrap(), [Got::Joined]);
    talk
}

fn publish(topic: &str, id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    mqtt::publish(topic, id, payload, &mut out);
    out
}

#[test]
fn it_connects_under_a_name_of_its_own_and_with_its_credentials() {
    let settings = catalog::Mqtt { user: Some("u{session}".into()), password: Some("p".into()), ..settings(0) };
    let talk = MqttTalk::new(&settings, &place());
    let mut said = Vec::new();
    talk.begin(&mut |heard| match heard {
        Heard::Say(bytes) => said.extend_from_slice(bytes),
        other => panic!("{other:?}"),
    });
    let id = format!("wsbench-14-{:08x}", super::super::nonce());
    let mut want = Vec::new();
    mqtt::connect(Connect { client_id: &id, user: Some("u14"), password: Some("p") }, &mut want);
    assert_eq!(said, want);
}

#[test]
fn who_only_publishes_is_joined_when_connected() {
    let talk = MqttTalk::new(&settings(1), &Place { is_publisher: true, ..place() });
    assert_eq!(hear(&talk, ACCEPTED).unwrap(), [Got::Joined]);
}

#[test]
fn messages_come_in_any_cut_and_are_acknowledged_where_they_ask_for_it() {
    let talk = joined(1);
    let wire = [publish("room/3", None, b"a"), publish("room/3", Some(9), b"b"), vec![0xD0, 0]].concat();
    let acknowledged = Got::Say(vec![0x40, 2, 0, 9]);
    let want = [Got::Message(b"a".into()), Got::Message(b"b".into()), acknowledged];
    assert_eq!(hear(&talk, &wire).unwrap(), want);
    let one_by_one: Vec<Got> = wire.iter().flat_map(|byte| hear(&talk, &[*byte]).unwrap()).collect();
    assert_eq!(one_by_one, want);
}

#[test]
fn a_duplicate_is_handed_on_for_whoever_counts_them() {
    let talk = joined(1);
    let mut wire = publish("room/3", Some(9), b"b");
    assert_eq!(hear(&talk, &wire).unwrap().len(), 2);
    wire[0] |= 0x08;
    assert_eq!(hear(&talk, &wire).unwrap(), [Got::Message(b"b".into()), Got::Say(vec![0x40, 2, 0, 9])]);
}

#[test]
fn an_acknowledgement_of_ours_is_no_delivery() {
    let talk = joined(1);
    let mut out = Vec::new();
    talk.publish(0, b"x", &mut out);
    assert_eq!(out, publish("room/3", Some(2), b"x"));
    assert!(hear(&talk, &[0x40, 2, 0, 2]).unwrap().is_empty());
    // Numbers go round, and none is 0.
    for _ in 0..65_534 {
        talk.publish(0, b"", &mut out);
    }
    out.clear();
    talk.publish(0, b"y", &mut out);
    assert_eq!(out, publish("room/3", Some(2), b"y"));
    out.clear();
    joined(0).publish(0, b"z", &mut out);
    assert_eq!(out, publish("room/3", None, b"z"));
}

#[test]
fn it_is_told_why_it_may_not_join() {
    let new = || MqttTalk::new(&settings(1), &place());
    assert_eq!(hear(&new(), &[0x20, 2, 0, 5]), Err(Refusal::Refused("the client is not authorized".into())));
    let talk = new();
    hear(&talk, ACCEPTED).unwrap();
    assert!(matches!(hear(&talk, &[0x90, 3, 0, 1, 0x80]), Err(Refusal::Refused(_))));
    for alien in [GRANTED, b"SSH-2.0-x\r\n", &[0x40, 2, 0, 2], &publish("a", None, b"")] {
        assert!(matches!(hear(&new(), alien), Err(Refusal::Alien(_))), "{alien:?}");
    }
    assert!(matches!(hear(&joined(1), ACCEPTED), Err(Refusal::Alien(_))));
}

#[test]
fn it_says_good_bye() {
    let mut out = Vec::new();
    joined(0).leave(&mut out);
    assert_eq!(out, [0xE0, 0]);
}

proptest! {
    #[test]
    fn no_bytes_panic(starts in proptest::collection::vec(prop_oneof![Just(ACCEPTED), Just(GRANTED), Just(&[0x30u8, 9][..]), Just(&[][..])], 0..4), rest in proptest::collection::vec(any::<u8>(), 0..40)) {
        let talk = MqttTalk::new(&settings(1), &place());
        for piece in starts.iter().copied().chain(rest.chunks(7)) {
            if talk.hear(piece, &mut |_| {}).is_err() {
                break;
            }
        }
    }
}
