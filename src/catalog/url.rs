//! Where a target listens: `scheme://host:port/path`, with `{room}` and `{session}` standing for a session's own.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr};

/// A target's URL. Its scheme has been checked against [`super::TransportKind::schemes`] by the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl {
    pub scheme: String,
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// Path and query, starting with `/`; may hold `{room}` and `{session}`.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a target's URL: {problem}; write scheme://host:port/path, such as ws://127.0.0.1:9001/echo")]
pub struct UrlError {
    text: String,
    problem: &'static str,
}

impl TargetUrl {
    /// `host:port` as a `Host` header has it: the scheme's own port is left out, IPv6 is in brackets.
    pub fn authority(&self) -> String {
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

    /// The path of one session, its marks filled in.
    pub fn path_for(&self, room: u32, session: u32) -> String {
        self.path.replace("{room}", &room.to_string()).replace("{session}", &session.to_string())
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
        let (scheme, rest) = text.split_once("://").ok_or_else(|| error("it has no scheme"))?;
        if !["ws", "wss", "http", "https", "tcp", "tls", "udp", "nats", "mqtt", "mqtts"].contains(&scheme) {
            return Err(error("its scheme is none of ws, wss, tcp, tls, nats, mqtt, mqtts, udp, http, https"));
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        if authority.contains('@') {
            return Err(error("user and password don't belong into a URL; send an authorization header instead"));
        }
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(error("it holds a space or a control character"));
        }
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
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(TargetUrl { scheme: scheme.to_owned(), host: host.to_owned(), port, path })
    }
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
        assert_eq!((url.port, url.path_for(3, 14)), (80, "/room/3?s=14".to_owned()));
        let broker: TargetUrl = "mqtts://broker".parse().unwrap();
        assert_eq!((broker.port, broker.is_tls()), (8883, true));
        assert_eq!("tcp://[::1]:7".parse::<TargetUrl>().unwrap().host, "::1");
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
        let secret = problem("ws://me:hunter2@host/");
        assert!(!secret.contains("hunter2") && secret.contains("authorization"), "{secret}");
        assert!(!problem("tcp://x?key=hunter2").contains("hunter2"));
        assert!(problem("ws://[::1").contains("bracket"));
    }
}
