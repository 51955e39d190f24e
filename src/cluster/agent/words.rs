//! What coordinators and agents say to each other over the bus, and where: JSON, of which a stranger's is read with care.
//!
//! | subject | who says what |
//! |---|---|
//! | `PREFIX.who` | a coordinator to everyone: [`Who`] |
//! | `PREFIX.run.RUN.cards` | every agent, to that: its [`Card`] |
//! | `PREFIX.cards` | an agent, when it starts and when it is idle again: its [`Card`] |
//! | `PREFIX.agent.ID` | a coordinator to one agent: packets of a conversation, which holds [`ToAgent`]s |
//! | `PREFIX.run.RUN.from.ID` | that agent to its coordinator: packets of the same, which holds [`FromAgent`]s |

use crate::clock::Nanos;
use crate::cluster::link::{FromWorker, ToWorker};
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Rises when what is said here changes its meaning.
pub(in crate::cluster) const PROTOCOL: u32 = 1;

/// Longest name or label of an agent, and longest word of a subject.
pub(in crate::cluster) const LONGEST_WORD: usize = 100;
/// Most labels of an agent.
pub(in crate::cluster) const MOST_LABELS: usize = 32;

/// What an agent is, and what it can take.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Drawn by each agent's process.
    pub id: String,
    /// For people.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// Of its program.
    pub version: String,
    pub protocol: u32,
    /// The same for all processes that share a kernel and a network.
    pub machine: String,
    pub cores: u64,
    /// Open files of one of its processes.
    pub descriptors: u64,
    /// Size of its range of ephemeral ports.
    pub ports: u64,
    /// What its owner allows; `None`: as much as it can.
    pub max_sessions: Option<u64>,
    pub max_rate: Option<Rate>,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    #[default]
    Idle,
    Busy,
}

/// Who is there?
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct Who {
    /// Where the answers are wanted.
    pub run: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cluster) enum ToAgent {
    /// The first message: work for this run. Who hears nothing of the other for `grace`, nanoseconds, gives it up.
    Hire { run: String, grace: Nanos },
    /// What follows is of a new trial.
    Share(Share),
    /// For one of its workers. An order that a worker begins with starts one of that number, if it isn't there.
    Worker { worker: u32, order: ToWorker },
    /// Whoever is left of the workers is to be ended.
    EndTrial,
    /// It is free again.
    Dismiss,
}

/// What an agent has of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::cluster) struct Share {
    pub workers: Range<u32>,
    /// How many workers the machine runs before this agent's, if it runs several agents.
    pub seat: u32,
    /// Workers and embedded targets of this trial that run on its machine.
    pub on_machine: (u32, u32),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cluster) enum FromAgent {
    Hired,
    /// It won't, and why.
    Refused {
        problem: String,
    },
    Worker {
        worker: u32,
        said: FromWorker,
    },
    /// A worker ended before it was done; how, and its last words.
    WorkerGone {
        worker: u32,
        words: String,
    },
    /// It ends, and why.
    Bye {
        words: String,
    },
}

/// The names of subjects.
#[derive(Debug, Clone)]
pub(in crate::cluster) struct Subjects(String);

impl Subjects {
    pub(in crate::cluster) fn new(prefix: &str) -> Subjects {
        Subjects(prefix.to_owned())
    }

    pub(in crate::cluster) fn who(&self) -> String {
        format!("{}.who", self.0)
    }

    pub(in crate::cluster) fn cards(&self) -> String {
        format!("{}.cards", self.0)
    }

    pub(in crate::cluster) fn cards_for(&self, run: &str) -> String {
        format!("{}.run.{run}.cards", self.0)
    }

    pub(in crate::cluster) fn agent(&self, id: &str) -> String {
        format!("{}.agent.{id}", self.0)
    }

    pub(in crate::cluster) fn from(&self, run: &str, id: &str) -> String {
        format!("{}.run.{run}.from.{id}", self.0)
    }

    /// Whose packet came on a subject of [`Subjects::from`].
    pub(in crate::cluster) fn sender<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.rsplit_once(".from.").map(|(_, id)| id).filter(|id| is_word(id))
    }

    /// The run in which an answer is wanted, if it is one where this agent may answer.
    pub(in crate::cluster) fn run_of<'a>(&self, reply: &'a str, id: &str) -> Option<&'a str> {
        let run = reply.strip_prefix(&self.0)?.strip_prefix(".run.")?.strip_suffix(id)?.strip_suffix(".from.")?;
        is_word(run).then_some(run)
    }
}

/// Whether a text can stand between the dots of a subject.
pub(in crate::cluster) fn is_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty() && text.len() <= LONGEST_WORD && text.chars().all(is_plain)
}

/// Whether a text can stand before all subjects.
pub fn is_prefix(text: &str) -> bool {
    text.len() <= LONGEST_WORD && text.split('.').all(is_word)
}

impl Card {
    /// As it came over the bus; `None`: it is none.
    pub(in crate::cluster) fn read(bytes: &[u8]) -> Option<Card> {
        let card: Card = serde_json::from_slice(bytes).ok()?;
        let labels = card.labels.iter().flat_map(|(key, value)| [key, value]);
        // What can't be read could pass for something else on a terminal.
        let is_plain = |text: &String| text.len() <= LONGEST_WORD && !text.contains(char::is_control);
        let are_plain = [&card.name, &card.version, &card.machine].into_iter().chain(labels).all(is_plain);
        (is_word(&card.id) && are_plain && card.labels.len() <= MOST_LABELS).then_some(card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_of_another_version_is_read_and_nonsense_is_not() {
        let card = Card::read(br#"{"id":"a1","name":"b","version":"99.0","extra":[1]}"#).unwrap();
        assert_eq!((card.version.as_str(), card.protocol, card.state), ("99.0", 0, State::Idle));
        let long = "x".repeat(LONGEST_WORD + 1);
        let wrong = [
            "{}".to_owned(),
            r#"{"id":"a.b"}"#.to_owned(),
            r#"{"id":">"}"#.to_owned(),
            format!(r#"{{"id":"{long}"}}"#),
            format!(r#"{{"id":"a","name":"{long}"}}"#),
            r#"{"id":"a","name":"b\nerror: all is lost"}"#.to_owned(),
            r#"{"id":"a","version":"\u001b[2J"}"#.to_owned(),
            r#"{"id":"a","labels":{"zone":"e\ru"}}"#.to_owned(),
            format!(r#"{{"id":"a","labels":{{"zone":"{long}"}}}}"#),
            "[".to_owned(),
        ];
        wrong.iter().for_each(|text| assert_eq!(Card::read(text.as_bytes()), None, "{text}"));
    }

    #[test]
    fn an_agent_answers_where_runs_listen_and_nowhere_else() {
        let subjects = Subjects::new("load.test");
        assert_eq!(subjects.run_of(&subjects.from("r1", "a1"), "a1"), Some("r1"));
        assert_eq!(subjects.sender(&subjects.from("r1", "a1")), Some("a1"));
        for reply in ["load.test.run.r1.from.b1", "load.test.run.>.from.a1", "other.run.r1.from.a1", "orders.new"] {
            assert_eq!(subjects.run_of(reply, "a1"), None, "{reply}");
        }
        assert!(is_prefix("wsbench") && is_prefix("a.b") && !is_prefix("a..b") && !is_prefix("a.*") && !is_prefix(""));
    }
}
