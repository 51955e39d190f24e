//! A cell at another load than its scenario's, and between which loads a machine may be asked to go.

use super::load::{MOST_MESSAGES, MOST_RATE, MOST_SESSIONS};
use super::{Cell, Limits, Plan, shortages};
use crate::catalog::{Arrival, Dimension};
use crate::units::Rate;
use std::ops::RangeInclusive;

/// A plan whose load can't be raised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsearchable {
    #[error("the scenario's rate changes in stages; `--duration` and `--rate` together replace them")]
    Stages,
    #[error(
        "closed arrival has no rate: the load waits for answers; search with `--of sessions`, or `arrival = \"poisson\"`"
    )]
    Closed,
    #[error("the scenario's rate is less than one a second: choose the first load with `--rate`")]
    TooSlow,
}

impl Cell {
    /// The same with `load` messages a second, or that many sessions.
    pub fn at(&self, of: Dimension, load: u64) -> Cell {
        let mut cell = self.clone();
        match of {
            Dimension::Sessions => cell.load.sessions = u32::try_from(load).unwrap_or(u32::MAX),
            Dimension::Rate => {
                let rate = Rate::new(load as f64).unwrap_or_default();
                cell.load.schedule.stages.iter_mut().for_each(|stage| (stage.from, stage.to) = (rate, rate));
            }
        }
        cell
    }

    /// Its own load.
    ///
    /// # Errors
    /// If it is none that could be raised.
    pub fn own(&self, of: Dimension) -> Result<u64, Unsearchable> {
        let schedule = &self.load.schedule;
        let rate = schedule.stages.last().map_or(0.0, |stage| stage.to.per_second());
        let is_steady = schedule.stages.iter().all(|stage| (stage.from, stage.to) == (stage.to, schedule.stages[0].to));
        match of {
            Dimension::Sessions => Ok(u64::from(self.load.sessions)),
            Dimension::Rate if schedule.arrival == Arrival::Closed => Err(Unsearchable::Closed),
            Dimension::Rate if !is_steady => Err(Unsearchable::Stages),
            Dimension::Rate if rate < 1.0 => Err(Unsearchable::TooSlow),
            Dimension::Rate => Ok(rate.round() as u64),
        }
    }
}

/// The least and the most that every cell of `plan` may be asked on a machine with these `limits`: rooms have someone in
/// them, a trial has no more messages than a scenario's may have, and what it opens has its descriptors and ports.
pub fn bounds(plan: &Plan, of: Dimension, limits: &Limits) -> RangeInclusive<u64> {
    let cells = &plan.cells;
    let (least, most) = match of {
        Dimension::Rate => {
            let seconds = cells.iter().map(|c| (c.load.warmup.0 + c.load.duration.0).as_secs_f64()).fold(0.0, f64::max);
            (1, (MOST_MESSAGES / seconds.max(1e-3)).min(MOST_RATE) as u64)
        }
        Dimension::Sessions => {
            let groups = cells.iter().filter_map(|c| c.workload.groups()).max().unwrap_or(1);
            (u64::from(groups), u64::from(MOST_SESSIONS))
        }
    };
    let is_granted = |load: u64| {
        let cells = cells.iter().map(|cell| cell.at(of, load)).collect();
        shortages(&Plan { cells, ..plan.clone() }, limits).is_empty()
    };
    let (mut granted, mut refused) = (0, most + 1);
    while refused - granted > 1 {
        let middle = granted + (refused - granted) / 2;
        *(if is_granted(middle) { &mut granted } else { &mut refused }) = middle;
    }
    least..=granted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, build};
    use crate::scenario;

    fn plan(workload: &str, load: &str) -> Plan {
        let text = format!("[workload.{workload}\n[load]\n{load}\n[transports.tcp]\n[transports.sse]\n");
        let scenario = scenario::parse("t.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)))
    }

    const LIMITS: Limits = Limits { descriptors: 1064, ports: 28_232, files: 2000 };

    #[test]
    fn a_cell_at_another_load_differs_in_nothing_else() {
        let cell = &plan("echo]", "rate = \"100/s\"\nduration = \"2s\"\nwarmup = \"1s\"").cells[0];
        let faster = cell.at(Dimension::Rate, 250);
        assert_eq!((cell.own(Dimension::Rate), faster.own(Dimension::Rate)), (Ok(100), Ok(250)));
        assert!(faster.load.schedule.arrivals().count() > 2 * cell.load.schedule.arrivals().count());
        assert_eq!(faster.at(Dimension::Rate, 100), *cell);
        let fuller = cell.at(Dimension::Sessions, 7);
        assert_eq!((fuller.own(Dimension::Sessions), fuller.own(Dimension::Rate)), (Ok(7), Ok(100)));
    }

    #[test]
    fn only_a_steady_open_rate_can_be_raised() {
        let own = |load: &str| plan("echo]", load).cells[0].own(Dimension::Rate);
        assert_eq!(own("arrival = \"closed\"\nduration = \"1s\""), Err(Unsearchable::Closed));
        let stages = "rate = \"10/s\"\nstages = [{ to = \"20/s\", over = \"1s\" }]";
        assert_eq!(own(stages), Err(Unsearchable::Stages));
        assert_eq!(own("rate = \"30/m\"\nduration = \"10s\""), Err(Unsearchable::TooSlow));
        assert_eq!(plan("echo]", stages).cells[0].own(Dimension::Sessions), Ok(1));
    }

    #[test]
    fn bounds_are_those_of_the_machine_and_of_scenarios() {
        let echo = plan("echo]", "rate = \"100/s\"\nduration = \"100s\"");
        assert_eq!(bounds(&echo, Dimension::Rate, &LIMITS), 1..=1_000_000);
        // Server-sent events take two sockets a session at either end, where 64 more are kept back: 2 × (2 × 468 + 64).
        assert_eq!(bounds(&echo, Dimension::Sessions, &LIMITS), 1..=468);
        // Each connect to a server elsewhere keeps its port for a minute, two with HTTP.
        let text = "rate = \"10/s\"\nduration = \"10s\"\n[target.urls]\ntcp = \"tcp://192.0.2.1:7\"\nsse = \"http://192.0.2.1:7\"";
        assert_eq!(bounds(&plan("connect]", text), Dimension::Rate, &LIMITS), 1..=1411);
        let chat = plan("chat]\nrooms = 20", "rate = \"100/s\"\nduration = \"2s\"\nsessions = 40");
        assert_eq!(*bounds(&chat, Dimension::Sessions, &LIMITS).start(), 20);
    }
}
