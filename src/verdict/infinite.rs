//! Numbers of which some are infinite, which JSON has no word for: `"inf"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One of them as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
enum Word {
    #[serde(rename = "inf")]
    Infinite,
}

impl From<f64> for Written {
    fn from(number: f64) -> Written {
        if number == f64::INFINITY { Written::Word(Word::Infinite) } else { Written::Number(number) }
    }
}

impl From<Written> for f64 {
    fn from(written: Written) -> f64 {
        match written {
            Written::Number(number) => number,
            Written::Word(Word::Infinite) => f64::INFINITY,
        }
    }
}

pub fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    Written::from(*number).serialize(to)
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Written::deserialize(from).map(f64::from)
}

/// The same for a list.
pub mod list {
    use super::*;

    pub fn serialize<S: Serializer>(numbers: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(numbers.iter().map(|number| Written::from(*number)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Written>::deserialize(from)?.into_iter().map(f64::from).collect())
    }
}
