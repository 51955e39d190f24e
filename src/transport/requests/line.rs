//! One connection of a session: its stream, and how far its answers have come.

use crate::codec::CodecError;
use crate::codec::response::{Response, ResponseDecoder};
use crate::reactor::{Handler, Reactor, Received, Seat, Socket, Stream, Token};
use crate::transport::Failure;
use crate::transport::counted::Reading;
use crate::transport::io::Io;
use crate::transport::joining::{Handshake, Joining};
use crate::transport::tcp_info::{self, WireBytes};
use std::io;
use std::rc::Rc;

pub(super) struct Line {
    pub token: Token,
    /// Writing failed; what the target had said before may still be read, and says better what happened.
    pub broken: Option<Failure>,
    stream: Stream,
    is_ipv6: bool,
    decoder: ResponseDecoder,
    before: WireBytes,
    is_used: bool,
    /// Something came of the answer that is awaited.
    has_begun: bool,
}

impl Line {
    /// Puts a connection under `handler`'s care; also what it cost so far.
    pub fn new(io: Io<Socket>, seat: &Seat, handler: Rc<dyn Handler>) -> (Line, Handshake) {
        let is_ipv6 = io.socket().is_ipv6();
        let joined = Joining::new(io).joined(0);
        let stream = Stream::new(joined.io.into_reactor(), joined.early);
        seat.hand_over(handler, stream.has_early());
        let line = Line {
            token: seat.token(),
            is_ipv6,
            broken: None,
            stream,
            decoder: ResponseDecoder::default(),
            before: joined.handshake.before,
            is_used: false,
            has_begun: false,
        };
        (line, joined.handshake)
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

    /// The values of `Set-Cookie` in the heads that came.
    pub fn take_cookies(&mut self) -> Vec<Vec<u8>> {
        self.decoder.take_cookies()
    }

    /// The target's FIN: the response that it completes.
    pub fn end(&mut self) -> Option<Response> {
        self.decoder.end()
    }

    /// With `wire`, also what the system counted.
    pub fn reading(&self, wire: bool) -> Reading {
        let (sent, received) = self.stream.counts();
        let counts = wire.then(|| tcp_info::read_with_unread(self.stream.socket(), self.is_ipv6)).flatten();
        Reading::new(sent, received, counts, self.before)
    }
}
