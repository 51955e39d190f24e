//! TLS: certificates that are trusted, and those that aren't.

use crate::good::{MESSAGES, echo_bytes, echoed, framing};
use crate::harness::*;
use crate::hub::Hub;
use crate::requests::{Server, requests};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use std::net::SocketAddr;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use wsbench::catalog::{Dialect, Engine, Framing, Transport};
use wsbench::transport::{Endpoint, ErrorClass};

fn own_certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

fn acceptor(own: &CertifiedKey<KeyPair>) -> TlsAcceptor {
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Unwraps TLS in front of `backend`.
async fn in_front_of(backend: SocketAddr, acceptor: TlsAcceptor) -> SocketAddr {
    listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut backend = TcpStream::connect(backend).await.unwrap();
            // How a connection ends is not what is tested here.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut backend).await;
        }
    })
    .await
}

fn named(name: &str, endpoint: Endpoint) -> Endpoint {
    Endpoint { tls_name: Some(name.to_owned()), ..endpoint }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_a_tls_error() {
    run(async {
        let address = in_front_of(nobody().await, acceptor(&own_certificate())).await;
        let websockets = [Engine::Native, Engine::Fastwebsockets].map(|engine| Transport::Websocket(websocket(engine)));
        for transport in websockets.into_iter().chain([tcp(Framing::Length), Transport::LongPolling(http())]) {
            assert_eq!(refusal(named("localhost", endpoint(transport, address))).await, ErrorClass::Tls);
        }
    });
}

#[test]
fn a_target_without_tls_is_a_tls_error_and_a_silent_one_a_timeout() {
    run(async {
        let plain = listen(|mut stream| async move {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            silence(stream).await;
        });
        let cases = [(plain.await, ErrorClass::Tls), (listen(silence).await, ErrorClass::HandshakeTimeout)];
        for (address, class) in cases {
            assert_eq!(refusal(named("localhost", endpoint(tcp(Framing::Length), address))).await, class);
        }
    });
}

/// The system's certificates are read once a thread, from where the environment says: so the test trusts its own
/// certificate in a process of its own.
#[test]
fn a_trusted_target_is_spoken_to_and_framing_is_counted_above_tls() {
    const OWN_KEY: &str = "WSBENCH_TEST_KEY";
    if let Ok(pem) = std::env::var(OWN_KEY) {
        let signing_key = KeyPair::from_pem(&pem).unwrap();
        let names = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = names.self_signed(&signing_key).unwrap();
        return run(every_tcp_transport_over_tls(CertifiedKey { cert, signing_key }));
    }
    let own = own_certificate();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), own.cert.pem()).unwrap();
    let name = "tls::a_trusted_target_is_spoken_to_and_framing_is_counted_above_tls";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env("SSL_CERT_FILE", file.path())
        .env(OWN_KEY, own.signing_key.serialize_pem())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

async fn every_tcp_transport_over_tls(own: CertifiedKey<KeyPair>) {
    let acceptor = acceptor(&own);
    let frames = in_front_of(listen(echo_frames).await, acceptor.clone()).await;
    let bytes = in_front_of(listen(echo_bytes).await, acceptor.clone()).await;
    let mut expected = vec![(tcp(Framing::Length), bytes, (4, 4))];
    expected.extend(Engine::ALL.iter().map(|engine| (Transport::Websocket(websocket(*engine)), frames, (6, 2))));
    for (transport, address, bytes) in expected {
        let mut client = open_at(named("localhost", endpoint(transport.clone(), address))).await;
        assert!(client.phases.tls.unwrap() > 0);
        let traffic = echoed(&mut client, 32).await;
        assert_eq!(framing(traffic), bytes);
        assert!(traffic.handshake > 500, "TLS's own: {}", traffic.handshake);
        assert!(traffic.sent.wire >= MESSAGES * (32 + bytes.0 + 22 + 40), "TLS's records are on the wire");
        if transport.kind() == wsbench::catalog::TransportKind::Tcp {
            // More than TLS takes in one go, and then the end: all of it comes before that.
            client.send(100, &[b'b'; 300_000]);
            client.connection.close();
            let last = client.seen.messages(MESSAGES as usize + 1).await;
            assert_eq!(last.last().map(Vec::len), Some(300_000));
        }
    }
    assert_eq!(refusal(named("example.org", endpoint(tcp(Framing::Length), bytes))).await, ErrorClass::Tls);
    let server = Rc::new(Server::default());
    let address = in_front_of(server.start().await, acceptor.clone()).await;
    let mut client = open_at(named("localhost", endpoint(Transport::Http(requests()), address))).await;
    assert!(client.phases.tls.unwrap() > 0 && client.traffic().handshake > 500);
    for n in 1..=3 {
        client.send(n, &[b'a'; 200_000]);
        client.seen.until("its answer", |s| s.answers.borrow().last() == Some(&(n, 200_000))).await;
    }
    assert_eq!(client.traffic().connections, 1);
    let hub = Rc::new(Hub::default());
    let address = in_front_of(hub.start("127.0.0.1:0").await, acceptor).await;
    for transport in [Transport::LongPolling(http()), Transport::Sse(http())] {
        let settings = named("localhost", endpoint(transport, address));
        let mut client = open_at(Endpoint { dialect: Dialect::Wsbench, ..settings }).await;
        client.send(1, b"eA==");
        client.seen.until("a message", |s| !s.messages.borrow().is_empty()).await;
    }
}
