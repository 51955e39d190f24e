//! wsbench.
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod measure;
pub mod plan;
pub mod result;
pub mod scenario;
pub mod schedule;
pub mod seed;
pub mod target;
pub mod transport;
pub mod units;
pub mod wire;
