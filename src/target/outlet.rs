//! The writing half of a connection on the reactor: what is handed to it goes to the socket at once, and waits only if
//! the socket is full or more is about to come.

use super::hub::Receiver;
use super::outbox::{Item, Load, Message};
use super::shared::{Holder, Shared};
use crate::reactor::{Stream, Token};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;

/// Once a write holds this much, the rest waits for the next, bytes.
const BATCH: usize = 64 * 1024;

/// Messages → bytes, for one wire format.
pub trait Encode: 'static {
    fn message(&self, message: &Message, out: &mut Vec<u8>);

    /// Starts the closing handshake; breaks where the format has none but the end of the stream.
    fn close(&self, code: u16, out: &mut Vec<u8>) -> ControlFlow<()>;
}

/// One connection's. Its own side never calls back into a place: of what goes wrong the reactor tells the session later.
pub struct Outlet<E> {
    pub shared: Rc<Shared>,
    pub stream: Stream,
    pub token: Token,
    pub encode: E,
    /// What can't be written yet; without memory of its own when empty.
    queue: RefCell<VecDeque<Item>>,
    /// Of what is queued or crosses the network.
    load: Load,
    state: Cell<State>,
    /// The client's FIN has come, so that closing the socket says as much as closing our half.
    heard_out: Cell<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The last item is written or waits with the stream.
    Ended,
    Broken,
}

impl<E: Encode> Outlet<E> {
    pub fn new(shared: Rc<Shared>, stream: Stream, token: Token, encode: E) -> Rc<Outlet<E>> {
        Rc::new(Outlet {
            shared,
            stream,
            token,
            encode,
            queue: RefCell::default(),
            load: Load::default(),
            state: Cell::new(State::Open),
            heard_out: Cell::new(false),
        })
    }

    /// Sends `item` on its way; false if too much waits already, and it was dropped.
    pub fn send(self: &Rc<Self>, item: Item) -> bool {
        if !self.load.add(&item) {
            return false;
        }
        let outlet = self.clone();
        self.shared.core.network.outbound.carry(item.size(), move || outlet.arrive(item));
        true
    }

    fn arrive(self: Rc<Self>, item: Item) {
        if self.state.get() != State::Open {
            return self.load.take(&item);
        }
        let was_idle = self.is_idle();
        self.queue.borrow_mut().push_back(item);
        if self.shared.is_gathering() {
            let shared = self.shared.clone();
            shared.hold(was_idle.then_some(self));
        } else if was_idle {
            self.write();
        }
    }

    fn is_idle(&self) -> bool {
        self.queue.borrow().is_empty() && self.stream.waiting() == 0
    }

    /// The socket is ready for more.
    pub fn flush(&self) {
        if self.state.get() == State::Broken {
            return;
        }
        match self.stream.flush() {
            Ok(_) => self.write(),
            Err(_) => self.give_up(),
        }
    }

    /// Writes what is queued, as long as the socket takes it.
    fn write(&self) {
        while self.stream.waiting() == 0 && self.write_batch() {}
    }

    /// Writes some of what is queued, in one go; false if there is nothing.
    fn write_batch(&self) -> bool {
        self.shared.reactor.encode(|out| {
            let mut ends = false;
            let mut taken = false;
            while out.len() < BATCH && !ends {
                let Some(item) = self.pop() else { break };
                taken = true;
                ends = self.append(&item, out).is_break();
            }
            self.put(out, ends);
            taken && self.state.get() == State::Open
        })
    }

    fn append(&self, item: &Item, out: &mut Vec<u8>) -> ControlFlow<()> {
        match item {
            Item::Message(message) => self.encode.message(message, out),
            Item::Raw(bytes) => out.extend_from_slice(bytes),
            Item::Close(code) => return self.encode.close(*code, out),
            Item::End => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn put(&self, bytes: &[u8], ends: bool) {
        if bytes.is_empty() && !ends {
            return;
        }
        let written = self.stream.write(bytes).and_then(|()| if ends { self.end() } else { Ok(()) });
        if written.is_err() {
            self.give_up();
        }
    }

    fn end(&self) -> io::Result<()> {
        self.state.set(State::Ended);
        self.drop_queue();
        // The session may linger now. It looks for itself, unless this comes from elsewhere.
        if !self.shared.core.network.outbound.is_instant() {
            self.shared.reactor.again(self.token);
        }
        // TLS says that it closes, whoever did first.
        if self.heard_out.get() && !self.stream.is_tls() { Ok(()) } else { self.stream.close() }
    }

    fn pop(&self) -> Option<Item> {
        let mut queue = self.queue.borrow_mut();
        let item = queue.pop_front()?;
        if queue.is_empty() {
            *queue = VecDeque::new();
        }
        self.load.take(&item);
        Some(item)
    }

    fn drop_queue(&self) {
        while self.pop().is_some() {}
    }

    /// Nothing can be written any more, or nothing shall be. What the client sent before may still be read.
    pub fn give_up(&self) {
        if self.state.replace(State::Broken) != State::Broken {
            self.drop_queue();
            self.shared.reactor.again(self.token);
        }
    }

    /// The client's FIN was read.
    pub fn hear_out(&self) {
        self.heard_out.set(true);
    }

    /// Whether everything is written that ever will be.
    pub fn is_over(&self) -> bool {
        match self.state.get() {
            State::Open => false,
            State::Ended => !self.stream.has_to_flush(),
            State::Broken => true,
        }
    }

    fn writes_at_once(&self) -> bool {
        !self.shared.is_gathering() && self.shared.core.network.outbound.is_instant() && self.is_idle()
    }
}

impl<E: Encode> Receiver for Outlet<E> {
    fn deliver(self: Rc<Self>, message: &Message) {
        if self.state.get() != State::Open {
            return;
        }
        let counts = &self.shared.core.counts;
        if self.writes_at_once() {
            counts.delivered.add(1);
            return self.shared.reactor.encode(|out| {
                self.encode.message(message, out);
                self.put(out, false);
            });
        }
        match self.send(Item::Message(message.clone())) {
            true => counts.delivered.add(1),
            false => counts.dropped.add(1),
        }
    }
}

impl<E: Encode> Holder for Outlet<E> {
    fn let_go(&self) {
        self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Engine, Format, Oracle};
    use crate::codec::stream::StreamCodec;
    use crate::reactor::{Handler, Io, Reactor, Ready, Turn};
    use crate::target::server::Core;
    use crate::target::{Config, Ports};
    use crate::units::Span;
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};

    struct Nobody;

    impl Handler for Nobody {
        fn on_ready(&self, _: Ready, _: &mut [u8]) -> Turn {
            Turn::Done
        }
        fn on_time(&self, _: crate::clock::Nanos) {}
    }

    fn outlet() -> (Rc<Outlet<StreamCodec>>, TcpStream) {
        let config = Config {
            bind: [127, 0, 0, 1].into(),
            ports: Ports::default(),
            token: None,
            engine: Engine::Native,
            delay: Span::ZERO,
            nodelay: true,
            hold: Span::ZERO,
            echo_self: true,
            core: None,
            oracle: Oracle::default(),
            tls: None,
        };
        let shared = Shared::new(Core::new(&config).unwrap(), Reactor::new().unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let peer = listener.accept().unwrap().0;
        peer.set_nonblocking(true).unwrap();
        let token = shared.reactor.add(&socket, Rc::new(Nobody)).unwrap();
        let codec = StreamCodec::new(crate::catalog::Framing::Newline, 0);
        (Outlet::new(shared, Stream::new(Io::Plain(socket), Vec::new()), token, codec), peer)
    }

    fn heard(peer: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        _ = peer.read_to_end(&mut bytes).map_err(|error| assert_eq!(error.kind(), ErrorKind::WouldBlock));
        String::from_utf8(bytes).unwrap()
    }

    fn deliver(outlet: &Rc<Outlet<StreamCodec>>, text: &str) {
        outlet.clone().deliver(&Message::new(Format::Text, text.as_bytes()));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_copy_goes_at_once_and_gathered_ones_together() {
        let (outlet, mut peer) = outlet();
        deliver(&outlet, "one");
        assert_eq!(heard(&mut peer), "one\n");
        outlet.shared.gather(|| deliver(&outlet, "two"));
        deliver(&outlet, "three");
        assert_eq!(heard(&mut peer), "");
        outlet.shared.reactor.turn().unwrap();
        assert_eq!(heard(&mut peer), "two\nthree\n");
        outlet.shared.together(|| deliver(&outlet, "three and a half"));
        assert_eq!(heard(&mut peer), "three and a half\n");
        outlet.shared.gather(|| {
            outlet.shared.stop_gathering();
            deliver(&outlet, "four");
            assert_eq!(heard(&mut peer), "four\n");
        });
        assert_eq!(outlet.queue.borrow().capacity(), 0, "who waits keeps nothing");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_gathered_is_bounded() {
        let (outlet, mut peer) = outlet();
        outlet.shared.gather(|| {
            for _ in 0..8192 {
                outlet.shared.bound();
                assert_eq!(heard(&mut peer), "");
                deliver(&outlet, "x");
            }
            outlet.shared.bound();
            assert_eq!(heard(&mut peer).len(), 16_384);
        });
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_last_item_ends_the_stream_and_nothing_follows() {
        let (outlet, mut peer) = outlet();
        assert!(outlet.send(Item::Close(1001)) && outlet.is_over());
        deliver(&outlet, "late");
        assert_eq!((peer.read(&mut [0; 10]).unwrap(), outlet.shared.core.counts.delivered.get()), (0, 0));
    }
}
