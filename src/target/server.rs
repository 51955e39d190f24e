//! The target itself: bound sockets, what its faces share, and running until told to stop.

use super::counts::Counts;
use super::hub::Hub;
use super::join::Refusal;
use super::listen::{self, Acceptor, listener};
use super::network::Network;
use super::oracle::Actor;
use super::place::PlaceName;
use super::shared::Shared;
use super::tcp::Tcp;
use super::tls::Identity;
use super::websocket::Websocket;
use super::{Config, Order, Ports, Report, http, push, udp, websocket};
use crate::catalog::{Engine, Pem};
use crate::reactor::Reactor;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

/// Why a target can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("can't listen for {face} on {address}: {source}; choose another port, or 0 for any free one")]
    Bind { face: &'static str, address: SocketAddr, source: io::Error },
    #[error("can't run on core {core}: {source}; choose one that this process may use")]
    Pin { core: usize, source: io::Error },
    #[error("can't write the log of what was held to {path}: {source}; choose another file")]
    Log { path: String, source: io::Error },
    #[error("can't make a certificate: {0}")]
    Certificate(String),
    #[error("the first line is not a target's configuration: {0}")]
    Config(serde_json::Error),
    #[error("a line is not an order to the target: {0}")]
    Order(serde_json::Error),
    #[error("no configuration came")]
    NoConfig,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A bound target that doesn't answer yet.
pub struct Target {
    core: Rc<Core>,
    reactor: Rc<Reactor>,
    ports: Ports,
    websocket: TcpListener,
    tcp: TcpListener,
    http: TcpListener,
    udp: UdpSocket,
}

/// What the faces share.
pub struct Core {
    pub hub: Rc<Hub>,
    pub network: Rc<Network>,
    pub counts: Rc<Counts>,
    /// `None` where it does nothing on purpose.
    pub oracle: Option<Rc<Actor>>,
    /// `None`: without TLS.
    pub tls: Option<Identity>,
    pub engine: Engine,
    /// How long a held GET waits.
    pub hold: Duration,
    token: Option<String>,
    /// Where tasks read to, and encode to, between two awaits: sessions at rest keep no buffers.
    pub incoming: RefCell<Vec<u8>>,
    pub outgoing: RefCell<Vec<u8>>,
}

/// Bytes taken from a socket in one go.
const READ_CHUNK: usize = 64 * 1024;

impl Core {
    pub fn new(config: &Config) -> Result<Rc<Core>, TargetError> {
        let counts = Rc::new(Counts::default());
        let oracle = Actor::new(&config.oracle)?;
        Ok(Rc::new(Core {
            hub: Hub::new(&counts, config.echo_self, oracle.clone()),
            network: Rc::new(Network::new(config.delay.nanos())?),
            counts,
            oracle,
            tls: config.tls.map(|settings| Identity::new(settings, config.bind)).transpose()?,
            engine: config.engine,
            hold: config.hold.0,
            token: config.token.clone(),
            incoming: RefCell::new(vec![0; READ_CHUNK]),
            outgoing: RefCell::default(),
        }))
    }

    /// Whether who knows `token` may join `place`, and what that place is.
    pub fn admit(&self, place: &str, token: Option<&str>) -> Result<PlaceName, Refusal> {
        if self.token.as_deref().is_some_and(|due| token != Some(due)) {
            self.counts.refused.add(1);
            return Err(Refusal::Token);
        }
        PlaceName::parse(place).ok_or(Refusal::Place)
    }

    /// What only time brings about; ends only if a timer fails.
    async fn run(&self) -> io::Result<Infallible> {
        match self.oracle.clone() {
            Some(oracle) => tokio::try_join!(self.network.run(), oracle.run()).map(|(never, _)| never),
            None => self.network.run().await,
        }
    }

    fn report(&self) -> Result<Report, TargetError> {
        let truth = self.oracle.as_ref().map(|oracle| oracle.finish()).transpose()?;
        Ok(Report { truth, ..self.counts.report() })
    }
}

impl Target {
    /// Listens on every face. Needs a running tokio runtime; clients may connect from now on, and are answered by
    /// [`run`](Target::run).
    pub fn bind(config: &Config) -> Result<Target, TargetError> {
        let websocket = listener("websocket", config.bind, config.ports.websocket, config.nodelay)?;
        let tcp = listener("tcp", config.bind, config.ports.tcp, config.nodelay)?;
        let http = listener("http", config.bind, config.ports.http, config.nodelay)?;
        let udp = listen::datagrams(config.bind, config.ports.udp)?;
        let ports = Ports {
            websocket: websocket.local_addr()?.port(),
            tcp: tcp.local_addr()?.port(),
            udp: udp.local_addr()?.port(),
            http: http.local_addr()?.port(),
        };
        Ok(Target { core: Core::new(config)?, reactor: Reactor::new()?, ports, websocket, tcp, http, udp })
    }

    /// The ports as they are.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The certificate by which its clients know it, where it speaks TLS.
    pub fn certificate(&self) -> Option<Pem> {
        self.core.tls.as_ref().map(|tls| tls.certificate.clone())
    }

    /// Serves until [`Order::Stop`] comes or `orders` is closed. Then every connection is dropped.
    pub async fn run(self, mut orders: mpsc::Receiver<Order>) -> Result<Report, TargetError> {
        let (core, reactor) = (self.core.clone(), self.reactor.clone());
        let local = LocalSet::new();
        let report = local
            .run_until(async {
                self.serve()?;
                tokio::select! {
                    failed = core.run() => Ok(failed.map(|never| match never {})?),
                    () = obey(&core, &mut orders) => core.report(),
                }
            })
            .await;
        reactor.clear();
        core.network.clear();
        report
    }

    fn serve(self) -> io::Result<()> {
        let Target { core, reactor, websocket, tcp, http, udp, .. } = self;
        reactor.run();
        let shared = Shared::new(core.clone(), reactor);
        match core.engine {
            Engine::Native => Acceptor::<Websocket>::start(&shared, websocket)?,
            Engine::Fastwebsockets | Engine::Tungstenite => {
                let listener = tokio::net::TcpListener::from_std(websocket)?;
                let tls = core.tls.as_ref().map(|tls| tls.config.clone());
                spawn_local(listen::accept(core.clone(), listener, tls, websocket::serve));
            }
        }
        Acceptor::<Tcp>::start(&shared, tcp)?;
        let face = http::Face::new(core.clone());
        spawn_local(http::reap(face.clone()));
        let http = tokio::net::TcpListener::from_std(http)?;
        let tls = core.tls.as_ref().map(|tls| tls.http.clone());
        spawn_local(listen::accept(core.clone(), http, tls, move |_, socket| http::serve(face.clone(), socket)));
        spawn_local(udp::serve(core, udp));
        Ok(())
    }
}

async fn obey(core: &Rc<Core>, orders: &mut mpsc::Receiver<Order>) {
    while let Some(Order::Push(push)) = orders.recv().await {
        spawn_local(push::originate(core.clone(), push));
    }
}
