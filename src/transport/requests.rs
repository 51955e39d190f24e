//! http: each message is a request of its own, and the response is its answer. One request is in flight at a time; what
//! else is to be said waits.
//!
//! The session outlives its connections: a target may close one that rests, or that has carried enough requests, and the
//! next message opens another. A request that a connection took along which had been used before is asked once more, as
//! browsers do, as long as not a byte of its answer came.

use super::closing::{CLOSE_PATIENCE, Closing};
use super::counted::Reading;
use super::direct::add_message;
use super::http::Backoff;
use super::io::Io;
use super::net::{Deadline, dial};
use super::queue::{Item, Message, Queue, Whose};
use super::{
    ConnectPhases, Connection, Ended, Endpoint, ErrorClass, Failure, Opened, Opening, Sent, SessionId, Sink, Unsent,
};
use crate::catalog::{Format, HttpRequests};
use crate::clock::{Nanos, now};
use crate::codec::response::Response;
use crate::measure::{Traffic, Volume};
use crate::reactor::{Handler, Ready, Received, Seat, Socket, Turn};
use line::Line;
use request::Request;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use tokio::task::spawn_local;

mod line;
mod request;

/// Reads in a row on one connection before others get their turn.
const READS: usize = 8;
/// What a session keeps of the memory in which it held a request, bytes.
const KEPT: usize = 4096;

pub(super) async fn open(seat: &Rc<Seat>, opening: &Opening, settings: &HttpRequests) -> Result<Opened, Failure> {
    let dialed = dial(seat, &opening.endpoint, settings.nodelay, opening.deadline).await?;
    let phases = ConnectPhases {
        tcp: Some(dialed.tcp),
        tls: dialed.tls,
        total: now() - opening.began,
        ..ConnectPhases::default()
    };
    let session = Session::new(opening, settings);
    session.keep(seat, dialed.io);
    Ok(Opened { connection: Box::new(Handle(session)), phases })
}

struct Session {
    me: Weak<Session>,
    id: SessionId,
    sink: Rc<dyn Sink>,
    endpoint: Rc<Endpoint>,
    request: Request,
    nodelay: bool,
    /// The connection, while there is one.
    line: RefCell<Option<Line>>,
    is_dialing: Cell<bool>,
    queue: RefCell<Queue>,
    /// The request whose answer is awaited.
    asked: Cell<Option<Asked>>,
    /// Its payload, while it may have to be asked again.
    payload: RefCell<Vec<u8>>,
    closing: Closing,
    is_over: Cell<bool>,
    sent: Cell<Volume>,
    received: Cell<Volume>,
    /// Connections so far, and what joining them cost: bytes asked, and both ways.
    connections: Cell<u64>,
    handshake: Cell<(u64, u64)>,
    /// What connections counted that are gone.
    past: Cell<Reading>,
}

/// A request without its answer.
#[derive(Debug, Clone, Copy)]
struct Asked {
    ticket: u64,
    /// Its connection had been used before: the target may have closed it in good faith.
    may_repeat: bool,
}

impl Session {
    fn new(opening: &Opening, settings: &HttpRequests) -> Rc<Session> {
        Rc::new_cyclic(|me| Session {
            me: me.clone(),
            id: opening.id,
            sink: opening.sink.clone(),
            endpoint: opening.endpoint.clone(),
            request: Request::new(opening, settings),
            nodelay: settings.nodelay,
            line: RefCell::default(),
            is_dialing: Cell::new(false),
            queue: RefCell::new(Queue::new()),
            asked: Cell::new(None),
            payload: RefCell::default(),
            closing: Closing::default(),
            is_over: Cell::new(false),
            sent: Cell::default(),
            received: Cell::default(),
            connections: Cell::new(0),
            handshake: Cell::default(),
            past: Cell::default(),
        })
    }

    /// Takes a connection that is up.
    fn keep(&self, seat: &Seat, io: Io<Socket>) {
        // Only whoever was dropped meanwhile is no more.
        let Some(me) = self.me.upgrade() else { return };
        let (line, handshake) = Line::new(io, seat, me);
        self.connections.set(self.connections.get() + 1);
        let (asked, both) = self.handshake.get();
        self.handshake.set((asked + handshake.asked, both + handshake.asked + handshake.answered));
        *self.line.borrow_mut() = Some(line);
    }

    /// Lets the connection go.
    fn hang_up(&self) {
        let Some(line) = self.line.take() else { return };
        let mut past = self.past.get();
        past += line.reading(true);
        self.past.set(past);
        self.endpoint.reactor.remove(line.token);
    }

    /// Whether a request may go at once.
    fn is_ready(&self) -> bool {
        self.asked.get().is_none() && self.queue.borrow().is_idle() && self.line.borrow().is_some()
    }

    /// Writes a request. There must be a connection, and nothing in flight.
    fn ask(&self, ticket: u64, payload: &[u8]) {
        let mut line = self.line.borrow_mut();
        let Some(line) = &mut *line else { return };
        let may_repeat = line.use_once();
        self.asked.set(Some(Asked { ticket, may_repeat }));
        if may_repeat {
            let mut kept = self.payload.borrow_mut();
            kept.clear();
            kept.extend_from_slice(payload);
        }
        self.endpoint.reactor.encode(|out| {
            self.request.encode(ticket, payload, out);
            line.write(out, &self.endpoint.reactor);
        });
    }

    /// Goes on with what waits, if nothing is in flight.
    fn go_on(&self) {
        if self.asked.get().is_some() || self.is_over.get() {
            return;
        }
        if self.line.borrow().is_none() {
            if self.queue.borrow().is_closing() {
                self.finish(self.closing.closed());
            } else if !self.queue.borrow().is_idle() {
                self.dial();
            }
            return;
        }
        let next = self.queue.borrow_mut().next();
        match next {
            Some(Item::Message(Message { whose: Whose::Load { ticket, payload }, bytes, .. })) => {
                add_message(&self.sent, payload);
                self.sink.on_sent(self.id, ticket, now());
                self.ask(ticket, &bytes);
            }
            Some(Item::Close(_)) => {
                self.closing.began();
                if let Some(line) = &mut *self.line.borrow_mut() {
                    line.close(&self.endpoint.reactor);
                }
            }
            Some(Item::Message(_) | Item::Ping | Item::Pong(_)) | None => {}
        }
    }

    /// Opens another connection, and goes on with it.
    fn dial(&self) {
        if self.is_dialing.replace(true) {
            return;
        }
        let (me, endpoint, nodelay) = (self.me.clone(), self.endpoint.clone(), self.nodelay);
        self.endpoint.reactor.carry_out(async move |seat| {
            // What comes of it can't be told from within the call that asks for it.
            seat.turn().await;
            let mut backoff = Backoff::default();
            loop {
                let dialed = dial(&seat, &endpoint, nodelay, Deadline::after(endpoint.connect_timeout)).await;
                let Some(session) = me.upgrade().filter(|session| !session.is_over.get()) else { return };
                match dialed {
                    Ok(dialed) => {
                        session.keep(&seat, dialed.io);
                        session.is_dialing.set(false);
                        return session.connected();
                    }
                    Err(failure) => {
                        session.is_dialing.set(session.not_connected(failure));
                        if !session.is_dialing.get() {
                            return;
                        }
                    }
                }
                drop(session);
                backoff.failed(&seat).await;
            }
        });
    }

    fn connected(&self) {
        match self.asked.get() {
            Some(asked) => {
                let payload = self.payload.take();
                self.ask(asked.ticket, &payload);
            }
            None => self.go_on(),
        }
    }

    /// A connection couldn't be opened, which costs the first message that waits for it. Whether more wait.
    fn not_connected(&self, failure: Failure) -> bool {
        let asked = self.asked.take().map(|asked| asked.ticket);
        let lost = asked.or_else(|| match self.queue.borrow_mut().next() {
            Some(Item::Message(Message { whose: Whose::Load { ticket, .. }, .. })) => Some(ticket),
            _ => None,
        });
        self.sink.on_fault(self.id, lost, failure);
        !self.queue.borrow().is_idle() && !self.queue.borrow().is_closing()
    }

    fn take(&self, bytes: &[u8]) {
        let at = now();
        let Some(asked) = self.asked.get() else {
            self.unasked();
            return self.go_on();
        };
        let pushed = match &mut *self.line.borrow_mut() {
            Some(line) => line.decode(bytes),
            None => return,
        };
        match pushed {
            Ok((_, None)) => {}
            Ok((used, Some(response))) => {
                self.keep_cookies();
                // Before anyone hears of it, so that the next request finds another connection.
                if used < bytes.len() {
                    self.unasked();
                } else if !response.keeps_alive {
                    self.hang_up();
                }
                self.answered(asked, response, at);
            }
            Err(error) => {
                let class = match Failure::from(error.clone()).class {
                    ErrorClass::TooLarge => ErrorClass::TooLarge,
                    _ => ErrorClass::HttpProtocol,
                };
                self.lost(Failure::new(class, error.to_string()));
            }
        }
    }

    /// Takes the cookies of the answer that is whole.
    fn keep_cookies(&self) {
        let set = self.line.borrow_mut().as_mut().map(Line::take_cookies).unwrap_or_default();
        if !set.is_empty() {
            self.request.keep_cookies(&set);
        }
    }

    /// More came than was asked for: whose answer would come next is not known any more.
    fn unasked(&self) {
        self.hang_up();
        let failure = Failure::new(ErrorClass::HttpProtocol, "the target said something that nobody had asked for");
        self.sink.on_fault(self.id, None, failure);
    }

    fn answered(&self, asked: Asked, response: Response, at: Nanos) {
        self.asked.set(None);
        self.payload.borrow_mut().clear();
        self.payload.borrow_mut().shrink_to(KEPT);
        if (200..300).contains(&response.status) {
            add_message(&self.received, response.size as usize);
            self.sink.on_answer(self.id, asked.ticket, response.size, at);
        } else {
            let failure = Failure::new(ErrorClass::HttpStatus(response.status), "a message was answered with an error");
            self.sink.on_fault(self.id, Some(asked.ticket), failure);
        }
        self.go_on();
    }

    /// The connection broke.
    fn lost(&self, failure: Failure) {
        let had_begun = self.line.borrow().as_ref().is_some_and(Line::has_begun);
        self.hang_up();
        if self.queue.borrow().is_closed() {
            return self.finish(self.closing.broken(failure));
        }
        match self.asked.get() {
            Some(Asked { may_repeat: true, .. }) if !had_begun && !self.queue.borrow().is_closing() => self.dial(),
            Some(asked) => {
                self.asked.set(None);
                self.sink.on_fault(self.id, Some(asked.ticket), failure);
                self.go_on();
            }
            // A connection that rested may go; the next message opens another.
            None => self.go_on(),
        }
    }

    /// The target sent its FIN.
    fn ended(&self) {
        if self.queue.borrow().is_closed() {
            return self.finish(self.closing.closed());
        }
        let last = self.line.borrow_mut().as_mut().and_then(Line::end);
        match (last, self.asked.get()) {
            (Some(response), Some(asked)) => {
                self.keep_cookies();
                self.hang_up();
                self.answered(asked, response, now());
            }
            _ => {
                let broken = self.line.borrow_mut().as_mut().and_then(|line| line.broken.take());
                let cut = || Failure::new(ErrorClass::Truncated, "the connection ended before the answer did");
                self.lost(broken.unwrap_or_else(cut));
            }
        }
    }

    fn finish(&self, ended: Ended) {
        if !self.is_over.replace(true) {
            self.hang_up();
            self.asked.set(None);
            self.queue.borrow_mut().shut();
            self.sink.on_ended(self.id, ended);
        }
    }
}

impl Handler for Session {
    fn on_ready(&self, ready: Ready, buffer: &mut [u8]) -> Turn {
        if ready.write
            && let Some(line) = &mut *self.line.borrow_mut()
        {
            line.flush();
        }
        for _ in 0..READS {
            let read = match &*self.line.borrow() {
                Some(line) if ready.read => line.read(buffer),
                _ => return Turn::Done,
            };
            match read {
                Ok(Received::Bytes { n, is_last }) => {
                    self.take(&buffer[..n]);
                    if is_last && !ready.ended {
                        return Turn::Done;
                    }
                }
                Ok(Received::Empty) => {
                    // What the target had said before the write failed came first.
                    let broken = self.line.borrow_mut().as_mut().and_then(|line| line.broken.take());
                    broken.into_iter().for_each(|failure| self.lost(failure));
                    return Turn::Done;
                }
                Ok(Received::End) => {
                    self.ended();
                    return Turn::Done;
                }
                Err(error) => {
                    self.lost(error.into());
                    return Turn::Done;
                }
            }
        }
        Turn::Again
    }

    /// The end that was asked for hasn't come.
    fn on_time(&self, _: Nanos) {
        self.finish(self.closing.overdue());
    }
}

/// A session in its owner's hands.
struct Handle(Rc<Session>);

impl Connection for Handle {
    fn send(&mut self, ticket: u64, format: Format, payload: &[u8]) -> Result<Sent, Unsent> {
        let session = &*self.0;
        let payload = session.request.carried(payload);
        if session.is_ready() {
            add_message(&session.sent, payload.len());
            let at = now();
            session.ask(ticket, payload);
            return Ok(Sent::At(at));
        }
        session.queue.borrow().has_room(payload.len(), session.endpoint.outbox_limit)?;
        session.queue.borrow_mut().push(Whose::Load { ticket, payload: payload.len() }, format, payload);
        if session.line.borrow().is_none() {
            session.dial();
        }
        Ok(Sent::Later)
    }

    /// What waits isn't asked any more; the answer that is awaited may still come.
    fn close(&mut self) {
        let session = &*self.0;
        if !session.queue.borrow_mut().answer_close(None) {
            return;
        }
        session.closing.by_us();
        let token = session.line.borrow().as_ref().map(|line| line.token);
        match token {
            Some(token) => {
                session.endpoint.reactor.wake_at(now() + CLOSE_PATIENCE.as_nanos() as Nanos, token);
                session.go_on();
            }
            // The end can't be told from within this call.
            None => {
                let session = self.0.clone();
                spawn_local(async move { session.finish(session.closing.closed()) });
            }
        }
    }

    fn traffic(&self, wire: bool) -> Traffic {
        let session = &*self.0;
        let mut reading = session.past.get();
        if let Some(line) = &*session.line.borrow() {
            reading += line.reading(wire);
        }
        if !wire {
            reading = Reading { sent: reading.sent, received: reading.received, ..Reading::default() };
        }
        let (asked, both) = session.handshake.get();
        let mut traffic = Traffic {
            sent: session.sent.get(),
            received: session.received.get(),
            connections: session.connections.get(),
            handshake: both,
            handshake_sent: asked,
            ..Traffic::default()
        };
        reading.add_to(&mut traffic);
        traffic
    }

    fn open_connections(&self) -> u64 {
        u64::from(self.0.line.borrow().is_some())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.is_over.set(true);
        self.0.hang_up();
    }
}
