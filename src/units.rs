//! Quantities as people write them: `250ms`, `64KiB`, `2k/s`.
//!
//! Each type parses from text, prints itself back exactly (the printed text parses to the same value) and travels
//! through serde as that text, so a scenario, a saved plan and a report all show one spelling.

use std::{fmt, str::FromStr, time::Duration};

/// What was wrong with the text of a quantity, and what would have been right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text:?} is not a {what}; write {example}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    example: &'static str,
}

impl UnitError {
    /// `text` is no `what`; `example` shows how one is written.
    pub fn new(text: &str, what: &'static str, example: &'static str) -> UnitError {
        UnitError { text: text.to_owned(), what, example }
    }
}

/// A length of time, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub Duration);

/// An amount of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

/// Events per second; finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Rate(f64);

impl Span {
    pub const ZERO: Span = Span(Duration::ZERO);

    pub const fn from_millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// The length in nanoseconds; spans are parsed to fit.
    pub fn nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Rate {
    /// `None` unless `per_second` is finite and not negative.
    pub fn new(per_second: f64) -> Option<Rate> {
        (per_second.is_finite() && per_second >= 0.0).then_some(Rate(per_second))
    }

    pub fn per_second(self) -> f64 {
        self.0
    }
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Share(f64);

impl Share {
    /// `None` unless from 0 to 1.
    pub fn new(part: f64) -> Option<Share> {
        (0.0..=1.0).contains(&part).then_some(Share(part))
    }

    pub fn part(self) -> f64 {
        self.0
    }
}

const NANOS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
const BYTES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Splits `12.5ms` into its number and its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let value = number * *factor as f64;
    (value < 9.0e18).then_some(value.round() as u64)
}

/// The largest unit that divides the value, so that printing loses nothing.
fn exact(value: u64, units: &[(&str, u64)]) -> String {
    let (name, factor) = units
        .iter()
        .filter(|(_, f)| value != 0 && value.is_multiple_of(*f))
        .max_by_key(|(_, f)| *f)
        .unwrap_or(&units[units.len() - 1]);
    format!("{}{name}", value / factor)
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Span, UnitError> {
        let plain = text.replace('µ', "u");
        if plain.trim() == "0" {
            return Ok(Span::ZERO);
        }
        scaled(&plain, &NANOS).map(|n| Span(Duration::from_nanos(n))).ok_or(UnitError {
            text: text.to_owned(),
            what: "duration",
            example: "a number and a unit, such as 250ms, 1.5s or 2m (ns, us, ms, s, m, h)",
        })
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<ByteSize, UnitError> {
        scaled(text, &BYTES).map(ByteSize).ok_or(UnitError {
            text: text.to_owned(),
            what: "size",
            example: "a number and a unit, such as 128B, 64KiB or 1MB",
        })
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Rate, UnitError> {
        let error = || UnitError {
            text: text.to_owned(),
            what: "rate",
            example: "a number a second or a minute, such as 500/s, 2k/s or 90/m",
        };
        let (amount, per) = text.split_once('/').unwrap_or((text, "s"));
        let (number, unit) = split(amount).ok_or_else(error)?;
        let factor = match unit {
            "" => 1.0,
            "k" => 1e3,
            "M" => 1e6,
            _ => return Err(error()),
        };
        let seconds = match per.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(error()),
        };
        Rate::new(number * factor / seconds).ok_or_else(error)
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Share, UnitError> {
        let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
        let scale = if number.len() < text.trim().len() { 100.0 } else { 1.0 };
        let part = number.parse::<f64>().ok().and_then(|n| Share::new(n / scale));
        part.ok_or_else(|| UnitError::new(text, "share", "a part of the whole, such as 5% or 0.05"))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let percent = self.0 * 100.0;
        match percent / 100.0 == self.0 {
            true => write!(f, "{percent}%"),
            false => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // Minutes and hours read worse than seconds for what a benchmark sets, up to two minutes.
        let units = if self.nanos() <= 120_000_000_000 { &NANOS[2..] } else { &NANOS[..] };
        f.write_str(&exact(self.nanos(), units).replace("0ns", if self.nanos() == 0 { "0s" } else { "0ns" }))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&exact(self.0, &BYTES))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            r if r >= 1e6 && r % 1e5 == 0.0 => write!(f, "{}M/s", r / 1e6),
            r if r >= 1e4 && r % 100.0 == 0.0 => write!(f, "{}k/s", r / 1e3),
            r => write!(f, "{r}/s"),
        }
    }
}

/// Serialises types by the text that people write for them.
macro_rules! text_serde {
    ($($type:ident: $unit:literal, $example:literal;)*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                // `x-unit` tells the scenario's reader which type's parser judges the text.
                schemars::json_schema!({ "type": "string", "x-unit": $unit, "examples": [$example] })
            }
        }
    )*};
}
text_serde! {
    Span: "duration", "250ms";
    ByteSize: "size", "128B";
    Rate: "rate", "500/s";
    Share: "share", "5%";
}
pub(crate) use text_serde;

/// Nanoseconds for a reader: three significant digits and a fitting unit (`42.0 µs`, `1.23 ms`).
pub fn show_nanos(nanos: f64) -> String {
    let (value, unit) = match nanos.abs() {
        n if n < 1e3 => (nanos, "ns"),
        n if n < 1e6 => (nanos / 1e3, "µs"),
        n if n < 1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// Bytes for a reader (`97 B`, `12.3 KiB`).
pub fn show_bytes(bytes: f64) -> String {
    match bytes.abs() {
        b if b < 1024.0 => format!("{} B", three_digits(bytes)),
        b if b < 1048576.0 => format!("{} KiB", three_digits(bytes / 1024.0)),
        _ => format!("{} MiB", three_digits(bytes / 1048576.0)),
    }
}

/// Three significant digits, never in exponent form.
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("250ms".parse::<Span>().unwrap(), Span::from_millis(250));
        assert_eq!("1.5 s".parse::<Span>().unwrap(), Span::from_millis(1500));
        assert_eq!("50µs".parse::<Span>().unwrap().nanos(), 50_000);
        assert_eq!("64KiB".parse::<ByteSize>().unwrap(), ByteSize(65536));
        assert_eq!("1MB".parse::<ByteSize>().unwrap(), ByteSize(1_000_000));
        assert_eq!("2k/s".parse::<Rate>().unwrap().per_second(), 2000.0);
        assert_eq!("90/m".parse::<Rate>().unwrap().per_second(), 1.5);
        assert_eq!("5%".parse::<Share>().unwrap(), Share::new(0.05).unwrap());
        assert_eq!("0.05".parse::<Share>().unwrap().to_string(), "5%");
        assert_eq!("10k".parse::<Rate>().unwrap().per_second(), 10_000.0);
    }

    #[test]
    fn refuses_with_an_example() {
        for bad in ["", "fast", "10", "10 parsecs", "-1s", "1e30h"] {
            let error = bad.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains("250ms"), "{error}");
        }
        assert!("12".parse::<ByteSize>().is_err());
        assert!("101%".parse::<Share>().is_err() && "-1%".parse::<Share>().is_err() && "NaN".parse::<Share>().is_err());
        assert!("5/fortnight".parse::<Rate>().is_err());
        assert!(Rate::new(f64::NAN).is_none());
    }

    #[test]
    fn shows_three_digits() {
        assert_eq!(show_nanos(42_000.0), "42.0 µs");
        assert_eq!(show_nanos(1_234_567.0), "1.23 ms");
        assert_eq!(show_bytes(97.0), "97.0 B");
        assert_eq!(Span::ZERO.to_string(), "0s");
        assert_eq!(Span::from_millis(250).to_string(), "250ms");
    }

    proptest! {
        #[test]
        fn printing_loses_nothing(nanos in 0u64..10_000_000_000_000, bytes in 0u64..1 << 50, rate in 0.0f64..1e7) {
            let span = Span(Duration::from_nanos(nanos));
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>().unwrap(), ByteSize(bytes));
            let rate = Rate::new(rate).unwrap();
            let again = rate.to_string().parse::<Rate>().unwrap();
            prop_assert!((again.per_second() - rate.per_second()).abs() <= 1e-9 * rate.per_second().max(1.0));
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = text.parse::<Span>();
            let _ = text.parse::<ByteSize>();
            let _ = text.parse::<Rate>();
            let _ = text.parse::<Share>();
        }
    }
}
