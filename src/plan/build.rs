//! From what a person said to what will be done: every default filled in, every meaning checked.

use super::marks::{self, Check};
use super::overrides::Overrides;
use super::{
    Cell, Embedded, Load, Network, Omitted, Output, Plan, Target, arm, dialect, identity, load, oracle, sources,
    thresholds, tls, workload,
};
use crate::catalog::{TargetUrl, Tls, TransportKind};
use crate::scenario::{self, Arm, At, File, Place, Problem, Scenario, Source};
use crate::units::Span;
use crate::values::Values;
use crate::wire::PayloadSpec;
use std::fmt;

/// The scenario and the flags together make no plan. Holds everything that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    pub source: Source,
    pub problems: Vec<Problem>,
}

impl PlanError {
    /// As [`scenario::ScenarioError::render`]; what stems from a flag names the flag.
    pub fn render(&self, color: bool) -> String {
        scenario::render(&self.source, &self.problems, color)
    }

    /// Whether nothing but the command line is wrong.
    pub fn is_of_flags(&self) -> bool {
        self.problems.iter().all(Problem::is_of_a_flag)
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        scenario::brief(&self.source, &self.problems, f)
    }
}

impl std::error::Error for PlanError {}

/// Resolves a scenario with the command line's flags over it. Reads the files that `[tls]` names, and nothing else.
///
/// # Errors
/// Everything that makes no sense, each with its place in the file or its flag.
pub fn build(scenario: &Scenario, overrides: &Overrides) -> Result<Plan, PlanError> {
    let mut problems = Vec::new();
    let file = overrides.apply(scenario.file.clone(), &mut problems);
    let tls = tls::read(&file.tls, &scenario.source.path, &mut problems);
    let plan = resolve(scenario, &file, &tls, overrides, &mut problems);
    thresholds::check(&file, overrides.starts_servers, &scenario.source, &mut problems);
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(PlanError { source: scenario.source.clone(), problems: scenario::in_order(problems) }),
    }
}

/// `None` only with problems.
fn resolve(
    scenario: &Scenario,
    file: &File,
    tls: &Tls,
    overrides: &Overrides,
    problems: &mut Vec<Problem>,
) -> Option<Plan> {
    let source = &scenario.source;
    check_file(file, problems);
    let found = problems.len();
    let values = marks::read(&file.values, source, problems);
    if problems.len() > found {
        // Every mark of theirs would be a further one.
        return None;
    }
    workload::check(&file.workload, &file.load, problems);
    let load = load::build(&file.load, file.seed.value, file.workload.kind(), problems);
    let payload = workload::payload(&file.workload, &mut Check { values: &values, source, problems });
    check_output(file, load.as_ref(), problems);
    let mut arms = Arms { file, source, values: &values, tls, cells: Vec::new(), omitted: Vec::new(), problems };
    for (name, arm) in file.transports.0.iter().filter(|(name, _)| overrides.chooses(name)) {
        arms.add(name, arm, load.as_ref(), payload.as_ref());
    }
    let Arms { cells, omitted, .. } = arms;
    if cells.is_empty() && problems.is_empty() {
        problems.push(nothing_to_run(file, &omitted));
    }
    sources::check(file.load.source_ips.as_ref(), &cells, problems);
    let reference = reference(file, &cells, overrides, problems);
    let idle = tls::idle(&file.tls, &cells).into_iter().collect();
    let embedded = match &file.target {
        scenario::Target::Embedded(e) => Some(embedded(e, file.seed.value)),
        scenario::Target::Urls(_) => None,
    };
    Some(Plan {
        name: scenario.name(),
        description: file.description.clone(),
        seed: file.seed.value,
        trials: file.load.trials.get(),
        reference,
        cells,
        omitted,
        embedded,
        output: Output { charts: file.output.charts.value, interval: file.output.interval.value },
        thresholds: file.thresholds.iter().map(|entry| entry.said().value).collect(),
        on_agent_loss: file.load.on_agent_loss.value,
        idle,
    })
}

fn embedded(said: &scenario::Embedded, seed: u64) -> Embedded {
    let mut oracle = said.oracle.as_ref().map(|oracle| (*oracle.value).clone()).unwrap_or_default();
    oracle.seed = oracle.seed.or(Some(seed));
    Embedded { engine: said.engine.value, hold: said.hold.value, oracle }
}

fn nothing_to_run(file: &File, omitted: &[Omitted]) -> Problem {
    match omitted.first() {
        Some(arm) => Problem::at(&file.transports, format!("no arm is left to run: {}: {}", arm.arm, arm.reason)),
        None => Problem::at(&file.transports, "there is no arm to run").hint("add `[transports.websocket]`"),
    }
}

/// Collects the cells of the arms that make sense, and the reasons against the others.
struct Arms<'a> {
    file: &'a File,
    source: &'a Source,
    values: &'a Values,
    /// What `[tls]` comes to.
    tls: &'a Tls,
    cells: Vec<Cell>,
    omitted: Vec<Omitted>,
    problems: &'a mut Vec<Problem>,
}

impl Arms<'_> {
    fn add(&mut self, name: &At<String>, arm: &Arm, load: Option<&Load>, payload: Option<&PayloadSpec>) {
        let Some(kind) = arm::kind(name, arm, self.problems) else { return };
        let url = match &self.file.target {
            scenario::Target::Embedded(_) => None,
            scenario::Target::Urls(urls) => urls.get(name),
        };
        let mut transport = arm::transport(kind, arm, url, &mut self.check());
        if let Some(reason) = kind.refuses(self.file.workload.kind()) {
            self.omitted.push(Omitted { arm: name.value.clone(), reason: reason.to_owned() });
            return;
        }
        let target = self.target(name, kind);
        let dialect = dialect::resolve(&mut transport, name, arm, self.file, self.values, self.problems);
        let tls = target.as_ref().and_then(|target| tls::of_arm(name, kind, arm, target, self.tls, self.problems));
        let (Some(target), Some(load), Some(payload)) = (target, load, payload) else { return };
        arm::check_payload(name, arm, &transport, payload, self.values, self.problems);
        dialect::check_settings(&dialect, self.file, name, &transport, payload, &mut self.check());
        let workload = workload::build(&self.file.workload, payload.clone(), kind, dialect.kind(), name, self.problems);
        let delay = self.file.network.delay.as_ref().map_or(Span::ZERO, |d| d.value);
        let listen = match &self.file.target {
            scenario::Target::Embedded(embedded) => embedded.listen.value,
            scenario::Target::Urls(_) => Network::default().listen,
        };
        let network = Network { delay, listen };
        let (load, values) = (load.clone(), self.values.clone());
        let arm = name.value.clone();
        self.cells.push(Cell { arm, transport, dialect, target, tls, network, workload, load, values });
    }

    fn check(&mut self) -> Check<'_> {
        Check { values: self.values, source: self.source, problems: self.problems }
    }

    fn target(&mut self, name: &At<String>, kind: TransportKind) -> Option<Target> {
        let urls = match &self.file.target {
            scenario::Target::Embedded(_) => return Some(Target::Embedded),
            scenario::Target::Urls(urls) => urls,
        };
        let schemes = kind.schemes();
        let Some(url) = urls.get(name) else {
            let from_flag = urls.0.iter().any(|(arm, _)| matches!(arm.place, Place::Flag(_)));
            let place = if from_flag { &Place::Flag("--target") } else { &name.place };
            let hint = format!(
                "`--target {name}={}://HOST:PORT` gives it one, `--transport` chooses which arms run",
                schemes[0],
                name = name.value
            );
            self.problems.push(Problem::new(place, format!("arm `{}` is left without a URL", name.value)).hint(hint));
            return None;
        };
        if !schemes.contains(&url.scheme.as_str()) {
            let message = format!("arm `{}` is {kind}, which no {} URL leads to", name.value, form(&url.scheme));
            let forms: Vec<String> = schemes.iter().map(|scheme| form(scheme)).collect();
            let hint = match kind {
                TransportKind::Udp if url.is_tls() => tls::WHY_NOT_UDP.to_owned(),
                _ => format!("it takes {}", forms.join(" or ")),
            };
            self.problems.push(Problem::at(url, message).hint(hint));
            return None;
        }
        if matches!(kind, TransportKind::Tcp | TransportKind::Udp) {
            identity::refuse_userinfo(url, name, self.problems);
        }
        self.check().url(url);
        // The credentials are the arm's own by now.
        Some(Target::Url(TargetUrl { userinfo: None, ..url.value.clone() }))
    }
}

/// How a URL of this scheme begins.
fn form(scheme: &str) -> String {
    if scheme.ends_with("unix") { format!("{scheme}:/") } else { format!("{scheme}://") }
}

/// What concerns neither the load nor a single arm.
fn check_file(file: &File, problems: &mut Vec<Problem>) {
    if let Some(name) = file.name.as_ref().filter(|name| !scenario::is_name(name)) {
        let hint = "up to 64 letters, digits, `-`, `_` and `.`, the first a letter or a digit: it names a folder";
        problems.push(Problem::at(name, format!("`{}` can't name a scenario", name.value)).hint(hint));
    }
    match (&file.target, &file.network.delay) {
        (scenario::Target::Urls(_), Some(delay)) if delay.value > Span::ZERO => {
            let message = "only the embedded target can emulate a network";
            problems.push(Problem::at(delay, message).hint("leave `delay` out, or `[target.urls]`"));
        }
        (_, Some(delay)) => {
            load::within(problems, "delay", delay, |d| *d <= Span::from_millis(10_000), "at most 10s");
        }
        (_, None) => {}
    }
    match &file.target {
        scenario::Target::Embedded(embedded) => {
            let range = Span::from_millis(10)..=Span::from_millis(3_600_000);
            load::within(problems, "hold", &embedded.hold, |h| range.contains(h), "between 10ms and an hour");
            let is_one = |ip: &std::net::IpAddr| !ip.is_unspecified() && !ip.is_multicast();
            load::within(problems, "listen", &embedded.listen, is_one, "one address, such as 127.0.0.1 or ::1");
            embedded.oracle.iter().for_each(|said| oracle::check(said, problems));
        }
        scenario::Target::Urls(urls) => {
            let written = urls.0.iter().map(|(arm, _)| arm).filter(|arm| !matches!(arm.place, Place::Flag(_)));
            written.for_each(|arm| check_arm(file, arm, problems));
        }
    }
}

/// `name` is an arm of the scenario.
fn check_arm(file: &File, name: &At<String>, problems: &mut Vec<Problem>) {
    if file.transports.get(name).is_none() {
        let names: Vec<&str> = file.transports.names().collect();
        let problem = Problem::at(name, format!("the scenario has no arm `{}`", name.value));
        problems.push(problem.hint(scenario::hint(name, "its arms", names)));
    }
}

/// More slices than this would be neither seen in a chart nor cheap to keep.
const MOST_INTERVALS: u64 = 10_000;

fn check_output(file: &File, load: Option<&Load>, problems: &mut Vec<Problem>) {
    let interval = &file.output.interval;
    load::within(problems, "interval", interval, |i| *i >= Span::from_millis(10), "at least 10ms");
    let slices = load.map_or(0, |load| load.duration.nanos() / interval.nanos().max(1));
    if slices > MOST_INTERVALS {
        let message = format!("{slices} slices of {} are more than {MOST_INTERVALS}", interval.value);
        problems.push(Problem::at(interval, message).hint("a longer interval, or a shorter window"));
    }
}

/// The arm that the others are compared with: the one asked for, or long polling, or the first.
fn reference(file: &File, cells: &[Cell], overrides: &Overrides, problems: &mut Vec<Problem>) -> Option<String> {
    if let Some(asked) = &file.reference {
        let runs = cells.iter().any(|cell| cell.arm == asked.value);
        match asked.place {
            // A flag means this very run; the file's choice is void when its arm wasn't chosen.
            Place::Flag(_) if file.transports.get(asked).is_some() && !overrides.chooses(asked) => {
                let problem = Problem::at(asked, format!("arm `{}` is not among those that run", asked.value));
                problems.push(problem.hint("add it to `--transport`"));
            }
            _ => check_arm(file, asked, problems),
        }
        if runs && cells.len() > 1 {
            return Some(asked.value.clone());
        }
    }
    let long_polling = cells.iter().find(|cell| cell.transport.kind() == TransportKind::LongPolling);
    long_polling.or(cells.first()).filter(|_| cells.len() > 1).map(|cell| cell.arm.clone())
}

#[cfg(test)]
mod tests;
