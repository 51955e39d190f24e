//! What is to be done later: one queue by instant, with one timer, whatever the number of things in it.

use crate::clock::{Alarm, Nanos, now};
use std::cell::{Cell, RefCell};
use std::collections::BinaryHeap;
use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use tokio::sync::Notify;

/// Bytes of messages that may wait at once.
const MOST_HELD: usize = 64 << 20;
/// What a waiting message costs beside its payload, about, bytes.
const OVERHEAD: usize = 256;

/// Jobs and their instants.
pub struct Agenda {
    queue: RefCell<Queue<Entry>>,
    held: Cell<usize>,
    /// Something is due sooner than what was waited for.
    sooner: Notify,
    alarm: Alarm,
}

struct Entry {
    size: usize,
    job: Box<dyn FnOnce()>,
}

impl Agenda {
    /// Takes the descriptor of its timer, so that running out of them later can't stop it. Needs a running tokio runtime.
    pub fn new() -> io::Result<Agenda> {
        let alarm = Alarm::new()?;
        Ok(Agenda { queue: RefCell::default(), held: Cell::new(0), sooner: Notify::new(), alarm })
    }

    /// Does `job` at `due`, or as soon after as it can be.
    pub fn at(&self, due: Nanos, job: impl FnOnce() + 'static) {
        self.add(due, 0, Box::new(job));
    }

    /// The same for a job that keeps a message of `size` bytes; false, and nothing kept, if too much is waiting already.
    pub fn hold(&self, due: Nanos, size: usize, job: impl FnOnce() + 'static) -> bool {
        let fits = self.held.get() <= MOST_HELD;
        if fits {
            self.add(due, size + OVERHEAD, Box::new(job));
        }
        fits
    }

    /// Does `job` at `start + n × every`, for n from 1, until it says that it is over. Instants that were missed are left
    /// out. `every` must not be 0.
    pub fn every<F>(self: &Rc<Self>, start: Nanos, every: Nanos, mut job: F)
    where
        F: FnMut() -> ControlFlow<()> + 'static,
    {
        let agenda = self.clone();
        self.at(start.saturating_add(every), move || {
            if job().is_continue() {
                let passed = (now() - start) / every * every;
                agenda.every(start + passed, every, job);
            }
        });
    }

    fn add(&self, due: Nanos, size: usize, job: Box<dyn FnOnce()>) {
        self.held.set(self.held.get() + size);
        let first = self.queue.borrow_mut().push(due, Entry { size, job });
        if first {
            self.sooner.notify_one();
        }
    }

    /// Does what is due; ends only if its timer fails.
    pub async fn run(&self) -> io::Result<Infallible> {
        loop {
            let Some(due) = self.queue.borrow().first_due() else {
                self.sooner.notified().await;
                continue;
            };
            tokio::select! {
                slept = self.alarm.sleep_until(due) => slept?,
                () = self.sooner.notified() => continue,
            }
            let now = now();
            while let Some(entry) = self.pop(now) {
                (entry.job)();
            }
            // A queue that is always due would otherwise keep everyone else from running.
            tokio::task::yield_now().await;
        }
    }

    fn pop(&self, now: Nanos) -> Option<Entry> {
        let entry = self.queue.borrow_mut().pop(now)?;
        self.held.set(self.held.get() - entry.size);
        Some(entry)
    }

    /// Forgets everything: jobs hold on to what holds on to the agenda.
    pub fn clear(&self) {
        let forgotten = self.queue.take();
        self.held.set(0);
        drop(forgotten);
    }
}

/// A heap by instant; of the same instant, what came first comes first.
struct Queue<T> {
    heap: BinaryHeap<Timed<T>>,
    pushed: u64,
}

struct Timed<T> {
    due: Nanos,
    number: u64,
    what: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { heap: BinaryHeap::new(), pushed: 0 }
    }
}

impl<T> Queue<T> {
    /// True if this is now the first that is due.
    fn push(&mut self, due: Nanos, what: T) -> bool {
        let first = self.first_due().is_none_or(|first| due < first);
        self.heap.push(Timed { due, number: self.pushed, what });
        self.pushed += 1;
        first
    }

    fn first_due(&self) -> Option<Nanos> {
        self.heap.peek().map(|timed| timed.due)
    }

    /// The first that is due by `now`.
    fn pop(&mut self, now: Nanos) -> Option<T> {
        self.first_due().filter(|due| *due <= now)?;
        self.heap.pop().map(|timed| timed.what)
    }
}

impl<T> Ord for Timed<T> {
    /// The least is on top of the heap.
    fn cmp(&self, other: &Timed<T>) -> std::cmp::Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl<T> PartialOrd for Timed<T> {
    fn partial_cmp(&self, other: &Timed<T>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Timed<T> {
    fn eq(&self, other: &Timed<T>) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Timed<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLI;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn everything_comes_once_in_order_and_never_early(dues in proptest::collection::vec(0u64..50, 0..100), step in 1u64..20) {
            let mut queue = Queue::default();
            for (number, due) in dues.iter().enumerate() {
                let least = dues[..number].iter().min();
                prop_assert_eq!(queue.push(*due, (*due, number)), least.is_none_or(|least| due < least));
            }
            let mut came = Vec::new();
            let mut now = 0;
            while queue.first_due().is_some() {
                while let Some((due, number)) = queue.pop(now) {
                    prop_assert!(due <= now && now < due + step);
                    came.push((due, number));
                }
                now += step;
            }
            let mut want: Vec<_> = dues.iter().copied().zip(0..).collect();
            want.sort_unstable();
            prop_assert_eq!(came, want);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_comes_later_but_is_due_sooner_is_done_sooner() {
        let agenda = Rc::new(Agenda::new().unwrap());
        let done = Rc::new(RefCell::new(Vec::new()));
        let start = now();
        let note = |n: u64| {
            let done = done.clone();
            move || done.borrow_mut().push((n, now()))
        };
        agenda.at(start + 20 * MILLI, note(20));
        let mut rounds = 0;
        let (finished, each) = (Rc::new(Notify::new()), done.clone());
        let finish = finished.clone();
        agenda.every(start, 7 * MILLI, move || {
            rounds += 1;
            each.borrow_mut().push((7 * rounds, now()));
            if rounds < 5 {
                return ControlFlow::Continue(());
            }
            finish.notify_one();
            ControlFlow::Break(())
        });
        let sooner = async {
            tokio::task::yield_now().await;
            agenda.at(start + 3 * MILLI, note(3));
            finished.notified().await;
        };
        tokio::select! {
            _ = agenda.run() => unreachable!(),
            () = sooner => {}
        }
        let done = done.borrow();
        assert_eq!(done[0].0, 3);
        assert!(done.iter().all(|(n, at)| *at >= start + n * MILLI), "{done:?}");
        assert_eq!(done.len(), 7);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn more_than_it_may_hold_is_refused() {
        let agenda = Agenda::new().unwrap();
        assert!(agenda.hold(0, MOST_HELD, || ()));
        assert!(!agenda.hold(0, 1, || ()));
        agenda.pop(0).unwrap();
        assert!(agenda.hold(0, 1, || ()));
    }
}
