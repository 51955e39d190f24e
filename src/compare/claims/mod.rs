//! The five claims that the project began from, each with what this run shows, what theory says, under which
//! conditions, and a verdict. What contradicts a claim is printed with the same weight as what supports it.
//!
//! Intervals are [`Spread`]s of per-trial values or of ratios within a block, with their coverage.

use super::{Spread, TIE, paired_ratios};
use crate::measure::Traffic;
use crate::result::{Cell, Document, Trial};
use crate::units::{Span, three_digits};
use std::time::Duration;

mod cost;
mod handshake;
mod latency;

/// One claim and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub claim: &'static str,
    pub metric: &'static str,
    pub effects: Vec<Effect>,
    pub prediction: Option<String>,
    /// Under which this was measured.
    pub conditions: String,
    /// What speaks against the claim, or limits it.
    pub against: Vec<String>,
    pub verdict: Verdict,
}

/// One figure with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Such as `long-polling ÷ websocket, framing bytes per message`.
    pub what: String,
    pub unit: Unit,
    pub spread: Spread,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How many times as much.
    Times,
    Bytes,
    Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Supported,
    NotSupported,
    /// Holds in part, or under the stated conditions only.
    Conditional,
    /// This run couldn't show it; the scenario named would.
    NotMeasured(&'static str),
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Supported => "supported",
            Verdict::NotSupported => "not supported",
            Verdict::Conditional => "conditional",
            Verdict::NotMeasured(_) => "not measured",
        }
    }
}

/// A claim before anything was looked at.
struct Row {
    claim: &'static str,
    metric: &'static str,
    /// Where to look if this run can't show it.
    scenario: &'static str,
    /// Whether sessions that live for one message can show it: a storm of connects is mostly opening and closing.
    in_storms: bool,
    judge: fn(&Sides) -> Option<Judged>,
}

/// What a run shows of a claim.
struct Judged {
    effects: Vec<Option<Effect>>,
    prediction: Option<String>,
    against: Vec<String>,
    verdict: Verdict,
}

/// With fewer trials than this on a side, how much they differ is not known well enough for a verdict.
const ENOUGH: usize = 3;

const ROWS: &[Row] = &[
    Row {
        claim: "lightweight headers",
        metric: "bytes per delivered message: framing alone, and on the wire",
        scenario: "scenarios/chat.toml",
        in_storms: false,
        judge: cost::headers,
    },
    Row {
        claim: "one TCP connection per client",
        metric: "connections per client; connections opened per 1,000 messages",
        scenario: "scenarios/chat.toml",
        in_storms: false,
        judge: cost::connections,
    },
    Row {
        claim: "the server can push",
        metric: "time from event to receipt",
        scenario: "scenarios/live-scores.toml",
        in_storms: false,
        judge: latency::push,
    },
    Row {
        claim: "HTTP polling was never meant for real time",
        metric: "response time ÷ one transit, over several rates",
        scenario: "scenarios/chat.toml with a [network] delay, at several rates",
        in_storms: false,
        judge: latency::real_time,
    },
    Row {
        claim: "the handshake is paid once",
        metric: "time to first message; bytes of the handshake; messages until it is repaid",
        scenario: "scenarios/connect.toml, and scenarios/chat.toml for what repays it",
        in_storms: true,
        judge: handshake::paid_once,
    },
];

/// The five rows, always in the same order.
pub fn claims(document: &Document) -> Vec<Claim> {
    let sides = Sides::of(document);
    let judged = |row: &Row| {
        let sides = sides.as_ref().filter(|sides| row.in_storms || sides.websocket.workload != "connect")?;
        Some((sides.conditions(), sides.limited((row.judge)(sides)?)))
    };
    ROWS.iter()
        .map(|row| match judged(row) {
            Some((conditions, Judged { effects, prediction, against, verdict })) => Claim {
                claim: row.claim,
                metric: row.metric,
                effects: effects.into_iter().flatten().collect(),
                prediction,
                conditions,
                against,
                verdict,
            },
            None => Claim {
                claim: row.claim,
                metric: row.metric,
                effects: Vec::new(),
                prediction: None,
                conditions: String::new(),
                against: Vec::new(),
                verdict: Verdict::NotMeasured(row.scenario),
            },
        })
        .collect()
}

/// The cells that the claims are about.
struct Sides<'a> {
    websocket: &'a Cell,
    polling: &'a Cell,
    /// SSE, which is HTTP and pushes all the same.
    sse: Option<&'a Cell>,
    document: &'a Document,
}

impl<'a> Sides<'a> {
    /// The plain WebSocket arm against the reference if that is a polling one, else against the plain polling arm.
    fn of(document: &'a Document) -> Option<Sides<'a>> {
        let plain = |transport: &str| {
            let mut cells = document.cells.iter().filter(|c| c.transport == transport);
            cells.clone().find(|c| c.arm == transport).or_else(|| cells.next())
        };
        let reference = document
            .cells
            .iter()
            .find(|c| Some(&c.arm) == document.reference.as_ref() && c.transport.ends_with("polling"));
        Some(Sides {
            websocket: plain("websocket")?,
            polling: reference.or_else(|| plain("long-polling")).or_else(|| plain("short-polling"))?,
            sse: plain("sse"),
            document,
        })
    }

    /// `figure` of polling ÷ that of WebSocket, block by block.
    fn ratio(&self, what: &str, figure: impl Fn(&Trial) -> Option<f64>) -> Option<Effect> {
        ratio_of(self.polling, self.websocket, what, figure)
    }

    /// Whether an arm spoke TLS.
    fn speaks_tls(cell: &Cell) -> bool {
        cell.trials.iter().any(|trial| trial.outcome.tls.is_some())
    }

    /// `judged` without a firm verdict where too few trials stand behind it.
    fn limited(&self, mut judged: Judged) -> Judged {
        let valid = |cell: &Cell| cell.trials.iter().filter(|t| t.is_valid()).count();
        let compared = judged.effects.iter().flatten().map(|effect| effect.spread.trials);
        let fewest = compared.chain([valid(self.websocket), valid(self.polling)]).min().unwrap_or(0);
        if Sides::speaks_tls(self.websocket) != Sides::speaks_tls(self.polling) {
            judged
                .against
                .push("only one of the two speaks TLS, which takes bytes and round trips of its own".to_owned());
        }
        if fewest < ENOUGH {
            judged.against.push(match fewest {
                0 => "no trial of one side was valid".to_owned(),
                1 => "one trial says nothing of the spread".to_owned(),
                n => format!("{n} trials say little of the spread"),
            });
            if let Verdict::Supported | Verdict::NotSupported = judged.verdict {
                judged.verdict = Verdict::Conditional;
            }
        }
        judged
    }

    fn conditions(&self) -> String {
        let load = &self.websocket.load;
        let mut parts = vec![format!("{} of {} sessions", self.websocket.workload, load.sessions)];
        match load.arrival.as_str() {
            "closed" => parts.push("closed arrival".to_owned()),
            arrival => parts.push(format!("{}/s {arrival}", three_digits(load.rate))),
        }
        parts.push(match load.payload {
            (min, max) if min == max => format!("{min} B"),
            (min, max) => format!("{min}–{max} B"),
        });
        parts.push(match load.delay {
            0 => "no emulated network".to_owned(),
            delay => format!("{} emulated each way", Span(Duration::from_nanos(delay))),
        });
        let settings: Vec<String> = self.polling.settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
        if !settings.is_empty() {
            parts.push(format!("{} with {}", self.polling.arm, settings.join(", ")));
        }
        parts.join(", ")
    }
}

fn ratio_of(cell: &Cell, other: &Cell, what: &str, figure: impl Fn(&Trial) -> Option<f64>) -> Option<Effect> {
    let spread = Spread::of(paired_ratios(cell, other, figure).into_iter().map(|(_, ratio)| ratio))?;
    Some(Effect { what: format!("{} ÷ {}, {what}", cell.arm, other.arm), unit: Unit::Times, spread })
}

fn value_of(cell: &Cell, what: &str, unit: Unit, figure: impl Fn(&Trial) -> Option<f64>) -> Option<Effect> {
    let spread = Spread::of(cell.trusted().into_iter().filter_map(figure))?;
    Some(Effect { what: format!("{}, {what}", cell.arm), unit, spread })
}

fn over(a: u64, b: u64) -> Option<f64> {
    (b > 0).then(|| a as f64 / b as f64)
}

/// Bytes of both directions ÷ messages delivered.
fn per_message(trial: &Trial, bytes: impl Fn(&Traffic) -> u64) -> Option<f64> {
    over(bytes(&trial.outcome.traffic), trial.delivered_in_all())
}

fn framing(trial: &Trial) -> Option<f64> {
    per_message(trial, |t| t.sent.framing.saturating_add(t.received.framing))
}

/// Whether the ratio lies within the tie's bounds.
fn ties(effect: &Effect) -> bool {
    (effect.spread.median - 1.0).abs() <= TIE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    fn verdicts(document: &Document) -> Vec<Verdict> {
        claims(document).iter().map(|c| c.verdict).collect()
    }

    #[test]
    fn a_chat_with_polling_slower_in_the_tail_gets_its_verdicts() {
        let rows = claims(&testing::document());
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[0].verdict, Verdict::Supported);
        assert_eq!(rows[1].verdict, Verdict::Supported);
        assert!(rows[1].against[0].contains("keep-alive"));
        // At the median the poll is open: a tie; in the tail it isn't.
        assert_eq!(rows[2].verdict, Verdict::Conditional, "{:?}", rows[2]);
        assert!(rows[2].against.iter().any(|a| a.contains("SSE")));
        assert_eq!(rows[3].verdict, Verdict::Conditional);
        assert_eq!(rows[4].verdict, Verdict::Supported);
        for row in &rows {
            assert!(!row.effects.is_empty() && row.conditions.contains("10ms emulated"), "{row:?}");
        }
    }

    #[test]
    fn tls_on_one_side_alone_is_held_against_every_claim() {
        let mut document = testing::document();
        let against = |document: &Document| {
            let of_tls = |claim: &Claim| claim.against.iter().any(|a| a.contains("only one of the two speaks TLS"));
            claims(document).iter().filter(|claim| of_tls(claim)).count()
        };
        assert_eq!(against(&document), 0);
        let speak = |cell: &mut Cell| cell.trials[0].outcome.tls = Some(Default::default());
        document.cells.iter_mut().filter(|cell| cell.transport == "websocket").for_each(speak);
        assert_eq!(against(&document), 5);
        assert!(claims(&document)[4].prediction.as_ref().unwrap().contains("TLS"));
        document.cells.iter_mut().for_each(speak);
        assert_eq!(against(&document), 0);
    }

    #[test]
    fn what_a_run_cannot_show_names_the_scenario_that_would() {
        let mut document = testing::of("connect", testing::DELAY);
        for trial in document.cells.iter_mut().flat_map(|c| &mut c.trials) {
            trial.outcome.measure = Default::default();
            trial.outcome.warmup = Default::default();
        }
        let seen = verdicts(&document);
        assert_eq!(seen[2], Verdict::NotMeasured("scenarios/live-scores.toml"));
        assert!(seen[..4].iter().all(|v| matches!(v, Verdict::NotMeasured(_))), "a storm shows the handshake alone");
        assert_eq!(seen[4], Verdict::Conditional);
        document.cells.retain(|c| c.transport != "websocket");
        assert!(verdicts(&document).iter().all(|v| matches!(v, Verdict::NotMeasured(_))));
    }

    #[test]
    fn a_tie_is_published_as_not_supported() {
        let mut document = testing::document();
        let websocket = document.cells[0].trials.clone();
        let polling = document.cells.iter_mut().find(|c| c.arm == "long-polling").unwrap();
        polling.trials = websocket;
        let seen = verdicts(&document);
        assert!(seen.iter().all(|v| *v == Verdict::NotSupported), "{seen:?}");
    }

    #[test]
    fn too_few_trials_support_nothing_and_refute_nothing() {
        let seen = |few: fn(&mut Document)| {
            let mut document = testing::document();
            few(&mut document);
            let rows = claims(&document);
            assert!(rows.iter().all(|r| r.verdict == Verdict::Conditional), "{rows:?}");
            rows[0].against.last().unwrap().clone()
        };
        assert_eq!(
            seen(|d| d.cells.iter_mut().for_each(|c| c.trials.truncate(1))),
            "one trial says nothing of the spread"
        );
        assert_eq!(seen(|d| d.cells[0].trials.truncate(2)), "2 trials say little of the spread");
        assert_eq!(
            seen(|d| d.cells[0].trials.iter_mut().for_each(testing::invalidate)),
            "no trial of one side was valid"
        );
    }

    #[test]
    fn without_an_emulated_network_one_transit_is_unknown() {
        assert!(matches!(verdicts(&testing::of("chat", 0))[3], Verdict::NotMeasured(_)));
    }
}
