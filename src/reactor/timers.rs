//! Instants that connections asked to be woken at, for all of them together: who waits for nothing costs nothing.

use super::Token;
use crate::clock::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Nanos, Token)>>);

impl Timers {
    /// Whether `at` is now the earliest.
    pub(super) fn push(&mut self, at: Nanos, token: Token) -> bool {
        let is_first = self.next_at().is_none_or(|first| at < first);
        self.0.push(Reverse((at, token)));
        is_first
    }

    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<Token> {
        self.next_at().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, token))| token)
    }
}
