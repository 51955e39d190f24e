//! What waits to be written to one client, and its bounds; and the queue of it that a task drains.

use super::counts::Counts;
use super::hub::Receiver;
use super::network::Network;
use crate::catalog::Format;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Messages that may wait for one client.
const MOST_ITEMS: usize = 16 * 1024;
/// Bytes that may wait for one client; any one message fits.
const MOST_BYTES: usize = 32 << 20;

/// A payload, shared by everyone who receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub format: Format,
    pub payload: Bytes,
}

impl Message {
    pub fn new(format: Format, payload: &[u8]) -> Message {
        Message { format, payload: Bytes::copy_from_slice(payload) }
    }

    /// A payload from a transport that doesn't say whether it is text: it is if it can be.
    pub fn untyped(payload: &[u8]) -> Message {
        let format = if std::str::from_utf8(payload).is_ok() { Format::Text } else { Format::Binary };
        Message::new(format, payload)
    }
}

/// One thing to write.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    Message(Message),
    /// Bytes as they are: an answer to a join, a pong, the reply to a close.
    Raw(Bytes),
    /// Start the transport's closing handshake, with this code where it has one.
    Close(u16),
    /// Nothing more will be written.
    End,
}

impl Item {
    pub fn size(&self) -> usize {
        match self {
            Item::Message(message) => message.payload.len(),
            Item::Raw(bytes) => bytes.len(),
            Item::Close(_) | Item::End => 0,
        }
    }

    /// A full outbox still takes what ends it.
    fn is_last(&self) -> bool {
        matches!(self, Item::Close(_) | Item::End)
    }
}

/// How much is on its way to one client, which is bounded.
#[derive(Debug, Default)]
pub struct Load {
    items: Cell<usize>,
    bytes: Cell<usize>,
}

impl Load {
    /// Adds `item`; false if there is no room for it.
    pub fn add(&self, item: &Item) -> bool {
        let size = item.size();
        let full = self.items.get() >= MOST_ITEMS || self.bytes.get() + size > MOST_BYTES;
        let fits = !full || item.is_last();
        if fits {
            self.items.set(self.items.get() + 1);
            self.bytes.set(self.bytes.get() + size);
        }
        fits
    }

    /// `item` is on its way no longer.
    pub fn take(&self, item: &Item) {
        self.items.set(self.items.get() - 1);
        self.bytes.set(self.bytes.get() - item.size());
    }
}

/// The queue of one client whose connection has a task. Items cross the emulated network first; what is under way counts against the bounds.
pub struct Outbox {
    network: Rc<Network>,
    counts: Rc<Counts>,
    queue: RefCell<VecDeque<Item>>,
    writer: RefCell<Option<Waker>>,
    load: Load,
    abandoned: Cell<bool>,
}

impl Outbox {
    pub fn new(network: &Rc<Network>, counts: &Rc<Counts>) -> Rc<Outbox> {
        Rc::new(Outbox {
            network: network.clone(),
            counts: counts.clone(),
            queue: RefCell::default(),
            writer: RefCell::default(),
            load: Load::default(),
            abandoned: Cell::new(false),
        })
    }

    /// Sends `item` on its way; false if the outbox is full and the item was dropped.
    pub fn send(self: &Rc<Self>, item: Item) -> bool {
        if !self.load.add(&item) {
            return false;
        }
        let outbox = self.clone();
        self.network.outbound.carry(item.size(), move || outbox.arrive(item));
        true
    }

    fn arrive(&self, item: Item) {
        self.queue.borrow_mut().push_back(item);
        if let Some(writer) = self.writer.borrow_mut().take() {
            writer.wake();
        }
    }

    /// The next item, if one has arrived.
    pub fn pop(&self) -> Option<Item> {
        let item = self.queue.borrow_mut().pop_front()?;
        self.load.take(&item);
        Some(item)
    }

    /// The next item, for the one task that writes.
    pub fn poll_pop(&self, context: &mut Context) -> Poll<Item> {
        match self.pop() {
            Some(item) => Poll::Ready(item),
            None => {
                *self.writer.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for the next item.
    pub async fn next(&self) -> Item {
        poll_fn(|context| self.poll_pop(context)).await
    }

    /// Nobody writes any more: what comes is let go.
    pub fn abandon(&self) {
        self.abandoned.set(true);
        while self.pop().is_some() {}
    }
}

impl Receiver for Outbox {
    fn deliver(self: Rc<Self>, message: &Message) {
        if self.abandoned.get() {
            return;
        }
        match self.send(Item::Message(message.clone())) {
            true => self.counts.delivered.add(1),
            false => self.counts.dropped.add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> (Rc<Counts>, Rc<Outbox>) {
        let counts = Rc::new(Counts::default());
        (counts.clone(), Outbox::new(&Rc::new(Network::new(0).unwrap()), &counts))
    }

    #[test]
    fn a_full_outbox_drops_and_counts_but_can_still_end() {
        let (counts, outbox) = outbox();
        for _ in 0..MOST_ITEMS + 3 {
            outbox.clone().deliver(&Message::new(Format::Text, b"x"));
        }
        assert_eq!((counts.delivered.get(), counts.dropped.get()), (MOST_ITEMS as u64, 3));
        assert!(outbox.send(Item::End));
        assert!(outbox.pop().is_some());
        assert!(outbox.pop().is_some());
        assert!(outbox.send(Item::Raw(Bytes::new())), "there is room again");
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (counts, outbox) = outbox();
        let large = Message::new(Format::Binary, &vec![0; MOST_BYTES / 2]);
        (0..3).for_each(|_| outbox.clone().deliver(&large));
        assert_eq!((counts.delivered.get(), counts.dropped.get()), (2, 1));
    }

    #[test]
    fn an_untyped_payload_is_text_if_it_can_be() {
        assert_eq!(Message::untyped("Grüße".as_bytes()).format, Format::Text);
        assert_eq!(Message::untyped(&[0xC2, 0xC6, 0xF5, 1]).format, Format::Binary);
    }
}
