//! Brokers that misbehave, over TCP and over every WebSocket engine.

use crate::harness::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsbench::catalog::{Dialect, Engine, Framing, Mqtt, Nats, Transport, Websocket};
use wsbench::codec::mqtt;
use wsbench::transport::{Endpoint, ErrorClass};

/// How long a session may take to join.
const PATIENCE: Duration = Duration::from_secs(60);
const INFO: &[u8] = b"INFO {\"server_id\":\"x\"}\r\n";

fn nats(address: std::net::SocketAddr) -> Endpoint {
    let dialect = Dialect::Nats(Nats::default());
    Endpoint { dialect, connect_timeout: PATIENCE, ..endpoint(tcp(Framing::Length), address) }
}

/// Reads until `end` came.
async fn read_to(stream: &mut TcpStream, end: &[u8]) {
    let mut said = Vec::new();
    while !said.ends_with(end) {
        said.push(stream.read_u8().await.unwrap());
    }
}

/// A server of NATS that says `bytes` to a session once that is joined.
async fn nats_saying(bytes: &'static [u8]) -> Endpoint {
    let behave = move |mut stream: TcpStream| async move {
        stream.write_all(INFO).await.unwrap();
        read_to(&mut stream, b"PING\r\n").await;
        stream.write_all(b"PONG\r\n").await.unwrap();
        read_to(&mut stream, b"first\r\n").await;
        stream.write_all(bytes).await.unwrap();
        silence(stream).await;
    };
    nats(listen(behave).await)
}

#[test]
fn a_nats_server_that_ends_a_session_says_why() {
    run(async {
        let ends: [(&'static [u8], ErrorClass); 3] = [
            (b"-ERR 'Stale Connection'\r\n", ErrorClass::ClosedByTarget(None)),
            (b"HTTP/1.1 400 Bad Request\r\n", ErrorClass::Garbage),
            (b"MSG room.0 1 999999999\r\n", ErrorClass::Garbage),
        ];
        for (bytes, class) in ends {
            let mut client = open_at(nats_saying(bytes).await).await;
            client.send(1, b"first");
            assert_eq!(client.seen.failure().await, class);
        }
    });
}

#[test]
fn a_nats_session_survives_what_it_may_not_publish() {
    run(async {
        let bytes = b"-ERR 'Permissions Violation for Publish to \"room.0\"'\r\nMSG room.0 1 2\r\nhi\r\n";
        let mut client = open_at(nats_saying(bytes).await).await;
        client.send(1, b"first");
        assert_eq!(client.seen.messages(1).await, [b"hi"]);
        assert_eq!(client.seen.faults.take(), [(None, ErrorClass::Rejected)]);
    });
}

#[test]
fn a_join_that_nats_refuses_is_refused_and_one_that_it_never_grants_times_out() {
    run(async {
        let refuses = |mut stream: TcpStream| async move {
            stream.write_all(INFO).await.unwrap();
            stream.write_all(b"-ERR 'Authorization Violation'\r\n").await.unwrap();
            silence(stream).await;
        };
        assert_eq!(refusal(nats(listen(refuses).await)).await, ErrorClass::JoinRefused);
        let silent = Endpoint { connect_timeout: Duration::from_millis(300), ..nats(listen(silence).await) };
        assert_eq!(refusal(silent).await, ErrorClass::HandshakeTimeout);
        let ends = |mut stream: TcpStream| async move { stream.write_all(INFO).await.unwrap() };
        assert!(matches!(refusal(nats(listen(ends).await)).await, ErrorClass::Truncated | ErrorClass::Reset));
    });
}

#[test]
fn whoever_asks_for_answers_and_reads_none_fills_no_memory() {
    run(async {
        let floods = |mut stream: TcpStream| async move {
            stream.write_all(INFO).await.unwrap();
            read_to(&mut stream, b"PING\r\n").await;
            stream.write_all(b"PONG\r\n").await.unwrap();
            let pings = b"PING\r\n".repeat(10_000);
            while stream.write_all(&pings).await.is_ok() {}
        };
        let client = open_at(nats(listen(floods).await)).await;
        assert_eq!(client.seen.failure().await, ErrorClass::TooLarge);
    });
}

#[test]
fn whoever_talks_and_never_joins_fills_no_memory() {
    run(async {
        let talks = |mut stream: TcpStream| async move {
            stream.write_all(INFO).await.unwrap();
            let nothing = b"+OK\r\n".repeat(10_000);
            while stream.write_all(&nothing).await.is_ok() {}
        };
        assert_eq!(refusal(nats(listen(talks).await)).await, ErrorClass::TooLarge);
    });
}

fn mqtt_over(websocket: Websocket, address: std::net::SocketAddr) -> Endpoint {
    let dialect = Dialect::Mqtt(Mqtt { qos: 1, ..Mqtt::default() });
    Endpoint { dialect, connect_timeout: PATIENCE, ..endpoint(Transport::Websocket(websocket), address) }
}

/// Reads the next packet of a client's, each in a frame of its own.
async fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let (first, packet) = read_frame(stream).await.unwrap();
    assert_eq!(first, 0x82, "binary");
    packet
}

/// Joins a client over WebSocket.
async fn joined(stream: &mut TcpStream) {
    assert_eq!(packet(stream).await[0], 0x10, "CONNECT");
    // A piece of the stream in each message, cut in the middle of a packet.
    stream.write_all(&frame(0x82, &[0x20, 2, 0])).await.unwrap();
    stream.write_all(&frame(0x82, &[0])).await.unwrap();
    assert_eq!(packet(stream).await[0], 0x82, "SUBSCRIBE");
    stream.write_all(&frame(0x82, &[0x90, 3, 0, 1, 1])).await.unwrap();
}

#[test]
fn mqtt_over_websocket_wants_a_subprotocol_unless_none_is_offered() {
    run(async {
        for engine in Engine::ALL {
            let ignores = |mut stream: TcpStream| async move {
                let head = read_head(&mut stream).await.unwrap();
                let (request, _) = wsbench::codec::upgrade::read_request(head.as_bytes()).unwrap().unwrap();
                let answer = wsbench::codec::upgrade::write_response(&request.key, None);
                stream.write_all(&answer).await.unwrap();
                if request.subprotocols.is_empty() {
                    joined(&mut stream).await;
                }
                silence(stream).await;
            };
            let address = listen(ignores).await;
            let offered = Websocket { subprotocols: vec!["mqtt".into()], ..websocket(*engine) };
            assert_eq!(refusal(mqtt_over(offered, address)).await, ErrorClass::BadSubprotocol, "{engine}");
            open_at(mqtt_over(websocket(*engine), address)).await;
        }
    });
}

#[test]
fn an_mqtt_message_that_comes_twice_is_handed_on_and_acknowledged_twice() {
    run(async {
        for engine in Engine::ALL {
            let doubles = |mut stream: TcpStream| async move {
                accept(&mut stream).await;
                joined(&mut stream).await;
                let mut publish = packet(&mut stream).await;
                let acknowledged = [publish.as_slice(), &[0x40, 2, 0, 2]].concat();
                stream.write_all(&frame(0x82, &acknowledged)).await.unwrap();
                assert_eq!(packet(&mut stream).await, [0x40, 2, 0, 2]);
                publish[0] |= 0x08;
                stream.write_all(&frame(0x82, &publish)).await.unwrap();
                assert_eq!(packet(&mut stream).await, [0x40, 2, 0, 2]);
                assert_eq!(packet(&mut stream).await, mqtt::DISCONNECT);
                let (first, code) = read_frame(&mut stream).await.unwrap();
                stream.write_all(&frame(first, &code)).await.unwrap();
            };
            let offered = Websocket { subprotocols: vec!["mqtt".into()], ..websocket(*engine) };
            let mut client = open_at(mqtt_over(offered, listen(doubles).await)).await;
            client.send(1, b"x");
            assert_eq!(client.seen.messages(2).await, [b"x", b"x"], "{engine}");
            let traffic = client.traffic();
            assert_eq!((traffic.sent.messages, traffic.received.messages), (1, 2), "{engine}");
            client.connection.close();
            assert!(client.seen.ended().await.failure.is_none(), "{engine}");
        }
    });
}
