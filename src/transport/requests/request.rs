//! The bytes of a request: all of a session's have the same head.

use crate::catalog::{Format, HttpMethod, HttpRequests};
use crate::dialect::{Place, speak};
use crate::transport::Endpoint;
use crate::transport::headers::{self, Purpose};
use crate::transport::speech::Speech;
use std::io::Write as _;

pub(super) struct Request {
    has_body: bool,
    speech: Speech,
    /// Up to where the length of the body goes, or the whole of it where there is none.
    head: Box<[u8]>,
}

impl Request {
    /// The requests of a session at `place`.
    pub fn new(endpoint: &Endpoint, place: &Place, settings: &HttpRequests) -> Request {
        let authority = &endpoint.authority;
        let form = speak(&endpoint.dialect, &endpoint.token).request(place, settings.headers);
        let method = form.method.unwrap_or(settings.method.name());
        let has_body = method != HttpMethod::Get.name();
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: {authority}\r\n", form.path);
        let purpose = if has_body { Purpose::Publish } else { Purpose::Receive };
        let profile = headers::of(purpose, settings.headers, authority, endpoint.tls.is_some());
        for (name, value) in profile.iter().chain(&settings.extra_headers).chain(&form.headers) {
            head += &format!("{name}: {value}\r\n");
        }
        head += if has_body { "Content-Length: " } else { "\r\n" };
        Request { has_body, speech: Speech::new(endpoint, place), head: head.into_bytes().into() }
    }

    /// What of a message is sent.
    pub fn carried<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        if self.has_body { payload } else { &[] }
    }

    /// Appends the request that carries `payload` as message `ticket`.
    pub fn encode(&self, ticket: u64, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        if self.has_body {
            self.speech.dress(ticket, Format::Text, payload, |_, body| {
                // Writing to memory doesn't fail.
                let _ = write!(out, "{}\r\n\r\n", body.len());
                out.extend_from_slice(body);
            });
        }
    }
}
