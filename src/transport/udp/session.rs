//! A joined session over UDP on the reactor: each message a datagram, sent at once.

use super::batch::Batch;
use super::{Joining, failed, foreign, refused};
use crate::catalog::Format;
use crate::clock::{Nanos, now};
use crate::dialect::{Datagram, Dialect, Heard};
use crate::measure::{Traffic, Volume};
use crate::reactor::{Handler, Ready, Token, Turn};
use crate::transport::queue::{Item, Queue, Whose};
use crate::transport::speech::Speech;
use crate::transport::{
    Connection, Ended, Endpoint, ErrorClass, Failure, Opening, Sent, SessionId, Sink, Unsent, receive_drops,
};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::UdpSocket;
use std::rc::Rc;

/// Batches in a row on one session before others get their turn.
const BATCHES: usize = 4;

thread_local! {
    static BATCH: RefCell<Batch> = RefCell::new(Batch::new());
}

struct Session {
    id: SessionId,
    sink: Rc<dyn Sink>,
    endpoint: Rc<Endpoint>,
    socket: UdpSocket,
    dialect: Box<dyn Dialect>,
    speech: Speech,
    token: Cell<Option<Token>>,
    /// What the socket wouldn't take yet.
    queue: RefCell<Queue>,
    /// Failures of sending, to be told when that is allowed.
    faults: RefCell<Vec<(Option<u64>, Failure)>>,
    sent: Cell<Volume>,
    received: Cell<Volume>,
    asked: Cell<u64>,
    answered: Cell<u64>,
    /// Headers of IP and UDP, bytes.
    overhead: u64,
    /// An unknown error came from the socket: it may well come again at once, so nothing more is read.
    is_deaf: Cell<bool>,
    is_over: Cell<bool>,
}

pub(super) fn start(opening: &Opening, joining: Joining) -> Result<Box<dyn Connection>, Failure> {
    let session = Rc::new(Session {
        id: opening.id,
        sink: opening.sink.clone(),
        endpoint: opening.endpoint.clone(),
        socket: joining.socket.into_std()?,
        dialect: joining.dialect,
        speech: joining.speech,
        token: Cell::new(None),
        queue: RefCell::new(Queue::new()),
        faults: RefCell::default(),
        sent: Cell::default(),
        received: Cell::default(),
        asked: Cell::new(joining.asked),
        answered: Cell::new(joining.answered),
        overhead: if opening.endpoint.address.is_ipv6() { 48 } else { 28 },
        is_deaf: Cell::new(false),
        is_over: Cell::new(false),
    });
    let token = opening.endpoint.reactor.add(&session.socket, session.clone())?;
    session.token.set(Some(token));
    Ok(Box::new(Handle(session)))
}

impl Session {
    /// Sends a datagram; `false`: the socket takes none now.
    fn put(&self, whose: Whose, bytes: &[u8]) -> bool {
        let mut sent = self.socket.send(bytes);
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            // The error is an earlier datagram's; this one has not been sent.
            self.fault_later(None, refused());
            sent = self.socket.send(bytes);
        }
        let ticket = match whose {
            Whose::Load { ticket, .. } => Some(ticket),
            Whose::Dialect => None,
        };
        match sent {
            Ok(_) => match whose {
                Whose::Load { payload, .. } => self.count(&self.sent, payload, bytes.len()),
                Whose::Dialect => add(&self.asked, bytes.len()),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                let detail = format!("{} bytes don't fit into a datagram", bytes.len());
                self.fault_later(ticket, Failure::new(ErrorClass::TooLarge, detail));
            }
            Err(error) => self.fault_later(ticket, error.into()),
        }
        true
    }

    fn fault_later(&self, ticket: Option<u64>, failure: Failure) {
        self.faults.borrow_mut().push((ticket, failure));
        self.stir();
    }

    fn stir(&self) {
        if let Some(token) = self.token.get() {
            self.endpoint.reactor.again(token);
        }
    }

    /// Counts a message in a datagram of `bytes`.
    fn count(&self, volume: &Cell<Volume>, payload: usize, bytes: usize) {
        let mut sum = volume.get();
        sum.messages += 1;
        sum.payload += payload as u64;
        sum.framing += bytes.saturating_sub(payload) as u64;
        sum.wire += bytes as u64 + self.overhead;
        volume.set(sum);
    }

    /// Sends what waited, and ends the session behind that if it was closed.
    fn write(&self) {
        loop {
            let Some(item) = self.queue.borrow_mut().next() else { return };
            match item {
                Item::Message(message) => {
                    let at = now();
                    if !self.put(message.whose, &message.bytes) {
                        self.queue.borrow_mut().unget(message);
                        return;
                    }
                    if let Whose::Load { ticket, .. } = message.whose {
                        self.sink.on_sent(self.id, ticket, at);
                    }
                }
                Item::Ping | Item::Pong(_) => {}
                Item::Close(_) => return self.leave(),
            }
        }
    }

    /// Nobody answers it, and if it is lost the target forgets the session by itself.
    fn leave(&self) {
        if let Some(leave) = self.dialect.datagram_leave()
            && self.socket.send(leave.as_bytes()).is_ok()
        {
            add(&self.asked, leave.len());
        }
        self.is_over.set(true);
        if let Some(token) = self.token.get() {
            self.endpoint.reactor.remove(token);
        }
        self.sink.on_ended(self.id, Ended { failure: None, close_time: None, code: None });
    }

    /// Hands on what comes. UDP has no connection that an error could end: each is a fault of its own.
    fn read(&self) -> Turn {
        for _ in 0..BATCHES {
            let received = BATCH.with_borrow_mut(|batch| batch.receive(&self.socket, |bytes| self.take(bytes)));
            match received {
                Ok(is_last) if is_last || self.is_over.get() => return Turn::Done,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Done,
                Err(error) => {
                    let failure = failed(error);
                    self.is_deaf.set(failure.class == ErrorClass::Io);
                    self.sink.on_fault(self.id, None, failure);
                    if self.is_deaf.get() {
                        return Turn::Done;
                    }
                }
            }
        }
        Turn::Again
    }

    fn take(&self, bytes: &[u8]) {
        if self.speech.talk().is_some() {
            return self.hear(bytes);
        }
        match self.dialect.datagram(bytes) {
            Datagram::Payload(payload) => {
                self.count(&self.received, payload.len(), bytes.len());
                self.sink.on_message(self.id, payload, None, now());
            }
            // Answers to a join that was asked more than once.
            Datagram::Joined | Datagram::Cookie(_) => add(&self.answered, bytes.len()),
            Datagram::Refused(_) | Datagram::Unknown => {
                let failure = foreign("a datagram of the dialect that a joined session doesn't expect");
                self.sink.on_fault(self.id, None, failure);
            }
        }
    }
}

impl Session {
    /// Takes a datagram as the dialect reads it. One that it can't read is a fault of its own.
    fn hear(&self, bytes: &[u8]) {
        let at = now();
        let heard = self.speech.hear(bytes, |heard| match heard {
            Heard::Message(payload) => {
                self.count(&self.received, payload.len(), bytes.len());
                self.sink.on_message(self.id, payload, None, at);
            }
            Heard::Answer { ticket, payload } => {
                self.count(&self.received, payload.len(), bytes.len());
                self.sink.on_answer(self.id, ticket, payload.len() as u64, at);
            }
            Heard::Acknowledged { ticket } => self.sink.on_acknowledged(self.id, ticket, at),
            Heard::Say(bytes) => {
                self.queue.borrow_mut().push(Whose::Dialect, self.speech.format(), bytes);
                self.stir();
            }
            Heard::Fault { ticket, problem } => {
                self.sink.on_fault(self.id, ticket, Failure::new(ErrorClass::Rejected, problem));
            }
            Heard::Joined => {}
        });
        if let Err(failure) = heard {
            self.sink.on_fault(self.id, None, failure);
        }
    }
}

impl Handler for Session {
    fn on_ready(&self, ready: Ready, _: &mut [u8]) -> Turn {
        if self.is_over.get() {
            return Turn::Done;
        }
        for (ticket, failure) in self.faults.take() {
            self.sink.on_fault(self.id, ticket, failure);
        }
        if ready.write {
            self.write();
        }
        if ready.read && !self.is_deaf.get() && !self.is_over.get() { self.read() } else { Turn::Done }
    }

    fn on_time(&self, _: Nanos) {}
}

/// A session in its owner's hands.
struct Handle(Rc<Session>);

impl Connection for Handle {
    fn send(&mut self, ticket: u64, format: Format, payload: &[u8]) -> Result<Sent, Unsent> {
        let session = &*self.0;
        let whose = Whose::Load { ticket, payload: payload.len() };
        session.queue.borrow().has_room(payload.len(), session.endpoint.outbox_limit)?;
        Ok(session.speech.dress(ticket, format, payload, |format, bytes| {
            if session.queue.borrow().is_idle() {
                let at = now();
                if session.put(whose, bytes) {
                    return Sent::At(at);
                }
            }
            session.queue.borrow_mut().push(whose, format, bytes);
            Sent::Later
        }))
    }

    fn close(&mut self) {
        // The end can't be told from within this call.
        if self.0.queue.borrow().is_closing() {
            return;
        }
        if let Some(last) = self.0.speech.leave() {
            self.0.queue.borrow_mut().push(Whose::Dialect, self.0.speech.format(), &last);
        }
        self.0.queue.borrow_mut().close(None);
        self.0.stir();
    }

    fn traffic(&self, wire: bool) -> Traffic {
        let session = &*self.0;
        let (mut sent, mut received) = (session.sent.get(), session.received.get());
        if !wire {
            (sent.wire, received.wire) = (0, 0);
        }
        Traffic {
            sent,
            received,
            connections: 1,
            handshake: session.asked.get() + session.answered.get(),
            handshake_sent: session.asked.get(),
            wire_known: u64::from(wire),
            receive_drops: if wire { receive_drops::read(&session.socket) } else { 0 },
            ..Traffic::default()
        }
    }

    fn open_connections(&self) -> u64 {
        u64::from(!self.0.is_over.get())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(token) = self.0.token.get() {
            self.0.endpoint.reactor.remove(token);
        }
    }
}

fn add(sum: &Cell<u64>, bytes: usize) {
    sum.set(sum.get() + bytes as u64);
}
