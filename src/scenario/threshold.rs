//! `thresholds = […]`: what must hold of a run; each a text, or a table that says more.

use super::at::At;
use crate::threshold::{Hold, Threshold};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// One threshold, and where its text stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    Text(Threshold),
    Table(Table),
}

/// A threshold that may end the run.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What must hold.
    pub hold: At<Threshold>,
    /// Start no further trial once it is broken? Default: no.
    pub abort: Option<bool>,
}

impl At<Entry> {
    /// The threshold with the place of its text, and what happens when it is broken.
    pub fn said(&self) -> At<Hold> {
        match &self.value {
            Entry::Text(hold) => At { place: self.place.clone(), value: Hold { hold: hold.clone(), abort: false } },
            Entry::Table(table) => At {
                place: table.hold.place.clone(),
                value: Hold { hold: table.hold.value.clone(), abort: table.abort.unwrap_or(false) },
            },
        }
    }
}

/// By hand, since an untagged enum would lose the places of what is inside.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl<'de> Visitor<'de> for EitherForm {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a threshold, or a table with one")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
                text.parse().map(Entry::Text).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(Entry::Table)
            }
        }
        from.deserialize_any(EitherForm)
    }
}

impl JsonSchema for Entry {
    fn schema_name() -> Cow<'static, str> {
        "Entry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [
            generator.subschema_for::<Threshold>(),
            generator.subschema_for::<Table>(),
        ] })
    }
}
