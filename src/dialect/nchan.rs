//! nginx with the nchan module, client side. A URL is one location of it, which says how its channel is heard; messages travel
//! as they are.
//!
//! A channel numbers its messages by second and place within it. An answer to a poll names the last that it holds in
//! `Last-Modified` and `Etag`, and who asks next hands both back. Who asks for the first time has no such cursor, and nchan
//! then begins where the location says (`nchan_subscriber_first_message`); so a session that is to poll asks a publisher's location
//! for the channel's latest message first, and is owed what follows. A channel that holds no message has none: there
//! [`Cursor::None`] is right for a poll that waits, since a waiting poll is there before the message, and [`Cursor::Start`] for
//! one that doesn't.

use super::{Ask, Dialect, Head, HttpFace, Place, Receive, Refusal, excerpt};
use crate::catalog::{self, Format, TransportKind};
use crate::codec::body::Cut;
use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;

pub(super) struct Nchan(pub catalog::Nchan);

impl Dialect for Nchan {
    fn http(&self, place: &Place, _sid: u64, receive: Receive) -> Box<dyn HttpFace> {
        let fill = |path: &str| place.fill_path(path);
        let is_stream = matches!(receive.transport, TransportKind::Sse | TransportKind::HttpStreaming);
        Box::new(Face {
            receive,
            path: place.path.clone(),
            publish: self.0.publish.as_deref().map_or_else(|| place.path.clone(), fill),
            info: self.0.info().filter(|_| !is_stream).map(fill),
            is_stream,
            answering: Answering::Messages,
            cursor: Cursor::None,
            next: Cursor::None,
            boundary: String::new(),
        })
    }
}

struct Face {
    receive: Receive,
    path: String,
    publish: String,
    /// Where to ask for the latest message, until that was asked.
    info: Option<String>,
    is_stream: bool,
    answering: Answering,
    cursor: Cursor,
    /// The cursor once the answer that is being read has brought its messages.
    next: Cursor,
    /// Between the parts of that answer.
    boundary: String,
}

/// What the answer to the latest request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    Info,
    Messages,
}

/// What is known already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Cursor {
    /// Unsaid: the location decides.
    #[default]
    None,
    /// Nothing at all. Only for polls that don't wait: some that wait with a cursor that is no stored message's, on one channel,
    /// bring nchan 1.3.6 down.
    Start,
    /// The message with this id, second and place within it.
    Id(String),
    /// What an answer held.
    Answer { modified: String, etag: String },
}

/// The latest message of a channel, as a publisher's location tells it.
#[derive(Deserialize)]
struct Info {
    /// Stored now.
    messages: u64,
    last_message_id: String,
}

impl Cursor {
    fn add_to(&self, headers: &mut Vec<(String, String)>) {
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        match self {
            Cursor::None => {}
            Cursor::Start => add("Last-Event-ID", "1:0"),
            Cursor::Id(id) => add("Last-Event-ID", id),
            Cursor::Answer { modified, etag } => {
                add("If-Modified-Since", modified);
                add("If-None-Match", etag);
            }
        }
    }
}

impl Face {
    /// Where a channel that stores nothing is heard from.
    fn begin(&self) -> Cursor {
        if self.receive.transport == TransportKind::ShortPolling { Cursor::Start } else { Cursor::None }
    }

    fn read_info(&self, body: &[u8]) -> Result<Cursor, Refusal> {
        let alien = || {
            let what = excerpt(body);
            Refusal::Alien(format!("{what}; `info` is to name a location with nchan_publisher, whose answer is JSON"))
        };
        let info: Info = serde_json::from_slice(body).map_err(|_| alien())?;
        let is_id = |id: &str| {
            let whole = |part: &str| !part.is_empty() && part.len() <= 20 && part.bytes().all(|b| b.is_ascii_digit());
            id.split_once(':').is_some_and(|(second, nth)| whole(second) && whole(nth))
        };
        match info.messages {
            0 => Ok(self.begin()),
            _ if is_id(&info.last_message_id) => Ok(Cursor::Id(info.last_message_id)),
            _ => Err(alien()),
        }
    }
}

impl HttpFace for Face {
    fn join(&mut self) -> Option<Ask> {
        if self.is_stream {
            return Some(Ask::get(self.path.clone()));
        }
        let info = self.info.take()?;
        self.answering = Answering::Info;
        self.cursor = self.begin();
        Some(Ask { headers: vec![("Accept".to_owned(), "text/json".to_owned())], ..Ask::get(info) })
    }

    fn poll(&mut self) -> Ask {
        self.answering = Answering::Messages;
        let mut ask = Ask::get(self.path.clone());
        self.cursor.add_to(&mut ask.headers);
        ask
    }

    /// A poll that waited in vain is answered with 408, one that doesn't wait with 304; a channel that isn't there yet with 404.
    fn is_nothing_new(&self, status: u16) -> bool {
        match self.answering {
            Answering::Info => status == 404,
            Answering::Messages => matches!(status, 204 | 304 | 408),
        }
    }

    fn answered(&mut self, head: &Head) -> Result<Cut, Refusal> {
        if self.answering == Answering::Info {
            return Ok(Cut::Own);
        }
        match self.receive.transport {
            TransportKind::Sse => return Ok(Cut::Events(Format::Text)),
            TransportKind::HttpStreaming => return Ok(Cut::Separated(b'\n')),
            _ => {}
        }
        let header = |name: &str| {
            let value = head.headers.get(name).map(str::to_owned);
            value.ok_or_else(|| Refusal::Alien(format!("it has messages, but no {name}")))
        };
        self.next = Cursor::Answer { modified: header("Last-Modified")?, etag: header("Etag")? };
        let boundary = head.headers.get("content-type").and_then(boundary);
        let Some(boundary) = boundary else { return Ok(Cut::Whole) };
        self.boundary = boundary.to_owned();
        Ok(Cut::Own)
    }

    fn cut(&mut self, body: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        match self.answering {
            Answering::Info => self.cursor = self.read_info(body)?,
            Answering::Messages => {
                let parts = parts(&self.boundary, body).ok_or_else(|| Refusal::Alien(excerpt(body)))?;
                parts.into_iter().for_each(on_message);
            }
        }
        Ok(())
    }

    /// An answer that broke off before its message came is asked for again.
    fn received(&mut self, messages: u64) {
        if messages > 0 {
            self.cursor = std::mem::take(&mut self.next);
        }
    }

    fn publish(&mut self, body: Bytes) -> Ask {
        let mut ask = Ask::post(self.publish.clone(), body);
        if self.receive.format == Format::Binary {
            // So that WebSocket subscribers get it in a binary frame.
            ask.headers.push(("Content-Type".to_owned(), "application/octet-stream".to_owned()));
        }
        ask
    }

    fn leave(&mut self) -> Option<Ask> {
        None
    }
}

/// What stands between the parts of a `multipart/mixed` body (RFC 2046 §5.1.1); `None`: it is of another type.
fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameters) = content_type.split_once(';')?;
    let is_parts = essence.trim().eq_ignore_ascii_case("multipart/mixed");
    let mut pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| is_parts && name.trim().eq_ignore_ascii_case("boundary"))?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(quoted.unwrap_or(value)).filter(|boundary| !boundary.is_empty())
}

/// The parts of a body, without their headers. `None`: it isn't made of any.
fn parts<'a>(boundary: &str, body: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let finder = memmem::Finder::new(&delimiter);
    // The first delimiter may stand without a line end before it.
    let mut rest = match body.strip_prefix(&delimiter[2..]) {
        Some(rest) => rest,
        None => &body[finder.find(body)? + delimiter.len()..],
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let part = &rest[..finder.find(rest)?];
        let headers = memmem::find(part, b"\r\n\r\n")?;
        parts.push(&part[headers + 4..]);
        rest = &rest[part.len() + delimiter.len()..];
    }
    (!parts.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::HeaderProfile;
    use proptest::prelude::*;

    const SINGLE: &[(&str, &str); 3] =
        &[("Last-Modified", "Mon, 23 Nov 2026 05:55:44 GMT"), ("Etag", "1"), ("Content-Type", "text/plain")];

    fn face(transport: TransportKind, settings: catalog::Nchan) -> Box<dyn HttpFace> {
        let receive = Receive { transport, batch: true, headers: HeaderProfile::Minimal, format: Format::Text };
        let place = Place { room: 7, session: 3, ..Place::from("/lp/7") };
        Nchan(settings).http(&place, 0, receive)
    }

    fn settings(publish: &str) -> catalog::Nchan {
        catalog::Nchan { publish: Some(publish.to_owned()), ..Default::default() }
    }

    fn answer(face: &mut dyn HttpFace, body: &str) -> Result<Cut, Refusal> {
        let cut = face.answered(&Head { status: 200, headers: &[("Content-Type", "text/json")] })?;
        face.cut(body.as_bytes(), &mut |_| panic!("no message is in it"))?;
        Ok(cut)
    }

    fn headers(ask: &Ask) -> Vec<(&str, &str)> {
        ask.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn a_poll_begins_behind_the_latest_message_and_goes_on_from_each_answer() {
        for transport in [TransportKind::LongPolling, TransportKind::ShortPolling] {
            let mut face = face(transport, settings("/pub/{room}?by={session}"));
            let info = face.join().unwrap();
            assert_eq!(
                (info.method, info.path.as_str(), headers(&info)),
                ("GET", "/pub/7?by=3", vec![("Accept", "text/json")])
            );
            assert!(face.is_nothing_new(404) && !face.is_nothing_new(408));
            answer(
                &mut *face,
                r#"{"messages": 2, "requested": 1, "subscribers": 0, "last_message_id": "1795413344:1" }"#,
            )
            .unwrap();
            assert_eq!(face.join(), None);
            let first = face.poll();
            assert_eq!((first.path.as_str(), headers(&first)), ("/lp/7", vec![("Last-Event-ID", "1795413344:1")]));
            assert!(face.is_nothing_new(408) && face.is_nothing_new(304) && !face.is_nothing_new(404));

            let head = Head { status: 200, headers: SINGLE };
            assert_eq!(face.answered(&head), Ok(Cut::Whole));
            face.received(0);
            assert_eq!(face.poll(), first, "what didn't come is asked for again");
            face.answered(&head).unwrap();
            face.received(1);
            let cursor = vec![("If-Modified-Since", "Mon, 23 Nov 2026 05:55:44 GMT"), ("If-None-Match", "1")];
            assert_eq!(headers(&face.poll()), cursor);
            assert_eq!(headers(&face.poll()), cursor, "nothing new changes nothing");
        }
    }

    #[test]
    fn a_channel_that_stores_nothing_is_heard_from_its_start_on() {
        // The id of a message that is gone, or none at all, or no channel.
        let gone = r#"{"messages": 0, "requested": 0, "subscribers": 1, "last_message_id": "1795413344:1" }"#;
        for (transport, first) in
            [(TransportKind::LongPolling, vec![]), (TransportKind::ShortPolling, vec![("Last-Event-ID", "1:0")])]
        {
            let mut there = face(transport, settings("/pub/{room}"));
            there.join().unwrap();
            answer(&mut *there, gone).unwrap();
            assert_eq!(headers(&there.poll()), first);
            let mut missing = face(transport, settings("/pub/{room}"));
            missing.join().unwrap();
            assert_eq!((missing.join(), headers(&missing.poll())), (None, first));
        }
    }

    #[test]
    fn what_is_no_channels_answer_is_no_cursor() {
        let bad = [
            "<html>",
            "",
            "{}",
            r#"{"messages": 1, "last_message_id": "x"}"#,
            r#"{"messages": -1, "last_message_id": "1:0"}"#,
            r#"{"messages": 1, "last_message_id": "1:0\r\nX: y"}"#,
            r#"{"messages": 1, "last_message_id": "99999999999999999999999:0"}"#,
        ];
        for body in bad {
            let mut face = face(TransportKind::LongPolling, settings("/pub/7"));
            face.join().unwrap();
            assert!(matches!(answer(&mut *face, body), Err(Refusal::Alien(_))), "{body}");
        }
        let mut face = face(TransportKind::LongPolling, settings("/pub/7"));
        assert!(face.answered(&Head { status: 200, headers: &[("Etag", "1")] }).is_err());
    }

    #[test]
    fn publishing_goes_to_the_urls_own_path_or_where_it_is_told_to() {
        let body = || Bytes::from_static(b"x");
        let mut own = face(TransportKind::LongPolling, catalog::Nchan::default());
        assert_eq!((own.join(), own.publish(body())), (None, Ask::post("/lp/7".to_owned(), body())));
        let info = catalog::Nchan { info: Some("/info/{room}".to_owned()), ..settings("/app/{room}/{session}") };
        let mut other = face(TransportKind::LongPolling, info);
        assert_eq!(other.publish(body()).path, "/app/7/3");
        assert_eq!(other.join().unwrap().path, "/info/7");
        let mut stream = face(TransportKind::Sse, settings("/pub/{room}"));
        assert_eq!(stream.join(), Some(Ask::get("/lp/7".to_owned())));
        assert_eq!(stream.answered(&Head { status: 200, headers: &[] }), Ok(Cut::Events(Format::Text)));
    }

    #[test]
    fn several_messages_come_as_the_parts_of_one_body() {
        let mut face = face(TransportKind::LongPolling, settings("/pub/7"));
        let mixed = ("Content-Type", "multipart/mixed; boundary=0Zgl.3/p");
        let head = Head { status: 200, headers: &[SINGLE[0], SINGLE[1], mixed] };
        assert_eq!(face.answered(&head), Ok(Cut::Own));
        let body =
            b"--0Zgl.3/p\r\nContent-Type: text/plain\r\n\r\nmsg1\r\n--0Zgl.3/p\r\n\r\nx\r\n\r\ny\r\n--0Zgl.3/p--\r\n";
        let mut got = Vec::new();
        face.cut(body, &mut |part| got.push(part.to_vec())).unwrap();
        assert_eq!(got, [b"msg1".as_slice(), b"x\r\n\r\ny"]);
        for broken in
            [b"".as_slice(), b"--0Zgl.3/p--", b"--0Zgl.3/p\r\n\r\nx", b"--0Zgl.3/p\r\nx\r\n--0Zgl.3/p--", b"msg"]
        {
            assert!(face.cut(broken, &mut |_| ()).is_err(), "{}", broken.escape_ascii());
        }
    }

    #[test]
    fn a_boundary_is_found_among_the_parameters() {
        assert_eq!(boundary("multipart/mixed; boundary=abc"), Some("abc"));
        assert_eq!(boundary("Multipart/Mixed;charset=x; Boundary=\"a b\""), Some("a b"));
        for other in ["text/plain", "text/plain; boundary=abc", "multipart/mixed; boundary=", "multipart/mixed"] {
            assert_eq!(boundary(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_put_together_comes_apart(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6), has_type: bool,
        ) {
            let header = if has_type { "Content-Type: text/plain\r\n" } else { "" };
            let mut body = Vec::new();
            for message in &messages {
                body.extend_from_slice(&[format!("--0123456789abcdef\r\n{header}\r\n").as_bytes(), message, b"\r\n"].concat());
            }
            body.extend_from_slice(b"--0123456789abcdef--");
            prop_assert_eq!(parts("0123456789abcdef", &body).unwrap(), messages);
        }

        #[test]
        fn no_bytes_panic(body in "(--b|\r\n|-|b|x|\\{|\"messages\": 1){0,12}", header in ".{0,30}", transport in 0usize..5) {
            let transport = crate::catalog::DialectKind::Nchan.transports()[transport];
            let mut face = face(transport, settings("/pub/7"));
            let mixed = ("Content-Type", "multipart/mixed; boundary=b");
            for joins in [true, false] {
                let _ask = if joins { face.join() } else { Some(face.poll()) };
                let headers = [("Etag", header.as_str()), ("Last-Modified", header.as_str()), mixed];
                let _cut = face.answered(&Head { status: 200, headers: &headers });
                let _ = face.cut(body.as_bytes(), &mut |_| ());
                face.received(1);
            }
            let _ = (parts("b", body.as_bytes()), boundary(&header));
        }
    }
}
