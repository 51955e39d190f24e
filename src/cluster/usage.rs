//! CPU and memory of a process, as Linux counts them.

use crate::clock::{self, Nanos};
use crate::result::Usage;

/// Whose usage it is.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// `None`: this process.
    Process(Option<u32>),
    /// Those that are in this process group at the moment.
    Group(u32),
}

/// Processes seen from outside or inside: what they had used before connecting, and at the start.
#[derive(Debug)]
pub(super) struct Meter {
    of: Of,
    rss_before: u64,
    rss_ramped: Option<u64>,
    cpu_at_start: Nanos,
    ticks_at_start: Ticks,
    started: Nanos,
}

/// Clock ticks on a CPU: in the program itself, and in the system on its behalf.
#[derive(Debug, Clone, Copy, Default)]
struct Ticks {
    user: u64,
    system: u64,
}

impl Meter {
    /// Takes the memory before connecting. `None`: this process.
    pub(super) fn before_connecting(pid: Option<u32>) -> Meter {
        Meter::of(Of::Process(pid))
    }

    /// The same of a process group.
    pub(super) fn of_group(group: u32) -> Meter {
        Meter::of(Of::Group(group))
    }

    fn of(of: Of) -> Meter {
        Meter {
            of,
            rss_before: of.sum(|pid| memory(pid, "VmRSS:")),
            rss_ramped: None,
            cpu_at_start: 0,
            ticks_at_start: Ticks::default(),
            started: 0,
        }
    }

    /// Every session is open, and the schedule starts.
    pub(super) fn start(&mut self) {
        self.rss_ramped = Some(self.of.sum(|pid| memory(pid, "VmRSS:")));
        self.cpu_at_start = self.of.sum(cpu);
        self.ticks_at_start = self.of.ticks();
        self.started = clock::now();
    }

    /// The drain is over.
    pub(super) fn read(&self) -> Usage {
        let cpu_nanos = self.of.sum(cpu).saturating_sub(self.cpu_at_start);
        let now = self.of.ticks();
        let user = now.user.saturating_sub(self.ticks_at_start.user);
        let both = user + now.system.saturating_sub(self.ticks_at_start.system);
        let share = |part: u64| (u128::from(cpu_nanos) * u128::from(part) / u128::from(both.max(1))) as Nanos;
        Usage {
            cpu_nanos,
            cpu_user_nanos: (both > 0).then(|| share(user)),
            wall_nanos: clock::now().saturating_sub(self.started),
            rss_before_connecting: self.rss_before,
            rss_ramped: self.rss_ramped,
            rss_peak: self.rss_peak(),
            processes: self.of.pids().len() as u64,
            cores: 1,
        }
    }

    /// A group may have lived before this trial: its own peak says nothing of it.
    fn rss_peak(&self) -> u64 {
        match self.of {
            Of::Process(pid) => memory(pid, "VmHWM:"),
            Of::Group(_) => self.of.sum(|pid| memory(pid, "VmRSS:")).max(self.rss_ramped.unwrap_or(0)),
        }
    }
}

impl Of {
    fn pids(self) -> Vec<Option<u32>> {
        match self {
            Of::Process(pid) => vec![pid],
            Of::Group(group) => members(group).into_iter().map(Some).collect(),
        }
    }

    fn sum(self, what: impl Fn(Option<u32>) -> u64) -> u64 {
        self.pids().into_iter().map(what).sum()
    }

    fn ticks(self) -> Ticks {
        let add = |sum: Ticks, one: Ticks| Ticks { user: sum.user + one.user, system: sum.system + one.system };
        self.pids().into_iter().map(ticks).fold(Ticks::default(), add)
    }
}

/// The processes of a group; its id is the third field behind the program's name.
fn members(group: u32) -> Vec<u32> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_member = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let field = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(2));
        field.and_then(|field| field.parse().ok()) == Some(group)
    };
    all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_member).collect()
}

/// From `stat`, whose second field is the program's name in brackets.
fn ticks(pid: Option<u32>) -> Ticks {
    let stat = std::fs::read_to_string(format!("{}/stat", proc_dir(pid))).unwrap_or_default();
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|field| field.parse().ok()).unwrap_or(0);
    Ticks { user: next(), system: next() }
}

fn proc_dir(pid: Option<u32>) -> String {
    pid.map_or_else(|| "/proc/self".to_owned(), |pid| format!("/proc/{pid}"))
}

/// Time on a CPU of all threads, from `schedstat`: exact, where `stat` counts ticks of 10 ms.
fn cpu(pid: Option<u32>) -> Nanos {
    let Ok(tasks) = std::fs::read_dir(format!("{}/task", proc_dir(pid))) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<Nanos>().ok())
        .sum()
}

/// A line of `status` that counts kB, in bytes.
fn memory(pid: Option<u32>, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("{}/status", proc_dir(pid))).unwrap_or_default();
    let value = status.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_default();
    value.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn sees_memory_and_work() {
        // A process that keeps what it is told: our own memory is other tests' as well.
        let keeper = Command::new("tail").args(["-c", "64M"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut keeper = keeper.unwrap();
        let mut meter = Meter::before_connecting(Some(keeper.id()));
        meter.start();
        let mut input = keeper.stdin.take().unwrap();
        input.write_all(&vec![1; 33 << 20]).unwrap();
        let usage = meter.read();
        drop(input);
        keeper.wait().unwrap();
        // All but what the pipe holds.
        assert!(usage.rss_peak >= usage.rss_before_connecting + (32 << 20), "{usage:?}");
        assert!(usage.cpu_nanos > 0 && usage.wall_nanos > 0);
        assert!(usage.rss_ramped.is_some_and(|ramped| ramped > 0));
    }

    #[test]
    fn a_group_is_all_that_is_in_it() {
        use std::os::unix::process::CommandExt;
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 600 & read line; while :; do :; done"])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let group = nix::unistd::Pid::from_raw(shell.id() as i32);
        while members(shell.id()).len() < 2 {
            std::thread::yield_now();
        }
        let mut meter = Meter::of_group(shell.id());
        meter.start();
        let idle = meter.read();
        shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
        while meter.read().cpu_nanos < idle.cpu_nanos + 50_000_000 {
            std::thread::yield_now();
        }
        assert_eq!(idle.processes, 2);
        assert!(idle.rss_before_connecting > 0 && idle.rss_peak >= idle.rss_ramped.unwrap());
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
        shell.wait().unwrap();
        while !members(shell.id()).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(meter.read().processes, 0);
    }

    #[test]
    fn tells_the_programs_own_work_from_the_systems() {
        let mut meter = Meter::before_connecting(None);
        meter.start();
        let mut sum = 0u64;
        // Until several ticks of 10 ms have been counted.
        while meter.read().cpu_nanos < 200_000_000 {
            (0..10_000_000u64).for_each(|n| sum = std::hint::black_box(sum.wrapping_mul(31) ^ n));
        }
        let usage = meter.read();
        let user = usage.cpu_user_nanos.unwrap();
        assert!(user <= usage.cpu_nanos && user > usage.cpu_nanos / 4, "{usage:?}");
    }
}
