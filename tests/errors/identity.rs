//! What requests say of who asks whom, as the target sees it: host, origin, credentials, values and cookies.

use crate::harness::*;
use crate::hub::{Hub, header};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsbench::catalog::{
    Auth, Dialect, Emit, Engine, Format, HeaderProfile, Http, HttpRequests, Identity, SocketIo, Start, Transport,
    Websocket,
};
use wsbench::codec::upgrade;
use wsbench::transport::{Endpoint, Place};
use wsbench::units::Span;
use wsbench::values::{Source, Table, Values};

fn values() -> Values {
    let table = Table::read("name,password\nann,a:1\njoe,j 2\n").unwrap();
    Values::new(vec![("user".into(), Source::Table(table)), ("n".into(), Source::Counter(100))])
}

fn identity(auth: Auth) -> Identity {
    Identity {
        host: Some("{user.name}.example.org".to_owned()),
        origin: Some("https://{user.name}.example.org".to_owned()),
        auth: Some(auth),
        cookies: true,
    }
}

fn extra() -> Vec<(String, String)> {
    vec![("X-Number".to_owned(), "{n} of {room}, {{n}}".to_owned())]
}

/// Session 3, which has the second row.
fn joe() -> Place {
    Place { room: 1, session: 3, values: values(), ..Place::from("/echo") }
}

/// "joe:j 2" and nothing else.
const BASIC: &str = "Basic am9lOmogMg==";

fn assert_is_joe(head: &str, authorization: &str) {
    let seen = ["host", "origin", "authorization", "x-number"].map(|name| header(head, name));
    let want = ["joe.example.org", "https://joe.example.org", authorization, "103 of 1, {n}"];
    assert_eq!(seen, want.map(Some), "{head}");
    assert_eq!(head.matches("Origin: ").count() + head.matches("origin: ").count(), 1, "{head}");
}

/// Upgrades, and keeps the head that asked for it.
async fn upgrading(heads: Rc<RefCell<Vec<String>>>) -> SocketAddr {
    listen(move |mut stream| {
        let heads = heads.clone();
        async move {
            let head = read_head(&mut stream).await.unwrap();
            let (request, _) = upgrade::read_request(head.as_bytes()).unwrap().unwrap();
            heads.borrow_mut().push(head);
            stream.write_all(&upgrade::write_response(&request.key, None)).await.unwrap();
            silence(stream).await;
        }
    })
    .await
}

#[test]
fn an_upgrade_says_who_asks_whom_on_every_engine() {
    run(async {
        for engine in Engine::ALL {
            for headers in [HeaderProfile::Minimal, HeaderProfile::Browser] {
                let heads = Rc::new(RefCell::new(Vec::new()));
                let settings = Websocket {
                    headers,
                    extra_headers: extra(),
                    identity: identity(Auth::Basic("{user.name}:{user.password}".to_owned())),
                    ..websocket(*engine)
                };
                let address = upgrading(heads.clone()).await;
                let endpoint = endpoint(Transport::Websocket(settings), address);
                let client = try_open(endpoint, joe()).await.unwrap_or_else(|failure| panic!("{failure}"));
                let head = heads.borrow()[0].clone();
                assert_is_joe(&head, BASIC);
                assert_eq!(client.traffic().handshake_sent, head.len() as u64);
            }
        }
    });
}

fn strategies(settings: &Http) -> [Transport; 4] {
    let short = Http { interval: Some(Span::from_millis(5)), ..settings.clone() };
    [
        Transport::LongPolling(settings.clone()),
        Transport::ShortPolling(short),
        Transport::Sse(settings.clone()),
        Transport::HttpStreaming(settings.clone()),
    ]
}

#[test]
fn every_request_of_both_connections_says_who_asks_whom() {
    run(async {
        for headers in [HeaderProfile::Minimal, HeaderProfile::Browser] {
            let bearer = Auth::Bearer("{user.name}-token".to_owned());
            let settings = Http { headers, extra_headers: extra(), identity: identity(bearer), ..http() };
            for transport in strategies(&settings) {
                let hub = Rc::new(Hub::default());
                let address = hub.start("127.0.0.1:0").await;
                let settings = Endpoint { dialect: Dialect::Wsbench, ..endpoint(transport.clone(), address) };
                let settings = Endpoint { format: Format::Text, ..settings };
                let mut client = try_open(settings, joe()).await.unwrap_or_else(|failure| panic!("{failure}"));
                client.send(1, b"hello");
                client.seen.messages(1).await;
                let heads = hub.heads.borrow().clone();
                assert!(hub.count("POST") == 1 && heads.len() > 1);
                heads.iter().for_each(|head| assert_is_joe(head, "Bearer joe-token"));
            }
        }
    });
}

#[test]
fn plain_requests_say_who_asks_whom() {
    run(async {
        let hub = Rc::new(Hub::default());
        let settings = HttpRequests {
            extra_headers: extra(),
            identity: identity(Auth::Basic("{user.name}:{user.password}".to_owned())),
            ..crate::requests::requests()
        };
        let address = hub.start("127.0.0.1:0").await;
        let endpoint = endpoint(Transport::Http(settings), address);
        let mut client = try_open(endpoint, joe()).await.unwrap_or_else(|failure| panic!("{failure}"));
        client.send(1, b"hello");
        client.seen.until("an answer", |seen| !seen.answers.borrow().is_empty()).await;
        assert_is_joe(&hub.heads.borrow()[0], BASIC);
    });
}

#[test]
fn the_join_sets_a_cookie_that_both_connections_send_back() {
    run(async {
        for cookies in [true, false] {
            let settings = Http { identity: Identity { cookies, ..Identity::default() }, ..http() };
            for transport in strategies(&settings) {
                let hub = Rc::new(Hub::default());
                let set = "set-cookie: node=3; Path=/\r\nset-cookie: other=1; Path=/other\r\n";
                for (request, answer) in [
                    ("GET /poll", format!("HTTP/1.1 200 OK\r\ncursor: 0\r\n{set}content-length: 0\r\n\r\n")),
                    ("GET /s", format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{set}\r\n")),
                ] {
                    hub.instead.borrow_mut().push((request, answer));
                }
                let address = hub.start("127.0.0.1:0").await;
                let settings = Endpoint { publishes: true, ..endpoint(transport.clone(), address) };
                let settings = Endpoint { dialect: Dialect::Wsbench, ..settings };
                let mut client = try_open(settings, "/echo").await.unwrap_or_else(|failure| panic!("{failure}"));
                hub.instead
                    .borrow_mut()
                    .push(("POST", "HTTP/1.1 204 No Content\r\nset-cookie: node=4; Path=/\r\n\r\n".to_owned()));
                client.send(1, b"one");
                hub.until_count("POST", 1).await;
                client.send(2, b"two");
                hub.until_count("POST", 2).await;
                let heads = hub.heads.borrow().clone();
                let of = |method: &str| -> Vec<Option<String>> {
                    let of_method = heads.iter().filter(|head| head.starts_with(method));
                    of_method.map(|head| header(head, "cookie").map(str::to_owned)).collect()
                };
                let kept = |value: &str| cookies.then(|| value.to_owned());
                assert_eq!(of("POST"), [kept("node=3"), kept("node=4")], "{transport:?}");
                let gets = of("GET");
                assert_eq!(gets[0], None);
                // Polls go on with what there is by then.
                let is_known = |cookie: &Option<String>| [kept("node=3"), kept("node=4")].contains(cookie);
                assert!(gets[1..].iter().all(is_known), "{transport:?}: {gets:?}");
            }
        }
    });
}

/// Opens a session of Engine.IO by polling, which sets a cookie, and lets it go over to a WebSocket; keeps all heads.
async fn going_over(heads: Rc<RefCell<Vec<String>>>) -> SocketAddr {
    listen(move |mut stream| {
        let heads = heads.clone();
        async move {
            let open = r#"0{"sid":"s1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}"#;
            let mut answers = [open, r#"40{"sid":"x"}"#, "6"].into_iter();
            while let Some(head) = read_head(&mut stream).await {
                heads.borrow_mut().push(head.clone());
                if head.contains("transport=websocket") {
                    let (request, _) = upgrade::read_request(head.as_bytes()).unwrap().unwrap();
                    stream.write_all(&upgrade::write_response(&request.key, None)).await.unwrap();
                    // The frame of `2probe`, masked.
                    stream.read_exact(&mut [0; 12]).await.unwrap();
                    stream.write_all(b"\x81\x063probe").await.unwrap();
                    silence(stream).await;
                    return;
                }
                let body = match head.starts_with("POST") {
                    true => {
                        stream.read_exact(&mut [0; 2]).await.unwrap();
                        "ok"
                    }
                    false => answers.next().unwrap(),
                };
                let set = if body == open { "Set-Cookie: io=s1; Path=/socket.io\r\n" } else { "" };
                let answer = format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await
}

#[test]
fn a_session_that_goes_over_to_a_websocket_says_who_it_is_and_takes_its_cookies_along() {
    run(async {
        for engine in Engine::ALL {
            for cookies in [true, false] {
                let heads = Rc::new(RefCell::new(Vec::new()));
                let settings = Websocket {
                    start: Start::Polling,
                    extra_headers: extra(),
                    identity: Identity { cookies, ..identity(Auth::Bearer("{user.name}-token".to_owned())) },
                    ..websocket(*engine)
                };
                let publish = Emit { event: "say".to_owned(), args: vec!["{payload}".into()], ack: true };
                let dialect = SocketIo { publish: Some(publish), ..SocketIo::default() };
                let address = going_over(heads.clone()).await;
                let endpoint = endpoint(Transport::Websocket(settings), address);
                let endpoint = Endpoint { dialect: Dialect::SocketIo(Box::new(dialect)), ..endpoint };
                let joe = Place { path: "/".to_owned(), ..joe() };
                try_open(endpoint, joe).await.unwrap_or_else(|failure| panic!("{failure}"));
                let heads = heads.borrow().clone();
                assert_eq!(heads.len(), 5);
                heads.iter().for_each(|head| assert_is_joe(head, "Bearer joe-token"));
                let kept: Vec<Option<&str>> = heads.iter().map(|head| header(head, "cookie")).collect();
                let known = cookies.then_some("io=s1");
                assert_eq!(kept, [None, known, known, known, known], "{engine:?}");
            }
        }
    });
}
