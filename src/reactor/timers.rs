//! Instants that connections asked to be woken at, for all of them together: who waits for nothing costs nothing.

use super::Token;
use crate::clock::Nanos;
use std::collections::BTreeSet;

pub(super) struct Timers {
    waiting: BTreeSet<(Nanos, Token)>,
    /// What the alarm is set for: earlier than what waits, where that was forgotten since.
    alarm_at: Nanos,
}

impl Timers {
    pub(super) fn new() -> Timers {
        Timers { waiting: BTreeSet::new(), alarm_at: Nanos::MAX }
    }

    /// Whether the alarm has to be set anew.
    pub(super) fn push(&mut self, at: Nanos, token: Token) -> bool {
        self.waiting.insert((at, token));
        at < self.alarm_at
    }

    pub(super) fn forget(&mut self, at: Nanos, token: Token) {
        self.waiting.remove(&(at, token));
    }

    /// What the alarm is to be set for; `None`: nobody waits.
    pub(super) fn set_alarm(&mut self) -> Option<Nanos> {
        let next = self.waiting.first().map(|(at, _)| *at);
        self.alarm_at = next.unwrap_or(Nanos::MAX);
        next
    }

    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<Token> {
        self.waiting.first().filter(|(at, _)| *at <= now)?;
        self.waiting.pop_first().map(|(_, token)| token)
    }
}
