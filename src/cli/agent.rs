//! `wsbench agent`: runs sessions for coordinators elsewhere.

use super::args::{AgentArgs, twice};
use super::exit::Exit;
use super::{bus, say, signals};
use crate::bus::Nats;
use crate::cluster::{self, AgentNews, AgentOptions, Allowance, Card, Halt};
use crate::result::redact_labels;
use anyhow::Context;
use tokio::sync::watch;

pub(super) fn agent(args: &AgentArgs) -> anyhow::Result<Exit> {
    let name = args.name.clone().unwrap_or_else(cluster::host_name);
    let Some(nats) = args.nats.options(&format!("wsbench agent {name}")) else {
        say::err(
            "error: an agent needs a bus\n  = help: name its server with `--nats nats://HOST:4222`, or WSBENCH_NATS_URL",
        );
        return Ok(Exit::Usage);
    };
    if let Some(key) = twice(&args.label) {
        say::err(&format!("error: --label: {key} is named twice\n  = help: an agent has one value for each label"));
        return Ok(Exit::Usage);
    }
    let options = AgentOptions {
        program: std::env::current_exe().context("this program can't find itself to start its workers")?,
        prefix: args.nats.nats_prefix.clone(),
        name,
        labels: args.label.iter().cloned().collect(),
        allowance: Allowance {
            targets: args.allow_target.clone(),
            max_sessions: args.max_sessions.map(Into::into),
            max_rate: args.max_rate,
        },
    };
    cluster::raise_open_files_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (want, wanted) = watch::channel(false);
        signals::watch(want, "ends its workers and says good-bye")?;
        let nats = Nats::connect(&nats).await?;
        let mut told = |news: AgentNews| say::err(&words(&news));
        let served = tokio::select! {
            served = cluster::serve(&nats, &options, Halt::new(wanted), &mut told) => served,
            never = bus::watch(&nats) => match never {},
        };
        nats.flush().await;
        served.map_err(|error| bus::complaint(&nats, error.into()))
    })?;
    Ok(Exit::Done)
}

fn words(news: &AgentNews) -> String {
    match news {
        AgentNews::Waiting(card) => format!("waiting: {}", told(card)),
        AgentNews::Hired { run } => format!("hired for run {run}"),
        AgentNews::Wanted { run } => format!("refused run {run}: it works already"),
        AgentNews::Share { workers: 1 } => "a trial begins: 1 worker".to_owned(),
        AgentNews::Share { workers } => format!("a trial begins: {workers} workers"),
        AgentNews::Done { sessions } => format!("done: {sessions} sessions"),
        AgentNews::Refused { problem } => format!("refused: {problem}"),
        AgentNews::Released { why } => format!("free again: {why}"),
    }
}

fn told(card: &Card) -> String {
    let mut facts = vec![format!("{} cores", card.cores), format!("{} descriptors", card.descriptors)];
    facts.extend(card.max_sessions.map(|most| format!("at most {most} sessions")));
    facts.extend(card.max_rate.map(|most| format!("at most {most}")));
    facts.extend(redact_labels(&card.labels).iter().map(|(key, value)| format!("{key}={value}")));
    format!("agent `{}` ({}), {}, version {}", card.name, card.id, facts.join(", "), card.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_is_a_secret_is_not_told() {
        let labels = [("token", "hush"), ("zone", "eu")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let words = told(&Card { labels: labels.into(), ..Card::default() });
        assert!(words.contains("token=") && !words.contains("hush") && words.contains("zone=eu"), "{words}");
    }
}
