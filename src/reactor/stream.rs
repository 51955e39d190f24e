//! A TCP connection, with or without TLS, that never waits: it takes what the socket takes now, and keeps the rest.

use super::records::{self, Shake};
use rustls::Connection;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// The bytes of a connection: bare, or under TLS as either end of it.
pub enum Io {
    Plain(TcpStream),
    /// A client's handshake is over; a server's is moved on by [`Stream::shake`].
    Tls(TcpStream, Box<Connection>),
}

/// One read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many bytes are in the buffer. `is_last`: the socket held no more, unless it has ended.
    Bytes { n: usize, is_last: bool },
    /// Nothing now.
    Empty,
    /// Nothing ever more: the peer's FIN.
    End,
}

/// One connection. Its socket must not block.
pub struct Stream {
    socket: TcpStream,
    tls: Option<RefCell<Box<Connection>>>,
    /// What came behind the handshake, to be read first.
    early: RefCell<Vec<u8>>,
    /// What the socket wouldn't take yet, and how much of that it has taken since.
    waiting: RefCell<Vec<u8>>,
    taken: Cell<usize>,
    /// Our half is to be closed once nothing waits.
    closes: Cell<bool>,
    sent: Cell<u64>,
    received: Cell<u64>,
}

impl Stream {
    /// `early`: bytes that were read already; they are given back by the first reads.
    pub fn new(io: Io, early: Vec<u8>) -> Stream {
        let (socket, tls) = match io {
            Io::Plain(socket) => (socket, None),
            Io::Tls(socket, tls) => (socket, Some(RefCell::new(tls))),
        };
        Stream {
            socket,
            tls,
            early: RefCell::new(early),
            waiting: RefCell::default(),
            taken: Cell::new(0),
            closes: Cell::new(false),
            sent: Cell::new(0),
            received: Cell::new(0),
        }
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Moves a TLS handshake on; what is to be said goes by [`flush`](Stream::flush). Without TLS there is none.
    pub fn shake(&self) -> io::Result<Shake> {
        match &self.tls {
            None => Ok(Shake::Done),
            Some(tls) => records::shake(&mut tls.borrow_mut(), &mut &self.socket),
        }
    }

    /// Bytes handed to the socket and read from it so far, above TLS; `early` ones included.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent.get(), self.received.get())
    }

    /// Bytes that the socket hasn't taken yet.
    pub fn waiting(&self) -> usize {
        self.waiting.borrow().len() - self.taken.get()
    }

    /// Whether [`flush`](Stream::flush) has anything to do.
    pub fn has_to_flush(&self) -> bool {
        !self.waiting.borrow().is_empty()
            || self.closes.get()
            || self.tls.as_ref().is_some_and(|tls| tls.borrow().wants_write())
    }

    /// Whether there may be something to read that the socket doesn't know of: TLS may have decrypted it already.
    pub fn has_early(&self) -> bool {
        self.tls.is_some() || !self.early.borrow().is_empty()
    }

    /// Gives `bytes`, which were read, back to be read again, before anything else.
    pub fn unread(&self, bytes: &[u8]) {
        self.received.set(self.received.get() - bytes.len() as u64);
        self.early.borrow_mut().splice(..0, bytes.iter().copied());
    }

    /// Reads what is there.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let early = self.early.take();
        let received = if early.is_empty() {
            match &self.tls {
                None => {
                    let room = buffer.len();
                    received((&self.socket).read(buffer), |n| n < room)?
                }
                Some(tls) => records::read(&mut tls.borrow_mut(), &mut &self.socket, buffer)?,
            }
        } else {
            let n = early.len().min(buffer.len());
            buffer[..n].copy_from_slice(&early[..n]);
            *self.early.borrow_mut() = early[n..].to_vec();
            Received::Bytes { n, is_last: false }
        };
        if let Received::Bytes { n, .. } = received {
            self.received.set(self.received.get() + n as u64);
        }
        Ok(received)
    }

    /// Writes `bytes` as far as the socket takes them; the rest goes when it is ready again ([`flush`](Stream::flush)).
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.is_empty() || bytes.is_empty() {
            waiting.extend_from_slice(bytes);
            return Ok(());
        }
        let taken = self.put(bytes)?;
        waiting.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// The socket is ready for more; whether nothing waits any longer.
    pub fn flush(&self) -> io::Result<bool> {
        let mut waiting = self.waiting.take();
        if !waiting.is_empty() {
            let before = self.taken.take();
            let taken = before + self.put(&waiting[before..])?;
            // Moved up only now and then: a large message may go in many pieces.
            if 2 * taken >= waiting.len() {
                waiting.drain(..taken);
            } else {
                self.taken.set(taken);
            }
        } else if let Some(tls) = &self.tls {
            records::flush(&mut tls.borrow_mut(), &mut &self.socket)?;
        }
        if waiting.is_empty()
            && self.closes.get()
            && let Some(tls) = &self.tls
        {
            // Behind it nothing more may be sent.
            tls.borrow_mut().send_close_notify();
            records::flush(&mut tls.borrow_mut(), &mut &self.socket)?;
        }
        let is_empty = waiting.is_empty() && self.tls.as_ref().is_none_or(|tls| !tls.borrow().wants_write());
        if !waiting.is_empty() {
            *self.waiting.borrow_mut() = waiting;
        }
        if is_empty && self.closes.take() {
            match self.socket.shutdown(Shutdown::Write) {
                Err(error) if error.kind() == ErrorKind::NotConnected => {}
                shut => shut?,
            }
        }
        Ok(is_empty)
    }

    /// Closes our half once everything is written.
    pub fn close(&self) -> io::Result<()> {
        self.closes.set(true);
        self.flush().map(|_| ())
    }

    /// How many of `bytes` were taken.
    fn put(&self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &self.tls {
            None => taken((&self.socket).write(bytes))?,
            Some(tls) => records::write(&mut tls.borrow_mut(), &mut &self.socket, bytes)?,
        };
        self.sent.set(self.sent.get() + taken as u64);
        Ok(taken)
    }
}

pub(super) fn received(read: io::Result<usize>, is_last: impl FnOnce(usize) -> bool) -> io::Result<Received> {
    match read {
        Ok(0) => Ok(Received::End),
        Ok(n) => Ok(Received::Bytes { n, is_last: is_last(n) }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Empty),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Received::Empty),
        Err(error) => Err(error),
    }
}

pub(super) fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::net::TcpListener;

    fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        SockRef::from(&listener).set_recv_buffer_size(32 * 1024).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        SockRef::from(&socket).set_send_buffer_size(32 * 1024).unwrap();
        socket.set_nonblocking(true).unwrap();
        (Stream::new(Io::Plain(socket), Vec::new()), listener.accept().unwrap().0)
    }

    #[test]
    fn what_the_socket_does_not_take_goes_later_in_order() {
        let (stream, mut peer) = pair();
        let bytes: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let (first, second) = bytes.split_at(700_000);
        stream.write(first).unwrap();
        stream.write(second).unwrap();
        assert!(stream.waiting() > second.len() && stream.has_to_flush());
        let mut got = vec![0; bytes.len()];
        for piece in got.chunks_mut(10_000) {
            peer.read_exact(piece).unwrap();
            let (before, _) = (stream.waiting(), stream.flush().unwrap());
            assert!(stream.waiting() <= before);
        }
        assert!(got == bytes);
        assert_eq!((stream.waiting(), stream.counts().0), (0, bytes.len() as u64));
        assert!(!stream.has_to_flush());
    }

    #[test]
    fn what_is_given_back_is_read_again_first() {
        let (stream, mut peer) = pair();
        peer.write_all(b"head and body").unwrap();
        let mut buffer = [0; 100];
        while stream.read(&mut buffer).unwrap() == Received::Empty {}
        stream.unread(&buffer[5..13]);
        assert!(stream.has_early());
        let mut small = [0; 3];
        assert_eq!(stream.read(&mut small).unwrap(), Received::Bytes { n: 3, is_last: false });
        assert_eq!(stream.read(&mut buffer).unwrap(), Received::Bytes { n: 5, is_last: false });
        assert_eq!(([small.as_slice(), &buffer[..5]].concat(), stream.counts().1), (b"and body".to_vec(), 13));
    }
}
