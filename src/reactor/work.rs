//! Work of several steps on one connection, such as opening it: a future that the reactor itself moves on. It has no task of
//! the runtime and no waker: readiness and time are told to its seat, and the future looks there.

use super::{Handler, Reactor, Ready, Token, Turn};
use crate::clock::{Nanos, now};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A piece of work's place on the reactor: one socket at a time, and one instant to be woken at. Work that has a second one
/// waits for a [`turn`](Seat::turn) whenever it goes from one to the other, since what is ready isn't told apart.
pub struct Seat {
    pub(super) reactor: Rc<Reactor>,
    pub(super) token: Token,
    /// What the socket may be ready for, until trying shows that it isn't.
    pub(super) ready: Cell<Ready>,
    wakes_at: Cell<Option<Nanos>>,
    is_handed_over: Cell<bool>,
}

struct Work {
    seat: Rc<Seat>,
    /// Absent while it is moved on, and once it is done.
    future: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
}

impl Reactor {
    /// Has `work` done: it is moved on at once, and whenever the socket at its seat is ready or its time has come. It must not
    /// wait for anything else. What isn't done yet is dropped by [`clear`](Reactor::clear).
    pub fn carry_out<F: Future<Output = ()> + 'static>(self: &Rc<Self>, work: impl FnOnce(Rc<Seat>) -> F) {
        let token = self.slots.borrow_mut().reserve();
        let seat = Rc::new(Seat {
            reactor: self.clone(),
            token,
            ready: Cell::new(Ready::NONE),
            wakes_at: Cell::new(None),
            is_handed_over: Cell::new(false),
        });
        let future = Box::pin(work(seat.clone()));
        let work = Rc::new(Work { seat, future: RefCell::new(Some(future)) });
        self.hand_over(token, work.clone());
        work.move_on();
    }
}

impl Work {
    fn move_on(&self) {
        let Some(mut future) = self.future.take() else { return };
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => _ = self.future.replace(Some(future)),
            Poll::Ready(()) => {
                drop(future);
                if !self.seat.is_handed_over.get() {
                    self.seat.reactor.remove(self.seat.token);
                }
            }
        }
    }
}

impl Handler for Work {
    fn on_ready(&self, ready: Ready, _: &mut [u8]) -> Turn {
        self.seat.ready.set(self.seat.ready.get() | ready);
        self.move_on();
        Turn::Done
    }

    fn on_time(&self, _: Nanos) {
        self.move_on();
    }
}

impl Seat {
    pub fn token(&self) -> Token {
        self.token
    }

    /// Waits for `work` until `at`; `None`: it wasn't done by then.
    pub async fn until<T>(&self, at: Nanos, work: impl Future<Output = T>) -> Option<T> {
        if self.wakes_at.get() != Some(at) {
            self.forget_time();
            self.wakes_at.set(Some(at));
            self.reactor.wake_at(at, self.token);
        }
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if now() >= at => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Waits for the reactor's next turn, from which on everything is tried again.
    pub async fn turn(&self) {
        self.reactor.again(self.token);
        let mut is_next = false;
        poll_fn(|_| if std::mem::replace(&mut is_next, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Has `handler` handle the socket from now on, in place of the work; `more`: there is something to read that no
    /// readiness will tell of.
    pub fn hand_over(&self, handler: Rc<dyn Handler>, more: bool) {
        self.forget_time();
        self.is_handed_over.set(true);
        self.reactor.hand_over(self.token, handler);
        if more || self.ready.get().read {
            self.reactor.again(self.token);
        }
    }

    fn forget_time(&self) {
        if let Some(at) = self.wakes_at.take() {
            self.reactor.forget(at, self.token);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.forget_time();
    }
}
