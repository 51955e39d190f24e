//! A session on the reactor: no task, no timer and no buffer of its own while it waits.

use super::hub::Member;
use super::joining::Entrant;
use super::outbox::{Item, Message};
use super::outlet::{Encode, Outlet};
use super::place::PlaceName;
use super::session::GOING_AWAY;
use super::stream::{CLOSING, LINGER};
use crate::clock::Nanos;
use crate::reactor::{Handler, Ready, Received, Turn};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Reads in a row on one connection before others get their turn.
const READS: usize = 4;

/// Bytes → messages, for one wire format.
pub trait Protocol: Sized + 'static {
    type Encoder: Encode;

    /// Hands what `bytes` bring to `session`.
    fn decode(&mut self, bytes: &mut [u8], session: &Direct<Self>) -> Heard;
}

/// What was heard from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// More may come.
    Goes,
    /// Its last word, or bytes that break the rules; with the answer that is owed for it.
    Ends(Option<Bytes>),
}

pub struct Direct<P: Protocol> {
    outlet: Rc<Outlet<P::Encoder>>,
    protocol: RefCell<P>,
    /// `None` once the session has left, and for one that never joined.
    member: RefCell<Option<Member>>,
    listening: Cell<Listening>,
    /// Nobody else sends anything to this session.
    is_alone: bool,
    /// Too much crosses the network for more to be read.
    is_held_up: Cell<bool>,
    /// When the client should have followed; 0: nothing is expected of it.
    overdue_at: Cell<Nanos>,
    is_lingering: Cell<bool>,
    me: Weak<Direct<P>>,
}

/// What is made of what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    Yes,
    /// The client has said its last word: whatever follows is discarded.
    Discarding,
    /// Nothing more will come.
    Heard,
    /// The connection is let go.
    Over,
}

impl<P: Protocol> Direct<P> {
    /// Joins `place`: first the answer to the join, then the greeting, if the place has one.
    pub fn join(entrant: Entrant, place: PlaceName, codec: (P, P::Encoder), answer: Bytes) -> Rc<Direct<P>> {
        let direct = Direct::start(entrant, codec, Listening::Yes, place == PlaceName::Echo);
        let (outlet, core) = (&direct.outlet, &direct.outlet.shared.core);
        let (greeting, then_close) = (place.greeting().cloned(), place.is_to_close());
        outlet.shared.together(|| {
            outlet.send(Item::Raw(answer));
            let member = core.hub.join(place, outlet.clone());
            if let Some(greeting) = greeting {
                member.greet(&greeting.message());
            }
            direct.member.replace(Some(member));
            if then_close {
                direct.start_closing(GOING_AWAY);
            }
        });
        if let Some(oracle) = core.oracle.as_ref().filter(|_| !then_close) {
            let direct = direct.me.clone();
            oracle.close_later(move |code| direct.upgrade().is_some_and(|direct| direct.close(code)));
        }
        direct
    }

    /// Answers someone who may not come in, and hangs up.
    pub fn refuse(entrant: Entrant, codec: (P, P::Encoder), answer: Bytes) {
        let direct = Direct::start(entrant, codec, Listening::Discarding, true);
        direct.say_last(Some(answer));
        direct.expect_end();
    }

    fn start(
        entrant: Entrant,
        (protocol, encoder): (P, P::Encoder),
        listening: Listening,
        is_alone: bool,
    ) -> Rc<Direct<P>> {
        let Entrant { shared, stream, token, more } = entrant;
        let outlet = Outlet::new(shared.clone(), stream, token, encoder);
        let direct = Rc::new_cyclic(|me| Direct {
            outlet,
            protocol: RefCell::new(protocol),
            member: RefCell::default(),
            listening: Cell::new(listening),
            is_alone,
            is_held_up: Cell::new(false),
            overdue_at: Cell::new(0),
            is_lingering: Cell::new(false),
            me: me.clone(),
        });
        shared.reactor.hand_over(token, direct.clone());
        // What came before is told by no readiness.
        if more {
            shared.reactor.again(token);
        }
        direct
    }

    /// This end begins to close, with `code` where the transport has one.
    fn start_closing(&self, code: u16) {
        self.outlet.send(Item::Close(code));
        self.expect_within(CLOSING);
    }

    /// The session leaves because this end wants it; false if it has left already.
    fn close(&self, code: u16) -> bool {
        let left = self.member.take().is_some();
        if left {
            self.start_closing(code);
        }
        left
    }

    /// Sends bytes that nobody asked for: whether there was room for them; `None` if the session has left.
    pub fn send_unasked(&self, bytes: &'static [u8]) -> Option<bool> {
        self.member.borrow().as_ref().map(|_| self.outlet.send(Item::Raw(Bytes::from_static(bytes))))
    }

    pub fn encoder(&self) -> &P::Encoder {
        &self.outlet.encode
    }

    /// A message was read; it is published when it has crossed the network. `is_last`: of those that were read together.
    pub fn arrived(&self, message: Message, is_last: bool) {
        let Some(direct) = self.me.upgrade() else { return };
        let shared = &self.outlet.shared;
        if is_last && self.is_alone {
            shared.stop_gathering();
        }
        shared.core.network.inbound.carry(message.payload.len(), move || {
            if let Some(member) = &*direct.member.borrow() {
                member.publish(&message);
            }
        });
        shared.bound();
    }

    /// Something was read that the transport itself answers.
    pub fn answered(&self, answer: Bytes) {
        let outlet = self.outlet.clone();
        self.outlet.shared.core.network.inbound.carry(answer.len(), move || {
            outlet.send(Item::Raw(answer));
        });
    }

    /// The client's last word was read: the session leaves, gives the answer that is owed, and this end closes as well.
    fn end(&self, answer: Option<Bytes>) {
        let Some(direct) = self.me.upgrade() else { return };
        self.outlet.shared.core.network.inbound.carry(0, move || {
            direct.member.take();
            direct.say_last(answer);
        });
        self.expect_end();
    }

    fn say_last(&self, answer: Option<Bytes>) {
        self.outlet.shared.together(|| {
            answer.into_iter().for_each(|answer| _ = self.outlet.send(Item::Raw(answer)));
            self.outlet.send(Item::End);
        });
        self.settle();
    }

    /// A session that is not over should be so soon.
    fn expect_end(&self) {
        if self.listening.get() != Listening::Over && !self.is_lingering.get() {
            self.expect_within(CLOSING);
        }
    }

    fn expect_within(&self, patience: Duration) {
        self.overdue_at.set(self.outlet.shared.wake_after(patience, self.outlet.token));
    }

    /// Once the last byte was written and the client's last word is read: lets the connection go, or listens on for the
    /// client's own close. Closing while something unread has come would reset the connection, and the client might never
    /// see our last bytes.
    fn settle(&self) {
        if !self.outlet.is_over() {
            return;
        }
        match self.listening.get() {
            Listening::Heard => self.finish(),
            Listening::Discarding if !self.is_lingering.replace(true) => self.expect_within(LINGER),
            Listening::Yes | Listening::Discarding | Listening::Over => {}
        }
    }

    fn finish(&self) {
        self.listening.set(Listening::Over);
        self.outlet.shared.reactor.remove(self.outlet.token);
    }

    /// Reads what is there; what is left for another turn.
    fn read(&self, ready: Ready, buffer: &mut [u8]) -> Turn {
        for _ in 0..READS {
            if matches!(self.listening.get(), Listening::Heard | Listening::Over) || self.is_to_wait() {
                return Turn::Done;
            }
            match self.outlet.stream.read(buffer) {
                Ok(Received::Empty) => return Turn::Done,
                Ok(Received::Bytes { n, is_last }) => {
                    self.take(&mut buffer[..n]);
                    if is_last && !ready.ended {
                        return Turn::Done;
                    }
                }
                Ok(Received::End) => {
                    self.outlet.hear_out();
                    self.hear_no_more();
                }
                Err(_) => {
                    self.outlet.give_up();
                    self.hear_no_more();
                }
            }
        }
        Turn::Again
    }

    fn hear_no_more(&self) {
        if self.listening.replace(Listening::Heard) == Listening::Yes {
            self.end(None);
        }
    }

    fn take(&self, bytes: &mut [u8]) {
        if self.listening.get() != Listening::Yes {
            return;
        }
        let heard = self.outlet.shared.gather(|| self.protocol.borrow_mut().decode(bytes, self));
        if let Heard::Ends(answer) = heard {
            self.listening.set(Listening::Discarding);
            self.end(answer);
        }
    }

    /// Whether so much is under way that nothing may be read now. When this wait has crossed the network, what was ahead of
    /// it has too.
    fn is_to_wait(&self) -> bool {
        let inbound = &self.outlet.shared.core.network.inbound;
        if self.is_held_up.get() || !inbound.is_full() {
            return self.is_held_up.get();
        }
        let Some(direct) = self.me.upgrade() else { return true };
        self.is_held_up.set(true);
        inbound.carry(0, move || {
            direct.is_held_up.set(false);
            direct.outlet.shared.reactor.again(direct.outlet.token);
        });
        true
    }
}

impl<P: Protocol> Handler for Direct<P> {
    fn on_ready(&self, ready: Ready, buffer: &mut [u8]) -> Turn {
        if ready.write {
            self.outlet.flush();
        }
        let turn = if ready.read { self.read(ready, buffer) } else { Turn::Done };
        self.settle();
        turn
    }

    fn on_time(&self, now: Nanos) {
        if !(1..=now).contains(&self.overdue_at.get()) {
            return;
        }
        match self.listening.get() {
            // This end has begun to close, and the client didn't follow.
            Listening::Yes => {
                self.listening.set(Listening::Discarding);
                self.end(None);
            }
            Listening::Discarding | Listening::Heard => self.finish(),
            Listening::Over => {}
        }
    }
}
