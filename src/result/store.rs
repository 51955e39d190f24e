//! Loading and saving. A result file may have been made by any version, cut short, or edited by hand.

use super::{Document, SCHEMA_VERSION};
use crate::measure::HistogramError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Most bytes of a result file that are read.
pub const MAX_FILE: u64 = 256 << 20;
/// Most histograms of trials in one document. Each takes 216 KB once it is unpacked, whatever it took in the file.
pub const MAX_HISTOGRAMS: usize = 10_000;

/// Why a result could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is larger than {} MiB, the most that is read as a result", path.display(), MAX_FILE >> 20)]
    TooLarge { path: PathBuf },
    #[error("{} is not a wsbench result: {source}", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error(
        "{} has schema version {found}, newer than {SCHEMA_VERSION}, the newest that this wsbench knows; \
         read it with wsbench {} or later", path.display(), made_by.as_deref().unwrap_or("of the version that wrote it")
    )]
    Newer { path: PathBuf, found: u64, made_by: Option<String> },
    #[error("{} has schema version 0, which never existed; the first is 1", path.display())]
    NoSuchVersion { path: PathBuf },
    #[error("{} holds {found} histograms of trials, more than the {MAX_HISTOGRAMS} that are read", path.display())]
    TooMany { path: PathBuf, found: usize },
    #[error("{}: {place}: {source}", path.display())]
    Histogram { path: PathBuf, place: String, source: HistogramError },
    #[error("{}: {place}: {why}; no run has such figures, so the file was edited or damaged: measure again", path.display())]
    Impossible { path: PathBuf, place: String, why: String },
}

/// Why a result could not be saved. Nothing that was there before is lost.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct SaveError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// What every version has, read before anything else is believed.
#[derive(Deserialize)]
struct Head {
    schema_version: u64,
    #[serde(default)]
    meta: HeadMeta,
}

#[derive(Deserialize, Default)]
struct HeadMeta {
    #[serde(default)]
    wsbench_version: Option<String>,
}

/// Just enough to count histograms without unpacking one.
#[derive(Deserialize)]
struct Shape {
    cells: Vec<ShapeCell>,
}

#[derive(Deserialize)]
struct ShapeCell {
    trials: Vec<ShapeTrial>,
}

#[derive(Deserialize)]
struct ShapeTrial {
    outcome: ShapeOutcome,
}

#[derive(Deserialize)]
struct ShapeOutcome {
    #[serde(default)]
    histograms: HashMap<String, IgnoredAny>,
}

impl Document {
    /// Reads a result of this or any older schema version.
    ///
    /// # Errors
    /// See [`LoadError`]; damage is reported with line and column, or with the damaged histogram's place.
    pub fn load(path: &Path) -> Result<Document, LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(read)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(LoadError::TooLarge { path: path.to_owned() });
        }
        Document::parse(&bytes, path)
    }

    /// Reads a result from memory; `path` is what errors call it.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Document, LoadError> {
        let path = || path.to_owned();
        let damaged = |source| LoadError::Damaged { path: path(), source };
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        match head.schema_version {
            0 => return Err(LoadError::NoSuchVersion { path: path() }),
            found if found > u64::from(SCHEMA_VERSION) => {
                return Err(LoadError::Newer { path: path(), found, made_by: head.meta.wsbench_version });
            }
            // Version 1 is the first; when there is a second, its predecessor is brought up to date here.
            _ => {}
        }
        let shape: Shape = serde_json::from_slice(bytes).map_err(damaged)?;
        let found = shape.cells.iter().flat_map(|c| &c.trials).map(|t| t.outcome.histograms.len()).sum();
        if found > MAX_HISTOGRAMS {
            return Err(LoadError::TooMany { path: path(), found });
        }
        let document: Document = serde_json::from_slice(bytes).map_err(damaged)?;
        document.check_figures().map_err(|(place, why)| LoadError::Impossible { path: path(), place, why })?;
        document.check_packed().map_err(|(place, source)| LoadError::Histogram { path: path(), place, source })?;
        Ok(document)
    }

    /// Writes the document so that a reader sees the old file or the new one, never half of either, even if the disk
    /// is full or the machine stops.
    pub fn save(&self, path: &Path) -> Result<(), SaveError> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|e| SaveError { path: path.to_owned(), source: e.into() })?;
        text.push(b'\n');
        write_atomically(path, &text)
    }

    /// The histograms of intervals and of agents' parts stay packed; this is where a damaged one is found.
    fn check_packed(&self) -> Result<(), (String, HistogramError)> {
        for (c, cell) in self.cells.iter().enumerate() {
            for (t, trial) in cell.trials.iter().enumerate() {
                let at = format!("cells[{c}].trials[{t}]");
                for (i, interval) in trial.outcome.intervals.iter().enumerate() {
                    let place = || format!("{at}.outcome.intervals[{i}].response_time");
                    interval.response_time.unpack().map_err(|source| (place(), source))?;
                }
                for (a, agent) in trial.agents.iter().enumerate() {
                    let Some(part) = &agent.outcome else { continue };
                    let at = format!("{at}.agents[{a}].outcome");
                    part.unpack().map_err(|source| (format!("{at}.histograms"), source))?;
                    for (i, interval) in part.intervals.iter().enumerate() {
                        let place = || format!("{at}.intervals[{i}].response_time");
                        interval.response_time.unpack().map_err(|source| (place(), source))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Replaces `path` by `bytes` at once: a temporary file beside it, synced, then renamed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), SaveError> {
    let error = |source| SaveError { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| error(io::Error::other("this is not the name of a file")))?;
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(".part");
    let temporary = path.with_file_name(temporary_name);
    let result = write_synced(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() {
        // Best effort: the error that matters is the one above.
        let _ = std::fs::remove_file(&temporary);
    }
    result.map_err(error)?;
    // The rename itself is on disk only once the folder is. Not every file system can do it, and the data is safe.
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty())
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::{AgentPart, testing};
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Document, LoadError> {
        Document::parse(text.as_bytes(), Path::new("result.json"))
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        let document = testing::document();
        document.save(&path).unwrap();
        document.save(&path).unwrap();
        assert_eq!(Document::load(&path).unwrap(), document);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_failed_save_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("result.json");
        assert!(testing::document().save(&path).unwrap_err().to_string().contains("missing"));
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        assert!(testing::document().save(&folder.path().join("taken")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_newer_version_says_which_wsbench_is_needed() {
        let error = parse(r#"{"schema_version": 9, "meta": {"wsbench_version": "4.2.0"}, "cells": "new"}"#);
        let message = error.unwrap_err().to_string();
        assert!(message.contains("schema version 9") && message.contains("wsbench 4.2.0 or later"), "{message}");
    }

    #[test]
    fn damage_is_told_with_its_place() {
        for (text, expected) in [
            ("", "line 1"),
            ("[]", "line 1"),
            ("{}", "schema_version"),
            (r#"{"schema_version": 1.5}"#, "line 1"),
            (r#"{"schema_version": "1"}"#, "line 1"),
            (r#"{"schema_version": 0}"#, "never existed"),
            ("{\"schema_version\": 1,\n \"cells\": 7}", "line 2"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains("result.json") && message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_damaged_interval_is_told_with_its_place() {
        let mut value = serde_json::to_value(testing::document()).unwrap();
        value["cells"][1]["trials"][0]["outcome"]["intervals"][2]["response_time"]["v2"] = "AAAA".into();
        let message = parse(&value.to_string()).unwrap_err().to_string();
        assert!(message.contains("cells[1].trials[0].outcome.intervals[2].response_time"), "{message}");
    }

    #[test]
    fn a_damaged_part_of_an_agent_is_told_with_its_place() {
        let mut value = serde_json::to_value(testing::fleet()).unwrap();
        value["cells"][1]["trials"][0]["agents"][1]["outcome"]["histograms"]["tcp"]["v2"] = "AAAA".into();
        let message = parse(&value.to_string()).unwrap_err().to_string();
        assert!(message.contains("cells[1].trials[0].agents[1].outcome.histograms"), "{message}");
    }

    #[test]
    fn the_parts_of_many_agents_are_no_flood() {
        // At rest a part takes what it takes in the file; only the sum of all is unpacked.
        let mut document = testing::fleet();
        let trial = &mut document.cells[0].trials[0];
        let silent = AgentPart { outcome: None, lost: Some("gone".to_owned()), ..trial.agents[0].clone() };
        trial.agents.extend(std::iter::repeat_n(silent, 1000));
        assert!(parse(&serde_json::to_string(&document).unwrap()).is_ok());
    }

    #[test]
    fn figures_that_no_run_can_have_are_refused_with_their_place() {
        let mut value = serde_json::to_value(testing::document()).unwrap();
        value["cells"][1]["trials"][0]["outcome"]["measure"]["delivered"] = (1u64 << 63).into();
        let message = parse(&value.to_string()).unwrap_err().to_string();
        assert!(
            message.starts_with("result.json: cells[1].trials[0].outcome.measure: the sums don't hold"),
            "{message}"
        );
    }

    #[test]
    fn a_flood_of_histograms_is_refused_before_memory_is_taken() {
        // The names are unknown and the histograms aren't any, but the count comes first.
        let many: Vec<_> = (0..=MAX_HISTOGRAMS).map(|n| format!("\"m{n}\":{{}}")).collect();
        let trial = format!(r#"{{"outcome":{{"histograms":{{{}}}}}}}"#, many.join(","));
        let text = format!(r#"{{"schema_version":1,"cells":[{{"trials":[{trial}]}}]}}"#);
        assert!(matches!(parse(&text), Err(LoadError::TooMany { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Document::parse(&bytes, Path::new("x"));
        }
    }
}
