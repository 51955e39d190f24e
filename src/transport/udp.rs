//! UDP: one connected socket a session, one message a datagram. The kernel passes on only what comes from the target.

use super::joining::Notes;
use super::net::Runtime;
use super::speech::Speech;
use super::{ConnectPhases, Endpoint, ErrorClass, Failure, Opened, Opening, Sources};
use crate::catalog::Udp;
use crate::clock::now;
use crate::dialect::{Datagram, Dialect, speak};
use nix::sys::socket::{self, MsgFlags};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;

mod batch;
mod session;

/// A join that got no answer is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The longest answer to a join that is understood, bytes.
const LONGEST_ANSWER: usize = 1024;

/// The largest payload of a datagram, bytes.
const LARGEST_DATAGRAM: usize = 65_535;

pub(super) async fn open(opening: &Opening, settings: &Udp) -> Result<Opened, Failure> {
    let endpoint = &*opening.endpoint;
    let mut joining = Joining {
        socket: bind(address_of(endpoint)?, settings, &endpoint.sources)?,
        dialect: speak(&endpoint.dialect, &endpoint.token),
        speech: Speech::new(endpoint, &opening.place),
        asked: 0,
        answered: 0,
    };
    let joined = joining.join(opening).await?;
    let total = now() - opening.began;
    let phases = ConnectPhases { upgrade: joined.then_some(total), total, ..ConnectPhases::default() };
    Ok(Opened { connection: session::start(opening, joining)?, phases })
}

fn address_of(endpoint: &Endpoint) -> Result<SocketAddr, Failure> {
    let none = || Failure::new(ErrorClass::Resolve, "a Unix socket takes no datagrams of this transport");
    endpoint.address.as_socket().ok_or_else(none)
}

fn bind(target: SocketAddr, settings: &Udp, sources: &Sources) -> Result<UdpSocket, Failure> {
    let socket = Socket::new(Domain::for_address(target), Type::DGRAM, Some(Protocol::UDP))?;
    let receive_buffer = usize::try_from(settings.receive_buffer.0).unwrap_or(usize::MAX);
    socket.set_recv_buffer_size(receive_buffer.min(i32::MAX as usize))?;
    socket.set_nonblocking(true)?;
    sources.leave(&socket, target)?;
    socket.connect(&target.into())?;
    Ok(UdpSocket::from_std(socket.into())?)
}

/// A session that asks to join.
struct Joining {
    socket: UdpSocket,
    dialect: Box<dyn Dialect>,
    speech: Speech,
    /// Payload of the datagrams of joining, each way, bytes.
    asked: u64,
    answered: u64,
}

impl Joining {
    /// Joins; false where the dialect has nothing to join by.
    async fn join(&mut self, opening: &Opening) -> Result<bool, Failure> {
        if self.speech.talk().is_some() {
            return opening.deadline.bound(&Runtime, ErrorClass::HandshakeTimeout, "joining", self.talk()).await;
        }
        if self.dialect.datagram_join(&opening.place, None).is_none() {
            return Ok(false);
        }
        let asking = async {
            let mut cookie: Option<String> = None;
            loop {
                let Some(ask) = self.dialect.datagram_join(&opening.place, cookie.as_deref()) else {
                    return Ok(true);
                };
                self.socket.send(ask.as_bytes()).await?;
                self.asked += ask.len() as u64;
                match tokio::time::timeout(ASK_AGAIN, self.answer(opening)).await {
                    Err(_) => {}
                    Ok(Ok(Answer::Joined)) => return Ok(true),
                    Ok(Ok(Answer::Cookie(given))) => cookie = Some(given),
                    Ok(Err(failure)) => return Err(failure),
                }
            }
        };
        opening.deadline.bound(&Runtime, ErrorClass::HandshakeTimeout, "joining", asking).await
    }

    /// Talks until the session is joined; what was said last is said again where nothing comes. False where nothing had to be
    /// waited for.
    async fn talk(&mut self) -> Result<bool, Failure> {
        let Some(talk) = self.speech.talk() else { return Ok(false) };
        let mut notes = Notes::default();
        talk.begin(&mut |heard| notes.take(heard));
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        let mut was_asked = false;
        loop {
            for datagram in &notes.said {
                self.socket.send(datagram).await?;
                self.asked += datagram.len() as u64;
            }
            if notes.is_joined {
                return Ok(was_asked);
            }
            was_asked = true;
            if let Ok(bytes) = tokio::time::timeout(ASK_AGAIN, receive(&self.socket, &mut buffer)).await {
                let bytes = bytes?;
                self.answered += bytes.len() as u64;
                notes.said.clear();
                talk.hear(bytes, &mut |heard| notes.take(heard))?;
            }
        }
    }

    /// The target's answer to a join. Anything else that it sends meanwhile is not ours to count.
    async fn answer(&mut self, opening: &Opening) -> Result<Answer, Failure> {
        let mut buffer = [0; LONGEST_ANSWER];
        loop {
            let bytes = receive(&self.socket, &mut buffer).await?;
            self.answered += bytes.len() as u64;
            match self.dialect.datagram(bytes) {
                Datagram::Joined => return Ok(Answer::Joined),
                Datagram::Cookie(cookie) => return Ok(Answer::Cookie(cookie.to_owned())),
                Datagram::Refused(reason) => {
                    return Err(Failure::new(ErrorClass::JoinRefused, reason.escape_default().to_string()));
                }
                Datagram::Payload(_) | Datagram::Unknown => {
                    let failure = foreign("a datagram that is no answer to a join");
                    opening.sink.on_fault(opening.id, None, failure);
                }
            }
        }
    }
}

/// Waits for one datagram, or for what the kernel heard of an earlier one.
async fn receive<'a>(socket: &UdpSocket, buffer: &'a mut [u8]) -> Result<&'a [u8], Failure> {
    // An ICMP error makes a socket neither readable nor writable, so both have to be waited for.
    let interest = Interest::READABLE | Interest::ERROR;
    let receive = || Ok(socket::recv(socket.as_raw_fd(), buffer, MsgFlags::empty())?);
    match socket.async_io(interest, receive).await {
        Ok(size) => Ok(&buffer[..size]),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => refused(),
        _ => error.into(),
    }
}

enum Answer {
    Cookie(String),
    Joined,
}

fn refused() -> Failure {
    Failure::new(ErrorClass::Refused, "nobody listens there (ICMP port unreachable)")
}

fn foreign(detail: &str) -> Failure {
    Failure::new(ErrorClass::Foreign, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::ByteSize;

    #[tokio::test(flavor = "current_thread")]
    async fn the_receive_buffer_is_as_large_as_asked_or_as_the_system_lets_it() {
        let settings = Udp { receive_buffer: ByteSize(100_000) };
        let socket = bind("127.0.0.1:9".parse().unwrap(), &settings, &Sources::default()).unwrap();
        assert!(socket2::SockRef::from(&socket).recv_buffer_size().unwrap() >= 100_000);
    }
}
