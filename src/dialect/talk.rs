//! The message face of a dialect: what a session says and hears where that is more than payloads as they are.

use super::Refusal;
use crate::catalog::Format;

/// One session's conversation, without I/O. What is said or heard at a time is one message of the transport; where the
/// dialect [cuts a stream by itself](crate::catalog::DialectKind::is_stream), bytes in cuts of any size.
///
/// Nothing here takes `&mut self`: whoever hears a message may publish the next from within the call.
pub trait Talk {
    /// What is said first, once the connection can carry it, and [`Heard::Joined`] where nothing has to be waited for.
    fn begin(&self, on: &mut dyn FnMut(Heard<'_>));
    /// Appends what publishes `payload` as message `ticket`.
    fn publish(&self, ticket: u64, payload: &[u8], out: &mut Vec<u8>);
    /// Takes what came. After an error nothing more comes.
    fn hear(&self, bytes: &[u8], on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal>;
    /// Appends what is said last, behind all messages and before the transport's own closing. Default: nothing.
    fn leave(&self, _out: &mut Vec<u8>) {}
    /// What all that is said is called where the transport says. `None`: what its payload is called.
    fn format(&self) -> Option<Format>;
}

/// What something that came means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The session is joined.
    Joined,
    /// A message with this payload.
    Message(&'a [u8]),
    /// The reply to message `ticket`.
    Answer { ticket: u64, payload: &'a [u8] },
    /// The target took message `ticket`, which is not its reply: that comes as a [`Message`](Self::Message).
    Acknowledged { ticket: u64 },
    /// This is to be said at once.
    Say(&'a [u8]),
    /// Something went wrong that the session survives; `ticket`: the message that was lost by it.
    Fault { ticket: Option<u64>, problem: String },
}
