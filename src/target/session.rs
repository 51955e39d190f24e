//! A session of a library's engine, with tasks: its seat in a place, its outbox, and the network between it and its client.

use super::hub::Member;
use super::outbox::{Item, Message, Outbox};
use super::place::PlaceName;
use super::server::Core;
use super::socket::Socket;
use super::stream::{CLOSING, write_out};
use bytes::Bytes;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

/// Close code of a target that ends a session itself: going away (RFC 6455 §7.4.1).
pub const GOING_AWAY: u16 = 1001;

pub struct Session {
    core: Rc<Core>,
    outbox: Rc<Outbox>,
    /// `None` once the session has left.
    member: RefCell<Option<Member>>,
    /// This end has begun to close, and waits only so long for the client to follow.
    closing: Notify,
}

impl Session {
    /// Joins `place`: first the answer to the join, then the greeting, if the place has one.
    pub fn join(core: &Rc<Core>, place: PlaceName, answer: Bytes) -> Rc<Session> {
        let outbox = Outbox::new(&core.network, &core.counts);
        outbox.send(Item::Raw(answer));
        let greeting = place.greeting().cloned();
        let member = core.hub.join(place, outbox.clone());
        let then_close = greeting.as_ref().is_some_and(|greeting| greeting.then_close);
        if let Some(greeting) = greeting {
            member.greet(&greeting.message());
        }
        let (member, closing) = (RefCell::new(Some(member)), Notify::new());
        let session = Rc::new(Session { core: core.clone(), outbox, member, closing });
        if then_close {
            session.start_closing(GOING_AWAY);
        } else if let Some(oracle) = &core.oracle {
            let session = Rc::downgrade(&session);
            oracle.close_later(move |code| session.upgrade().is_some_and(|session| session.close(code)));
        }
        session
    }

    /// This end begins to close, with `code` where the transport has one.
    fn start_closing(&self, code: u16) {
        self.outbox.send(Item::Close(code));
        self.closing.notify_one();
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
        self.member.borrow().as_ref().map(|_| self.outbox.send(Item::Raw(Bytes::from_static(bytes))))
    }

    /// A message was read; it is published when it has crossed the network.
    pub fn arrived(self: &Rc<Self>, message: Message) {
        let session = self.clone();
        self.core.network.inbound.carry(message.payload.len(), move || {
            if let Some(member) = &*session.member.borrow() {
                member.publish(&message);
            }
        });
    }

    /// Something was read that the transport itself answers.
    pub fn answered(self: &Rc<Self>, answer: Bytes) {
        let session = self.clone();
        self.core.network.inbound.carry(answer.len(), move || {
            session.outbox.send(Item::Raw(answer));
        });
    }

    /// The client's last word was read: the session leaves, gives the answer that is owed, and this end closes as well.
    fn end(self: &Rc<Self>, answer: Option<Bytes>) {
        let session = self.clone();
        self.core.network.inbound.carry(0, move || {
            session.member.take();
            answer.into_iter().for_each(|answer| _ = session.outbox.send(Item::Raw(answer)));
            session.outbox.send(Item::End);
        });
    }

    /// Starts writing what comes to the outbox to a socket.
    pub fn start_writing(
        self: &Rc<Self>,
        socket: &Rc<Socket>,
        encode: impl FnMut(Item, &mut Vec<u8>) -> ControlFlow<()> + 'static,
    ) -> JoinHandle<io::Result<()>> {
        let socket = socket.clone();
        self.start_writing_by(async move |core, outbox| write_out(core, outbox, &socket, encode).await)
    }

    /// Starts writing what comes to the outbox by `write`.
    pub fn start_writing_by(
        self: &Rc<Self>,
        write: impl AsyncFnOnce(&Core, &Outbox) -> io::Result<()> + 'static,
    ) -> JoinHandle<io::Result<()>> {
        let session = self.clone();
        spawn_local(async move {
            let written = write(&session.core, &session.outbox).await;
            session.outbox.abandon();
            written
        })
    }

    /// Runs to the end: `reading` until the client's last word (it returns the answer to that, if one is owed), then
    /// whatever is still to be written, and then `lingering`.
    pub async fn run(
        self: Rc<Self>,
        reading: impl Future<Output = io::Result<Option<Bytes>>>,
        writing: JoinHandle<io::Result<()>>,
        lingering: impl Future<Output = io::Result<()>>,
    ) -> io::Result<()> {
        let abort = writing.abort_handle();
        let overdue = async {
            self.closing.notified().await;
            sleep(CLOSING).await;
        };
        let read = tokio::select! {
            biased;
            read = reading => read,
            () = overdue => Ok(None),
        };
        let (answer, read) = read.map_or_else(|error| (None, Err(error)), |answer| (answer, Ok(())));
        self.end(answer);
        let done = async {
            _ = writing.await;
            if read.is_ok() { lingering.await } else { Ok(()) }
        };
        let ended = timeout(CLOSING, done).await.unwrap_or(Ok(()));
        abort.abort();
        self.outbox.abandon();
        read.and(ended)
    }
}
