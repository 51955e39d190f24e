//! Plain requests: every way to answer one, and every way not to.

use crate::harness::*;
use crate::hub::header;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use wsbench::catalog::{Format, HeaderProfile, HttpMethod, HttpRequests, Identity, Transport};
use wsbench::codec::MAX_MESSAGE;
use wsbench::transport::{Endpoint, ErrorClass, Sent, Unsent};

pub fn requests() -> HttpRequests {
    HttpRequests {
        method: HttpMethod::Post,
        headers: HeaderProfile::Minimal,
        extra_headers: Vec::new(),
        identity: Identity::default(),
        nodelay: true,
    }
}

/// What is done once an answer has been written.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Keep,
    Close,
    Reset,
    Nothing,
}

/// A server that echoes, but for the answers that it was given.
#[derive(Default)]
pub struct Server {
    answers: RefCell<VecDeque<(String, Then)>>,
    heads: RefCell<Vec<String>>,
    connections: Cell<u64>,
    /// Answers wait for this.
    held: RefCell<Option<Rc<Notify>>>,
    /// Connections that rest are closed, or get these bytes, on this.
    nudge: Notify,
    unasked: Cell<&'static str>,
}

impl Server {
    pub async fn start(self: &Rc<Server>) -> SocketAddr {
        let server = self.clone();
        listen(move |stream| server.clone().serve(stream)).await
    }

    fn answer(&self, text: &str, then: Then) {
        self.answers.borrow_mut().push_back((text.to_owned(), then));
    }

    async fn serve(self: Rc<Server>, mut stream: TcpStream) {
        self.connections.set(self.connections.get() + 1);
        loop {
            let head = tokio::select! {
                head = read_head(&mut stream) => head,
                () = self.nudge.notified() => {
                    match self.unasked.get() {
                        "" => return,
                        unasked => stream.write_all(unasked.as_bytes()).await.unwrap(),
                    }
                    continue;
                }
            };
            let Some(head) = head else { return };
            let mut body = vec![0; header(&head, "content-length").map_or(0, |n| n.parse().unwrap())];
            stream.read_exact(&mut body).await.unwrap();
            self.heads.borrow_mut().push(head);
            let held = self.held.borrow().clone();
            if let Some(held) = held {
                held.notified().await;
                let more = stream.try_read(&mut [0; 1]);
                assert_eq!(more.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "one request at a time");
            }
            let answer = self.answers.borrow_mut().pop_front();
            let (answer, then) = match answer {
                Some((answer, then)) => (answer.into_bytes(), then),
                None => ([ok(&format!("Content-Length: {}", body.len()), "").as_bytes(), &body].concat(), Then::Keep),
            };
            // The client may rightly be gone before all is written.
            let _ = stream.write_all(&answer).await;
            match then {
                Then::Keep => {}
                Then::Close => return,
                Then::Reset => return reset(&stream),
                Then::Nothing => return silence(stream).await,
            }
        }
    }
}

fn ok(header: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n{body}")
}

fn to(settings: HttpRequests, address: SocketAddr) -> Endpoint {
    endpoint(Transport::Http(settings), address)
}

async fn client_of(server: &Rc<Server>) -> Client {
    open_at(to(requests(), server.start().await)).await
}

/// Sends message `n` and waits for its answer, whose size is returned.
async fn answered(client: &mut Client, n: u64, payload: &[u8]) -> u64 {
    let before = client.seen.answers.borrow().len();
    client.send(n, payload);
    client.seen.until("an answer", |s| s.answers.borrow().len() > before).await;
    let (ticket, size) = client.seen.answers.borrow()[before];
    assert_eq!(ticket, n);
    size
}

/// Sends message `n` and waits for its fault.
async fn failed(client: &mut Client, n: u64) -> ErrorClass {
    let before = client.seen.faults.borrow().len();
    client.send(n, b"hello");
    client.seen.until("a fault", |s| s.faults.borrow().len() > before).await;
    let (ticket, class) = client.seen.faults.borrow()[before].clone();
    assert_eq!(ticket, Some(n));
    class
}

#[test]
fn a_message_is_a_request_and_its_bytes_are_counted() {
    run(async {
        let server = Rc::new(Server::default());
        let address = server.start().await;
        let mut client = open_at(to(requests(), address)).await;
        assert_eq!((client.phases.upgrade, client.phases.tls), (None, None));
        for n in 0..10 {
            assert_eq!(answered(&mut client, n, &[b'a'; 32]).await, 32);
        }
        let head = format!("POST /echo HTTP/1.1\r\nHost: {address}\r\nContent-Length: 32\r\n\r\n");
        assert!(server.heads.borrow().iter().all(|h| *h == head), "{:?}", server.heads);
        let traffic = client.traffic();
        assert_eq!((traffic.sent.messages, traffic.sent.payload), (10, 320));
        assert_eq!((traffic.received.messages, traffic.received.payload), (10, 320));
        assert_eq!(traffic.sent.framing, 10 * head.len() as u64);
        assert_eq!(traffic.received.framing, 10 * ok("Content-Length: 32", "").len() as u64);
        assert_eq!((traffic.connections, traffic.handshake), (1, 0));
        assert!(traffic.wire_complete() && traffic.sent.wire > traffic.sent.framing + 320);
        client.connection.close();
        let ended = client.seen.ended().await;
        assert!(ended.failure.is_none() && ended.close_time.is_some(), "{ended:?}");
        assert_eq!(client.connection.open_connections(), 0);
        assert_eq!(client.traffic().sent.framing, traffic.sent.framing, "what was counted stays");
    });
}

#[test]
fn a_get_stands_for_its_message_and_says_what_a_browser_says() {
    run(async {
        let server = Rc::new(Server::default());
        server.answer(&ok("Content-Length: 5", "<p>ok"), Then::Keep);
        let settings = HttpRequests {
            method: HttpMethod::Get,
            headers: HeaderProfile::Browser,
            extra_headers: vec![("X-Key".to_owned(), "k".to_owned())],
            identity: Identity::default(),
            nodelay: true,
        };
        let mut client = open_at(to(settings, server.start().await)).await;
        assert_eq!(answered(&mut client, 1, &[b'a'; 32]).await, 5);
        let head = server.heads.borrow()[0].clone();
        assert!(head.starts_with("GET /echo HTTP/1.1\r\n") && header(&head, "content-length").is_none(), "{head}");
        assert_eq!(header(&head, "X-Key"), Some("k"));
        assert!(header(&head, "User-Agent").is_some_and(|agent| agent.starts_with("Mozilla/5.0")));
        let traffic = client.traffic();
        assert_eq!((traffic.sent.messages, traffic.sent.payload, traffic.received.payload), (1, 0, 5));
    });
}

#[test]
fn one_request_is_in_flight_and_the_others_wait_in_order() {
    run(async {
        let server = Rc::new(Server::default());
        let held = Rc::new(Notify::new());
        *server.held.borrow_mut() = Some(held.clone());
        let mut client = client_of(&server).await;
        for n in 0..4 {
            client.send(n, b"hello");
        }
        assert_eq!(*client.seen.sent.borrow(), [0]);
        for n in 1..=4 {
            while server.heads.borrow().len() < n {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            held.notify_one();
            client.seen.until("its answer", |s| s.answers.borrow().len() >= n).await;
        }
        assert_eq!(*client.seen.sent.borrow(), [0, 1, 2, 3]);
        assert_eq!(*client.seen.answers.borrow(), [(0, 5), (1, 5), (2, 5), (3, 5)]);
    });
}

#[test]
fn every_way_to_end_an_answer_is_known_and_the_session_outlives_the_connection() {
    run(async {
        let server = Rc::new(Server::default());
        let cases = [
            (ok("Transfer-Encoding: chunked", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), Then::Keep, 5),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n".to_owned(), Then::Keep, 0),
            (ok("Connection: close\r\nContent-Length: 3", "abc"), Then::Close, 3),
            (ok("Connection: close\r\nContent-Length: 3", "abc"), Then::Nothing, 3),
            (ok("X: y", "until the end"), Then::Close, 13),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx".to_owned(), Then::Close, 1),
        ];
        let mut client = client_of(&server).await;
        for (n, (answer, then, size)) in (0..).zip(cases) {
            server.answer(&answer, then);
            assert_eq!(answered(&mut client, n, b"hello").await, size, "{answer:?}");
        }
        assert_eq!(answered(&mut client, 9, b"hello").await, 5);
        assert!(client.seen.faults.borrow().is_empty());
        let traffic = client.traffic();
        assert_eq!((server.connections.get(), traffic.connections), (5, 5));
        assert_eq!((traffic.sent.messages, traffic.received.payload), (7, 30));
        assert!(traffic.wire_complete() && traffic.wire_known == 5);
    });
}

#[test]
fn an_answer_that_is_none_costs_its_message_alone() {
    run(async {
        let server = Rc::new(Server::default());
        let large = ok(&format!("Content-Length: {}", MAX_MESSAGE + 1), "");
        let cases = [
            ("HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", Then::Keep, ErrorClass::HttpStatus(500), 1),
            ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", Then::Keep, ErrorClass::HttpStatus(302), 1),
            ("HTTP/1.1 429 Slow\r\nConnection: close\r\n\r\n", Then::Close, ErrorClass::HttpStatus(429), 1),
            ("SSH-2.0-OpenSSH_9.6\r\n", Then::Nothing, ErrorClass::HttpProtocol, 2),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Then::Nothing, ErrorClass::HttpProtocol, 3),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", Then::Nothing, ErrorClass::HttpProtocol, 4),
            (&large, Then::Nothing, ErrorClass::TooLarge, 5),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Then::Close, ErrorClass::Truncated, 6),
            ("HTTP/1.1 2", Then::Close, ErrorClass::Truncated, 7),
            ("", Then::Close, ErrorClass::Truncated, 8),
            ("", Then::Reset, ErrorClass::Reset, 9),
        ];
        let mut client = client_of(&server).await;
        for (n, (answer, then, class, connections)) in (0..).zip(cases) {
            server.answer(answer, then);
            assert_eq!(failed(&mut client, n).await, class, "{answer:?}");
            assert_eq!(server.connections.get(), connections, "{answer:?}");
        }
        assert_eq!(answered(&mut client, 99, b"hello").await, 5);
        assert_eq!(client.traffic().received.messages, 1, "an error is no answer");
    });
}

#[test]
fn a_request_that_a_used_connection_took_along_is_asked_once_more() {
    run(async {
        let server = Rc::new(Server::default());
        let mut client = client_of(&server).await;
        for (n, then) in [(0, Then::Close), (2, Then::Reset)] {
            assert_eq!(answered(&mut client, n, b"first").await, 5);
            server.answer("", then);
            assert_eq!(answered(&mut client, n + 1, b"again!").await, 6);
        }
        assert_eq!((server.connections.get(), server.heads.borrow().len()), (3, 6));
        assert_eq!(*client.seen.sent.borrow(), [0, 1, 2, 3], "each was sent once, as far as its time goes");
        assert_eq!(client.traffic().sent.messages, 4);
        server.answer("", Then::Close);
        server.answer("", Then::Close);
        assert_eq!(failed(&mut client, 4).await, ErrorClass::Truncated);
        assert_eq!(answered(&mut client, 5, b"hello").await, 5);
        server.answer("HTTP/1.1", Then::Close);
        assert_eq!(failed(&mut client, 6).await, ErrorClass::Truncated, "its answer had begun");
    });
}

#[test]
fn a_connection_that_rests_may_go_and_says_nothing_by_itself() {
    run(async {
        let server = Rc::new(Server::default());
        let mut client = client_of(&server).await;
        assert_eq!(answered(&mut client, 0, b"hello").await, 5);
        server.nudge.notify_one();
        while client.connection.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(answered(&mut client, 1, b"hello").await, 5);
        assert!(client.seen.faults.borrow().is_empty());
        server.unasked.set("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
        server.nudge.notify_one();
        client.seen.until("a fault", |s| !s.faults.borrow().is_empty()).await;
        assert_eq!(*client.seen.faults.borrow(), [(None, ErrorClass::HttpProtocol)]);
        assert_eq!(answered(&mut client, 2, b"hello").await, 5);
        server.answer(&ok("Content-Length: 1", "x and more"), Then::Nothing);
        assert_eq!(answered(&mut client, 3, b"hello").await, 1);
        assert_eq!(*client.seen.faults.borrow(), [(None, ErrorClass::HttpProtocol), (None, ErrorClass::HttpProtocol)]);
        assert_eq!(answered(&mut client, 4, b"hello").await, 5);
        assert_eq!((server.connections.get(), client.traffic().connections), (4, 4));
    });
}

#[test]
fn a_target_that_is_gone_costs_each_message_unsent() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = open_at(to(requests(), listener.local_addr().unwrap())).await;
        drop(listener.accept().await.unwrap());
        drop(listener);
        while client.connection.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client.send(1, b"hello");
        client.send(2, b"hello");
        client.seen.until("both faults", |s| s.faults.borrow().len() == 2).await;
        assert_eq!(*client.seen.faults.borrow(), [(Some(1), ErrorClass::Refused), (Some(2), ErrorClass::Refused)]);
        assert!(client.seen.sent.borrow().is_empty(), "not a byte was written");
        client.connection.close();
        assert!(client.seen.ended().await.failure.is_none());
    });
    run(async {
        assert_eq!(refusal(to(requests(), nobody().await)).await, ErrorClass::Refused);
    });
}

#[test]
fn a_target_that_never_answers_is_asked_no_more_and_not_waited_for() {
    run(async {
        let address = listen(silence).await;
        let settings = Endpoint { outbox_limit: 10, ..to(requests(), address) };
        let mut client = open_at(settings).await;
        assert!(matches!(client.connection.send(1, Format::Text, &[0; 10]), Ok(Sent::At(_))));
        assert_eq!(client.connection.send(2, Format::Text, &[0; 10]), Ok(Sent::Later));
        assert_eq!(client.connection.send(3, Format::Text, &[0; 10]), Err(Unsent::Full));
        client.connection.close();
        assert_eq!(client.connection.send(4, Format::Text, &[0; 10]), Err(Unsent::Closed));
        assert_eq!(client.seen.failure().await, ErrorClass::CloseTimeout);
        assert!(client.seen.sent.borrow().is_empty(), "what waited was let go");
    });
}

#[test]
fn closing_waits_for_the_answer_that_is_awaited() {
    run(async {
        let server = Rc::new(Server::default());
        let held = Rc::new(Notify::new());
        *server.held.borrow_mut() = Some(held.clone());
        let mut client = client_of(&server).await;
        client.send(1, b"hello");
        client.send(2, b"let go");
        client.connection.close();
        held.notify_one();
        assert!(client.seen.ended().await.failure.is_none());
        assert_eq!(*client.seen.answers.borrow(), [(1, 5)]);
        assert_eq!(server.heads.borrow().len(), 1);
    });
}

#[test]
fn a_message_larger_than_any_buffer_is_asked_and_answered_whole() {
    run(async {
        let server = Rc::new(Server::default());
        let mut client = open_at(Endpoint { outbox_limit: 1 << 24, ..to(requests(), server.start().await) }).await;
        let large = vec![b'x'; 5 << 20];
        assert_eq!(answered(&mut client, 1, &large).await, large.len() as u64);
        assert_eq!(answered(&mut client, 2, &large).await, large.len() as u64);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn cookies_that_were_set_are_sent_from_then_on_and_counted() {
    run(async {
        let server = Rc::new(Server::default());
        server.answer(&ok("Set-Cookie: node=7; Path=/\r\nSet-Cookie: sid=x\r\nContent-Length: 0", ""), Then::Keep);
        server.answer(
            &ok("set-cookie: sid=y\r\nSet-Cookie: elsewhere=1; Path=/other\r\nContent-Length: 0", ""),
            Then::Close,
        );
        server.answer(&ok("Set-Cookie: node=; Path=/; Max-Age=0", "until the end"), Then::Close);
        let mut client = client_of(&server).await;
        for n in 0..4 {
            answered(&mut client, n, &[b'a'; 32]).await;
        }
        let heads = server.heads.borrow().clone();
        let sent: Vec<_> = heads.iter().map(|head| header(head, "cookie")).collect();
        assert_eq!(sent, [None, Some("node=7; sid=x"), Some("node=7; sid=y"), Some("sid=y")]);
        let lengths: usize = heads.iter().map(String::len).sum();
        assert_eq!(client.traffic().sent.framing, lengths as u64, "to the byte, on three connections");
    });
}

#[test]
fn an_arm_without_cookies_sends_its_own_alone() {
    run(async {
        let server = Rc::new(Server::default());
        let set = "Set-Cookie: node=7; Path=/\r\nContent-Length: 0";
        (0..4).for_each(|_| server.answer(&ok(set, ""), Then::Keep));
        let own = vec![("Cookie".to_owned(), "own=1".to_owned())];
        let identity = Identity { cookies: false, ..Identity::default() };
        let address = server.start().await;
        for (cookies, want) in [(identity, "own=1"), (Identity::default(), "own=1; node=7")] {
            let settings = HttpRequests { extra_headers: own.clone(), identity: cookies, ..requests() };
            let mut client = open_at(to(settings, address)).await;
            answered(&mut client, 0, b"a").await;
            answered(&mut client, 1, b"a").await;
            let heads = server.heads.borrow();
            let last_two: Vec<_> = heads[heads.len() - 2..].iter().map(|head| header(head, "cookie")).collect();
            assert_eq!(last_two, [Some("own=1"), Some(want)]);
        }
    });
}
