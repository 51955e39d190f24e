//! `wsbench report`: redraws a saved result, or says it in the format of another tool.

use super::args::ReportArgs;
use super::exit::Exit;
use super::{export, say, write};
use crate::result::Document;
use anyhow::Context;
use std::path::Path;

pub(super) fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let document = Document::load(&args.result)?;
    export::check(&args.export.export)?;
    export::write(&document, &args.export.export)?;
    for flag in &args.export.export {
        say::out(&format!("wrote {}\n", flag.file.display()))?;
    }
    if args.out.is_none() && !args.export.export.is_empty() {
        return Ok(Exit::Done);
    }
    let dir = match &args.out {
        Some(dir) => dir.as_path(),
        None => args.result.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    };
    if args.out.is_some() {
        write::prepare(dir)?;
    }
    write::render(&document, dir, !args.no_charts).with_context(|| format!("redrawing into {}", dir.display()))?;
    say::out(&format!("wrote {}\n", dir.join("report.html").display()))?;
    Ok(Exit::Done)
}
