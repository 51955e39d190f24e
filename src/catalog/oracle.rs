//! What an oracle target does on purpose, so that the truth is known before anything is measured.

use super::distribution::Distribution;
use crate::units::{Share, Span, UnitError, text_serde};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Everything defaults to nothing: a target with the default oracle is the plain reference target. What is drawn is drawn
/// from the seed and the message's number, never from when something happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Oracle {
    /// How long each message is held before it is fanned out, drawn for each by its id: `constant(20ms)`,
    /// `uniform(10ms, 30ms)`, `exponential(20ms)` (mean), `lognormal(20ms, 0.5)` (median, sigma),
    /// `bimodal(5ms, 50ms, 0.1)` (usual, slow, share of the slow), `pareto(5ms, 2.5)` (least, alpha). Default: not held.
    pub reply_delay: Option<Distribution>,
    /// Freezes the whole target: `200ms/1s` is for 200 ms in every second. Default: never.
    pub stall: Option<Stall>,
    /// udp: share of the messages that are dropped, such as `5%`. Default: none.
    pub udp_drop: Option<Share>,
    /// udp: share of the messages that are sent twice. Default: none.
    pub udp_duplicate: Option<Share>,
    /// udp: share of the messages that change places with the next one to the same client. Default: none.
    pub udp_swap: Option<Share>,
    /// Drops every n-th copy of the fan-out, counted over the whole target. Default: none.
    pub drop_copy: Option<NonZeroU64>,
    /// Delays every n-th copy of the fan-out by `copy_delay`. Default: none.
    pub delay_copy: Option<NonZeroU64>,
    /// How long the copies of `delay_copy` are delayed. Default: 50ms.
    pub copy_delay: Option<Span>,
    /// Hangs up on every k-th connection in order, before a byte is sent. Default: none.
    pub refuse: Option<NonZeroU64>,
    /// Resets every k-th connection when its first bytes come. Default: none.
    pub reset: Option<NonZeroU64>,
    /// websocket: answers every k-th upgrade as `bad_upgrade` says. Default: 1 (every one), if `bad_upgrade` is set.
    pub upgrade: Option<NonZeroU64>,
    /// websocket: the wrong answer: `429`, `503` or `bad-accept`. Default: none.
    pub bad_upgrade: Option<BadUpgrade>,
    /// websocket: how often the target pings each session. Default: never.
    pub pings: Option<Span>,
    /// websocket: how often the target sends each session a pong that nobody asked for. Default: never.
    pub pongs: Option<Span>,
    /// The target closes each session this long after it joined. Default: never.
    pub close_after: Option<Span>,
    /// websocket: close code of `close_after`. Default: 1001.
    pub close_code: Option<u16>,
    /// Seed of everything that is drawn. Default: the scenario's.
    pub seed: Option<u64>,
    /// File for a CSV line per message that was held: its id, and how long, as drawn and as it was. Default: none.
    pub log: Option<String>,
}

kinds! {
    /// Wrong answers to a WebSocket upgrade.
    BadUpgrade { TooManyRequests = "429", Unavailable = "503", Accept = "bad-accept" }
}

/// Frozen for `length` in every `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    pub length: Span,
    /// Longer than `length`.
    pub every: Span,
}

impl FromStr for Stall {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Stall, UnitError> {
        let stall = text
            .split_once('/')
            .and_then(|(length, every)| Some(Stall { length: length.parse().ok()?, every: every.parse().ok()? }));
        stall.filter(|stall| Span::ZERO < stall.length && stall.length < stall.every).ok_or_else(|| {
            UnitError::new(text, "stall", "a length and a longer period, such as 200ms/1s for 200 ms in every second")
        })
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.length, self.every)
    }
}

text_serde! {
    Stall: "stall", "200ms/1s";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_shorter_than_its_period() {
        let stall: Stall = "200ms/1s".parse().unwrap();
        assert_eq!(stall, Stall { length: Span::from_millis(200), every: Span::from_millis(1000) });
        assert_eq!(stall.to_string(), "200ms/1s");
        for bad in ["", "200ms", "1s/1s", "0s/1s", "2s/1s", "a/b", "200ms/1s/1s"] {
            assert!(bad.parse::<Stall>().unwrap_err().to_string().contains("200ms/1s"), "{bad}");
        }
    }
}
