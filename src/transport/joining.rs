//! A connection on its way from connected to joined: one question, one answer, and the exact count of both.

use super::counted::Reading;
use super::io::{Io, Read, Socket, poll_read_with};
use super::tcp_info::{self, WireBytes};
use super::{ErrorClass, Failure};
use crate::catalog::Format;
use crate::codec::MAX_MESSAGE;
use crate::dialect::{Heard, Talk};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// The most that a target may say until a session is joined, bytes: messages may be among it.
const MOST_ANSWER: usize = 2 * MAX_MESSAGE;

/// A connection being joined, or a stream of one.
pub(super) struct Joining<I> {
    io: I,
    asked: u64,
    answer: Vec<u8>,
}

/// A connection that is joined.
pub(super) struct Joined<S = TcpStream> {
    pub io: Io<S>,
    /// What came behind the answer.
    pub early: Vec<u8>,
    pub handshake: Handshake,
    /// What the connection counted that came before this one in the same session, if there was one; its bytes are the
    /// handshake's.
    pub former: Option<Box<Reading>>,
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

/// Who takes what came at a time, and says whether to go on.
pub(super) type OnUnit<'a> = &'a mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>, Failure>;

/// How what is said at a time goes over the connection.
pub(super) trait Units {
    /// Appends what is said as it is written.
    fn put(&mut self, format: Format, said: &[u8], out: &mut Vec<u8>);
    /// Hands on what is whole of what was read, and appends to `out` what the transport itself answers. Returns how many of
    /// the bytes were taken: where `on` broke off, those up to the end of what it got last, as far as the transport can tell.
    fn take(&mut self, bytes: &mut [u8], out: &mut Vec<u8>, on: OnUnit<'_>) -> Result<usize, Failure>;
}

/// What was heard of a talk that isn't joined yet. Messages are nobody's: the session isn't there to be owed any.
#[derive(Default)]
pub(super) struct Notes {
    pub said: Vec<Vec<u8>>,
    pub is_joined: bool,
}

impl Notes {
    pub fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Joined => self.is_joined = true,
            Heard::Say(bytes) => self.said.push(bytes.to_vec()),
            Heard::Message(_) | Heard::Answer { .. } | Heard::Acknowledged { .. } | Heard::Fault { .. } => {}
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Joining<I> {
    pub fn new(io: I) -> Joining<I> {
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
            self.read(what).await?;
            if let Some(found) = whole(&self.answer)? {
                return Ok(found);
            }
        }
    }

    /// Talks until the session is joined, from `from` on of what has come. Returns whether it took more than being connected,
    /// and up to where that was.
    pub async fn talk(
        &mut self,
        talk: &dyn Talk,
        units: &mut impl Units,
        from: usize,
    ) -> Result<(bool, usize), Failure> {
        let format = talk.format().unwrap_or(Format::Text);
        let (mut wire, mut at) = (Vec::new(), from);
        let mut notes = Notes::default();
        talk.begin(&mut |heard| notes.take(heard));
        let was_asked = !notes.is_joined || !notes.said.is_empty();
        loop {
            notes.said.drain(..).for_each(|said| units.put(format, &said, &mut wire));
            if !wire.is_empty() {
                self.ask(&wire).await?;
                wire.clear();
            }
            if notes.is_joined {
                return Ok((was_asked, at));
            }
            if self.answer.len() > MOST_ANSWER {
                let detail = format!("over {MOST_ANSWER} bytes came, and nothing that joins");
                return Err(Failure::new(ErrorClass::TooLarge, detail));
            }
            if at == self.answer.len() {
                self.read("the answer to the join").await?;
            }
            at += units.take(&mut self.answer[at..], &mut wire, &mut |unit| {
                talk.hear(unit, &mut |heard| notes.take(heard))?;
                Ok(if notes.is_joined { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
        }
    }

    async fn read(&mut self, what: &str) -> Result<(), Failure> {
        let (io, answer) = (&mut self.io, &mut self.answer);
        let read = poll_fn(|cx| {
            let fill = |into: &mut ReadBuf<'_>| Pin::new(&mut *io).poll_read(cx, into);
            poll_read_with(fill, |bytes: &[u8], _| answer.extend_from_slice(bytes))
        });
        match read.await? {
            Read::Bytes(()) => Ok(()),
            Read::End => {
                let detail = format!("the stream ended {} bytes into {what}", self.answer.len());
                Err(Failure::new(ErrorClass::Truncated, detail))
            }
        }
    }

    /// What came, of which the first `head` bytes were the answer, and what carried it.
    pub fn into_parts(self, head: usize) -> (I, Vec<u8>) {
        (self.io, self.answer[head..].to_vec())
    }
}

impl<S: Socket> Joining<Io<S>> {
    /// The answer was the first `head` bytes of what came; 0 where nothing was asked.
    pub fn joined(self, head: usize) -> Joined<S> {
        let asked = self.asked;
        let (io, early) = self.into_parts(head);
        let handshake = Handshake::of(&io, asked, head as u64, early.len() as u64);
        Joined { io, early, handshake, former: None }
    }
}
