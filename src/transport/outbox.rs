//! What waits to be sent on one session, bounded in bytes.

use super::Unsent;
use crate::catalog::Format;
use std::cell::RefCell;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// Pongs that may wait: a flood of pings can't fill the memory.
const MOST_PONGS: usize = 32;

/// A queue with one writer task behind it.
pub(super) struct Outbox {
    queue: RefCell<Queue>,
    limit: usize,
    filled: Notify,
    closing: Notify,
}

struct Queue {
    messages: VecDeque<Message>,
    /// Payload bytes of `messages`.
    bytes: usize,
    /// Payloads of pings that aren't answered yet, at most [`MOST_PONGS`].
    pongs: VecDeque<Vec<u8>>,
    ping: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// What is queued goes first, then a close with this code.
    Closing(Option<u16>),
    Closed,
}

pub(super) struct Message {
    pub ticket: u64,
    pub format: Format,
    pub payload: Vec<u8>,
}

/// What to write next.
pub(super) enum Item {
    /// An answer to the target's ping.
    Pong(Vec<u8>),
    /// A ping of our own.
    Ping,
    Message(Message),
    /// The last item: close, with this code where the transport has one.
    Close(Option<u16>),
}

impl Outbox {
    /// `limit` bounds the payload bytes that wait; a message larger than that is taken when nothing waits.
    pub fn new(limit: usize) -> Outbox {
        let queue =
            Queue { messages: VecDeque::new(), bytes: 0, pongs: VecDeque::new(), ping: false, state: State::Open };
        Outbox { queue: RefCell::new(queue), limit, filled: Notify::new(), closing: Notify::new() }
    }

    pub fn push(&self, ticket: u64, format: Format, payload: &[u8]) -> Result<(), Unsent> {
        let mut queue = self.queue.borrow_mut();
        if queue.state != State::Open {
            return Err(Unsent::Closed);
        }
        if queue.bytes + payload.len() > self.limit && !queue.messages.is_empty() {
            return Err(Unsent::Full);
        }
        queue.bytes += payload.len();
        queue.messages.push_back(Message { ticket, format, payload: payload.to_vec() });
        self.filled.notify_one();
        Ok(())
    }

    /// Answers a ping. Where too many wait, the latest ping's answer stands for those before (RFC 6455 §5.5.3).
    pub fn pong(&self, payload: &[u8]) {
        let mut queue = self.queue.borrow_mut();
        queue.pongs.truncate(MOST_PONGS - 1);
        queue.pongs.push_back(payload.to_vec());
        self.filled.notify_one();
    }

    pub fn ping(&self) {
        self.queue.borrow_mut().ping = true;
        self.filled.notify_one();
    }

    /// Closes once what is queued has been sent. Without effect when closing has begun already.
    pub fn close(&self, code: Option<u16>) {
        let mut queue = self.queue.borrow_mut();
        if queue.state == State::Open {
            queue.state = State::Closing(code);
            self.filled.notify_one();
            self.closing.notify_one();
        }
    }

    /// Answers the target's close: what is queued won't be read any more, so it isn't sent.
    pub fn answer_close(&self, code: Option<u16>) {
        {
            let mut queue = self.queue.borrow_mut();
            queue.messages.clear();
            queue.bytes = 0;
        }
        self.close(code);
    }

    /// Takes nothing from now on, and sends nothing.
    pub fn shut(&self) {
        self.queue.borrow_mut().state = State::Closed;
    }

    /// Has closing been asked for?
    pub fn is_closing(&self) -> bool {
        self.queue.borrow().state != State::Open
    }

    /// Waits until closing begins, whichever end began it, or has to be given up ([`Self::give_up`]).
    pub async fn begun_closing(&self) {
        self.closing.notified().await;
    }

    /// Nothing more can be written: the session has as long to end as if it were closing.
    pub fn give_up(&self) {
        self.shut();
        self.closing.notify_one();
    }

    /// The next item, as soon as there is one.
    pub async fn next(&self) -> Item {
        loop {
            if let Some(item) = self.try_next() {
                return item;
            }
            self.filled.notified().await;
        }
    }

    pub fn try_next(&self) -> Option<Item> {
        let mut queue = self.queue.borrow_mut();
        if queue.state == State::Closed {
            return None;
        }
        if let Some(payload) = queue.pongs.pop_front() {
            return Some(Item::Pong(payload));
        }
        if std::mem::take(&mut queue.ping) {
            return Some(Item::Ping);
        }
        if let Some(message) = queue.messages.pop_front() {
            queue.bytes -= message.payload.len();
            return Some(Item::Message(message));
        }
        match queue.state {
            State::Closing(code) => {
                queue.state = State::Closed;
                Some(Item::Close(code))
            }
            State::Open | State::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(outbox: &Outbox) -> String {
        let name = |item| match item {
            Item::Pong(payload) => format!("pong {}", String::from_utf8(payload).unwrap()),
            Item::Ping => "ping".to_owned(),
            Item::Message(m) => m.ticket.to_string(),
            Item::Close(code) => format!("close {code:?}"),
        };
        std::iter::from_fn(|| outbox.try_next()).map(name).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn is_full_by_bytes_and_takes_one_message_of_any_size() {
        let outbox = Outbox::new(10);
        assert_eq!(outbox.push(1, Format::Binary, &[0; 50]), Ok(()));
        assert_eq!(outbox.push(2, Format::Binary, &[0; 1]), Err(Unsent::Full));
        assert_eq!(drained(&outbox), "1");
        assert_eq!(outbox.push(3, Format::Binary, &[0; 5]), Ok(()));
        assert_eq!(outbox.push(4, Format::Binary, &[0; 5]), Ok(()));
        assert_eq!(outbox.push(5, Format::Binary, &[0; 1]), Err(Unsent::Full));
    }

    #[test]
    fn closing_lets_the_queue_out_first_and_takes_no_more() {
        let outbox = Outbox::new(100);
        outbox.push(1, Format::Binary, b"a").unwrap();
        outbox.close(Some(1000));
        outbox.pong(b"x");
        outbox.pong(b"y");
        assert_eq!(outbox.push(2, Format::Binary, b"b"), Err(Unsent::Closed));
        assert_eq!(drained(&outbox), "pong x, pong y, 1, close Some(1000)");
        outbox.close(Some(1001));
        assert_eq!(drained(&outbox), "");
    }

    #[test]
    fn a_flood_of_pings_is_answered_up_to_the_latest() {
        let outbox = Outbox::new(100);
        (0..MOST_PONGS + 5).for_each(|n| outbox.pong(n.to_string().as_bytes()));
        let answered = drained(&outbox);
        assert!(answered.starts_with("pong 0, pong 1, ") && answered.ends_with("pong 30, pong 36"), "{answered}");
    }

    #[test]
    fn answering_a_close_drops_what_waits() {
        let outbox = Outbox::new(100);
        outbox.push(1, Format::Binary, b"a").unwrap();
        outbox.answer_close(Some(1001));
        assert_eq!(drained(&outbox), "close Some(1001)");
    }
}
