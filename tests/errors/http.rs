//! HTTP targets in trouble.

use crate::harness::*;
use crate::hub::{CHUNKS, EVENTS, Hub, JOINED};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use wsbench::catalog::{Dialect, Http, Transport};
use wsbench::codec::MAX_MESSAGE;
use wsbench::transport::{Endpoint, ErrorClass};
use wsbench::units::Span;

fn to(transport: Transport, address: std::net::SocketAddr) -> Endpoint {
    Endpoint { dialect: Dialect::Wsbench, ..endpoint(transport, address) }
}

fn all() -> [Transport; 4] {
    let short = Http { interval: Some(Span::from_millis(5)), ..http() };
    [
        Transport::LongPolling(http()),
        Transport::ShortPolling(short),
        Transport::Sse(http()),
        Transport::HttpStreaming(http()),
    ]
}

/// A target that answers the first request of a connection with `answer`, and then closes if `close`.
async fn answering(answer: String, close: bool) -> std::net::SocketAddr {
    listen(move |mut stream| {
        let answer = answer.clone();
        async move {
            read_head(&mut stream).await;
            // The client may rightly be gone before all is written.
            let _ = stream.write_all(answer.as_bytes()).await;
            if !close {
                silence(stream).await;
            }
        }
    })
    .await
}

#[test]
fn a_join_that_is_answered_wrongly_says_how_on_every_strategy() {
    run(async {
        let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy";
        let packed =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ncursor: 0\r\n\r\n";
        let cases = [
            (busy, false, ErrorClass::HttpStatus(503)),
            ("HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n", false, ErrorClass::HttpStatus(429)),
            ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", false, ErrorClass::HttpStatus(401)),
            ("SSH-2.0-OpenSSH_9.6\r\n\r\n", false, ErrorClass::HttpProtocol),
            (packed, false, ErrorClass::HttpProtocol),
            ("HTTP/1.1 200 O", true, ErrorClass::Truncated),
            ("", true, ErrorClass::Truncated),
            ("", false, ErrorClass::HandshakeTimeout),
        ];
        for (answer, close, class) in cases {
            for transport in all() {
                let what = format!("{answer:?} to {}", transport.kind());
                let address = answering(answer.to_owned(), close).await;
                assert_eq!(refusal(to(transport, address)).await, class, "{what}");
            }
        }
    });
}

#[test]
fn a_page_is_no_event_stream_and_an_answer_without_a_cursor_no_join() {
    run(async {
        let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_owned();
        for transport in [Transport::Sse(http()), Transport::LongPolling(http())] {
            let address = answering(page.clone(), false).await;
            assert_eq!(refusal(to(transport, address)).await, ErrorClass::HttpProtocol);
        }
    });
}

#[test]
fn a_stream_that_breaks_ends_the_session_by_how_it_broke() {
    run(async {
        let event = "c\r\ndata: eA==\n\n\r\n";
        let huge = "4\r\n\u{7f}\u{7f}\u{7f}\u{7f}\r\n";
        let cases = [
            (Transport::Sse(http()), format!("{EVENTS}{event}0\r\n\r\n"), ErrorClass::ClosedByTarget(None)),
            (Transport::Sse(http()), format!("{EVENTS}{event}ff\r\ndata"), ErrorClass::Truncated),
            (Transport::Sse(http()), format!("{EVENTS}not hex\r\n"), ErrorClass::HttpProtocol),
            (Transport::Sse(http()), format!("{EVENTS}b\r\ndata: !!!\n\n\r\n"), ErrorClass::Garbage),
            (
                Transport::HttpStreaming(http()),
                format!("{CHUNKS}5\r\n\0\0\0\x01x\r\n0\r\n\r\n"),
                ErrorClass::ClosedByTarget(None),
            ),
            (Transport::HttpStreaming(http()), format!("{CHUNKS}5\r\n\0\0\0\x02x\r\n0\r\n\r\n"), ErrorClass::Truncated),
            (Transport::HttpStreaming(http()), format!("{CHUNKS}{huge}"), ErrorClass::Garbage),
        ];
        for (transport, answer, class) in cases {
            let client = open_at(to(transport, answering(answer.clone(), true).await)).await;
            assert_eq!(client.seen.failure().await, class, "{answer:?}");
        }
    });
}

#[test]
fn a_busy_target_is_polled_again_after_a_pause_and_nothing_is_lost() {
    run(async {
        let hub = Rc::new(Hub::default());
        let busy = |status: u16| format!("HTTP/1.1 {status} Busy\r\ncontent-length: 0\r\n\r\n");
        for status in [503, 429, 503] {
            hub.instead.borrow_mut().push(("GET /poll", busy(status)));
        }
        hub.instead.borrow_mut().insert(0, ("GET /poll", JOINED.to_owned()));
        let began = wsbench::clock::now();
        let mut client = open_at(to(Transport::LongPolling(http()), hub.start("127.0.0.1:0").await)).await;
        client.send(1, b"hello");
        assert_eq!(client.seen.messages(1).await, [b"hello"]);
        assert!(wsbench::clock::now() - began >= 140_000_000, "20 + 40 + 80 ms of pauses");
        let classes: Vec<_> = client.seen.faults.borrow().iter().map(|(_, class)| class.key().into_owned()).collect();
        assert_eq!(classes, ["http-status-503", "http-status-429", "http-status-503"]);
    });
}

#[test]
fn a_target_that_forgot_the_session_ends_it() {
    run(async {
        let hub = Rc::new(Hub::default());
        hub.instead.borrow_mut().push(("GET /poll", JOINED.to_owned()));
        hub.instead.borrow_mut().push(("GET /poll", "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n".to_owned()));
        let client = open_at(to(Transport::LongPolling(http()), hub.start("127.0.0.1:0").await)).await;
        assert_eq!(client.seen.failure().await, ErrorClass::HttpStatus(410));
    });
}

#[test]
fn a_polled_message_over_the_limit_is_too_large_and_a_wrong_batch_is_garbage() {
    run(async {
        let large =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", MAX_MESSAGE + 1, "x".repeat(MAX_MESSAGE + 1));
        let batch = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html".to_owned();
        for (batched, answer, class) in [(false, large, ErrorClass::TooLarge), (true, batch, ErrorClass::Garbage)] {
            let hub = Rc::new(Hub::default());
            hub.instead.borrow_mut().push(("GET /poll", JOINED.to_owned()));
            hub.instead.borrow_mut().push(("GET /poll", answer));
            let settings = Http { batch: batched, ..http() };
            let client = open_at(to(Transport::LongPolling(settings), hub.start("127.0.0.1:0").await)).await;
            assert_eq!(client.seen.failure().await, class);
            assert!(client.seen.messages.borrow().is_empty());
        }
    });
}

#[test]
fn a_refused_post_names_its_message_and_the_next_one_goes_on() {
    run(async {
        let hub = Rc::new(Hub::default());
        let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy".to_owned();
        hub.instead.borrow_mut().push(("POST", busy));
        let mut client = open_at(to(Transport::LongPolling(http()), hub.start("127.0.0.1:0").await)).await;
        client.send(1, b"lost");
        client.send(2, b"kept");
        assert_eq!(client.seen.messages(1).await, [b"kept"]);
        assert_eq!(*client.seen.faults.borrow(), [(Some(1), ErrorClass::HttpStatus(503))]);
        assert_eq!(*client.seen.sent.borrow(), [1, 2]);
        assert_eq!(client.traffic().connections, 2, "the connection survives a 503");
    });
}

#[test]
fn a_connection_closed_between_two_requests_is_replaced() {
    run(async {
        let hub = Rc::new(Hub::default());
        hub.closes_silently.set(true);
        let mut client = open_at(to(Transport::LongPolling(http()), hub.start("127.0.0.1:0").await)).await;
        for ticket in 0..5 {
            client.send(ticket, b"m");
            client.seen.messages(ticket as usize + 1).await;
            // Time for the FIN of both connections to arrive.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(client.seen.faults.borrow().is_empty(), "{:?}", client.seen.faults);
        assert_eq!(client.seen.messages.borrow().len(), 5, "none lost, none twice");
        assert!(client.traffic().connections >= 10);
    });
}

#[test]
fn a_target_that_goes_away_is_given_up() {
    run(async {
        let hub = Rc::new(Hub::default());
        hub.instead.borrow_mut().push(("GET /poll", JOINED.to_owned()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(JOINED.as_bytes()).await.unwrap();
            drop(listener);
            read_head(&mut stream).await;
        };
        let (client, ()) = tokio::join!(open_at(to(Transport::LongPolling(http()), address)), serve);
        assert_eq!(client.seen.failure().await, ErrorClass::Refused);
        assert!(client.seen.faults.borrow().len() >= 4, "after several attempts");
    });
}

#[test]
fn leaving_is_answered_or_timed_out() {
    run(async {
        for transport in all() {
            let what = transport.kind();
            let hub = Rc::new(Hub::default());
            let address = hub.start("127.0.0.1:0").await;
            let mut client = open_at(to(transport, address)).await;
            client.send(1, b"last");
            client.connection.close();
            let ended = client.seen.ended().await;
            assert!(ended.failure.is_none(), "{what}: {:?}", ended.failure);
            assert!(ended.close_time.unwrap() > 0);
            assert_eq!((hub.count("POST /pub/"), hub.count("DELETE /pub/")), (1, 1), "{what}");
        }
        let address = listen(|mut stream| async move {
            while let Some(head) = read_head(&mut stream).await {
                if head.contains("join=") {
                    stream.write_all(JOINED.as_bytes()).await.unwrap();
                }
            }
        });
        let mut client = open_at(to(Transport::LongPolling(http()), address.await)).await;
        client.connection.close();
        assert_eq!(client.seen.failure().await, ErrorClass::CloseTimeout);
    });
}
