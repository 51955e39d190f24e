//! What each agent had of a run, over the trials.

use super::Quantiles;
use crate::measure::{Histogram, Metric};
use crate::result::agents::{NAME, WORDS, labels_in_words, plain};
use crate::result::{AgentClock, AgentPart, AgentTraffic, Cell, Document, Trial};
use crate::units::{show_bytes, show_nanos};
use serde::Serialize;
use std::collections::BTreeMap;

/// One agent. Counts and times rest on the trials that figures rest on; its clock, the bus and losses on all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentSummary {
    pub name: String,
    pub id: String,
    pub labels: BTreeMap<String, String>,
    pub cores: u64,
    /// Of one trial, at the most.
    pub workers: u64,
    pub sessions: u64,
    /// Trials that it had a part in.
    pub trials: usize,
    pub sent: u64,
    /// Late ones included.
    pub delivered: u64,
    /// `null` over several arms.
    pub response_time: Option<Quantiles>,
    /// As badly known as it ever was.
    pub clock: Option<AgentClock>,
    pub bus: AgentTraffic,
    /// Trials that it didn't see to their end.
    pub losses: usize,
    /// What became of it the first time, in words.
    pub lost: Option<String>,
}

impl Cell {
    /// Each agent that had a part in this cell, in the order in which they first had one; empty where this machine ran it all.
    pub fn agents(&self) -> Vec<AgentSummary> {
        summed(std::slice::from_ref(self))
    }
}

impl Document {
    /// Each agent of the run, all arms together.
    pub fn fleet(&self) -> Vec<AgentSummary> {
        summed(&self.cells)
    }
}

fn summed(cells: &[Cell]) -> Vec<AgentSummary> {
    let mut found: Vec<(AgentSummary, Histogram)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for cell in cells {
        let trusted = cell.trusted();
        for trial in &cell.trials {
            let counts = trusted.iter().any(|other| std::ptr::eq(*other, trial));
            for part in &trial.agents {
                let place = *places.entry(part.id.clone()).or_insert(found.len());
                if place == found.len() {
                    found.push((AgentSummary::begin(part), Histogram::default()));
                }
                let (summary, times) = &mut found[place];
                summary.add(part);
                if counts {
                    summary.count(part, times, trial, cells.len() == 1);
                }
            }
        }
    }
    let is_one = cells.len() == 1;
    let finish = |(summary, times): (AgentSummary, Histogram)| AgentSummary {
        response_time: is_one.then(|| Quantiles::of(&times)),
        ..summary
    };
    found.into_iter().map(finish).collect()
}

impl AgentSummary {
    fn begin(part: &AgentPart) -> AgentSummary {
        AgentSummary {
            name: part.name.clone(),
            id: part.id.clone(),
            labels: part.labels.clone(),
            cores: part.cores,
            workers: 0,
            sessions: 0,
            trials: 0,
            sent: 0,
            delivered: 0,
            response_time: None,
            clock: None,
            bus: AgentTraffic::default(),
            losses: 0,
            lost: None,
        }
    }

    fn add(&mut self, part: &AgentPart) {
        self.trials += 1;
        self.workers = self.workers.max(part.workers);
        self.sessions = self.sessions.max(part.sessions);
        let uncertainty = |clock: &Option<AgentClock>| clock.map(|clock| clock.uncertainty);
        if uncertainty(&part.clock) >= uncertainty(&self.clock) {
            self.clock = part.clock;
        }
        self.bus.add(&part.bus);
        self.losses += usize::from(part.lost.is_some());
        self.lost = self.lost.take().or_else(|| part.lost.clone());
    }

    fn count(&mut self, part: &AgentPart, times: &mut Histogram, trial: &Trial, is_one_arm: bool) {
        let Some(outcome) = &part.outcome else { return };
        let counters = &outcome.measure;
        self.sent = self.sent.saturating_add(counters.sent);
        self.delivered = self.delivered.saturating_add(counters.delivered).saturating_add(counters.late);
        if !is_one_arm || trial.absence(Metric::ResponseTime).is_some() {
            return;
        }
        // What is damaged was refused when the document was read.
        if let Ok(Some(response)) = outcome.histograms.unpacked(Metric::ResponseTime) {
            times.merge(&response);
        }
    }
}

/// A column of the table of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AgentColumn {
    pub name: &'static str,
    pub is_number: bool,
}

/// Agents as a table of words: no column that nobody has anything in.
pub fn agent_table(agents: &[AgentSummary]) -> (Vec<AgentColumn>, Vec<Vec<String>>) {
    type Show = fn(&AgentSummary) -> String;
    let columns: [(&'static str, bool, Show); 12] = [
        ("agent", false, |agent| plain(&agent.name, NAME)),
        ("labels", false, |agent| labels_in_words(&agent.labels)),
        ("cores", true, |agent| agent.cores.to_string()),
        ("workers", true, |agent| agent.workers.to_string()),
        ("sessions", true, |agent| agent.sessions.to_string()),
        ("sent", true, |agent| agent.sent.to_string()),
        ("delivered", true, |agent| agent.delivered.to_string()),
        ("p50", true, |agent| agent.response_time.map_or(String::new(), |times| time(times.p50))),
        ("p99", true, |agent| agent.response_time.map_or(String::new(), |times| time(times.p99))),
        ("clock", true, |agent| agent.clock.map_or_else(|| "unknown".to_owned(), |clock| clock.in_words())),
        ("over the bus", true, |agent| agent.bus.in_words()),
        ("lost", false, AgentSummary::losses_in_words),
    ];
    let is_of_use = |(_, _, show): &&(&'static str, bool, Show)| agents.iter().any(|agent| !show(agent).is_empty());
    let columns: Vec<_> = columns.iter().filter(is_of_use).collect();
    let row = |agent: &AgentSummary| columns.iter().map(|(_, _, show)| show(agent)).collect();
    let header = columns.iter().map(|(name, is_number, _)| AgentColumn { name, is_number: *is_number });
    (header.collect(), agents.iter().map(row).collect())
}

fn time(nanos: Option<u64>) -> String {
    nanos.map_or("–".to_owned(), |nanos| show_nanos(nanos as f64))
}

impl AgentSummary {
    /// Such as `in 1 of 3 trials: nothing was heard of it for 10.0 s`; empty: never.
    fn losses_in_words(&self) -> String {
        let Some(words) = &self.lost else { return String::new() };
        format!("in {} of {} trials: {}", self.losses, self.trials, plain(words, WORDS))
    }
}

impl AgentTraffic {
    /// Bytes of both directions, and what had to be sent again.
    fn in_words(&self) -> String {
        let bytes = show_bytes(self.bytes_sent.saturating_add(self.bytes_received) as f64);
        if self.resent > 0 { format!("{bytes}, {} resent", self.resent) } else { bytes }
    }

    fn add(&mut self, other: &AgentTraffic) {
        let counts = [
            (&mut self.packets_sent, other.packets_sent),
            (&mut self.packets_received, other.packets_received),
            (&mut self.bytes_sent, other.bytes_sent),
            (&mut self.bytes_received, other.bytes_received),
            (&mut self.resent, other.resent),
            (&mut self.doubled, other.doubled),
        ];
        counts.into_iter().for_each(|(mine, other)| *mine = mine.saturating_add(other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn an_agent_is_one_row_over_all_trials() {
        let document = testing::fleet();
        let cell = &document.cells[0];
        let agents = cell.agents();
        let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
        assert_eq!(names, ["eu-1", "eu-2", "<b>us</b>|1"]);
        assert_eq!(agents.iter().map(|agent| agent.sent).sum::<u64>(), cell.summary().counters.sent);
        assert_eq!(agents.iter().map(|agent| agent.losses).collect::<Vec<_>>(), [0, 0, 1]);
        let counted: u64 = agents.iter().filter_map(|agent| Some(agent.response_time?.count)).sum();
        assert_eq!(counted, cell.summary().response_time.count, "the trial with a loss counts for neither");
        let worst = document.fleet().iter().filter_map(|agent| agent.clock).map(|clock| clock.uncertainty).max();
        assert_eq!(worst, Some(90_000));
        assert!(document.fleet().iter().all(|agent| agent.response_time.is_none()), "over several arms it is none");
        assert_eq!(testing::document().fleet(), []);
    }

    #[test]
    fn the_table_has_the_columns_that_say_something() {
        let document = testing::fleet();
        let names =
            |agents: &[AgentSummary]| agent_table(agents).0.iter().map(|column| column.name).collect::<Vec<_>>();
        let fleet = document.fleet();
        let all =
            ["agent", "labels", "cores", "workers", "sessions", "sent", "delivered", "clock", "over the bus", "lost"];
        assert_eq!(names(&fleet), all);
        assert!(names(&document.cells[0].agents()).contains(&"p99"));
        assert!(!names(&fleet[..2]).contains(&"lost"));
        let (_, rows) = agent_table(&document.cells[0].agents());
        assert_eq!(rows[2][..3], ["<b>us</b>|1", "zone=<script>alert(1)</script>", "4"]);
        let rest = ["+3.00 ms ± 90.0 µs", "1.23 MiB, 6 resent", "in 1 of 3 trials: nothing was heard of it for 10.0 s"];
        assert_eq!(rows[2][9..], rest);
    }
}
