//! Who stood still: the target or the generator? Nobody measures a stall right who doesn't know when messages were due.

use super::check::Checks;
use super::stand::{Stand, StandError, trial};
use super::suspend::{Suspended, suspend_during};
use crate::clock::{MILLI, Nanos, SECOND};
use crate::measure::Metric;
use crate::result::Trial;
use crate::units::show_nanos;

/// How far a quantile may be from what arithmetic says.
const TOLERANCE: Nanos = 5 * MILLI;
/// A process is suspended for this long.
const SUSPENSION: Nanos = 500 * MILLI;

fn scenario(load: &str, oracle: &str) -> String {
    format!(
        r#"
name = "stalls"
[workload.echo]
payload = "64B"
[load]
sessions = 50
{load}
connect_rate = "5k/s"
warmup = "1s"
trials = 1
[transports.websocket]
{oracle}"#
    )
}

/// As long as the scenarios say.
const WINDOW: Nanos = 4 * SECOND;
const OPEN: &str = "rate = \"500/s\"\narrival = \"constant\"\nduration = \"4s\"\ndrain = \"2s\"";
const CLOSED: &str = "arrival = \"closed\"\nthink = \"10ms\"\nduration = \"4s\"\ndrain = \"2s\"";
const STALL: &str = "[target.embedded.oracle]\nstall = \"200ms/1s\"";

pub fn check(stand: &mut Stand) -> Result<Checks, StandError> {
    let mut checks = Checks::new("stalls");
    target_stalls(stand, &mut checks)?;
    closed_hides_it(stand, &mut checks)?;
    target_is_suspended(stand, &mut checks)?;
    generator_is_suspended(stand, &mut checks)?;
    Ok(checks)
}

fn quantile(trial: &Trial, metric: Metric, q: f64) -> Nanos {
    trial.outcome.histograms.get(metric).map_or(0, |histogram| histogram.at(q))
}

/// The first stall comes a second after the target's start: from then on every second has one, wherever it begins.
/// Of what is due in every second, a fifth waits for up to 200 ms: p90 waits half of that.
fn target_stalls(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let document = stand.run(&scenario(OPEN, STALL))?;
    let trial = trial(&document, "websocket")?;
    for (name, q, expected) in [("p90", 0.9, 100), ("p95", 0.95, 150), ("p99", 0.99, 190)] {
        let what = format!("target frozen 200 ms of every second, open arrival: response {name}");
        let measured = Some(quantile(trial, Metric::ResponseTime, q));
        checks.time(&what, expected * MILLI, measured, TOLERANCE, TOLERANCE);
    }
    validity(checks, "the target's stall is not the generator's fault", trial, true);
    Ok(())
}

fn closed_hides_it(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let document = stand.run(&scenario(CLOSED, STALL))?;
    let trial = trial(&document, "websocket")?;
    let what = "the same with closed arrival hides it: response p95";
    checks.at_most(what, 20 * MILLI, quantile(trial, Metric::ResponseTime, 0.95));
    let max = trial.outcome.histograms.get(Metric::ResponseTime).map_or(0, |response| response.max());
    checks.at_least("… although it was there: the slowest response", 150 * MILLI, max);
    let arrival = document.cells.first().map_or(String::new(), |cell| cell.load.arrival.clone());
    checks.holds("… and its figures are labelled", "closed", arrival.clone(), arrival == "closed");
    Ok(())
}

/// Of all that is due in the window, what is due while someone stands still waits for the rest of that: the quantile is as
/// long as the suspension less its share of the window.
fn p99_of(suspended: &Suspended) -> Nanos {
    suspended.length.saturating_sub(WINDOW / 100)
}

fn target_is_suspended(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let (document, suspended) = suspend_during(stand, &scenario(OPEN, ""), "target", SUSPENSION)?;
    let trial = trial(&document, "websocket")?;
    let what = format!("target suspended for {}, open arrival: response", show_nanos(suspended.length as f64));
    let p99 = Some(quantile(trial, Metric::ResponseTime, 0.99));
    checks.time(&format!("{what} p99"), p99_of(&suspended), p99, TOLERANCE, TOLERANCE);
    let slowest = quantile(trial, Metric::ResponseTime, 1.0);
    checks.at_least(&format!("{what}, slowest"), suspended.length - 10 * MILLI, slowest);
    validity(checks, "… and the trial is valid", trial, true);
    Ok(())
}

fn generator_is_suspended(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let (document, suspended) = suspend_during(stand, &scenario(OPEN, ""), "worker", SUSPENSION)?;
    let trial = trial(&document, "websocket")?;
    let what = format!("generator suspended for {}:", show_nanos(suspended.length as f64));
    for (name, metric) in [("send lateness", Metric::SendLateness), ("response", Metric::ResponseTime)] {
        let p99 = Some(quantile(trial, metric, 0.99));
        checks.time(&format!("{what} {name} p99"), p99_of(&suspended), p99, TOLERANCE, TOLERANCE);
    }
    let service = quantile(trial, Metric::ServiceTime, 0.99);
    checks.at_most(&format!("{what} service time doesn't show it, p99"), 50 * MILLI, service);
    let stood = trial.outcome.standstill;
    checks.time(&format!("{what} standstill"), suspended.length, Some(stood), TOLERANCE, 4 * TOLERANCE);
    validity(checks, "… and the trial is INVALID", trial, false);
    Ok(())
}

fn validity(checks: &mut Checks, what: &str, trial: &Trial, expected: bool) {
    let word = |valid: bool| if valid { "valid" } else { "INVALID" };
    let is_valid = trial.invalid.is_empty();
    let reasons: Vec<&str> = trial.invalid.iter().map(|finding| finding.code.as_str()).collect();
    let measured = if is_valid { word(true).to_owned() } else { format!("{}: {}", word(false), reasons.join(", ")) };
    checks.holds(what, word(expected), measured, is_valid == expected);
}
