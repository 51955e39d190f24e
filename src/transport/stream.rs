//! Writing to a byte stream from a session's outbox: what TCP and one of the WebSocket engines share.

use super::queue::{Item, Message, Whose};
use super::session::Session;
use crate::clock::{Nanos, now};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Once a write holds this much, the rest waits for the next, bytes.
const BATCH: usize = 64 * 1024;

/// What a write's close looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseBy {
    /// A frame, which the encoder writes; the stream stays open for the answer.
    Frame,
    /// The end of our half of the stream.
    Fin,
}

/// Writes what comes to the outbox, several items at once where several wait, and never returns: how the session ended
/// is the reader's to say. `encode` appends an item as it goes over the wire, at the instant of the write.
pub(super) async fn write(
    session: &Session,
    mut stream: impl AsyncWrite + Unpin,
    close_by: CloseBy,
    mut encode: impl FnMut(Item, Nanos, &mut Vec<u8>),
) -> Infallible {
    let mut wire = Vec::new();
    loop {
        let first = session.outbox.next().await;
        let at = now();
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(item) = next {
            batch.note(session, &item, at);
            encode(item, at, &mut wire);
            next = (wire.len() < BATCH).then(|| session.outbox.try_next()).flatten();
        }
        if batch.closes {
            session.closing.began();
        }
        match put(&mut stream, &wire, batch.closes && close_by == CloseBy::Fin).await {
            Ok(()) => session.meter.sent(batch.messages, batch.payload),
            Err(error) => session.write_failed(error.into()),
        }
        wire.clear();
        wire.shrink_to(BATCH);
        if batch.closes {
            session.close_written();
            pending::<()>().await;
        }
    }
}

async fn put(stream: &mut (impl AsyncWrite + Unpin), wire: &[u8], fin: bool) -> io::Result<()> {
    stream.write_all(wire).await?;
    stream.flush().await?;
    if fin {
        stream.shutdown().await?;
    }
    Ok(())
}

/// What one write carries.
#[derive(Debug, Default)]
struct Batch {
    messages: u64,
    payload: u64,
    closes: bool,
}

impl Batch {
    fn note(&mut self, session: &Session, item: &Item, at: Nanos) {
        match item {
            Item::Message(Message { whose: Whose::Load { ticket, payload }, .. }) => {
                session.sending(*ticket, at);
                self.messages += 1;
                self.payload += *payload as u64;
            }
            Item::Close(_) => self.closes = true,
            Item::Message(_) | Item::Ping | Item::Pong(_) => {}
        }
    }
}
