//! Bytes and connections: what was counted, what the system counted below, and what a packet capture saw.

use super::check::Checks;
use super::floor::{ARMS, NAMES};
use super::stand::{Stand, StandError, trial};
use crate::accounting::{CellCapture, NoCapture};
use crate::measure::KernelBytes;
use crate::result::Trial;

const SCENARIO: &str = r#"
name = "accounts"
[workload.chat]
rooms = 4
payload = "64B"
[load]
sessions = 12
rate = "200/s"
connect_rate = "5k/s"
warmup = "50ms"
duration = "300ms"
drain = "2s"
trials = 1
[transports.short-polling]
interval = "50ms"
"#;

/// Beside the system's count alone: what of HTTP/2 is joining can't be told from a capture.
const TWO: &str = r#"
[transports.long-polling-h2]
transport = "long-polling"
http = 2
[transports.sse-h2]
transport = "sse"
http = 2
"#;
const NAMES_OF_TWO: [&str; 2] = ["long-polling-h2", "sse-h2"];

pub fn check(stand: &mut Stand) -> Result<Checks, StandError> {
    let mut checks = Checks::new("accounts");
    let scenario = format!("{SCENARIO}{ARMS}");
    let document = stand.run(&format!("{scenario}{TWO}"))?;
    for name in NAMES.into_iter().chain(["short-polling"]).chain(NAMES_OF_TWO) {
        beside_the_system(&mut checks, name, trial(&document, name)?);
    }
    match stand.capture(&scenario)? {
        Ok(report) => report.cells.iter().for_each(|cell| beside_the_capture(&mut checks, cell)),
        Err(NoCapture::Skipped(reason)) => checks.skipped("bytes beside a packet capture", reason),
        Err(error) => checks.holds("bytes beside a packet capture", "a capture", error.to_string(), false),
    }
    Ok(checks)
}

fn beside_the_system(checks: &mut Checks, name: &str, trial: &Trial) {
    if let Some(held) = trial.outcome.sessions.held {
        match held.kernel {
            Some(kernel) => {
                checks.exact(&format!("{name}: open connections, beside the system's table"), kernel, held.counted);
            }
            None => checks.skipped(&format!("{name}: open connections"), "the system's table can't be read".to_owned()),
        }
    }
    // A datagram has no such count.
    if let Some(kernel) = trial.outcome.traffic.kernel {
        let counted = trial.outcome.traffic.counted();
        let show = |bytes: KernelBytes| format!("{} / {}", bytes.sent, bytes.received);
        checks.exact(&format!("{name}: bytes sent / received, beside TCP_INFO"), show(kernel), show(counted));
    }
}

fn beside_the_capture(checks: &mut Checks, cell: &CellCapture) {
    let list = |pick: fn(&crate::accounting::Check) -> u64| {
        cell.exact().iter().map(|check| pick(check).to_string()).collect::<Vec<_>>().join(", ")
    };
    let what = format!("{}: connections, handshake and all bytes each way, beside a capture", cell.arm);
    checks.exact(&what, list(|check| check.captured), list(|check| check.counted));
}
