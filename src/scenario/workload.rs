//! `[workload.…]`: what is exchanged and what counts as done.

use super::at::At;
use super::payload::Payload;
use crate::catalog::{Closer, FirstMessage, Format, WorkloadKind};
use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU32;

/// What is exchanged and what counts as done: exactly one of these tables.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Request and reply: each message comes back to the session that sent it.
    Echo(Echo),
    /// Rooms: everyone in a room receives what any member publishes.
    Chat(Chat),
    /// One-way updates that the target originates, by topic: live scores, dashboards.
    Push(Push),
    /// Connection storms: open, first message, close.
    Connect(Connect),
}

/// Declares a workload's table: its own keys, then the payload's, which every workload has.
///
/// (serde can't flatten a common struct into a table that refuses unknown keys.)
macro_rules! workload {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$attr])* pub $field: $type,)*
            /// Size of a whole payload: one size, a range, or sizes with weights. Not with a template that has no
            /// `{{fill}}`. Default: 128B.
            pub payload: Option<At<Payload>>,
            /// Text or binary. Default: text.
            pub format: Option<At<Format>>,
            /// Text with `{{tag}}` where the message's identity goes, and `{{fill}}` where filler makes up the size.
            /// Default: the tag, then filler.
            pub template: Option<At<String>>,
        }
    };
}

workload! {
    /// Request and reply.
    Echo {}
}

workload! {
    /// Rooms.
    Chat {
        /// How many rooms the sessions are spread over, evenly.
        rooms: At<NonZeroU32>,
        /// Does a publisher receive its own message? Default: true.
        echo_self: Option<At<bool>>,
    }
}

workload! {
    /// One-way updates.
    Push {
        /// How many topics there are; each session subscribes to one of them.
        topics: At<NonZeroU32>,
    }
}

workload! {
    /// Connection storms.
    Connect {
        /// What ends the wait: the target's greeting, or the echo of one message. Default: greeting in the wsbench
        /// dialect, echo in the raw one.
        first: Option<At<FirstMessage>>,
        /// Which end starts the closing handshake. Default: client.
        close: Option<At<Closer>>,
    }
}

/// The payload's keys of a workload, as they were written.
#[derive(Debug, Clone, Copy)]
pub struct PayloadKeys<'a> {
    pub payload: Option<&'a At<Payload>>,
    pub format: Option<&'a At<Format>>,
    pub template: Option<&'a At<String>>,
}

impl Workload {
    pub fn kind(&self) -> WorkloadKind {
        match self {
            Workload::Echo(_) => WorkloadKind::Echo,
            Workload::Chat(_) => WorkloadKind::Chat,
            Workload::Push(_) => WorkloadKind::Push,
            Workload::Connect(_) => WorkloadKind::Connect,
        }
    }

    pub fn payload_keys(&self) -> PayloadKeys<'_> {
        let (payload, format, template) = match self {
            Workload::Echo(w) => (&w.payload, &w.format, &w.template),
            Workload::Chat(w) => (&w.payload, &w.format, &w.template),
            Workload::Push(w) => (&w.payload, &w.format, &w.template),
            Workload::Connect(w) => (&w.payload, &w.format, &w.template),
        };
        PayloadKeys { payload: payload.as_ref(), format: format.as_ref(), template: template.as_ref() }
    }
}
