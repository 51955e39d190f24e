//! The worker process: one single-threaded runtime, one share of one trial, then it ends.

use super::cores;
use super::link::{FromWorker, Slice, ToWorker};
use super::usage::Meter;
use crate::catalog::TargetUrl;
use crate::clock::{self, Alarm, MILLI, Nanos};
use crate::engine::{Drive, Setup};
use crate::measure::Histogram;
use crate::plan::{FirstMessage, Load, Workload};
use crate::reactor::Reactor;
use crate::result::Calibration;
use crate::schedule::Window;
use crate::transport::{self, Endpoint, Sources, Tls};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin, Stdout};
use tokio::task::LocalSet;

/// How often a running worker says how it is doing, and how much longer with each other one: all of them are heard by one.
const LIVE_EVERY: Duration = Duration::from_millis(200);
const LIVE_EVERY_EACH: Duration = Duration::from_millis(20);
const LIVE_AT_LEAST: Duration = Duration::from_secs(2);
/// How often a worker looks whether its ramp is over, and how much longer with each other one, which may have its core.
const RAMP_EVERY_EACH: Duration = Duration::from_millis(2);
/// Most bytes that may wait to be sent on one session.
const OUTBOX: usize = 1 << 20;

/// The life of a worker process: hears its slice on standard input, says its outcome on standard output.
pub fn work() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut pipe = Pipe { lines: BufReader::new(tokio::io::stdin()).lines(), output: tokio::io::stdout() };
        if let Err(error) = obey(&mut pipe).await {
            pipe.tell(&FromWorker::Failed { problem: error.to_string() }).await?;
        }
        Ok(())
    })
}

struct Pipe {
    lines: Lines<BufReader<Stdin>>,
    output: Stdout,
}

impl Pipe {
    /// `None`: the coordinator is gone. Safe to cancel.
    async fn hear(&mut self) -> io::Result<Option<ToWorker>> {
        match self.lines.next_line().await? {
            None => Ok(None),
            Some(line) => serde_json::from_str(&line).map(Some).map_err(io::Error::other),
        }
    }

    async fn tell(&mut self, message: &FromWorker) -> io::Result<()> {
        let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
        line.push(b'\n');
        self.output.write_all(&line).await?;
        self.output.flush().await
    }
}

async fn obey(pipe: &mut Pipe) -> io::Result<()> {
    while let Some(order) = pipe.hear().await? {
        match order {
            ToWorker::Calibrate { length, core } => {
                settle_on_core(core);
                let calibration = calibrate(length).await?;
                pipe.tell(&FromWorker::Calibrated(calibration)).await?;
            }
            ToWorker::Prepare(slice) => return run_slice(*slice, pipe).await,
            ToWorker::Start { .. } | ToWorker::Stop => {}
        }
    }
    Ok(())
}

/// How late an idle worker wakes on this machine, by a due instant each millisecond.
async fn calibrate(length: Nanos) -> io::Result<Calibration> {
    let alarm = Alarm::new()?;
    let mut lateness = Histogram::default();
    let start = clock::now() + MILLI;
    for tick in 0..length / MILLI {
        let due = start + tick * MILLI;
        alarm.sleep_until(due).await?;
        lateness.record(clock::now() - due);
    }
    Ok(Calibration { lateness_p50: lateness.at(0.5), lateness_p99: lateness.at(0.99), samples: lateness.count() })
}

async fn run_slice(slice: Slice, pipe: &mut Pipe) -> io::Result<()> {
    settle_on_core(slice.core);
    let load = slice.cell.load.clone();
    let live_every = (LIVE_EVERY + LIVE_EVERY_EACH * slice.workers.saturating_sub(1)).min(LIVE_AT_LEAST);
    let mut meter = Meter::before_connecting(None);
    let (endpoint, resolve) = match endpoint(&slice).await {
        Ok(found) => found,
        Err(failure) => return pipe.tell(&FromWorker::Failed { problem: failure.to_string() }).await,
    };
    let setup = Setup {
        cell: slice.cell,
        run: slice.run,
        interval: slice.interval,
        worker: slice.worker,
        workers: slice.workers,
    };
    let drive = Drive::new(setup, Rc::new(endpoint), Some(resolve));
    let finished = attend(&drive, &load, (live_every, RAMP_EVERY_EACH * slice.workers), &mut meter, pipe).await?;
    if finished {
        let usage = meter.read();
        let outcome = Box::new(drive.finish().await);
        pipe.tell(&FromWorker::Done { outcome, usage }).await?;
    }
    Ok(())
}

/// Pumps the engine while listening to the coordinator; `false`: the coordinator is gone.
async fn attend(
    drive: &Rc<Drive>,
    load: &Load,
    (live_every, ramp_every): (Duration, Duration),
    meter: &mut Meter,
    pipe: &mut Pipe,
) -> io::Result<bool> {
    let pump = drive.pump();
    tokio::pin!(pump);
    let mut is_ready = false;
    let mut live = tokio::time::interval(live_every);
    let mut ramp = tokio::time::interval(ramp_every);
    loop {
        tokio::select! {
            pumped = &mut pump => return pumped.map(|()| true),
            order = pipe.hear() => match order? {
                Some(ToWorker::Start { at }) => {
                    meter.start();
                    drive.start(window(load, at));
                }
                Some(ToWorker::Stop) => drive.stop(),
                Some(ToWorker::Calibrate { .. } | ToWorker::Prepare(_)) => {}
                None => return Ok(false),
            },
            _ = live.tick() => pipe.tell(&FromWorker::Live(drive.live())).await?,
            _ = ramp.tick(), if !is_ready => {
                if drive.is_ramped() {
                    is_ready = true;
                    let (open, connections) = (drive.open_sessions(), drive.open_connections());
                    pipe.tell(&FromWorker::Ready { open, connections }).await?;
                }
            }
        }
    }
}

fn window(load: &Load, start: Nanos) -> Window {
    let measure_from = start + load.warmup.nanos();
    let measure_to = measure_from + load.duration.nanos();
    Window { start, measure_from, measure_to, drain_to: measure_to + load.drain.nanos() }
}

/// Resolves the target once, for all sessions; also says how long that took.
async fn endpoint(slice: &Slice) -> Result<(Endpoint, Nanos), transport::Failure> {
    let cell = &slice.cell;
    let url: TargetUrl =
        slice.url.parse().map_err(|e| transport::Failure::new(transport::ErrorClass::Resolve, format!("{e}")))?;
    let (address, resolve) = match &url.socket {
        Some(file) => (transport::address_of_socket(file)?, 0),
        None => {
            let (address, resolve) = transport::resolve(&url.host, url.port, &slice.sources).await?;
            (address.into(), resolve)
        }
    };
    let tls = cell.tls.as_ref().map(|tls| Tls::new(tls, &url.host, slice.certificate.as_ref())).transpose()?;
    let payload = cell.workload.payload();
    let endpoint = Endpoint {
        address,
        authority: url.authority(),
        tls,
        transport: cell.transport.clone(),
        dialect: cell.dialect.clone(),
        format: payload.format,
        fixed_size: payload.range().0 as usize,
        token: slice.token.clone(),
        connect_timeout: cell.load.connect_timeout.0,
        publishes: match cell.workload {
            Workload::Echo { .. } | Workload::Chat { .. } => true,
            Workload::Connect { first, .. } => first == FirstMessage::Echo,
            // At a URL only the publishers do, and theirs can open at the first event.
            Workload::Push { .. } => false,
        },
        outbox_limit: OUTBOX,
        agreements: transport::Agreements::default(),
        reactor: Reactor::start()?,
        sources: Sources::new(slice.sources.clone()),
    };
    Ok((endpoint, resolve))
}

/// Binds this process to its core, asks for precise wake-ups, and makes sure that it dies with the coordinator.
fn settle_on_core(core: Option<usize>) {
    use nix::sys::{prctl, signal::Signal};
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let _ = prctl::set_timerslack(1);
    cores::bind(core);
}
