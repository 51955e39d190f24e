//! Reading from and writing to a byte stream with buffers that all sessions share.

use super::outbox::{Item, Outbox};
use super::server::Core;
use super::socket::Socket;
use socket2::SockRef;
use std::io::{self, ErrorKind::WouldBlock};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client may take to ask for something after it connected.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take to answer a close, and its last bytes to be written.
pub const CLOSING: Duration = Duration::from_secs(10);
/// How long a client is listened to after the last byte was written to it.
pub const LINGER: Duration = Duration::from_secs(2);
/// Bytes after which what was encoded is written, even if more waits.
const WRITE_CHUNK: usize = 64 * 1024;
/// Larger buffers are given back after use.
const KEEP: usize = 1 << 20;

/// Hands the bytes of one read to `take`; `None` at the end of the stream.
pub async fn read_some<T>(core: &Core, socket: &Socket, take: impl FnOnce(&[u8]) -> T) -> io::Result<Option<T>> {
    loop {
        socket.readable().await?;
        let mut buffer = core.incoming.borrow_mut();
        match socket.try_read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(n) => return Ok(Some(take(&buffer[..n]))),
            Err(error) if error.kind() == WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes what comes to the outbox, everything that is there in one go, until `encode` says that an item was the last;
/// then closes this direction.
pub async fn write_out(
    core: &Core,
    outbox: &Outbox,
    socket: &Socket,
    mut encode: impl FnMut(Item, &mut Vec<u8>) -> ControlFlow<()>,
) -> io::Result<()> {
    loop {
        let mut next = Some(outbox.next().await);
        let (rest, ended) = {
            let mut out = core.outgoing.borrow_mut();
            out.clear();
            let mut ended = false;
            while let Some(item) = next {
                ended = encode(item, &mut out).is_break();
                next = if !ended && out.len() < WRITE_CHUNK { outbox.pop() } else { None };
            }
            let written = match socket.try_write(&out) {
                Err(error) if error.kind() == WouldBlock => 0,
                written => written?,
            };
            let rest = out[written..].to_vec();
            out.shrink_to(KEEP);
            (rest, ended)
        };
        write_all(socket, &rest).await?;
        if ended {
            return socket.shutdown().await;
        }
    }
}

async fn write_all(socket: &Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    socket.flush().await
}

/// Answers someone who may not come in, and hangs up.
pub async fn refuse(core: &Core, socket: &Socket, answer: &[u8]) -> io::Result<()> {
    core.network.outbound.cross().await;
    timeout(CLOSING, write_all(socket, answer)).await??;
    socket.shutdown().await?;
    linger(core, socket).await
}

/// Turns a client away on purpose, in order and without a byte.
pub async fn hang_up(core: &Core, socket: &Socket) -> io::Result<()> {
    socket.shutdown().await?;
    if let Some(oracle) = &core.oracle {
        oracle.note(|truth| truth.connections_refused += 1);
    }
    linger(core, socket).await
}

/// Resets a connection on purpose when its first bytes have come; one that closes before that is only let go.
pub async fn reset(core: &Core, socket: TcpStream) -> io::Result<()> {
    if timeout(HANDSHAKE, socket.peek(&mut [0])).await?? == 0 {
        return Ok(());
    }
    core.network.inbound.cross().await;
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    if let Some(oracle) = &core.oracle {
        oracle.note(|truth| truth.connections_reset += 1);
    }
    Ok(())
}

/// Listens on for the client's own close: closing while something unread has come would reset the connection, and the
/// client might never see our last bytes.
pub async fn linger(core: &Core, socket: &Socket) -> io::Result<()> {
    let read_to_end = async {
        while read_some(core, socket, |_| ()).await?.is_some() {}
        Ok(())
    };
    timeout(LINGER, read_to_end).await.unwrap_or(Ok(()))
}
