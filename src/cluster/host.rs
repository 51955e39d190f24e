//! Facts about this machine that a reader of the result needs.

use crate::result::Host;
use std::sync::OnceLock;

/// What this machine is. What can't be read is empty or zero.
pub fn host() -> Host {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
        line.trim_start_matches([' ', '\t', ':']).trim().to_owned()
    };
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    Host {
        os: std::env::consts::OS.to_owned(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        cpu_model: value(&read("/proc/cpuinfo"), "model name"),
        cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
        memory_bytes: memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024,
        open_files_limit: open_files_limit(),
        ephemeral_ports: ephemeral_ports(&read("/proc/sys/net/ipv4/ip_local_port_range")),
    }
}

/// What this machine calls itself.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "agent".to_owned())
}

/// The range of ephemeral ports where the system doesn't tell it.
pub(super) const USUAL_PORTS: (u16, u16) = (32768, 60999);

/// The same for all processes that share this kernel since it was started, and this network.
pub(super) fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let network = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    format!("{}/{}", boot.trim(), network.display())
}

/// Files that a process may hold open.
pub(super) fn open_files_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft)
}

/// The limit of open files that this process was started with.
static AT_FIRST: OnceLock<u64> = OnceLock::new();

/// That limit, if this process has raised it since.
pub(super) fn open_files_limit_at_first() -> Option<u64> {
    AT_FIRST.get().copied()
}

/// Raises this process's limit of open files, and so its children's, as far as the system allows without asking.
pub fn raise_open_files_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        AT_FIRST.get_or_init(|| soft);
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn ephemeral_ports(text: &str) -> Option<(u16, u16)> {
    let mut ports = text.split_whitespace().map(str::parse);
    Some((ports.next()?.ok()?, ports.next()?.ok()?))
}
