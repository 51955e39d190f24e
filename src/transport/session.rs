//! One session: what its connections, its task and its owner share.

use super::closing::{CLOSE_PATIENCE, Closing};
use super::meter::Meter;
use super::outbox::Outbox;
use super::queue::Whose;
use super::speech::Speech;
use super::{Connection, Ended, ErrorClass, Failure, Sent, SessionId, Sink, Unsent};
use crate::catalog::Format;
use crate::clock::Nanos;
use crate::dialect::Heard;
use crate::measure::Traffic;
use std::future::Future;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(super) struct Session {
    pub id: SessionId,
    pub sink: Rc<dyn Sink>,
    pub outbox: Outbox,
    pub speech: Speech,
    pub meter: Rc<Meter>,
    /// Code of [`Connection::close`], where the transport has one.
    close_code: Option<u16>,
    pub closing: Closing,
    /// Our close was written, or never will be.
    close_written: Notify,
}

impl Session {
    pub fn new(
        id: SessionId,
        sink: Rc<dyn Sink>,
        outbox_limit: usize,
        speech: Speech,
        close_code: Option<u16>,
    ) -> Rc<Session> {
        Rc::new(Session {
            id,
            sink,
            outbox: Outbox::new(outbox_limit),
            speech,
            meter: Rc::default(),
            close_code,
            closing: Closing::default(),
            close_written: Notify::new(),
        })
    }

    /// Takes what came, with what its sender called it where the transport says: counts payloads, hands them on, and has said
    /// what is to be said.
    pub fn deliver(&self, bytes: &[u8], format: Option<Format>, at: Nanos) -> Result<(), Failure> {
        let heard = self.speech.hear(bytes, |heard| match heard {
            Heard::Message(payload) => {
                self.meter.received(payload.len() as u64);
                self.sink.on_message(self.id, payload, format, at);
            }
            Heard::Answer { ticket, payload } => {
                self.meter.received(payload.len() as u64);
                self.sink.on_answer(self.id, ticket, payload.len() as u64, at);
            }
            Heard::Acknowledged { ticket } => self.sink.on_acknowledged(self.id, ticket, at),
            Heard::Say(bytes) => self.outbox.push(Whose::Dialect, self.speech.format(), bytes),
            Heard::Fault { ticket, problem } => self.fault(ticket, Failure::new(ErrorClass::Rejected, problem)),
            Heard::Joined => {}
        });
        if self.outbox.is_flooded() { Err(Failure::flooded()) } else { heard }
    }

    /// A message is about to be written.
    pub fn sending(&self, ticket: u64, at: Nanos) {
        self.sink.on_sent(self.id, ticket, at);
    }

    pub fn fault(&self, ticket: Option<u64>, failure: Failure) {
        self.sink.on_fault(self.id, ticket, failure);
    }

    /// The target closes, with this code where the transport has one; answers with the same.
    pub fn target_closes(&self, code: Option<u16>) {
        self.closing.by_target(code);
        self.outbox.answer_close(code);
    }

    /// Writing failed. What the target sent before may still be read, and says better what happened.
    pub fn write_failed(&self, failure: Failure) {
        self.closing.broke(failure);
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
        self.closing.broke(failure.clone());
        self.outbox.close(Some(code));
        self.close_written.notified().await;
        self.closing.broken(failure)
    }

    /// Returns when the session should have ended and hasn't.
    async fn overdue(&self) -> Ended {
        self.outbox.begun_closing().await;
        tokio::time::sleep(CLOSE_PATIENCE).await;
        self.closing.overdue()
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
    fn send(&mut self, ticket: u64, format: Format, payload: &[u8]) -> Result<Sent, Unsent> {
        let Session { outbox, speech, .. } = &*self.session;
        outbox.has_room(payload.len())?;
        let whose = Whose::Load { ticket, payload: payload.len() };
        speech.dress(ticket, format, payload, |format, bytes| outbox.push(whose, format, bytes));
        Ok(Sent::Later)
    }

    fn close(&mut self) {
        if !self.session.outbox.is_closing() {
            if let Some(last) = self.session.speech.leave() {
                self.session.outbox.push(Whose::Dialect, self.session.speech.format(), &last);
            }
            self.session.closing.by_us();
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
