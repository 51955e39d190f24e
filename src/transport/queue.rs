//! What waits to be sent on one session, in the order in which it goes, bounded in bytes.

use super::Unsent;
use crate::catalog::Format;
use std::collections::VecDeque;

/// Pongs that may wait: a flood of pings can't fill the memory.
const MOST_PONGS: usize = 32;

/// The queue. An empty one holds nothing on the heap.
pub(super) struct Queue {
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

impl Queue {
    pub fn new() -> Queue {
        Queue { messages: VecDeque::new(), bytes: 0, pongs: VecDeque::new(), ping: false, state: State::Open }
    }

    /// Whether a message may go, and nothing goes before it.
    pub fn is_idle(&self) -> bool {
        self.state == State::Open && self.messages.is_empty() && self.pongs.is_empty() && !self.ping
    }

    /// `limit` bounds the payload bytes that wait; a message larger than that is taken when nothing waits.
    pub fn push(&mut self, ticket: u64, format: Format, payload: &[u8], limit: usize) -> Result<(), Unsent> {
        if self.state != State::Open {
            return Err(Unsent::Closed);
        }
        if self.bytes + payload.len() > limit && !self.messages.is_empty() {
            return Err(Unsent::Full);
        }
        self.bytes += payload.len();
        self.messages.push_back(Message { ticket, format, payload: payload.to_vec() });
        Ok(())
    }

    /// Puts back what [`next`](Self::next) gave, because it can't be written yet.
    pub fn unget(&mut self, message: Message) {
        self.bytes += message.payload.len();
        self.messages.push_front(message);
    }

    /// Answers a ping. Where too many wait, the latest ping's answer stands for those before (RFC 6455 §5.5.3).
    pub fn pong(&mut self, payload: &[u8]) {
        self.pongs.truncate(MOST_PONGS - 1);
        self.pongs.push_back(payload.to_vec());
    }

    pub fn ping(&mut self) {
        self.ping = true;
    }

    /// Closes once what is queued has been sent; false if closing has begun already.
    pub fn close(&mut self, code: Option<u16>) -> bool {
        let is_open = self.state == State::Open;
        if is_open {
            self.state = State::Closing(code);
        }
        is_open
    }

    /// Answers the target's close: what is queued won't be read any more, so it isn't sent. False as for [`close`](Self::close).
    pub fn answer_close(&mut self, code: Option<u16>) -> bool {
        self.messages = VecDeque::new();
        self.bytes = 0;
        self.close(code)
    }

    /// Takes nothing from now on, and sends nothing.
    pub fn shut(&mut self) {
        self.state = State::Closed;
    }

    /// Has closing been asked for?
    pub fn is_closing(&self) -> bool {
        self.state != State::Open
    }

    /// Is the close itself out, or given up?
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub fn next(&mut self) -> Option<Item> {
        if self.state == State::Closed {
            return None;
        }
        if let Some(payload) = self.pongs.pop_front() {
            return Some(Item::Pong(payload));
        }
        if std::mem::take(&mut self.ping) {
            return Some(Item::Ping);
        }
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.payload.len();
            return Some(Item::Message(message));
        }
        match self.state {
            State::Closing(code) => {
                self.state = State::Closed;
                Some(Item::Close(code))
            }
            State::Open | State::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 10;

    fn drained(queue: &mut Queue) -> String {
        let name = |item| match item {
            Item::Pong(payload) => format!("pong {}", String::from_utf8(payload).unwrap()),
            Item::Ping => "ping".to_owned(),
            Item::Message(m) => m.ticket.to_string(),
            Item::Close(code) => format!("close {code:?}"),
        };
        std::iter::from_fn(|| queue.next()).map(name).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn is_full_by_bytes_and_takes_one_message_of_any_size() {
        let mut queue = Queue::new();
        assert_eq!(queue.push(1, Format::Binary, &[0; 50], LIMIT), Ok(()));
        assert_eq!(queue.push(2, Format::Binary, &[0; 1], LIMIT), Err(Unsent::Full));
        assert_eq!(drained(&mut queue), "1");
        assert_eq!(queue.push(3, Format::Binary, &[0; 5], LIMIT), Ok(()));
        assert_eq!(queue.push(4, Format::Binary, &[0; 5], LIMIT), Ok(()));
        assert_eq!(queue.push(5, Format::Binary, &[0; 1], LIMIT), Err(Unsent::Full));
    }

    #[test]
    fn closing_lets_the_queue_out_first_and_takes_no_more() {
        let mut queue = Queue::new();
        queue.push(1, Format::Binary, b"a", LIMIT).unwrap();
        queue.close(Some(1000));
        queue.pong(b"x");
        queue.pong(b"y");
        assert_eq!(queue.push(2, Format::Binary, b"b", LIMIT), Err(Unsent::Closed));
        assert_eq!(drained(&mut queue), "pong x, pong y, 1, close Some(1000)");
        queue.close(Some(1001));
        assert_eq!(drained(&mut queue), "");
    }

    #[test]
    fn a_flood_of_pings_is_answered_up_to_the_latest() {
        let mut queue = Queue::new();
        (0..MOST_PONGS + 5).for_each(|n| queue.pong(n.to_string().as_bytes()));
        let answered = drained(&mut queue);
        assert!(answered.starts_with("pong 0, pong 1, ") && answered.ends_with("pong 30, pong 36"), "{answered}");
    }

    #[test]
    fn answering_a_close_drops_what_waits() {
        let mut queue = Queue::new();
        queue.push(1, Format::Binary, b"a", LIMIT).unwrap();
        queue.answer_close(Some(1001));
        assert_eq!(drained(&mut queue), "close Some(1001)");
    }
}
