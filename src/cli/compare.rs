//! `wsbench compare`: two saved runs, and what changed between them.

use super::args::{CompareArgs, Format};
use super::exit::Exit;
use super::{baseline, say, write};
use crate::export;
use crate::result::Document;
use crate::verdict::{self, Comparison, Design, NotComparable, Row, Side};
use anyhow::Context;
use std::path::Path;

pub(super) fn compare(args: &CompareArgs) -> anyhow::Result<Exit> {
    let (base, new) = (baseline::load(&args.base)?, baseline::load(&args.new)?);
    let options = args.judge.options((args.base.clone(), args.new.clone()));
    let design = verdict::design(&base, &new);
    let comparison = match verdict::compare(&base, &new, design, &options) {
        Ok(comparison) => comparison,
        Err(problem) => return Ok(refuse(&problem)),
    };
    if design == Design::Paired {
        say::err(
            "hint: these are the two sides of one duet, so their trials are held together as pairs, in one look; what the \
             duet itself found, in the looks that it had planned, is in its comparison.json",
        );
    }
    let written = match &args.out {
        Some(dir) => {
            write::prepare(dir)?;
            self::write(&comparison, &base, &new, dir)
        }
        None => Ok(()),
    };
    // Said even where its files could not be written.
    match args.format {
        Format::Json => say::out(&format!("{}\n", serde_json::to_string_pretty(&comparison)?))?,
        Format::Text => {
            let page = args
                .out
                .as_ref()
                .filter(|_| written.is_ok())
                .map(|dir| format!("{}\n", dir.join("comparison.html").display()));
            say::out(&format!("{}{}", text(&comparison), page.unwrap_or_default()))?;
        }
    }
    let exit = conclude(&comparison, args.judge.strict);
    written.map(|()| exit)
}

/// How a comparison ends; says so where nothing was judged.
pub(super) fn conclude(comparison: &Comparison, is_strict: bool) -> Exit {
    if let Some(why) = comparison.unjudged() {
        say::err(&format!("error: {why}"));
    }
    Exit::of_comparison(comparison, is_strict)
}

/// Says why two runs can't be compared.
pub(super) fn refuse(problem: &NotComparable) -> Exit {
    say::err(&format!("error: {problem}"));
    Exit::of_refusal(problem)
}

/// Leaves the comparison's files in `dir`.
pub(super) fn write(comparison: &Comparison, base: &Document, new: &Document, dir: &Path) -> anyhow::Result<()> {
    export::write_comparison(comparison, base, new, dir).with_context(|| format!("writing into {}", dir.display()))?;
    Ok(())
}

/// A line for each row, what they rest on, and the verdict last, where it is seen.
pub(super) fn text(comparison: &Comparison) -> String {
    let side = |what: &str, side: &Side| {
        let trials = if side.trials == 1 { "1 trial".to_owned() } else { format!("{} trials", side.trials) };
        format!("{what:5} {}, {}, {trials}\n", side.name, side.started)
    };
    let mut text = format!("\n{}{}\n", side("base", &comparison.base), side("new", &comparison.new));
    text += &comparison.rows.iter().map(|row| line(comparison, row)).collect::<String>();
    let also = |what: &str, of: &mut dyn Iterator<Item = String>| -> String {
        of.map(|words| format!("{what}: {words}\n")).collect()
    };
    let more = also("differs", &mut comparison.differences.iter().map(ToString::to_string))
        + &also("left out", &mut comparison.left_out.iter().cloned())
        + &also("note", &mut comparison.remarks().into_iter().chain(comparison.look_in_words()));
    if !more.is_empty() {
        text += &format!("\n{more}");
    }
    text + &format!("\n{}\n", comparison.headline())
}

fn line(comparison: &Comparison, row: &Row) -> String {
    let gated = if row.is_gated { "" } else { "; not gated" };
    let note = row.note.as_ref().map_or(String::new(), |note| format!("\n    {note}"));
    format!("{}  {}{gated}{note}\n", row.words(comparison), row.values())
}
