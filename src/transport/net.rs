//! Connecting: one TCP connection, with TLS where the URL asks for it, or one to a Unix socket, within a deadline; on the
//! reactor, or in a task of the runtime.

use super::io::{self, Io};
use super::{Endpoint, ErrorClass, Failure};
use crate::clock::{MILLI, Nanos, now};
use crate::reactor::{self, Seat};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::convert::Infallible;
use std::future::{Future, pending};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// How long the system may take to resolve a name.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(10);

/// From one attempt at a Unix socket whose queue of connections is full to the next: no readiness tells of room in it.
const ASK_AGAIN: Nanos = MILLI;

/// The address of `host`, and how long finding it took, nanoseconds. Of several addresses it is the first in the system's
/// order (RFC 6724) that sessions can leave for from one of `sources`, or the first of all where those are empty; an
/// address as text takes no time. Proxies are not consulted.
pub async fn resolve(host: &str, port: u16, sources: &[IpAddr]) -> Result<(SocketAddr, Nanos), Failure> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok((SocketAddr::new(ip, port), 0));
    }
    let began = now();
    let failure = |problem: String| Failure::new(ErrorClass::Resolve, format!("{host}: {problem}"));
    let found = tokio::time::timeout(RESOLVE_PATIENCE, tokio::net::lookup_host((host, port))).await;
    let mut addresses = match found {
        Err(_) => return Err(failure(format!("no answer within {RESOLVE_PATIENCE:?}"))),
        Ok(Err(error)) => return Err(failure(error.to_string())),
        Ok(Ok(addresses)) => addresses,
    };
    let first = addresses.next().ok_or_else(|| failure("it has no address".to_owned()))?;
    let is_reached = |to: &SocketAddr| sources.iter().any(|from| from.is_ipv4() == to.is_ipv4());
    let address = if is_reached(&first) { first } else { addresses.find(is_reached).unwrap_or(first) };
    Ok((address, now() - began))
}

/// The address of a Unix socket, by its file.
pub fn address_of_socket(file: &str) -> Result<SockAddr, Failure> {
    SockAddr::unix(file).map_err(|error| Failure::new(ErrorClass::Resolve, format!("{file}: {error}")))
}

/// Who moves a future on, and what it may wait for.
pub(super) trait Ground {
    type Socket: io::Socket;

    /// Connects `socket`, which doesn't block.
    async fn connect(&self, socket: Socket, to: &SockAddr) -> std::io::Result<Self::Socket>;

    /// To be waited for whenever the work turns from one of its sockets to another: what the other got ready for meanwhile
    /// may have been taken for this one's.
    async fn turn(&self);

    /// Waits for `work` until `at`; `None`: it wasn't done by then.
    async fn until<T>(&self, at: Nanos, work: impl Future<Output = T>) -> Option<T>;
}

/// A task of the runtime.
pub(super) struct Runtime;

impl Ground for Runtime {
    type Socket = TcpStream;

    async fn connect(&self, socket: Socket, to: &SockAddr) -> std::io::Result<TcpStream> {
        match to.as_socket() {
            Some(to) => TcpSocket::from_std_stream(socket.into()).connect(to).await,
            None => {
                // At once or not at all. What is read and written through a TCP stream goes by calls that every stream
                // of the system takes.
                socket.connect(to)?;
                TcpStream::from_std(socket.into())
            }
        }
    }

    /// Here each socket has its own.
    async fn turn(&self) {}

    async fn until<T>(&self, at: Nanos, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(Duration::from_nanos(at.saturating_sub(now())), work).await.ok()
    }
}

impl Ground for Rc<Seat> {
    type Socket = reactor::Socket;

    async fn connect(&self, socket: Socket, to: &SockAddr) -> std::io::Result<reactor::Socket> {
        reactor::Socket::connect(self, socket, to).await
    }

    async fn turn(&self) {
        Seat::turn(self).await;
    }

    async fn until<T>(&self, at: Nanos, work: impl Future<Output = T>) -> Option<T> {
        Seat::until(self, at, work).await
    }
}

/// When connecting and joining must be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Nanos,
    patience: Duration,
}

impl Deadline {
    pub fn after(patience: Duration) -> Deadline {
        let nanos = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        Deadline { at: now().saturating_add(nanos), patience }
    }

    /// Bounds `work`, which is what `class` is the timeout of. Takes less memory of what is pinned already.
    pub async fn bound<T>(
        self,
        ground: &impl Ground,
        class: ErrorClass,
        what: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = || Failure::new(class, format!("{what} took longer than {:?}", self.patience));
        ground.until(self.at, work).await.unwrap_or_else(|| Err(late()))
    }
}

/// A connection that is ready to carry bytes, and how long each phase took.
pub(super) struct Dialed<S> {
    pub io: Io<S>,
    pub tcp: Nanos,
    pub tls: Option<Nanos>,
}

/// Connects to the endpoint. `nodelay` switches Nagle's algorithm off.
pub(super) async fn dial<G: Ground>(
    ground: &G,
    endpoint: &Endpoint,
    nodelay: bool,
    deadline: Deadline,
) -> Result<Dialed<G::Socket>, Failure> {
    let began = now();
    let connecting = pin!(async {
        loop {
            let socket = prepared(endpoint, nodelay)?;
            match ground.connect(socket, &endpoint.address).await {
                Err(error) if endpoint.address.is_unix() && error.kind() == ErrorKind::WouldBlock => {
                    ground.until(now() + ASK_AGAIN, pending::<Infallible>()).await;
                }
                connected => return Ok(connected?),
            }
        }
    });
    let stream = deadline.bound(ground, ErrorClass::ConnectTimeout, "the connect", connecting).await?;
    let connected = now();
    let tcp = connected - began;
    let Some(tls) = &endpoint.tls else {
        return Ok(Dialed { io: Io::Plain(stream), tcp, tls: None });
    };
    // Boxed, so that those who need none aren't as large as a handshake.
    let handshake = Box::pin(tls.shake_hands(stream));
    let stream = deadline.bound(ground, ErrorClass::HandshakeTimeout, "the TLS handshake", handshake).await?;
    Ok(Dialed { io: Io::Tls(Box::new(stream)), tcp, tls: Some(now() - connected) })
}

/// A socket that is about to connect to the endpoint.
fn prepared(endpoint: &Endpoint, nodelay: bool) -> std::io::Result<Socket> {
    let to = &endpoint.address;
    let Some(to_ip) = to.as_socket() else {
        return Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None);
    };
    let socket = Socket::new(to.domain(), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(nodelay)?;
    endpoint.sources.leave(&socket, to_ip)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn an_address_needs_no_resolving_and_a_name_of_nobody_fails() {
        assert_eq!(resolve("::1", 7, &[]).await.unwrap(), ("[::1]:7".parse().unwrap(), 0));
        let (address, _) = resolve("localhost", 9, &[]).await.unwrap();
        assert!(address.ip().is_loopback());
        let (address, _) = resolve("localhost", 9, &["127.0.0.2".parse().unwrap()]).await.unwrap();
        assert!(address.is_ipv4(), "it can be left for from there");
        let failure = resolve("nobody.invalid", 1, &[]).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Resolve);
        assert!(failure.detail.contains("nobody.invalid"), "{failure}");
    }
}
