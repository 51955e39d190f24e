//! NATS: the server counts what goes through it exactly, and so do we.

use crate::harness::{Server, assert_whole};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread::JoinHandle;
use wsbench::measure::{Counters, Outcome};

const ARMS: &str = "
    [target.urls]
    tcp = \"nats://127.0.0.1:PORT\"
    websocket = \"ws://127.0.0.1:PORT2\"
    [transports.tcp]
    [transports.websocket]
    ";

/// The connection by which the harness learns that the server listens.
const PROBE: u64 = 1;

/// What the server says of itself.
fn varz(server: &Server) -> serde_json::Value {
    let mut stream = TcpStream::connect(("127.0.0.1", server.more[1])).unwrap();
    stream.write_all(b"GET /varz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// What all arms sent and received, messages and payload bytes, by our count and by the server's.
#[track_caller]
fn assert_counted_alike(server: &Server, outcomes: &[(String, Outcome)]) {
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(|(_, outcome)| of(outcome)).sum::<u64>();
    let ours = [
        sum(|o| o.traffic.sent.messages),
        sum(|o| o.traffic.sent.payload),
        sum(|o| o.traffic.received.messages),
        sum(|o| o.traffic.received.payload),
    ];
    let varz = varz(server);
    let theirs = ["in_msgs", "in_bytes", "out_msgs", "out_bytes"].map(|name| varz[name].as_u64().unwrap());
    assert_eq!(ours, theirs);
    assert_eq!(varz["slow_consumers"], 0);
}

#[test]
fn rooms_over_tcp_and_websocket_in_one_run_are_what_the_server_counts() {
    let Some(server) = Server::start("nats") else { return };
    let chat =
        "[workload.chat]\nrooms = 4\n[load]\nsessions = 20\nrate = \"100/s\"\nwarmup = \"200ms\"\nduration = \"1s\"\n";
    let ran = server.run(&format!("{chat}[dialect.nats]\n{ARMS}"), &[]).well();
    let outcomes = ran.outcomes();
    assert_whole(&outcomes);
    assert_counted_alike(&server, &outcomes);
    for (_, outcome) in &outcomes {
        assert_eq!(outcome.measure.expected, outcome.measure.sent * 5);
    }
    assert_eq!(varz(&server)["total_connections"], 40 + PROBE);
}

#[test]
fn topics_are_published_to_by_sessions_that_receive_nothing() {
    let Some(server) = Server::start("nats") else { return };
    let push =
        "[workload.push]\ntopics = 2\nformat = \"binary\"\n[load]\nsessions = 10\nrate = \"50/s\"\nduration = \"1s\"\n";
    let ran = server.run(&format!("{push}[dialect.nats]\nsubject = \"score.{{room}}.x\"\n{ARMS}"), &[]).well();
    let outcomes = ran.outcomes();
    assert_whole(&outcomes);
    assert_counted_alike(&server, &outcomes);
    // Five receive each; were the publishers among them, it would be six.
    for (_, outcome) in &outcomes {
        assert_eq!(outcome.traffic.received.messages, outcome.traffic.sent.messages * 5);
    }
}

#[test]
fn a_session_has_its_own_messages_back_over_every_engine() {
    let Some(server) = Server::start("nats") else { return };
    let echo = "[workload.echo]\npayload = { min = \"32B\", max = \"20KiB\" }\n[load]\nsessions = 5\narrival = \"closed\"\nduration = \"500ms\"\n";
    let more = "[transports.fast]\ntransport = \"websocket\"\nengine = \"fastwebsockets\"\n\
                [transports.tungstenite]\ntransport = \"websocket\"\nengine = \"tungstenite\"\nfragment = \"1KiB\"\n";
    let arms = ARMS.replace(
        "[transports.tcp]",
        "fast = \"ws://127.0.0.1:PORT2\"\ntungstenite = \"ws://127.0.0.1:PORT2\"\n[transports.tcp]",
    );
    let ran = server.run(&format!("{echo}[dialect.nats]\n{arms}{more}"), &[]).well();
    let outcomes = ran.outcomes();
    assert_eq!(outcomes.len(), 4);
    assert_whole(&outcomes);
    assert_counted_alike(&server, &outcomes);
}

#[test]
fn connects_end_with_the_echo_of_one_message() {
    let Some(server) = Server::start("nats") else { return };
    let connect = "[workload.connect]\n[load]\nsessions = 20\nrate = \"40/s\"\nduration = \"1s\"\n";
    let ran = server.run(&format!("{connect}[dialect.nats]\n{ARMS}"), &[]).well();
    let outcomes = ran.outcomes();
    assert_whole(&outcomes);
    let sent: u64 = outcomes.iter().map(|(_, outcome)| outcome.measure.sent).sum();
    assert_eq!(varz(&server)["total_connections"], sent + PROBE);
}

/// Answers what it is asked at `subject` with something else, until the server ends.
fn service(server: &Server, subject: &str) -> JoinHandle<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    write!(stream, "CONNECT {{\"verbose\":false}}\r\nSUB {subject} 1\r\nPING\r\n").unwrap();
    let mut line = String::new();
    while !line.starts_with("PONG") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0);
    }
    std::thread::spawn(move || {
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let ["MSG", _, _, inbox, size] = fields[..] {
                let mut payload = vec![0; size.parse::<usize>().unwrap() + 2];
                lines.read_exact(&mut payload).unwrap();
                let _ = write!(stream, "PUB {inbox} 4\r\ndone\r\n");
            } else if fields == ["PING"] {
                let _ = stream.write_all(b"PONG\r\n");
            }
            line.clear();
        }
    })
}

#[test]
fn a_service_answers_each_request_to_an_inbox() {
    let Some(server) = Server::start("nats") else { return };
    let answering = service(&server, "svc.echo");
    let echo = "[workload.echo]\n[load]\nsessions = 10\nrate = \"50/s\"\nduration = \"1s\"\n";
    let scenario = format!("{echo}[dialect.nats]\nrequest = \"svc.echo\"\n{ARMS}");
    let ran = server.run(&scenario, &[]).well();
    let outcomes = ran.outcomes();
    assert_whole(&outcomes);
    for (_, outcome) in &outcomes {
        assert_eq!(outcome.traffic.received.payload, outcome.measure.sent * 4);
    }
    drop(server);
    answering.join().unwrap();
}

#[test]
fn a_request_that_nobody_answers_is_told_by_the_server() {
    let Some(server) = Server::start("nats") else { return };
    let echo = "[workload.echo]\n[load]\nsessions = 2\nrate = \"20/s\"\nduration = \"500ms\"\ntimeout = \"100ms\"\n";
    let ran = server.run(&format!("{echo}[dialect.nats]\nrequest = \"svc.nobody\"\n{ARMS}"), &[]);
    assert_eq!(ran.code, 1);
    for (arm, outcome) in ran.outcomes() {
        assert!(outcome.measure.sent > 0, "{arm}");
        assert_eq!((outcome.measure.delivered, outcome.measure.unfinished), (0, outcome.measure.sent), "{arm}");
        assert_eq!(outcome.errors.get("rejected"), Some(&outcome.measure.sent), "{arm}: {:?}", outcome.errors);
    }
}

#[test]
fn who_may_not_publish_is_told_and_stays_and_secrets_stay_here() {
    let Some(server) = Server::start("nats") else { return };
    let echo = "[workload.echo]\n[load]\nsessions = 2\nrate = \"40/s\"\narrival = \"constant\"\nduration = \"500ms\"\ntimeout = \"100ms\"\n";
    let limited = "[dialect.nats]\nuser = \"limited\"\npassword = \"hunter2\"\n";
    let ran = server.run(&format!("{echo}{limited}{ARMS}"), &[]).well();
    for (arm, outcome) in ran.outcomes() {
        let Counters { sent, delivered, late, unfinished, .. } = outcome.measure;
        // Session 0 may publish to its subject, session 1 may not.
        let came = delivered + late;
        assert!(came > 0 && unfinished > 0 && came + unfinished == sent, "{arm}: {:?}", outcome.measure);
        assert_eq!(outcome.errors.get("rejected"), Some(&unfinished), "{arm}: {:?}", outcome.errors);
        assert_eq!(outcome.sessions.connected, 2);
    }
    let result = std::fs::read_to_string(ran.out.join("result.json")).unwrap();
    assert!(result.contains("limited") && !result.contains("hunter2"));
}

#[test]
fn a_wrong_password_is_a_refused_join() {
    let Some(server) = Server::start("nats") else { return };
    let echo = "[workload.echo]\n[load]\nsessions = 2\nrate = \"40/s\"\nduration = \"200ms\"\n";
    let ran = server.run(&format!("{echo}[dialect.nats]\nuser = \"limited\"\npassword = \"wrong\"\n{ARMS}"), &[]);
    for (arm, outcome) in ran.outcomes() {
        assert_eq!(outcome.sessions.connected, 0);
        assert_eq!(outcome.errors.get("join-refused"), Some(&2), "{arm}: {:?}", outcome.errors);
    }
    assert!(ran.stdout.contains("Authorization Violation"), "the server's words: {}", ran.stdout);
}
