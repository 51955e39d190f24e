//! Socket.IO 4 as npm has it.

use crate::harness::{Ran, Server};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use wsbench::measure::Metric;
use wsbench::result::{Cell, Document};

const CHAT: &str = r#"
[workload.chat]
rooms = 4

[load]
sessions = 20
rate = "100/s"
warmup = "200ms"
duration = "1600ms"

[dialect."socket.io"]
join = { event = "join", args = ["{room}"], ack = true }
publish = { event = "say", args = [{ room = "{room}", msg = "{payload}" }], ack = true }
receive = { event = "said", at = "/0/msg" }
"#;

const ECHO: &str = r#"
[workload.echo]
template = '{"id":"{{tag}}","text":"a \"quoted\" text"}'

[load]
sessions = 10
rate = "100/s"
warmup = "100ms"
duration = "500ms"
"#;

const BY_ACK: &str = r#"
[dialect."socket.io"]
publish = { event = "echo", args = ["{payload}"], ack = true }
"#;

const EVERY_ARM: &str = r#"
[target.urls]
native = "ws://127.0.0.1:PORT/"
fast = "ws://127.0.0.1:PORT/"
tungstenite = "ws://127.0.0.1:PORT/"
long-polling = "http://127.0.0.1:PORT/"

[transports.native]
transport = "websocket"
[transports.fast]
transport = "websocket"
engine = "fastwebsockets"
[transports.tungstenite]
transport = "websocket"
engine = "tungstenite"
[transports.long-polling]
"#;

/// The server's own counters.
fn seen(server: &Server) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(b"GET /counters HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

/// Sums over all trials of a document.
fn sum(document: &Document, of: impl Fn(&wsbench::measure::Outcome) -> u64) -> u64 {
    document.cells.iter().flat_map(|cell| &cell.trials).map(|trial| of(&trial.outcome)).sum()
}

#[track_caller]
fn all_well(document: &Document) {
    for cell in &document.cells {
        for trial in &cell.trials {
            let (outcome, arm) = (&trial.outcome, &cell.arm);
            assert!(outcome.errors.is_empty(), "{arm}: {:?}", outcome.errors);
            assert_eq!(outcome.sessions.connected, outcome.sessions.asked, "{arm}");
            assert!(outcome.measure.expected > 0, "{arm}");
            assert_eq!(outcome.measure.reach(), Some(1.0), "{arm}");
            assert_eq!((outcome.measure.duplicate, outcome.measure.unmatched), (0, 0), "{arm}");
        }
    }
}

fn cell<'a>(document: &'a Document, arm: &str) -> &'a Cell {
    document.cells.iter().find(|cell| cell.arm == arm).unwrap()
}

#[test]
fn rooms_are_heard_in_and_publishes_acknowledged_over_every_transport_while_the_server_pings() {
    let Some(server) = Server::start("socketio") else { return };
    let document = server.run(&format!("{CHAT}{EVERY_ARM}"), &[]).well().document();
    all_well(&document);
    let sent = sum(&document, |o| o.warmup.sent + o.measure.sent);
    for cell in &document.cells {
        let acknowledged = cell.trials[0].outcome.acknowledgements;
        assert!(acknowledged.asked > 0, "{}", cell.arm);
        assert_eq!((acknowledged.matched, acknowledged.unmatched), (acknowledged.asked, 0), "{}", cell.arm);
    }
    let seen = seen(&server);
    assert_eq!(seen["said"], sent);
    assert_eq!((&seen["opened"], &seen["joined"], &seen["upgraded"]), (&80.into(), &80.into(), &0.into()));
    assert!(seen["heartbeats"].as_u64().unwrap() >= 80 * 2, "{seen}");
    assert!(seen["closed"].get("ping timeout").is_none(), "{seen}");
}

#[test]
fn a_session_that_polls_by_http_2_has_one_connection() {
    let Some(server) = Server::start("socketio") else { return };
    let arm = "[target.urls]\nlong-polling = \"http://127.0.0.1:PORT2/\"\n[transports.long-polling]\nhttp = 2\n";
    let document = server.run(&format!("{CHAT}{arm}"), &[]).well().document();
    all_well(&document);
    let outcome = &cell(&document, "long-polling").trials[0].outcome;
    assert_eq!(outcome.acknowledgements.matched, outcome.acknowledgements.asked);
    assert_eq!(outcome.traffic.connections, 20);
    let (ours, kernel) = (outcome.traffic.counted(), outcome.traffic.kernel.unwrap());
    assert_eq!((ours.sent, ours.received), (kernel.sent, kernel.received));
    let seen = seen(&server);
    assert_eq!((&seen["joined"], &seen["said"]), (&20.into(), &(outcome.warmup.sent + outcome.measure.sent).into()));
}

#[test]
fn an_acknowledgement_answers_an_echo() {
    let Some(server) = Server::start("socketio") else { return };
    let document = server.run(&format!("{ECHO}{BY_ACK}{EVERY_ARM}"), &[]).well().document();
    all_well(&document);
    assert_eq!(seen(&server)["echoed"], sum(&document, |o| o.warmup.sent + o.measure.sent));
    assert_eq!(sum(&document, |o| o.acknowledgements.asked), 0, "they are answers");
}

#[test]
fn an_event_answers_an_echo() {
    let Some(server) = Server::start("socketio") else { return };
    let by_event = "[dialect.\"socket.io\"]\npublish = { event = \"echo\", args = [\"{payload}\"] }\nreceive = { event = \"echo\" }\n";
    all_well(&server.run(&format!("{ECHO}{by_event}{EVERY_ARM}"), &[]).well().document());
}

#[test]
fn sessions_that_begin_by_polling_go_over_to_their_websocket() {
    let Some(server) = Server::start("socketio") else { return };
    let starting = EVERY_ARM.replace("transport = \"websocket\"", "transport = \"websocket\"\nstart = \"polling\"");
    let document = server.run(&format!("{CHAT}{starting}"), &[]).well().document();
    all_well(&document);
    let seen = seen(&server);
    assert_eq!((&seen["opened"], &seen["upgraded"], &seen["joined"]), (&80.into(), &60.into(), &80.into()));
    for arm in ["native", "fast", "tungstenite"] {
        let outcome = &cell(&document, arm).trials[0].outcome;
        assert_eq!(outcome.histograms.get(Metric::Switch).unwrap().count(), 20, "{arm}");
        assert_eq!(outcome.acknowledgements.matched, outcome.acknowledgements.asked, "{arm}");
        assert_eq!((outcome.traffic.connections, outcome.traffic.wire_known), (40, 40), "{arm}");
        // Every byte of both connections is known, by our count and by the system's.
        let (ours, kernel) = (outcome.traffic.counted(), outcome.traffic.kernel.unwrap());
        assert_eq!((ours.sent, ours.received), (kernel.sent, kernel.received), "{arm}");
    }
    let polling = &cell(&document, "long-polling").trials[0].outcome;
    assert!(polling.histograms.get(Metric::Switch).is_none());
}

#[test]
fn who_lacks_the_password_is_refused_and_who_has_it_doesnt_show_it() {
    let Some(server) = Server::start("socketio") else { return };
    let guarded = |server: &Server, auth: &str| {
        let settings = format!("namespace = \"/guarded\"\nauth = {{ {auth} }}\n");
        let chat = CHAT.replace("[dialect.\"socket.io\"]\n", &format!("[dialect.\"socket.io\"]\n{settings}"));
        server.run(&format!("{chat}{EVERY_ARM}"), &[])
    };
    let ran = guarded(&server, "password = \"open sesame\"").well();
    let document = ran.document();
    all_well(&document);
    assert!(!shown(&ran).contains("open sesame"), "in the result");
    let Some(another) = Server::start("socketio") else { return };
    let refused = guarded(&another, "user = \"{session}\"").document();
    for cell in &refused.cells {
        let outcome = &cell.trials[0].outcome;
        assert_eq!(outcome.errors.get("join-refused"), Some(&20), "{}: {:?}", cell.arm, outcome.errors);
    }
}

#[test]
fn a_server_that_sends_sessions_away_is_the_one_that_closed() {
    let Some(server) = Server::start("socketio") else { return };
    let chat = CHAT.replace("[dialect.\"socket.io\"]\n", "[dialect.\"socket.io\"]\nnamespace = \"/brief\"\n");
    let document = server.run(&format!("{chat}{EVERY_ARM}"), &[]).document();
    for cell in &document.cells {
        let errors = &cell.trials[0].outcome.errors;
        assert_eq!(errors.get("closed-by-target"), Some(&20), "{}: {errors:?}", cell.arm);
    }
}

fn shown(ran: &Ran) -> String {
    std::fs::read_to_string(ran.out.join("result.json")).unwrap()
}
