//! The line by which a client joins over TCP and UDP, and why a join is refused.

use crate::catalog::Framing;
use crate::codec::MAX_MESSAGE;
use crate::codec::stream::StreamCodec;

/// What every line of the protocol starts with.
pub const PREFIX: &str = "WSBENCH/1 ";
/// The longest line that is read, bytes.
pub const LONGEST_LINE: usize = 4096;

/// Why someone may not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("wrong or missing token")]
    Token,
    #[error("no such place")]
    Place,
    #[error("not a join: WSBENCH/1 JOIN place token=T framing=F")]
    Line,
    #[error("unknown framing: length, newline or fixed:N")]
    Framing,
    #[error("too many sessions")]
    Full,
    #[error("turned away on purpose")]
    OnPurpose,
}

/// `WSBENCH/1 JOIN {place} key=value…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinLine<'a> {
    pub place: &'a str,
    rest: &'a str,
}

impl<'a> JoinLine<'a> {
    /// Reads a line without its line feed; trailing spaces don't count.
    pub fn parse(line: &'a [u8]) -> Option<JoinLine<'a>> {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let join = line.strip_prefix(PREFIX)?.strip_prefix("JOIN ")?;
        let (place, rest) = join.split_once(' ').unwrap_or((join, ""));
        Some(JoinLine { place, rest })
    }

    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.rest.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// How the stream will be cut into messages.
    pub fn framing(&self) -> Result<StreamCodec, Refusal> {
        match self.value("framing").ok_or(Refusal::Framing)? {
            "length" => Ok(StreamCodec::new(Framing::Length, 0)),
            "newline" => Ok(StreamCodec::new(Framing::Newline, 0)),
            fixed => {
                let size = fixed.strip_prefix("fixed:").and_then(|size| size.parse().ok());
                let size = size.filter(|size| (1..=MAX_MESSAGE).contains(size)).ok_or(Refusal::Framing)?;
                Ok(StreamCodec::new(Framing::Fixed, size))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_padded_line() {
        let line = JoinLine::parse(b"WSBENCH/1 JOIN /hello?tag=a&size=1 token=t framing=fixed:9      ").unwrap();
        assert_eq!((line.place, line.value("token")), ("/hello?tag=a&size=1", Some("t")));
        assert_eq!(line.framing().unwrap().overhead(), 0);
        assert_eq!(line.value("cookie"), None);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert_eq!(JoinLine::parse(b"GET / HTTP/1.1"), None);
        for framing in ["", "framing=", "framing=fixed:0", "framing=fixed:99999999", "framing=lines"] {
            let line = format!("WSBENCH/1 JOIN /echo token=t {framing}");
            assert_eq!(JoinLine::parse(line.as_bytes()).unwrap().framing().unwrap_err(), Refusal::Framing);
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let line = [b"WSBENCH/1 JOIN ", bytes.as_slice()].concat();
            let _ = JoinLine::parse(&bytes);
            let _ = JoinLine::parse(&line).map(|line| line.framing());
        }
    }
}
