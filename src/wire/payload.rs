//! Payloads: the tag, then filler of a drawn size; the same bytes on every transport but for the due instant.

use super::{BINARY_LEN, TEXT_LEN, Tag};
use crate::catalog::Format;
use crate::seed;
use crate::units::ByteSize;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Where the tag goes in a template.
pub const TAG_MARK: &str = "{{tag}}";
/// Where the filler goes in a template.
pub const FILL_MARK: &str = "{{fill}}";

/// What payloads look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PayloadSpec {
    pub format: Format,
    pub sizes: Sizes,
    /// Text with `{{tag}}` once, and at most one `{{fill}}` that grows to reach the size. May hold other marks, which
    /// are filled in for each session.
    pub template: Option<String>,
    /// Of a template that does: the least and the most bytes that it takes without filler in any session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<(u64, u64)>,
}

/// The size of a whole payload, bytes, drawn by message id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sizes {
    Fixed(ByteSize),
    Uniform {
        min: ByteSize,
        max: ByteSize,
    },
    /// Size and weight.
    Weighted(Vec<(ByteSize, u32)>),
}

impl Sizes {
    /// Smallest and largest size that can be drawn, bytes.
    pub fn range(&self) -> (u64, u64) {
        match self {
            Sizes::Fixed(size) => (size.0, size.0),
            Sizes::Uniform { min, max } => (min.0, max.0),
            Sizes::Weighted(list) => {
                let sizes = || list.iter().map(|(size, _)| size.0);
                (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0))
            }
        }
    }

    fn draw(&self, seed: u64, id: u64) -> u64 {
        match self {
            Sizes::Fixed(size) => size.0,
            Sizes::Uniform { min, max } => min.0 + seed::pick(seed, id, max.0 - min.0 + 1),
            Sizes::Weighted(list) => {
                let total: u64 = list.iter().map(|(_, weight)| u64::from(*weight)).sum();
                let mut at = seed::pick(seed, id, total.max(1));
                for (size, weight) in list {
                    match at.checked_sub(u64::from(*weight)) {
                        Some(rest) => at = rest,
                        None => return size.0,
                    }
                }
                list.last().map_or(0, |(size, _)| size.0)
            }
        }
    }
}

impl PayloadSpec {
    /// The smallest payload that can hold the tag and the fixed parts of the template in every session, bytes.
    pub fn smallest(&self) -> u64 {
        match (&self.template, self.format) {
            (Some(text), _) => match self.own {
                Some((_, most)) => most,
                None => Parts::of(text).len(),
            },
            (None, Format::Text) => TEXT_LEN as u64,
            (None, Format::Binary) => BINARY_LEN as u64,
        }
    }

    /// Whether filler makes up the size.
    pub fn has_filler(&self) -> bool {
        self.template.as_ref().is_none_or(|text| text.contains(FILL_MARK))
    }

    /// Smallest and largest payload that will be composed, bytes. A template without filler has one length, its own.
    pub fn range(&self) -> (u64, u64) {
        match &self.template {
            Some(_) if !self.has_filler() => self.own.unwrap_or((self.smallest(), self.smallest())),
            _ => self.sizes.range(),
        }
    }
}

/// Writes payloads. Holds a block of filler drawn once from the seed, so that composing copies and never draws.
#[derive(Debug)]
pub struct Composer {
    spec: PayloadSpec,
    seed: u64,
    filler: Vec<u8>,
    parts: Option<Parts>,
}

/// A template's parts around its tag and filler: before, between, after.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    texts: [Box<str>; 3],
    order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    TagOnly,
    TagFirst,
    FillFirst,
}

const FILLER_SPREAD: u64 = 64 * 1024;

impl Composer {
    /// `spec` has been checked by the plan: the sizes hold the tag, and the template has its marks.
    pub fn new(spec: PayloadSpec, seed: u64) -> Composer {
        let mut filler = vec![0u8; (FILLER_SPREAD + spec.range().1) as usize];
        seed::stream(seed::mix(seed, 0xF111)).fill_bytes(&mut filler);
        if spec.format == Format::Text || spec.template.is_some() {
            const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ  ";
            filler.iter_mut().for_each(|b| *b = LETTERS[usize::from(*b & 63)]);
        }
        let parts = spec.template.as_deref().map(Parts::of);
        Composer { spec, seed, filler, parts }
    }

    /// Replaces `out` by the payload of message `tag.id`.
    pub fn compose(&self, tag: &Tag, out: &mut Vec<u8>) {
        self.compose_by(self.parts.as_ref(), tag, out);
    }

    /// The same for a session whose template has these parts.
    pub fn compose_by(&self, parts: Option<&Parts>, tag: &Tag, out: &mut Vec<u8>) {
        out.clear();
        let size = self.spec.sizes.draw(self.seed, tag.id);
        let start = seed::pick(self.seed, tag.id, FILLER_SPREAD) as usize;
        let fill = |used: u64| &self.filler[start..start + size.saturating_sub(used) as usize];
        match (parts, self.spec.format) {
            (Some(parts), _) => {
                let text = tag.encode_text();
                let (first, second): (&[u8], &[u8]) = match parts.order {
                    Order::TagOnly => (&text, &[]),
                    Order::TagFirst => (&text, fill(parts.len())),
                    Order::FillFirst => (fill(parts.len()), &text),
                };
                let [before, between, after] = &parts.texts;
                for part in [before.as_bytes(), first, between.as_bytes(), second, after.as_bytes()] {
                    out.extend_from_slice(part);
                }
            }
            (None, Format::Text) => {
                out.extend_from_slice(&tag.encode_text());
                out.extend_from_slice(fill(TEXT_LEN as u64));
            }
            (None, Format::Binary) => {
                out.extend_from_slice(&tag.encode());
                out.extend_from_slice(fill(BINARY_LEN as u64));
            }
        }
    }

    /// The template's parts as they were written, where each session has its own; `None`: all have the same.
    pub fn unfilled(&self) -> Option<&Parts> {
        self.parts.as_ref().filter(|_| self.spec.own.is_some())
    }

    /// Text or binary, as it goes on the wire.
    pub fn format(&self) -> Format {
        if self.parts.is_some() { Format::Text } else { self.spec.format }
    }
}

impl Parts {
    fn of(template: &str) -> Parts {
        let (before, after) = template.split_once(TAG_MARK).unwrap_or((template, ""));
        let (texts, order) = if let Some((between, after)) = after.split_once(FILL_MARK) {
            ([before, between, after], Order::TagFirst)
        } else if let Some((before, between)) = before.split_once(FILL_MARK) {
            ([before, between, after], Order::FillFirst)
        } else {
            ([before, after, ""], Order::TagOnly)
        };
        Parts { texts: texts.map(Box::from), order }
    }

    /// With what `fill` makes of each of the texts.
    pub fn filled<'a>(&'a self, fill: impl Fn(&'a str) -> Cow<'a, str>) -> Parts {
        let [before, between, after] = &self.texts;
        Parts { texts: [before, between, after].map(|text| fill(text).into_owned().into()), order: self.order }
    }

    /// Bytes without filler.
    fn len(&self) -> u64 {
        (self.texts.iter().map(|text| text.len()).sum::<usize>() + TEXT_LEN) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn composed(spec: PayloadSpec, id: u64) -> Vec<u8> {
        let mut out = Vec::new();
        Composer::new(spec, 7).compose(&Tag { kind: Kind::Message, run: 1, id, due: 9 }, &mut out);
        out
    }

    fn spec(format: Format, sizes: Sizes, template: Option<&str>) -> PayloadSpec {
        PayloadSpec { format, sizes, template: template.map(str::to_owned), own: None }
    }

    #[test]
    fn has_the_asked_size_and_its_tag() {
        for format in [Format::Text, Format::Binary] {
            let payload = composed(spec(format, Sizes::Fixed(ByteSize(128)), None), 3);
            assert_eq!(payload.len(), 128);
            assert_eq!(Tag::find(&payload).unwrap().id, 3);
            assert_eq!(std::str::from_utf8(&payload).is_ok(), format == Format::Text);
        }
    }

    #[test]
    fn a_template_is_kept_and_filled() {
        for template in [r#"{"id":"{{tag}}","text":"{{fill}}"}"#, r#"{"text":"{{fill}}","id":"{{tag}}"}"#] {
            let payload = composed(spec(Format::Text, Sizes::Fixed(ByteSize(100)), Some(template)), 3);
            assert_eq!(payload.len(), 100);
            assert_eq!(Tag::find(&payload).unwrap().id, 3);
            let json: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(json["text"].as_str().unwrap().len(), 100 - (template.len() - 15 + 32));
        }
        let bare = composed(spec(Format::Text, Sizes::Fixed(ByteSize(0)), Some("<{{tag}}>")), 3);
        assert_eq!(bare.len(), 34);
    }

    #[test]
    fn a_session_has_its_own_text_in_a_template_and_the_size_stays() {
        let template = r#"{"user":"{{name}}","id":"{{tag}}","text":"{{fill}}"}"#;
        let spec =
            PayloadSpec { own: Some((66, 99)), ..spec(Format::Text, Sizes::Fixed(ByteSize(120)), Some(template)) };
        assert_eq!((spec.smallest(), spec.range()), (99, (120, 120)));
        let composer = Composer::new(spec, 7);
        let mut out = Vec::new();
        for name in ["jo", "a much longer name than that"] {
            let parts = composer.unfilled().unwrap().filled(|text| text.replace("{{name}}", name).into());
            composer.compose_by(Some(&parts), &Tag { kind: Kind::Message, run: 1, id: 3, due: 9 }, &mut out);
            let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!((out.len(), json["user"].as_str()), (120, Some(name)));
            assert_eq!(Tag::find(&out).unwrap().id, 3);
        }
    }

    #[test]
    fn drawn_sizes_stay_in_range_and_repeat() {
        let uniform = Sizes::Uniform { min: ByteSize(40), max: ByteSize(60) };
        let weighted = Sizes::Weighted(vec![(ByteSize(40), 9), (ByteSize(400), 1)]);
        let mut large = 0;
        for id in 0..2000 {
            assert!((40..=60).contains(&uniform.draw(1, id)));
            assert_eq!(uniform.draw(1, id), uniform.draw(1, id));
            large += u32::from(weighted.draw(1, id) == 400);
        }
        assert!((140..260).contains(&large), "{large}");
    }
}
