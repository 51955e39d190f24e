//! Values per session: what the marks in URLs, headers and payloads stand for.
//!
//! `{room}` and `{session}` are known everywhere; the others are a scenario's own. A text is filled in once for each
//! session, as it opens.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

mod table;
mod text;

pub use table::{Table, TableError};
pub use text::{Mark, Marks, escaped, is_name, marks};

/// The names that need no value of the scenario's.
pub const ROOM: &str = "room";
pub const SESSION: &str = "session";

/// Who a text is filled in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Who {
    /// Its room or topic; its own number where there are none.
    pub room: u32,
    /// Its number in the whole run.
    pub session: u32,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// That number and the session's, added.
    Counter(u64),
    /// A cell of the session's row.
    Table(Table),
}

/// The names of a scenario with what they stand for. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values(Arc<Vec<(String, Source)>>);

impl Values {
    pub fn new(named: Vec<(String, Source)>) -> Values {
        Values(Arc::new(named))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every name that a mark may have.
    pub fn names(&self) -> Vec<String> {
        let own = self.0.iter().flat_map(|(name, source)| match source {
            Source::Counter(_) => vec![name.clone()],
            Source::Table(table) => table.columns().iter().map(|column| format!("{name}.{column}")).collect(),
        });
        [ROOM, SESSION].into_iter().map(str::to_owned).chain(own).collect()
    }

    /// Whether a mark of this name can be filled in.
    pub fn knows(&self, name: &str) -> bool {
        name == ROOM || name == SESSION || self.find(name).is_some()
    }

    /// What `name` stands for to `who`; `None`: nothing has that name.
    pub fn of(&self, name: &str, who: Who) -> Option<Cow<'_, str>> {
        match name {
            ROOM => return Some(who.room.to_string().into()),
            SESSION => return Some(who.session.to_string().into()),
            _ => {}
        }
        match self.find(name)? {
            Found::Counter(from) => Some((from + u64::from(who.session)).to_string().into()),
            Found::Column(table, column) => table.cell(who.session, column).map(Cow::Borrowed),
        }
    }

    /// The texts that a table holds under `name`, each with the number of its row, counted from 1; none for other names.
    pub fn column(&self, name: &str) -> impl Iterator<Item = (u32, &str)> {
        let found = match self.find(name) {
            Some(Found::Column(table, column)) => Some(table.column(column)),
            _ => None,
        };
        found.into_iter().flatten()
    }

    /// Whether `name` begins as the name of a value does, so that it is meant for one.
    pub fn resembles(&self, name: &str) -> bool {
        let first = name.split('.').next();
        self.0.iter().any(|(own, _)| first == Some(own))
    }

    /// Whether each of the first `sessions` has another text under `name`.
    pub fn tells_apart(&self, name: &str, sessions: u32) -> bool {
        match self.find(name) {
            Some(Found::Counter(_)) => true,
            Some(Found::Column(table, column)) => {
                let mut seen = HashSet::new();
                let mut first = table.column(column).take(sessions as usize);
                first.all(|(_, value)| seen.insert(value)) && seen.len() == sessions as usize
            }
            None => name == SESSION,
        }
    }

    /// The first mark in `text`, where marks are [single](Marks::Single), that stands for something that `fits` refuses in some
    /// session, and the number of that row, counted from 1.
    pub fn unfit<'a>(&self, text: &'a str, fits: impl Fn(&str) -> bool) -> Option<(Mark<'a>, u32)> {
        let own = marks(text, Marks::Single).filter(|mark| !mark.is_escaped);
        own.filter_map(|mark| {
            let (row, _) = self.column(mark.name).find(|(_, value)| !fits(value))?;
            Some((mark, row))
        })
        .next()
    }

    /// `text` with its marks filled in for `who`, each value as `write` writes it. A mark that nothing is known of stays.
    pub fn fill<'a>(&self, text: &'a str, kind: Marks, who: Who, write: fn(&str) -> Cow<'_, str>) -> Cow<'a, str> {
        if !text.contains('{') {
            return Cow::Borrowed(text);
        }
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for mark in marks(text, kind) {
            let filled = if mark.is_escaped { None } else { self.of(mark.name, who) };
            out.push_str(&text[at..mark.range.start]);
            match filled {
                Some(value) => out.push_str(&write(&value)),
                None if mark.is_escaped => out.push_str(&text[mark.range.start + 1..mark.range.end - 1]),
                None => out.push_str(&text[mark.range.clone()]),
            }
            at = mark.range.end;
        }
        out.push_str(&text[at..]);
        Cow::Owned(out)
    }

    /// What `sessions` need of them, so that a worker is sent no more than that.
    pub fn only(&self, sessions: impl Iterator<Item = u32> + Clone) -> Values {
        let part = |source: &Source| match source {
            Source::Counter(from) => Source::Counter(*from),
            Source::Table(table) => Source::Table(table.only(sessions.clone())),
        };
        Values::new(self.0.iter().map(|(name, source)| (name.clone(), part(source))).collect())
    }

    fn find(&self, name: &str) -> Option<Found<'_>> {
        let (first, column) = name.split_once('.').map_or((name, None), |(first, column)| (first, Some(column)));
        let (_, source) = self.0.iter().find(|(own, _)| own == first)?;
        match (source, column) {
            (Source::Counter(from), None) => Some(Found::Counter(*from)),
            (Source::Table(table), Some(column)) => {
                let column = table.columns().iter().position(|own| own == column)?;
                Some(Found::Column(table, column))
            }
            (Source::Counter(_), Some(_)) | (Source::Table(_), None) => None,
        }
    }
}

/// What a name leads to.
enum Found<'a> {
    Counter(u64),
    Column(&'a Table, usize),
}

/// A value as it is.
pub fn as_it_is(value: &str) -> Cow<'_, str> {
    Cow::Borrowed(value)
}

/// A value as it may stand anywhere in a URL: all but letters, digits, `-`, `.`, `_` and `~` percent-encoded (RFC 3986 §2.3).
pub fn in_url(value: &str) -> Cow<'_, str> {
    let stays = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if value.bytes().all(stays) {
        return Cow::Borrowed(value);
    }
    let encoded = |b: u8| if stays(b) { (b as char).to_string() } else { format!("%{b:02X}") };
    Cow::Owned(value.bytes().map(encoded).collect())
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(Values::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let table = Table::read("name,token\njoe,a b\nann,\"c,\"\"d\"\n").unwrap();
        Values::new(vec![("user".into(), Source::Table(table)), ("n".into(), Source::Counter(100))])
    }

    fn filled(text: &str, session: u32) -> String {
        values().fill(text, Marks::Single, Who { room: 7, session }, as_it_is).into_owned()
    }

    #[test]
    fn every_mark_is_filled_in_for_its_session() {
        assert_eq!(filled("/{room}/{session}/{user.name}?t={user.token}&n={n}", 3), "/7/3/ann?t=c,\"d&n=103");
        assert_eq!(filled("{user.name}{user.name}", 0), "joejoe");
        assert_eq!(filled("no marks", 0), "no marks");
    }

    #[test]
    fn what_is_no_mark_stays() {
        for text in ["{\"a\":1}", "{}", "{ room }", "{user}", "{n.x}", "{user.none}", "{", "a}", "{1}"] {
            assert_eq!(filled(text, 0), text);
        }
        assert_eq!(filled("{{room}} is {room}", 0), "{room} is 7");
    }

    #[test]
    fn a_payload_has_marks_of_its_own() {
        let who = Who { room: 1, session: 1 };
        let text = "{{\"a\":\"{{user.name}}\",{\"id\":{{n}}}} {room}";
        let want = "{{\"a\":\"ann\",{\"id\":101}} {room}";
        assert_eq!(values().fill(text, Marks::Double, who, as_it_is), want);
    }

    #[test]
    fn a_value_in_a_url_can_not_end_its_part() {
        assert_eq!(in_url("a b/c?d&é"), "a%20b%2Fc%3Fd%26%C3%A9");
        assert_eq!(in_url("joe-1.x_~"), "joe-1.x_~");
    }

    #[test]
    fn a_part_has_the_rows_of_its_sessions_and_travels() {
        let rows: String = (0..10).map(|n| format!("name-{n}\n")).collect();
        let table = Table::read(&format!("name\n{rows}")).unwrap();
        let all = Values::new(vec![("user".into(), Source::Table(table)), ("n".into(), Source::Counter(5))]);
        let part = all.only([3, 13, 24].into_iter());
        let sent = serde_json::to_string(&part).unwrap();
        assert!(sent.contains("name-3") && sent.contains("name-4") && !sent.contains("name-5"), "{sent}");
        let part: Values = serde_json::from_str(&sent).unwrap();
        for session in [3, 13, 24] {
            let who = Who { room: 0, session };
            assert_eq!(part.of("user.name", who), all.of("user.name", who));
            assert_eq!(part.of("n", who).unwrap(), (5 + session).to_string());
        }
        assert_eq!(part.of("user.name", Who { room: 0, session: 5 }), None);
    }

    #[test]
    fn names_are_known_or_not() {
        let values = values();
        assert_eq!(values.names(), ["room", "session", "user.name", "user.token", "n"]);
        assert!(values.names().iter().all(|name| values.knows(name)));
        assert!(!values.knows("user") && !values.knows("n.name") && !values.knows("tag"));
        assert_eq!(values.column("user.name").collect::<Vec<_>>(), [(1, "joe"), (2, "ann")]);
        assert_eq!(values.column("n").count(), 0);
        assert!(values.resembles("user.nam") && values.resembles("n") && !values.resembles("use.name"));
    }

    #[test]
    fn a_value_tells_sessions_apart_while_there_are_rows() {
        let apart = |name: &str, sessions| values().tells_apart(name, sessions);
        assert!(apart("session", 9) && apart("n", 9) && !apart("room", 1) && !apart("none", 1));
        assert!(apart("user.name", 2) && !apart("user.name", 3));
        let same = Values::new(vec![("t".into(), Source::Table(Table::read("a\nx\nx\n").unwrap()))]);
        assert!(same.tells_apart("t.a", 1) && !same.tells_apart("t.a", 2));
    }

    #[test]
    fn what_does_not_fit_is_found_with_its_row() {
        let values = values();
        let unfit = |text: &'static str| values.unfit(text, |value| !value.contains(' ')).map(|(m, row)| (m.name, row));
        assert_eq!(unfit("{n}{user.name}{user.token}{user.token}"), Some(("user.token", 1)));
        assert_eq!(unfit("{{user.token}}{user.name}{room}"), None);
    }
}
