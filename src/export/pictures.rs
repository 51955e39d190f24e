//! The charts as files.

use super::{ExportError, File, Options};
use crate::chart::{CHARTS, draw};
use crate::result::Document;

pub fn files(document: &Document, options: &Options) -> Result<Vec<File>, ExportError> {
    if !options.charts {
        return Ok(Vec::new());
    }
    let specs = CHARTS.iter().filter_map(|chart| Some((chart.file, (chart.spec)(document)?)));
    specs.map(|(name, spec)| Ok(File::new(format!("charts/{name}"), draw(&spec)?))).collect()
}
