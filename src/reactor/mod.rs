//! One epoll of our own per process, beside the runtime's: for connections that are many and mostly wait.
//!
//! A connection here is a descriptor and whoever handles it. It has no task, no timer and no buffer of its own: the
//! reactor is one task of the runtime, and hands each connection that is ready the one buffer that all share.
//!
//! | file | what |
//! |---|---|
//! | `poll.rs` | the epoll: which descriptors are ready |
//! | `work.rs` | work of several steps, such as opening a connection |
//! | `socket.rs` | a TCP connection in the hands of such work |
//! | `stream.rs` | a TCP connection, with or without TLS, that never waits |
//! | `records.rs` | TLS over a socket that never waits, for either end |
//! | `timers.rs` | instants that connections asked to be woken at |

use crate::clock::{Alarm, Nanos, now};
use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local, yield_now};

mod poll;
pub mod records;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod timers;
mod work;

use poll::Poll;
use timers::Timers;

pub use poll::Ready;
pub use socket::Socket;
pub use stream::{Io, Received, Stream};
pub use work::Seat;

/// What is done about a connection. Calls come one at a time, never from within another call of the same handler.
pub trait Handler {
    /// The descriptor is ready. `buffer` is everyone's: what is kept of it must be copied. Must read until the socket is
    /// empty, or a read came short and nothing has `ended`, or return [`Turn::Again`]: readiness is told once (edge-triggered).
    fn on_ready(&self, ready: Ready, buffer: &mut [u8]) -> Turn;
    /// An instant asked for with [`Reactor::wake_at`] has come.
    fn on_time(&self, now: Nanos);
}

/// What a handler leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing, until something new happens.
    Done,
    /// There is more to do; others get their turn first.
    Again,
}

/// Names a connection. It never names another one, even after the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    index: u32,
    generation: u32,
}

/// The reactor. Dropping the last reference ends its task.
pub struct Reactor {
    poll: Rc<Poll>,
    slots: RefCell<Slots>,
    /// Connections that have more to do.
    again: RefCell<Vec<Token>>,
    buffer: RefCell<Vec<u8>>,
    outgoing: RefCell<Vec<u8>>,
    timers: RefCell<Timers>,
    after_turn: RefCell<Option<Box<dyn Fn()>>>,
    /// Somebody wants another turn.
    stirred: Rc<Notify>,
    /// An earlier instant was set than the one that is slept for.
    sooner: Rc<Notify>,
    alarm: Rc<Alarm>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

/// Bytes taken from a socket in one go.
const READ_CHUNK: usize = 64 * 1024;
/// Encoding buffers above this are given back after use, bytes.
const KEEP: usize = 1 << 20;

impl Reactor {
    /// A reactor that is at work: [`new`](Reactor::new), then [`run`](Reactor::run).
    pub fn start() -> io::Result<Rc<Reactor>> {
        let reactor = Reactor::new()?;
        reactor.run();
        Ok(reactor)
    }

    /// Takes the two descriptors that it will ever need. Must be called on a runtime with I/O enabled.
    pub fn new() -> io::Result<Rc<Reactor>> {
        Ok(Rc::new(Reactor {
            poll: Rc::new(Poll::new()?),
            slots: RefCell::default(),
            again: RefCell::default(),
            buffer: RefCell::new(vec![0; READ_CHUNK]),
            outgoing: RefCell::default(),
            timers: RefCell::new(Timers::new()),
            after_turn: RefCell::default(),
            stirred: Rc::default(),
            sooner: Rc::default(),
            alarm: Rc::new(Alarm::new()?),
            tasks: RefCell::default(),
        }))
    }

    /// Sets it to work. Must be called once, within a `LocalSet`.
    pub fn run(self: &Rc<Self>) {
        let (attended, timed) = (Rc::downgrade(self), Rc::downgrade(self));
        let (poll, stirred) = (self.poll.clone(), self.stirred.clone());
        let (alarm, sooner) = (self.alarm.clone(), self.sooner.clone());
        // They fail only if the runtime's own polling does, and then nothing would come any more anyway.
        let attending = spawn_local(async move { _ = attend(&attended, &poll, &stirred).await });
        let timing = spawn_local(async move { _ = keep_time(&timed, &alarm, &sooner).await });
        *self.tasks.borrow_mut() = vec![attending, timing];
    }

    /// Watches `descriptor` for `handler`, from now until [`remove`](Reactor::remove).
    pub fn add(&self, descriptor: &impl AsFd, handler: Rc<dyn Handler>) -> io::Result<Token> {
        let token = self.slots.borrow_mut().reserve();
        self.hand_over(token, handler);
        if let Err(error) = self.watch(descriptor, token) {
            self.remove(token);
            return Err(error);
        }
        Ok(token)
    }

    fn watch(&self, descriptor: &impl AsFd, token: Token) -> io::Result<()> {
        self.poll.add(descriptor.as_fd(), token.to_u64())
    }

    /// Lets the handler go. Whoever owns the descriptor closes it, which ends the watching.
    pub fn remove(&self, token: Token) {
        let handler = self.slots.borrow_mut().remove(token);
        // Dropped outside the borrow: it may hold the last reference to others of ours.
        drop(handler);
    }

    /// Has `handler` handle what `token` names, in place of who did so far.
    pub fn hand_over(&self, token: Token, handler: Rc<dyn Handler>) {
        let former = self.slots.borrow_mut().replace(token, handler);
        drop(former);
    }

    /// Lets every handler go: they may hold on to what holds on to the reactor.
    pub fn clear(&self) {
        let handlers: Vec<_> = self.slots.borrow_mut().all.iter_mut().map(|slot| slot.handler.take()).collect();
        drop(handlers);
    }

    /// Has `work` done whenever everyone who was ready has been called. It must not call [`after_turn`](Self::after_turn).
    pub fn after_turn(&self, work: impl Fn() + 'static) {
        *self.after_turn.borrow_mut() = Some(Box::new(work));
    }

    /// Has the handler of `token` called at `at`.
    pub fn wake_at(&self, at: Nanos, token: Token) {
        if self.timers.borrow_mut().push(at, token) {
            self.sooner.notify_one();
        }
    }

    /// Takes back a [`wake_at`](Reactor::wake_at).
    fn forget(&self, at: Nanos, token: Token) {
        self.timers.borrow_mut().forget(at, token);
    }

    /// Has the handler of `token` called again soon, as if it were ready.
    pub fn again(&self, token: Token) {
        self.again.borrow_mut().push(token);
        self.stirred.notify_one();
    }

    /// Lends the buffer in which everyone encodes what is written at once.
    pub fn encode<T>(&self, with: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut out = self.outgoing.take();
        out.clear();
        let result = with(&mut out);
        if out.capacity() <= KEEP {
            *self.outgoing.borrow_mut() = out;
        }
        result
    }

    /// Handles what is ready now, without waiting; whether there may be more at once.
    pub fn turn(&self) -> io::Result<bool> {
        let again = std::mem::take(&mut *self.again.borrow_mut());
        let more = self.poll.ready(|token, ready| self.call(Token::from_u64(token), ready))?;
        for token in again {
            self.call(token, Ready::ALL);
        }
        if let Some(work) = &*self.after_turn.borrow() {
            work();
        }
        if !self.again.borrow().is_empty() {
            self.stirred.notify_one();
        }
        Ok(more)
    }

    fn call(&self, token: Token, ready: Ready) {
        let Some(handler) = self.slots.borrow().get(token) else { return };
        let turn = handler.on_ready(ready, &mut self.buffer.borrow_mut());
        if turn == Turn::Again {
            self.again.borrow_mut().push(token);
        }
    }

    fn wake_due(&self, now: Nanos) {
        loop {
            let due = self.timers.borrow_mut().pop_due(now);
            let Some(token) = due else { return };
            let handler = self.slots.borrow().get(token);
            if let Some(handler) = handler {
                handler.on_time(now);
            }
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.tasks.borrow_mut().drain(..).for_each(|task| task.abort());
    }
}

/// Gives the reactor its turn whenever something is ready, for as long as there is one.
async fn attend(reactor: &Weak<Reactor>, poll: &Poll, stirred: &Notify) -> io::Result<()> {
    loop {
        let guard = tokio::select! {
            biased;
            guard = poll.readable() => Some(guard?),
            () = stirred.notified() => None,
        };
        let Some(reactor) = reactor.upgrade() else { return Ok(()) };
        let is_drained = !reactor.turn()?;
        drop(reactor);
        match guard {
            Some(mut guard) if is_drained => guard.clear_ready(),
            // One that is always busy would otherwise keep everyone else from running.
            _ => yield_now().await,
        }
    }
}

async fn keep_time(reactor: &Weak<Reactor>, alarm: &Alarm, sooner: &Notify) -> io::Result<()> {
    loop {
        let next = {
            let Some(reactor) = reactor.upgrade() else { return Ok(()) };
            reactor.wake_due(now());
            reactor.timers.borrow_mut().set_alarm()
        };
        match next {
            Some(at) => tokio::select! {
                slept = alarm.sleep_until(at) => slept?,
                () = sooner.notified() => {}
            },
            None => sooner.notified().await,
        }
    }
}

/// Who handles what; slots are used again under another generation.
#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    handler: Option<Rc<dyn Handler>>,
    generation: u32,
}

impl Slots {
    /// A slot without a handler yet.
    fn reserve(&mut self) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.all.push(Slot { handler: None, generation: 0 });
            self.all.len() as u32 - 1
        });
        Token { index, generation: self.all[index as usize].generation }
    }

    fn get(&self, token: Token) -> Option<Rc<dyn Handler>> {
        let slot = self.all.get(token.index as usize).filter(|slot| slot.generation == token.generation)?;
        slot.handler.clone()
    }

    /// The one whose place `handler` takes, if there was one; `handler` itself if the connection is gone.
    fn replace(&mut self, token: Token, handler: Rc<dyn Handler>) -> Option<Rc<dyn Handler>> {
        match self.all.get_mut(token.index as usize).filter(|slot| slot.generation == token.generation) {
            Some(slot) => slot.handler.replace(handler),
            None => Some(handler),
        }
    }

    fn remove(&mut self, token: Token) -> Option<Rc<dyn Handler>> {
        let slot = self.all.get_mut(token.index as usize).filter(|slot| slot.generation == token.generation)?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(token.index);
        slot.handler.take()
    }
}

impl Token {
    fn to_u64(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.index)
    }

    fn from_u64(data: u64) -> Token {
        Token { index: data as u32, generation: (data >> 32) as u32 }
    }
}
