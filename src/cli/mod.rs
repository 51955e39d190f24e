//! Arguments, live progress, exit codes. The only place that prints.

mod agent;
mod args;
mod baseline;
mod bus;
mod capacity;
mod check;
mod compare;
mod duet;
mod exit;
mod export;
mod fleet;
mod history;
mod init;
mod live;
mod oracle;
mod report;
mod run;
mod say;
mod scenario;
mod selftest;
mod serve;
mod signals;
mod summary;
mod write;

use args::{Args, Command};
use clap::CommandFactory;
use exit::Exit;
use std::process::ExitCode;

/// Runs the command line that this process was given.
pub fn main() -> ExitCode {
    let args = Args::read();
    let exit = match args.command {
        Command::Run(run) => run::run(*run),
        Command::Capacity(args) => capacity::capacity(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Duet(args) => duet::duet(&args),
        Command::History(args) => history::history(&args),
        Command::Check(check) => check::check(&check),
        Command::Report(report) => report::report(&report),
        Command::Agent(args) => agent::agent(&args),
        Command::Serve(serve) => serve::serve(&serve),
        Command::Init { path } => init::init(&path).map_err(Into::into),
        Command::Selftest(args) => selftest::selftest(&args),
        Command::Schema => scenario::schema(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "wsbench", &mut script);
            say::out(&String::from_utf8_lossy(&script)).map(|()| Exit::Done).map_err(Into::into)
        }
        Command::Worker => crate::cluster::work().map(|()| Exit::Done).map_err(Into::into),
        Command::Keeper { command, files, shell: false } => {
            crate::cluster::keep(&command, files).map(|()| Exit::Done).map_err(Into::into)
        }
        Command::Keeper { command, files, shell: true } => {
            crate::cluster::become_shell(&command, files).map(|never| match never {}).map_err(Into::into)
        }
        Command::Target => crate::target::controlled().map(|()| Exit::Done).map_err(Into::into),
        Command::Capture => crate::accounting::work().map(|()| Exit::Done).map_err(Into::into),
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            say::err(&format!("error: {}", say::chain(error.as_ref())));
            Exit::of_error(&error).into()
        }
    }
}
