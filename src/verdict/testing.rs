//! Runs made by hand: one arm over WebSocket, whose trials take as long as a test says.

use crate::clock::MILLI;
use crate::measure::{Counters, Histograms, Metric, Volume};
use crate::result::{Document, Trial, testing};
use crate::seed::mix;
use std::sync::OnceLock;

/// Messages of a trial.
pub const MESSAGES: u64 = 1_500;

/// A run whose trials' latencies and CPU are these multiples of 20 ms and of a second.
pub fn run_of(factors: &[f64]) -> Document {
    static BARE: OnceLock<Document> = OnceLock::new();
    let mut document = BARE.get_or_init(bare).clone();
    let template = document.cells[0].trials.remove(0);
    let trial = |(block, factor): (usize, &f64)| {
        let mut trial = Trial { block: block as u32, ..template.clone() };
        set_latency(&mut trial, *factor);
        trial.target.as_mut().expect("it has one").usage.cpu_nanos = (1e9 * factor) as u64;
        trial
    };
    document.cells[0].trials = factors.iter().enumerate().map(trial).collect();
    document
}

/// Response times around `factor` × 20 ms.
pub fn set_latency(trial: &mut Trial, factor: f64) {
    let mut histograms = Histograms::default();
    for n in 0..MESSAGES {
        let spread = 1.0 + (mix(1, n) % 1000) as f64 / 4000.0;
        histograms.record(Metric::ResponseTime, (20.0 * MILLI as f64 * factor * spread) as u64);
    }
    trial.outcome.histograms = histograms;
}

/// So many of the messages never came.
pub fn lose(trial: &mut Trial, missing: u64) {
    let mut kept = Histograms::default();
    let all = trial.outcome.histograms.get(Metric::ResponseTime).cloned().unwrap_or_default();
    let mut left = MESSAGES - missing;
    let mut below = 0;
    for (value, up_to) in all.steps() {
        (0..(up_to - below).min(left)).for_each(|_| kept.record(Metric::ResponseTime, value));
        left = left.saturating_sub(up_to - below);
        below = up_to;
    }
    trial.outcome.histograms = kept;
    let measure = &mut trial.outcome.measure;
    (measure.delivered, measure.unfinished) = (MESSAGES - missing, missing);
}

/// Noise as of real trials, about `share` of the value, the same for the same seed.
pub fn noisy(n: usize, share: f64, seed: u64) -> Vec<f64> {
    let uniform = |k: u64| (mix(seed, k) >> 11) as f64 / (1u64 << 53) as f64;
    // Sum of twelve uniform numbers: close to normal, with a deviation of 1.
    let normal = |i: u64| (0..12).map(|k| uniform(12 * i + k)).sum::<f64>() - 6.0;
    (0..n as u64).map(|i| (share * normal(i)).exp()).collect()
}

fn bare() -> Document {
    let mut document = testing::of("echo", 0);
    document.cells.truncate(1);
    let cell = &mut document.cells[0];
    cell.trials.truncate(1);
    cell.load.rate = MESSAGES as f64;
    let trial = &mut cell.trials[0];
    trial.outcome.intervals.clear();
    let all = Counters { scheduled: MESSAGES, sent: MESSAGES, expected: MESSAGES, ..Counters::default() };
    trial.outcome.measure = Counters { delivered: MESSAGES, ..all };
    trial.outcome.warmup = Counters::default();
    trial.outcome.traffic.sent = Volume { messages: MESSAGES, framing: 8 * MESSAGES, ..Volume::default() };
    trial.outcome.traffic.received = Volume { messages: MESSAGES, framing: 4 * MESSAGES, ..Volume::default() };
    document.plan = serde_json::json!({
        "name": "echo", "seed": 7, "trials": 10,
        "cells": [{
            "arm": "websocket", "target": "embedded",
            "transport": {"websocket": {"engine": "native", "ping_every": null}},
            "workload": {"echo": {"payload": {"sizes": {"fixed": "128B"}}}},
            "load": {
                "sessions": 200, "workers": null,
                "schedule": {"seed": 7, "stages": [{"from": "500/s", "to": "500/s"}]}
            }
        }],
        "embedded": {"engine": "native", "hold": "25s", "oracle": {"seed": 7, "reply_delay": null}},
        "output": {"charts": true}
    });
    document
}
