//! Lets the Autobahn test suite judge the client side: runs every case of a fuzzing server through `transport::open`,
//! the code that a load goes through, and gives each message back as what it came: text as text, binary as binary.
//!
//! `cargo run --example autobahn_client -- ws://127.0.0.1:9001 native`; docs/conformance.md says the rest.

use anyhow::{Context, anyhow, ensure};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use wsbench::catalog::{
    Dialect, Engine, Format, HeaderProfile, HttpVersion, Identity, TargetUrl, Transport, Websocket,
};
use wsbench::clock::Nanos;
use wsbench::codec::MAX_MESSAGE;
use wsbench::reactor::Reactor;
use wsbench::transport::{self, Connection, Ended, Endpoint, Failure, Opened, SessionId, Sink, Sources, Tls};

/// Longer than the suite lets any case take.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(engine), None) = (args.next(), args.next(), args.next()) else {
        return Err(anyhow!("usage: autobahn_client URL ENGINE"));
    };
    let engine: Engine = engine.parse().map_err(|()| anyhow!("no engine is called {engine}"))?;
    let url: TargetUrl = url.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run_cases(&url, engine))
}

async fn run_cases(url: &TargetUrl, engine: Engine) -> anyhow::Result<()> {
    let endpoint = Rc::new(endpoint(url, engine).await?);
    let agent = format!("wsbench-{engine}");
    let told = talk(&endpoint, "/getCaseCount").await?;
    let count: u32 = told.first().context("the suite said no count")?.parse()?;
    ensure!(count > 0, "the suite has no cases");
    for case in 1..=count {
        talk(&endpoint, &format!("/runCase?case={case}&agent={agent}")).await?;
    }
    talk(&endpoint, &format!("/updateReports?agent={agent}")).await?;
    println!("{agent}: {count} cases run; the verdicts are in the suite's reports");
    Ok(())
}

/// Connects to `place`, gives back what comes until the session ends, and returns the text of it.
async fn talk(endpoint: &Rc<Endpoint>, place: &str) -> anyhow::Result<Vec<String>> {
    let echo = Rc::new(Echo::default());
    transport::open(endpoint.clone(), place.into(), 0, echo.clone());
    tokio::time::timeout(PATIENCE, echo.ended.notified()).await.with_context(|| format!("{place} came to no end"))?;
    echo.failed.take().map_or(Ok(()), |failure| Err(anyhow!("{place}: {failure}")))?;
    Ok(echo.told.take())
}

async fn endpoint(url: &TargetUrl, engine: Engine) -> anyhow::Result<Endpoint> {
    let (address, _) = transport::resolve(&url.host, url.port, &[]).await.map_err(|f| anyhow!("{f}"))?;
    let settings = Websocket {
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
    };
    let tls = url.is_tls().then(|| Tls::new(&Default::default(), &url.host, None));
    let tls = tls.transpose().map_err(|failure| anyhow!("{failure}"))?;
    Ok(Endpoint {
        address: address.into(),
        authority: url.authority(),
        tls,
        transport: Transport::Websocket(settings),
        dialect: Dialect::Raw,
        format: Format::Text,
        fixed_size: 0,
        token: String::new(),
        connect_timeout: Duration::from_secs(10),
        publishes: true,
        outbox_limit: MAX_MESSAGE,
        agreements: transport::Agreements::default(),
        reactor: Reactor::start()?,
        sources: Sources::default(),
    })
}

/// Gives every message back as what it came, from within its arrival, as a closed load does.
#[derive(Default)]
struct Echo {
    connection: RefCell<Option<Box<dyn Connection>>>,
    told: RefCell<Vec<String>>,
    failed: RefCell<Option<Failure>>,
    ended: Notify,
}

impl Sink for Echo {
    fn on_opened(&self, _: SessionId, opened: Opened) {
        self.connection.replace(Some(opened.connection));
    }
    fn on_open_failed(&self, _: SessionId, failure: Failure) {
        self.failed.replace(Some(failure));
        self.ended.notify_one();
    }
    fn on_message(&self, _: SessionId, payload: &[u8], format: Option<Format>, _: Nanos) {
        let format = format.expect("a WebSocket says what a message is");
        let mut connection = self.connection.borrow_mut();
        // A session that is closing takes no more, which is for the suite to judge.
        _ = connection.as_mut().expect("opened before anything is read").send(0, format, payload);
        if format == Format::Text {
            self.told.borrow_mut().push(String::from_utf8_lossy(payload).into_owned());
        }
    }
    fn on_ended(&self, _: SessionId, _: Ended) {
        self.ended.notify_one();
    }
    fn on_sent(&self, _: SessionId, _: u64, _: Nanos) {}
    fn on_answer(&self, _: SessionId, _: u64, _: u64, _: Nanos) {}
    fn on_pong(&self, _: SessionId, _: Nanos) {}
    fn on_poll(&self, _: SessionId, _: u64, _: Option<Nanos>) {}
    fn on_fault(&self, _: SessionId, _: Option<u64>, _: Failure) {}
}
