//! A connection that has yet to ask for something, on the reactor.

use super::shared::Shared;
use super::stream::HANDSHAKE;
use crate::clock::Nanos;
use crate::reactor::{Handler, Io, Ready, Received, Stream, Token, Turn};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::net::TcpStream;
use std::rc::Rc;

/// How clients come in, for one face.
pub trait Face: 'static {
    /// What a client asked for.
    type Asked: 'static;

    /// Reads what a client asks for, and how many bytes that took; `None`: not whole yet. Must bound what it waits for.
    fn ask(bytes: &[u8]) -> Option<(Self::Asked, usize)>;

    /// Lets the client in, or turns it away.
    fn enter(entrant: Entrant, asked: Self::Asked);
}

/// A client that has asked, and its connection, which is watched already.
pub struct Entrant {
    pub shared: Rc<Shared>,
    pub stream: Stream,
    pub token: Token,
    /// There may be something to read that no readiness will tell of.
    pub more: bool,
}

pub struct Joining<F> {
    shared: Rc<Shared>,
    /// `None` once the client has asked.
    stream: RefCell<Option<Stream>>,
    token: Cell<Option<Token>>,
    /// What it has sent so far.
    bytes: RefCell<Vec<u8>>,
    face: PhantomData<F>,
}

impl<F: Face> Joining<F> {
    /// Waits for what the client of `socket` asks, for so long. A socket that can't be watched is dropped.
    pub fn start(shared: &Rc<Shared>, socket: TcpStream) {
        let joining = Rc::new(Joining::<F> {
            shared: shared.clone(),
            stream: RefCell::default(),
            token: Cell::default(),
            bytes: RefCell::default(),
            face: PhantomData,
        });
        if let Ok(token) = shared.reactor.add(&socket, joining.clone()) {
            joining.stream.replace(Some(Stream::new(Io::Plain(socket), Vec::new())));
            joining.token.set(Some(token));
            shared.wake_after(HANDSHAKE, token);
        } else {
            shared.core.counts.accept_errors.add(1);
        }
    }

    /// Goes on with a connection whose TLS handshake is over; its time to ask has begun before that.
    pub fn take_over(shared: &Rc<Shared>, stream: Stream, token: Token) {
        let joining = Rc::new(Joining::<F> {
            shared: shared.clone(),
            stream: RefCell::new(Some(stream)),
            token: Cell::new(Some(token)),
            bytes: RefCell::default(),
            face: PhantomData,
        });
        shared.reactor.hand_over(token, joining);
        // What came behind the handshake is told by no readiness.
        shared.reactor.again(token);
    }

    /// What the client asked for, if `bytes` complete it. What came behind it is given back to `stream`.
    fn take(&self, stream: &Stream, bytes: &[u8]) -> Option<F::Asked> {
        let mut kept = self.bytes.take();
        let all = if kept.is_empty() {
            bytes
        } else {
            kept.extend_from_slice(bytes);
            &kept
        };
        if let Some((asked, used)) = F::ask(all) {
            stream.unread(&all[used..]);
            return Some(asked);
        }
        if kept.is_empty() {
            kept.extend_from_slice(bytes);
        }
        self.bytes.replace(kept);
        None
    }

    fn let_go(&self) {
        self.token.take().into_iter().for_each(|token| self.shared.reactor.remove(token));
    }
}

impl<F: Face> Handler for Joining<F> {
    fn on_ready(&self, ready: Ready, buffer: &mut [u8]) -> Turn {
        let (true, Some(token)) = (ready.read, self.token.get()) else { return Turn::Done };
        let Some(stream) = self.stream.take() else { return Turn::Done };
        while let Ok(received) = stream.read(buffer) {
            let is_last = match received {
                Received::Bytes { n, is_last } => {
                    let is_last = is_last && !ready.ended;
                    if let Some(asked) = self.take(&stream, &buffer[..n]) {
                        let shared = self.shared.clone();
                        let inbound = &self.shared.core.network.inbound;
                        let more = !is_last || stream.has_early() || !inbound.is_instant();
                        inbound.carry(0, move || F::enter(Entrant { shared, stream, token, more }, asked));
                        return Turn::Done;
                    }
                    is_last
                }
                Received::Empty => true,
                Received::End => break,
            };
            if is_last {
                self.stream.replace(Some(stream));
                return Turn::Done;
            }
        }
        self.let_go();
        Turn::Done
    }

    fn on_time(&self, _: Nanos) {
        if self.stream.take().is_some() {
            self.let_go();
        }
    }
}
