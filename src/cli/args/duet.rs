//! What can be typed about running two servers against each other.

use super::{ColorArgs, Format, JudgeArgs, PlanArgs, count};
use crate::catalog::TargetUrl;
use crate::units::Span;
use clap::Args as ClapArgs;
use clap::builder::FalseyValueParser;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct DuetArgs {
    #[command(flatten)]
    pub plan: PlanArgs,
    /// The server to judge by: its URL, or a command that starts it on the port `{port}`, which is $PORT too
    #[arg(long, value_name = "COMMAND|URL", env = "WSBENCH_BASE", hide_env_values = true)]
    pub base: String,
    /// The server that is judged: likewise
    #[arg(long, value_name = "COMMAND|URL", env = "WSBENCH_CANDIDATE", hide_env_values = true)]
    pub candidate: String,
    /// Where a server that a command started is found: a path, or a URL with `{port}` [default: the scenario's URL with
    /// that port on 127.0.0.1, or the path /]
    #[arg(long, value_name = "[ARM=]PATH|URL", env = "WSBENCH_URL", value_delimiter = ' ', hide_env_values = true)]
    pub url: Vec<UrlFlag>,
    /// Ready when a GET of this URL, which may hold `{port}`, answers 2xx [default: when the port is listened on]
    #[arg(long, value_name = "URL", env = "WSBENCH_READY", value_parser = ready)]
    pub ready: Option<String>,
    /// How long a server may take to be ready
    #[arg(long, value_name = "TIME", default_value = "30s", env = "WSBENCH_READY_WITHIN")]
    pub ready_within: Span,
    /// Start each server anew for every trial, instead of both once
    #[arg(long, env = "WSBENCH_RESTART", value_parser = FalseyValueParser::new())]
    pub restart: bool,
    /// How often each arm is run on both; from 14 up, half of them may be enough
    #[arg(long, value_name = "N", default_value = "20", env = "WSBENCH_PAIRS", value_parser = count)]
    pub pairs: NonZeroU32,
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Folder for the report; must not exist yet, or be empty [default: reports/<scenario>-duet-<date-time>]
    #[arg(short, long, value_name = "DIR", env = "WSBENCH_OUT")]
    pub out: Option<PathBuf>,
    /// What to print when done: a text, or the comparison as JSON and nothing else
    #[arg(long, value_enum, default_value = "text", env = "WSBENCH_FORMAT")]
    pub format: Format,
    /// Show no progress
    #[arg(short, long, env = "WSBENCH_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    #[command(flatten)]
    pub color: ColorArgs,
}

const EXAMPLES: &str = "\
Examples:
  wsbench duet scenarios/echo.toml --base './old --port {port}' --candidate './new --port {port}'
  wsbench duet scenarios/echo.toml --transport websocket --base ws://10.0.0.7:9001/ --candidate ws://10.0.0.8:9001/
  wsbench duet chat.toml --base 'docker run --rm -p {port}:80 chat:1' --candidate 'docker run --rm -p {port}:80 chat:2' \\
      --url '/rooms/{room}' --ready 'http://127.0.0.1:{port}/health' --pairs 12 --metrics p99
  wsbench duet scenarios/echo.toml --transport websocket,tcp --url websocket=/echo \\
      --base './old {port:websocket} {port:tcp}' --candidate './new {port:websocket} {port:tcp}'

Commands are run by `sh -c`, each in a process group of its own, which is ended when the duet is: in any way. Their output is
in the report's folder. Both run all the time, unless --restart. docs/verdicts.md says how it is judged.
Exit codes: 0 no regression, 1 a server could not be measured, 2 command line wrong, 95 too many trials could not be trusted,
94 nothing would be, or was, judged, 96 regression, 97 inconclusive (with --strict), 99 a threshold was broken or could not be
measured, 104 scenario invalid, 105 interrupted.";

/// `--url [ARM=]PATH|URL`; ports stay to be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct UrlFlag {
    /// `None`: for every arm that has none of its own.
    pub arm: Option<String>,
    pub template: String,
}

impl FromStr for UrlFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<UrlFlag, String> {
        let (arm, template) = match text.split_once('=').filter(|(arm, _)| !arm.contains([':', '/'])) {
            Some((arm, template)) => (Some(arm.to_owned()), template),
            None => (None, text),
        };
        if !template.starts_with('/') {
            parse_with_port(template)?;
        }
        Ok(UrlFlag { arm, template: template.to_owned() })
    }
}

fn ready(text: &str) -> Result<String, String> {
    match parse_with_port(text)?.scheme.as_str() {
        "http" => Ok(text.to_owned()),
        _ => Err("write an http:// URL, such as 'http://127.0.0.1:{port}/health'".to_owned()),
    }
}

/// Whether it is a URL once its port is known.
fn parse_with_port(template: &str) -> Result<TargetUrl, String> {
    let filled = crate::cli::duet::fill(template, &|_| Some(1))?;
    filled.parse().map_err(|error: crate::catalog::UrlError| error.to_string())
}
