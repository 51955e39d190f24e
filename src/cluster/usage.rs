//! CPU and memory of a process, as Linux counts them.

use crate::clock::{self, Nanos};
use crate::result::Usage;

/// A process seen from outside or inside: what it had used before connecting, and at the start.
#[derive(Debug)]
pub(super) struct Meter {
    pid: Option<u32>,
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
        Meter {
            pid,
            rss_before: memory(pid, "VmRSS:"),
            rss_ramped: None,
            cpu_at_start: 0,
            ticks_at_start: Ticks::default(),
            started: 0,
        }
    }

    /// Every session is open, and the schedule starts.
    pub(super) fn start(&mut self) {
        self.rss_ramped = Some(memory(self.pid, "VmRSS:"));
        self.cpu_at_start = cpu(self.pid);
        self.ticks_at_start = ticks(self.pid);
        self.started = clock::now();
    }

    /// The drain is over.
    pub(super) fn read(&self) -> Usage {
        let cpu_nanos = cpu(self.pid).saturating_sub(self.cpu_at_start);
        let now = ticks(self.pid);
        let user = now.user.saturating_sub(self.ticks_at_start.user);
        let both = user + now.system.saturating_sub(self.ticks_at_start.system);
        let share = |part: u64| (u128::from(cpu_nanos) * u128::from(part) / u128::from(both.max(1))) as Nanos;
        Usage {
            cpu_nanos,
            cpu_user_nanos: (both > 0).then(|| share(user)),
            wall_nanos: clock::now().saturating_sub(self.started),
            rss_before_connecting: self.rss_before,
            rss_ramped: self.rss_ramped,
            rss_peak: memory(self.pid, "VmHWM:"),
            processes: 1,
            cores: 1,
        }
    }
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
