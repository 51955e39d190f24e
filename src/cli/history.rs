//! `wsbench history`: many saved results over time.

use super::args::{Format, HistoryArgs};
use super::exit::Exit;
use super::{say, write};
use crate::export::{HistoryRow, history_csv, write_history};
use crate::result::{Document, write_atomically};
use crate::verdict::history::{BASE_OF_DUET, Group, Run, groups};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders within one another that are looked into: no report lies deeper, and links may go in circles.
const DEEPEST: usize = 16;

#[derive(Serialize)]
struct Shown<'a> {
    groups: &'a [Group],
    skipped: &'a [Skipped],
}

/// A file that is in no group.
#[derive(Serialize)]
struct Skipped {
    file: String,
    why: String,
}

pub(super) fn history(args: &HistoryArgs) -> anyhow::Result<Exit> {
    if let Some(dir) = &args.out {
        write::prepare(dir)?;
    }
    let mut skipped = Vec::new();
    let mut runs = Vec::new();
    for path in files(&args.paths, &mut skipped) {
        let file = path.display().to_string();
        let run = Document::load(&path).map_err(|error| error.to_string());
        match run.and_then(|document| Run::of(file.clone(), document)) {
            Ok(run) => runs.push(run),
            Err(why) => skipped.push(Skipped { file, why }),
        }
    }
    tell(&skipped);
    if runs.is_empty() {
        say::err(
            "error: there is no result to show\n  = help: name result.json files, or folders with reports in them",
        );
        return Ok(Exit::Failed);
    }
    let groups = groups(runs);
    match args.format {
        Format::Json => {
            let shown = Shown { groups: &groups, skipped: &skipped };
            say::out(&(serde_json::to_string_pretty(&shown)? + "\n"))?;
        }
        Format::Text => say::out(&text(&groups))?,
    }
    if let Some(path) = &args.csv {
        write_atomically(path, history_csv(&groups).as_bytes())?;
    }
    if let Some(dir) = &args.out {
        write_history(&groups, dir)?;
        say::err(&format!("wrote {}", dir.join("summary.md").display()));
    }
    Ok(Exit::Done)
}

/// Names every file that was skipped; of duets, whose bases are left out as a matter of course, how many there are.
fn tell(skipped: &[Skipped]) {
    let (bases, others): (Vec<&Skipped>, Vec<&Skipped>) = skipped.iter().partition(|file| file.why == BASE_OF_DUET);
    for Skipped { file, why } in others {
        // Most reasons name the file.
        let words = if why.contains(file.as_str()) { why.clone() } else { format!("{file}: {why}") };
        say::err(&format!("skipped: {words}"));
    }
    match bases.as_slice() {
        [] => {}
        [base] => say::err(&format!("left out: {}: {BASE_OF_DUET}", base.file)),
        bases => say::err(&format!("left out: {} results such as {}: {BASE_OF_DUET}", bases.len(), bases[0].file)),
    }
}

/// The files that are named, and every `result.json` below the folders that are; each once.
fn files(paths: &[PathBuf], skipped: &mut Vec<Skipped>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            below(path, DEEPEST, &mut found, skipped);
        } else {
            found.push(path.clone());
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    found
}

fn below(folder: &Path, deeper: usize, found: &mut Vec<PathBuf>, skipped: &mut Vec<Skipped>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            return skipped.push(Skipped { file: folder.display().to_string(), why: error.to_string() });
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            if deeper > 0 {
                below(&path, deeper - 1, found, skipped);
            }
        } else if path.file_name().is_some_and(|name| name == "result.json") {
            found.push(path);
        }
    }
}

fn text(groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups {
        let (first, last) = (&group.runs[0].started, &group.runs[group.runs.len() - 1].started);
        text += &format!("\n{}: {}, {first} to {last}\n  {}\n", group.name, group.count(), group.host);
        for what in &group.differences {
            text += &format!("  not comparable with the runs before: {}: {} → {}\n", what.what, what.base, what.new);
        }
        text += &group.notes().iter().map(|note| format!("  note: {note}\n")).collect::<String>();
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["arm", "metric", "runs", "first", "last", "changes (advice: docs/verdicts.md)"]);
        for series in &group.series {
            table.add_row(HistoryRow::of(group, series).cells());
        }
        text += &table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
    }
    text
}
