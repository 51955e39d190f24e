//! The target as a process: orders by standard input, or on its own until interrupted.

use super::server::{Target, TargetError};
use super::{Config, Order, Ports, Reply, Report};
use crate::catalog::Pem;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io::{self, BufRead, BufReader, Write};
use std::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Orders that may wait to be obeyed.
const ORDERS: usize = 16;

/// Runs as the coordinator's child: [`converse`] on standard input and output, and dies with the parent.
pub fn controlled() -> Result<(), TargetError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)?;
    converse(BufReader::new(io::stdin()), &mut io::stdout())
}

/// Reads a [`Config`] and then [`Order`]s, a line of JSON each; answers with [`Reply::Ready`], and when stopped (by
/// order, or by the end of `input`) with [`Reply::Report`]. What goes wrong is told by [`Reply::Failed`] and returned.
pub fn converse(input: impl BufRead + Send + 'static, output: &mut dyn Write) -> Result<(), TargetError> {
    let served = serve_orders(input, output);
    if let Err(error) = &served {
        reply(output, &Reply::Failed { problem: error.to_string() })?;
    }
    served
}

fn serve_orders(input: impl BufRead + Send + 'static, output: &mut dyn Write) -> Result<(), TargetError> {
    let mut lines = input.lines();
    let config: Config =
        serde_json::from_str(&lines.next().ok_or(TargetError::NoConfig)??).map_err(TargetError::Config)?;
    let runtime = runtime(&config)?;
    let (order, orders) = mpsc::channel(ORDERS);
    let (problem, problems) = std::sync::mpsc::channel();
    let report = runtime.block_on(async {
        let target = Target::bind(&config)?;
        reply(output, &Reply::Ready { ports: target.ports(), certificate: target.certificate() })?;
        // A thread of its own, not tokio's: that one's pending read would keep the runtime from ending.
        thread::spawn(move || forward(lines, &order, &problem));
        target.run(orders).await
    })?;
    if let Ok(error) = problems.try_recv() {
        return Err(error);
    }
    Ok(reply(output, &Reply::Report(Box::new(report)))?)
}

/// Passes on orders until there are no more, or until one can't be read; the channel closing is what stops the target.
fn forward(
    lines: impl Iterator<Item = io::Result<String>>,
    to: &mpsc::Sender<Order>,
    problem: &std::sync::mpsc::Sender<TargetError>,
) {
    for line in lines {
        let order = line.map_err(TargetError::Io).and_then(|l| serde_json::from_str(&l).map_err(TargetError::Order));
        let stopped = match order {
            Ok(order) => to.blocking_send(order).is_err(),
            Err(error) => {
                // Where nobody listens any more it doesn't matter.
                _ = problem.send(error);
                true
            }
        };
        if stopped {
            return;
        }
    }
}

fn reply(output: &mut dyn Write, reply: &Reply) -> io::Result<()> {
    serde_json::to_writer(&mut *output, reply)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// Runs until interrupted (Ctrl-C) and returns what was seen; `on_ready` is told the ports, and by which certificate clients know
/// the target where it speaks TLS.
pub fn standalone(
    config: &Config,
    on_ready: impl FnOnce(Ports, Option<Pem>) -> io::Result<()>,
) -> Result<Report, TargetError> {
    runtime(config)?.block_on(async {
        let target = Target::bind(config)?;
        // Listened for before anyone is told, so that no interrupt finds the target unprepared.
        let mut interrupt = signal(SignalKind::interrupt())?;
        on_ready(target.ports(), target.certificate())?;
        let (stop, orders) = mpsc::channel(ORDERS);
        tokio::spawn(async move {
            interrupt.recv().await;
            drop(stop);
        });
        target.run(orders).await
    })
}

/// A runtime on this thread, which is bound to the core that the configuration names.
fn runtime(config: &Config) -> Result<Runtime, TargetError> {
    if let Some(core) = config.core {
        let mut cores = CpuSet::new();
        cores
            .set(core)
            .and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores))
            .map_err(|error| TargetError::Pin { core, source: error.into() })?;
    }
    Ok(Builder::new_current_thread().enable_all().build()?)
}
