//! What the other end may do wrong.

use super::close::close_code;
use crate::codec::MAX_MESSAGE;
use std::borrow::Cow;

/// What the other end did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("{0}")]
    Protocol(Cow<'static, str>),
    #[error("text that is not UTF-8")]
    NotUtf8,
    #[error("a message of over {MAX_MESSAGE} bytes")]
    TooLarge,
}

impl Violation {
    pub(in crate::codec) fn protocol(what: &'static str) -> Violation {
        Violation::Protocol(what.into())
    }

    /// The code of the Close that says so.
    pub fn close_code(&self) -> u16 {
        match self {
            Violation::Protocol(_) => close_code::PROTOCOL,
            Violation::NotUtf8 => close_code::NOT_UTF8,
            Violation::TooLarge => close_code::TOO_LARGE,
        }
    }
}
