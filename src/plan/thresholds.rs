//! `thresholds = […]` held against the plan: arms that exist, metrics that they can have, samples enough to read them.

use super::{Plan, Workload, facts};
use crate::catalog::{self, WorkloadKind};
use crate::scenario::{self, At, File, Place, Problem, Source, Target};
use crate::threshold::{Hold, Limit, Metric, Time};

/// `starts_servers`: what runs at a URL was started by us, and its cost can be seen.
pub(super) fn check(file: &File, starts_servers: bool, source: &Source, problems: &mut Vec<Problem>) {
    for entry in &file.thresholds {
        let said = entry.said();
        let threshold = &said.hold;
        for name in threshold.arms().filter(|name| file.transports.get(name).is_none()) {
            let names: Vec<&str> = file.transports.names().collect();
            let problem = Problem::new(&place_of(name, &said, source), format!("the scenario has no arm `{name}`"));
            problems.push(problem.hint(scenario::hint(name, "its arms", names)));
        }
        let other = match &threshold.limit {
            Limit::Value(_) => None,
            Limit::Of { metric, .. } => Some(metric),
        };
        for metric in std::iter::once(&threshold.metric).chain(other) {
            if let Some((why, hint)) = impossible(metric, file, starts_servers) {
                let place = place_of(&metric.to_string(), &said, source);
                problems.push(Problem::new(&place, format!("`{metric}` is not measured here: {why}")).hint(hint));
            }
        }
    }
}

/// Where `word` stands in the text of a threshold, if the text can be looked at.
fn place_of(word: &str, said: &At<Hold>, source: &Source) -> Place {
    let Place::File(span) = &said.place else { return said.place.clone() };
    let text = source.text.get(span.clone()).unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let stands_alone = |at: &usize| !text[..*at].ends_with(is_name) && !text[at + word.len()..].starts_with(is_name);
    let written = text.match_indices(word).map(|(at, _)| at).find(stands_alone);
    written.map_or(said.place.clone(), |at| Place::File(span.start + at..span.start + at + word.len()))
}

/// Why no arm of this scenario can have such a figure, and what to do.
fn impossible(metric: &Metric, file: &File, starts_servers: bool) -> Option<(&'static str, String)> {
    let workload = file.workload.kind();
    let elsewhere = |why, hint: &str| Some((why, hint.to_owned()));
    match (metric.time(), workload) {
        (Some(Time::LastReceipt), WorkloadKind::Echo | WorkloadKind::Connect) => {
            return elsewhere("a message has one receiver", "only chat and push have a last receipt; leave it out");
        }
        (Some(Time::FirstMessage), WorkloadKind::Echo | WorkloadKind::Chat | WorkloadKind::Push) => {
            return elsewhere("only `[workload.connect]` waits for a first message", "`connect` is the time to join");
        }
        (Some(Time::ServiceTime), WorkloadKind::Push) if matches!(file.target, Target::Embedded(_)) => {
            return elsewhere("when an event left, only the target knows", "leave `service-time` out");
        }
        _ => {}
    }
    match metric {
        Metric::Cpu | Metric::Memory if matches!(file.target, Target::Urls(_)) && !starts_servers => {
            elsewhere("the cost of a target at a URL can't be seen", "only the embedded target's can")
        }
        Metric::Memory if workload == WorkloadKind::Connect => {
            elsewhere("sessions come and go", "choose a workload whose sessions stay")
        }
        Metric::Errors(Some(class)) if !catalog::is_error_class(class) => {
            Some(("there is no such class of errors", scenario::hint(class, "classes", catalog::ERROR_CLASSES)))
        }
        _ => None,
    }
}

/// Thresholds that no trial can decide, since the plan has too few samples of what they limit, or none, in words.
pub fn undecidable(plan: &Plan) -> Vec<String> {
    if plan.thresholds.is_empty() {
        return Vec::new();
    }
    let scheduled = facts(plan).scheduled.measured.saturating_mul(plan.trials.into());
    let mut found = Vec::new();
    for hold in plan.thresholds.iter().map(|entry| &entry.hold) {
        if hold.metric == Metric::Wire {
            let by_socket = plan.cells.iter().filter(|cell| cell.target.is_unix() && hold.is_about(&cell.arm));
            found.extend(by_socket.map(|cell| format!("`{hold}`: no wire leads to the Unix socket of {}", cell.arm)));
        }
        let Metric::Quantile(quantile, time) = hold.metric else { continue };
        for cell in plan.cells.iter().filter(|cell| hold.is_about(&cell.arm)) {
            let samples = match (time, cell.load.schedule.arrival.is_open()) {
                (Time::Connect, _) if cell.workload.kind() != WorkloadKind::Connect => {
                    u64::from(cell.load.sessions) * u64::from(plan.trials)
                }
                (_, false) => continue,
                (Time::ResponseTime | Time::ServiceTime, true) => scheduled.saturating_mul(copies(cell)),
                (_, true) => scheduled,
            };
            if let Some(needed) = quantile.samples().filter(|needed| samples < *needed) {
                let arm = &cell.arm;
                found.push(format!(
                    "`{hold}`: {needed} samples are needed to tell, and {arm} will have {samples} at most"
                ));
            }
        }
    }
    found
}

/// Deliveries of the measured window of one trial of each cell, at most; `None`: with closed arrival nobody can say.
pub fn deliveries(plan: &Plan) -> Vec<Option<u64>> {
    let scheduled = facts(plan).scheduled.measured;
    let of = |cell: &super::Cell| cell.load.schedule.arrival.is_open().then(|| scheduled.saturating_mul(copies(cell)));
    plan.cells.iter().map(of).collect()
}

/// Receivers of a message, at most.
fn copies(cell: &super::Cell) -> u64 {
    match cell.workload {
        Workload::Chat { rooms: groups, .. } | Workload::Push { topics: groups, .. } => {
            u64::from(cell.load.sessions.div_ceil(groups.max(1)))
        }
        Workload::Echo { .. } | Workload::Connect { .. } => 1,
    }
}

#[cfg(test)]
mod tests;
