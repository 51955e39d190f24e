//! Joining over HTTP: the requests that the dialect has for it, and what its talk says in between, until it is joined.

use super::lane::{Head, Lane};
use super::{Face, usable};
use crate::clock::now;
use crate::codec::body::{Body, Cut};
use crate::dialect::Ask;
use crate::transport::joining::Notes;
use crate::transport::session::Session;
use crate::transport::{ErrorClass, Failure};
use bytes::Bytes;
use std::rc::Rc;

/// A session on its way.
pub(super) struct Joining<'a> {
    pub session: Rc<Session>,
    pub lane: Lane,
    pub posts: &'a mut Lane,
    pub face: Face,
    notes: Notes,
    was_asked: bool,
}

impl<'a> Joining<'a> {
    pub fn new(session: Rc<Session>, lane: Lane, posts: &'a mut Lane, face: Face) -> Joining<'a> {
        let mut notes = Notes::default();
        match session.speech.talk() {
            Some(talk) => talk.begin(&mut |heard| notes.take(heard)),
            None => notes.is_joined = true,
        }
        Joining { session, lane, posts, face, notes, was_asked: false }
    }

    /// Asks until the session is joined. Messages that come on the way are the session's where there is no talk.
    pub async fn by_polling(mut self) -> Result<(Lane, Face), Failure> {
        loop {
            self.say().await?;
            let ask = self.face.borrow_mut().join();
            let ask = match ask {
                Some(ask) => ask,
                None if self.notes.is_joined => break,
                None => self.face.borrow_mut().poll(),
            };
            let cut = self.ask(&ask).await?;
            let mut body = Body::new(cut);
            while let Some(bytes) = self.lane.chunk().await? {
                self.take(&mut body, &bytes)?;
            }
            self.end(body)?;
        }
        self.is_counted_from_here();
        Ok((self.lane, self.face))
    }

    /// Asks for the stream and reads it until the session is joined, which it is at its head where there is no talk.
    pub async fn by_streaming(mut self, check: fn(&Head, Cut) -> Result<(), Failure>) -> Result<(Lane, Body), Failure> {
        let ask = self.face.borrow_mut().join();
        let ask = ask.unwrap_or_else(|| self.face.borrow_mut().poll());
        self.lane.watch_head();
        let head = self.lane.ask(&ask).await.map_err(|lost| lost.failure)?;
        self.lane.joined();
        let cut = self.understood(&head)?;
        check(&head, cut)?;
        let mut body = Body::new(cut);
        loop {
            self.say().await?;
            if self.notes.is_joined {
                return Ok((self.lane, body));
            }
            match self.lane.chunk().await? {
                Some(bytes) => self.take(&mut body, &bytes)?,
                None => {
                    return Err(Failure::new(ErrorClass::Truncated, "the stream ended before the session was joined"));
                }
            }
        }
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Cut, Failure> {
        self.was_asked = true;
        self.lane.ready().await?;
        self.lane.watch_head();
        let head = self.lane.ask(ask).await.map_err(|lost| lost.failure)?;
        if self.session.speech.talk().is_none() {
            self.lane.joined();
        }
        // A join that is answered well may hold what the dialect needs, however little that is.
        let is_of_use = self.session.speech.talk().is_none() && head.status.is_success();
        match self.face.borrow().is_nothing_new(head.status.as_u16()) && !is_of_use {
            true => Ok(Cut::Nothing),
            false => self.understood(&head),
        }
    }

    fn understood(&self, head: &Head) -> Result<Cut, Failure> {
        usable(head)?;
        let answered = self.face.borrow_mut().answered(&head.of_dialect());
        answered.map_err(|refusal| Failure::new(ErrorClass::HttpProtocol, refusal.to_string()))
    }

    fn take(&mut self, body: &mut Body, bytes: &[u8]) -> Result<(), Failure> {
        let mut heard = Ok(());
        let (session, notes) = (&*self.session, &mut self.notes);
        body.push(bytes, &mut |unit| hear(session, notes, unit, &mut heard))?;
        heard
    }

    fn end(&mut self, body: Body) -> Result<(), Failure> {
        let mut heard = Ok(());
        let (session, notes) = (&*self.session, &mut self.notes);
        if let Some(own) = body.end(&mut |unit| hear(session, notes, unit, &mut heard))? {
            self.face.borrow_mut().cut(&own, &mut |unit| hear(session, notes, unit, &mut heard))?;
        }
        heard
    }

    /// Posts what the talk says.
    async fn say(&mut self) -> Result<(), Failure> {
        for said in std::mem::take(&mut self.notes.said) {
            let ask = self.face.borrow_mut().publish(Bytes::from(said));
            self.posts.ready().await?;
            let head = self.posts.ask(&ask).await.map_err(|lost| lost.failure)?;
            self.posts.finish().await;
            usable(&head)?;
        }
        Ok(())
    }

    /// All that passed was the handshake, if no request that joined has been that already.
    fn is_counted_from_here(&self) {
        let has_talked = self.session.speech.talk().is_some();
        if has_talked {
            self.posts.warmed_by_now();
        }
        if has_talked || !self.was_asked {
            self.lane.joined_by_now();
        }
    }
}

/// What came goes to the talk, or to the session where there is none; up to the first failure.
fn hear(session: &Session, notes: &mut Notes, unit: &[u8], heard: &mut Result<(), Failure>) {
    if heard.is_err() {
        return;
    }
    *heard = match session.speech.talk() {
        Some(talk) => talk.hear(unit, &mut |heard| notes.take(heard)).map_err(Failure::from),
        None => session.deliver(unit, None, now()),
    };
}
