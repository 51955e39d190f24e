//! Long and short polling: ask, take what came, ask again.

use super::lane::{Head, Lane, Lost};
use super::{Backoff, Join, since};
use crate::catalog::Framing;
use crate::clock::{Nanos, now};
use crate::codec::stream::StreamCodec;
use crate::codec::{CodecError, Decode, MAX_MESSAGE};
use crate::dialect::HttpFace;
use crate::seed;
use crate::transport::closing::CLOSE_PATIENCE;
use crate::transport::counted::Counted;
use crate::transport::net::Runtime;
use crate::transport::session::Session;
use crate::transport::tcp::garbage;
use crate::transport::{Ended, ErrorClass, Failure};
use bytes::Bytes;
use hyper::header::CONTENT_ENCODING;
use hyper::{Method, StatusCode};
use std::rc::Rc;
use std::time::Duration;

/// So many polls may fail in a row before the session is given up.
const MAX_FAILURES: u32 = 5;

/// A joined session that polls.
pub(super) struct Polling {
    session: Rc<Session>,
    lane: Lane,
    face: Box<dyn HttpFace>,
    /// Short polling: from a response to the next request.
    interval: Option<Duration>,
    /// When the latest response was there.
    last: Option<Nanos>,
    backoff: Backoff,
}

/// Joins, where the dialect does by a GET; what that brings is delivered.
pub(super) async fn join(join: Join, interval: Option<Duration>) -> Result<Polling, Failure> {
    let Join { session, lane, face } = join;
    let mut polling = Polling { session, lane, face, interval, last: None, backoff: Backoff::default() };
    let stream = polling.lane.stream();
    let Some(path) = polling.face.join() else {
        stream.inspect(|stream| stream.joined(0));
        return Ok(polling);
    };
    stream.inspect(Counted::watch_head);
    let head = polling.lane.ask(Method::GET, &path, Bytes::new()).await.map_err(|lost| lost.failure)?;
    polling.lane.stream().inspect(|stream| stream.joined(stream.head_len()));
    check(&head)?;
    let cursor = head.headers.get("cursor").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    polling.face.joined(cursor).map_err(|refusal| Failure::new(ErrorClass::HttpProtocol, refusal.to_string()))?;
    let (_, result) = polling.body(Body::new(polling.face.is_batched(), true)).await;
    result?;
    polling.last = Some(now());
    Ok(polling)
}

impl Polling {
    /// Polls until the session breaks or is given up.
    pub async fn receive(mut self) -> Ended {
        if self.face.is_over_when_joined() {
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
        let path = self.face.poll();
        let (head, gap) = loop {
            self.lane.ready().await?;
            let gap = since(self.last);
            match self.lane.ask(Method::GET, &path, Bytes::new()).await {
                Ok(head) => break (head, gap),
                Err(Lost { was_reused: true, .. }) => {}
                Err(lost) => return Err(lost.failure),
            }
        };
        if let Err(failure) = check(&head) {
            self.lane.finish().await;
            return Err(failure);
        }
        let expects = head.status != StatusCode::NO_CONTENT;
        let (messages, result) = match expects {
            true => self.body(Body::new(self.face.is_batched(), false)).await,
            false => (0, Ok(())),
        };
        self.lane.finish().await;
        self.last = Some(now());
        // What came of a body that broke came: it isn't asked for again.
        self.face.received(messages);
        self.session.meter.polled(messages);
        self.session.sink.on_poll(self.session.id, messages, gap);
        result
    }

    /// Reads a body and delivers what is in it. Returns how many messages that were.
    async fn body(&mut self, mut body: Body) -> (u64, Result<(), Failure>) {
        let mut messages = 0;
        let result = loop {
            let chunk = self.lane.chunk().await;
            let at = now();
            let session = &self.session;
            let mut deliver = |message: &[u8]| {
                messages += 1;
                session.deliver(message, None, at);
            };
            match chunk {
                Ok(Some(bytes)) => {
                    if let Err(failure) = body.push(&bytes, &mut deliver) {
                        break Err(failure);
                    }
                }
                Ok(None) => break body.end(&mut deliver),
                Err(failure) => break Err(failure),
            }
        };
        (messages, result)
    }
}

/// A polled body on its way in.
enum Body {
    /// Length-prefixed messages.
    Batch(StreamCodec),
    /// One message as it is. Where none was promised, an empty body is none.
    Single { bytes: Vec<u8>, may_be_none: bool },
}

impl Body {
    fn new(is_batched: bool, may_be_none: bool) -> Body {
        match is_batched {
            true => Body::Batch(StreamCodec::new(Framing::Length, 0)),
            false => Body::Single { bytes: Vec::new(), may_be_none },
        }
    }

    fn push(&mut self, chunk: &[u8], deliver: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
        match self {
            Body::Batch(codec) => codec.push(chunk, deliver).map_err(|error| garbage(&error)),
            Body::Single { bytes, .. } => {
                let size = bytes.len() + chunk.len();
                if size > MAX_MESSAGE {
                    return Err(CodecError::TooLarge { size, limit: MAX_MESSAGE }.into());
                }
                bytes.extend_from_slice(chunk);
                Ok(())
            }
        }
    }

    fn end(&self, deliver: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
        match self {
            Body::Batch(codec) if !codec.is_clean() => {
                Err(Failure::new(ErrorClass::Garbage, "a batch that ends in the middle of a message"))
            }
            Body::Single { bytes, may_be_none } if !(bytes.is_empty() && *may_be_none) => {
                deliver(bytes);
                Ok(())
            }
            Body::Batch(_) | Body::Single { .. } => Ok(()),
        }
    }
}

/// Is it an answer to take messages from?
pub(super) fn check(head: &Head) -> Result<(), Failure> {
    if !head.status.is_success() {
        let detail = format!("a request for messages was answered with {}", head.status);
        return Err(Failure::new(ErrorClass::HttpStatus(head.status.as_u16()), detail));
    }
    match head.headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let detail = format!("the answer is encoded ({encoding:?}); switch that off, or use headers = \"minimal\"");
            Err(Failure::new(ErrorClass::HttpProtocol, detail))
        }
        _ => Ok(()),
    }
}

/// Would the same request fail in the same way for ever?
fn is_final(class: &ErrorClass) -> bool {
    matches!(class, ErrorClass::HttpStatus(400 | 401 | 403 | 404 | 405 | 410))
        || matches!(class, ErrorClass::Garbage | ErrorClass::TooLarge | ErrorClass::HttpProtocol)
}

/// A target that answers is alive, however busy it says it is; one that doesn't answer may be gone.
fn is_countable(class: &ErrorClass) -> bool {
    !matches!(class, ErrorClass::HttpStatus(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut body: Body, chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, ErrorClass> {
        let mut got = Vec::new();
        for chunk in chunks {
            body.push(chunk, &mut |m| got.push(m.to_vec())).map_err(|f| f.class)?;
        }
        body.end(&mut |m| got.push(m.to_vec())).map_err(|f| f.class)?;
        Ok(got)
    }

    #[test]
    fn a_body_is_one_message_or_a_batch_of_them() {
        assert_eq!(read(Body::new(false, false), &[b"he", b"llo"]).unwrap(), [b"hello"]);
        assert_eq!(read(Body::new(false, false), &[]).unwrap(), [b""]);
        assert!(read(Body::new(false, true), &[]).unwrap().is_empty());
        assert_eq!(read(Body::new(true, false), &[b"\0\0\0\x01a\0\0\0", b"\x02bc"]).unwrap(), [b"a".as_slice(), b"bc"]);
    }

    #[test]
    fn a_batch_cut_short_and_a_message_too_large_are_errors() {
        assert_eq!(read(Body::new(true, false), &[b"\0\0\0\x05a"]), Err(ErrorClass::Garbage));
        let half = vec![0; MAX_MESSAGE / 2 + 1];
        assert_eq!(read(Body::new(false, false), &[&half, &half]), Err(ErrorClass::TooLarge));
    }
}
