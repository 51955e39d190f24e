//! Suspending one of a run's processes in the middle of its measured window, as a debugger or a hypervisor would.

use super::stand::{Stand, StandError};
use crate::clock::{self, MILLI, Nanos};
use crate::cluster::Progress;
use crate::result::Document;
use crate::schedule::Phase;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The window has run for at least this long when the process is suspended.
const LEAD: Duration = Duration::from_millis(1000);

/// A suspension that took place.
#[derive(Debug)]
pub struct Suspended {
    /// How long it really was, nanoseconds.
    pub length: Nanos,
}

/// Runs `scenario` once, and suspends our child that was started as `role` for `length` in its measured window.
pub fn suspend_during(
    stand: &mut Stand,
    scenario: &str,
    role: &'static str,
    length: Nanos,
) -> Result<(Document, Suspended), StandError> {
    let mut suspension: Option<JoinHandle<io::Result<Suspended>>> = None;
    let document = stand.run_once(scenario, &mut |progress| {
        if let (Progress::Live { live, .. }, None) = (&progress, &suspension)
            && live.phase == Phase::Measure
        {
            suspension = Some(thread::spawn(move || suspend(role, length)));
        }
    })?;
    let lost = || io::Error::other(format!("the {role} process could not be suspended in time"));
    let suspended = suspension.ok_or_else(lost)?.join().map_err(|_| lost())??;
    Ok((document, suspended))
}

fn suspend(role: &str, length: Nanos) -> io::Result<Suspended> {
    thread::sleep(LEAD);
    let child = child_of_ours(role)?;
    kill(child, Signal::SIGSTOP)?;
    let from = clock::now();
    thread::sleep(Duration::from_nanos(length));
    let until = clock::now();
    kill(child, Signal::SIGCONT)?;
    debug_assert!(until - from >= length - MILLI);
    Ok(Suspended { length: until - from })
}

/// The child process that was started as `wsbench ROLE`.
fn child_of_ours(role: &str) -> io::Result<Pid> {
    let me = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    let processes = procfs::process::all_processes().map_err(io::Error::other)?;
    let mut children = processes.flatten().filter(|process| {
        let is_ours = process.stat().is_ok_and(|stat| stat.ppid == me);
        is_ours && process.cmdline().is_ok_and(|line| line.get(1).is_some_and(|word| word == role))
    });
    let child = children.next().ok_or_else(|| io::Error::other(format!("there is no {role} process")))?;
    Ok(Pid::from_raw(child.pid()))
}
