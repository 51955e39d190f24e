//! A connection on the reactor whose TLS handshake goes on.

use super::joining::{Face, Joining};
use super::shared::Shared;
use super::stream::HANDSHAKE;
use crate::clock::Nanos;
use crate::reactor::records::Shake;
use crate::reactor::{Handler, Io, Ready, Stream, Token, Turn};
use rustls::{ServerConfig, ServerConnection};
use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::net::TcpStream;
use std::rc::{Rc, Weak};
use std::sync::Arc;

pub struct Shaking<F> {
    shared: Rc<Shared>,
    /// `None` once the handshake is over, and while it is moved on.
    stream: RefCell<Option<Stream>>,
    token: Cell<Option<Token>>,
    step: Cell<Step>,
    me: Weak<Shaking<F>>,
    face: PhantomData<F>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Client,
    /// What the client said, and our answer, cross the network.
    Network,
    Ours,
}

impl<F: Face> Shaking<F> {
    /// Shakes hands with the client of `socket`, and has the face take it then. A socket that can't be watched is dropped.
    pub fn start(shared: &Rc<Shared>, socket: TcpStream, config: &Arc<ServerConfig>) {
        let shaking = Rc::new_cyclic(|me| Shaking::<F> {
            shared: shared.clone(),
            stream: RefCell::default(),
            token: Cell::default(),
            step: Cell::new(Step::Client),
            me: me.clone(),
            face: PhantomData,
        });
        let connection = ServerConnection::new(config.clone());
        match (connection, shared.reactor.add(&socket, shaking.clone())) {
            (Ok(connection), Ok(token)) => {
                let io = Io::Tls(socket, Box::new(connection.into()));
                shaking.stream.replace(Some(Stream::new(io, Vec::new())));
                shaking.token.set(Some(token));
                shared.wake_after(HANDSHAKE, token);
            }
            (_, watched) => {
                watched.into_iter().for_each(|token| shared.reactor.remove(token));
                shared.core.counts.accept_errors.add(1);
            }
        }
    }

    fn go_on(&self) {
        let Some(stream) = self.stream.take() else { return };
        let Some(token) = self.token.get() else { return };
        match self.is_over(&stream) {
            Ok(true) => Joining::<F>::take_over(&self.shared, stream, token),
            Ok(false) => _ = self.stream.replace(Some(stream)),
            Err(_) => {
                drop(stream);
                self.let_go();
            }
        }
    }

    /// Moves the handshake on as far as it goes now.
    fn is_over(&self, stream: &Stream) -> io::Result<bool> {
        loop {
            match self.step.get() {
                Step::Network => return Ok(false),
                Step::Ours => {
                    if !stream.flush()? {
                        return Ok(false);
                    }
                    self.step.set(Step::Client);
                }
                Step::Client => match stream.shake()? {
                    Shake::Waits => return Ok(false),
                    Shake::Answers => self.cross(),
                    Shake::Done => {
                        // Tickets, if there are any. Nobody waits for them.
                        stream.flush()?;
                        return Ok(true);
                    }
                },
            }
        }
    }

    /// An answer takes one round trip of the emulated network.
    fn cross(&self) {
        let Some(me) = self.me.upgrade() else { return };
        self.step.set(Step::Network);
        let network = self.shared.core.network.clone();
        self.shared.core.network.inbound.carry(0, move || {
            network.outbound.carry(0, move || {
                me.step.set(Step::Ours);
                // Does nothing where the network is instant: then the handshake is being moved on already.
                me.go_on();
            });
        });
    }

    fn let_go(&self) {
        self.token.take().into_iter().for_each(|token| self.shared.reactor.remove(token));
    }
}

impl<F: Face> Handler for Shaking<F> {
    fn on_ready(&self, _: Ready, _: &mut [u8]) -> Turn {
        self.go_on();
        Turn::Done
    }

    fn on_time(&self, _: Nanos) {
        if self.stream.take().is_some() {
            self.let_go();
        }
    }
}
