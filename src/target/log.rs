//! The messages of a place that polls may still ask for, by position.

use super::outbox::Message;
use std::collections::VecDeque;

/// Messages kept for one place.
pub const MOST_MESSAGES: usize = 65_536;
/// Bytes kept for one place.
const MOST_BYTES: usize = 64 << 20;

/// The last messages of a place. Positions count all its messages; only the last ones can be read.
#[derive(Debug, Default)]
pub struct Log {
    /// Position of the first entry kept.
    base: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
}

#[derive(Debug)]
pub struct Entry {
    /// Who published it; `None`: the target.
    pub from: Option<u64>,
    pub message: Message,
    /// Whom it is for; `None`: everyone.
    pub only: Option<u64>,
    /// Members that are not to read it here.
    pub withheld: Vec<u64>,
}

impl Log {
    /// Position of the first message that is kept.
    pub fn first(&self) -> u64 {
        self.base
    }

    /// Position of the message that comes next.
    pub fn next(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, position: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(position.checked_sub(self.base)?).ok()?)
    }

    /// Counts a message without keeping it: nobody polls here.
    pub fn pass(&mut self) {
        self.base += 1;
    }

    /// Keeps a message; returns how many had to go because the log was full.
    pub fn append(&mut self, from: Option<u64>, message: &Message) -> u64 {
        self.keep(Entry { from, message: message.clone(), only: None, withheld: Vec::new() })
    }

    /// Keeps a message that only `member` is to read; returns the same.
    pub fn append_for(&mut self, member: u64, message: &Message) -> u64 {
        self.keep(Entry { from: None, message: message.clone(), only: Some(member), withheld: Vec::new() })
    }

    /// Keeps the last message from `member`.
    pub fn withhold(&mut self, member: u64) {
        if let Some(entry) = self.entries.back_mut() {
            entry.withheld.push(member);
        }
    }

    fn keep(&mut self, entry: Entry) -> u64 {
        self.bytes += entry.message.payload.len();
        self.entries.push_back(entry);
        let mut gone = 0;
        while self.entries.len() > MOST_MESSAGES || self.bytes > MOST_BYTES {
            self.drop_first();
            gone += 1;
        }
        gone
    }

    /// Lets go of everything before `position`.
    pub fn trim(&mut self, position: u64) {
        while self.base < position && !self.entries.is_empty() {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.message.payload.len();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Format;

    #[test]
    fn positions_stay_while_old_messages_go() {
        let mut log = Log::default();
        log.pass();
        let message = Message::new(Format::Text, b"x");
        let gone: u64 = (0..MOST_MESSAGES + 5).map(|_| log.append(None, &message)).sum();
        assert_eq!((gone, log.first(), log.next()), (5, 6, MOST_MESSAGES as u64 + 6));
        assert!(log.get(5).is_none() && log.get(6).is_some() && log.get(log.next()).is_none());
        log.trim(10);
        assert_eq!(log.first(), 10);
        log.trim(u64::MAX);
        assert_eq!((log.first(), log.len()), (log.next(), 0));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut log = Log::default();
        let large = Message::new(Format::Binary, &vec![0; 16 << 20]);
        let gone: u64 = (0..6).map(|_| log.append(None, &large)).sum();
        assert_eq!((gone, log.len()), (2, 4));
    }
}
