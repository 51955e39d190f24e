//! The search for the highest load that each arm holds: rounds of trials, in which every unfinished arm runs one load.
//!
//! | file | what |
//! |---|---|
//! | `search.rs` | which load to try next |
//! | `series.rs` | what the trials of one load say together |

use super::coordinator::{self, Halt, Place, RunError, RunOptions};
use super::document;
use super::trial::{self, Assignment};
use crate::catalog::Dimension;
use crate::clock::{self, Nanos};
use crate::plan::{Cell, Plan};
use crate::result::{ArmCapacity, Capacity, Document, End, Failed, Slo, Trial};
use crate::seed;
use crate::units::{Share, Span};
use search::{Answer, Over, Search};
use series::Series;

mod search;
mod series;

/// Most trials of one search: with a histogram for each of their metrics a result of more might be refused when it is read
/// again, and they take memory, some 2 MB a trial.
const MOST_TRIALS: u32 = 600;

/// What is searched for.
#[derive(Debug, Clone)]
pub struct Goal {
    pub slo: Slo,
    pub of: Dimension,
    /// The load to try first, and the bounds of those that may be.
    pub first: u64,
    pub from: u64,
    pub to: u64,
    pub precision: Share,
    /// Valid trials a load.
    pub trials: u32,
    /// When it is up, no further trial begins.
    pub budget: Span,
}

/// What happens while a search goes on.
#[derive(Debug)]
pub enum SearchProgress<'a> {
    Calibrating,
    TrialStarted {
        arm: &'a str,
        load: String,
    },
    /// A load was tried often enough: the trials of its last series, and what they come to.
    LoadEnded {
        arm: &'a str,
        load: String,
        said: String,
    },
    /// The document holds everything measured so far: the moment to save it.
    RoundEnded(&'a Document),
}

/// Searches until every arm has its answer, the time is up, or `halt`. The document is complete in any case.
pub async fn search(
    plan: &Plan,
    goal: &Goal,
    options: &RunOptions,
    halt: Halt,
    progress: &mut dyn FnMut(SearchProgress),
) -> Result<Document, RunError> {
    let began = clock::now();
    let mut document = document::begin(plan, options);
    document.cells.clear();
    document.reference = None;
    document.capacity = Some(findings(plan, goal));
    progress(SearchProgress::Calibrating);
    document.calibration = trial::calibrate(&options.program).await.ok();
    document.network_floor = coordinator::floors(plan, &halt).await;
    // What is saved while the search goes on may be all that is left of it.
    document.partial = true;
    let arms = plan.cells.iter().map(|cell| Arm::new(cell, goal)).collect();
    let token = format!("{:016x}", rand::random::<u64>());
    let mut hunt = Hunt { plan, goal, options, halt, began, token, number: 0, is_cut_short: false, document, arms };
    let mut round = 0;
    while hunt.stop().is_none() && hunt.arms.iter().any(|arm| arm.search.next().is_some()) {
        hunt.round(round, progress).await;
        round += 1;
        document::touch(&mut hunt.document);
        progress(SearchProgress::RoundEnded(&hunt.document));
    }
    hunt.conclude();
    Ok(hunt.document)
}

/// Nothing is known yet.
fn findings(plan: &Plan, goal: &Goal) -> Capacity {
    let arm =
        |cell: &Cell| ArmCapacity { arm: cell.arm.clone(), held: None, unconfirmed: None, failed: None, end: None };
    Capacity {
        slo: goal.slo.clone(),
        of: goal.of.to_string(),
        first: goal.first,
        from: goal.from,
        to: goal.to,
        precision: goal.precision.part(),
        trials: goal.trials,
        budget: goal.budget.nanos(),
        arms: plan.cells.iter().map(arm).collect(),
    }
}

/// One arm on its way.
struct Arm<'a> {
    cell: &'a Cell,
    search: Search,
    /// Every load that valid trials failed.
    failed: Vec<Failed>,
}

impl Arm<'_> {
    fn new<'a>(cell: &'a Cell, goal: &Goal) -> Arm<'a> {
        let search = Search::new(goal.first, goal.from, goal.to, goal.precision.part());
        Arm { cell, search, failed: Vec::new() }
    }

    /// What is known of it now; `stopped`: why it may go no further.
    fn findings(&self, stopped: Option<End>) -> ArmCapacity {
        let (held, end) = match self.search.over() {
            Some(Over::Found(load)) => (Some(load), Some(End::Found)),
            Some(Over::AtLeast(load)) => (Some(load), Some(End::GeneratorLimit)),
            Some(Over::UpperBound) => (self.search.so_far(), Some(End::UpperBound)),
            Some(Over::BelowLowerBound) => (None, Some(End::BelowLowerBound)),
            Some(Over::NothingValid) => (None, Some(End::GeneratorLimit)),
            None => (None, stopped),
        };
        let unconfirmed = self.search.so_far().filter(|_| held.is_none());
        let above = held.or(unconfirmed).unwrap_or(0);
        let failed = self.failed.iter().filter(|failed| failed.load > above).min_by_key(|failed| failed.load).cloned();
        ArmCapacity { arm: self.cell.arm.clone(), held, unconfirmed, failed, end }
    }
}

struct Hunt<'a> {
    plan: &'a Plan,
    goal: &'a Goal,
    options: &'a RunOptions,
    halt: Halt,
    began: Nanos,
    token: String,
    number: u32,
    /// A trial was interrupted, or lost a process.
    is_cut_short: bool,
    document: Document,
    arms: Vec<Arm<'a>>,
}

impl Hunt<'_> {
    /// Why no further trial may begin.
    fn stop(&self) -> Option<End> {
        if self.halt.is_wanted() {
            return Some(End::Interrupted);
        }
        match clock::now() - self.began {
            time if time >= self.goal.budget.nanos() => Some(End::Budget),
            _ => (self.number >= MOST_TRIALS).then_some(End::TooManyTrials),
        }
    }

    /// One load of every unfinished arm, each as often as it takes to judge it. The arms take turns, so that what else
    /// goes on in the machine hits all of them.
    async fn round(&mut self, round: u32, progress: &mut dyn FnMut(SearchProgress<'_>)) {
        let mut open: Vec<(usize, Cell, u64, Series)> = Vec::new();
        for (index, arm) in self.arms.iter().enumerate() {
            let cell = |load| (index, arm.cell.at(self.goal.of, load), load, Series::new(self.goal.trials));
            open.extend(arm.search.next().map(cell));
        }
        let (mut place, mut turn) = (0, 0);
        while !open.is_empty() && self.stop().is_none() {
            let order = seed::shuffled(seed::mix(self.plan.seed, u64::from(round) << 32 | turn), open.len());
            for at in order {
                if self.stop().is_some() {
                    break;
                }
                let (_, cell, load, series) = &mut open[at as usize];
                self.attempt(cell, *load, round, place, series, progress).await;
                place += 1;
            }
            turn += 1;
            // An interrupted trial says nothing of its load.
            if self.halt.is_wanted() {
                return;
            }
            open.retain(|(index, _, load, series)| match series.answer() {
                None => true,
                Some(answer) => {
                    self.heed(*index, *load, answer, series, progress);
                    false
                }
            });
        }
    }

    /// One trial of `cell`, which is an arm at a load.
    async fn attempt(
        &mut self,
        cell: &Cell,
        load: u64,
        round: u32,
        place: u32,
        series: &mut Series,
        progress: &mut dyn FnMut(SearchProgress<'_>),
    ) {
        self.number += 1;
        let load = self.document.capacity.as_ref().map_or_else(String::new, |capacity| capacity.show(load));
        progress(SearchProgress::TrialStarted { arm: &cell.arm, load });
        let started = clock::now() - self.began;
        let assignment = Assignment {
            program: &self.options.program,
            cell,
            embedded: self.plan.embedded.as_ref(),
            run: seed::mix(self.plan.seed, (u64::from(self.number) << 32) | rand::random::<u64>() >> 32) as u32,
            token: &self.token,
            interval: self.plan.output.interval.nanos(),
            keeper: None,
            fleet: None,
        };
        let tried = trial::attempt(&assignment, &mut self.halt, &mut |_| ()).await;
        self.is_cut_short |= tried.outcome.interrupted || !tried.losses.is_empty();
        let at = self.slot(cell);
        let place = Place { block: round, place, started };
        let facts = &mut self.document.cells[at];
        let trial: Trial = coordinator::judged(tried, &place, facts, self.document.calibration.as_ref());
        series.add(self.goal.slo.judge(facts, &trial));
        facts.trials.push(trial);
    }

    /// Where in the document the trials of `cell` are: arms in the scenario's order, their loads ascending.
    fn slot(&mut self, cell: &Cell) -> usize {
        let new = document::cell(cell);
        let rank = |cell: &crate::result::Cell| {
            let arm = self.arms.iter().position(|arm| arm.cell.arm == cell.arm);
            (arm, cell.load.sessions, cell.load.rate.round() as u64)
        };
        match self.document.cells.binary_search_by_key(&rank(&new), rank) {
            Ok(at) => at,
            Err(at) => {
                self.document.cells.insert(at, new);
                at
            }
        }
    }

    /// A load of an arm was judged.
    fn heed(
        &mut self,
        index: usize,
        load: u64,
        answer: Answer,
        series: &Series,
        progress: &mut dyn FnMut(SearchProgress<'_>),
    ) {
        let arm = &mut self.arms[index];
        arm.search.told(answer);
        let why = series.why().unwrap_or_default().to_owned();
        let said = match answer {
            Answer::Held => "held".to_owned(),
            Answer::Missed => format!("missed: {why}"),
            Answer::Invalid => "INVALID, which says nothing of the target".to_owned(),
        };
        if answer == Answer::Missed {
            arm.failed.push(Failed { load, why });
        }
        if let Some(capacity) = &mut self.document.capacity {
            capacity.arms[index] = arm.findings(None);
            progress(SearchProgress::LoadEnded { arm: &arm.cell.arm, load: capacity.show(load), said });
        }
    }

    /// Every arm has an end.
    fn conclude(&mut self) {
        let stopped = self.stop();
        let is_unfinished = self.arms.iter().any(|arm| arm.search.next().is_some());
        self.document.partial = self.is_cut_short || (is_unfinished && stopped == Some(End::Interrupted));
        if let Some(capacity) = &mut self.document.capacity {
            capacity.arms = self.arms.iter().map(|arm| arm.findings(stopped)).collect();
        }
    }
}
