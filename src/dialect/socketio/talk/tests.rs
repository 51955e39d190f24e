//! What is said and heard, word for word.

use super::*;
use crate::catalog::{Emit, Spot};
use proptest::prelude::*;
use serde_json::json;

fn emit(event: &str, args: Value, ack: bool) -> Option<Emit> {
    Some(Emit { event: event.into(), args: args.as_array().unwrap().clone(), ack })
}

fn chat() -> SocketIo {
    SocketIo {
        join: emit("join", json!(["{room}"]), true),
        publish: emit("say", json!([{ "msg": "{payload}", "room": "{room}" }]), true),
        receive: Some(Received { event: "said".into(), at: Spot::Argument(0) }),
        ..SocketIo::default()
    }
}

fn echo() -> SocketIo {
    SocketIo { publish: emit("echo", json!(["{payload}"]), true), ..SocketIo::default() }
}

fn place() -> Place {
    Place { room: 7, session: 12, ..Place::from("/") }
}

fn talk(settings: &SocketIo) -> Conversation {
    Conversation::new(settings, &place())
}

/// What a conversation makes of `bytes`, in words.
fn heard(talk: &Conversation, bytes: &str) -> Result<String, Refusal> {
    let mut words = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    talk.hear(bytes.as_bytes(), &mut |heard| {
        words.push(match heard {
            Heard::Say(bytes) => format!("say {}", text(bytes)),
            Heard::Message(bytes) => format!("message {}", text(bytes)),
            Heard::Answer { ticket, payload } => format!("answer {ticket} {}", text(payload)),
            other => format!("{other:?}"),
        });
    })?;
    Ok(words.join("; "))
}

fn joined(settings: &SocketIo) -> Conversation {
    let talk = talk(settings);
    for said in [r#"0{"sid":"a"}"#, r#"40{"sid":"b"}"#, "439007199254740991[]"] {
        heard(&talk, said).unwrap();
    }
    assert_eq!(talk.progress.get(), Progress::Joined);
    talk
}

fn published(talk: &Conversation, ticket: u64, payload: &str) -> String {
    let mut out = Vec::new();
    talk.publish(ticket, payload.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_session_opens_connects_and_joins() {
    let talk = talk(&chat());
    talk.begin(&mut |heard| panic!("{heard:?}"));
    assert_eq!(heard(&talk, r#"0{"sid":"a","upgrades":[]}"#).unwrap(), "say 40");
    assert_eq!(heard(&talk, "2").unwrap(), "say 3");
    assert_eq!(heard(&talk, r#"40{"sid":"b"}"#).unwrap(), r#"say 429007199254740991["join","7"]"#);
    assert_eq!(heard(&talk, "430[]").unwrap(), "", "an acknowledgement of nothing");
    assert_eq!(heard(&talk, r#"439007199254740991["ok"]"#).unwrap(), "Joined");
    assert_eq!(heard(&talk, "0{}"), Err(Refusal::Alien("0{}".into())), "only once");
}

#[test]
fn a_session_without_a_room_is_joined_by_its_namespace() {
    let auth = json!({ "token": "t-{session}", "n": [1, "{room}"] }).as_object().cloned();
    let talk = talk(&SocketIo { namespace: "/r{room}".into(), auth, ..echo() });
    assert_eq!(heard(&talk, "0{}").unwrap(), r#"say 40/r7,{"n":[1,"7"],"token":"t-12"}"#);
    assert_eq!(heard(&talk, r#"40{"sid":"of another namespace"}"#).unwrap(), "");
    assert_eq!(heard(&talk, r#"40/r7,{"sid":"b"}"#).unwrap(), "Joined");
    assert_eq!(published(&talk, 3, "x"), r#"42/r7,3["echo","x"]"#);
    let mut last = Vec::new();
    talk.leave(&mut last);
    assert_eq!(last, b"41/r7,");
}

#[test]
fn an_unacknowledged_join_isnt_waited_for() {
    let talk = talk(&SocketIo { join: emit("enter", json!([]), false), ..chat() });
    heard(&talk, "0{}").unwrap();
    assert_eq!(heard(&talk, "40{}").unwrap(), r#"say 42["enter"]; Joined"#);
}

#[test]
fn what_is_published_comes_back_as_an_event_and_is_acknowledged_beside() {
    let talk = joined(&chat());
    assert_eq!(published(&talk, 5, "a\"\\\n"), r#"425["say",{"msg":"a\"\\\u000a","room":"7"}]"#);
    assert_eq!(heard(&talk, r#"42["said","a\"b","more"]"#).unwrap(), r#"message a"b"#);
    assert_eq!(heard(&talk, r#"42["\u0073aid",{"k":1}]"#).unwrap(), r#"message {"k":1}"#);
    assert_eq!(heard(&talk, r#"42["said"]"#).unwrap(), "message ");
    assert_eq!(heard(&talk, r#"42["else","x"]"#).unwrap(), "");
    assert_eq!(heard(&talk, r#"42/admin,["said","x"]"#).unwrap(), "", "of another namespace");
    assert_eq!(heard(&talk, "435[]").unwrap(), "Acknowledged { ticket: 5 }");
    assert_eq!(heard(&talk, "6").unwrap(), "");
}

#[test]
fn a_payload_may_lie_deep_in_an_event() {
    let at = Spot::Pointer("/1/msg/0".into());
    let talk = joined(&SocketIo { receive: Some(Received { event: "said".into(), at }), ..chat() });
    assert_eq!(heard(&talk, r#"42["said",0,{"msg":["a\u0062"]}]"#).unwrap(), "message ab");
    assert_eq!(heard(&talk, r#"42["said",0,{"msg":[[1]]}]"#).unwrap(), "message [1]");
    assert_eq!(heard(&talk, r#"42["said",0,{}]"#).unwrap(), "message ");
}

#[test]
fn without_an_event_to_wait_for_the_acknowledgement_is_the_answer() {
    let talk = joined(&echo());
    assert_eq!(published(&talk, 17, "x"), r#"4217["echo","x"]"#);
    assert_eq!(heard(&talk, r#"4317["x"]"#).unwrap(), "answer 17 x");
    assert_eq!(heard(&talk, "4318[]").unwrap(), "answer 18 ");
    assert_eq!(heard(&talk, r#"42["said","x"]"#).unwrap(), "");
}

#[test]
fn attachments_of_others_are_passed_over_and_ones_own_are_refused() {
    let talk = joined(&chat());
    assert_eq!(
        heard(&talk, r#"452-["picture",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).unwrap(),
        ""
    );
    assert_eq!(heard(&talk, "1 not a close").unwrap(), "");
    assert_eq!(heard(&talk, "bAQID").unwrap(), "");
    assert_eq!(heard(&talk, "2").unwrap(), "say 3");
    let own = heard(&talk, r#"451-["said",{"_placeholder":true,"num":0}]"#);
    assert!(matches!(own, Err(Refusal::Alien(_))), "{own:?}");
}

#[test]
fn the_server_may_refuse_and_end_a_session() {
    let refused = |text: &str| heard(&talk(&chat()), text).unwrap_err();
    assert_eq!(refused(r#"44{"message":"Not authorized"}"#), Refusal::Refused("Not authorized".into()));
    assert_eq!(refused("44what"), Refusal::Refused("what".into()));
    assert!(matches!(refused("1"), Refusal::Over(_)));
    assert!(matches!(refused("41"), Refusal::Over(_)));
    for alien in ["", "7", "x", "49", "5"] {
        assert!(matches!(refused(alien), Refusal::Alien(_)), "{alien:?}");
    }
    assert!(matches!(heard(&joined(&chat()), "42[").unwrap_err(), Refusal::Alien(_)));
}

proptest! {
    #[test]
    fn whatever_comes_is_an_error_at_worst(
        bytes in proptest::collection::vec(any::<u8>(), 0..60), text in r#"4[0-6][0-9]{0,2}-?(/a,)?[0-9]{0,3}\PC{0,20}"#,
        list in r#"4[2356](1-)?[0-9]?\["said",[\[\]{}",:a0-9]{0,20}\]"#,
    ) {
        for settings in [chat(), echo()] {
            for come in [&bytes, text.as_bytes(), list.as_bytes()] {
                for talk in [talk(&settings), joined(&settings)] {
                    let _ = talk.hear(come, &mut |_| {});
                }
            }
        }
    }

    #[test]
    fn text_is_escaped_as_json_has_it(payload in any::<String>()) {
        let out = published(&joined(&echo()), 1, &payload);
        let list: Vec<String> = serde_json::from_str(out.strip_prefix("421").unwrap()).unwrap();
        prop_assert_eq!(&list[1], &payload);
    }
}

#[test]
fn depth_is_bounded() {
    let deep = format!(r#"42["said",{}]"#, "[".repeat(200_000));
    assert!(heard(&joined(&chat()), &deep).is_err());
    let closed = format!(r#"42["said",{}{}]"#, "[".repeat(20_000), "]".repeat(20_000));
    let at = Spot::Pointer("/0/0".into());
    let pointing = joined(&SocketIo { receive: Some(Received { event: "said".into(), at }), ..chat() });
    assert_eq!(heard(&pointing, &closed).unwrap(), "message ", "too deep to look into");
}
