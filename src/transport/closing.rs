//! How one session comes to its end: who closed, when, with what code, and what broke.

use super::{Ended, ErrorClass, Failure};
use crate::clock::{Nanos, now};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// How long the target has to answer a close.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Why nothing more is read on a session.
pub(super) enum Stop {
    /// The target's Close, with its code.
    Closed(Option<u16>),
    /// The end of the stream, without a Close.
    End,
    /// The stream broke.
    Broken(Failure),
    /// The target broke the rules; with the code of the Close that says so.
    Violation(u16, Failure),
}

#[derive(Default)]
pub(super) struct Closing {
    /// When the first close was written or read.
    began: Cell<Option<Nanos>>,
    by_us: Cell<bool>,
    /// The target's close, with its code.
    by_target: Cell<Option<Option<u16>>>,
    /// What broke the session, if it hasn't ended of it yet.
    breakage: RefCell<Option<Box<Failure>>>,
}

impl Closing {
    /// A close is being written or was read; the first one counts.
    pub fn began(&self) {
        if self.began.get().is_none() {
            self.began.set(Some(now()));
        }
    }

    pub fn by_us(&self) {
        self.by_us.set(true);
    }

    pub fn is_by_us(&self) -> bool {
        self.by_us.get()
    }

    /// The target closes, with this code where the transport has one.
    pub fn by_target(&self, code: Option<u16>) {
        self.began();
        if self.by_target.get().is_none() {
            self.by_target.set(Some(code));
        }
    }

    pub fn is_by_target(&self) -> bool {
        self.by_target.get().is_some()
    }

    /// Something broke that the session will end of; the first one counts.
    pub fn broke(&self, failure: Failure) {
        self.breakage.borrow_mut().get_or_insert(Box::new(failure));
    }

    pub fn take_breakage(&self) -> Option<Failure> {
        self.breakage.take().map(|failure| *failure)
    }

    /// A session that broke.
    pub fn broken(&self, failure: Failure) -> Ended {
        Ended { failure: Some(failure), close_time: None, code: self.by_target.get().flatten() }
    }

    /// A session whose closing handshake was whole, ended by the stream's end now.
    pub fn closed(&self) -> Ended {
        let code = self.by_target.get().flatten();
        let close_time = self.began.get().map(|began| now() - began);
        Ended { failure: self.blame(code), close_time, code }
    }

    /// A stream that ended without anybody having closed, or with only us having done so.
    pub fn cut_off(&self, detail: &str) -> Ended {
        let failure = self.take_breakage().unwrap_or_else(|| Failure::new(ErrorClass::Truncated, detail));
        self.broken(failure)
    }

    /// A session that should have ended and hasn't.
    pub fn overdue(&self) -> Ended {
        let code = self.by_target.get().flatten();
        let by_target = self.is_by_target().then(|| self.blame(code)).flatten();
        let failure = by_target.or_else(|| self.take_breakage()).unwrap_or_else(|| {
            Failure::new(ErrorClass::CloseTimeout, format!("no end of the stream within {CLOSE_PATIENCE:?} of closing"))
        });
        self.broken(failure)
    }

    fn blame(&self, code: Option<u16>) -> Option<Failure> {
        (!self.by_us.get()).then(|| Failure::new(ErrorClass::ClosedByTarget(code), "the target closed"))
    }
}
