//! Publishing by POST: one after the other, in order, on one connection. It is opened with the session where the workload
//! will publish, so that no message's latency holds a connect that a live client would long have behind it.

use super::lane::{Lane, Lost};
use super::{Backoff, Face};
use crate::clock::now;
use crate::dialect::Ask;
use crate::transport::net::Runtime;
use crate::transport::queue::{Item, Message, Whose};
use crate::transport::session::Session;
use crate::transport::{Ended, ErrorClass, Failure};
use hyper::StatusCode;

pub(super) struct Publisher {
    lane: Lane,
    face: Face,
    backoff: Backoff,
}

impl Publisher {
    pub fn new(face: Face, lane: Lane) -> Publisher {
        Publisher { lane, face, backoff: Backoff::default() }
    }

    /// Publishes what comes to the outbox, until that says close.
    pub async fn publish(mut self, session: &Session) -> Ended {
        loop {
            match session.outbox.next().await {
                Item::Message(message) => self.post(session, message).await,
                Item::Close(_) => return self.leave(session).await,
                Item::Ping | Item::Pong(_) => {}
            }
        }
    }

    /// A message that could not be published is named by its ticket; if even the connection failed, it was never sent.
    async fn post(&mut self, session: &Session, message: Message) {
        let ask = self.face.borrow_mut().publish(message.bytes.into());
        let load = match message.whose {
            Whose::Load { ticket, payload } => Some((ticket, payload)),
            Whose::Dialect => None,
        };
        let mut unstamped = load;
        let status = self
            .request(&ask, || {
                if let Some((ticket, payload)) = unstamped.take() {
                    session.sending(ticket, now());
                    session.meter.sent(1, payload as u64);
                }
            })
            .await;
        let failure = match status {
            Ok(status) => {
                if !status.is_client_error() && !status.is_server_error() {
                    return self.backoff.succeeded();
                }
                Failure::new(ErrorClass::HttpStatus(status.as_u16()), "the target did not take a message")
            }
            Err(failure) => failure,
        };
        session.fault(load.map(|(ticket, _)| ticket), failure);
        self.backoff.failed(&Runtime).await;
    }

    /// Tells the target, where the dialect does. The closing lasts from that request to its answer.
    async fn leave(&mut self, session: &Session) -> Ended {
        let leave = self.face.borrow_mut().leave();
        let Some(leave) = leave else { return session.closing.closed() };
        match self.request(&leave, || session.closing.began()).await {
            Ok(_) => session.closing.closed(),
            Err(failure) => session.closing.broken(failure),
        }
    }

    /// Sends one request; `about_to_write` is called right before. A second attempt is made only where certainly nothing
    /// of the first was written: a message must not be published twice.
    async fn request(&mut self, ask: &Ask, mut about_to_write: impl FnMut()) -> Result<StatusCode, Failure> {
        let mut attempts = 0;
        loop {
            self.lane.ready().await?;
            about_to_write();
            attempts += 1;
            match self.lane.ask(ask).await {
                Ok(head) => {
                    self.lane.finish().await;
                    return Ok(head.status);
                }
                Err(Lost { is_unsent: true, was_reused: true, .. }) if attempts == 1 => {}
                Err(lost) => return Err(lost.failure),
            }
        }
    }
}
