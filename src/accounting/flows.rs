//! Captured packets, summed by what the connection was doing.
//!
//! | phase | TCP | UDP |
//! |---|---|---|
//! | connecting | SYN, SYN-ACK and their ACK, of a connection that joins | |
//! | joining | the upgrade or join, its answer up to the end of its head, and the ACK of that | the dialect's own datagrams |
//! | established | all that follows; connections that join nothing (for publishing), from their SYN on | the rest |
//! | closing | from the first close (frame, DELETE, LEAVE or FIN) of any session on | the same |
//!
//! These are the phases of the generator's own count, so sessions have to stay until the end: nothing here fits a run
//! that closes connections on its way.

use super::packet::{Packet, Tcp};
use crate::catalog::TransportKind;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::AddAssign;

/// What was captured of one trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Captured {
    /// TCP connections, or pairs of UDP addresses.
    pub connections: u64,
    pub connecting: Both,
    pub joining: Both,
    pub established: Both,
    pub closing: Both,
    /// Packets of connections whose beginning was not seen: leftovers of an earlier trial.
    pub strays: u64,
    /// Packets that the capture had no room for. The sums say nothing unless this is 0.
    pub dropped: u64,
}

/// Either direction, as the generator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Both {
    pub sent: Share,
    pub received: Share,
}

/// A sum of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    pub packets: u64,
    /// From the IP header up.
    pub bytes: u64,
    /// Payload of TCP or UDP; what was sent twice counts once.
    pub payload: u64,
    /// Payload that had passed before, bytes.
    pub repeated: u64,
    /// Options of TCP beyond timestamps, of other segments than SYNs: reports of what came twice or out of turn (SACK), bytes.
    pub sack: u64,
    /// Packets without payload.
    pub bare: u64,
}

impl AddAssign for Share {
    fn add_assign(&mut self, other: Share) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.payload += other.payload;
        self.repeated += other.repeated;
        self.sack += other.sack;
        self.bare += other.bare;
    }
}

impl AddAssign for Both {
    fn add_assign(&mut self, other: Both) {
        self.sent += other.sent;
        self.received += other.received;
    }
}

impl Both {
    fn of(&mut self, is_sent: bool) -> &mut Share {
        if is_sent { &mut self.sent } else { &mut self.received }
    }
}

/// Sums the packets of one trial of `transport`, in the order in which they passed.
pub(super) fn tally(packets: &[Packet], transport: TransportKind) -> Captured {
    let mut flows = Flows { transport, by_ends: HashMap::new(), is_closing: false, sums: Captured::default() };
    packets.iter().for_each(|packet| flows.add(packet));
    flows.sum()
}

struct Flows {
    transport: TransportKind,
    /// By client and server.
    by_ends: HashMap<(SocketAddr, SocketAddr), Flow>,
    is_closing: bool,
    sums: Captured,
}

/// One connection.
#[derive(Debug, Default)]
struct Flow {
    state: State,
    connecting: Both,
    /// Sequence numbers that come next, of client and server.
    next: [Option<u32>; 2],
    /// How much of the mark that ends the answer's head was seen in a row.
    matched: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// The client has said nothing yet.
    #[default]
    Connecting,
    Joining,
    /// The answer was there; its ACK may follow.
    Answered,
    Joined,
    /// Established, and nothing to join.
    Publishing,
}

impl Flows {
    fn add(&mut self, packet: &Packet) {
        let begins = packet.tcp.is_none_or(|tcp| tcp.syn && !tcp.ack);
        let (ends, is_sent) = match self.by_ends.contains_key(&(packet.to, packet.from)) {
            true => ((packet.to, packet.from), false),
            false => ((packet.from, packet.to), true),
        };
        if !begins && !self.by_ends.contains_key(&ends) {
            self.sums.strays += 1;
            return;
        }
        let transport = self.transport;
        let flow = self.by_ends.entry(ends).or_default();
        self.is_closing |= closes(packet, is_sent, transport);
        let share = flow.share_of(packet, is_sent);
        if self.is_closing {
            *self.sums.closing.of(is_sent) += share;
            return;
        }
        let Some(tcp) = packet.tcp else {
            let of_dialect = packet.payload.starts_with(b"WSBENCH/1 ");
            let phase = if of_dialect { &mut self.sums.joining } else { &mut self.sums.established };
            *phase.of(is_sent) += share;
            return;
        };
        match flow.advance(packet, tcp, is_sent, transport) {
            Part::Connecting => *flow.connecting.of(is_sent) += share,
            Part::Established => *self.sums.established.of(is_sent) += share,
            Part::Joining { beyond } => {
                let beyond = beyond.min(share.payload);
                let share = Share { bytes: share.bytes - beyond, payload: share.payload - beyond, ..share };
                *self.sums.joining.of(is_sent) += share;
                let behind = Share { bytes: beyond, payload: beyond, ..Share::default() };
                *self.sums.established.of(is_sent) += behind;
            }
        }
    }

    fn sum(mut self) -> Captured {
        self.sums.connections = self.by_ends.len() as u64;
        for flow in self.by_ends.values() {
            match flow.state {
                State::Joining | State::Answered | State::Joined => self.sums.connecting += flow.connecting,
                State::Connecting | State::Publishing => self.sums.established += flow.connecting,
            }
        }
        self.sums
    }
}

/// Where a packet belongs.
enum Part {
    Connecting,
    /// So many of its bytes stand behind the end of the answer's head.
    Joining {
        beyond: u64,
    },
    Established,
}

/// TCP's header with timestamps, bytes.
const USUAL_HEADER: u8 = 32;

impl Flow {
    /// The packet as a sum of one.
    fn share_of(&mut self, packet: &Packet, is_sent: bool) -> Share {
        let length = packet.payload.len() as u32;
        let new = match packet.tcp {
            None => length,
            Some(tcp) => {
                let next = &mut self.next[usize::from(!is_sent)];
                // A SYN takes a number as well.
                let end = tcp.sequence.wrapping_add(length).wrapping_add(tcp.syn.into());
                // Below 2³¹, ahead; above, behind.
                let ahead = next.map_or(length, |next| end.wrapping_sub(next));
                let new = if ahead < 1 << 31 { ahead.min(length) } else { 0 };
                if new > 0 || next.is_none() {
                    *next = Some(end);
                }
                new
            }
        };
        let sack = packet.tcp.filter(|tcp| !tcp.syn).map_or(0, |tcp| tcp.header.saturating_sub(USUAL_HEADER));
        Share {
            packets: 1,
            bytes: packet.size,
            payload: new.into(),
            repeated: (length - new).into(),
            sack: sack.into(),
            bare: u64::from(length == 0),
        }
    }

    fn advance(&mut self, packet: &Packet, tcp: Tcp, is_sent: bool, transport: TransportKind) -> Part {
        let is_bare = packet.payload.is_empty();
        if self.state == State::Connecting && !tcp.syn && !is_bare && is_sent {
            self.state = if joins(&packet.payload, transport) { State::Joining } else { State::Publishing };
        }
        match self.state {
            State::Connecting => Part::Connecting,
            State::Joining if is_sent => Part::Joining { beyond: 0 },
            State::Joining => match self.end_of_head(&packet.payload, transport) {
                None => Part::Joining { beyond: 0 },
                Some(end) => {
                    self.state = State::Answered;
                    Part::Joining { beyond: (packet.payload.len() - end) as u64 }
                }
            },
            State::Answered if is_sent => {
                self.state = State::Joined;
                if is_bare { Part::Joining { beyond: 0 } } else { Part::Established }
            }
            State::Answered | State::Joined | State::Publishing => Part::Established,
        }
    }

    /// Where in these bytes the answer to the join ends: a line of TCP's, a head of HTTP's.
    fn end_of_head(&mut self, bytes: &[u8], transport: TransportKind) -> Option<usize> {
        let mark: &[u8] = if transport == TransportKind::Tcp { b"\n" } else { b"\r\n\r\n" };
        for (at, byte) in bytes.iter().enumerate() {
            self.matched = match *byte == mark[self.matched] {
                true => self.matched + 1,
                false => usize::from(*byte == mark[0]),
            };
            if self.matched == mark.len() {
                return Some(at + 1);
            }
        }
        None
    }
}

/// Is this the first that a connection says, and a join?
fn joins(payload: &[u8], transport: TransportKind) -> bool {
    let line = payload.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match transport {
        TransportKind::Tcp => payload.starts_with(b"WSBENCH/1 JOIN "),
        TransportKind::Websocket => line.starts_with(b"GET "),
        _ => line.starts_with(b"GET ") && line.windows(5).any(|window| window == b"join="),
    }
}

/// Does a session close with this?
fn closes(packet: &Packet, is_sent: bool, transport: TransportKind) -> bool {
    if packet.tcp.is_some_and(|tcp| tcp.fin) {
        return true;
    }
    is_sent
        && match transport {
            // FIN and the opcode of Close (RFC 6455 §5.5.1).
            TransportKind::Websocket => packet.payload.first() == Some(&0x88),
            TransportKind::Tcp => false,
            TransportKind::Udp => packet.payload.starts_with(b"WSBENCH/1 LEAVE"),
            _ => packet.payload.starts_with(b"DELETE "),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation between a client and a server over IPv4 with timestamps.
    struct Talk {
        packets: Vec<Packet>,
        sequence: [u32; 2],
        client: u16,
    }

    impl Talk {
        fn of(client: u16) -> Talk {
            let mut talk = Talk { packets: Vec::new(), sequence: [u32::MAX - 3, 7], client };
            talk.add(true, b"", 60, |tcp| tcp.syn = true);
            talk.add(false, b"", 60, |tcp| (tcp.syn, tcp.ack) = (true, true));
            talk.bare(true);
            talk
        }

        fn add(&mut self, is_sent: bool, payload: &[u8], header: u64, flags: impl FnOnce(&mut Tcp)) {
            let ends = [([127, 0, 0, 1], self.client).into(), ([127, 0, 0, 1], 80).into()];
            let [from, to] = if is_sent { ends } else { [ends[1], ends[0]] };
            let sequence = &mut self.sequence[usize::from(!is_sent)];
            let mut tcp = Tcp { sequence: *sequence, syn: false, ack: false, fin: false, header: 32 };
            flags(&mut tcp);
            *sequence = sequence.wrapping_add(payload.len() as u32 + u32::from(tcp.syn) + u32::from(tcp.fin));
            let size = header + payload.len() as u64;
            self.packets.push(Packet { from, to, size, tcp: Some(tcp), payload: payload.to_vec() });
        }

        fn say(&mut self, is_sent: bool, payload: &[u8]) {
            self.add(is_sent, payload, 52, |tcp| tcp.ack = true);
        }

        fn bare(&mut self, is_sent: bool) {
            self.say(is_sent, b"");
        }
    }

    fn sums(both: Both) -> [(u64, u64, u64); 2] {
        [both.sent, both.received].map(|share| (share.packets, share.bytes, share.payload))
    }

    #[test]
    fn a_connection_that_joins_is_cut_where_its_count_is() {
        let mut talk = Talk::of(1000);
        talk.say(true, b"GET /?token=x HTTP/1.1\r\n\r\n");
        talk.bare(false);
        talk.say(false, b"HTTP/1.1 101 X\r\n");
        talk.say(false, b"\r\nabc");
        talk.bare(true);
        talk.say(true, b"\x81hello");
        talk.say(false, b"\x81de");
        talk.bare(true);
        talk.say(true, b"\x88bye");
        talk.bare(false);
        let captured = tally(&talk.packets, TransportKind::Websocket);
        assert_eq!(captured.connections, 1);
        assert_eq!(sums(captured.connecting), [(2, 112, 0), (1, 60, 0)]);
        assert_eq!(sums(captured.joining), [(2, 104 + 26, 26), (3, 3 * 52 + 18, 18)]);
        assert_eq!(sums(captured.established), [(2, 104 + 6, 6), (1, 52 + 6, 6)]);
        assert_eq!(sums(captured.closing), [(1, 56, 4), (1, 52, 0)]);
        assert_eq!(captured.established.sent.bare, 1);
    }

    #[test]
    fn a_connection_that_joins_nothing_counts_from_its_syn_on() {
        let mut talk = Talk::of(1000);
        talk.say(true, b"POST /pub/1 HTTP/1.1\r\n\r\nx");
        talk.say(false, b"HTTP/1.1 204 No Content\r\n\r\n");
        // Another that never says a word.
        let silent = Talk::of(1001);
        let mut packets = [talk.packets, silent.packets].concat();
        let captured = tally(&packets, TransportKind::Sse);
        assert_eq!(captured.connections, 2);
        assert_eq!((captured.connecting, captured.joining), (Both::default(), Both::default()));
        assert_eq!(sums(captured.established), [(5, 2 * 112 + 52 + 25, 25), (3, 2 * 60 + 52 + 27, 27)]);
        // Once one session leaves, all that follows is closing.
        let mut leaving = Talk { packets: Vec::new(), sequence: [1, 1], client: 1000 };
        leaving.say(true, b"DELETE /pub/1 HTTP/1.1\r\n\r\n");
        packets.extend(leaving.packets);
        packets.extend(Talk::of(1002).packets);
        assert_eq!(tally(&packets, TransportKind::Sse).closing.sent.packets, 3);
    }

    #[test]
    fn what_is_sent_again_is_bytes_but_no_payload() {
        let mut talk = Talk::of(1000);
        talk.say(true, b"WSBENCH/1 JOIN /echo\n");
        talk.say(false, b"OK\n");
        talk.say(true, b"abcd");
        let again = talk.packets.last().unwrap().clone();
        talk.packets.push(again);
        talk.add(false, b"", 64, |tcp| tcp.header = 44);
        talk.say(true, b"ef");
        let Both { sent, received } = tally(&talk.packets, TransportKind::Tcp).established;
        assert_eq!((sent.packets, sent.bytes, sent.payload, sent.repeated), (3, 3 * 52 + 10, 6, 4));
        assert_eq!((received.bytes, received.sack), (64, 12));
    }

    #[test]
    fn datagrams_are_the_dialects_or_payloads_and_leftovers_are_nobodys() {
        let ends: [SocketAddr; 2] = [([127, 0, 0, 1], 1000).into(), ([127, 0, 0, 1], 80).into()];
        let datagram = |is_sent: bool, payload: &[u8]| {
            let [from, to] = if is_sent { ends } else { [ends[1], ends[0]] };
            Packet { from, to, size: 28 + payload.len() as u64, tcp: None, payload: payload.to_vec() }
        };
        let talk = [
            datagram(true, b"WSBENCH/1 JOIN /echo"),
            datagram(false, b"WSBENCH/1 OK"),
            datagram(true, b"hello"),
            datagram(false, b"hello"),
            datagram(true, b"WSBENCH/1 LEAVE"),
        ];
        let captured = tally(&talk, TransportKind::Udp);
        assert_eq!((captured.connections, captured.strays), (1, 0));
        assert_eq!(sums(captured.joining), [(1, 48, 20), (1, 40, 12)]);
        assert_eq!(sums(captured.established), [(1, 33, 5), (1, 33, 5)]);
        let mut late = Talk { packets: Vec::new(), sequence: [1, 1], client: 1000 };
        late.bare(true);
        assert_eq!(tally(&late.packets, TransportKind::Tcp), Captured { strays: 1, ..Captured::default() });
    }
}
