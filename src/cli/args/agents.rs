//! The flags of agents, and of runs by agents.

use crate::bus::NatsOptions;
use crate::cluster::{AllowedTarget, is_prefix};
use crate::units::{Rate, Span, UnitError};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as ClapArgs};
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

/// Where the NATS server is, and who we are there.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct NatsArgs {
    /// NATS server that carries messages between machines, such as nats://10.0.0.1:4222 or tls://nats.example
    #[arg(long, value_name = "URL", env = "WSBENCH_NATS_URL", hide_env_values = true)]
    pub nats: Option<String>,
    /// NATS credentials file
    #[arg(long, value_name = "FILE", env = "WSBENCH_NATS_CREDS")]
    pub nats_creds: Option<PathBuf>,
    /// NATS user
    #[arg(long, value_name = "NAME", env = "WSBENCH_NATS_USER")]
    pub nats_user: Option<String>,
    /// Its password; better in the environment, where lists of processes don't show it
    #[arg(long, value_name = "PASSWORD", env = "WSBENCH_NATS_PASSWORD", hide_env_values = true)]
    pub nats_password: Option<String>,
    /// NATS token
    #[arg(long, value_name = "TOKEN", env = "WSBENCH_NATS_TOKEN", hide_env_values = true)]
    pub nats_token: Option<String>,
    /// PEM file with the authorities to trust at a NATS server with TLS [default: the system's]
    #[arg(long, value_name = "FILE", env = "WSBENCH_NATS_CA")]
    pub nats_ca: Option<PathBuf>,
    /// What all subjects begin with
    #[arg(long, value_name = "PREFIX", default_value = "wsbench", env = "WSBENCH_NATS_PREFIX", value_parser = prefix)]
    pub nats_prefix: String,
}

impl NatsArgs {
    /// `None`: no bus was named. `name`: how the server calls the connection.
    pub(in crate::cli) fn options(&self, name: &str) -> Option<NatsOptions> {
        Some(NatsOptions {
            url: self.nats.clone()?,
            credentials: self.nats_creds.clone(),
            user: self.nats_user.clone(),
            password: self.nats_password.clone(),
            token: self.nats_token.clone(),
            ca: self.nats_ca.clone(),
            name: name.to_owned(),
        })
    }
}

/// A run by agents.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct FleetArgs {
    #[command(flatten)]
    pub nats: NatsArgs,
    /// Run the sessions on so many agents (`wsbench agent`), or on `all` that are there
    #[arg(long, value_name = "N|all", env = "WSBENCH_AGENTS", value_parser = agents)]
    pub agents: Option<Agents>,
    /// How long to wait for them
    #[arg(long, value_name = "TIME", default_value = "60s", env = "WSBENCH_WAIT")]
    pub wait: Span,
    /// Only agents with this label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", env = "WSBENCH_LABEL", value_delimiter = ',', value_parser = label)]
    pub label: Vec<(String, String)>,
    /// Address of this machine at which agents elsewhere reach the embedded target, which listens there
    #[arg(long, value_name = "IP", env = "WSBENCH_ADVERTISE")]
    pub advertise: Option<IpAddr>,
}

/// The first of these flags that was typed. One that the environment sets is meant for whatever runs by agents.
pub(in crate::cli) fn typed(matches: &ArgMatches) -> Option<String> {
    let flags = [
        "nats",
        "nats_creds",
        "nats_user",
        "nats_password",
        "nats_token",
        "nats_ca",
        "nats_prefix",
        "wait",
        "label",
        "advertise",
    ];
    let typed = flags.into_iter().find(|flag| matches.value_source(flag) == Some(ValueSource::CommandLine));
    typed.map(|flag| flag.replace('_', "-"))
}

/// A key that stands there more than once.
pub(in crate::cli) fn twice(labels: &[(String, String)]) -> Option<&str> {
    let again = |at: &usize| labels[..*at].iter().any(|(key, _)| *key == labels[*at].0);
    (0..labels.len()).find(again).map(|at| labels[at].0.as_str())
}

/// How many agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Agents {
    All,
    Number(NonZeroU32),
}

impl Agents {
    /// `None`: all.
    pub(in crate::cli) fn number(self) -> Option<NonZeroU32> {
        match self {
            Agents::All => None,
            Agents::Number(n) => Some(n),
        }
    }
}

fn agents(text: &str) -> Result<Agents, String> {
    match text.trim() {
        "all" => Ok(Agents::All),
        number => number.parse().map(Agents::Number).map_err(|_| "write a whole number, 1 or more, or all".to_owned()),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let problem = "write words of letters, digits, - and _, with dots between them, such as wsbench or load.wsbench";
    is_prefix(text).then(|| text.to_owned()).ok_or_else(|| problem.to_owned())
}

/// Longest key or value of a label, and name of an agent.
const LONGEST: usize = 100;

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as zone=eu")?;
    let (key, value) = (name(key)?, value.trim().to_owned());
    let is_fine = value.len() <= LONGEST && !value.contains(char::is_control);
    is_fine.then_some((key, value)).ok_or_else(|| format!("a label has at most {LONGEST} bytes, and all can be read"))
}

fn max_sessions(text: &str) -> Result<NonZeroU64, String> {
    text.trim().parse().map_err(|_| "write a whole number, 1 or more".to_owned())
}

fn max_rate(text: &str) -> Result<Rate, String> {
    let rate: Rate = text.parse().map_err(|error: UnitError| error.to_string())?;
    let is_some = rate.per_second() > 0.0;
    is_some.then_some(rate).ok_or_else(|| "an agent that may send nothing can't work: write more than 0".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_fine = !name.is_empty() && name.len() <= LONGEST && !name.contains(char::is_control);
    is_fine.then(|| name.to_owned()).ok_or_else(|| format!("write 1 to {LONGEST} bytes"))
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AGENT_EXAMPLES)]
pub(in crate::cli) struct AgentArgs {
    #[command(flatten)]
    pub nats: NatsArgs,
    /// What people are to call it [default: the host's name]
    #[arg(long, value_name = "NAME", env = "WSBENCH_NAME", value_parser = name)]
    pub name: Option<String>,
    /// Something that runs may choose by, such as zone=eu; may be repeated
    #[arg(long, value_name = "KEY=VALUE", env = "WSBENCH_LABEL", value_delimiter = ',', value_parser = label)]
    pub label: Vec<(String, String)>,
    /// Most sessions that it takes
    #[arg(long, value_name = "N", env = "WSBENCH_MAX_SESSIONS", value_parser = max_sessions)]
    pub max_sessions: Option<NonZeroU64>,
    /// Most messages that it takes to be scheduled on it, such as 500/s
    #[arg(long, value_name = "RATE", env = "WSBENCH_MAX_RATE", value_parser = max_rate)]
    pub max_rate: Option<Rate>,
    /// Where its sessions may connect: HOST, HOST:PORT, a block such as 10.0.0.0/8:9001, or unix:FILE; may be repeated
    /// [default: any address, no Unix socket]
    #[arg(long, value_name = "TARGET", env = "WSBENCH_ALLOW_TARGET", value_delimiter = ',')]
    pub allow_target: Vec<AllowedTarget>,
}

const AGENT_EXAMPLES: &str = "\
Examples:
  wsbench agent --nats nats://10.0.0.1:4222
  wsbench agent --nats tls://nats.example --nats-creds agent.creds --label zone=eu --allow-target 10.0.0.0/8
  wsbench run scenarios/chat.toml --nats nats://10.0.0.1:4222 --agents 3

It dials out, listens on no port, and waits; it runs what a coordinator on the same bus hires it for, and waits again. Ctrl-C ends
it. docs/agents.md begins from nothing.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_say_what_to_write() {
        assert_eq!(agents("all"), Ok(Agents::All));
        assert_eq!(agents("3").map(Agents::number), Ok(NonZeroU32::new(3)));
        assert!(agents("0").unwrap_err().contains("or all"));
        assert_eq!(label("zone = eu"), Ok(("zone".to_owned(), "eu".to_owned())));
        assert!(label("zone").unwrap_err().contains("KEY=VALUE") && label("=eu").is_err());
        assert!(label("zone=a\u{1b}[2Jb").is_err());
        assert!(max_sessions("0").unwrap_err().contains("1 or more") && max_sessions("1").is_ok());
        assert!(max_rate("0").unwrap_err().contains("more than 0") && max_rate("0.5/s").is_ok());
        let pairs = |keys: &[&str]| keys.iter().map(|key| (key.to_string(), String::new())).collect::<Vec<_>>();
        assert_eq!((twice(&pairs(&["a", "b", "a"])), twice(&pairs(&["a", "b"]))), (Some("a"), None));
        assert!(prefix("load.*").is_err() && prefix("load.test").is_ok());
    }
}
