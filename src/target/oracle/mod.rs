//! What the target does on purpose, and the count of it.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | whose turn it is: which message, copy, connection, upgrade or session |
//! | `agenda.rs` | everything that is to be done later |
//! | `delays.rs` | how long a message is held, and the log of it |
//! | `datagrams.rs` | the fate of each datagram |

use super::counts::Counts;
use super::outbox::Message;
use super::server::TargetError;
use crate::catalog::{BadUpgrade, Oracle};
use crate::clock::{Nanos, now};
use crate::measure::Truth;
use crate::units::Span;
use crate::wire::Tag;
use agenda::Agenda;
use delays::HeldLog;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::rc::Rc;

mod agenda;
mod datagrams;
mod delays;

pub use datagrams::{Done, Fate, LONGEST_WAIT, Lane, fate};
pub use delays::drawn;

/// Seed of a target that was told none; also a scenario's.
const FIRST_SEED: u64 = 1;
/// How long the copies of `delay_copy` are delayed unless told otherwise.
const COPY_DELAY: Span = Span::from_millis(50);
/// Close code of `close_after`: going away (RFC 6455 §7.4.1).
const GOING_AWAY: u16 = 1001;

/// Does what the oracle says. A target whose oracle says nothing has none.
pub struct Actor {
    oracle: Oracle,
    udp_faults: bool,
    agenda: Rc<Agenda>,
    log: Option<HeldLog>,
    truth: RefCell<Truth>,
    /// Messages without a tag so far: their ids.
    untagged: Tally,
    copies: Tally,
    joins: Tally,
    upgrades: Tally,
}

/// What becomes of a connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    Serve,
    HangUp,
    Reset,
}

/// What becomes of one copy of the fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handing {
    Now,
    Never,
    /// In so many nanoseconds.
    Later(Nanos),
}

/// Counts from 1, to find every n-th.
#[derive(Debug, Default)]
struct Tally(Cell<u64>);

impl Tally {
    fn next(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

fn is_nth(number: u64, every: Option<NonZeroU64>) -> bool {
    every.is_some_and(|every| number.is_multiple_of(every.get()))
}

fn seed_of(oracle: &Oracle) -> u64 {
    oracle.seed.unwrap_or(FIRST_SEED)
}

impl Actor {
    /// `None` if there is nothing to do. Takes the descriptors that it will ever need; needs a running tokio runtime.
    ///
    /// # Errors
    /// The log can't be made, or there is no timer.
    pub fn new(oracle: &Oracle) -> Result<Option<Rc<Actor>>, TargetError> {
        // A seed alone draws nothing.
        if (Oracle { seed: None, ..oracle.clone() }) == Oracle::default() {
            return Ok(None);
        }
        let log = oracle
            .log
            .as_ref()
            .map(|path| HeldLog::create(path).map_err(|source| TargetError::Log { path: path.clone(), source }));
        Ok(Some(Rc::new(Actor {
            oracle: oracle.clone(),
            udp_faults: datagrams::has_faults(oracle),
            agenda: Rc::new(Agenda::new()?),
            log: log.transpose()?,
            truth: RefCell::default(),
            untagged: Tally::default(),
            copies: Tally::default(),
            joins: Tally::default(),
            upgrades: Tally::default(),
        })))
    }

    /// Acts until the target ends; returns only if its timer fails. Stalls are on a grid that starts now.
    pub async fn run(self: Rc<Self>) -> io::Result<Infallible> {
        if let Some(stall) = self.oracle.stall {
            let actor = self.clone();
            self.agenda.every(now(), stall.every.nanos(), move || {
                let began = now();
                // The whole target is one thread.
                std::thread::sleep(stall.length.0);
                actor.note(|truth| truth.stalls.record(now() - began));
                ControlFlow::Continue(())
            });
        }
        self.agenda.run().await
    }

    /// What was done, when nothing more will be.
    pub fn finish(&self) -> Result<Truth, TargetError> {
        self.agenda.clear();
        if let Some(log) = &self.log {
            log.finish().map_err(|source| TargetError::Log { path: log.path().to_owned(), source })?;
        }
        Ok(self.truth.borrow().clone())
    }

    /// Counts what was done.
    pub fn note(&self, count: impl FnOnce(&mut Truth)) {
        count(&mut self.truth.borrow_mut());
    }

    /// Does `job` at `due`.
    pub fn at(&self, due: Nanos, job: impl FnOnce() + 'static) {
        self.agenda.at(due, job);
    }

    /// Does `release` when `message`, which has arrived now, has been held as long as was drawn for it.
    pub fn hold(self: &Rc<Self>, message: &Message, counts: &Counts, release: impl FnOnce() + 'static) {
        let Some(distribution) = &self.oracle.reply_delay else { return release() };
        let arrived = now();
        let id = Tag::find(&message.payload).map_or_else(|| self.untagged.next() - 1, |tag| tag.id);
        let drawn = drawn(distribution, seed_of(&self.oracle), id);
        let actor = self.clone();
        let held = self.agenda.hold(arrived + drawn, message.payload.len(), move || {
            actor.held(id, drawn, now() - arrived);
            release();
        });
        counts.dropped.add(u64::from(!held));
    }

    fn held(&self, id: u64, drawn: Nanos, held: Nanos) {
        self.note(|truth| truth.held.record(held));
        if let Some(log) = &self.log {
            log.line(id, drawn, held);
        }
    }

    /// What becomes of the next copy of the fan-out.
    pub fn next_copy(&self) -> Handing {
        let number = self.copies.next();
        match () {
            () if is_nth(number, self.oracle.drop_copy) => {
                self.note(|truth| truth.copies_dropped += 1);
                Handing::Never
            }
            () if is_nth(number, self.oracle.delay_copy) => {
                Handing::Later(self.oracle.copy_delay.unwrap_or(COPY_DELAY).nanos())
            }
            () => Handing::Now,
        }
    }

    /// Does `hand_over` after `delay`; it says whether the receiver was still there. False if too much waits already.
    pub fn delay_copy(
        self: &Rc<Self>,
        delay: Nanos,
        message: &Message,
        hand_over: impl FnOnce() -> bool + 'static,
    ) -> bool {
        let actor = self.clone();
        self.agenda.hold(now() + delay, message.payload.len(), move || {
            let handed = hand_over();
            actor.note(|truth| truth.copies_delayed += u64::from(handed));
        })
    }

    /// What becomes of the connection that was accepted as number `number`, from 1.
    pub fn connection(&self, number: u64) -> Welcome {
        match () {
            () if is_nth(number, self.oracle.refuse) => Welcome::HangUp,
            () if is_nth(number, self.oracle.reset) => Welcome::Reset,
            () => Welcome::Serve,
        }
    }

    /// Whether the next peer that joins by UDP is turned away.
    pub fn refuses_join(&self) -> bool {
        let refused = is_nth(self.joins.next(), self.oracle.refuse);
        self.note(|truth| truth.connections_refused += u64::from(refused));
        refused
    }

    /// The wrong answer to the next upgrade, if it is to have one.
    pub fn bad_upgrade(&self) -> Option<BadUpgrade> {
        let bad = self.oracle.bad_upgrade?;
        let every = self.oracle.upgrade.or(NonZeroU64::new(1));
        let refused = is_nth(self.upgrades.next(), every);
        self.note(|truth| truth.upgrades_refused += u64::from(refused));
        refused.then_some(bad)
    }

    /// Does `ping` and `pong` at their intervals from now on. Each says whether its frame is on its way; `None` once there
    /// is nobody any more.
    pub fn keep_alive(
        self: &Rc<Self>,
        ping: impl Fn() -> Option<bool> + 'static,
        pong: impl Fn() -> Option<bool> + 'static,
    ) {
        self.repeat(self.oracle.pings, ping, |truth| &mut truth.pings);
        self.repeat(self.oracle.pongs, pong, |truth| &mut truth.pongs);
    }

    fn repeat(
        self: &Rc<Self>,
        every: Option<Span>,
        send: impl Fn() -> Option<bool> + 'static,
        count: fn(&mut Truth) -> &mut u64,
    ) {
        let Some(every) = every.map(Span::nanos).filter(|every| *every > 0) else { return };
        let actor = self.clone();
        self.agenda.every(now(), every, move || {
            let Some(sent) = send() else { return ControlFlow::Break(()) };
            actor.note(|truth| *count(truth) += u64::from(sent));
            ControlFlow::Continue(())
        });
    }

    /// Closes a session that joined now when its time has come: by `close`, which is told the code where there is one, and
    /// says whether the session was still there.
    pub fn close_later(self: &Rc<Self>, close: impl FnOnce(u16) -> bool + 'static) {
        let Some(after) = self.oracle.close_after else { return };
        let code = self.oracle.close_code.unwrap_or(GOING_AWAY);
        let actor = self.clone();
        self.agenda.at(now().saturating_add(after.nanos()), move || {
            let closed = close(code);
            actor.note(|truth| truth.closed += u64::from(closed));
        });
    }

    /// The fate of a copy of `message` on a UDP peer's way; `None` where no datagram has another than the plain one.
    /// `order` and `untagged`: which peer it is, and a number for a message that has no id.
    pub fn datagram(&self, message: &[u8], order: u64, untagged: impl FnOnce() -> u64) -> Option<Fate> {
        let id = || Tag::find(message).map_or_else(untagged, |tag| tag.id);
        self.udp_faults.then(|| fate(&self.oracle, id(), order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn every_nth_is_counted_from_one_and_refusing_wins() {
        let actor = |text: &str| Actor::new(&toml::from_str(text).unwrap()).unwrap();
        assert!(actor("").is_none() && actor("seed = 5").is_none());
        let oracle = actor("refuse = 4\nreset = 2\ndrop_copy = 3\ndelay_copy = 2\ncopy_delay = \"1ms\"").unwrap();
        use Welcome::{HangUp, Reset, Serve};
        let welcomes: Vec<Welcome> = (1..=8).map(|n| oracle.connection(n)).collect();
        assert_eq!(welcomes, [Serve, Reset, Serve, HangUp, Serve, Reset, Serve, HangUp]);
        use Handing::{Later, Never, Now};
        let copies: Vec<Handing> = (0..6).map(|_| oracle.next_copy()).collect();
        assert_eq!(copies, [Now, Later(1_000_000), Never, Later(1_000_000), Now, Never]);
        assert_eq!((0..8).filter(|_| oracle.refuses_join()).count(), 2);
        let truth = oracle.finish().unwrap();
        assert_eq!((truth.copies_dropped, truth.connections_refused), (2, 2));
    }
}
