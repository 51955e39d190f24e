//! How the figures of a comparison are said, in charts, tables and failures alike.

use crate::chart::draw::LONGEST;
use crate::chart::short::told_apart;
use crate::units::three_digits;
use crate::verdict::{AS_MULTIPLE, Comparison, Design, Effect, Metric, Row, Verdict};

/// A ratio as a change: `+11.8 %`, `−3.0 %`, and beyond eleven times as much `×12.3`.
pub fn change(ratio: f64) -> String {
    match ratio {
        r if r.is_nan() => "–".to_owned(),
        r if r.is_infinite() => "∞".to_owned(),
        r if r >= AS_MULTIPLE => format!("×{}", three_digits(r)),
        r if r >= 1.0 || (r - 1.0).abs() < 5e-4 => format!("+{:.1} %", (r - 1.0).abs() * 100.0),
        r => format!("−{:.1} %", (1.0 - r) * 100.0),
    }
}

/// The interval of an effect: `[+8.1 %, +15.6 %]`; a bound that so few trials can't give is `?`.
pub fn interval(bounds: (Option<f64>, Option<f64>)) -> String {
    let bound = |at: Option<f64>| at.map_or("?".to_owned(), change);
    format!("[{}, {}]", bound(bounds.0), bound(bounds.1))
}

/// The medians of both sides, such as `1.20 ms → 1.34 ms`.
pub fn values(row: &Row) -> String {
    if row.base.is_empty() || row.new.is_empty() { "no figures".to_owned() } else { row.values() }
}

/// A metric as people read it.
pub fn metric(metric: Metric) -> &'static str {
    match metric {
        Metric::P50 => "p50",
        Metric::P99 => "p99",
        Metric::DeliveredRate => "delivered rate",
        Metric::CpuPerMessage => "CPU a message",
        Metric::FramingPerMessage => "framing a message",
        Metric::FailedTrials => "failed trials",
    }
}

/// What legends call the two runs: their parts, and as much of their names as there is room for and tells them apart.
pub fn sides(comparison: &Comparison) -> [String; 2] {
    let parts = match comparison.design {
        Design::Paired => ["base", "candidate"],
        Design::Separate => ["base", "new"],
    };
    let room = LONGEST - parts.iter().map(|part| part.len()).max().unwrap_or(0) - ": ".len();
    let [base, new] = told_apart([&comparison.base.name, &comparison.new.name], room);
    [format!("{}: {base}", parts[0]), format!("{}: {new}", parts[1])]
}

/// The sign of a verdict, for those who see no colours.
pub fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regression => "✗",
        Verdict::Improvement => "◆",
        Verdict::NoChange => "=",
        Verdict::Inconclusive => "?",
    }
}

/// The middle of the trials' values; infinite ones are the largest. `None` for no values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (n > 0).then(|| (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0)
}

/// `chat/websocket`.
pub fn cell(row: &Row) -> String {
    format!("{}/{}", row.workload, row.arm)
}

/// The whole comparison in a sentence.
pub fn headline(comparison: &Comparison) -> String {
    let gated: Vec<&Row> = comparison.rows.iter().filter(|row| row.is_gated).collect();
    let found: Vec<&&Row> = gated.iter().filter(|row| row.verdict == comparison.verdict).collect();
    let most = found.iter().max_by(|a, b| distance(a).total_cmp(&distance(b)));
    let (found, gated) = (found.len(), gated.len());
    let most = most.map_or(String::new(), |row| {
        let by = row.effect.map_or(String::new(), |effect| format!(", {}", change(effect.ratio)));
        let which = if found == 1 { "" } else { ", most " };
        let colon = if found == 1 { ": " } else { "" };
        format!("{colon}{which}{} {}{by}", cell(row), metric(row.metric))
    });
    let figures = if gated == 1 { "gated figure" } else { "gated figures" };
    match (comparison.verdict, found) {
        _ if gated == 0 => "Nothing that was measured on both sides is gated".to_owned(),
        (Verdict::Regression, n) => format!("{n} of {gated} {figures} got worse{most}"),
        (Verdict::Improvement, n) => format!("{n} of {gated} {figures} got better{most}"),
        (Verdict::NoChange, _) => format!(
            "No gated figure changed by more than {} %",
            three_digits(comparison.rules.equivalence * 100.0).trim_end_matches('0').trim_end_matches('.')
        ),
        (Verdict::Inconclusive, n) => format!("{n} of {gated} {figures} could not be decided with so few trials"),
    }
}

/// How far a row moved, in either direction.
fn distance(row: &Row) -> f64 {
    row.effect.map_or(f64::INFINITY, |Effect { ratio, .. }| ratio.ln().abs())
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn changes_are_signed_and_have_their_unit() {
        let said: Vec<String> = [1.118, 0.97, 1.0, 0.9999, 15.0, f64::INFINITY, 0.0].into_iter().map(change).collect();
        assert_eq!(said, ["+11.8 %", "−3.0 %", "+0.0 %", "+0.0 %", "×15.0", "∞", "−100.0 %"]);
        assert_eq!(interval((Some(1.081), None)), "[+8.1 %, ?]");
    }

    #[test]
    fn two_long_commands_are_told_apart_in_a_legend() {
        let mut comparison = testing::comparison();
        assert_eq!(sides(&comparison), ["base: main", "candidate: candidate"]);
        let command = |build: &str| format!("./target/release/server-of-ours {build} --port {{port}} --threads 4");
        (comparison.base.name, comparison.new.name) = (command("--old"), command("--new"));
        let [base, new] = sides(&comparison);
        assert!(base.contains("--old") && new.contains("--new"), "{base} | {new}");
        assert!(base.chars().count() <= LONGEST && new.chars().count() <= LONGEST);
        comparison.design = Design::Separate;
        assert!(sides(&comparison)[1].starts_with("new: "));
    }

    #[test]
    fn the_headline_names_what_moved_most() {
        let mut comparison = testing::comparison();
        assert_eq!(headline(&comparison), "2 of 6 gated figures got worse, most chat/websocket p99, +11.8 %");
        comparison.verdict = Verdict::NoChange;
        assert_eq!(headline(&comparison), "No gated figure changed by more than 5 %");
        comparison.rows.clear();
        assert_eq!(headline(&comparison), "Nothing that was measured on both sides is gated");
        assert_eq!(headline(&testing::one_row()), "1 of 1 gated figure got worse: chat/websocket p99, +11.8 %");
    }
}
