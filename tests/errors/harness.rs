//! A sink that remembers, endpoints with defaults, and listeners to write misbehaviour into.

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use wsbench::catalog::*;
use wsbench::clock::Nanos;
use wsbench::codec::upgrade;
use wsbench::measure::Traffic;
use wsbench::reactor::Reactor;
use wsbench::target;
use wsbench::transport::*;
use wsbench::units::{ByteSize, Span};

/// Bound on every wait of a test: only a test that fails gets there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test as a worker would run: one thread, local tasks.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

#[derive(Default)]
pub struct Seen {
    pub sent: RefCell<Vec<u64>>,
    pub messages: RefCell<Vec<Vec<u8>>>,
    /// What the sender called each message.
    pub formats: RefCell<Vec<Option<Format>>>,
    /// Messages that were answered, each with the size of the answer.
    pub answers: RefCell<Vec<(u64, u64)>>,
    pub pongs: RefCell<Vec<Nanos>>,
    /// Messages of each poll, and whether it had a gap before it.
    pub polls: RefCell<Vec<(u64, bool)>>,
    pub faults: RefCell<Vec<(Option<u64>, ErrorClass)>>,
    /// Sent from within the opening, before anything can have been read.
    first: Vec<Vec<u8>>,
    opened: RefCell<Option<Result<Opened, Failure>>>,
    ended: RefCell<Option<Ended>>,
    changed: Notify,
}

impl Sink for Seen {
    fn on_opened(&self, _session: SessionId, mut opened: Opened) {
        for (ticket, payload) in self.first.iter().enumerate() {
            opened.connection.send(ticket as u64, Format::Binary, payload).unwrap();
        }
        assert!(self.opened.borrow_mut().replace(Ok(opened)).is_none(), "opened twice");
        self.changed.notify_one();
    }
    fn on_open_failed(&self, _session: SessionId, failure: Failure) {
        assert!(self.opened.borrow_mut().replace(Err(failure)).is_none(), "failed twice");
        self.changed.notify_one();
    }
    fn on_sent(&self, _session: SessionId, ticket: u64, _at: Nanos) {
        self.sent.borrow_mut().push(ticket);
        self.changed.notify_one();
    }
    fn on_message(&self, _session: SessionId, payload: &[u8], format: Option<Format>, _received_at: Nanos) {
        assert!(self.ended.borrow().is_none(), "a message after the end");
        self.messages.borrow_mut().push(payload.to_vec());
        self.formats.borrow_mut().push(format);
        self.changed.notify_one();
    }
    fn on_answer(&self, _session: SessionId, ticket: u64, size: u64, _received_at: Nanos) {
        assert!(self.ended.borrow().is_none(), "an answer after the end");
        self.answers.borrow_mut().push((ticket, size));
        self.changed.notify_one();
    }
    fn on_pong(&self, _session: SessionId, round_trip: Nanos) {
        self.pongs.borrow_mut().push(round_trip);
        self.changed.notify_one();
    }
    fn on_poll(&self, _session: SessionId, messages: u64, gap: Option<Nanos>) {
        self.polls.borrow_mut().push((messages, gap.is_some()));
        self.changed.notify_one();
    }
    fn on_fault(&self, _session: SessionId, ticket: Option<u64>, failure: Failure) {
        self.faults.borrow_mut().push((ticket, failure.class));
        self.changed.notify_one();
    }
    fn on_ended(&self, _session: SessionId, ended: Ended) {
        assert!(self.ended.borrow_mut().replace(ended).is_none(), "ended twice");
        self.changed.notify_one();
    }
}

impl Seen {
    /// Whether anything came of opening.
    pub fn was_told(&self) -> bool {
        self.opened.borrow().is_some()
    }

    /// Waits until `condition` holds.
    pub async fn until(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let waiting = async {
            while !condition(self) {
                self.changed.notified().await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let (messages, faults) = (self.messages.borrow(), self.faults.borrow());
            panic!("never: {what}; {} messages, faults {faults:?}, ended {:?}", messages.len(), self.ended.borrow());
        }
    }

    pub async fn messages(&self, count: usize) -> Vec<Vec<u8>> {
        self.until(&format!("{count} messages"), |s| s.messages.borrow().len() >= count).await;
        self.messages.borrow().clone()
    }

    /// Waits for the session's end.
    pub async fn ended(&self) -> Ended {
        self.until("the end of the session", |s| s.ended.borrow().is_some()).await;
        let ended = self.ended.borrow();
        let ended = ended.as_ref().unwrap();
        Ended { failure: ended.failure.clone(), close_time: ended.close_time, code: ended.code }
    }

    /// Waits for the session's end, which must be a failure.
    pub async fn failure(&self) -> ErrorClass {
        self.ended().await.failure.expect("the session ended as if all were well").class
    }
}

/// A session and what it saw.
pub struct Client {
    pub seen: Rc<Seen>,
    pub connection: Box<dyn Connection>,
    pub phases: ConnectPhases,
    format: Format,
}

impl Client {
    pub fn send(&mut self, ticket: u64, payload: &[u8]) {
        if let Sent::At(at) = self.connection.send(ticket, self.format, payload).unwrap() {
            self.seen.on_sent(7, ticket, at);
        }
    }

    pub fn traffic(&self) -> Traffic {
        self.connection.traffic(true)
    }
}

pub fn endpoint(transport: Transport, address: SocketAddr) -> Endpoint {
    Endpoint {
        address: address.into(),
        authority: address.to_string(),
        tls: None,
        transport,
        dialect: Dialect::Raw,
        format: Format::Binary,
        fixed_size: 32,
        token: "t".to_owned(),
        connect_timeout: Duration::from_millis(500),
        publishes: false,
        outbox_limit: 1 << 20,
        agreements: Agreements::default(),
        reactor: Reactor::start().unwrap(),
        sources: Sources::default(),
    }
}

pub async fn try_open(endpoint: Endpoint, place: impl Into<Place>) -> Result<Client, Failure> {
    open_as(endpoint, place, Seen::default()).await
}

/// Opens a session that sends these at once.
pub async fn open_sending(endpoint: Endpoint, first: Vec<Vec<u8>>) -> Client {
    let seen = Seen { first, ..Seen::default() };
    open_as(endpoint, "/echo", seen).await.unwrap_or_else(|failure| panic!("{failure}"))
}

async fn open_as(endpoint: Endpoint, place: impl Into<Place>, seen: Seen) -> Result<Client, Failure> {
    open_another(&Rc::new(endpoint), place, seen).await
}

async fn open_another(endpoint: &Rc<Endpoint>, place: impl Into<Place>, seen: Seen) -> Result<Client, Failure> {
    let seen = Rc::new(seen);
    let format = endpoint.format;
    open(endpoint.clone(), place.into(), 7, seen.clone());
    assert!(!seen.was_told(), "told from within the call");
    seen.until("an opened session", |seen| seen.opened.borrow().is_some()).await;
    let opened = seen.opened.take().expect("it was told")?;
    Ok(Client { seen, connection: opened.connection, phases: opened.phases, format })
}

pub async fn open_at(endpoint: Endpoint) -> Client {
    try_open(endpoint, "/echo").await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// One more session of an endpoint.
pub async fn open_on(endpoint: &Rc<Endpoint>) -> Client {
    open_another(endpoint, "/echo", Seen::default()).await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// The class of the failure to open.
pub async fn refusal(endpoint: Endpoint) -> ErrorClass {
    match try_open(endpoint, "/echo").await {
        Ok(_) => panic!("it opened"),
        Err(failure) => failure.class,
    }
}

/// Serves every connection by `behave`.
pub async fn listen<F: Future<Output = ()> + 'static>(behave: impl Fn(TcpStream) -> F + 'static) -> SocketAddr {
    listen_on("127.0.0.1:0", behave).await
}

pub async fn listen_on<F: Future<Output = ()> + 'static>(
    at: &str,
    behave: impl Fn(TcpStream) -> F + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(behave(stream));
        }
    });
    address
}

/// The ports of an embedded target that lives as long as the test, and its certificate if it speaks TLS.
pub struct Embedded(target::Ports, Option<Pem>);

impl Embedded {
    pub fn http(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.0.http).into()
    }

    pub fn websocket(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.0.websocket).into()
    }

    /// The endpoint at it over TLS, whose clients offer `alpn`.
    pub fn over_tls(&self, alpn: &[&str], endpoint: Endpoint) -> Endpoint {
        let alpn = alpn.iter().map(|name| (*name).to_owned()).collect();
        let settings = wsbench::catalog::Tls { alpn, ..Default::default() };
        let tls = wsbench::transport::Tls::new(&settings, "127.0.0.1", self.1.as_ref()).unwrap();
        Endpoint { tls: Some(tls), ..endpoint }
    }
}

/// Starts the embedded target.
pub fn embedded(engine: Engine) -> Embedded {
    embedded_as(|usual| target::Config { engine, ..usual })
}

/// Starts the embedded target, with TLS.
pub fn embedded_over_tls(engine: Engine) -> Embedded {
    embedded_as(|usual| target::Config { engine, tls: Some(target::Tls { resumption: false }), ..usual })
}

/// Starts the embedded target as `change` makes it of the usual one.
pub fn embedded_as(change: impl FnOnce(target::Config) -> target::Config) -> Embedded {
    let config = change(target::Config {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: target::Ports::default(),
        token: Some("t".to_owned()),
        engine: Engine::Native,
        delay: Span::ZERO,
        nodelay: true,
        hold: Span::from_millis(5_000),
        echo_self: true,
        core: None,
        oracle: Oracle::default(),
        tls: None,
    });
    let target = target::Target::bind(&config).unwrap();
    let (ports, certificate) = (target.ports(), target.certificate());
    tokio::task::spawn_local(async move {
        let (_orders, inbox) = tokio::sync::mpsc::channel(1);
        target.run(inbox).await.map(drop).unwrap();
    });
    Embedded(ports, certificate)
}

/// An address at which nobody listens.
pub async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Keeps a connection open without saying anything.
pub async fn silence(stream: TcpStream) {
    tokio::time::sleep(PATIENCE * 2).await;
    drop(stream);
}

/// Closes with RST instead of FIN.
pub fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

pub fn tcp(framing: Framing) -> Transport {
    Transport::Tcp(Tcp { framing, nodelay: true })
}

pub fn udp() -> Transport {
    Transport::Udp(Udp { receive_buffer: ByteSize(1 << 20) })
}

pub fn websocket(engine: Engine) -> Websocket {
    Websocket {
        engine,
        http: HttpVersion::One,
        deflate: false,
        start: wsbench::catalog::Start::Websocket,
        fragment: None,
        subprotocols: Vec::new(),
        ping_every: None,
        close_code: 1000,
        headers: HeaderProfile::Minimal,
        extra_headers: Vec::new(),
        identity: Identity::default(),
        nodelay: true,
    }
}

pub fn http() -> Http {
    Http {
        http: HttpVersion::One,
        keep_alive: true,
        batch: true,
        interval: None,
        headers: HeaderProfile::Minimal,
        extra_headers: Vec::new(),
        identity: Identity::default(),
        nodelay: true,
    }
}

/// Reads up to and with the blank line that ends a head. `None`: the stream ended first.
pub async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Upgrades a connection as a server should.
pub async fn accept(stream: &mut TcpStream) -> upgrade::Request {
    let head = read_head(stream).await.unwrap();
    let (request, _) = upgrade::read_request(head.as_bytes()).unwrap().unwrap();
    let chosen = request.subprotocols.first().map(String::as_str);
    stream.write_all(&upgrade::write_response(&request.key, chosen)).await.unwrap();
    request
}

/// A frame as a server sends it; `first` holds FIN, the reserved bits and the opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ ..126 => bytes.push(len as u8),
        len => {
            bytes.push(126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame as the client sent it: its first byte, and its payload without the mask. `None`: the stream ended.
pub async fn read_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let len = stream.read_u8().await.ok()?;
    assert!(len & 0x80 != 0, "a client's frame without a mask");
    let len = match len & 0x7F {
        126 => stream.read_u16().await.ok()?.into(),
        127 => stream.read_u64().await.ok()? as usize,
        len => len.into(),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.ok()?;
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).await.ok()?;
    payload.iter_mut().enumerate().for_each(|(i, byte)| *byte ^= mask[i % 4]);
    Some((first, payload))
}

/// Echoes frames until the client closes, answers that, and closes.
pub async fn echo_frames(mut stream: TcpStream) {
    accept(&mut stream).await;
    while let Some((first, payload)) = read_frame(&mut stream).await {
        if stream.write_all(&frame(first, &payload)).await.is_err() || first & 0x0F == 8 {
            return;
        }
    }
}
