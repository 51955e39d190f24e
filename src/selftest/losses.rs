//! What never came, came twice, or came out of turn; the target says which it was.

use super::check::Checks;
use super::stand::{Stand, StandError, trial};
use crate::catalog::Oracle;
use crate::target::{self, Fate};

/// The list: each message's fate follows from its number.
const FAULTS: &str = "udp_drop = \"5%\"\nudp_duplicate = \"2%\"\nudp_swap = \"3%\"\nseed = 5\n";

const DATAGRAMS: &str = r#"
name = "losses"
[workload.echo]
payload = "64B"
[load]
sessions = 20
rate = "2k/s"
arrival = "constant"
warmup = "0s"
duration = "2s"
drain = "1s"
trials = 1
[transports.udp]
[target.embedded.oracle]
"#;

const ROOM: &str = r#"
name = "room"
[workload.chat]
rooms = 1
payload = "64B"
[load]
sessions = 1000
rate = "20/s"
arrival = "constant"
connect_rate = "5k/s"
warmup = "0s"
duration = "1s"
drain = "1s"
trials = 1
[transports.websocket]
[target.embedded.oracle]
drop_copy = 100
"#;

pub fn check(stand: &mut Stand) -> Result<Checks, StandError> {
    let mut checks = Checks::new("losses");
    datagrams(stand, &mut checks)?;
    room(stand, &mut checks)?;
    Ok(checks)
}

fn datagrams(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let document = stand.run(&format!("{DATAGRAMS}{FAULTS}"))?;
    let trial = trial(&document, "udp")?;
    let truth = trial.target.as_ref().and_then(|target| target.truth.clone()).unwrap_or_default();
    let seen = trial.outcome.measure;
    let of = format!("of {} datagrams", seen.expected);
    let oracle: Oracle = toml::from_str(FAULTS).map_err(|error| StandError::Scenario(error.to_string()))?;
    let listed = |fate| (0..seen.scheduled).filter(|id| target::fate(&oracle, *id, 0) == fate).count() as u64;
    checks.exact(&format!("udp, 5 % {of} on the list to be dropped: lost"), listed(Fate::Drop), seen.lost);
    checks.exact(
        &format!("udp, 2 % {of} on the list to be doubled: duplicate"),
        listed(Fate::Duplicate),
        seen.duplicate,
    );
    checks.exact(
        "… as the target counted: dropped, doubled",
        pair(truth.udp_dropped, truth.udp_duplicated),
        pair(seen.lost, seen.duplicate),
    );
    checks.exact(
        &format!("udp, 3 % {of} swapped, as the target counted: reordered"),
        truth.udp_swapped,
        seen.reordered,
    );
    checks.exact("udp: delivered", seen.expected - truth.udp_dropped, seen.delivered);
    checks.exact("udp: late, unfinished, unmatched", 0, seen.late + seen.unfinished + seen.unmatched + seen.foreign);
    let some = truth.udp_dropped.min(truth.udp_duplicated).min(truth.udp_swapped);
    checks.holds("udp: the target did each of them", "> 0", some.to_string(), some > 0);
    Ok(())
}

fn pair(a: u64, b: u64) -> String {
    format!("{a}, {b}")
}

fn room(stand: &mut Stand, checks: &mut Checks) -> Result<(), StandError> {
    let document = stand.run(ROOM)?;
    let trial = trial(&document, "websocket")?;
    let seen = trial.outcome.measure;
    let dropped = trial.target.as_ref().and_then(|target| target.truth.as_ref()).map_or(0, |t| t.copies_dropped);
    let reach = (seen.delivered + seen.late) as f64 / seen.expected.max(1) as f64;
    checks.exact("room of 1,000, every 100th copy dropped: reach", "0.99".to_owned(), reach.to_string());
    checks.exact("room of 1,000: missing copies", dropped, seen.lost + seen.unfinished);
    Ok(())
}
