//! What can be typed. Every flag of `run` has a `WSBENCH_*` mirror; a flag beats the environment, which beats the file.

mod agents;
mod compare;
mod duet;
mod history;

pub(super) use agents::{AgentArgs, FleetArgs, twice};
pub(super) use compare::{CompareArgs, JudgeArgs};
pub(super) use duet::{DuetArgs, UrlFlag};
pub(super) use history::HistoryArgs;

use super::baseline;
use super::export::ExportFlag;
use super::oracle::OracleFlag;
use crate::catalog::{Block, Dimension, Engine};
use crate::plan::{Overrides, TargetFlag};
use crate::result::Slo;
use crate::threshold::Threshold;
use crate::units::{Rate, Share, Span, UnitError};
use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Load-test WebSocket, TCP, UDP and HTTP (requests, polling, SSE, streaming) on one schedule, and compare them.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// What was typed. Ends the process, as the parser does, where it makes no sense.
    pub(super) fn read() -> Args {
        let matches = Args::command().get_matches();
        if let Some(("run", typed)) = matches.subcommand()
            && typed.value_source("baseline").is_none()
            && let Some(flag) = compare::typed(typed)
        {
            let message = format!("--{flag} is about judging this run by another, and there is no --baseline\n");
            clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit();
        }
        if let Some(("run", typed)) = matches.subcommand()
            && typed.value_source("agents").is_none()
            && let Some(flag) = agents::typed(typed)
        {
            let message = format!("--{flag} is for runs by agents, and there is no --agents\n");
            clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit();
        }
        Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

const EXAMPLES: &str = "\
Examples:
  wsbench init                              write a commented starter scenario
  wsbench check scenarios/chat.toml         what would be run; starts nothing
  wsbench run scenarios/chat.toml           run it; the report is in reports/
  wsbench run scenarios/echo.toml --transport websocket --target websocket=ws://127.0.0.1:9001/echo
  wsbench capacity scenarios/echo.toml --slo 'p99 < 50ms'
  wsbench compare before after              what changed between two runs
  wsbench duet scenarios/echo.toml --base './old --port {port}' --candidate './new --port {port}'
  wsbench report reports/chat-…/result.json redraw a saved result";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario and write its report
    Run(Box<RunArgs>),
    /// Find the highest load that each arm of a scenario holds, and draw its latency over the load
    Capacity(Box<CapacityArgs>),
    /// Judge one saved run by another: regression, improvement, no change, or inconclusive
    Compare(CompareArgs),
    /// Run a scenario on two servers, pair by pair, and judge one by the other
    Duet(Box<DuetArgs>),
    /// Show many saved runs over time, and where a figure seems to have changed
    History(HistoryArgs),
    /// Validate a scenario and show what it would run; starts nothing
    Check(CheckArgs),
    /// Redraw everything from a saved result
    Report(ReportArgs),
    /// Wait on a machine for coordinators elsewhere, and run sessions for them
    Agent(Box<AgentArgs>),
    /// Start the reference target alone, for pointing other tools at it
    Serve(ServeArgs),
    /// Test the instrument on this machine against targets whose answer is known; under three minutes
    Selftest(SelfTestArgs),
    /// Write a commented starter scenario
    Init {
        /// File to write; never overwritten
        #[arg(default_value = "scenario.toml")]
        path: PathBuf,
    },
    /// Print a shell's completion script
    Completions { shell: Shell },
    /// Print the JSON Schema of scenarios, for editors
    Schema,
    /// (internal) a worker of a run
    #[command(hide = true)]
    Worker,
    /// (internal) what keeps a server that a duet started
    #[command(hide = true)]
    Keeper {
        command: String,
        /// Files that the command may hold open.
        #[arg(long)]
        files: Option<u64>,
        /// Be the command's shell, not its keeper.
        #[arg(long)]
        shell: bool,
    },
    /// (internal) the embedded target of a run
    #[command(hide = true)]
    Target,
    /// (internal) a run whose packets are captured
    #[command(hide = true)]
    Capture,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = RUN_EXAMPLES)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Folder for the report; must not exist yet, or be empty [default: reports/<scenario>-<date-time>]
    #[arg(short, long, value_name = "DIR", env = "WSBENCH_OUT")]
    pub out: Option<PathBuf>,
    /// What to print when done: a table, or a flat JSON summary and nothing else
    #[arg(long, value_enum, default_value = "text", env = "WSBENCH_FORMAT")]
    pub format: Format,
    #[command(flatten)]
    pub export: ExportArgs,
    /// Draw no charts
    #[arg(long, env = "WSBENCH_NO_CHARTS", value_parser = FalseyValueParser::new())]
    pub no_charts: bool,
    /// Show no progress
    #[arg(short, long, env = "WSBENCH_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    #[command(flatten)]
    pub color: ColorArgs,
    /// Judge this run by a baseline: its name, a result.json, or a report's folder
    #[arg(long, value_name = "NAME|FILE", env = "WSBENCH_BASELINE", help_heading = "Baselines")]
    pub baseline: Option<String>,
    /// Keep this run as a baseline, if it ends well; one of the same name is replaced
    #[arg(long, value_name = "NAME", env = "WSBENCH_SAVE_BASELINE", help_heading = "Baselines")]
    pub save_baseline: Option<baseline::Name>,
    #[command(flatten, next_help_heading = "Baselines")]
    pub judge: JudgeArgs,
    #[command(flatten, next_help_heading = "Many machines")]
    pub fleet: FleetArgs,
}

const RUN_EXAMPLES: &str = "\
Examples:
  wsbench run scenarios/chat.toml -d 10s --trials 3
  wsbench run scenarios/echo.toml --transport websocket,tcp -c 50 -r 100/s
  wsbench run scenarios/echo.toml --transport tcp --target tcp=tcp://127.0.0.1:7 --format json
  wsbench run scenarios/chat.toml --threshold 'errors == 0' --threshold 'websocket.p50 <= 0.8 * long-polling.p50'
  wsbench run scenarios/smoke.toml --export junit=junit.xml --export github-summary=\"$GITHUB_STEP_SUMMARY\"
  wsbench run scenarios/echo.toml --trials 10 --save-baseline main
  wsbench run scenarios/echo.toml --trials 10 --baseline main
  wsbench run scenarios/chat.toml --nats nats://10.0.0.1:4222 --agents 3

Ctrl-C once ends the run in order and saves what was measured; twice ends it at once.
Exit codes: 0 done, 1 could not be done, 2 command line wrong, 94 not comparable with the baseline
(nothing was run), 95 the generator was the bottleneck, 96 regression against the baseline,
97 inconclusive (with --strict), 99 a threshold was broken or could not be measured, 104 scenario
invalid, 105 interrupted, or a process or an agent of the run was lost. Proxy variables are ignored.";

#[derive(Debug, ClapArgs)]
#[command(after_help = CAPACITY_EXAMPLES)]
pub(super) struct CapacityArgs {
    #[command(flatten)]
    pub plan: PlanArgs,
    /// What a load must keep, such as 'p99 < 50ms' or 'p99.9 < 100ms and max service-time < 1s and loss < 1%'
    #[arg(long, value_name = "SLO", env = "WSBENCH_SLO")]
    pub slo: Slo,
    /// What to raise: the rate, or the number of sessions
    #[arg(long, value_name = "WHAT", default_value = "rate", env = "WSBENCH_OF", value_parser = dimension)]
    pub of: Dimension,
    /// Lowest load to try, such as 50/s or 10 [default: a sixteenth of the first, which is --rate or --sessions]
    #[arg(long, value_name = "LOAD", env = "WSBENCH_FROM", value_parser = load)]
    pub from: Option<u64>,
    /// Highest load to try [default: a million a second, or as many sessions as this machine grants]
    #[arg(long, value_name = "LOAD", env = "WSBENCH_TO", value_parser = load)]
    pub to: Option<u64>,
    /// How near the load that fails must be to the one that holds before the search ends
    #[arg(long, value_name = "SHARE", default_value = "5%", env = "WSBENCH_PRECISION", value_parser = precision)]
    pub precision: Share,
    /// Most time for all of it; when it is up no further trial begins
    #[arg(long, value_name = "TIME", default_value = "10m", env = "WSBENCH_BUDGET")]
    pub budget: Span,
    /// Folder for the report; must not exist yet, or be empty [default: reports/<scenario>-capacity-<date-time>]
    #[arg(short, long, value_name = "DIR", env = "WSBENCH_OUT")]
    pub out: Option<PathBuf>,
    /// What to print when done: a table, or JSON and nothing else
    #[arg(long, value_enum, default_value = "text", env = "WSBENCH_FORMAT")]
    pub format: Format,
    #[command(flatten)]
    pub export: ExportArgs,
    /// Draw no charts
    #[arg(long, env = "WSBENCH_NO_CHARTS", value_parser = FalseyValueParser::new())]
    pub no_charts: bool,
    /// Show no progress
    #[arg(short, long, env = "WSBENCH_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    #[command(flatten)]
    pub color: ColorArgs,
}

const CAPACITY_EXAMPLES: &str = "\
Examples:
  wsbench capacity scenarios/echo.toml --slo 'p99 < 50ms'
  wsbench capacity scenarios/echo.toml --slo 'p99 < 10ms and loss < 1%' -r 500/s --to 20k/s -d 1s --warmup 200ms
  wsbench capacity scenarios/chat.toml --slo 'p99 < 100ms' --of sessions --transport websocket,sse

The first load is --rate (with --of sessions: --sessions), or the scenario's; --duration is the length of a trial, --trials
how many a load takes [default: 3]. Implied in every SLO: nothing lost, late or unfinished (over UDP a thousandth may be),
and the asked load was offered. docs/capacity.md says how to read what comes out.
Exit codes: 0 done, 1 an arm never completed anything, 2 command line wrong, 95 the generator was the limit for every arm,
104 scenario invalid, 105 interrupted.";

fn dimension(text: &str) -> Result<Dimension, String> {
    text.parse().map_err(|()| {
        let names: Vec<&str> = Dimension::ALL.iter().map(|d| d.name()).collect();
        format!("choose one of {}", names.join(", "))
    })
}

/// How many there are to be.
fn count(text: &str) -> Result<NonZeroU32, String> {
    text.trim().parse().map_err(|_| "write a whole number, 1 or more".to_owned())
}

/// A whole number of sessions, or of messages a second.
fn load(text: &str) -> Result<u64, String> {
    let rate: Rate = text.parse().map_err(|_| "write a number, such as 500/s, 2k/s or 120".to_owned())?;
    Some(rate.per_second().round() as u64).filter(|load| *load > 0).ok_or_else(|| "there is no load below 1".to_owned())
}

fn precision(text: &str) -> Result<Share, String> {
    let share: Share = text.parse().map_err(|error: UnitError| error.to_string())?;
    let is_useful = (0.01..=1.0).contains(&share.part());
    is_useful.then_some(share).ok_or_else(|| "choose 1% to 100%: trials differ by more than less".to_owned())
}

/// The scenario, and what may be said over it.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct PlanArgs {
    /// Scenario file (TOML)
    pub scenario: PathBuf,
    /// Concurrent clients
    #[arg(short = 'c', long, value_name = "N", env = "WSBENCH_SESSIONS", value_parser = count)]
    pub sessions: Option<NonZeroU32>,
    /// Messages scheduled over all sessions, such as 500/s or 2k/s
    #[arg(short, long, env = "WSBENCH_RATE")]
    pub rate: Option<Rate>,
    /// Length of the measured window, such as 10s
    #[arg(short, long, value_name = "TIME", env = "WSBENCH_DURATION")]
    pub duration: Option<Span>,
    /// Length of the warmup before it
    #[arg(long, value_name = "TIME", env = "WSBENCH_WARMUP")]
    pub warmup: Option<Span>,
    /// How often each arm is run
    #[arg(long, value_name = "N", env = "WSBENCH_TRIALS", value_parser = count)]
    pub trials: Option<NonZeroU32>,
    /// Processes of the generator [default: as few as hold the sessions]
    #[arg(long, value_name = "N", env = "WSBENCH_WORKERS", value_parser = count)]
    pub workers: Option<NonZeroU32>,
    /// Addresses that the sessions leave from, in turn, or blocks such as 127.0.0.0/28; may be repeated
    #[arg(long, value_name = "IP,…", value_delimiter = ',', env = "WSBENCH_SOURCE_IP")]
    pub source_ip: Vec<Block>,
    /// Seed of the schedule, the payloads and the order of trials
    #[arg(long, value_name = "N", env = "WSBENCH_SEED")]
    pub seed: Option<u64>,
    /// Arms to run, by their names in the scenario
    #[arg(short, long, value_name = "ARM,…", value_delimiter = ',', env = "WSBENCH_TRANSPORT")]
    pub transport: Vec<String>,
    /// Where an arm finds its target; replaces the embedded target
    #[arg(long, value_name = "ARM=URL", value_delimiter = ' ', env = "WSBENCH_TARGET", hide_env_values = true,
        value_parser = TargetParser)]
    pub target: Vec<TargetFlag>,
    /// Set by a duet whose candidate is a command.
    #[arg(skip)]
    pub starts_servers: bool,
    /// Set by a run whose sessions leave from other machines.
    #[arg(skip)]
    pub has_agents: bool,
    /// Arm that the others are compared with
    #[arg(long, value_name = "ARM", env = "WSBENCH_REFERENCE")]
    pub reference: Option<String>,
    /// Never sleep while the load runs: precise to microseconds, at the price of a core
    #[arg(long, env = "WSBENCH_SPIN", value_parser = FalseyValueParser::new())]
    pub spin: bool,
    /// PEM file with authorities to trust beside the system's, at URLs that ask for TLS
    #[arg(long, value_name = "FILE", env = "WSBENCH_CACERT")]
    pub cacert: Option<String>,
    /// PEM file with the client's certificate, for targets that ask for one
    #[arg(long, value_name = "FILE", env = "WSBENCH_CERT")]
    pub cert: Option<String>,
    /// PEM file with the key of --cert [default: the file of --cert]
    #[arg(long, value_name = "FILE", env = "WSBENCH_KEY")]
    pub key: Option<String>,
    /// Take any certificate, under any name: nobody then knows who answers
    #[arg(long, env = "WSBENCH_INSECURE", value_parser = FalseyValueParser::new())]
    pub insecure: bool,
    /// What must hold, beside the scenario's thresholds, such as 'websocket: p99 < 50ms'; may be repeated
    #[arg(long, value_name = "EXPR", value_delimiter = ',', env = "WSBENCH_THRESHOLD")]
    pub threshold: Vec<Threshold>,
}

/// Reads [`TargetFlag`]s, and doesn't repeat a wrong one: a URL may hold a secret.
#[derive(Debug, Clone)]
struct TargetParser;

impl TypedValueParser for TargetParser {
    type Value = TargetFlag;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<TargetFlag, clap::Error> {
        let problem = match value.to_str().map(str::parse) {
            Some(Ok(flag)) => return Ok(flag),
            Some(Err(problem)) => problem,
            None => "it is not UTF-8".to_owned(),
        };
        let message = format!("invalid value for '--target <ARM=URL>': {problem}\n");
        Err(clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command))
    }
}

impl PlanArgs {
    pub(super) fn overrides(&self, no_charts: bool) -> Overrides {
        Overrides {
            sessions: self.sessions,
            rate: self.rate,
            duration: self.duration,
            warmup: self.warmup,
            trials: self.trials,
            workers: self.workers,
            source_ips: self.source_ip.clone(),
            seed: self.seed,
            transports: self.transport.clone(),
            targets: self.target.clone(),
            starts_servers: self.starts_servers,
            reference: self.reference.clone(),
            charts: no_charts.then_some(false),
            spin: self.spin.then_some(true),
            cacert: self.cacert.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            insecure: self.insecure.then_some(true),
            thresholds: self.threshold.clone(),
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Later results of this version on this machine mention the certificate.
Exit codes: 0 all checks passed, 95 one failed, 1 it could not be done, 105 interrupted.")]
pub(super) struct SelfTestArgs {
    /// Suites to run; a certificate of some alone is written only where --out says [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = PossibleValuesParser::new(crate::selftest::suites()))]
    pub suite: Vec<String>,
    /// File for the certificate (JSON) [default: wsbench/selftest.json under $XDG_STATE_HOME or ~/.local/state]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What to print: a table, or the certificate
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub plan: PlanArgs,
    #[command(flatten)]
    pub color: ColorArgs,
}

/// What else to write, for the tools of CI.
#[derive(Debug, ClapArgs)]
pub(super) struct ExportArgs {
    /// Also write the result to FILE as junit, github-summary, github-smaller, github-bigger or prometheus; may be repeated
    #[arg(long, value_name = "FORMAT=FILE", value_delimiter = ',', env = "WSBENCH_EXPORT")]
    pub export: Vec<ExportFlag>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = REPORT_EXAMPLES)]
pub(super) struct ReportArgs {
    /// A saved result.json, of this or an older version
    pub result: PathBuf,
    /// Folder to write to [default: the folder of the result; with --export alone nothing is redrawn]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub export: ExportArgs,
    /// Draw no charts
    #[arg(long)]
    pub no_charts: bool,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  wsbench report reports/chat-…/result.json                                redraw it where it is
  wsbench report reports/chat-…/result.json --export junit=junit.xml       test cases, for GitLab and Jenkins
  wsbench report reports/chat-…/result.json --export github-summary=\"$GITHUB_STEP_SUMMARY\"
  wsbench report reports/chat-…/result.json --export prometheus=wsbench.prom
docs/verdicts.md has a chapter on CI.";

#[derive(Debug, ClapArgs)]
#[command(after_help = SERVE_EXAMPLES)]
pub(super) struct ServeArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// Port for WebSocket; 0: any free one
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub websocket: u16,
    /// Port for TCP
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub tcp: u16,
    /// Port for UDP
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub udp: u16,
    /// Port for HTTP: requests, long and short polling, SSE, streaming
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub http: u16,
    /// Token that clients must bring; drawn and printed unless given
    #[arg(long, env = "WSBENCH_TOKEN", conflicts_with = "open", hide_env_values = true)]
    pub token: Option<String>,
    /// Let anyone join who reaches the port
    #[arg(long)]
    pub open: bool,
    /// What speaks WebSocket
    #[arg(long, default_value = "native", value_parser = engine)]
    pub engine: Engine,
    /// Emulated one-way network delay, such as 10ms
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub delay: Span,
    /// Speak TLS on every port but UDP's, by a certificate made now, which is written to FILE (PEM, for --cacert)
    #[arg(long, value_name = "FILE")]
    pub tls: Option<PathBuf>,
    /// What the target does on purpose: a key of `[target.embedded.oracle]` and its value; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub oracle: Vec<OracleFlag>,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  wsbench serve --websocket 9001 --open
  wsbench serve --tls target.pem
  wsbench serve --oracle 'reply_delay=lognormal(20ms, 0.5)' --oracle log=held.csv
  wsbench serve --oracle stall=200ms/1s --oracle udp_drop=5% --oracle refuse=10

The keys of --oracle are described in docs/scenario.md. Ctrl-C ends it, and says what was done on purpose.";

fn engine(text: &str) -> Result<Engine, String> {
    text.parse().map_err(|()| {
        let names: Vec<&str> = Engine::ALL.iter().map(|e| e.name()).collect();
        format!("choose one of {}", names.join(", "))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub(super) struct ColorArgs {
    /// Colour in messages
    #[arg(long, value_enum, default_value = "auto", env = "WSBENCH_COLOR")]
    color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl ColorArgs {
    /// Whether messages on standard error are coloured.
    pub(super) fn on_stderr(self) -> bool {
        use std::io::IsTerminal;
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
                !refused && std::io::stderr().is_terminal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
