//! `[tls]`: whom a run trusts, and who it is.

use super::at::At;
use schemars::JsonSchema;
use serde::Deserialize;

/// TLS of the whole run, for arms whose URL asks for it (`wss`, `https`, `tls`). Paths are relative to the scenario file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file with certificates of authorities to trust beside the system's. Default: none.
    pub ca: Option<At<String>>,
    /// PEM file with the client's certificate and what vouches for it, for targets that ask who we are. Default: none.
    pub cert: Option<At<String>>,
    /// PEM file with the key of `cert`, not encrypted. Default: the file of `cert`.
    pub key: Option<At<String>>,
    /// Take any certificate, under any name? For tests of one's own: nobody then knows who answered.
    pub insecure: At<bool>,
    /// Name that the target is asked for (SNI) and that its certificate must have. Default: the URL's host.
    pub server_name: Option<At<String>>,
    /// Application protocols to offer (ALPN), the preferred first. Default: none.
    pub alpn: Option<At<Vec<At<String>>>>,
}
