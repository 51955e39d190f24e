//! The load engine of one worker.
//!
//! `core` is the engine proper: (now, event) → actions, no I/O and no clock, so that the same code runs under a virtual
//! clock in tests. `drive` gives it real sockets and timers. `pacer` says what is due, `ledger` what is owed.

mod core;
mod drive;
mod ledger;
mod order;
mod pacer;
mod standstill;

pub use self::core::{Action, Core, Event, Setup};
pub use drive::{Drive, Live};
