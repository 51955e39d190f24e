//! What a run counts, held against what the system counted of the same.

use super::harness::Bench;
use wsbench::result::Document;

/// Every transport, both WebSocket engines and every framing of TCP.
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

fn ran(scenario: &str) -> Document {
    Bench::new(scenario).run(&["-q"]).well().document()
}

#[test]
fn counted_bytes_and_connections_are_what_the_system_counted() {
    let document = ran(EVERYTHING);
    assert_eq!(document.cells.len(), 11);
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
                assert_eq!(traffic.kernel, Some(traffic.counted()), "{}: {traffic:?}", cell.arm);
            }
        }
    }
}
