//! What the command line says over the scenario: a flag beats the file.

use crate::catalog::{Block, TargetUrl};
use crate::scenario::{self, At, Entry, File, Network, Place, Problem, Target};
use crate::threshold::Threshold;
use crate::units::{Rate, Span};
use std::num::NonZeroU32;
use std::str::FromStr;

/// The flags that change a plan; `None` or empty: not given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overrides {
    pub sessions: Option<NonZeroU32>,
    pub rate: Option<Rate>,
    pub duration: Option<Span>,
    pub warmup: Option<Span>,
    pub trials: Option<NonZeroU32>,
    pub workers: Option<NonZeroU32>,
    /// Empty: as the scenario says.
    pub source_ips: Vec<Block>,
    pub seed: Option<u64>,
    /// Arms to run; empty: all of them.
    pub transports: Vec<String>,
    /// Any of these replaces the embedded target, and the emulated network with it.
    pub targets: Vec<TargetFlag>,
    /// We start the servers at the URLs ourselves: what they cost can be seen.
    pub starts_servers: bool,
    pub reference: Option<String>,
    pub charts: Option<bool>,
    pub spin: Option<bool>,
    /// PEM files, relative to where we are.
    pub cacert: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
    pub insecure: Option<bool>,
    /// Added to the scenario's.
    pub thresholds: Vec<Threshold>,
}

/// `--target ARM=URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFlag {
    pub arm: String,
    pub url: TargetUrl,
}

impl FromStr for TargetFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<TargetFlag, String> {
        let (arm, url) = text
            .split_once('=')
            .filter(|(arm, _)| !arm.contains(':'))
            .ok_or("write ARM=URL, such as websocket=ws://127.0.0.1:9001/")?;
        let url = url.parse().map_err(|e: crate::catalog::UrlError| e.to_string())?;
        Ok(TargetFlag { arm: arm.to_owned(), url })
    }
}

impl Overrides {
    /// The scenario as if its author had written what the flags say. Arms that weren't chosen stay in it.
    pub(super) fn apply(&self, mut file: File, problems: &mut Vec<Problem>) -> File {
        self.check_names(&file, problems);
        let load = &mut file.load.value;
        if let (Some(stages), Some(_), None) = (&load.stages, self.rate, self.duration) {
            problems.push(
                Problem::at(stages, "`--rate` says nothing about these stages")
                    .hint("with `--duration` as well, both replace the stages"),
            );
        }
        if self.duration.is_some() {
            load.stages = None;
        }
        replace(&mut load.sessions, "--sessions", self.sessions);
        replace(&mut load.warmup, "--warmup", self.warmup);
        replace(&mut load.trials, "--trials", self.trials);
        replace(&mut load.spin, "--spin", self.spin);
        replace(&mut file.seed, "--seed", self.seed);
        replace(&mut file.output.charts, "--no-charts", self.charts);
        replace_optional(&mut load.workers, "--workers", self.workers);
        let source_ips: Vec<_> = self.source_ips.iter().map(|block| At::flag("--source-ip", *block)).collect();
        let source_ips = (!source_ips.is_empty()).then_some(source_ips);
        replace_optional(&mut load.source_ips, "--source-ip", source_ips);
        replace_optional(&mut load.rate, "--rate", self.rate);
        replace_optional(&mut load.duration, "--duration", self.duration);
        replace_optional(&mut file.reference, "--reference", self.reference.clone());
        self.apply_tls(&mut file.tls);
        let more = self.thresholds.iter().map(|more| At::flag("--threshold", Entry::Text(more.clone())));
        file.thresholds.extend(more);
        self.apply_targets(&mut file);
        file
    }

    fn apply_tls(&self, tls: &mut scenario::Tls) {
        if self.cert.is_some() {
            // The file's key is that of the file's certificate.
            tls.key = None;
        }
        replace_optional(&mut tls.ca, "--cacert", self.cacert.clone());
        replace_optional(&mut tls.cert, "--cert", self.cert.clone());
        replace_optional(&mut tls.key, "--key", self.key.clone());
        replace(&mut tls.insecure, "--insecure", self.insecure);
    }

    fn apply_targets(&self, file: &mut File) {
        if self.targets.is_empty() {
            return;
        }
        let named = |t: &TargetFlag| (At::flag("--target", t.arm.clone()), At::flag("--target", t.url.clone()));
        let mut urls: Vec<_> = self.targets.iter().map(named).collect();
        match &mut file.target {
            Target::Urls(written) => urls.append(&mut written.0),
            Target::Embedded(_) => file.network = Network::default(),
        }
        file.target = Target::Urls(scenario::Named(urls));
    }

    fn check_names(&self, file: &File, problems: &mut Vec<Problem>) {
        let mut check = |flag, name: &str| {
            if file.transports.get(name).is_none() {
                let problem = Problem::new(&Place::Flag(flag), format!("the scenario has no arm `{name}`"));
                let names: Vec<&str> = file.transports.names().collect();
                problems.push(problem.hint(scenario::hint(name, "its arms", names)));
            }
        };
        self.transports.iter().for_each(|name| check("--transport", name));
        self.targets.iter().for_each(|target| check("--target", &target.arm));
    }

    pub(super) fn chooses(&self, arm: &str) -> bool {
        self.transports.is_empty() || self.transports.iter().any(|name| name == arm)
    }
}

fn replace<T>(slot: &mut At<T>, flag: &'static str, value: Option<T>) {
    if let Some(value) = value {
        *slot = At::flag(flag, value);
    }
}

fn replace_optional<T>(slot: &mut Option<At<T>>, flag: &'static str, value: Option<T>) {
    if let Some(value) = value {
        *slot = Some(At::flag(flag, value));
    }
}
