//! Which sessions a worker runs, and who shares a room or topic with whom.
//!
//! Sessions are numbered twice: in the whole run (`global`), which decides rooms and senders, and within a worker
//! (`local`), which indexes its tables. Session `s` is in group `s mod groups`, and group `g` lives whole on worker
//! `g mod workers`. A worker counts its sessions in rounds: one of each of its groups, then the next of each. All of it
//! is arithmetic: however many sessions the whole run has, nothing is kept for them.

/// One worker's sessions. Publishers, where there are any, come after the sessions: one for each group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roster {
    /// In the whole run.
    sessions: u32,
    /// In the whole run; each session is a group of its own where `is_grouped` is false.
    groups: u32,
    is_grouped: bool,
    has_publishers: bool,
    index: u32,
    workers: u32,
}

impl Roster {
    /// `sessions` in the whole run, in `groups` (`None`: each alone), of which worker `index` of `workers` runs its
    /// share. `publishers` adds one publishing session for each group. Sizes have been checked by the plan.
    pub fn new(sessions: u32, groups: Option<u32>, publishers: bool, index: u32, workers: u32) -> Roster {
        Roster {
            sessions,
            groups: groups.unwrap_or(sessions).max(1),
            is_grouped: groups.is_some(),
            has_publishers: publishers && groups.is_some(),
            index,
            workers: workers.max(1),
        }
    }

    /// Of `0..n`, how many are this worker's.
    fn mine_below(&self, n: u32) -> u32 {
        n.saturating_sub(self.index).div_ceil(self.workers)
    }

    /// Groups that live here, the empty ones too.
    fn groups_here(&self) -> u32 {
        self.mine_below(self.groups)
    }

    /// The same, where sessions are in groups.
    pub fn groups(&self) -> u32 {
        if self.is_grouped { self.groups_here() } else { 0 }
    }

    /// Sessions that receive, without publishers.
    pub fn sessions(&self) -> u32 {
        self.groups_here() * (self.sessions / self.groups) + self.mine_below(self.sessions % self.groups)
    }

    /// Sessions to open: those that receive, and publishers.
    pub fn to_open(&self) -> u32 {
        self.sessions() + if self.has_publishers { self.groups_here() } else { 0 }
    }

    pub fn is_publisher(&self, local: u32) -> bool {
        local >= self.sessions()
    }

    /// The local number of global session `global`, if it runs here.
    pub fn local(&self, global: u32) -> Option<u32> {
        let (round, group) = (global / self.groups, global % self.groups);
        let is_here = global < self.sessions && group % self.workers == self.index;
        is_here.then(|| round * self.groups_here() + group / self.workers)
    }

    /// The local number of the session that publishes to `group`, if it runs here.
    pub fn publisher(&self, group: u32) -> Option<u32> {
        let is_here = self.has_publishers && group < self.groups && group % self.workers == self.index;
        is_here.then(|| self.sessions() + group / self.workers)
    }

    /// Whether messages of `group` are this worker's.
    pub fn has_group(&self, group: u32) -> bool {
        self.is_grouped && self.size(group) > 0
    }

    /// The number of `local` in the whole run; a publisher's follow after all sessions.
    pub fn global(&self, local: u32) -> u32 {
        match local.checked_sub(self.sessions()) {
            None => self.round(local) * self.groups + self.group(local),
            Some(_) => self.sessions + self.group(local),
        }
    }

    /// The group of a local session or publisher; its own number where there are no groups.
    pub fn group(&self, local: u32) -> u32 {
        let nth = match local.checked_sub(self.sessions()) {
            None => local % self.groups_here(),
            Some(publisher) => publisher,
        };
        self.index + nth * self.workers
    }

    fn round(&self, local: u32) -> u32 {
        local / self.groups_here()
    }

    /// Members of `group` here.
    fn size(&self, group: u32) -> u32 {
        if group >= self.groups || group % self.workers != self.index {
            return 0;
        }
        self.sessions / self.groups + u32::from(group < self.sessions % self.groups)
    }

    /// Local sessions of `group`.
    pub fn members(&self, group: u32) -> impl Iterator<Item = u32> + use<> {
        let (size, first, step) = (self.size(group), group / self.workers, self.groups_here());
        (0..size).map(move |round| round * step + first)
    }

    /// The local session of `group` in that place, as [`seat`](Self::seat) counts them.
    pub fn member(&self, group: u32, seat: u32) -> u32 {
        seat * self.groups_here() + group / self.workers
    }

    /// Place of `local` within its group; 0 where there are no groups.
    pub fn seat(&self, local: u32) -> u32 {
        match local < self.sessions() {
            true => self.round(local),
            false => 0,
        }
    }

    /// Members of the largest group here; 1 where there are no groups.
    pub fn largest_group(&self) -> usize {
        // Those that come first have a member more.
        if self.is_grouped { self.size(self.index).max(1) as usize } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_runs_once_and_rooms_stay_whole() {
        for workers in 1..5 {
            let mut seen = vec![0; 103];
            for index in 0..workers {
                let roster = Roster::new(103, Some(10), true, index, workers);
                for local in 0..roster.sessions() {
                    let global = roster.global(local);
                    seen[global as usize] += 1;
                    assert_eq!(roster.local(global), Some(local));
                    let members: Vec<u32> = roster.members(roster.group(local)).collect();
                    assert_eq!(members[roster.seat(local) as usize], local);
                    assert_eq!(roster.member(roster.group(local), roster.seat(local)), local);
                    assert_eq!(members.len(), if global % 10 < 3 { 11 } else { 10 });
                }
                for group in (0..10).filter(|g| roster.has_group(*g)) {
                    let publisher = roster.publisher(group).unwrap();
                    assert!(roster.is_publisher(publisher));
                    assert_eq!(roster.group(publisher), group);
                    assert_eq!(roster.global(publisher), 103 + group);
                }
            }
            assert!(seen.iter().all(|n| *n == 1));
        }
    }

    #[test]
    fn a_worker_without_a_group_has_nobody() {
        let roster = Roster::new(10, Some(2), true, 2, 3);
        assert_eq!((roster.sessions(), roster.to_open(), roster.largest_group()), (0, 0, 1));
        assert_eq!((roster.local(2), roster.publisher(0), roster.has_group(1)), (None, None, false));
    }

    #[test]
    fn without_groups_everyone_is_alone() {
        let roster = Roster::new(5, None, false, 1, 2);
        assert_eq!((roster.sessions(), roster.to_open()), (2, 2));
        assert_eq!((roster.global(0), roster.global(1)), (1, 3));
        assert_eq!((roster.local(3), roster.local(2)), (Some(1), None));
        assert_eq!(roster.largest_group(), 1);
    }
}
