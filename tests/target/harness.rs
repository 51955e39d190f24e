//! A target on free ports, and clients that know no more than sockets.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use wsbench::catalog::{Engine, Oracle, Pem};
use wsbench::target::{Config, Order, Ports, Report, Target};
use wsbench::units::Span;

pub const TOKEN: &str = "secret";
/// Longer than anything here takes: a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn config() -> Config {
    Config {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: Ports::default(),
        token: Some(TOKEN.into()),
        engine: Engine::Native,
        delay: Span::ZERO,
        nodelay: true,
        hold: Span::from_millis(300),
        echo_self: true,
        core: None,
        oracle: Oracle::default(),
        tls: None,
    }
}

/// Runs `client` against a target with `config`; returns what the target reports in the end.
pub fn with<C: Future<Output = ()>>(config: Config, client: impl FnOnce(Server) -> C) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let target = Target::bind(&config).unwrap();
        let (orders, inbox) = mpsc::channel(4);
        let server = Server { ports: target.ports(), certificate: target.certificate(), bind: config.bind, orders };
        let client = async {
            patient(client(server.clone())).await;
            server.orders.send(Order::Stop).await.unwrap();
        };
        let (report, ()) = tokio::join!(target.run(inbox), client);
        report.unwrap()
    })
}

/// Runs `client` against a target as it is by default.
pub fn with_target<C: Future<Output = ()>>(client: impl FnOnce(Server) -> C) -> Report {
    with(config(), client)
}

#[derive(Clone)]
pub struct Server {
    pub ports: Ports,
    pub certificate: Option<Pem>,
    pub bind: IpAddr,
    pub orders: mpsc::Sender<Order>,
}

pub async fn patient<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it came in time")
}

/// A byte stream to one of the target's ports.
pub struct Raw {
    pub socket: TcpStream,
    unread: Vec<u8>,
}

impl Raw {
    pub async fn open(server: &Server, port: u16) -> Raw {
        let socket = TcpStream::connect((server.bind, port)).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Raw { socket, unread: Vec::new() }
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Exactly `n` bytes.
    pub async fn read(&mut self, n: usize) -> Vec<u8> {
        while self.unread.len() < n {
            let read = patient(self.socket.read_buf(&mut self.unread)).await.unwrap();
            assert!(read > 0, "the target closed after {:?}", String::from_utf8_lossy(&self.unread));
        }
        self.unread.drain(..n).collect()
    }

    /// Everything up to and with `end`.
    pub async fn read_to(&mut self, end: &str) -> String {
        let end = end.as_bytes();
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return String::from_utf8(self.unread.drain(..at + end.len()).collect()).unwrap();
            }
            let read = patient(self.socket.read_buf(&mut self.unread)).await.unwrap();
            assert!(read > 0, "the target closed after {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// Everything until the target closes, cleanly.
    pub async fn rest(&mut self) -> Vec<u8> {
        patient(self.socket.read_to_end(&mut self.unread)).await.unwrap();
        std::mem::take(&mut self.unread)
    }

    /// True if nothing comes for a while.
    pub async fn is_silent(&mut self) -> bool {
        let more = tokio::time::timeout(Duration::from_millis(50), self.socket.read_buf(&mut self.unread)).await;
        self.unread.is_empty() && more.is_err()
    }
}

/// A TCP session with length framing, joined.
pub async fn tcp(server: &Server, place: &str) -> Raw {
    let mut raw = Raw::open(server, server.ports.tcp).await;
    raw.write(format!("WSBENCH/1 JOIN {place} token={TOKEN} framing=length\n")).await;
    assert_eq!(raw.read(3).await, b"OK\n");
    raw
}

impl Raw {
    pub async fn send_framed(&mut self, payload: &[u8]) {
        self.write((payload.len() as u32).to_be_bytes()).await;
        self.write(payload).await;
    }

    pub async fn read_framed(&mut self) -> Vec<u8> {
        let length = self.read(4).await;
        self.read(u32::from_be_bytes(length.try_into().unwrap()) as usize).await
    }
}

/// A UDP socket that the target's answers reach.
pub struct Datagrams(UdpSocket);

impl Datagrams {
    pub async fn open(server: &Server) -> Datagrams {
        let socket = UdpSocket::bind((server.bind, 0)).await.unwrap();
        socket.connect((server.bind, server.ports.udp)).await.unwrap();
        Datagrams(socket)
    }

    pub async fn send(&self, datagram: impl AsRef<[u8]>) {
        self.0.send(datagram.as_ref()).await.unwrap();
    }

    pub async fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 70_000];
        let n = patient(self.0.recv(&mut buffer)).await.unwrap();
        buffer.truncate(n);
        buffer
    }

    pub async fn is_silent(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(50), self.0.recv(&mut [0; 100])).await.is_err()
    }

    /// What has come already.
    pub fn waiting(&self) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 70_000];
        std::iter::from_fn(|| self.0.try_recv(&mut buffer).ok().map(|n| buffer[..n].to_vec())).collect()
    }

    /// Asks for a cookie and returns it.
    pub async fn cookie(&self, place: &str) -> String {
        self.send(format!("{:<64}", format!("WSBENCH/1 JOIN {place} token={TOKEN}"))).await;
        let answer = String::from_utf8(self.receive().await).unwrap();
        answer.strip_prefix("WSBENCH/1 COOKIE ").expect("a cookie").to_owned()
    }

    /// A joined session.
    pub async fn joined(server: &Server, place: &str) -> Datagrams {
        let datagrams = Datagrams::open(server).await;
        let cookie = datagrams.cookie(place).await;
        datagrams.send(format!("WSBENCH/1 JOIN {place} token={TOKEN} cookie={cookie}")).await;
        assert_eq!(datagrams.receive().await, b"WSBENCH/1 OK");
        datagrams
    }
}

/// An HTTP connection: requests as text, answers as they come.
pub struct Http(pub Raw);

pub struct Answer {
    pub status: u16,
    /// As it came, with its empty line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn cursor(&self) -> u64 {
        self.header("cursor").expect("a cursor").parse().unwrap()
    }
}

impl Http {
    pub async fn open(server: &Server) -> Http {
        Http(Raw::open(server, server.ports.http).await)
    }

    pub async fn request(&mut self, method: &str, path: &str) -> Answer {
        self.0.write(format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        self.answer().await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path).await
    }

    pub async fn post(&mut self, sid: &str, body: &[u8]) -> Answer {
        self.0.write(format!("POST /pub/{sid} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len())).await;
        self.0.write(body).await;
        self.answer().await
    }

    pub async fn head(&mut self) -> Answer {
        let head = self.0.read_to("\r\n\r\n").await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: Vec::new() }
    }

    pub async fn answer(&mut self) -> Answer {
        let answer = self.head().await;
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        Answer { body: self.0.read(length).await, ..answer }
    }

    /// One chunk as it is on the wire: its size line, its data and the line end after it.
    pub async fn chunk(&mut self) -> (String, Vec<u8>) {
        let line = self.0.read_to("\r\n").await;
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let data = self.0.read(size).await;
        assert_eq!(self.0.read(2).await, b"\r\n");
        (line, data)
    }

    /// Joins by polling; returns the cursor.
    pub async fn join(&mut self, sid: &str, place: &str, more: &str) -> u64 {
        let answer = self.get(&format!("/poll/{sid}?join={place}&token={TOKEN}{more}")).await;
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer.cursor()
    }

    /// Joins by a stream of that kind; returns the head of its answer.
    pub async fn stream(&mut self, kind: &str, sid: &str, place: &str, more: &str) -> Answer {
        self.0.write(format!("GET /{kind}/{sid}?join={place}&token={TOKEN}{more} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        self.head().await
    }
}

/// Splits the body of a batched poll.
pub fn unbatched(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = body.split_first_chunk::<4>() {
        let (message, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        messages.push(message.to_vec());
        body = rest;
    }
    messages
}
