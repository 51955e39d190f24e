//! TCP, TLS and UDP targets that misbehave.

use crate::harness::*;
use crate::requests::requests;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use wsbench::catalog::{Dialect, Engine, Framing, Transport, Udp};
use wsbench::transport::{ErrorClass, Sources, Unsent, open};
use wsbench::units::ByteSize;

/// How a raw length-framed session ends whose target sends `bytes`, and then closes if `close`.
async fn told(framing: Framing, bytes: &'static [u8], close: bool) -> ErrorClass {
    let address = listen(move |mut stream| async move {
        stream.write_all(bytes).await.unwrap();
        if !close {
            silence(stream).await;
        }
    });
    open_at(endpoint(tcp(framing), address.await)).await.seen.failure().await
}

#[test]
fn garbage_on_tcp_is_garbage() {
    run(async {
        assert_eq!(told(Framing::Length, b"SSH-2.0-OpenSSH_9.6\r\n", false).await, ErrorClass::Garbage);
        assert_eq!(told(Framing::Length, b"\xFF\xFF\xFF\xFF", false).await, ErrorClass::Garbage);
    });
}

#[test]
fn the_end_of_a_tcp_stream_tells_a_close_from_a_cut() {
    run(async {
        assert_eq!(told(Framing::Length, b"\0\0\0\x01x", true).await, ErrorClass::ClosedByTarget(None));
        assert_eq!(told(Framing::Length, b"\0\0\0\x02x", true).await, ErrorClass::Truncated);
        assert_eq!(told(Framing::Newline, b"whole\nhal", true).await, ErrorClass::Truncated);
        let address = listen(|mut stream| async move {
            stream.read_u8().await.unwrap();
            reset(&stream);
        });
        let mut client = open_at(endpoint(tcp(Framing::Length), address.await)).await;
        client.send(1, b"x");
        assert_eq!(client.seen.failure().await, ErrorClass::Reset);
        assert_eq!(client.connection.send(2, wsbench::catalog::Format::Binary, b"x"), Err(Unsent::Closed));
    });
}

#[test]
fn a_tcp_target_that_never_closes_is_a_close_timeout() {
    run(async {
        let address = listen(silence).await;
        let mut client = open_at(endpoint(tcp(Framing::Length), address)).await;
        client.connection.close();
        assert_eq!(client.seen.failure().await, ErrorClass::CloseTimeout);
    });
}

/// The failure to join a TCP target that answers the join with `answer`, and then closes.
async fn join_answered(answer: &'static [u8]) -> ErrorClass {
    let address = listen(move |mut stream| async move {
        while stream.read_u8().await.unwrap() != b'\n' {}
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        silence(stream).await;
    });
    let mut endpoint = endpoint(tcp(Framing::Length), address.await);
    endpoint.dialect = Dialect::Wsbench;
    refusal(endpoint).await
}

#[test]
fn a_tcp_join_that_fails_says_how() {
    run(async {
        assert_eq!(join_answered(b"ERR wrong token\n").await, ErrorClass::JoinRefused);
        assert_eq!(join_answered(b"SSH-2.0-OpenSSH_9.6\r\n").await, ErrorClass::Garbage);
        assert_eq!(join_answered(&[b'x'; 2000]).await, ErrorClass::Garbage);
        assert_eq!(join_answered(b"O").await, ErrorClass::Truncated);
        for transport in [tcp(Framing::Length), udp()] {
            let tcp_address = listen(silence).await;
            let socket = UdpSocket::bind(tcp_address).await.unwrap();
            let mut endpoint = endpoint(transport, tcp_address);
            endpoint.dialect = Dialect::Wsbench;
            assert_eq!(refusal(endpoint).await, ErrorClass::HandshakeTimeout);
            drop(socket);
        }
    });
}

#[test]
fn nobody_listening_is_refused() {
    run(async {
        let of_streams = each_way_to_open();
        for transport in of_streams.into_iter().chain([udp(), Transport::Sse(http())]) {
            let mut endpoint = endpoint(transport, nobody().await);
            endpoint.dialect = Dialect::Wsbench;
            let what = format!("{:?}", endpoint.transport);
            assert_eq!(refusal(endpoint).await, ErrorClass::Refused, "{what}");
        }
    });
}

/// By the reactor, and by a task.
fn each_way_to_open() -> Vec<Transport> {
    let websocket = |engine| Transport::Websocket(websocket(engine));
    let by_task = [websocket(Engine::Fastwebsockets), Transport::LongPolling(http())];
    let by_reactor = [tcp(Framing::Length), Transport::Http(requests()), websocket(Engine::Native)];
    by_task.into_iter().chain(by_reactor).collect()
}

/// An address whose listener takes nobody in any more, and what keeps it so.
fn full() -> (SocketAddr, Vec<std::net::TcpStream>, Socket) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
    }
    (address, waiting, listener)
}

#[test]
fn a_target_that_takes_nobody_in_is_a_connect_timeout() {
    run(async {
        let (address, _waiting, _listener) = full();
        for transport in each_way_to_open() {
            let mut endpoint = endpoint(transport, address);
            endpoint.connect_timeout = Duration::from_millis(50);
            let what = format!("{:?}", endpoint.transport);
            assert_eq!(refusal(endpoint).await, ErrorClass::ConnectTimeout, "{what}");
        }
    });
}

#[test]
fn an_address_to_leave_from_of_the_other_family_is_told() {
    run(async {
        for transport in each_way_to_open() {
            let mut endpoint = endpoint(transport, nobody().await);
            endpoint.sources = Sources::new(vec!["::1".parse().unwrap()]);
            let failure = try_open(endpoint, "/echo").await.err().expect("it has nowhere to leave from");
            assert!(failure.class == ErrorClass::Io && failure.detail.contains("family"), "{failure}");
        }
    });
}

#[test]
fn clearing_the_reactor_leaves_nothing_of_a_session_that_was_being_opened() {
    run(async {
        let came = Rc::new(Notify::new());
        let (tell, left) = (came.clone(), Rc::new(Notify::new()));
        let gone = left.clone();
        let address = listen(move |mut stream| {
            let (tell, gone) = (tell.clone(), gone.clone());
            async move {
                stream.read_u8().await.unwrap();
                tell.notify_one();
                while stream.read_u8().await.is_ok() {}
                gone.notify_one();
            }
        });
        let endpoint = Rc::new(endpoint(Transport::Websocket(websocket(Engine::Native)), address.await));
        let seen = Rc::new(Seen::default());
        open(endpoint.clone(), "/echo".into(), 7, seen.clone());
        came.notified().await;
        endpoint.reactor.clear();
        assert_eq!((Rc::strong_count(&endpoint), Rc::strong_count(&seen)), (1, 1), "something holds on to them");
        left.notified().await;
        assert!(!seen.was_told());
    });
}

/// A UDP target that joins whoever proves the cookie, dropping the first `deaf` datagrams; then echoes each datagram as
/// `answers` has it.
pub async fn udp_target(deaf: usize, answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + 'static) -> std::net::SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        let mut buffer = vec![0; 65536];
        for n in 0.. {
            let (size, from) = socket.recv_from(&mut buffer).await.unwrap();
            let datagram = &buffer[..size];
            let replies = match datagram {
                _ if n < deaf => Vec::new(),
                d if d.starts_with(b"WSBENCH/1 JOIN") && d.ends_with(b"cookie=c00c1e") => {
                    vec![b"WSBENCH/1 OK".to_vec()]
                }
                d if d.starts_with(b"WSBENCH/1 JOIN") => vec![b"WSBENCH/1 COOKIE c00c1e".to_vec()],
                d => answers(d),
            };
            for reply in replies {
                socket.send_to(&reply, from).await.unwrap();
            }
        }
    });
    address
}

#[test]
fn a_udp_join_is_asked_again_and_late_answers_are_no_messages() {
    run(async {
        let again = |datagram: &[u8]| vec![b"WSBENCH/1 OK".to_vec(), b"WSBENCH/1 WHAT".to_vec(), datagram.to_vec()];
        let mut endpoint = endpoint(udp(), udp_target(1, again).await);
        endpoint.dialect = Dialect::Wsbench;
        let mut client = open_at(endpoint).await;
        assert!(client.phases.upgrade.unwrap() >= 200_000_000, "the first join was lost");
        client.send(1, b"hello");
        assert_eq!(client.seen.messages(1).await, [b"hello"]);
        assert_eq!(*client.seen.faults.borrow(), [(None, ErrorClass::Foreign)]);
    });
}

#[test]
fn datagrams_of_others_never_arrive() {
    run(async {
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut client = open_at(endpoint(udp(), target.local_addr().unwrap())).await;
        client.send(1, b"who am I");
        let mut buffer = [0; 100];
        let (_, from) = target.recv_from(&mut buffer).await.unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        stranger.send_to(b"foreign", from).await.unwrap();
        target.send_to(b"ours", from).await.unwrap();
        assert_eq!(client.seen.messages(1).await, [b"ours"]);
    });
}

#[test]
fn datagrams_that_find_the_receive_buffer_full_are_counted_as_dropped() {
    const FLOOD: usize = 200;
    run(async {
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let smallest = Transport::Udp(Udp { receive_buffer: ByteSize(1) });
        let mut client = open_at(endpoint(smallest, target.local_addr().unwrap())).await;
        client.send(1, b"who am I");
        let (_, from) = target.recv_from(&mut [0; 100]).await.unwrap();
        assert_eq!(client.traffic().receive_drops, 0);
        // Nothing here waits, so the client reads none of it before all of it was sent.
        for _ in 0..FLOOD {
            socket2::SockRef::from(&target).send_to(&[7; 1000], &from.into()).unwrap();
        }
        let dropped = client.traffic().receive_drops;
        assert!((1..FLOOD as u64).contains(&dropped), "{dropped}");
        client.seen.messages(FLOOD - dropped as usize).await;
        client.connection.close();
        client.seen.ended().await;
        assert_eq!(client.seen.messages.borrow().len(), FLOOD - dropped as usize);
        assert_eq!(client.traffic().receive_drops, dropped, "what was counted outlives the socket");
    });
}

#[test]
fn a_udp_join_can_be_refused() {
    run(async {
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut endpoint = endpoint(udp(), target.local_addr().unwrap());
        endpoint.dialect = Dialect::Wsbench;
        let answer = async {
            let (_, from) = target.recv_from(&mut [0; 100]).await.unwrap();
            target.send_to(b"WSBENCH/1 ERR wrong token", from).await.unwrap();
        };
        assert_eq!(tokio::join!(refusal(endpoint), answer).0, ErrorClass::JoinRefused);
    });
}

#[test]
fn a_udp_target_that_goes_away_is_a_fault_and_the_session_goes_on() {
    run(async {
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = target.local_addr().unwrap();
        let mut client = open_at(endpoint(udp(), address)).await;
        drop(target);
        client.send(1, b"to nobody");
        client.seen.until("a fault", |s| !s.faults.borrow().is_empty()).await;
        assert_eq!(client.seen.faults.borrow()[0], (None, ErrorClass::Refused));
        let back = UdpSocket::bind(address).await.unwrap();
        client.send(2, b"to somebody");
        let mut buffer = [0; 100];
        assert_eq!(back.recv(&mut buffer).await.unwrap(), 11);
        client.send(3, &[0; 66_000]);
        client.seen.until("a second fault", |s| s.faults.borrow().len() > 1).await;
        assert_eq!(client.seen.faults.borrow()[1], (Some(3), ErrorClass::TooLarge));
        client.connection.close();
        assert!(client.seen.ended().await.failure.is_none());
    });
}
