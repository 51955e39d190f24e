//! nginx with the nchan module: every way to hear a channel that wsbench speaks, held against nginx's own counts.

use super::harness::{Ran, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use wsbench::measure::Counters;

/// Six ways to hear the same channels.
const ARMS: &str = r#"
[dialect.nchan]
publish = "/pub/{room}"

[transports.websocket]
[transports.sse]
[transports.http-streaming]
[transports.long-polling]
[transports.multipart]
transport = "long-polling"
[transports.short-polling]
interval = "20ms"

[target.urls]
websocket = "ws://127.0.0.1:PORT/ws/{room}"
sse = "http://127.0.0.1:PORT/sse/{room}"
http-streaming = "http://127.0.0.1:PORT/raw/{room}"
long-polling = "http://127.0.0.1:PORT/lp/{room}"
multipart = "http://127.0.0.1:PORT/lpm/{room}"
short-polling = "http://127.0.0.1:PORT/poll/{room}"
"#;

fn chat(more: &str) -> String {
    let load = "sessions = 20\nrate = \"100/s\"\nwarmup = \"200ms\"\nduration = \"800ms\"";
    format!("[workload.chat]\nrooms = 4\npayload = \"64B\"\n[load]\n{load}\n{more}")
}

/// The body of an answer, on a connection of its own.
fn ask(server: &Server, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let length = body.len();
    write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Messages that nginx took in, as it counts them.
fn published(server: &Server) -> u64 {
    let status = ask(server, "GET /status", "");
    let line = status.lines().find_map(|line| line.strip_prefix("total published messages: "));
    line.unwrap_or_else(|| panic!("{status}")).parse().unwrap()
}

/// Answers with that status to requests whose path begins so, as nginx logged them.
fn answers(server: &Server, path: &str, status: u16) -> u64 {
    let log = std::fs::read_to_string(server.path().join("access.log")).unwrap();
    let is_one = |line: &&str| line.starts_with(path) && line.split(' ').nth(1) == Some(&status.to_string());
    log.lines().filter(is_one).count() as u64
}

/// What became of an arm's messages, warmup included: all came, once, and nothing else.
fn whole(ran: &Ran, arm: &str) -> Counters {
    let document = ran.document();
    let cell = document.cells.iter().find(|cell| cell.arm == arm).unwrap_or_else(|| panic!("no arm {arm}"));
    let outcome = &cell.trials[0].outcome;
    let mut all = outcome.measure;
    all += outcome.warmup;
    assert!(outcome.errors.is_empty(), "{arm}: {:?}", outcome.errors);
    assert!(all.balance() && all.delivered + all.late == all.expected, "{arm}: {all:?}");
    assert!(all.sent > 0 && (all.unmatched, all.duplicate, all.skipped) == (0, 0, 0), "{arm}: {all:?}");
    all
}

#[test]
fn every_way_to_hear_a_channel_delivers_what_nginx_counted() {
    let Some(server) = Server::start("nchan") else { return };
    let ran = server.run(&chat(ARMS), &["-q"]).well();
    let mut sent = 0;
    for arm in ["websocket", "sse", "http-streaming", "long-polling", "multipart", "short-polling"] {
        let counters = whole(&ran, arm);
        assert_eq!(counters.expected, counters.sent * 5, "{arm}");
        sent += counters.sent;
    }
    assert_eq!(published(&server), sent);
    for (arm, path) in [("long-polling", "/lp/"), ("short-polling", "/poll/")] {
        assert_eq!(answers(&server, path, 200), whole(&ran, arm).expected, "{arm}: a message an answer");
    }
    assert!(answers(&server, "/lpm/", 200) <= whole(&ran, "multipart").expected);
    assert!(answers(&server, "/poll/", 304) > 0, "some interval polls bring nothing");
}

#[test]
fn every_way_that_is_of_http_is_heard_by_http_2() {
    let Some(server) = Server::start("nchan") else { return };
    let arms = r#"
[dialect.nchan]
publish = "/pub/{room}"

[transports.sse]
http = 2
[transports.http-streaming]
http = 2
[transports.long-polling]
http = 2
[transports.multipart]
transport = "long-polling"
http = 2
[transports.short-polling]
interval = "20ms"
http = 2

[target.urls]
sse = "http://127.0.0.1:PORT2/sse/{room}"
http-streaming = "http://127.0.0.1:PORT2/raw/{room}"
long-polling = "http://127.0.0.1:PORT2/lp/{room}"
multipart = "http://127.0.0.1:PORT2/lpm/{room}"
short-polling = "http://127.0.0.1:PORT2/poll/{room}"
"#;
    let ran = server.run(&chat(arms), &["-q"]).well();
    let mut sent = 0;
    for (arm, outcome) in ran.outcomes() {
        let counters = whole(&ran, &arm);
        assert_eq!(counters.expected, counters.sent * 5, "{arm}");
        assert_eq!(outcome.traffic.connections, 20, "{arm}: what a session hears and says goes over one");
        sent += counters.sent;
    }
    assert_eq!(published(&server), sent);
}

#[test]
fn one_url_serves_every_transport_by_its_headers() {
    let Some(server) = Server::start("nchan") else { return };
    let arms = r#"
[dialect.nchan]
[transports.websocket]
[transports.sse]
[transports.long-polling]
[target.urls]
websocket = "ws://127.0.0.1:PORT/room/{room}"
sse = "http://127.0.0.1:PORT/room/{room}"
long-polling = "http://127.0.0.1:PORT/room/{room}"
"#;
    let ran = server.run(&chat(arms), &["-q"]).well();
    let sent: u64 = ["websocket", "sse", "long-polling"].iter().map(|arm| whole(&ran, arm).sent).sum();
    assert_eq!(published(&server), sent);
}

#[test]
fn who_joins_is_owed_what_comes_then_and_nothing_of_before() {
    let Some(server) = Server::start("nchan") else { return };
    for room in 0..5 {
        for _ in 0..3 {
            ask(&server, &format!("POST /pub/{room}"), "of before");
        }
    }
    // Half of the rooms have a past. Most messages come before their session's first poll does, which a whole interval may lie
    // behind the joining.
    let scenario = r#"
[workload.chat]
rooms = 10
payload = "64B"
[load]
sessions = 10
arrival = "constant"
rate = "20/s"
duration = "450ms"
timeout = "5s"
drain = "3s"
[dialect.nchan]
publish = "/pub/{room}"
[transports.short-polling]
interval = "1s"
[transports.long-polling]
[transports.multipart]
transport = "long-polling"
[target.urls]
short-polling = "http://127.0.0.1:PORT/poll/{room}"
long-polling = "http://127.0.0.1:PORT/lp/{room}"
multipart = "http://127.0.0.1:PORT/lpm/{room}"
"#;
    let ran = server.run(scenario, &["-q"]).well();
    for cell in &ran.document().cells {
        let expected = whole(&ran, &cell.arm).expected;
        assert_eq!(cell.trials[0].outcome.traffic.received.messages, expected, "{}: nothing of before", cell.arm);
    }
}

#[test]
fn a_poll_that_waits_in_vain_is_asked_again() {
    let Some(server) = Server::start("nchan") else { return };
    let scenario = r#"
[workload.chat]
rooms = 2
payload = "64B"
[load]
sessions = 4
arrival = "constant"
rate = "1/s"
duration = "2500ms"
[dialect.nchan]
publish = "/pub/{room}"
[transports.long-polling]
[target.urls]
long-polling = "http://127.0.0.1:PORT/brief/{room}"
"#;
    let ran = server.run(scenario, &["-q"]).well();
    assert!(whole(&ran, "long-polling").sent >= 2);
    assert!(answers(&server, "/brief/", 408) > 0);
}

#[test]
fn binary_payloads_come_as_they_went_and_a_key_in_a_path_stays_out_of_the_result() {
    let Some(server) = Server::start("nchan") else { return };
    let is_of_text = |line: &&str| line.contains("sse") || line.contains("http-streaming");
    let text = chat(ARMS).replace("64B\"", "64B\"\nformat = \"binary\"");
    let binary: Vec<&str> = text.lines().filter(|line| !is_of_text(line)).collect();
    let with_key = binary.join("\n").replace("/pub/{room}", "/pub/{room}?key=hunter2");
    let ran = server.run(&with_key, &["-q"]).well();
    for file in ["result.json", "report.html", "summary.md"] {
        let text = std::fs::read_to_string(ran.out.join(file)).unwrap();
        assert!(!text.contains("hunter2"), "{file}");
        assert!(file != "result.json" || text.contains("/pub/{room}?key=[redacted]"), "{file}");
    }
    for arm in ["websocket", "long-polling", "multipart", "short-polling"] {
        whole(&ran, arm);
    }
}

#[test]
fn a_push_is_published_by_sessions_of_its_own() {
    let Some(server) = Server::start("nchan") else { return };
    let push = chat(ARMS).replace("[workload.chat]\nrooms", "[workload.push]\ntopics");
    let ran = server.run(&push, &["-q"]).well();
    for arm in ["websocket", "sse", "http-streaming", "long-polling", "multipart", "short-polling"] {
        let counters = whole(&ran, arm);
        assert_eq!(counters.expected, counters.sent * 5, "{arm}");
    }
}

#[test]
fn what_a_channel_forgot_between_two_polls_is_lost() {
    let Some(server) = Server::start("nchan") else { return };
    let arms = r#"
[dialect.nchan]
publish = "/forgetful/pub/{room}"
[transports.websocket]
[transports.short-polling]
interval = "200ms"
[target.urls]
websocket = "ws://127.0.0.1:PORT/forgetful/ws/{room}"
short-polling = "http://127.0.0.1:PORT/forgetful/poll/{room}"
"#;
    let ran = server.run(&chat(arms), &["-q"]).well();
    let document = ran.document();
    let of = |arm: &str| document.cells.iter().find(|cell| cell.arm == arm).unwrap().trials[0].outcome.measure;
    let (websocket, polling) = (of("websocket"), of("short-polling"));
    assert_eq!((websocket.reach(), websocket.lost), (Some(1.0), 0));
    assert!(polling.lost > 0 && polling.balance(), "{polling:?}");
}
