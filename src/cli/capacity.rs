//! `wsbench capacity`: from a scenario and an objective to the highest load that each arm holds.

use super::args::{CapacityArgs, Format};
use super::exit::Exit;
use super::scenario::{self, Read};
use super::{export, say, signals, summary, write};
use crate::cluster::{self, Goal, Halt, RunOptions, SearchProgress};
use crate::plan::{self, Plan};
use crate::result::{Document, redact_arguments};
use anyhow::Context;
use indicatif::ProgressBar;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;

/// The lower bound is this part of the first load, unless told.
const BELOW_FIRST: u64 = 16;
/// The upper bound is at most this, and this many times the first load, unless told.
const MOST: u64 = 1_000_000;
const DOUBLINGS: u32 = 20;
/// Trials a load, unless told. A scenario's own `trials` are meant for one load.
const TRIALS: u32 = 3;

pub(super) fn capacity(args: &CapacityArgs) -> anyhow::Result<Exit> {
    let mut read = match scenario::read(&args.plan, args.no_charts, args.color.on_stderr()) {
        Ok(read) => read,
        Err(exit) => return Ok(exit),
    };
    if !args.plan.threshold.is_empty() {
        say::err("error: --threshold: a search goes by its objective\n  = help: say it with `--slo`");
        return Ok(Exit::Usage);
    }
    read.plan.thresholds.clear();
    let goal = match goal(args, &read.plan) {
        Ok(goal) => goal,
        Err(Impossible::Asked(problem)) => {
            say::err(&format!("error: {problem}"));
            return Ok(Exit::Usage);
        }
        Err(Impossible::Here(shortages)) => return Ok(refuse(&shortages)),
    };
    // What is planned begins at the first load, and is what the machine must grant.
    read.plan.trials = goal.trials;
    read.plan.cells.iter_mut().for_each(|cell| *cell = cell.at(goal.of, goal.first));
    let shortages = plan::shortages(&read.plan, &scenario::limits());
    if !shortages.is_empty() {
        return Ok(refuse(&shortages));
    }
    read.plan.warnings().iter().for_each(|why| say::err(&format!("warning: {why}")));
    let name = format!("{}-capacity", read.plan.name);
    let dir = args.out.clone().unwrap_or_else(|| write::default_dir(&name));
    write::prepare(&dir)?;
    export::check(&args.export.export)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let document = runtime.block_on(measure(&read, &goal, args.quiet, &dir))?;
    let written = write::save(&document, &dir)
        .and_then(|()| write::render(&document, &dir, read.plan.output.charts))
        .and_then(|()| export::write(&document, &args.export.export));
    // Said even where it could not be saved: it may be all that is left of the search.
    match args.format {
        Format::Json => say::out(&crate::export::summary_json(&document))?,
        Format::Text => say::out(&summary::text(&document, &dir))?,
    }
    written?;
    Ok(Exit::of(&document))
}

/// Why there can be no search.
enum Impossible {
    /// What was asked makes no sense.
    Asked(String),
    /// The machine doesn't grant the least load there is.
    Here(Vec<plan::Shortage>),
}

fn refuse(shortages: &[plan::Shortage]) -> Exit {
    shortages.iter().for_each(|shortage| say::err(&format!("error: {shortage}")));
    Exit::Failed
}

/// What is searched for, within what scenarios and this machine allow.
fn goal(args: &CapacityArgs, plan: &Plan) -> Result<Goal, Impossible> {
    let asked = |problem: String| Err(Impossible::Asked(problem));
    let Some(cell) = plan.cells.first() else { return asked("there is no arm to search".to_owned()) };
    let of = args.of;
    let first = cell.own(of).map_err(|error| Impossible::Asked(error.to_string()))?;
    let granted = plan::bounds(plan, of, &scenario::limits());
    let (least, most) = (*granted.start(), *granted.end());
    if most < least {
        let at_least = plan.cells.iter().map(|cell| cell.at(of, least)).collect();
        let shortages = plan::shortages(&Plan { cells: at_least, ..plan.clone() }, &scenario::limits());
        return Err(Impossible::Here(shortages));
    }
    let to = args.to.unwrap_or(first.saturating_mul(1 << DOUBLINGS).min(MOST).min(most));
    let from = args.from.unwrap_or((first / BELOW_FIRST).max(least).min(to));
    match () {
        () if to > most => asked(format!("--to: {to} is more than a trial may have here, {most}")),
        () if to < least => asked(format!("--to: {to} is less than there are rooms or topics, {least}")),
        () if from < least => asked(format!("--from: {from} is less than there are rooms or topics, {least}")),
        () if from > to => asked(format!("--from: {from} is more than --to, {to}")),
        () => Ok(Goal {
            slo: args.slo.clone(),
            of,
            first: first.clamp(from, to),
            from,
            to,
            precision: args.precision,
            trials: args.plan.trials.map_or(TRIALS, |trials| trials.get()),
            budget: args.budget,
        }),
    }
}

/// Measures; saves after each round, so that little of what was measured can be lost.
async fn measure(read: &Read, goal: &Goal, is_quiet: bool, dir: &Path) -> anyhow::Result<Document> {
    let (want, wanted) = watch::channel(false);
    signals::watch(want, "saves what was found until now")?;
    let options = RunOptions {
        program: std::env::current_exe().context("this program can't find itself to start its workers")?,
        command_line: redact_arguments(&std::env::args().collect::<Vec<_>>()),
        scenario: read.text.clone(),
    };
    let display = Display::new(is_quiet);
    let mut is_saved = true;
    let mut progress = |progress: SearchProgress| {
        if let SearchProgress::RoundEnded(document) = &progress
            && let Err(error) = write::save(document, dir)
            && std::mem::replace(&mut is_saved, false)
        {
            // Said once: the search goes on, and the last save will fail aloud if the disk is still full.
            let why = say::chain(error.as_ref());
            display.note(&format!("warning: what was measured so far could not be saved: {why}"));
        }
        display.show(&progress);
    };
    let document = cluster::search(&read.plan, goal, &options, Halt::new(wanted), &mut progress).await?;
    display.finish();
    Ok(document)
}

/// A line for each load that was judged, and at a terminal what is being tried.
struct Display {
    spinner: Option<ProgressBar>,
    is_quiet: bool,
}

impl Display {
    fn new(is_quiet: bool) -> Display {
        let spinner = (!is_quiet && std::io::stderr().is_terminal()).then(ProgressBar::new_spinner);
        if let Some(spinner) = &spinner {
            spinner.enable_steady_tick(Duration::from_millis(200));
        }
        Display { spinner, is_quiet }
    }

    fn show(&self, progress: &SearchProgress) {
        match (progress, &self.spinner) {
            (SearchProgress::LoadEnded { arm, load, said }, _) if !self.is_quiet => {
                self.note(&format!("{arm} at {load}: {said}"));
            }
            (SearchProgress::Calibrating, Some(spinner)) => {
                spinner.set_message("measuring how late this machine wakes an idle process");
            }
            (SearchProgress::TrialStarted { arm, load }, Some(spinner)) => {
                spinner.set_message(format!("{arm} at {load}"));
            }
            _ => {}
        }
    }

    /// Says something that must be seen whatever is being shown.
    fn note(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.println(text),
            None => say::err(text),
        }
    }

    fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
