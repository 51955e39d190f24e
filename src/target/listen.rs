//! Listening sockets and accepting.

use super::joining::{Face, Joining};
use super::oracle::Welcome;
use super::server::{Core, TargetError};
use super::shaking::Shaking;
use super::shared::Shared;
use super::socket::Socket;
use super::stream::{hang_up, reset};
use crate::clock::Nanos;
use crate::reactor::{Handler, Ready, Token, Turn};
use nix::sys::socket::{SockFlag, accept4, setsockopt, sockopt::RcvBufForce};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Type};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::spawn_local;

/// Connections that may wait to be accepted, if the system allows as many.
const BACKLOG: i32 = 4096;
/// Buffers asked for a socket that all datagrams share, bytes.
const DATAGRAM_BUFFER: usize = 8 << 20;
/// Pause after a failed accept: without descriptors the next one fails as well.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Connections accepted in a row before others get their turn.
const ACCEPTS: usize = 64;

/// `nodelay` is that of every connection that it will accept: on Linux they inherit it.
pub fn listener(face: &'static str, bind: IpAddr, port: u16, nodelay: bool) -> Result<TcpListener, TargetError> {
    let address = SocketAddr::new(bind, port);
    let listen = || {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(nodelay)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|source| TargetError::Bind { face, address, source })
}

pub fn datagrams(bind: IpAddr, port: u16) -> Result<UdpSocket, TargetError> {
    let address = SocketAddr::new(bind, port);
    let open = || {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        // Only a privileged process may go beyond the system's limit; anyone else gets what the limit allows.
        if setsockopt(&socket, RcvBufForce, &DATAGRAM_BUFFER).is_err() {
            socket.set_recv_buffer_size(DATAGRAM_BUFFER)?;
        }
        socket.set_send_buffer_size(DATAGRAM_BUFFER)?;
        UdpSocket::from_std(socket.into())
    };
    open().map_err(|source| TargetError::Bind { face: "udp", address, source })
}

/// Accepts for ever; each connection is served by a task of its own, once its handshake has crossed the network. `tls` is spoken
/// on it, if any is.
pub async fn accept<F, S>(core: Rc<Core>, listener: tokio::net::TcpListener, tls: Option<Arc<ServerConfig>>, serve: F)
where
    F: Fn(Rc<Core>, Socket) -> S + Clone + 'static,
    S: Future<Output = io::Result<()>> + 'static,
{
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            core.counts.accept_errors.add(1);
            tokio::time::sleep(BACK_OFF).await;
            continue;
        };
        let welcome = welcome(&core);
        let (core, tls, serve) = (core.clone(), tls.clone(), serve.clone());
        spawn_local(async move {
            // What broke one connection is that client's affair.
            _ = match welcome {
                Welcome::Serve => match greet(&core, socket, tls.as_ref()).await {
                    Ok(socket) => serve(core, socket).await,
                    Err(broken) => Err(broken),
                },
                unkind => turn_away(&core, unkind, socket).await,
            };
        });
    }
}

/// A connection once its handshakes have crossed the network: TCP's, and that of TLS where it is spoken.
async fn greet(core: &Core, socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Socket> {
    core.network.round_trip().await;
    match tls {
        None => Ok(Socket::plain(socket)),
        Some(config) => Socket::shake_hands(core, socket, config).await,
    }
}

/// What becomes of a connection that was accepted just now.
fn welcome(core: &Core) -> Welcome {
    core.counts.accepted.add(1);
    core.oracle.as_ref().map_or(Welcome::Serve, |oracle| oracle.connection(core.counts.accepted.get()))
}

/// Does to a client what the oracle says instead of serving it.
async fn turn_away(core: &Core, welcome: Welcome, socket: TcpStream) -> io::Result<()> {
    core.network.round_trip().await;
    match welcome {
        Welcome::Serve => Ok(()),
        Welcome::HangUp => hang_up(core, &Socket::plain(socket)).await,
        Welcome::Reset => reset(core, socket).await,
    }
}

/// Accepts for a face on the reactor.
pub struct Acceptor<F> {
    shared: Rc<Shared>,
    listener: TcpListener,
    token: Cell<Option<Token>>,
    /// Accepting failed, and is tried again when the pause is over.
    is_resting: Cell<bool>,
    face: PhantomData<F>,
}

impl<F: Face> Acceptor<F> {
    /// Accepts for as long as there is the reactor.
    pub fn start(shared: &Rc<Shared>, listener: TcpListener) -> io::Result<()> {
        let (token, face) = (Cell::default(), PhantomData::<F>);
        let is_resting = Cell::new(false);
        let acceptor = Rc::new(Acceptor { shared: shared.clone(), listener, token, is_resting, face });
        let token = shared.reactor.add(&acceptor.listener, acceptor.clone())?;
        acceptor.token.set(Some(token));
        Ok(())
    }

    fn accept(&self) -> io::Result<std::net::TcpStream> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let descriptor = accept4(self.listener.as_raw_fd(), flags)?;
        // SAFETY: the system has just made it, for us alone.
        Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }.into())
    }

    /// Serves a connection once its handshake has crossed the network.
    fn take(&self, socket: std::net::TcpStream) {
        let shared = self.shared.clone();
        match welcome(&shared.core) {
            Welcome::Serve => {
                let network = shared.core.network.clone();
                self.shared.core.network.inbound.carry(0, move || {
                    network.outbound.carry(0, move || match &shared.core.tls {
                        None => Joining::<F>::start(&shared, socket),
                        Some(tls) => Shaking::<F>::start(&shared, socket, &tls.config),
                    });
                });
            }
            unkind => {
                _ = spawn_local(async move { turn_away(&shared.core, unkind, TcpStream::from_std(socket)?).await })
            }
        }
    }
}

impl<F: Face> Handler for Acceptor<F> {
    fn on_ready(&self, _: Ready, _: &mut [u8]) -> Turn {
        if self.is_resting.get() {
            return Turn::Done;
        }
        for _ in 0..ACCEPTS {
            match self.accept() {
                Ok(socket) => self.take(socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Done,
                Err(_) => {
                    self.shared.core.counts.accept_errors.add(1);
                    self.is_resting.set(true);
                    self.token.get().into_iter().for_each(|token| _ = self.shared.wake_after(BACK_OFF, token));
                    return Turn::Done;
                }
            }
        }
        Turn::Again
    }

    fn on_time(&self, _: Nanos) {
        self.is_resting.set(false);
        self.token.get().into_iter().for_each(|token| self.shared.reactor.again(token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[test]
    fn what_is_accepted_inherits_nodelay() {
        for nodelay in [true, false] {
            let listener = listener("tcp", [127, 0, 0, 1].into(), 0, nodelay).unwrap();
            listener.set_nonblocking(false).unwrap();
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            assert_eq!(SockRef::from(&accepted).tcp_nodelay().unwrap(), nodelay);
        }
    }
}
