//! When messages are due: arithmetic on their number and the seed, never on when a timer woke.
//!
//! Generator and embedded target draw the same schedule from the same description, so neither has to send it.

use crate::catalog::Arrival;
use crate::clock::{Nanos, SECOND};
use crate::seed;
use crate::units::{Rate, Span};
use rand::{Rng as _, rngs::ChaCha8Rng};
use serde::{Deserialize, Serialize};

/// A stretch of time over which the rate moves evenly from one value to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    pub from: Rate,
    pub to: Rate,
    pub over: Span,
}

/// An open schedule: arrivals over its stages, warmup included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub arrival: Arrival,
    pub stages: Vec<Stage>,
    pub seed: u64,
}

/// The phases of one trial as instants. A message belongs to the phase in which it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub start: Nanos,
    pub measure_from: Nanos,
    pub measure_to: Nanos,
    /// The drain's deadline; it ends earlier when nothing is owed any more.
    pub drain_to: Nanos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Ramp,
    Warmup,
    Measure,
    Drain,
}

impl Window {
    pub fn phase(&self, at: Nanos) -> Phase {
        match at {
            _ if at < self.start => Phase::Ramp,
            _ if at < self.measure_from => Phase::Warmup,
            _ if at < self.measure_to => Phase::Measure,
            _ => Phase::Drain,
        }
    }

    /// Length of the measured window, nanoseconds.
    pub fn measured(&self) -> Nanos {
        self.measure_to.saturating_sub(self.measure_from)
    }
}

impl Stage {
    fn seconds(&self) -> f64 {
        self.over.nanos() as f64 / SECOND as f64
    }

    /// Arrivals expected over the whole stage.
    fn total(&self) -> f64 {
        (self.from.per_second() + self.to.per_second()) / 2.0 * self.seconds()
    }

    /// Seconds into the stage at which `count` arrivals are expected: the inverse of the integrated rate.
    fn invert(&self, count: f64) -> f64 {
        let (from, to) = (self.from.per_second(), self.to.per_second());
        let slope = (to - from) / self.seconds();
        // The stable form of the quadratic's root; with slope 0 it is count / from.
        let root = (from * from + 2.0 * slope * count).max(0.0).sqrt();
        2.0 * count / (from + root)
    }
}

impl Schedule {
    /// Offsets from the start, ascending.
    pub fn arrivals(&self) -> Arrivals {
        let rng = seed::stream(seed::mix(self.seed, 0xA331));
        let mut arrivals = Arrivals { schedule: self.clone(), rng, count: 0.0, stage: 0, before: 0.0, base: 0 };
        // A constant schedule starts at a drawn phase, not on the instant at which the run happens to start.
        arrivals.count = match self.arrival {
            Arrival::Poisson => 0.0,
            _ => seed::mix(self.seed, 0x0FF5) as f64 / u64::MAX as f64 - 1.0,
        };
        arrivals
    }

    /// Who sends message `n`, of `among`. Constant arrivals go round in a drawn order, so that each has an even
    /// interval and a phase of its own; Poisson arrivals draw independently.
    pub fn sender(&self, n: u64, among: &Senders) -> u32 {
        match self.arrival {
            Arrival::Poisson => seed::pick(seed::mix(self.seed, 0x5E5D), n, among.order.len() as u64) as u32,
            _ => among.order[(n % among.order.len() as u64) as usize],
        }
    }

    /// The drawn order in which `count` senders take turns.
    pub fn senders(&self, count: u32) -> Senders {
        Senders { order: seed::shuffled(seed::mix(self.seed, 0x0D3D), count as usize) }
    }

    /// The turns of those of `count` senders for whom `mine` holds; at least 1 in all.
    pub fn turns(&self, count: u32, mine: impl Fn(u32) -> bool) -> Turns {
        let drawn = match self.arrival {
            Arrival::Poisson => None,
            _ => {
                let order = self.senders(count).order.into_iter();
                Some(order.zip(0..).filter(|(sender, _)| mine(*sender)).collect())
            }
        };
        Turns { seed: seed::mix(self.seed, 0x5E5D), count, drawn, cursor: 0, next: 0 }
    }

    pub fn length(&self) -> Nanos {
        self.stages.iter().map(|s| s.over.nanos()).sum()
    }
}

/// An order of taking turns; not empty.
#[derive(Debug)]
pub struct Senders {
    order: Vec<u32>,
}

/// Who sends the messages of a schedule, one after the other: [`Schedule::sender`], at the memory of one's own senders
/// alone.
#[derive(Debug)]
pub struct Turns {
    /// Of Poisson arrivals' senders.
    seed: u64,
    count: u32,
    /// Own senders with their places in the drawn order, ascending by place; `None`: each message draws its own.
    drawn: Option<Box<[(u32, u32)]>>,
    cursor: usize,
    next: u64,
}

impl Turns {
    /// The sender of the next message; `None`: somebody else's. Where senders are drawn independently it may be
    /// somebody else's as well.
    pub fn next_sender(&mut self) -> Option<u32> {
        let n = self.next;
        self.next += 1;
        let Some(drawn) = &self.drawn else { return Some(seed::pick(self.seed, n, u64::from(self.count)) as u32) };
        let place = (n % u64::from(self.count)) as u32;
        if place == 0 {
            self.cursor = 0;
        }
        let (sender, _) = drawn.get(self.cursor).filter(|(_, at)| *at == place)?;
        self.cursor += 1;
        Some(*sender)
    }
}

/// The offsets of a schedule, in nanoseconds from its start.
#[derive(Debug)]
pub struct Arrivals {
    schedule: Schedule,
    rng: ChaCha8Rng,
    /// The arrival count to invert next, over the whole schedule.
    count: f64,
    stage: usize,
    /// Arrivals expected, and nanoseconds passed, before the current stage.
    before: f64,
    base: Nanos,
}

impl Iterator for Arrivals {
    type Item = Nanos;

    fn next(&mut self) -> Option<Nanos> {
        self.count += match self.schedule.arrival {
            // An exponential gap; 1 − u is never 0.
            Arrival::Poisson => -(1.0 - (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64).ln(),
            _ => 1.0,
        };
        loop {
            let stage = self.schedule.stages.get(self.stage)?;
            if self.count - self.before < stage.total() {
                let within = stage.invert(self.count - self.before) * SECOND as f64;
                return Some(self.base + (within as Nanos).min(stage.over.nanos().saturating_sub(1)));
            }
            self.before += stage.total();
            self.base += stage.over.nanos();
            self.stage += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flat(arrival: Arrival, rate: f64, millis: u64, seed: u64) -> Schedule {
        let rate = Rate::new(rate).unwrap();
        Schedule { arrival, stages: vec![Stage { from: rate, to: rate, over: Span::from_millis(millis) }], seed }
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced() {
        let schedule = flat(Arrival::Constant, 1000.0, 1000, 3);
        let due: Vec<_> = schedule.arrivals().collect();
        assert_eq!(due.len(), 1000);
        assert!(due.windows(2).all(|w| (999_998..=1_000_002).contains(&(w[1] - w[0]))));
    }

    #[test]
    fn poisson_gaps_have_the_exponential_mean_and_spread() {
        let schedule = flat(Arrival::Poisson, 1000.0, 100_000, 3);
        let due: Vec<_> = schedule.arrivals().collect();
        let gaps: Vec<f64> = due.windows(2).map(|w| (w[1] - w[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let sd = (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((0.98..1.02).contains(&mean) && (0.98..1.02).contains(&sd), "mean {mean} sd {sd}");
    }

    #[test]
    fn a_ramp_holds_the_area_under_it() {
        let stage = |from, to, ms| Stage {
            from: Rate::new(from).unwrap(),
            to: Rate::new(to).unwrap(),
            over: Span::from_millis(ms),
        };
        let stages = vec![stage(0.0, 1000.0, 2000), stage(1000.0, 1000.0, 1000), stage(1000.0, 0.0, 2000)];
        let schedule = Schedule { arrival: Arrival::Constant, stages, seed: 1 };
        let due: Vec<_> = schedule.arrivals().collect();
        assert!((2999..=3000).contains(&due.len()), "{}", due.len());
        let early = due.iter().filter(|d| **d < SECOND).count();
        assert!((249..=251).contains(&early), "a quarter of the ramp's area lies in its first half: {early}");
        assert!(due.is_sorted() && *due.last().unwrap() < schedule.length());
    }

    #[test]
    fn everyone_sends_equally_often_in_a_constant_schedule() {
        let schedule = flat(Arrival::Constant, 1000.0, 1000, 3);
        let senders = schedule.senders(100);
        let mut counts = [0; 100];
        (0..1000).for_each(|n| counts[schedule.sender(n, &senders) as usize] += 1);
        assert_eq!(counts, [10; 100]);
    }

    #[test]
    fn own_turns_are_those_of_the_whole_order() {
        for arrival in [Arrival::Constant, Arrival::Poisson] {
            let schedule = flat(arrival, 1000.0, 1000, 3);
            let senders = schedule.senders(10);
            for part in 0..3 {
                let is_mine = |sender: u32| sender % 3 == part;
                let mut turns = schedule.turns(10, is_mine);
                for n in 0..100 {
                    let whole = Some(schedule.sender(n, &senders)).filter(|s| is_mine(*s));
                    assert_eq!(turns.next_sender().filter(|s| is_mine(*s)), whole, "{arrival} {n}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_ascending_schedule(
            seed: u64, rates in proptest::collection::vec((0.0f64..2000.0, 0u64..500), 1..5), poisson: bool,
        ) {
            let arrival = if poisson { Arrival::Poisson } else { Arrival::Constant };
            let mut from = Rate::new(100.0).unwrap();
            let stages = rates.iter().map(|(to, ms)| {
                let to = Rate::new(*to).unwrap();
                let stage = Stage { from, to, over: Span::from_millis(*ms) };
                from = to;
                stage
            }).collect();
            let schedule = Schedule { arrival, stages, seed };
            let due: Vec<_> = schedule.arrivals().collect();
            prop_assert!(due.is_sorted());
            prop_assert!(due.last().is_none_or(|d| *d < schedule.length()));
            prop_assert_eq!(due, schedule.arrivals().collect::<Vec<_>>());
        }
    }
}
