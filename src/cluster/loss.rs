//! Processes that didn't see their trial to its end: the others went on without them, and the trial can't be trusted.

use crate::measure::Outcome;
use crate::result::Finding;

/// What a process was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Worker,
    /// A worker that went with its agent.
    Agent,
    Target,
}

/// A process that died or hung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    pub role: Role,
    /// Its number, and how many there were of its kind.
    pub index: u32,
    pub of: u32,
    /// That it ran, or that spoke to it.
    pub sessions: u64,
    /// What became of it, and what it said last.
    pub words: String,
}

impl Loss {
    /// Its sessions were asked for, and failed.
    pub(super) fn count_in(&self, outcome: &mut Outcome) {
        outcome.sessions.asked += self.sessions;
        *outcome.errors.entry(self.role.code().to_owned()).or_default() += self.sessions;
    }
}

impl Role {
    /// Of the finding; a lost worker's sessions count as errors of this class.
    pub(super) fn code(self) -> &'static str {
        match self {
            Role::Worker => "worker-died",
            Role::Agent => "agent-lost",
            Role::Target => "target-died",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Role::Worker | Role::Agent => "worker",
            Role::Target => "embedded target",
        }
    }
}

/// What a reader must know of the losses: one finding for each kind of process. Agents are told of by their parts.
pub(super) fn findings(losses: &[Loss]) -> Vec<Finding> {
    [Role::Worker, Role::Target].into_iter().filter_map(|role| finding(role, losses)).collect()
}

fn finding(role: Role, losses: &[Loss]) -> Option<Finding> {
    let words = |loss: &Loss| {
        format!("{} {} of {} ({} sessions): {}", role.name(), loss.index + 1, loss.of, loss.sessions, loss.words)
    };
    let all: Vec<String> = losses.iter().filter(|loss| loss.role == role).map(words).collect();
    (!all.is_empty()).then(|| Finding {
        code: role.code().to_owned(),
        message: format!("a process was lost, and the others went on without it: {}", all.join("; ")),
        advice: "look for what ended it (the kernel's log, memory), and run it again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_named_with_its_sessions_and_its_last_words() {
        let loss = |role, index| Loss { role, index, of: 3, sessions: 14, words: format!("out of memory {index}") };
        let found = findings(&[loss(Role::Worker, 0), loss(Role::Target, 1), loss(Role::Worker, 2)]);
        let codes: Vec<&str> = found.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["worker-died", "target-died"]);
        for words in ["worker 1 of 3 (14 sessions): out of memory 0", "worker 3 of 3 (14 sessions): out of memory 2"] {
            assert!(found[0].message.contains(words), "{}", found[0].message);
        }
        assert_eq!(findings(&[]), []);
    }
}
