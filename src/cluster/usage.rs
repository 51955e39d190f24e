//! CPU and memory of a process, as Linux counts them.

use crate::clock::{self, Nanos};
use crate::result::Usage;

/// A process seen from outside or inside: what it had used before connecting, and at the start.
#[derive(Debug)]
pub(super) struct Meter {
    pid: Option<u32>,
    rss_before: u64,
    cpu_at_start: Nanos,
    started: Nanos,
}

impl Meter {
    /// Takes the memory before connecting. `None`: this process.
    pub(super) fn before_connecting(pid: Option<u32>) -> Meter {
        Meter { pid, rss_before: memory(pid, "VmRSS:"), cpu_at_start: 0, started: 0 }
    }

    /// The schedule starts.
    pub(super) fn start(&mut self) {
        self.cpu_at_start = cpu(self.pid);
        self.started = clock::now();
    }

    /// The drain is over.
    pub(super) fn read(&self) -> Usage {
        Usage {
            cpu_nanos: cpu(self.pid).saturating_sub(self.cpu_at_start),
            wall_nanos: clock::now().saturating_sub(self.started),
            rss_before_connecting: self.rss_before,
            rss_peak: memory(self.pid, "VmHWM:"),
        }
    }
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

    #[test]
    fn sees_memory_and_work() {
        let mut meter = Meter::before_connecting(None);
        meter.start();
        let block = vec![1u8; 32 << 20];
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
        let usage = meter.read();
        assert_eq!(sum, 32 << 20);
        assert!(usage.rss_peak >= usage.rss_before_connecting + (16 << 20), "{usage:?}");
        assert!(usage.cpu_nanos > 0 && usage.wall_nanos > 0);
    }
}
