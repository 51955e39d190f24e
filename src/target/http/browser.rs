//! The headers that a usual web server adds for a browser.

use crate::clock::{SECOND, now, today};
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONNECTION, DATE, EXPIRES, HeaderName, HeaderValue, PRAGMA, SERVER, VARY};
use hyper::http::request::Parts;
use jiff::tz::TimeZone;
use std::cell::RefCell;

const FIXED: [(HeaderName, &str); 6] = [
    (SERVER, "wsbench"),
    (CACHE_CONTROL, "no-store, no-cache, must-revalidate"),
    (PRAGMA, "no-cache"),
    (EXPIRES, "0"),
    (VARY, "Origin, Accept-Encoding"),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
];

/// Writes them; keeps the date for as long as it is right.
#[derive(Default)]
pub struct Browser {
    date: RefCell<Option<(u64, HeaderValue)>>,
}

impl Browser {
    /// Adds what is not there yet. Whether the connection stays open is said as well, unless it doesn't.
    pub fn dress<B>(&self, request: &Parts, response: &mut Response<B>) {
        let closing = response.headers().contains_key(CONNECTION)
            || request.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let headers = response.headers_mut();
        headers.insert(DATE, self.date());
        for (name, value) in FIXED {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if !closing {
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
            headers.insert(HeaderName::from_static("keep-alive"), HeaderValue::from_static("timeout=65"));
        }
    }

    fn date(&self) -> HeaderValue {
        let second = now() / SECOND;
        let mut date = self.date.borrow_mut();
        if date.as_ref().is_none_or(|(written, _)| *written != second) {
            let text = today().with_time_zone(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            *date = HeaderValue::try_from(text).ok().map(|value| (second, value));
        }
        date.as_ref().map_or(HeaderValue::from_static(""), |(_, value)| value.clone())
    }
}
