//! What requests say of who asks whom.

use serde::{Deserialize, Serialize};

/// Host, origin and credentials of an arm's requests, and whether its sessions keep cookies. Texts may hold marks, which are
/// filled in for each session (`crate::values`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// The `Host` header; `None`: as in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The `Origin` header of every request; `None`: as the header profile has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Are cookies that the target sets sent back to it?
    pub cookies: bool,
}

/// The `Authorization` header. A secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `user:password` (RFC 7617).
    Basic(String),
    /// A token (RFC 6750).
    Bearer(String),
}

impl Default for Identity {
    fn default() -> Identity {
        Identity { host: None, origin: None, auth: None, cookies: true }
    }
}

impl Identity {
    /// Whether there is nothing to say of it.
    pub fn is_usual(&self) -> bool {
        *self == Identity::default()
    }
}

impl Auth {
    /// What kind it is, which is no secret.
    pub fn kind(&self) -> &'static str {
        match self {
            Auth::Basic(_) => "basic",
            Auth::Bearer(_) => "bearer",
        }
    }

    pub fn text_mut(&mut self) -> &mut String {
        match self {
            Auth::Basic(text) | Auth::Bearer(text) => text,
        }
    }
}
