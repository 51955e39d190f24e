//! TLS: certificates that are trusted, and those that aren't.

use crate::authority::Authority;
use crate::good::{MESSAGES, echo_bytes, echoed, framing};
use crate::harness::*;
use crate::hub::Hub;
use crate::requests::{Server, requests};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::HandshakeKind;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use wsbench::catalog::{self, Dialect, Engine, Framing, Pem, Transport};
use wsbench::transport::{Endpoint, ErrorClass, Tls};

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
    trusting(&catalog::Tls::default(), name, endpoint)
}

fn trusting(settings: &catalog::Tls, host: &str, endpoint: Endpoint) -> Endpoint {
    let tls = Tls::new(settings, host, None).unwrap_or_else(|failure| panic!("{failure}"));
    Endpoint { tls: Some(tls), ..endpoint }
}

/// What a server learned of its clients: the name and the protocols that they asked for, and whether they resumed.
type Guests = Rc<RefCell<Vec<(Option<String>, Option<Vec<u8>>, HandshakeKind)>>>;

/// As [`in_front_of`], with a book of those whose handshake was good.
async fn with_book(backend: SocketAddr, config: rustls::ServerConfig) -> (SocketAddr, Guests) {
    let (acceptor, guests) = (TlsAcceptor::from(Arc::new(config)), Guests::default());
    let book = guests.clone();
    let address = listen(move |stream| {
        let (acceptor, book) = (acceptor.clone(), book.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let shaken = stream.get_ref().1;
            let alpn = shaken.alpn_protocol().map(<[u8]>::to_vec);
            book.borrow_mut().push((shaken.server_name().map(str::to_owned), alpn, shaken.handshake_kind().unwrap()));
            let mut backend = TcpStream::connect(backend).await.unwrap();
            // How a connection ends is not what is tested here.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut backend).await;
        }
    });
    (address.await, guests)
}

/// Every way to be a client over TCP, each with what echoes to it.
async fn everyone() -> Vec<(Transport, SocketAddr)> {
    let (frames, bytes) = (listen(echo_frames).await, listen(echo_bytes).await);
    let mut all: Vec<(Transport, SocketAddr)> =
        Engine::ALL.iter().map(|engine| (Transport::Websocket(websocket(*engine)), frames)).collect();
    all.push((tcp(Framing::Length), bytes));
    all
}

#[test]
fn an_authority_of_ones_own_vouches_for_its_servers_and_their_names_alone() {
    run(async {
        let authority = Authority::new();
        let own = catalog::Tls { ca: Some(Pem::new(&authority.pem)), ..Default::default() };
        let stranger = catalog::Tls { ca: Some(Pem::new(Authority::new().pem)), ..Default::default() };
        let insecure = catalog::Tls { insecure: true, ..stranger.clone() };
        let renamed = catalog::Tls { server_name: Some("chat.test".to_owned()), ..own.clone() };
        for (transport, backend) in everyone().await {
            let (address, guests) = with_book(backend, authority.server("chat.test", false)).await;
            let to =
                |settings: &catalog::Tls, host: &str| trusting(settings, host, endpoint(transport.clone(), address));
            for (settings, host) in [(&stranger, "chat.test"), (&Default::default(), "chat.test"), (&own, "127.0.0.1")]
            {
                assert_eq!(refusal(to(settings, host)).await, ErrorClass::Tls, "{settings:?} {host}");
            }
            assert!(guests.borrow().is_empty());
            for (settings, host) in [(&own, "chat.test"), (&renamed, "127.0.0.1"), (&insecure, "127.0.0.1")] {
                let mut client = open_at(to(settings, host)).await;
                echoed(&mut client, 32).await;
            }
            let names: Vec<Option<String>> = guests.borrow().iter().map(|(name, ..)| name.clone()).collect();
            // An address is no name to ask for.
            assert_eq!(names, [Some("chat.test".to_owned()), Some("chat.test".to_owned()), None]);
        }
    });
}

#[test]
fn a_server_that_asks_who_we_are_is_told_by_our_certificate() {
    run(async {
        let authority = Authority::new();
        let nobody = catalog::Tls { ca: Some(Pem::new(&authority.pem)), ..Default::default() };
        let known_as = |authority: &Authority| {
            let (cert, key) = authority.issue("client");
            let identity = catalog::ClientCertificate { cert: Pem::new(cert), key: Pem::new(key) };
            catalog::Tls { identity: Some(identity), ..nobody.clone() }
        };
        let (known, unknown) = (known_as(&authority), known_as(&Authority::new()));
        for (transport, backend) in everyone().await {
            let (address, guests) = with_book(backend, authority.server("localhost", true)).await;
            let to = |settings: &catalog::Tls| trusting(settings, "localhost", endpoint(transport.clone(), address));
            let mut client = open_at(to(&known)).await;
            echoed(&mut client, 32).await;
            assert_eq!(guests.borrow().len(), 1);
            for settings in [&nobody, &unknown] {
                // In TLS 1.3 a server refuses only when the client's part is done.
                let class = match try_open(to(settings), "/echo").await {
                    Err(failure) => failure.class,
                    Ok(client) => client.seen.failure().await,
                };
                assert_eq!(class, ErrorClass::Tls);
            }
            assert_eq!(guests.borrow().len(), 1);
        }
    });
}

#[test]
fn what_was_agreed_on_is_what_the_server_saw() {
    run(async {
        let authority = Authority::new();
        let mut config = authority.server("localhost", false);
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"chat/2".to_vec()];
        let (address, guests) = with_book(listen(echo_bytes).await, config).await;
        let offering = |alpn: &[&str]| catalog::Tls {
            ca: Some(Pem::new(&authority.pem)),
            alpn: alpn.iter().map(|name| name.to_string()).collect(),
            ..Default::default()
        };
        for (offered, agreed) in [(&["chat/3", "chat/2"][..], Some("chat/2")), (&[], None)] {
            let to = Rc::new(trusting(&offering(offered), "localhost", endpoint(tcp(Framing::Length), address)));
            let mut client = open_on(&to).await;
            echoed(&mut client, 32).await;
            assert_eq!(guests.borrow().last().unwrap().1.as_deref(), agreed.map(str::as_bytes));
            let handshakes = to.tls.as_ref().unwrap().handshakes();
            let [one] = &handshakes.agreed[..] else { panic!("{handshakes:?}") };
            assert_eq!((one.version.as_str(), one.alpn.as_deref(), one.handshakes), ("TLS 1.3", agreed, 1));
            assert!(one.cipher_suite.starts_with("TLS_AES_"), "{one:?}");
        }
        let alien = trusting(&offering(&["chat/3"]), "localhost", endpoint(tcp(Framing::Length), address));
        assert_eq!(refusal(alien).await, ErrorClass::Tls);
    });
}

#[test]
fn sessions_are_taken_up_again_where_that_is_asked_and_nowhere_else() {
    use HandshakeKind::{Full, Resumed};
    run(async {
        let authority = Authority::new();
        let versions: [&[&'static rustls::SupportedProtocolVersion]; 2] =
            [&[&rustls::version::TLS13], &[&rustls::version::TLS12]];
        for ((transport, backend), version) in
            everyone().await.into_iter().flat_map(|one| versions.map(|v| (one.clone(), v)))
        {
            for resumption in [true, false] {
                let (address, guests) = with_book(backend, authority.server_of("localhost", false, version)).await;
                let settings = catalog::Tls { ca: Some(Pem::new(&authority.pem)), resumption, ..Default::default() };
                let to = Rc::new(trusting(&settings, "localhost", endpoint(transport.clone(), address)));
                for _ in 0..3 {
                    let mut client = open_on(&to).await;
                    // Tickets come behind the handshake.
                    echoed(&mut client, 32).await;
                }
                let kinds: Vec<HandshakeKind> = guests.borrow().iter().map(|(.., kind)| *kind).collect();
                assert_eq!(kinds, if resumption { [Full, Resumed, Resumed] } else { [Full; 3] }, "{transport:?}");
                let handshakes = to.tls.as_ref().unwrap().handshakes();
                assert_eq!((handshakes.whole, handshakes.resumed), if resumption { (1, 2) } else { (3, 0) });
            }
        }
    });
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
