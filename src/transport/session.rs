//! One session: what its connections, its task and its owner share.

use super::meter::Meter;
use super::outbox::Outbox;
use super::{Connection, Ended, ErrorClass, Failure, SessionId, Sink, Unsent};
use crate::catalog::Format;
use crate::clock::{Nanos, now};
use crate::measure::Traffic;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long the target has to answer a close.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Session {
    pub id: SessionId,
    pub sink: Rc<dyn Sink>,
    pub outbox: Outbox,
    pub meter: Rc<Meter>,
    /// Code of [`Connection::close`], where the transport has one.
    close_code: Option<u16>,
    /// When the first close was written or read.
    close_began: Cell<Option<Nanos>>,
    closed_by_us: Cell<bool>,
    /// The target's close, with its code.
    closed_by_target: Cell<Option<Option<u16>>>,
    /// What broke the session, if it hasn't ended of it yet.
    breakage: RefCell<Option<Failure>>,
    /// Our close was written, or never will be.
    close_written: Notify,
}

impl Session {
    pub fn new(id: SessionId, sink: Rc<dyn Sink>, outbox_limit: usize, close_code: Option<u16>) -> Rc<Session> {
        Rc::new(Session {
            id,
            sink,
            outbox: Outbox::new(outbox_limit),
            meter: Rc::default(),
            close_code,
            close_began: Cell::new(None),
            closed_by_us: Cell::new(false),
            closed_by_target: Cell::new(None),
            breakage: RefCell::default(),
            close_written: Notify::new(),
        })
    }

    /// Counts a payload and hands it on, with what its sender called it where the transport says.
    pub fn deliver(&self, payload: &[u8], format: Option<Format>, at: Nanos) {
        self.meter.received(payload.len() as u64);
        self.sink.on_message(self.id, payload, format, at);
    }

    /// A message is about to be written.
    pub fn sending(&self, ticket: u64, at: Nanos) {
        self.sink.on_sent(self.id, ticket, at);
    }

    pub fn fault(&self, ticket: Option<u64>, failure: Failure) {
        self.sink.on_fault(self.id, ticket, failure);
    }

    /// A close is being written or was read; the first one counts.
    pub fn closing_began(&self) {
        if self.close_began.get().is_none() {
            self.close_began.set(Some(now()));
        }
    }

    /// The target closes, with this code where the transport has one; answers with the same.
    pub fn target_closes(&self, code: Option<u16>) {
        self.closing_began();
        if self.closed_by_target.get().is_none() {
            self.closed_by_target.set(Some(code));
        }
        self.outbox.answer_close(code);
    }

    pub fn target_closed(&self) -> bool {
        self.closed_by_target.get().is_some()
    }

    pub fn closed_by_us(&self) -> bool {
        self.closed_by_us.get()
    }

    /// Writing failed. What the target sent before may still be read, and says better what happened.
    pub fn write_failed(&self, failure: Failure) {
        self.breakage.borrow_mut().get_or_insert(failure);
        self.outbox.give_up();
        self.close_written.notify_one();
    }

    /// Our close was written whole.
    pub fn close_written(&self) {
        self.close_written.notify_one();
    }

    /// Fails a session whose target broke the rules, as RFC 6455 §7.1.7 asks: a close with `code` says so, behind what
    /// waits already.
    pub async fn fail(&self, code: u16, failure: Failure) -> Ended {
        self.breakage.borrow_mut().get_or_insert(failure.clone());
        self.outbox.close(Some(code));
        self.close_written.notified().await;
        self.broken(failure)
    }

    /// A session that broke.
    pub fn broken(&self, failure: Failure) -> Ended {
        Ended { failure: Some(failure), close_time: None, code: self.closed_by_target.get().flatten() }
    }

    /// A session whose closing handshake was whole, ended by the stream's end now.
    pub fn closed(&self) -> Ended {
        let code = self.closed_by_target.get().flatten();
        let close_time = self.close_began.get().map(|began| now() - began);
        Ended { failure: self.blame(code), close_time, code }
    }

    /// A stream that ended without anybody having closed, or with only us having done so.
    pub fn cut_off(&self, detail: &str) -> Ended {
        let failure = self.breakage.take().unwrap_or_else(|| Failure::new(ErrorClass::Truncated, detail));
        self.broken(failure)
    }

    fn blame(&self, code: Option<u16>) -> Option<Failure> {
        (!self.closed_by_us.get()).then(|| Failure::new(ErrorClass::ClosedByTarget(code), "the target closed"))
    }

    /// Returns when the session should have ended and hasn't.
    async fn overdue(&self) -> Ended {
        self.outbox.begun_closing().await;
        tokio::time::sleep(CLOSE_PATIENCE).await;
        let code = self.closed_by_target.get().flatten();
        let by_target = self.target_closed().then(|| self.blame(code)).flatten();
        let failure = by_target.or_else(|| self.breakage.take()).unwrap_or_else(|| {
            Failure::new(ErrorClass::CloseTimeout, format!("no end of the stream within {CLOSE_PATIENCE:?} of closing"))
        });
        self.broken(failure)
    }

    /// Runs `life` until the session has ended, and says so. `life` holds the session's connections.
    pub fn run(self: Rc<Session>, life: impl Future<Output = Ended> + 'static) -> Box<dyn Connection> {
        let session = self.clone();
        let task = tokio::task::spawn_local(async move {
            // `select!` drops `life`, and the connections with it, before the sink hears of the end: the counts are final.
            let ended = tokio::select! {
                biased;
                ended = life => ended,
                ended = session.overdue() => ended,
            };
            session.outbox.shut();
            session.sink.on_ended(session.id, ended);
        });
        Box::new(Running { session: self, task })
    }
}

/// A session in its owner's hands.
struct Running {
    session: Rc<Session>,
    task: JoinHandle<()>,
}

impl Connection for Running {
    fn send(&mut self, ticket: u64, format: Format, payload: &[u8]) -> Result<(), Unsent> {
        self.session.outbox.push(ticket, format, payload)
    }

    fn close(&mut self) {
        if !self.session.outbox.is_closing() {
            self.session.closed_by_us.set(true);
            self.session.outbox.close(self.session.close_code);
        }
    }

    fn traffic(&self, wire: bool) -> Traffic {
        self.session.meter.traffic(wire)
    }

    fn open_connections(&self) -> u64 {
        self.session.meter.open_connections()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
