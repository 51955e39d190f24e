//! `wsbench run`: from a scenario file to a folder with its report.

use super::args::{Format, RunArgs};
use super::baseline::{self, Baseline};
use super::exit::Exit;
use super::fleet::Agents;
use super::live::Display;
use super::scenario::{self, Read};
use super::{bus, compare, export, fleet, say, signals, summary, write};
use crate::cluster::{self, Halt, Progress, RunOptions};
use crate::plan;
use crate::result::{Document, redact_arguments};
use anyhow::Context;
use std::path::Path;
use tokio::sync::watch;

pub(super) fn run(mut args: RunArgs) -> anyhow::Result<Exit> {
    args.plan.has_agents = args.fleet.agents.is_some();
    let mut read = match scenario::read(&args.plan, args.no_charts, args.color.on_stderr()) {
        Ok(read) => read,
        Err(exit) => return Ok(exit),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let agents = match fleet::find(&args.fleet, &runtime)? {
        Ok(agents) => agents,
        Err(exit) => return Ok(exit),
    };
    fleet::advertise(&mut read.plan, args.fleet.advertise);
    let problems: Vec<String> = match &agents {
        None => plan::shortages(&read.plan, &scenario::limits()).iter().map(plan::Shortage::to_string).collect(),
        Some(agents) => fleet::problems(&read.plan, agents, &scenario::limits()),
    };
    if !problems.is_empty() {
        problems.iter().for_each(|problem| say::err(&format!("error: {problem}")));
        return Ok(Exit::Failed);
    }
    read.plan.warnings().iter().for_each(|why| say::err(&format!("warning: {why}")));
    let options = options(&read)?;
    let baseline = match &args.baseline {
        None => None,
        Some(text) => {
            let before = cluster::unstarted(&read.plan, &options);
            match Baseline::ready(text, &args.judge, &before, read.plan.trials)? {
                Ok(baseline) => Some(baseline),
                Err(problem) => return Ok(compare::refuse(&problem)),
            }
        }
    };
    let dir = args.out.clone().unwrap_or_else(|| write::default_dir(&read.plan.name));
    write::prepare(&dir)?;
    export::check(&args.export.export)?;
    let document = runtime.block_on(measure(&read, &options, agents.as_ref(), args.quiet, &dir))?;
    let written = write::save(&document, &dir)
        .and_then(|()| write::render(&document, &dir, read.plan.output.charts))
        .and_then(|()| export::write(&document, &args.export.export));
    // Said even where it could not be saved: it may be all that is left of the run.
    match args.format {
        Format::Json => say::out(&crate::export::summary_json(&document))?,
        Format::Text => say::out(&summary::text(&document, &dir))?,
    }
    let (verdict, compared) = match &baseline {
        Some(baseline) => judge(baseline, &document, &dir, &args)?,
        None => (Exit::Done, Ok(())),
    };
    let written = written.and(compared);
    let exit = Exit::of(&document).or(verdict).or(if written.is_ok() { Exit::Done } else { Exit::Failed });
    if let Some(name) = &args.save_baseline {
        baseline::save(&document, name, exit)?;
    }
    written.map(|()| exit)
}

/// Says what changed since the baseline, and leaves the comparison's files in the report. The inner result is of the files:
/// the verdict stands without them.
fn judge(
    baseline: &Baseline,
    document: &Document,
    dir: &Path,
    args: &RunArgs,
) -> anyhow::Result<(Exit, anyhow::Result<()>)> {
    let comparison = match baseline.judge(document, dir) {
        Ok(comparison) => comparison,
        Err(problem) => return Ok((compare::refuse(&problem), Ok(()))),
    };
    match args.format {
        // Standard output holds the summary and nothing else.
        Format::Json => say::err(&comparison.headline()),
        Format::Text => say::out(&compare::text(&comparison))?,
    }
    let written = compare::write(&comparison, &baseline.document, document, dir);
    Ok((compare::conclude(&comparison, args.judge.strict), written))
}

fn options(read: &Read) -> anyhow::Result<RunOptions> {
    Ok(RunOptions {
        program: std::env::current_exe().context("this program can't find itself to start its workers")?,
        command_line: redact_arguments(&std::env::args().collect::<Vec<_>>()),
        scenario: read.text.clone(),
    })
}

/// Measures; saves after each trial, so that nothing that was measured is ever lost.
async fn measure(
    read: &Read,
    options: &RunOptions,
    agents: Option<&Agents>,
    is_quiet: bool,
    dir: &Path,
) -> anyhow::Result<Document> {
    let (want, wanted) = watch::channel(false);
    let mut display = Display::new(&read.plan, is_quiet);
    signals::watch(want, "saves what was measured")?;
    let mut unsaved = None;
    let mut progress = |progress: Progress| {
        display.show(&progress);
        if let Progress::TrialEnded { document, .. } = &progress {
            // Said once: the run goes on, and the last save will fail aloud if the disk is still full.
            let failed = write::save(document, dir).err();
            if let (Some(error), None) = (&failed, &unsaved) {
                display.note(&format!(
                    "warning: what was measured so far could not be saved: {}",
                    say::chain(error.as_ref())
                ));
            }
            unsaved = failed;
        }
    };
    let (plan, halt) = (&read.plan, Halt::new(wanted));
    let document = match agents {
        None => cluster::run(plan, options, halt, &mut progress).await,
        Some(Agents { nats, found }) => tokio::select! {
            ran = cluster::run_by_agents(nats, found, plan, options, halt, &mut progress) => ran,
            never = bus::watch(nats) => match never {},
        },
    };
    display.finish();
    Ok(document?)
}
