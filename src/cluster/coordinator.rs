//! Runs every trial of a plan, in blocks: each arm once per block, in an order drawn from the seed.

use super::child::ChildError;
use super::document;
use super::fleet::{Fleet, FleetError, Found};
use super::loss;
use super::ping;
use super::trial::{self, Assignment, Tried};
use crate::bus::Carrier;
use crate::clock::{self, Nanos};
use crate::engine::Live;
use crate::plan::{Plan, Target};
use crate::result::{
    Calibration, Cell, Document, Evidence, Finding, NetworkFloor, ScenarioText, Trial, judge, leave_out_one_way,
};
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
    /// The names of the agents that work for this run.
    Hired {
        agents: Vec<&'a str>,
    },
    /// One of them was given up, and why.
    AgentLost {
        agent: &'a str,
        why: &'a str,
    },
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
pub enum RunError {
    #[error("the run could not begin: {0}")]
    Child(#[from] ChildError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

/// Runs `plan` to its end or to `halt`; tells `progress` what happens. The document is complete in either case.
pub async fn run(
    plan: &Plan,
    options: &RunOptions,
    halt: Halt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Document, RunError> {
    run_by(plan, options, None, halt, progress).await
}

/// As [`run`], by the workers of agents that were found.
pub async fn run_by_agents<C: Carrier>(
    carrier: &C,
    found: &Found,
    plan: &Plan,
    options: &RunOptions,
    mut halt: Halt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Document, RunError> {
    let mut inbox = found.listen(carrier).await.map_err(FleetError::from)?;
    let fleet = Fleet::new(carrier, found, plan.on_agent_loss);
    let work = async {
        let hired = tokio::select! {
            hired = fleet.hired() => hired,
            // What follows knows that it is to end.
            () = halt.wait() => Ok(()),
        };
        let ran = match hired {
            Ok(()) => {
                progress(Progress::Hired { agents: fleet.names() });
                run_by(plan, options, Some(&fleet), halt, progress).await
            }
            Err(error) => Err(error.into()),
        };
        fleet.dismiss().await;
        ran
    };
    tokio::select! {
        biased;
        ran = work => ran,
        never = fleet.attend(carrier, found, &mut inbox) => match never {},
    }
}

async fn run_by(
    plan: &Plan,
    options: &RunOptions,
    fleet: Option<&Fleet>,
    mut halt: Halt,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Document, RunError> {
    let began = clock::now();
    let mut document = document::begin(plan, options);
    progress(Progress::Calibrating);
    match fleet {
        None => {
            document.calibration = trial::calibrate(&options.program).await.ok();
            document.network_floor = floors(plan, &halt).await;
        }
        // From here to the target is another way than theirs.
        Some(fleet) => {
            tokio::select! {
                () = fleet.calibrate() => {}
                () = halt.wait() => {}
            }
            document.calibration = fleet.worst_calibration();
        }
    }
    let of = plan.trials * plan.cells.len() as u32;
    let token = format!("{:016x}", rand::random::<u64>());
    let mut number = 0;
    // What is saved while the run goes on may be all that is left of it.
    let mut is_cut_short = false;
    document.partial = true;
    'run: for block in 0..plan.trials {
        let order = seed::shuffled(seed::mix(plan.seed, u64::from(block)), plan.cells.len());
        for (place, index) in order.into_iter().enumerate() {
            let cell = &plan.cells[index as usize];
            tell_losses(fleet, progress);
            if halt.is_wanted() || fleet.is_some_and(|fleet| !fleet.can_go_on(cell)) {
                is_cut_short = true;
                break 'run;
            }
            number += 1;
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
                fleet,
            };
            let tried = trial::attempt(&assignment, &mut halt, &mut |live| {
                tell_losses(fleet, progress);
                progress(Progress::Live { arm: &cell.arm, live });
            })
            .await;
            tell_losses(fleet, progress);
            is_cut_short |= tried.outcome.interrupted || !tried.losses.is_empty();
            let place = Place { block, place: place as u32, started };
            let facts = &mut document.cells[index as usize];
            let trial = judged(tried, &place, facts, document.calibration.as_ref());
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

fn tell_losses(fleet: Option<&Fleet>, progress: &mut dyn FnMut(Progress<'_>)) {
    for (agent, why) in fleet.map(Fleet::take_losses).unwrap_or_default() {
        progress(Progress::AgentLost { agent: &agent, why: &why });
    }
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
pub(super) fn judged(mut tried: Tried, place: &Place, cell: &Cell, calibration: Option<&Calibration>) -> Trial {
    let absent = leave_out_one_way(cell, &mut tried.outcome, &mut tried.agents);
    let judgement = judge(&Evidence {
        outcome: &tried.outcome,
        generator: &tried.generator,
        target: tried.target.as_ref(),
        load: &cell.load,
        calibration,
        agents: &tried.agents,
        absent: &absent,
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
        agents: tried.agents,
        absent,
    }
}
