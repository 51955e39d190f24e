//! What a run counts, held against what the system counted of the same.

use super::harness::Bench;
use std::path::Path;
use wsbench::accounting::{CaptureReport, NoCapture, capture_run};
use wsbench::measure::KernelBytes;
use wsbench::plan::{self, Overrides};
use wsbench::result::Document;
use wsbench::scenario;

/// Every transport, all WebSocket engines and every framing of TCP.
const EVERYTHING: &str = r#"
[workload.chat]
rooms = 4
payload = "64B"
[load]
sessions = 12
rate = "200/s"
connect_rate = "5k/s"
warmup = "50ms"
duration = "300ms"
drain = "2s"
trials = 1
[transports.native]
transport = "websocket"
ping_every = "50ms"
[transports.fast]
transport = "websocket"
engine = "fastwebsockets"
ping_every = "50ms"
[transports.tungstenite]
transport = "websocket"
engine = "tungstenite"
[transports.length]
transport = "tcp"
framing = "length"
[transports.newline]
transport = "tcp"
framing = "newline"
[transports.fixed]
transport = "tcp"
framing = "fixed"
[transports.udp]
[transports.long-polling]
[transports.single]
transport = "long-polling"
batch = false
headers = "browser"
[transports.short-polling]
interval = "50ms"
[transports.sse]
[transports.http-streaming]
"#;

/// What is no part of a chat.
const REQUESTS: &str = r#"
[workload.echo]
payload = "64B"
[load]
sessions = 12
rate = "200/s"
connect_rate = "5k/s"
warmup = "50ms"
duration = "300ms"
drain = "2s"
[transports.http]
[transports.get]
transport = "http"
method = "GET"
headers = "browser"
"#;

/// A segment without payload over IPv4 with timestamps, bytes.
const BARE: u64 = 52;

fn ran(scenario: &str) -> Document {
    Bench::new(scenario).run(&["-q"]).well().document()
}

#[test]
fn counted_bytes_and_connections_are_what_the_system_counted() {
    let document = ran(EVERYTHING);
    assert_eq!(document.cells.len(), 12);
    for cell in &document.cells {
        for trial in &cell.trials {
            let (traffic, sessions) = (trial.outcome.traffic, trial.outcome.sessions);
            assert_eq!(sessions.connected, 12, "{}: {:?}", cell.arm, trial.outcome.errors);
            // One socket a session, but HTTP holds one for each way.
            let held = if cell.transport.contains("polling") || cell.transport.contains("http") || cell.arm == "sse" {
                24
            } else {
                12
            };
            let connections = sessions.held.unwrap();
            assert_eq!((connections.counted, connections.kernel), (held, Some(held)), "{}", cell.arm);
            if cell.transport == "udp" {
                assert_eq!(traffic.kernel, None);
            } else {
                assert!(traffic.kernel.unwrap().sent > traffic.sent.payload && traffic.handshake_sent > 0);
                let kernel = traffic.kernel.map(|kernel| KernelBytes { unread: 0, ..kernel });
                assert_eq!(kernel, Some(traffic.counted()), "{}: {traffic:?}", cell.arm);
            }
        }
    }
}

#[test]
fn plain_requests_are_counted_as_the_system_counts_them() {
    for cell in &ran(REQUESTS).cells {
        let (traffic, sessions) = (cell.trials[0].outcome.traffic, cell.trials[0].outcome.sessions);
        let connections = sessions.held.unwrap();
        assert_eq!((connections.counted, connections.kernel), (12, Some(12)), "{}", cell.arm);
        assert!(traffic.sent.framing > 40 * traffic.sent.messages && traffic.handshake == 0);
        let kernel = traffic.kernel.map(|kernel| KernelBytes { unread: 0, ..kernel });
        assert_eq!(kernel, Some(traffic.counted()), "{}: {traffic:?}", cell.arm);
    }
    let Some(report) = captured(REQUESTS) else { return };
    assert_eq!(report.cells.len(), 2);
    for check in report.cells.iter().flat_map(|cell| cell.exact()) {
        assert!(check.holds(), "{check:?}");
    }
}

/// `None`, and says why, where this system doesn't let packets be captured.
fn captured(text: &str) -> Option<CaptureReport> {
    let parsed = scenario::parse("scenario.toml", text).unwrap();
    let plan = plan::build(&parsed, &Overrides::default()).unwrap();
    match capture_run(Path::new(env!("CARGO_BIN_EXE_wsbench")), &plan) {
        Ok(report) => Some(report),
        Err(NoCapture::Skipped(reason)) => {
            eprintln!("skipped: {reason}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn counted_bytes_and_connections_are_what_was_captured() {
    let Some(report) = captured(EVERYTHING) else { return };
    assert_eq!(report.cells.len(), 12);
    for cell in &report.cells {
        assert_eq!((&cell.failure, cell.captured.dropped), (&None, 0), "{}", cell.arm);
        for check in cell.exact() {
            assert!(check.holds() && check.counted > 0, "{}: {check:?}", cell.arm);
        }
        for check in cell.wire() {
            // What the system had not acknowledged yet when it was asked: bare segments, and not many of them.
            let apart = check.counted.abs_diff(check.captured);
            let most = if cell.transport == "udp" { 0 } else { BARE * cell.captured.connections };
            assert!(apart % BARE == 0 && apart <= most, "{}: {check:?}", cell.arm);
        }
    }
}
