//! The charts as files.

use super::{ExportError, File, Options};
use crate::chart::{draw, drawable};
use crate::result::Document;

pub fn files(document: &Document, options: &Options) -> Result<Vec<File>, ExportError> {
    if !options.charts {
        return Ok(Vec::new());
    }
    let charts = drawable(document).into_iter();
    charts.map(|(name, spec)| Ok(File::new(format!("charts/{name}"), draw(&spec)?))).collect()
}
