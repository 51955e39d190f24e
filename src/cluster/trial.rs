//! One trial, from its first process to its last: targets, workers, ramp, schedule, drain, and in `finish.rs` its reports.

use super::child::ChildError;
use super::coordinator::Halt;
use super::cores;
use super::crew::{Crew, Ready};
use super::fleet::{self, Fleet};
use super::host;
use super::kernel;
use super::kin;
use super::link::{FromWorker, Link, LinkError, Slice, ToWorker};
use super::loss::Loss;
use super::sockets;
use super::targets::Targets;
use super::usage::Meter;
use crate::bus::BusTraffic;
use crate::catalog::{Dialect, TargetUrl};
use crate::clock::{self, MILLI, Nanos, SECOND};
use crate::engine::Live;
use crate::measure::{Held, HistogramError, Outcome};
use crate::plan::{self, Cell, Embedded, FleetShortage, Processes, Share, Target, Workload};
use crate::result::{AgentPart, KernelMemory, TargetFacts, Usage};
use std::path::Path;
use std::time::Duration;

mod finish;

/// From the last session's opening to the schedule's start: for both ends to come to rest, and longer for each process.
const REST: Nanos = 20 * MILLI;
const REST_EACH: Nanos = 5 * MILLI;
/// What a process may take beyond what was planned before it counts as hung.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// And for each session that it has to count and close at the end.
const CLOSING: Duration = Duration::from_micros(500);
/// A machine may be so many times slower to connect than was asked, as long as every worker speaks.
const SLOWEST_RAMP: u32 = 10;
/// How often the system's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a trial needs to know beyond its cell.
pub(super) struct Assignment<'a> {
    pub program: &'a Path,
    pub cell: &'a Cell,
    pub embedded: Option<&'a Embedded>,
    pub run: u32,
    pub token: &'a str,
    pub interval: Nanos,
    /// The process below which the server stands that a command started, and whose usage is taken; `None`: nothing is known
    /// of it.
    pub keeper: Option<u32>,
    /// Who runs the workers; `None`: this machine.
    pub fleet: Option<&'a Fleet>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Tried {
    pub outcome: Outcome,
    pub generator: Usage,
    pub target: Option<TargetFacts>,
    pub kernel: Option<KernelMemory>,
    pub failure: Option<String>,
    /// Nothing is left of it, for a reason that isn't in `losses`.
    pub is_broken: bool,
    /// Processes that the others went on without.
    pub losses: Vec<Loss>,
    /// What each agent had of it.
    pub agents: Vec<AgentPart>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TrialError {
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Fleet(#[from] FleetShortage),
    /// A process can't do what it was told, or won't, and said why.
    #[error("{0}")]
    Reported(String),
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

/// Runs it. Never fails: what stopped it is in [`Tried::failure`].
pub(super) async fn attempt(order: &Assignment<'_>, halt: &mut Halt, live: &mut dyn FnMut(Live)) -> Tried {
    let tried = run(order, halt, live).await;
    if let Some(fleet) = order.fleet {
        fleet.end_trial();
    }
    match tried {
        Ok(tried) => tried,
        Err(error) => Tried {
            outcome: Outcome { order_tracked: true, ..Outcome::default() },
            generator: Usage::default(),
            target: None,
            kernel: None,
            failure: Some(error.to_string()),
            // Who refuses, and says why, has no defect.
            is_broken: !matches!(error, TrialError::Reported(_)),
            losses: Vec::new(),
            agents: Vec::new(),
        },
    }
}

async fn run(order: &Assignment<'_>, halt: &mut Halt, live: &mut dyn FnMut(Live)) -> Result<Tried, TrialError> {
    let (cell, token) = with_token_of_url(order);
    let order = &Assignment { cell: &cell, token: &token, ..*order };
    let descriptors = host::open_files_limit();
    let shares = order.fleet.map(|fleet| fleet.shares(order.cell)).transpose()?;
    let processes = match &shares {
        None => plan::processes(order.cell, descriptors),
        Some(shares) => Processes::of_fleet(order.cell, plan::total(shares), descriptors),
    };
    let targets = match (&order.cell.target, order.embedded) {
        (Target::Embedded, Some(embedded)) => Targets::start(order, embedded, &processes).await?,
        (Target::Embedded, None) => return Err(TrialError::Reported("the plan has no embedded target".into())),
        (Target::Url(_), _) => Targets::default(),
    };
    let kernel = kernel::Watch::before_connecting();
    let server = order.keeper.filter(|keeper| is_server_below(*keeper, order.cell)).map(Meter::of_kept);
    let slices = slices(order, &processes, &targets)?;
    let urls = slices.iter().filter_map(|(slice, _)| slice.url.parse().ok());
    let ports = urls.filter(|url: &TargetUrl| url.socket.is_none()).map(|url| url.port).collect();
    let (crew, before) = match (order.fleet, &shares) {
        (Some(fleet), Some(shares)) => {
            let before = shares.iter().map(|share| fleet.member(share.agent).traffic()).collect();
            fleet.begin_trial(shares, &processes);
            (Crew::hire(fleet, shares, slices).await, before)
        }
        _ => (Crew::start(order.program, slices).await?, Vec::new()),
    };
    let shares = shares.unwrap_or_default();
    let mut trial = Running {
        order,
        processes,
        ports,
        crew,
        targets,
        kernel,
        server,
        held: None,
        is_halted: false,
        is_given_up: false,
        shares,
        before,
    };
    let is_deserted = trial.drive(halt, live).await?;
    trial.finish(is_deserted).await
}

/// Whether it is the processes below `keeper` that are measured: a command may as well be the client of a server elsewhere,
/// as of a container, and its own usage says nothing then.
fn is_server_below(keeper: u32, cell: &Cell) -> bool {
    let Target::Url(url) = &cell.target else { return false };
    let pids: Vec<u32> = kin::below(keeper).iter().map(|stat| stat.pid).collect();
    sockets::is_served_by(&pids, url.port, cell.transport.kind())
}

/// A server elsewhere that speaks the wsbench dialect has a token of its own, which its URL brings.
fn with_token_of_url(order: &Assignment) -> (Cell, String) {
    let (mut cell, mut token) = (order.cell.clone(), order.token.to_owned());
    if let (Target::Url(url), Dialect::Wsbench) = (&mut cell.target, &cell.dialect) {
        token = url.take_token().unwrap_or(token);
    }
    (cell, token)
}

/// A share for each worker, and how many sessions are in it.
fn slices(order: &Assignment, processes: &Processes, targets: &Targets) -> Result<Vec<(Slice, u64)>, TrialError> {
    let workers = processes.workers;
    let cores = cores::workers(workers, processes.targets);
    let slice = |(worker, core): (u32, Option<usize>)| {
        let url = match &order.cell.target {
            Target::Url(url) => Some(url.to_string()),
            Target::Embedded => targets.url(worker, &order.cell.transport),
        };
        let values = plan::values_of_worker(order.cell, worker, workers);
        let slice = Slice {
            cell: Cell { values, ..order.cell.clone() },
            url: url.ok_or_else(|| TrialError::Reported("no embedded target was started".into()))?,
            certificate: targets.certificate(worker),
            token: order.token.to_owned(),
            run: order.run,
            interval: order.interval,
            worker,
            workers,
            sources: plan::sources(order.cell, worker, workers),
            // Agents know their own.
            core: core.filter(|_| order.fleet.is_none()),
        };
        Ok((slice, plan::sessions_of_worker(order.cell, worker, workers)))
    };
    (0..workers).zip(cores).map(slice).collect()
}

/// A trial whose processes have been started.
struct Running<'a> {
    order: &'a Assignment<'a>,
    processes: Processes,
    /// The targets'.
    ports: Vec<u16>,
    crew: Crew,
    targets: Targets,
    kernel: kernel::Watch,
    /// Of a server that a command started.
    server: Option<Meter>,
    held: Option<Held>,
    is_halted: bool,
    /// An agent was lost, and that is to end it.
    is_given_up: bool,
    /// Of the fleet, and what each had exchanged before with us, in the same order; empty where the workers are here.
    shares: Vec<Share>,
    before: Vec<BusTraffic>,
}

/// What may happen next.
enum Event {
    Worker(usize, FromWorker),
    WorkerGone(usize, LinkError),
    TargetGone(usize, ChildError),
    Halted,
    Overdue,
    Look,
    Over,
}

impl Running<'_> {
    /// From the ramp to the last worker's outcome; true if nobody was there once all had been tried.
    async fn drive(&mut self, halt: &mut Halt, live: &mut dyn FnMut(Live)) -> Result<bool, TrialError> {
        let began = clock::now();
        let ramp = ramp_time(self.order.cell) + GRACE + self.patience();
        let mut deadline = after(ramp);
        let (mut is_ramping, mut is_deserted) = (true, false);
        let mut look = tokio::time::interval(LOOK_EVERY);
        while !self.crew.is_over() {
            let event = tokio::select! {
                // What was said counts before how long ago it was.
                biased;
                heard = self.crew.hear() => match heard {
                    Some(Ok((index, message))) => Event::Worker(index, message),
                    Some(Err((index, error))) => Event::WorkerGone(index, error),
                    None => Event::Over,
                },
                (index, error) = self.targets.watch() => Event::TargetGone(index, error),
                () = halt.wait(), if !self.is_halted => Event::Halted,
                () = until(deadline) => Event::Overdue,
                _ = look.tick() => Event::Look,
            };
            match event {
                Event::Worker(index, FromWorker::Failed { problem }) if is_ramping => {
                    // What one can't do at all, no other can.
                    return Err(TrialError::Reported(self.crew.told_by(index, problem)));
                }
                Event::Worker(index, message) => self.heard(index, message, live).await,
                Event::WorkerGone(index, error) => self.crew.lose(index, error).await,
                Event::TargetGone(index, error) => self.targets.lose(index, error).await,
                Event::Halted => {
                    self.is_halted = true;
                    deadline = self.stop().await;
                }
                Event::Overdue => {
                    let now = clock::now();
                    let is_slow = now < began.saturating_add(nanos(ramp * SLOWEST_RAMP));
                    match (is_ramping && !self.is_ending(), is_slow) {
                        (true, true) => self.crew.lose_silent(now.saturating_sub(nanos(GRACE))).await,
                        (true, false) => self.crew.lose_unready().await,
                        (false, _) => self.crew.lose_all().await,
                    }
                    deadline = after(GRACE);
                }
                Event::Look => self.kernel.look(),
                Event::Over => {}
            }
            if self.crew.has_lost_agent() && !self.is_ending() && self.order.fleet.is_some_and(Fleet::ends_by_a_loss) {
                self.is_given_up = true;
                deadline = self.stop().await;
            }
            let ready = self.crew.all_ready().filter(|_| is_ramping && !self.is_ending() && !self.crew.is_over());
            if let Some(ready) = ready {
                is_ramping = false;
                is_deserted = !self.begin(ready).await;
                let planned = if is_deserted { Duration::ZERO } else { planned(self.order.cell) };
                deadline = after(planned + self.grace());
            }
        }
        Ok(is_deserted)
    }

    /// Whether it is being ended before its time.
    fn is_ending(&self) -> bool {
        self.is_halted || self.is_given_up
    }

    /// Has everyone who is left drain and report; by when they must have.
    async fn stop(&mut self) -> Nanos {
        self.crew.tell(&ToWorker::Stop).await;
        after(self.order.cell.load.drain.0 + self.grace())
    }

    async fn heard(&mut self, index: usize, message: FromWorker, live: &mut dyn FnMut(Live)) {
        match message {
            FromWorker::Ready { open, connections } => self.crew.is_ready(index, Ready { open, connections }),
            FromWorker::Live(now) => live(self.crew.is_doing(index, now)),
            FromWorker::Done { outcome, usage } => self.crew.is_done(index, outcome, usage),
            FromWorker::Failed { problem } => self.crew.gave_up(index, problem).await,
            FromWorker::Calibrated(_) => {}
        }
    }

    /// Everyone has tried all its sessions: the schedule starts, at one instant for all. False if nobody is there, and
    /// everyone was told to end.
    async fn begin(&mut self, ready: Ready) -> bool {
        let is_ramped = !matches!(self.order.cell.workload, Workload::Connect { .. });
        self.kernel.ramped();
        if is_ramped {
            // Read here and not in the workers, whose memory is measured.
            let kernel = sockets::connected(&self.crew.pids(), &self.ports, self.order.cell.transport.kind());
            // Those of Unix sockets are in other tables.
            let is_whole = self.crew.losses.is_empty() && self.order.fleet.is_none();
            let kernel = kernel.filter(|_| is_whole && !self.order.cell.target.is_unix());
            self.held = Some(Held { counted: ready.connections, kernel });
        }
        if ready.open == 0 && is_ramped {
            self.crew.tell(&ToWorker::Stop).await;
            return false;
        }
        if let Some(server) = &mut self.server {
            server.start();
        }
        if let Some(fleet) = self.order.fleet {
            fleet.in_touch().await;
        }
        let others = u64::from(self.processes.workers + self.processes.targets).saturating_sub(2);
        let lead = self.order.fleet.map_or(0, Fleet::lead);
        let at = clock::now() + lead + REST + REST_EACH * others;
        self.targets.begin(self.order, &self.processes, at).await;
        self.crew.tell(&ToWorker::Start { at }).await;
        true
    }

    /// What a worker may take beyond what was planned, the closing of its sessions included.
    fn grace(&self) -> Duration {
        GRACE + self.patience() + CLOSING * self.order.cell.load.sessions
    }

    /// And beyond that, where it is over a bus that it says when it is done.
    fn patience(&self) -> Duration {
        let fleet = self.order.fleet.map_or(0, |fleet| fleet::GRACE + fleet.lead());
        Duration::from_nanos(fleet)
    }
}

/// The instant that is `time` from now.
fn after(time: Duration) -> Nanos {
    clock::now().saturating_add(nanos(time))
}

fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}

async fn until(instant: Nanos) {
    tokio::time::sleep(Duration::from_nanos(instant.saturating_sub(clock::now()))).await;
}

fn ramp_time(cell: &Cell) -> Duration {
    let ramp = f64::from(cell.load.sessions) / cell.load.connect_rate.per_second();
    Duration::from_secs_f64(ramp.min(86_400.0)) + cell.load.connect_timeout.0
}

fn planned(cell: &Cell) -> Duration {
    cell.load.warmup.0 + cell.load.duration.0 + cell.load.drain.0
}

pub(super) async fn within<T, E: From<ChildError>>(
    time: Duration,
    who: &'static str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(time, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(ChildError::Hung { name: who }.into()),
    }
}

/// How late this machine wakes an idle worker, over a second.
pub(super) async fn calibrate(program: &Path) -> Result<crate::result::Calibration, TrialError> {
    let mut worker = Link::start(program)?;
    let core = cores::workers(1, 1).into_iter().next().flatten();
    worker.tell(ToWorker::Calibrate { length: SECOND, core }).await?;
    match within(GRACE, Link::NAME, worker.hear()).await? {
        FromWorker::Calibrated(calibration) => Ok(calibration),
        _ => Err(TrialError::Child(ChildError::Hung { name: Link::NAME })),
    }
}
