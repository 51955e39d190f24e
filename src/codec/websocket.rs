//! RFC 6455 frames without I/O, for either end: bytes that were read go into a [`Decoder`], which hands on what they
//! bring; an [`Encoder`] appends frames to what is to be written. The opening handshake is [`upgrade`](super::upgrade)'s.
//!
//! Whoever drives them does three things. A [`Ping`](Arrival::Ping) is answered by a pong with its payload (§5.5.2). A
//! [`Close`](Arrival::Close) is answered by a Close with its code, unless it is itself the answer to ours (§5.5.1). A
//! [`Violation`] is answered by a Close with the violation's code (§7.1.7). Behind a Close or a violation the decoder
//! reports nothing, whatever is pushed.
//!
//! One encoder serves all sessions of a worker. A decoder belongs to one session, costs 24 bytes while nothing is half
//! read, and takes its bytes from a buffer that all sessions may share.

use crate::catalog::Format;
use std::borrow::Cow;

mod close;
mod decoder;
pub mod deflate;
mod encoder;
mod head;
pub mod mask;
mod violation;
pub use close::close_code;
pub(super) use close::read_close;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use violation::Violation;

#[cfg(test)]
mod tests;

/// Most of a control frame's payload (§5.5), bytes.
pub const LARGEST_CONTROL: usize = 125;

/// Which end of the connection this one is: clients mask what they send, servers don't, and neither takes the contrary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// What frames bring.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// A whole message: borrowed from the bytes of the frame that it came in, or owned if it was put together.
    Message(Format, Cow<'a, [u8]>),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    /// A Close, with its code if it has one.
    Close(Option<u16>),
}
