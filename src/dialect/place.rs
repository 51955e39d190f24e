//! Where a session stands, and what marks stand for there.

use crate::values::{Marks, Values, Who, as_it_is, in_url};
use std::borrow::Cow;

/// What a session joins, and which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path and query, such as `/room/7`; of a URL with its marks filled in.
    pub path: String,
    /// Its room or topic.
    pub room: u32,
    /// Its number over all workers.
    pub session: u32,
    /// It only publishes: what comes is nobody's.
    pub is_publisher: bool,
    /// What the scenario's own marks stand for.
    pub values: Values,
}

impl Place {
    /// `text` with its marks filled in: `{room}`, `{session}` and those of the scenario.
    pub fn fill(&self, text: &str) -> String {
        self.values.fill(text, Marks::Single, self.who(), as_it_is).into_owned()
    }

    /// The same of a path or a query, where values are percent-encoded.
    pub fn fill_path(&self, text: &str) -> String {
        self.values.fill(text, Marks::Single, self.who(), in_url).into_owned()
    }

    /// The same of a part of a payload, where marks are `{{room}}`.
    pub fn fill_payload<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.values.fill(text, Marks::Double, self.who(), as_it_is)
    }

    /// What the mark `name` stands for; `None`: nothing has that name.
    pub fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.values.of(name, self.who())
    }

    fn who(&self) -> Who {
        Who { room: self.room, session: self.session }
    }
}

/// A place that has nothing but a path.
impl From<&str> for Place {
    fn from(path: &str) -> Place {
        Place { path: path.to_owned(), room: 0, session: 0, is_publisher: false, values: Values::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Source, Table};

    #[test]
    fn marks_are_filled_in_as_it_suits_where_they_stand() {
        let table = Table::read("name\na/b\nc d\n").unwrap();
        let values = Values::new(vec![("user".into(), Source::Table(table)), ("n".into(), Source::Counter(5))]);
        let place = Place { room: 2, session: 3, values, ..Place::from("/") };
        assert_eq!(place.fill("{room}.{session}.{n} {user.name} {payload}"), "2.3.8 c d {payload}");
        assert_eq!(place.fill_path("/{room}/{user.name}?n={n}"), "/2/c%20d?n=8");
        assert_eq!(place.fill_payload("{room}{{user.name}}"), "{room}c d");
        assert_eq!((place.value("user.name").as_deref(), place.value("user")), (Some("c d"), None));
    }
}
