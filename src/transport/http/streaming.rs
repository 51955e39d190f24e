//! One GET whose answer never ends: an event stream, or length-prefixed messages.

use super::joining::Joining;
use super::lane::{Head, Lane};
use super::unreadable;
use crate::clock::now;
use crate::codec::body::{Body, Cut};
use crate::transport::session::Session;
use crate::transport::{Ended, ErrorClass, Failure};
use hyper::header::CONTENT_TYPE;
use std::rc::Rc;

/// A joined session whose messages come by themselves.
pub(super) struct Streaming {
    session: Rc<Session>,
    lane: Lane,
    body: Body,
}

/// Asks for the stream; joined when its head is there, or by what the dialect hears.
pub(super) async fn join(joining: Joining<'_>) -> Result<Streaming, Failure> {
    let session = joining.session.clone();
    let (lane, body) = joining.by_streaming(check_type).await?;
    Ok(Streaming { session, lane, body })
}

/// Events come as what the standard calls them.
fn check_type(head: &Head, cut: Cut) -> Result<(), Failure> {
    if !matches!(cut, Cut::Events(_)) {
        return Ok(());
    }
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
    if content_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream")) {
        return Ok(());
    }
    let detail = format!("the answer is of type {content_type:?} and not text/event-stream");
    Err(Failure::new(ErrorClass::HttpProtocol, detail))
}

impl Streaming {
    /// Delivers what comes until the stream ends or breaks.
    pub async fn receive(mut self) -> Ended {
        loop {
            match self.lane.chunk().await {
                Ok(Some(bytes)) => {
                    if let Err(failure) = self.take(&bytes) {
                        return self.session.closing.broken(failure);
                    }
                }
                Ok(None) => return self.ended(),
                Err(failure) => return self.session.closing.broken(failure),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let at = now();
        let session = &self.session;
        let mut heard = Ok(());
        let pushed = self.body.push(bytes, &mut |message| {
            if heard.is_ok() {
                heard = session.deliver(message, None, at);
            }
        });
        pushed.map_err(|error| unreadable(&self.body, error))?;
        heard
    }

    /// The target ended the response as a response ends.
    fn ended(&self) -> Ended {
        match self.body.is_clean() {
            false => self.session.closing.cut_off("the stream ended in the middle of a message"),
            true => self.session.closing.closed(),
        }
    }
}
