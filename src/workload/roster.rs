//! Which sessions a worker runs, and who shares a room or topic with whom.
//!
//! Sessions are numbered twice: in the whole run (`global`), which decides rooms and senders, and within a worker
//! (`local`), which indexes its tables. Rooms live whole on one worker.

/// One worker's sessions. Publishers, where there are any, come after the sessions: one for each group.
#[derive(Debug)]
pub struct Roster {
    groups: Option<u32>,
    /// Global number of each local session.
    global: Vec<u32>,
    /// Local number of each global session; `NOT_MINE` for another worker's.
    local: Vec<u32>,
    /// Local sessions of each group that lives here, by group.
    members: Vec<Vec<u32>>,
    /// Place of each local session within its group.
    seat: Vec<u32>,
    /// Group of each publisher, in local order.
    publishers: Vec<u32>,
}

const NOT_MINE: u32 = u32::MAX;

impl Roster {
    /// `sessions` in the whole run, in `groups` (`None`: each alone), of which worker `index` of `workers` runs its
    /// share. `publishers` adds one publishing session for each group. Sizes have been checked by the plan.
    pub fn new(sessions: u32, groups: Option<u32>, publishers: bool, index: u32, workers: u32) -> Roster {
        let mut roster = Roster {
            groups,
            global: Vec::new(),
            local: vec![NOT_MINE; sessions as usize],
            members: vec![Vec::new(); groups.unwrap_or(0) as usize],
            seat: Vec::new(),
            publishers: Vec::new(),
        };
        for global in 0..sessions {
            let group = groups.map_or(global, |g| global % g);
            if group % workers != index {
                continue;
            }
            let local = roster.global.len() as u32;
            roster.local[global as usize] = local;
            roster.global.push(global);
            let seat = match groups {
                Some(_) => {
                    let members = &mut roster.members[group as usize];
                    members.push(local);
                    members.len() as u32 - 1
                }
                None => 0,
            };
            roster.seat.push(seat);
        }
        if publishers {
            roster.publishers = (0..groups.unwrap_or(0)).filter(|group| group % workers == index).collect();
        }
        roster
    }

    /// Sessions that receive, without publishers.
    pub fn sessions(&self) -> u32 {
        self.global.len() as u32
    }

    /// Sessions to open: those that receive, and publishers.
    pub fn to_open(&self) -> u32 {
        self.sessions() + self.publishers.len() as u32
    }

    pub fn is_publisher(&self, local: u32) -> bool {
        local >= self.sessions()
    }

    /// The local number of global session `global`, if it runs here.
    pub fn local(&self, global: u32) -> Option<u32> {
        self.local.get(global as usize).copied().filter(|l| *l != NOT_MINE)
    }

    /// The local number of the session that publishes to `group`, if it runs here.
    pub fn publisher(&self, group: u32) -> Option<u32> {
        let at = self.publishers.binary_search(&group).ok()?;
        Some(self.sessions() + at as u32)
    }

    /// Whether messages of `group` are this worker's.
    pub fn has_group(&self, group: u32) -> bool {
        self.members.get(group as usize).is_some_and(|m| !m.is_empty())
    }

    /// The number of `local` in the whole run; a publisher's follow after all sessions.
    pub fn global(&self, local: u32) -> u32 {
        match self.global.get(local as usize) {
            Some(global) => *global,
            None => self.local.len() as u32 + self.publishers[(local - self.sessions()) as usize],
        }
    }

    /// The group of a local session or publisher; its own number where there are no groups.
    pub fn group(&self, local: u32) -> u32 {
        match self.global.get(local as usize) {
            Some(global) => self.groups.map_or(*global, |g| global % g),
            None => self.publishers[(local - self.sessions()) as usize],
        }
    }

    /// Local sessions of `group`.
    pub fn members(&self, group: u32) -> &[u32] {
        self.members.get(group as usize).map_or(&[], Vec::as_slice)
    }

    /// Place of `local` within its group; 0 where there are no groups.
    pub fn seat(&self, local: u32) -> u32 {
        self.seat.get(local as usize).copied().unwrap_or(0)
    }

    /// Members of the largest group here; 1 where there are no groups.
    pub fn largest_group(&self) -> usize {
        self.members.iter().map(Vec::len).max().unwrap_or(1).max(1)
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
                    let members = roster.members(roster.group(local));
                    assert_eq!(members[roster.seat(local) as usize], local);
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
    fn without_groups_everyone_is_alone() {
        let roster = Roster::new(5, None, false, 1, 2);
        assert_eq!((roster.sessions(), roster.to_open()), (2, 2));
        assert_eq!((roster.global(0), roster.global(1)), (1, 3));
        assert_eq!((roster.local(3), roster.local(2)), (Some(1), None));
        assert_eq!(roster.largest_group(), 1);
    }
}
