//! Was the generator the bottleneck? A trial whose generator can't be trusted is INVALID, with the reason; what a
//! reader should know although the trial stands is a warning. Every rule is a pure function, one row in a table.

use super::{Absent, AgentPart, Calibration, Finding, LoadFacts, TargetFacts, Usage, agents};
use crate::clock::{MILLI, Nanos};
use crate::measure::{BEYOND_TRIAL, Histogram, Metric, Outcome};
use crate::units::show_nanos;

/// Lateness may be this share of the response time at the same quantile.
pub const LATENESS_SHARE: f64 = 0.10;
/// Lateness up to this never invalidates: no system promises to wake a process sooner.
pub const LATENESS_FLOOR: Nanos = MILLI / 2;
/// Lateness up to this many times what idle pacing showed before the run never invalidates.
pub const LATENESS_OVER_CALIBRATION: f64 = 3.0;
/// The worker may stand still for this share of the measured window.
pub const STANDSTILL_SHARE: f64 = 0.01;
/// Standing still up to this long never invalidates by itself. In 106 honest trials of a second on an otherwise idle virtual
/// machine with two cores, the worker lost its core for 10 to 19 ms in ten; where that reaches the figures,
/// lateness shows it.
pub const STANDSTILL_FLOOR: Nanos = 25 * MILLI;
/// The generator may skip this share of the schedule by its own fault; more by anyone else's is worth a warning.
pub const SKIPPED_SHARE: f64 = 0.01;
/// The generator's own socket buffers may drop this share of the expected deliveries.
pub const RECEIVE_DROPS_SHARE: f64 = 0.01;
/// From this share of a core on, a process counts as busy.
pub const BUSY_SHARE: f64 = 0.9;

/// What a trial is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    pub outcome: &'a Outcome,
    pub generator: &'a Usage,
    pub target: Option<&'a TargetFacts>,
    pub load: &'a LoadFacts,
    /// Of this machine; agents bring their own.
    pub calibration: Option<&'a Calibration>,
    /// Where several machines ran it, else empty: the generator is theirs, and each of them is judged.
    pub agents: &'a [AgentPart],
    /// What was left out.
    pub absent: &'a [Absent],
}

/// Empty `invalid`: the generator can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    pub invalid: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

type Rule = fn(&Evidence) -> Option<Finding>;

/// Whom a rule is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The generator: the sum, and each machine that had a part in it.
    Generator,
    Trial,
}

const INVALIDATING: &[(Of, Rule)] = &[
    (Of::Trial, agents_lost),
    (Of::Generator, late_sends),
    (Of::Trial, late_target_sends),
    (Of::Generator, standstill),
    (Of::Generator, skipped_by_generator),
    (Of::Generator, receive_drops),
];

const WARNING: &[(Of, Rule)] = &[
    (Of::Generator, short_standstill),
    (Of::Generator, busy_core),
    (Of::Trial, busy_target),
    (Of::Trial, not_all_connected),
    (Of::Trial, skipped),
    (Of::Trial, no_reorder_tracking),
    (Of::Trial, target_dropped),
    (Of::Trial, values_overflowed),
    (Of::Trial, unbalanced_counts),
    (Of::Trial, few_samples),
    (Of::Trial, left_out),
];

/// Judges one trial.
pub fn judge(evidence: &Evidence) -> Judgement {
    let mut told = told_of_agents(evidence).into_iter();
    let mut apply = |rules: &[(Of, Rule)]| {
        let one = |((of, rule), told): (&(Of, Rule), Vec<(String, Finding)>)| match of {
            Of::Trial => rule(evidence),
            // What is known of machines says more than what is known of their sum.
            Of::Generator => in_one(told).or_else(|| rule(evidence)),
        };
        rules.iter().zip(told.by_ref()).filter_map(one).collect()
    };
    Judgement { invalid: apply(INVALIDATING), warnings: apply(WARNING) }
}

/// What each rule says of the agents' parts, with the names of those.
fn told_of_agents(e: &Evidence) -> Vec<Vec<(String, Finding)>> {
    let rules: Vec<&(Of, Rule)> = INVALIDATING.iter().chain(WARNING).collect();
    let mut told = vec![Vec::new(); rules.len()];
    // One after the other: unpacked, a part takes some hundred times as much memory.
    for part in e.agents {
        let Some(Ok(outcome)) = part.outcome.as_ref().map(|outcome| outcome.unpack_only(&JUDGED_BY)) else { continue };
        let calibration = part.calibration.as_ref().or(e.calibration);
        let of_part = Evidence { outcome: &outcome, generator: &part.generator, calibration, agents: &[], ..*e };
        let of_generator = rules.iter().zip(&mut told).filter(|((of, _), _)| *of == Of::Generator);
        for ((_, rule), told) in of_generator {
            told.extend(rule(&of_part).map(|finding| (part.called(), finding)));
        }
    }
    told
}

/// Histograms that rules about the generator look at.
const JUDGED_BY: [Metric; 2] = [Metric::SendLateness, Metric::ResponseTime];
/// Other agents that a message names.
const NAMED: usize = 3;

/// What is told of the first in full, and of whom it is true as well.
fn in_one(told: Vec<(String, Finding)>) -> Option<Finding> {
    let mut told = told.into_iter();
    let (name, mut finding) = told.next()?;
    finding.message = format!("{name}: {}", finding.message);
    let others: Vec<String> = told.map(|(name, _)| name).collect();
    if !others.is_empty() {
        let more = others.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = others[..others.len().min(NAMED)].join(", ");
        finding.message += &format!("; so it is with {named}{more}");
    }
    Some(finding)
}

/// An agent that didn't see the trial to its end: its part is missing, or cut short.
fn agents_lost(e: &Evidence) -> Option<Finding> {
    let words = |part: &AgentPart| {
        let lost = agents::plain(part.lost.as_ref()?, agents::WORDS);
        let what = if part.outcome.is_some() { "cut short" } else { "missing" };
        Some(format!("{} ({} sessions, its part is {what}): {lost}", part.called(), part.sessions))
    };
    let lost: Vec<String> = e.agents.iter().filter_map(words).collect();
    if lost.is_empty() {
        return None;
    }
    finding(
        agents::LOST,
        format!("{} of {} agents were lost: {}", lost.len(), e.agents.len(), lost.join("; ")),
        "look at its machine, and at the network between it and the bus; then run it again",
    )
}

fn left_out(e: &Evidence) -> Option<Finding> {
    let reason = &e.absent.first()?.reason;
    let metrics: Vec<&str> = e.absent.iter().map(|absent| absent.metric.name()).collect();
    finding(
        "left-out",
        format!("no figures of {}: {reason}", metrics.join(" and ")),
        "measure round trips (echo, chat), which need one clock alone, or bring the bus nearer to agents and coordinator: \
         the round trips over it say how well clocks are known",
    )
}

fn finding(code: &str, message: String, advice: &str) -> Option<Finding> {
    Some(Finding { code: code.to_owned(), message, advice: advice.to_owned() })
}

fn late_sends(e: &Evidence) -> Option<Finding> {
    let lateness = e.outcome.histograms.get(Metric::SendLateness)?;
    let calibration = agents::worst_calibration(e.agents).or(e.calibration.copied());
    let message = too_late(lateness, e, calibration)?;
    finding(
        "late-sends",
        format!("the generator sent late: {message}"),
        "lower the rate or the number of sessions, or give the generator idle cores of its own",
    )
}

/// Push: the target holds the schedule, so its lateness is judged as the generator's is.
fn late_target_sends(e: &Evidence) -> Option<Finding> {
    let message = too_late(&e.target?.lateness, e, e.calibration.copied())?;
    finding(
        "late-target-sends",
        format!("the embedded target originated events late: {message}"),
        "lower the event rate or the number of subscribers, or give the target an idle core of its own",
    )
}

/// Says so if `lateness` is over what the response time and the calibration allow. Judged at p99; with fewer than
/// 1,000 samples at the highest of p90 and p50 that ten samples lie beyond; with fewer still, not at all.
fn too_late(lateness: &Histogram, e: &Evidence, calibration: Option<Calibration>) -> Option<String> {
    let judged_at = [(0.99, "p99"), (0.9, "p90"), (0.5, "p50")];
    let (late, q, name) =
        judged_at.iter().find_map(|&(q, name)| Some((lateness.quantile(q, BEYOND_TRIAL)?, q, name)))?;
    let response = e.outcome.histograms.get(Metric::ResponseTime).map_or(0, |h| h.at(q));
    let calibrated = calibration.map_or(0, |c| c.lateness_p99);
    let allowed = (LATENESS_SHARE * response as f64)
        .max(LATENESS_FLOOR as f64)
        .max(LATENESS_OVER_CALIBRATION * calibrated as f64);
    (late as f64 > allowed).then(|| {
        format!(
            "{name} of lateness is {}, more than {} (10 % of the response time's {name} of {}, at least {} and 3 × the {} \
             of idle pacing)",
            show_nanos(late as f64),
            show_nanos(allowed),
            show_nanos(response as f64),
            show_nanos(LATENESS_FLOOR as f64),
            show_nanos(calibrated as f64),
        )
    })
}

fn standstill(e: &Evidence) -> Option<Finding> {
    let (stood, window) = (e.outcome.standstill as f64, e.load.duration as f64);
    let allowed = (STANDSTILL_SHARE * window).max(STANDSTILL_FLOOR as f64);
    if stood <= allowed {
        return None;
    }
    finding(
        "standstill",
        format!(
            "a worker of the generator stood still for {} of the {} measured, more than {}",
            show_nanos(stood),
            show_nanos(window),
            show_nanos(allowed)
        ),
        "something else had its core: stop other programs, or use fewer sessions a core",
    )
}

/// Too short to spoil the trial, but not its highest quantiles: what was due meanwhile is beyond this one.
fn short_standstill(e: &Evidence) -> Option<Finding> {
    let (stood, window) = (e.outcome.standstill, e.load.duration as f64);
    if stood <= STANDSTILL_FLOOR || standstill(e).is_some() {
        return None;
    }
    let beyond = 100.0 * (1.0 - stood as f64 / window);
    finding(
        "short-standstill",
        format!("a worker of the generator stood still for {}", show_nanos(stood as f64)),
        &format!("quantiles above p{beyond:.2} may hold it: don't read them as the target's"),
    )
}

fn skipped_by_generator(e: &Evidence) -> Option<Finding> {
    let (skipped, scheduled) = (e.outcome.skipped_by_generator, e.outcome.measure.scheduled);
    if skipped as f64 <= SKIPPED_SHARE * scheduled as f64 {
        return None;
    }
    finding(
        "skipped-by-generator",
        format!("the generator skipped {skipped} of {scheduled} scheduled messages by its own fault, more than 1 %"),
        "lower the rate: more was due than could be kept track of",
    )
}

/// What the generator's sockets had no room for looks like the network's loss. The counts of both are of warmup and the
/// measured window together: a drop doesn't say which message it was.
fn receive_drops(e: &Evidence) -> Option<Finding> {
    let dropped = e.outcome.traffic.receive_drops;
    let expected = e.outcome.warmup.expected.saturating_add(e.outcome.measure.expected);
    if dropped as f64 <= RECEIVE_DROPS_SHARE * expected as f64 {
        return None;
    }
    finding(
        "receive-drops",
        format!("the generator's own socket buffers dropped {dropped} of {expected} expected datagrams, more than 1 %"),
        "raise receive_buffer, lower the rate, or give the generator a core of its own",
    )
}

/// With closed arrival a full core means that the generator, not the target, set the pace.
fn busy_core(e: &Evidence) -> Option<Finding> {
    let share = e.generator.share().filter(|s| *s > BUSY_SHARE)?;
    let seen = format!("the generator used {:.0} % of its core", share * 100.0);
    if e.load.arrival == "closed" {
        return finding(
            "generator-limited",
            format!("{seen} under closed arrival: the rate is a lower bound of what the target can do"),
            "use more workers, or read the rate as “at least”",
        );
    }
    finding("busy-core", seen, "latencies may include the generator's own waiting; lower the rate to be sure")
}

fn busy_target(e: &Evidence) -> Option<Finding> {
    let share = e.target?.usage.share().filter(|s| *s > BUSY_SHARE)?;
    finding(
        "busy-target",
        format!("the target used {:.0} % of the cores that it may run on", share * 100.0),
        "latencies are those of a saturated server; lower the rate to compare transports below saturation",
    )
}

fn not_all_connected(e: &Evidence) -> Option<Finding> {
    let sessions = e.outcome.sessions;
    if sessions.connected >= sessions.asked {
        return None;
    }
    finding(
        "not-all-connected",
        format!("{} of {} sessions connected", sessions.connected, sessions.asked),
        "see the errors by class; the load on those that connected is not the one asked for",
    )
}

/// What was due and could not be sent although the generator was ready: reach doesn't count it, since nothing is
/// expected of what was never sent. What an interrupt left unsent is no news.
fn skipped(e: &Evidence) -> Option<Finding> {
    let (skipped, scheduled) = (e.outcome.measure.skipped, e.outcome.measure.scheduled);
    let by_others = skipped.saturating_sub(e.outcome.skipped_by_generator);
    if e.outcome.interrupted || by_others as f64 <= SKIPPED_SHARE * scheduled as f64 {
        return None;
    }
    finding(
        "skipped",
        format!(
            "{by_others} of {scheduled} scheduled messages ({:.1} %) were never sent",
            by_others as f64 / scheduled as f64 * 100.0
        ),
        "look at the errors: sessions that failed or ended can't send",
    )
}

/// Nothing was to be done in the measured window, so that its figures have nothing to say.
fn is_empty(outcome: &Outcome) -> bool {
    outcome.measure.scheduled == 0 && outcome.measure.expected == 0
}

fn no_reorder_tracking(e: &Evidence) -> Option<Finding> {
    if e.outcome.order_tracked || is_empty(e.outcome) {
        return None;
    }
    finding(
        "no-reorder-tracking",
        "there were too many pairs of sender and receiver to follow the order of each".to_owned(),
        "“reordered” is unknown here; use fewer sessions or smaller rooms to see it",
    )
}

fn target_dropped(e: &Evidence) -> Option<Finding> {
    let dropped = e.target?.dropped;
    if dropped == 0 {
        return None;
    }
    finding(
        "target-dropped",
        format!("the embedded target dropped {dropped} messages because a client's outbox or a room's log was full"),
        "the load is more than this transport's clients took; lower the rate",
    )
}

fn values_overflowed(e: &Evidence) -> Option<Finding> {
    let overflow = e.outcome.histograms.get(Metric::ResponseTime)?.overflow();
    if overflow == 0 {
        return None;
    }
    finding(
        "values-overflowed",
        format!("{overflow} response times were over a minute and count as a minute"),
        "the highest quantiles and the mean are lower bounds",
    )
}

/// Of a trial whose counts don't add up by the generator's own account.
pub(super) const UNBALANCED: &str = "unbalanced-counts";

fn unbalanced_counts(e: &Evidence) -> Option<Finding> {
    if e.outcome.warmup.balance() && e.outcome.measure.balance() {
        return None;
    }
    finding(
        UNBALANCED,
        "scheduled ≠ sent + skipped, or expected ≠ delivered + late + lost + unfinished".to_owned(),
        "this is a defect of wsbench or an edited result; please report it with the result file",
    )
}

fn few_samples(e: &Evidence) -> Option<Finding> {
    let response = e.outcome.histograms.get(Metric::ResponseTime)?;
    if response.quantile(0.99, BEYOND_TRIAL).is_some() || is_empty(e.outcome) {
        return None;
    }
    finding(
        "few-samples",
        format!("{} response times are too few for a p99 of this trial", response.count()),
        "1,000 a trial support it: measure longer or raise the rate",
    )
}

#[cfg(test)]
mod tests;
