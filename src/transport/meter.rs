//! Bytes, messages and connections of one session that has a task of its own, exact.
//!
//! Payload is counted by message, the rest by what passed the sockets: framing = bytes − payload. Each connection counts
//! itself ([`super::counted`]) and leaves its last reading here when it is closed.

use super::counted::{Reading, WeakCounted};
use crate::measure::Traffic;
use std::cell::{Cell, RefCell};

/// Counts of one session. Shared by its connections and its task, all on one thread.
#[derive(Default)]
pub(super) struct Meter {
    counted: Cell<Traffic>,
    open: RefCell<Vec<WeakCounted>>,
    closed: Cell<Reading>,
}

impl Meter {
    /// A TCP connection was opened.
    pub fn opened(&self, connection: WeakCounted) {
        let mut open = self.open.borrow_mut();
        open.retain(|other| other.is_open());
        open.push(connection);
        self.update(|t| t.connections += 1);
    }

    /// A TCP connection was opened and closed again.
    pub fn opened_before(&self, last: Reading) {
        self.update(|t| t.connections += 1);
        self.closed(last);
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

    /// Everything so far. Without `wire` the kernel isn't asked, and nothing is known of the wire.
    pub fn traffic(&self, wire: bool) -> Traffic {
        let mut traffic = self.counted.get();
        let mut bytes = self.closed.get();
        for connection in self.open.borrow().iter() {
            bytes += connection.reading(wire);
        }
        bytes.add_to(&mut traffic);
        traffic
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> u64 {
        self.open.borrow().iter().filter(|connection| connection.is_open()).count() as u64
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
