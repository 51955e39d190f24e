//! What a message costs in bytes and connections.

use super::{Judged, Sides, TIE, Unit, Verdict, framing, over, per_message, ratio_of, ties, value_of};
use crate::result::{Cell, Trial};
use crate::units::three_digits;

/// Framing alone, and what is left of the difference on the wire.
pub fn headers(sides: &Sides) -> Option<Judged> {
    let framing_ratio = sides.ratio("framing bytes per message", framing)?;
    let wire_ratio = sides.ratio("bytes on the wire per message", wire);
    let mut against = Vec::new();
    if let Some(wire) = wire_ratio.as_ref().filter(|w| framing_ratio.spread.median > 2.0 * w.spread.median) {
        against.push(format!(
            "on the wire the difference is {}×, not {}×: payload and TCP/IP headers cost every transport the same",
            three_digits(wire.spread.median),
            three_digits(framing_ratio.spread.median)
        ));
    }
    if let Some(tie) = sides.sse.and_then(|sse| ratio_of(sse, sides.websocket, "bytes on the wire per message", wire)) {
        against.extend(ties(&tie).then(|| "SSE needs as many bytes on the wire as WebSocket".to_owned()));
    }
    let verdict = match &wire_ratio {
        _ if !framing_ratio.spread.is_above(1.0) => Verdict::NotSupported,
        Some(wire) if wire.spread.is_above(1.0 + TIE) => Verdict::Supported,
        _ => Verdict::Conditional,
    };
    let each = |cell| value_of(cell, "framing bytes per message", Unit::Bytes, framing);
    Some(Judged {
        effects: vec![Some(framing_ratio), wire_ratio, each(sides.websocket), each(sides.polling)],
        prediction: websocket_framing(sides.websocket),
        against,
        verdict,
    })
}

fn wire(trial: &Trial) -> Option<f64> {
    let bytes = per_message(trial, |t| t.sent.wire.saturating_add(t.received.wire))?;
    trial.outcome.traffic.wire_complete().then_some(bytes)
}

/// What RFC 6455 §5.2 says that frames must have added, had each message been one frame and nothing else been sent.
fn websocket_framing(cell: &Cell) -> Option<String> {
    let header = |payload: u64| match payload {
        0..=125 => 2,
        126..=65_535 => 4,
        _ => 10,
    };
    // Another framing lies below, or payloads have other lengths on their way.
    if cell.settings.iter().any(|(key, _)| matches!(key.as_str(), "http" | "deflate")) {
        return None;
    }
    let (small, large) = (header(cell.load.payload.0), header(cell.load.payload.1));
    if small != large {
        return None;
    }
    let traffic = cell.traffic();
    let delivered = cell.trusted().iter().map(|t| t.delivered_in_all()).fold(0, u64::saturating_add);
    // The client masks: four bytes more.
    let bytes = (small + 4) as f64 * traffic.sent.messages as f64 + small as f64 * traffic.received.messages as f64;
    (delivered > 0).then(|| {
        format!(
            "{}: {} B of framing per delivered message by RFC 6455 ({small} B received, {} B sent)",
            cell.arm,
            three_digits(bytes / delivered as f64),
            small + 4
        )
    })
}

/// Connections per client and per message.
pub fn connections(sides: &Sides) -> Option<Judged> {
    let per_session = |t: &Trial| over(t.outcome.traffic.connections, t.outcome.sessions.connected);
    let per_thousand = |t: &Trial| per_message(t, |t| t.connections).map(|n| n * 1000.0);
    let each = |cell| value_of(cell, "connections per client", Unit::Count, per_session);
    let (websocket, polling) = (each(sides.websocket)?, each(sides.polling)?);
    let is_set = |key: &str, value: &str| sides.polling.settings.iter().any(|(k, v)| k == key && v == value);
    let (prediction, against) = if is_set("http", "2") {
        let limit = format!("by HTTP/2 {} has one as well: its requests are streams of it", sides.polling.arm);
        ("WebSocket 1; HTTP/2 1", vec![limit])
    } else if !is_set("keep-alive", "no") {
        let limit = format!(
            "with keep-alive {} opens {} per client and then no more, however many messages follow",
            sides.polling.arm,
            three_digits(polling.spread.median)
        );
        (
            "WebSocket 1; HTTP with keep-alive 2 where the client also publishes (one receives, one publishes)",
            vec![limit],
        )
    } else {
        ("WebSocket 1; HTTP without keep-alive one for each request", Vec::new())
    };
    let is_one = websocket.spread.median <= 1.0 + TIE;
    let is_more = polling.spread.is_above(websocket.spread.high + TIE);
    let thousand = |cell| value_of(cell, "connections per 1,000 messages", Unit::Count, per_thousand);
    Some(Judged {
        effects: vec![Some(websocket), Some(polling), thousand(sides.websocket), thousand(sides.polling)],
        prediction: Some(prediction.to_owned()),
        against,
        verdict: if is_one && is_more { Verdict::Supported } else { Verdict::NotSupported },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn the_prediction_of_framing_is_that_of_the_rfc() {
        let mut document = testing::document();
        let cell = &mut document.cells[0];
        cell.trials.truncate(1);
        let outcome = &mut cell.trials[0].outcome;
        (outcome.traffic.sent.messages, outcome.traffic.received.messages) = (10, 100);
        (outcome.warmup.delivered, outcome.measure.delivered) = (0, 100);
        cell.load.payload = (32, 125);
        assert!(websocket_framing(cell).unwrap().contains("2.60 B"));
        cell.load.payload = (126, 128);
        assert!(websocket_framing(cell).unwrap().contains("4.80 B"));
        cell.load.payload = (32, 128);
        assert_eq!(websocket_framing(cell), None);
        cell.load.payload = (32, 125);
        cell.settings.push(("http".to_owned(), "2".to_owned()));
        assert_eq!(websocket_framing(cell), None);
    }
}
