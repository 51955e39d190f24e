//! The requests of a session that polls, and how it goes over to a WebSocket.

use super::packet::SEPARATOR;
use super::{at, encoded};
use crate::catalog::Format;
use crate::codec::body::Cut;
use crate::dialect::{Ask, Head, Heard, HttpFace, Place, Refusal, Switch, Talk, excerpt};
use bytes::Bytes;
use serde::Deserialize;

/// The longest name of a session that is taken; servers' have 20 characters.
const MAX_SID: usize = 256;

pub(super) struct Polling {
    place: Place,
    /// How the server calls the session, once it is open.
    open: Option<Open>,
}

/// What the server says of a session that it opens.
#[derive(Debug, Deserialize)]
struct Open {
    sid: String,
    #[serde(default)]
    upgrades: Vec<String>,
}

impl Polling {
    pub fn new(place: &Place) -> Polling {
        Polling { place: place.clone(), open: None }
    }

    fn path(&self, transport: &str) -> String {
        let path = at(&self.place, transport);
        match &self.open {
            Some(open) => format!("{path}&sid={}", encoded(&open.sid)),
            None => path,
        }
    }
}

impl HttpFace for Polling {
    fn join(&mut self) -> Option<Ask> {
        self.open.is_none().then(|| self.poll())
    }

    fn poll(&mut self) -> Ask {
        Ask::get(self.path("polling"))
    }

    /// The first answer names the session, for all requests to come.
    fn answered(&mut self, _: &Head) -> Result<Cut, Refusal> {
        Ok(if self.open.is_some() { Cut::Separated(SEPARATOR) } else { Cut::Own })
    }

    fn cut(&mut self, body: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        let first = body.split(|byte| *byte == SEPARATOR).next().unwrap_or_default();
        let open = first.strip_prefix(b"0").and_then(|json| serde_json::from_slice::<Open>(json).ok());
        let is_fit = |open: &Open| (1..=MAX_SID).contains(&open.sid.len());
        self.open = Some(open.filter(is_fit).ok_or_else(|| Refusal::Alien(excerpt(body)))?);
        body.split(|byte| *byte == SEPARATOR).filter(|packet| !packet.is_empty()).for_each(on_message);
        Ok(())
    }

    fn received(&mut self, _: u64) {}

    fn publish(&mut self, body: Bytes) -> Ask {
        let mut ask = Ask::post(self.path("polling"), body);
        ask.headers.push(("Content-Type".to_owned(), "text/plain;charset=UTF-8".to_owned()));
        ask
    }

    fn leave(&mut self) -> Option<Ask> {
        Some(self.publish(Bytes::from_static(b"1")))
    }

    fn switch(&self) -> Option<Switch> {
        let is_offered = self.open.as_ref().is_some_and(|open| open.upgrades.iter().any(|to| to == "websocket"));
        is_offered.then(|| Switch { path: self.path("websocket"), probe: Box::new(Probe), last: b"5" })
    }
}

/// What is said over a WebSocket to see whether it carries anything.
struct Probe;

impl Talk for Probe {
    fn begin(&self, on: &mut dyn FnMut(Heard<'_>)) {
        on(Heard::Say(b"2probe"));
    }

    fn publish(&self, _: u64, _: &[u8], _: &mut Vec<u8>) {}

    fn hear(&self, bytes: &[u8], on: &mut dyn FnMut(Heard<'_>)) -> Result<(), Refusal> {
        match bytes {
            b"3probe" => on(Heard::Joined),
            b"6" => {}
            other => return Err(Refusal::Alien(excerpt(other))),
        }
        Ok(())
    }

    fn format(&self) -> Option<Format> {
        Some(Format::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(body: &str) -> Result<(Polling, Vec<String>), Refusal> {
        let mut face = Polling::new(&"/".into());
        assert_eq!(face.join().unwrap().path, "/socket.io/?EIO=4&transport=polling");
        assert_eq!(face.answered(&Head { status: 200, headers: &[] }), Ok(Cut::Own));
        let mut packets = Vec::new();
        face.cut(body.as_bytes(), &mut |packet| packets.push(String::from_utf8(packet.to_vec()).unwrap()))?;
        Ok((face, packets))
    }

    #[test]
    fn the_first_answer_names_the_session() {
        let (mut face, packets) = opened("0{\"sid\":\"a/b&\",\"upgrades\":[\"websocket\"]}\u{1e}\u{1e}40").unwrap();
        assert_eq!(packets, ["0{\"sid\":\"a/b&\",\"upgrades\":[\"websocket\"]}", "40"]);
        assert_eq!(face.join(), None);
        assert_eq!(face.poll(), Ask::get("/socket.io/?EIO=4&transport=polling&sid=a/b%26".to_owned()));
        assert_eq!(face.answered(&Head { status: 200, headers: &[] }), Ok(Cut::Separated(0x1e)));
        let leave = face.leave().unwrap();
        assert_eq!((leave.method, &*leave.body), ("POST", b"1".as_slice()));
        assert_eq!(face.switch().unwrap().path, "/socket.io/?EIO=4&transport=websocket&sid=a/b%26");
    }

    #[test]
    fn a_server_that_offers_no_websocket_is_not_switched_to() {
        assert!(opened(r#"0{"sid":"a"}"#).unwrap().0.switch().is_none());
        assert!(opened(r#"0{"sid":"a","upgrades":["webtransport"]}"#).unwrap().0.switch().is_none());
    }

    #[test]
    fn an_answer_that_opens_nothing_is_refused() {
        let long = format!(r#"0{{"sid":"{}"}}"#, "x".repeat(MAX_SID + 1));
        for body in ["", "40", "0", "0{}", r#"0{"sid":7}"#, r#"0{"sid":""}"#, "<html>", &long] {
            assert!(matches!(opened(body), Err(Refusal::Alien(_))), "{body}");
        }
    }

    #[test]
    fn only_the_probes_own_answer_will_do() {
        let heard = |bytes: &[u8]| {
            let mut is_joined = false;
            Probe.hear(bytes, &mut |heard| is_joined |= heard == Heard::Joined).map(|()| is_joined)
        };
        assert_eq!((heard(b"3probe"), heard(b"6")), (Ok(true), Ok(false)));
        assert!(heard(b"3").is_err() && heard(b"").is_err());
    }
}
