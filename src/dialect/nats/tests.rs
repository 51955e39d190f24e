use super::*;
use proptest::prelude::*;

const INFO: &[u8] = b"INFO {\"server_id\":\"x\",\"headers\":true,\"max_payload\":1048576} \r\n";

fn place() -> Place {
    Place { room: 3, session: 14, ..Place::from("/") }
}

fn talk(settings: &catalog::Nats) -> NatsTalk {
    NatsTalk::new(settings, &place())
}

/// What is made of `bytes`, in words.
fn heard(talk: &NatsTalk, bytes: &[u8]) -> Result<Vec<String>, Refusal> {
    let mut all = Vec::new();
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    talk.hear(bytes, &mut |heard| {
        all.push(match heard {
            Heard::Joined => "joined".to_owned(),
            Heard::Message(payload) => format!("message {}", text(payload)),
            Heard::Answer { ticket, payload } => format!("answer {ticket} {}", text(payload)),
            Heard::Acknowledged { ticket } => format!("acknowledged {ticket}"),
            Heard::Say(said) => format!("say {}", text(said)),
            Heard::Fault { ticket, problem } => format!("fault {ticket:?} {problem}"),
        });
    })?;
    Ok(all)
}

fn joined(settings: &catalog::Nats) -> NatsTalk {
    let talk = talk(settings);
    heard(&talk, INFO).unwrap();
    assert_eq!(heard(&talk, b"PONG\r\n").unwrap(), ["joined"]);
    talk
}

/// The JSON and what follows of the only thing that was said.
fn opening(settings: &catalog::Nats, place: &Place) -> (Value, String) {
    let mut all = Vec::new();
    let say = |heard: Heard| match heard {
        Heard::Say(said) => all.push(String::from_utf8(said.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    };
    NatsTalk::new(settings, place).hear(INFO, &mut { say }).unwrap();
    let [said] = &all[..] else { panic!("{all:?}") };
    let (connect, rest) = said.strip_prefix("CONNECT ").unwrap().split_once("\r\n").unwrap();
    (serde_json::from_str(connect).unwrap(), rest.to_owned())
}

#[test]
fn a_session_is_joined_by_the_pong_behind_its_subscription() {
    let talk = talk(&catalog::Nats::default());
    talk.begin(&mut |_| panic!("the server speaks first"));
    assert!(heard(&talk, &INFO[..9]).unwrap().is_empty());
    assert_eq!(heard(&talk, &INFO[9..]).unwrap().len(), 1);
    assert_eq!(heard(&talk, b"PONG\r\nPING\r\n+OK\r\n").unwrap(), ["joined", "say PONG\\r\\n"]);
    // The second one answers nothing of ours.
    assert!(heard(&talk, b"PONG\r\n").unwrap().is_empty());
    assert!(heard(&talk, INFO).unwrap().is_empty());
}

#[test]
fn it_says_who_it_is_and_what_it_wants() {
    let (connect, rest) = opening(&catalog::Nats::default(), &place());
    assert_eq!((&connect["verbose"], &connect["headers"]), (&json!(false), &json!(false)));
    assert!(connect.get("user").is_none() && connect.get("echo").is_none());
    assert_eq!(rest, "SUB room.3 1\r\nPING\r\n");

    let settings = catalog::Nats {
        subject: Some("a.{room}.{session}".into()),
        queue: Some("q{session}".into()),
        user: Some("u{session}".into()),
        password: Some("p\"\n".into()),
        token: Some("t".into()),
        ..catalog::Nats::default()
    };
    let (connect, rest) = opening(&settings, &place());
    assert_eq!(
        (&connect["user"], &connect["pass"], &connect["auth_token"]),
        (&json!("u14"), &json!("p\"\n"), &json!("t"))
    );
    assert_eq!(rest, "SUB a.3.14 q14 1\r\nPING\r\n");
    let (_, rest) = opening(&settings, &Place { is_publisher: true, ..place() });
    assert_eq!(rest, "PING\r\n");
}

#[test]
fn messages_come_in_any_cut() {
    let talk = joined(&catalog::Nats::default());
    let wire = b"MSG room.3 1 5\r\nhello\r\nMSG room.3 1 4\r\na\r\nb\r\n";
    assert_eq!(heard(&talk, wire).unwrap(), ["message hello", "message a\\r\\nb"]);
    let one_by_one: Vec<String> = wire.iter().flat_map(|byte| heard(&talk, &[*byte]).unwrap()).collect();
    assert_eq!(one_by_one, ["message hello", "message a\\r\\nb"]);
    let mut out = Vec::new();
    talk.publish(7, b"x\r\ny", &mut out);
    assert_eq!(out, b"PUB room.3 4\r\nx\r\ny\r\n");
}

#[test]
fn an_answer_is_known_by_where_it_came_to() {
    let settings = catalog::Nats { request: Some("svc.{room}".into()), ..catalog::Nats::default() };
    let (connect, rest) = opening(&settings, &place());
    assert_eq!((&connect["headers"], &connect["no_responders"]), (&json!(true), &json!(true)));
    let inbox = rest.strip_prefix("SUB ").unwrap().strip_suffix("* 1\r\nPING\r\n").unwrap();
    let talk = joined(&settings);
    let mut out = Vec::new();
    talk.publish(70, b"q", &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), format!("PUB svc.3 {inbox}70 1\r\nq\r\n"));
    let answer = format!("MSG {inbox}70 1 2\r\nhi\r\nMSG {inbox}x 1 2\r\nhi\r\n");
    assert_eq!(heard(&talk, answer.as_bytes()).unwrap(), ["answer 70 hi", "message hi"]);
    let nobody = format!("HMSG {inbox}71 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
    assert_eq!(heard(&talk, nobody.as_bytes()).unwrap(), ["fault Some(71) nobody answers the request"]);
}

#[test]
fn what_the_server_complains_of_ends_the_joining_or_the_session_or_neither() {
    let denied = b"-ERR 'Permissions Violation for Publish to \"room.3\"'\r\n";
    let fault = "fault None Permissions Violation for Publish to \\\"room.3\\\"";
    assert_eq!(heard(&joined(&catalog::Nats::default()), denied).unwrap(), [fault]);
    let stale = heard(&joined(&catalog::Nats::default()), b"-ERR 'Stale Connection'\r\n");
    assert_eq!(stale, Err(Refusal::Over("Stale Connection".into())));
    for text in [denied.as_slice(), b"-ERR 'Authorization Violation'\r\n"] {
        let new = talk(&catalog::Nats::default());
        heard(&new, INFO).unwrap();
        assert!(matches!(heard(&new, text), Err(Refusal::Refused(_))));
    }
    let alien =
        |bytes: &[u8]| assert!(matches!(heard(&talk(&catalog::Nats::default()), bytes), Err(Refusal::Alien(_))));
    alien(b"SSH-2.0-OpenSSH_9.2\r\n");
    alien(b"INFO {\r\n");
    alien(b"MSG a 1 99999999\r\n");
}

proptest! {
    #[test]
    fn no_bytes_panic(pieces in proptest::collection::vec(("(INFO \\{\\}\r\n|PONG\r\n|MSG a 1 |-ERR '|HMSG _INBOX 1 )?", proptest::collection::vec(any::<u8>(), 0..30)), 0..6)) {
        let talk = talk(&catalog::Nats { request: Some("svc".into()), ..catalog::Nats::default() });
        for (start, bytes) in pieces {
            if heard(&talk, &[start.as_bytes(), &bytes].concat()).is_err() {
                break;
            }
        }
    }
}
