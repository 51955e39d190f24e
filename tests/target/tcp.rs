//! The TCP face.

use crate::harness::*;
use tokio::io::AsyncWriteExt as _;

#[test]
fn every_framing_echoes_what_it_got() {
    with_target(|server| async move {
        for (framing, sent) in
            [("length", b"\0\0\0\x05he\0lo\0\0\0\0".as_slice()), ("newline", b"hello\n\n"), ("fixed:3", b"abcdef")]
        {
            let mut raw = Raw::open(&server, server.ports.tcp).await;
            raw.write(format!("WSBENCH/1 JOIN /echo token={TOKEN} framing={framing}\n")).await;
            assert_eq!(raw.read(3).await, b"OK\n");
            raw.write(sent).await;
            assert_eq!(raw.read(sent.len()).await, sent, "{framing}");
        }
    });
}

#[test]
fn bytes_that_come_with_the_join_are_messages() {
    with_target(|server| async move {
        let mut raw = Raw::open(&server, server.ports.tcp).await;
        raw.write(format!("WSBENCH/1 JOIN /echo token={TOKEN} framing=newline\nfirst\nsec")).await;
        raw.write("ond\n").await;
        assert_eq!(raw.read_to("second\n").await, "OK\nfirst\nsecond\n");
    });
}

#[test]
fn refusals_say_why_and_close() {
    let report = with_target(|server| async move {
        for (line, reason) in [
            ("WSBENCH/1 JOIN /echo token=wrong framing=length\n", "token"),
            ("WSBENCH/1 JOIN /echo framing=length\n", "token"),
            ("WSBENCH/1 JOIN /nowhere token=secret framing=length\n", "place"),
            ("WSBENCH/1 JOIN /echo token=secret framing=rot13\n", "framing"),
            ("GET / HTTP/1.1\r\n\r\n", "not a join"),
        ] {
            let mut raw = Raw::open(&server, server.ports.tcp).await;
            raw.write(line).await;
            let answer = String::from_utf8(raw.rest().await).unwrap();
            assert!(answer.starts_with("ERR ") && answer.ends_with('\n') && answer.contains(reason), "{answer}");
        }
    });
    assert_eq!((report.accepted, report.refused), (5, 2));
}

#[test]
fn a_fin_is_answered_with_a_fin_after_everything_was_echoed() {
    with_target(|server| async move {
        let mut raw = tcp(&server, "/echo").await;
        raw.send_framed(b"last words").await;
        raw.socket.shutdown().await.unwrap();
        assert_eq!(raw.rest().await, b"\0\0\0\x0alast words");
    });
}

#[test]
fn a_greeting_comes_at_once_and_the_target_may_close_after_it() {
    with_target(|server| async move {
        let tag = "t".repeat(32);
        let mut raw = tcp(&server, &format!("/hello?tag={tag}&size=40")).await;
        assert_eq!(raw.read_framed().await, format!("{tag}........").as_bytes());
        assert!(raw.is_silent().await);
        let mut raw = tcp(&server, &format!("/hello?tag={tag}&size=32&close=server")).await;
        assert_eq!(raw.rest().await, [b"\0\0\0\x20", tag.as_bytes()].concat());
    });
}

#[test]
fn an_oversized_message_ends_the_session_and_no_other() {
    with_target(|server| async move {
        let mut other = tcp(&server, "/echo").await;
        let mut raw = tcp(&server, "/echo").await;
        raw.write([0xFF; 4]).await;
        assert!(raw.rest().await.is_empty());
        other.send_framed(b"still here").await;
        assert_eq!(other.read_framed().await, b"still here");
    });
}
