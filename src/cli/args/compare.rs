//! What can be typed about judging one run by another; `run` takes the same.

use super::Format;
use crate::units::Share;
use crate::verdict::{Metric, Options, Rules};
use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as ClapArgs};
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CompareArgs {
    /// The run to judge by: a result.json, a report's folder, or a baseline's name
    pub base: String,
    /// The run that is judged
    pub new: String,
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// What to print: a text, or the comparison as JSON and nothing else
    #[arg(long, value_enum, default_value = "text", env = "WSBENCH_FORMAT")]
    pub format: Format,
    /// Folder for the comparison's files; must not exist yet, or be empty [default: none are written]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  wsbench run scenarios/echo.toml --trials 10 --save-baseline main
  wsbench run scenarios/echo.toml --trials 10 --baseline main
  wsbench compare main reports/echo-20260115-100000
  wsbench compare before/result.json after/result.json --metrics p99 --noise 5% -o comparison

docs/verdicts.md says how it is judged, and what to do about each outcome.
Exit codes: 0 no regression, 1 a file can't be read or every trial failed, 2 command line wrong,
94 not comparable, or nothing was judged, 95 no trial of an arm can be trusted, 96 regression, 97 inconclusive (with --strict).";

/// How one run is judged by another.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct JudgeArgs {
    /// Chance of a false alarm over all gated rows
    #[arg(long, value_name = "SHARE", default_value = "5%", env = "WSBENCH_ALPHA", value_parser = alpha)]
    pub alpha: Share,
    /// Change below which nothing is called a regression or an improvement
    #[arg(long, value_name = "SHARE", default_value = "3%", env = "WSBENCH_NOISE", value_parser = noise)]
    pub noise: Share,
    /// Arms that count for the verdict; the others are shown [default: all]
    #[arg(long, value_name = "ARM,…", value_delimiter = ',', env = "WSBENCH_ARMS")]
    pub arms: Vec<String>,
    /// Metrics that count for it [default: all]
    #[arg(long, value_name = "METRIC,…", value_delimiter = ',', env = "WSBENCH_METRICS", value_parser = metric)]
    pub metrics: Vec<Metric>,
    /// Fail with 97 where it can't be told whether anything changed
    #[arg(long, env = "WSBENCH_STRICT", value_parser = FalseyValueParser::new())]
    pub strict: bool,
    /// Compare runs that are not comparable all the same
    #[arg(long, env = "WSBENCH_FORCE", value_parser = FalseyValueParser::new())]
    pub force: bool,
}

impl JudgeArgs {
    /// The same for the library; `names` are what a reader calls the base and the new run.
    pub(in crate::cli) fn options(&self, names: (String, String)) -> Options {
        let usual = Rules::default();
        let noise = self.noise.part();
        // Were the band of NO CHANGE narrower than noise, some changes would be neither, with any number of trials.
        let rules = Rules { alpha: self.alpha.part(), noise, equivalence: usual.equivalence.max(noise) };
        let metrics = if self.metrics.is_empty() { Metric::ALL.to_vec() } else { self.metrics.clone() };
        Options { rules, arms: self.arms.clone(), metrics, force: self.force, names, look: None }
    }
}

/// The first of these flags that was typed. One that the environment sets is meant for whatever is judged.
pub(in crate::cli) fn typed(matches: &ArgMatches) -> Option<&'static str> {
    let flags = ["arms", "metrics", "alpha", "noise", "strict", "force"];
    flags.into_iter().find(|flag| matches.value_source(flag) == Some(ValueSource::CommandLine))
}

fn alpha(text: &str) -> Result<Share, String> {
    within(text, 0.0001..=0.5, "choose 0.01% to 50%: there is no verdict without a chance of error")
}

fn noise(text: &str) -> Result<Share, String> {
    within(text, 0.0..=0.9, "choose 0% to 90%")
}

fn within(text: &str, range: std::ops::RangeInclusive<f64>, advice: &str) -> Result<Share, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
    match text.parse::<Share>() {
        Ok(share) if range.contains(&share.part()) => Ok(share),
        // What is more than the whole is out of range like other numbers.
        Err(error) if number.is_err() => Err(error.to_string()),
        _ => Err(advice.to_owned()),
    }
}

fn metric(text: &str) -> Result<Metric, String> {
    // What framing was called before it was told apart from bytes.
    let text = if text == "bytes-per-message" { Metric::FramingPerMessage.name() } else { text };
    Metric::ALL.into_iter().find(|metric| metric.name() == text).ok_or_else(|| {
        let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        format!("choose from {}", names.join(", "))
    })
}
