//! The WebSocket face, with each engine, against frames made by hand.

use crate::harness::*;
use tokio::net::TcpStream;
use wsbench::catalog::{Engine, Format};
use wsbench::target::Config;

/// The key of RFC 6455 §1.3, and what must come of it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

pub struct Ws(Raw);

pub async fn upgrade(server: &Server, path: &str, more: &str) -> (Raw, String) {
    let mut raw = Raw::open(server, server.ports.websocket).await;
    raw.write(format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Version: 13\r\n{more}\r\n"
    ))
    .await;
    let head = raw.read_to("\r\n\r\n").await;
    (raw, head)
}

pub async fn joined(server: &Server, place: &str) -> Ws {
    let mark = if place.contains('?') { '&' } else { '?' };
    let (raw, head) = upgrade(server, &format!("{place}{mark}token={TOKEN}"), "").await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT), "{head}");
    Ws(raw)
}

impl Ws {
    /// A frame with this first byte, masked as clients must.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            n if n < 126 => frame.push(0x80 | n as u8),
            n if n < 65536 => {
                frame.push(0x80 | 126);
                frame.extend((n as u16).to_be_bytes());
            }
            n => {
                frame.push(0x80 | 127);
                frame.extend((n as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.0.write(frame).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    /// First byte and payload of the next frame, which must not be masked.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.0.read(2).await;
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.0.read(2).await.try_into().unwrap())),
            127 => u64::from_be_bytes(self.0.read(8).await.try_into().unwrap()) as usize,
            short => usize::from(short),
        };
        (head[0], self.0.read(length).await)
    }

    pub fn socket(&self) -> &TcpStream {
        &self.0.socket
    }

    pub fn into_socket(self) -> TcpStream {
        self.0.socket
    }

    pub async fn message(&mut self) -> (Format, Vec<u8>) {
        match self.frame().await {
            (TEXT, payload) => (Format::Text, payload),
            (BINARY, payload) => (Format::Binary, payload),
            other => panic!("not a message: {other:?}"),
        }
    }
}

fn with_each_engine(client: impl AsyncFn(Server)) {
    for engine in Engine::ALL {
        with(Config { engine: *engine, ..config() }, |server| client(server));
    }
}

#[test]
fn text_stays_text_and_binary_stays_binary_at_every_length() {
    with_each_engine(async |server| {
        let mut ws = joined(&server, "/echo").await;
        for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            let text = vec![b'x'; size];
            ws.send(TEXT, &text).await;
            assert!(ws.frame().await == (TEXT, text), "{size}");
            let binary = vec![0xC2; size];
            ws.send(BINARY, &binary).await;
            assert!(ws.frame().await == (BINARY, binary), "{size}");
        }
    });
}

#[test]
fn fragments_make_one_message_with_a_ping_between() {
    with_each_engine(async |server| {
        let mut ws = joined(&server, "/echo").await;
        ws.send(0x01, "Grü".as_bytes().split_at(3).0).await;
        ws.send(PING, b"are you there").await;
        ws.send(0x00, b"").await;
        ws.send(0x80, "Grüße".as_bytes().split_at(3).1).await;
        assert_eq!(ws.frame().await, (PONG, b"are you there".to_vec()));
        assert_eq!(ws.frame().await, (TEXT, "Grüße".into()));
    });
}

#[test]
fn every_ping_is_answered() {
    with_each_engine(async |server| {
        let mut ws = joined(&server, "/room/r").await;
        for n in 0..5 {
            ws.send(PING, &[n]).await;
        }
        ws.send(PONG, b"unasked").await;
        for n in 0..5 {
            assert_eq!(ws.frame().await, (PONG, vec![n]));
        }
    });
}

#[test]
fn a_close_is_answered_once_with_the_same_code_and_the_stream_ends() {
    with_each_engine(async |server| {
        for payload in [3001u16.to_be_bytes().to_vec(), Vec::new()] {
            let mut ws = joined(&server, "/echo").await;
            ws.send_text("last words").await;
            ws.send(CLOSE, &payload).await;
            assert_eq!(ws.frame().await, (TEXT, b"last words".to_vec()));
            assert_eq!(ws.frame().await, (CLOSE, payload));
            assert!(ws.0.rest().await.is_empty(), "one close is enough");
        }
    });
}

#[test]
fn the_target_can_start_the_closing_handshake() {
    with_each_engine(async |server| {
        let tag = "t".repeat(32);
        let mut ws = joined(&server, &format!("/hello?tag={tag}&size=33&close=server")).await;
        assert_eq!(ws.frame().await, (TEXT, format!("{tag}.").into_bytes()));
        assert_eq!(ws.frame().await, (CLOSE, 1001u16.to_be_bytes().to_vec()));
        ws.send(CLOSE, &1001u16.to_be_bytes()).await;
        assert!(ws.0.rest().await.is_empty());
    });
}

#[test]
fn an_oversized_message_is_closed_with_1009() {
    with_each_engine(async |server| {
        let mut ws = joined(&server, "/echo").await;
        let mut head = vec![BINARY, 0x80 | 127];
        head.extend((16u64 * 1024 * 1024 + 1).to_be_bytes());
        ws.0.write([head, vec![1, 2, 3, 4]].concat()).await;
        assert_eq!(ws.frame().await, (CLOSE, 1009u16.to_be_bytes().to_vec()));
        assert!(ws.0.rest().await.is_empty());
    });
}

#[test]
fn the_largest_message_passes() {
    with_each_engine(async |server| {
        let mut ws = joined(&server, "/echo").await;
        let payload = vec![7; 16 << 20];
        ws.send(BINARY, &payload).await;
        assert!(ws.frame().await == (BINARY, payload));
    });
}

#[test]
fn fragments_may_not_add_up_to_more_than_the_limit() {
    with_each_engine(async |server| {
        let mut ws = joined(&server, "/echo").await;
        ws.send(0x02, &vec![0; 16 << 20]).await;
        ws.send(0x80, b"x").await;
        assert_eq!(ws.frame().await, (CLOSE, 1009u16.to_be_bytes().to_vec()));
    });
}

#[test]
fn broken_frames_are_closed_with_their_code() {
    with_each_engine(async |server| {
        for (first, payload, code) in [
            (TEXT, b"\xC2\xC6".as_slice(), 1007u16),
            (0x80, b"continues nothing", 1002),
            (0x83, b"reserved opcode", 1002),
            (0xC1, b"reserved bit", 1002),
            (0x8B, b"reserved control opcode", 1002),
            (0x09, b"a ping in fragments", 1002),
            (PING, &[0; 126], 1002),
            (PONG, &[0; 126], 1002),
            (CLOSE, b"\x03", 1002),
            (CLOSE, b"\x03\xED", 1002),
            (CLOSE, b"\x03\xE8\xC3\x28", 1007),
        ] {
            let mut ws = joined(&server, "/echo").await;
            ws.send(first, payload).await;
            let (opcode, answer) = ws.frame().await;
            assert_eq!((opcode, &answer[..2]), (CLOSE, &code.to_be_bytes()[..]), "{first:x}");
        }
    });
}

#[test]
fn a_frame_without_a_mask_is_closed_with_1002() {
    with_each_engine(async |server| {
        let mut ws = joined(&server, "/echo").await;
        ws.0.write(b"\x81\x02hi").await;
        let (opcode, answer) = ws.frame().await;
        assert_eq!((opcode, &answer[..2]), (CLOSE, &1002u16.to_be_bytes()[..]));
        assert!(ws.0.rest().await.is_empty());
    });
}

#[test]
fn fragments_are_refused_at_the_one_that_spoils_the_message() {
    with_each_engine(async |server| {
        for (first, rest, code) in [
            ((0x01, b"a\xC3".as_slice()), (0x00, b"\x28".as_slice()), 1007u16),
            ((0x01, b"a"), (0x80, b"\xC3"), 1007),
            ((0x02, b"a"), (TEXT, b"b"), 1002),
        ] {
            let mut ws = joined(&server, "/echo").await;
            ws.send(first.0, first.1).await;
            ws.send(rest.0, rest.1).await;
            let (opcode, answer) = ws.frame().await;
            assert_eq!((opcode, &answer[..2]), (CLOSE, &code.to_be_bytes()[..]), "{rest:?}");
        }
    });
}

#[test]
fn what_follows_a_close_is_ignored() {
    with_each_engine(async |server| {
        let mut ws = joined(&server, "/echo").await;
        let close = 1000u16.to_be_bytes();
        ws.send(CLOSE, &close).await;
        for (first, payload) in [(TEXT, b"late".as_slice()), (PING, b"late"), (CLOSE, &close), (0xC1, b"broken")] {
            ws.send(first, payload).await;
        }
        assert_eq!(ws.frame().await, (CLOSE, close.to_vec()));
        assert!(ws.0.rest().await.is_empty());
    });
}

#[test]
fn refusals_are_answered_with_their_status() {
    let report = with_target(|server| async move {
        for (path, status) in
            [("/echo?token=wrong", 401), ("/echo", 401), ("/nowhere?token=secret", 404), ("/hello?token=secret", 404)]
        {
            let (mut raw, head) = upgrade(&server, path, "").await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            raw.rest().await;
        }
        let mut raw = Raw::open(&server, server.ports.websocket).await;
        raw.write("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(raw.rest().await.starts_with(b"HTTP/1.1 400 "));
    });
    assert_eq!(report.refused, 2);
}

#[test]
fn the_first_subprotocol_is_chosen() {
    with_target(|server| async move {
        let path = format!("/echo?token={TOKEN}");
        let (_raw, head) = upgrade(&server, &path, "Sec-WebSocket-Protocol: chat, superchat\r\n").await;
        assert!(head.contains("\r\nSec-WebSocket-Protocol: chat\r\n"), "{head}");
    });
}

#[test]
fn frames_that_come_with_the_upgrade_are_not_lost() {
    with_each_engine(async |server| {
        let mut raw = Raw::open(&server, server.ports.websocket).await;
        let frame = b"\x81\x82\0\0\0\0hi";
        let request = format!(
            "GET /echo?token={TOKEN} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        raw.write([request.as_bytes(), frame].concat()).await;
        raw.read_to("\r\n\r\n").await;
        assert_eq!(Ws(raw).frame().await, (TEXT, b"hi".to_vec()));
    });
}
