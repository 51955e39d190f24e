//! The embedded target's protocol, client side (`docs/protocol.md`).

use super::{Ask, Datagram, Dialect, Head, HttpFace, Place, Receive, Refusal, excerpt};
use crate::catalog::{Format, Framing, HeaderProfile, TransportKind};
use crate::codec::body::Cut;
use bytes::Bytes;
use std::fmt::Write as _;

/// A JOIN without a cookie is at least this long, so that its answer is never longer than it.
const JOIN_PADDED: usize = 64;
/// The longest cookie that is taken; the protocol's are 16 digits.
const MAX_COOKIE: usize = 64;

pub(super) struct Wsbench {
    token: String,
}

impl Wsbench {
    pub(super) fn new(token: &str) -> Wsbench {
        Wsbench { token: token.to_owned() }
    }
}

impl Dialect for Wsbench {
    fn upgrade_path(&self, place: &Place) -> String {
        let path = &place.path;
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("{path}{separator}token={}", encoded(&self.token))
    }

    fn request_path(&self, place: &Place, headers: HeaderProfile) -> String {
        let headers = if headers == HeaderProfile::Browser { "&headers=browser" } else { "" };
        self.upgrade_path(place) + headers
    }

    fn stream_join(&self, place: &Place, framing: Framing, fixed: usize) -> Option<String> {
        let framing = match framing {
            Framing::Fixed => format!("fixed:{fixed}"),
            other => other.to_string(),
        };
        Some(format!("WSBENCH/1 JOIN {} token={} framing={framing}\n", place.path, self.token))
    }

    fn stream_joined(&self, line: &[u8]) -> Result<(), Refusal> {
        match line {
            b"OK" => Ok(()),
            [b'E', b'R', b'R', b' ', reason @ ..] => Err(Refusal::Refused(excerpt(reason))),
            other => Err(Refusal::Alien(excerpt(other))),
        }
    }

    fn datagram_join(&self, place: &Place, cookie: Option<&str>) -> Option<String> {
        let join = format!("WSBENCH/1 JOIN {} token={}", place.path, self.token);
        Some(match cookie {
            Some(cookie) => format!("{join} cookie={cookie}"),
            None => format!("{join:JOIN_PADDED$}"),
        })
    }

    fn datagram<'a>(&self, bytes: &'a [u8]) -> Datagram<'a> {
        let Some(own) = bytes.strip_prefix(b"WSBENCH/1 ") else { return Datagram::Payload(bytes) };
        let Ok(text) = std::str::from_utf8(own) else { return Datagram::Unknown };
        match text.trim_end().split_once(' ').unwrap_or((text.trim_end(), "")) {
            ("OK", _) => Datagram::Joined,
            ("ERR", reason) => Datagram::Refused(reason),
            ("COOKIE", cookie)
                if (1..=MAX_COOKIE).contains(&cookie.len()) && cookie.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                Datagram::Cookie(cookie)
            }
            _ => Datagram::Unknown,
        }
    }

    fn datagram_leave(&self) -> Option<&'static str> {
        Some("WSBENCH/1 LEAVE")
    }

    fn http(&self, place: &Place, sid: u64, receive: Receive) -> Box<dyn HttpFace> {
        let query = place.path.split_once('?').map_or("", |(_, query)| query);
        let over = query.split('&').any(|pair| pair == "close=server");
        let joining = format!("join={}&token={}", encoded(&place.path), encoded(&self.token));
        Box::new(WsbenchHttp { sid: format!("{sid:016x}"), joining, cursor: None, receive, over })
    }
}

struct WsbenchHttp {
    sid: String,
    joining: String,
    /// Number of the next message of the place; `None` until the join was answered.
    cursor: Option<u64>,
    receive: Receive,
    over: bool,
}

impl HttpFace for WsbenchHttp {
    fn join(&mut self) -> Option<Ask> {
        if self.cursor.is_some() {
            return None;
        }
        let WsbenchHttp { sid, joining, receive, .. } = self;
        let format = if receive.format == Format::Text { "text" } else { "binary" };
        let headers = if receive.headers == HeaderProfile::Browser { "browser" } else { "minimal" };
        let path = match receive.transport {
            TransportKind::Sse => format!("/sse/{sid}?{joining}&format={format}"),
            TransportKind::HttpStreaming => format!("/stream/{sid}?{joining}"),
            _ => format!("/poll/{sid}?{joining}&batch={}&headers={headers}", u8::from(receive.batch)),
        };
        Some(Ask::get(path))
    }

    fn poll(&mut self) -> Ask {
        let hold = if self.receive.transport == TransportKind::ShortPolling { "&now=1" } else { "" };
        Ask::get(format!("/poll/{}?c={}{hold}", self.sid, self.cursor.unwrap_or(0)))
    }

    fn answered(&mut self, head: &Head) -> Result<Cut, Refusal> {
        let is_polling = matches!(self.receive.transport, TransportKind::LongPolling | TransportKind::ShortPolling);
        if is_polling && self.cursor.is_none() {
            let cursor = head.headers.get("cursor").and_then(|text| text.parse().ok());
            self.cursor = Some(cursor.ok_or_else(|| Refusal::Alien("it has no cursor header".to_owned()))?);
            // A join may be answered with nothing.
            return Ok(if self.receive.batch { Cut::Lengths } else { Cut::WholeOrNone });
        }
        Ok(self.receive.usual_cut())
    }

    fn received(&mut self, messages: u64) {
        self.cursor = self.cursor.map(|cursor| cursor.saturating_add(messages));
    }

    fn publish(&mut self, body: Bytes) -> Ask {
        Ask::post(format!("/pub/{}", self.sid), body)
    }

    fn leave(&mut self) -> Option<Ask> {
        Some(Ask { method: "DELETE", ..self.publish(Bytes::new()) })
    }

    fn is_over_when_joined(&self) -> bool {
        self.over
    }
}

/// `text` percent-encoded for a query value (RFC 3986 §2.3); `/` may stand there as it is.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(byte as char),
            other => write!(out, "%{other:02X}").expect("writing to memory doesn't fail"),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn face(transport: TransportKind, place: &str) -> Box<dyn HttpFace> {
        let receive = Receive { transport, batch: true, headers: HeaderProfile::Minimal, format: Format::Text };
        Wsbench::new("s&cret").http(&place.into(), 0xAB, receive)
    }

    #[test]
    fn the_token_joins_a_place_with_and_without_a_query() {
        let dialect = Wsbench::new("a b");
        assert_eq!(dialect.upgrade_path(&"/room/7".into()), "/room/7?token=a%20b");
        assert_eq!(dialect.upgrade_path(&"/hello?size=9".into()), "/hello?size=9&token=a%20b");
    }

    #[test]
    fn a_stream_is_joined_by_one_line() {
        let dialect = Wsbench::new("t");
        let line = dialect.stream_join(&"/echo".into(), Framing::Fixed, 32).unwrap();
        assert_eq!(line, "WSBENCH/1 JOIN /echo token=t framing=fixed:32\n");
        assert_eq!(dialect.stream_joined(b"OK"), Ok(()));
        assert_eq!(dialect.stream_joined(b"ERR no such place"), Err(Refusal::Refused("no such place".into())));
        assert!(matches!(dialect.stream_joined(b"SSH-2.0-x\r"), Err(Refusal::Alien(_))));
    }

    #[test]
    fn a_join_without_a_cookie_is_at_least_as_long_as_any_answer() {
        let dialect = Wsbench::new("t");
        assert_eq!(dialect.datagram_join(&"/echo".into(), None).unwrap().len(), 64);
        assert!(dialect.datagram_join(&"/echo".into(), Some("00ff")).unwrap().ends_with("token=t cookie=00ff"));
    }

    #[test]
    fn own_datagrams_are_told_from_payloads() {
        let dialect = Wsbench::new("t");
        assert_eq!(dialect.datagram(b"WSBENCH/1 COOKIE 0123456789abcdef"), Datagram::Cookie("0123456789abcdef"));
        assert_eq!(dialect.datagram(b"WSBENCH/1 OK"), Datagram::Joined);
        assert_eq!(dialect.datagram(b"WSBENCH/1 ERR wrong token"), Datagram::Refused("wrong token"));
        assert_eq!(dialect.datagram(b"WSBENCH/1 COOKIE a\nb"), Datagram::Unknown);
        assert_eq!(dialect.datagram(b"hello"), Datagram::Payload(b"hello"));
    }

    #[test]
    fn a_poll_asks_from_the_cursor_on() {
        let mut long = face(TransportKind::LongPolling, "/room/7?x=1");
        let join = "/poll/00000000000000ab?join=/room/7%3Fx%3D1&token=s%26cret&batch=1&headers=minimal";
        assert_eq!(long.join().unwrap(), Ask::get(join.to_owned()));
        assert_eq!(long.answered(&Head { status: 200, headers: &[("Cursor", "40")] }), Ok(Cut::Lengths));
        long.received(2);
        assert_eq!(long.poll().path, "/poll/00000000000000ab?c=42");
        let mut short = face(TransportKind::ShortPolling, "/echo");
        assert!(short.answered(&Head { status: 200, headers: &[] }).is_err());
        assert_eq!(short.poll().path, "/poll/00000000000000ab?c=0&now=1");
        let leave = short.leave().unwrap();
        assert_eq!((leave.method, leave.path.as_str()), ("DELETE", "/pub/00000000000000ab"));
    }

    #[test]
    fn a_place_that_closes_is_known_beforehand() {
        assert!(face(TransportKind::LongPolling, "/hello?tag=x&size=9&close=server").is_over_when_joined());
        assert!(!face(TransportKind::Sse, "/hello?tag=close=server").is_over_when_joined());
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), own: bool) {
            let bytes = if own { [b"WSBENCH/1 ".as_slice(), &bytes].concat() } else { bytes };
            let _ = Wsbench::new("t").datagram(&bytes);
            let _ = Wsbench::new("t").stream_joined(&bytes);
        }
    }
}
