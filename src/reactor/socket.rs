//! A connection in the hands of a piece of work: waiting for it is waiting to be moved on.

use super::{Ready, Seat};
use socket2::SockAddr;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection at a seat, by TCP or to a Unix socket: both take the same calls. Only the work of that seat may wait for it.
pub struct Socket {
    stream: TcpStream,
    is_ipv6: bool,
    seat: Rc<Seat>,
}

impl Socket {
    /// Connects `socket`, which must not block. A Unix socket whose queue is full fails at once with `WouldBlock`.
    pub async fn connect(seat: &Rc<Seat>, socket: socket2::Socket, to: &SockAddr) -> io::Result<Socket> {
        seat.ready.set(Ready::NONE);
        match socket.connect(to) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let stream = TcpStream::from(socket);
        // Not before: a socket that isn't even connecting is told to be broken.
        seat.reactor.watch(&stream, seat.token)?;
        poll_fn(|_| if seat.ready.get().write { Poll::Ready(()) } else { Poll::Pending }).await;
        match seat.ready.get().ended.then(|| stream.take_error()) {
            Some(Ok(Some(error)) | Err(error)) => Err(error),
            Some(Ok(None)) | None => Ok(Socket { stream, is_ipv6: to.is_ipv6(), seat: seat.clone() }),
        }
    }

    pub fn is_ipv6(&self) -> bool {
        self.is_ipv6
    }

    /// The connection, which stays watched.
    pub fn into_std(self) -> TcpStream {
        self.stream
    }

    fn try_read(&self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let ready = self.seat.ready.get();
        if !ready.read {
            return Poll::Pending;
        }
        let read = tried((&self.stream).read(buffer));
        // What comes behind a short read will be told, but not an end that was told already.
        let is_empty = match &read {
            Poll::Pending => true,
            Poll::Ready(read) => read.as_ref().is_ok_and(|n| *n < buffer.len()) && !ready.ended,
        };
        self.seat.ready.set(Ready { read: !is_empty, ..ready });
        read
    }
}

/// Whether what was tried has to wait.
fn tried(result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.try_read(into.initialize_unfilled()).map_ok(|n| into.advance(n))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        tried((&self.stream).write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        tried((&self.stream).write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}
