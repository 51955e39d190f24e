//! The floor of the network: how long an ICMP echo to the target's host takes, which no transport can beat.
//!
//! A few echoes before the first trial, one after the other, bounded in time, on a thread of their own. An unprivileged ICMP socket
//! is used where the system allows it (`net.ipv4.ping_group_range`), else a raw one.

mod echo;

use crate::clock::{self, MILLI, Nanos, SECOND};
use crate::result::NetworkFloor;
use crate::transport;
use echo::{Family, Reply};
use socket2::{Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Echoes to send.
const ECHOES: u16 = 20;
/// From one echo's reply to the next echo.
const PAUSE: Duration = Duration::from_millis(2);
/// How long one echo may take, and all of them.
const PATIENCE: Nanos = 200 * MILLI;
const ALL: Nanos = SECOND;
/// How long the name may take to be resolved.
const RESOLVING: Duration = Duration::from_secs(2);

/// Pings `host`. Never fails: why there is no figure is in [`NetworkFloor::skipped`].
pub(super) async fn floor(host: &str) -> NetworkFloor {
    let nothing = NetworkFloor { host: host.to_owned(), ..NetworkFloor::default() };
    let skipped = |reason: String| NetworkFloor { skipped: Some(reason), ..nothing.clone() };
    let address = match tokio::time::timeout(RESOLVING, transport::resolve(host, 0, &[])).await {
        Ok(Ok((address, _))) => address.ip(),
        Ok(Err(failure)) => return skipped(failure.to_string()),
        Err(_) => return skipped(format!("its name was not resolved within {RESOLVING:?}")),
    };
    match tokio::task::spawn_blocking(move || ping(address)).await {
        Ok(Ok(measured)) => NetworkFloor { host: host.to_owned(), ..measured },
        Ok(Err(reason)) => skipped(reason),
        Err(_) => skipped("the echoes broke off".to_owned()),
    }
}

fn ping(address: IpAddr) -> Result<NetworkFloor, String> {
    let (socket, kind) = open(address)?;
    let mut pinger = Pinger { socket, kind, family: Family::of(address), number: rand::random() };
    let mut times = Vec::new();
    let mut floor = NetworkFloor { method: kind.name().to_owned(), ..NetworkFloor::default() };
    let until = clock::now() + ALL;
    for sequence in 0..ECHOES {
        if clock::now() >= until {
            break;
        }
        let patience = until.min(clock::now() + PATIENCE);
        match pinger.echo(sequence, patience) {
            Ok(time) => {
                floor.sent += 1;
                times.extend(time);
            }
            Err(error) if floor.sent == 0 => return Err(format!("the system sends no echo there ({error})")),
            Err(_) => break,
        }
        std::thread::sleep(PAUSE);
    }
    times.sort_unstable();
    floor.received = times.len() as u64;
    (floor.min, floor.max) = (times.first().copied(), times.last().copied());
    floor.p50 = times.get(times.len() / 2).copied();
    match floor.p50 {
        Some(_) => Ok(floor),
        None => {
            Err(format!("none of {} echoes was answered: the host, or something before it, drops them", floor.sent))
        }
    }
}

/// What the system lets us send echoes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The system numbers the echoes, and passes on only replies to them, without the IP header.
    Datagram,
    /// Everything that comes is seen, with IPv4's header.
    Raw,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Datagram => "unprivileged ICMP socket",
            Kind::Raw => "raw ICMP socket",
        }
    }
}

fn open(address: IpAddr) -> Result<(Socket, Kind), String> {
    let protocol = if address.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
    let domain = socket2::Domain::for_address(SocketAddr::new(address, 0));
    let of = |kind: Kind, ty: Type| -> io::Result<(Socket, Kind)> {
        let socket = Socket::new(domain, ty, Some(protocol))?;
        // Only what comes from there is passed on.
        socket.connect(&SocketAddr::new(address, 0).into())?;
        Ok((socket, kind))
    };
    let refused = |datagram: io::Error, raw: io::Error| {
        format!(
            "ICMP needs a group within net.ipv4.ping_group_range ({datagram}), or CAP_NET_RAW ({raw}); neither is given"
        )
    };
    of(Kind::Datagram, Type::DGRAM).or_else(|datagram| of(Kind::Raw, Type::RAW).map_err(|raw| refused(datagram, raw)))
}

struct Pinger {
    socket: Socket,
    kind: Kind,
    family: Family,
    /// Drawn for each run: tells our echoes from everybody else's.
    number: u64,
}

impl Pinger {
    /// Sends one echo and waits for its reply until `patience`; `None`: it didn't come.
    fn echo(&mut self, sequence: u16, patience: Nanos) -> io::Result<Option<Nanos>> {
        let sent = clock::now();
        self.socket.send(&echo::request(self.family, sequence, self.number))?;
        let mut buffer = [0; 1024];
        loop {
            let left = patience.saturating_sub(clock::now());
            if left == 0 {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(Duration::from_nanos(left)))?;
            match self.socket.read(&mut buffer) {
                Ok(size) => {
                    let received = clock::now();
                    let with_ip = self.kind == Kind::Raw && self.family == Family::V4;
                    let reply = echo::reply(self.family, with_ip, &buffer[..size]);
                    if reply == Some(Reply { sequence, number: self.number }) {
                        return Ok(Some(received - sent));
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn the_loopback_answers_or_there_is_a_reason() {
        for host in ["127.0.0.1", "::1"] {
            let floor = floor(host).await;
            assert_eq!(floor.host, host);
            match &floor.skipped {
                Some(reason) => assert!(!reason.is_empty() && (floor.received, floor.p50) == (0, None), "{floor:?}"),
                None => {
                    assert!(floor.received > 0 && floor.received <= floor.sent, "{floor:?}");
                    assert!(Some(0) < floor.min && floor.min <= floor.p50 && floor.p50 <= floor.max, "{floor:?}");
                    assert!(!floor.method.is_empty());
                }
            }
            eprintln!("{floor:?}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_host_that_nobody_knows_is_skipped_with_its_reason() {
        let floor = floor("nobody.invalid").await;
        assert!(floor.skipped.unwrap().contains("nobody.invalid"));
        assert_eq!((floor.p50, floor.sent), (None, 0));
    }
}
