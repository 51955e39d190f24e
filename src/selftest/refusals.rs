//! Who was turned away, and how; and what a target sends that is no message.

use super::check::Checks;
use super::stand::{Stand, StandError, trial};
use crate::measure::Truth;
use crate::result::Trial;

fn scenario(oracle: &str) -> String {
    format!(
        r#"
name = "refusals"
[workload.echo]
payload = "64B"
[load]
sessions = 60
rate = "500/s"
arrival = "constant"
connect_rate = "1k/s"
warmup = "0s"
duration = "600ms"
drain = "500ms"
trials = 1
[transports.websocket]
[target.embedded.oracle]
{oracle}
"#
    )
}

pub fn check(stand: &mut Stand) -> Result<Checks, StandError> {
    let mut checks = Checks::new("refusals");
    connections(stand, &mut checks)?;
    for (answer, class) in [("429", "upgrade-status-429"), ("503", "upgrade-status-503"), ("bad-accept", "bad-accept")]
    {
        upgrades(stand, &mut checks, answer, class)?;
    }
    extra_frames(stand, &mut checks)?;
    closes_first(stand, &mut checks)?;
    Ok(checks)
}

fn errors(trial: &Trial, class: &str) -> u64 {
    trial.outcome.errors.get(class).copied().unwrap_or(0)
}

fn truth(trial: &Trial) -> Truth {
    trial.target.as_ref().and_then(|target| target.truth.clone()).unwrap_or_default()
}

fn connections(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let document = stand.run(&scenario("refuse = 10\nreset = 15"))?;
    let trial = trial(&document, "websocket")?;
    let truth = truth(trial);
    // Of 60, every 10th is refused, and of the others every 15th is reset.
    checks.exact("every 10th of 60 connections hung up on: truncated", 6, errors(trial, "truncated"));
    checks.exact("… as the target counted", truth.connections_refused, errors(trial, "truncated"));
    checks.exact("every 15th of the others reset: reset", 2, errors(trial, "reset"));
    checks.exact("… as the target counted", truth.connections_reset, errors(trial, "reset"));
    checks.exact("sessions connected", 52, trial.outcome.sessions.connected);
    Ok(())
}

fn upgrades(stand: &mut Stand, checks: &mut Checks, answer: &str, class: &str) -> Result<(), StandError> {
    let document = stand.run(&scenario(&format!("upgrade = 4\nbad_upgrade = \"{answer}\"")))?;
    let trial = trial(&document, "websocket")?;
    checks.exact(&format!("every 4th of 60 upgrades answered {answer}: {class}"), 15, errors(trial, class));
    checks.exact("… as the target counted", truth(trial).upgrades_refused, errors(trial, class));
    Ok(())
}

/// Pings are answered, and neither they nor pongs that nobody asked for are messages.
fn extra_frames(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let document = stand.run(&scenario("pings = \"20ms\"\npongs = \"20ms\""))?;
    let trial = trial(&document, "websocket")?;
    let (truth, seen) = (truth(trial), trial.outcome.measure);
    let sent = format!("{} pings and {} unasked pongs", truth.pings, truth.pongs);
    checks.exact(&format!("{sent} among the messages: delivered"), seen.scheduled, seen.delivered);
    let extra = seen.duplicate + seen.unmatched + seen.foreign + trial.outcome.errors.values().sum::<u64>();
    checks.exact("… duplicate, unmatched, errors", 0, extra);
    checks.holds("… and they were sent", "> 0", sent, truth.pings.min(truth.pongs) > 0);
    Ok(())
}

fn closes_first(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let document = stand.run(&scenario("close_after = \"300ms\"\nclose_code = 1012"))?;
    let trial = trial(&document, "websocket")?;
    let closed = errors(trial, "closed-by-target-1012");
    checks.exact("the target closes every session first, with 1012: closed-by-target-1012", 60, closed);
    checks.exact("… as the target counted", truth(trial).closed, closed);
    Ok(())
}
