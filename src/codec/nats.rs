//! The NATS client protocol (docs.nats.io, "NATS Protocol Reference"), what a server says: lines, and payloads behind some
//! of them.

use super::{CodecError, MAX_MESSAGE};

/// The longest line that is read, bytes. A server's own limit is 4 KiB, but for its INFO, which names its whole cluster.
const MAX_LINE: usize = 64 * 1024;

/// One thing that a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// About the server, as JSON.
    Info(&'a [u8]),
    /// A message; `headers` only where a client said that it understands them.
    Message {
        subject: &'a [u8],
        headers: &'a [u8],
        payload: &'a [u8],
    },
    Ping,
    Pong,
    Ok,
    /// What went wrong, in the server's words.
    Err(&'a [u8]),
}

/// The first operation of `bytes`, and where the next one begins; `None`: it isn't whole yet.
pub fn next(bytes: &[u8]) -> Result<Option<(Operation<'_>, usize)>, CodecError> {
    let Some(end) = memchr::memchr(b'\n', &bytes[..bytes.len().min(MAX_LINE)]) else {
        return match bytes.len() {
            0..MAX_LINE => Ok(None),
            size => Err(CodecError::TooLarge { size, limit: MAX_LINE }),
        };
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let at = line.iter().position(|b| is_blank(*b)).unwrap_or(line.len());
    let (name, rest) = (&line[..at], line[at..].trim_ascii());
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let operation = if is("MSG") || is("HMSG") {
        return message(rest, is("HMSG"), bytes, end + 1);
    } else if is("PING") {
        Operation::Ping
    } else if is("PONG") {
        Operation::Pong
    } else if is("INFO") {
        Operation::Info(rest)
    } else if is("+OK") {
        Operation::Ok
    } else if is("-ERR") {
        Operation::Err(rest.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(rest))
    } else {
        return Err(CodecError::Malformed("no operation of the NATS protocol"));
    };
    Ok(Some((operation, end + 1)))
}

/// `subject sid [reply-to] [size of headers] size`, then the headers and the payload, and the end of a line.
fn message<'a>(
    arguments: &'a [u8],
    has_headers: bool,
    bytes: &'a [u8],
    start: usize,
) -> Result<Option<(Operation<'a>, usize)>, CodecError> {
    let mut fields = arguments.split(|b| is_blank(*b)).filter(|field| !field.is_empty());
    let subject = fields.next().unwrap_or_default();
    let total = fields.next_back().and_then(number);
    let head = if has_headers { fields.next_back().and_then(number) } else { Some(0) };
    // What is left are the sid and perhaps where to reply to.
    let (Some(total), Some(head), 1 | 2) = (total, head, fields.count()) else {
        return Err(CodecError::Malformed("the line of a message without its sizes"));
    };
    if total > MAX_MESSAGE {
        return Err(CodecError::TooLarge { size: total, limit: MAX_MESSAGE });
    }
    let end = start + total;
    if head > total {
        return Err(CodecError::Malformed("headers that are larger than their message"));
    }
    match bytes.get(end..end + 2) {
        None => Ok(None),
        Some(b"\r\n") => {
            let (headers, payload) = bytes[start..end].split_at(head);
            Ok(Some((Operation::Message { subject, headers, payload }, end + 2)))
        }
        Some(_) => Err(CodecError::Malformed("a payload that is longer than its line says")),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn number(text: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Result<Option<(Operation<'_>, usize)>, CodecError> {
        next(text.as_bytes())
    }

    #[test]
    fn every_operation_of_a_server_is_read() {
        let whole = |text: &'static str| one(text).unwrap().unwrap().0;
        assert_eq!(whole("INFO {\"a\":1} \r\n"), Operation::Info(b"{\"a\":1}"));
        assert_eq!(whole("PING\r\n"), Operation::Ping);
        assert_eq!(whole("pong\n"), Operation::Pong);
        assert_eq!(whole("+OK\r\n"), Operation::Ok);
        assert_eq!(whole("-ERR 'Stale Connection'\r\n"), Operation::Err(b"Stale Connection"));
        let message = |subject, headers, payload| Operation::Message { subject, headers, payload };
        assert_eq!(whole("MSG room.1 7 5\r\nhello\r\n"), message(b"room.1", b"", b"hello"));
        assert_eq!(whole("MSG  room.1\t7  to.me 0\r\n\r\n"), message(b"room.1", b"", b""));
        let headers = b"NATS/1.0 503\r\n\r\n".as_slice();
        assert_eq!(whole("HMSG to.me.4 1 16 18\r\nNATS/1.0 503\r\n\r\nhi\r\n"), message(b"to.me.4", headers, b"hi"));
    }

    #[test]
    fn a_message_is_whole_with_the_end_of_its_line() {
        let text = "MSG a 1 5\r\nhello\r\nPING\r\n";
        for cut in 0..18 {
            assert_eq!(one(&text[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(one(text).unwrap().unwrap().1, 18);
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let malformed = |text: &str| assert!(matches!(one(text), Err(CodecError::Malformed(_))), "{text}");
        malformed("SSH-2.0-x\r\n");
        malformed("MSG a 1\r\n");
        malformed("MSG a 1 2 3 4\r\n");
        malformed("MSG a 1 -5\r\n");
        malformed("MSG a 1 +5\r\nhello\r\n");
        malformed("MSG a 1 99999999999999999999999\r\n");
        malformed("MSG a 1 3\r\nhello\r\n");
        malformed("HMSG a 1 9 5\r\nhello\r\n");
        let too_large = |text: &str| assert!(matches!(one(text), Err(CodecError::TooLarge { .. })));
        too_large("MSG a 1 16777217\r\n");
        too_large(&"x".repeat(MAX_LINE));
        assert_eq!(one(&"x".repeat(MAX_LINE - 1)), Ok(None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), start in "(MSG a 1 |HMSG a 1 2 |INFO |-ERR ')?") {
            let bytes = [start.as_bytes(), &bytes].concat();
            if let Ok(Some((_, used))) = next(&bytes) {
                prop_assert!((1..=bytes.len()).contains(&used));
            }
        }
    }
}
