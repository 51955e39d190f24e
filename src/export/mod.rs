//! Files made from a result: a page, a summary, tables, histograms, charts. Pure: the same document gives the same bytes.
//!
//! A new export is one new file and one row in [`EXPORTERS`], one for CI a row in [`FORMATS`], one of two runs a row in
//! `comparison`.

use crate::chart::DrawError;
use crate::result::{Document, SaveError, write_atomically};
use std::path::{Path, PathBuf};

mod ci;
mod comparison;
mod hlog;
mod html;
mod intervals;
mod junit;
mod markdown;
mod names;
mod pictures;
mod prometheus;
mod summary;
mod tracker;
mod view;

pub use ci::{FORMATS, Format, write_format};
pub use comparison::write_comparison;
pub use summary::summary_json;

/// One kind of output.
pub struct Exporter {
    /// The file, or folder, that it fills.
    pub name: &'static str,
    pub files: fn(&Document, &Options) -> Result<Vec<File>, ExportError>,
}

/// What the caller chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether to draw charts, in `charts/` and in the page.
    pub charts: bool,
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the output folder.
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// Why an export failed. What was written before it stays.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Write(#[from] SaveError),
    #[error(transparent)]
    Chart(#[from] DrawError),
    #[error("cannot fill in the page: {0}")]
    Page(#[from] minijinja::Error),
    #[error("cannot append to {}: {source}", path.display())]
    Append { path: PathBuf, source: std::io::Error },
    #[error("cannot write the histograms of {arm:?}: {problem}")]
    Histogram { arm: String, problem: String },
}

/// In the order in which they are written.
pub const EXPORTERS: &[Exporter] = &[
    Exporter { name: "summary.md", files: markdown::files },
    Exporter { name: "intervals.csv", files: intervals::files },
    Exporter { name: "histograms", files: hlog::files },
    Exporter { name: "charts", files: pictures::files },
    Exporter { name: "report.html", files: html::files },
];

impl File {
    fn new(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> File {
        File { path: path.into(), bytes: bytes.into() }
    }

    /// Replaces what was there before, and says where it is.
    fn write(self, folder: &Path) -> Result<PathBuf, ExportError> {
        let path = folder.join(self.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|source| ExportError::Folder { path: parent.to_owned(), source })?;
        }
        write_atomically(&path, &self.bytes)?;
        Ok(path)
    }
}

/// Writes every export of `document` into `folder`, replacing files of the same name, and returns their paths.
/// `result.json` itself is [`Document::save`]'s business.
///
/// # Errors
/// The first export that fails; files written before it stay.
pub fn write_all(document: &Document, folder: &Path, charts: bool) -> Result<Vec<PathBuf>, ExportError> {
    let mut written = Vec::new();
    for exporter in EXPORTERS {
        for file in (exporter.files)(document, &Options { charts })? {
            written.push(file.write(folder)?);
        }
    }
    Ok(written)
}
