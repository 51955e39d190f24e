//! What the connections on the reactor share: the reactor, and copies that are gathered to be written together.

use super::server::Core;
use crate::clock::{MILLI, Nanos, now};
use crate::reactor::{Reactor, Token};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// What patience is rounded up to: that of many connections ends together then, and costs one timer.
const GRAIN: Nanos = 100 * MILLI;
/// Copies that are gathered before they are written anyway.
const MOST_GATHERED: usize = 8192;

pub struct Shared {
    pub core: Rc<Core>,
    pub reactor: Rc<Reactor>,
    gathering: Cell<bool>,
    gathered: Cell<usize>,
    holders: RefCell<Vec<Rc<dyn Holder>>>,
}

/// Holds copies while they are gathered.
pub trait Holder {
    /// Writes them.
    fn let_go(&self);
}

impl Shared {
    pub fn new(core: Rc<Core>, reactor: Rc<Reactor>) -> Rc<Shared> {
        let shared = Rc::new(Shared {
            core,
            reactor,
            gathering: Cell::new(false),
            gathered: Cell::new(0),
            holders: RefCell::default(),
        });
        let gathered = Rc::downgrade(&shared);
        shared.reactor.after_turn(move || gathered.upgrade().into_iter().for_each(|shared| shared.let_go()));
        shared
    }

    /// Gathers the copies that `work` hands out, to be written with what else comes in this turn of the reactor, so that who
    /// gets several is written to once.
    pub fn gather<T>(&self, work: impl FnOnce() -> T) -> T {
        self.gathering.set(true);
        let result = work();
        self.gathering.set(false);
        result
    }

    /// Does `work`, and writes what it hands out together.
    pub fn together(&self, work: impl FnOnce()) {
        self.gather(work);
        self.let_go();
    }

    /// What comes now can't be joined by more, and is written at once.
    pub fn stop_gathering(&self) {
        self.gathering.set(false);
    }

    pub fn is_gathering(&self) -> bool {
        self.gathering.get()
    }

    /// One more copy is held; by `holder`, if it held none before.
    pub fn hold(&self, holder: Option<Rc<dyn Holder>>) {
        self.gathered.set(self.gathered.get() + 1);
        self.holders.borrow_mut().extend(holder);
    }

    /// Writes what is gathered if it is much already. Not to be called while a place's members are gone through.
    pub fn bound(&self) {
        if self.gathered.get() >= MOST_GATHERED {
            self.let_go();
        }
    }

    fn let_go(&self) {
        if self.gathered.get() == 0 {
            return;
        }
        self.gathered.set(0);
        let mut holders = self.holders.take();
        holders.drain(..).for_each(|holder| holder.let_go());
        *self.holders.borrow_mut() = holders;
    }

    /// Has `token` called when `patience` is over, or a little later; returns when that is.
    pub fn wake_after(&self, patience: Duration, token: Token) -> Nanos {
        let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        let at = now().saturating_add(patience).div_ceil(GRAIN).saturating_mul(GRAIN);
        self.reactor.wake_at(at, token);
        at
    }
}

/// Where the bytes of one read end.
#[derive(Clone, Copy)]
pub struct Chunk(usize);

impl Chunk {
    pub fn of(bytes: &[u8]) -> Chunk {
        Chunk(bytes.as_ptr_range().end as usize)
    }

    /// Whether `message` is the last whole one of them, as far as can be told from where it lies. One that was put together
    /// elsewhere isn't.
    pub fn ends_with(self, message: &[u8]) -> bool {
        // A line feed or the first byte of another message may follow.
        self.0.wrapping_sub(message.as_ptr_range().end as usize) <= 1
    }
}
