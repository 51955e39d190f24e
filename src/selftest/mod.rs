//! `wsbench selftest`: the instrument held against targets whose answer is known, on this machine, in under three minutes.
//!
//! Each suite runs scenarios against the embedded target in the part of an oracle ([`crate::catalog::Oracle`]), which
//! counts what it did; what the generator measured must be that. What comes of it is a
//! [`Certificate`], which later results of this machine mention.
//!
//! | file | what is known |
//! |---|---|
//! | `floor.rs` | nothing: what this machine costs by itself |
//! | `delays.rs` | how long each message was held |
//! | `stalls.rs` | when the target froze, and when the generator did |
//! | `losses.rs` | which datagrams and copies were lost, doubled, swapped |
//! | `refusals.rs` | which connections were turned away, how, and what was sent that is no message |
//! | `accounts.rs` | bytes and connections, by the system's own count and by a packet capture |
//! | `stand.rs`, `suspend.rs`, `check.rs` | running a scenario; suspending a process of it; comparing |

use crate::result::{Certificate, Check};
use crate::{clock, cluster};
use std::path::PathBuf;

mod accounts;
mod check;
mod delays;
mod floor;
mod losses;
mod refusals;
mod stalls;
mod stand;
mod suspend;

use check::Checks;
use stand::Stand;
pub use stand::StandError;

type Suite = fn(&mut Stand) -> Result<Checks, StandError>;

/// In this order: the floor is what later suites allow for.
const SUITES: &[(&str, Suite)] = &[
    ("floor", floor::check),
    ("delays", delays::check),
    ("stalls", stalls::check),
    ("losses", losses::check),
    ("refusals", refusals::check),
    ("accounts", accounts::check),
];

/// The names of all suites, in their order.
pub fn suites() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|(name, _)| *name)
}

/// Runs the suites that are `wanted`. `program` is this executable; `starting` is told each suite's name, `done` what it
/// found.
pub fn run(
    program: PathBuf,
    wanted: impl Fn(&str) -> bool,
    mut starting: impl FnMut(&str),
    mut done: impl FnMut(&[Check]),
) -> Result<Certificate, StandError> {
    let started = clock::timestamp();
    let mut stand = Stand::new(program)?;
    let mut checks = Vec::new();
    for (name, suite) in SUITES.iter().filter(|(name, _)| wanted(name)) {
        starting(name);
        let found = suite(&mut stand)?.list;
        done(&found);
        checks.extend(found);
    }
    Ok(Certificate::new(env!("CARGO_PKG_VERSION"), started, clock::timestamp(), cluster::host(), checks))
}
