//! Long and short polling: ask, take what came, ask again.

use super::joining::Joining;
use super::lane::{Head, Lane, Lost};
use super::{Backoff, Face, since, unreadable, usable};
use crate::clock::{Nanos, now};
use crate::codec::body::{Body, Cut};
use crate::seed;
use crate::transport::closing::CLOSE_PATIENCE;
use crate::transport::net::Runtime;
use crate::transport::session::Session;
use crate::transport::{Ended, ErrorClass, Failure};
use std::rc::Rc;
use std::time::Duration;

/// So many polls may fail in a row before the session is given up.
const MAX_FAILURES: u32 = 5;

/// A joined session that polls.
pub(super) struct Polling {
    session: Rc<Session>,
    lane: Lane,
    face: Face,
    /// Short polling: from a response to the next request.
    interval: Option<Duration>,
    /// When the latest response was there.
    last: Option<Nanos>,
    backoff: Backoff,
}

/// Joins, where the dialect does by requests; what those bring is delivered.
pub(super) async fn join(joining: Joining<'_>, interval: Option<Duration>) -> Result<Polling, Failure> {
    let session = joining.session.clone();
    let (lane, face) = joining.by_polling().await?;
    Ok(Polling { session, lane, face, interval, last: Some(now()), backoff: Backoff::default() })
}

impl Polling {
    /// Polls until the session breaks or is given up.
    pub async fn receive(mut self) -> Ended {
        if self.face.borrow().is_over_when_joined() {
            return self.end_with_target().await;
        }
        self.wait(seed::pick(0, self.session.id.into(), 1 << 32) as f64 / (1u64 << 32) as f64).await;
        loop {
            match self.poll().await {
                Ok(()) => {
                    self.backoff.succeeded();
                    self.wait(1.0).await;
                }
                Err(failure) if is_final(&failure.class) => return self.session.closing.broken(failure),
                Err(failure) => {
                    self.session.fault(None, failure.clone());
                    let is_given_up = is_countable(&failure.class) && self.backoff.failures + 1 >= MAX_FAILURES;
                    if is_given_up {
                        return self.session.closing.broken(failure);
                    }
                    self.backoff.failed(&Runtime).await;
                }
            }
        }
    }

    /// The target was asked to close once the session was joined. Its FIN comes with its answer, so this closing has no
    /// length.
    async fn end_with_target(mut self) -> Ended {
        match tokio::time::timeout(CLOSE_PATIENCE, self.lane.until_closed()).await {
            Ok(()) => self.session.closing.closed(),
            Err(_) => {
                let detail = format!("the target did not close within {CLOSE_PATIENCE:?}");
                self.session.closing.broken(Failure::new(ErrorClass::CloseTimeout, detail))
            }
        }
    }

    /// Waits that share of the interval: the first time a part of it, so that sessions don't poll in step.
    async fn wait(&self, share: f64) {
        if let Some(interval) = self.interval {
            tokio::time::sleep(interval.mul_f64(share)).await;
        }
    }

    /// One request for messages, asked a second time only where the target closed the connection between two.
    async fn poll(&mut self) -> Result<(), Failure> {
        let ask = self.face.borrow_mut().poll();
        let (head, gap) = loop {
            self.lane.ready().await?;
            let gap = since(self.last);
            match self.lane.ask(&ask).await {
                Ok(head) => break (head, gap),
                Err(Lost { was_reused: true, .. }) => {}
                Err(lost) => return Err(lost.failure),
            }
        };
        let cut = match self.cut(&head) {
            Ok(cut) => cut,
            Err(failure) => {
                self.lane.finish().await;
                return Err(failure);
            }
        };
        let (messages, result) = match cut {
            Cut::Nothing => (0, Ok(())),
            cut => self.body(Body::new(cut)).await,
        };
        self.lane.finish().await;
        self.last = Some(now());
        // What came of a body that broke came: it isn't asked for again.
        self.face.borrow_mut().received(messages);
        self.session.meter.polled(messages);
        self.session.sink.on_poll(self.session.id, messages, gap);
        result
    }

    fn cut(&self, head: &Head) -> Result<Cut, Failure> {
        let mut face = self.face.borrow_mut();
        if face.is_nothing_new(head.status.as_u16()) {
            return Ok(Cut::Nothing);
        }
        usable(head)?;
        let answered = face.answered(&head.of_dialect());
        answered.map_err(|refusal| Failure::new(ErrorClass::HttpProtocol, refusal.to_string()))
    }

    /// Reads a body and delivers what is in it. Returns how many messages that were.
    async fn body(&mut self, mut body: Body) -> (u64, Result<(), Failure>) {
        let mut delivery = Delivery { session: &self.session, messages: 0, heard: Ok(()), at: 0 };
        let result = loop {
            let chunk = self.lane.chunk().await;
            delivery.at = now();
            match chunk {
                Ok(Some(bytes)) => {
                    if let Err(error) = body.push(&bytes, &mut |message| delivery.take(message)) {
                        break Err(unreadable(&body, error));
                    }
                }
                Ok(None) => break self.end(body, &mut delivery),
                Err(failure) => break Err(failure),
            }
        };
        (delivery.messages, delivery.heard.and(result))
    }

    fn end(&self, body: Body, delivery: &mut Delivery) -> Result<(), Failure> {
        let own = body.end(&mut |message| delivery.take(message))?;
        if let Some(own) = own {
            self.face.borrow_mut().cut(&own, &mut |message| delivery.take(message))?;
        }
        Ok(())
    }
}

/// Messages of one body on their way to the session, up to one that breaks it.
struct Delivery<'a> {
    session: &'a Session,
    messages: u64,
    heard: Result<(), Failure>,
    at: Nanos,
}

impl Delivery<'_> {
    fn take(&mut self, message: &[u8]) {
        if self.heard.is_ok() {
            self.messages += 1;
            self.heard = self.session.deliver(message, None, self.at);
        }
    }
}

/// Would the same request fail in the same way for ever?
fn is_final(class: &ErrorClass) -> bool {
    matches!(class, ErrorClass::HttpStatus(400 | 401 | 403 | 404 | 405 | 410))
        || matches!(class, ErrorClass::Garbage | ErrorClass::TooLarge | ErrorClass::HttpProtocol)
        // The dialect's own end of the session.
        || matches!(class, ErrorClass::ClosedByTarget(_) | ErrorClass::JoinRefused)
}

/// A target that answers is alive, however busy it says it is; one that doesn't answer may be gone.
fn is_countable(class: &ErrorClass) -> bool {
    !matches!(class, ErrorClass::HttpStatus(_))
}
