//! What was said and hasn't been acknowledged: cut into pieces, sent, and sent again when the acknowledgement stays away.

use super::packet::{PacketError, Piece, WINDOW};
use super::{BusError, MAX_MESSAGE};
use crate::clock::{MILLI, Nanos, SECOND};
use std::collections::VecDeque;

/// Bytes that may wait for the peer at most, those on their way among them.
const MAX_WAITING: usize = 2 * MAX_MESSAGE;

/// Bytes that may be on their way at once: to begin with, and at most. It grows by what is acknowledged, and halves when something
/// is lost, so that many agents that report to one coordinator at once are not cut off by the bus as a flood.
const FIRST_FLIGHT: usize = 256 << 10;
const MAX_FLIGHT: usize = 4 << 20;
const MIN_FLIGHT: usize = 16 << 10;

/// How long an acknowledgement is waited for: at first, at least and at most.
const FIRST_PATIENCE: Nanos = SECOND;
const MIN_PATIENCE: Nanos = 200 * MILLI;
const MAX_PATIENCE: Nanos = 2 * SECOND;

#[derive(Debug)]
struct Said {
    bytes: Vec<u8>,
    is_last: bool,
    /// When it was last sent, and how often.
    sent: Nanos,
    tries: u32,
    /// On its way, as far as one can know.
    is_out: bool,
    /// The peer has it, though something before it is missing.
    has_come: bool,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    /// Bytes of a message that a packet has room for.
    room: usize,
    /// All that isn't acknowledged, oldest first; the first has the number `first`.
    pieces: VecDeque<Said>,
    first: u64,
    /// How many of them have been sent; they are the first.
    sent: usize,
    waiting: usize,
    out: usize,
    flight: usize,
    /// When the flight was last made smaller.
    cut: Nanos,
    patience: Patience,
    /// Pieces that were sent again.
    pub resent: u64,
}

impl Outgoing {
    pub fn new(room: usize) -> Outgoing {
        Outgoing {
            room,
            pieces: VecDeque::new(),
            first: 0,
            sent: 0,
            waiting: 0,
            out: 0,
            flight: FIRST_FLIGHT,
            cut: 0,
            patience: Patience::default(),
            resent: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn say(&mut self, message: &[u8]) -> Result<(), BusError> {
        if message.len() > MAX_MESSAGE {
            return Err(BusError::TooLong { length: message.len(), limit: MAX_MESSAGE });
        }
        if self.waiting + message.len() > MAX_WAITING {
            return Err(BusError::Full { waiting: self.waiting });
        }
        self.waiting += message.len();
        let mut rest = message;
        loop {
            let (bytes, after) = rest.split_at(rest.len().min(self.room));
            let is_last = after.is_empty();
            let bytes = bytes.to_vec();
            self.pieces.push_back(Said { bytes, is_last, sent: 0, tries: 0, is_out: false, has_come: false });
            if is_last {
                return Ok(());
            }
            rest = after;
        }
    }

    /// Takes up what the peer says it has. Nothing changes if that can't be.
    pub fn acknowledge(&mut self, acked: u64, beyond: u64) -> Result<(), PacketError> {
        let said = self.first + self.sent as u64;
        let top = acked.saturating_add(u64::from(u64::BITS - beyond.leading_zeros()));
        // A bit stands for the piece after the one that is missing.
        if acked > said || (beyond != 0 && top >= said) {
            return Err(PacketError::Unsaid { acked: top, said });
        }
        while self.first < acked {
            let Some(piece) = self.pieces.pop_front() else { break };
            self.first += 1;
            self.sent -= 1;
            self.waiting -= piece.bytes.len();
            if piece.is_out {
                self.landed(piece.bytes.len());
            }
        }
        for bit in (0..u64::from(u64::BITS)).filter(|bit| beyond >> bit & 1 == 1) {
            let Some(at) = (acked + 1 + bit).checked_sub(self.first) else { continue };
            let Some(piece) = self.pieces.get_mut(at as usize).filter(|piece| !piece.has_come) else { continue };
            piece.has_come = true;
            if std::mem::take(&mut piece.is_out) {
                let length = piece.bytes.len();
                self.landed(length);
            }
        }
        Ok(())
    }

    fn landed(&mut self, length: usize) {
        self.out -= length;
        self.flight = (self.flight + length).min(MAX_FLIGHT);
    }

    /// A packet was on its way there, and one back, for so long.
    pub fn note_round(&mut self, round: Nanos) {
        self.patience.note(round.min(MAX_PATIENCE));
    }

    /// The numbers of the pieces to send now, which count as sent from here on.
    pub fn due(&mut self, now: Nanos) -> Vec<u64> {
        let mut is_lost = false;
        for piece in self.pieces.iter_mut().take(self.sent).filter(|piece| piece.is_out) {
            if now >= piece.sent.saturating_add(self.patience.with(piece.tries)) {
                piece.is_out = false;
                self.out -= piece.bytes.len();
                // What was sent before the flight was made smaller says nothing about the smaller one.
                is_lost |= piece.sent >= self.cut;
            }
        }
        if is_lost {
            self.flight = (self.flight / 2).max(MIN_FLIGHT);
            self.cut = now;
        }
        let mut due = Vec::new();
        while let Some(at) = self.sendable() {
            let piece = &mut self.pieces[at];
            self.out += piece.bytes.len();
            self.sent = self.sent.max(at + 1);
            self.resent += u64::from(piece.tries > 0);
            piece.tries += 1;
            piece.sent = now;
            piece.is_out = true;
            due.push(self.first + at as u64);
        }
        due
    }

    /// The first piece that waits to be sent, if the flight has room for it.
    fn sendable(&self) -> Option<usize> {
        let waits = |piece: &Said| !piece.is_out && !piece.has_come;
        let at = self.pieces.iter().take(WINDOW as usize).position(waits)?;
        let is_alone = !self.pieces.iter().take(self.sent).any(|piece| piece.is_out);
        (is_alone || self.out + self.pieces[at].bytes.len() <= self.flight).then_some(at)
    }

    /// When [`Outgoing::due`] has something to send; the past if it has now.
    pub fn wake_at(&self) -> Nanos {
        if self.sendable().is_some() {
            return 0;
        }
        let out = self.pieces.iter().take(self.sent).filter(|piece| piece.is_out);
        out.map(|piece| piece.sent.saturating_add(self.patience.with(piece.tries))).min().unwrap_or(Nanos::MAX)
    }

    /// The piece of that number, which [`Outgoing::due`] named.
    pub fn piece(&self, number: u64) -> Option<Piece<'_>> {
        let said = self.pieces.get(number.checked_sub(self.first)? as usize)?;
        Some(Piece { number, is_last: said.is_last, bytes: &said.bytes })
    }
}

/// How long to wait for an acknowledgement: from the round trips that were seen (RFC 6298), doubled with every try.
#[derive(Debug, Default)]
struct Patience {
    /// Smoothed round trip and its variation.
    seen: Option<(Nanos, Nanos)>,
}

impl Patience {
    fn note(&mut self, round: Nanos) {
        self.seen = Some(match self.seen {
            None => (round, round / 2),
            Some((smoothed, variation)) => {
                (smoothed - smoothed / 8 + round / 8, variation - variation / 4 + smoothed.abs_diff(round) / 4)
            }
        });
    }

    fn with(&self, tries: u32) -> Nanos {
        let once = match self.seen {
            None => FIRST_PATIENCE,
            Some((smoothed, variation)) => smoothed.saturating_add(4 * variation).clamp(MIN_PATIENCE, MAX_PATIENCE),
        };
        (once << tries.saturating_sub(1).min(4)).min(MAX_PATIENCE)
    }
}
