//! What ran and where, for those who want to run it again.

use super::DASH;
use crate::result::{Capacity, Document, NetworkFloor};
use crate::units::{show_nanos, three_digits};

/// What was asked for.
pub fn of_run(document: &Document) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(cell) = document.cells.first() {
        let load = &cell.load;
        facts.push(("workload", cell.workload.clone()));
        let raised = document.capacity.as_ref().map(|capacity| capacity.of.as_str());
        if raised != Some("sessions") {
            facts.push(("sessions", load.sessions.to_string()));
        }
        facts.push((
            "load",
            match raised {
                _ if cell.is_closed() => "closed arrival".to_owned(),
                Some("rate") => format!("{} (open arrival)", load.arrival),
                _ => format!("{}/s, {} (open arrival)", three_digits(load.rate), load.arrival),
            },
        ));
        if load.groups > 0 {
            facts.push(("rooms or topics", load.groups.to_string()));
        }
        facts.push((
            "payload",
            match load.payload {
                (min, max) if min == max => format!("{min} B"),
                (min, max) => format!("{min}–{max} B"),
            },
        ));
        facts.push((
            "measured",
            match load.warmup {
                0 => format!("{} a trial, without a warmup", show_nanos(load.duration as f64)),
                warmup => {
                    format!(
                        "{} a trial, after {} of warmup",
                        show_nanos(load.duration as f64),
                        show_nanos(warmup as f64)
                    )
                }
            },
        ));
        match &document.capacity {
            None => {
                let blocks = document.cells.iter().map(|c| c.trials.len()).max().unwrap_or(0);
                facts.push(("trials", format!("{blocks} an arm, interleaved in blocks")));
            }
            Some(capacity) => facts.extend(of_search(capacity)),
        }
    }
    let agents = document.fleet().len();
    if agents > 0 {
        facts.push(("machines", format!("{agents} agents; the machine below is the coordinator's")));
    }
    facts.push(("seed", document.seed.to_string()));
    facts.push(("command", typed(&document.meta.command_line)));
    facts.push(("scenario", format!("{} (SHA-256 {})", document.scenario.path, short(&document.scenario.hash))));
    facts.push(("plan", format!("SHA-256 {}", short(&document.plan_hash))));
    facts.push(("wsbench", document.meta.wsbench_version.clone()));
    if let Some(revision) = &document.meta.git_revision {
        facts.push(("git revision", revision.clone()));
    }
    facts
}

/// A command line as a shell takes it, to be typed again.
fn typed(arguments: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let word = |argument: &String| match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument.clone(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    };
    arguments.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn of_search(capacity: &Capacity) -> [(&'static str, String); 5] {
    let show = |load| capacity.show(load);
    [
        ("objective", capacity.slo.to_string()),
        ("searched", format!("{} to {}, from {} on", show(capacity.from), show(capacity.to), show(capacity.first))),
        ("precision", format!("{} %", three_digits(capacity.precision * 100.0))),
        ("trials", format!("up to {} a load and round, arms taking turns", capacity.trials)),
        ("time allowed", show_nanos(capacity.budget as f64)),
    ]
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// Where it ran.
pub fn of_host(document: &Document) -> Vec<(&'static str, String)> {
    let host = &document.meta.host;
    let mut rows = vec![
        ("started", document.meta.started.clone()),
        ("finished", document.meta.finished.clone()),
        ("processor", format!("{}, {} cores", host.cpu_model, host.cores)),
        ("memory", format!("{:.1} GiB", host.memory_bytes as f64 / f64::from(1 << 30))),
        ("system", format!("{}, kernel {}", host.os, host.kernel)),
        ("open files allowed", host.open_files_limit.to_string()),
    ];
    if let Some((low, high)) = host.ephemeral_ports {
        rows.push(("ephemeral ports", format!("{low}–{high}")));
    }
    if let Some(idle) = &document.calibration {
        rows.push((
            "idle pacing",
            format!("p50 {} late, p99 {}", show_nanos(idle.lateness_p50 as f64), show_nanos(idle.lateness_p99 as f64)),
        ));
    }
    rows.extend(document.network_floor.iter().map(|floor| ("network floor", measured_floor(floor))));
    rows.push(("self-test", selftest(document)));
    rows
}

/// What is known of the instrument on the machine of the run.
fn selftest(document: &Document) -> String {
    let Some(test) = &document.meta.selftest else {
        return "none of this version on this machine; wsbench selftest makes one".to_owned();
    };
    let (passed, run) = (test.passed, test.passed.saturating_add(test.failed));
    let certificate = short(&test.certificate);
    format!("{passed} of {run} checks passed, {} skipped, {} (certificate {certificate})", test.skipped, test.finished)
}

fn measured_floor(floor: &NetworkFloor) -> String {
    let time = |value: Option<u64>| value.map_or(DASH.to_owned(), |nanos| show_nanos(nanos as f64));
    match &floor.skipped {
        Some(reason) => format!("ICMP echo to {}: not measured: {reason}", floor.host),
        None => format!(
            "ICMP echo to {}: p50 {}, least {}, most {}; {} of {} came back ({})",
            floor.host,
            time(floor.p50),
            time(floor.min),
            time(floor.max),
            floor.received,
            floor.sent,
            floor.method
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let line = ["wsbench", "duet", "--base", "./old --port {port}", "--slo=p99<1s", "", "it's", "a=b:/c,1%"];
        assert_eq!(
            typed(&line.map(str::to_owned)),
            "wsbench duet --base './old --port {port}' '--slo=p99<1s' '' 'it'\\''s' a=b:/c,1%"
        );
    }
}
