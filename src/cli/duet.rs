//! `wsbench duet`: two servers in one run, pair by pair, and what changed from one to the other.
//!
//! | file | what |
//! |---|---|
//! | `sides.rs` | what was typed for either: a URL, or a command and its ports |
//! | `looks.rs` | when it is judged, and by how much chance of a false alarm |

mod looks;
mod sides;

pub(super) use sides::fill;

use super::args::{DuetArgs, Format, PlanArgs};
use super::exit::Exit;
use super::live::Display;
use super::{compare, say, scenario, signals, summary, write};
use crate::cluster::{self, Duet, DuetError, DuetOrder, DuetProgress, Halt, Progress, RunOptions, ServerError};
use crate::plan::{self, Cell, Plan};
use crate::result::{Document, Half, ScenarioText, redact_arguments};
use crate::verdict::{self, Design, Foreseen, Options, thresholds};
use anyhow::Context;
use looks::Looks;
use sides::{Picker, Side};
use std::path::Path;
use tokio::sync::watch;

pub(super) fn duet(args: &DuetArgs) -> anyhow::Result<Exit> {
    let color = args.color.on_stderr();
    // Thresholds are held against the candidate alone: it is what must be seen.
    let planned = PlanArgs { starts_servers: !sides::is_url(&args.candidate), ..args.plan.clone() };
    let read = match misused(args) {
        Some(problem) => return Ok(usage(problem)),
        None => match scenario::read(&planned, false, color) {
            Ok(read) => read,
            Err(exit) => return Ok(exit),
        },
    };
    if let Some(problem) = unknown_arm(args, &read.plan) {
        return Ok(usage(&problem));
    }
    let dir = args.out.clone().unwrap_or_else(|| write::default_dir(&format!("{}-duet", read.plan.name)));
    let mut picker = Picker::new();
    let mut side = |half| Side::read(half, args, &read.plan, &dir, &mut picker);
    let sides = match (side(Half::Base), side(Half::Candidate)) {
        (Ok(base), Ok(candidate)) => [base, candidate],
        (Err(problem), _) | (_, Err(problem)) => return Ok(usage(&problem)),
    };
    let mut plans = Vec::new();
    for side in &sides {
        let at_side = PlanArgs { target: side.targets.clone(), ..planned.clone() };
        match scenario::read(&at_side, false, color) {
            Ok(read) => plans.push(Plan { trials: args.pairs.get(), ..read.plan }),
            Err(exit) => return Ok(exit),
        }
    }
    let shortages = plan::shortages(&plans[0], &scenario::limits());
    if !shortages.is_empty() {
        shortages.iter().for_each(|shortage| say::err(&format!("error: {shortage}")));
        return Ok(Exit::Failed);
    }
    plans[1].warnings().iter().for_each(|why| say::err(&format!("warning: {why}")));
    let options = args.judge.options((sides[0].name.clone(), sides[1].name.clone()));
    let is_started_here = sides.iter().all(|side| side.command.is_some());
    if let Err(problem) = verdict::foresee(&foreseen(&plans[0], is_started_here), &options) {
        return Ok(compare::refuse(&problem));
    }
    write::prepare(&dir)?;
    for half in Half::BOTH {
        write::prepare(&dir.join(half.name()))?;
    }
    let looks = Looks::of(args.pairs.get(), options.rules.alpha, family(&plans[0], &options));
    let [base, candidate] = sides;
    let [base_plan, candidate_plan] = <[Plan; 2]>::try_from(plans).expect("a plan for each side");
    let order = DuetOrder {
        plans: [base_plan, candidate_plan],
        servers: [base.command, candidate.command],
        pairs: args.pairs.get(),
        first_look: looks.first_after(),
        restart: args.restart,
    };
    // The ports were held until now, that both might be told apart.
    drop(picker);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let duet = runtime.block_on(measure(&order, read.text, &options, &looks, args.quiet, &dir))?;
    conclude(&duet, args, &looks, &options, &dir)
}

fn usage(problem: &str) -> Exit {
    say::err(&format!("error: {problem}"));
    Exit::Usage
}

/// Rows that are judged together, at most.
fn family(plan: &Plan, options: &Options) -> usize {
    let is_gated = |cell: &&Cell| options.arms.is_empty() || options.arms.contains(&cell.arm);
    plan.cells.iter().filter(is_gated).count() * options.metrics.iter().filter(|metric| metric.has_noise()).count()
}

/// What both sides will have of each arm.
fn foreseen(plan: &Plan, is_target_known: bool) -> Vec<Foreseen> {
    let of = |(cell, samples): (&Cell, Option<u64>)| Foreseen {
        arm: cell.arm.clone(),
        transport: cell.transport.kind().to_string(),
        samples,
        trials: plan.trials,
        is_target_known,
    };
    plan.cells.iter().zip(plan::deliveries(plan)).map(of).collect()
}

/// What `run` takes and a duet doesn't.
fn misused(args: &DuetArgs) -> Option<&'static str> {
    match () {
        () if args.plan.trials.is_some() => Some("a duet counts in pairs: `--pairs` says how many, not `--trials`"),
        () if !args.plan.target.is_empty() => {
            Some("the servers are --base and --candidate; `--url` says where, not `--target`")
        }
        () => None,
    }
}

/// An arm of `--url` or `--arms` that doesn't run.
fn unknown_arm(args: &DuetArgs, plan: &Plan) -> Option<String> {
    let of_urls = args.url.iter().filter_map(|flag| flag.arm.as_ref()).map(|arm| ("--url", arm));
    let mut named = of_urls.chain(args.judge.arms.iter().map(|arm| ("--arms", arm)));
    let is_unknown = |arm: &String| plan.cells.iter().all(|cell| cell.arm != *arm);
    named.find(|(_, arm)| is_unknown(arm)).map(|(flag, arm)| {
        let arms: Vec<&str> = plan.cells.iter().map(|cell| cell.arm.as_str()).collect();
        format!("{flag}: no arm `{arm}` is run; those that are: {}", arms.join(", "))
    })
}

/// Measures; saves after each trial, so that nothing that was measured is ever lost.
async fn measure(
    order: &DuetOrder,
    scenario: ScenarioText,
    options: &Options,
    looks: &Looks,
    is_quiet: bool,
    dir: &Path,
) -> anyhow::Result<Duet> {
    let (want, wanted) = watch::channel(false);
    signals::watch(want, "saves what was measured and ends both servers")?;
    // Two trials a pair: what the bar counts.
    let display = Display::new(&Plan { trials: order.pairs * 2, ..order.plans[0].clone() }, is_quiet);
    let display = std::cell::RefCell::new(display);
    let run = RunOptions {
        program: std::env::current_exe().context("this program can't find itself to start its workers")?,
        command_line: redact_arguments(&std::env::args().collect::<Vec<_>>()),
        scenario,
    };
    let mut is_saved = true;
    let mut progress = |progress: DuetProgress| match &progress {
        DuetProgress::Starting(command) if !is_quiet => display.borrow().note(&format!("starting {}", command.name)),
        DuetProgress::Starting(_) => {}
        DuetProgress::Run(half, progress) => {
            display.borrow_mut().show(progress);
            if let Progress::TrialEnded { document, .. } = progress
                && let Err(error) = write::save(document, &dir.join(half.name()))
                && std::mem::replace(&mut is_saved, false)
            {
                // Said once: the duet goes on, and the last save will fail aloud if the disk is still full.
                let why = say::chain(error.as_ref());
                display.borrow().note(&format!("warning: what was measured so far could not be saved: {why}"));
            }
        }
    };
    let mut look = |[base, candidate]: &[Document; 2]| {
        let comparison = verdict::compare(base, candidate, Design::Paired, &looks.options(options, true));
        let Ok(comparison) = comparison else { return false };
        if !is_quiet {
            display.borrow().note(&format!("first look: {}", comparison.headline()));
        }
        looks::is_decided(&comparison)
    };
    let duet = cluster::duet(order, &run, Halt::new(wanted), &mut progress, &mut look).await;
    display.borrow().finish();
    Ok(duet)
}

/// Judges, saves, and says what came of it.
fn conclude(duet: &Duet, args: &DuetArgs, looks: &Looks, options: &Options, dir: &Path) -> anyhow::Result<Exit> {
    let [base, candidate] = &duet.documents;
    let mut exit = Exit::Done;
    for (half, document) in Half::BOTH.into_iter().zip(&duet.documents) {
        write::save(document, &dir.join(half.name()))?;
    }
    let options = looks.options(options, duet.is_decided_early);
    match verdict::compare(base, candidate, Design::Paired, &options) {
        Ok(comparison) => {
            let written = compare::write(&comparison, base, candidate, dir);
            // Said even where it could not be saved: it may be all that is left.
            match args.format {
                Format::Json => say::out(&format!("{}\n", serde_json::to_string_pretty(&comparison)?))?,
                Format::Text => {
                    let kept = summary::limits_kept(candidate);
                    let page = dir.join("comparison.html");
                    say::out(&format!("{}{kept}{}\n", compare::text(&comparison), page.display()))?;
                }
            }
            written?;
            exit = exit.or(compare::conclude(&comparison, args.judge.strict));
        }
        // Why there is nothing to judge is said below.
        Err(_) if duet.broken.is_some() || base.partial => {}
        Err(problem) => exit = exit.or(compare::refuse(&problem)),
    }
    // They are of one server: the one that is judged.
    if thresholds::check(candidate).iter().any(|checked| checked.outcome.fails()) {
        exit = exit.or(Exit::Threshold);
    }
    if duet.is_decided_early {
        say::err(&format!(
            "decided at the first look, where a REGRESSION or an IMPROVEMENT is a false alarm at a chance of {} % at most",
            (options.rules.alpha * 1e4).round() / 1e2
        ));
    }
    if let Some(why) = &candidate.aborted {
        say::err(&format!("candidate: ended early: {why}"));
    }
    for (arm, pairs) in &duet.short {
        say::err(&format!("{arm}: only {pairs} of {} pairs can be trusted, though pairs were run again", args.pairs));
        exit = exit.or(Exit::Invalid);
    }
    if let Some(error) = &duet.broken {
        let help = if may_be_elsewhere(error, args, &duet.documents) {
            "\n  = help: `--url` says where an arm finds the server that a command starts (docs/verdicts.md)"
        } else {
            ""
        };
        say::err(&format!("error: {error}{help}"));
        exit = exit.or(Exit::Failed);
    } else if base.partial {
        let trials = |document: &Document| document.cells.iter().map(|cell| cell.trials.len()).sum::<usize>();
        say::err(&format!(
            "PARTIAL: interrupted; trials that are saved in {}: {} of the base, {} of the candidate",
            dir.display(),
            trials(base),
            trials(candidate)
        ));
        exit = exit.or(Exit::Interrupted);
    }
    Ok(exit)
}

/// Whether a server may have been looked for where it isn't: one that a command started and that no trial has reached.
fn may_be_elsewhere(error: &DuetError, args: &DuetArgs, documents: &[Document; 2]) -> bool {
    let is_command = |half: Half| match half {
        Half::Base => !sides::is_url(&args.base),
        Half::Candidate => !sides::is_url(&args.candidate),
    };
    match error {
        DuetError::Server { error: ServerError::NotReady { .. }, .. } => true,
        DuetError::Server { .. } => false,
        DuetError::Trial { half, arm, .. } => {
            let mut cells = documents[*half as usize].cells.iter().filter(|cell| cell.arm == *arm);
            is_command(*half) && cells.all(|cell| !cell.has_valid_trial())
        }
    }
}
