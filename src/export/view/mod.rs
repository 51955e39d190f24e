//! What a reader sees, as words: the figures of a document formatted once, for the summary and the page alike.

use crate::compare::{self, Ratio};
use crate::result::{Capacity, Cell, Document, Finding, Trial};
use crate::units::{show_nanos, three_digits};
use crate::verdict::thresholds::{self, Checked};
use serde::Serialize;

mod arm;
mod capacity;
mod claims;
pub(super) mod facts;
mod findings;
mod fleet;

use arm::{arm_view, reach};
use claims::claim_view;
use findings::findings;

pub use arm::{ArmView, Percentiles};
pub use capacity::{CapacityRow, CapacityView, LoadRow};
pub use claims::ClaimView;
pub use findings::FindingView;
pub use fleet::FleetView;

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
    /// The machines that ran it, if there were several.
    pub fleet: Option<FleetView>,
    /// What was asked for, and where it ran: name and value.
    pub facts: Vec<(&'static str, String)>,
    pub host: Vec<(&'static str, String)>,
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
            fleet: FleetView::of(&document.fleet()),
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
        notices.push("Partial: the run was interrupted, or went on without a process or an agent that it lost; trials are missing or cut short.".to_owned());
    }
    if let Some(left_out) = document.left_out_in_words() {
        notices.push(format!("Left out: {left_out}."));
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
    let by_socket: Vec<&str> =
        document.cells.iter().filter(|cell| cell.is_by_unix_socket()).map(|cell| cell.arm.as_str()).collect();
    if !by_socket.is_empty() {
        notices.push(format!(
            "Unix sockets ({}): nothing crosses a wire there and no TCP counts, so there are no bytes on the wire.",
            by_socket.join(", ")
        ));
    }
    let insecure = document.insecure_arms();
    if !insecure.is_empty() {
        notices.push(format!(
            "INSECURE: {} took any certificate under any name, so nobody knows who answered.",
            insecure.join(", ")
        ));
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

/// `0.52 (0.50–0.55)`: the median over blocks, and the smallest and largest.
fn times(ratio: &Ratio) -> String {
    format!("{} ({}–{})", three_digits(ratio.spread.median), three_digits(ratio.min), three_digits(ratio.max))
}

fn nanos(value: Option<u64>) -> String {
    value.map_or(DASH.to_owned(), |v| show_nanos(v as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

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
