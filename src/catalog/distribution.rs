//! Named distributions of a length of time.

use crate::units::{Share, Span, UnitError, text_serde};
use std::fmt;
use std::str::FromStr;

/// A distribution, as `name(parameters)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    Constant(Span),
    /// Least, most.
    Uniform(Span, Span),
    /// Mean.
    Exponential(Span),
    /// Median, and the standard deviation of the logarithm.
    Lognormal(Span, f64),
    /// The usual value, the slow one, and the share of the slow.
    Bimodal(Span, Span, Share),
    /// The least value, and alpha.
    Pareto(Span, f64),
}

impl FromStr for Distribution {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Distribution, UnitError> {
        parse(text).ok_or_else(|| {
            UnitError::new(
                text,
                "distribution",
                "constant(20ms), uniform(10ms, 30ms), exponential(20ms), lognormal(20ms, 0.5), \
                 bimodal(5ms, 50ms, 10%) or pareto(5ms, 2.5)",
            )
        })
    }
}

fn parse(text: &str) -> Option<Distribution> {
    let (name, rest) = text.trim().split_once('(')?;
    let arguments: Vec<&str> = rest.strip_suffix(')')?.split(',').map(str::trim).collect();
    let span = |text: &str| text.parse::<Span>().ok();
    let shape = |text: &str| text.parse::<f64>().ok().filter(|shape| shape.is_finite() && *shape > 0.0);
    match (name.trim(), arguments.as_slice()) {
        ("constant", [value]) => Some(Distribution::Constant(span(value)?)),
        ("uniform", [least, most]) => {
            let (least, most) = (span(least)?, span(most)?);
            (least <= most).then_some(Distribution::Uniform(least, most))
        }
        ("exponential", [mean]) => Some(Distribution::Exponential(span(mean)?)),
        ("lognormal", [median, sigma]) => Some(Distribution::Lognormal(span(median)?, shape(sigma)?)),
        ("bimodal", [usual, slow, share]) => {
            Some(Distribution::Bimodal(span(usual)?, span(slow)?, share.parse().ok()?))
        }
        ("pareto", [least, alpha]) => Some(Distribution::Pareto(span(least)?, shape(alpha)?)),
        _ => None,
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Distribution::Constant(value) => write!(f, "constant({value})"),
            Distribution::Uniform(least, most) => write!(f, "uniform({least}, {most})"),
            Distribution::Exponential(mean) => write!(f, "exponential({mean})"),
            Distribution::Lognormal(median, sigma) => write!(f, "lognormal({median}, {sigma})"),
            Distribution::Bimodal(usual, slow, share) => write!(f, "bimodal({usual}, {slow}, {share})"),
            Distribution::Pareto(least, alpha) => write!(f, "pareto({least}, {alpha})"),
        }
    }
}

text_serde! {
    Distribution: "distribution", "lognormal(20ms, 0.5)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        let all = [
            "constant(20ms)",
            "uniform(10ms, 30ms)",
            "exponential(20ms)",
            "lognormal(20ms, 0.5)",
            "bimodal(5ms, 50ms, 10%)",
            "pareto(5ms, 2.5)",
        ];
        for text in all {
            assert_eq!(text.parse::<Distribution>().unwrap().to_string(), text);
        }
        assert_eq!(
            " uniform ( 1ms,2ms )".parse::<Distribution>().unwrap(),
            Distribution::Uniform(Span::from_millis(1), Span::from_millis(2))
        );
    }

    #[test]
    fn refuses_with_examples() {
        let bad = [
            "",
            "20ms",
            "constant",
            "constant()",
            "constant(20)",
            "uniform(30ms, 10ms)",
            "lognormal(20ms, -1)",
            "lognormal(20ms, NaN)",
            "pareto(5ms, 0)",
            "bimodal(5ms, 50ms, 2)",
            "gamma(1ms)",
            "constant(1ms, 2ms)",
        ];
        for text in bad {
            let error = text.parse::<Distribution>().unwrap_err().to_string();
            assert!(error.contains("pareto(5ms, 2.5)"), "{text}: {error}");
        }
    }
}
