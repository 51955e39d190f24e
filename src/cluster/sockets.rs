//! The connections of processes, by the system's own tables: what the generator's count of them is held against.

use crate::catalog::TransportKind;
use procfs::ProcResult;
use procfs::net::{TcpState, UdpState};
use procfs::process::{FDTarget, Process};
use std::collections::HashSet;
use std::net::SocketAddr;

/// Sockets of more connections than this are not looked for: the tables would take longer to read than the run to rest.
const MOST: usize = 50_000;

/// Sockets of processes `pids` that are connected to one of somebody's `ports`: TCP's that are established, or UDP's. `None`
/// where the tables can't be read, or are too long.
pub(super) fn connected(pids: &[u32], ports: &[u16], transport: TransportKind) -> Option<u64> {
    count(pids, ports, transport).ok().flatten()
}

fn count(pids: &[u32], ports: &[u16], transport: TransportKind) -> ProcResult<Option<u64>> {
    let mut own: HashSet<u64> = HashSet::new();
    let mut any = None;
    for pid in pids {
        let process = any.insert(Process::new(i32::try_from(*pid).unwrap_or(-1))?);
        if process.fd_count()? > MOST {
            return Ok(None);
        }
        // A descriptor may be closed while we look.
        own.extend(process.fd()?.flatten().filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        }));
        if own.len() > MOST {
            return Ok(None);
        }
    }
    // All of them see the same network.
    let Some(process) = any else { return Ok(Some(0)) };
    let is_theirs = |remote: SocketAddr| ports.contains(&remote.port());
    let connected = match transport {
        TransportKind::Udp => process
            .udp()?
            .into_iter()
            .chain(process.udp6().unwrap_or_default())
            .filter(|socket| socket.state == UdpState::Established && is_theirs(socket.remote_address))
            .map(|socket| socket.inode)
            .collect::<HashSet<u64>>(),
        _ => process
            .tcp()?
            .into_iter()
            .chain(process.tcp6().unwrap_or_default())
            .filter(|socket| socket.state == TcpState::Established && is_theirs(socket.remote_address))
            .map(|socket| socket.inode)
            .collect(),
    };
    // A table that changes while it is read may show a socket twice.
    Ok(Some(connected.intersection(&own).count() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn counts_what_this_process_has_connected_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = |kind, port| connected(&[std::process::id()], &[1, port], kind);
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
        assert_eq!(connected(&[u32::MAX], &[port], TransportKind::Tcp), None);
    }
}
