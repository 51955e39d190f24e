//! Two servers in one run: blocks in which each arm runs on both, one right after the other, in drawn order.
//!
//! What else goes on in the machine hits both of a pair alike, so that their ratio holds still where either drifts. Both get
//! the same schedule from the same seed. A pair of which one trial can't be trusted counts for nothing and is run again.

use super::coordinator::{self, Halt, Place, Progress, RunOptions};
use super::document;
use super::server::{Server, ServerCommand, ServerError};
use super::trial::{self, Assignment};
use crate::clock::{self, Nanos};
use crate::plan::Plan;
use crate::result::{Document, DuetSide, Half, Trial};
use crate::seed;
use crate::verdict::thresholds;

/// Pairs that may be run again, for each so many that were asked for.
const EXTRA_ONE_IN: u32 = 2;

/// What is to be run.
#[derive(Debug)]
pub struct DuetOrder {
    /// The same load for the base and for the candidate; every cell has a URL.
    pub plans: [Plan; 2],
    /// What starts each server; `None`: it runs already.
    pub servers: [Option<ServerCommand>; 2],
    /// Pairs that each arm is to have.
    pub pairs: u32,
    /// After so many pairs `look` is asked whether that is enough.
    pub first_look: Option<u32>,
    /// Start each server for every trial anew.
    pub restart: bool,
}

/// What happens while a duet goes on.
#[derive(Debug)]
pub enum DuetProgress<'a> {
    Starting(&'a ServerCommand),
    Run(Half, Progress<'a>),
}

/// What came of it.
#[derive(Debug)]
pub struct Duet {
    /// Of the base and of the candidate. Trials of one block are a pair.
    pub documents: [Document; 2],
    /// It ended at the first look.
    pub is_decided_early: bool,
    /// Arms that never got as many pairs as asked, though pairs were run again: with how many.
    pub short: Vec<(String, u32)>,
    /// Why it could not go on.
    pub broken: Option<DuetError>,
}

/// A server that can't be measured any further.
#[derive(Debug, thiserror::Error)]
pub enum DuetError {
    #[error("{}: {error}", .half.name())]
    Server { half: Half, error: ServerError },
    #[error("{}: {arm}: {why}", .half.name())]
    Trial { half: Half, arm: String, why: String },
}

/// Runs it to its end, to `halt`, or until a server can't be measured; `look` says whether what was measured is enough.
pub async fn duet(
    order: &DuetOrder,
    options: &RunOptions,
    halt: Halt,
    progress: &mut dyn FnMut(DuetProgress),
    look: &mut dyn FnMut(&[Document; 2]) -> bool,
) -> Duet {
    let began = clock::now();
    let mut documents = order.plans.each_ref().map(|plan| document::begin(plan, options));
    progress(DuetProgress::Run(Half::Base, Progress::Calibrating));
    let calibration = trial::calibrate(&options.program).await.ok();
    let id = format!("{:016x}", rand::random::<u64>());
    for ((half, document), plan) in Half::BOTH.into_iter().zip(&mut documents).zip(&order.plans) {
        document.duet = Some(DuetSide { id: id.clone(), half });
        // What is saved while the duet goes on may be all that is left of it.
        document.partial = true;
        document.calibration = calibration;
        document.network_floor = coordinator::floors(plan, &halt).await;
    }
    let arms = vec![Pairs::default(); order.plans[0].cells.len()];
    let token = format!("{:016x}", rand::random::<u64>());
    let mut running = Running { order, options, halt, began, token, number: 0, documents, arms, servers: [None, None] };
    let ended = running.drive(progress, look).await;
    for server in running.servers.iter_mut().filter_map(Option::take) {
        server.stop().await;
    }
    let (is_decided_early, broken) = match ended {
        Ok(is_decided_early) => (is_decided_early, None),
        Err(error) => (false, Some(error)),
    };
    let [mut base, mut candidate] = running.documents;
    let is_partial = broken.is_some() || running.halt.is_wanted();
    (base.partial, candidate.partial) = (is_partial, is_partial);
    let has_ended_early = is_partial || is_decided_early || candidate.aborted.is_some();
    let lacks = |pairs: &Pairs| !has_ended_early && pairs.valid < order.pairs;
    let cells = order.plans[0].cells.iter().zip(&running.arms);
    let short = cells.filter(|(_, pairs)| lacks(pairs)).map(|(cell, pairs)| (cell.arm.clone(), pairs.valid)).collect();
    Duet { documents: [base, candidate], is_decided_early, short, broken }
}

/// The pairs of one arm.
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    tried: u32,
    valid: u32,
}

struct Running<'a> {
    order: &'a DuetOrder,
    options: &'a RunOptions,
    halt: Halt,
    began: Nanos,
    token: String,
    /// Trials begun.
    number: u32,
    documents: [Document; 2],
    arms: Vec<Pairs>,
    servers: [Option<Server>; 2],
}

impl Running<'_> {
    /// True if the first look was enough.
    async fn drive(
        &mut self,
        progress: &mut dyn FnMut(DuetProgress<'_>),
        look: &mut dyn FnMut(&[Document; 2]) -> bool,
    ) -> Result<bool, DuetError> {
        if !self.order.restart {
            for half in Half::BOTH {
                self.start(half, progress).await?;
            }
        }
        let mut block = 0;
        for pairs in self.order.first_look.into_iter().chain([self.order.pairs]) {
            while !self.is_over() && self.arms.iter().any(|arm| self.wants(arm, pairs)) {
                self.block(block, pairs, progress).await?;
                block += 1;
            }
            if pairs < self.order.pairs && !self.is_over() && look(&self.documents) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether it is to end before its time: somebody wants it to, or a threshold that ends it was broken.
    fn is_over(&self) -> bool {
        self.halt.is_wanted() || self.documents[1].aborted.is_some()
    }

    /// Whether an arm lacks pairs, and may have more.
    fn wants(&self, arm: &Pairs, pairs: u32) -> bool {
        let most = self.order.pairs.saturating_add(self.order.pairs.div_ceil(EXTRA_ONE_IN));
        arm.valid < pairs && arm.tried < most
    }

    /// Every arm that lacks pairs once on both, in drawn order. Of two pairs of an arm that follow each other one begins
    /// with the base and one with the candidate.
    async fn block(
        &mut self,
        block: u32,
        pairs: u32,
        progress: &mut dyn FnMut(DuetProgress<'_>),
    ) -> Result<(), DuetError> {
        let seed = self.order.plans[0].seed;
        let mut place = 0;
        for arm in seed::shuffled(seed::mix(seed, u64::from(block)), self.arms.len()) {
            let index = arm as usize;
            if self.is_over() || !self.wants(&self.arms[index], pairs) {
                continue;
            }
            let mut is_valid = true;
            for half in in_turn(seed, arm, self.arms[index].tried) {
                is_valid &= self.attempt(half, index, Place { block, place, started: 0 }, progress).await?;
                place += 1;
                if self.halt.is_wanted() {
                    return Ok(());
                }
                // Half a pair is none: the other trial could prove nothing.
                if !is_valid {
                    break;
                }
            }
            self.arms[index].tried += 1;
            self.arms[index].valid += u32::from(is_valid);
            // Thresholds are of one server: the one that is judged.
            if self.arms.iter().any(|arm| self.wants(arm, self.order.pairs)) {
                self.documents[1].aborted = thresholds::abort(&self.documents[1]);
            }
        }
        Ok(())
    }

    /// One trial; true if it can be trusted.
    async fn attempt(
        &mut self,
        half: Half,
        index: usize,
        mut place: Place,
        progress: &mut dyn FnMut(DuetProgress<'_>),
    ) -> Result<bool, DuetError> {
        if self.order.restart {
            self.start(half, progress).await?;
        }
        if self.halt.is_wanted() {
            return Ok(false);
        }
        self.check(half).await?;
        self.number += 1;
        let plan = &self.order.plans[half as usize];
        let cell = &plan.cells[index];
        let name = format!("{}, {}", cell.arm, half.name());
        let of = (self.order.pairs * 2 * self.arms.len() as u32).max(self.number);
        progress(DuetProgress::Run(half, Progress::TrialStarted { arm: &name, number: self.number, of }));
        place.started = clock::now() - self.began;
        let assignment = Assignment {
            program: &self.options.program,
            cell,
            embedded: None,
            run: seed::mix(plan.seed, (u64::from(self.number) << 32) | rand::random::<u64>() >> 32) as u32,
            token: &self.token,
            interval: plan.output.interval.nanos(),
            keeper: self.servers[half as usize].as_ref().and_then(Server::keeper),
            fleet: None,
        };
        let tried = trial::attempt(&assignment, &mut self.halt, &mut |live| {
            progress(DuetProgress::Run(half, Progress::Live { arm: &name, live }));
        })
        .await;
        let document = &mut self.documents[half as usize];
        let facts = &mut document.cells[index];
        let trial: Trial = coordinator::judged(tried, &place, facts, document.calibration.as_ref());
        facts.trials.push(trial.clone());
        document::touch(document);
        progress(DuetProgress::Run(half, Progress::TrialEnded { arm: &name, trial: &trial, document }));
        self.check(half).await?;
        if self.order.restart
            && let Some(server) = self.servers[half as usize].take()
        {
            server.stop().await;
        }
        match trial.failure {
            // What broke off by the generator's own fault is invalid, and run again.
            Some(why) if trial.invalid.is_empty() => Err(DuetError::Trial { half, arm: cell.arm.clone(), why }),
            _ => Ok(trial.invalid.is_empty()),
        }
    }

    async fn start(&mut self, half: Half, progress: &mut dyn FnMut(DuetProgress<'_>)) -> Result<(), DuetError> {
        let Some(command) = &self.order.servers[half as usize] else { return Ok(()) };
        progress(DuetProgress::Starting(command));
        let started = Server::start(&self.options.program, command, &mut self.halt).await;
        self.servers[half as usize] = started.map_err(|error| DuetError::Server { half, error })?;
        Ok(())
    }

    /// The server of this half hasn't ended by itself.
    async fn check(&mut self, half: Half) -> Result<(), DuetError> {
        match &mut self.servers[half as usize] {
            Some(server) => server.check().await.map_err(|error| DuetError::Server { half, error }),
            None => Ok(()),
        }
    }
}

/// Who goes first in an arm's nth pair: drawn for every two of them, and the other way round in the second.
fn in_turn(seed: u64, arm: u32, pair: u32) -> [Half; 2] {
    let drawn = seed::pick(seed::mix(seed, u64::from(arm)), u64::from(pair / 2), 2) == 1;
    if drawn == (pair % 2 == 1) { Half::BOTH } else { [Half::Candidate, Half::Base] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_first_as_often_as_the_other_and_not_by_rote() {
        for seed in 0..20 {
            let firsts: Vec<bool> = (0..20).map(|pair| in_turn(seed, 0, pair)[0] == Half::Base).collect();
            assert!(firsts.chunks(2).all(|two| two[0] != two[1]), "{firsts:?}");
        }
        let leads = |seed| (0..32).step_by(2).filter(|pair| in_turn(seed, 0, *pair)[0] == Half::Base).count();
        assert!((0..20).all(|seed| (1..16).contains(&leads(seed))), "always the same goes first");
        assert_ne!(
            (0..64).map(|p| in_turn(1, 0, p)).collect::<Vec<_>>(),
            (0..64).map(|p| in_turn(1, 1, p)).collect::<Vec<_>>()
        );
    }
}
