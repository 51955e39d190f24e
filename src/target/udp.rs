//! The UDP face: one socket for everyone; a peer proves its address before anything larger than its own words is sent
//! to it.

use super::hub::{Member, Receiver};
use super::join::{JoinLine, PREFIX, Refusal};
use super::outbox::Message;
use super::server::Core;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::UdpSocket;

/// The largest datagram there is, bytes.
const LARGEST: usize = 65_536;
/// Peers that may be joined at once.
const MOST_PEERS: usize = 65_536;

struct Face {
    core: Rc<Core>,
    socket: UdpSocket,
    peers: RefCell<HashMap<SocketAddr, Member>>,
    /// Keyed at random for each target: a cookie can't be made up by who doesn't receive it.
    secret: RandomState,
}

/// A member whose copies are datagrams.
struct Peer {
    face: Rc<Face>,
    address: SocketAddr,
}

pub async fn serve(core: Rc<Core>, socket: UdpSocket) {
    let face = Rc::new(Face { core, socket, peers: RefCell::default(), secret: RandomState::new() });
    let mut buffer = vec![0; LARGEST];
    loop {
        // Errors that a socket reports here belong to a datagram sent before, or to none.
        let Ok((size, from)) = face.socket.recv_from(&mut buffer).await else { continue };
        let inbound = &face.core.network.inbound;
        if inbound.is_full() {
            face.core.counts.dropped.add(1);
            continue;
        }
        let (face, message) = (face.clone(), Message::untyped(&buffer[..size]));
        inbound.carry(size, move || face.arrived(from, &message));
    }
}

impl Face {
    fn arrived(self: &Rc<Self>, from: SocketAddr, message: &Message) {
        match message.payload.strip_prefix(PREFIX.as_bytes()) {
            Some(b"LEAVE") => _ = self.leave(from),
            Some(line) if line.starts_with(b"JOIN ") => self.join(from, &message.payload),
            _ => {
                if let Some(member) = self.peers.borrow().get(&from) {
                    member.publish(message);
                }
            }
        }
    }

    fn leave(&self, from: SocketAddr) -> Option<Member> {
        self.peers.borrow_mut().remove(&from)
    }

    fn join(self: &Rc<Self>, from: SocketAddr, line: &[u8]) {
        let cookie = format!("{:016x}", self.secret.hash_one(from));
        let join = JoinLine::parse(line);
        let proven = join.as_ref().is_some_and(|join| join.value("cookie") == Some(&cookie));
        if !proven {
            let answer = format!("{PREFIX}COOKIE {cookie}");
            // Whoever forged this address gains nothing by it: no answer is longer than the question.
            if answer.len() <= line.len() {
                self.send(from, answer.into());
            }
            return;
        }
        if let Err(refusal) = join.ok_or(Refusal::Line).and_then(|join| self.seat(from, &join)) {
            self.send(from, format!("{PREFIX}ERR {refusal}").into());
        }
    }

    /// Seats a peer that proved its address, after telling it so; one that has its seat is only told again.
    fn seat(self: &Rc<Self>, from: SocketAddr, join: &JoinLine) -> Result<(), Refusal> {
        let place = self.core.admit(join.place, join.value("token"))?;
        let known = self.peers.borrow().contains_key(&from);
        if !known && self.peers.borrow().len() >= MOST_PEERS {
            return Err(Refusal::Full);
        }
        self.send(from, format!("{PREFIX}OK").into());
        if known {
            return Ok(());
        }
        let greeting = place.greeting().cloned();
        let member = self.core.hub.join(place, Rc::new(Peer { face: self.clone(), address: from }));
        if let Some(greeting) = &greeting {
            member.greet(&greeting.message());
        }
        // A session that is to end after its greeting never takes its seat.
        if greeting.is_none_or(|greeting| !greeting.then_close) {
            self.peers.borrow_mut().insert(from, member);
        }
        Ok(())
    }

    fn send(self: &Rc<Self>, to: SocketAddr, datagram: Bytes) {
        let face = self.clone();
        self.core.network.outbound.carry(datagram.len(), move || {
            // An answer that is lost is asked for again.
            _ = face.socket.try_send_to(&datagram, to);
        });
    }
}

impl Receiver for Peer {
    fn deliver(self: Rc<Self>, message: &Message) {
        let (core, payload) = (self.face.core.clone(), message.payload.clone());
        if core.network.outbound.is_full() {
            return core.counts.dropped.add(1);
        }
        core.network.outbound.carry(payload.len(), move || {
            let counts = &self.face.core.counts;
            match self.face.socket.try_send_to(&payload, self.address) {
                Ok(_) => counts.delivered.add(1),
                Err(_) => counts.dropped.add(1),
            }
        });
    }
}
