//! Where a target listens: `scheme://host:port/path`, or a Unix socket, `scheme:/path/to/socket:/path`. The path may hold
//! marks, which are filled in for each session (`crate::values`).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr};

/// A target's URL. Its scheme has been checked against [`super::TransportKind::schemes`] by the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl {
    pub scheme: String,
    /// A name or an address; an IPv6 address without its brackets. Of a Unix socket it is `localhost`.
    pub host: String,
    /// 0 of a Unix socket.
    pub port: u16,
    /// Path and query, starting with `/`; may hold `{room}`, `{session}` and the names of a scenario's values.
    pub path: String,
    /// The file of a Unix socket.
    pub socket: Option<String>,
    /// `user:password` as it was written, percent-encoded. Never shown: the plan makes it the arm's own.
    pub userinfo: Option<String>,
}

/// The longest name of a Unix socket's file, bytes (`sun_path` of `sys/un.h`, less its NUL).
const LONGEST_SOCKET: usize = 107;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a target's URL: {problem}; write scheme://host:port/path, such as ws://127.0.0.1:9001/echo")]
pub struct UrlError {
    text: String,
    problem: &'static str,
}

impl TargetUrl {
    /// A TCP or UDP port of `host`.
    pub fn on_port(scheme: &str, host: &str, port: u16, path: &str) -> TargetUrl {
        let (scheme, host, path) = (scheme.to_owned(), host.to_owned(), path.to_owned());
        TargetUrl { scheme, host, port, path, socket: None, userinfo: None }
    }

    /// `host:port` as a `Host` header has it: the scheme's own port is left out, IPv6 is in brackets, and a Unix socket has
    /// none.
    pub fn authority(&self) -> String {
        if self.socket.is_some() {
            return self.host.clone();
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if default_port(&self.scheme) == Some(self.port) { host } else { format!("{host}:{}", self.port) }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self.scheme.as_str(), "wss" | "https" | "tls" | "mqtts")
    }

    /// Takes the parameter `token` out of the query: what the wsbench dialect joins with.
    pub fn take_token(&mut self) -> Option<String> {
        let (path, query) = self.path.split_once('?')?;
        let (tokens, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| pair.starts_with("token="));
        let token = tokens.first()?.trim_start_matches("token=").to_owned();
        let query = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
        self.path = format!("{path}{query}");
        Some(token)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "ws" | "http" => Some(80),
        "wss" | "https" => Some(443),
        "nats" => Some(4222),
        "mqtt" => Some(1883),
        "mqtts" => Some(8883),
        _ => None,
    }
}

impl FromStr for TargetUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<TargetUrl, UrlError> {
        let error = |problem| UrlError { text: redacted(text), problem };
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(error("it holds a space or a control character"));
        }
        if let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_unix(scheme)) {
            return on_socket(scheme, rest).map_err(error);
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| error("it has no scheme"))?;
        if !["ws", "wss", "http", "https", "tcp", "tls", "udp", "nats", "mqtt", "mqtts"].contains(&scheme) {
            return Err(error(
                "its scheme is none of ws, wss, tcp, tls, nats, mqtt, mqtts, udp, http, https, unix, ws+unix, http+unix",
            ));
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (userinfo, authority) = match authority.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo.to_owned()), authority),
            None => (None, authority),
        };
        if authority.starts_with('[') && !authority.contains(']') {
            return Err(error("its address lacks the closing bracket"));
        }
        let bracketed = authority.strip_prefix('[').and_then(|a| a.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() {
            return Err(error("it has no host"));
        }
        let port = match port {
            Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or_else(|| error("its port is not 1–65535"))?,
            None => default_port(scheme).ok_or_else(|| error("it has no port"))?,
        };
        Ok(TargetUrl { userinfo, ..TargetUrl::on_port(scheme, host, port, &rooted(path)) })
    }
}

fn is_unix(scheme: &str) -> bool {
    matches!(scheme, "unix" | "ws+unix" | "http+unix")
}

/// `/path/to/socket`, then `:` and the path where there is one, as the WebSocket library of Node.js has it; two slashes more
/// in front are passed over.
fn on_socket(scheme: &str, rest: &str) -> Result<TargetUrl, &'static str> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (socket, path) = match rest.find([':', '?']) {
        Some(at) => (&rest[..at], rest[at..].trim_start_matches(':')),
        None => (rest, ""),
    };
    if !socket.starts_with('/') || socket.ends_with('/') {
        return Err("the file of its socket is no whole path, such as unix:/run/app.sock");
    }
    if socket.len() > LONGEST_SOCKET {
        return Err("the path of its socket is longer than 107 bytes");
    }
    let socket = Some(socket.to_owned());
    Ok(TargetUrl { socket, ..TargetUrl::on_port(scheme, "localhost", 0, &rooted(path)) })
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// The text without what stands before an `@` or in a query: it is about to be printed.
fn redacted(text: &str) -> String {
    let (text, query) = text.split_once('?').map_or((text, ""), |(text, _)| (text, "?…"));
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}{query}"),
        (None, Some((_, rest))) => format!("…@{rest}{query}"),
        _ => format!("{text}{query}"),
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let path = if self.path == "/" { "" } else { &self.path };
        if let Some(socket) = &self.socket {
            let colon = if path.is_empty() { "" } else { ":" };
            return write!(f, "{}:{socket}{colon}{path}", self.scheme);
        }
        write!(f, "{}://{}{path}", self.scheme, self.authority())
    }
}

impl Serialize for TargetUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TargetUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for TargetUrl {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TargetUrl".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "x-unit": "URL", "examples": ["ws://127.0.0.1:9001/echo"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for text in ["ws://127.0.0.1:9001/echo", "tcp://[::1]:7", "https://example.org/a?b=c", "udp://localhost:9"] {
            assert_eq!(text.parse::<TargetUrl>().unwrap().to_string(), text);
        }
        let url: TargetUrl = "ws://h/room/{room}?s={session}".parse().unwrap();
        assert_eq!((url.port, url.path.as_str()), (80, "/room/{room}?s={session}"));
        let broker: TargetUrl = "mqtts://broker".parse().unwrap();
        assert_eq!((broker.port, broker.is_tls()), (8883, true));
        assert_eq!("tcp://[::1]:7".parse::<TargetUrl>().unwrap().host, "::1");
    }

    #[test]
    fn a_unix_socket_has_a_file_and_maybe_a_path() {
        for (text, socket, path) in [
            ("unix:/run/app.sock", "/run/app.sock", "/"),
            ("ws+unix:/run/app.sock:/chat/{room}?a=b", "/run/app.sock", "/chat/{room}?a=b"),
            ("http+unix:/run/app.sock:/poll", "/run/app.sock", "/poll"),
        ] {
            let url: TargetUrl = text.parse().unwrap();
            assert_eq!((url.socket.as_deref(), url.path.as_str()), (Some(socket), path));
            assert_eq!((url.to_string().as_str(), url.authority().as_str()), (text, "localhost"));
        }
        let slashes: TargetUrl = "ws+unix:///run/app.sock".parse().unwrap();
        assert_eq!(slashes.to_string(), "ws+unix:/run/app.sock");
        for text in ["unix:app.sock", "unix:/", "ws+unix://app/x.sock", &format!("unix:/{}", "x".repeat(107))] {
            assert!(text.parse::<TargetUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn who_asks_is_read_and_never_shown() {
        let url: TargetUrl = "ws://joe:hunter2@h:1/p@q".parse().unwrap();
        assert_eq!((url.userinfo.as_deref(), url.host.as_str()), (Some("joe:hunter2"), "h"));
        assert_eq!(url.to_string(), "ws://h:1/p@q");
    }

    #[test]
    fn gives_up_its_token_and_nothing_else() {
        let mut url: TargetUrl = "tcp://h:7/room/{room}?a=b&token=T&c=d".parse().unwrap();
        assert_eq!(url.take_token().as_deref(), Some("T"));
        assert_eq!(url.to_string(), "tcp://h:7/room/{room}?a=b&c=d");
        assert_eq!(url.take_token(), None);
        let mut only: TargetUrl = "http://h:7/?token=T".parse().unwrap();
        assert_eq!((only.take_token().as_deref(), only.path.as_str()), (Some("T"), "/"));
    }

    #[test]
    fn says_what_is_wrong_and_keeps_secrets() {
        let problem = |text: &str| text.parse::<TargetUrl>().unwrap_err().to_string();
        assert!(problem("localhost:80").contains("no scheme"));
        assert!(problem("ftp://x").contains("scheme is none of"));
        assert!(problem("tcp://x").contains("no port"));
        assert!(problem("tcp://x:0").contains("1–65535"));
        assert!(problem("ws://:80").contains("no host"));
        assert!(problem("ws://a b").contains("space"));
        let secret = problem("ws://me:hunter2@host:0/");
        assert!(!secret.contains("hunter2") && secret.contains("1–65535"), "{secret}");
        assert!(!problem("tcp://x?key=hunter2").contains("hunter2"));
        assert!(problem("ws://[::1").contains("bracket"));
    }
}
