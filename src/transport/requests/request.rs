//! The bytes of a request: all of a session's have the same head.

use crate::catalog::{HttpMethod, HttpRequests};
use crate::dialect::speak;
use crate::transport::Endpoint;
use crate::transport::headers::{self, Purpose};
use std::io::Write as _;

pub(super) struct Request {
    method: HttpMethod,
    /// Up to where the length of the body goes, or the whole of it where there is none.
    head: Box<[u8]>,
}

impl Request {
    /// The requests of a session at `place`.
    pub fn new(endpoint: &Endpoint, place: &str, settings: &HttpRequests) -> Request {
        let (method, authority) = (settings.method, &endpoint.authority);
        let path = speak(endpoint.dialect, &endpoint.token).request_path(place, settings.headers);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n");
        let purpose = if method == HttpMethod::Post { Purpose::Publish } else { Purpose::Receive };
        let profile = headers::of(purpose, settings.headers, authority, endpoint.tls.is_some());
        for (name, value) in profile.iter().chain(&settings.extra_headers) {
            head += &format!("{name}: {value}\r\n");
        }
        head += if method == HttpMethod::Post { "Content-Length: " } else { "\r\n" };
        Request { method, head: head.into_bytes().into() }
    }

    /// What of a message is sent.
    pub fn carried<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        if self.method == HttpMethod::Post { payload } else { &[] }
    }

    /// Appends the request that carries `payload`.
    pub fn encode(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        if self.method == HttpMethod::Post {
            // Writing to memory doesn't fail.
            let _ = write!(out, "{}\r\n\r\n", payload.len());
            out.extend_from_slice(payload);
        }
    }
}
