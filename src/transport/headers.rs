//! The header profiles: what a request carries beyond what its protocol requires. The browser's are those of the golden
//! exchanges in `docs/protocol.md`.

use super::{Endpoint, Place};
use crate::catalog::{Auth, HeaderProfile, Identity};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// What a request is for; a browser sends different headers with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The handshake of `new WebSocket()`.
    Upgrade,
    /// A `fetch()` that polls, or opens a stream.
    Receive,
    /// `new EventSource()`.
    Events,
    /// A `fetch()` with a message as its body.
    Publish,
}

const AGENT: (&str, &str) = (
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
);
const ENCODING: (&str, &str) = ("Accept-Encoding", "gzip, deflate, br, zstd");
const LANGUAGE: (&str, &str) = ("Accept-Language", "en-US,en;q=0.9");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");

/// The offer of compression is left out: it is a setting of its own (`deflate`).
const UPGRADE: &[(&str, &str)] = &[("Pragma", "no-cache"), ("Cache-Control", "no-cache"), AGENT, ENCODING, LANGUAGE];

const FETCH: &[(&str, &str)] = &[
    ("Connection", "keep-alive"),
    ("sec-ch-ua-platform", "\"Linux\""),
    AGENT,
    ("sec-ch-ua", "\"Not)A;Brand\";v=\"8\", \"Chromium\";v=\"138\", \"Google Chrome\";v=\"138\""),
    ("sec-ch-ua-mobile", "?0"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Dest", "empty"),
    ENCODING,
    LANGUAGE,
];

/// What the requests of one session say, every mark filled in.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// The `Host` header.
    pub host: String,
    /// `Cookie`, where the arm has one of its own.
    pub cookie: Option<String>,
    origin: Option<String>,
    /// Names and values: credentials, then what the arm adds.
    own: Vec<(String, String)>,
    profile: HeaderProfile,
    is_tls: bool,
}

impl Said {
    pub fn new(
        endpoint: &Endpoint,
        place: &Place,
        profile: HeaderProfile,
        extra: &[(String, String)],
        identity: &Identity,
    ) -> Said {
        let fill = |text: &str| place.fill(text);
        let auth = identity.auth.as_ref().map(|auth| match auth {
            Auth::Basic(text) => format!("Basic {}", STANDARD.encode(fill(text))),
            Auth::Bearer(text) => format!("Bearer {}", fill(text)),
        });
        let is_cookie = |name: &str| name.eq_ignore_ascii_case("cookie");
        let extras = extra.iter().filter(|(name, _)| !is_cookie(name)).map(|(name, text)| (name.clone(), fill(text)));
        Said {
            host: identity.host.as_deref().map_or_else(|| endpoint.authority.clone(), fill),
            cookie: extra
                .iter()
                .filter(|(name, _)| is_cookie(name))
                .map(|(_, text)| fill(text))
                .reduce(|a, b| a + "; " + &b),
            origin: identity.origin.as_deref().map(fill),
            own: auth.map(|auth| ("Authorization".to_owned(), auth)).into_iter().chain(extras).collect(),
            profile,
            is_tls: endpoint.tls.is_some(),
        }
    }

    /// Headers of a request after those that its protocol requires, but for cookies.
    pub fn headers(&self, purpose: Purpose) -> Vec<(String, String)> {
        let mut headers = of(purpose, self.profile, &self.host, self.is_tls);
        if let Some(origin) = &self.origin {
            headers.retain(|(name, _)| name != ORIGIN);
            headers.push((ORIGIN.to_owned(), origin.clone()));
        }
        headers.extend_from_slice(&self.own);
        headers
    }
}

const ORIGIN: &str = "Origin";

/// What the profile has. `authority` and `tls` say where the request goes, which for a same-origin one is also where it
/// comes from.
fn of(purpose: Purpose, profile: HeaderProfile, authority: &str, tls: bool) -> Vec<(String, String)> {
    let origin = format!("{}://{authority}", if tls { "https" } else { "http" });
    let referer = format!("{origin}/");
    let named: Vec<(&str, &str)> = match (profile, purpose) {
        (HeaderProfile::Minimal, Purpose::Events) => vec![EVENTS],
        (HeaderProfile::Minimal, _) => Vec::new(),
        (HeaderProfile::Browser, Purpose::Upgrade) => [UPGRADE, &[(ORIGIN, &origin)]].concat(),
        (HeaderProfile::Browser, Purpose::Events) => [FETCH, &[EVENTS, ("Referer", &referer)]].concat(),
        (HeaderProfile::Browser, Purpose::Receive) => [FETCH, &[("Accept", "*/*"), ("Referer", &referer)]].concat(),
        (HeaderProfile::Browser, Purpose::Publish) => {
            let publish = [("Accept", "*/*"), ("Content-Type", "text/plain;charset=UTF-8"), (ORIGIN, &origin)];
            [FETCH, &publish, &[("Referer", &referer)]].concat()
        }
    };
    named.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimal_is_minimal() {
        let minimal = |purpose| of(purpose, HeaderProfile::Minimal, "h", false);
        assert!(minimal(Purpose::Receive).is_empty() && minimal(Purpose::Upgrade).is_empty());
        assert!(minimal(Purpose::Publish).is_empty());
        assert_eq!(minimal(Purpose::Events).len(), 1);
    }

    #[test]
    fn a_browsers_poll_is_529_bytes_long() {
        let headers = of(Purpose::Receive, HeaderProfile::Browser, "127.0.0.1:40003", false);
        let first = "GET /poll/0123456789abcdef?c=0 HTTP/1.1\r\nHost: 127.0.0.1:40003\r\n\r\n";
        let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        assert_eq!(first.len() + bytes, 529);
        let headers = of(Purpose::Upgrade, HeaderProfile::Browser, "h", true);
        assert!(headers.contains(&("Origin".to_owned(), "https://h".to_owned())));
    }
}
