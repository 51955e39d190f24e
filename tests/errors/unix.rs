//! Unix sockets: the same sessions, counted to the byte, with no wire below them.

use crate::harness::*;
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use wsbench::catalog::{Engine, Framing, Transport};
use wsbench::transport::*;

struct Socket {
    folder: tempfile::TempDir,
}

impl Socket {
    fn new() -> Socket {
        Socket { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("app.sock")
    }
}

fn at(file: &Path, transport: Transport) -> Endpoint {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let address = address_of_socket(file.to_str().unwrap()).unwrap();
    // Sources and Nagle's algorithm are TCP's, and must not be asked for.
    let sources = Sources::new(vec!["127.0.0.2".parse().unwrap()]);
    Endpoint { address, sources, authority: "localhost".to_owned(), ..endpoint(transport, nowhere) }
}

/// Echoes what comes behind the head of an upgrade or request, and keeps that.
async fn echoing(file: &Path, has_head: bool) -> Rc<RefCell<Vec<String>>> {
    let listener = UnixListener::bind(file).unwrap();
    let heads: Rc<RefCell<Vec<String>>> = Rc::default();
    let seen = heads.clone();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // What is done with a TCP stream can be done with this one.
            let mut stream =
                TcpStream::from_std(std::os::fd::OwnedFd::from(stream.into_std().unwrap()).into()).unwrap();
            if has_head {
                let head = read_head(&mut stream).await.unwrap();
                seen.borrow_mut().push(head);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
            tokio::task::spawn_local(async move {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    let _ = stream.write_all(&buffer[..n]).await;
                }
            });
        }
    });
    heads
}

#[test]
fn tcp_framing_travels_over_a_unix_socket() {
    run(async {
        let socket = Socket::new();
        echoing(&socket.file(), false).await;
        let mut client = open_at(at(&socket.file(), tcp(Framing::Length))).await;
        assert!(client.phases.tcp.is_some() && client.phases.total >= client.phases.tcp.unwrap());
        client.send(1, b"hello");
        assert_eq!(client.seen.messages(1).await, [b"hello"]);
        let traffic = client.traffic();
        assert_eq!((traffic.sent.payload, traffic.sent.framing), (5, 4));
        assert_eq!((traffic.received.payload, traffic.received.framing), (5, 4));
        assert_eq!((traffic.connections, traffic.wire_known, traffic.kernel), (1, 0, None), "no wire, and no TCP");
        assert!(!traffic.wire_complete());
        client.connection.close();
        assert!(client.seen.ended().await.failure.is_none());
    });
}

#[test]
fn every_websocket_engine_speaks_over_a_unix_socket() {
    run(async {
        for engine in Engine::ALL {
            let socket = Socket::new();
            let listener = UnixListener::bind(socket.file()).unwrap();
            tokio::task::spawn_local(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = std::os::fd::OwnedFd::from(stream.into_std().unwrap());
                echo_frames(TcpStream::from_std(stream.into()).unwrap()).await;
            });
            let mut client = open_at(at(&socket.file(), Transport::Websocket(websocket(*engine)))).await;
            client.send(1, b"hello");
            assert_eq!(client.seen.messages(1).await, [b"hello"], "{engine}");
            let traffic = client.traffic();
            assert_eq!((traffic.sent.framing, traffic.received.framing, traffic.wire_known), (6, 2, 0), "{engine}");
            client.connection.close();
            assert!(client.seen.ended().await.failure.is_none(), "{engine}");
        }
    });
}

#[test]
fn plain_requests_go_over_a_unix_socket() {
    run(async {
        let socket = Socket::new();
        let heads = echoing(&socket.file(), true).await;
        let mut client = open_at(at(&socket.file(), Transport::Http(crate::requests::requests()))).await;
        client.send(1, b"");
        client.seen.until("an answer", |seen| !seen.answers.borrow().is_empty()).await;
        assert!(heads.borrow()[0].starts_with("POST /echo HTTP/1.1\r\nHost: localhost\r\n"), "{heads:?}");
    });
}

#[test]
fn a_socket_that_nobody_serves_is_refused() {
    run(async {
        let socket = Socket::new();
        for transport in [tcp(Framing::Length), Transport::Websocket(websocket(Engine::Tungstenite))] {
            assert_eq!(refusal(at(&socket.file(), transport.clone())).await, ErrorClass::Refused, "no file");
            drop(std::os::unix::net::UnixListener::bind(socket.file()).unwrap());
            assert_eq!(refusal(at(&socket.file(), transport)).await, ErrorClass::Refused, "a file that was left");
            std::fs::remove_file(socket.file()).unwrap();
        }
        assert_eq!(refusal(at(&socket.file(), udp())).await, ErrorClass::Resolve);
    });
}

/// The system keeps no place for a connection that a full queue has none for: it has to be asked again.
#[test]
fn a_full_queue_is_waited_for() {
    run(async {
        for transport in [tcp(Framing::Length), Transport::Websocket(websocket(Engine::Fastwebsockets))] {
            let socket = Socket::new();
            let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
            listener.bind(&socket2::SockAddr::unix(socket.file()).unwrap()).unwrap();
            listener.listen(0).unwrap();
            // Fills the queue of one.
            let _waiting = std::os::unix::net::UnixStream::connect(socket.file()).unwrap();
            let late = refusal(at(&socket.file(), transport.clone())).await;
            assert_eq!(late, ErrorClass::ConnectTimeout, "as long as it is full");
            let accepting = tokio::task::spawn_blocking(move || {
                let first = listener.accept().unwrap();
                (first, listener.accept().unwrap(), listener)
            });
            // Those that gave up are gone from the queue; this one gets a place once there is one.
            let endpoint = at(&socket.file(), transport.clone());
            let opened = match transport {
                Transport::Tcp(_) => try_open(endpoint, "/echo").await.map(|_| ()).map_err(|failure| failure.class),
                _ => Err(refusal(endpoint).await),
            };
            let (_first, _second, listener) = accepting.await.unwrap();
            match transport {
                Transport::Tcp(_) => assert_eq!(opened, Ok(())),
                // Nobody upgrades it.
                _ => assert_eq!(opened, Err(ErrorClass::HandshakeTimeout)),
            }
            drop(listener);
        }
    });
}
