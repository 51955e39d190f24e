//! One end of an ordered and complete exchange of messages over a bus that may lose, double, delay and reorder.

use super::incoming::Incoming;
use super::offset::{Clocks, Offset};
use super::outgoing::Outgoing;
use super::packet::{Echo, HEADER, Packet, PacketError};
use super::{BusError, MAX_MESSAGE};
use crate::clock::{MILLI, Nanos};

/// So often something is sent at least, so that the peer can tell silence from having nothing to say.
pub const HEARTBEAT: Nanos = 500 * MILLI;

/// The first packets come sooner, so that the peer's clock is soon known well.
const FIRST_BEATS: u32 = 10;
const FIRST_HEARTBEAT: Nanos = 50 * MILLI;

/// Packets are never cut shorter than that, however little the bus carries.
const MIN_PACKET: usize = 2 * HEADER;

/// What went over the bus for one conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusTraffic {
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub packets_received: u64,
    pub bytes_received: u64,
    /// Packets that were sent again, because nobody acknowledged them.
    pub resent: u64,
    /// Packets that came once more.
    pub doubled: u64,
}

/// One end of a conversation. It does no I/O and reads no clock: all instants are the caller's, nanoseconds, and never go back.
///
/// What it keeps is bounded: by [`MAX_MESSAGE`] and what may be said and on its way.
#[derive(Debug)]
pub struct Conversation {
    id: u64,
    outgoing: Outgoing,
    incoming: Incoming,
    clocks: Clocks,
    /// When the peer was heard last; at first, when this began.
    heard: Nanos,
    has_heard: bool,
    echo: Option<Echo>,
    owes_acknowledgement: bool,
    beats: u32,
    next_beat: Nanos,
    is_forgotten: bool,
    traffic: BusTraffic,
}

impl Conversation {
    /// `limit`: bytes that the bus carries at once. Whoever begins draws `id` at random; the peer has it from the first packet.
    pub fn new(id: u64, limit: usize, now: Nanos) -> Conversation {
        Conversation {
            id,
            outgoing: Outgoing::new(limit.max(MIN_PACKET) - HEADER),
            incoming: Incoming::default(),
            clocks: Clocks::default(),
            heard: now,
            has_heard: false,
            echo: None,
            owes_acknowledgement: false,
            beats: 0,
            next_beat: now,
            is_forgotten: false,
            traffic: BusTraffic::default(),
        }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// Will be sent by [`Conversation::packets`], after all that was said before.
    ///
    /// # Errors
    /// If it is longer than [`MAX_MESSAGE`], or if so much is waiting already that the peer must have stopped listening.
    pub fn say(&mut self, message: &[u8]) -> Result<(), BusError> {
        self.outgoing.say(message)
    }

    /// The messages that this packet completes, in the order in which they were said, each once.
    ///
    /// # Errors
    /// If a peer that keeps to the rules would never send these bytes. Nothing has changed then, unless a message was
    /// [too long](PacketError::Long), which ends the conversation.
    pub fn hear(&mut self, packet: &[u8], now: Nanos) -> Result<Vec<Vec<u8>>, PacketError> {
        let length = packet.len();
        let packet = Packet::read(packet)?;
        if packet.conversation != self.id {
            return Err(PacketError::Elsewhere);
        }
        if let Some(piece) = &packet.piece {
            self.incoming.check(piece)?;
        }
        if !packet.forgotten {
            self.outgoing.acknowledge(packet.acked, packet.beyond)?;
            self.note_clock(&packet, now);
        }
        self.is_forgotten |= packet.forgotten;
        self.heard = now;
        self.has_heard = true;
        self.traffic.packets_received += 1;
        self.traffic.bytes_received += length as u64;
        let Some(piece) = &packet.piece else { return Ok(Vec::new()) };
        // Of one that came twice too: the first acknowledgement may be lost.
        self.owes_acknowledgement = true;
        let messages = self.incoming.take(piece);
        self.is_forgotten |= messages.is_err();
        messages
    }

    fn note_clock(&mut self, packet: &Packet, now: Nanos) {
        if let Some(echo) = packet.echo {
            self.clocks.sample(echo.sent, echo.heard, packet.sent, now);
            let held = packet.sent.saturating_sub(echo.heard);
            self.outgoing.note_round(now.saturating_sub(echo.sent).saturating_sub(held));
        }
        self.echo = Some(Echo { sent: packet.sent, heard: now });
    }

    /// What to publish now, in this order.
    pub fn packets(&mut self, now: Nanos) -> Vec<Vec<u8>> {
        if self.is_forgotten {
            return Vec::new();
        }
        let due = self.outgoing.due(now);
        let mut packets: Vec<_> = due.into_iter().map(|number| self.packet(Some(number), now)).collect();
        if packets.is_empty() && (self.owes_acknowledgement || now >= self.next_beat) {
            self.beats = self.beats.saturating_add(1);
            packets.push(self.packet(None, now));
        }
        if !packets.is_empty() {
            self.owes_acknowledgement = false;
            self.next_beat = now + if self.beats < FIRST_BEATS { FIRST_HEARTBEAT } else { HEARTBEAT };
        }
        self.traffic.packets_sent += packets.len() as u64;
        self.traffic.bytes_sent += packets.iter().map(|packet| packet.len() as u64).sum::<u64>();
        packets
    }

    fn packet(&self, number: Option<u64>, now: Nanos) -> Vec<u8> {
        let packet = Packet {
            conversation: self.id,
            opens: !self.has_heard,
            forgotten: false,
            sent: now,
            echo: self.echo,
            acked: self.incoming.acked(),
            beyond: self.incoming.beyond(),
            piece: number.and_then(|number| self.outgoing.piece(number)),
        };
        packet.write()
    }

    /// When [`Conversation::packets`] has something to publish next; an instant that has passed if it has now.
    pub fn wake_at(&self) -> Nanos {
        if self.is_forgotten {
            Nanos::MAX
        } else if self.owes_acknowledgement {
            0
        } else {
            self.next_beat.min(self.outgoing.wake_at())
        }
    }

    /// How long nothing has been heard of the peer; before it was ever heard, since this began.
    pub fn silent_for(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.heard)
    }

    /// The peer has been heard at least once.
    pub fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// The peer doesn't know of this conversation any more, or broke its rules. Nothing is sent from here on.
    pub fn is_forgotten(&self) -> bool {
        self.is_forgotten
    }

    /// Something was said that the peer hasn't acknowledged yet.
    pub fn has_unheard(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// How far the peer's clock is ahead of ours, as of the last packet that told of it. `None`: nothing has been heard of it yet.
    pub fn offset(&self) -> Option<Offset> {
        self.clocks.offset()
    }

    pub fn traffic(&self) -> BusTraffic {
        BusTraffic { resent: self.outgoing.resent, doubled: self.incoming.doubled, ..self.traffic }
    }
}

/// No message is longer than what may wait.
const _: () = assert!(MAX_MESSAGE > MIN_PACKET);
