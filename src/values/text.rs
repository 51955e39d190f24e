//! Marks in a text: `{name}` where whole texts are a person's own, `{{name}}` in payloads, which are full of braces.

use std::ops::Range;

/// How a text marks what is to be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// `{name}`; `{{name}}` stands for the text `{name}`.
    Single,
    /// `{{name}}`.
    Double,
}

/// A mark, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark<'a> {
    pub name: &'a str,
    /// With its braces, bytes.
    pub range: Range<usize>,
    /// It stands for itself without its outer braces.
    pub is_escaped: bool,
}

/// What in `text` looks like a mark. Braces around anything but a [name](is_name) are just braces.
pub fn marks(text: &str, kind: Marks) -> impl Iterator<Item = Mark<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + text[at..].find('{')?;
            at = start + 1;
            let doubled = name_at(&text[start..], "{{", "}}");
            let found = match kind {
                Marks::Double => doubled.map(|name| (name, 2, false)),
                Marks::Single => {
                    let escaped = doubled.map(|name| (name, 2, true));
                    escaped.or_else(|| name_at(&text[start..], "{", "}").map(|name| (name, 1, false)))
                }
            };
            if let Some((name, braces, is_escaped)) = found {
                at = start + name.len() + 2 * braces;
                return Some(Mark { name, range: start..at, is_escaped });
            }
        }
    })
}

/// The name that `text` begins with, between `open` and `close`.
fn name_at<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inside = text.strip_prefix(open)?;
    let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)))?;
    let name = &inside[..end];
    (is_name(name) && inside[end..].starts_with(close)).then_some(name)
}

/// Whether a mark may have this name: words of letters, digits, `_` and `-`, with dots between them, the first beginning
/// with a letter.
pub fn is_name(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.split('.').all(is_word)
}

/// `text` so that what looks like a mark in it is none, where marks are [single](Marks::Single).
pub fn escaped(text: &str) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (start, _) in text.match_indices('{') {
        if let Some(name) = name_at(&text[start..], "{", "}") {
            let end = start + name.len() + 2;
            out.push_str(&text[at..start]);
            out.push_str(&format!("{{{{{name}}}}}"));
            at = end;
        }
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Values, Who, as_it_is};
    use proptest::prelude::*;

    fn names(text: &str, kind: Marks) -> Vec<&str> {
        marks(text, kind).filter(|mark| !mark.is_escaped).map(|mark| mark.name).collect()
    }

    #[test]
    fn names_are_words_with_dots() {
        assert_eq!(names("{a}{b.c-d}{_}{a..b}{1}{x y}{é}{z", Marks::Single), ["a", "b.c-d"]);
        assert_eq!(names("{a}{{b}}{{{c}}}{{d}", Marks::Double), ["b", "c"]);
        assert_eq!(names("{a}{{b}}", Marks::Single), ["a"]);
        let only: Vec<Mark> = marks("x{a}", Marks::Single).collect();
        assert_eq!(only, [Mark { name: "a", range: 1..4, is_escaped: false }]);
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_filled_in_with_itself(text in "([{}a.]|room|é){0,20}") {
            let filled = Values::default();
            let back = escaped(&text);
            let who = Who { room: 7, session: 7 };
            prop_assert_eq!(filled.fill(&back, Marks::Single, who, as_it_is).into_owned(), text);
        }
    }
}
