//! Settings of the socket.io dialect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where the payload goes in the event that publishes it.
const PAYLOAD_MARK: &str = "{payload}";

/// Socket.IO 4 over Engine.IO 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SocketIo {
    /// Namespace to connect to.
    pub namespace: String,
    /// What the namespace is connected with, such as `{ token = "…" }`. Kept out of results. Default: nothing.
    pub auth: Option<Map<String, Value>>,
    /// Event that takes a session into its room once its namespace is connected. Default: none.
    pub join: Option<Emit>,
    /// Event that publishes. Its arguments hold `{payload}` once.
    pub publish: Option<Emit>,
    /// Event that brings what was published. Without it the acknowledgement of `publish` is the answer.
    pub receive: Option<Received>,
}

/// An event that a session emits. Every text in it may hold `{room}` and `{session}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Emit {
    /// Its name.
    pub event: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<Value>,
    /// Ask for an acknowledgement?
    #[serde(default)]
    pub ack: bool,
}

/// An event that a session receives.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// Its name.
    pub event: String,
    /// Where the payload is: which argument, from 0 on, or a JSON pointer into the list of them, such as `/0/msg`.
    #[serde(default)]
    pub at: Spot,
}

/// A place within the arguments of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Spot {
    Argument(u32),
    /// RFC 6901.
    Pointer(String),
}

impl Default for Spot {
    fn default() -> Spot {
        Spot::Argument(0)
    }
}

impl Default for SocketIo {
    fn default() -> SocketIo {
        SocketIo { namespace: "/".to_owned(), auth: None, join: None, publish: None, receive: None }
    }
}

impl SocketIo {
    /// Whether what is published is acknowledged beside what comes of it.
    pub fn acknowledges(&self) -> bool {
        self.receive.is_some() && self.publish.as_ref().is_some_and(|publish| publish.ack)
    }

    /// Hands over each text that is a credential, under that name; what isn't text becomes one.
    pub(super) fn texts_mut(&mut self, on: &mut dyn FnMut(&str, &mut String)) {
        for value in self.auth.iter_mut().flat_map(|auth| auth.values_mut()) {
            let mut text = value.to_string();
            on("secret", &mut text);
            *value = text.into();
        }
    }
}

impl Emit {
    /// As the list that goes over the wire.
    pub fn list(&self) -> Value {
        let mut list = vec![Value::from(self.event.as_str())];
        list.extend(self.args.iter().cloned());
        Value::Array(list)
    }

    /// How often it says where the payload goes.
    pub fn payloads(&self) -> usize {
        self.list().to_string().matches(PAYLOAD_MARK).count()
    }

    /// The wire's list in two, around where the payload goes; the second is empty where it goes nowhere. `fill` fills the
    /// marks of every text.
    pub fn around_payload(&self, fill: impl Fn(&str) -> String) -> (String, String) {
        let mut list = self.list();
        // Braces that stand around the mark of the payload aren't its own.
        let around = |text: &str| text.split(PAYLOAD_MARK).map(&fill).collect::<Vec<_>>().join(PAYLOAD_MARK);
        fill_texts(&mut list, &around);
        let list = list.to_string();
        match list.split_once(PAYLOAD_MARK) {
            Some((before, after)) => (before.to_owned(), after.to_owned()),
            None => (list, String::new()),
        }
    }
}

impl Spot {
    /// Which argument it lies in, and where in that (RFC 6901); `None` if that is nowhere.
    pub fn split(&self) -> Option<(usize, &str)> {
        match self {
            Spot::Argument(at) => Some((*at as usize, "")),
            Spot::Pointer(pointer) => {
                let rest = pointer.strip_prefix('/')?;
                let end = rest.find('/').unwrap_or(rest.len());
                Some((rest[..end].parse().ok()?, &rest[end..]))
            }
        }
    }
}

/// Has `fill` fill the marks of every text in `value`; names of fields stay as they are.
pub fn fill_texts(value: &mut Value, fill: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = fill(text),
        Value::Array(list) => list.iter_mut().for_each(|value| fill_texts(value, fill)),
        Value::Object(map) => map.values_mut().for_each(|value| fill_texts(value, fill)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emit(args: Value) -> Emit {
        Emit { event: "say".into(), args: args.as_array().unwrap().clone(), ack: false }
    }

    #[test]
    fn an_event_is_cut_where_its_payload_goes() {
        let say = emit(serde_json::json!([{ "room": "r\"{room}", "msg": "<{payload}>" }, 7]));
        let fill = |text: &str| text.replace("{room}", "3");
        let (before, after) = say.around_payload(fill);
        assert_eq!((before.as_str(), after.as_str()), (r#"["say",{"msg":"<"#, r#">","room":"r\"3"},7]"#));
        assert_eq!(say.payloads(), 1);
        let braced = emit(serde_json::json!(["{{payload}}"]));
        assert_eq!(braced.around_payload(fill), (r#"["say","{"#.to_owned(), r#"}"]"#.to_owned()));
        let none = emit(serde_json::json!([]));
        assert_eq!(none.around_payload(fill), (r#"["say"]"#.to_owned(), String::new()));
        assert_eq!(emit(serde_json::json!(["{payload}{payload}"])).payloads(), 2);
    }

    #[test]
    fn a_spot_is_an_argument_and_what_is_in_it() {
        let pointer = |text: &str| Spot::Pointer(text.to_owned());
        assert_eq!(Spot::Argument(2).split(), Some((2, "")));
        assert_eq!(pointer("/1/a/0").split(), Some((1, "/a/0")));
        assert_eq!(pointer("/0").split(), Some((0, "")));
        assert_eq!([pointer("").split(), pointer("0").split(), pointer("/a").split(), pointer("/").split()], [None; 4]);
    }

    #[test]
    fn who_one_is_is_kept_out_of_results() {
        let auth = serde_json::json!({ "token": "hunter2", "more": { "deep": "hunter2" }, "n": 7 });
        let settings = SocketIo { auth: auth.as_object().cloned(), ..SocketIo::default() };
        let mut shown = settings;
        shown.texts_mut(&mut |name, text| {
            assert_eq!(name, "secret");
            *text = "[x]".to_owned();
        });
        assert_eq!(
            serde_json::to_value(shown.auth).unwrap(),
            serde_json::json!({"token": "[x]", "more": "[x]", "n": "[x]"})
        );
    }
}
