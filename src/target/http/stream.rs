//! Receiving by an endless response: events (`text/event-stream`) or length-prefixed messages, one chunk each.

use super::{Answer, Denial, Face, Receiving, Seat, Session, Sid};
use crate::catalog::{Format, Framing, HeaderProfile};
use crate::codec::sse;
use crate::codec::stream::StreamCodec;
use crate::target::outbox::{Item, Outbox};
use crate::target::place::value;
use bytes::Bytes;
use http_body_util::Either;
use hyper::Response;
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

/// A body that is never at its end until the session is. Dropping it, as hyper does when the client is gone, leaves.
pub struct EventStream {
    outbox: Rc<Outbox>,
    encoding: Encoding,
    face: Weak<Face>,
    sid: Sid,
    /// The session's seat; another one may have taken its name since.
    member: u64,
    ended: bool,
}

enum Encoding {
    Events(Format),
    Messages(StreamCodec),
}

impl EventStream {
    fn encode(&self, item: &Item) -> Option<Bytes> {
        let Item::Message(message) = item else { return None };
        let mut out = Vec::new();
        match &self.encoding {
            Encoding::Events(format) => sse::encode(*format, &message.payload, &mut out),
            Encoding::Messages(codec) => codec.encode(&message.payload, &mut out),
        }
        Some(out.into())
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = ready!(self.outbox.poll_pop(context));
        let chunk = self.encode(&item);
        self.ended = chunk.is_none();
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.outbox.abandon();
        if let Some(face) = self.face.upgrade() {
            _ = face.leave_if(self.sid, self.member);
        }
    }
}

/// The one GET of a session that receives by a stream.
pub fn join(face: &Rc<Face>, seat: Seat, kind: &str, query: &str, profile: HeaderProfile) -> Answer {
    let (encoding, content_type) = match kind {
        "sse" => {
            let format = value(query, "format").map_or(Ok(Format::Text), |name| name.parse());
            (Encoding::Events(format.map_err(|()| Denial::BadRequest)?), "text/event-stream")
        }
        _ => (Encoding::Messages(StreamCodec::new(Framing::Length, 0)), "application/octet-stream"),
    };
    let outbox = Outbox::new(&face.core.network, &face.core.counts);
    let greeting = seat.place.greeting().cloned();
    let member = face.core.hub.join(seat.place, outbox.clone());
    if let Some(greeting) = greeting {
        member.greet(&greeting.message());
        if greeting.then_close {
            outbox.send(Item::End);
        }
    }
    let body = EventStream {
        outbox: outbox.clone(),
        encoding,
        face: Rc::downgrade(face),
        sid: seat.sid,
        member: member.id(),
        ended: false,
    };
    let session = Session { member, profile, receiving: Receiving::Stream(outbox) };
    face.take_seat(seat.sid, session);
    let mut response = Response::new(Either::Right(body));
    if kind == "sse" || profile == HeaderProfile::Browser {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    Ok(response)
}
