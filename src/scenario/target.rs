//! `[target.…]` and `[network]`: the server under test, and the network in between.

use super::at::{At, Named};
use crate::catalog::{Engine, Oracle, TargetUrl};
use crate::units::Span;
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};

/// The server under test: one of these tables. Default: the embedded target.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The reference target that wsbench starts itself, for each trial.
    Embedded(Embedded),
    /// A server of your own: a URL for each arm. The path may hold marks, such as `{room}` and `{session}`.
    Urls(Named<At<TargetUrl>>),
}

/// Settings of the embedded target.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Embedded {
    /// What speaks RFC 6455 at the target; for the client that is a setting of the arm.
    pub engine: At<Engine>,
    /// How long a held GET waits for a message before it is answered with none.
    pub hold: At<Span>,
    /// The address of this machine on which the target listens; `::1` is the loopback of IPv6.
    pub listen: At<IpAddr>,
    /// What the target does on purpose, so that the truth is known: delays, stalls, losses, refusals.
    /// Default: nothing.
    pub oracle: Option<At<Box<Oracle>>>,
}

/// The emulated network between generator and embedded target.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// One transit, each direction; a TCP connect takes a round trip more. Embedded target only. Default: 0s, the
    /// loopback as it is.
    pub delay: Option<At<Span>>,
}

impl Default for Target {
    fn default() -> Target {
        Target::Embedded(Embedded::default())
    }
}

impl Default for Embedded {
    fn default() -> Embedded {
        Embedded {
            engine: At::default_value(Engine::Native),
            hold: At::default_value(Span::from_millis(25_000)),
            listen: At::default_value(Ipv4Addr::LOCALHOST.into()),
            oracle: None,
        }
    }
}
