//! A session on the reactor: no task, no timer and no buffer of its own while it waits, and a message that is sent goes
//! to the socket at once.

use super::closing::{CLOSE_PATIENCE, Closing, Stop};
use super::counted::Reading;
use super::joining::{Handshake, Joined};
use super::queue::{Item, Queue, Whose};
use super::speech::Speech;
use super::stream::CloseBy;
use super::{Connection, Ended, Endpoint, ErrorClass, Failure, Opening, Sent, SessionId, Sink, Unsent, tcp_info};
use crate::catalog::Format;
use crate::clock::{Nanos, now};
use crate::dialect::Heard;
use crate::measure::{Traffic, Volume};
use crate::reactor::{Handler, Ready, Received, Seat, Socket, Stream, Token, Turn};
use crate::seed;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Reads in a row on one connection before others get their turn.
const READS: usize = 8;
/// Once a write holds this much, the rest waits for the next, bytes.
const BATCH: usize = 64 * 1024;

/// Bytes ⇄ what a session says, for one wire format.
pub(super) trait Protocol: Sized + 'static {
    /// What is kept of a message that is not whole yet.
    type Decoder: 'static;
    const CLOSE_BY: CloseBy;

    /// Appends what goes out as it goes over the wire at `at`.
    fn encode(&self, outgoing: Outgoing, at: Nanos, out: &mut Vec<u8>);

    /// Takes what was read at `at`, up to what stops the session.
    fn decode(
        &self,
        decoder: &mut Self::Decoder,
        bytes: &mut [u8],
        at: Nanos,
        session: &Direct<Self>,
    ) -> Result<(), Stop>;

    /// What the end of the stream means.
    fn ended(&self, decoder: &Self::Decoder, closing: &Closing) -> Ended;

    /// What compression took off payloads sent and received, bytes.
    fn saved(&self) -> (u64, u64) {
        (0, 0)
    }

    /// How often the session pings; `None`: never.
    fn ping_every(&self) -> Option<Nanos> {
        None
    }
}

/// What is written.
pub(super) enum Outgoing<'a> {
    Message(Format, &'a [u8]),
    Pong(&'a [u8]),
    Ping,
    Close(Option<u16>),
}

/// One session.
pub(super) struct Direct<P: Protocol> {
    id: SessionId,
    sink: Rc<dyn Sink>,
    endpoint: Rc<Endpoint>,
    speech: Speech,
    protocol: P,
    decoder: RefCell<P::Decoder>,
    stream: Stream,
    handshake: Handshake,
    /// Of the connection before this one, if there was one.
    former: Option<Box<Reading>>,
    token: Token,
    queue: RefCell<Queue>,
    sent: Cell<Volume>,
    received: Cell<Volume>,
    closing: Closing,
    /// Code of [`Connection::close`], where the transport has one.
    close_code: Option<u16>,
    listening: Cell<Listening>,
    /// When the target's answer to a close is overdue; 0: nothing was closed.
    overdue_at: Cell<Nanos>,
    ping_at: Cell<Nanos>,
}

/// What is made of what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    Yes,
    /// The target has closed: whatever follows is discarded (RFC 6455 §1.4).
    Discarding,
    /// The target broke the rules: the session ends once it was told.
    Failing,
    /// The session has ended.
    Over,
}

/// Starts a session on a joined connection, which stays where it was opened.
pub(super) fn start<P: Protocol>(
    seat: &Seat,
    opening: &Opening,
    joined: Joined<Socket>,
    speech: Speech,
    protocol: P,
    decoder: P::Decoder,
    close_code: Option<u16>,
) -> Box<dyn Connection> {
    let direct = Rc::new(Direct {
        id: opening.id,
        sink: opening.sink.clone(),
        endpoint: opening.endpoint.clone(),
        speech,
        protocol,
        decoder: RefCell::new(decoder),
        stream: Stream::new(joined.io.into_reactor(), joined.early),
        handshake: joined.handshake,
        former: joined.former,
        token: seat.token(),
        queue: RefCell::new(Queue::new()),
        sent: Cell::default(),
        received: Cell::default(),
        closing: Closing::default(),
        close_code,
        listening: Cell::new(Listening::Yes),
        overdue_at: Cell::new(0),
        ping_at: Cell::new(0),
    });
    // What came with the handshake is told by no readiness.
    seat.hand_over(direct.clone(), direct.stream.has_early());
    direct.start_pinging();
    Box::new(Handle(direct))
}

impl<P: Protocol> Direct<P> {
    /// Takes what came, with what its sender called it where the transport says: counts payloads, hands them on, and says what
    /// is to be said.
    pub fn deliver(&self, bytes: &[u8], format: Option<Format>, at: Nanos) -> Result<(), Failure> {
        let mut has_to_say = false;
        let heard = self.speech.hear(bytes, |heard| match heard {
            Heard::Message(payload) => {
                add_message(&self.received, payload.len());
                self.sink.on_message(self.id, payload, format, at);
            }
            Heard::Answer { ticket, payload } => {
                add_message(&self.received, payload.len());
                self.sink.on_answer(self.id, ticket, payload.len() as u64, at);
            }
            Heard::Acknowledged { ticket } => self.sink.on_acknowledged(self.id, ticket, at),
            Heard::Say(bytes) => {
                self.queue.borrow_mut().push(Whose::Dialect, self.speech.format(), bytes);
                has_to_say = true;
            }
            Heard::Fault { ticket, problem } => {
                self.sink.on_fault(self.id, ticket, Failure::new(ErrorClass::Rejected, problem));
            }
            Heard::Joined => {}
        });
        if has_to_say {
            self.write();
            if self.queue.borrow().is_flooded() {
                return Err(Failure::flooded());
            }
        }
        heard
    }

    /// Answers a ping.
    pub fn pong(&self, payload: &[u8]) {
        self.queue.borrow_mut().pong(payload);
        self.write();
    }

    /// A ping of ours came back.
    pub fn ponged(&self, round_trip: Nanos) {
        self.sink.on_pong(self.id, round_trip);
    }

    /// Reads what is there; what is left for another turn.
    fn read(&self, ready: Ready, buffer: &mut [u8]) -> Turn {
        for _ in 0..READS {
            let received = match self.stream.read(buffer) {
                Ok(received) => received,
                Err(_) if self.listening.get() == Listening::Discarding => Received::End,
                Err(error) => {
                    // A session that is being failed ends of what the target did wrong.
                    let failing = self.closing.take_breakage().filter(|_| self.listening.get() == Listening::Failing);
                    self.finish(self.closing.broken(failing.unwrap_or_else(|| error.into())));
                    return Turn::Done;
                }
            };
            match received {
                Received::Empty => return Turn::Done,
                Received::End => {
                    let ended = match self.listening.get() {
                        Listening::Discarding => self.closing.closed(),
                        _ => self.protocol.ended(&self.decoder.borrow(), &self.closing),
                    };
                    self.finish(ended);
                    return Turn::Done;
                }
                Received::Bytes { n, is_last } => {
                    self.take(&mut buffer[..n]);
                    if self.listening.get() == Listening::Over || (is_last && !ready.ended) {
                        return Turn::Done;
                    }
                }
            }
        }
        Turn::Again
    }

    fn take(&self, bytes: &mut [u8]) {
        if self.listening.get() != Listening::Yes {
            return;
        }
        let decoded = self.protocol.decode(&mut self.decoder.borrow_mut(), bytes, now(), self);
        match decoded {
            Ok(()) => {}
            Err(Stop::Closed(code)) => {
                self.listening.set(Listening::Discarding);
                self.closing.by_target(code);
                self.queue.borrow_mut().answer_close(code);
                self.expect_end();
                self.write();
            }
            Err(Stop::Violation(code, failure)) => {
                self.listening.set(Listening::Failing);
                self.closing.broke(failure);
                self.queue.borrow_mut().close(Some(code));
                self.expect_end();
                self.write();
                self.finish_failing();
            }
            Err(Stop::Broken(failure)) => self.finish(self.closing.broken(failure)),
            Err(Stop::End) => self.finish(self.protocol.ended(&self.decoder.borrow(), &self.closing)),
        }
    }

    /// Writes what is queued, as long as the socket takes it.
    fn write(&self) {
        while self.stream.waiting() == 0 && self.write_batch() {}
    }

    /// Writes some of what is queued, in one go; false if there is nothing.
    fn write_batch(&self) -> bool {
        self.endpoint.reactor.encode(|out| {
            let at = now();
            let mut closes = false;
            while out.len() < BATCH && !closes {
                let Some(item) = self.queue.borrow_mut().next() else { break };
                let outgoing = match &item {
                    Item::Message(message) => {
                        if let Whose::Load { ticket, payload } = message.whose {
                            add_message(&self.sent, payload);
                            self.sink.on_sent(self.id, ticket, at);
                        }
                        Outgoing::Message(message.format, &message.bytes)
                    }
                    Item::Pong(payload) => Outgoing::Pong(payload),
                    Item::Ping => Outgoing::Ping,
                    Item::Close(code) => {
                        closes = true;
                        Outgoing::Close(*code)
                    }
                };
                self.protocol.encode(outgoing, at, out);
            }
            if out.is_empty() && !closes {
                return false;
            }
            if closes {
                self.closing.began();
            }
            let written = self.stream.write(out).and_then(|()| match P::CLOSE_BY {
                CloseBy::Fin if closes => self.stream.close(),
                CloseBy::Fin | CloseBy::Frame => Ok(()),
            });
            match written {
                Ok(()) => true,
                Err(error) => {
                    self.write_failed(error.into());
                    false
                }
            }
        })
    }

    /// What the target sent before may still be read, and says better what happened.
    fn write_failed(&self, failure: Failure) {
        self.closing.broke(failure);
        self.queue.borrow_mut().shut();
        self.expect_end();
    }

    /// The session should end soon, and is ended if it doesn't.
    fn expect_end(&self) {
        if self.overdue_at.get() == 0 {
            let at = now() + CLOSE_PATIENCE.as_nanos() as Nanos;
            self.overdue_at.set(at);
            self.endpoint.reactor.wake_at(at, self.token);
        }
    }

    /// Ends a session that was failed, once its close has been written or can't be.
    fn finish_failing(&self) {
        let is_told = self.queue.borrow().is_closed() && self.stream.waiting() == 0;
        if self.listening.get() == Listening::Failing
            && is_told
            && let Some(failure) = self.closing.take_breakage()
        {
            self.finish(self.closing.broken(failure));
        }
    }

    fn finish(&self, ended: Ended) {
        if self.listening.replace(Listening::Over) == Listening::Over {
            return;
        }
        self.queue.borrow_mut().shut();
        self.endpoint.reactor.remove(self.token);
        self.sink.on_ended(self.id, ended);
    }

    /// Sessions ping spread evenly over the period.
    fn start_pinging(&self) {
        if let Some(every) = self.protocol.ping_every() {
            self.ping_from(now() + seed::pick(0, self.id.into(), every));
        }
    }

    fn ping_from(&self, at: Nanos) {
        self.ping_at.set(at);
        self.endpoint.reactor.wake_at(at, self.token);
    }
}

impl<P: Protocol> Handler for Direct<P> {
    fn on_ready(&self, ready: Ready, buffer: &mut [u8]) -> Turn {
        if self.listening.get() == Listening::Over {
            return Turn::Done;
        }
        // Every readiness is one to write as well, as long as the socket takes more.
        if ready.write && (self.stream.has_to_flush() || !self.queue.borrow().is_idle()) {
            match self.stream.flush() {
                Ok(_) => self.write(),
                Err(error) => self.write_failed(error.into()),
            }
            self.finish_failing();
        }
        if ready.read && self.listening.get() != Listening::Over { self.read(ready, buffer) } else { Turn::Done }
    }

    fn on_time(&self, now: Nanos) {
        if (1..=now).contains(&self.overdue_at.get()) {
            return self.finish(self.closing.overdue());
        }
        if let Some(every) = self.protocol.ping_every().filter(|_| self.ping_at.get() <= now)
            && !self.queue.borrow().is_closing()
        {
            self.queue.borrow_mut().ping();
            self.write();
            self.ping_from(now + every);
        }
    }
}

/// A session in its owner's hands.
struct Handle<P: Protocol>(Rc<Direct<P>>);

impl<P: Protocol> Connection for Handle<P> {
    fn send(&mut self, ticket: u64, format: Format, payload: &[u8]) -> Result<Sent, Unsent> {
        let session = &*self.0;
        if !session.queue.borrow().is_idle() || session.stream.waiting() > 0 {
            session.queue.borrow().has_room(payload.len(), session.endpoint.outbox_limit)?;
            let whose = Whose::Load { ticket, payload: payload.len() };
            let push = |format, bytes: &[u8]| session.queue.borrow_mut().push(whose, format, bytes);
            session.speech.dress(ticket, format, payload, push);
            return Ok(Sent::Later);
        }
        add_message(&session.sent, payload.len());
        let at = now();
        session.endpoint.reactor.encode(|out| {
            session.speech.dress(ticket, format, payload, |format, bytes| {
                session.protocol.encode(Outgoing::Message(format, bytes), at, out);
            });
            if let Err(error) = session.stream.write(out) {
                session.write_failed(error.into());
            }
        });
        Ok(Sent::At(at))
    }

    fn close(&mut self) {
        let session = &*self.0;
        if session.queue.borrow().is_closing() {
            return;
        }
        let was_idle = session.queue.borrow().is_idle();
        if let Some(last) = session.speech.leave() {
            session.queue.borrow_mut().push(Whose::Dialect, session.speech.format(), &last);
        }
        session.queue.borrow_mut().close(session.close_code);
        session.closing.by_us();
        session.expect_end();
        // Messages that wait are announced as they are sent, which can't be from within this call.
        if was_idle {
            session.write();
        }
    }

    fn traffic(&self, wire: bool) -> Traffic {
        let session = &*self.0;
        let (sent, received) = session.stream.counts();
        let is_ipv6 = session.endpoint.address.is_ipv6();
        let counts = wire.then(|| tcp_info::read_with_unread(session.stream.socket(), is_ipv6)).flatten();
        let mut reading = Reading::new(sent, received, counts, session.handshake.before);
        if let Some(former) = session.former.as_ref().filter(|_| wire) {
            reading += **former;
        }
        let mut traffic = Traffic {
            sent: session.sent.get(),
            received: session.received.get(),
            connections: 1 + u64::from(session.former.is_some()),
            handshake: session.handshake.asked + session.handshake.answered,
            handshake_sent: session.handshake.asked,
            ..Traffic::default()
        };
        (traffic.sent.saved, traffic.received.saved) = session.protocol.saved();
        reading.add_to(&mut traffic);
        traffic
    }

    fn open_connections(&self) -> u64 {
        u64::from(self.0.listening.get() != Listening::Over)
    }
}

impl<P: Protocol> Drop for Handle<P> {
    fn drop(&mut self) {
        self.0.endpoint.reactor.remove(self.0.token);
    }
}

/// Counts a message.
pub(super) fn add_message(volume: &Cell<Volume>, payload: usize) {
    let mut sum = volume.get();
    sum.messages += 1;
    sum.payload += payload as u64;
    volume.set(sum);
}
