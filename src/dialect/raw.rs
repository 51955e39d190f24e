//! Payloads as they are: any echo server speaks it.
//!
//! Over HTTP the place itself is what is asked (GET) and published to (POST); there is no cursor, so what comes between
//! two polls depends on the server.

use super::{Datagram, Dialect, HttpFace, Receive, Refusal};
use crate::catalog::{Framing, HeaderProfile, TransportKind};

pub(super) struct Raw;

impl Dialect for Raw {
    fn upgrade_path(&self, place: &str) -> String {
        place.to_owned()
    }

    fn request_path(&self, place: &str, _headers: HeaderProfile) -> String {
        place.to_owned()
    }

    fn stream_join(&self, _place: &str, _framing: Framing, _fixed: usize) -> Option<String> {
        None
    }

    fn stream_joined(&self, _line: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }

    fn datagram_join(&self, _place: &str, _cookie: Option<&str>) -> Option<String> {
        None
    }

    fn datagram<'a>(&self, bytes: &'a [u8]) -> Datagram<'a> {
        Datagram::Payload(bytes)
    }

    fn datagram_leave(&self) -> Option<&'static str> {
        None
    }

    fn http(&self, place: &str, _sid: u64, receive: Receive) -> Box<dyn HttpFace> {
        Box::new(RawHttp { place: place.to_owned(), receive })
    }
}

struct RawHttp {
    place: String,
    receive: Receive,
}

impl HttpFace for RawHttp {
    fn join(&self) -> Option<String> {
        matches!(self.receive.transport, TransportKind::Sse | TransportKind::HttpStreaming).then(|| self.place.clone())
    }

    fn joined(&mut self, _cursor: Option<u64>) -> Result<(), Refusal> {
        Ok(())
    }

    fn poll(&self) -> String {
        self.place.clone()
    }

    fn received(&mut self, _messages: u64) {}

    fn is_batched(&self) -> bool {
        self.receive.batch
    }

    fn publish(&self) -> String {
        self.place.clone()
    }

    fn leave(&self) -> Option<String> {
        None
    }

    fn is_over_when_joined(&self) -> bool {
        false
    }
}
