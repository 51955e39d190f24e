//! The UDP face: one socket for everyone; a peer proves its address before anything larger than its own words is sent
//! to it.

use super::hub::{Member, Receiver};
use super::join::{JoinLine, PREFIX, Refusal};
use super::oracle::{Done, LONGEST_WAIT, Lane};
use super::outbox::Message;
use super::server::Core;
use crate::clock::now;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
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
    peers: RefCell<HashMap<SocketAddr, Seat>>,
    /// Keyed at random for each target: a cookie can't be made up by who doesn't receive it.
    secret: RandomState,
}

/// A peer that has joined.
struct Seat {
    member: Member,
    peer: Rc<Peer>,
}

/// A member whose copies are datagrams.
struct Peer {
    face: Rc<Face>,
    address: SocketAddr,
    /// How many had joined its place before it.
    order: Cell<u64>,
    /// Copies of messages without an id so far.
    untagged: Cell<u64>,
    lane: RefCell<Lane<Bytes>>,
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
            Some(b"LEAVE") => self.leave(from),
            Some(line) if line.starts_with(b"JOIN ") => self.join(from, &message.payload),
            _ => {
                if let Some(seat) = self.peers.borrow().get(&from) {
                    seat.member.publish(message);
                }
            }
        }
    }

    fn leave(&self, from: SocketAddr) {
        let left = self.peers.borrow_mut().remove(&from);
        if let Some(Seat { peer, .. }) = left {
            // What goes to it already goes before.
            self.core.network.outbound.carry(0, move || peer.flush());
        }
    }

    /// Forgets `from` if it still has this seat; false if it hasn't.
    fn leave_if(&self, from: SocketAddr, member: u64) -> bool {
        let same = self.peers.borrow().get(&from).is_some_and(|seat| seat.member.id() == member);
        if same {
            self.leave(from);
        }
        same
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
        if !known && self.core.oracle.as_ref().is_some_and(|oracle| oracle.refuses_join()) {
            return Err(Refusal::OnPurpose);
        }
        self.send(from, format!("{PREFIX}OK").into());
        if known {
            return Ok(());
        }
        let greeting = place.greeting().cloned();
        let peer = Peer::new(self.clone(), from);
        let member = self.core.hub.join(place, peer.clone());
        peer.order.set(member.order());
        if let Some(greeting) = &greeting {
            member.greet(&greeting.message());
        }
        // A session that is to end after its greeting never takes its seat.
        if greeting.is_none_or(|greeting| !greeting.then_close) {
            if let Some(oracle) = &self.core.oracle {
                let (face, member) = (Rc::downgrade(self), member.id());
                oracle.close_later(move |_| face.upgrade().is_some_and(|face| face.leave_if(from, member)));
            }
            self.peers.borrow_mut().insert(from, Seat { member, peer });
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
        core.network.outbound.carry(payload.len(), move || self.put_out(payload));
    }
}

impl Peer {
    fn new(face: Rc<Face>, address: SocketAddr) -> Rc<Peer> {
        let (order, untagged) = (Cell::new(0), Cell::new(0));
        Rc::new(Peer { face, address, order, untagged, lane: RefCell::default() })
    }

    /// Sends a copy, as its fate says.
    fn put_out(self: &Rc<Self>, payload: Bytes) {
        let untagged = || self.untagged.replace(self.untagged.get() + 1);
        let oracle = self.face.core.oracle.as_ref();
        let fated = oracle.and_then(|oracle| Some((oracle, oracle.datagram(&payload, self.order.get(), untagged)?)));
        let Some((oracle, fate)) = fated else { return self.count(self.send(&payload)) };
        let done = self.lane.borrow_mut().pass(fate, payload, |datagram| self.send(datagram));
        let Done { sent, failed, dropped, duplicated, swapped, waits } = done;
        self.face.core.counts.delivered.add(sent);
        self.face.core.counts.dropped.add(failed);
        oracle.note(|truth| {
            truth.udp_dropped += u64::from(dropped);
            truth.udp_duplicated += u64::from(duplicated);
            truth.udp_swapped += u64::from(swapped);
        });
        if let Some(name) = waits {
            let peer = self.clone();
            oracle.at(now() + LONGEST_WAIT, move || {
                let waited = peer.lane.borrow_mut().give_up(name);
                peer.send_late(waited);
            });
        }
    }

    /// Sends what still waits to be overtaken: nothing will.
    fn flush(&self) {
        let waited = self.lane.borrow_mut().leave();
        self.send_late(waited);
    }

    fn send_late(&self, waited: Option<Bytes>) {
        waited.iter().for_each(|datagram| self.count(self.send(datagram)));
    }

    fn send(&self, datagram: &Bytes) -> bool {
        self.face.socket.try_send_to(datagram, self.address).is_ok()
    }

    fn count(&self, sent: bool) {
        let counts = &self.face.core.counts;
        let counter = if sent { &counts.delivered } else { &counts.dropped };
        counter.add(1);
    }
}
