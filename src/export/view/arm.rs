//! One arm in words.

use super::{DASH, FleetView, nanos};
use crate::measure::Handshakes;
use crate::result::{BytesPerMessage, Cell, CellSummary, Quantiles, Reached};
use crate::units::{show_bytes, show_nanos, three_digits};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Serialize)]
pub struct ArmView {
    pub arm: String,
    /// Transport, engine, settings.
    pub what: String,
    /// `#rrggbb`, the arm's colour in every chart.
    pub colour: String,
    /// Such as `2 of 3`.
    pub valid: String,
    /// No trial was valid.
    pub untrusted: bool,
    pub is_reference: bool,
    pub response: Percentiles,
    /// Arm ÷ reference.
    pub p50_ratio: String,
    pub p99_ratio: String,
    pub reach: String,
    /// Share of what was scheduled that was never sent: reach doesn't count it.
    pub skipped: String,
    pub counts: Vec<(&'static str, String)>,
    pub errors: Vec<(String, u64)>,
    /// What one failure of each class said.
    pub said: Vec<(String, String)>,
    pub bytes: [String; 3],
    pub connections: String,
    /// µs, generator and target.
    pub cpu: [String; 2],
    /// Generator, target, and the system for both; idle and in use.
    pub memory: [String; 3],
    /// Every other time that was measured: name and quantiles.
    pub times: Vec<(&'static str, Percentiles)>,
    pub polls: Vec<(&'static str, String)>,
    /// What TLS handshakes agreed on, and how many there were.
    pub tls: Option<String>,
    /// Block, p50, p99, reach, `valid` or `INVALID`.
    pub trials: Vec<[String; 5]>,
    /// What each machine had of it, if there were several.
    pub fleet: Option<FleetView>,
}

#[derive(Debug, Serialize)]
pub struct Percentiles {
    pub p50: String,
    pub p90: String,
    pub p99: String,
    pub p999: String,
    pub max: String,
    pub mean: String,
    pub count: u64,
}

/// Memory a session, such as `4.1 KiB / 6.0 KiB`: with every session open and nothing to do, and at the most.
fn memory(summary: &CellSummary) -> [String; 3] {
    let show = |bytes: Option<f64>| bytes.map_or(DASH.to_owned(), show_bytes);
    let (idle, peak, kernel) = (summary.rss_idle_per_session, summary.rss_per_session, summary.kernel_per_session);
    let both = [(idle.generator, peak.generator), (idle.target, peak.target), (kernel.idle, kernel.peak)];
    both.map(|(idle, peak)| format!("{} / {}", show(idle), show(peak)))
}

pub(super) fn arm_view(cell: &Cell, colour: String) -> ArmView {
    let summary = cell.summary();
    let mut what = vec![cell.transport.clone()];
    what.extend(cell.engine.clone());
    let told_already = |key: &str| key == "engine" && cell.engine.is_some();
    what.extend(
        cell.settings.iter().filter(|(key, _)| !told_already(key)).map(|(key, value)| format!("{key} {value}")),
    );
    let agreed: BTreeSet<&String> = cell.trials.iter().flat_map(|trial| trial.outcome.agreed.keys()).collect();
    what.extend(agreed.into_iter().map(|agreed| format!("agreed {agreed}")));
    if cell.target != "embedded" {
        what.push(cell.target.clone());
    }
    if cell.is_closed() {
        what.push("closed arrival".to_owned());
    }
    let each = |value: Option<f64>, show: fn(f64) -> String| value.map_or(DASH.to_owned(), show);
    let BytesPerMessage { payload, framing, saved, wire } = summary.bytes_per_message;
    let saved = saved.map_or(String::new(), |saved| format!(" (− {} by compression)", three_digits(saved)));
    ArmView {
        arm: cell.arm.clone(),
        what: what.join(", "),
        colour,
        valid: format!("{} of {}", summary.valid, summary.trials),
        untrusted: summary.valid == 0,
        is_reference: false,
        response: Percentiles::of(&summary.response_time),
        p50_ratio: String::new(),
        p99_ratio: String::new(),
        reach: reach(summary.reach),
        skipped: skipped(&summary),
        counts: counts(&summary),
        errors: summary.errors.clone().into_iter().collect(),
        said: said(cell),
        bytes: [each(payload, three_digits) + &saved, each(framing, three_digits), each(wire, three_digits)],
        connections: each(summary.connections_per_session, three_digits),
        cpu: [summary.cpu_us_per_message.generator, summary.cpu_us_per_message.target].map(|v| each(v, three_digits)),
        memory: memory(&summary),
        times: times_of(&summary),
        polls: polls(&summary),
        tls: summary.tls.as_ref().map(Handshakes::in_words),
        fleet: FleetView::of(&cell.agents()),
        trials: summary
            .per_trial
            .iter()
            .map(|t| {
                let valid = if t.valid { "valid" } else { "INVALID" };
                [t.block.to_string(), nanos(t.p50), nanos(t.p99), reach(t.reach), valid.to_owned()]
            })
            .collect(),
    }
}

/// 1 is shown as 1 only if nothing at all is missing.
pub(super) fn reach(reach: Option<f64>) -> String {
    match reach {
        None => DASH.to_owned(),
        Some(1.0) => "1".to_owned(),
        Some(share) => format!("{:.5}", (share * 1e5).floor() / 1e5),
    }
}

/// 0 is shown as 0 only if nothing at all was skipped, and 100 % only if everything was.
fn skipped(summary: &CellSummary) -> String {
    let (skipped, scheduled) = (summary.counters.skipped, summary.counters.scheduled);
    match skipped as f64 / scheduled as f64 {
        _ if scheduled == 0 => DASH.to_owned(),
        0.0 => "0".to_owned(),
        1.0 => "100 %".to_owned(),
        share if share < 0.001 => "< 0.1 %".to_owned(),
        share => format!("{:.1} %", (share * 1e3).floor() / 10.0),
    }
}

/// What one failure of each class said, of the first trial in which it happened.
fn said(cell: &Cell) -> Vec<(String, String)> {
    let mut said = BTreeMap::new();
    for (class, words) in cell.trials.iter().flat_map(|trial| &trial.outcome.said) {
        said.entry(class.clone()).or_insert_with(|| words.clone());
    }
    said.into_iter().collect()
}

fn counts(summary: &CellSummary) -> Vec<(&'static str, String)> {
    let c = &summary.counters;
    let mut counts = vec![
        ("scheduled", c.scheduled.to_string()),
        ("sent", c.sent.to_string()),
        ("skipped", c.skipped.to_string()),
        ("expected", c.expected.to_string()),
        ("delivered", c.delivered.to_string()),
        ("late", c.late.to_string()),
        ("lost", c.lost.to_string()),
        ("unfinished", c.unfinished.to_string()),
        ("duplicate", c.duplicate.to_string()),
        ("reordered", c.reordered.map_or(DASH.to_owned(), |n| n.to_string())),
        ("unmatched", c.unmatched.to_string()),
        ("foreign", c.foreign.to_string()),
    ];
    if let Some(a) = &summary.acknowledgements {
        counts.push(("acknowledged", format!("{} of {}", a.matched, a.asked)));
        counts.push(("acknowledged unasked", a.unmatched.to_string()));
    }
    counts
}

fn times_of(summary: &CellSummary) -> Vec<(&'static str, Percentiles)> {
    let connect = &summary.connect;
    let all = [
        ("service time", &summary.service_time),
        ("send lateness", &summary.send_lateness),
        ("queueing", &summary.queueing),
        ("last receipt", &summary.last_receipt),
        ("resolve", &connect.resolve),
        ("TCP", &connect.tcp),
        ("TLS", &connect.tls),
        ("upgrade or join", &connect.upgrade),
        ("switch to the WebSocket", &connect.switch),
        ("connect in all", &connect.total),
        ("first message", &connect.first_message),
        ("close", &summary.close),
        ("ping", &summary.ping),
    ];
    let mut shown = vec![("response time", Percentiles::of(&summary.response_time))];
    let with = &summary.response_time_with_missing;
    if with.missing > 0 {
        let at = |reached| match reached {
            Reached::Unsupported => DASH.to_owned(),
            Reached::Never => "∞".to_owned(),
            Reached::At(value) => show_nanos(value as f64),
        };
        shown.push((
            "response time, missing as ∞",
            Percentiles {
                p50: at(with.p50),
                p90: at(with.p90),
                p99: at(with.p99),
                p999: at(with.p999),
                max: "∞".to_owned(),
                mean: "∞".to_owned(),
                count: summary.response_time.count.saturating_add(with.missing),
            },
        ));
    }
    shown.extend(all.iter().filter(|(_, q)| q.count > 0).map(|(name, q)| (*name, Percentiles::of(q))));
    shown
}

fn polls(summary: &CellSummary) -> Vec<(&'static str, String)> {
    let Some(polls) = &summary.polls else { return Vec::new() };
    let count = |n: Option<u64>| n.map_or(DASH.to_owned(), |n| n.to_string());
    let mean = polls.messages_per_poll.mean.map_or(DASH.to_owned(), three_digits);
    vec![
        ("polls", polls.requests.to_string()),
        ("empty polls", polls.empty.to_string()),
        ("messages a poll, mean", mean),
        ("messages a poll, p99", count(polls.messages_per_poll.p99)),
        ("messages a poll, most", count(polls.messages_per_poll.max)),
        ("gap before the next poll, p50", nanos(polls.gap.p50)),
    ]
}

impl Percentiles {
    pub(super) fn of(q: &Quantiles) -> Percentiles {
        Percentiles {
            p50: nanos(q.p50),
            p90: nanos(q.p90),
            p99: nanos(q.p99),
            p999: nanos(q.p999),
            max: nanos(q.max),
            mean: q.mean.map_or(DASH.to_owned(), show_nanos),
            count: q.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn what_was_never_sent_is_shown_as_a_share() {
        let mut summary = testing::document().cells[0].summary();
        let mut shown = |n, of| {
            (summary.counters.skipped, summary.counters.scheduled) = (n, of);
            skipped(&summary)
        };
        assert_eq!([shown(0, 0), shown(0, 9), shown(9, 9)], [DASH, "0", "100 %"]);
        assert_eq!([shown(1, 5000), shown(919, 1000), shown(9999, 10_000)], ["< 0.1 %", "91.9 %", "99.9 %"]);
    }
}
