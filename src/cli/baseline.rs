//! Baselines: results with a name, to judge later runs by. One is a file, `reports/baselines/NAME.json`.

use super::args::JudgeArgs;
use super::exit::Exit;
use super::say;
use crate::result::{Document, Half};
use crate::verdict::{self, Comparison, Design, NotComparable, Options, RECOMMENDED};
use anyhow::{Context, bail};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const FOLDER: &str = "reports/baselines";
const LONGEST: usize = 64;

/// The name of a baseline; safe as a file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // What the file is called is a way to name it.
        let name = text.strip_suffix(".json").unwrap_or(text);
        let is_good =
            (1..=LONGEST).contains(&name.len()) && name.chars().all(is_plain) && !name.starts_with(['.', '-']);
        is_good.then(|| Name(name.to_owned())).ok_or_else(|| {
            format!("a baseline's name has letters, digits, `-`, `_` and `.`, at most {LONGEST}, such as main or v1.2")
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(format!("{}.json", self.0))
    }
}

/// Reads a run: a baseline by its name, or a result by its file or its report's folder.
pub(super) fn load(text: &str) -> anyhow::Result<Document> {
    // `main.json` may be a file as well as the baseline of that name; `main` is the baseline before it is anything else.
    let is_file = text.ends_with(".json") && Path::new(text).is_file();
    let named = text.parse::<Name>().ok().filter(|_| !is_file).map(|name| name.path()).filter(|path| path.exists());
    let path = match named {
        Some(path) => path,
        None if Path::new(text).is_dir() => in_folder(Path::new(text))?,
        None if Path::new(text).exists() => PathBuf::from(text),
        None => bail!("{text:?} is no file, no folder, and no baseline: {}", known()),
    };
    Ok(Document::load(&path)?)
}

/// The result in a report's folder.
fn in_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    let result = folder.join("result.json");
    let halves = Half::BOTH.map(|half| folder.join(half.name()));
    match &halves {
        _ if result.exists() => Ok(result),
        [base, candidate] if halves.iter().any(|half| half.join("result.json").exists()) => bail!(
            "{} is the report of a duet, which has two results: name {} or {}",
            folder.display(),
            base.display(),
            candidate.display()
        ),
        _ => bail!("{} holds no result.json: name a result, or the folder of a run's report", folder.display()),
    }
}

/// The baselines that there are, in words.
fn known() -> String {
    let entries = std::fs::read_dir(FOLDER).into_iter().flatten().filter_map(Result::ok);
    let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| name(entry.path())).collect();
    names.retain(|name| name.parse::<Name>().is_ok());
    names.sort();
    match names.len() {
        0 => format!("{FOLDER} has none; `wsbench run … --save-baseline main` makes one"),
        _ => format!("{FOLDER} has {}", names.join(", ")),
    }
}

/// Keeps `document` under `name`, and says what it takes the place of. Only a run that ended well is kept: one that is
/// INVALID, partial or has regressed must not become what later ones are judged by, nor one of which a trial failed.
pub(super) fn save(document: &Document, name: &Name, exit: Exit) -> anyhow::Result<()> {
    let path = name.path();
    if let Some(why) = unfit(document, exit) {
        let stays = if path.exists() { ": what was there stays" } else { "" };
        say::err(&format!("warning: not kept as baseline {name}, since {why}{stays}"));
        return Ok(());
    }
    let replaced = path.exists().then(|| match Document::load(&path) {
        Ok(old) => format!(", in the place of the run of {}", old.meta.started),
        Err(_) => ", in the place of a file that was no result".to_owned(),
    });
    std::fs::create_dir_all(FOLDER).with_context(|| format!("{FOLDER} can't be made"))?;
    document.save(&path)?;
    say::err(&format!("kept as baseline {name} ({}){}", path.display(), replaced.unwrap_or_default()));
    Ok(())
}

/// Why a run that ended with `exit` is none to judge later ones by.
fn unfit(document: &Document, exit: Exit) -> Option<String> {
    let failed = document.cells.iter().flat_map(|cell| &cell.trials).filter(|trial| trial.failure.is_some()).count();
    match exit {
        Exit::Done | Exit::Inconclusive => (failed > 0).then(|| format!("in {failed} of its trials the target failed")),
        exit => Some(format!("it did not end well (exit code {})", exit as u8)),
    }
}

/// A baseline that a run is going to be judged by.
pub(super) struct Baseline {
    pub(super) document: Document,
    options: Options,
}

impl Baseline {
    /// Checks before a run begins that it can be judged when it is over; `before` is its document without a trial. The
    /// outer error is of reading it, the inner one that they can't be held against each other.
    pub(super) fn ready(
        text: &str,
        judge: &JudgeArgs,
        before: &Document,
        trials: u32,
    ) -> anyhow::Result<Result<Baseline, NotComparable>> {
        let document = load(text).with_context(|| "the baseline can't be read")?;
        let options = judge.options((text.to_owned(), before.scenario.name.clone()));
        let prospects = || verdict::foresee(&verdict::foreseen(&document, before, trials), &options);
        if let Err(problem) = verdict::prepare(&document, before, &options).and_then(|_| prospects()) {
            return Ok(Err(problem));
        }
        let fewest = document.cells.iter().map(|cell| cell.trials.len()).min().unwrap_or(0);
        if fewest.min(trials as usize) < RECOMMENDED {
            say::err(&format!(
                "hint: the baseline has {fewest} trials an arm, this run will have {trials}: small changes need at least \
                 {RECOMMENDED} of either (--trials {RECOMMENDED})"
            ));
        }
        Ok(Ok(Baseline { document, options }))
    }

    /// Judges the run that is over, whose report is in `dir`.
    pub(super) fn judge(&self, new: &Document, dir: &Path) -> Result<Comparison, NotComparable> {
        let options =
            Options { names: (self.options.names.0.clone(), dir.display().to_string()), ..self.options.clone() };
        verdict::compare(&self.document, new, Design::Separate, &options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_which_one_trial_failed_is_none_to_judge_later_ones_by() {
        let mut document = crate::verdict::testing::run_of(&[1.0, 1.0, 1.0]);
        assert_eq!(unfit(&document, Exit::Done), None);
        assert_eq!(unfit(&document, Exit::Inconclusive), None);
        assert!(unfit(&document, Exit::Regression).unwrap().contains("exit code 96"));
        document.cells[0].trials[1].failure = Some("every session had ended".to_owned());
        assert_eq!(unfit(&document, Exit::Done).unwrap(), "in 1 of its trials the target failed");
    }

    #[test]
    fn a_name_is_no_way_out_of_the_folder() {
        for good in ["main", "v1.2", "a_b-c", "0"] {
            for typed in [good.to_owned(), format!("{good}.json")] {
                assert_eq!(typed.parse::<Name>().unwrap().path(), Path::new(FOLDER).join(format!("{good}.json")));
            }
        }
        for bad in ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
