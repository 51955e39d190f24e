//! A small target of the wsbench protocol over HTTP, with one log of messages for everyone. It writes the heads of
//! `docs/protocol.md`'s minimal profile by hand, so that their bytes can be counted.

use crate::harness::*;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use wsbench::catalog::Format;
use wsbench::codec::sse;

pub const JOINED: &str = "HTTP/1.1 200 OK\r\ncursor: 0\r\ncontent-length: 0\r\n\r\n";
pub const NOTHING: &str = "HTTP/1.1 204 No Content\r\n\r\n";
pub const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
pub const CHUNKS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[derive(Default)]
pub struct Hub {
    pub log: RefCell<Vec<Vec<u8>>>,
    /// Heads of all requests, in order.
    pub heads: RefCell<Vec<String>>,
    /// Answers to give instead of the right ones, each to the next request that begins with its name.
    pub instead: RefCell<Vec<(&'static str, String)>>,
    /// Close after every answer without a word about it.
    pub closes_silently: Cell<bool>,
    grown: Notify,
}

impl Hub {
    pub async fn start(self: &Rc<Hub>, at: &str) -> SocketAddr {
        let hub = self.clone();
        listen_on(at, move |stream| hub.clone().serve(stream)).await
    }

    async fn serve(self: Rc<Hub>, mut stream: TcpStream) {
        while let Some(head) = read_head(&mut stream).await {
            self.heads.borrow_mut().push(head.clone());
            let mut body = vec![0; header(&head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            let instead = {
                let mut instead = self.instead.borrow_mut();
                let at = instead.iter().position(|(request, _)| head.starts_with(request));
                at.map(|at| instead.remove(at).1)
            };
            let answered = match instead {
                Some(answer) => stream.write_all(answer.as_bytes()).await,
                None if head.starts_with("GET /sse") => return self.stream(stream, EVENTS, true).await,
                None if head.starts_with("GET /stream") => return self.stream(stream, CHUNKS, false).await,
                None => stream.write_all(&self.answer(&head, body).await).await,
            };
            if answered.is_err() || self.closes_silently.get() || header(&head, "connection") == Some("close") {
                return;
            }
        }
    }

    async fn answer(&self, head: &str, body: Vec<u8>) -> Vec<u8> {
        let path = head.split(' ').nth(1).unwrap();
        if head.starts_with("POST") {
            self.log.borrow_mut().push(body);
            self.grown.notify_waiters();
            return NOTHING.into();
        }
        if head.starts_with("DELETE") {
            return NOTHING.into();
        }
        if path.contains("join=") {
            return JOINED.into();
        }
        let cursor: usize = path.split_once("c=").unwrap().1.split('&').next().unwrap().parse().unwrap();
        while self.log.borrow().len() <= cursor {
            if path.contains("now=1") {
                return NOTHING.into();
            }
            self.grown.notified().await;
        }
        let mut batch = Vec::new();
        for message in &self.log.borrow()[cursor..] {
            batch.extend_from_slice(&(message.len() as u32).to_be_bytes());
            batch.extend_from_slice(message);
        }
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", batch.len()).into_bytes(), batch].concat()
    }

    async fn stream(&self, mut stream: TcpStream, head: &str, events: bool) {
        stream.write_all(head.as_bytes()).await.unwrap();
        for n in 0.. {
            while self.log.borrow().len() <= n {
                self.grown.notified().await;
            }
            let message = self.log.borrow()[n].clone();
            let mut body = Vec::new();
            match events {
                true => sse::encode(Format::Text, &message, &mut body),
                false => body.extend_from_slice(&[&(message.len() as u32).to_be_bytes(), &*message].concat()),
            }
            let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat();
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
        }
    }

    /// How many requests came that begin so.
    pub fn count(&self, request: &str) -> usize {
        self.heads.borrow().iter().filter(|head| head.starts_with(request)).count()
    }

    pub async fn until_count(&self, request: &str, count: usize) {
        while self.count(request) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
}
