//! One agent of a fleet, as the coordinator holds it: the conversation with it, and who listens to its workers.

use crate::bus::{BusTraffic, Conversation, Offset, PacketError};
use crate::clock::Nanos;
use crate::cluster::agent::Card;
use crate::cluster::agent::words::{FromAgent, ToAgent};
use crate::cluster::link::LinkError;
use crate::cluster::link::agent::Said;
use crate::result::Calibration;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// An agent that was hired, or is to be.
pub(in crate::cluster) struct Member {
    pub card: Card,
    /// How late its machine wakes an idle worker.
    pub calibration: Cell<Option<Calibration>>,
    inner: RefCell<Inner>,
    /// There is something to publish.
    to_send: Rc<Notify>,
}

struct Inner {
    conversation: Conversation,
    /// What it answered to being hired.
    answer: Option<Result<(), String>>,
    /// Who listens to each of its workers.
    ears: HashMap<u32, UnboundedSender<Said>>,
    /// Its clock as it was when the schedule of this trial was started.
    clock: Option<Offset>,
    lost: Option<String>,
}

impl Member {
    pub(super) fn new(card: Card, conversation: Conversation, to_send: Rc<Notify>) -> Member {
        let inner = Inner { conversation, answer: None, ears: HashMap::new(), clock: None, lost: None };
        Member { card, calibration: Cell::default(), inner: RefCell::new(inner), to_send }
    }

    pub(in crate::cluster) fn name(&self) -> &str {
        &self.card.name
    }

    pub(super) fn conversation(&self) -> u64 {
        self.inner.borrow().conversation.id()
    }

    /// Why it was given up; `None`: it is there.
    pub(in crate::cluster) fn why_lost(&self) -> Option<String> {
        self.inner.borrow().lost.clone()
    }

    pub(in crate::cluster) fn is_there(&self) -> bool {
        self.inner.borrow().lost.is_none()
    }

    pub(in crate::cluster) fn lost(&self) -> LinkError {
        let words = self.why_lost().unwrap_or_else(|| "it listens no more".to_owned());
        LinkError::AgentLost { agent: self.name().to_owned(), words }
    }

    pub(super) fn answer(&self) -> Option<Result<(), String>> {
        self.inner.borrow().answer.clone()
    }

    pub(super) fn has_unheard(&self) -> bool {
        let inner = self.inner.borrow();
        inner.lost.is_none() && inner.conversation.has_unheard()
    }

    /// Whether it is there, and hasn't been heard for so long.
    pub(super) fn is_silent_for(&self, time: Nanos, now: Nanos) -> bool {
        let inner = self.inner.borrow();
        inner.lost.is_none() && inner.conversation.silent_for(now) > time
    }

    pub(super) fn offset(&self) -> Option<Offset> {
        self.inner.borrow().conversation.offset()
    }

    pub(in crate::cluster) fn traffic(&self) -> BusTraffic {
        self.inner.borrow().conversation.traffic()
    }

    /// Its clock at the start of this trial and now.
    pub(in crate::cluster) fn clocks(&self) -> Option<(Offset, Offset)> {
        let inner = self.inner.borrow();
        inner.clock.zip(inner.conversation.offset())
    }

    /// The instant `at` of our clock by the agent's, which is kept as what its schedule goes by.
    pub(in crate::cluster) fn begins(&self, at: Nanos) -> Result<Nanos, LinkError> {
        let mut inner = self.inner.borrow_mut();
        let offset = inner.conversation.offset();
        // Whoever was hired has been heard, and with that its clock.
        let Some(offset) = offset else {
            drop(inner);
            self.lose("its clock is not known".to_owned());
            return Err(self.lost());
        };
        let offset = *inner.clock.get_or_insert(offset);
        Ok(offset.there(at))
    }

    /// A new trial begins.
    pub(super) fn renew(&self) {
        self.inner.borrow_mut().clock = None;
    }

    pub(in crate::cluster) fn listen(&self, worker: u32) -> UnboundedReceiver<Said> {
        let (tell, said) = unbounded_channel();
        let mut inner = self.inner.borrow_mut();
        // Of one that is lost nothing will be heard.
        if inner.lost.is_none() {
            inner.ears.insert(worker, tell);
        }
        said
    }

    pub(in crate::cluster) fn listen_no_more(&self, worker: u32) {
        self.inner.borrow_mut().ears.remove(&worker);
    }

    pub(in crate::cluster) fn say(&self, message: &ToAgent) -> Result<(), LinkError> {
        if !self.is_there() {
            return Err(self.lost());
        }
        let bytes = serde_json::to_vec(message).unwrap_or_default();
        let said = self.inner.borrow_mut().conversation.say(&bytes);
        self.to_send.notify_one();
        said.map_err(|error| {
            self.lose(error.to_string());
            self.lost()
        })
    }

    /// Gives it up.
    pub(super) fn lose(&self, words: String) {
        let mut inner = self.inner.borrow_mut();
        inner.lost.get_or_insert(words);
        inner.ears.clear();
    }

    pub(super) fn packets(&self, now: Nanos) -> Vec<Vec<u8>> {
        let mut inner = self.inner.borrow_mut();
        if inner.lost.is_some() { Vec::new() } else { inner.conversation.packets(now) }
    }

    /// When it is to be looked at next.
    pub(super) fn wake_at(&self, grace: Nanos, now: Nanos) -> Nanos {
        let inner = self.inner.borrow();
        match inner.lost {
            Some(_) => Nanos::MAX,
            None => {
                let patience = grace.saturating_sub(inner.conversation.silent_for(now));
                inner.conversation.wake_at().min(now.saturating_add(patience))
            }
        }
    }

    /// Whether it is still there; true if it was lost by this look.
    pub(super) fn look(&self, grace: Nanos, now: Nanos) -> bool {
        let inner = self.inner.borrow();
        if inner.lost.is_some() {
            return false;
        }
        let words = match () {
            () if inner.conversation.is_forgotten() => {
                "it knows nothing of this run any more: it was started anew".to_owned()
            }
            () if inner.conversation.silent_for(now) > grace => {
                let silent = crate::units::show_nanos(grace as f64);
                format!("nothing was heard of it for {silent}")
            }
            () => return false,
        };
        drop(inner);
        self.lose(words);
        true
    }

    /// A packet from it.
    pub(super) fn heard(&self, packet: &[u8], now: Nanos) -> Result<(), PacketError> {
        let messages = self.inner.borrow_mut().conversation.hear(packet, now)?;
        for message in messages {
            match serde_json::from_slice::<FromAgent>(&message) {
                Ok(said) => self.take_in(said),
                Err(error) => self.lose(format!("it said something that makes no sense: {error}")),
            }
        }
        Ok(())
    }

    fn take_in(&self, said: FromAgent) {
        let mut inner = self.inner.borrow_mut();
        match said {
            FromAgent::Hired => inner.answer = Some(Ok(())),
            FromAgent::Refused { problem } => inner.answer = Some(Err(problem)),
            FromAgent::Worker { worker, said } => inner.pass_on(worker, Said::Message(said)),
            FromAgent::WorkerGone { worker, words } => inner.pass_on(worker, Said::Gone(words)),
            FromAgent::Bye { words } => {
                drop(inner);
                self.lose(words);
            }
        }
    }
}

impl Inner {
    /// Whoever listens no more has given that worker up.
    fn pass_on(&mut self, worker: u32, said: Said) {
        if let Some(ear) = self.ears.get(&worker) {
            let _ = ear.send(said);
        }
    }
}
