//! The report's folder: never overwritten silently, and known to be writable before a run starts.

use crate::export;
use crate::result::{Document, SCHEMA_VERSION};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Makes the folder, or takes it if it is empty; fails before anything was measured rather than after.
pub(super) fn prepare(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("{} can't be made", dir.display()))?;
    let mut entries = std::fs::read_dir(dir).with_context(|| format!("{} can't be read", dir.display()))?;
    if entries.next().is_some() {
        bail!("{} exists and isn't empty; nothing is overwritten: choose another folder with --out", dir.display());
    }
    let probe = dir.join(".writable");
    std::fs::write(&probe, SCHEMA_VERSION.to_string())
        .with_context(|| format!("{} can't be written to", dir.display()))?;
    std::fs::remove_file(&probe)?;
    Ok(())
}

/// `reports/<scenario>-<date-time>`.
pub(super) fn default_dir(name: &str) -> PathBuf {
    Path::new("reports").join(format!("{name}-{}", crate::clock::today().strftime("%Y%m%d-%H%M%S")))
}

/// Writes `result.json`: first into a file of its own, so that an earlier state survives a full disk.
pub(super) fn save(document: &Document, dir: &Path) -> anyhow::Result<()> {
    document.save(&dir.join("result.json")).map_err(Into::into)
}

/// Draws everything that follows from the document.
pub(super) fn render(document: &Document, dir: &Path, charts: bool) -> anyhow::Result<()> {
    export::write_all(document, dir, charts)?;
    Ok(())
}
