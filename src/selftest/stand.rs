//! The test stand: runs a scenario here and now, with the oracle as its target.

use crate::accounting::{self, CaptureReport, NoCapture};
use crate::clock::Nanos;
use crate::cluster::{self, Halt, Progress, RunError, RunOptions};
use crate::plan::{self, Overrides, Plan};
use crate::result::{Document, ScenarioText, Trial};
use crate::scenario;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Trials that something else on the machine spoiled are run again, so often in all.
const TRIES: usize = 4;

/// Why a self-test can't go on.
#[derive(Debug, thiserror::Error)]
pub enum StandError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a scenario of the self-test is wrong, a defect of wsbench: {0}")]
    Scenario(String),
    #[error("interrupted")]
    Interrupted,
    #[error("{0}: the trial could not be run: {1}")]
    Failed(String, String),
}

/// Runs one scenario after the other.
#[derive(Debug)]
pub struct Stand {
    program: PathBuf,
    runtime: Runtime,
    /// True once someone interrupted the test.
    wanted: watch::Receiver<bool>,
    /// What an echo costs here at p99, by the arm's name, nanoseconds.
    pub floors: BTreeMap<&'static str, Nanos>,
}

impl Stand {
    /// `program`: this executable, for the children.
    pub fn new(program: PathBuf) -> io::Result<Stand> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (want, wanted) = watch::channel(false);
        let mut interrupt = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
        runtime.spawn(async move {
            while interrupt.recv().await.is_some() {
                let _ = want.send(true);
            }
        });
        Ok(Stand { program, runtime, wanted, floors: BTreeMap::new() })
    }

    /// Runs a scenario until the generator was undisturbed in all of its trials, or a few times; the last one counts.
    pub fn run(&mut self, text: &str) -> Result<Document, StandError> {
        let mut document = self.run_once(text, &mut |_| {})?;
        for _ in 1..TRIES {
            if trials(&document).all(|trial| trial.invalid.is_empty()) {
                break;
            }
            document = self.run_once(text, &mut |_| {})?;
        }
        Ok(document)
    }

    /// What an echo over `arm` costs here at p99; 0 if nobody looked.
    pub fn floor(&self, arm: &str) -> Nanos {
        self.floors.get(arm).copied().unwrap_or(0)
    }

    /// Runs a scenario where its packets can be captured, if that is permitted here.
    pub fn capture(&self, text: &str) -> Result<Result<CaptureReport, NoCapture>, StandError> {
        let captured = accounting::capture_run(&self.program, &plan(text)?);
        // What interrupts this process interrupts the one that captures, too.
        self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        if *self.wanted.borrow() { Err(StandError::Interrupted) } else { Ok(captured) }
    }

    /// Runs a scenario once, whatever comes of it.
    pub fn run_once(&mut self, text: &str, progress: &mut dyn FnMut(Progress)) -> Result<Document, StandError> {
        let plan = plan(text)?;
        let options = RunOptions {
            program: self.program.clone(),
            command_line: Vec::new(),
            scenario: ScenarioText { name: plan.name.clone(), ..ScenarioText::default() },
        };
        let run = cluster::run(&plan, &options, Halt::new(self.wanted.clone()), progress);
        let document = self.runtime.block_on(run)?;
        if document.partial { Err(StandError::Interrupted) } else { Ok(document) }
    }
}

fn plan(text: &str) -> Result<Plan, StandError> {
    let parsed = scenario::parse("selftest.toml", text).map_err(|error| wrong(&error))?;
    plan::build(&parsed, &Overrides::default()).map_err(|error| wrong(&error))
}

fn wrong(error: &impl ToString) -> StandError {
    StandError::Scenario(error.to_string())
}

fn trials(document: &Document) -> impl Iterator<Item = &Trial> {
    document.cells.iter().flat_map(|cell| &cell.trials)
}

/// The one trial of an arm.
pub fn trial<'a>(document: &'a Document, arm: &str) -> Result<&'a Trial, StandError> {
    let cell = document.cells.iter().find(|cell| cell.arm == arm);
    let trial = cell.and_then(|cell| cell.trials.first());
    let trial = trial.ok_or_else(|| StandError::Failed(arm.to_owned(), "it was not run".to_owned()))?;
    match &trial.failure {
        Some(failure) => Err(StandError::Failed(arm.to_owned(), failure.clone())),
        None => Ok(trial),
    }
}
