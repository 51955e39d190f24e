//! Bytes, messages and connections of one session, exact.
//!
//! Payload is counted by message, the rest by what passed the sockets: framing = bytes − payload. Each connection counts
//! itself ([`super::counted`]) and leaves its last reading here when it is closed.

use super::counted::{Reading, WeakCounted};
use super::receive_drops;
use super::tcp_info::WireBytes;
use crate::measure::Traffic;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use tokio::net::UdpSocket;

/// Counts of one session. Shared by its connections and its task, all on one thread.
#[derive(Default)]
pub(super) struct Meter {
    counted: Cell<Traffic>,
    open: RefCell<Vec<WeakCounted>>,
    closed: Cell<Reading>,
    datagrams: Cell<WireBytes>,
    /// The UDP socket while it is open; its last count of drops is left in `counted`.
    socket: RefCell<Weak<UdpSocket>>,
}

impl Meter {
    /// A TCP connection was opened.
    pub fn opened(&self, connection: WeakCounted) {
        let mut open = self.open.borrow_mut();
        open.retain(|other| other.is_open());
        open.push(connection);
        self.update(|t| t.connections += 1);
    }

    /// A connection is about to be closed.
    pub fn closed(&self, last: Reading) {
        let mut sum = self.closed.get();
        sum += last;
        self.closed.set(sum);
    }

    pub fn sent(&self, messages: u64, payload: u64) {
        self.update(|t| {
            t.sent.messages += messages;
            t.sent.payload += payload;
        });
    }

    pub fn received(&self, payload: u64) {
        self.update(|t| {
            t.received.messages += 1;
            t.received.payload += payload;
        });
    }

    pub fn handshake(&self, direction: Direction, bytes: u64) {
        self.update(|t| {
            t.handshake += bytes;
            t.handshake_sent += if direction == Direction::Out { bytes } else { 0 };
        });
    }

    pub fn polled(&self, messages: u64) {
        self.update(|t| {
            t.polls += 1;
            t.empty_polls += u64::from(messages == 0);
        });
    }

    /// The session has one UDP socket, and no TCP connection.
    pub fn opened_udp(&self, socket: &Rc<UdpSocket>) {
        *self.socket.borrow_mut() = Rc::downgrade(socket);
        self.update(|t| {
            t.connections += 1;
            t.wire_known += 1;
        });
    }

    /// The UDP socket is about to be closed.
    pub fn closing_udp(&self, socket: &UdpSocket) {
        *self.socket.borrow_mut() = Weak::new();
        self.update(|t| t.receive_drops += receive_drops::read(socket));
    }

    /// A datagram with a payload passed, `size` bytes from its IP header up.
    pub fn datagram(&self, direction: Direction, size: u64) {
        let mut wire = self.datagrams.get();
        match direction {
            Direction::Out => wire.sent += size,
            Direction::In => wire.received += size,
        }
        self.datagrams.set(wire);
    }

    /// Everything so far. Without `wire` the kernel isn't asked, and nothing is known of the wire.
    pub fn traffic(&self, wire: bool) -> Traffic {
        let mut traffic = self.counted.get();
        let mut bytes = self.closed.get();
        for connection in self.open.borrow().iter() {
            bytes += connection.reading(wire);
        }
        traffic.sent.framing = bytes.sent.saturating_sub(traffic.sent.payload);
        traffic.received.framing = bytes.received.saturating_sub(traffic.received.payload);
        if wire {
            bytes.wire += self.datagrams.get();
            traffic.sent.wire = bytes.wire.sent;
            traffic.received.wire = bytes.wire.received;
            traffic.kernel = (bytes.wire_known > 0).then_some(bytes.kernel);
            traffic.wire_known += bytes.wire_known;
            traffic.receive_drops += self.socket.borrow().upgrade().map_or(0, |socket| receive_drops::read(&socket));
        } else {
            traffic.wire_known = 0;
        }
        traffic
    }

    /// Connections and UDP sockets that are open now.
    pub fn open_connections(&self) -> u64 {
        let tcp = self.open.borrow().iter().filter(|connection| connection.is_open()).count() as u64;
        tcp + u64::from(self.socket.borrow().strong_count() > 0)
    }

    fn update(&self, change: impl FnOnce(&mut Traffic)) {
        let mut traffic = self.counted.get();
        change(&mut traffic);
        self.counted.set(traffic);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Out,
    In,
}
