//! The bytes of one connection, with or without TLS, and the buffer that all connections of a thread read through.

use crate::clock::{Nanos, now};
use crate::reactor;
use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection by TCP or to a Unix socket, in the hands of the runtime or of the reactor.
pub(super) trait Socket: AsyncRead + AsyncWrite + AsFd + Unpin {
    fn is_ipv6(&self) -> bool;
}

impl Socket for TcpStream {
    fn is_ipv6(&self) -> bool {
        self.peer_addr().is_ok_and(|peer| peer.is_ipv6())
    }
}

impl Socket for reactor::Socket {
    fn is_ipv6(&self) -> bool {
        reactor::Socket::is_ipv6(self)
    }
}

/// A connection that is up.
pub(super) enum Io<S = TcpStream> {
    Plain(S),
    Tls(Box<TlsStream<S>>),
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

/// Reads once through the thread's buffer and hands on what came, with the instant at which it was there.
pub(super) fn poll_read_with<T>(
    mut fill: impl FnMut(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    take: impl FnOnce(&[u8], Nanos) -> T,
) -> Poll<io::Result<Read<T>>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        ready!(fill(&mut buffer))?;
        let at = now();
        Poll::Ready(Ok(match buffer.filled() {
            [] => Read::End,
            bytes => Read::Bytes(take(bytes, at)),
        }))
    })
}

impl<S: Socket> Io<S> {
    pub fn socket(&self) -> &S {
        match self {
            Io::Plain(socket) => socket,
            Io::Tls(stream) => stream.get_ref().0,
        }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self, Io::Tls(_))
    }
}

impl Io<reactor::Socket> {
    /// Takes the connection from the work that opened it.
    pub fn into_reactor(self) -> reactor::Io {
        match self {
            Io::Plain(socket) => reactor::Io::Plain(socket.into_std()),
            Io::Tls(stream) => {
                let (socket, tls) = stream.into_inner();
                reactor::Io::Tls(socket.into_std(), Box::new(tls.into()))
            }
        }
    }
}

impl<S: Socket> AsyncRead for Io<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl<S: Socket> AsyncWrite for Io<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
