//! What the target counts while it runs; becomes its [`Report`].

use super::Report;
use crate::measure::Histogram;
use std::cell::{Cell, RefCell};

/// Counters of one target, shared by all its faces.
#[derive(Debug, Default)]
pub struct Counts {
    pub events: Counter,
    pub accepted: Counter,
    pub refused: Counter,
    pub received: Counter,
    pub delivered: Counter,
    pub dropped: Counter,
    pub accept_errors: Counter,
    lateness: RefCell<Histogram>,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.set(self.0.get() + n);
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Counts {
    /// An event of the measured window left `late` nanoseconds after it was due.
    pub fn event(&self, late: u64) {
        self.events.add(1);
        self.lateness.borrow_mut().record(late);
    }

    pub fn report(&self) -> Report {
        Report {
            events: self.events.get(),
            lateness: self.lateness.borrow().clone(),
            accepted: self.accepted.get(),
            refused: self.refused.get(),
            received: self.received.get(),
            delivered: self.delivered.get(),
            dropped: self.dropped.get(),
            accept_errors: self.accept_errors.get(),
            truth: None,
        }
    }
}
