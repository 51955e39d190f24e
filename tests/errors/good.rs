//! Good behaviour, counted to the byte.

use crate::harness::*;
use crate::hub::{Hub, JOINED, NOTHING, header};
use crate::streams::udp_target;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsbench::catalog::*;
use wsbench::measure::Traffic;
use wsbench::transport::Endpoint;
use wsbench::units::Span;

pub const MESSAGES: u64 = 10;

pub async fn echo_bytes(mut stream: TcpStream) {
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

/// Sends messages of `size` bytes one after the other, waits for the echo of each, and returns what that cost.
pub async fn echoed(client: &mut Client, size: usize) -> Traffic {
    for n in 0..MESSAGES {
        client.send(n, &vec![b'a' + n as u8; size]);
        client.seen.messages(n as usize + 1).await;
    }
    let messages = client.seen.messages.borrow();
    assert!(messages.iter().enumerate().all(|(n, m)| *m == vec![b'a' + n as u8; size]));
    assert_eq!(*client.seen.sent.borrow(), (0..MESSAGES).collect::<Vec<_>>());
    assert!(client.seen.faults.borrow().is_empty(), "{:?}", client.seen.faults);
    let traffic = client.traffic();
    for volume in [traffic.sent, traffic.received] {
        assert_eq!((volume.messages, volume.payload), (MESSAGES, MESSAGES * size as u64));
    }
    assert!(traffic.wire_complete());
    traffic
}

/// Framing of one message, sent and received, bytes.
pub fn framing(traffic: Traffic) -> (u64, u64) {
    assert_eq!((traffic.sent.framing % MESSAGES, traffic.received.framing % MESSAGES), (0, 0));
    (traffic.sent.framing / MESSAGES, traffic.received.framing / MESSAGES)
}

#[test]
fn websocket_framing_is_exact_on_both_engines_and_both_families() {
    run(async {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let address = listen_on(at, echo_frames).await;
            for engine in Engine::ALL {
                for (size, expected) in [(32, (6, 2)), (128, (8, 4))] {
                    for format in [Format::Text, Format::Binary] {
                        let transport = Transport::Websocket(websocket(*engine));
                        let mut client = open_at(Endpoint { format, ..endpoint(transport, address) }).await;
                        let traffic = echoed(&mut client, size).await;
                        assert_eq!(framing(traffic), expected, "{engine}, {size} bytes, {at}");
                        let heads = 101 + 2 * address.to_string().len();
                        assert!((heads as u64..500).contains(&traffic.handshake), "{}", traffic.handshake);
                    }
                }
            }
        }
    });
}

#[test]
fn tcp_framing_is_exact_on_both_families() {
    run(async {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let address = listen_on(at, echo_bytes).await;
            for size in [32, 128] {
                for (framing_kind, bytes) in [(Framing::Length, 4), (Framing::Newline, 1), (Framing::Fixed, 0)] {
                    let settings = Endpoint { fixed_size: size, ..endpoint(tcp(framing_kind), address) };
                    let mut client = open_at(settings).await;
                    let traffic = echoed(&mut client, size).await;
                    assert_eq!(framing(traffic), (bytes, bytes), "{framing_kind}, {size} bytes");
                    assert_eq!((traffic.handshake, traffic.connections), (0, 1));
                }
            }
        }
    });
}

#[test]
fn udp_has_no_framing_and_its_wire_is_its_headers() {
    run(async {
        let back = |datagram: &[u8]| vec![datagram.to_vec()];
        let address = udp_target(0, back).await;
        let mut client = open_at(Endpoint { dialect: Dialect::Wsbench, ..endpoint(udp(), address) }).await;
        let traffic = echoed(&mut client, 32).await;
        assert_eq!(framing(traffic), (0, 0));
        assert_eq!((traffic.sent.wire, traffic.received.wire), (60 * MESSAGES, 60 * MESSAGES));
        let join = "WSBENCH/1 JOIN /echo token=t cookie=c00c1e".len() + "WSBENCH/1 COOKIE c00c1e".len();
        assert_eq!(traffic.handshake, 64 + join as u64 + "WSBENCH/1 OK".len() as u64);

        let six = tokio::net::UdpSocket::bind("[::1]:0").await.unwrap();
        let mut client = open_at(endpoint(udp(), six.local_addr().unwrap())).await;
        client.send(1, &[7; 32]);
        let (size, from) = six.recv_from(&mut [0; 100]).await.unwrap();
        six.send_to(&vec![7; size], from).await.unwrap();
        client.seen.messages(1).await;
        assert_eq!((client.traffic().sent.wire, client.traffic().received.wire), (80, 80));
    });
}

#[test]
fn bytes_on_the_wire_lie_between_one_segment_a_message_and_three() {
    run(async {
        let address = listen(echo_bytes).await;
        let mut client = open_at(endpoint(tcp(Framing::Fixed), address)).await;
        let traffic = echoed(&mut client, 32).await;
        // 32 bytes and 52 of headers, 40 where timestamps are off; acknowledgements may ride along or not.
        for volume in [traffic.sent, traffic.received] {
            let each = volume.wire as f64 / MESSAGES as f64;
            assert!((72.0..=32.0 + 3.0 * 52.0).contains(&each), "{each}");
        }
        assert_eq!(client.connection.traffic(false).wire_known, 0);
        client.connection.close();
        client.seen.ended().await;
        let last = client.traffic();
        assert!(last.wire_complete(), "what was counted outlives the socket");
        assert_eq!((last.sent.payload, last.sent.framing), (320, 0));
        assert!(last.sent.wire > traffic.sent.wire, "the FIN");
    });
}

/// Answers a join, greets with five bytes and closes, all before the client has read the answer.
async fn greet_and_close(mut stream: TcpStream, answer: &[u8], parts: &[&[u8]]) {
    stream.write_all(answer).await.unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    // Until the client has closed too: an end with unread bytes would be a reset.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// What a session cost on the wire that the target greeted and closed first.
fn assert_closed_first_costs_its_segments(traffic: Traffic, greeting: u64, what: &str) {
    assert!(traffic.wire_complete(), "{what}");
    let (sent, received) = (traffic.sent, traffic.received);
    // Each way a segment at least: the target's FIN, and our acknowledgement of it; at most our own FIN with its
    // acknowledgement, and an acknowledgement of the greeting.
    assert!(received.wire >= received.payload + received.framing + 40 * (greeting + 1), "{what}: {received:?}");
    assert!(received.wire <= received.payload + received.framing + 1 + 52 * (greeting + 2), "{what}: {received:?}");
    assert!(sent.wire >= sent.payload + sent.framing + 40, "{what}: {sent:?}");
    assert!(sent.wire <= sent.payload + sent.framing + 52 * (greeting + 2), "{what}: {sent:?}");
}

#[test]
fn bytes_on_the_wire_of_a_target_that_closes_first_are_whole() {
    run(async {
        let over_tcp = |parts: &'static [&'static [u8]], answer: &'static [u8]| {
            listen(move |mut stream| async move {
                while stream.read_u8().await.unwrap() != b'\n' {}
                greet_and_close(stream, answer, parts).await;
            })
        };
        let apart = over_tcp(&[b"\0\0\0\x05hello"], b"OK\n").await;
        let together = over_tcp(&[], b"OK\n\0\0\0\x05hello").await;
        for (address, greeting) in [(apart, 1), (together, 0)] {
            let settings = Endpoint { dialect: Dialect::Wsbench, ..endpoint(tcp(Framing::Length), address) };
            let client = open_at(settings).await;
            client.seen.ended().await;
            assert_eq!(client.traffic().received.payload, 5);
            assert_closed_first_costs_its_segments(client.traffic(), greeting, "tcp");
        }
        let over_http = |transport: Transport, answer: &'static str, body: &'static str| async move {
            let address = listen(move |mut stream| async move {
                read_head(&mut stream).await.unwrap();
                greet_and_close(stream, answer.as_bytes(), &[body.as_bytes()]).await;
            });
            let what = format!("{transport:?}");
            let settings = endpoint(transport, address.await);
            let settings = Endpoint { dialect: Dialect::Wsbench, format: Format::Text, ..settings };
            let client = try_open(settings, "/hello?size=5&close=server").await.unwrap_or_else(|f| panic!("{f}"));
            client.seen.ended().await;
            assert_eq!(client.traffic().received.payload, 5, "{what}");
            assert_closed_first_costs_its_segments(client.traffic(), 1, &what);
        };
        let polled = "HTTP/1.1 200 OK\r\ncursor: 1\r\ncontent-length: 5\r\n\r\n";
        over_http(Transport::LongPolling(Http { batch: false, ..http() }), polled, "hello").await;
        let events = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        over_http(Transport::Sse(http()), events, "id: 1\ndata: hello\n\n").await;
    });
}

#[test]
fn a_join_over_tcp_is_a_handshake_and_what_comes_with_its_answer_is_a_message() {
    run(async {
        let address = listen(|mut stream| async move {
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                line.push(stream.read_u8().await.unwrap());
            }
            assert_eq!(line, b"WSBENCH/1 JOIN /echo token=t framing=length\n");
            stream.write_all(b"OK\n\0\0\0\x05hello").await.unwrap();
            silence(stream).await;
        });
        let settings = Endpoint { dialect: Dialect::Wsbench, ..endpoint(tcp(Framing::Length), address.await) };
        let client = open_at(settings).await;
        assert!(client.phases.upgrade.is_some());
        assert_eq!(client.seen.messages(1).await, [b"hello"]);
        let traffic = client.traffic();
        assert_eq!((traffic.handshake, traffic.received.payload, traffic.received.framing), (44 + 3, 5, 4));
    });
}

#[test]
fn what_comes_with_the_upgrade_is_a_message_on_both_engines() {
    run(async {
        for engine in Engine::ALL {
            let address = listen(|mut stream| async move {
                let head = read_head(&mut stream).await.unwrap();
                let (request, _) = wsbench::codec::upgrade::read_request(head.as_bytes()).unwrap().unwrap();
                let answer = wsbench::codec::upgrade::write_response(&request.key, None);
                stream.write_all(&[answer, frame(0x82, b"at once")].concat()).await.unwrap();
                silence(stream).await;
            });
            let client = open_at(endpoint(Transport::Websocket(websocket(*engine)), address.await)).await;
            assert_eq!(client.seen.messages(1).await, [b"at once"], "{engine}");
            let received = client.traffic().received;
            assert_eq!((received.payload, received.framing), (7, 2), "{engine}");
        }
    });
}

/// A client of a [`Hub`] by that transport.
async fn over_http(hub: &Rc<Hub>, transport: Transport, at: &str) -> (Client, SocketAddr) {
    let address = hub.start(at).await;
    let settings = Endpoint { dialect: Dialect::Wsbench, format: Format::Text, ..endpoint(transport, address) };
    (open_at(settings).await, address)
}

#[test]
fn an_event_stream_costs_fourteen_bytes_a_message_and_a_post_its_two_heads() {
    run(async {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            for (size, expected) in [(32, 14), (128, 14)] {
                let hub = Rc::new(Hub::default());
                let (mut client, address) = over_http(&hub, Transport::Sse(http()), at).await;
                let traffic = echoed(&mut client, size).await;
                let post =
                    format!("POST /pub/0123456789abcdef HTTP/1.1\r\nhost: {address}\r\ncontent-length: {size}\r\n\r\n");
                let (sent, received) = framing(traffic);
                assert_eq!(sent, post.len() as u64);
                assert_eq!(received, expected + NOTHING.len() as u64);
                assert_eq!((traffic.connections, traffic.polls), (2, 0));
            }
        }
    });
}

#[test]
fn http_streaming_costs_a_chunk_and_a_length_a_message() {
    run(async {
        let hub = Rc::new(Hub::default());
        let (mut client, _) = over_http(&hub, Transport::HttpStreaming(http()), "127.0.0.1:0").await;
        // 24 CR LF, the length, and CR LF behind the chunk.
        assert_eq!(framing(echoed(&mut client, 32).await).1, 4 + 4 + 2 + NOTHING.len() as u64);
    });
}

#[test]
fn long_polling_costs_exactly_its_heads() {
    run(async {
        let hub = Rc::new(Hub::default());
        let (mut client, address) = over_http(&hub, Transport::LongPolling(http()), "127.0.0.1:0").await;
        let traffic = echoed(&mut client, 32).await;
        hub.until_count("GET", MESSAGES as usize + 2).await;
        let polled = client.traffic();
        let heads = hub.heads.borrow();
        let poll = heads.iter().find(|head| head.contains("?c=0 ")).unwrap();
        assert_eq!(poll.split_once('?').unwrap().1, format!("c=0 HTTP/1.1\r\nhost: {address}\r\n\r\n"));
        let asked: usize = heads.iter().filter(|h| !h.contains("join=")).map(String::len).sum();
        assert_eq!(polled.sent.framing, asked as u64);
        let answered = "HTTP/1.1 200 OK\r\ncontent-length: 36\r\n\r\n".len() + 4 + NOTHING.len();
        assert_eq!(framing(Traffic { sent: traffic.received, ..traffic }).1, answered as u64);
        let join = heads.iter().find(|head| head.contains("join=")).unwrap();
        assert_eq!(traffic.handshake, (join.len() + JOINED.len()) as u64);
        assert_eq!((traffic.polls, traffic.empty_polls, traffic.connections), (MESSAGES, 0, 2));
        assert_eq!(*client.seen.polls.borrow(), vec![(1, true); MESSAGES as usize]);
    });
}

#[test]
fn messages_that_come_between_two_polls_come_with_the_next() {
    run(async {
        let hub = Rc::new(Hub::default());
        let settings = Http { interval: Some(Span::from_millis(40)), ..http() };
        let (mut client, _) = over_http(&hub, Transport::ShortPolling(settings), "127.0.0.1:0").await;
        hub.until_count("GET", 3).await;
        for ticket in 0..5 {
            client.send(ticket, &[b'0' + ticket as u8]);
        }
        assert_eq!(client.seen.messages(5).await, [b"0", b"1", b"2", b"3", b"4"]);
        assert!(client.seen.polls.borrow().iter().any(|(messages, _)| *messages > 1), "{:?}", client.seen.polls);
        let traffic = client.traffic();
        assert!(traffic.empty_polls >= 2 && traffic.polls > traffic.empty_polls);
    });
}

#[test]
fn without_keep_alive_every_request_has_a_connection_of_its_own() {
    run(async {
        let hub = Rc::new(Hub::default());
        let settings = Http { keep_alive: false, headers: HeaderProfile::Browser, ..http() };
        let (mut client, _) = over_http(&hub, Transport::LongPolling(settings), "127.0.0.1:0").await;
        let traffic = echoed(&mut client, 32).await;
        hub.until_count("GET", MESSAGES as usize + 2).await;
        let heads = hub.heads.borrow();
        assert_eq!(client.traffic().connections, heads.len() as u64);
        assert!(heads.iter().all(|head| header(head, "connection") == Some("close")));
        assert!(heads.iter().all(|head| header(head, "sec-fetch-mode") == Some("cors")));
        assert!(traffic.sent.framing / MESSAGES > 800, "browser-like heads of a GET and a POST");
        // Each connection's SYN, FIN and acknowledgements are in it.
        assert!(client.traffic().sent.wire > heads.iter().map(|head| head.len() as u64 + 3 * 52).sum());
    });
}

#[test]
fn a_place_that_greets_and_closes_is_read_and_ends() {
    run(async {
        for close in [false, true] {
            let asked_again = Rc::new(tokio::sync::Notify::new());
            let noted = asked_again.clone();
            let address = listen(move |mut stream| {
                let noted = noted.clone();
                async move {
                    let head = read_head(&mut stream).await.unwrap();
                    assert!(head.contains("join=/hello%3Fsize%3D5"), "{head}");
                    let answer = "HTTP/1.1 200 OK\r\ncursor: 1\r\ncontent-length: 5\r\n\r\nhello";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if !close {
                        assert!(read_head(&mut stream).await.unwrap().contains("?c=1 "));
                        noted.notify_one();
                        silence(stream).await;
                    }
                }
            });
            let settings = Http { batch: false, ..http() };
            let settings =
                Endpoint { dialect: Dialect::Wsbench, ..endpoint(Transport::LongPolling(settings), address.await) };
            let place = if close { "/hello?size=5&close=server" } else { "/hello?size=5" };
            let client = try_open(settings, place).await.unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!(client.seen.messages(1).await, [b"hello"]);
            if close {
                let ended = client.seen.ended().await;
                assert_eq!(ended.failure.unwrap().class, wsbench::transport::ErrorClass::ClosedByTarget(None));
            } else {
                asked_again.notified().await;
            }
        }
    });
}

#[test]
fn raw_http_asks_and_publishes_at_the_place_itself() {
    run(async {
        let address = listen(|mut stream| async move {
            while let Some(head) = read_head(&mut stream).await {
                let answer = match head {
                    head if head.starts_with("GET /echo HTTP/1.1") => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
                    head => {
                        assert!(head.starts_with("POST /echo HTTP/1.1"), "{head}");
                        stream.read_u8().await.unwrap();
                        NOTHING
                    }
                };
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let settings = Http { batch: false, ..http() };
        let mut client = open_at(endpoint(Transport::LongPolling(settings), address.await)).await;
        client.send(1, b"x");
        assert_eq!(client.seen.messages(2).await[..2], [b"hi", b"hi"]);
        client.seen.until("the POST", |s| s.sent.borrow().len() == 1).await;
        client.connection.close();
        assert!(client.seen.ended().await.failure.is_none());
    });
}

#[test]
fn dropping_a_connection_says_nothing_and_closes_the_socket() {
    run(async {
        let gone = Rc::new(tokio::sync::Notify::new());
        let told = gone.clone();
        let address = listen(move |mut stream| {
            let told = told.clone();
            async move {
                accept(&mut stream).await;
                assert_eq!(read_frame(&mut stream).await, None, "no Close");
                told.notify_one();
            }
        });
        let client = open_at(endpoint(Transport::Websocket(websocket(Engine::Fastwebsockets)), address.await)).await;
        drop(client.connection);
        gone.notified().await;
    });
}
