//! `[dialect.custom]`: a protocol that the scenario describes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

kinds! {
    /// How a reply is known that says no number.
    By {
        /// By the tag, wherever it is in the payload.
        Tag = "tag",
        /// Replies come in the order of the requests.
        Order = "order",
    }
}

kinds! {
    /// How a payload was encoded by the target.
    Encoding { Base64 = "base64", Hex = "hex" }
}

kinds! {
    /// The method of a request.
    Verb { Get = "GET", Post = "POST", Put = "PUT", Patch = "PATCH", Delete = "DELETE" }
}

kinds! {
    /// How a body is cut into messages.
    Cuts {
        /// It is one message, or empty and none.
        Body = "body",
        /// One message a line.
        Lines = "lines",
        /// Each behind its length: four bytes, big endian.
        Lengths = "lengths",
        /// An event stream.
        Events = "events",
    }
}

/// A protocol that the scenario describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {
    /// What a session says once it is connected, in this order. Default: nothing.
    pub open: Option<Vec<Template>>,
    /// The session is joined by a message that matches this regex. Default: once `open` was said.
    pub opened: Option<String>,
    /// What publishes a payload. Default: the payload as it is, `{payload}`.
    pub publish: Option<Template>,
    /// What a session says last. Default: nothing.
    pub leave: Option<Template>,
    /// Messages that are answered at once, such as pings, and hold no payload. Default: none.
    pub answers: Option<Vec<Answer>>,
    /// Messages that match this regex are errors of the target: joining fails by them, and a joined session counts them.
    /// Default: none.
    pub error: Option<String>,
    /// Messages that match this regex are passed over. Default: none.
    pub ignore: Option<String>,
    /// Where the payloads lie in a message. Default: the message is the payload.
    pub message: Option<Within>,
    /// How a message is known again: `tag`, `order`, or a number that lies in it. Default: tag.
    pub correlate: Option<Correlate>,
    /// How many replies a request of an echo gets.
    pub replies: NonZeroU32,
    /// Values for marks of your own, such as `password` for `{password}`; no result keeps them. Default: none.
    pub secret: Option<BTreeMap<String, String>>,
    /// Requests, over the HTTP transports. Default: the URL is polled by GET and published to by POST.
    pub http: Option<CustomHttp>,
}

impl Default for Custom {
    fn default() -> Custom {
        Custom {
            open: None,
            opened: None,
            publish: None,
            leave: None,
            answers: None,
            error: None,
            ignore: None,
            message: None,
            correlate: None,
            replies: NonZeroU32::MIN,
            secret: None,
            http: None,
        }
    }
}

/// Text with marks such as `{payload}`, or bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Template {
    Text(String),
    Bytes(Bytes),
}

/// Bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Bytes in hexadecimal, with marks of a width such as `{id:u16be}`.
    pub hex: String,
}

/// A message that is answered at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// A regex that the message matches.
    pub when: String,
    /// What is said then.
    pub say: Template,
}

/// Where something lies in a message: one of the two.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Within {
    /// JSON pointer (RFC 6901); of a list each entry is a payload.
    pub pointer: Option<String>,
    /// A regex; each match is a payload, or its first group if it has one.
    pub regex: Option<String>,
    /// The payload is encoded there. Default: it isn't.
    pub encoded: Option<Encoding>,
}

/// How a message is known again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Correlate {
    By(By),
    Number(Number),
}

/// Where the number lies that `{id}` gave a message: one of the three.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Number {
    /// JSON pointer (RFC 6901).
    pub pointer: Option<String>,
    /// A regex whose first group is the number.
    pub regex: Option<String>,
    /// Offset of the number in bytes, with `length`.
    pub at: Option<u32>,
    /// Its length: 1 to 8 bytes, big endian.
    pub length: Option<u32>,
}

/// Requests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CustomHttp {
    /// Polling: what is asked once, before the first poll. Default: nothing.
    pub join: Option<Asking>,
    /// What asks for messages, or for the stream of them. Default: GET of the URL.
    pub poll: Option<Asking>,
    /// What publishes a message; its body is a template as that of `publish`. Default: POST to the URL.
    pub publish: Option<Asking>,
    /// What is asked when a session ends. Default: nothing.
    pub leave: Option<Asking>,
    /// Transport http: what carries a message. Default: as the arm's `method` says.
    pub request: Option<Asking>,
    /// Where an answer says what `{cursor}` is in the next poll. Default: nowhere.
    pub cursor: Option<Cursor>,
    /// `{cursor}` of the first poll. Default: empty, and headers with the mark are left out.
    pub first_cursor: Option<String>,
    /// Statuses of a poll that brought nothing. Default: 204.
    pub nothing_new: Option<Vec<u16>>,
    /// How a body is cut into messages: `body`, `lines`, `lengths`, `events`, or by a table. Default: body; of a stream,
    /// lines over http-streaming and events over sse.
    pub messages: Option<Messages>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Asking {
    /// Default: GET to ask for messages, DELETE to leave, else POST.
    pub method: Option<Verb>,
    /// Path and query. Default: the URL's.
    pub path: Option<String>,
    /// Headers beyond those of the arm. Default: none.
    pub headers: Option<BTreeMap<String, String>>,
    /// What is sent along. Default: nothing, or the message.
    pub body: Option<Template>,
}

/// Where the cursor is in an answer: one of the three.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cursor {
    /// A header's name.
    pub header: Option<String>,
    /// JSON pointer (RFC 6901) into the body.
    pub pointer: Option<String>,
    /// A regex on the body; its last match, or the first group of that.
    pub regex: Option<String>,
}

/// How a body is cut into messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Messages {
    Usual(Cuts),
    Own(Own),
}

/// How a body is cut into messages: one of the two.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Own {
    /// What stands between two messages.
    pub separator: Option<String>,
    /// JSON pointer (RFC 6901) to a list of messages.
    pub pointer: Option<String>,
}

impl Custom {
    /// Each text that may hold a credential, with the name that it stands under.
    pub(super) fn texts_mut(&mut self, on: &mut dyn FnMut(&str, &mut String)) {
        let open = self.open.iter_mut().flatten().map(|open| ("open", open));
        let said = open.chain(self.publish.iter_mut().map(|publish| ("publish", publish)));
        let said = said.chain(self.leave.iter_mut().map(|leave| ("leave", leave)));
        said.chain(self.answers.iter_mut().flatten().map(|answer| ("say", &mut answer.say)))
            .for_each(|(name, template)| on(name, template.text_mut()));
        self.secret.iter_mut().flatten().for_each(|(_, value)| on("secret", value));
        let Some(CustomHttp { join, poll, publish, leave, request, .. }) = &mut self.http else { return };
        for asking in [join, poll, publish, leave, request].into_iter().flatten() {
            asking.path.iter_mut().for_each(|path| on("path", path));
            asking.headers.iter_mut().flatten().for_each(|(name, value)| on(name, value));
            asking.body.iter_mut().for_each(|body| on("body", body.text_mut()));
        }
    }
}

impl Template {
    fn text_mut(&mut self) -> &mut String {
        match self {
            Template::Text(text) | Template::Bytes(Bytes { hex: text }) => text,
        }
    }
}
