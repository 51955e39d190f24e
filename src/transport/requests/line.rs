//! One connection of a session: its stream, and how far its answers have come.

use crate::codec::CodecError;
use crate::codec::response::{Response, ResponseDecoder};
use crate::reactor::{Handler, Reactor, Received, Stream, Token};
use crate::transport::Failure;
use crate::transport::counted::Reading;
use crate::transport::io::Io;
use crate::transport::joining::{Handshake, Joining};
use crate::transport::tcp_info::{self, WireBytes};
use socket2::SockRef;
use std::io;
use std::rc::Rc;

pub(super) struct Line {
    pub token: Token,
    /// Writing failed; what the target had said before may still be read, and says better what happened.
    pub broken: Option<Failure>,
    stream: Stream,
    decoder: ResponseDecoder,
    before: WireBytes,
    is_used: bool,
    /// Something came of the answer that is awaited.
    has_begun: bool,
}

impl Line {
    /// Puts a connection under `handler`'s care; also what it cost so far.
    pub fn new(io: Io, reactor: &Reactor, handler: Rc<dyn Handler>) -> Result<(Line, Handshake), Failure> {
        let joined = Joining::new(io).joined(0);
        let stream = Stream::new(joined.io.into_reactor()?, joined.early);
        let token = reactor.add(stream.socket(), handler)?;
        if stream.has_early() {
            reactor.again(token);
        }
        let line = Line {
            token,
            broken: None,
            stream,
            decoder: ResponseDecoder::default(),
            before: joined.handshake.before,
            is_used: false,
            has_begun: false,
        };
        Ok((line, joined.handshake))
    }

    /// A request is about to be written: whether there was one before.
    pub fn use_once(&mut self) -> bool {
        self.has_begun = false;
        std::mem::replace(&mut self.is_used, true)
    }

    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    pub fn write(&mut self, bytes: &[u8], reactor: &Reactor) {
        let written = self.stream.write(bytes);
        self.note(written, reactor);
    }

    /// Closes our half of the stream.
    pub fn close(&mut self, reactor: &Reactor) {
        let closed = self.stream.close();
        self.note(closed, reactor);
    }

    fn note(&mut self, done: io::Result<()>, reactor: &Reactor) {
        if let Err(error) = done {
            self.broken.get_or_insert(error.into());
            reactor.again(self.token);
        }
    }

    /// The socket takes more.
    pub fn flush(&mut self) {
        if let Err(error) = self.stream.flush() {
            self.broken.get_or_insert(error.into());
        }
    }

    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.stream.read(buffer)
    }

    /// As [`ResponseDecoder::push`].
    pub fn decode(&mut self, bytes: &[u8]) -> Result<(usize, Option<Response>), CodecError> {
        self.has_begun = true;
        self.decoder.push(bytes)
    }

    /// The target's FIN: the response that it completes.
    pub fn end(&mut self) -> Option<Response> {
        self.decoder.end()
    }

    /// With `wire`, also what the system counted.
    pub fn reading(&self, wire: bool) -> Reading {
        let (sent, received) = self.stream.counts();
        let counts = wire.then(|| tcp_info::read(&SockRef::from(self.stream.socket()))).flatten();
        Reading::new(sent, received, counts, self.before)
    }
}
