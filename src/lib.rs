//! wsbench.
pub mod catalog;
pub mod clock;
pub mod codec;
pub mod dialect;
pub mod measure;
pub mod plan;
pub mod result;
pub mod schedule;
pub mod seed;
pub mod target;
pub mod transport;
pub mod units;
pub mod wire;
