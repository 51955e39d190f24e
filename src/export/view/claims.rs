//! The claims in words.

use crate::compare::{Claim, Effect, Spread, Unit, Verdict};
use crate::units::three_digits;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct ClaimView {
    pub claim: &'static str,
    pub metric: &'static str,
    pub effects: Vec<String>,
    pub prediction: String,
    pub against: Vec<String>,
    pub verdict: String,
    /// For the page: `supported`, `not-supported`, `conditional`, `not-measured`.
    pub class: String,
}

pub(super) fn claim_view(claim: &Claim) -> ClaimView {
    ClaimView {
        claim: claim.claim,
        metric: claim.metric,
        effects: claim.effects.iter().map(effect).collect(),
        prediction: claim.prediction.clone().unwrap_or_default(),
        against: claim.against.clone(),
        verdict: match claim.verdict {
            Verdict::NotMeasured(scenario) => format!("not measured in this run; see {scenario}"),
            verdict => verdict.name().to_owned(),
        },
        class: claim.verdict.name().replace(' ', "-"),
    }
}

fn effect(effect: &Effect) -> String {
    let show = |value: f64| match effect.unit {
        Unit::Times => format!("{}×", three_digits(value)),
        Unit::Bytes => format!("{} B", three_digits(value)),
        Unit::Count => three_digits(value),
    };
    let Spread { median, low, high, coverage, trials } = effect.spread;
    if trials == 1 {
        return format!("{}: {} (one trial)", effect.what, show(median));
    }
    format!(
        "{}: {} [{}, {}] ({:.0} % of {trials} trials)",
        effect.what,
        show(median),
        show(low),
        show(high),
        coverage * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trial_has_no_interval() {
        let shown = |values: &[f64]| {
            let spread = Spread::of(values.iter().copied()).unwrap();
            effect(&Effect { what: "framing".into(), unit: Unit::Bytes, spread })
        };
        assert_eq!(shown(&[4.8]), "framing: 4.80 B (one trial)");
        assert_eq!(shown(&[4.0, 5.0]), "framing: 4.50 B [4.00 B, 5.00 B] (50 % of 2 trials)");
    }
}
