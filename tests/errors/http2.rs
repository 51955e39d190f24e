//! Polling, streaming and WebSockets by HTTP/2: against the embedded target, and against targets that reset, refuse and leave.

use crate::harness::*;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsbench::catalog::*;
use wsbench::transport::{Endpoint, ErrorClass};
use wsbench::units::{ByteSize, Span};

fn two() -> Http {
    Http { http: HttpVersion::Two, ..http() }
}

fn all() -> [Transport; 4] {
    let short = Http { interval: Some(Span::from_millis(5)), ..two() };
    [
        Transport::LongPolling(two()),
        Transport::ShortPolling(short),
        Transport::Sse(two()),
        Transport::HttpStreaming(two()),
    ]
}

fn to(transport: Transport, address: SocketAddr) -> Endpoint {
    Endpoint { dialect: Dialect::Wsbench, format: Format::Text, publishes: true, ..endpoint(transport, address) }
}

#[test]
fn a_session_has_one_connection_and_its_bytes_are_the_systems() {
    run(async {
        let address = embedded(Engine::Native).http();
        for transport in all() {
            let what = transport.kind();
            assert_eq!(transport.sockets_per_session(), 1);
            let mut client = open_at(to(transport, address)).await;
            for ticket in 0..20 {
                client.send(ticket, format!("message {ticket}").as_bytes());
                client.seen.messages(ticket as usize + 1).await;
            }
            assert_eq!(client.connection.open_connections(), 1, "{what}");
            client.connection.close();
            assert!(client.seen.ended().await.failure.is_none(), "{what}");
            assert_eq!(
                *client.seen.messages.borrow(),
                (0..20).map(|n| format!("message {n}").into_bytes()).collect::<Vec<_>>()
            );
            assert!(client.seen.faults.borrow().is_empty(), "{what}: {:?}", client.seen.faults.borrow());
            let traffic = client.traffic();
            assert_eq!(traffic.connections, 1, "{what}");
            let (counted, kernel) = (traffic.counted(), traffic.kernel.unwrap());
            assert_eq!((counted.sent, counted.received), (kernel.sent, kernel.received), "{what}");
            // The preface and the settings are joining's.
            assert!(traffic.handshake_sent > 24 + 9 && traffic.handshake > traffic.handshake_sent + 9, "{what}");
        }
    });
}

#[test]
fn a_greeting_comes_with_the_join_and_the_target_may_close() {
    run(async {
        let address = embedded(Engine::Native).http();
        for transport in all() {
            let what = transport.kind();
            let hello = format!("/hello?size=50&tag={:032}", 7);
            for place in [hello.clone(), format!("{hello}&close=server")] {
                let mut client = try_open(to(transport.clone(), address), place.as_str()).await.unwrap();
                let messages = client.seen.messages(1).await;
                assert_eq!(messages[0].len(), 50, "{what}");
                let closes = place.ends_with("server");
                if !closes {
                    client.connection.close();
                }
                let failure = client.seen.ended().await.failure.map(|failure| failure.class);
                assert_eq!(failure, closes.then_some(ErrorClass::ClosedByTarget(None)), "{what} at {place}");
                let traffic = client.traffic();
                assert_eq!((traffic.received.payload, traffic.connections), (50, 1), "{what}");
                assert_eq!(traffic.counted().received, traffic.kernel.unwrap().received, "{what}");
            }
        }
    });
}

#[test]
fn a_refusal_says_its_status() {
    run(async {
        let address = embedded(Engine::Native).http();
        for transport in all() {
            let wrong = Endpoint { token: "wrong".to_owned(), ..to(transport, address) };
            assert_eq!(refusal(wrong).await, ErrorClass::HttpStatus(401));
        }
    });
}

#[test]
fn a_target_of_http_1_alone_is_told_from_a_silent_one() {
    run(async {
        for transport in all() {
            let address = listen(|mut stream: TcpStream| async move {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
                silence(stream).await;
            });
            assert_eq!(refusal(to(transport.clone(), address.await)).await, ErrorClass::HttpProtocol);
            let address = listen(silence).await;
            assert_eq!(refusal(to(transport, address)).await, ErrorClass::HandshakeTimeout);
        }
    });
}

/// What a request was, by the first byte of its header block (RFC 7541, appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Get,
    Post,
    Other,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const END_HEADERS: u8 = 4;
const BOTH_ENDS: u8 = 5;
const ACK: u8 = 1;

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

fn two_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn joined(stream: u32) -> Vec<u8> {
    two_frame(HEADERS, BOTH_ENDS, stream, b"\x88\x00\x06cursor\x010")
}

fn no_content(stream: u32) -> Vec<u8> {
    two_frame(HEADERS, BOTH_ENDS, stream, b"\x89")
}

fn message(stream: u32, text: &str) -> Vec<u8> {
    let body = [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
    [two_frame(HEADERS, END_HEADERS, stream, b"\x88"), two_frame(DATA, 1, stream, &body)].concat()
}

fn reset_by(stream: u32, code: u32) -> Vec<u8> {
    two_frame(RESET, 0, stream, &code.to_be_bytes())
}

fn go_away(last: u32) -> Vec<u8> {
    two_frame(GO_AWAY, 0, 0, &[last.to_be_bytes(), 0u32.to_be_bytes()].concat())
}

/// A target written frame by frame. `script` says what a request is answered: it gets the number of the connection, what was
/// asked and the stream; with true, the connection ends after the answer.
struct Scripted {
    requests: Rc<RefCell<Vec<Asked>>>,
    address: SocketAddr,
}

impl Scripted {
    async fn start(script: impl Fn(usize, Asked, u32) -> (Vec<u8>, bool) + 'static) -> Scripted {
        let requests = Rc::<RefCell<Vec<Asked>>>::default();
        let (noted, script, connections) = (requests.clone(), Rc::new(script), Rc::new(RefCell::new(0)));
        let address = listen(move |stream| {
            *connections.borrow_mut() += 1;
            let (noted, script, connection) = (noted.clone(), script.clone(), *connections.borrow());
            async move {
                // The client may rightly leave at any time.
                let _ = serve(stream, &noted, |asked, stream| script(connection, asked, stream)).await;
            }
        });
        Scripted { requests, address: address.await }
    }

    fn count(&self, asked: Asked) -> usize {
        self.requests.borrow().iter().filter(|other| **other == asked).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    requests: &RefCell<Vec<Asked>>,
    script: impl Fn(Asked, u32) -> (Vec<u8>, bool),
) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24]).await?;
    stream.write_all(&two_frame(SETTINGS, 0, 0, b"")).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let id = u32::from_be_bytes([d, e, f, g]);
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => stream.write_all(&two_frame(SETTINGS, ACK, 0, b"")).await?,
            PING if flags & ACK == 0 => stream.write_all(&two_frame(PING, ACK, 0, &payload)).await?,
            HEADERS => {
                let asked = match payload[0] {
                    0x82 => Asked::Get,
                    0x83 => Asked::Post,
                    _ => Asked::Other,
                };
                requests.borrow_mut().push(asked);
                let (answer, ends) = script(asked, id);
                stream.write_all(&answer).await?;
                if ends {
                    stream.shutdown().await?;
                    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}

fn polling(address: SocketAddr) -> Endpoint {
    to(Transport::LongPolling(two()), address)
}

#[test]
fn a_poll_that_a_leaving_target_never_took_is_asked_on_a_new_connection() {
    run(async {
        let target = Scripted::start(|connection, asked, stream| match (connection, asked, stream) {
            (1, Asked::Get, 1) => (joined(1), false),
            // The last stream that it takes is the join's.
            (1, Asked::Get, _) => (go_away(1), true),
            (2, Asked::Get, 1) => (message(1, "after all"), false),
            _ => (Vec::new(), false),
        })
        .await;
        let client = open_at(polling(target.address)).await;
        assert_eq!(client.seen.messages(1).await, [b"after all"]);
        assert!(client.seen.faults.borrow().is_empty(), "{:?}", client.seen.faults.borrow());
        assert_eq!(client.traffic().connections, 2);
    });
}

#[test]
fn a_poll_that_every_connection_turns_away_is_a_failure_in_the_end() {
    run(async {
        let target = Scripted::start(|connection, asked, stream| match (connection, asked) {
            (1, Asked::Get) if stream == 1 => (joined(1), false),
            _ => (go_away(0), true),
        })
        .await;
        let client = open_at(polling(target.address)).await;
        assert_eq!(client.seen.failure().await, ErrorClass::GoAway);
        let faults = client.seen.faults.borrow();
        assert_eq!(faults.len(), 5, "one for each that failed twice: {faults:?}");
    });
}

/// How often a POST was asked whose stream the target resets with the codes in turn, and what became of it.
async fn posted(codes: RangeInclusive<usize>, code: u32) -> (usize, Vec<(Option<u64>, ErrorClass)>) {
    let posts = RefCell::new(0);
    let target = Scripted::start(move |_, asked, stream| match (asked, stream) {
        (Asked::Get, 1) => (joined(1), false),
        (Asked::Post, _) => {
            *posts.borrow_mut() += 1;
            let is_reset = codes.contains(&*posts.borrow());
            (if is_reset { reset_by(stream, code) } else { no_content(stream) }, false)
        }
        _ => (Vec::new(), false),
    })
    .await;
    let mut client = open_at(polling(target.address)).await;
    client.send(0, b"first");
    client.send(1, b"second");
    client.seen.until("both are over", |seen| seen.sent.borrow().contains(&1)).await;
    let faults = client.seen.faults.borrow().clone();
    (target.count(Asked::Post), faults)
}

#[test]
fn a_post_is_repeated_only_where_nothing_was_done_about_it() {
    run(async {
        let (asked, faults) = posted(1..=1, REFUSED_STREAM).await;
        assert!(asked >= 2 && faults.is_empty(), "{faults:?}");
        let (_, faults) = posted(1..=2, REFUSED_STREAM).await;
        assert_eq!(faults, [(Some(0), ErrorClass::StreamReset)], "twice is enough");
        let (_, faults) = posted(1..=1, INTERNAL_ERROR).await;
        assert_eq!(faults, [(Some(0), ErrorClass::StreamReset)]);
    });
}

#[test]
fn a_post_that_a_leaving_target_took_and_never_answered_is_not_repeated() {
    run(async {
        let target = Scripted::start(|_, asked, stream| match (asked, stream) {
            (Asked::Get, 1) => (joined(1), false),
            (Asked::Post, _) => (go_away(stream), true),
            _ => (Vec::new(), false),
        })
        .await;
        let mut client = open_at(polling(target.address)).await;
        client.send(0, b"once");
        client.seen.until("it is lost", |seen| seen.faults.borrow().iter().any(|(ticket, _)| *ticket == Some(0))).await;
        assert_eq!(target.count(Asked::Post), 1);
        assert_eq!(client.seen.faults.borrow().iter().find(|f| f.0.is_some()).unwrap().1, ErrorClass::Truncated);
    });
}

#[test]
fn a_stream_that_is_reset_ends_its_session() {
    run(async {
        let target = Scripted::start(|_, _, stream| {
            let head = two_frame(HEADERS, END_HEADERS, stream, b"\x88");
            ([head, reset_by(stream, INTERNAL_ERROR)].concat(), false)
        })
        .await;
        let client = open_at(to(Transport::HttpStreaming(two()), target.address)).await;
        assert_eq!(client.seen.failure().await, ErrorClass::StreamReset);
    });
}

/// Everything that a session can be by HTTP/2.
fn all_and_websockets() -> Vec<Transport> {
    let websockets = LIBRARIES.map(|engine| Transport::Websocket(websocket_by_two(engine)));
    all().into_iter().chain(websockets).collect()
}

#[test]
fn over_tls_http_2_is_what_both_ends_agree_on() {
    run(async {
        let target = embedded_over_tls(Engine::Native);
        for transport in all_and_websockets() {
            let what = transport.kind();
            let endpoint = Rc::new(target.over_tls(&["h2"], to(transport, target.http())));
            let mut client = open_on(&endpoint).await;
            assert!(client.phases.tls.unwrap() > 0 && client.phases.upgrade.unwrap() > 0, "{what}");
            for ticket in 0..20 {
                client.send(ticket, format!("message {ticket}").as_bytes());
                client.seen.messages(ticket as usize + 1).await;
            }
            client.send(20, &vec![b'x'; 300_000]);
            let messages = client.seen.messages(21).await;
            assert_eq!((&messages[19][..], messages[20].len()), (&b"message 19"[..], 300_000), "{what}");
            assert_eq!(client.connection.open_connections(), 1, "{what}");
            client.connection.close();
            assert!(client.seen.ended().await.failure.is_none(), "{what}");
            assert!(client.seen.faults.borrow().is_empty(), "{what}: {:?}", client.seen.faults.borrow());
            let traffic = client.traffic();
            assert_eq!((traffic.connections, traffic.sent.messages, traffic.received.messages), (1, 21, 21), "{what}");
            // Framing is counted above TLS, whose own is on the wire alone.
            assert!(traffic.handshake > 1000 && traffic.sent.framing > 0, "{what}: {traffic:?}");
            assert!(traffic.counted().sent < traffic.kernel.unwrap().sent, "{what}: {traffic:?}");
            let handshakes = endpoint.tls.as_ref().unwrap().handshakes();
            let [one] = &handshakes.agreed[..] else { panic!("{handshakes:?}") };
            assert_eq!((one.alpn.as_deref(), one.handshakes), (Some("h2"), 1), "{what}");
        }
    });
}

#[test]
fn the_embedded_target_says_by_tls_that_it_speaks_http_1_as_well() {
    run(async {
        let target = embedded_over_tls(Engine::Native);
        let one = Transport::LongPolling(http());
        for (offered, agreed) in [(&["http/1.1"][..], Some("http/1.1")), (&[], None)] {
            let endpoint = Rc::new(target.over_tls(offered, to(one.clone(), target.http())));
            let mut client = open_on(&endpoint).await;
            client.send(0, b"by HTTP/1.1");
            assert_eq!(client.seen.messages(1).await, [b"by HTTP/1.1"]);
            // A connection that receives, and one that publishes.
            let handshakes = endpoint.tls.as_ref().unwrap().handshakes();
            let [each] = &handshakes.agreed[..] else { panic!("{handshakes:?}") };
            assert_eq!((each.alpn.as_deref(), each.handshakes), (agreed, 2));
        }
        let alien = target.over_tls(&["h3"], to(one, target.http()));
        assert_eq!(refusal(alien).await, ErrorClass::Tls);
    });
}

#[test]
fn a_target_whose_tls_does_not_agree_on_http_2_is_told_so() {
    run(async {
        // The port of WebSockets knows nothing of ALPN.
        let target = embedded_over_tls(Engine::Native);
        for transport in all_and_websockets() {
            let endpoint = target.over_tls(&["h2"], to(transport, target.websocket()));
            let failure = try_open(endpoint, "/echo").await.err().unwrap();
            assert_eq!(failure.class, ErrorClass::HttpProtocol);
            assert!(failure.detail.contains("ALPN"), "{failure}");
        }
    });
}

fn websocket_by_two(engine: Engine) -> Websocket {
    Websocket { http: HttpVersion::Two, ..websocket(engine) }
}

const LIBRARIES: [Engine; 2] = [Engine::Fastwebsockets, Engine::Tungstenite];

#[test]
fn a_websocket_is_a_stream_of_one_connection() {
    run(async {
        let address = embedded(Engine::Native).http();
        for engine in LIBRARIES {
            let settings = Websocket {
                fragment: Some(ByteSize(1000)),
                ping_every: Some(Span::from_millis(20)),
                subprotocols: vec!["first".to_owned(), "second".to_owned()],
                close_code: 3001,
                ..websocket_by_two(engine)
            };
            let mut client = open_at(to(Transport::Websocket(settings), address)).await;
            // The last is larger than what may be on its way at once without an answer of the target's.
            let sizes = [0, 1, 125, 126, 40_000, 3_000_000];
            for (ticket, size) in sizes.into_iter().enumerate() {
                client.send(ticket as u64, &vec![b'x'; size]);
                client.seen.messages(ticket + 1).await;
            }
            let messages = client.seen.messages(sizes.len()).await;
            assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{engine}");
            client.seen.until("a pong", |seen| !seen.pongs.borrow().is_empty()).await;
            client.connection.close();
            let ended = client.seen.ended().await;
            assert!(ended.failure.is_none() && ended.close_time.is_some(), "{engine}: {ended:?}");
            assert_eq!(ended.code, Some(3001), "the target answers with the same");
            let traffic = client.traffic();
            assert_eq!(traffic.connections, 1);
            assert_eq!(traffic.sent.payload, sizes.iter().sum::<usize>() as u64);
            let (counted, kernel) = (traffic.counted(), traffic.kernel.unwrap());
            assert_eq!((counted.sent, counted.received), (kernel.sent, kernel.received), "{engine}");
        }
    });
}

#[test]
fn a_websocket_by_http_2_is_told_who_closes_and_who_refuses() {
    run(async {
        let address = embedded(Engine::Native).http();
        for engine in LIBRARIES {
            let endpoint = || to(Transport::Websocket(websocket_by_two(engine)), address);
            let hello = format!("/hello?size=50&tag={:032}&close=server", 7);
            let client = try_open(endpoint(), hello.as_str()).await.unwrap();
            assert_eq!(client.seen.failure().await, ErrorClass::ClosedByTarget(Some(1001)));
            assert_eq!(client.seen.messages(1).await[0].len(), 50);
            let wrong = Endpoint { token: "wrong".to_owned(), ..endpoint() };
            assert_eq!(refusal(wrong).await, ErrorClass::UpgradeStatus(401));
            let nowhere = try_open(endpoint(), "/nowhere").await.err().unwrap();
            assert_eq!(nowhere.class, ErrorClass::UpgradeStatus(404));
        }
    });
}

#[test]
fn a_dialect_that_talks_joins_by_http_2_and_its_talk_is_counted() {
    let talk = serde_json::json!({
        "open": ["hello"], "opened": "^hello$",
        "http": { "poll": { "path": "/sse/{sid}?join=/echo&token=t" }, "publish": { "path": "/pub/{sid}" } },
    });
    run(async {
        let address = embedded(Engine::Native).http();
        let websockets = LIBRARIES.map(|engine| Transport::Websocket(websocket_by_two(engine)));
        for transport in websockets.into_iter().chain([Transport::Sse(two())]) {
            let what = transport.kind();
            let custom = Dialect::Custom(serde_json::from_value(talk.clone()).unwrap());
            let endpoint = Endpoint { dialect: custom, ..to(transport, address) };
            let mut client = try_open(endpoint, "/echo?token=t").await.unwrap();
            for ticket in 0..3 {
                client.send(ticket, format!("message {ticket}").as_bytes());
                client.seen.messages(ticket as usize + 1).await;
            }
            assert_eq!(client.seen.messages(3).await[0], b"message 0", "{what}: what joined it is nobody's");
            client.connection.close();
            assert!(client.seen.ended().await.failure.is_none(), "{what}");
            let traffic = client.traffic();
            assert_eq!((traffic.connections, traffic.received.messages), (1, 3), "{what}");
            let (counted, kernel) = (traffic.counted(), traffic.kernel.unwrap());
            assert_eq!((counted.sent, counted.received), (kernel.sent, kernel.received), "{what}");
        }
    });
}

/// At least: how much longer it takes is not a test's business.
#[test]
fn joining_takes_the_round_trips_that_http_2_takes() {
    const DELAY: u64 = 20_000_000;
    run(async {
        let delay = Span::from_millis(DELAY / 1_000_000);
        let address = embedded_as(|usual| wsbench::target::Config { delay, ..usual }).http();
        for transport in all_and_websockets() {
            // A WebSocket waits for the target's settings before it asks.
            let round_trips = if transport.kind() == TransportKind::Websocket { 2 } else { 1 };
            let client = open_at(to(transport, address)).await;
            assert!(client.phases.upgrade.unwrap() >= round_trips * 2 * DELAY, "{:?}", client.phases);
        }
    });
}

#[test]
fn a_target_whose_http_2_carries_no_websockets_is_told_so() {
    run(async {
        let target = Scripted::start(|_, _, _| (Vec::new(), false)).await;
        let http_1 = listen(|mut stream: TcpStream| async move {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
            silence(stream).await;
        });
        let http_1 = http_1.await;
        for engine in LIBRARIES {
            let endpoint = |address| to(Transport::Websocket(websocket_by_two(engine)), address);
            let failure = try_open(endpoint(target.address), "/echo").await.err().unwrap();
            assert_eq!(failure.class, ErrorClass::NoExtendedConnect);
            assert!(failure.detail.contains("RFC 8441"), "{failure}");
            assert_eq!(refusal(endpoint(http_1)).await, ErrorClass::HttpProtocol);
        }
        assert!(target.requests.borrow().is_empty(), "it isn't asked for what it can't do");
    });
}
