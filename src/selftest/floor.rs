//! What this machine costs by itself: an echo over the loopback, and waking up in time.

use super::check::Checks;
use super::stand::{Stand, StandError, trial};
use crate::measure::Metric;
use crate::units::show_nanos;

/// Arms of the self-test. Short polling's answers come when it asks, which says nothing of the machine.
pub const ARMS: &str = r#"
[transports.websocket]
[transports.websocket-tungstenite]
transport = "websocket"
engine = "tungstenite"
[transports.tcp]
[transports.udp]
[transports.long-polling]
[transports.sse]
[transports.http-streaming]
"#;

/// Their names.
pub const NAMES: [&str; 7] =
    ["websocket", "websocket-tungstenite", "tcp", "udp", "long-polling", "sse", "http-streaming"];

const SCENARIO: &str = r#"
name = "floor"
[workload.echo]
payload = "64B"
[load]
sessions = 50
rate = "1k/s"
arrival = "constant"
connect_rate = "5k/s"
warmup = "200ms"
duration = "1s"
drain = "500ms"
trials = 1
"#;

pub fn check(stand: &mut Stand) -> Result<Checks, StandError> {
    let mut checks = Checks::new("floor");
    let document = stand.run(&format!("{SCENARIO}{ARMS}"))?;
    if let Some(idle) = &document.calibration {
        checks.floor("waking up, lateness p50 / p99", pair(idle.lateness_p50, idle.lateness_p99));
    }
    for floor in &document.network_floor {
        let what = format!("ICMP echo to {}, least / p50", floor.host);
        match (&floor.skipped, floor.min, floor.p50) {
            (None, Some(least), Some(p50)) => checks.floor(&what, pair(least, p50)),
            (skipped, ..) => checks.skipped(&what, skipped.clone().unwrap_or("no echo came back".to_owned())),
        }
    }
    for name in NAMES {
        let trial = trial(&document, name)?;
        let Some(response) = trial.outcome.histograms.get(Metric::ResponseTime) else { continue };
        checks.floor(&format!("echo over {name}, p50 / p99"), pair(response.at(0.5), response.at(0.99)));
        stand.floors.insert(name, response.at(0.99));
    }
    Ok(checks)
}

fn pair(a: u64, b: u64) -> String {
    format!("{} / {}", show_nanos(a as f64), show_nanos(b as f64))
}
