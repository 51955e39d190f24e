//! TLS: the same faces, under a certificate that the target made itself.

use crate::harness::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wsbench::catalog::Engine;
use wsbench::clock::now;
use wsbench::target::{Config, Tls};
use wsbench::units::Span;

fn over_tls() -> Config {
    Config { tls: Some(Tls { resumption: false }), ..config() }
}

/// A client that trusts the target's certificate and nothing else.
fn connector(server: &Server) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let pem = server.certificate.as_ref().expect("it speaks TLS");
    pem.certificates().unwrap().into_iter().for_each(|certificate| roots.add(certificate).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn connect(server: &Server, port: u16, name: &'static str) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect((server.bind, port)).await.unwrap();
    patient(connector(server).connect(ServerName::try_from(name).unwrap(), socket)).await.unwrap()
}

/// Says `question`; exactly `n` bytes of what comes.
async fn asked(stream: &mut TlsStream<TcpStream>, question: &[u8], n: usize) -> Vec<u8> {
    stream.write_all(question).await.unwrap();
    let mut answer = vec![0; n];
    patient(stream.read_exact(&mut answer)).await.unwrap();
    answer
}

#[test]
fn every_face_is_the_same_under_tls_by_every_name_and_with_every_engine() {
    for engine in Engine::ALL {
        with(Config { engine: *engine, ..over_tls() }, |server| async move {
            for name in ["localhost", "127.0.0.1", "::1"] {
                let mut tcp = connect(&server, server.ports.tcp, name).await;
                let join = format!("WSBENCH/1 JOIN /echo token={TOKEN} framing=newline\n");
                assert_eq!(asked(&mut tcp, join.as_bytes(), 3).await, b"OK\n");
                // More than TLS takes in one go.
                let line = [vec![b'a'; 300_000], vec![b'\n']].concat();
                assert!(asked(&mut tcp, &line, line.len()).await == line);
                // It is told that we close, and closes as TLS does.
                tcp.shutdown().await.unwrap();
                assert_eq!(patient(tcp.read_to_end(&mut Vec::new())).await.unwrap(), 0);
            }
            let mut websocket = connect(&server, server.ports.websocket, "localhost").await;
            let upgrade = format!(
                "GET /echo?token={TOKEN} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            let status = "HTTP/1.1 101 ";
            assert_eq!(asked(&mut websocket, upgrade.as_bytes(), status.len()).await, status.as_bytes());
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(patient(websocket.read_u8()).await.unwrap());
            }
            // Masked with zeros, two messages at once: the second is decrypted before the first is answered.
            let frames = [b"\x82\x82\0\0\0\0hi".as_slice(), b"\x82\x83\0\0\0\0you"].concat();
            assert_eq!(asked(&mut websocket, &frames, 9).await, b"\x82\x02hi\x82\x03you");
            assert_eq!(asked(&mut websocket, b"\x88\x82\0\0\0\0\x03\xe8", 4).await, b"\x88\x02\x03\xe8");
            assert_eq!(patient(websocket.read_to_end(&mut Vec::new())).await.unwrap(), 0);
            let mut http = connect(&server, server.ports.http, "localhost").await;
            for body in ["hello", "again"] {
                let post = format!("POST /echo?token={TOKEN} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{body}");
                let status = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
                let answer = asked(&mut http, post.as_bytes(), status.len() + 5).await;
                assert_eq!(String::from_utf8(answer).unwrap(), format!("{status}{body}"));
            }
        });
    }
}

#[test]
fn who_speaks_no_tls_or_trusts_another_target_is_served_nothing() {
    let report = with(over_tls(), |server| async move {
        for port in [server.ports.tcp, server.ports.websocket, server.ports.http] {
            let mut plain = Raw::open(&server, port).await;
            plain.write(format!("WSBENCH/1 JOIN /echo token={TOKEN} framing=newline\n\n")).await;
            // At most an alert, and the end.
            let answer = plain.rest().await;
            assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
        }
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
        let wrong = Server { certificate: Some(wsbench::catalog::Pem::new(other)), ..server.clone() };
        let socket = TcpStream::connect((server.bind, server.ports.tcp)).await.unwrap();
        let refused = connector(&wrong).connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData);
        // The others go on.
        connect(&server, server.ports.tcp, "localhost").await;
    });
    assert_eq!((report.received, report.refused), (0, 0));
}

#[test]
fn a_handshake_takes_one_round_trip_of_the_emulated_network() {
    const TRANSIT: Duration = Duration::from_millis(30);
    let config = Config { delay: Span::from_millis(30), ..over_tls() };
    with(config, |server| async move {
        for port in [server.ports.tcp, server.ports.websocket, server.ports.http] {
            let began = now();
            connect(&server, port, "localhost").await;
            // That of TCP before it.
            let took = Duration::from_nanos(now() - began);
            assert!(took >= 4 * TRANSIT, "{took:?}");
        }
    });
}

#[test]
fn tickets_are_given_out_only_where_sessions_may_be_resumed() {
    for resumption in [true, false] {
        let config = Config { tls: Some(Tls { resumption }), ..config() };
        with(config, |server| async move {
            for port in [server.ports.tcp, server.ports.http] {
                let connector = connector(&server);
                let mut kinds = Vec::new();
                for _ in 0..2 {
                    let socket = TcpStream::connect((server.bind, port)).await.unwrap();
                    let name = ServerName::try_from("localhost").unwrap();
                    let mut stream = patient(connector.connect(name, socket)).await.unwrap();
                    kinds.push(stream.get_ref().1.handshake_kind().unwrap());
                    // Not what is asked for, but it is answered, and tickets come before that.
                    asked(&mut stream, b"nonsense\n\n", 4).await;
                }
                let second = if resumption { rustls::HandshakeKind::Resumed } else { rustls::HandshakeKind::Full };
                assert_eq!(kinds, [rustls::HandshakeKind::Full, second]);
            }
        });
    }
}
