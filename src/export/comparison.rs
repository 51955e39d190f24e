//! What a comparison of two runs leaves: its JSON.

use super::ExportError;
use crate::result::{Document, write_atomically};
use crate::verdict::Comparison;
use std::path::{Path, PathBuf};

/// Writes `comparison.json` into `folder` and returns its path. `_base` and `_new` are the runs that were compared.
///
/// # Errors
/// It can't be written.
pub fn write_comparison(
    comparison: &Comparison,
    _base: &Document,
    _new: &Document,
    folder: &Path,
) -> Result<Vec<PathBuf>, ExportError> {
    let mut text = serde_json::to_string_pretty(comparison).expect("a comparison has string keys only");
    text.push('\n');
    let path = folder.join("comparison.json");
    write_atomically(&path, text.as_bytes())?;
    Ok(vec![path])
}
