//! How long a message takes, and why.

use super::{Effect, Judged, Sides, TIE, Unit, Verdict, ratio_of, ties, value_of};
use crate::compare::{Unmodelled, predict};
use crate::result::{Cell, Trial};
use crate::units::{show_nanos, three_digits};

/// Time from event to receipt. In chat each copy is a push, after one more transit on every transport; an echo answers,
/// and connect opens.
pub fn push(sides: &Sides) -> Option<Judged> {
    if !matches!(sides.websocket.workload.as_str(), "push" | "chat") {
        return None;
    }
    let (p50, p99) = (sides.ratio("p50", at(0.5)), sides.ratio("p99", at(0.99)));
    let verdict = slower(&p50, &p99)?;
    let sse = |name: &str, q| sides.sse.and_then(|sse| ratio_of(sse, sides.websocket, name, at(q))).filter(ties);
    let mut against: Vec<String> = [("p50", 0.5), ("p99", 0.99)]
        .iter()
        .filter_map(|(name, q)| {
            let times = three_digits(sse(name, *q)?.spread.median);
            Some(format!("SSE, which is HTTP, ties WebSocket: its {name} is {times}× as long"))
        })
        .collect();
    if let Some(tie) = p50.as_ref().filter(|e| ties(e)) {
        against.push(format!("at the median polling ties: {}×", three_digits(tie.spread.median)));
    }
    Some(Judged { prediction: predicted_means(sides), effects: vec![p50, p99], against, verdict })
}

/// Response time ÷ one transit. One rate alone can't support a claim about what polling is made for.
pub fn real_time(sides: &Sides) -> Option<Judged> {
    if sides.polling.load.delay == 0 {
        return None;
    }
    let verdict = slower(&sides.ratio("p50", at(0.5)), &sides.ratio("p99", at(0.99)))?;
    let effect = |cell: &Cell, name: &str, q: f64| {
        let transit = cell.load.delay.max(1) as f64;
        value_of(cell, &format!("{name} ÷ one transit"), Unit::Times, |t| at(q)(t).map(|v| v / transit))
    };
    let both = |cell: &Cell| [effect(cell, "p50", 0.5), effect(cell, "p99", 0.99)];
    let rates = distinct_rates(sides);
    let mut against = Vec::new();
    if rates < 2 {
        against.push("one rate was measured; the share of messages that miss a poll depends on it".to_owned());
    }
    if sides.polling.transport == "long-polling" {
        against.push("traffic that is periodic and slower than the round trip always finds the poll open".to_owned());
    }
    Some(Judged {
        effects: both(sides.websocket).into_iter().chain(both(sides.polling)).collect(),
        prediction: predicted_over_rates(sides.polling),
        against,
        verdict: if verdict == Verdict::Supported && rates < 2 { Verdict::Conditional } else { verdict },
    })
}

fn at(q: f64) -> impl Fn(&Trial) -> Option<f64> {
    move |trial| trial.response_time(q).map(|v| v as f64)
}

/// The verdict on “polling takes longer”: at the median and in the tail, in one of the two, or in neither.
fn slower(p50: &Option<Effect>, p99: &Option<Effect>) -> Option<Verdict> {
    let is_slower = |effect: &Effect| effect.spread.is_above(1.0 + TIE);
    let both: Vec<&Effect> = [p50, p99].into_iter().flatten().collect();
    Some(match both.iter().filter(|e| is_slower(e)).count() {
        _ if both.is_empty() => return None,
        0 => Verdict::NotSupported,
        2 => Verdict::Supported,
        _ => Verdict::Conditional,
    })
}

fn predicted_means(sides: &Sides) -> Option<String> {
    let told = |cell: &Cell| match predict(cell) {
        Ok(prediction) => Some(format!("{} mean {}", cell.arm, show_nanos(prediction.mean()))),
        Err(Unmodelled::NoDelay) => None,
        Err(reason) => Some(format!("{}: {reason}", cell.arm)),
    };
    Some([told(sides.websocket)?, told(sides.polling)?].join("; "))
}

fn distinct_rates(sides: &Sides) -> usize {
    let polling = sides.document.cells.iter().filter(|c| c.transport == sides.polling.transport);
    let mut rates: Vec<u64> = polling.map(|c| c.load.rate.to_bits()).collect();
    rates.sort_unstable();
    rates.dedup();
    rates.len()
}

/// The predicted mean ÷ one transit at a tenth, once and ten times the rate.
fn predicted_over_rates(cell: &Cell) -> Option<String> {
    let told: Vec<String> = [0.1, 1.0, 10.0]
        .iter()
        .map(|factor| {
            let mut cell = Cell { trials: Vec::new(), ..cell.clone() };
            cell.load.rate *= factor;
            let times = match predict(&cell) {
                Ok(prediction) => format!("{}×", three_digits(prediction.mean() / cell.load.delay as f64)),
                Err(Unmodelled::Diverges) => "without end".to_owned(),
                Err(_) => return None,
            };
            Some(format!("{times} at {} /s", three_digits(cell.load.rate)))
        })
        .collect::<Option<_>>()?;
    Some(format!("{} mean: {}", cell.arm, told.join(", ")))
}
