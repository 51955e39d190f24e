//! The processes that stand below another: what it started, and what those did, whatever group or session they chose.

use super::usage::Ticks;

/// A process, as the system tells of it in `/proc/PID/stat`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub pid: u32,
    pub parent: u32,
    pub group: u32,
    /// Its own time on a CPU.
    pub ticks: Ticks,
    /// That of its children which are dead and buried, and of theirs.
    pub buried: Ticks,
}

/// What is known of a process; `None`: of this one.
pub(super) fn stat(pid: Option<u32>) -> Option<Stat> {
    let folder = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    parse(&std::fs::read_to_string(format!("/proc/{folder}/stat")).ok()?)
}

/// All that stand below `root`; it isn't among them. Those whose parent died stay below it if it is their reaper
/// (`PR_SET_CHILD_SUBREAPER`).
pub(super) fn below(root: u32) -> Vec<Stat> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut others: Vec<Stat> = pids.filter_map(|pid| stat(Some(pid))).collect();
    let (mut found, mut next): (Vec<Stat>, usize) = (Vec::new(), 0);
    let mut parent = root;
    loop {
        let (children, rest) = others.into_iter().partition(|stat| stat.parent == parent);
        others = rest;
        found.extend::<Vec<Stat>>(children);
        match found.get(next) {
            Some(stat) => parent = stat.pid,
            None => return found,
        }
        next += 1;
    }
}

/// Its second field is the program's name in brackets, which may hold anything.
fn parse(text: &str) -> Option<Stat> {
    let pid = text.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks =
        |at: usize| Some(Ticks { user: fields.get(at)?.parse().ok()?, system: fields.get(at + 1)?.parse().ok()? });
    let (parent, group) = (fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?);
    Some(Stat { pid, parent, group, ticks: ticks(11)?, buried: ticks(13)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = parse("12 (a) (b c) S 7 8 9 0 -1 4 1 2 3 4 50 60 70 80 20 0 1\n").unwrap();
        assert_eq!((stat.pid, stat.parent, stat.group), (12, 7, 8));
        assert_eq!((stat.ticks, stat.buried), (Ticks { user: 50, system: 60 }, Ticks { user: 70, system: 80 }));
        assert!(parse("12 (a) S 7").is_none());
    }
}
