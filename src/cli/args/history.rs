//! The command line of `wsbench history`.

use super::Format;
use clap::Args as ClapArgs;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct HistoryArgs {
    /// Result files, or folders in which every result.json counts
    #[arg(required = true, value_name = "DIR|FILE")]
    pub paths: Vec<PathBuf>,
    /// Folder for summary.md, history.csv and charts; must not exist yet, or be empty
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// File for the figures of all runs, as Apache Otava reads them; replaced if it exists
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// What to print: tables, or JSON and nothing else
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

const EXAMPLES: &str = "\
Examples:
  wsbench history reports                          tables of all runs that are below it
  wsbench history reports -o history               the same with charts
  wsbench history reports --csv history.csv        for Apache Otava, or a spreadsheet

Runs that can't be held against each other (another scenario, plan or machine) are shown apart. Changes are advice: see
docs/verdicts.md. Files that can't be read are named and skipped.
Exit codes: 0 done, 1 nothing could be read, 2 command line wrong.";
