//! `payload = …`: a size, a range of sizes, or a list of sizes with weights.

use super::at::At;
use crate::units::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;

/// Size of a whole payload.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Every payload has this size.
    Fixed(ByteSize),
    /// Sizes spread evenly over a range.
    Between(Between),
    /// Sizes drawn by their weights.
    Weighted(Vec<Weighted>),
}

/// Sizes spread evenly from `min` to `max`, both included.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// Smallest size.
    pub min: At<ByteSize>,
    /// Largest size.
    pub max: At<ByteSize>,
}

/// A size and how often it is drawn.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// The size.
    pub size: At<ByteSize>,
    /// How often it is drawn, in proportion to the other weights.
    pub weight: At<NonZeroU32>,
}

/// By hand, since an untagged enum would lose the places of what is inside.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AnyForm;

        impl<'de> Visitor<'de> for AnyForm {
            type Value = Payload;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a size, a range of sizes or a list of sizes with weights")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Payload, E> {
                text.parse().map(Payload::Fixed).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Payload, A::Error> {
                Between::deserialize(MapAccessDeserializer::new(map)).map(Payload::Between)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Payload, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Payload::Weighted)
            }
        }
        from.deserialize_any(AnyForm)
    }
}

impl JsonSchema for Payload {
    fn schema_name() -> Cow<'static, str> {
        "Payload".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [
            generator.subschema_for::<ByteSize>(),
            generator.subschema_for::<Between>(),
            generator.subschema_for::<Vec<Weighted>>(),
        ] })
    }
}
