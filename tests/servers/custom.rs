//! Servers that have no dialect of their own here: the scenario describes what they speak.

use crate::harness::Server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use wsbench::measure::{Counters, Metric};
use wsbench::result::Document;

/// All phases of the only trial.
fn counted(document: &Document) -> Counters {
    let outcome = &document.cells[0].trials[0].outcome;
    let mut all = outcome.warmup;
    all += outcome.measure;
    all
}

/// Everything was sent and everything came, once.
#[track_caller]
fn is_whole(document: &Document, each: u64) -> Counters {
    let counters = counted(document);
    assert!(counters.sent > 50, "{counters:?}");
    assert_eq!(counters.delivered + counters.late, counters.sent * each, "{counters:?}");
    let extra = [counters.lost, counters.unfinished, counters.duplicate, counters.unmatched, counters.foreign];
    assert_eq!(extra, [0; 5], "{counters:?}");
    let errors = &document.cells[0].trials[0].outcome.errors;
    assert!(errors.is_empty(), "{errors:?}");
    counters
}

/// A shipped scenario against a server at another port, with more time to answer.
fn shipped(text: &str, port: &str) -> String {
    assert!(text.contains(port));
    text.replace(port, ":PORT").replace("[load]", "[load]\ntimeout = \"30s\"\ndrain = \"5s\"")
}

/// What a server says to these bytes within a moment.
fn said(server: &Server, asked: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream.write_all(asked.as_bytes()).unwrap();
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        said.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8(said).unwrap()
}

/// The number behind `key`.
fn number(text: &str, key: &str) -> u64 {
    let digits = text.split_once(key).unwrap_or_else(|| panic!("{key} is not in {text}")).1;
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn couchdb_is_polled_by_a_cursor_in_its_answers() {
    let Some(server) = Server::start("couchdb") else { return };
    let text = shipped(include_str!("../../scenarios/targets/couchdb.toml"), ":5984").replace("20/s", "40/s");
    let document = server.run(&text, &[]).well().document();
    let counters = is_whole(&document, 5);
    let stored: u64 = (0..4)
        .map(|room| {
            let request = format!("GET /room{room} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            number(&said(&server, &request), "\"doc_count\":")
        })
        .sum();
    assert_eq!(stored, counters.sent);
}

#[test]
fn dnsmasq_answers_queries_by_their_ids() {
    let Some(server) = Server::start("dnsmasq") else { return };
    let text = shipped(include_str!("../../scenarios/targets/dnsmasq.toml"), ":53").replace("500/s", "200/s");
    let document = server.run(&text, &[]).well().document();
    let counters = is_whole(&document, 1);
    let log = std::fs::read_to_string(server.path().join("queries.log")).unwrap();
    assert_eq!(log.matches(": query[A] wsb1").count() as u64, counters.sent);
}

#[test]
fn redis_is_a_room_for_each_channel() {
    let Some(server) = Server::start("redis") else { return };
    let text = shipped(include_str!("../../scenarios/targets/redis.toml"), ":6379");
    let document = server.run(&text, &[]).well().document();
    let counters = is_whole(&document, 5);
    let published = number(&said(&server, "INFO commandstats\r\n"), "cmdstat_publish:calls=");
    assert_eq!(published, counters.sent);
}

#[test]
fn sockjs_wraps_its_messages_alike_over_every_transport() {
    let Some(server) = Server::start("sockjs") else { return };
    let count = || number(&said(&server, "GET /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "count=");
    let text = shipped(include_str!("../../scenarios/targets/sockjs.toml"), ":9999");
    let mut before = 0;
    for arm in ["websocket", "long-polling", "http-streaming", "sse"] {
        let text = match arm {
            "http-streaming" => text.replace("long-polling", arm).replace("/xhr\"", "/xhr_streaming\""),
            "sse" => {
                text.replace("long-polling", arm).replace("method = \"POST\", ", "").replace("/xhr\"", "/eventsource\"")
            }
            _ => text.clone(),
        };
        let document = server.run(&text, &["--transport", arm]).well().document();
        let counters = is_whole(&document, 1);
        assert_eq!(count() - before, counters.sent, "{arm}");
        before = count();
    }
}

/// An echo of Redis over one of its commands.
fn redis(dialect: &str, arrival: &str) -> String {
    format!(
        r#"
        [workload.echo]
        payload = "64B"
        [load]
        sessions = 10
        {arrival}
        warmup = "200ms"
        duration = "1s"
        timeout = "30s"
        drain = "5s"
        [target.urls]
        tcp = "tcp://127.0.0.1:PORT"
        [dialect.custom]
        {dialect}
        [transports.tcp]
        framing = "newline"
        "#
    )
}

#[test]
fn redis_answers_in_order_and_its_errors_take_their_turns() {
    let Some(server) = Server::start("redis") else { return };
    let set = r#"publish = "SET key{session} \"{payload}\"\r"
        correlate = "order"
        error = "^-""#;
    for arrival in ["rate = \"300/s\"", "arrival = \"closed\"\nthink = \"5ms\""] {
        let document = server.run(&redis(set, arrival), &[]).well().document();
        is_whole(&document, 1);
    }
    // One session in ten is answered with an error each time, whatever it says.
    said(&server, "FLUSHALL\r\nLPUSH key3 x\r\n");
    let append = set.replace("SET", "APPEND");
    let document = server.run(&redis(&append, "rate = \"300/s\""), &[]).well().document();
    let counters = counted(&document);
    let rejected = document.cells[0].trials[0].outcome.errors["rejected"];
    assert_eq!((counters.unfinished, counters.delivered + counters.late), (rejected, counters.sent - rejected));
    assert!(rejected > 5 && counters.foreign + counters.unmatched + counters.duplicate == 0, "{counters:?}");
}

#[test]
fn several_replies_to_a_request_are_all_owed() {
    let Some(server) = Server::start("redis") else { return };
    let three = r#"publish = "ECHO {payload:hex}\r\nECHO {payload:hex}\r\nECHO {payload:hex}\r"
        message = { regex = "^([0-9a-f]{64,})\\r", encoded = "hex" }
        ignore = '^\$'
        replies = 3"#;
    let document = server.run(&redis(three, "rate = \"200/s\""), &[]).well().document();
    let counters = is_whole(&document, 3);
    assert_eq!(counters.expected, 3 * counters.sent);
    let histograms = &document.cells[0].trials[0].outcome.histograms;
    let count = |metric| histograms.get(metric).unwrap().count();
    assert_eq!(count(Metric::ResponseTime), 3 * count(Metric::LastReceipt));
    // One more than is owed is a duplicate, and what nobody sent is foreign.
    let more = three.replace("replies = 3", "replies = 2").replace("ignore = '^\\$'", "");
    let counters = counted(&server.run(&redis(&more, "rate = \"200/s\""), &[]).well().document());
    // The run ends with the last reply that is owed, so that one more of it may not be heard.
    assert!((counters.sent - 10..=counters.sent).contains(&counters.duplicate), "{counters:?}");
    assert!((3 * counters.sent - 30..=3 * counters.sent).contains(&counters.foreign), "{counters:?}");
    assert_eq!(counters.delivered + counters.late, 2 * counters.sent);
}
