//! One trial, from its first process to its last: target, workers, ramp, schedule, drain, reports.

use super::child::{Child, ChildError};
use super::coordinator::Halt;
use super::cores;
use super::link::{FromWorker, Link, Slice, ToWorker};
use super::sockets;
use super::usage::Meter;
use crate::catalog::{DialectKind, TargetUrl, Transport, TransportKind};
use crate::clock::{self, MILLI, Nanos, SECOND};
use crate::engine::Live;
use crate::measure::{Held, Outcome};
use crate::plan::{Cell, Embedded, Target, Workload};
use crate::result::{TargetFacts, Usage};
use crate::target::{Config, Order, Ports, Push, Reply, Report};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

/// Where the embedded target listens.
pub(super) const EMBEDDED_ON: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// From the last session's opening to the schedule's start: for both ends to come to rest.
const REST: Nanos = 20 * MILLI;
/// What a process may take beyond what was planned before it counts as hung.
const GRACE: Duration = Duration::from_secs(5);

/// What a trial needs to know beyond its cell.
pub(super) struct Assignment<'a> {
    pub program: &'a Path,
    pub cell: &'a Cell,
    pub embedded: Option<&'a Embedded>,
    pub run: u32,
    pub token: &'a str,
    pub interval: Nanos,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Tried {
    pub outcome: Outcome,
    pub generator: Usage,
    pub target: Option<TargetFacts>,
    pub failure: Option<String>,
    /// A process of ours died or hung: there is nothing to trust.
    pub is_broken: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TrialError {
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error("{0}")]
    Reported(String),
    #[error("the {0} did not answer in time")]
    Hung(&'static str),
}

/// Runs it. Never fails: what stopped it is in [`Tried::failure`].
pub(super) async fn attempt(order: &Assignment<'_>, halt: &mut Halt, live: &mut dyn FnMut(Live)) -> Tried {
    match run(order, halt, live).await {
        Ok(tried) => tried,
        Err(error) => Tried {
            outcome: Outcome { order_tracked: true, ..Outcome::default() },
            generator: Usage::default(),
            target: None,
            failure: Some(error.to_string()),
            is_broken: true,
        },
    }
}

async fn run(order: &Assignment<'_>, halt: &mut Halt, live: &mut dyn FnMut(Live)) -> Result<Tried, TrialError> {
    let (cell, token) = with_token_of_url(order);
    let order = &Assignment { cell: &cell, token: &token, ..*order };
    let mut target = match (&order.cell.target, order.embedded) {
        (Target::Embedded, Some(embedded)) => Some(TargetProcess::start(order, embedded).await?),
        _ => None,
    };
    let url = match (&order.cell.target, &target) {
        (Target::Url(url), _) => url.to_string(),
        (Target::Embedded, Some(target)) => target.url(order.cell.transport.kind()),
        (Target::Embedded, None) => return Err(TrialError::Reported("the plan has no embedded target".into())),
    };
    let port = url.parse().ok().map(|url: TargetUrl| url.port);
    let mut worker = Link::start(order.program)?;
    worker.tell(&ToWorker::Prepare(Box::new(slice(order, url)))).await?;
    let (outcome, generator, failure) = drive(order, port, &mut worker, target.as_mut(), halt, live).await?;
    let target = match target {
        Some(target) => Some(target.stop().await?),
        None => None,
    };
    Ok(Tried { outcome, generator, target, failure, is_broken: false })
}

/// A server elsewhere that speaks the wsbench dialect has a token of its own, which its URL brings.
fn with_token_of_url(order: &Assignment) -> (Cell, String) {
    let (mut cell, mut token) = (order.cell.clone(), order.token.to_owned());
    if let (Target::Url(url), DialectKind::Wsbench) = (&mut cell.target, cell.dialect) {
        token = url.take_token().unwrap_or(token);
    }
    (cell, token)
}

/// From the ramp to the worker's outcome. `port`: the target's.
async fn drive(
    order: &Assignment<'_>,
    port: Option<u16>,
    worker: &mut Link,
    mut target: Option<&mut TargetProcess>,
    halt: &mut Halt,
    live: &mut dyn FnMut(Live),
) -> Result<(Outcome, Usage, Option<String>), TrialError> {
    let mut deadline = after(ramp_time(order.cell) + GRACE);
    let (mut is_halted, mut is_deserted) = (false, false);
    let mut held = None;
    loop {
        let heard = tokio::select! {
            heard = worker.hear() => heard?,
            () = halt.wait(), if !is_halted => {
                is_halted = true;
                worker.tell(&ToWorker::Stop).await?;
                deadline = after(order.cell.load.drain.0 + GRACE);
                continue;
            }
            () = until(deadline) => return Err(TrialError::Hung("worker")),
        };
        match heard {
            FromWorker::Ready { open, connections } => {
                let is_ramped = !matches!(order.cell.workload, Workload::Connect { .. });
                // Read here and not in the worker, whose memory is measured.
                let kernel = |pid, port| sockets::connected(pid, port, order.cell.transport.kind());
                let kernel = worker.pid().zip(port).and_then(|(pid, port)| kernel(pid, port));
                held = is_ramped.then_some(Held { counted: connections, kernel });
                if open == 0 && is_ramped {
                    is_deserted = true;
                    worker.tell(&ToWorker::Stop).await?;
                    deadline = after(GRACE);
                    continue;
                }
                let at = clock::now() + REST;
                if let Some(target) = target.as_deref_mut() {
                    target.begin(order, at).await?;
                }
                worker.tell(&ToWorker::Start { at }).await?;
                deadline = after(planned(order.cell) + GRACE);
            }
            FromWorker::Live(now) => live(now),
            FromWorker::Done { mut outcome, usage } => {
                // That nobody was there isn't an interrupt, although it was ended like one.
                outcome.interrupted = is_halted;
                outcome.sessions.held = held;
                let counters = outcome.measure;
                is_deserted |= outcome.sessions.connected == 0 || (counters.scheduled > 0 && counters.sent == 0);
                let failure = (is_deserted && !is_halted).then(|| deserted(&outcome));
                return Ok((*outcome, usage, failure));
            }
            FromWorker::Failed { problem } => return Err(TrialError::Reported(problem)),
            FromWorker::Calibrated(_) => {}
        }
    }
}

/// The instant that is `time` from now.
fn after(time: Duration) -> Nanos {
    clock::now().saturating_add(u64::try_from(time.as_nanos()).unwrap_or(Nanos::MAX))
}

async fn until(instant: Nanos) {
    tokio::time::sleep(Duration::from_nanos(instant.saturating_sub(clock::now()))).await;
}

fn deserted(outcome: &Outcome) -> String {
    let classes: Vec<String> = outcome.errors.iter().map(|(class, n)| format!("{class} × {n}")).collect();
    let what = match outcome.sessions.connected {
        0 => "no session could be opened",
        _ => "every session had ended before anything could be sent",
    };
    format!("{what}: {}", classes.join(", "))
}

fn ramp_time(cell: &Cell) -> Duration {
    let ramp = f64::from(cell.load.sessions) / cell.load.connect_rate.per_second();
    Duration::from_secs_f64(ramp.min(86_400.0)) + cell.load.connect_timeout.0
}

fn planned(cell: &Cell) -> Duration {
    cell.load.warmup.0 + cell.load.duration.0 + cell.load.drain.0
}

fn slice(order: &Assignment, url: String) -> Slice {
    Slice {
        cell: order.cell.clone(),
        url,
        token: order.token.to_owned(),
        run: order.run,
        interval: order.interval,
        worker: 0,
        workers: 1,
        core: cores::worker(),
    }
}

/// The embedded target as a child process.
struct TargetProcess {
    child: Child,
    ports: Ports,
    meter: Meter,
}

impl TargetProcess {
    async fn start(order: &Assignment<'_>, embedded: &Embedded) -> Result<TargetProcess, TrialError> {
        let nodelay = match &order.cell.transport {
            Transport::Websocket(w) => w.nodelay,
            Transport::Tcp(t) => t.nodelay,
            Transport::Udp(_) => true,
            Transport::LongPolling(h)
            | Transport::ShortPolling(h)
            | Transport::Sse(h)
            | Transport::HttpStreaming(h) => h.nodelay,
            Transport::Http(h) => h.nodelay,
        };
        let config = Config {
            bind: IpAddr::V4(EMBEDDED_ON),
            ports: Ports::default(),
            token: Some(order.token.to_owned()),
            engine: embedded.engine,
            delay: order.cell.network.delay,
            nodelay,
            hold: embedded.hold,
            echo_self: !matches!(order.cell.workload, Workload::Chat { echo_self: false, .. }),
            core: cores::target(),
            oracle: embedded.oracle.clone(),
        };
        let mut child = Child::start(order.program, "target", "embedded target")?;
        child.tell(&config).await?;
        match within(GRACE, "embedded target", child.hear()).await? {
            Reply::Ready { ports } => {
                let meter = Meter::before_connecting(child.pid());
                Ok(TargetProcess { child, ports, meter })
            }
            Reply::Failed { problem } => Err(TrialError::Reported(format!("the embedded target: {problem}"))),
            Reply::Report(_) => Err(TrialError::Hung("embedded target")),
        }
    }

    fn url(&self, kind: TransportKind) -> String {
        let port = match kind {
            TransportKind::Websocket => self.ports.websocket,
            TransportKind::Tcp => self.ports.tcp,
            TransportKind::Udp => self.ports.udp,
            _ => self.ports.http,
        };
        format!("{}://{EMBEDDED_ON}:{port}", kind.schemes()[0])
    }

    /// The schedule starts at `at`; with push, the target is the one to follow it.
    async fn begin(&mut self, order: &Assignment<'_>, at: Nanos) -> Result<(), TrialError> {
        self.meter.start();
        if let Workload::Push { payload, topics } = &order.cell.workload {
            let load = &order.cell.load;
            let warmup = load.warmup.nanos();
            let push = Push {
                schedule: load.schedule.clone(),
                start: at,
                run: order.run,
                topics: *topics,
                payload: payload.clone(),
                seed: load.schedule.seed,
                measure: (warmup, warmup + load.duration.nanos()),
            };
            self.child.tell(&Order::Push(push)).await?;
        }
        Ok(())
    }

    async fn stop(mut self) -> Result<TargetFacts, TrialError> {
        let usage = self.meter.read();
        self.child.tell(&Order::Stop).await?;
        match within(GRACE, "embedded target", self.child.hear()).await? {
            Reply::Report(report) => Ok(facts(usage, *report)),
            Reply::Failed { problem } => Err(TrialError::Reported(format!("the embedded target: {problem}"))),
            Reply::Ready { .. } => Err(TrialError::Hung("embedded target")),
        }
    }
}

fn facts(usage: Usage, report: Report) -> TargetFacts {
    TargetFacts {
        usage,
        events: report.events,
        lateness: report.lateness,
        accepted: report.accepted,
        received: report.received,
        delivered: report.delivered,
        dropped: report.dropped,
        truth: report.truth,
    }
}

async fn within<T>(
    time: Duration,
    who: &'static str,
    answer: impl Future<Output = Result<T, ChildError>>,
) -> Result<T, TrialError> {
    match tokio::time::timeout(time, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(TrialError::Hung(who)),
    }
}

/// How late this machine wakes an idle worker, over a second.
pub(super) async fn calibrate(program: &Path) -> Result<crate::result::Calibration, TrialError> {
    let mut worker = Link::start(program)?;
    worker.tell(&ToWorker::Calibrate { length: SECOND, core: cores::worker() }).await?;
    match within(GRACE, "worker", worker.hear()).await? {
        FromWorker::Calibrated(calibration) => Ok(calibration),
        _ => Err(TrialError::Hung("worker")),
    }
}
