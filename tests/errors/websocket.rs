//! Servers that are no WebSocket, or a bad one, against both engines.

use crate::harness::*;
use std::cell::RefCell;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use wsbench::catalog::{Engine, Format, Transport};
use wsbench::codec::MAX_MESSAGE;
use wsbench::transport::{Endpoint, ErrorClass, Unsent};

/// The failure to open against a server that answers the upgrade with `answer` and stays.
async fn answered(engine: Engine, answer: &'static str) -> ErrorClass {
    let address = listen(move |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        silence(stream).await;
    });
    refusal(endpoint(Transport::Websocket(websocket(engine)), address.await)).await
}

/// How a session ends whose server sends `bytes` right behind its handshake, and then closes if `close`.
async fn told(engine: Engine, bytes: Vec<u8>, close: bool) -> ErrorClass {
    let address = listen(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            accept(&mut stream).await;
            // The client may rightly be gone before all is written.
            let _ = stream.write_all(&bytes).await;
            if !close {
                silence(stream).await;
            }
        }
    });
    let client = open_at(endpoint(Transport::Websocket(websocket(engine)), address.await)).await;
    let class = client.seen.failure().await;
    assert!(client.seen.messages.borrow().is_empty());
    class
}

#[test]
fn nobody_listening_is_refused() {
    run(async {
        let address = nobody().await;
        assert_eq!(
            refusal(endpoint(Transport::Websocket(websocket(Engine::Fastwebsockets)), address)).await,
            ErrorClass::Refused
        );
    });
}

#[test]
fn a_target_that_accepts_and_never_answers_is_a_handshake_timeout() {
    run(async {
        let address = listen(silence).await;
        let class = refusal(endpoint(Transport::Websocket(websocket(Engine::Tungstenite)), address)).await;
        assert_eq!(class, ErrorClass::HandshakeTimeout);
    });
}

#[test]
fn a_target_that_drops_the_upgrade_is_truncated_or_reset() {
    run(async {
        for hard in [false, true] {
            let address = listen(move |mut stream| async move {
                read_head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 101 Swit").await.unwrap();
                if hard {
                    reset(&stream);
                }
            });
            let class = refusal(endpoint(Transport::Websocket(websocket(Engine::Fastwebsockets)), address.await)).await;
            assert_eq!(class, if hard { ErrorClass::Reset } else { ErrorClass::Truncated });
        }
    });
}

#[test]
fn answers_that_are_no_upgrade_are_told_apart() {
    run(async {
        let engine = Engine::Fastwebsockets;
        assert_eq!(answered(engine, "SSH-2.0-OpenSSH_9.6\r\n").await, ErrorClass::UpgradeInvalid);
        let page = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
        assert_eq!(answered(engine, page).await, ErrorClass::UpgradeStatus(200));
        assert_eq!(answered(engine, "HTTP/1.1 429 Slow\r\n\r\n").await, ErrorClass::UpgradeStatus(429));
        assert_eq!(answered(engine, "HTTP/1.1 503 Busy\r\n\r\n").await, ErrorClass::UpgradeStatus(503));
        let bare = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        assert_eq!(answered(engine, bare).await, ErrorClass::UpgradeInvalid);
        let unasked = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        assert_eq!(answered(engine, unasked).await, ErrorClass::BadAccept);
        let wrong = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(answered(engine, wrong).await, ErrorClass::BadAccept);
    });
}

#[test]
fn a_head_without_an_end_is_refused() {
    run(async {
        let address = listen(|mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 101 S\r\nX: ").await;
            while stream.write_all(&[b'y'; 4096]).await.is_ok() {}
        });
        let class = refusal(endpoint(Transport::Websocket(websocket(Engine::Fastwebsockets)), address.await)).await;
        assert_eq!(class, ErrorClass::UpgradeInvalid);
    });
}

#[test]
fn a_subprotocol_is_offered_and_another_one_refused() {
    run(async {
        let settings = wsbench::catalog::Websocket {
            subprotocols: vec!["one".into(), "two".into()],
            extra_headers: vec![("X-Extra".into(), "yes".into())],
            ..websocket(Engine::Fastwebsockets)
        };
        let good = listen(|mut stream| async move {
            assert_eq!(accept(&mut stream).await.subprotocols, ["one", "two"]);
            silence(stream).await;
        });
        open_at(endpoint(Transport::Websocket(settings.clone()), good.await)).await;
        let bad = listen(|mut stream| async move {
            let head = read_head(&mut stream).await.unwrap();
            assert!(head.contains("X-Extra: yes\r\n"));
            let (request, _) = wsbench::codec::upgrade::read_request(head.as_bytes()).unwrap().unwrap();
            let answer = wsbench::codec::upgrade::write_response(&request.key, Some("three"));
            stream.write_all(&answer).await.unwrap();
            silence(stream).await;
        });
        assert_eq!(refusal(endpoint(Transport::Websocket(settings), bad.await)).await, ErrorClass::BadSubprotocol);
    });
}

#[test]
fn frames_against_the_rules_are_protocol_errors_on_both_engines() {
    run(async {
        let masked = [0x82, 0x81, 1, 2, 3, 4, b'x'].to_vec();
        let bad: [(&str, Vec<u8>); 12] = [
            ("a reserved bit", frame(0xC2, b"x")),
            ("a reserved data opcode", frame(0x83, b"x")),
            ("a reserved control opcode", frame(0x8B, b"x")),
            ("a masked frame", masked),
            ("text that isn't UTF-8", frame(0x81, b"\xC3\x28")),
            ("text that isn't UTF-8, in fragments", [frame(0x01, b"\xC3"), frame(0x80, b"\x28")].concat()),
            ("a continuation of nothing", frame(0x80, b"x")),
            ("a message in a message", [frame(0x02, b"x"), frame(0x82, b"y")].concat()),
            ("a ping in fragments", frame(0x09, b"x")),
            ("a long ping", frame(0x89, &[0; 126])),
            ("half a close code", frame(0x88, b"\x03")),
            ("a close code that may not be sent", frame(0x88, b"\x03\xED")),
        ];
        for engine in Engine::ALL {
            for (what, bytes) in &bad {
                assert_eq!(told(*engine, bytes.clone(), false).await, ErrorClass::Protocol, "{engine}: {what}");
            }
        }
    });
}

#[test]
fn a_message_over_the_limit_is_too_large_on_both_engines() {
    run(async {
        let size = (MAX_MESSAGE as u64 + 1).to_be_bytes();
        let announced = [[0x82, 127].as_slice(), &size].concat();
        let absurd = [[0x82, 127].as_slice(), &u64::MAX.to_be_bytes()].concat();
        let half = (MAX_MESSAGE as u64 / 2 + 1).to_be_bytes();
        let fragment = |first: u8| [[first, 127].as_slice(), &half, &vec![0; MAX_MESSAGE / 2 + 1]].concat();
        for engine in Engine::ALL {
            assert_eq!(told(*engine, announced.clone(), false).await, ErrorClass::TooLarge, "{engine}");
            assert_eq!(told(*engine, absurd.clone(), false).await, ErrorClass::TooLarge, "{engine}");
            let pieces = [fragment(0x02), fragment(0x80)].concat();
            assert_eq!(told(*engine, pieces, false).await, ErrorClass::TooLarge, "{engine}");
        }
    });
}

#[test]
fn a_stream_cut_in_a_frame_or_without_a_close_is_truncated_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            assert_eq!(told(*engine, vec![0x82, 5, b'x'], true).await, ErrorClass::Truncated, "{engine}");
            assert_eq!(told(*engine, Vec::new(), true).await, ErrorClass::Truncated, "{engine}");
        }
    });
}

#[test]
fn a_reset_is_a_reset_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(|mut stream| async move {
                accept(&mut stream).await;
                read_frame(&mut stream).await;
                reset(&stream);
            });
            let mut client = open_at(endpoint(Transport::Websocket(websocket(*engine)), address.await)).await;
            client.send(1, b"hello");
            assert_eq!(client.seen.failure().await, ErrorClass::Reset, "{engine}");
            assert_eq!(client.connection.send(2, Format::Binary, b"late"), Err(Unsent::Closed));
        }
    });
}

#[test]
fn a_target_that_never_answers_a_close_is_a_close_timeout_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(|mut stream| async move {
                accept(&mut stream).await;
                silence(stream).await;
            });
            let mut client = open_at(endpoint(Transport::Websocket(websocket(*engine)), address.await)).await;
            client.connection.close();
            assert_eq!(client.connection.send(1, Format::Binary, b"late"), Err(Unsent::Closed));
            let ended = client.seen.ended().await;
            assert_eq!(ended.failure.unwrap().class, ErrorClass::CloseTimeout, "{engine}");
            assert_eq!(ended.close_time, None);
        }
    });
}

#[test]
fn a_target_that_reads_nothing_fills_the_outbox_and_is_still_left_on_time() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(|mut stream| async move {
                accept(&mut stream).await;
                silence(stream).await;
            });
            let mut client = open_at(endpoint(Transport::Websocket(websocket(*engine)), address.await)).await;
            let mut refused = None;
            for ticket in 0..1000 {
                if let Err(unsent) = client.connection.send(ticket, Format::Binary, &[0; 100_000]) {
                    refused = Some(unsent);
                    break;
                }
                tokio::task::yield_now().await;
            }
            assert_eq!(refused, Some(Unsent::Full), "{engine}");
            client.connection.close();
            assert_eq!(client.seen.failure().await, ErrorClass::CloseTimeout, "{engine}");
        }
    });
}

#[test]
fn a_close_by_either_end_is_a_whole_handshake_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(echo_frames).await;
            let settings = wsbench::catalog::Websocket { close_code: 4001, ..websocket(*engine) };
            let mut client = open_at(endpoint(Transport::Websocket(settings), address)).await;
            client.send(1, b"last words");
            client.connection.close();
            let ended = client.seen.ended().await;
            assert!(ended.failure.is_none(), "{engine}: {:?}", ended.failure);
            assert_eq!(ended.code, Some(4001), "{engine}");
            assert!(ended.close_time.unwrap() > 0);
            assert_eq!(client.seen.messages.borrow().len(), 1, "{engine}: what was sent before the close is answered");

            let address = listen(|mut stream| async move {
                accept(&mut stream).await;
                stream.write_all(&frame(0x88, b"\x03\xE9bye")).await.unwrap();
                assert_eq!(read_frame(&mut stream).await, Some((0x88, b"\x03\xE9".to_vec())), "answered once");
                let mut rest = Vec::new();
                tokio::time::timeout(Duration::from_millis(50), stream.read_to_end(&mut rest)).await.unwrap_err();
                assert!(rest.is_empty(), "and no more than once");
            });
            let client = open_at(endpoint(Transport::Websocket(websocket(*engine)), address.await)).await;
            let ended = client.seen.ended().await;
            assert_eq!(ended.failure.unwrap().class, ErrorClass::ClosedByTarget(Some(1001)), "{engine}");
            assert!(ended.close_time.unwrap() > 0);
        }
    });
}

/// Pings and pongs of every kind around one message, then what the client answered.
async fn ping_pong(mut stream: TcpStream) {
    accept(&mut stream).await;
    let noise = [frame(0x8A, b"unasked"), frame(0x8A, &[0; 8]), frame(0x01, b"he"), frame(0x89, b"p1")].concat();
    stream.write_all(&noise).await.unwrap();
    assert_eq!(read_frame(&mut stream).await, Some((0x8A, b"p1".to_vec())));
    stream.write_all(&[frame(0x89, b""), frame(0x80, b"llo")].concat()).await.unwrap();
    assert_eq!(read_frame(&mut stream).await, Some((0x8A, Vec::new())));
    silence(stream).await;
}

#[test]
fn pings_of_the_target_are_answered_and_are_never_messages_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(ping_pong).await;
            let mut endpoint = endpoint(Transport::Websocket(websocket(*engine)), address);
            endpoint.format = Format::Text;
            let client = open_at(endpoint).await;
            assert_eq!(client.seen.messages(1).await, [b"hello"], "{engine}");
            let traffic = client.traffic();
            assert_eq!((traffic.received.messages, traffic.received.payload), (1, 5), "{engine}");
            assert!(client.seen.pongs.borrow().is_empty(), "{engine}: nobody asked for those pongs");
        }
    });
}

#[test]
fn own_pings_measure_the_round_trip_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(|mut stream| async move {
                accept(&mut stream).await;
                while let Some((first, payload)) = read_frame(&mut stream).await {
                    assert_eq!(first, 0x89);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    stream.write_all(&frame(0x8A, &payload)).await.unwrap();
                }
            });
            let every = wsbench::units::Span::from_millis(20);
            let settings = wsbench::catalog::Websocket { ping_every: Some(every), ..websocket(*engine) };
            let client = open_at(endpoint(Transport::Websocket(settings), address.await)).await;
            client.seen.until("two pongs", |s| s.pongs.borrow().len() >= 2).await;
            assert!(client.seen.pongs.borrow().iter().all(|rtt| *rtt >= 5_000_000), "{:?}", client.seen.pongs);
            assert!(client.seen.messages.borrow().is_empty());
        }
    });
}

#[test]
fn long_messages_leave_in_fragments_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(|mut stream| async move {
                accept(&mut stream).await;
                for expected in [(0x01, b"abc".as_slice()), (0x00, b"def"), (0x80, b"g"), (0x81, b"xyz")] {
                    assert_eq!(read_frame(&mut stream).await, Some((expected.0, expected.1.to_vec())));
                }
                stream.write_all(&[frame(0x01, b"\xC2"), frame(0x80, b"\xB5")].concat()).await.unwrap();
                silence(stream).await;
            });
            let fragment = Some(wsbench::units::ByteSize(3));
            let settings = wsbench::catalog::Websocket { fragment, ..websocket(*engine) };
            let mut endpoint = endpoint(Transport::Websocket(settings), address.await);
            endpoint.format = Format::Text;
            let mut client = open_at(endpoint).await;
            client.send(1, b"abcdefg");
            client.send(2, b"xyz");
            assert_eq!(client.seen.messages(1).await, ["µ".as_bytes()], "{engine}");
            assert_eq!(*client.seen.sent.borrow(), [1, 2]);
            let sent = client.traffic().sent;
            assert_eq!((sent.messages, sent.payload, sent.framing), (2, 10, 4 * 6), "{engine}");
        }
    });
}

#[test]
fn every_ping_of_a_burst_is_answered_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(|mut stream| async move {
                accept(&mut stream).await;
                let burst: Vec<u8> = (0..10).flat_map(|n| frame(0x89, &[n])).collect();
                stream.write_all(&burst).await.unwrap();
                for n in 0..10 {
                    assert_eq!(read_frame(&mut stream).await, Some((0x8A, vec![n])));
                }
                stream.write_all(&frame(0x82, b"all of them")).await.unwrap();
                silence(stream).await;
            });
            let client = open_at(endpoint(Transport::Websocket(websocket(*engine)), address.await)).await;
            assert_eq!(client.seen.messages(1).await, [b"all of them"], "{engine}");
        }
    });
}

#[test]
fn what_follows_the_close_of_the_target_is_discarded_on_both_engines() {
    let close = || frame(0x88, b"\x03\xE9");
    run(async move {
        for engine in Engine::ALL {
            for late in [frame(0x82, b"late"), frame(0x89, b"late"), close(), frame(0xC2, b"late and broken")] {
                let (tell, told) = oneshot::channel();
                let tell = RefCell::new(Some(tell));
                let address = listen(move |mut stream| {
                    let (bytes, tell) = ([close(), late.clone()].concat(), tell.take().unwrap());
                    async move {
                        accept(&mut stream).await;
                        stream.write_all(&bytes).await.unwrap();
                        let answer = read_frame(&mut stream).await;
                        _ = tell.send((answer, read_at_once(&mut stream).await));
                    }
                });
                let client = open_at(endpoint(Transport::Websocket(websocket(*engine)), address.await)).await;
                let answers = told.await.unwrap();
                assert_eq!(answers, (Some((0x88, b"\x03\xE9".to_vec())), None), "{engine}: one answer");
                let ended = client.seen.ended().await;
                assert_eq!(ended.failure.unwrap().class, ErrorClass::ClosedByTarget(Some(1001)), "{engine}");
                assert!(ended.close_time.is_some(), "{engine}: the handshake was whole");
                assert!(client.seen.messages.borrow().is_empty(), "{engine}");
            }
        }
    });
}

/// The next frame, if it comes at once.
async fn read_at_once(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    tokio::time::timeout(Duration::from_millis(50), read_frame(stream)).await.ok().flatten()
}

#[test]
fn a_target_that_breaks_the_rules_is_told_so_behind_what_waits_on_both_engines() {
    let absurd = [[0x82, 127].as_slice(), &u64::MAX.to_be_bytes()].concat();
    // The second fragment spoils the text; the last one isn't waited for.
    let spoilt = [frame(0x01, b"a\xC3"), frame(0x00, b"\x28")].concat();
    let bad = [
        ("a reserved bit", frame(0xC2, b"x"), 1002u16),
        ("a reserved opcode", frame(0x83, b"x"), 1002),
        ("a mask", [0x82, 0x81, 1, 2, 3, 4, b'x'].to_vec(), 1002),
        ("text that isn't UTF-8", frame(0x81, b"\xC3\x28"), 1007),
        ("a fragment that isn't UTF-8", spoilt, 1007),
        ("a long pong", frame(0x8A, &[0; 126]), 1002),
        ("half a close code", frame(0x88, b"\x03"), 1002),
        ("a close code that may not be sent", frame(0x88, b"\x03\xED"), 1002),
        ("a close reason that isn't UTF-8", frame(0x88, b"\x03\xE8\xC3\x28"), 1007),
        ("a message over the limit", absurd, 1009),
    ];
    run(async move {
        for engine in Engine::ALL {
            for (what, bytes, code) in &bad {
                let (tell, told) = oneshot::channel();
                let tell = RefCell::new(Some(tell));
                let bytes = bytes.clone();
                let address = listen(move |mut stream| {
                    let (bytes, tell) = (bytes.clone(), tell.take().unwrap());
                    async move {
                        accept(&mut stream).await;
                        stream.write_all(&bytes).await.unwrap();
                        let waited = read_frame(&mut stream).await;
                        _ = tell.send((waited, read_frame(&mut stream).await));
                        silence(stream).await;
                    }
                });
                let endpoint = endpoint(Transport::Websocket(websocket(*engine)), address.await);
                let client = open_sending(endpoint, vec![b"waits".to_vec()]).await;
                let (waited, close) = told.await.unwrap();
                assert_eq!(waited, Some((0x82, b"waits".to_vec())), "{engine}: {what}");
                let (opcode, payload) = close.unwrap_or_else(|| panic!("{engine}: {what}: no Close"));
                assert_eq!((opcode, &payload[..2]), (0x88, &code.to_be_bytes()[..]), "{engine}: {what}");
                let class = client.seen.failure().await;
                let expected = if *code == 1009 { ErrorClass::TooLarge } else { ErrorClass::Protocol };
                assert_eq!(class, expected, "{engine}: {what}");
            }
        }
    });
}

#[test]
fn a_target_that_breaks_the_rules_and_reads_nothing_is_left_for_breaking_them_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(|mut stream| async move {
                accept(&mut stream).await;
                stream.readable().await.unwrap();
                stream.write_all(&frame(0xC2, b"x")).await.unwrap();
                silence(stream).await;
            });
            let endpoint = Endpoint {
                outbox_limit: 16 << 20,
                ..endpoint(Transport::Websocket(websocket(*engine)), address.await)
            };
            let client = open_sending(endpoint, vec![vec![0; 1 << 20]; 16]).await;
            assert_eq!(client.seen.failure().await, ErrorClass::Protocol, "{engine}");
        }
    });
}

#[test]
fn a_message_says_whether_it_is_text_both_ways_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(echo_frames).await;
            let mut client = open_at(endpoint(Transport::Websocket(websocket(*engine)), address)).await;
            let formats = [Format::Text, Format::Binary, Format::Text];
            for (ticket, format) in formats.into_iter().enumerate() {
                client.connection.send(ticket as u64, format, b"the same").unwrap();
            }
            client.seen.messages(3).await;
            assert_eq!(*client.seen.formats.borrow(), formats.map(Some), "{engine}");
        }
    });
}
