//! Payloads as they are: any echo server speaks it.
//!
//! Over HTTP the place itself is what is asked (GET) and published to (POST); there is no cursor, so what comes between
//! two polls depends on the server.

use super::{Ask, Dialect, Head, HttpFace, Place, Receive, Refusal};
use crate::catalog::TransportKind;
use crate::codec::body::Cut;
use bytes::Bytes;

pub(super) struct Raw;

impl Dialect for Raw {
    fn http(&self, place: &Place, _sid: u64, receive: Receive) -> Box<dyn HttpFace> {
        Box::new(RawHttp { path: place.path.clone(), receive })
    }
}

struct RawHttp {
    path: String,
    receive: Receive,
}

impl HttpFace for RawHttp {
    fn join(&mut self) -> Option<Ask> {
        let is_stream = matches!(self.receive.transport, TransportKind::Sse | TransportKind::HttpStreaming);
        is_stream.then(|| self.poll())
    }

    fn poll(&mut self) -> Ask {
        Ask::get(self.path.clone())
    }

    fn answered(&mut self, _: &Head) -> Result<Cut, Refusal> {
        Ok(self.receive.usual_cut())
    }

    fn received(&mut self, _: u64) {}

    fn publish(&mut self, body: Bytes) -> Ask {
        Ask::post(self.path.clone(), body)
    }

    fn leave(&mut self) -> Option<Ask> {
        None
    }
}
