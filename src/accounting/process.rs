//! The child process in which a captured run takes place, and its parent.

use super::capture::Capture;
use super::flows::{Captured, tally};
use super::namespace;
use super::report::{CaptureReport, CellCapture};
use crate::catalog::{HttpVersion, TransportKind};
use crate::cluster::{self, Halt, Progress, RunOptions};
use crate::plan::{Plan, Target, Workload};
use crate::result::{ScenarioText, Trial};
use nix::sys::{prctl, signal::Signal};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use tokio::sync::watch;

/// A run that was not captured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NoCapture {
    /// This system, or this plan, doesn't let it be.
    #[error("skipped: {0}")]
    Skipped(String),
    #[error("the captured run failed: {0}")]
    Failed(String),
}

/// Runs `plan` against its embedded target in a private network, in a child process of `program` (this program), and
/// captures every packet. Blocks until it is over. Sessions and their connections have to stay until the end of a trial, so
/// a connect workload and connections that are not kept alive are skipped; so is HTTP/2, whose sessions settle the connection
/// while they join.
pub fn capture_run(program: &Path, plan: &Plan) -> Result<CaptureReport, NoCapture> {
    if let Some(reason) = unfit(plan) {
        return Err(NoCapture::Skipped(reason));
    }
    let failed = |error: &dyn std::fmt::Display| NoCapture::Failed(error.to_string());
    let order = serde_json::to_vec(plan).map_err(|e| failed(&e))?;
    let mut child = Command::new(program)
        .arg("capture")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| failed(&e))?;
    // Dropped at once: the end of its input tells the child that this is all.
    let told = child.stdin.take().map(|mut input| input.write_all(&order));
    let output = child.wait_with_output().map_err(|e| failed(&e))?;
    match (told, serde_json::from_slice::<Result<CaptureReport, NoCapture>>(&output.stdout)) {
        (Some(Ok(())), Ok(answer)) => answer,
        _ => Err(NoCapture::Failed(format!("its process ended without an answer ({})", output.status))),
    }
}

/// What in this plan the phases of a capture don't fit.
fn unfit(plan: &Plan) -> Option<String> {
    plan.cells.iter().find_map(|cell| {
        let is_two = cell.transport.http() == Some(HttpVersion::Two);
        let reason = match (&cell.target, &cell.workload, cell.transport.keeps_alive()) {
            _ if is_two => "where joining ends by HTTP/2 can't be told from its packets",
            (Target::Url(_), ..) => "its target is elsewhere",
            (_, Workload::Connect { .. }, _) => "its sessions come and go",
            (.., false) => "its connections don't last",
            _ if cell.tls.is_some() => "under TLS nobody sees from outside where joining ends",
            _ => return None,
        };
        Some(format!("arm {}: {reason}", cell.arm))
    })
}

/// The life of the child: reads a plan on standard input, writes the answer on standard output. Must be called while the
/// process has one thread.
pub fn work() -> io::Result<()> {
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let mut order = Vec::new();
    io::stdin().read_to_end(&mut order)?;
    let plan: Plan = serde_json::from_slice(&order).map_err(io::Error::other)?;
    let answer = captured(&plan);
    let mut output = io::stdout();
    output.write_all(&serde_json::to_vec(&answer).map_err(io::Error::other)?)?;
    output.flush()
}

fn captured(plan: &Plan) -> Result<CaptureReport, NoCapture> {
    namespace::enter().map_err(NoCapture::Skipped)?;
    let capture = Capture::start()
        .map_err(|error| NoCapture::Skipped(format!("packets can't be captured on this system ({error})")))?;
    let failed = |error: &dyn std::fmt::Display| NoCapture::Failed(error.to_string());
    let options = RunOptions {
        program: std::env::current_exe().map_err(|e| failed(&e))?,
        command_line: Vec::new(),
        scenario: ScenarioText::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed(&e))?;
    let (_nobody_halts_it, wanted) = watch::channel(false);
    let mut cells = Vec::new();
    let mut progress = |progress: Progress| {
        if let Progress::TrialEnded { arm, trial, document } = progress {
            let cell = document.cells.iter().find(|cell| cell.arm == arm);
            cells.push(cell.map(|cell| one(&capture, arm, &cell.transport, trial)));
        }
    };
    runtime.block_on(cluster::run(plan, &options, Halt::new(wanted), &mut progress)).map_err(|e| failed(&e))?;
    let cells = cells.into_iter().flatten().collect::<io::Result<Vec<_>>>().map_err(|e| failed(&e))?;
    Ok(CaptureReport { cells })
}

/// The trial that has just ended.
fn one(capture: &Capture, arm: &str, transport: &str, trial: &Trial) -> io::Result<CellCapture> {
    let batch = capture.take()?;
    let kind: TransportKind = transport.parse().map_err(|()| io::Error::other("a transport that nobody knows"))?;
    Ok(CellCapture {
        arm: arm.to_owned(),
        transport: transport.to_owned(),
        captured: Captured { dropped: batch.dropped, ..tally(&batch.packets, kind) },
        counted: trial.outcome.traffic,
        failure: trial.failure.clone(),
    })
}
