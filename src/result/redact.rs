//! Secrets stay out of results: values of headers, keys and options whose names say that they are secret, and what
//! stands before the `@` of a URL.

use serde::Serialize;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Parts of a name that make its value a secret, compared without case and punctuation.
const SECRET_WORDS: &[&str] = &[
    "accesskey",
    "apikey",
    "authorization",
    "bearer",
    "cookie",
    "jwt",
    "sessionid",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "sessionkey",
    "signature",
    "token",
    "xauth",
];

/// Names whose values are secrets where they stand for themselves, or between the dots of a key.
const SECRET_NAMES: &[&str] = &["auth", "basic"];

/// Whether a value under this name is kept out of results.
pub(super) fn is_secret(name: &str) -> bool {
    let is_whole =
        |part: &str| SECRET_NAMES.iter().any(|own| part.trim_matches(['-', ' ', '"', '\'']).eq_ignore_ascii_case(own));
    if name.split('.').any(is_whole) {
        return true;
    }
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_WORDS.iter().any(|word| plain.contains(word))
}

/// A header's value as a result may show it.
pub fn redact_header_value(name: &str, value: &str) -> String {
    if is_secret(name) { REDACTED.to_owned() } else { redact_url(value) }
}

/// `text` with the userinfo and the query's values of every URL in it taken out, or of the path that it is: whatever names a
/// query uses for its secrets, reports are made to be shared.
pub fn redact_url(text: &str) -> String {
    if text.starts_with('/') && !text.contains(char::is_whitespace) {
        return redact_authority_and_query(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = behind_scheme(rest) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "\"'<>`".contains(c)).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        out.push_str(&redact_authority_and_query(url));
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Where the first URL in `text` goes on behind its scheme, which may be that of a Unix socket.
pub(super) fn behind_scheme(text: &str) -> Option<usize> {
    let usual = text.find("://").map(|at| at + "://".len());
    let unix = text.find("unix:/").map(|at| at + "unix:".len());
    usual.into_iter().chain(unix).min()
}

/// What follows the scheme, up to the URL's end.
fn redact_authority_and_query(url: &str) -> String {
    let (authority, path) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{REDACTED}@{host}"),
        None => authority.to_owned(),
    };
    let Some((path, query)) = path.split_once('?') else { return host + path };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            // A room or session to be filled in.
            Some((_, value)) if value.starts_with('{') => pair.to_owned(),
            Some((name, _)) => format!("{name}={REDACTED}"),
            None => pair.to_owned(),
        })
        .collect();
    format!("{host}{path}?{}", pairs.join("&"))
}

/// Groups of a plan whose texts are all kept out of results.
const SECRET_GROUPS: &[&str] = &["headers", "identity", "values"];
/// What is shorter than that would take common words out as well.
const SHORTEST_SECRET: usize = 4;

/// Takes out of what a target said whatever it repeats of the secrets of `plan`, of the token to join with, and of URLs.
pub fn redact_words<'a>(words: impl Iterator<Item = &'a mut String>, plan: &impl Serialize, token: &str) {
    let mut words = words.peekable();
    if words.peek().is_none() {
        return;
    }
    let mut secrets: Vec<String> =
        Some(token).filter(|token| token.len() >= SHORTEST_SECRET).map(str::to_owned).into_iter().collect();
    gather(&serde_json::to_value(plan).unwrap_or_default(), false, &mut secrets);
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    for said in words {
        *said = secrets.iter().fold(redact_url(said), |said, secret| said.replace(secret, REDACTED));
    }
}

fn gather(value: &serde_json::Value, is_kept_out: bool, secrets: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            let is_kept_out = is_kept_out || is_secret(name) || SECRET_GROUPS.contains(&name.as_str());
            gather(value, is_kept_out, secrets);
        }),
        Value::Array(list) => list.iter().for_each(|value| gather(value, is_kept_out, secrets)),
        Value::String(text) if is_kept_out && text.len() >= SHORTEST_SECRET => {
            secrets.push(text.clone());
            // `Bearer SECRET`.
            secrets.extend(text.split(' ').filter(|word| word.len() > 2 * SHORTEST_SECRET).map(str::to_owned));
        }
        _ => {}
    }
}

/// A command line as a result may show it.
pub fn redact_arguments(arguments: &[String]) -> Vec<String> {
    let mut value_of_secret = false;
    arguments
        .iter()
        .map(|argument| {
            let is_option = argument.starts_with('-');
            if std::mem::take(&mut value_of_secret) && !is_option {
                return REDACTED.to_owned();
            }
            value_of_secret = is_option && is_secret(argument) && !argument.contains('=');
            redact_pair(argument)
        })
        .collect()
}

/// `name=value` or `Name: value` with the value taken out if the name says so; else as a URL. An arm's URL
/// (`token-arm=ws://…`) is no secret because of the arm's name.
fn redact_pair(text: &str) -> String {
    match text.find(['=', ':']) {
        Some(at) if is_secret(&text[..at]) && !text[at..].contains("://") => {
            let space = if text[at..].starts_with(": ") { " " } else { "" };
            format!("{}{space}{REDACTED}", &text[..=at])
        }
        _ => redact_url(text),
    }
}

/// A scenario's text as a result may show it: everything as it was written but for the secrets.
pub fn redact_scenario(text: &str) -> String {
    // A text that isn't TOML never became a run; whatever it is, it isn't shown.
    let Ok(table) = DeTable::parse(text) else { return REDACTED.to_owned() };
    let mut edits = Vec::new();
    edits_of_table(table.get_ref(), false, &mut edits);
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, replacement) in edits {
        out.push_str(&redact_comments(&text[at..range.start]));
        out.push_str(&replacement);
        at = range.end;
    }
    out.push_str(&redact_comments(&text[at..]));
    out
}

/// Where the values under secret names stand; empty for a text that isn't TOML.
pub(super) fn secret_values(text: &str) -> Vec<Range<usize>> {
    let Ok(table) = DeTable::parse(text) else { return Vec::new() };
    let mut edits = Vec::new();
    edits_of_table(table.get_ref(), false, &mut edits);
    let is_whole = |replacement: &str| replacement == format!("\"{REDACTED}\"");
    edits.into_iter().filter(|(_, replacement)| is_whole(replacement)).map(|(range, _)| range).collect()
}

type Edits = Vec<(Range<usize>, String)>;

fn edits_of_table(table: &DeTable, secret: bool, edits: &mut Edits) {
    for (key, value) in table.iter() {
        edits_of_value(value, secret || is_secret(key.get_ref()), edits);
    }
}

fn edits_of_value(value: &Spanned<DeValue>, secret: bool, edits: &mut Edits) {
    match value.get_ref() {
        DeValue::Table(table) => edits_of_table(table, secret, edits),
        DeValue::Array(list) => list.iter().for_each(|value| edits_of_value(value, secret, edits)),
        // The span replaced is the value with its quotes.
        DeValue::String(_) if !secret => edits_of_string(value, edits),
        _ if secret => edits.push((value.span(), format!("\"{REDACTED}\""))),
        _ => {}
    }
}

/// A string under a harmless name may still hold a URL, or a header line.
fn edits_of_string(value: &Spanned<DeValue>, edits: &mut Edits) {
    let Some(text) = value.get_ref().as_str() else { return };
    let redacted = redact_pair(text);
    if redacted != text {
        edits.push((value.span(), toml::Value::String(redacted).to_string()));
    }
}

/// Settings that were commented out are settings all the same. What comes here lies between values that were replaced,
/// so a `#` may also stand within a harmless string; redacting too much there does no harm.
fn redact_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let Some((before, comment)) = line.split_once('#') else {
            out.push_str(line);
            continue;
        };
        let ending = if line.ends_with('\n') { "\n" } else { "" };
        let comment = comment.trim_end_matches('\n');
        let shown = match comment.find(['=', ':']) {
            Some(at) if is_secret(&comment[..at]) => format!("{} {REDACTED}", &comment[..=at]),
            _ => redact_url(comment),
        };
        out.push_str(&format!("{before}#{shown}{ending}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_that_say_who_one_is_are_redacted() {
        for name in ["Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-API-Key", "x_auth_token"] {
            assert_eq!(redact_header_value(name, "hunter2"), REDACTED, "{name}");
        }
        assert_eq!(redact_header_value("User-Agent", "wsbench"), "wsbench");
        assert_eq!(redact_header_value("Origin", "https://a:b@h"), "https://[redacted]@h");
    }

    #[test]
    fn urls_lose_their_userinfo_and_the_values_of_their_query() {
        assert_eq!(redact_url("ws://joe:hunter2@host:80/p"), "ws://[redacted]@host:80/p");
        assert_eq!(redact_url("see ws://h/p?room={room}&sig=x&a"), "see ws://h/p?room={room}&sig=[redacted]&a");
        assert_eq!(redact_url("ws://h/a@b"), "ws://h/a@b");
        let unix = "ws+unix:/run/a.sock:/chat?token=abc&room={room} unix:///b?c=d";
        assert_eq!(redact_url(unix), "ws+unix:/run/a.sock:/chat?token=[redacted]&room={room} unix:///b?c=[redacted]");
        assert_eq!(redact_url("/pub/{room}?key=hunter2&s={session}"), "/pub/{room}?key=[redacted]&s={session}");
        assert_eq!(redact_url("ws://a@b@h tcp://x:y@z"), "ws://[redacted]@h tcp://[redacted]@z");
    }

    #[test]
    fn what_a_target_says_loses_the_secrets_of_the_plan_alone() {
        let plan = serde_json::json!({
            "dialect": { "nats": { "user": "joe", "password": "hunter2" } },
            "headers": [["authorization", "Bearer abcdefghij"]],
            "values": { "user": ["alice", "bob"] },
            "room": "lobby",
        });
        let mut words = [
            "no hunter2 in lobby".to_owned(),
            "abcdefghij is stale; see http://h/?k=v".to_owned(),
            "alice is nobody here, 0123abcd is no token".to_owned(),
        ];
        redact_words(words.iter_mut(), &plan, "0123abcd");
        redact_words(words.iter_mut(), &plan, "");
        assert_eq!(
            words,
            [
                "no [redacted] in lobby",
                "[redacted] is stale; see http://h/?k=[redacted]",
                "[redacted] is nobody here, [redacted] is no token"
            ]
        );
    }

    #[test]
    fn a_command_line_keeps_its_shape() {
        let line =
            ["run", "a.toml", "--target", "ws=ws://u:p@h/", "--token", "abc", "--api-key=abc", "-H", "Cookie: a=b"];
        let line: Vec<String> = line.iter().map(|s| s.to_string()).collect();
        assert_eq!(
            redact_arguments(&line).join(" "),
            "run a.toml --target ws=ws://[redacted]@h/ --token [redacted] --api-key=[redacted] -H Cookie: [redacted]"
        );
    }

    #[test]
    fn what_a_bus_is_reached_by_is_no_secret_but_for_who_one_is() {
        let line =
            "run a.toml --nats nats://u:p@h:4222 --nats-user u --nats-password hunter2 --nats-token=abc --agents 3";
        let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(
            redact_arguments(&line).join(" "),
            "run a.toml --nats nats://[redacted]@h:4222 --nats-user u --nats-password [redacted] --nats-token=[redacted] \
             --agents 3"
        );
    }

    #[test]
    fn a_scenario_keeps_everything_but_its_secrets() {
        let text = r#"# token = "in a comment"
name = "chat" # url ws://a:b@h
[target.urls]
websocket = "ws://joe:hunter2@example.org/chat?access_token=abc&room={room}"
[transports.websocket.extra_headers]
Authorization = "Bearer abc"
X-Trace = "yes"
[transports.sse]
extra_headers = { cookie = 'sid=1; theme=dark', Accept-Language = "en" }
list = ["Authorization: Basic abc", "Accept: x"]
auth = { basic = "joe:hunter2" }
[transports.tcp.auth]
bearer = "abc"
[transports.udp]
auth.basic = "joe:hunter2"
author = "kept"
api-keys = [1, """two
lines"""]
"#;
        let shown = redact_scenario(text);
        for secret in ["hunter2", "abc", "sid=1", "two", "in a comment", "a:b@"] {
            assert!(!shown.contains(secret), "{secret} in:\n{shown}");
        }
        for kept in [
            "name = \"chat\"",
            "example.org/chat",
            "room={room}",
            "X-Trace = \"yes\"",
            "Accept: x",
            "author = \"kept\"",
            "\"en\"",
        ] {
            assert!(shown.contains(kept), "{kept} not in:\n{shown}");
        }
        assert!(DeTable::parse(&shown).is_ok(), "{shown}");
        assert_eq!(redact_scenario("not = = toml"), REDACTED);
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            redact_url(&text);
            redact_scenario(&text);
            redact_arguments(&[text.clone(), text]);
        }
    }
}
