//! Bytes ⇄ frames of each wire format, without I/O. Used by client and target alike.
//!
//! A decoder is pushed whatever was read and hands on whole messages; it keeps bytes only of a message that is not yet
//! whole, and refuses one that would be larger than its limit.

pub mod body;
pub mod cookie;
pub mod fields;
pub mod frames;
pub mod mqtt;
pub mod nats;
pub mod partial;
pub mod response;
pub mod sse;
pub mod stream;
pub mod upgrade;
pub mod websocket;

/// The largest message any decoder accepts, bytes.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Bytes that break the rules of their format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("a message of {size} bytes is larger than the limit of {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("{0}")]
    Malformed(&'static str),
}

/// Takes bytes as they were read, hands on whole messages in order.
pub trait Decode {
    fn push(&mut self, bytes: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<(), CodecError>;
}
