//! The connections of processes, by the system's own tables: what the generator's count of them is held against, and who
//! listens.

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

/// Whether processes `pids`, and no others, listen on a port: what connects to it meets them. False where that can't be told.
pub(super) fn is_served_by(pids: &[u32], port: u16, transport: TransportKind) -> bool {
    let Ok(listening) = listening(port, transport) else { return false };
    let own: HashSet<u64> = pids.iter().filter_map(|pid| inodes(&process(*pid).ok()?).ok()).flatten().collect();
    !listening.is_empty() && listening.is_subset(&own)
}

/// Whether any process has a datagram socket on a port, seen without touching it.
pub(super) fn is_bound(port: u16) -> bool {
    listening(port, TransportKind::Udp).is_ok_and(|sockets| !sockets.is_empty())
}

/// Sockets that listen on a port of this machine.
fn listening(port: u16, transport: TransportKind) -> ProcResult<HashSet<u64>> {
    Ok(match transport {
        TransportKind::Udp => procfs::net::udp()?
            .into_iter()
            .chain(procfs::net::udp6().unwrap_or_default())
            .filter(|socket| socket.local_address.port() == port)
            .map(|socket| socket.inode)
            .collect(),
        _ => procfs::net::tcp()?
            .into_iter()
            .chain(procfs::net::tcp6().unwrap_or_default())
            .filter(|socket| socket.state == TcpState::Listen && socket.local_address.port() == port)
            .map(|socket| socket.inode)
            .collect(),
    })
}

fn process(pid: u32) -> ProcResult<Process> {
    Process::new(i32::try_from(pid).unwrap_or(-1))
}

/// The sockets that a process holds. A descriptor may be closed while we look.
fn inodes(process: &Process) -> ProcResult<Vec<u64>> {
    let sockets = process.fd()?.flatten().filter_map(|descriptor| match descriptor.target {
        FDTarget::Socket(inode) => Some(inode),
        _ => None,
    });
    Ok(sockets.collect())
}

fn count(pids: &[u32], ports: &[u16], transport: TransportKind) -> ProcResult<Option<u64>> {
    let mut own: HashSet<u64> = HashSet::new();
    let mut any = None;
    for pid in pids {
        let process = any.insert(process(*pid)?);
        if process.fd_count()? > MOST {
            return Ok(None);
        }
        own.extend(inodes(process)?);
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

    #[test]
    fn who_listens_is_who_holds_the_socket() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
        let own = std::process::id();
        assert!(is_served_by(&[own], tcp_port, TransportKind::Websocket));
        assert!(is_served_by(&[own], udp_port, TransportKind::Udp));
        assert!(is_bound(udp_port) && !is_bound(1));
        // A client process that only stands for a server elsewhere holds nothing.
        let mut other = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        assert!(!is_served_by(&[other.id()], tcp_port, TransportKind::Websocket));
        assert!(!is_served_by(&[other.id()], udp_port, TransportKind::Udp));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
