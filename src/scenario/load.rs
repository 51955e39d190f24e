//! `[load]`: how many, how fast, for how long.

use super::at::At;
use crate::catalog::{AgentLoss, Arrival, Block};
use crate::units::{Rate, Span};
use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU32;

/// How many sessions, how fast, for how long.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// Concurrent clients. In a connect workload: the most that may be open at once.
    pub sessions: At<NonZeroU32>,
    /// Messages (publishes, events, connects) a second over all sessions together. Needed for open arrival unless
    /// `stages` are given; there it is the rate that they start from.
    pub rate: Option<At<Rate>>,
    /// How the due instants are drawn: `constant` and `poisson` don't wait for answers, `closed` does.
    pub arrival: At<Arrival>,
    /// How fast sessions are opened before the load begins.
    pub connect_rate: At<Rate>,
    /// Load before the measured window, at the rate with which that begins; not measured.
    pub warmup: At<Span>,
    /// Length of the measured window. Either this or `stages`.
    pub duration: Option<At<Span>>,
    /// The measured window as a sequence of ramps, holds and steps.
    pub stages: Option<At<Vec<Stage>>>,
    /// How often each arm is run; trials of the arms are interleaved.
    pub trials: At<NonZeroU32>,
    /// Closed arrival only: requests in flight for each session (in a connect workload: over all sessions). Default: 1.
    pub outstanding: Option<At<NonZeroU32>>,
    /// Closed arrival only: pause between an answer and the next request. Default: 0s.
    pub think: Option<At<Span>>,
    /// An answer that takes longer than this is counted as late.
    pub timeout: At<Span>,
    /// How long to wait at the end for what is still owed.
    pub drain: At<Span>,
    /// Bound on opening one session. Default: the duration, but at least 1s and at most 5s.
    pub connect_timeout: Option<At<Span>>,
    /// Never sleep while the load runs: sends leave within microseconds of their due instants, at the price of a core.
    pub spin: At<bool>,
    /// Processes of the generator. Default: as few as hold the sessions.
    pub workers: Option<At<NonZeroU32>>,
    /// Addresses that the sessions leave from, in turn, or blocks of them, such as `127.0.0.0/28`. Default: the system's
    /// choice; addresses of the loopback where the target is there and one has too few ports.
    pub source_ips: Option<At<Vec<At<Block>>>>,
    /// Where agents on several machines run it: what becomes of the run when one of them is lost. `abort` ends the trial in
    /// order, and the run with it; `continue` goes on with those who are left.
    pub on_agent_loss: At<AgentLoss>,
}

/// A stretch of time over which the rate moves evenly to a new value.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The rate at its end.
    pub to: At<Rate>,
    /// How long it takes; `0s` is a step.
    pub over: At<Span>,
}

impl Default for Load {
    fn default() -> Load {
        let rate = Rate::new(1000.0).expect("a finite rate");
        Load {
            sessions: At::default_value(NonZeroU32::MIN),
            rate: None,
            arrival: At::default_value(Arrival::Poisson),
            connect_rate: At::default_value(rate),
            warmup: At::default_value(Span::ZERO),
            duration: None,
            stages: None,
            trials: At::default_value(NonZeroU32::MIN),
            outstanding: None,
            think: None,
            timeout: At::default_value(Span::from_millis(2000)),
            drain: At::default_value(Span::from_millis(1000)),
            connect_timeout: None,
            spin: At::default_value(false),
            workers: None,
            source_ips: None,
            on_agent_loss: At::default_value(AgentLoss::Abort),
        }
    }
}
