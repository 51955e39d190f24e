//! The HTTP face: polls, streams, refusals, and heads to the byte.

use crate::harness::*;
use std::time::Duration;
use wsbench::target::Config;
use wsbench::units::Span;

const SID: &str = "00000000000000a1";

#[test]
fn polls_lose_nothing_between_them() {
    with_target(|server| async move {
        let mut sender = tcp(&server, "/room/r").await;
        let (mut single, mut batched) = (Http::open(&server).await, Http::open(&server).await);
        sender.send_framed(b"before anyone polled").await;
        sender.read_framed().await;
        let at = single.join(SID, "/room/r", "&batch=0").await;
        assert_eq!(at, 1, "the cursor counts what the place has seen");
        batched.join("00000000000000a2", "/room/r", "&batch=1").await;
        for n in 0..5 {
            sender.send_framed(format!("m{n}").as_bytes()).await;
            sender.read_framed().await;
        }
        for n in 0..5 {
            let answer = single.get(&format!("/poll/{SID}?c={}", at + n)).await;
            assert_eq!((answer.status, answer.body), (200, format!("m{n}").into_bytes()));
        }
        let again = single.get(&format!("/poll/{SID}?c={}", at + 4)).await;
        assert_eq!(again.body, b"m4", "an answer that was lost can be asked for again");
        let all = batched.get(&format!("/poll/00000000000000a2?c={at}")).await;
        assert_eq!(unbatched(&all.body), [b"m0", b"m1", b"m2", b"m3", b"m4"]);
    });
}

#[test]
fn a_held_get_is_answered_by_the_next_message() {
    with(Config { hold: Span::from_millis(20_000), ..config() }, |server| async move {
        let mut sender = tcp(&server, "/room/r").await;
        let mut http = Http::open(&server).await;
        let cursor = http.join(SID, "/room/r", "").await;
        http.0.write(format!("GET /poll/{SID}?c={cursor} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert!(http.0.is_silent().await);
        sender.send_framed(b"now").await;
        assert_eq!(http.answer().await.body, b"now");
    });
}

#[test]
fn a_hold_ends_with_204_and_now_does_not_hold() {
    with_target(|server| async move {
        let mut http = Http::open(&server).await;
        let cursor = http.join(SID, "/echo", "").await;
        assert_eq!(http.get(&format!("/poll/{SID}?c={cursor}&now=1")).await.status, 204);
        assert_eq!(http.get(&format!("/poll/{SID}?c={cursor}")).await.status, 204);
        assert_eq!(http.post(SID, b"x").await.status, 204);
        assert_eq!(http.get(&format!("/poll/{SID}?c={cursor}&now=1")).await.body, b"x");
        assert_eq!(http.get(&format!("/poll/{SID}?c={}&now=1", cursor + 1)).await.status, 204);
    });
}

#[test]
fn a_second_get_is_refused_while_one_is_held_and_a_broken_one_is_let_go() {
    with(Config { hold: Span::from_millis(20_000), ..config() }, |server| async move {
        let mut held = Http::open(&server).await;
        let cursor = held.join(SID, "/echo", "").await;
        held.0.write(format!("GET /poll/{SID}?c={cursor} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert!(held.0.is_silent().await);
        let mut other = Http::open(&server).await;
        assert_eq!(other.get(&format!("/poll/{SID}?c={cursor}")).await.status, 409);
        assert_eq!(other.get(&format!("/poll/{SID}?join=/echo&token={TOKEN}")).await.status, 409);
        assert_eq!(other.get(&format!("/sse/{SID}?join=/echo&token={TOKEN}")).await.status, 409);
        drop(held);
        while other.get(&format!("/poll/{SID}?c={cursor}&now=1")).await.status != 204 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn a_cursor_that_is_no_longer_kept_is_answered_410() {
    with_target(|server| async move {
        let mut sender = tcp(&server, "/room/r").await;
        let mut http = Http::open(&server).await;
        let cursor = http.join(SID, "/room/r", "").await;
        let message = [&1000u32.to_be_bytes()[..], &[b'x'; 1000]].concat();
        // A thousand at a time, so that the sender's own copies fit its outbox.
        for _ in 0..66 {
            sender.write(message.repeat(1000)).await;
            sender.read(message.len() * 1000).await;
        }
        assert_eq!(http.get(&format!("/poll/{SID}?c={cursor}")).await.status, 410);
    });
}

#[test]
fn refusals_have_their_status() {
    let report = with_target(|server| async move {
        let mut http = Http::open(&server).await;
        let join = format!("join=/echo&token={TOKEN}");
        for (method, path, status) in [
            ("GET", format!("/poll/{SID}?join=/echo&token=wrong"), 401),
            ("GET", format!("/sse/{SID}?join=/echo"), 401),
            ("GET", format!("/stream/{SID}?join=/echo&token="), 401),
            ("GET", format!("/poll/{SID}?join=/nowhere&token={TOKEN}"), 404),
            ("GET", format!("/poll/{SID}?c=0"), 404),
            ("GET", format!("/poll/short?{join}"), 404),
            ("GET", "/".to_owned(), 404),
            ("POST", format!("/pub/{SID}"), 404),
            ("DELETE", format!("/pub/{SID}"), 404),
            ("GET", format!("/pub/{SID}"), 405),
            ("DELETE", format!("/poll/{SID}?{join}"), 405),
            ("GET", format!("/poll/{SID}?{join}&batch=2"), 400),
            ("GET", format!("/sse/{SID}?{join}&format=rot13"), 400),
        ] {
            assert_eq!(http.request(method, &path).await.status, status, "{method} {path}");
        }
        http.join(SID, "/echo", "").await;
        assert_eq!(http.get(&format!("/poll/{SID}?c=minus")).await.status, 400);
        assert_eq!(http.get(&format!("/sse/{SID}?c=0")).await.status, 404);
    });
    assert_eq!(report.refused, 3);
}

#[test]
fn a_request_to_echo_is_answered_with_its_body_and_needs_no_session() {
    let report = with_target(|server| async move {
        let mut http = Http::open(&server).await;
        let path = format!("/echo?token={TOKEN}");
        for body in ["hello", ""] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            http.0.write(head).await;
            let answer = http.answer().await;
            assert_eq!((answer.status, answer.body), (200, body.as_bytes().to_vec()));
            assert_eq!(answer.head, format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()));
        }
        let answer = http.get(&format!("{path}&headers=browser")).await;
        assert_eq!((answer.status, answer.body.len(), answer.header("server")), (200, 0, Some("wsbench")));
        for (method, path, status) in
            [("POST", "/echo", 401), ("GET", "/echo?token=wrong", 401), ("DELETE", path.as_str(), 405)]
        {
            assert_eq!(http.request(method, path).await.status, status, "{method} {path}");
        }
    });
    assert_eq!((report.received, report.delivered, report.refused), (3, 3, 2));
}

#[test]
fn an_oversized_post_is_refused() {
    with_target(|server| async move {
        let mut http = Http::open(&server).await;
        http.join(SID, "/echo", "").await;
        http.0.write(format!("POST /pub/{SID} HTTP/1.1\r\nhost: x\r\ncontent-length: 16777217\r\n\r\n")).await;
        // The target hangs up once it has read enough, perhaps before everything is written.
        _ = tokio::io::AsyncWriteExt::write_all(&mut http.0.socket, &vec![0; (16 << 20) + 1]).await;
        assert_eq!(http.head().await.status, 413);
    });
}

#[test]
fn an_event_costs_fourteen_bytes_and_comes_in_a_chunk_of_its_own() {
    with_target(|server| async move {
        let (mut sse, mut publisher) = (Http::open(&server).await, Http::open(&server).await);
        let head = sse.stream("sse", SID, "/echo", "&format=text").await.head;
        assert_eq!(head, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
        for size in [32, 128] {
            publisher.post(SID, &vec![b'x'; size]).await;
            publisher.post(SID, &vec![b'x'; size]).await;
            for _ in 0..2 {
                let (line, data) = sse.chunk().await;
                assert_eq!(line.len() + data.len() + 2, size + 14);
            }
        }
    });
}

#[test]
fn binary_events_are_base64_and_streams_have_length_prefixes() {
    with_target(|server| async move {
        let mut publisher = Http::open(&server).await;
        let mut sse = Http::open(&server).await;
        sse.stream("sse", SID, "/echo", "&format=binary").await;
        publisher.post(SID, &[0xFF, 0, 0x10]).await;
        assert_eq!(sse.chunk().await.1, b"data: /wAQ\n\n");
        let mut stream = Http::open(&server).await;
        stream.stream("stream", "00000000000000a2", "/echo", "").await;
        publisher.post("00000000000000a2", &[0xFF, 0, 0x10]).await;
        assert_eq!(stream.chunk().await.1, [0, 0, 0, 3, 0xFF, 0, 0x10]);
    });
}

#[test]
fn a_greeting_comes_with_the_join_and_the_target_may_close_after_it() {
    with_target(|server| async move {
        let tag = "t".repeat(32);
        for close in ["", "%26close%3Dserver"] {
            let place = format!("%2Fhello%3Ftag%3D{tag}%26size%3D34{close}");
            let mut http = Http::open(&server).await;
            let answer = http.get(&format!("/poll/{SID}?join={place}&token={TOKEN}")).await;
            assert_eq!((answer.cursor(), answer.body), (1, format!("{tag}..").into_bytes()));
            assert_eq!(answer.head.contains("connection: close\r\n"), !close.is_empty());
            let mut sse = Http::open(&server).await;
            sse.stream("sse", "00000000000000a2", &place, "").await;
            assert_eq!(sse.chunk().await.1, format!("data: {tag}..\n\n").as_bytes());
            if close.is_empty() {
                assert!(http.0.is_silent().await && sse.0.is_silent().await);
            } else {
                assert!(http.0.rest().await.is_empty());
                assert_eq!(sse.0.read(5).await, b"0\r\n\r\n");
            }
        }
    });
}

/// The exchanges that `docs/protocol.md` shows, as (request head, response head).
fn golden() -> Vec<(String, String)> {
    let document = include_str!("../../docs/protocol.md");
    let section = document.split("## Golden exchanges").nth(1).expect("the section of golden exchanges");
    let blocks: Vec<String> = section
        .split("```http\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().replace('\n', "\r\n"))
        .collect();
    blocks.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// The one value that differs each time.
fn undated(head: &str) -> String {
    head.split_inclusive("\r\n")
        .map(|line| if line.starts_with("date: ") { "date: …\r\n".to_owned() } else { line.to_owned() })
        .collect()
}

#[test]
fn golden_exchanges_are_true_to_the_byte() {
    let golden = golden();
    assert_eq!(golden.len(), 2);
    for (profile, (request, response)) in ["minimal", "browser"].into_iter().zip(golden) {
        with_target(|server| async move {
            let mut http = Http::open(&server).await;
            assert_eq!(http.join("0123456789abcdef", "/echo", &format!("&headers={profile}")).await, 0);
            http.post("0123456789abcdef", "wsb1".repeat(8).as_bytes()).await;
            http.0.write(&request).await;
            let answer = http.answer().await;
            assert_eq!(undated(&answer.head), undated(&response));
            assert_eq!(answer.head.len(), response.len());
            assert_eq!(answer.body.len(), 32);
        });
    }
}

#[test]
fn browser_headers_come_with_every_answer_and_agree_on_closing() {
    with_target(|server| async move {
        let mut http = Http::open(&server).await;
        http.join(SID, "/echo", "&headers=browser").await;
        let answer = http.post(SID, b"x").await;
        assert!(answer.header("server").is_some() && answer.header("connection") == Some("keep-alive"));
        http.0.write(format!("GET /poll/{SID}?c=0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        let answer = http.answer().await;
        assert_eq!((answer.header("connection"), answer.header("keep-alive")), (Some("close"), None));
        assert!(http.0.rest().await.is_empty());
    });
}
