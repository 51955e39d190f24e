//! Memory of the system's own: sockets, buffers and tables of both ends' connections. It counts for the whole machine.

use crate::result::{KernelBytesInUse, KernelMemory};

/// Follows the system's memory through a trial.
#[derive(Debug)]
pub(super) struct Watch(Option<KernelMemory>);

impl Watch {
    pub(super) fn before_connecting() -> Watch {
        Watch(in_use().map(|now| KernelMemory { before: now, ramped: now, peak: now }))
    }

    /// Every session is open.
    pub(super) fn ramped(&mut self) {
        self.look();
        if let (Some(memory), Some(now)) = (&mut self.0, in_use()) {
            memory.ramped = now;
        }
    }

    /// Keeps the most that was seen.
    pub(super) fn look(&mut self) {
        if let (Some(memory), Some(now)) = (&mut self.0, in_use())
            && now.sum() > memory.peak.sum()
        {
            memory.peak = now;
        }
    }

    pub(super) fn seen(&self) -> Option<KernelMemory> {
        self.0
    }
}

/// `None` where the system doesn't tell.
fn in_use() -> Option<KernelBytesInUse> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let sockets = std::fs::read_to_string("/proc/net/sockstat").ok()?;
    read(&meminfo, &sockets, procfs::page_size())
}

fn read(meminfo: &str, sockstat: &str, page: u64) -> Option<KernelBytesInUse> {
    let kilobytes = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let pages: u64 = tcp.split_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse().ok()?;
    Some(KernelBytesInUse {
        slab: kilobytes("Slab:")?,
        page_tables: kilobytes("PageTables:")?,
        kernel_stack: kilobytes("KernelStack:")?,
        tcp: pages * page,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_system_says() {
        let meminfo = "MemTotal: 100 kB\nSlab:              10 kB\nKernelStack:     3 kB\nPageTables:        2 kB\n";
        let sockstat = "sockets: used 9\nTCP: inuse 4 orphan 0 tw 3 alloc 8 mem 5\nUDP: inuse 1 mem 2\n";
        let found = read(meminfo, sockstat, 4096).unwrap();
        assert_eq!(found, KernelBytesInUse { slab: 10240, page_tables: 2048, kernel_stack: 3072, tcp: 20480 });
        assert_eq!(found.sum(), 10240 + 2048 + 3072 + 20480);
        assert_eq!(read("", sockstat, 4096), None);
        assert!(in_use().is_some_and(|now| now.slab > 0));
    }

    #[test]
    fn keeps_the_most_that_was_seen() {
        let less = KernelBytesInUse { slab: 1, ..KernelBytesInUse::default() };
        let mut watch = Watch(Some(KernelMemory { before: less, ramped: less, peak: less }));
        watch.ramped();
        let seen = watch.seen().unwrap();
        assert!(seen.before == less && seen.peak.sum() > 1 && seen.ramped.sum() > 1);
    }
}
