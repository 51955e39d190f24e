//! Runs a plan: starts the target and the workers of each trial, merges what they send, writes the document.
//!
//! | file | what |
//! |---|---|
//! | `coordinator.rs` | blocks and trials, in seeded random order |
//! | `capacity.rs` | the search for the highest load that each arm holds |
//! | `duet.rs` | two servers in one run, pair by pair |
//! | `server.rs`, `keeper.rs` | a server that a command starts, and the process that keeps it |
//! | `kin.rs` | the processes that stand below another |
//! | `trial.rs` | one trial from the first process to the last |
//! | `crew.rs`, `targets.rs` | its workers and its embedded targets: started together, heard, summed |
//! | `loss.rs` | processes that died or hung, and the others went on |
//! | `kernel.rs` | memory of the system's own |
//! | `link.rs` | what coordinator and worker say to each other, over a child's pipes or by an agent |
//! | `agent.rs` | the life of an agent: running workers for a coordinator elsewhere |
//! | `fleet.rs` | the agents that a run hired |
//! | `child.rs` | child processes that speak JSON lines and die with us |
//! | `worker.rs` | the other end: one process, one single-threaded runtime, one share of one trial |
//! | `cores.rs` | who runs where: generator and targets share no core if there are two, nor are there many processes a core |
//! | `sockets.rs` | the connections of the workers, by the system's own tables |
//! | `ping.rs` | ICMP echoes to the target's host before the first trial: the floor of the network |
//! | `document.rs`, `host.rs`, `usage.rs` | what the document says of the plan, the machine and the processes |

mod agent;
mod capacity;
mod child;
mod coordinator;
mod cores;
mod crew;
mod document;
mod duet;
mod fleet;
mod host;
mod keeper;
mod kernel;
mod kin;
mod link;
mod loss;
mod ping;
mod server;
mod sockets;
mod targets;
mod trial;
mod usage;
mod worker;

pub use agent::{AgentNews, AgentOptions, Allowance, AllowedTarget, Card, is_prefix, serve};
pub use capacity::{Goal, SearchProgress, search};
pub use coordinator::{Halt, Progress, RunError, RunOptions, run, run_by_agents};
pub use document::begin as unstarted;
pub use duet::{Duet, DuetError, DuetOrder, DuetProgress, duet};
pub use fleet::{FindError, Found, Wanted, find};
pub use host::{host, host_name, raise_open_files_limit};
pub use keeper::{become_shell, keep};
pub use server::{Ready, ServerCommand, ServerError};
pub use worker::work;
