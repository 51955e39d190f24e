//! One session's conversation.

use super::correlate::{ByNumber, InOrder, Message, NOBODY, Spot};
use super::rules::{Correlation, Rules};
use super::template::{Slots, Template};
use crate::catalog::{Format, TransportKind};
use crate::dialect::{Heard, Place, Refusal, Talk, excerpt};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub(super) struct CustomTalk {
    rules: Rc<Rules>,
    place: Place,
    publish: Template,
    /// Messages are remembered by what their replies will be known. Over http the connection knows.
    remembers: bool,
    is_joined: Cell<bool>,
    in_order: RefCell<InOrder>,
    by_number: RefCell<ByNumber>,
}

impl CustomTalk {
    pub fn new(rules: Rc<Rules>, place: &Place, transport: TransportKind) -> CustomTalk {
        let publish = rules.publish(transport).at(place);
        CustomTalk {
            rules,
            place: place.clone(),
            publish,
            remembers: transport != TransportKind::Http,
            is_joined: Cell::new(false),
            in_order: RefCell::default(),
            by_number: RefCell::default(),
        }
    }

    fn say(&self, template: &Template) -> Vec<u8> {
        let mut said = Vec::new();
        template.at(&self.place).write(&Slots::default(), &mut said);
        said
    }

    /// The message that `message` is about: by its number, or by its turn.
    fn ticket(&self, message: &Message, payload: &[u8]) -> Ticket {
        let rules = &*self.rules;
        match &rules.correlate {
            Correlation::Tag => Ticket::Untold,
            Correlation::Order => match self.in_order.borrow_mut().replied(payload, rules.replies) {
                Ok(ticket) => Ticket::Told(ticket),
                Err(()) => Ticket::Forgotten,
            },
            Correlation::Number(spot) => match (spot.number(message), spot) {
                (None, _) => Ticket::Untold,
                (Some(number), Spot::Bytes { length, .. }) if rules.short_number().is_some() => {
                    Ticket::Told(self.by_number.borrow().ticket(number, *length).unwrap_or(NOBODY))
                }
                (Some(number), _) => Ticket::Told(number),
            },
        }
    }

    fn payload(&self, message: &Message, payload: &[u8], on: &mut dyn FnMut(Heard<'_>)) {
        match (self.ticket(message, payload), &self.rules.correlate) {
            (Ticket::Told(ticket), _) => on(Heard::Answer { ticket, payload }),
            (Ticket::Untold, Correlation::Tag) => on(Heard::Message(payload)),
            (Ticket::Untold, _) => foreign(on),
            (Ticket::Forgotten, _) => {
                let problem = "a reply to a message that is not remembered: too many wait on one session".to_owned();
                on(Heard::Fault { ticket: None, problem });
            }
        }
    }
}

enum Ticket {
    Told(u64),
    Untold,
    /// It is one of too many.
    Forgotten,
}

/// Something came that is no message of ours: it holds no payload.
fn foreign(on: &mut dyn FnMut(Heard<'_>)) {
    on(Heard::Message(&[]));
}

impl Talk for CustomTalk {
    fn begin(&self, on: &mut dyn FnMut(Heard<'_>)) {
        for open in &self.rules.open {
            on(Heard::Say(&self.say(open)));
        }
        if self.rules.opened.is_none() {
            self.is_joined.set(true);
            on(Heard::Joined);
        }
    }

    fn publish(&self, ticket: u64, payload: &[u8], out: &mut Vec<u8>) {
        let id = match (&self.rules.correlate, self.rules.short_number()) {
            _ if !self.remembers => ticket,
            (_, Some(length)) => self.by_number.borrow_mut().sent(ticket, length),
            (Correlation::Order, None) => {
                self.in_order.borrow_mut().sent(ticket, self.rules.replies);
                ticket
            }
            (Correlation::Tag | Correlation::Number(_), None) => ticket,
        };
        self.publish.write(&Slots { payload, id, ..Slots::default() }, out);
    }

    fn hear(&self, bytes: &[u8], on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        let rules = &*self.rules;
        if let Some((_, say)) = rules.answers.iter().find(|(when, _)| when.is_match(bytes)) {
            on(Heard::Say(&self.say(say)));
            return Ok(());
        }
        let message = Message::new(bytes);
        if rules.error.as_ref().is_some_and(|error| error.is_match(bytes)) {
            if !self.is_joined.get() {
                return Err(Refusal::Refused(excerpt(bytes)));
            }
            let ticket = match self.ticket(&message, bytes) {
                Ticket::Told(ticket) if ticket != NOBODY => Some(ticket),
                _ => None,
            };
            on(Heard::Fault { ticket, problem: format!("the target said {}", excerpt(bytes)) });
            return Ok(());
        }
        if !self.is_joined.get() {
            if rules.opened.as_ref().is_none_or(|opened| opened.is_match(bytes)) {
                self.is_joined.set(true);
                on(Heard::Joined);
            }
            return Ok(());
        }
        if rules.ignore.as_ref().is_some_and(|ignore| ignore.is_match(bytes)) {
            return Ok(());
        }
        match &rules.message {
            None => self.payload(&message, bytes, on),
            Some(payloads) => {
                if !payloads.each(&message, &mut |payload| self.payload(&message, payload, on)) {
                    foreign(on);
                }
            }
        }
        Ok(())
    }

    fn leave(&self, out: &mut Vec<u8>) {
        if let Some(leave) = &self.rules.leave {
            out.extend(self.say(leave));
        }
    }

    fn format(&self) -> Option<Format> {
        match &self.publish {
            publish if publish.is_binary() => Some(Format::Binary),
            publish if publish.is_as_its_payload() => None,
            _ => Some(Format::Text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Custom;
    use crate::dialect::custom::Flaws;
    use proptest::prelude::*;
    use serde_json::json;

    fn talk(settings: serde_json::Value) -> CustomTalk {
        talk_over(TransportKind::Websocket, settings)
    }

    fn talk_over(transport: TransportKind, settings: serde_json::Value) -> CustomTalk {
        let custom: Custom = serde_json::from_value(settings).unwrap();
        let mut flaws = Flaws::default();
        let rules = Rc::new(Rules::read(&custom, &mut flaws));
        assert_eq!(flaws.found(), []);
        let place = Place { room: 3, session: 9, ..Place::from("/") };
        CustomTalk::new(rules, &place, transport)
    }

    fn shown(heard: Heard) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match heard {
            Heard::Message(bytes) => format!("message {}", text(bytes)),
            Heard::Answer { ticket, payload } => format!("answer {ticket} {}", text(payload)),
            Heard::Acknowledged { ticket } => format!("acknowledged {ticket}"),
            Heard::Say(bytes) => format!("say {}", text(bytes)),
            Heard::Fault { ticket, problem } => format!("fault {ticket:?} {problem}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    fn begun(talk: &CustomTalk) -> Vec<String> {
        let mut heard = Vec::new();
        talk.begin(&mut |h| heard.push(shown(h)));
        heard
    }

    fn heard(talk: &CustomTalk, message: &str) -> Vec<String> {
        let mut heard = Vec::new();
        talk.hear(message.as_bytes(), &mut |h| heard.push(shown(h))).unwrap();
        heard
    }

    fn published(talk: &CustomTalk, ticket: u64, payload: &str) -> String {
        let mut out = Vec::new();
        talk.publish(ticket, payload.as_bytes(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn without_settings_payloads_travel_as_they_are() {
        let talk = talk(json!({}));
        assert_eq!((begun(&talk), talk.format()), (vec!["joined".to_owned()], None));
        assert_eq!(published(&talk, 1, "hello"), "hello");
        assert_eq!(heard(&talk, "hello"), ["message hello"]);
    }

    #[test]
    fn a_session_is_joined_by_what_is_awaited_and_answers_what_is_asked() {
        let talk = talk(json!({
            "open": ["SUB {room} {session}", "AUTH {password}"], "opened": "^OK", "leave": "BYE {session}",
            "answers": [{ "when": "^ping$", "say": "pong {room}" }], "ignore": "^#", "error": "^-",
            "secret": { "password": "x" },
        }));
        assert_eq!(begun(&talk), ["say SUB 3 9", "say AUTH x"]);
        assert_eq!(heard(&talk, "too early"), [] as [&str; 0]);
        assert_eq!(heard(&talk, "ping"), ["say pong 3"]);
        let refused = talk.hear(b"-ERR", &mut |_| {});
        assert_eq!(refused, Err(Refusal::Refused("-ERR".to_owned())));
        assert_eq!(heard(&talk, "OK"), ["joined"]);
        assert_eq!(heard(&talk, "OK"), ["message OK"]);
        assert_eq!(heard(&talk, "# chatter"), [] as [&str; 0]);
        assert_eq!(heard(&talk, "-ERR"), ["fault None the target said -ERR"]);
        let mut last = Vec::new();
        talk.leave(&mut last);
        assert_eq!(last, b"BYE 9");
    }

    #[test]
    fn an_envelope_is_opened_and_its_number_is_whose_reply_it_is() {
        let talk = talk(json!({
            "publish": r#"{"id":{id},"params":["{payload:json}"]}"#, "correlate": { "pointer": "/id" },
            "message": { "pointer": "/result" }, "error": "\"error\":",
        }));
        begun(&talk);
        assert_eq!(talk.format(), Some(Format::Text));
        assert_eq!(published(&talk, 41, "a"), r#"{"id":41,"params":["a"]}"#);
        assert_eq!(heard(&talk, r#"{"id":41,"result":"a"}"#), ["answer 41 a"]);
        assert_eq!(heard(&talk, r#"{"id":41,"result":["a","b"]}"#), ["answer 41 a", "answer 41 b"]);
        assert_eq!(heard(&talk, r#"{"method":"notify"}"#), ["message "]);
        assert_eq!(heard(&talk, r#"{"result":"a"}"#), ["message "]);
        assert_eq!(heard(&talk, r#"{"id":41,"error":"x"}"#).len(), 1);
        assert!(heard(&talk, r#"{"id":41,"error":"x"}"#)[0].starts_with("fault Some(41)"));
    }

    #[test]
    fn an_error_takes_its_turn_where_replies_come_in_order() {
        let talk = talk(json!({ "correlate": "order", "error": "^-" }));
        begun(&talk);
        [5, 6, 7].into_iter().for_each(|ticket| drop(published(&talk, ticket, "x")));
        assert_eq!(heard(&talk, "+OK"), ["answer 5 +OK"]);
        assert_eq!(heard(&talk, "-ERR"), ["fault Some(6) the target said -ERR"]);
        assert_eq!(heard(&talk, "+OK"), ["answer 7 +OK"]);
        assert_eq!(heard(&talk, "+OK"), [format!("answer {NOBODY} +OK")]);
    }

    #[test]
    fn a_number_in_text_is_whose_reply_it_is() {
        let talk = talk(json!({ "publish": "id={id} {payload}", "correlate": { "regex": "id=(\\d+)" } }));
        begun(&talk);
        assert_eq!(published(&talk, 7, "a"), "id=7 a");
        assert_eq!(heard(&talk, "ok id=7"), ["answer 7 ok id=7"]);
        assert_eq!(heard(&talk, "id=99999999999999999999999"), ["message "]);
    }

    #[test]
    fn a_short_number_is_the_sessions_own() {
        let talk = talk(json!({
            "publish": { "hex": "{id:u16be} ff {payload}" }, "correlate": { "at": 0, "length": 2 },
        }));
        begun(&talk);
        assert_eq!(talk.format(), Some(Format::Binary));
        let mut out = Vec::new();
        talk.publish(70_000, b"a", &mut out);
        talk.publish(70_001, b"b", &mut out);
        assert_eq!(out, b"\0\0\xffa\0\x01\xffb");
        assert_eq!(heard(&talk, "\0\x01.."), ["answer 70001 \0\x01.."]);
        assert_eq!(heard(&talk, "\0\x09.."), [format!("answer {NOBODY} \0\x09..")]);
        assert_eq!(heard(&talk, "\0"), ["message "]);
    }

    #[test]
    fn nothing_is_remembered_where_the_connection_knows() {
        for correlate in [json!("order"), json!({ "at": 0, "length": 2 })] {
            let talk = talk_over(TransportKind::Http, json!({ "correlate": correlate, "publish": "{id}" }));
            begun(&talk);
            assert_eq!(published(&talk, 70_000, "x"), "70000");
            assert_eq!(format!("{:?}", talk.in_order.borrow()), format!("{:?}", InOrder::default()));
            assert_eq!(format!("{:?}", talk.by_number.borrow()), format!("{:?}", ByNumber::default()));
        }
    }

    #[test]
    fn who_hears_may_publish_at_once() {
        for correlate in [json!("order"), json!({ "at": 0, "length": 1 })] {
            let publish = json!({ "hex": "{id:u8}" });
            let talk = talk(json!({ "correlate": correlate, "publish": publish }));
            begun(&talk);
            let mut out = Vec::new();
            talk.publish(1, b"", &mut out);
            let mut count = 0;
            talk.hear(&out.clone(), &mut |heard| {
                assert!(matches!(heard, Heard::Answer { ticket: 1, .. }));
                talk.publish(2, b"", &mut out);
                count += 1;
            })
            .unwrap();
            assert_eq!((count, out.len()), (1, 2));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_heard_without_a_panic(
            messages in proptest::collection::vec((any::<Vec<u8>>(), "[-+\\[\\]{}\":,id0-9]{0,20}"), 0..20),
            which in 0usize..4,
        ) {
            let correlate = [json!("tag"), json!("order"), json!({ "pointer": "/id" }), json!({ "at": 1, "length": 3 })];
            let talk = talk(json!({
                "correlate": correlate[which], "opened": "1", "error": "^-", "ignore": "^\\+",
                "publish": { "hex": "00 {id:u24be} {payload}" },
            }));
            begun(&talk);
            for (bytes, text) in &messages {
                let mut out = Vec::new();
                talk.publish(7, bytes, &mut out);
                for message in [bytes.as_slice(), text.as_bytes(), &out] {
                    let _ = talk.hear(message, &mut |_| {});
                }
            }
        }
    }
}
