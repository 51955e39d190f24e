//! What a WebSocket's handshake costs, and when that is made up for.

use super::{Effect, Judged, Sides, Spread, TIE, Unit, Verdict, framing, over, value_of};
use crate::measure::{BEYOND_TRIAL, Metric};
use crate::result::Trial;
use crate::units::three_digits;

/// Bytes of the handshake, the messages that repay it, and the time to a first message.
pub fn paid_once(sides: &Sides) -> Option<Judged> {
    let first = |t: &Trial| Some(t.outcome.histograms.get(Metric::FirstMessage)?.quantile(0.5, BEYOND_TRIAL)? as f64);
    let cost = value_of(sides.websocket, "bytes of the handshake per client", Unit::Bytes, handshake_bytes);
    let repaid = repaid_after(sides);
    // Elsewhere the first message comes by chance, whenever someone publishes.
    let is_connect = sides.websocket.workload == "connect";
    let first_ratio = sides.ratio("median time to first message", first).filter(|_| is_connect);
    let mut against = Vec::new();
    if let Some(ratio) = first_ratio.as_ref().filter(|e| !e.spread.is_above(1.0 + TIE)) {
        against.push(format!(
            "WebSocket does not win the time to first message: {} takes {}× as long",
            sides.polling.arm,
            three_digits(ratio.spread.median)
        ));
    }
    let (verdict, after) = match repaid {
        _ if cost.is_none() && first_ratio.is_none() => return None,
        Some(Repaid::After(spread)) => (Verdict::Supported, Some(spread)),
        Some(Repaid::Never) => (Verdict::NotSupported, None),
        None => (Verdict::Conditional, None),
    };
    if repaid == Some(Repaid::Never) {
        against.push(format!("it is never repaid: {} needs no more bytes per message", sides.polling.arm));
    }
    let after = after.map(|spread| Effect {
        what: format!("{}, messages until its handshake is repaid", sides.websocket.arm),
        unit: Unit::Count,
        spread,
    });
    Some(Judged {
        effects: vec![cost, after, first_ratio],
        prediction: Some(if Sides::speaks_tls(sides.websocket) {
            "three round trips to a joined WebSocket (TCP, TLS 1.3, upgrade), as to a first poll over TLS".to_owned()
        } else {
            "two round trips to a joined WebSocket (TCP, upgrade), as to a first poll".to_owned()
        }),
        against,
        verdict,
    })
}

fn handshake_bytes(trial: &Trial) -> Option<f64> {
    over(trial.outcome.traffic.handshake, trial.outcome.sessions.connected)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Repaid {
    After(Spread),
    Never,
}

/// What WebSocket's handshake cost beyond polling's own, in messages whose smaller framing makes up for it.
/// `None`: nothing was delivered to be repaid by. `Never`: in some trial polling's framing was no larger.
fn repaid_after(sides: &Sides) -> Option<Repaid> {
    let others = sides.polling.trusted();
    let mut counts = Vec::new();
    for trial in sides.websocket.trusted() {
        let Some(other) = others.iter().find(|o| o.block == trial.block) else { continue };
        let (Some(mine), Some(theirs)) = (framing(trial), framing(other)) else { continue };
        if theirs <= mine {
            return Some(Repaid::Never);
        }
        let (Some(paid), Some(saved_anyway)) = (handshake_bytes(trial), handshake_bytes(other)) else { continue };
        counts.push((paid - saved_anyway).max(0.0) / (theirs - mine));
    }
    Spread::of(counts).map(Repaid::After)
}
