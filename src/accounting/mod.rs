//! Proof of what a run counts: the same run, captured packet by packet in a network of its own, and both counts side by
//! side.
//!
//! The run takes place in a child process of our own program, which moves into a fresh network namespace first: nobody
//! else's packets are there, nothing of the machine's network is touched, and all of it is gone when the child ends.
//!
//! | file | what |
//! |---|---|
//! | `namespace.rs` | the private network |
//! | `capture.rs` | a packet socket on its loopback interface, and what it dropped |
//! | `packet.rs` | headers of IP, TCP and UDP |
//! | `flows.rs` | packets to connections, phases and sums |
//! | `report.rs` | captured beside counted |
//! | `process.rs` | the child that does it, and its parent |

mod capture;
mod flows;
mod namespace;
mod packet;
mod process;
mod report;

pub use flows::{Both, Captured, Share};
pub use process::{NoCapture, capture_run, work};
pub use report::{CaptureReport, CellCapture, Check};
