//! `[values]` read, and every mark in URLs, headers, credentials and templates held against it.

use crate::catalog::TargetUrl;
use crate::scenario::{self, At, Named, Place, Problem, Source, Value};
use crate::units::ByteSize;
use crate::values::{self, Marks, ROOM, SESSION, Table, Values, Who, escaped, is_name};
use std::path::Path;

/// Names of a payload's own marks.
const OF_PAYLOADS: [&str; 2] = ["tag", "fill"];
/// The largest file of values.
const LARGEST: ByteSize = ByteSize(64 << 20);
/// Numbers of sessions, publishers included, have at most so many digits.
const MOST_DIGITS: u64 = 7;

/// Reads what the scenario names. Files stand beside it.
pub(super) fn read(named: &Named<Value>, source: &Source, problems: &mut Vec<Problem>) -> Values {
    let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for (name, value) in &named.0 {
        if !is_name(name) || name.contains('.') {
            let hint = "letters, digits, `_` and `-`, the first a letter";
            problems.push(Problem::at(name, format!("`{}` can't name a value", name.value)).hint(hint));
        } else if [ROOM, SESSION].iter().chain(&OF_PAYLOADS).any(|own| *own == name.value) {
            let problem = Problem::at(name, format!("`{}` has a meaning of its own", name.value));
            problems.push(problem.hint("choose another name"));
        }
        match value {
            Value::Counter(from) => found.push((name.value.clone(), values::Source::Counter(from.value))),
            Value::Csv(file) => match table(&folder.join(&file.value)) {
                Ok(table) => found.push((name.value.clone(), values::Source::Table(table))),
                Err(problem) => problems.push(Problem::at(file, format!("{}: {problem}", file.value))),
            },
        }
    }
    Values::new(found)
}

fn table(path: &Path) -> Result<Table, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LARGEST.0 {
        return Err(format!("it has {}, and {LARGEST} are the most", ByteSize(size)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Table::read(&text).map_err(|error| error.to_string())
}

/// Where marks may stand, and what that asks of what they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Path and query: values are percent-encoded.
    Url,
    /// A header: visible characters, with spaces between them.
    Header,
    /// User and password, as base64.
    Credentials,
    /// A payload, with marks of its own beside.
    Template,
}

impl Use {
    fn marks(self) -> Marks {
        if self == Use::Template { Marks::Double } else { Marks::Single }
    }

    fn takes(self, value: &str) -> bool {
        self != Use::Header || is_header_value(value)
    }
}

/// Whether a header can have this value (RFC 9110 §5.5).
pub(super) fn is_header_value(text: &str) -> bool {
    let inside = |b: u8| (b' '..=b'~').contains(&b) || b == b'\t';
    text.bytes().all(inside) && text.trim() == text
}

/// What is known of marks, and what was found wrong with them.
pub(super) struct Check<'a> {
    pub values: &'a Values,
    pub source: &'a Source,
    pub problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    /// Every mark in `text`, which stands at `place`, is known and can be used there.
    pub(super) fn text(&mut self, text: &str, place: &Place, of: Use) {
        let is_own = |name: &str| of == Use::Template && OF_PAYLOADS.contains(&name);
        for mark in values::marks(text, of.marks()).filter(|mark| !mark.is_escaped && !is_own(mark.name)) {
            let said = &text[mark.range.clone()];
            if !self.values.knows(mark.name) {
                let own = if of == Use::Template { OF_PAYLOADS.as_slice() } else { &[] };
                let known: Vec<String> = own.iter().map(|name| (*name).to_owned()).chain(self.values.names()).collect();
                let hint = scenario::hint(mark.name, "known names", known.iter().map(String::as_str));
                let problem = Problem::new(&self.inside(place, said), format!("nothing is known of `{said}`"));
                self.problems.push(problem.hint(hint));
            } else if let Some((row, _)) = self.values.column(mark.name).find(|(_, value)| !of.takes(value)) {
                let message = format!("row {row} of `{}` can't be sent in a header", mark.name);
                self.problems.push(Problem::new(&self.inside(place, said), message));
            }
        }
    }

    /// A URL's marks stand behind its host.
    pub(super) fn url(&mut self, url: &At<TargetUrl>) {
        let place = url.socket.as_deref().unwrap_or(&url.host);
        if let Some(mark) = values::marks(place, Marks::Single).next() {
            let said = &place[mark.range];
            let problem = Problem::new(&self.inside(&url.place, said), format!("`{said}` stands before the path"));
            self.problems.push(problem.hint("a target has one address; `host` sends another name for each session"));
        }
        self.text(&url.path, &url.place, Use::Url);
    }

    /// `text` with each `${NAME}` replaced by that variable of the environment.
    pub(super) fn with_environment(&mut self, text: &str, place: &Place) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some((before, variable)) = rest.split_once("${") {
            let Some((name, after)) = variable.split_once('}') else { break };
            out += before;
            match std::env::var(name) {
                Ok(value) => out += &escaped(&value),
                Err(error) => {
                    let why = match error {
                        std::env::VarError::NotPresent => "is not set",
                        std::env::VarError::NotUnicode(_) => "is no UTF-8",
                    };
                    let said = format!("${{{name}}}");
                    let message = format!("the environment's variable `{name}` {why}");
                    self.problems.push(Problem::new(&self.inside(place, &said), message));
                }
            }
            rest = after;
        }
        out + rest
    }

    /// Where `said` stands in what stands at `place`, if that can be looked at.
    fn inside(&self, place: &Place, said: &str) -> Place {
        let Place::File(span) = place else { return place.clone() };
        let at = self.source.text.get(span.clone()).and_then(|text| text.find(said));
        at.map_or(place.clone(), |at| Place::File(span.start + at..span.start + at + said.len()))
    }
}

/// Bytes of the values in a text, in whatever session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lengths {
    pub least: u64,
    pub most: u64,
    /// Of the marks that they stand for.
    pub of_marks: u64,
}

/// `None`: it has none.
pub(super) fn lengths(text: &str, kind: Marks, values: &Values) -> Option<Lengths> {
    let mut sum = Lengths::default();
    for mark in values::marks(text, kind).filter(|mark| !OF_PAYLOADS.contains(&mark.name)) {
        let lengths = || values.column(mark.name).map(|(_, value)| value.len() as u64);
        let (least, most) = match lengths().min().zip(lengths().max()) {
            Some(bounds) => bounds,
            None => {
                let first = values.of(mark.name, Who::default()).map_or(0, |first| first.len() as u64);
                (first, MOST_DIGITS.max(first + 1))
            }
        };
        sum.least += least;
        sum.most += most;
        sum.of_marks += mark.range.len() as u64;
    }
    (sum.of_marks > 0).then_some(sum)
}

/// Whether a value that `template` holds has `c` in it.
pub(super) fn hold(template: &str, values: &Values, c: char) -> bool {
    values::marks(template, Marks::Double).any(|mark| values.column(mark.name).any(|(_, value)| value.contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Cell, Overrides, Plan, build, values_of_worker};
    use crate::scenario;

    fn plan(rest: &str) -> Plan {
        let text = format!(
            "[workload.echo]\n[load]\nrate = \"1/s\"\nduration = \"2s\"\nsessions = 10\nworkers = 2\n\
             [values]\nuser = {{ csv = \"users.csv\" }}\nn = {{ counter = 95 }}\n{rest}"
        );
        let scenario =
            scenario::parse("tests/fixtures/t.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)))
    }

    #[test]
    fn a_cell_has_the_values_and_a_worker_its_own_alone() {
        let cell: &Cell = &plan("[transports.tcp]").cells[0];
        let name = |values: &Values, session| values.of("user.name", Who { room: 0, session }).map(|v| v.into_owned());
        // Two rows, two workers: each has the sessions of one row.
        let mine = values_of_worker(cell, 1, 2);
        for session in 0..10 {
            let whole = name(&cell.values, session);
            assert_eq!(whole.as_deref(), Some(["ann", "joe"][session as usize % 2]));
            assert_eq!(name(&mine, session), whole.filter(|_| session % 2 == 1));
        }
    }

    #[test]
    fn a_template_is_as_long_as_its_values_let_it_be() {
        let values = plan("[transports.tcp]").cells[0].values.clone();
        let of = |template: &str| lengths(template, Marks::Double, &values);
        assert_eq!(of("{{tag}}{{fill}}{{"), None);
        assert_eq!(of("{{user.token}}{{tag}}"), Some(Lengths { least: 3, most: 3, of_marks: 14 }));
        assert_eq!(of("{{tag}}{{n}}{{session}}"), Some(Lengths { least: 3, most: 14, of_marks: 16 }));
    }

    #[test]
    fn a_line_feed_in_a_value_is_found() {
        let table = Table::read("a\n\"x\ny\"\n").unwrap();
        let values = Values::new(vec![("t".into(), values::Source::Table(table))]);
        assert!(hold("{{tag}}{{t.a}}", &values, '\n') && !hold("{{tag}}", &values, '\n'));
    }
}
