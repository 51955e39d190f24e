//! The requests of one session.

use super::correlate::{Message, hand_over, matched};
use super::rules::{AskRules, CursorAt, Cutting, Rules};
use super::template::Slots;
use crate::catalog::{Cuts, Format, TransportKind, Verb};
use crate::codec::body::{Body, Cut};
use crate::dialect::{Ask, Head, HttpFace, Place, Receive, Refusal, excerpt};
use bytes::Bytes;
use serde_json::Value as Json;
use std::rc::Rc;

/// The longest cursor that is taken, bytes.
const MOST_OF_A_CURSOR: usize = 4096;

pub(super) struct CustomHttp {
    rules: Rc<Rules>,
    place: Place,
    sid: u64,
    transport: TransportKind,
    cursor: String,
    /// Whether the join, if there is one, has been asked; and whether its answer is what comes next.
    has_asked: bool,
    is_joining: bool,
}

impl CustomHttp {
    pub fn new(rules: Rc<Rules>, place: &Place, sid: u64, receive: Receive) -> CustomHttp {
        let cursor = rules.http.first_cursor.clone().unwrap_or_default();
        CustomHttp {
            rules,
            place: place.clone(),
            sid,
            transport: receive.transport,
            cursor,
            has_asked: false,
            is_joining: false,
        }
    }

    fn is_polling(&self) -> bool {
        matches!(self.transport, TransportKind::LongPolling | TransportKind::ShortPolling)
    }

    fn ask(&self, rules: &AskRules, usual: Verb, body: Option<Bytes>) -> Ask {
        let slots = Slots { cursor: &self.cursor, sid: self.sid, ..Slots::default() };
        rules.ask(&self.place, usual, &slots, body)
    }

    /// How a body is cut that holds nothing but messages. Events are text: what is encoded in them, `message` says.
    fn cutting(&self) -> Cut {
        match (&self.rules.http.messages, self.transport) {
            (Some(Cutting::Usual(cuts)), _) => match cuts {
                Cuts::Body => Cut::WholeOrNone,
                Cuts::Lines => Cut::Separated(b'\n'),
                Cuts::Lengths => Cut::Lengths,
                Cuts::Events => Cut::Events(Format::Text),
            },
            (Some(Cutting::Separator(separator)), _) => match separator.as_slice() {
                [byte] => Cut::Separated(*byte),
                _ => Cut::Own,
            },
            (Some(Cutting::Pointer(_)), _) => Cut::Own,
            (None, TransportKind::Sse) => Cut::Events(Format::Text),
            (None, TransportKind::HttpStreaming) => Cut::Separated(b'\n'),
            (None, _) => Cut::WholeOrNone,
        }
    }

    /// Takes the cursor that `found` is, if it is one.
    fn keep_cursor(&mut self, found: &[u8]) -> Result<(), Refusal> {
        if found.is_empty() || found.len() > MOST_OF_A_CURSOR || !found.iter().all(|b| (b' '..=b'~').contains(b)) {
            return Err(Refusal::Alien(format!("its cursor is {:?}", excerpt(found))));
        }
        self.cursor = String::from_utf8_lossy(found).into_owned();
        Ok(())
    }

    /// Looks for the cursor in a body; without one the old stays.
    fn look_for_cursor(&mut self, body: &Message) -> Result<(), Refusal> {
        let rules = self.rules.clone();
        match &rules.http.cursor {
            Some(CursorAt::Pointer(pointer)) => match body.pointed(pointer) {
                None | Some(Json::Null) => Ok(()),
                Some(json) => {
                    let mut kept = Ok(());
                    hand_over(json, &mut |bytes| kept = self.keep_cursor(bytes));
                    kept
                }
            },
            Some(CursorAt::Regex(regex)) => match matched(regex, body.bytes).last() {
                None => Ok(()),
                Some(found) => self.keep_cursor(found),
            },
            Some(CursorAt::Header(_)) | None => Ok(()),
        }
    }

    /// Cuts a whole body into messages.
    fn cut_whole(&self, body: &Message, on_message: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        match (&self.rules.http.messages, self.cutting()) {
            (Some(Cutting::Pointer(pointer)), _) => {
                if body.json().is_none() && !body.bytes.is_empty() {
                    return Err(Refusal::Alien(format!("it is no JSON of at most 4 MiB: {}", excerpt(body.bytes))));
                }
                match body.pointed(pointer) {
                    Some(Json::Array(list)) => list.iter().for_each(|json| hand_over(json, on_message)),
                    Some(Json::Null) | None => {}
                    Some(json) => hand_over(json, on_message),
                }
                Ok(())
            }
            (Some(Cutting::Separator(separator)), Cut::Own) => {
                let mut at = 0;
                let ends = memchr::memmem::find_iter(body.bytes, separator).chain([body.bytes.len()]);
                for end in ends {
                    if let Some(message) = body.bytes.get(at..end).filter(|message| !message.is_empty()) {
                        on_message(message);
                    }
                    at = end + separator.len();
                }
                Ok(())
            }
            (_, cut) => {
                let alien = |error: crate::codec::CodecError| Refusal::Alien(error.to_string());
                let mut cutter = Body::new(cut);
                cutter.push(body.bytes, on_message).map_err(alien)?;
                cutter.end(on_message).map_err(alien)?;
                Ok(())
            }
        }
    }
}

impl HttpFace for CustomHttp {
    fn join(&mut self) -> Option<Ask> {
        if !self.is_polling() || std::mem::replace(&mut self.has_asked, true) {
            return None;
        }
        let rules = self.rules.clone();
        let join = rules.http.join.as_ref()?;
        self.is_joining = true;
        Some(self.ask(join, Verb::Post, None))
    }

    fn poll(&mut self) -> Ask {
        self.is_joining = false;
        match &self.rules.http.poll {
            Some(poll) => self.ask(poll, Verb::Get, None),
            None => Ask::get(self.place.path.clone()),
        }
    }

    fn is_nothing_new(&self, status: u16) -> bool {
        self.rules.http.nothing_new.contains(&status)
    }

    fn answered(&mut self, head: &Head) -> Result<Cut, Refusal> {
        let rules = self.rules.clone();
        if let Some(CursorAt::Header(name)) = &rules.http.cursor
            && let Some(found) = head.headers.get(name)
        {
            self.keep_cursor(found.as_bytes())?;
        }
        let is_in_body = matches!(rules.http.cursor, Some(CursorAt::Pointer(_) | CursorAt::Regex(_)));
        match self.is_joining || (self.is_polling() && is_in_body) {
            true => Ok(Cut::Own),
            false => Ok(self.cutting()),
        }
    }

    /// The answer to a join is one message, whatever it looks like.
    fn cut(&mut self, body: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        let body = Message::new(body);
        self.look_for_cursor(&body)?;
        if self.is_joining {
            on_message(body.bytes);
            return Ok(());
        }
        self.cut_whole(&body, on_message)
    }

    fn received(&mut self, _: u64) {}

    fn publish(&mut self, body: Bytes) -> Ask {
        match &self.rules.http.publish {
            Some(publish) => self.ask(publish, Verb::Post, Some(body)),
            None => Ask::post(self.place.path.clone(), body),
        }
    }

    fn leave(&mut self) -> Option<Ask> {
        let leave = self.rules.http.leave.as_ref()?;
        Some(self.ask(leave, Verb::Delete, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Custom, HeaderProfile};
    use crate::dialect::custom::Flaws;
    use proptest::prelude::*;
    use serde_json::json;

    fn face(transport: TransportKind, http: Json) -> CustomHttp {
        let custom: Custom = serde_json::from_value(json!({ "http": http })).unwrap();
        let mut flaws = Flaws::default();
        let rules = Rc::new(Rules::read(&custom, &mut flaws));
        assert_eq!(flaws.found(), []);
        let receive = Receive { transport, batch: true, headers: HeaderProfile::Minimal, format: Format::Text };
        let place = Place { room: 3, session: 9, ..Place::from("/here") };
        CustomHttp::new(rules, &place, 0xAB, receive)
    }

    fn polling(http: Json) -> CustomHttp {
        face(TransportKind::LongPolling, http)
    }

    fn cut(face: &mut CustomHttp, body: &str) -> Vec<String> {
        let mut messages = Vec::new();
        face.cut(body.as_bytes(), &mut |m| messages.push(String::from_utf8_lossy(m).into())).unwrap();
        messages
    }

    fn head(status: u16, headers: &[(&str, &str); 1]) -> Result<Cut, Refusal> {
        polling(json!({})).answered(&Head { status, headers })
    }

    #[test]
    fn without_settings_the_url_is_asked() {
        let mut face = polling(json!({}));
        assert_eq!((face.join(), face.leave()), (None, None));
        assert_eq!(face.poll(), Ask::get("/here".to_owned()));
        assert_eq!(face.publish(Bytes::from("x")), Ask::post("/here".to_owned(), Bytes::from("x")));
        assert_eq!(head(200, &[("a", "b")]), Ok(Cut::WholeOrNone));
        assert!(face.is_nothing_new(204) && !face.is_nothing_new(304));
    }

    #[test]
    fn a_cursor_in_a_header_goes_back_in_one() {
        let mut face = polling(json!({
            "poll": { "path": "/c/{room}", "headers": { "If-None-Match": "{cursor}", "X": "{session}" } },
            "cursor": { "header": "Etag" }, "nothing_new": [304],
        }));
        let x = ("X".to_owned(), "9".to_owned());
        assert_eq!(face.poll(), Ask { headers: vec![x.clone()], ..Ask::get("/c/3".to_owned()) });
        assert_eq!(face.answered(&Head { status: 200, headers: &[("etag", "\"7\"")] }), Ok(Cut::WholeOrNone));
        assert_eq!(face.poll().headers, [("If-None-Match".to_owned(), "\"7\"".to_owned()), x]);
        assert!(face.is_nothing_new(304) && !face.is_nothing_new(204));
    }

    #[test]
    fn a_cursor_in_a_body_and_a_list_of_messages() {
        let mut face = polling(json!({
            "poll": { "path": "/changes?since={cursor}" }, "first_cursor": "0",
            "cursor": { "pointer": "/last_seq" }, "messages": { "pointer": "/results" },
        }));
        assert_eq!(face.poll().path, "/changes?since=0");
        assert_eq!(face.answered(&Head { status: 200, headers: &[] }), Ok(Cut::Own));
        let messages = cut(&mut face, r#"{"results":["a",{"b":1}],"last_seq":"7 x"}"#);
        assert_eq!(messages, ["a", r#"{"b":1}"#]);
        assert_eq!(face.poll().path, "/changes?since=7%20x");
        assert_eq!(cut(&mut face, r#"{"results":[]}"#), [] as [&str; 0]);
        assert_eq!(face.poll().path, "/changes?since=7%20x");
        assert!(face.cut(b"<html>", &mut |_| {}).is_err());
        assert!(face.cut(br#"{"last_seq":"a\nb"}"#, &mut |_| {}).is_err());
    }

    #[test]
    fn a_regex_finds_the_last_cursor() {
        let mut face = polling(json!({
            "poll": { "path": "/{cursor}" }, "cursor": { "regex": "id=([0-9]+)" }, "messages": { "separator": "--" },
        }));
        assert_eq!(cut(&mut face, "id=1 a--id=2 b----"), ["id=1 a", "id=2 b"]);
        assert_eq!(face.poll().path, "/2");
        let mut face = polling(json!({ "messages": { "separator": "\u{1e}" } }));
        assert_eq!(face.answered(&Head { status: 200, headers: &[] }), Ok(Cut::Separated(0x1e)));
    }

    #[test]
    fn a_join_is_asked_once_and_its_answer_is_one_message() {
        let mut face = polling(json!({
            "join": { "path": "/join/{sid}", "body": "room={room}" }, "leave": { "path": "/leave/{sid}" },
            "poll": { "path": "/{cursor}" }, "cursor": { "pointer": "/at" }, "messages": { "pointer": "/list" },
        }));
        let join = face.join().unwrap();
        assert_eq!(
            (join.method, join.path.as_str(), &join.body[..]),
            ("POST", "/join/00000000000000ab", &b"room=3"[..])
        );
        assert_eq!(face.answered(&Head { status: 201, headers: &[] }), Ok(Cut::Own));
        assert_eq!(cut(&mut face, r#"{"at":5,"list":["x"]}"#), [r#"{"at":5,"list":["x"]}"#]);
        assert_eq!((face.join(), face.poll().path), (None, "/5".to_owned()));
        assert_eq!(face.leave().unwrap().method, "DELETE");
    }

    #[test]
    fn streams_are_cut_as_they_come() {
        let cuts = |transport, messages: Json| {
            let http = if messages.is_null() { json!({}) } else { json!({ "messages": messages }) };
            let mut face = face(transport, http);
            assert_eq!(face.join(), None);
            face.answered(&Head { status: 200, headers: &[] }).unwrap()
        };
        assert_eq!(cuts(TransportKind::Sse, Json::Null), Cut::Events(Format::Text));
        assert_eq!(cuts(TransportKind::HttpStreaming, Json::Null), Cut::Separated(b'\n'));
        assert_eq!(cuts(TransportKind::HttpStreaming, json!("lengths")), Cut::Lengths);
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>, json in "[\\[\\]{}\":,al0-9\n]{0,30}", which in 0usize..6) {
            let messages = [
                json!("body"), json!("lines"), json!("lengths"), json!("events"), json!({ "separator": "11" }),
                json!({ "pointer": "/l" }),
            ];
            let mut face = polling(json!({
                "poll": { "path": "/{cursor}" }, "cursor": { "regex": "[^0]+" }, "messages": messages[which],
            }));
            for body in [body.as_slice(), json.as_bytes()] {
                let _ = face.cut(body, &mut |_| {});
                face.poll();
            }
        }
    }
}
