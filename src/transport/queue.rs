//! What waits to be sent on one session, in the order in which it goes, bounded in bytes.

use super::Unsent;
use crate::catalog::Format;
use std::collections::VecDeque;

/// Pongs that may wait: a flood of pings can't fill the memory.
const MOST_PONGS: usize = 32;

/// Bytes of the dialect's own that may wait: a target that asks for answers and reads none can't fill the memory.
const MOST_OWN: usize = 1 << 20;

/// The queue. An empty one holds nothing on the heap.
pub(super) struct Queue {
    messages: VecDeque<Message>,
    /// Bytes of `messages`, and those of them that are the dialect's own.
    bytes: usize,
    own: usize,
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
    pub whose: Whose,
    pub format: Format,
    /// As it is written.
    pub bytes: Vec<u8>,
}

impl Message {
    /// Its bytes where it is the dialect's own.
    fn own(&self) -> usize {
        if self.whose == Whose::Dialect { self.bytes.len() } else { 0 }
    }
}

/// Whose a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The load's, with its number there and the length of its payload, bytes.
    Load { ticket: u64, payload: usize },
    /// The dialect's own.
    Dialect,
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
        Queue { messages: VecDeque::new(), bytes: 0, own: 0, pongs: VecDeque::new(), ping: false, state: State::Open }
    }

    /// Whether a message may go, and nothing goes before it.
    pub fn is_idle(&self) -> bool {
        self.state == State::Open && self.messages.is_empty() && self.pongs.is_empty() && !self.ping
    }

    /// Whether there is room for a payload of so many bytes. `limit` bounds those that wait; a message larger than that is
    /// taken when nothing waits.
    pub fn has_room(&self, payload: usize, limit: usize) -> Result<(), Unsent> {
        match self.state {
            State::Open if self.bytes + payload > limit && !self.messages.is_empty() => Err(Unsent::Full),
            State::Open => Ok(()),
            State::Closing(_) | State::Closed => Err(Unsent::Closed),
        }
    }

    /// Takes a message, for which there is [room](Self::has_room).
    pub fn push(&mut self, whose: Whose, format: Format, bytes: &[u8]) {
        let message = Message { whose, format, bytes: bytes.to_vec() };
        self.bytes += bytes.len();
        self.own += message.own();
        self.messages.push_back(message);
    }

    /// Whether more of the dialect's own waits than a target that reads would ever let.
    pub fn is_flooded(&self) -> bool {
        self.own > MOST_OWN
    }

    /// Puts back what [`next`](Self::next) gave, because it can't be written yet.
    pub fn unget(&mut self, message: Message) {
        self.bytes += message.bytes.len();
        self.own += message.own();
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
        (self.bytes, self.own) = (0, 0);
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
            self.bytes -= message.bytes.len();
            self.own -= message.own();
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
            Item::Message(Message { whose: Whose::Load { ticket, .. }, .. }) => ticket.to_string(),
            Item::Message(message) => String::from_utf8(message.bytes).unwrap(),
            Item::Close(code) => format!("close {code:?}"),
        };
        std::iter::from_fn(|| queue.next()).map(name).collect::<Vec<_>>().join(", ")
    }

    fn push(queue: &mut Queue, ticket: u64, payload: &[u8]) -> Result<(), Unsent> {
        queue.has_room(payload.len(), LIMIT)?;
        queue.push(Whose::Load { ticket, payload: payload.len() }, Format::Binary, payload);
        Ok(())
    }

    #[test]
    fn is_full_by_bytes_and_takes_one_message_of_any_size() {
        let mut queue = Queue::new();
        assert_eq!(push(&mut queue, 1, &[0; 50]), Ok(()));
        assert_eq!(push(&mut queue, 2, &[0; 1]), Err(Unsent::Full));
        assert_eq!(drained(&mut queue), "1");
        assert_eq!(push(&mut queue, 3, &[0; 5]), Ok(()));
        assert_eq!(push(&mut queue, 4, &[0; 5]), Ok(()));
        assert_eq!(push(&mut queue, 5, &[0; 1]), Err(Unsent::Full));
    }

    #[test]
    fn closing_lets_the_queue_out_first_and_takes_no_more() {
        let mut queue = Queue::new();
        push(&mut queue, 1, b"a").unwrap();
        queue.push(Whose::Dialect, Format::Text, b"bye");
        queue.close(Some(1000));
        queue.pong(b"x");
        queue.pong(b"y");
        assert_eq!(push(&mut queue, 2, b"b"), Err(Unsent::Closed));
        assert_eq!(drained(&mut queue), "pong x, pong y, 1, bye, close Some(1000)");
        queue.close(Some(1001));
        assert_eq!(drained(&mut queue), "");
    }

    #[test]
    fn a_flood_of_what_the_dialect_answers_is_seen_until_it_is_written() {
        let mut queue = Queue::new();
        queue.push(Whose::Load { ticket: 1, payload: MOST_OWN }, Format::Binary, &[0; MOST_OWN]);
        queue.push(Whose::Dialect, Format::Binary, &[0; MOST_OWN]);
        assert!(!queue.is_flooded());
        queue.push(Whose::Dialect, Format::Binary, b"x");
        assert!(queue.is_flooded());
        for still in [true, false] {
            queue.next();
            assert_eq!(queue.is_flooded(), still);
        }
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
        push(&mut queue, 1, b"a").unwrap();
        queue.answer_close(Some(1001));
        assert_eq!(drained(&mut queue), "close Some(1001)");
    }
}
