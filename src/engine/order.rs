//! Reordering (RFC 4737 §3): an arrival is reordered when its receiver already has a later message of the same sender. Over a path
//! that keeps order, one that isn't there by then won't come any more.

/// The latest message of each sender that each receiver has. Bounded: for rooms so large that it would need more than
/// [`MOST`] cells it is not kept, and the result says so.
#[derive(Debug)]
pub struct Order {
    /// For each receiver a row, for each sender within its group a column; 0 = none yet, else id + 1.
    latest: Option<Vec<u64>>,
    columns: usize,
}

/// 32 MB.
const MOST: usize = 4 << 20;

impl Order {
    /// `needed`: whether messages may come out of order or not at all; `columns`: senders that one receiver may hear.
    pub fn new(needed: bool, receivers: usize, columns: usize) -> Order {
        let cells = receivers.saturating_mul(columns);
        Order { latest: (needed && cells <= MOST).then(|| vec![0; cells]), columns }
    }

    /// Whether order is followed.
    pub fn is_tracked(&self) -> bool {
        self.latest.is_some()
    }

    /// Whether `receiver` has a later message of sender `column` than `id`.
    pub fn has_later(&self, receiver: u32, column: u32, id: u64) -> bool {
        let at = receiver as usize * self.columns + column as usize;
        self.latest.as_ref().and_then(|latest| latest.get(at)).is_some_and(|latest| *latest > id + 1)
    }

    /// Notes that `receiver` got message `id` of sender `column`; true if it came after a later one.
    pub fn is_reordered(&mut self, receiver: u32, column: u32, id: u64) -> bool {
        let at = receiver as usize * self.columns + column as usize;
        match self.latest.as_mut().and_then(|l| l.get_mut(at)) {
            Some(latest) => {
                let reordered = *latest > id + 1;
                *latest = (*latest).max(id + 1);
                reordered
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_overtaken_message_of_the_same_sender_is_reordered() {
        let mut order = Order::new(true, 2, 3);
        let arrivals = [(0, 1, 10), (0, 1, 12), (0, 1, 11), (0, 2, 5), (1, 1, 11), (0, 1, 13)];
        let seen = arrivals.map(|(receiver, sender, id)| order.is_reordered(receiver, sender, id));
        assert_eq!(seen, [false, false, true, false, false, false]);
        assert!(order.has_later(0, 1, 12) && !order.has_later(0, 1, 13));
        assert!(!order.has_later(1, 2, 0) && !order.has_later(0, 2, 5) && order.has_later(0, 2, 4));
    }

    #[test]
    fn says_when_it_does_not_follow() {
        assert!(!Order::new(true, 1 << 20, 1 << 20).is_tracked());
        assert!(!Order::new(false, 1, 1).is_tracked());
    }
}
