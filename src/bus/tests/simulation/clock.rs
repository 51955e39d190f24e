//! Clocks of simulated machines: each began at its own time and runs at its own rate.

use crate::clock::Nanos;
use std::time::Duration;

/// How a machine's clock differs from the simulation's.
#[derive(Debug, Clone, Copy)]
pub struct Skewed {
    pub ahead: i64,
    pub drift_ppm: f64,
}

impl Skewed {
    /// What it shows when the simulation's clock shows `elapsed` nanoseconds.
    fn at(self, elapsed: Nanos) -> Nanos {
        elapsed.wrapping_add_signed(self.ahead + (elapsed as f64 * self.drift_ppm / 1e6).round() as i64)
    }

    pub fn now(self) -> Nanos {
        self.at(turmoil::sim_elapsed().unwrap_or_default().as_nanos() as Nanos)
    }

    /// How long it is, by the simulation's clock, until this one shows `due`.
    pub fn until(self, due: Nanos) -> Duration {
        let wait = due.saturating_sub(self.now()) as f64 / (1.0 + self.drift_ppm / 1e6);
        Duration::from_nanos(wait.ceil() as u64)
    }

    /// What this one is ahead of `other` by, when that shows `there`.
    pub fn less(self, other: Skewed, there: Nanos) -> i64 {
        let elapsed = there.wrapping_sub(other.ahead as u64) as f64 / (1.0 + other.drift_ppm / 1e6);
        self.at(elapsed.round() as Nanos).wrapping_sub(there) as i64
    }
}
