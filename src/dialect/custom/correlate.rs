//! Which message a reply is for: numbers and payloads that lie in a message, and the messages that wait for replies.

use crate::catalog::Encoding;
use crate::wire::Tag;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::bytes::Regex;
use serde_json::Value as Json;
use std::cell::OnceCell;
use std::collections::VecDeque;

/// Of one session, so many messages are remembered that wait for their replies in order.
const MOST_IN_ORDER: usize = 1 << 16;
/// So many messages back a short number is known again.
const MOST_BY_NUMBER: usize = 1024;
/// Longer messages are not read as JSON, bytes: in memory it is many times as long.
const MOST_OF_JSON: usize = 4 << 20;
/// Nobody's ticket: an answer to it answers nothing.
pub(super) const NOBODY: u64 = u64::MAX;

/// A message as it came; read as JSON where somebody wants that.
pub(super) struct Message<'a> {
    pub bytes: &'a [u8],
    json: OnceCell<Option<Json>>,
}

impl<'a> Message<'a> {
    pub fn new(bytes: &'a [u8]) -> Message<'a> {
        Message { bytes, json: OnceCell::new() }
    }

    /// What a JSON pointer leads to.
    pub fn pointed(&self, pointer: &str) -> Option<&Json> {
        self.json()?.pointer(pointer)
    }

    pub fn json(&self) -> Option<&Json> {
        let read = || match self.bytes.len() <= MOST_OF_JSON {
            true => serde_json::from_slice(self.bytes).ok(),
            false => None,
        };
        self.json.get_or_init(read).as_ref()
    }
}

/// What matches, or its first group.
pub(super) fn matched<'a>(regex: &Regex, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let whole = |found: regex::bytes::Captures<'a>| found.get(1).or_else(|| found.get(0)).map(|part| part.as_bytes());
    regex.captures_iter(bytes).filter_map(whole)
}

/// Hands over a JSON value as a payload: text as it is, all else as JSON.
pub(super) fn hand_over(json: &Json, on: &mut dyn FnMut(&[u8])) {
    match json {
        Json::String(text) => on(text.as_bytes()),
        other => on(other.to_string().as_bytes()),
    }
}

/// Where the payloads of a message lie.
#[derive(Debug)]
pub(super) struct Payloads {
    pub place: Spot,
    pub encoded: Option<Encoding>,
}

#[derive(Debug)]
pub(super) enum Spot {
    Pointer(String),
    Regex(Regex),
    /// A number of so many bytes, big endian.
    Bytes {
        at: usize,
        length: usize,
    },
}

impl Payloads {
    /// Hands over each payload; false if there is none.
    pub fn each(&self, message: &Message, on: &mut dyn FnMut(&[u8])) -> bool {
        let mut found = false;
        let mut decoded = |bytes: &[u8]| {
            let whole = match self.encoded {
                None => {
                    found = true;
                    return on(bytes);
                }
                Some(Encoding::Base64) => STANDARD.decode(bytes).ok(),
                Some(Encoding::Hex) => unhex(bytes),
            };
            if let Some(whole) = whole {
                found = true;
                on(&whole);
            }
        };
        match &self.place {
            Spot::Pointer(pointer) => match message.pointed(pointer) {
                Some(Json::Array(list)) => list.iter().for_each(|json| hand_over(json, &mut decoded)),
                Some(Json::Null) | None => {}
                Some(json) => hand_over(json, &mut decoded),
            },
            Spot::Regex(regex) => matched(regex, message.bytes).for_each(decoded),
            Spot::Bytes { .. } => {}
        }
        found
    }
}

impl Spot {
    /// The number that lies here.
    pub fn number(&self, message: &Message) -> Option<u64> {
        match self {
            Spot::Pointer(pointer) => match message.pointed(pointer)? {
                Json::String(text) => text.parse().ok(),
                json => json.as_u64(),
            },
            Spot::Regex(regex) => std::str::from_utf8(matched(regex, message.bytes).next()?).ok()?.parse().ok(),
            Spot::Bytes { at, length } => {
                let bytes = message.bytes.get(*at..at.checked_add(*length)?)?;
                Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
        }
    }
}

fn unhex(bytes: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = bytes.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

/// Messages that wait for their replies in order.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    waiting: VecDeque<u64>,
    /// Of the first of them, so many replies have come.
    came: u32,
    /// Messages behind those that are not remembered by their tickets, and how many replies they still get.
    unnamed: u64,
}

impl InOrder {
    pub fn sent(&mut self, ticket: u64, replies: u32) {
        if self.unnamed > 0 || self.waiting.len() >= MOST_IN_ORDER {
            self.unnamed = self.unnamed.saturating_add(replies.into());
        } else {
            self.waiting.push_back(ticket);
        }
    }

    /// A reply came: the ticket that it is for. `Err`: it is for a message that wasn't remembered. A reply that holds a
    /// tag says by itself what it is for; then whatever waits before that gets none any more.
    pub fn replied(&mut self, payload: &[u8], replies: u32) -> Result<u64, ()> {
        if let Some(tag) = Tag::find(payload) {
            match self.waiting.iter().position(|ticket| *ticket == tag.id) {
                Some(0) => {}
                Some(at) => {
                    self.waiting.drain(..at);
                    self.came = 0;
                }
                None => return Ok(tag.id),
            }
        }
        let Some(first) = self.waiting.front().copied() else {
            return match self.unnamed.checked_sub(1) {
                Some(left) => {
                    self.unnamed = left;
                    Err(())
                }
                None => Ok(NOBODY),
            };
        };
        self.came += 1;
        if self.came >= replies {
            self.came = 0;
            self.waiting.pop_front();
        }
        Ok(first)
    }
}

/// Messages by short numbers, which a session counts by itself and which begin again.
#[derive(Debug, Default)]
pub(super) struct ByNumber {
    /// Tickets of the latest messages, oldest first.
    tickets: VecDeque<u64>,
    /// The next number.
    next: u64,
}

impl ByNumber {
    /// Gives a message its number, of `length` bytes.
    pub fn sent(&mut self, ticket: u64, length: usize) -> u64 {
        if self.tickets.len() >= MOST_BY_NUMBER.min(span(length)) {
            self.tickets.pop_front();
        }
        self.tickets.push_back(ticket);
        let number = self.next;
        self.next = (number + 1) % span(length) as u64;
        number
    }

    /// The ticket of the latest message with this number.
    pub fn ticket(&self, number: u64, length: usize) -> Option<u64> {
        let span = span(length) as u64;
        let back = (self.next + span).checked_sub(number.min(span) + 1)? % span + 1;
        let at = self.tickets.len().checked_sub(usize::try_from(back).ok()?)?;
        self.tickets.get(at).copied().filter(|_| number < span)
    }
}

/// How many numbers have so many bytes; at most 3, as longer ones are tickets themselves.
fn span(length: usize) -> usize {
    1 << (8 * length.min(3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Kind;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn regex(text: &str) -> Regex {
        Regex::new(text).unwrap()
    }

    fn payloads(place: Spot, encoded: Option<Encoding>, message: &str) -> Vec<String> {
        let mut found = Vec::new();
        let each = Payloads { place, encoded };
        let any = each.each(&Message::new(message.as_bytes()), &mut |p| found.push(String::from_utf8_lossy(p).into()));
        assert_eq!(any, !found.is_empty());
        found
    }

    #[test]
    fn payloads_lie_where_they_are_said_to() {
        let pointer = |to: &str| Spot::Pointer(to.to_owned());
        assert_eq!(payloads(pointer("/m/text"), None, r#"{"m":{"text":"a\"b"}}"#), ["a\"b"]);
        assert_eq!(payloads(pointer("/m"), None, r#"{"m":["a",{"b":1},7]}"#), ["a", r#"{"b":1}"#, "7"]);
        assert_eq!(payloads(pointer("/x"), None, r#"{"m":1}"#), [] as [&str; 0]);
        assert_eq!(payloads(pointer("/m"), None, "no JSON"), [] as [&str; 0]);
        assert_eq!(payloads(Spot::Regex(regex("\"([^\"]*)\"")), None, r#"a["m1","m2"]"#), ["m1", "m2"]);
        assert_eq!(payloads(pointer("/m"), Some(Encoding::Base64), r#"{"m":["YWI=","*"]}"#), ["ab"]);
        assert_eq!(payloads(Spot::Regex(regex("[0-9a-f]+")), Some(Encoding::Hex), "6162 6g 616"), ["ab"]);
    }

    #[test]
    fn json_that_is_too_long_is_not_read() {
        let list = |entries: usize| format!("[{}0]", "0,".repeat(entries));
        assert!(Message::new(list(MOST_OF_JSON / 2 - 2).as_bytes()).json().is_some());
        assert!(Message::new(list(MOST_OF_JSON / 2).as_bytes()).json().is_none());
    }

    #[test]
    fn numbers_lie_where_they_are_said_to() {
        let number = |place: Spot, message: &[u8]| place.number(&Message::new(message));
        assert_eq!(number(Spot::Pointer("/id".to_owned()), br#"{"id":7}"#), Some(7));
        assert_eq!(number(Spot::Pointer("/id".to_owned()), br#"{"id":"7"}"#), Some(7));
        assert_eq!(number(Spot::Pointer("/id".to_owned()), br#"{"id":-7}"#), None);
        assert_eq!(number(Spot::Regex(regex("id=([0-9]+)")), b"x id=42;"), Some(42));
        assert_eq!(number(Spot::Bytes { at: 1, length: 2 }, &[9, 1, 2, 9]), Some(258));
        assert_eq!(number(Spot::Bytes { at: 3, length: 2 }, &[9, 1, 2, 9]), None);
        assert_eq!(number(Spot::Bytes { at: usize::MAX, length: 2 }, &[9]), None);
    }

    #[test]
    fn replies_in_order_are_for_the_oldest() {
        let mut sent = InOrder::default();
        [5, 9, 12].into_iter().for_each(|ticket| sent.sent(ticket, 2));
        let replies: Vec<_> = (0..7).map(|_| sent.replied(b"+OK", 2).unwrap()).collect();
        assert_eq!(replies, [5, 5, 9, 9, 12, 12, NOBODY]);
    }

    #[test]
    fn a_tag_sets_the_order_right_again() {
        let mut sent = InOrder::default();
        (0..5).for_each(|ticket| sent.sent(ticket, 1));
        let tag = |id| Tag { kind: Kind::Message, run: 1, id, due: 0 }.encode_text();
        assert_eq!(sent.replied(&tag(0), 1), Ok(0));
        // Nobody answers 1.
        assert_eq!(sent.replied(&tag(2), 1), Ok(2));
        assert_eq!(sent.replied(b"untold", 1), Ok(3));
        assert_eq!((sent.replied(&tag(2), 1), sent.replied(b"untold", 1)), (Ok(2), Ok(4)));
    }

    #[test]
    fn what_is_too_much_to_remember_keeps_the_order() {
        let mut sent = InOrder::default();
        let most = MOST_IN_ORDER as u64;
        (0..most + 2).for_each(|ticket| sent.sent(ticket, 1));
        assert_eq!((sent.replied(b"", 1), sent.waiting.len()), (Ok(0), MOST_IN_ORDER - 1));
        sent.sent(most + 2, 1);
        let replies: Vec<_> = (1..most + 3).map(|_| sent.replied(b"", 1)).collect();
        assert_eq!(replies[..MOST_IN_ORDER - 1], (1..most).map(Ok).collect::<Vec<_>>());
        assert_eq!(replies[MOST_IN_ORDER - 1..], [Err(()); 3]);
        sent.sent(most + 3, 1);
        assert_eq!(sent.replied(b"", 1), Ok(most + 3));
    }

    proptest! {
        #[test]
        fn a_short_number_is_the_latest_messages(count in 0u64..3000, length in 1usize..=3, asked: u64) {
            let mut by_number = ByNumber::default();
            let mut latest = HashMap::new();
            for ticket in 0..count {
                latest.insert(by_number.sent(ticket * 7, length), ticket * 7);
            }
            prop_assert!(by_number.tickets.len() <= MOST_BY_NUMBER);
            for (number, ticket) in &latest {
                let is_near = ticket / 7 + (MOST_BY_NUMBER.min(span(length)) as u64) >= count;
                prop_assert_eq!(by_number.ticket(*number, length), is_near.then_some(*ticket));
            }
            prop_assert!(latest.contains_key(&asked) || by_number.ticket(asked, length).is_none());
        }

        #[test]
        fn no_message_panics(bytes: Vec<u8>, json in "[\\[\\]{}\":,a0-9]{0,30}", at: u32, length in 1usize..=8) {
            for bytes in [bytes.as_slice(), json.as_bytes()] {
                let message = Message::new(bytes);
                let places = [
                    Spot::Pointer("/a/0".to_owned()),
                    Spot::Pointer(String::new()),
                    Spot::Regex(regex("(?-u)a(b?)")),
                    Spot::Bytes { at: at as usize % 40, length },
                ];
                for place in places {
                    place.number(&message);
                    for encoded in [None, Some(Encoding::Hex)] {
                        let place = match &place {
                            Spot::Pointer(to) => Spot::Pointer(to.clone()),
                            Spot::Regex(regex) => Spot::Regex(regex.clone()),
                            Spot::Bytes { at, length } => Spot::Bytes { at: *at, length: *length },
                        };
                        Payloads { place, encoded }.each(&message, &mut |_| {});
                    }
                }
                InOrder::default().replied(bytes, 1).unwrap();
            }
        }
    }
}
