//! One round trip over the loopback for each transport: from the client's `send` through the embedded target, which runs
//! on the same thread, back to the client's sink. The processor time of both ends, and of the kernel between them.

use divan::{Bencher, black_box};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;
use wsbench::catalog::{Engine, Format, Oracle};
use wsbench::clock::Nanos;
use wsbench::plan::{self, Cell, Overrides};
use wsbench::reactor::Reactor;
use wsbench::target::{Config, Ports, Target};
use wsbench::transport::{self, Agreements, Connection, Ended, Endpoint, Failure, Opened, SessionId, Sink, Sources};
use wsbench::units::Span;

const PAYLOAD: [u8; 128] = [b'x'; 128];
const TOKEN: &str = "bench";
/// Longer than any round trip takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Each arm is a row.
const SCENARIO: &str = r#"
workload.echo.payload = "128B"
load = { rate = "1/s", duration = "1s" }
[transports.native]
transport = "websocket"
engine = "native"
[transports.fastwebsockets]
transport = "websocket"
engine = "fastwebsockets"
[transports.tungstenite]
transport = "websocket"
engine = "tungstenite"
[transports.tcp]
[transports.udp]
[transports.http]
[transports.long-polling]
[transports.short-polling]
interval = "1ms"
[transports.sse]
[transports.http-streaming]
"#;

#[divan::bench(
    args = ["native", "fastwebsockets", "tungstenite", "tcp", "udp", "http", "long-polling", "short-polling", "sse", "http-streaming"],
    max_time = 1
)]
fn round_trip(bencher: Bencher, arm: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    let arrived = Rc::new(Arrived::default());
    // As long as it is kept, the target serves.
    let (_orders, inbox) = mpsc::channel(1);
    let mut connection = on(&runtime, &local, async {
        let target = Target::bind(&config()).expect("a target");
        let endpoint = Rc::new(endpoint(&cell(arm), target.ports()));
        tokio::task::spawn_local(target.run(inbox));
        transport::open(endpoint, "/echo".into(), 0, arrived.clone());
        arrived.told.notified().await;
        arrived.connection.take().expect("a session")
    });
    bencher.bench_local(|| {
        on(&runtime, &local, async {
            connection.send(0, Format::Text, black_box(&PAYLOAD)).expect("room for a message");
            arrived.told.notified().await;
        });
    });
}

/// Runs `what` beside the tasks of both ends.
fn on<T>(runtime: &Runtime, local: &LocalSet, what: impl Future<Output = T>) -> T {
    local.block_on(runtime, async { tokio::time::timeout(PATIENCE, what).await.expect("it ends in time") })
}

fn cell(arm: &str) -> Cell {
    let scenario = wsbench::scenario::parse("echo.toml", SCENARIO).expect("a scenario");
    let plan = plan::build(&scenario, &Overrides::default()).expect("a plan");
    plan.cells.into_iter().find(|cell| cell.arm == arm).expect("the arm")
}

fn endpoint(cell: &Cell, ports: Ports) -> Endpoint {
    let port = ports.of(&cell.transport);
    Endpoint {
        address: SocketAddr::from(([127, 0, 0, 1], port)).into(),
        authority: format!("127.0.0.1:{port}"),
        tls: None,
        transport: cell.transport.clone(),
        dialect: cell.dialect.clone(),
        format: Format::Text,
        fixed_size: PAYLOAD.len(),
        token: TOKEN.into(),
        connect_timeout: PATIENCE,
        publishes: true,
        outbox_limit: 1 << 20,
        sources: Sources::default(),
        agreements: Agreements::default(),
        reactor: Reactor::start().expect("a reactor"),
    }
}

fn config() -> Config {
    Config {
        bind: [127, 0, 0, 1].into(),
        ports: Ports::default(),
        token: Some(TOKEN.into()),
        engine: Engine::Fastwebsockets,
        delay: Span::ZERO,
        nodelay: true,
        hold: Span::from_millis(25_000),
        echo_self: true,
        core: None,
        oracle: Oracle::default(),
        tls: None,
    }
}

/// Told of the session, and of each message that came back.
#[derive(Default)]
struct Arrived {
    connection: RefCell<Option<Box<dyn Connection>>>,
    told: Notify,
}

impl Sink for Arrived {
    fn on_opened(&self, _: SessionId, opened: Opened) {
        self.connection.replace(Some(opened.connection));
        self.told.notify_one();
    }
    fn on_open_failed(&self, _: SessionId, failure: Failure) {
        panic!("no session: {failure}");
    }
    fn on_message(&self, _: SessionId, payload: &[u8], _: Option<Format>, _: Nanos) {
        assert_eq!(payload, PAYLOAD, "the target sends back what it got");
        self.told.notify_one();
    }
    fn on_answer(&self, _: SessionId, _: u64, _: u64, _: Nanos) {
        self.told.notify_one();
    }
    fn on_sent(&self, _: SessionId, _: u64, _: Nanos) {}
    fn on_pong(&self, _: SessionId, _: Nanos) {}
    fn on_poll(&self, _: SessionId, _: u64, _: Option<Nanos>) {}
    fn on_fault(&self, _: SessionId, _: Option<u64>, _: Failure) {}
    fn on_ended(&self, _: SessionId, _: Ended) {}
}
