//! Every reply held for a time drawn from a known distribution; the target says how long it really held each.

use super::check::{Checks, Longer};
use super::floor;
use super::stand::{Stand, StandError, trial};
use crate::clock::{MILLI, Nanos};
use crate::measure::Metric;
use crate::result::Trial;

const DISTRIBUTIONS: [&str; 6] = [
    "constant(20ms)",
    "uniform(10ms, 30ms)",
    "exponential(20ms)",
    "lognormal(20ms, 0.5)",
    "bimodal(5ms, 50ms, 15%)",
    "pareto(5ms, 2.5)",
];

/// Two histograms of three digits each are compared.
const PRECISION: f64 = 0.002;
/// What a transit may cost on any machine beside other programs, up to p90 and at p99: where virtual machines lose their core
/// for 3 to 4 ms twice a second or so, that is about what a hundredth of all messages meets.
const LEAST_FLOOR: [Nanos; 2] = [MILLI / 2, 5 * MILLI];

fn scenario(distribution: &str, arms: &str) -> String {
    format!(
        r#"
name = "delays"
[workload.echo]
payload = "64B"
[load]
sessions = 50
rate = "1k/s"
arrival = "constant"
connect_rate = "5k/s"
warmup = "0s"
duration = "3s"
drain = "12s"
trials = 1
[target.embedded.oracle]
reply_delay = "{distribution}"
{arms}"#
    )
}

pub fn check(stand: &mut Stand) -> Result<Checks, StandError> {
    let mut checks = Checks::new("delays");
    for distribution in DISTRIBUTIONS {
        let document = stand.run(&scenario(distribution, "[transports.websocket]"))?;
        let what = format!("{distribution} over websocket");
        compare(&mut checks, &what, trial(&document, "websocket")?, stand.floor("websocket"));
    }
    let document = stand.run(&scenario("lognormal(20ms, 0.5)", floor::ARMS))?;
    for name in floor::NAMES.into_iter().filter(|name| *name != "websocket") {
        let what = format!("lognormal(20ms, 0.5) over {name}");
        compare(&mut checks, &what, trial(&document, name)?, stand.floor(name));
    }
    Ok(checks)
}

/// A response takes as long as its message was held, and what the machine adds: never less, and little more.
fn compare(checks: &mut Checks, what: &str, trial: &Trial, floor: Nanos) {
    let truth = trial.target.as_ref().and_then(|target| target.truth.as_ref());
    let at = |q: f64, least: Nanos| {
        let held = truth.map_or(0, |truth| truth.held.at(q));
        let response = trial.outcome.histograms.get(Metric::ResponseTime).map_or(0, |response| response.at(q));
        Longer { expected: held, measured: response, by: floor.max(least) }
    };
    let [body, tail] = LEAST_FLOOR;
    checks.longer(&format!("{what}: p50, p90, p99"), PRECISION, &[at(0.5, body), at(0.9, body), at(0.99, tail)]);
    let held = truth.map_or(0, |truth| truth.held.count());
    checks.exact("… messages held and delivered", held, trial.outcome.measure.delivered);
}
