//! A session's talk in the hands of its connection: what goes out is dressed, what came is heard.

use super::{Endpoint, Failure};
use crate::catalog::Format;
use crate::dialect::{Heard, Place, Talk, speak};
use std::cell::RefCell;

thread_local! {
    static DRESSED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What one session says and hears in its dialect; payloads as they are where there is no more to it.
pub(super) struct Speech(Option<Box<dyn Talk>>);

impl Speech {
    /// Of a new session at `place`.
    pub fn new(endpoint: &Endpoint, place: &Place) -> Speech {
        Speech(speak(&endpoint.dialect, &endpoint.token).talk(place, endpoint.transport.kind()))
    }

    pub fn talk(&self) -> Option<&dyn Talk> {
        self.0.as_deref()
    }

    /// Hands `write` what publishes `payload`.
    pub fn dress<T>(&self, ticket: u64, format: Format, payload: &[u8], write: impl FnOnce(Format, &[u8]) -> T) -> T {
        let Some(talk) = &self.0 else { return write(format, payload) };
        DRESSED.with_borrow_mut(|dressed| {
            dressed.clear();
            talk.publish(ticket, payload, dressed);
            write(talk.format().unwrap_or(format), dressed)
        })
    }

    /// What the dialect's own messages are called, where that depends on nothing else.
    pub fn format(&self) -> Format {
        self.talk().and_then(Talk::format).unwrap_or(Format::Text)
    }

    /// What is said last; `None`: nothing.
    pub fn leave(&self) -> Option<Vec<u8>> {
        let mut last = Vec::new();
        self.talk()?.leave(&mut last);
        (!last.is_empty()).then_some(last)
    }

    /// Takes what came: one message as it is, or what the talk makes of it.
    #[inline]
    pub fn hear(&self, bytes: &[u8], mut on: impl FnMut(Heard<'_>)) -> Result<(), Failure> {
        match &self.0 {
            None => on(Heard::Message(bytes)),
            Some(talk) => talk.hear(bytes, &mut on)?,
        }
        Ok(())
    }
}
