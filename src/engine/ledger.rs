//! What was sent and is still owed an answer. Gives every delivery exactly one outcome.
//!
//! A ring of messages, ascending by id: the front leaves when it is settled. Ids may be sparse, since most are other
//! workers'; they cost nothing. Who still owes a copy is a bit for each member of the group, in a ring of words beside it,
//! so that nothing is allocated for a message.

use crate::clock::Nanos;
use std::collections::VecDeque;

/// One message on the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    pub due: Nanos,
    pub taken: Nanos,
    /// Just before its first write; `None` until then.
    pub sent: Option<Nanos>,
    /// Local session that sends it.
    pub session: u32,
    /// Copies that were owed when it was sent, and that still are.
    pub expected: u32,
    pub remaining: u32,
}

/// What an arrival means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// It was owed; the entry as it is now.
    Owed(Entry),
    /// It had arrived before.
    Duplicate,
    /// Nobody owed it.
    Unmatched,
}

/// The books. Bounded: at most `limit` messages from the oldest unsettled one on.
#[derive(Debug)]
pub struct Ledger {
    /// Whatever has a lower id was never on the books, or has left them.
    base: u64,
    entries: VecDeque<Entry>,
    /// `stride` words for each entry: bit set = that seat still owes a copy.
    owing: VecDeque<u64>,
    /// Bit set = that seat was expected at all, to tell a duplicate from a stray.
    asked: VecDeque<u64>,
    stride: usize,
    limit: usize,
    owed: u64,
}

impl Ledger {
    /// `seats`: members of the largest group.
    pub fn new(seats: usize, limit: usize) -> Ledger {
        Ledger {
            base: 0,
            entries: VecDeque::new(),
            owing: VecDeque::new(),
            asked: VecDeque::new(),
            stride: seats.div_ceil(64),
            limit,
            owed: 0,
        }
    }

    /// Whether another message would still fit on the books.
    pub fn has_room(&self) -> bool {
        self.entries.len() < self.limit
    }

    /// Where `id` is in the ring.
    fn position(&self, id: u64) -> Option<usize> {
        // Where a single worker has all ids, this is the place.
        let dense = usize::try_from(id.checked_sub(self.base)?).ok()?;
        match self.entries.get(dense) {
            Some(entry) if entry.id == id => Some(dense),
            _ => self.entries.binary_search_by_key(&id, |entry| entry.id).ok(),
        }
    }

    /// Puts message `id` on the books, owed by `seats`. Ids ascend. Needs [`has_room`].
    ///
    /// [`has_room`]: Ledger::has_room
    pub fn open(&mut self, id: u64, session: u32, due: Nanos, taken: Nanos, seats: impl Iterator<Item = u32>) {
        if self.entries.is_empty() {
            self.base = self.base.max(id);
        }
        self.entries.push_back(Entry { id, due, taken, sent: None, session, expected: 0, remaining: 0 });
        self.owing.extend(std::iter::repeat_n(0, self.stride));
        self.asked.extend(std::iter::repeat_n(0, self.stride));
        let first = self.owing.len() - self.stride;
        let mut expected = 0;
        for seat in seats {
            let (word, bit) = (first + seat as usize / 64, 1 << (seat % 64));
            self.owing[word] |= bit;
            self.asked[word] |= bit;
            expected += 1;
        }
        let entry = self.entries.back_mut().expect("one was just pushed");
        (entry.expected, entry.remaining) = (expected, expected);
        self.owed += u64::from(expected);
    }

    pub fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(self.position(id)?)
    }

    /// Notes that `id` goes out at `at`; returns the entry the first time, `None` when it is sent again.
    pub fn sent(&mut self, id: u64, at: Nanos) -> Option<Entry> {
        let place = self.position(id)?;
        let entry = self.entries.get_mut(place)?;
        if entry.sent.is_some() {
            return None;
        }
        entry.sent = Some(at);
        Some(*entry)
    }

    /// Whether `seat` still owes its copy of `id`.
    pub fn is_owing(&self, id: u64, seat: u32) -> bool {
        let word = self.position(id).map(|at| at * self.stride + seat as usize / 64);
        word.and_then(|w| self.owing.get(w)).is_some_and(|w| w & (1 << (seat % 64)) != 0)
    }

    /// A copy of `id` reached `seat`.
    pub fn arrived(&mut self, id: u64, seat: u32) -> Arrived {
        if id < self.base {
            // Whatever left the books had all its copies; another worker's messages should never come here.
            return Arrived::Duplicate;
        }
        let Some(at) = self.position(id).filter(|_| (seat as usize) < self.stride * 64) else {
            return Arrived::Unmatched;
        };
        let (word, bit) = (at * self.stride + seat as usize / 64, 1u64 << (seat % 64));
        if self.owing[word] & bit == 0 {
            return if self.asked[word] & bit != 0 { Arrived::Duplicate } else { Arrived::Unmatched };
        }
        self.owing[word] &= !bit;
        self.owed -= 1;
        let entry = &mut self.entries[at];
        entry.remaining -= 1;
        let entry = *entry;
        self.release();
        Arrived::Owed(entry)
    }

    /// Takes `id` off the books unsettled: it was never sent.
    pub fn cancel(&mut self, id: u64) -> Option<Entry> {
        let at = self.position(id)?;
        let entry = self.entries.get_mut(at)?;
        let cancelled = *entry;
        (entry.sent, entry.expected, entry.remaining) = (None, 0, 0);
        for word in at * self.stride..(at + 1) * self.stride {
            (self.owing[word], self.asked[word]) = (0, 0);
        }
        self.owed -= u64::from(cancelled.remaining);
        self.release();
        Some(cancelled)
    }

    /// Copies still owed.
    pub fn owed(&self) -> u64 {
        self.owed
    }

    /// Closes the books: hands on everything that still owes something, oldest first, with the seats that do.
    pub fn close(&mut self, mut on: impl FnMut(Entry, &mut dyn Iterator<Item = u32>)) {
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.remaining > 0) {
            let words = self.owing.range(at * self.stride..(at + 1) * self.stride);
            let seats = words.enumerate().flat_map(|(word, bits)| {
                (0..64).filter(move |bit| bits & (1 << bit) != 0).map(move |bit| word as u32 * 64 + bit)
            });
            on(*entry, &mut { seats });
        }
        self.owed = 0;
        self.owing.clear();
        self.asked.clear();
        self.base = self.entries.back().map_or(self.base, |last| last.id + 1);
        self.entries.clear();
    }

    fn release(&mut self) {
        while let Some(settled) = self.entries.pop_front_if(|entry| entry.remaining == 0) {
            self.owing.drain(..self.stride);
            self.asked.drain(..self.stride);
            self.base = settled.id + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_message_is_settled_by_its_last_copy() {
        let mut ledger = Ledger::new(100, 10);
        ledger.open(5, 1, 10, 11, [0, 99].into_iter());
        assert_eq!(ledger.sent(5, 12).unwrap().sent, Some(12));
        assert_eq!(ledger.sent(5, 13), None, "a retry is not sent again");
        assert!(ledger.is_owing(5, 99) && !ledger.is_owing(5, 1) && !ledger.is_owing(6, 0));
        assert_eq!(ledger.owed(), 2);
        assert!(matches!(ledger.arrived(5, 99), Arrived::Owed(Entry { remaining: 1, sent: Some(12), .. })));
        assert_eq!(ledger.arrived(5, 99), Arrived::Duplicate);
        assert_eq!(ledger.arrived(5, 50), Arrived::Unmatched);
        assert!(matches!(ledger.arrived(5, 0), Arrived::Owed(Entry { remaining: 0, .. })));
        assert_eq!(ledger.arrived(5, 0), Arrived::Duplicate);
        assert_eq!(ledger.arrived(6, 0), Arrived::Unmatched);
        assert_eq!(ledger.owed(), 0);
    }

    #[test]
    fn is_bounded_by_the_oldest_unsettled_message() {
        let mut ledger = Ledger::new(1, 3);
        (0..3).for_each(|id| ledger.open(id, 0, 0, 0, [0].into_iter()));
        assert!(!ledger.has_room());
        ledger.arrived(1, 0);
        assert!(!ledger.has_room());
        ledger.arrived(0, 0);
        assert!(ledger.has_room());
    }

    #[test]
    fn ids_of_other_workers_cost_nothing() {
        let mut ledger = Ledger::new(1, 3);
        let ids = [7, 1_000_000_000_000, 2_000_000_000_003];
        for id in ids {
            assert!(ledger.has_room());
            ledger.open(id, 0, 0, 0, [0].into_iter());
        }
        assert_eq!(ledger.entries.len(), 3);
        assert_eq!(ledger.arrived(8, 0), Arrived::Unmatched);
        assert!(ids.iter().rev().all(|id| matches!(ledger.arrived(*id, 0), Arrived::Owed(entry) if entry.id == *id)));
        assert_eq!((ledger.arrived(ids[1], 0), ledger.owed()), (Arrived::Duplicate, 0));
    }

    proptest! {
        /// Whatever arrives in whatever order, each owed copy is delivered once or left owing, and nothing else counts.
        #[test]
        fn every_delivery_has_one_outcome(
            groups in proptest::collection::vec(proptest::collection::vec(0u32..130, 0..8), 1..40),
            arrivals in proptest::collection::vec((0u64..90, 0u32..140), 0..400),
        ) {
            let mut ledger = Ledger::new(130, 1000);
            let mut owed = HashSet::new();
            let mut queue = arrivals.into_iter();
            let (mut delivered, mut expected) = (0u64, 0u64);
            for (n, seats) in groups.iter().enumerate() {
                let id = 2 * n as u64;
                let seats: HashSet<u32> = seats.iter().copied().collect();
                ledger.open(id, 0, 0, 0, seats.iter().copied());
                expected += seats.len() as u64;
                owed.extend(seats.into_iter().map(|s| (id, s)));
                for (id, seat) in queue.by_ref().take(10) {
                    let was_owed = owed.remove(&(id, seat));
                    let got = ledger.arrived(id, seat);
                    prop_assert_eq!(was_owed, matches!(got, Arrived::Owed(_)));
                    delivered += u64::from(was_owed);
                }
            }
            prop_assert_eq!(ledger.owed(), owed.len() as u64);
            let (mut left, mut count) = (HashSet::new(), 0);
            ledger.close(|entry, seats| {
                count += u64::from(entry.remaining);
                left.extend(seats.map(|seat| (entry.id, seat)));
            });
            prop_assert_eq!(expected, delivered + count);
            prop_assert_eq!(left, owed);
        }
    }
}
