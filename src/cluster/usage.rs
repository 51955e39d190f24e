//! CPU and memory of a process, as Linux counts them.

use super::kin;
use crate::clock::{self, MILLI, Nanos};
use crate::result::Usage;
use std::collections::HashMap;

/// What the system counts the time of the dead in (`USER_HZ`).
const TICK: Nanos = 10 * MILLI;

/// Whose usage it is.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// `None`: this process.
    Process(Option<u32>),
    /// All that stand below this one, which starts them and buries those that nobody else does.
    Kept(u32),
}

/// Processes seen from outside or inside: what they had used before connecting, and at the start.
#[derive(Debug)]
pub(super) struct Meter {
    of: Of,
    rss_before: u64,
    rss_ramped: Option<u64>,
    at_start: Work,
    started: Nanos,
}

/// Clock ticks on a CPU: in the program itself, and in the system on its behalf.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    pub user: u64,
    pub system: u64,
}

impl std::ops::AddAssign for Ticks {
    fn add_assign(&mut self, other: Ticks) {
        *self = Ticks { user: self.user + other.user, system: self.system + other.system };
    }
}

/// What processes have done up to a moment.
#[derive(Debug, Default)]
struct Work {
    /// Time on a CPU of each that lives, threads that have ended included.
    living: HashMap<u32, Nanos>,
    /// And of those that are dead and buried.
    buried: Nanos,
    /// Of all of them.
    ticks: Ticks,
}

impl Meter {
    /// Takes the memory before connecting. `None`: this process.
    pub(super) fn before_connecting(pid: Option<u32>) -> Meter {
        Meter::of(Of::Process(pid))
    }

    /// The same of all that stand below process `keeper`.
    pub(super) fn of_kept(keeper: u32) -> Meter {
        Meter::of(Of::Kept(keeper))
    }

    fn of(of: Of) -> Meter {
        let rss_before = of.memory("VmRSS:");
        Meter { of, rss_before, rss_ramped: None, at_start: Work::default(), started: 0 }
    }

    /// Every session is open, and the schedule starts.
    pub(super) fn start(&mut self) {
        self.rss_ramped = Some(self.of.memory("VmRSS:"));
        self.at_start = self.of.work();
        self.started = clock::now();
    }

    /// The drain is over.
    pub(super) fn read(&self) -> Usage {
        self.usage(&self.of.work())
    }

    /// The same; `None` if processes ended whose work nobody counted, so that a sum would be too small.
    pub(super) fn read_whole(&self) -> Option<Usage> {
        let now = self.of.work();
        (!now.lacks_some_of(&self.at_start)).then(|| self.usage(&now))
    }

    fn usage(&self, now: &Work) -> Usage {
        let cpu_nanos = now.cpu().saturating_sub(self.at_start.cpu());
        let user = now.ticks.user.saturating_sub(self.at_start.ticks.user);
        let both = user + now.ticks.system.saturating_sub(self.at_start.ticks.system);
        let share = |part: u64| (u128::from(cpu_nanos) * u128::from(part) / u128::from(both.max(1))) as Nanos;
        Usage {
            cpu_nanos,
            cpu_user_nanos: (both > 0).then(|| share(user)),
            wall_nanos: clock::now().saturating_sub(self.started),
            rss_before_connecting: self.rss_before,
            rss_ramped: self.rss_ramped,
            rss_peak: self.rss_peak(),
            processes: now.living.len() as u64,
            cores: 1,
        }
    }

    /// What is kept may have lived before this trial: its own peak says nothing of it.
    fn rss_peak(&self) -> u64 {
        match self.of {
            Of::Process(_) => self.of.memory("VmHWM:"),
            Of::Kept(_) => self.of.memory("VmRSS:").max(self.rss_ramped.unwrap_or(0)),
        }
    }
}

impl Work {
    fn cpu(&self) -> Nanos {
        self.living.values().sum::<Nanos>() + self.buried
    }

    /// Whether processes have gone since `before` that nobody buried who counts their time, as where `SIGCHLD` is ignored:
    /// what the dead have done is then less than what the gone had done already.
    fn lacks_some_of(&self, before: &Work) -> bool {
        let gone = before.living.iter().filter(|(pid, _)| !self.living.contains_key(pid));
        let had_done: Vec<Nanos> = gone.map(|(_, cpu)| *cpu).collect();
        let counted = self.buried.saturating_sub(before.buried);
        // Of each that buries others, two kinds of ticks are rounded.
        let rounded = 2 * TICK * before.living.len() as u64;
        !had_done.is_empty() && (counted == 0 || counted + rounded < had_done.iter().sum())
    }
}

impl Of {
    fn pids(self) -> Vec<Option<u32>> {
        match self {
            Of::Process(pid) => vec![pid],
            Of::Kept(keeper) => kin::below(keeper).iter().map(|stat| Some(stat.pid)).collect(),
        }
    }

    fn memory(self, line: &str) -> u64 {
        self.pids().into_iter().map(|pid| memory(pid, line)).sum()
    }

    /// The dead count only of what is kept: nothing of our own ends before its report.
    fn work(self) -> Work {
        let (stats, keeper) = match self {
            Of::Process(pid) => (kin::stat(pid).into_iter().collect(), None),
            Of::Kept(keeper) => (kin::below(keeper), kin::stat(Some(keeper))),
        };
        let mut work = Work::default();
        let mut buried = Ticks::default();
        for stat in &stats {
            // A process may end while we look.
            work.living.extend(clock::cpu_of(stat.pid).map(|cpu| (stat.pid, cpu)));
            work.ticks += stat.ticks;
        }
        if let Some(keeper) = keeper {
            stats.iter().chain([&keeper]).for_each(|stat| buried += stat.buried);
        }
        work.ticks += buried;
        work.buried = (buried.user + buried.system) * TICK;
        work
    }
}

fn proc_dir(pid: Option<u32>) -> String {
    pid.map_or_else(|| "/proc/self".to_owned(), |pid| format!("/proc/{pid}"))
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

    /// A keeper for tests: a shell that starts `command` below itself, which goes on with each line that it is told.
    fn kept(command: &str) -> std::process::Child {
        let shell = Command::new("sh").args(["-c", command]).stdin(Stdio::piped()).spawn();
        shell.unwrap()
    }

    fn end(mut keeper: std::process::Child) {
        for stat in kin::below(keeper.id()) {
            let pid = nix::unistd::Pid::from_raw(stat.pid as i32);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        keeper.wait().unwrap();
    }

    fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_kept_is_all_that_stands_below_wherever_it_went() {
        let mut keeper = kept("setsid sleep 600 & (read line; while :; do :; done); true");
        let below = || kin::below(keeper.id());
        until(|| below().len() == 2 && below().iter().any(|stat| stat.group == stat.pid));
        let mut meter = Meter::of_kept(keeper.id());
        meter.start();
        let idle = meter.read();
        keeper.stdin.take().unwrap().write_all(b"go\n").unwrap();
        until(|| meter.read_whole().unwrap().cpu_nanos >= idle.cpu_nanos + 50_000_000);
        assert!(idle.processes == 2 && idle.rss_before_connecting > 0);
        assert!(idle.rss_peak >= idle.rss_ramped.unwrap());
        end(keeper);
    }

    #[test]
    fn the_work_of_threads_and_children_that_have_ended_counts() {
        let mut meter = Meter::before_connecting(None);
        meter.start();
        let spin = || {
            let from = clock::cpu_of(std::process::id()).unwrap();
            let mut sum = 0u64;
            while clock::cpu_of(std::process::id()).unwrap() < from + 50_000_000 {
                (0..1_000_000u64).for_each(|n| sum = std::hint::black_box(sum.wrapping_mul(31) ^ n));
            }
        };
        std::thread::spawn(spin).join().unwrap();
        assert!(meter.read().cpu_nanos >= 50_000_000);

        // One below the keeper starts another, which works and ends; the first goes on and tells when.
        let mut keeper = kept("(read line; seq 1 20000000 >/dev/null; sleep 600); true");
        until(|| kin::below(keeper.id()).len() == 1);
        let mut meter = Meter::of_kept(keeper.id());
        meter.start();
        keeper.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let name = |pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        until(|| kin::below(keeper.id()).iter().any(|stat| name(stat.pid) == "sleep\n"));
        let usage = meter.read_whole().unwrap();
        assert!(usage.cpu_nanos >= TICK, "the child is dead, its work isn't: {usage:?}");
        end(keeper);
    }

    #[test]
    fn what_nobody_buried_makes_a_sum_worthless() {
        let work = |living: &[(u32, Nanos)], buried| Work {
            living: living.iter().copied().collect(),
            buried,
            ticks: Ticks::default(),
        };
        let before = work(&[(1, 5), (2, 900 * MILLI)], 20 * MILLI);
        assert!(!work(&[(1, 9), (2, 950 * MILLI), (3, 1)], 20 * MILLI).lacks_some_of(&before));
        assert!(!work(&[(1, 9)], 930 * MILLI).lacks_some_of(&before), "it was buried and counted");
        assert!(work(&[(1, 9)], 20 * MILLI).lacks_some_of(&before));
        assert!(work(&[(1, 9)], 400 * MILLI).lacks_some_of(&before), "others were, it was not");
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
