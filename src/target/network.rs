//! The emulated network: everything that crosses it is held for one constant delay.
//!
//! A constant delay keeps order, so each direction is one queue with one timer, whatever the number of messages and
//! connections. Without delay everything goes straight through.

use crate::clock::{Alarm, Nanos, now};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use tokio::sync::{Notify, oneshot};

/// Bytes that may be under way in one direction before readers wait and datagrams are dropped.
const MOST_HELD: usize = 64 << 20;

/// Both directions between the clients and the target.
pub struct Network {
    pub inbound: Transit,
    pub outbound: Transit,
}

/// One direction.
pub struct Transit {
    delay: Nanos,
    queue: RefCell<VecDeque<Held>>,
    held: Cell<usize>,
    filled: Notify,
    /// `None` without delay: there is never anything to wait for.
    alarm: Option<Alarm>,
}

struct Held {
    release: Nanos,
    size: usize,
    job: Box<dyn FnOnce()>,
}

impl Network {
    /// Takes all descriptors that it will ever need, so that running out of them later can't stop it. With a delay it needs
    /// a running tokio runtime.
    pub fn new(delay: Nanos) -> io::Result<Network> {
        Ok(Network { inbound: Transit::new(delay)?, outbound: Transit::new(delay)? })
    }

    /// What a TCP connect costs: one transit each way.
    pub async fn round_trip(&self) {
        self.inbound.cross().await;
        self.outbound.cross().await;
    }

    /// Forgets everything: jobs hold on to what holds on to the network.
    pub fn clear(&self) {
        let forgotten = (self.inbound.queue.take(), self.outbound.queue.take());
        drop(forgotten);
    }

    /// Releases what is due; ends only if a timer fails.
    pub async fn run(&self) -> io::Result<Infallible> {
        tokio::try_join!(self.inbound.run(), self.outbound.run()).map(|(never, _)| never)
    }
}

impl Transit {
    fn new(delay: Nanos) -> io::Result<Transit> {
        let alarm = (delay > 0).then(Alarm::new).transpose()?;
        Ok(Transit { delay, queue: RefCell::default(), held: Cell::new(0), filled: Notify::new(), alarm })
    }

    /// Whether what is carried arrives at once.
    pub fn is_instant(&self) -> bool {
        self.delay == 0
    }

    /// Does `job` when the `size` bytes that it carries have arrived: at once, or after the delay and in order.
    pub fn carry(&self, size: usize, job: impl FnOnce() + 'static) {
        if self.is_instant() {
            return job();
        }
        self.held.set(self.held.get() + size);
        self.queue.borrow_mut().push_back(Held { release: now() + self.delay, size, job: Box::new(job) });
        self.filled.notify_one();
    }

    /// Waits for one transit.
    pub async fn cross(&self) {
        if self.delay > 0 {
            let (arrive, arrived) = oneshot::channel();
            self.carry(0, move || _ = arrive.send(()));
            _ = arrived.await;
        }
    }

    /// So much is under way that no more should be read.
    pub fn is_full(&self) -> bool {
        self.held.get() > MOST_HELD
    }

    /// Waits while too much is under way: when this wait has crossed, what was ahead of it has too.
    pub async fn room(&self) {
        while self.is_full() {
            self.cross().await;
        }
    }

    async fn run(&self) -> io::Result<Infallible> {
        let Some(alarm) = &self.alarm else { return std::future::pending().await };
        loop {
            let Some(release) = self.queue.borrow().front().map(|h| h.release) else {
                self.filled.notified().await;
                continue;
            };
            alarm.sleep_until(release).await?;
            self.release(now());
            // A queue that is always due would otherwise keep everyone else from running.
            tokio::task::yield_now().await;
        }
    }

    fn release(&self, now: Nanos) {
        while let Some(held) = self.pop_due(now) {
            self.held.set(self.held.get() - held.size);
            (held.job)();
        }
    }

    fn pop_due(&self, now: Nanos) -> Option<Held> {
        self.queue.borrow_mut().pop_front_if(|held| held.release <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLI;
    use std::rc::Rc;

    #[tokio::test(flavor = "current_thread")]
    async fn holds_everything_for_the_delay_and_keeps_order() {
        let network = Network::new(5 * MILLI).unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let sent = now();
        for n in 0..100 {
            let seen = seen.clone();
            network.outbound.carry(1, move || seen.borrow_mut().push((n, now())));
        }
        assert!(seen.borrow().is_empty());
        tokio::select! {
            _ = network.run() => unreachable!(),
            () = network.outbound.cross() => {}
        }
        let seen = seen.borrow();
        assert!(seen.iter().map(|s| s.0).eq(0..100));
        assert!(seen.iter().all(|s| s.1 >= sent + 5 * MILLI));
        assert_eq!(network.outbound.held.get(), 0);
    }

    #[test]
    fn without_delay_nothing_waits() {
        let done = Rc::new(Cell::new(false));
        let seen = done.clone();
        Network::new(0).unwrap().inbound.carry(1, move || seen.set(true));
        assert!(done.get());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_reader_waits_while_too_much_is_under_way() {
        let network = Network::new(MILLI).unwrap();
        network.inbound.carry(MOST_HELD + 1, || ());
        assert!(network.inbound.is_full());
        tokio::select! {
            _ = network.run() => unreachable!(),
            () = network.inbound.room() => {}
        }
        assert!(!network.inbound.is_full());
    }
}
