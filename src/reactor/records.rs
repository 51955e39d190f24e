//! TLS between a connection's state and a socket that never waits, for either end.

use super::stream::{Received, received, taken};
use rustls::Connection;
use std::io::{self, ErrorKind, Read, Write};

/// How a handshake stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shake {
    /// The peer has to say more.
    Waits,
    /// Something is to be said: [`flush`] does.
    Answers,
    Done,
}

/// Moves a handshake on by what the socket holds, and says nothing yet.
pub fn shake(tls: &mut Connection, socket: &mut (impl Read + Write)) -> io::Result<Shake> {
    while tls.is_handshaking() {
        if tls.wants_write() {
            return Ok(Shake::Answers);
        }
        match received(tls.read_tls(socket), |_| false)? {
            Received::Empty => return Ok(Shake::Waits),
            Received::End => return Err(ErrorKind::UnexpectedEof.into()),
            Received::Bytes { .. } => process(tls, socket)?,
        }
    }
    Ok(Shake::Done)
}

/// Reads what is there.
pub fn read(tls: &mut Connection, socket: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<Received> {
    loop {
        // What is decrypted already goes first: the socket will not tell of it again.
        match tls.reader().read(buffer) {
            Ok(0) => return Ok(Received::End),
            Ok(n) => return Ok(Received::Bytes { n, is_last: false }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        match received(tls.read_tls(socket), |_| false)? {
            Received::Empty => return Ok(Received::Empty),
            // A FIN without a close_notify: the reader says that it was cut off.
            Received::End | Received::Bytes { .. } => {}
        }
        process(tls, socket)?;
        flush(tls, socket)?;
    }
}

/// How many of `bytes` were taken.
pub fn write(tls: &mut Connection, socket: &mut (impl Read + Write), bytes: &[u8]) -> io::Result<usize> {
    let mut done = 0;
    // It takes 64 KiB at a time. While the socket takes that as well, no readiness would tell of the rest.
    loop {
        done += tls.writer().write(&bytes[done..])?;
        flush(tls, socket)?;
        if done == bytes.len() || tls.wants_write() {
            return Ok(done);
        }
    }
}

/// Writes what is to be written, as far as the socket takes it.
pub fn flush(tls: &mut Connection, socket: &mut (impl Read + Write)) -> io::Result<()> {
    while tls.wants_write() && taken(tls.write_tls(socket))? > 0 {}
    Ok(())
}

fn process(tls: &mut Connection, socket: &mut (impl Read + Write)) -> io::Result<()> {
    match tls.process_new_packets() {
        Ok(_) => Ok(()),
        Err(error) => {
            // The peer is told why, if it can be.
            _ = flush(tls, socket);
            Err(io::Error::new(ErrorKind::InvalidData, error))
        }
    }
}
