//! `[load]` resolved: the schedule's stages, and bounds on everything that a run could otherwise never end by.

use super::Load;
use crate::catalog::{Arrival, WorkloadKind};
use crate::scenario::{self, At, Problem};
use crate::schedule::{Schedule, Stage};
use crate::units::{Rate, Span};
use std::fmt::Display;
use std::time::Duration;

/// More than this in one trial is a typing error rather than a plan.
pub(super) const MOST_MESSAGES: f64 = 1e8;
/// A second, over all sessions.
pub(super) const MOST_RATE: f64 = 1e7;
pub(super) const MOST_SESSIONS: u32 = 1_000_000;
const DAY: Span = Span::from_millis(24 * 3_600_000);
const HOUR: Span = Span::from_millis(3_600_000);

pub(super) fn build(
    load: &At<scenario::Load>,
    seed: u64,
    workload: WorkloadKind,
    problems: &mut Vec<Problem>,
) -> Option<Load> {
    check_bounds(load, problems);
    check_arrival(load, workload, problems);
    let (start, mut measured) = measured_stages(load, problems)?;
    let duration = Span(measured.iter().map(|stage| stage.over.0).sum());
    let mut stages = vec![Stage { from: start, to: start, over: load.warmup.value }];
    stages.append(&mut measured);
    Some(Load {
        sessions: load.sessions.get(),
        schedule: Schedule { arrival: load.arrival.value, stages, seed },
        outstanding: load.outstanding.as_ref().map_or(1, |n| n.get()),
        think: load.think.as_ref().map_or(Span::ZERO, |t| t.value),
        connect_rate: load.connect_rate.value,
        connect_timeout: connect_timeout(load, duration),
        warmup: load.warmup.value,
        duration,
        timeout: load.timeout.value,
        drain: load.drain.value,
        spin: load.spin.value,
        workers: load.workers.as_ref().map(|n| n.get()),
        source_ips: load.source_ips.iter().flat_map(|ips| ips.iter()).map(|block| block.value).collect(),
    })
}

/// So that a short run against a target that never answers is short.
fn connect_timeout(load: &scenario::Load, duration: Span) -> Span {
    let usual = Span(duration.0.clamp(Duration::from_secs(1), Duration::from_secs(5)));
    load.connect_timeout.as_ref().map_or(usual, |t| t.value)
}

/// The rate that the measured window starts from, and its stages.
fn measured_stages(load: &At<scenario::Load>, problems: &mut Vec<Problem>) -> Option<(Rate, Vec<Stage>)> {
    let found = problems.len();
    let is_open = load.arrival.is_open();
    let start = load.rate.as_ref().filter(|_| is_open).map_or_else(Rate::default, |rate| rate.value);
    let stages = match (&load.stages, &load.duration) {
        (Some(stages), Some(duration)) => {
            let hint = "keep `stages`, whose lengths add up to the duration, or `duration` alone";
            problems.push(Problem::at(duration, "`duration` stands beside `stages`").hint(hint));
            stage_list(stages, start, is_open)
        }
        (Some(stages), None) => stage_list(stages, start, is_open),
        (None, Some(duration)) => {
            if is_open && load.rate.is_none() {
                let hint = "write `rate = \"500/s\"`, or `arrival = \"closed\"` for a load that waits for answers";
                problems.push(Problem::at(load, "the load has no `rate`").hint(hint));
            }
            vec![Stage { from: start, to: start, over: duration.value }]
        }
        (None, None) => {
            let hint = "write `duration = \"10s\"`, or `stages = [{ to = \"1k/s\", over = \"10s\" }]`";
            problems.push(Problem::at(load, "the load has neither `duration` nor `stages`").hint(hint));
            return None;
        }
    };
    check_amount(load, &stages, problems);
    (problems.len() == found).then_some((start, stages))
}

/// With closed arrival a stage gives its length alone.
fn stage_list(stages: &[scenario::Stage], start: Rate, is_open: bool) -> Vec<Stage> {
    let mut from = start;
    let mut list = Vec::new();
    for stage in stages {
        let to = if is_open { stage.to.value } else { Rate::default() };
        list.push(Stage { from, to, over: stage.over.value });
        from = to;
    }
    list
}

/// The window has a length, and an open load has messages in it, but not without end.
fn check_amount(load: &At<scenario::Load>, stages: &[Stage], problems: &mut Vec<Problem>) {
    let seconds: f64 = stages.iter().map(|s| s.over.0.as_secs_f64()).sum();
    let messages: f64 =
        stages.iter().map(|s| (s.from.per_second() + s.to.per_second()) / 2.0 * s.over.0.as_secs_f64()).sum();
    let in_warmup = stages.first().map_or(0.0, |s| s.from.per_second()) * load.warmup.0.as_secs_f64();
    let place = match (&load.stages, &load.rate, &load.duration) {
        (Some(stages), _, _) => &stages.place,
        (None, Some(rate), _) if seconds > 0.0 => &rate.place,
        (None, _, Some(duration)) => &duration.place,
        _ => &load.place,
    };
    let is_open = load.arrival.is_open();
    if seconds <= 0.0 {
        problems.push(Problem::new(place, "the measured window has no length"));
    } else if seconds > DAY.0.as_secs_f64() {
        problems.push(Problem::new(place, "the measured window is longer than a day"));
    } else if is_open && (load.rate.is_some() || load.stages.is_some()) && messages < 1.0 {
        let hint = "a higher rate or a longer window; a warmup is not measured";
        problems.push(Problem::new(place, "not one message would be due in the measured window").hint(hint));
    } else if messages + in_warmup > MOST_MESSAGES {
        let millions = (messages + in_warmup) / 1e6;
        let message = format!("{millions:.0} million messages a trial are more than wsbench takes on, 100 million");
        problems.push(Problem::new(place, message).hint("a lower rate or a shorter window"));
    }
}

fn check_arrival(load: &scenario::Load, workload: WorkloadKind, problems: &mut Vec<Problem>) {
    if *load.arrival != Arrival::Closed {
        let closed_only = [
            ("outstanding", load.outstanding.as_ref().map(|k| &k.place)),
            ("think", load.think.as_ref().map(|k| &k.place)),
        ];
        for (key, place) in closed_only {
            let problem = place.map(|p| Problem::new(p, format!("`{key}` means nothing to an open load")));
            let hint = "`arrival = \"closed\"` waits for answers; open arrival goes by `rate` alone";
            problems.extend(problem.map(|p| p.hint(hint)));
        }
        return;
    }
    if let Some(rate) = &load.rate {
        let hint = "leave it out: each session sends when its answer has come; or `arrival = \"poisson\"`";
        problems.push(Problem::at(rate, "a closed load has no `rate`").hint(hint));
    }
    if workload == WorkloadKind::Push {
        let hint = "choose `arrival = \"constant\"` or `arrival = \"poisson\"`";
        let message = "push has no closed arrival: events don't wait for an answer";
        problems.push(Problem::at(&load.arrival, message).hint(hint));
    }
}

fn check_bounds(load: &scenario::Load, problems: &mut Vec<Problem>) {
    let million = Rate::new(1e6).expect("a finite rate");
    within(problems, "sessions", &load.sessions, |n| n.get() <= MOST_SESSIONS, "at most 1000000");
    within(problems, "trials", &load.trials, |n| n.get() <= 1000, "at most 1000");
    within(problems, "connect_rate", &load.connect_rate, |r| *r <= million, "at most 1M/s");
    within(problems, "connect_rate", &load.connect_rate, |r| r.per_second() > 0.0, "above 0");
    within(problems, "warmup", &load.warmup, |s| *s <= HOUR, "at most an hour");
    within(problems, "timeout", &load.timeout, |s| (MILLISECOND..=HOUR).contains(s), "between 1ms and an hour");
    within(problems, "drain", &load.drain, |s| *s <= HOUR, "at most an hour");
    if let Some(workers) = &load.workers {
        within(problems, "workers", workers, |n| n.get() <= super::MOST_WORKERS, "at most 1000");
    }
    if let Some(timeout) = &load.connect_timeout {
        within(problems, "connect_timeout", timeout, |s| (MILLISECOND..=HOUR).contains(s), "between 1ms and an hour");
    }
    if let Some(rate) = &load.rate {
        within(problems, "rate", rate, |r| r.per_second() <= MOST_RATE, "at most 10M/s");
    }
    if let Some(think) = &load.think {
        within(problems, "think", think, |s| *s <= HOUR, "at most an hour");
    }
    if let Some(outstanding) = &load.outstanding {
        within(problems, "outstanding", outstanding, |n| n.get() <= 10_000, "at most 10000");
    }
    for stage in load.stages.iter().flat_map(|stages| stages.iter()) {
        within(problems, "to", &stage.to, |r| r.per_second() <= MOST_RATE, "at most 10M/s");
        within(problems, "over", &stage.over, |s| *s <= DAY, "at most a day");
    }
}

pub(super) const MILLISECOND: Span = Span::from_millis(1);

/// Says that `key` must be `what` unless its value `fits`.
pub(super) fn within<T: Display>(
    problems: &mut Vec<Problem>,
    key: &str,
    value: &At<T>,
    fits: impl Fn(&T) -> bool,
    what: &str,
) {
    if !fits(&value.value) {
        problems.push(Problem::at(value, format!("`{key}` is {}, but must be {what}", value.value)));
    }
}
