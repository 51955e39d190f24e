//! A table of a type that knows no places, with the place of everything in it: for settings that travel as they are
//! written, and are checked by whoever understands them.

use super::at::Place;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;

/// A value and where its parts stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed<T> {
    pub value: T,
    /// By path, such as `http.poll.path` or `answers.0.when`; the whole by the empty one.
    places: Places,
}

/// Where something stands, and what it is if it is text.
type Places = BTreeMap<String, (Range<usize>, Option<String>)>;

impl<T> Placed<T> {
    /// Where `path` stands; if it isn't there, what it would be a part of.
    pub fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some((span, _)) = self.places.get(path) {
                return Place::File(span.clone());
            }
            path = match path.rsplit_once('.') {
                Some((outer, _)) => outer,
                None if path.is_empty() => return Place::Default,
                None => "",
            };
        }
    }

    /// A part of the text that stands at `path`, by its bytes; `None`: all of it.
    pub fn text_place(&self, path: &str, part: Option<Range<usize>>) -> Place {
        match (self.place(path), part) {
            (place, None) => place,
            (place, Some(part)) => match self.places.get(path) {
                Some((_, Some(text))) => place.inside(text, &part),
                _ => place,
            },
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let tree = Spanned::<Tree>::deserialize(from)?;
        let mut places = BTreeMap::new();
        let json = flatten(tree, String::new(), &mut places);
        let value = T::deserialize(json).map_err(D::Error::custom)?;
        Ok(Placed { value, places })
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Whatever TOML can hold, each part with its place.
enum Tree {
    Leaf(Json),
    List(Vec<Spanned<Tree>>),
    Table(Vec<(String, Spanned<Tree>)>),
}

fn flatten(tree: Spanned<Tree>, path: String, places: &mut Places) -> Json {
    let span = tree.span();
    let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut text = None;
    let json = match tree.into_inner() {
        Tree::Leaf(json) => {
            text = json.as_str().map(str::to_owned);
            json
        }
        Tree::List(list) => {
            let items = list.into_iter().enumerate();
            Json::Array(items.map(|(n, item)| flatten(item, inner(&n.to_string()), places)).collect())
        }
        Tree::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let value = flatten(value, inner(&key), places);
                (key, value)
            });
            Json::Object(entries.collect::<Map<_, _>>())
        }
    };
    places.insert(path, (span, text));
    json
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Anything;

        impl<'de> Visitor<'de> for Anything {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("text, a number, true or false, a list or a table")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Tree::Table(entries))
            }
        }
        from.deserialize_any(Anything)
    }
}
