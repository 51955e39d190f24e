//! The five claims that the project began from, each with what this run shows, what theory says, under which
//! conditions, and a verdict. What contradicts a claim is printed with the same weight as what supports it.
//!
//! Intervals are [`Spread`]s of per-trial values or of ratios within a block, with their coverage.

use super::{Spread, Unmodelled, paired_ratios, predict};
use crate::measure::{Metric, Traffic};
use crate::result::{Cell, Document, Trial};
use crate::units::{show_nanos, three_digits};

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
    Nanos,
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

/// A ratio this close to 1 is a tie.
const TIE: f64 = 0.05;

/// The cells that the claims are about.
struct Sides<'a> {
    websocket: &'a Cell,
    polling: &'a Cell,
    /// SSE, which is HTTP and pushes all the same.
    sse: Option<&'a Cell>,
    document: &'a Document,
}

/// The five rows, always in the same order.
pub fn claims(document: &Document) -> Vec<Claim> {
    let blank: [fn() -> Claim; 5] = [headers_blank, connection_blank, push_blank, real_time_blank, handshake_blank];
    let judged: [fn(&Sides) -> Claim; 5] = [headers, connection, push, real_time, handshake];
    match Sides::of(document) {
        Some(sides) => judged.iter().map(|judge| judge(&sides)).collect(),
        None => blank.iter().map(|blank| blank()).collect(),
    }
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

    fn conditions(&self) -> String {
        let load = &self.websocket.load;
        let mut parts = vec![format!("{} of {} sessions", self.websocket.workload, load.sessions)];
        match load.arrival.as_str() {
            "closed" => parts.push("closed arrival".to_owned()),
            arrival => parts.push(format!("{} /s {arrival}", three_digits(load.rate))),
        }
        parts.push(match load.payload {
            (min, max) if min == max => format!("{min} B"),
            (min, max) => format!("{min}–{max} B"),
        });
        parts.push(match load.delay {
            0 => "no emulated network".to_owned(),
            delay => format!("{} emulated each way", show_nanos(delay as f64)),
        });
        for (key, value) in &self.polling.settings {
            parts.push(format!("{} {key} {value}", self.polling.arm));
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

fn wire(trial: &Trial) -> Option<f64> {
    let bytes = per_message(trial, |t| t.sent.wire.saturating_add(t.received.wire))?;
    trial.outcome.traffic.wire_complete().then_some(bytes)
}

fn blank(claim: &'static str, metric: &'static str, scenario: &'static str) -> Claim {
    Claim {
        claim,
        metric,
        effects: Vec::new(),
        prediction: None,
        conditions: String::new(),
        against: Vec::new(),
        verdict: Verdict::NotMeasured(scenario),
    }
}

fn headers_blank() -> Claim {
    blank("lightweight headers", "bytes per delivered message: framing alone, and on the wire", "scenarios/chat.toml")
}

fn headers(sides: &Sides) -> Claim {
    let framing_ratio = sides.ratio("framing bytes per message", framing);
    let wire_ratio = sides.ratio("bytes on the wire per message", wire);
    let mut against = Vec::new();
    if let (Some(f), Some(w)) = (&framing_ratio, &wire_ratio)
        && f.spread.median > 2.0 * w.spread.median
    {
        against.push(format!(
            "on the wire the difference is {}×, not {}×: payload and TCP/IP headers cost every transport the same",
            three_digits(w.spread.median),
            three_digits(f.spread.median)
        ));
    }
    if let Some(tie) = sides.sse.and_then(|sse| ratio_of(sse, sides.websocket, "bytes on the wire per message", wire)) {
        against.extend(ties(&tie).then(|| "SSE needs as many bytes on the wire as WebSocket".to_owned()));
    }
    let verdict = match (&framing_ratio, &wire_ratio) {
        (None, _) => return headers_blank(),
        (Some(f), _) if !f.spread.is_above(1.0) => Verdict::NotSupported,
        (_, Some(w)) if w.spread.is_above(1.0 + TIE) => Verdict::Supported,
        _ => Verdict::Conditional,
    };
    let each = |cell| value_of(cell, "framing bytes per message", Unit::Bytes, framing);
    let effects = [framing_ratio, wire_ratio, each(sides.websocket), each(sides.polling)];
    Claim {
        effects: effects.into_iter().flatten().collect(),
        prediction: websocket_framing(sides.websocket),
        conditions: sides.conditions(),
        against,
        verdict,
        ..headers_blank()
    }
}

/// What RFC 6455 §5.2 says that frames must have added, had each message been one frame and nothing else been sent.
fn websocket_framing(cell: &Cell) -> Option<String> {
    let header = |payload: u64| match payload {
        0..=125 => 2,
        126..=65_535 => 4,
        _ => 10,
    };
    let (small, large) = (header(cell.load.payload.0), header(cell.load.payload.1));
    if small != large {
        return None;
    }
    let traffic = cell.traffic();
    let delivered = cell.trusted().iter().map(|t| t.delivered_in_all()).fold(0, u64::saturating_add);
    // The client masks: four bytes more.
    let bytes = (small + 4) as f64 * traffic.sent.messages as f64 + small as f64 * traffic.received.messages as f64;
    (delivered > 0).then(|| {
        format!(
            "{}: {} B of framing per delivered message by RFC 6455 ({small} B received, {} B sent)",
            cell.arm,
            three_digits(bytes / delivered as f64),
            small + 4
        )
    })
}

fn connection_blank() -> Claim {
    blank(
        "one TCP connection per client",
        "connections per client; connections opened per 1,000 messages",
        "scenarios/chat.toml",
    )
}

fn connection(sides: &Sides) -> Claim {
    let per_session = |t: &Trial| over(t.outcome.traffic.connections, t.outcome.sessions.connected);
    let per_thousand = |t: &Trial| per_message(t, |t| t.connections).map(|n| n * 1000.0);
    let each = |cell| value_of(cell, "connections per client", Unit::Count, per_session);
    let (Some(websocket), Some(polling)) = (each(sides.websocket), each(sides.polling)) else {
        return connection_blank();
    };
    let mut against = Vec::new();
    let keeps_alive = !sides.polling.settings.iter().any(|(k, v)| k == "keep-alive" && v == "no");
    if keeps_alive {
        against.push(format!(
            "with keep-alive {} opens {} per client and then no more, however many messages follow",
            sides.polling.arm,
            three_digits(polling.spread.median)
        ));
    }
    let verdict = match () {
        _ if websocket.spread.median > 1.0 + TIE => Verdict::NotSupported,
        _ if polling.spread.is_above(websocket.spread.high + TIE) => Verdict::Supported,
        _ => Verdict::NotSupported,
    };
    let thousand = |cell| value_of(cell, "connections per 1,000 messages", Unit::Count, per_thousand);
    let effects = [Some(websocket), Some(polling), thousand(sides.websocket), thousand(sides.polling)];
    Claim {
        effects: effects.into_iter().flatten().collect(),
        prediction: Some(if keeps_alive {
            "WebSocket 1; HTTP with keep-alive 2 where the client also publishes (one receives, one publishes)"
                .to_owned()
        } else {
            "WebSocket 1; HTTP without keep-alive one for each request".to_owned()
        }),
        conditions: sides.conditions(),
        against,
        verdict,
        ..connection_blank()
    }
}

fn push_blank() -> Claim {
    blank("the server can push", "time from event to receipt", "scenarios/live-scores.toml")
}

fn push(sides: &Sides) -> Claim {
    // In chat each copy is a push, after one more transit on every transport; an echo answers, and connect opens.
    if !matches!(sides.websocket.workload.as_str(), "push" | "chat") {
        return push_blank();
    }
    let (p50, p99) = (sides.ratio("p50", at(0.5)), sides.ratio("p99", at(0.99)));
    let mut against = Vec::new();
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        if let Some(tie) = sides.sse.and_then(|sse| ratio_of(sse, sides.websocket, name, at(q)))
            && ties(&tie)
        {
            let times = three_digits(tie.spread.median);
            against.push(format!("SSE, which is HTTP, ties WebSocket: its {name} is {times}× as long"));
        }
    }
    if let Some(tie) = p50.as_ref().filter(|e| ties(e)) {
        against.push(format!("at the median polling ties: {}×", three_digits(tie.spread.median)));
    }
    let Some(verdict) = slower(&p50, &p99) else { return push_blank() };
    Claim {
        prediction: predicted_means(sides),
        effects: [p50, p99].into_iter().flatten().collect(),
        conditions: sides.conditions(),
        against,
        verdict,
        ..push_blank()
    }
}

fn at(q: f64) -> impl Fn(&Trial) -> Option<f64> {
    move |trial| trial.response_time(q).map(|v| v as f64)
}

/// Whether the ratio lies within the tie's bounds.
fn ties(effect: &Effect) -> bool {
    (effect.spread.median - 1.0).abs() <= TIE
}

/// The verdict on “polling takes longer”: at the median and in the tail, in one of the two, or in neither.
fn slower(p50: &Option<Effect>, p99: &Option<Effect>) -> Option<Verdict> {
    let is_slower = |effect: &Effect| effect.spread.is_above(1.0 + TIE);
    let both: Vec<&Effect> = [p50, p99].into_iter().flatten().collect();
    Some(match both.iter().filter(|e| is_slower(e)).count() {
        _ if both.is_empty() => return None,
        0 => Verdict::NotSupported,
        2 => Verdict::Supported,
        _ => Verdict::Conditional,
    })
}

fn predicted_means(sides: &Sides) -> Option<String> {
    let told = |cell: &Cell| match predict(cell) {
        Ok(prediction) => Some(format!("{} mean {}", cell.arm, show_nanos(prediction.mean()))),
        Err(Unmodelled::NoDelay) => None,
        Err(reason) => Some(format!("{}: {reason}", cell.arm)),
    };
    Some([told(sides.websocket)?, told(sides.polling)?].join("; "))
}

fn real_time_blank() -> Claim {
    blank(
        "HTTP polling was never meant for real time",
        "response time ÷ one transit, over several rates",
        "scenarios/chat.toml with a [network] delay, at several rates",
    )
}

fn real_time(sides: &Sides) -> Claim {
    if sides.polling.load.delay == 0 {
        return real_time_blank();
    }
    let effect = |cell: &Cell, name: &str, q: f64| {
        let transit = cell.load.delay.max(1) as f64;
        value_of(cell, &format!("{name} ÷ one transit"), Unit::Times, |t| at(q)(t).map(|v| v / transit))
    };
    let both = |cell: &Cell| [effect(cell, "p50", 0.5), effect(cell, "p99", 0.99)];
    let Some(verdict) = slower(&sides.ratio("p50", at(0.5)), &sides.ratio("p99", at(0.99))) else {
        return real_time_blank();
    };
    let rates = distinct_rates(sides);
    let mut against = Vec::new();
    if rates < 2 {
        against.push("one rate was measured; the share of messages that miss a poll depends on it".to_owned());
    }
    if sides.polling.transport == "long-polling" {
        against.push("traffic that is periodic and slower than the round trip always finds the poll open".to_owned());
    }
    Claim {
        effects: both(sides.websocket).into_iter().chain(both(sides.polling)).flatten().collect(),
        prediction: predicted_over_rates(sides.polling),
        conditions: sides.conditions(),
        against,
        verdict: if verdict == Verdict::Supported && rates < 2 { Verdict::Conditional } else { verdict },
        ..real_time_blank()
    }
}

fn distinct_rates(sides: &Sides) -> usize {
    let polling = sides.document.cells.iter().filter(|c| c.transport == sides.polling.transport);
    let mut rates: Vec<u64> = polling.map(|c| c.load.rate.to_bits()).collect();
    rates.sort_unstable();
    rates.dedup();
    rates.len()
}

/// The predicted mean ÷ one transit at a tenth, once and ten times the rate.
fn predicted_over_rates(cell: &Cell) -> Option<String> {
    let told: Vec<String> = [0.1, 1.0, 10.0]
        .iter()
        .map(|factor| {
            let mut cell = Cell { trials: Vec::new(), ..cell.clone() };
            cell.load.rate *= factor;
            let times = match predict(&cell) {
                Ok(prediction) => format!("{}×", three_digits(prediction.mean() / cell.load.delay as f64)),
                Err(Unmodelled::Diverges) => "without end".to_owned(),
                Err(_) => return None,
            };
            Some(format!("{times} at {} /s", three_digits(cell.load.rate)))
        })
        .collect::<Option<_>>()?;
    Some(format!("{} mean: {}", cell.arm, told.join(", ")))
}

fn handshake_blank() -> Claim {
    blank(
        "the handshake is paid once",
        "time to first message; bytes of the handshake; messages until it is repaid",
        "scenarios/connect.toml, and scenarios/chat.toml for what repays it",
    )
}

fn handshake(sides: &Sides) -> Claim {
    let bytes = |t: &Trial| over(t.outcome.traffic.handshake, t.outcome.sessions.connected);
    let first = |t: &Trial| Some(t.outcome.histograms.get(Metric::FirstMessage)?.quantile(0.5, 10)? as f64);
    let cost = value_of(sides.websocket, "bytes of the handshake per client", Unit::Bytes, bytes);
    let repaid = repaid_after(sides);
    let first_ratio = sides.ratio("median time to first message", first);
    let mut against = Vec::new();
    if let Some(ratio) = first_ratio.as_ref().filter(|e| !e.spread.is_above(1.0 + TIE)) {
        against.push(format!(
            "WebSocket does not win the time to first message: {} takes {}× as long",
            sides.polling.arm,
            three_digits(ratio.spread.median)
        ));
    }
    let verdict = match (&cost, &repaid, &first_ratio) {
        (None, _, None) => return handshake_blank(),
        (Some(_), Some(Repaid::After(_)), _) => Verdict::Supported,
        (Some(_), Some(Repaid::Never), _) => Verdict::NotSupported,
        _ => Verdict::Conditional,
    };
    if repaid == Some(Repaid::Never) {
        against.push(format!("it is never repaid: {} needs no more bytes per message", sides.polling.arm));
    }
    let after = match repaid {
        Some(Repaid::After(spread)) => {
            let what = format!("{}, messages until its handshake is repaid", sides.websocket.arm);
            Some(Effect { what, unit: Unit::Count, spread })
        }
        _ => None,
    };
    Claim {
        effects: [cost, after, first_ratio].into_iter().flatten().collect(),
        prediction: Some("two round trips to a joined WebSocket (TCP, upgrade), as to a first poll".to_owned()),
        conditions: sides.conditions(),
        against,
        verdict,
        ..handshake_blank()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Repaid {
    After(Spread),
    Never,
}

/// What WebSocket's handshake cost beyond polling's own, in messages whose smaller framing makes up for it.
/// `None`: nothing was delivered to be repaid by. `Never`: in some trial polling's framing was no larger.
fn repaid_after(sides: &Sides) -> Option<Repaid> {
    let others = sides.polling.trusted();
    let mut counts = Vec::new();
    for trial in sides.websocket.trusted() {
        let Some(other) = others.iter().find(|o| o.block == trial.block) else { continue };
        let (Some(mine), Some(theirs)) = (framing(trial), framing(other)) else { continue };
        if theirs <= mine {
            return Some(Repaid::Never);
        }
        let cost = |t: &Trial| over(t.outcome.traffic.handshake, t.outcome.sessions.connected);
        let (Some(paid), Some(saved_anyway)) = (cost(trial), cost(other)) else { continue };
        counts.push((paid - saved_anyway).max(0.0) / (theirs - mine));
    }
    Spread::of(counts).map(Repaid::After)
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
            assert!(!row.effects.is_empty() && row.conditions.contains("10.0 ms emulated"), "{row:?}");
        }
    }

    #[test]
    fn the_prediction_of_framing_is_that_of_the_rfc() {
        let mut document = testing::document();
        let cell = &mut document.cells[0];
        cell.trials.truncate(1);
        let outcome = &mut cell.trials[0].outcome;
        (outcome.traffic.sent.messages, outcome.traffic.received.messages) = (10, 100);
        (outcome.warmup.delivered, outcome.measure.delivered) = (0, 100);
        cell.load.payload = (32, 125);
        assert!(websocket_framing(cell).unwrap().contains("2.60 B"));
        cell.load.payload = (126, 128);
        assert!(websocket_framing(cell).unwrap().contains("4.80 B"));
        cell.load.payload = (32, 128);
        assert_eq!(websocket_framing(cell), None);
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
    fn without_an_emulated_network_one_transit_is_unknown() {
        assert!(matches!(verdicts(&testing::of("chat", 0))[3], Verdict::NotMeasured(_)));
    }
}
