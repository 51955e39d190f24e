//! What makes no sense in the settings, by themselves and for what is asked of them.

use super::correlate::Spot;
use super::rules::{Correlation, CursorAt, Cutting, Rules, SHORTEST_OWN};
use super::{Flaw, Flaws};
use crate::catalog::{Custom, Cuts, TransportKind, Verb, WorkloadKind};
use crate::values::Values;

/// What the settings are for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub transport: TransportKind,
    pub workload: WorkloadKind,
    /// Payloads are binary.
    pub is_binary: bool,
}

/// Everything that is wrong with the settings of an arm, whose marks may name `values`.
pub fn flaws(custom: &Custom, asked: Asked, values: &Values) -> Vec<Flaw> {
    let mut flaws = Flaws::against(values);
    let rules = Rules::read(custom, &mut flaws);
    if flaws.found.is_empty() {
        Check { custom, rules, asked, flaws: &mut flaws }.all();
    }
    flaws.found()
}

struct Check<'a> {
    custom: &'a Custom,
    rules: Rules,
    asked: Asked,
    flaws: &'a mut Flaws,
}

impl Check<'_> {
    fn all(&mut self) {
        // Over http an answer is known by its request.
        if self.asked.transport != TransportKind::Http {
            self.check_correlation();
        }
        self.check_payload();
        self.check_replies();
        if self.asked.transport.is_http() {
            self.check_cursor();
            self.check_messages();
        }
    }

    fn flaw(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.flaws.within(path, |flaws| flaws.add(None, message, hint));
    }

    /// Where the template stands that carries payloads.
    fn publish(&self) -> &'static str {
        let http = self.custom.http.as_ref();
        let has_body = |asking: Option<&crate::catalog::Asking>| asking.is_some_and(|asking| asking.body.is_some());
        match self.asked.transport {
            TransportKind::Http if has_body(http.and_then(|http| http.request.as_ref())) => "http.request.body",
            kind if kind.is_http() && has_body(http.and_then(|http| http.publish.as_ref())) => "http.publish.body",
            _ => "publish",
        }
    }

    /// Whether a reply is for its own session alone.
    fn is_echo(&self) -> bool {
        matches!(self.asked.workload, WorkloadKind::Echo | WorkloadKind::Connect)
    }

    fn check_correlation(&mut self) {
        let template = self.rules.publish(self.asked.transport);
        let (has_payload, ids) = (template.has_payload(), template.id_lengths().collect::<Vec<_>>());
        let kind = self.asked.transport;
        match &self.rules.correlate {
            Correlation::Tag if !has_payload => {
                let message = "nothing here carries the payload, whose tag tells which message a reply is for";
                self.flaw(self.publish(), message, "put `{payload}` in, or set `correlate`");
            }
            Correlation::Tag => {}
            Correlation::Order if !self.is_echo() => {
                let message = format!("in a {} nobody owes replies in order", self.asked.workload);
                self.flaw("correlate", message, "leave it out: messages are known by their tags");
            }
            Correlation::Order if kind == TransportKind::Udp => {
                self.flaw("correlate", "datagrams keep no order", "leave it out, or say where a reply has its number");
            }
            Correlation::Order if kind.is_http() => {
                let message = format!("over {kind} replies keep no order: a request that fails has none");
                self.flaw("correlate", message, "leave it out, or say where a reply has its number");
            }
            Correlation::Order if !self.rules.open.is_empty() && self.rules.opened.is_none() => {
                let message = "an answer to what is said first would count for the first message";
                self.flaw("open", message, "say by `opened` what the last of those answers looks like");
            }
            Correlation::Order => {}
            Correlation::Number(_) if ids.is_empty() => {
                self.flaw(
                    self.publish(),
                    "nothing here gives a message its number",
                    "put `{id}` in, or leave `correlate` out",
                );
            }
            Correlation::Number(Spot::Bytes { length, .. }) => {
                let length = *length;
                if length < SHORTEST_OWN && !self.is_echo() {
                    let message = format!("{length} bytes are too short for the numbers of a {}", self.asked.workload);
                    self.flaw("correlate", message, "4 bytes or more; shorter ones are for echo alone");
                } else if !ids.contains(&length) {
                    let message = format!("no `{{id}}` here is {length} bytes long, as `correlate` says");
                    self.flaw(self.publish(), message, format!("write `{{id:u{}be}}`", 8 * length));
                }
            }
            Correlation::Number(_) if ids.iter().all(|length| *length < SHORTEST_OWN) => {
                let message = "the number of a message is longer than that";
                self.flaw(self.publish(), message, "4 bytes or more, such as `{id:u32be}`");
            }
            Correlation::Number(_) => {}
        }
    }

    fn check_payload(&mut self) {
        if self.asked.is_binary && self.rules.publish(self.asked.transport).needs_text() {
            let hint = "write `{payload:base64}`, or leave the workload's `format` out";
            self.flaw(self.publish(), "`{payload:json}` is text, and the payloads are binary", hint);
        }
    }

    fn check_replies(&mut self) {
        if self.rules.replies == 1 {
            return;
        }
        if self.asked.workload != WorkloadKind::Echo {
            let message = format!("a {} has no requests that get several replies", self.asked.workload);
            self.flaw("replies", message, "leave it out, or choose `[workload.echo]`");
        } else if self.asked.transport == TransportKind::Http {
            self.flaw("replies", "over http a request gets one response", "leave it out");
        }
    }

    fn check_cursor(&mut self) {
        let http = &self.rules.http;
        let is_used = http.poll.as_ref().is_some_and(|poll| poll.has_cursor());
        match (&http.cursor, is_used) {
            (None, true) => {
                let message = "`{cursor}` is asked for, and nothing says where answers have it";
                self.flaw("http.poll", message, "add `cursor = { header = \"Etag\" }` to `[dialect.custom.http]`");
            }
            (Some(_), false) => {
                let message = "the cursor that answers have goes back in no request";
                self.flaw("http.cursor", message, "put `{cursor}` into the path or a header of `poll`");
            }
            _ => {}
        }
        let is_stream = matches!(self.asked.transport, TransportKind::Sse | TransportKind::HttpStreaming);
        let is_in_body = matches!(self.rules.http.cursor, Some(CursorAt::Pointer(_) | CursorAt::Regex(_)));
        if is_stream && is_in_body {
            let message =
                format!("over {} there is one answer, and no next request for a cursor", self.asked.transport);
            self.flaw("http.cursor", message, "leave it out");
        }
        if is_stream && self.rules.http.join.is_some() {
            let message = format!("over {} the request for the stream is what joins", self.asked.transport);
            self.flaw("http.join", message, "leave it out, or put what it says into `poll`");
        }
        let statuses = self.custom.http.iter().flat_map(|http| http.nothing_new.iter().flatten());
        if let Some(status) = statuses.into_iter().find(|status| !(200..600).contains(*status)) {
            self.flaw("http.nothing_new", format!("{status} is no status of an answer"), "such as 204, 304 or 408");
        }
        let verb = self.custom.http.as_ref().and_then(|http| http.publish.as_ref()).and_then(|publish| publish.method);
        if verb == Some(Verb::Get) {
            let hint = "choose POST, PUT, PATCH or DELETE";
            self.flaw("http.publish.method", "a GET carries no message", hint);
        }
    }

    fn check_messages(&mut self) {
        let is_stream = matches!(self.asked.transport, TransportKind::Sse | TransportKind::HttpStreaming);
        let why = match &self.rules.http.messages {
            _ if !is_stream => return,
            Some(Cutting::Usual(Cuts::Body)) => "has no end to be one message by",
            Some(Cutting::Pointer(_)) => "is never whole, so nothing points into it",
            Some(Cutting::Separator(separator)) if separator.len() > 1 => "is cut by one byte",
            _ => return,
        };
        let message = format!("the body of {} {why}", self.asked.transport);
        self.flaw("http.messages", message, "choose `lines`, `lengths` or `events`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(settings: serde_json::Value, transport: TransportKind, workload: WorkloadKind) -> Vec<String> {
        let custom: Custom = serde_json::from_value(settings).unwrap();
        let asked = Asked { transport, workload, is_binary: true };
        flaws(&custom, asked, &Values::default())
            .into_iter()
            .map(|flaw| format!("{}: {}", flaw.path, flaw.message))
            .collect()
    }

    #[track_caller]
    fn wrong(settings: serde_json::Value, transport: TransportKind, workload: WorkloadKind, path: &str, part: &str) {
        let found = found(settings, transport, workload);
        assert!(found.len() == 1 && found[0].starts_with(&format!("{path}: ")) && found[0].contains(part), "{found:?}");
    }

    use TransportKind::{Http, HttpStreaming, LongPolling, Sse, Tcp, Udp, Websocket};
    use WorkloadKind::{Chat, Echo, Push};

    #[test]
    fn nothing_said_is_nothing_wrong() {
        for transport in TransportKind::ALL {
            assert_eq!(found(json!({}), *transport, Echo), [] as [&str; 0], "{transport}");
        }
    }

    #[test]
    fn replies_have_to_be_known_by_something() {
        wrong(json!({ "publish": "x" }), Websocket, Echo, "publish", "carries the payload");
        wrong(json!({ "http": { "publish": { "body": "x" } } }), LongPolling, Echo, "http.publish.body", "payload");
        assert_eq!(found(json!({ "http": { "request": { "body": "x" } } }), Http, Echo), [] as [&str; 0]);
        let number = json!({ "pointer": "/id" });
        wrong(json!({ "correlate": number }), Tcp, Echo, "publish", "gives a message its number");
        wrong(
            json!({ "correlate": number, "publish": { "hex": "{id:u16be}" } }),
            Tcp,
            Echo,
            "publish",
            "longer than that",
        );
        assert_eq!(found(json!({ "correlate": number, "publish": "{id}" }), Tcp, Chat), [] as [&str; 0]);
    }

    #[test]
    fn short_numbers_and_order_are_for_echo() {
        let short = json!({ "correlate": { "at": 0, "length": 2 }, "publish": { "hex": "{id:u16be}" } });
        assert_eq!(found(short.clone(), Udp, Echo), [] as [&str; 0]);
        wrong(short, Udp, Chat, "correlate", "too short");
        let other = json!({ "correlate": { "at": 0, "length": 4 }, "publish": { "hex": "{id:u16be}" } });
        wrong(other, Udp, Chat, "publish", "4 bytes long");
        wrong(json!({ "correlate": "order" }), Udp, Echo, "correlate", "no order");
        wrong(json!({ "correlate": "order" }), LongPolling, Echo, "correlate", "no order");
        wrong(json!({ "correlate": "order" }), Tcp, Push, "correlate", "in order");
        assert_eq!(found(json!({ "correlate": "order", "publish": "x" }), Tcp, Echo), [] as [&str; 0]);
        wrong(json!({ "correlate": "order", "open": ["AUTH"] }), Tcp, Echo, "open", "first message");
        let joined = json!({ "correlate": "order", "open": ["AUTH"], "opened": "OK" });
        assert_eq!(found(joined, Tcp, Echo), [] as [&str; 0]);
    }

    #[test]
    fn tables_that_contradict_themselves() {
        let correlate = |number| json!({ "correlate": number, "publish": "{id}" });
        wrong(correlate(json!({})), Tcp, Echo, "correlate", "needs");
        wrong(correlate(json!({ "pointer": "/a", "regex": "b" })), Tcp, Echo, "correlate", "both");
        wrong(correlate(json!({ "pointer": "a" })), Tcp, Echo, "correlate.pointer", "begins with");
        wrong(correlate(json!({ "at": 0 })), Tcp, Echo, "correlate", "both `at` and `length`");
        wrong(correlate(json!({ "at": 0, "length": 9 })), Tcp, Echo, "correlate.length", "1 to 8");
        wrong(correlate(json!({ "regex": "(" })), Tcp, Echo, "correlate.regex", "no regex");
        wrong(
            json!({ "answers": [{ "when": "a", "say": "b" }, { "when": "[", "say": "b" }] }),
            Tcp,
            Echo,
            "answers.1.when",
            "",
        );
        wrong(json!({ "message": { "pointer": "/a", "regex": "b" } }), Tcp, Echo, "message", "both");
        wrong(json!({ "publish": "{payload:json}" }), Tcp, Echo, "publish", "binary");
        wrong(json!({ "replies": 2 }), Tcp, Chat, "replies", "several");
        wrong(json!({ "replies": 2 }), Http, Echo, "replies", "one response");
    }

    #[test]
    fn requests_that_can_not_be() {
        let http = |http| json!({ "http": http });
        wrong(http(json!({ "poll": { "path": "x" } })), LongPolling, Echo, "http.poll.path", "begins with");
        wrong(http(json!({ "poll": { "path": "/ü" } })), LongPolling, Echo, "http.poll.path", "visible");
        wrong(
            http(json!({ "poll": { "path": "/{cursor}" } })),
            LongPolling,
            Echo,
            "http.poll",
            "where answers have it",
        );
        wrong(http(json!({ "cursor": { "header": "Etag" } })), LongPolling, Echo, "http.cursor", "goes back");
        wrong(http(json!({ "join": {} })), Sse, Echo, "http.join", "what joins");
        wrong(http(json!({ "messages": "body" })), HttpStreaming, Echo, "http.messages", "no end");
        wrong(http(json!({ "messages": { "separator": "" } })), LongPolling, Echo, "http.messages.separator", "empty");
        wrong(http(json!({ "nothing_new": [20] })), LongPolling, Echo, "http.nothing_new", "no status");
        wrong(http(json!({ "publish": { "method": "GET" } })), LongPolling, Echo, "http.publish.method", "carries no");
        let header = |name: &str, value: &str| http(json!({ "poll": { "headers": { name: value } } }));
        wrong(header("Host", "x"), LongPolling, Echo, "http.poll.headers.Host", "itself");
        wrong(header("X", "a\r\nb"), LongPolling, Echo, "http.poll.headers.X", "can't be sent");
        wrong(header("X Y", "a"), LongPolling, Echo, "http.poll.headers.X Y", "not a header");
        // Where nobody polls, nothing is wrong with how.
        assert_eq!(found(http(json!({ "join": {} })), Tcp, Echo), [] as [&str; 0]);
    }
}
