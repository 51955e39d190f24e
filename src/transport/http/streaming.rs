//! One GET whose answer never ends: an event stream, or length-prefixed messages.

use super::Join;
use super::lane::{Head, Lane};
use super::polling::check;
use crate::catalog::{Framing, TransportKind};
use crate::clock::now;
use crate::codec::Decode;
use crate::codec::sse::SseDecoder;
use crate::codec::stream::StreamCodec;
use crate::dialect::Receive;
use crate::transport::session::Session;
use crate::transport::tcp::garbage;
use crate::transport::{Ended, ErrorClass, Failure};
use bytes::Bytes;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use std::rc::Rc;

/// A joined session whose messages come by themselves.
pub(super) struct Streaming {
    session: Rc<Session>,
    lane: Lane,
    decoder: Decoder,
}

enum Decoder {
    Events(SseDecoder),
    Lengths(StreamCodec),
}

/// Asks for the stream; joined when its head is there.
pub(super) async fn join(join: Join, receive: Receive) -> Result<Streaming, Failure> {
    let Join { session, mut lane, face } = join;
    let path = face.join().unwrap_or_else(|| face.poll());
    lane.stream().as_ref().inspect(|stream| stream.watch_head());
    let head = lane.ask(Method::GET, &path, Bytes::new()).await.map_err(|lost| lost.failure)?;
    lane.stream().as_ref().inspect(|stream| stream.joined(stream.head_len()));
    check(&head)?;
    let decoder = match receive.transport {
        TransportKind::Sse => {
            check_type(&head)?;
            Decoder::Events(SseDecoder::new(receive.format))
        }
        _ => Decoder::Lengths(StreamCodec::new(Framing::Length, 0)),
    };
    Ok(Streaming { session, lane, decoder })
}

fn check_type(head: &Head) -> Result<(), Failure> {
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
        let mut deliver = |message: &[u8]| session.deliver(message, None, at);
        match &mut self.decoder {
            Decoder::Events(decoder) => decoder.push(bytes, &mut deliver).map_err(Failure::from),
            Decoder::Lengths(codec) => codec.push(bytes, &mut deliver).map_err(|error| garbage(&error)),
        }
    }

    /// The target ended the response as a response ends.
    fn ended(&self) -> Ended {
        match &self.decoder {
            Decoder::Lengths(codec) if !codec.is_clean() => {
                self.session.closing.cut_off("the stream ended in the middle of a message")
            }
            _ => self.session.closing.closed(),
        }
    }
}
