//! Comparisons for tests, made by arithmetic.

use crate::measure::Metric as Measured;
use crate::result::Document;
use crate::verdict::{Comparison, Design, Difference, Effect, Metric, Row, Rules, SCHEMA_VERSION, Side, Verdict};

const TRIALS: usize = 10;

/// Three arms of a chat in pairs: websocket slower, tcp with less CPU, sse undecided; framing the same.
pub fn comparison() -> Comparison {
    let rows = vec![
        row("websocket", Metric::P50, 21e6, 1.052, 0.011, Verdict::Regression),
        row("websocket", Metric::P99, 32e6, 1.118, 0.03, Verdict::Regression),
        row("websocket", Metric::DeliveredRate, 4000.0, 1.001, 0.004, Verdict::NoChange),
        framing("websocket"),
        row("tcp", Metric::P99, 31e6, 1.004, 0.012, Verdict::NoChange),
        row("tcp", Metric::CpuPerMessage, 23_000.0, 0.92, 0.02, Verdict::Improvement),
        row("sse", Metric::P99, 33e6, 1.024, 0.06, Verdict::Inconclusive),
    ];
    let side = |name: &str, revision: &str| Side {
        name: name.to_owned(),
        started: "2026-01-15T10:00:00Z".to_owned(),
        wsbench_version: "0.1.0".to_owned(),
        git_revision: Some(revision.to_owned()),
        trials: TRIALS,
        ..Side::default()
    };
    Comparison {
        schema_version: SCHEMA_VERSION,
        scenario: "chat".to_owned(),
        design: Design::Paired,
        base: side("main", "3efc5bb"),
        new: side("candidate", "98c3e37"),
        rules: Rules::default(),
        differences: Vec::new(),
        rows,
        left_out: vec!["chat/sse of candidate, block 3: INVALID (late-sends)".to_owned()],
        verdict: Verdict::Regression,
        look: None,
    }
}

/// A row whose trials lie around `base` and `base` × `ratio` by about the share `noise`.
pub fn row(arm: &str, metric: Metric, base: f64, ratio: f64, noise: f64, verdict: Verdict) -> Row {
    let wave = |n: usize, phase: f64| 1.0 + noise * (n as f64 * 2.4 + phase).sin();
    let (low, high) = (ratio * (1.0 - noise), ratio * (1.0 + noise));
    let is_worse = (ratio >= 1.0) == metric.is_worse_when_larger();
    let likely = if verdict == Verdict::Inconclusive { 0.31 } else { 0.001 };
    let (p_worse, p_better) = if is_worse { (likely, 1.0 - likely) } else { (1.0 - likely, likely) };
    let adjusted = |p: f64| Some((p * 4.0).min(1.0));
    Row {
        workload: "chat".to_owned(),
        arm: arm.to_owned(),
        metric,
        is_gated: true,
        base: (0..TRIALS).map(|n| base * wave(n, 0.0)).collect(),
        new: (0..TRIALS).map(|n| base * ratio * wave(n, 0.7)).collect(),
        effect: Some(Effect {
            ratio,
            ci95: (Some(low), Some(high)),
            ci90: (Some(low * 1.002), Some(high * 0.998)),
            p_worse,
            p_better,
            adjusted_p_worse: adjusted(p_worse),
            adjusted_p_better: adjusted(p_better),
            detectable: Some(0.062),
            trials_needed: Some(41),
        }),
        verdict,
        note: None,
    }
}

fn framing(arm: &str) -> Row {
    Row {
        base: vec![10.0; TRIALS],
        new: vec![10.0; TRIALS],
        is_gated: false,
        effect: None,
        note: Some("the same in every trial".to_owned()),
        ..row(arm, Metric::FramingPerMessage, 10.0, 1.0, 0.0, Verdict::NoChange)
    }
}

pub fn one_row() -> Comparison {
    let comparison = comparison();
    Comparison { rows: vec![comparison.rows[1].clone()], left_out: Vec::new(), ..comparison }
}

/// Rows of arms with long names, by every verdict in turn.
pub fn many_rows(rows: usize) -> Comparison {
    let verdicts = [Verdict::Regression, Verdict::Improvement, Verdict::NoChange, Verdict::Inconclusive];
    let ratios = [1.14, 0.9, 1.001, 1.02];
    let metrics = [Metric::P50, Metric::P99, Metric::DeliveredRate, Metric::CpuPerMessage];
    let arms = [
        "websocket",
        "websocket-tungstenite-compressed-and-long",
        "tcp",
        "udp",
        "sse",
        "long-polling",
        "http-streaming",
        "x",
    ];
    let one = |n: usize| {
        let base = [21e6, 43e6, 4000.0, 23_000.0][n % 4];
        let at = (n + n / 4) % 4;
        Row { is_gated: n % 5 != 4, ..row(arms[n / 4 % 8], metrics[n % 4], base, ratios[at], 0.03, verdicts[at]) }
    };
    let differences = vec![Difference { what: "kernel".into(), base: "6.12.0".into(), new: "6.13.1".into() }];
    Comparison { rows: (0..rows).map(one).collect(), differences, ..comparison() }
}

/// The new run lost messages, so that its p99 is infinite in some trials; another row's interval is open.
pub fn infinite() -> Comparison {
    let mut lossy = row("websocket", Metric::P99, 32e6, 1.0, 0.03, Verdict::Regression);
    lossy.new.iter_mut().step_by(2).for_each(|value| *value = f64::INFINITY);
    lossy.effect = None;
    lossy.note = Some("more than 1 % of the messages never came in 5 of 10 trials of candidate".to_owned());
    let mut endless = row("tcp", Metric::P99, 31e6, 1.0, 0.02, Verdict::Regression);
    endless.new.iter_mut().for_each(|value| *value = f64::INFINITY);
    endless.effect =
        endless.effect.map(|e| Effect { ratio: f64::INFINITY, ci95: (None, None), ci90: (None, None), ..e });
    let mut open = row("sse", Metric::P50, 21e6, 1.03, 0.03, Verdict::Inconclusive);
    open.base.truncate(3);
    open.new.truncate(3);
    open.effect = open.effect.map(|e| Effect { ci95: (None, None), trials_needed: None, ..e });
    Comparison { rows: vec![lossy, endless, open], ..comparison() }
}

/// A row many times as slow beside one that hardly moved.
pub fn far_apart() -> Comparison {
    let rows = vec![
        row("websocket", Metric::P50, 1e6, 30.0, 0.2, Verdict::Regression),
        row("tcp", Metric::P50, 1e6, 1.01, 0.01, Verdict::NoChange),
        row("udp", Metric::P50, 1e6, 0.3, 0.1, Verdict::Improvement),
    ];
    Comparison { rows, ..comparison() }
}

/// The same run with every response an eighth slower.
pub fn slower(document: &Document) -> Document {
    let mut document = document.clone();
    for trial in document.cells.iter_mut().flat_map(|cell| &mut cell.trials) {
        let fast = std::mem::take(&mut trial.outcome.histograms);
        let response = fast.get(Measured::ResponseTime).cloned().unwrap_or_default();
        let mut below = 0;
        for (value, up_to) in response.steps() {
            (below..up_to).for_each(|_| trial.outcome.histograms.record(Measured::ResponseTime, value * 9 / 8));
            below = up_to;
        }
    }
    document
}
