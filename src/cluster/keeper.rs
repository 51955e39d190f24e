//! A process that keeps the server which a command started, and never leaves any of it behind.
//!
//! The command runs in a process group of its own. The keeper holds on until its standard input ends, which it does when
//! whoever started it lets go of it or dies in whatever way: then the group is asked to end, and killed if it doesn't. It says
//! the group's id, in a line, and if the command ends by itself how it did, in another. Processes that the command left behind are the
//! keeper's to bury (`PR_SET_CHILD_SUBREAPER`), so that it knows when the last of the group is gone.

use crate::clock::{self, MILLI, Nanos, SECOND};
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// From asking the group to end to killing it.
pub(super) const PATIENCE: Nanos = 5 * SECOND;
/// And for a killed group to be gone.
const DYING: Nanos = SECOND;
/// How often a group is looked at that is ending.
const LOOK: Duration = Duration::from_millis(10);
/// And one whose first process is gone while others live.
const GLANCE: Duration = Duration::from_millis(500);

enum Event {
    /// The shell is gone; what it started may not be.
    Ended(io::Result<ExitStatus>),
    /// Nobody wants the command any more.
    Released,
}

/// Runs `command` by `sh -c`, its output going to standard error, until standard input ends.
pub fn keep(command: &str) -> io::Result<()> {
    prctl::set_child_subreaper(true)?;
    let log = io::stderr().as_fd().try_clone_to_owned()?;
    let mut shell = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()?;
    let group = Group(Pid::from_raw(shell.id() as i32));
    writeln!(io::stdout(), "{}", group.0)?;
    let (tell, events) = mpsc::channel();
    let ended = tell.clone();
    thread::spawn(move || ended.send(Event::Ended(shell.wait())));
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        tell.send(Event::Released)
    });
    match events.recv() {
        Ok(Event::Ended(status)) => {
            // A command may leave its server in the background.
            while !group.is_gone() {
                match events.recv_timeout(GLANCE) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return group.end(None),
                }
            }
            writeln!(io::stdout(), "{}", status?)
        }
        _ => group.end(Some(&events)),
    }
}

/// A process group by its id.
struct Group(Pid);

impl Group {
    /// Buries those of it that are dead; true if there were no others.
    fn is_gone(&self) -> bool {
        let of_group = Pid::from_raw(-self.0.as_raw());
        while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) = waitpid(of_group, Some(WaitPidFlag::WNOHANG))
        {
        }
        killpg(self.0, None).is_err()
    }

    /// Asks it to end, and kills what doesn't. `shell`: tells when the shell is buried, if it isn't yet.
    fn end(&self, shell: Option<&Receiver<Event>>) -> io::Result<()> {
        for (signal, patience) in [(Signal::SIGTERM, PATIENCE), (Signal::SIGKILL, DYING)] {
            let _ = killpg(self.0, signal);
            let deadline = clock::now() + patience;
            while clock::now() < deadline {
                // Not before the shell's own thread has buried it.
                let is_buried =
                    shell.is_none_or(|shell| matches!(shell.recv_timeout(LOOK), Err(RecvTimeoutError::Disconnected)));
                if is_buried && self.is_gone() {
                    return Ok(());
                }
                thread::sleep(LOOK);
            }
        }
        Err(io::Error::other(format!("process group {} outlives SIGKILL", self.0)))
    }
}

/// Longest that letting go of a command may take.
pub(super) const LETTING_GO: Duration = Duration::from_millis((PATIENCE + DYING + SECOND) / MILLI);
