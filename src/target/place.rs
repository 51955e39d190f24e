//! The names of places, and the queries that come with them.

use super::outbox::Message;
use crate::catalog::Format;
use crate::wire;
use std::borrow::Cow;

/// The longest name of a room or topic, bytes.
const LONGEST_NAME: usize = 128;
/// The largest greeting that may be asked for, bytes.
const LARGEST_GREETING: usize = 1 << 20;

/// What a session asks to join.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PlaceName {
    Echo,
    Room(String),
    Topic(String),
    Hello(Greeting),
}

/// The first message that a session asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Greeting {
    tag: String,
    size: usize,
    /// The target starts the closing handshake after it.
    pub then_close: bool,
}

impl PlaceName {
    /// Reads a path with its query; `None` if there is no such place.
    pub fn parse(text: &str) -> Option<PlaceName> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let named = |name: &str| {
            let name = decode(name)?;
            (!name.is_empty() && name.len() <= LONGEST_NAME && !name.contains('/')).then(|| name.into_owned())
        };
        match path.strip_prefix('/')?.split_once('/') {
            None if path == "/echo" => Some(PlaceName::Echo),
            None if path == "/hello" => Greeting::parse(query).map(PlaceName::Hello),
            Some(("room", name)) => Some(PlaceName::Room(named(name)?)),
            Some(("topic", name)) => Some(PlaceName::Topic(named(name)?)),
            _ => None,
        }
    }

    /// The greeting to send, if the place has one.
    pub fn greeting(&self) -> Option<&Greeting> {
        match self {
            PlaceName::Hello(greeting) => Some(greeting),
            _ => None,
        }
    }

    /// Whether the target closes who joins as soon as it has greeted them.
    pub fn is_to_close(&self) -> bool {
        self.greeting().is_some_and(|greeting| greeting.then_close)
    }
}

impl Greeting {
    fn parse(query: &str) -> Option<Greeting> {
        let tag = value(query, "tag").filter(|tag| tag.len() == wire::TEXT_LEN && tag.is_ascii())?;
        let size = value(query, "size")?.parse().ok().filter(|size| *size <= LARGEST_GREETING)?;
        let then_close = value(query, "close").is_some_and(|who| who == "server");
        Some(Greeting { tag: tag.into_owned(), size, then_close })
    }

    /// The tag, filled up with dots.
    pub fn message(&self) -> Message {
        let mut text = self.tag.clone().into_bytes();
        text.resize(self.size.max(text.len()), b'.');
        Message::new(Format::Text, &text)
    }
}

/// The value of `name` in a query, percent-decoded; `None` if it isn't there or isn't UTF-8.
pub fn value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).and_then(decode)
}

/// Undoes percent-encoding; `None` if it is broken or what comes out isn't UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => (hex(bytes.next()?)? << 4) | hex(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn knows_its_places() {
        assert_eq!(PlaceName::parse("/echo?token=t"), Some(PlaceName::Echo));
        assert_eq!(PlaceName::parse("/room/a%20b"), Some(PlaceName::Room("a b".into())));
        assert_eq!(PlaceName::parse("/topic/7?token=t"), Some(PlaceName::Topic("7".into())));
        for unknown in ["", "/", "echo", "/echo/", "/room", "/room/", "/room/a/b", "/room/%zz", "/topic/%ff", "/hello"]
        {
            assert_eq!(PlaceName::parse(unknown), None, "{unknown}");
        }
        assert_eq!(PlaceName::parse(&format!("/room/{}", "x".repeat(129))), None);
    }

    #[test]
    fn a_greeting_is_its_tag_and_dots() {
        let tag = "t".repeat(32);
        let place = PlaceName::parse(&format!("/hello?tag={tag}&size=40&close=server&token=x")).unwrap();
        let greeting = place.greeting().unwrap();
        assert!(greeting.then_close);
        assert_eq!(greeting.message(), Message::new(Format::Text, format!("{tag}........").as_bytes()));
        for bad in
            ["/hello?tag=short&size=40".into(), format!("/hello?tag={tag}&size=9999999"), format!("/hello?tag={tag}")]
        {
            assert_eq!(PlaceName::parse(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,80}", name in "[a-z]{1,4}") {
            let _ = PlaceName::parse(&text);
            let _ = PlaceName::parse(&format!("/room/{text}"));
            let _ = value(&text, &name);
        }
    }
}
