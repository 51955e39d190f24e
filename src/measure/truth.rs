//! What an oracle target did, by its own count: the truth that measurements are compared with.

use super::Histogram;
use serde::{Deserialize, Serialize};

/// All counts are over the target's whole life.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Truth {
    /// How long each message was really held, from its arrival to its fan-out, nanoseconds.
    pub held: Histogram,
    /// How long each freeze really was, nanoseconds.
    pub stalls: Histogram,
    /// Datagrams never sent, sent once more, and sent after the next one to the same client.
    pub udp_dropped: u64,
    pub udp_duplicated: u64,
    pub udp_swapped: u64,
    /// Copies of the fan-out.
    pub copies_dropped: u64,
    pub copies_delayed: u64,
    pub connections_refused: u64,
    pub connections_reset: u64,
    pub upgrades_refused: u64,
    /// Frames sent without being asked for.
    pub pings: u64,
    pub pongs: u64,
    /// Sessions that the target closed first.
    pub closed: u64,
}

impl Truth {
    /// Adds what another target did.
    pub fn merge(&mut self, other: &Truth) {
        self.held.merge(&other.held);
        self.stalls.merge(&other.stalls);
        let counts = [
            (&mut self.udp_dropped, other.udp_dropped),
            (&mut self.udp_duplicated, other.udp_duplicated),
            (&mut self.udp_swapped, other.udp_swapped),
            (&mut self.copies_dropped, other.copies_dropped),
            (&mut self.copies_delayed, other.copies_delayed),
            (&mut self.connections_refused, other.connections_refused),
            (&mut self.connections_reset, other.connections_reset),
            (&mut self.upgrades_refused, other.upgrades_refused),
            (&mut self.pings, other.pings),
            (&mut self.pongs, other.pongs),
            (&mut self.closed, other.closed),
        ];
        counts.into_iter().for_each(|(mine, other)| *mine = mine.saturating_add(other));
    }
}
