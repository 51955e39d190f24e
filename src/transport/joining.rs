//! A connection on its way from connected to joined: one question, one answer, and the exact count of both.

use super::io::{Io, Read, Socket, poll_read_with};
use super::tcp_info::{self, WireBytes};
use super::{ErrorClass, Failure};
use std::future::poll_fn;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// A connection being joined.
pub(super) struct Joining<S> {
    io: Io<S>,
    asked: u64,
    answer: Vec<u8>,
}

/// A connection that is joined.
pub(super) struct Joined<S = TcpStream> {
    pub io: Io<S>,
    /// What came behind the answer.
    pub early: Vec<u8>,
    pub handshake: Handshake,
}

/// What joining cost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Handshake {
    /// Bytes of TCP payload each way, TLS's included.
    pub asked: u64,
    pub answered: u64,
    /// The kernel's count when the session was joined; what came before is its handshake's.
    pub before: WireBytes,
}

impl Handshake {
    /// Of a connection that sent `asked` bytes and whose answer was the first `head` of what came, with `after` bytes
    /// read behind it.
    pub fn of(io: &Io<impl Socket>, asked: u64, head: u64, after: u64) -> Handshake {
        let counts = tcp_info::read(io.socket(), io.socket().is_ipv6()).unwrap_or_default();
        if io.is_tls() {
            let answered = counts.received().saturating_sub(after).max(head);
            Handshake { asked: counts.sent.max(asked), answered, before: counts.until_joined_by_tls(after) }
        } else {
            Handshake { asked, answered: head, before: counts.until_joined(head) }
        }
    }
}

impl<S: Socket> Joining<S> {
    pub fn new(io: Io<S>) -> Joining<S> {
        Joining { io, asked: 0, answer: Vec::new() }
    }

    pub async fn ask(&mut self, question: &[u8]) -> Result<(), Failure> {
        self.io.write_all(question).await?;
        self.io.flush().await?;
        self.asked += question.len() as u64;
        Ok(())
    }

    /// Reads until `whole` finds an answer in what has come: what it means, and how long it is. `what` it is that the
    /// stream would otherwise have ended in.
    pub async fn answer<T>(
        &mut self,
        what: &str,
        mut whole: impl FnMut(&[u8]) -> Result<Option<(T, usize)>, Failure>,
    ) -> Result<(T, usize), Failure> {
        loop {
            let (io, answer) = (&mut self.io, &mut self.answer);
            let read = poll_fn(|cx| {
                let fill = |into: &mut ReadBuf<'_>| Pin::new(&mut *io).poll_read(cx, into);
                poll_read_with(fill, |bytes: &[u8], _| answer.extend_from_slice(bytes))
            });
            if let Read::End = read.await? {
                let detail = format!("the stream ended {} bytes into {what}", self.answer.len());
                return Err(Failure::new(ErrorClass::Truncated, detail));
            }
            if let Some(found) = whole(&self.answer)? {
                return Ok(found);
            }
        }
    }

    /// The answer was the first `head` bytes of what came; 0 where nothing was asked.
    pub fn joined(self, head: usize) -> Joined<S> {
        let early = self.answer[head..].to_vec();
        let handshake = Handshake::of(&self.io, self.asked, head as u64, early.len() as u64);
        Joined { io: self.io, early, handshake }
    }
}
