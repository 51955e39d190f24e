//! Counts of messages and bytes.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// What became of the messages of one phase.
///
/// `scheduled = sent + skipped` counts scheduled units. `expected = delivered + late + lost + unfinished` counts
/// deliveries owed for what was sent. Duplicates, unmatched and foreign arrivals are extra; reordered ones are part of delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    pub scheduled: u64,
    pub sent: u64,
    /// Never sent: no connection, outbox full, or interrupted.
    pub skipped: u64,
    pub expected: u64,
    pub delivered: u64,
    /// Arrived after the timeout, within drain. Their latencies are in the histograms.
    pub late: u64,
    /// Had not arrived at the end of drain and can't any more: datagrams, and what a later message of its sender overtook.
    pub lost: u64,
    /// Not arrived at the end of drain, on a reliable transport that may still bring it.
    pub unfinished: u64,
    pub duplicate: u64,
    pub reordered: u64,
    /// Arrivals of this run's messages that answer nothing that is owed.
    pub unmatched: u64,
    /// Arrivals that are no message of this run, or not understood.
    pub foreign: u64,
}

/// Bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Messages that carried a payload.
    pub messages: u64,
    pub payload: u64,
    /// What the transport's protocol added above TCP or UDP: frame headers, HTTP heads, pings, empty polls.
    pub framing: u64,
    /// What compression took off payloads on their way; absent (0) where nothing is compressed.
    #[serde(skip_serializing_if = "is_none")]
    pub saved: u64,
    /// Everything from the IP header up. Absent (0, with `wire_known` false) where the system can't tell.
    pub wire: u64,
}

/// Bytes and connections of a trial's sessions, from the end of connecting to the end of drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// As seen by the generator.
    pub sent: Volume,
    pub received: Volume,
    /// TCP connections opened, or UDP sockets, over the whole trial.
    pub connections: u64,
    /// Bytes of opening handshakes (HTTP upgrade, joining), both directions, payload of TCP or UDP.
    pub handshake: u64,
    /// Of `handshake`, what the generator sent.
    pub handshake_sent: u64,
    /// HTTP requests that asked for messages, and those of them answered with none.
    pub polls: u64,
    pub empty_polls: u64,
    /// Connections whose bytes on the wire could be read; `wire` is complete if this equals `connections`.
    pub wire_known: u64,
    /// Datagrams that the generator's own socket buffers dropped: they came, and count as lost.
    pub receive_drops: u64,
    /// The same bytes by the system's own count; absent for UDP and where the system doesn't tell.
    pub kernel: Option<KernelBytes>,
}

/// What TCP took from the generator and gave to it by the count of the system (TCP_INFO), from each connection's first byte
/// on: retransmissions, SYN and FIN are not in it, TLS's records are. The other counts of [`Traffic`] come from elsewhere,
/// so the two can be held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelBytes {
    pub sent: u64,
    pub received: u64,
    /// Had arrived, and was not read yet when the count was taken; no part of `received`.
    pub unread: u64,
}

/// Declares field-by-field addition. It saturates: the counts of a result that was edited by hand may be anything.
macro_rules! adds {
    ($type:ty { $($field:ident),* }) => {
        impl AddAssign for $type {
            fn add_assign(&mut self, other: $type) {
                $(self.$field.add_saturating(other.$field);)*
            }
        }
    };
}

/// Addition that stops at the largest value; nested sums are followed.
trait AddSaturating {
    fn add_saturating(&mut self, other: Self);
}

impl AddSaturating for u64 {
    fn add_saturating(&mut self, other: u64) {
        *self = self.saturating_add(other);
    }
}

impl AddSaturating for Option<KernelBytes> {
    fn add_saturating(&mut self, other: Option<KernelBytes>) {
        if let Some(other) = other {
            *self.get_or_insert_default() += other;
        }
    }
}

impl AddSaturating for Volume {
    fn add_saturating(&mut self, other: Volume) {
        *self += other;
    }
}

adds!(Counters {
    scheduled,
    sent,
    skipped,
    expected,
    delivered,
    late,
    lost,
    unfinished,
    duplicate,
    reordered,
    unmatched,
    foreign
});
adds!(Volume { messages, payload, framing, saved, wire });
adds!(KernelBytes { sent, received, unread });
adds!(Traffic {
    sent,
    received,
    connections,
    handshake,
    handshake_sent,
    polls,
    empty_polls,
    wire_known,
    receive_drops,
    kernel
});

impl Counters {
    /// Whether both sums hold.
    pub fn balance(&self) -> bool {
        let sum = |parts: &[u64]| parts.iter().try_fold(0u64, |sum, n| sum.checked_add(*n));
        sum(&[self.sent, self.skipped]) == Some(self.scheduled)
            && sum(&[self.delivered, self.late, self.lost, self.unfinished]) == Some(self.expected)
    }

    /// Deliveries ÷ expected deliveries, late ones included; `None` when nothing was expected.
    pub fn reach(&self) -> Option<f64> {
        (self.expected > 0).then(|| self.delivered.saturating_add(self.late) as f64 / self.expected as f64)
    }
}

impl Volume {
    /// Bytes that payloads took on their way.
    pub fn carried(&self) -> u64 {
        self.payload.saturating_sub(self.saved)
    }
}

fn is_none(bytes: &u64) -> bool {
    *bytes == 0
}

impl Traffic {
    /// Whether the bytes on the wire of every connection are known.
    pub fn wire_complete(&self) -> bool {
        self.connections > 0 && self.wire_known == self.connections
    }

    /// Bytes that passed the sockets by the generator's own count, handshakes included: over connections without TLS, `sent`
    /// and `received` of [`Traffic::kernel`].
    pub fn counted(&self) -> KernelBytes {
        let received = self.handshake.saturating_sub(self.handshake_sent);
        let all =
            |volume: Volume, handshake: u64| volume.carried().saturating_add(volume.framing).saturating_add(handshake);
        KernelBytes { sent: all(self.sent, self.handshake_sent), received: all(self.received, received), unread: 0 }
    }
}
