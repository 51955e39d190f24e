//! `wsbench selftest`: is the instrument right on this machine?

use super::args::{Format, SelfTestArgs};
use super::exit::Exit;
use super::say;
use crate::cluster;
use crate::result::{Certificate, Check, Verdict};
use crate::selftest::{self, StandError};
use anyhow::Context;
use comfy_table::{Table, presets};
use std::path::PathBuf;

pub(super) fn selftest(args: &SelfTestArgs) -> anyhow::Result<Exit> {
    let path = certificate_path(args)?;
    // Better to know before two minutes have passed.
    let path = match (&path, path.as_ref().map(|path| Certificate::prepare(path))) {
        (_, Some(Err(error))) if args.out.is_some() => return Err(error.into()),
        (_, Some(Err(error))) => {
            say::err(&format!("warning: no certificate will be kept: {error}; --out FILE says where to"));
            None
        }
        _ => path,
    };
    let wanted = |suite: &str| args.suite.is_empty() || args.suite.iter().any(|name| name == suite);
    let program = std::env::current_exe().context("this program can't find itself to start its workers")?;
    cluster::raise_open_files_limit();
    let starting = |suite: &str| say::err(&format!("testing {suite} …"));
    let done = |checks: &[Check]| {
        checks.iter().filter(|check| check.verdict == Verdict::Fail).for_each(|check| {
            say::err(&format!("  FAIL {}: expected {}, measured {}", check.what, check.expected, check.measured));
        });
    };
    let ran = match args.quiet {
        true => selftest::run(program, wanted, |_| (), |_| ()),
        false => selftest::run(program, wanted, starting, done),
    };
    let certificate = match ran {
        Err(StandError::Interrupted) => {
            say::err("interrupted: nothing is certified");
            return Ok(Exit::Interrupted);
        }
        ran => ran?,
    };
    let saved = path.as_ref().map_or(Ok(()), |path| certificate.save(path));
    match args.format {
        Format::Json => say::out(&format!("{}\n", serde_json::to_string_pretty(&certificate)?))?,
        Format::Text => say::out(&format!("{}\n{}\n", table(&certificate.checks), verdict(&certificate)))?,
    }
    saved?;
    if let (Some(path), Format::Text) = (&path, args.format) {
        say::out(&format!("certificate: {}\n", path.display()))?;
    }
    Ok(if certificate.is_passed() { Exit::Done } else { Exit::Invalid })
}

/// Where the certificate goes. One of a few suites alone certifies nothing, and is kept only if someone asks for it.
fn certificate_path(args: &SelfTestArgs) -> anyhow::Result<Option<PathBuf>> {
    match &args.out {
        Some(path) => Ok(Some(path.clone())),
        None if !args.suite.is_empty() => Ok(None),
        None => {
            let usual = Certificate::usual_path();
            let no_home = "there is no home directory to keep the certificate in: say where with --out FILE";
            usual.context(no_home).map(Some)
        }
    }
}

/// As Markdown, so that it can be shown anywhere as it is.
fn table(checks: &[Check]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["suite", "what", "expected", "measured", "tolerance", "verdict"]);
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Skipped => "skipped",
            Verdict::Floor => "–",
        };
        let texts = [&check.suite, &check.what, &check.expected, &check.measured, &check.tolerance];
        table.add_row(texts.into_iter().map(String::as_str).chain([verdict]));
    }
    table
}

fn verdict(certificate: &Certificate) -> String {
    let (passed, failed) = (certificate.count(Verdict::Pass), certificate.count(Verdict::Fail));
    let skipped = certificate.count(Verdict::Skipped);
    match certificate.is_passed() {
        true if passed == 0 => format!("nothing to pass or fail, {skipped} skipped"),
        true => format!("PASSED: {passed} of {passed} checks, {skipped} skipped"),
        false => format!(
            "FAILED: {failed} of {} checks, {skipped} skipped. Was the machine busy? Then run it again on a quiet one; \
             else don't trust what wsbench measures here, and report this certificate",
            passed + failed
        ),
    }
}
