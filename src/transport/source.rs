//! Where connections leave from: the local address, and the range of its ports.
//!
//! A port is chosen at the connect and not at the bind (`IP_BIND_ADDRESS_NO_PORT`), so that one port serves every
//! destination. Told the range of ports in so many words (`IP_LOCAL_PORT_RANGE`, Linux 6.3), the system tries them one by
//! one; otherwise it tries every second one, and looks through all of those in vain once half of the range is taken.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// `IP_LOCAL_PORT_RANGE` of `linux/in.h`.
const LOCAL_PORT_RANGE: libc::c_int = 51;
/// What the system chooses ports from.
const SYSTEMS_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The addresses that sessions leave from, in turn.
#[derive(Debug, Default)]
pub struct Sources {
    addresses: Vec<IpAddr>,
    next: Cell<usize>,
    /// Lowest and highest port, as the option wants them; `None`: the system's choice.
    ports: Option<u32>,
}

impl Sources {
    /// No `addresses`: the system chooses. Reads the system's range of ports.
    pub fn new(addresses: Vec<IpAddr>) -> Sources {
        let text = std::fs::read_to_string(SYSTEMS_RANGE).unwrap_or_default();
        let mut ports = text.split_whitespace().filter_map(|port| port.parse().ok());
        let range = ports.next().zip(ports.next()).map(|(low, high)| option(low, high));
        Sources { addresses, next: Cell::new(0), ports: range }
    }

    /// Prepares a socket that isn't connected yet: the next address in turn, of the target's family.
    pub(super) fn leave(&self, socket: &impl AsFd, target: SocketAddr) -> io::Result<()> {
        if let Some(ports) = self.ports {
            // Where the system doesn't know it, it chooses as it always did.
            let _ = set(socket.as_fd(), LOCAL_PORT_RANGE, ports);
        }
        if self.addresses.is_empty() {
            return Ok(());
        }
        let Some(address) = self.next_address(target) else {
            return Err(io::Error::other(format!("no address to leave from is of the family of {}", target.ip())));
        };
        set(socket.as_fd(), libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
        let socket = socket2::SockRef::from(socket);
        socket.bind(&SocketAddr::new(address, 0).into())
    }

    fn next_address(&self, target: SocketAddr) -> Option<IpAddr> {
        let fit = |n: &usize| self.addresses[n % self.addresses.len()].is_ipv4() == target.is_ipv4();
        let next = (self.next.get()..).take(self.addresses.len()).find(fit)?;
        self.next.set(next + 1);
        Some(self.addresses[next % self.addresses.len()])
    }
}

/// Whether sessions can leave from `address`: it is one of this machine's.
pub fn is_own(address: IpAddr) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_ok()
}

fn option(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

fn set(socket: BorrowedFd, option: libc::c_int, value: u32) -> io::Result<()> {
    let size = std::mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: the value is a number of that size, and outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, option, std::ptr::from_ref(&value).cast(), size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::collections::HashSet;
    use std::net::TcpListener;

    fn connect(sources: &Sources, target: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        sources.leave(&socket, target)?;
        socket.connect(&target.into())?;
        Ok(socket)
    }

    fn from(socket: &Socket) -> SocketAddr {
        socket.local_addr().unwrap().as_socket().unwrap()
    }

    /// Whether connections to one target take every port from `low` to `high`, and then there is none.
    fn are_all_used(low: u16, high: u16) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let addresses = vec!["127.0.0.77".parse().unwrap()];
        let sources = Sources { addresses, ports: Some(option(low, high)), ..Sources::default() };
        let mut open = Vec::new();
        let refused = loop {
            match connect(&sources, target) {
                Ok(socket) => open.push(socket),
                Err(refused) => break refused,
            }
            assert!(open.len() <= usize::from(high - low) + 1, "the range is not kept to");
        };
        assert_eq!(refused.raw_os_error(), Some(libc::EADDRNOTAVAIL));
        // The same ports serve another destination.
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(connect(&sources, other.local_addr().unwrap()).is_ok());
        open.iter().map(|socket| from(socket).port()).collect::<HashSet<u16>>() == (low..=high).collect()
    }

    #[test]
    fn an_address_is_the_machines_own_or_is_not() {
        assert!(is_own("127.0.0.99".parse().unwrap()));
        assert!(!is_own("192.0.2.1".parse().unwrap()) && !is_own("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn every_port_of_the_range_is_used_before_there_is_none() {
        let system = Sources::new(Vec::new()).ports.unwrap();
        let (low, high) = (system as u16, (system >> 16) as u16);
        assert!(high - low > 1000, "an unusual system");
        // A port that somebody listens on is nobody's to leave from.
        assert!((1..=5).any(|n| are_all_used(high - 100 * n, high - 100 * n + 59)));
    }

    #[test]
    fn sessions_take_turns_over_the_addresses_of_the_targets_family() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let sources = Sources::new(["127.0.0.5", "::1", "127.0.0.6"].map(|ip| ip.parse().unwrap()).to_vec());
        let open: Vec<Socket> = (0..4).map(|_| connect(&sources, target).unwrap()).collect();
        let seen: Vec<String> = open.iter().map(|socket| from(socket).ip().to_string()).collect();
        assert_eq!(seen, ["127.0.0.5", "127.0.0.6", "127.0.0.5", "127.0.0.6"]);
        let none_fits = connect(&Sources::new(vec!["::1".parse().unwrap()]), target).unwrap_err();
        assert!(none_fits.to_string().contains("the family of 127.0.0.1"), "{none_fits}");
        let anywhere = connect(&Sources::new(Vec::new()), target).unwrap();
        assert_eq!(from(&anywhere).ip().to_string(), "127.0.0.1");
    }
}
