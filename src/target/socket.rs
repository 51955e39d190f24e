//! A connection in the hands of tasks of the runtime: bare, or under TLS.

use super::server::Core;
use super::stream::HANDSHAKE;
use crate::reactor::Received;
use crate::reactor::records::{self, Shake};
use rustls::{Connection, ServerConfig, ServerConnection};
use socket2::SockRef;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One connection. Its reading and its writing task may share it.
pub struct Socket {
    stream: TcpStream,
    tls: Option<Tls>,
}

struct Tls {
    connection: RefCell<Box<Connection>>,
    /// Something may be decrypted that was not read yet, of which no readiness tells.
    may_hold: Cell<bool>,
}

impl Socket {
    pub fn plain(stream: TcpStream) -> Socket {
        Socket { stream, tls: None }
    }

    /// Shakes hands with a client; each answer takes one round trip of the emulated network.
    pub async fn shake_hands(core: &Core, stream: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Socket> {
        let mut connection: Connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?.into();
        let shaking = async {
            loop {
                match records::shake(&mut connection, &mut Trying(&stream))? {
                    Shake::Done => break flush(&mut connection, &stream).await,
                    Shake::Waits => stream.readable().await?,
                    Shake::Answers => {
                        core.network.round_trip().await;
                        flush(&mut connection, &stream).await?;
                    }
                }
            }
        };
        timeout(HANDSHAKE, shaking).await??;
        let tls = Tls { connection: RefCell::new(Box::new(connection)), may_hold: Cell::new(true) };
        Ok(Socket { stream, tls: Some(tls) })
    }

    pub async fn readable(&self) -> io::Result<()> {
        match &self.tls {
            Some(tls) if tls.may_hold.get() => Ok(()),
            _ => self.stream.readable().await,
        }
    }

    pub fn poll_read_ready(&self, context: &mut Context) -> Poll<io::Result<()>> {
        match &self.tls {
            Some(tls) if tls.may_hold.get() => Poll::Ready(Ok(())),
            _ => self.stream.poll_read_ready(context),
        }
    }

    pub async fn writable(&self) -> io::Result<()> {
        self.stream.writable().await
    }

    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.stream.try_read(buffer) };
        let read = records::read(&mut tls.connection.borrow_mut(), &mut Trying(&self.stream), buffer)?;
        tls.may_hold.set(matches!(read, Received::Bytes { .. }));
        match read {
            Received::Bytes { n, .. } => Ok(n),
            Received::End => Ok(0),
            Received::Empty => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Under TLS some of what was taken may be with us still: [`flush`](Socket::flush) writes it.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.stream.try_write(bytes) };
        match records::write(&mut tls.connection.borrow_mut(), &mut Trying(&self.stream), bytes)? {
            0 if !bytes.is_empty() => Err(ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    /// Waits until everything that was taken is with the system.
    pub async fn flush(&self) -> io::Result<()> {
        let Some(tls) = &self.tls else { return Ok(()) };
        while tls.still_wants_write(&self.stream)? {
            self.stream.writable().await?;
        }
        Ok(())
    }

    /// Closes our half.
    pub async fn shutdown(&self) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            tls.connection.borrow_mut().send_close_notify();
            self.flush().await?;
        }
        SockRef::from(&self.stream).shutdown(Shutdown::Write)
    }
}

impl Tls {
    /// Whether there is something left to write once the socket has taken what it takes.
    fn still_wants_write(&self, stream: &TcpStream) -> io::Result<bool> {
        let mut connection = self.connection.borrow_mut();
        records::flush(&mut connection, &mut Trying(stream))?;
        Ok(connection.wants_write())
    }
}

async fn flush(connection: &mut Connection, stream: &TcpStream) -> io::Result<()> {
    loop {
        records::flush(connection, &mut Trying(stream))?;
        if !connection.wants_write() {
            return Ok(());
        }
        stream.writable().await?;
    }
}

/// Reads and writes as far as the socket lets us.
struct Trying<'a>(&'a TcpStream);

impl Read for Trying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Trying<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        if socket.tls.is_none() {
            return Pin::new(&mut socket.stream).poll_read(cx, into);
        }
        loop {
            match socket.try_read(into.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(socket.stream.poll_read_ready(cx))?,
                read => return Poll::Ready(read.map(|n| into.advance(n))),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        if socket.tls.is_none() {
            return Pin::new(&mut socket.stream).poll_write(cx, bytes);
        }
        loop {
            match socket.try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(socket.stream.poll_write_ready(cx))?,
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        match &socket.tls {
            None => Pin::new(&mut socket.stream).poll_write_vectored(cx, parts),
            Some(_) => {
                let first = parts.iter().find(|part| !part.is_empty()).map_or(&[] as &[u8], |part| &**part);
                Pin::new(socket).poll_write(cx, first)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        // What is under TLS is best copied together, into one record.
        self.tls.is_none()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let Some(tls) = &socket.tls else { return Pin::new(&mut socket.stream).poll_flush(cx) };
        while tls.still_wants_write(&socket.stream)? {
            ready!(socket.stream.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        if let Some(tls) = &socket.tls {
            tls.connection.borrow_mut().send_close_notify();
            ready!(Pin::new(&mut *socket).poll_flush(cx))?;
        }
        Pin::new(&mut socket.stream).poll_shutdown(cx)
    }
}
