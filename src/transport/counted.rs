//! A TCP connection, with or without TLS, that counts what passes through it.
//!
//! Both halves and the meter share it by reference count: everything runs on one thread, so nothing locks, and the
//! kernel's counters are read for the last time while the socket is still open.

use super::io::{Io, Socket};
use super::joining::{Handshake, Joined};
use super::meter::{Direction, Meter};
use super::tcp_info::{self, TcpCounts, WireBytes};
use crate::measure::{KernelBytes, Traffic};
use bytes::{Buf, Bytes};
use std::cell::{Cell, RefCell};
use std::io;
use std::ops::AddAssign;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One connection, shared. Counts above TLS: what TLS adds shows on the wire only.
#[derive(Clone)]
pub(super) struct Counted(Rc<Inner>);

/// What the meter keeps of a connection without keeping it open.
pub(super) struct WeakCounted(Weak<Inner>);

struct Inner {
    io: RefCell<Io>,
    /// Bytes that were read, and counted, with the answer to the join.
    early: RefCell<Bytes>,
    sent: Cell<u64>,
    received: Cell<u64>,
    head: Cell<Option<Scan>>,
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

impl Reading {
    /// Of one connection, `before` being what the kernel had counted when the session was joined.
    pub fn new(sent: u64, received: u64, counts: Option<(TcpCounts, u64)>, before: WireBytes) -> Reading {
        let mut reading = Reading { sent, received, ..Reading::default() };
        if let Some((counts, unread)) = counts {
            reading.wire = counts.wire - before;
            let received = counts.received().saturating_sub(unread);
            reading.kernel = KernelBytes { sent: counts.sent, received, unread };
            reading.wire_known = 1;
        }
        reading
    }
}

impl Reading {
    /// Completes what a session counted of its messages and connections.
    pub fn add_to(&self, traffic: &mut Traffic) {
        traffic.sent.framing = self.sent.saturating_sub(traffic.sent.carried());
        traffic.received.framing = self.received.saturating_sub(traffic.received.carried());
        traffic.sent.wire = self.wire.sent;
        traffic.received.wire = self.wire.received;
        traffic.kernel = (self.wire_known > 0).then_some(self.kernel);
        traffic.wire_known = self.wire_known;
    }
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

impl Counted {
    /// Counts `io` from now on, and has `meter` count the connection.
    pub fn new(io: Io, meter: Rc<Meter>) -> Counted {
        Counted::with(io, Vec::new(), WireBytes::default(), meter)
    }

    /// Counts from the end of joining on, and has `meter` count the connection and its handshake.
    pub fn joined_by(joined: Joined, meter: Rc<Meter>) -> Counted {
        let handshake = joined.handshake;
        meter.handshake(Direction::Out, handshake.asked);
        meter.handshake(Direction::In, handshake.answered);
        if let Some(former) = joined.former {
            meter.opened_before(*former);
        }
        Counted::with(joined.io, joined.early, handshake.before, meter)
    }

    fn with(io: Io, early: Vec<u8>, before: WireBytes, meter: Rc<Meter>) -> Counted {
        let connection = Counted(Rc::new(Inner {
            io: RefCell::new(io),
            sent: Cell::new(0),
            received: Cell::new(early.len() as u64),
            early: RefCell::new(early.into()),
            head: Cell::new(None),
            before: Cell::new(before),
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
        let handshake = Handshake::of(&inner.io.borrow(), inner.sent.get(), head, after);
        inner.meter.handshake(Direction::Out, handshake.asked);
        inner.meter.handshake(Direction::In, handshake.answered);
        inner.sent.set(0);
        inner.received.set(after);
        inner.before.set(handshake.before);
    }

    /// The session is joined, by all that was said and heard so far but for the last `early` bytes of it.
    pub fn joined_but_for(&self, early: u64) {
        self.joined(self.0.received.get().saturating_sub(early));
    }

    /// The session is joined, by all that was said and heard so far.
    pub fn joined_by_now(&self) {
        self.joined(self.0.received.get());
    }

    /// From now on, looks for the end of the next HTTP head received.
    pub fn watch_head(&self) {
        self.0.head.set(Some(Scan::Head(HeadScan::default())));
    }

    /// Looks for the end of the first head that comes by HTTP/2, of whose bytes none has been received yet.
    pub fn watch_frames(&self) {
        self.0.head.set(Some(Scan::Frames(FrameScan::default())));
    }

    /// Length of the watched head with all that came before it, or of what came of it, bytes.
    pub fn head_len(&self) -> u64 {
        match self.0.head.get() {
            Some(Scan::Head(scan)) => scan.len,
            Some(Scan::Frames(scan)) => scan.len,
            None => 0,
        }
    }

    /// Whether the first frame of HTTP/2 was received whole.
    pub fn has_frame(&self) -> bool {
        matches!(self.0.head.get(), Some(Scan::Frames(scan)) if scan.is_begun)
    }

    fn poll_fill(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let inner = &*self.0;
        let mut early = inner.early.borrow_mut();
        if !early.is_empty() {
            let n = early.len().min(into.remaining());
            into.put_slice(&early[..n]);
            early.advance(n);
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut *inner.io.borrow_mut()).poll_read(cx, into))?;
        let new = &into.filled()[before..];
        inner.received.set(inner.received.get() + new.len() as u64);
        if let Some(scan) = inner.head.get() {
            inner.head.set(Some(scan.over(new)));
        }
        Poll::Ready(Ok(()))
    }
}

impl Inner {
    fn reading(&self, wire: bool) -> Reading {
        let io = self.io.borrow();
        let counts = wire.then(|| tcp_info::read_with_unread(io.socket(), io.socket().is_ipv6())).flatten();
        Reading::new(self.sent.get(), self.received.get(), counts, self.before.get())
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
        let n = ready!(Pin::new(&mut *self.0.io.borrow_mut()).poll_write(cx, bytes))?;
        self.0.sent.set(self.0.sent.get() + n as u64);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut *self.0.io.borrow_mut()).poll_write_vectored(cx, parts))?;
        self.0.sent.set(self.0.sent.get() + n as u64);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.io.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.io.borrow_mut()).poll_shutdown(cx)
    }
}

/// Looks for the end of a head.
#[derive(Debug, Clone, Copy)]
enum Scan {
    Head(HeadScan),
    Frames(FrameScan),
}

impl Scan {
    fn over(self, bytes: &[u8]) -> Scan {
        match self {
            Scan::Head(scan) => Scan::Head(scan.over(bytes)),
            Scan::Frames(scan) => Scan::Frames(scan.over(bytes)),
        }
    }
}

/// Finds the end of the first header block as frames go by (RFC 9113 §4.1).
#[derive(Debug, Clone, Copy, Default)]
struct FrameScan {
    len: u64,
    /// The head of the frame that is passing, as far as it has come.
    head: [u8; FrameScan::HEAD],
    have: usize,
    /// What is still to come of the frame's payload.
    left: usize,
    /// A frame came whole.
    is_begun: bool,
    is_done: bool,
}

impl FrameScan {
    const HEAD: usize = 9;
    const HEADERS: u8 = 1;
    const CONTINUATION: u8 = 9;
    const END_HEADERS: u8 = 4;

    fn over(mut self, mut bytes: &[u8]) -> FrameScan {
        while !bytes.is_empty() && !self.is_done {
            let due = if self.have < Self::HEAD { Self::HEAD - self.have } else { self.left };
            let n = due.min(bytes.len());
            let (these, rest) = bytes.split_at(n);
            if self.have < Self::HEAD {
                self.head[self.have..self.have + n].copy_from_slice(these);
                self.have += n;
                let [a, b, c, ..] = self.head;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            } else {
                self.left -= n;
            }
            self.len += n as u64;
            bytes = rest;
            if self.have == Self::HEAD && self.left == 0 {
                let [_, _, _, kind, flags, ..] = self.head;
                let is_block = matches!(kind, Self::HEADERS | Self::CONTINUATION);
                self.is_done = is_block && flags & Self::END_HEADERS != 0;
                self.is_begun = true;
                self.have = 0;
            }
        }
        self
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

    #[test]
    fn a_header_block_ends_where_its_last_frame_ends() {
        let frame = |kind: u8, flags: u8, payload: &[u8]| {
            let len = payload.len() as u32;
            [&len.to_be_bytes()[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
        };
        let settings = frame(4, 0, b"");
        let block = [frame(1, 0, b"first"), frame(9, 4, b"second")].concat();
        let wire = [settings.clone(), frame(4, 1, b""), block.clone(), frame(0, 1, b"message")].concat();
        let head = 2 * settings.len() + block.len();
        for cut in 0..wire.len() {
            let first = FrameScan::default().over(&wire[..cut]);
            assert_eq!(first.is_begun, cut >= settings.len());
            assert_eq!(first.over(&wire[cut..]).len, head as u64, "cut at {cut}");
        }
    }
}
