//! UDP: one connected socket a session, one message a datagram. The kernel passes on only what comes from the target.

use super::meter::{Direction, Meter};
use super::net::Deadline;
use super::outbox::{Item, Message};
use super::session::Session;
use super::{ConnectPhases, Ended, ErrorClass, Failure, Opened, Opening, Sources};
use crate::catalog::Udp;
use crate::clock::now;
use crate::dialect::{Datagram, Dialect, speak};
use nix::sys::socket::{self, MsgFlags};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A join that got no answer is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The largest datagram that IP can carry, bytes.
const LARGEST: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LARGEST]);
}

pub(super) async fn open(opening: Opening, settings: &Udp) -> Result<Opened, Failure> {
    let Opening { endpoint, place, session, deadline, began } = opening;
    let peer = Rc::new(Peer {
        socket: Rc::new(bind(endpoint.address, settings, &endpoint.sources)?),
        meter: session.meter.clone(),
        dialect: speak(endpoint.dialect, &endpoint.token),
        overhead: if endpoint.address.is_ipv6() { 48 } else { 28 },
    });
    session.meter.opened_udp(&peer.socket);
    let joined = peer.join(&session, &place, deadline).await?;
    let total = now() - began;
    let phases = ConnectPhases { upgrade: joined.then_some(total), total, ..ConnectPhases::default() };
    let life = session.clone();
    let connection = session.run(async move { peer.live(&life).await });
    Ok(Opened { connection, phases })
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

/// The target's address as one socket sees it.
struct Peer {
    /// Shared with no one but the meter, which doesn't keep it open.
    socket: Rc<UdpSocket>,
    meter: Rc<Meter>,
    dialect: Box<dyn Dialect>,
    /// Headers of IP and UDP, bytes.
    overhead: u64,
}

impl Peer {
    /// Joins; false where the dialect has nothing to join by.
    async fn join(&self, session: &Session, place: &str, deadline: Deadline) -> Result<bool, Failure> {
        if self.dialect.datagram_join(place, None).is_none() {
            return Ok(false);
        }
        let asking = async {
            let mut cookie: Option<String> = None;
            loop {
                let Some(ask) = self.dialect.datagram_join(place, cookie.as_deref()) else { return Ok(true) };
                self.socket.send(ask.as_bytes()).await?;
                session.meter.handshake(Direction::Out, ask.len() as u64);
                match tokio::time::timeout(ASK_AGAIN, self.answer(session)).await {
                    Err(_) => {}
                    Ok(Ok(Answer::Joined)) => return Ok(true),
                    Ok(Ok(Answer::Cookie(given))) => cookie = Some(given),
                    Ok(Err(failure)) => return Err(failure),
                }
            }
        };
        deadline.bound(ErrorClass::HandshakeTimeout, "joining", asking).await
    }

    /// The target's answer to a join. Anything else that it sends meanwhile is not ours to count.
    async fn answer(&self, session: &Session) -> Result<Answer, Failure> {
        loop {
            let answer = self
                .receive(|bytes| {
                    session.meter.handshake(Direction::In, bytes.len() as u64);
                    match self.dialect.datagram(bytes) {
                        Datagram::Joined => Some(Ok(Answer::Joined)),
                        Datagram::Cookie(cookie) => Some(Ok(Answer::Cookie(cookie.to_owned()))),
                        Datagram::Refused(reason) => {
                            Some(Err(Failure::new(ErrorClass::JoinRefused, reason.escape_default().to_string())))
                        }
                        Datagram::Payload(_) | Datagram::Unknown => {
                            session.fault(None, foreign("a datagram that is no answer to a join"));
                            None
                        }
                    }
                })
                .await?;
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    async fn live(&self, session: &Session) -> Ended {
        tokio::select! {
            biased;
            ended = self.write(session) => ended,
            never = self.read(session) => match never {},
        }
    }

    /// Sends what comes to the outbox, until that says close.
    async fn write(&self, session: &Session) -> Ended {
        loop {
            match session.outbox.next().await {
                Item::Message(message) => self.send(session, &message).await,
                Item::Ping | Item::Pong(_) => {}
                Item::Close(_) => {
                    if let Some(leave) = self.dialect.datagram_leave() {
                        // Nobody answers it, and if it is lost the target forgets the session by itself.
                        if self.socket.send(leave.as_bytes()).await.is_ok() {
                            session.meter.handshake(Direction::Out, leave.len() as u64);
                        }
                    }
                    return Ended { failure: None, close_time: None, code: None };
                }
            }
        }
    }

    async fn send(&self, session: &Session, message: &Message) {
        session.sending(message.ticket, now());
        let mut sent = self.socket.send(&message.payload).await;
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            // The error is an earlier datagram's; this one has not been sent.
            session.fault(None, refused());
            sent = self.socket.send(&message.payload).await;
        }
        match sent {
            Ok(_) => {
                let size = message.payload.len() as u64;
                session.meter.sent(1, size);
                session.meter.datagram(Direction::Out, size + self.overhead);
            }
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                let detail = format!("{} bytes don't fit into a datagram", message.payload.len());
                session.fault(Some(message.ticket), Failure::new(ErrorClass::TooLarge, detail));
            }
            Err(error) => session.fault(Some(message.ticket), error.into()),
        }
    }

    /// Hands on what comes. UDP has no connection that an error could end: each is a fault of its own.
    async fn read(&self, session: &Session) -> Infallible {
        loop {
            let received = self.receive(|bytes| match self.dialect.datagram(bytes) {
                Datagram::Payload(payload) => {
                    session.meter.datagram(Direction::In, payload.len() as u64 + self.overhead);
                    session.deliver(payload, None, now());
                }
                // Answers to a join that was asked more than once.
                Datagram::Joined | Datagram::Cookie(_) => session.meter.handshake(Direction::In, bytes.len() as u64),
                Datagram::Refused(_) | Datagram::Unknown => {
                    session.fault(None, foreign("a datagram of the dialect that a joined session doesn't expect"));
                }
            });
            match received.await {
                Ok(()) => {}
                Err(failure) if failure.class == ErrorClass::Io => {
                    // An unknown error may well come again at once: say so and stop listening, but keep sending.
                    session.fault(None, failure);
                    return pending().await;
                }
                Err(failure) => session.fault(None, failure),
            }
        }
    }

    /// Waits for one datagram, or for what the kernel heard of an earlier one.
    async fn receive<T>(&self, take: impl FnOnce(&[u8]) -> T) -> Result<T, Failure> {
        // An ICMP error makes a socket neither readable nor writable, so both have to be waited for.
        let interest = Interest::READABLE | Interest::ERROR;
        let receive =
            || BUFFER.with_borrow_mut(|buffer| Ok(socket::recv(self.socket.as_raw_fd(), buffer, MsgFlags::empty())?));
        match self.socket.async_io(interest, receive).await {
            Ok(size) => Ok(BUFFER.with_borrow(|buffer| take(&buffer[..size]))),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(refused()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.meter.closing_udp(&self.socket);
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
