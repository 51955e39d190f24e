//! The embedded target's processes: as many as its descriptors need. Worker `w` speaks to target `w mod targets`, so that
//! every room and topic lives whole on one of them.

use super::child::{Child, ChildError};
use super::cores;
use super::loss::{Loss, Role};
use super::trial::{Assignment, GRACE, TrialError, within};
use super::usage::Meter;
use crate::catalog::{Pem, Transport};
use crate::clock::Nanos;
use crate::plan::{Embedded, Processes, Workload};
use crate::result::{TargetFacts, Usage};
use crate::target::{Config, Order, Part, Ports, Push, Reply, Report, Tls};
use futures_util::future::{join_all, select_all};
use std::net::{IpAddr, SocketAddr};

/// All target processes of one trial; none at a URL.
#[derive(Default)]
pub(super) struct Targets {
    processes: Vec<TargetProcess>,
    pub losses: Vec<Loss>,
    /// That they share.
    cores: u64,
    /// Where they listen; `None`: there are none.
    listen: Option<IpAddr>,
}

struct TargetProcess {
    /// `None` once it is lost.
    child: Option<Child>,
    ports: Ports,
    /// `None`: it speaks no TLS.
    certificate: Option<Pem>,
    meter: Meter,
    /// That speak to it.
    sessions: u64,
}

const NAME: &str = "embedded target";

impl Targets {
    pub(super) async fn start(
        order: &Assignment<'_>,
        embedded: &Embedded,
        processes: &Processes,
    ) -> Result<Targets, TrialError> {
        let cores = cores::targets(processes.targets, processes.workers);
        let used = cores::used(&cores);
        let starting = cores.into_iter().zip(0..).map(|(core, index)| {
            let sessions = processes.sessions_at_target(order.cell, index);
            TargetProcess::start(order, embedded, core, sessions)
        });
        let started: Result<Vec<TargetProcess>, TrialError> = join_all(starting).await.into_iter().collect();
        let listen = Some(order.cell.network.listen);
        Ok(Targets { processes: started?, losses: Vec::new(), cores: used, listen })
    }

    /// Where worker `worker` finds its target.
    pub(super) fn url(&self, worker: u32, transport: &Transport) -> Option<String> {
        let process = self.of_worker(worker)?;
        let address = SocketAddr::new(self.listen?, process.ports.of(transport));
        Some(format!("{}://{address}", transport.kind().scheme(process.certificate.is_some())))
    }

    /// The certificate by which worker `worker` knows its target, where that speaks TLS.
    pub(super) fn certificate(&self, worker: u32) -> Option<Pem> {
        self.of_worker(worker)?.certificate.clone()
    }

    fn of_worker(&self, worker: u32) -> Option<&TargetProcess> {
        self.processes.get(worker as usize % self.processes.len().max(1))
    }

    /// Until a target dies, or says that it can't go on; which, and why. Safe to cancel.
    pub(super) async fn watch(&mut self) -> (usize, ChildError) {
        let watching = self.processes.iter_mut().enumerate().filter_map(|(index, process)| {
            let child = process.child.as_mut()?;
            Some(Box::pin(async move {
                let error = match child.next::<Reply>().await {
                    Ok(Reply::Failed { problem }) => child.gave_up(problem),
                    Ok(_) => child.gave_up("it spoke out of turn".to_owned()),
                    Err(error) => error,
                };
                (index, error)
            }))
        });
        let watching: Vec<_> = watching.collect();
        match watching.is_empty() {
            true => std::future::pending().await,
            false => select_all(watching).await.0,
        }
    }

    /// Gives a target up, with what it said last.
    pub(super) async fn lose(&mut self, index: usize, error: ChildError) {
        let of = self.processes.len() as u32;
        let process = &mut self.processes[index];
        let Some(mut child) = process.child.take() else { return };
        let words = child.last_words(error).await.to_string();
        self.losses.push(Loss { role: Role::Target, index: index as u32, of, sessions: process.sessions, words });
    }

    /// The schedule starts at `at`; with push, the targets are the ones to follow it, each on the topics that live on it.
    pub(super) async fn begin(&mut self, order: &Assignment<'_>, processes: &Processes, at: Nanos) {
        for index in 0..self.processes.len() {
            let part = Part { workers: processes.workers, target: index as u32, targets: processes.targets };
            self.processes[index].meter.start();
            let (Some(push), Some(child)) = (push(order, at, part), self.processes[index].child.as_mut()) else {
                continue;
            };
            if let Err(error) = child.tell(&Order::Push(push)).await {
                self.lose(index, error).await;
            }
        }
    }

    /// Ends them all; what those that were left saw, summed. `None`: there was none left.
    pub(super) async fn stop(&mut self) -> Result<Option<TargetFacts>, TrialError> {
        let stopping = self.processes.iter_mut().map(TargetProcess::stop);
        let stopped = join_all(stopping).await;
        let mut sum: Option<TargetFacts> = None;
        for (index, stopped) in stopped.into_iter().enumerate() {
            match stopped {
                Ok(None) => {}
                Ok(Some(facts)) => match &mut sum {
                    Some(sum) => sum.merge(&facts),
                    None => sum = Some(facts),
                },
                Err(TrialError::Child(error)) => self.lose(index, error).await,
                Err(error) => return Err(error),
            }
        }
        if let Some(sum) = &mut sum {
            sum.usage.cores = self.cores;
        }
        Ok(sum)
    }
}

impl TargetProcess {
    async fn start(
        order: &Assignment<'_>,
        embedded: &Embedded,
        core: Option<usize>,
        sessions: u64,
    ) -> Result<TargetProcess, TrialError> {
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
            bind: order.cell.network.listen,
            ports: Ports::default(),
            token: Some(order.token.to_owned()),
            engine: embedded.engine,
            delay: order.cell.network.delay,
            nodelay,
            hold: embedded.hold,
            echo_self: !matches!(order.cell.workload, Workload::Chat { echo_self: false, .. }),
            core,
            oracle: embedded.oracle.clone(),
            tls: order.cell.tls.as_ref().map(|tls| Tls { resumption: tls.resumption }),
        };
        let mut child = Child::start(order.program, "target", NAME)?;
        child.tell(&config).await?;
        match within(GRACE, NAME, child.hear()).await? {
            Reply::Ready { ports, certificate } => {
                let meter = Meter::before_connecting(child.pid());
                Ok(TargetProcess { child: Some(child), ports, certificate, meter, sessions })
            }
            Reply::Failed { problem } => Err(TrialError::Reported(format!("the embedded target: {problem}"))),
            Reply::Report(_) => Err(TrialError::Child(ChildError::Hung { name: NAME })),
        }
    }

    /// `None`: it was lost before.
    async fn stop(&mut self) -> Result<Option<TargetFacts>, TrialError> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let usage = self.meter.read();
        child.tell(&Order::Stop).await?;
        match within(GRACE, NAME, child.hear()).await? {
            Reply::Report(report) => Ok(Some(facts(usage, *report))),
            Reply::Failed { problem } => Err(TrialError::Child(child.gave_up(problem))),
            Reply::Ready { .. } => Err(TrialError::Child(ChildError::Hung { name: NAME })),
        }
    }
}

/// What a target originates in a push workload.
fn push(order: &Assignment<'_>, at: Nanos, part: Part) -> Option<Push> {
    let Workload::Push { payload, topics } = &order.cell.workload else { return None };
    let load = &order.cell.load;
    let warmup = load.warmup.nanos();
    Some(Push {
        schedule: load.schedule.clone(),
        start: at,
        run: order.run,
        topics: *topics,
        part,
        payload: payload.clone(),
        seed: load.schedule.seed,
        measure: (warmup, warmup + load.duration.nanos()),
    })
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
