//! The bytes of a request: all of a session's have the same head, but for the cookies that its target sets.

use crate::catalog::{Format, HttpMethod, HttpRequests};
use crate::dialect::speak;
use crate::transport::Opening;
use crate::transport::cookies::Jar;
use crate::transport::headers::{Purpose, Said};
use crate::transport::speech::Speech;
use std::cell::{OnceCell, RefCell};
use std::io::Write as _;

pub(super) struct Request {
    has_body: bool,
    speech: Speech,
    keeps_cookies: bool,
    /// Up to where the length of the body goes, or the whole of it where there is none.
    head: RefCell<Box<[u8]>>,
    /// Bytes of the head before its cookies.
    before: usize,
    /// Once the target has set one.
    cookies: OnceCell<Box<Cookies>>,
}

/// What the cookies of a head are made from.
struct Cookies {
    jar: Jar,
    /// The arm's own.
    own: Option<String>,
    path: String,
}

impl Request {
    /// The requests of a session.
    pub fn new(opening: &Opening, settings: &HttpRequests) -> Request {
        let Opening { endpoint, place, .. } = opening;
        let form = speak(&endpoint.dialect, &endpoint.token).request(place, settings.headers);
        let said = Said::new(endpoint, place, settings.headers, &settings.extra_headers, &settings.identity);
        let method = form.method.unwrap_or(settings.method.name());
        let has_body = method != HttpMethod::Get.name();
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", form.path, said.host);
        let purpose = if has_body { Purpose::Publish } else { Purpose::Receive };
        for (name, value) in said.headers(purpose).iter().chain(&form.headers) {
            head += &format!("{name}: {value}\r\n");
        }
        let before = head.len();
        let head = RefCell::new(with_cookie(head.into_bytes(), said.cookie.as_deref(), has_body));
        let (speech, keeps_cookies) = (Speech::new(endpoint, place), settings.identity.cookies);
        Request { has_body, speech, keeps_cookies, head, before, cookies: OnceCell::new() }
    }

    /// Keeps the cookies that an answer sets, for the requests from now on.
    pub fn keep_cookies(&self, set: &[Vec<u8>]) {
        if !self.keeps_cookies {
            return;
        }
        let cookies = self.cookies.get_or_init(|| Box::new(self.no_cookies()));
        // Each of them, whether or not one before it changed anything.
        let is_changed = set.iter().fold(false, |changed, header| cookies.jar.take(header, &cookies.path) | changed);
        if is_changed {
            let cookie = cookies.jar.header(&cookies.path, cookies.own.as_deref());
            let before = self.head.borrow()[..self.before].to_vec();
            *self.head.borrow_mut() = with_cookie(before, cookie.as_deref(), self.has_body);
        }
    }

    /// Before the target has set any: all that is needed stands in the head.
    fn no_cookies(&self) -> Cookies {
        let head = self.head.borrow();
        let (before, own) = head.split_at(self.before);
        let path = String::from_utf8_lossy(before).split(' ').nth(1).unwrap_or("/").to_owned();
        let own = own.strip_prefix(COOKIE.as_bytes()).and_then(|own| own.split(|byte| *byte == b'\r').next());
        Cookies { jar: Jar::default(), own: own.map(|own| String::from_utf8_lossy(own).into_owned()), path }
    }

    /// What of a message is sent.
    pub fn carried<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        if self.has_body { payload } else { &[] }
    }

    /// Appends the request that carries `payload` as message `ticket`.
    pub fn encode(&self, ticket: u64, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head.borrow());
        if self.has_body {
            self.speech.dress(ticket, Format::Text, payload, |_, body| {
                // Writing to memory doesn't fail.
                let _ = write!(out, "{}\r\n\r\n", body.len());
                out.extend_from_slice(body);
            });
        }
    }
}

const COOKIE: &str = "Cookie: ";

/// Completes a head.
fn with_cookie(mut head: Vec<u8>, cookie: Option<&str>, has_body: bool) -> Box<[u8]> {
    if let Some(cookie) = cookie {
        head.extend_from_slice(format!("{COOKIE}{cookie}\r\n").as_bytes());
    }
    head.extend_from_slice(if has_body { b"Content-Length: " } else { b"\r\n" });
    head.into()
}
