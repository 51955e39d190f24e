//! Who runs where. Of the cores that this process may use, embedded targets get the last ones and workers take turns over
//! the others, so that neither end waits for the other; with a single core, the system decides. Where there are many
//! processes a core, each waits for others anyway: then both ends take turns over all cores, and a worker shares its core
//! with its target.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::collections::HashSet;

/// This process, to the calls below.
const SELF: Pid = Pid::from_raw(0);

/// Cores that this process may run on, ascending: a container or `taskset` may have left it only some.
pub(super) fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(SELF) else { return Vec::new() };
    (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()
}

/// With more processes a core than this, all cores are everyone's.
const CROWD: usize = 8;

fn is_crowd(workers: u32, targets: u32, cores: usize) -> bool {
    (workers + targets) as usize > CROWD * cores
}

/// The cores of `n` workers, which take turns over all cores that aren't those of `targets` targets, one at the least;
/// `None`s where there is but one.
pub(super) fn workers(n: u32, targets: u32) -> Vec<Option<usize>> {
    let cores = allowed();
    let theirs = (cores.len() / 2).min(targets.max(1) as usize);
    match cores.len() {
        0 | 1 => turns(n, &[]),
        all if is_crowd(n, targets, all) => turns(n, &cores),
        all => turns(n, &cores[..all - theirs]),
    }
}

/// The cores of `n` embedded targets of so many `workers`: one for each from the last downwards, but at most half of them.
pub(super) fn targets(n: u32, workers: u32) -> Vec<Option<usize>> {
    let cores = allowed();
    if cores.len() > 1 && is_crowd(workers, n, cores.len()) {
        return turns(n, &cores);
    }
    let most = (cores.len() / 2).min(n as usize);
    turns(n, &cores[cores.len() - most..])
}

fn turns(n: u32, cores: &[usize]) -> Vec<Option<usize>> {
    let mut cores = cores.iter().copied().cycle();
    (0..n).map(|_| cores.next()).collect()
}

/// How many cores processes share that run where `cores` says.
pub(super) fn used(cores: &[Option<usize>]) -> u64 {
    let bound: HashSet<usize> = cores.iter().flatten().copied().collect();
    bound.len().max(1) as u64
}

/// How many cores so many workers share on a machine of so many, which [`workers`] of it would say.
pub(super) fn shared(n: u32, targets: u32, cores: u64) -> u64 {
    let theirs = (cores / 2).min(targets.max(1).into());
    let own = if is_crowd(n, targets, cores as usize) { cores } else { cores - theirs };
    own.min(n.into()).max(1)
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
        match (workers(1, 1)[0], targets(1, 1)[0]) {
            (Some(worker), Some(target)) => assert!(worker != target && allowed().contains(&target)),
            (None, None) => assert_eq!(allowed().len(), 1),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn processes_take_turns_over_their_cores() {
        assert_eq!(turns(5, &[4, 6]), [Some(4), Some(6), Some(4), Some(6), Some(4)]);
        assert_eq!(turns(2, &[]), [None, None]);
        assert_eq!((shared(5, 1, 2), shared(5, 1, 8), shared(50, 1, 2), shared(3, 0, 1)), (1, 5, 2, 1));
        assert_eq!((used(&turns(5, &[4, 6])), used(&turns(1, &[4, 6])), used(&[None, None])), (2, 1, 1));
    }
}
