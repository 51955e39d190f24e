//! Who runs where. Of the cores that this process may use, the embedded target gets the last and the worker the first, so
//! that neither waits for the other; with a single core, the system decides.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// This process, to the calls below.
const SELF: Pid = Pid::from_raw(0);

/// Cores that this process may run on, ascending: a container or `taskset` may have left it only some.
fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(SELF) else { return Vec::new() };
    (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()
}

/// The core of the embedded target; `None` where there is but one.
pub(super) fn target() -> Option<usize> {
    let cores = allowed();
    cores.last().copied().filter(|_| cores.len() > 1)
}

/// The core of the worker; `None` where there is but one.
pub(super) fn worker() -> Option<usize> {
    let cores = allowed();
    cores.first().copied().filter(|_| cores.len() > 1)
}

/// Binds this process to `core`. Where the system refuses, it runs wherever: lateness will say if that hurt.
pub(super) fn bind(core: Option<usize>) {
    let mut set = CpuSet::new();
    if let Some(core) = core
        && set.set(core).is_ok()
    {
        let _ = sched_setaffinity(SELF, &set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_and_target_never_share_a_core_if_there_are_two() {
        match (worker(), target()) {
            (Some(worker), Some(target)) => assert!(worker != target && allowed().contains(&target)),
            (None, None) => assert_eq!(allowed().len(), 1),
            other => panic!("{other:?}"),
        }
    }
}
