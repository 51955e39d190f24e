//! A request that is its own session: what it says comes back as its answer.

use super::{Answer, Denial, Face, message, whole};
use crate::target::hub::Receiver;
use crate::target::outbox::Message;
use crate::target::place::value;
use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use std::cell::RefCell;
use std::rc::Rc;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub const PATH: &str = "/echo";

/// Takes the one message that comes back.
struct Ear {
    heard: RefCell<Option<oneshot::Sender<Message>>>,
}

impl Receiver for Ear {
    fn deliver(self: Rc<Self>, message: &Message) {
        if let Some(heard) = self.heard.take() {
            // Who doesn't wait any more has gone.
            _ = heard.send(message.clone());
        }
    }
}

/// Sends the body around the place and back, by the way of every other echo. A GET says nothing, and gets nothing back.
pub async fn answer(face: &Face, request: &Parts, query: &str, body: &Bytes) -> Answer {
    if !matches!(request.method, Method::POST | Method::GET) {
        return Err(Denial::Method);
    }
    let place = face.core.admit(PATH, value(query, "token").as_deref())?;
    let (heard, hears) = oneshot::channel();
    let member = face.core.hub.join(place, Rc::new(Ear { heard: RefCell::new(Some(heard)) }));
    member.publish(&message(&request.headers, body));
    match timeout(face.core.hold, hears).await {
        Ok(Ok(message)) => {
            face.core.counts.delivered.add(1);
            Ok(whole(StatusCode::OK, message.payload))
        }
        Ok(Err(_)) | Err(_) => Err(Denial::Unanswered),
    }
}
