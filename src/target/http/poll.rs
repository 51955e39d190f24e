//! Receiving by polls: a session's place in the log, and GETs that are held until there is something.

use super::{Answer, Body, Denial, Face, Receiving, Seat, Session, empty, whole};
use crate::catalog::{Format, Framing, HeaderProfile};
use crate::clock::{Nanos, now};
use crate::codec::MAX_MESSAGE;
use crate::codec::stream::StreamCodec;
use crate::target::hub::{Member, Receiver};
use crate::target::outbox::Message;
use crate::target::place::value;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use std::cell::Cell;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::time::timeout;

/// What a polling session has and awaits.
pub struct Poll {
    batch: bool,
    profile: HeaderProfile,
    /// The cursor that was asked for last, and the position in the place's log that it stands for. They differ where a
    /// publisher doesn't receive its own messages.
    cursor: Cell<u64>,
    position: Cell<u64>,
    filled: Notify,
    state: Cell<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No request since this instant.
    Idle(Nanos),
    Held,
    /// The session has left.
    Closed,
}

/// What a cursor leads to.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Messages(Vec<Message>),
    Nothing,
    Gone,
}

impl Poll {
    fn new(batch: bool, profile: HeaderProfile) -> Poll {
        Poll {
            batch,
            profile,
            cursor: Cell::new(0),
            position: Cell::new(0),
            filled: Notify::new(),
            state: Cell::new(State::Idle(now())),
        }
    }

    /// Since when nothing was asked; `None` while a GET is held.
    pub fn idle_since(&self) -> Option<Nanos> {
        match self.state.get() {
            State::Idle(since) => Some(since),
            State::Held | State::Closed => None,
        }
    }

    pub fn is_held(&self) -> bool {
        self.state.get() == State::Held
    }

    /// The session leaves: a held GET ends.
    pub fn close(&self) {
        self.state.set(State::Closed);
        self.filled.notify_one();
    }

    fn start_at(&self, position: u64) {
        self.cursor.set(position);
        self.position.set(position);
    }

    /// Moves on to message `cursor` of this session and takes what is there from it on.
    fn find(&self, member: &Member, cursor: u64) -> Found {
        let log = member.log();
        if cursor < self.cursor.get() || self.position.get() < log.first() {
            return Found::Gone;
        }
        let heard = |position: &u64| log.get(*position).is_some_and(|entry| member.hears(entry));
        let skip = cursor - self.cursor.get();
        let mut positions = (self.position.get()..log.next()).filter(heard);
        if skip > 0 {
            // The last of the messages that the client has; where it counts more than there were, nothing follows.
            let Some(last) = usize::try_from(skip - 1).ok().and_then(|skip| positions.nth(skip)) else {
                return Found::Nothing;
            };
            self.cursor.set(cursor);
            self.position.set(last + 1);
        }
        let most = if self.batch { usize::MAX } else { 1 };
        let mut room = MAX_MESSAGE;
        let messages: Vec<Message> = positions
            .take(most)
            .filter_map(|position| log.get(position))
            .take_while(|entry| match room.checked_sub(entry.message.payload.len()) {
                Some(rest) => {
                    room = rest;
                    true
                }
                None => false,
            })
            .map(|entry| entry.message.clone())
            .collect();
        if messages.is_empty() { Found::Nothing } else { Found::Messages(messages) }
    }

    fn response(&self, messages: &[Message]) -> Response<Body> {
        let body = match messages {
            [only] if !self.batch => only.payload.clone(),
            all => {
                let codec = StreamCodec::new(Framing::Length, 0);
                let mut body = Vec::new();
                all.iter().for_each(|message| codec.encode(&message.payload, &mut body));
                body.into()
            }
        };
        let mut response = whole(StatusCode::OK, body);
        if self.profile == HeaderProfile::Browser {
            let text = !self.batch && messages.iter().all(|message| message.format == Format::Text);
            let kind = if text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        response
    }
}

impl Receiver for Poll {
    fn deliver(self: Rc<Self>, _: &Message) {
        self.filled.notify_one();
    }

    fn reads_from(&self) -> Option<u64> {
        Some(self.position.get())
    }
}

/// The first GET: answered at once, with the greeting if the place has one.
pub fn join(face: &Rc<Face>, seat: Seat, query: &str, profile: HeaderProfile) -> Answer {
    let batch = match value(query, "batch").as_deref() {
        Some("1") => true,
        Some("0") | None => false,
        Some(_) => return Err(Denial::BadRequest),
    };
    let greeting = seat.place.greeting().cloned();
    let poll = Rc::new(Poll::new(batch, profile));
    let member = face.core.hub.join(seat.place, poll.clone());
    let mut response = empty(StatusCode::OK);
    if let Some(greeting) = &greeting {
        let message = greeting.message();
        member.greet(&message);
        response = poll.response(std::slice::from_ref(&message));
        face.core.counts.delivered.add(1);
        if greeting.then_close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    let next = member.log().next();
    poll.start_at(next);
    response.headers_mut().insert(HeaderName::from_static("cursor"), HeaderValue::from(next));
    let session = Session { member, profile, receiving: Receiving::Polls(poll) };
    face.take_seat(seat.sid, session);
    Ok(response)
}

/// Every later GET.
pub async fn ask(face: &Face, member: &Member, poll: &Rc<Poll>, query: &str) -> Answer {
    let cursor = value(query, "c").and_then(|c| c.parse().ok()).ok_or(Denial::BadRequest)?;
    if poll.is_held() {
        return Err(Denial::Held);
    }
    poll.state.set(State::Held);
    let _held = Hold(poll);
    let at_once = value(query, "now").is_some_and(|now| now == "1");
    let found = match poll.find(member, cursor) {
        Found::Nothing if !at_once => {
            timeout(face.core.hold, wait(member, poll, cursor)).await.unwrap_or(Found::Nothing)
        }
        found => found,
    };
    match found {
        Found::Messages(messages) => {
            face.core.counts.delivered.add(messages.len() as u64);
            Ok(poll.response(&messages))
        }
        Found::Nothing => Ok(empty(StatusCode::NO_CONTENT)),
        Found::Gone => Err(Denial::Gone),
    }
}

async fn wait(member: &Member, poll: &Poll, cursor: u64) -> Found {
    loop {
        poll.filled.notified().await;
        if poll.state.get() == State::Closed {
            return Found::Nothing;
        }
        match poll.find(member, cursor) {
            // Woken by a message that an earlier request already took, or by one of its own.
            Found::Nothing => {}
            found => return found,
        }
    }
}

/// A held GET; ends when it is answered, or when its connection is gone.
struct Hold<'a>(&'a Poll);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if self.0.is_held() {
            self.0.state.set(State::Idle(now()));
        }
    }
}
