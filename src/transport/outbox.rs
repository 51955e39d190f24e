//! The queue of a session that has a task of its own: whoever writes waits here for what comes.

use super::Unsent;
use super::queue::{Item, Queue, Whose};
use crate::catalog::Format;
use std::cell::RefCell;
use tokio::sync::Notify;

/// A queue with one writer task behind it.
pub(super) struct Outbox {
    queue: RefCell<Queue>,
    limit: usize,
    filled: Notify,
    closing: Notify,
}

impl Outbox {
    /// `limit` bounds the bytes that wait.
    pub fn new(limit: usize) -> Outbox {
        Outbox { queue: RefCell::new(Queue::new()), limit, filled: Notify::new(), closing: Notify::new() }
    }

    /// Whether there is room for a payload of so many bytes.
    pub fn has_room(&self, payload: usize) -> Result<(), Unsent> {
        self.queue.borrow().has_room(payload, self.limit)
    }

    /// Takes a message, for which there is [room](Self::has_room) unless it is the dialect's own.
    pub fn push(&self, whose: Whose, format: Format, bytes: &[u8]) {
        self.queue.borrow_mut().push(whose, format, bytes);
        self.filled.notify_one();
    }

    /// See [`Queue::is_flooded`].
    pub fn is_flooded(&self) -> bool {
        self.queue.borrow().is_flooded()
    }

    pub fn pong(&self, payload: &[u8]) {
        self.queue.borrow_mut().pong(payload);
        self.filled.notify_one();
    }

    pub fn ping(&self) {
        self.queue.borrow_mut().ping();
        self.filled.notify_one();
    }

    /// Closes once what is queued has been sent. Without effect when closing has begun already.
    pub fn close(&self, code: Option<u16>) {
        if self.queue.borrow_mut().close(code) {
            self.filled.notify_one();
            self.closing.notify_one();
        }
    }

    /// Answers the target's close: what is queued won't be read any more, so it isn't sent.
    pub fn answer_close(&self, code: Option<u16>) {
        if self.queue.borrow_mut().answer_close(code) {
            self.filled.notify_one();
            self.closing.notify_one();
        }
    }

    /// Takes nothing from now on, and sends nothing.
    pub fn shut(&self) {
        self.queue.borrow_mut().shut();
    }

    /// Has closing been asked for?
    pub fn is_closing(&self) -> bool {
        self.queue.borrow().is_closing()
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
        self.queue.borrow_mut().next()
    }
}
