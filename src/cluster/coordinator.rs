//! Runs every trial of a plan, in blocks: each arm once per block, in an order drawn from the seed.

use super::child::ChildError;
use super::document;
use super::loss;
use super::ping;
use super::trial::{self, Assignment, Tried};
use crate::clock::{self, Nanos};
use crate::engine::Live;
use crate::plan::{Plan, Target};
use crate::result::{Calibration, Document, Evidence, Finding, LoadFacts, NetworkFloor, ScenarioText, Trial, judge};
use crate::seed;
use crate::verdict::thresholds;
use std::path::PathBuf;
use tokio::sync::watch;

/// What a run needs beyond its plan.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// This program; children are started from it.
    pub program: PathBuf,
    /// As typed, secrets redacted.
    pub command_line: Vec<String>,
    /// Secrets redacted.
    pub scenario: ScenarioText,
}

/// What happens while a run goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    Calibrating,
    TrialStarted {
        arm: &'a str,
        number: u32,
        of: u32,
    },
    Live {
        arm: &'a str,
        live: Live,
    },
    /// The document holds everything measured so far: the moment to save it.
    TrialEnded {
        arm: &'a str,
        trial: &'a Trial,
        document: &'a Document,
    },
}

/// Becomes true when someone wants the run to end, in order.
#[derive(Debug, Clone)]
pub struct Halt(watch::Receiver<bool>);

impl Halt {
    pub fn new(wanted: watch::Receiver<bool>) -> Halt {
        Halt(wanted)
    }

    pub(super) fn is_wanted(&self) -> bool {
        *self.0.borrow()
    }

    /// Until it is wanted; forever, if nobody can want it any more.
    pub(super) async fn wait(&mut self) {
        if self.0.wait_for(|wanted| *wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A run that couldn't begin.
#[derive(Debug, thiserror::Error)]
#[error("the run could not begin: {0}")]
pub struct RunError(#[from] ChildError);

/// Runs `plan` to its end or to `halt`; tells `progress` what happens. The document is complete in either case.
pub async fn run(
    plan: &Plan,
    options: &RunOptions,
    mut halt: Halt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Document, RunError> {
    let began = clock::now();
    let mut document = document::begin(plan, options);
    progress(Progress::Calibrating);
    document.calibration = trial::calibrate(&options.program).await.ok();
    document.network_floor = floors(plan, &halt).await;
    let of = plan.trials * plan.cells.len() as u32;
    let token = format!("{:016x}", rand::random::<u64>());
    let mut number = 0;
    // What is saved while the run goes on may be all that is left of it.
    let mut is_cut_short = false;
    document.partial = true;
    'run: for block in 0..plan.trials {
        let order = seed::shuffled(seed::mix(plan.seed, u64::from(block)), plan.cells.len());
        for (place, index) in order.into_iter().enumerate() {
            if halt.is_wanted() {
                is_cut_short = true;
                break;
            }
            number += 1;
            let cell = &plan.cells[index as usize];
            progress(Progress::TrialStarted { arm: &cell.arm, number, of });
            let started = clock::now() - began;
            let assignment = Assignment {
                program: &options.program,
                cell,
                embedded: plan.embedded.as_ref(),
                run: seed::mix(plan.seed, (u64::from(number) << 32) | rand::random::<u64>() >> 32) as u32,
                token: &token,
                interval: plan.output.interval.nanos(),
                keeper: None,
            };
            let tried = trial::attempt(&assignment, &mut halt, &mut |live| {
                progress(Progress::Live { arm: &cell.arm, live });
            })
            .await;
            is_cut_short |= tried.outcome.interrupted || !tried.losses.is_empty();
            let place = Place { block, place: place as u32, started };
            let facts = &mut document.cells[index as usize];
            let trial = judged(tried, &place, &facts.load, document.calibration.as_ref());
            facts.trials.push(trial.clone());
            document::touch(&mut document);
            document.aborted = thresholds::abort(&document).filter(|_| number < of);
            progress(Progress::TrialEnded { arm: &cell.arm, trial: &trial, document: &document });
            if document.aborted.is_some() {
                break 'run;
            }
        }
    }
    document.partial = is_cut_short;
    Ok(document)
}

/// The floor of the network for each host that a target is on.
pub(super) async fn floors(plan: &Plan, halt: &Halt) -> Vec<NetworkFloor> {
    let mut floors: Vec<NetworkFloor> = Vec::new();
    for cell in &plan.cells {
        if halt.is_wanted() {
            break;
        }
        let host = match &cell.target {
            Target::Embedded => cell.network.listen.to_string(),
            Target::Url(url) if url.socket.is_some() => continue,
            Target::Url(url) => url.host.clone(),
        };
        if floors.iter().all(|floor| floor.host != host) {
            floors.push(ping::floor(&host).await);
        }
    }
    floors
}

/// When a trial ran, among all of them.
pub(super) struct Place {
    pub block: u32,
    pub place: u32,
    pub started: Nanos,
}

/// What was tried, and whether its figures can be trusted.
pub(super) fn judged(tried: Tried, place: &Place, load: &LoadFacts, calibration: Option<&Calibration>) -> Trial {
    let judgement = judge(&Evidence {
        outcome: &tried.outcome,
        generator: &tried.generator,
        target: tried.target.as_ref(),
        load,
        calibration,
        agents: &[],
        absent: &[],
    });
    let broken = tried.failure.as_ref().filter(|_| tried.is_broken).map(|failure| Finding {
        code: "broken-off".to_owned(),
        message: format!("the trial broke off: {failure}"),
        advice: "run it again; if it happens again, this is a defect of wsbench or of the machine".to_owned(),
    });
    Trial {
        block: place.block,
        place: place.place,
        started: place.started,
        outcome: tried.outcome,
        generator: tried.generator,
        target: tried.target,
        invalid: broken.into_iter().chain(loss::findings(&tried.losses)).chain(judgement.invalid).collect(),
        warnings: judgement.warnings,
        failure: tried.failure,
        kernel: tried.kernel,
        agents: Vec::new(),
        absent: Vec::new(),
    }
}
