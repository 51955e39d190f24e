//! The connections of a process, by the system's own tables: what the generator's count of them is held against.

use crate::catalog::TransportKind;
use procfs::ProcResult;
use procfs::net::{TcpState, UdpState};
use procfs::process::{FDTarget, Process};
use std::collections::HashSet;

/// Sockets of process `pid` that are connected to somebody's `port`: TCP's that are established, or UDP's. `None` where
/// the tables can't be read.
pub(super) fn connected(pid: u32, port: u16, transport: TransportKind) -> Option<u64> {
    count(&Process::new(i32::try_from(pid).ok()?).ok()?, port, transport).ok()
}

fn count(process: &Process, port: u16, transport: TransportKind) -> ProcResult<u64> {
    // A descriptor may be closed while we look.
    let own: HashSet<u64> = process
        .fd()?
        .flatten()
        .filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    let connected = match transport {
        TransportKind::Udp => process
            .udp()?
            .into_iter()
            .chain(process.udp6().unwrap_or_default())
            .filter(|socket| socket.state == UdpState::Established && socket.remote_address.port() == port)
            .map(|socket| socket.inode)
            .collect::<Vec<_>>(),
        _ => process
            .tcp()?
            .into_iter()
            .chain(process.tcp6().unwrap_or_default())
            .filter(|socket| socket.state == TcpState::Established && socket.remote_address.port() == port)
            .map(|socket| socket.inode)
            .collect(),
    };
    Ok(connected.iter().filter(|inode| own.contains(inode)).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn counts_what_this_process_has_connected_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = |kind, port| connected(std::process::id(), port, kind);
        assert_eq!(count(TransportKind::Tcp, port), Some(0));
        let one = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _two = TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(count(TransportKind::Websocket, port), Some(2));
        drop(one);
        assert_eq!(count(TransportKind::Tcp, port), Some(1));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(count(TransportKind::Udp, peer.port()), Some(0));
        socket.connect(peer).unwrap();
        assert_eq!(count(TransportKind::Udp, peer.port()), Some(1));
        assert_eq!(connected(u32::MAX, port, TransportKind::Tcp), None);
    }
}
