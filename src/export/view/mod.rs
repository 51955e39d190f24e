//! What a reader sees, as words: the figures of a document formatted once, for the summary and the page alike.

use crate::compare::{self, Claim, Effect, Ratio, Spread, Unit, Verdict};
use crate::result::{BytesPerMessage, Capacity, Cell, CellSummary, Document, Finding, Quantiles, Reached, Trial};
use crate::units::{show_bytes, show_nanos, three_digits};
use crate::verdict::thresholds::{self, Checked};
use serde::Serialize;

mod capacity;
pub(super) mod facts;

pub use capacity::{CapacityRow, CapacityView, LoadRow};

/// Stands for a figure that too few samples support, or that doesn't exist.
pub const DASH: &str = "–";

#[derive(Debug, Serialize)]
pub struct View {
    pub name: String,
    pub description: String,
    pub headline: String,
    /// What holds for the whole run: partial, emulated, closed.
    pub notices: Vec<String>,
    pub reference: Option<String>,
    /// What no response time can beat, by host.
    pub floors: Vec<String>,
    pub arms: Vec<ArmView>,
    /// Of a search for capacity; then every arm above is one at a load.
    pub capacity: Option<CapacityView>,
    pub omitted: Vec<(String, String)>,
    /// What had to hold.
    pub thresholds: Vec<ThresholdView>,
    pub claims: Vec<ClaimView>,
    /// Under which the claims were measured; empty if none was.
    pub conditions: String,
    /// Figures that rest on trials in which the generator couldn't be trusted.
    pub invalid: Vec<FindingView>,
    pub warnings: Vec<FindingView>,
    pub failures: Vec<FindingView>,
    /// What was asked for, and where it ran: name and value.
    pub facts: Vec<(&'static str, String)>,
    pub host: Vec<(&'static str, String)>,
}

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
    pub bytes: [String; 3],
    pub connections: String,
    /// µs, generator and target.
    pub cpu: [String; 2],
    /// Generator, target, and the system for both; idle and in use.
    pub memory: [String; 3],
    /// Every other time that was measured: name and quantiles.
    pub times: Vec<(&'static str, Percentiles)>,
    pub polls: Vec<(&'static str, String)>,
    /// Block, p50, p99, reach, `valid` or `INVALID`.
    pub trials: Vec<[String; 5]>,
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

#[derive(Debug, Serialize)]
pub struct ThresholdView {
    pub threshold: String,
    pub arm: String,
    pub measured: String,
    pub limit: String,
    pub outcome: &'static str,
    /// The run failed by it.
    pub fails: bool,
}

#[derive(Debug, Serialize)]
pub struct ClaimView {
    pub claim: &'static str,
    pub metric: &'static str,
    pub effects: Vec<String>,
    pub prediction: String,
    pub against: Vec<String>,
    pub verdict: String,
    /// For the page: `supported`, `not-supported`, `conditional`, `not-measured`.
    pub class: String,
}

#[derive(Debug, Serialize)]
pub struct FindingView {
    pub arm: String,
    /// Blocks, such as `1` or `0, 2`.
    pub blocks: String,
    pub code: String,
    pub message: String,
    pub advice: String,
}

impl View {
    pub fn of(document: &Document) -> View {
        let comparison = compare::against_reference(document);
        let ratios = |arm: &str| comparison.iter().flat_map(|c| &c.arms).find(|a| a.arm == arm);
        let inks = crate::chart::Inks::of(document);
        let arms = document.cells.iter().enumerate().map(|(at, cell)| {
            let is_reference = document.reference.as_ref() == Some(&cell.arm);
            let shown =
                |ratio: Option<&Ratio>| ratio.map_or(if is_reference { "1".into() } else { DASH.into() }, times);
            let (p50, p99) = ratios(&cell.arm).map_or((None, None), |r| (r.p50.as_ref(), r.p99.as_ref()));
            ArmView {
                is_reference,
                p50_ratio: shown(p50),
                p99_ratio: shown(p99),
                arm: document.name_of(cell),
                ..arm_view(cell, inks.of_cell(at).hex())
            }
        });
        // Claims compare arms at one load.
        let claims = if document.capacity.is_none() { compare::claims(document) } else { Vec::new() };
        View {
            conditions: claims.iter().map(|c| c.conditions.clone()).find(|c| !c.is_empty()).unwrap_or_default(),
            name: document.scenario.name.clone(),
            description: document.scenario.description.clone(),
            headline: document.capacity.as_ref().map_or_else(|| compare::headline(document), Capacity::headline),
            notices: notices(document),
            reference: comparison.as_ref().map(|c| c.reference.clone()),
            floors: document.floors_in_words(),
            arms: arms.collect(),
            capacity: document.capacity.as_ref().map(|capacity| CapacityView::of(document, capacity, &inks)),
            omitted: document.omitted.iter().map(|o| (o.arm.clone(), o.reason.clone())).collect(),
            thresholds: thresholds::check(document).iter().map(ThresholdView::of).collect(),
            claims: claims.iter().map(claim_view).collect(),
            invalid: findings(document, |trial| trial.invalid.clone()),
            warnings: findings(document, |trial| trial.warnings.clone()),
            failures: findings(document, |trial| {
                let finding = |text: &String| Finding {
                    code: "stopped".to_owned(),
                    message: text.clone(),
                    advice: until_then(trial).to_owned(),
                };
                trial.failure.iter().map(finding).collect()
            }),
            facts: facts::of_run(document),
            host: facts::of_host(document),
        }
    }
}

impl ThresholdView {
    fn of(checked: &Checked) -> ThresholdView {
        ThresholdView {
            threshold: checked.threshold.clone(),
            arm: checked.arm.clone(),
            measured: checked.measured_in_words(),
            limit: checked.limit_in_words().unwrap_or(DASH.to_owned()),
            outcome: checked.outcome.words(),
            fails: checked.outcome.fails(),
        }
    }
}

/// What the counts of a trial that was stopped are worth.
fn until_then(trial: &Trial) -> &'static str {
    match trial.outcome.warmup.scheduled.saturating_add(trial.outcome.measure.scheduled) {
        0 => "nothing of it could be counted",
        _ => "its counts are of what was done until then",
    }
}

fn notices(document: &Document) -> Vec<String> {
    let mut notices = Vec::new();
    if document.partial {
        notices.push("Partial: the run was interrupted, or went on without a process that it lost; trials are missing or cut short.".to_owned());
    }
    if let Some(why) = &document.aborted {
        notices.push(format!("Aborted: {why}; no further trial was started. What was measured until then is whole."));
    }
    if let Some(delay) = document.cells.iter().map(|c| c.load.delay).max().filter(|d| *d > 0) {
        notices.push(format!(
            "Emulated network: the embedded target holds every message for {} in each direction and charges one round \
             trip for a connect. These are not the latencies of a real network.",
            show_nanos(delay as f64)
        ));
    }
    if document.has_oracle() {
        notices.push(
            "Oracle: the target misbehaved on purpose, as the scenario says; delays, losses and errors here may be its \
             doing. What it did is in result.json, under each trial's target.truth."
                .to_owned(),
        );
    }
    if document.cells.iter().any(Cell::is_closed) {
        notices.push(
            "Closed arrival: each session waits for its answer before it sends again, so a stall of the target hides \
             most of its own effect. Latencies here don't compare with those of open arrival."
                .to_owned(),
        );
    }
    notices
}

/// Memory a session, such as `4.1 KiB / 6.0 KiB`: with every session open and nothing to do, and at the most.
fn memory(summary: &CellSummary) -> [String; 3] {
    let show = |bytes: Option<f64>| bytes.map_or(DASH.to_owned(), show_bytes);
    let (idle, peak, kernel) = (summary.rss_idle_per_session, summary.rss_per_session, summary.kernel_per_session);
    let both = [(idle.generator, peak.generator), (idle.target, peak.target), (kernel.idle, kernel.peak)];
    both.map(|(idle, peak)| format!("{} / {}", show(idle), show(peak)))
}

fn arm_view(cell: &Cell, colour: String) -> ArmView {
    let summary = cell.summary();
    let mut what = vec![cell.transport.clone()];
    what.extend(cell.engine.clone());
    what.extend(cell.settings.iter().map(|(key, value)| format!("{key} {value}")));
    if cell.target != "embedded" {
        what.push(cell.target.clone());
    }
    if cell.is_closed() {
        what.push("closed arrival".to_owned());
    }
    let each = |value: Option<f64>, show: fn(f64) -> String| value.map_or(DASH.to_owned(), show);
    let BytesPerMessage { payload, framing, wire } = summary.bytes_per_message;
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
        bytes: [payload, framing, wire].map(|b| each(b, three_digits)),
        connections: each(summary.connections_per_session, three_digits),
        cpu: [summary.cpu_us_per_message.generator, summary.cpu_us_per_message.target].map(|v| each(v, three_digits)),
        memory: memory(&summary),
        times: times_of(&summary),
        polls: polls(&summary),
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
fn reach(reach: Option<f64>) -> String {
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

fn counts(summary: &CellSummary) -> Vec<(&'static str, String)> {
    let c = &summary.counters;
    vec![
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
    ]
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
    fn of(q: &Quantiles) -> Percentiles {
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

fn nanos(value: Option<u64>) -> String {
    value.map_or(DASH.to_owned(), |v| show_nanos(v as f64))
}

/// `0.52 (0.50–0.55)`: the median over blocks, and the smallest and largest.
fn times(ratio: &Ratio) -> String {
    format!("{} ({}–{})", three_digits(ratio.spread.median), three_digits(ratio.min), three_digits(ratio.max))
}

fn claim_view(claim: &Claim) -> ClaimView {
    ClaimView {
        claim: claim.claim,
        metric: claim.metric,
        effects: claim.effects.iter().map(effect).collect(),
        prediction: claim.prediction.clone().unwrap_or_default(),
        against: claim.against.clone(),
        verdict: match claim.verdict {
            Verdict::NotMeasured(scenario) => format!("not measured in this run; see {scenario}"),
            verdict => verdict.name().to_owned(),
        },
        class: claim.verdict.name().replace(' ', "-"),
    }
}

fn effect(effect: &Effect) -> String {
    let show = |value: f64| match effect.unit {
        Unit::Times => format!("{}×", three_digits(value)),
        Unit::Bytes => format!("{} B", three_digits(value)),
        Unit::Count => three_digits(value),
    };
    let Spread { median, low, high, coverage, trials } = effect.spread;
    if trials == 1 {
        return format!("{}: {} (one trial)", effect.what, show(median));
    }
    format!(
        "{}: {} [{}, {}] ({:.0} % of {trials} trials)",
        effect.what,
        show(median),
        show(low),
        show(high),
        coverage * 100.0
    )
}

/// Findings of one arm with the same code and advice in one row, which tells whose each message is.
fn findings(document: &Document, of: impl Fn(&Trial) -> Vec<Finding>) -> Vec<FindingView> {
    let mut rows = Vec::new();
    for cell in &document.cells {
        let mut of_arm: Vec<(Finding, Vec<(u32, String)>)> = Vec::new();
        for (block, finding) in cell.trials.iter().flat_map(|t| of(t).into_iter().map(|f| (t.block, f))) {
            let seen = (block, finding.message.clone());
            match of_arm.iter_mut().find(|(f, _)| (&f.code, &f.advice) == (&finding.code, &finding.advice)) {
                Some((_, all)) => all.push(seen),
                None => of_arm.push((finding, vec![seen])),
            }
        }
        rows.extend(of_arm.into_iter().map(|(finding, seen)| FindingView {
            arm: document.name_of(cell),
            blocks: listed(seen.iter().map(|(block, _)| *block)),
            code: finding.code,
            message: told_by_block(&seen),
            advice: finding.advice,
        }));
    }
    rows
}

/// More different messages than this are not told one by one.
const TOLD: usize = 4;

/// One message for all blocks if they agree, else each with the blocks that it is of.
fn told_by_block(seen: &[(u32, String)]) -> String {
    let mut groups: Vec<(&str, Vec<u32>)> = Vec::new();
    for (block, message) in seen {
        match groups.iter_mut().find(|(told, _)| told == message) {
            Some((_, blocks)) => blocks.push(*block),
            None => groups.push((message, vec![*block])),
        }
    }
    let told = |(message, blocks): &(&str, Vec<u32>)| {
        let blocks = listed(blocks.iter().copied());
        let word = if blocks.contains(',') { "blocks" } else { "block" };
        format!("{word} {blocks}: {message}")
    };
    match &groups[..] {
        [(message, _)] => (*message).to_owned(),
        few if few.len() <= TOLD => few.iter().map(told).collect::<Vec<_>>().join("; "),
        many => format!("such as {}", many[..TOLD - 1].iter().map(told).collect::<Vec<_>>().join("; ")),
    }
}

/// Each once: in a search for capacity a block has several trials of an arm.
fn listed(blocks: impl Iterator<Item = u32>) -> String {
    let mut blocks: Vec<u32> = blocks.collect();
    blocks.dedup();
    blocks.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn one_trial_has_no_interval() {
        let shown = |values: &[f64]| {
            let spread = Spread::of(values.iter().copied()).unwrap();
            effect(&Effect { what: "framing".into(), unit: Unit::Bytes, spread })
        };
        assert_eq!(shown(&[4.8]), "framing: 4.80 B (one trial)");
        assert_eq!(shown(&[4.0, 5.0]), "framing: 4.50 B [4.00 B, 5.00 B] (50 % of 2 trials)");
    }

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

    #[test]
    fn a_row_of_several_blocks_tells_whose_each_figure_is() {
        let told = |messages: &[&str]| {
            let blocks = [0, 5, 7, 8, 9];
            told_by_block(&blocks.into_iter().zip(messages.iter().map(|m| m.to_string())).collect::<Vec<_>>())
        };
        assert_eq!(told(&["61.5 ms"]), "61.5 ms");
        assert_eq!(told(&["61.5 ms", "61.5 ms"]), "61.5 ms");
        assert_eq!(listed([1, 1, 1, 3].into_iter()), "1, 3");
        assert_eq!(told(&["61.5 ms", "25.8 ms", "61.5 ms"]), "blocks 0, 7: 61.5 ms; block 5: 25.8 ms");
        assert_eq!(told(&["1", "2", "3", "4", "5"]), "such as block 0: 1; block 5: 2; block 7: 3");
    }

    #[test]
    fn a_trial_that_counted_nothing_does_not_speak_of_its_counts() {
        let mut document = testing::document();
        let cell = &mut document.cells[0];
        cell.trials.iter_mut().for_each(|t| t.failure = Some("the worker died".into()));
        cell.trials[1].outcome = Default::default();
        let failures = View::of(&document).failures;
        let rows: Vec<_> = failures.iter().map(|f| (f.blocks.as_str(), f.advice.as_str())).collect();
        let until_then = "its counts are of what was done until then";
        assert_eq!(rows, [("0, 2", until_then), ("1", "nothing of it could be counted")]);
    }
}
