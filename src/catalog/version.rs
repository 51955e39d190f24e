//! Which HTTP an arm speaks.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A version of HTTP, written as its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub enum HttpVersion {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    One,
    /// HTTP/2 (RFC 9113): by prior knowledge on `http` and `ws`, by ALPN on `https` and `wss`.
    Two,
}

impl HttpVersion {
    /// Its name in a TLS handshake (ALPN, RFC 7301 §6).
    pub fn alpn(self) -> &'static str {
        match self {
            HttpVersion::One => "http/1.1",
            HttpVersion::Two => "h2",
        }
    }
}

impl TryFrom<u64> for HttpVersion {
    type Error = String;

    fn try_from(number: u64) -> Result<HttpVersion, String> {
        match number {
            1 => Ok(HttpVersion::One),
            2 => Ok(HttpVersion::Two),
            other => Err(format!("{other} is no version of HTTP that can be spoken here: 1 or 2")),
        }
    }
}

impl From<HttpVersion> for u64 {
    fn from(version: HttpVersion) -> u64 {
        match version {
            HttpVersion::One => 1,
            HttpVersion::Two => 2,
        }
    }
}

impl fmt::Display for HttpVersion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", u64::from(*self))
    }
}
