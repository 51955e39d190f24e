//! Compression of WebSocket messages: what is agreed on and what isn't, and that it saves bytes.

use crate::harness::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wsbench::catalog::*;
use wsbench::codec::upgrade;
use wsbench::transport::{Endpoint, ErrorClass};
use wsbench::units::{ByteSize, Span};

fn deflating() -> Websocket {
    Websocket { deflate: true, ..websocket(Engine::Native) }
}

fn to(settings: Websocket, address: std::net::SocketAddr) -> Endpoint {
    let settings = endpoint(Transport::Websocket(settings), address);
    Endpoint { dialect: Dialect::Wsbench, format: Format::Text, ..settings }
}

#[test]
fn a_target_that_does_not_compress_is_refused() {
    run(async {
        // The libraries can't.
        for engine in [Engine::Fastwebsockets, Engine::Tungstenite] {
            let target = embedded(engine);
            let failure = try_open(to(deflating(), target.websocket()), "/echo").await.err().unwrap();
            assert_eq!(failure.class, ErrorClass::UpgradeInvalid);
            assert!(failure.detail.contains("permessage-deflate"), "{failure}");
        }
    });
}

#[test]
fn an_extension_that_was_not_offered_is_refused() {
    run(async {
        for (settings, chosen) in [
            (websocket(Engine::Native), "permessage-deflate"),
            (websocket(Engine::Tungstenite), "permessage-deflate"),
            (deflating(), "permessage-deflate; client_max_window_bits=9"),
            (deflating(), "x-compress"),
        ] {
            let address = listen(move |mut stream: TcpStream| async move {
                let head = read_head(&mut stream).await.unwrap();
                let (request, _) = upgrade::read_request(head.as_bytes()).unwrap().unwrap();
                let answer = upgrade::write_response_with(&request.key, None, Some(chosen));
                stream.write_all(&answer).await.unwrap();
                silence(stream).await;
            });
            let failure = try_open(to(settings, address.await), "/echo").await.err().unwrap();
            assert_eq!(failure.class, ErrorClass::UpgradeInvalid, "{failure}");
        }
    });
}

#[test]
fn messages_come_back_whole_and_take_fewer_bytes() {
    run(async {
        let target = embedded(Engine::Native);
        for fragment in [None, Some(ByteSize(10))] {
            let ping_every = Some(Span::from_millis(10));
            let settings = Websocket { fragment, ping_every, ..deflating() };
            let mut client = open_at(to(settings, target.websocket())).await;
            let messages: Vec<String> = (0..20).map(|n| format!("{n} {}", "the same words ".repeat(n * 7))).collect();
            for (ticket, message) in messages.iter().enumerate() {
                client.send(ticket as u64, message.as_bytes());
            }
            assert_eq!(client.seen.messages(20).await, messages.iter().map(|m| m.as_bytes()).collect::<Vec<_>>());
            client.seen.until("a pong", |seen| !seen.pongs.borrow().is_empty()).await;
            client.connection.close();
            assert!(client.seen.ended().await.failure.is_none());
            let traffic = client.traffic();
            let payload: usize = messages.iter().map(String::len).sum();
            for volume in [traffic.sent, traffic.received] {
                assert_eq!(volume.payload, payload as u64);
                assert!(volume.carried() < volume.payload / 10, "{volume:?}");
                // A head of two bytes for each message at least.
                assert!(volume.framing >= 40, "{volume:?}");
            }
            assert_eq!(traffic.sent.saved, traffic.received.saved, "both ends compress alike");
            let (counted, kernel) = (traffic.counted(), traffic.kernel.unwrap());
            assert_eq!((counted.sent, counted.received), (kernel.sent, kernel.received));
        }
    });
}

#[test]
fn binary_and_what_does_not_compress_come_back_as_well() {
    run(async {
        let target = embedded(Engine::Native);
        let endpoint = Endpoint { format: Format::Binary, ..to(deflating(), target.websocket()) };
        let mut client = open_at(endpoint).await;
        // A sequence without repetition, as far as DEFLATE can see.
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(100_000)
        .collect();
        client.send(0, &noise);
        client.send(1, b"");
        assert_eq!(client.seen.messages(2).await, [noise, Vec::new()]);
        assert_eq!(*client.seen.formats.borrow(), [Some(Format::Binary); 2]);
        let traffic = client.traffic();
        assert_eq!(traffic.sent.saved, 0);
        let (counted, kernel) = (traffic.counted(), traffic.kernel.unwrap());
        assert_eq!((counted.sent, counted.received), (kernel.sent, kernel.received));
    });
}
