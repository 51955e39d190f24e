//! What is exchanged, without I/O: who shares messages with whom, and which places they join.
//!
//! | workload | scheduled unit | who owes an answer |
//! |---|---|---|
//! | echo | request | the session itself |
//! | chat | publish | everyone in the publisher's room |
//! | push | event | every subscriber of its topic |
//! | connect | connect | the new session |

mod places;
mod roster;

pub use places::{echo, greeting, room, topic};
pub use roster::Roster;
