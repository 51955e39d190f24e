//! What the peer says: pieces in any order, some of them twice, put together again.

use super::MAX_MESSAGE;
use super::packet::{PacketError, Piece, WINDOW};
use std::collections::BTreeMap;

/// Bytes that are kept of what came before its turn; what would be more is sent again.
const MAX_EARLY: usize = 8 << 20;

#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// All pieces below this number have come.
    next: u64,
    /// The beginning of the message that isn't complete yet.
    message: Vec<u8>,
    /// Pieces that came before their turn: whether it is a message's last, and its bytes.
    early: BTreeMap<u64, (bool, Vec<u8>)>,
    early_bytes: usize,
    /// Pieces that came once more.
    pub doubled: u64,
}

impl Incoming {
    /// All pieces below this number have come.
    pub fn acked(&self) -> u64 {
        self.next
    }

    /// Bit n: the piece of the number [`Incoming::acked`] + 1 + n has come too.
    pub fn beyond(&self) -> u64 {
        self.early.keys().fold(0, |bits, number| bits | 1 << (number - self.next - 1))
    }

    /// Whether a peer that keeps to the rules could have sent that.
    pub fn check(&self, piece: &Piece) -> Result<(), PacketError> {
        if piece.number.saturating_sub(self.next) >= WINDOW {
            return Err(PacketError::Ahead { piece: piece.number, next: self.next });
        }
        Ok(())
    }

    /// The messages that this piece completes, in order.
    ///
    /// # Errors
    /// If a message becomes too long; what came before it in the same piece's wake is gone with it.
    pub fn take(&mut self, piece: &Piece) -> Result<Vec<Vec<u8>>, PacketError> {
        self.check(piece)?;
        if piece.number < self.next || self.early.contains_key(&piece.number) {
            self.doubled += 1;
            return Ok(Vec::new());
        }
        if piece.number > self.next {
            if self.early_bytes + piece.bytes.len() <= MAX_EARLY {
                self.early_bytes += piece.bytes.len();
                self.early.insert(piece.number, (piece.is_last, piece.bytes.to_vec()));
            }
            return Ok(Vec::new());
        }
        let mut messages = Vec::new();
        messages.extend(self.append(piece.is_last, piece.bytes)?);
        while let Some((is_last, bytes)) = self.early.remove(&self.next) {
            self.early_bytes -= bytes.len();
            messages.extend(self.append(is_last, &bytes)?);
        }
        Ok(messages)
    }

    fn append(&mut self, is_last: bool, bytes: &[u8]) -> Result<Option<Vec<u8>>, PacketError> {
        if self.message.len() + bytes.len() > MAX_MESSAGE {
            return Err(PacketError::Long(MAX_MESSAGE));
        }
        self.message.extend_from_slice(bytes);
        self.next += 1;
        Ok(is_last.then(|| std::mem::take(&mut self.message)))
    }
}
