//! What an oracle may be asked for.

use crate::catalog::{Distribution, Oracle};
use crate::scenario::{At, Problem};
use crate::units::{Share, Span};

const MILLISECOND: Span = Span::from_millis(1);
const LONGEST_DELAY: Span = Span::from_millis(10_000);
const HOUR: Span = Span::from_millis(3_600_000);

/// What makes no sense in `oracle`: each with what to do about it.
pub fn flaws(oracle: &Oracle) -> Vec<(String, String)> {
    let mut flaws = Vec::new();
    let mut flaw = |found: bool, message: String, hint: &str| {
        if found {
            flaws.push((message, hint.to_owned()));
        }
    };
    let delays = [
        ("reply_delay", oracle.reply_delay.as_ref().map(largest)),
        ("copy_delay", oracle.copy_delay),
        ("stall", oracle.stall.map(|stall| stall.length)),
    ];
    for (key, delay) in delays.into_iter().filter_map(|(key, delay)| Some((key, delay?))) {
        let hint = format!("choose at most {LONGEST_DELAY} for `{key}`");
        flaw(delay > LONGEST_DELAY, format!("`{key}` of {delay} is longer than the target holds anything"), &hint);
    }
    let intervals = [
        ("stall", oracle.stall.map(|stall| stall.every)),
        ("pings", oracle.pings),
        ("pongs", oracle.pongs),
        ("close_after", oracle.close_after),
    ];
    for (key, interval) in intervals.into_iter().filter_map(|(key, interval)| Some((key, interval?))) {
        let hint = format!("choose between 1ms and an hour for `{key}`");
        let fits = (MILLISECOND..=HOUR).contains(&interval);
        flaw(!fits, format!("`{key}` of {interval} is no interval that the target can keep"), &hint);
    }
    let shares = [oracle.udp_drop, oracle.udp_duplicate, oracle.udp_swap];
    let sum: f64 = shares.into_iter().flatten().map(Share::part).sum();
    // A hair of tolerance: shares that are written as 100 % in all may add up to more.
    let message = format!("`udp_drop`, `udp_duplicate` and `udp_swap` are {} % in all", (sum * 1e6).round() / 1e4);
    flaw(sum > 1.0 + 1e-9, message, "a datagram has one fate: at most 100 % in all");
    let lonely = [
        (oracle.upgrade.is_some() && oracle.bad_upgrade.is_none(), "upgrade", "bad_upgrade", "\"503\""),
        (oracle.copy_delay.is_some() && oracle.delay_copy.is_none(), "copy_delay", "delay_copy", "100"),
        (oracle.close_code.is_some() && oracle.close_after.is_none(), "close_code", "close_after", "\"5s\""),
    ];
    for (found, key, other, example) in lonely {
        let hint = format!("add `{other} = {example}`, or leave `{key}` out");
        flaw(found, format!("`{key}` means nothing without `{other}`"), &hint);
    }
    if let Some(code) = oracle.close_code {
        let hint = "RFC 6455 §7.4 allows a server 1000–1003, 1007–1009, 1011–1013 and 3000–4999";
        flaw(!is_servers(code), format!("a server may not send close code {code}"), hint);
    }
    flaws
}

/// The same, at the place of the table.
pub(super) fn check(oracle: &At<Box<Oracle>>, problems: &mut Vec<Problem>) {
    let found = flaws(oracle).into_iter();
    problems.extend(found.map(|(message, hint)| Problem::at(oracle, message).hint(hint)));
}

/// The largest of the lengths that name a distribution.
fn largest(distribution: &Distribution) -> Span {
    match *distribution {
        Distribution::Constant(value)
        | Distribution::Exponential(value)
        | Distribution::Lognormal(value, _)
        | Distribution::Pareto(value, _) => value,
        Distribution::Uniform(a, b) | Distribution::Bimodal(a, b, _) => a.max(b),
    }
}

/// 1010 is the client's; 1012 and 1013 were registered under §11.7 since.
fn is_servers(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1009 | 1011..=1013 | 3000..=4999)
}
