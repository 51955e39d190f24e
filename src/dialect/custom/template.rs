//! Templates: text or bytes with marks such as `{payload}`.

use super::Flaws;
use crate::catalog;
use crate::dialect::Place;
use crate::dialect::wsbench::encoded;
use crate::values::{self, Marks};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::rc::Rc;

/// Numbers that every template knows. What they stand for is the [place](Place)'s, as are the scenario's values.
const OF_PLACE: &[&str] = &["room", "session"];

/// Where a template stands, which says what else may be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Something that a session says of itself.
    Say,
    /// What carries a payload.
    Publish,
    /// A request that carries none.
    Ask,
    /// A request that asks for messages.
    Poll,
}

impl Use {
    fn marks(self) -> &'static [&'static str] {
        match self {
            Use::Say => &[],
            Use::Publish => &["payload", "id", "length"],
            Use::Ask => &["sid"],
            Use::Poll => &["cursor", "sid"],
        }
    }
}

/// What marks stand for at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slots<'a> {
    pub payload: &'a [u8],
    pub id: u64,
    pub cursor: &'a str,
    pub sid: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    parts: Rc<[Part]>,
    is_binary: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// In text, marks of the place are still in it.
    Fixed(Vec<u8>),
    Payload(Form),
    /// The message's number, or how long its payload is.
    Number(Of, Width),
    /// Of the place, in bytes: a number of [`OF_PLACE`], or the text of a value.
    Placed(Box<str>, Width),
    Cursor,
    Sid,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Json,
    Base64,
    Hex,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Of {
    Id,
    Length,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Width {
    Decimal,
    /// So many bytes.
    Big(usize),
    Little(usize),
}

/// A mark as it is written.
struct Mark<'a> {
    span: Range<usize>,
    name: &'a str,
    form: Option<&'a str>,
}

impl Template {
    /// The payload as it is.
    pub fn plain() -> Template {
        Template { parts: Rc::new([Part::Payload(Form::Plain)]), is_binary: false }
    }

    /// Reads a template that stands at `flaws`' path; what is wrong with it is added there.
    pub fn read(
        source: &catalog::Template,
        used: Use,
        secrets: &BTreeMap<String, String>,
        flaws: &mut Flaws,
    ) -> Template {
        match source {
            catalog::Template::Text(text) => Template::text(text, used, secrets, flaws),
            catalog::Template::Bytes(bytes) => flaws.within("hex", |flaws| hex(&bytes.hex, used, secrets, flaws)),
        }
    }

    pub fn text(text: &str, used: Use, secrets: &BTreeMap<String, String>, flaws: &mut Flaws) -> Template {
        let mut parts = Vec::new();
        let mut at = 0;
        for mark in marks(text, flaws) {
            if mark.is_of_place(used, secrets, flaws) {
                continue;
            }
            fixed(&mut parts, &text.as_bytes()[at..mark.span.start]);
            at = mark.span.end;
            match mark.part(used, secrets, flaws) {
                Ok(Part::Number(_, Width::Big(_) | Width::Little(_)) | Part::Placed(..)) => {
                    let message = format!("`{}` is bytes, and this is text", &text[mark.span.clone()]);
                    flaws.add(
                        Some(mark.span),
                        message,
                        "leave the width out, or write the template as `{ hex = \"…\" }`",
                    );
                }
                Ok(Part::Fixed(bytes)) => fixed(&mut parts, &bytes),
                Ok(part) => parts.push(part),
                Err((message, hint)) => flaws.add(Some(mark.span), message, hint),
            }
        }
        fixed(&mut parts, &text.as_bytes()[at..]);
        let doubled = text.find("{{").filter(|start| text[start + 2..].starts_with(|c: char| c.is_ascii_lowercase()));
        let escaped = || values::marks(text, Marks::Single).find(|mark| mark.is_escaped).map(|mark| mark.range.start);
        if let Some(start) = doubled.or_else(escaped) {
            flaws.add(Some(start..start + 2), "marks of a dialect have one brace on each side", "write `{payload}`");
        }
        Template { parts: parts.into(), is_binary: false }
    }

    /// The same with all that the place says filled in.
    pub fn at(&self, place: &Place) -> Template {
        self.filled(place, |text| place.fill(text))
    }

    /// The same as a part of an address.
    pub fn path_at(&self, place: &Place) -> Template {
        self.filled(place, |text| place.fill_path(text))
    }

    fn filled(&self, place: &Place, fill_text: impl Fn(&str) -> String) -> Template {
        let fill = |part: &Part| match part {
            Part::Fixed(bytes) if !self.is_binary => match std::str::from_utf8(bytes) {
                Ok(text) => Part::Fixed(fill_text(text).into_bytes()),
                Err(_) => part.clone(),
            },
            Part::Placed(name, width) => {
                let mut bytes = Vec::new();
                match &**name {
                    "room" => width.write(place.room.into(), &mut bytes),
                    "session" => width.write(place.session.into(), &mut bytes),
                    name => bytes.extend_from_slice(place.value(name).unwrap_or_default().as_bytes()),
                }
                Part::Fixed(bytes)
            }
            other => other.clone(),
        };
        let is_fixed = |part: &Part| match part {
            Part::Fixed(bytes) => self.is_binary || !bytes.contains(&b'{'),
            part => !matches!(part, Part::Placed(..)),
        };
        match self.parts.iter().all(is_fixed) {
            true => self.clone(),
            false => Template { parts: self.parts.iter().map(fill).collect(), is_binary: self.is_binary },
        }
    }

    pub fn write(&self, slots: &Slots, out: &mut Vec<u8>) {
        for part in &*self.parts {
            match part {
                Part::Fixed(bytes) => out.extend_from_slice(bytes),
                Part::Payload(form) => form.write(slots.payload, out),
                Part::Number(Of::Id, width) => width.write(slots.id, out),
                Part::Number(Of::Length, width) => width.write(slots.payload.len() as u64, out),
                Part::Cursor => out.extend_from_slice(slots.cursor.as_bytes()),
                Part::Sid => out.extend_from_slice(format!("{:016x}", slots.sid).as_bytes()),
                // Filled in by `at`.
                Part::Placed(..) => {}
            }
        }
    }

    /// As a part of an address: what the target said is encoded.
    pub fn write_path(&self, slots: &Slots) -> String {
        let mut out = Vec::new();
        self.write(&Slots { cursor: &encoded(slots.cursor), ..*slots }, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    pub fn is_binary(&self) -> bool {
        self.is_binary
    }

    pub fn has_cursor(&self) -> bool {
        self.parts.contains(&Part::Cursor)
    }

    pub fn has_payload(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Payload(_)))
    }

    /// Whether a payload stands in it as it is: then it is called what that is called.
    pub fn is_as_its_payload(&self) -> bool {
        !self.is_binary && self.parts.contains(&Part::Payload(Form::Plain))
    }

    /// Whether payloads have to be text.
    pub fn needs_text(&self) -> bool {
        self.parts.contains(&Part::Payload(Form::Json))
    }

    /// Bytes of the number that it gives a message: each one that is in it; 8 where it is in digits.
    pub fn id_lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Number(Of::Id, Width::Decimal) => Some(8),
            Part::Number(Of::Id, Width::Big(length) | Width::Little(length)) => Some(*length),
            _ => None,
        })
    }
}

/// Bytes in hexadecimal with marks between them; space may stand anywhere.
fn hex(text: &str, used: Use, secrets: &BTreeMap<String, String>, flaws: &mut Flaws) -> Template {
    let mut parts = Vec::new();
    let mut at = 0;
    for mark in marks(text, flaws) {
        digits(text, at..mark.span.start, &mut parts, flaws);
        at = mark.span.end;
        match mark.part(used, secrets, flaws) {
            Ok(Part::Number(_, Width::Decimal)) => {
                let message = format!("`{}` has no width, and these are bytes", &text[mark.span.clone()]);
                flaws.add(Some(mark.span), message, format!("write `{{{}:u16be}}`", mark.name));
            }
            Ok(Part::Fixed(bytes)) => fixed(&mut parts, &bytes),
            Ok(part) => parts.push(part),
            Err((message, hint)) => flaws.add(Some(mark.span), message, hint),
        }
    }
    digits(text, at..text.len(), &mut parts, flaws);
    Template { parts: parts.into(), is_binary: true }
}

fn digits(text: &str, span: Range<usize>, parts: &mut Vec<Part>, flaws: &mut Flaws) {
    let inside = &text[span.clone()];
    let digits: Vec<(usize, char)> = inside.char_indices().filter(|(_, c)| !c.is_whitespace()).collect();
    if let Some((at, c)) = digits.iter().find(|(_, c)| !c.is_ascii_hexdigit()) {
        let start = span.start + at;
        let message = format!("`{c}` is no hexadecimal digit");
        flaws.add(Some(start..start + c.len_utf8()), message, "two digits are a byte: `0a ff`");
    } else if digits.len() % 2 == 1 {
        let message = "half a byte is left over in these hexadecimal digits";
        flaws.add(Some(span.clone()), message, "two digits are a byte: `0a ff`");
    } else {
        let value = |c: char| c.to_digit(16).unwrap_or_default() as u8;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| value(pair[0].1) << 4 | value(pair[1].1)).collect();
        fixed(parts, &bytes);
    }
}

fn fixed(parts: &mut Vec<Part>, more: &[u8]) {
    match parts.last_mut() {
        _ if more.is_empty() => {}
        Some(Part::Fixed(bytes)) => bytes.extend_from_slice(more),
        _ => parts.push(Part::Fixed(more.to_vec())),
    }
}

/// Everything that looks like a mark: `{name}` or `{name:form}`, and whatever begins as the name of a value.
fn marks<'a>(text: &'a str, flaws: &Flaws) -> impl Iterator<Item = Mark<'a>> + use<'a> {
    let values = flaws.values.clone();
    let is_name = move |name: &str| {
        let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        is_plain || values::is_name(name) && values.as_ref().is_none_or(|values| values.resembles(name))
    };
    text.match_indices('{').filter_map(move |(start, _)| {
        let inside = &text[start + 1..];
        let inside = &inside[..inside.find('}')?];
        let span = start..start + inside.len() + 2;
        let (name, form) = inside.split_once(':').map_or((inside, None), |(name, form)| (name, Some(form)));
        let is_form = form.is_none_or(|form| !form.is_empty() && form.bytes().all(|b| b.is_ascii_alphanumeric()));
        (is_name(name) && is_form).then_some(Mark { span, name, form })
    })
}

impl Mark<'_> {
    /// Whether it stands for something of the place, as text.
    fn is_of_place(&self, used: Use, secrets: &BTreeMap<String, String>, flaws: &Flaws) -> bool {
        let is_else = used.marks().contains(&self.name) || secrets.contains_key(self.name);
        let is_number = OF_PLACE.contains(&self.name);
        self.form.is_none() && (is_number || !is_else && flaws.knows(self.name))
    }

    fn part(&self, used: Use, secrets: &BTreeMap<String, String>, flaws: &Flaws) -> Result<Part, (String, String)> {
        if let (Some(secret), None) = (secrets.get(self.name), self.form) {
            return Ok(Part::Fixed(secret.clone().into_bytes()));
        }
        if self.is_of_place(used, secrets, flaws) {
            return Ok(Part::Placed(self.name.into(), Width::Decimal));
        }
        if !used.marks().contains(&self.name) && !OF_PLACE.contains(&self.name) {
            if flaws.knows(self.name) {
                let message = format!("`{{{}}}` has no form `{}`", self.name, self.form.unwrap_or_default());
                return Err((message, "a value is as it is".to_owned()));
            }
            let values = flaws.values.iter().flat_map(|values| values.names());
            let own = used.marks().iter().copied().chain(secrets.keys().map(String::as_str)).map(str::to_owned);
            let known: Vec<String> = values.chain(own).map(|name| format!("`{{{name}}}`")).collect();
            let hint = format!("it knows {}; a value of your own goes into `secret`", known.join(", "));
            return Err((format!("the mark `{{{}}}` is not known here", self.name), hint));
        }
        let part = match (self.name, self.form) {
            ("payload", None) => Some(Part::Payload(Form::Plain)),
            ("payload", Some("json")) => Some(Part::Payload(Form::Json)),
            ("payload", Some("base64")) => Some(Part::Payload(Form::Base64)),
            ("payload", Some("hex")) => Some(Part::Payload(Form::Hex)),
            ("id", form) => Width::read(form).map(|width| Part::Number(Of::Id, width)),
            ("length", form) => Width::read(form).map(|width| Part::Number(Of::Length, width)),
            ("cursor", None) => Some(Part::Cursor),
            ("sid", None) => Some(Part::Sid),
            ("room" | "session", form) => Width::read(form).map(|width| Part::Placed(self.name.into(), width)),
            _ => None,
        };
        let hint = match self.name {
            "payload" => "it has `json`, `base64` and `hex`",
            "cursor" | "sid" => "it has none",
            _ => "it has widths in bits, such as `u8`, `u16be` and `u32le`",
        };
        part.ok_or_else(|| {
            (format!("`{{{}}}` has no form `{}`", self.name, self.form.unwrap_or_default()), hint.to_owned())
        })
    }
}

impl Width {
    /// `u8`, `u16be`, `u24le` and so on up to 64 bits; nothing: digits.
    fn read(form: Option<&str>) -> Option<Width> {
        let Some(form) = form else { return Some(Width::Decimal) };
        let bits = form.strip_prefix('u')?;
        let (bits, width): (_, fn(usize) -> Width) = match (bits.strip_suffix("be"), bits.strip_suffix("le")) {
            (Some(bits), _) => (bits, Width::Big),
            (_, Some(bits)) => (bits, Width::Little),
            _ => return (bits == "8").then_some(Width::Big(1)),
        };
        let bits: usize = bits.parse().ok()?;
        (bits.is_multiple_of(8) && (8..=64).contains(&bits)).then(|| width(bits / 8))
    }

    /// Higher bytes than it has are left out.
    fn write(self, number: u64, out: &mut Vec<u8>) {
        match self {
            // Writing to memory doesn't fail.
            Width::Decimal => drop(write!(out, "{number}")),
            Width::Big(length) => out.extend_from_slice(&number.to_be_bytes()[8 - length..]),
            Width::Little(length) => out.extend_from_slice(&number.to_le_bytes()[..length]),
        }
    }
}

impl Form {
    fn write(self, payload: &[u8], out: &mut Vec<u8>) {
        match self {
            Form::Plain => out.extend_from_slice(payload),
            Form::Json => {
                let text = serde_json::to_string(&String::from_utf8_lossy(payload)).unwrap_or_default();
                out.extend_from_slice(text.get(1..text.len() - 1).unwrap_or_default().as_bytes());
            }
            Form::Base64 => out.extend_from_slice(STANDARD.encode(payload).as_bytes()),
            Form::Hex => payload.iter().for_each(|byte| drop(write!(out, "{byte:02x}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::custom::Flaw;
    use crate::values::{Source, Table, Values};
    use proptest::prelude::*;

    fn values() -> Values {
        let table = Table::read("name,Token\na b,\"x\"\"y\"\n").unwrap();
        Values::new(vec![("user".into(), Source::Table(table)), ("n".into(), Source::Counter(40))])
    }

    fn read(source: catalog::Template, used: Use) -> (Template, Vec<Flaw>) {
        let secrets = BTreeMap::from([("password".to_owned(), "pässword".to_owned())]);
        let mut flaws = Flaws::against(&values());
        let template = Template::read(&source, used, &secrets, &mut flaws);
        (template, flaws.found())
    }

    fn text(text: &str) -> catalog::Template {
        catalog::Template::Text(text.to_owned())
    }

    fn bytes(hex: &str) -> catalog::Template {
        catalog::Template::Bytes(catalog::Bytes { hex: hex.to_owned() })
    }

    fn written(source: catalog::Template, slots: &Slots) -> Vec<u8> {
        let (template, flaws) = read(source, Use::Publish);
        assert_eq!(flaws, []);
        let place = Place { room: 7, session: 258, values: values(), ..Place::from("/") };
        let mut out = Vec::new();
        template.at(&place).write(slots, &mut out);
        out
    }

    const SLOTS: Slots = Slots { payload: b"a\"b", id: 513, cursor: "c d", sid: 0xAB };

    #[test]
    fn text_is_filled_in() {
        let filled = written(text(r#"{"id":{id},"to":"{room}/{session}","p":"{payload:json}","n":{length}}"#), &SLOTS);
        assert_eq!(String::from_utf8(filled).unwrap(), r#"{"id":513,"to":"7/258","p":"a\"b","n":3}"#);
        assert_eq!(
            written(text("{payload:base64} {payload:hex} {password}"), &SLOTS),
            "YSJi 612262 pässword".as_bytes()
        );
        assert_eq!(written(text("{} { } {A} {a b} {\"a\":1}"), &SLOTS), b"{} { } {A} {a b} {\"a\":1}");
    }

    #[test]
    fn a_payload_that_ends_in_a_quote_stays_whole() {
        let slots = Slots { payload: b"\"a\"", ..SLOTS };
        assert_eq!(written(text("<{payload:json}>"), &slots), br#"<\"a\">"#);
    }

    #[test]
    fn bytes_are_filled_in() {
        let filled = written(bytes("{id:u16be} 00fF{length:u8} {payload} {session:u16le}{id:u24be}"), &SLOTS);
        assert_eq!(filled, b"\x02\x01\x00\xff\x03a\"b\x02\x01\x00\x02\x01");
        assert_eq!(written(bytes("{id:u8}{room:u8}"), &SLOTS), [1, 7]);
    }

    #[test]
    fn an_address_holds_what_the_target_said_encoded() {
        let (template, flaws) = read(text("/poll/{sid}?since={cursor}"), Use::Poll);
        assert_eq!((flaws, template.has_cursor()), (vec![], true));
        assert_eq!(template.write_path(&SLOTS), "/poll/00000000000000ab?since=c%20d");
    }

    #[test]
    fn a_sessions_values_are_filled_in_whoever_has_checked_them() {
        let said = r#"{"as":"{user.name}","n":{n},"id":{id}} {other.name} {A.b}"#;
        let want = r#"{"as":"a b","n":298,"id":513} {other.name} {A.b}"#;
        assert_eq!(String::from_utf8(written(text(said), &SLOTS)).unwrap(), want);
        assert_eq!(written(bytes("01 {user.Token} {n} {id:u8}"), &SLOTS), b"\x01x\"y298\x01");
        // A worker reads the settings without the scenario's values.
        let place = Place { session: 1, values: values(), ..Place::from("/") };
        for (source, want) in [(text(said), &want.replace("298", "41")[..]), (bytes("{user.name}{n}"), "a b41")] {
            let template = Template::read(&source, Use::Publish, &BTreeMap::new(), &mut Flaws::default());
            let mut out = Vec::new();
            template.at(&place).write(&SLOTS, &mut out);
            assert_eq!(out, want.replace("\"id\":1", "\"id\":513").as_bytes());
        }
        let path = read(text("/{user.name}?c={cursor}"), Use::Poll).0;
        assert_eq!(path.path_at(&place).write_path(&SLOTS), "/a%20b?c=c%20d");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let flaw = |source, used| {
            let mut flaws = read(source, used).1;
            assert_eq!(flaws.len(), 1);
            let flaw = flaws.remove(0);
            (flaw.message, flaw.part.unwrap())
        };
        let (message, part) = flaw(text("a {paylod} b"), Use::Publish);
        assert_eq!((message.as_str(), part), ("the mark `{paylod}` is not known here", 2..10));
        assert!(flaw(text("{payload}"), Use::Say).0.contains("not known here"));
        assert!(flaw(text("{payload:xml}"), Use::Publish).0.contains("no form `xml`"));
        assert!(flaw(text("{id:u16be}"), Use::Publish).0.contains("this is text"));
        assert!(flaw(bytes("00 {id}"), Use::Publish).0.contains("no width"));
        assert!(flaw(bytes("{id:u12be}"), Use::Publish).0.contains("no form"));
        assert_eq!(flaw(bytes("00 0g"), Use::Publish), ("`g` is no hexadecimal digit".to_owned(), 4..5));
        assert!(flaw(bytes("00 0"), Use::Publish).0.contains("half a byte"));
        assert_eq!(flaw(text("{{payload}}"), Use::Publish).1, 0..2);
        assert_eq!(flaw(text("a {{A.b}}"), Use::Publish).1, 2..4);
        assert_eq!(flaw(text("{user.nam} {other.name}"), Use::Publish).1, 0..10);
        assert!(flaw(bytes("{n:u8}"), Use::Publish).0.contains("no form `u8`"));
    }

    proptest! {
        #[test]
        fn no_template_panics(source in "[{}a-z0-9: \\\\\"ü]{0,40}|.{0,20}", binary: bool, payload: Vec<u8>) {
            let source = if binary { bytes(&source) } else { text(&source) };
            for used in [Use::Say, Use::Publish, Use::Ask, Use::Poll] {
                let (template, flaws) = read(source.clone(), used);
                let slots = Slots { payload: &payload, ..SLOTS };
                template.at(&Place::from("/")).write(&slots, &mut Vec::new());
                for flaw in flaws {
                    let whole = match &source {
                        catalog::Template::Text(text) => text,
                        catalog::Template::Bytes(bytes) => &bytes.hex,
                    };
                    prop_assert!(flaw.part.is_none_or(|part| whole.get(part).is_some()));
                }
            }
        }
    }
}
