//! The header profiles: what a request carries beyond what its protocol requires.

use crate::catalog::HeaderProfile;

const AGENT: (&str, &str) = (
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
);
const LANGUAGE: (&str, &str) = ("Accept-Language", "en-US,en;q=0.9");

/// What a desktop browser adds to the handshake of `new WebSocket()`, but for the offer of compression, which no engine
/// here could keep.
const UPGRADE: &[(&str, &str)] = &[
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    AGENT,
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    LANGUAGE,
];

/// What a desktop browser adds to a same-origin `fetch()`.
const FETCH: &[(&str, &str)] = &[
    ("Connection", "keep-alive"),
    ("sec-ch-ua", "\"Not/A)Brand\";v=\"8\", \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    AGENT,
    ("Accept", "*/*"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Dest", "empty"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    LANGUAGE,
];

/// Headers of a WebSocket handshake after the required ones.
pub(super) fn of_upgrade(profile: HeaderProfile, authority: &str, tls: bool) -> Vec<(String, String)> {
    with_origin(profile, UPGRADE, "Origin", authority, tls, "")
}

/// Headers of an HTTP request after `Host`. A profile's `Connection` is left out where every request has one of its own.
pub(super) fn of_request(profile: HeaderProfile, authority: &str, tls: bool) -> Vec<(String, String)> {
    with_origin(profile, FETCH, "Referer", authority, tls, "/")
}

fn with_origin(
    profile: HeaderProfile,
    fixed: &[(&str, &str)],
    name: &str,
    authority: &str,
    tls: bool,
    path: &str,
) -> Vec<(String, String)> {
    if profile == HeaderProfile::Minimal {
        return Vec::new();
    }
    let scheme = if tls { "https" } else { "http" };
    let origin = (name.to_owned(), format!("{scheme}://{authority}{path}"));
    fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain([origin]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimal_adds_nothing_and_a_browser_several_hundred_bytes() {
        assert!(of_request(HeaderProfile::Minimal, "h", false).is_empty());
        let headers = of_request(HeaderProfile::Browser, "h:80", true);
        let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        assert!((400..900).contains(&bytes), "{bytes}");
        assert!(headers.contains(&("Referer".to_owned(), "https://h:80/".to_owned())));
        assert!(of_upgrade(HeaderProfile::Browser, "h", false).contains(&("Origin".to_owned(), "http://h".to_owned())));
    }
}
