//! A process that keeps the server which a command started, and never leaves any of it behind.
//!
//! The command runs in a process group of its own. The keeper holds on until its standard input ends, which it does when
//! whoever started it lets go of it or dies in whatever way: then all that stands below it is asked to end, and killed if it
//! doesn't. It says the group's id, in a line, and if the command ends by itself how it did, in another. Processes that the
//! command left behind are the keeper's to bury (`PR_SET_CHILD_SUBREAPER`), so that it knows when the last of them is gone,
//! whatever group or session that chose. Should the keeper itself be killed, the command's first process dies with it
//! (`PR_SET_PDEATHSIG`), and who started it ends the rest of the group.

use super::kin;
use crate::clock::{self, MILLI, Nanos, SECOND};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::convert::Infallible;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// From asking what is kept to end to killing it.
pub(super) const PATIENCE: Nanos = 5 * SECOND;
/// And for what was killed to be gone.
const DYING: Nanos = SECOND;
/// How often those are looked at that are ending.
const LOOK: Duration = Duration::from_millis(10);
/// And those that live on while the command's first process is gone.
const GLANCE: Duration = Duration::from_millis(500);

enum Event {
    /// The shell is gone; what it started may not be.
    Ended(io::Result<ExitStatus>),
    /// Nobody wants the command any more.
    Released,
}

/// Runs `command` by `sh -c`, its output going to standard error, until standard input ends. It may hold `files` open, or as
/// many as the keeper.
pub fn keep(command: &str, files: Option<u64>) -> io::Result<()> {
    prctl::set_child_subreaper(true)?;
    let log = io::stderr().as_fd().try_clone_to_owned()?;
    let mut shell = Command::new(std::env::current_exe()?);
    shell.args(["keeper", "--shell"]);
    shell.args(files.map(|files| format!("--files={files}"))).args(["--", command]);
    let mut shell = shell.stdin(Stdio::null()).stdout(log).stderr(Stdio::inherit()).process_group(0).spawn()?;
    let kept = Kept(Pid::from_raw(shell.id() as i32));
    let told = writeln!(io::stdout(), "{}", kept.0);
    let (tell, events) = mpsc::channel();
    let ended = tell.clone();
    thread::spawn(move || ended.send(Event::Ended(shell.wait())));
    if told.is_err() {
        // Nobody is there to want it.
        return kept.end(Some(&events));
    }
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        tell.send(Event::Released)
    });
    match events.recv() {
        Ok(Event::Ended(status)) => {
            // A command may leave its server in the background.
            while !is_gone() {
                match events.recv_timeout(GLANCE) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return kept.end(None),
                }
            }
            writeln!(io::stdout(), "{}", status?)
        }
        _ => kept.end(Some(&events)),
    }
}

/// Becomes the shell that runs `command`, which dies with the keeper and may hold `files` open. Returns only if it can't.
pub fn become_shell(command: &str, files: Option<u64>) -> io::Result<Infallible> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if let Some(files) = files {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, files.min(hard), hard)?;
    }
    Err(Command::new("sh").args(["-c", "--", command]).exec())
}

/// Buries those of our children that are dead; true if there were no others, and so nothing below us.
fn is_gone() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => {}
            Err(Errno::ECHILD) => return true,
            _ => return false,
        }
    }
}

/// All that stands below us, by the process group of the command.
struct Kept(Pid);

impl Kept {
    /// Asks all of it to end, and kills what doesn't. `shell`: tells when the shell is buried, if it isn't yet.
    fn end(&self, shell: Option<&Receiver<Event>>) -> io::Result<()> {
        for (signal, patience) in [(Signal::SIGTERM, PATIENCE), (Signal::SIGKILL, DYING)] {
            self.tell(signal);
            let deadline = clock::now() + patience;
            while clock::now() < deadline {
                // Not before the shell's own thread has buried it.
                let is_buried =
                    shell.is_none_or(|shell| matches!(shell.recv_timeout(LOOK), Err(RecvTimeoutError::Disconnected)));
                if is_buried && is_gone() {
                    return Ok(());
                }
                if signal == Signal::SIGKILL {
                    // Those as well that were started while others were killed.
                    self.tell(signal);
                }
                thread::sleep(LOOK);
            }
        }
        Err(io::Error::other(format!("a process of group {} outlives SIGKILL", self.0)))
    }

    /// Each is told once: a group at one stroke, so that none slips through by starting another.
    fn tell(&self, signal: Signal) {
        let (group, others): (Vec<_>, Vec<_>) =
            kin::below(std::process::id()).into_iter().partition(|stat| stat.group as i32 == self.0.as_raw());
        if !group.is_empty() {
            let _ = killpg(self.0, signal);
        }
        for stat in others {
            let _ = kill(Pid::from_raw(stat.pid as i32), signal);
        }
    }
}

/// Longest that letting go of a command may take.
pub(super) const LETTING_GO: Duration = Duration::from_millis((PATIENCE + DYING + SECOND) / MILLI);
