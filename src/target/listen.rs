//! Listening sockets and accepting.

use super::oracle::Welcome;
use super::server::{Core, TargetError};
use super::stream::{hang_up, reset};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::spawn_local;

/// Connections that may wait to be accepted, if the system allows as many.
const BACKLOG: i32 = 4096;
/// Buffers asked for a socket that all datagrams share, bytes.
const DATAGRAM_BUFFER: usize = 8 << 20;
/// Pause after a failed accept: without descriptors the next one fails as well.
const BACK_OFF: Duration = Duration::from_millis(50);

pub fn listener(face: &'static str, bind: IpAddr, port: u16) -> Result<TcpListener, TargetError> {
    let address = SocketAddr::new(bind, port);
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|source| TargetError::Bind { face, address, source })
}

pub fn datagrams(bind: IpAddr, port: u16) -> Result<UdpSocket, TargetError> {
    let address = SocketAddr::new(bind, port);
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
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

/// Accepts for ever; each connection is served by a task of its own, once its handshake has crossed the network.
pub async fn accept<F, S>(core: Rc<Core>, listener: TcpListener, serve: F)
where
    F: Fn(Rc<Core>, TcpStream) -> S + Clone + 'static,
    S: Future<Output = io::Result<()>> + 'static,
{
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            core.counts.accept_errors.add(1);
            tokio::time::sleep(BACK_OFF).await;
            continue;
        };
        core.counts.accepted.add(1);
        // A socket whose peer has already gone can't be set up any more; reading from it will tell.
        _ = SockRef::from(&socket).set_tcp_nodelay(core.nodelay);
        let welcome = match &core.oracle {
            Some(oracle) => oracle.connection(core.counts.accepted.get()),
            None => Welcome::Serve,
        };
        let (core, serve) = (core.clone(), serve.clone());
        spawn_local(async move {
            core.network.round_trip().await;
            // What broke one connection is that client's affair.
            _ = match welcome {
                Welcome::Serve => serve(core, socket).await,
                Welcome::HangUp => hang_up(&core, &socket).await,
                Welcome::Reset => reset(&core, socket).await,
            };
        });
    }
}
