//! `--export FORMAT=FILE`: a result in the formats of other tools.

use crate::export::{FORMATS, Format, write_format};
use crate::result::Document;
use anyhow::bail;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One of them, as it was asked for.
#[derive(Clone)]
pub(super) struct ExportFlag {
    format: &'static Format,
    pub file: PathBuf,
}

impl std::fmt::Debug for ExportFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}={}", self.format.name, self.file.display())
    }
}

impl FromStr for ExportFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<ExportFlag, String> {
        let choices = || {
            let lines = FORMATS.iter().map(|format| format!("\n  {:<15} {}", format.name, format.what));
            format!("choose one of{}", lines.collect::<String>())
        };
        let Some((name, file)) = text.split_once('=').filter(|(_, file)| !file.is_empty()) else {
            return Err(format!("write FORMAT=FILE, such as junit=junit.xml; {}", choices()));
        };
        let format = FORMATS.iter().find(|format| format.name == name).ok_or_else(choices)?;
        Ok(ExportFlag { format, file: PathBuf::from(file) })
    }
}

/// Fails where a file could not be written, before anything was measured rather than after.
pub(super) fn check(flags: &[ExportFlag]) -> anyhow::Result<()> {
    for ExportFlag { format, file } in flags {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            bail!("--export {}: there is no folder {}", format.name, folder.display());
        }
        if file.is_dir() {
            bail!("--export {}: {} is a folder; name a file", format.name, file.display());
        }
    }
    Ok(())
}

pub(super) fn write(document: &Document, flags: &[ExportFlag]) -> anyhow::Result<()> {
    flags.iter().try_for_each(|flag| Ok(write_format(document, flag.format, &flag.file)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_names_a_format_and_a_file() {
        let flag: ExportFlag = "junit=a=b.xml".parse().unwrap();
        assert_eq!((flag.format.name, flag.file), ("junit", PathBuf::from("a=b.xml")));
        for (text, hint) in [("junit", "junit=junit.xml"), ("junit=", "junit=junit.xml"), ("xml=a", "prometheus")] {
            let error = text.parse::<ExportFlag>().unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
    }
}
