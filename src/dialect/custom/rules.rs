//! The settings, read once for all sessions.

use super::Flaws;
use super::correlate::{Payloads, Spot};
use super::template::{Slots, Template, Use};
use crate::catalog::{
    Asking, By, Correlate, Cursor, Custom, CustomHttp, Cuts, Messages, Number, Own, TransportKind, Verb, Within,
};
use crate::dialect::{Ask, Form, Place};
use bytes::Bytes;
use regex::bytes::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// What a regex may take once it is compiled, bytes.
const MOST_OF_A_REGEX: usize = 1 << 20;
/// A number as long as this is the message's own; shorter ones are counted by each session.
pub(super) const SHORTEST_OWN: usize = 4;

pub(super) struct Rules {
    pub open: Vec<Template>,
    pub opened: Option<Regex>,
    publish: Template,
    pub leave: Option<Template>,
    pub answers: Vec<(Regex, Template)>,
    pub error: Option<Regex>,
    pub ignore: Option<Regex>,
    pub message: Option<Payloads>,
    pub correlate: Correlation,
    pub replies: u32,
    pub http: HttpRules,
}

/// How the message is known that a reply is for.
pub(super) enum Correlation {
    Tag,
    Order,
    Number(Spot),
}

#[derive(Default)]
pub(super) struct HttpRules {
    pub join: Option<AskRules>,
    pub poll: Option<AskRules>,
    pub publish: Option<AskRules>,
    pub leave: Option<AskRules>,
    pub request: Option<AskRules>,
    pub cursor: Option<CursorAt>,
    pub first_cursor: Option<String>,
    pub nothing_new: Vec<u16>,
    pub messages: Option<Cutting>,
}

pub(super) struct AskRules {
    method: Option<Verb>,
    path: Option<Template>,
    headers: Vec<(String, Template)>,
    body: Option<Template>,
}

pub(super) enum CursorAt {
    Header(String),
    Pointer(String),
    Regex(Regex),
}

pub(super) enum Cutting {
    Usual(Cuts),
    Separator(Vec<u8>),
    Pointer(String),
}

impl Rules {
    /// Reads the settings; what makes no sense in them is added to `flaws`, and left out.
    pub fn read(custom: &Custom, flaws: &mut Flaws) -> Rules {
        let secrets = custom.secret.clone().unwrap_or_default();
        let template = |key: &str, source: &Option<_>, used, flaws: &mut Flaws| {
            source.as_ref().map(|source| flaws.within(key, |flaws| Template::read(source, used, &secrets, flaws)))
        };
        let pattern = |key: &str, text: &Option<String>, flaws: &mut Flaws| {
            text.as_ref().and_then(|text| flaws.within(key, |flaws| regex(text, flaws)))
        };
        let open = custom.open.iter().flatten().enumerate();
        let open = |flaws: &mut Flaws| {
            open.map(|(n, source)| flaws.within(n, |flaws| Template::read(source, Use::Say, &secrets, flaws))).collect()
        };
        let answers = |flaws: &mut Flaws| {
            let mut read = Vec::new();
            for (n, answer) in custom.answers.iter().flatten().enumerate() {
                flaws.within(n, |flaws| {
                    let when = flaws.within("when", |flaws| regex(&answer.when, flaws));
                    let say = flaws.within("say", |flaws| Template::read(&answer.say, Use::Say, &secrets, flaws));
                    read.extend(when.map(|when| (when, say)));
                });
            }
            read
        };
        let message = custom.message.as_ref();
        Rules {
            message: message.and_then(|within| flaws.within("message", |flaws| payloads(within, flaws))),
            open: flaws.within("open", open),
            opened: pattern("opened", &custom.opened, flaws),
            publish: template("publish", &custom.publish, Use::Publish, flaws).unwrap_or_else(Template::plain),
            leave: template("leave", &custom.leave, Use::Say, flaws),
            answers: flaws.within("answers", answers),
            error: pattern("error", &custom.error, flaws),
            ignore: pattern("ignore", &custom.ignore, flaws),
            correlate: flaws.within("correlate", |flaws| correlation(custom.correlate.as_ref(), flaws)),
            replies: custom.replies.get(),
            http: flaws.within("http", |flaws| match &custom.http {
                Some(http) => HttpRules::read(http, &secrets, flaws),
                None => HttpRules { nothing_new: vec![204], ..HttpRules::default() },
            }),
        }
    }

    /// What carries a payload over this transport.
    pub fn publish(&self, kind: TransportKind) -> &Template {
        let asking = match kind {
            TransportKind::Http => self.http.request.as_ref(),
            kind if kind.is_http() => self.http.publish.as_ref(),
            _ => None,
        };
        asking.and_then(|asking| asking.body.as_ref()).unwrap_or(&self.publish)
    }

    /// Length of the numbers that each session counts by itself, if it does; bytes.
    pub fn short_number(&self) -> Option<usize> {
        match self.correlate {
            Correlation::Number(Spot::Bytes { length, .. }) if length < SHORTEST_OWN => Some(length),
            _ => None,
        }
    }
}

/// Bytes are matched, not characters: what comes may be anything.
fn regex(text: &str, flaws: &mut Flaws) -> Option<Regex> {
    match RegexBuilder::new(text).unicode(false).size_limit(MOST_OF_A_REGEX).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            flaws.add(
                None,
                format!("this is no regex: {last}"),
                "the syntax is that of https://docs.rs/regex, for bytes",
            );
            None
        }
    }
}

fn pointer(text: &str, flaws: &mut Flaws) -> String {
    if !text.is_empty() && !text.starts_with('/') {
        flaws.add(None, "a JSON pointer begins with `/`", format!("write `/{text}`"));
    }
    text.to_owned()
}

/// Of several ways to say the same, one has to be chosen.
fn only_one(what: &str, ways: &[(&str, bool)], flaws: &mut Flaws) -> bool {
    let given = ways.iter().filter(|(_, is_given)| *is_given).count();
    if given != 1 {
        let names: Vec<String> = ways.iter().map(|(name, _)| format!("`{name}`")).collect();
        let names = names.join(" or ");
        let message = if given == 0 { format!("{what} needs {names}") } else { format!("{what} has both {names}") };
        flaws.add(None, message, format!("give one of {names}"));
    }
    given == 1
}

fn payloads(within: &Within, flaws: &mut Flaws) -> Option<Payloads> {
    let ways = [("pointer", within.pointer.is_some()), ("regex", within.regex.is_some())];
    if !only_one("`message`", &ways, flaws) {
        return None;
    }
    let place = match (&within.pointer, &within.regex) {
        (Some(to), _) => Some(Spot::Pointer(flaws.within("pointer", |flaws| pointer(to, flaws)))),
        (_, Some(text)) => flaws.within("regex", |flaws| regex(text, flaws)).map(Spot::Regex),
        _ => None,
    };
    Some(Payloads { place: place?, encoded: within.encoded })
}

fn correlation(correlate: Option<&Correlate>, flaws: &mut Flaws) -> Correlation {
    match correlate {
        None | Some(Correlate::By(By::Tag)) => Correlation::Tag,
        Some(Correlate::By(By::Order)) => Correlation::Order,
        Some(Correlate::Number(number)) => spot(number, flaws).map_or(Correlation::Tag, Correlation::Number),
    }
}

fn spot(number: &Number, flaws: &mut Flaws) -> Option<Spot> {
    let has_bytes = number.at.is_some() || number.length.is_some();
    let ways = [("pointer", number.pointer.is_some()), ("regex", number.regex.is_some()), ("at", has_bytes)];
    if !only_one("`correlate`", &ways, flaws) {
        return None;
    }
    if let Some(to) = &number.pointer {
        return Some(Spot::Pointer(flaws.within("pointer", |flaws| pointer(to, flaws))));
    }
    if let Some(text) = &number.regex {
        return flaws.within("regex", |flaws| regex(text, flaws)).map(Spot::Regex);
    }
    match (number.at, number.length) {
        (Some(at), Some(length @ 1..=8)) => Some(Spot::Bytes { at: at as usize, length: length as usize }),
        (Some(_), Some(_)) => {
            flaws.within("length", |flaws| flaws.add(None, "a number has 1 to 8 bytes", "write `length = 2`"));
            None
        }
        _ => {
            let message = "a number among bytes needs both `at` and `length`";
            flaws.add(None, message, "write `{ at = 0, length = 2 }`");
            None
        }
    }
}

impl HttpRules {
    fn read(http: &CustomHttp, secrets: &BTreeMap<String, String>, flaws: &mut Flaws) -> HttpRules {
        let ask = |key: &str, asking: &Option<Asking>, used, body, flaws: &mut Flaws| {
            let asking = asking.as_ref()?;
            Some(flaws.within(key, |flaws| AskRules::read(asking, used, body, secrets, flaws)))
        };
        HttpRules {
            join: ask("join", &http.join, Use::Ask, Use::Ask, flaws),
            poll: ask("poll", &http.poll, Use::Poll, Use::Poll, flaws),
            publish: ask("publish", &http.publish, Use::Ask, Use::Publish, flaws),
            leave: ask("leave", &http.leave, Use::Ask, Use::Ask, flaws),
            request: ask("request", &http.request, Use::Say, Use::Publish, flaws),
            cursor: http.cursor.as_ref().and_then(|at| flaws.within("cursor", |flaws| cursor(at, flaws))),
            first_cursor: http.first_cursor.clone(),
            nothing_new: http.nothing_new.clone().unwrap_or_else(|| vec![204]),
            messages: http.messages.as_ref().and_then(|cut| flaws.within("messages", |flaws| cutting(cut, flaws))),
        }
    }
}

fn cursor(at: &Cursor, flaws: &mut Flaws) -> Option<CursorAt> {
    let ways = [("header", at.header.is_some()), ("pointer", at.pointer.is_some()), ("regex", at.regex.is_some())];
    if !only_one("`cursor`", &ways, flaws) {
        return None;
    }
    if let Some(to) = &at.pointer {
        return Some(CursorAt::Pointer(flaws.within("pointer", |flaws| pointer(to, flaws))));
    }
    if let Some(text) = &at.regex {
        return flaws.within("regex", |flaws| regex(text, flaws)).map(CursorAt::Regex);
    }
    at.header.clone().map(CursorAt::Header)
}

fn cutting(messages: &Messages, flaws: &mut Flaws) -> Option<Cutting> {
    let own = match messages {
        Messages::Usual(cuts) => return Some(Cutting::Usual(*cuts)),
        Messages::Own(own) => own,
    };
    let ways = [("separator", own.separator.is_some()), ("pointer", own.pointer.is_some())];
    if !only_one("`messages`", &ways, flaws) {
        return None;
    }
    match own {
        Own { pointer: Some(to), .. } => Some(Cutting::Pointer(flaws.within("pointer", |flaws| pointer(to, flaws)))),
        Own { separator: Some(text), .. } if text.is_empty() => {
            flaws.within("separator", |flaws| {
                flaws.add(None, "the separator is empty", "write `separator = \"\\u001e\"`")
            });
            None
        }
        Own { separator, .. } => separator.clone().map(|text| Cutting::Separator(text.into_bytes())),
    }
}

impl AskRules {
    fn read(asking: &Asking, used: Use, body: Use, secrets: &BTreeMap<String, String>, flaws: &mut Flaws) -> AskRules {
        let path = |text: &String, flaws: &mut Flaws| {
            if !text.starts_with('/') {
                flaws.add(None, "the path of a request begins with `/`", "leave it out for the URL's own");
            } else if let Some(at) = text.find(|c: char| !('!'..='~').contains(&c)) {
                let end = at + text[at..].chars().next().map_or(1, char::len_utf8);
                flaws.add(Some(at..end), "a path holds visible ASCII alone", "encode it: a space is `%20`");
            }
            Template::text(text, used, secrets, flaws)
        };
        let headers = |flaws: &mut Flaws| {
            let mut read = Vec::new();
            for (name, text) in asking.headers.iter().flatten() {
                flaws.within(name, |flaws| {
                    check_header(name, text, flaws);
                    read.push((name.clone(), Template::text(text, used, secrets, flaws)));
                });
            }
            read
        };
        AskRules {
            method: asking.method,
            path: asking.path.as_ref().map(|text| flaws.within("path", |flaws| path(text, flaws))),
            headers: flaws.within("headers", headers),
            body: asking
                .body
                .as_ref()
                .map(|source| flaws.within("body", |flaws| Template::read(source, body, secrets, flaws))),
        }
    }

    /// What stands before the body.
    pub fn form(&self, place: &Place) -> Form {
        let text = |template: Template| template.write_path(&Slots::default());
        Form {
            method: self.method.map(Verb::name),
            path: self.path.as_ref().map_or_else(|| place.path.clone(), |path| text(path.path_at(place))),
            headers: self.headers.iter().map(|(name, template)| (name.clone(), text(template.at(place)))).collect(),
        }
    }

    pub fn has_cursor(&self) -> bool {
        self.templates().any(Template::has_cursor)
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        self.path.iter().chain(self.headers.iter().map(|(_, template)| template)).chain(&self.body)
    }

    /// The request with its marks filled in. Headers with a cursor are left out while there is none.
    pub fn ask(&self, place: &Place, usual: Verb, slots: &Slots, body: Option<Bytes>) -> Ask {
        let filled = |template: &Template| {
            let mut out = Vec::new();
            template.at(place).write(slots, &mut out);
            out
        };
        let headers = self.headers.iter().filter(|(_, value)| !(value.has_cursor() && slots.cursor.is_empty()));
        let text = |template: &Template| String::from_utf8_lossy(&filled(template)).into_owned();
        Ask {
            method: self.method.unwrap_or(usual).name(),
            path: self.path.as_ref().map_or_else(|| place.path.clone(), |path| path.path_at(place).write_path(slots)),
            headers: headers.map(|(name, value)| (name.clone(), text(value))).collect(),
            body: body.unwrap_or_else(|| self.body.as_ref().map(filled).unwrap_or_default().into()),
        }
    }
}

const ONE_LINE: &str = "visible ASCII with spaces between";

/// RFC 9110 §5.5.
fn is_sendable(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b) || b == b'\t') && text.trim() == text
}

/// RFC 9110 §5.5 and §5.6.2; and what frames a request is no dialect's business.
fn check_header(name: &str, text: &str, flaws: &mut Flaws) {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let ours = ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"];
    if name.is_empty() || !name.bytes().all(is_token) {
        flaws.add(None, format!("`{name}` is not a header's name"), "letters, digits and `-`");
    } else if ours.contains(&name.to_ascii_lowercase().as_str()) {
        flaws.add(None, format!("header `{name}` is set by wsbench itself"), "leave it out");
    } else if !is_sendable(text) {
        flaws.add(None, format!("the value of header `{name}` can't be sent as it is"), ONE_LINE);
    }
    let values = flaws.values.clone().unwrap_or_default();
    if let Some((mark, row)) = values.unfit(text, is_sendable) {
        flaws.add(Some(mark.range), format!("row {row} of `{}` can't be sent in a header", mark.name), ONE_LINE);
    }
}
