//! A TCP connection, with or without TLS, that counts what passes through it.
//!
//! Both halves and the meter share it by reference count: everything runs on one thread, so nothing locks, and the
//! kernel's counters are read for the last time while the socket is still open.

use super::meter::{Direction, Meter};
use super::tcp_info::{self, TcpCounts, WireBytes};
use crate::clock::{Nanos, now};
use crate::measure::KernelBytes;
use bytes::{Buf, Bytes};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::ops::AddAssign;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The bytes of a connection.
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection, shared. Counts above TLS: what TLS adds shows on the wire only.
#[derive(Clone)]
pub(super) struct Counted(Rc<Inner>);

/// What the meter keeps of a connection without keeping it open.
pub(super) struct WeakCounted(Weak<Inner>);

struct Inner {
    io: RefCell<Io>,
    /// Bytes that were read, and counted, but belong to whoever reads next.
    unread: RefCell<Bytes>,
    sent: Cell<u64>,
    received: Cell<u64>,
    head: Cell<Option<HeadScan>>,
    /// The kernel's count when the session was joined; what came before is its handshake's.
    before: Cell<WireBytes>,
    meter: Rc<Meter>,
}

/// Bytes of one or several connections since their sessions were joined.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    pub sent: u64,
    pub received: u64,
    pub wire: WireBytes,
    /// Payload of TCP by the system's count, of the connections' whole lives.
    pub kernel: KernelBytes,
    /// Connections whose wire bytes and kernel's counts are in it.
    pub wire_known: u64,
}

impl AddAssign for Reading {
    fn add_assign(&mut self, other: Reading) {
        self.sent += other.sent;
        self.received += other.received;
        self.wire += other.wire;
        self.kernel += other.kernel;
        self.wire_known += other.wire_known;
    }
}

/// One read.
pub(super) enum Read<T> {
    Bytes(T),
    End,
}

/// Size of the buffer that all connections of a thread read through, bytes.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

impl Counted {
    /// Counts `io` from now on, and has `meter` count the connection.
    pub fn new(io: Io, meter: Rc<Meter>) -> Counted {
        let connection = Counted(Rc::new(Inner {
            io: RefCell::new(io),
            unread: RefCell::default(),
            sent: Cell::new(0),
            received: Cell::new(0),
            head: Cell::new(None),
            before: Cell::default(),
            meter: meter.clone(),
        }));
        meter.opened(WeakCounted(Rc::downgrade(&connection.0)));
        connection
    }

    /// The session is joined: everything sent so far and the first `head` bytes received were its handshake, TLS's
    /// included. Counting starts anew with what came after.
    pub fn joined(&self, head: u64) {
        let inner = &*self.0;
        let after = inner.received.get().saturating_sub(head);
        let counts = inner.kernel().unwrap_or_default();
        let (asked, answered, before) = match &*inner.io.borrow() {
            Io::Plain(_) => (inner.sent.get(), head, counts.until_joined(head)),
            Io::Tls(_) => {
                let answered = counts.received().saturating_sub(after).max(head);
                (counts.sent.max(inner.sent.get()), answered, counts.until_joined_by_tls(after))
            }
        };
        inner.meter.handshake(Direction::Out, asked);
        inner.meter.handshake(Direction::In, answered);
        inner.sent.set(0);
        inner.received.set(after);
        inner.before.set(before);
    }

    /// Gives bytes back, to be read again and not to be counted again.
    pub fn unread(&self, bytes: &[u8]) {
        *self.0.unread.borrow_mut() = Bytes::copy_from_slice(bytes);
    }

    /// From now on, looks for the end of the next HTTP head received.
    pub fn watch_head(&self) {
        self.0.head.set(Some(HeadScan::default()));
    }

    /// Length of the watched head, or of what came of it, bytes.
    pub fn head_len(&self) -> u64 {
        self.0.head.get().unwrap_or_default().len
    }

    /// Reads once through the thread's buffer and hands on what came, with the instant at which it was there.
    pub async fn read_with<T>(&self, mut take: impl FnMut(&[u8], Nanos) -> T) -> io::Result<Read<T>> {
        poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(self.poll_fill(cx, &mut buffer))?;
                let at = now();
                Poll::Ready(Ok(match buffer.filled() {
                    [] => Read::End,
                    bytes => Read::Bytes(take(bytes, at)),
                }))
            })
        })
        .await
    }

    fn poll_fill(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let inner = &*self.0;
        let mut unread = inner.unread.borrow_mut();
        if !unread.is_empty() {
            let n = unread.len().min(into.remaining());
            into.put_slice(&unread[..n]);
            unread.advance(n);
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(match &mut *inner.io.borrow_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        })?;
        let new = &into.filled()[before..];
        inner.received.set(inner.received.get() + new.len() as u64);
        if let Some(scan) = inner.head.get() {
            inner.head.set(Some(scan.over(new)));
        }
        Poll::Ready(Ok(()))
    }
}

impl Inner {
    fn kernel(&self) -> Option<TcpCounts> {
        match &*self.io.borrow() {
            Io::Plain(stream) => tcp_info::read(stream),
            Io::Tls(stream) => tcp_info::read(stream.get_ref().0),
        }
    }

    fn reading(&self, wire: bool) -> Reading {
        let mut reading = Reading { sent: self.sent.get(), received: self.received.get(), ..Reading::default() };
        if let Some(counts) = wire.then(|| self.kernel()).flatten() {
            reading.wire = counts.wire - self.before.get();
            let (received, unread) = (counts.received().saturating_sub(counts.unread), counts.unread);
            reading.kernel = KernelBytes { sent: counts.sent, received, unread };
            reading.wire_known = 1;
        }
        reading
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.meter.closed(self.reading(true));
    }
}

impl WeakCounted {
    pub fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// What the connection counted; nothing if it has been closed, since the meter has that already.
    pub fn reading(&self, wire: bool) -> Reading {
        self.0.upgrade().map(|inner| inner.reading(wire)).unwrap_or_default()
    }
}

impl AsyncRead for Counted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_fill(cx, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(match &mut *self.0.io.borrow_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        })?;
        self.0.sent.set(self.0.sent.get() + n as u64);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(match &mut *self.0.io.borrow_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        })?;
        self.0.sent.set(self.0.sent.get() + n as u64);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.0.io.borrow_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.0.io.borrow_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Finds the end of an HTTP head as bytes go by.
#[derive(Debug, Clone, Copy, Default)]
struct HeadScan {
    len: u64,
    /// Bytes of the closing `CR LF CR LF` seen in a row; 4: the head is whole.
    matched: u8,
}

impl HeadScan {
    fn over(mut self, bytes: &[u8]) -> HeadScan {
        for byte in bytes {
            if self.matched == 4 {
                break;
            }
            self.len += 1;
            self.matched = match (self.matched, byte) {
                (0 | 2, b'\r') | (1 | 3, b'\n') => self.matched + 1,
                (_, b'\r') => 1,
                _ => 0,
            };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_where_its_blank_line_ends() {
        let wire = b"HTTP/1.1 200 OK\r\na: b\r\r\n\r\nbody\r\n\r\n";
        for cut in 0..wire.len() {
            let scan = HeadScan::default().over(&wire[..cut]).over(&wire[cut..]);
            assert_eq!(scan.len, 26, "cut at {cut}");
        }
    }
}
