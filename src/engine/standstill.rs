//! Whether the worker itself stood still: lag on fixed ticks, of 1 ms unless a crowd of workers would wake for nothing else.
//!
//! A stall of 500 ms counts 500 ms, however many ticks were due in it. Lag of a few ticks is what a busy single thread
//! does between two looks at its timers; it shows as send lateness already and does not count here.

use crate::clock::{self, Alarm, MILLI, Nanos};
use crate::schedule::Window;
use std::cell::Cell;

/// A lag up to this is no standstill, nanoseconds.
pub const TOLERATED: Nanos = 5 * MILLI;

/// So many workers tick once a millisecond; more, as often as many milliseconds as there are workers, up to this.
const A_CROWD: u32 = 8;
const LONGEST_TICK: Nanos = 25 * MILLI;

/// Sums the standstill within `window`.
#[derive(Debug, Default)]
pub struct Standstill {
    total: Cell<Nanos>,
}

impl Standstill {
    pub fn total(&self) -> Nanos {
        self.total.get()
    }

    /// Ticks until the measured window ends. `workers`: how many do so.
    pub async fn watch(&self, window: Window, workers: u32) -> std::io::Result<()> {
        let length = if workers <= A_CROWD { MILLI } else { (MILLI * u64::from(workers)).min(LONGEST_TICK) };
        let alarm = Alarm::new()?;
        let mut tick = window.measure_from;
        while tick < window.measure_to {
            alarm.sleep_until(tick).await?;
            let woke = clock::now().min(window.measure_to);
            self.note(tick, woke);
            tick = next_tick(tick, woke, length);
        }
        Ok(())
    }

    fn note(&self, tick: Nanos, woke: Nanos) {
        let lag = woke.saturating_sub(tick);
        if lag > TOLERATED {
            self.total.set(self.total.get() + lag);
        }
    }
}

/// The first tick after `woke`; ticks stay on their grid, so that lag doesn't add up.
fn next_tick(tick: Nanos, woke: Nanos, length: Nanos) -> Nanos {
    tick + (woke.saturating_sub(tick) / length + 1) * length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_counts_its_length_and_jitter_counts_nothing() {
        let standstill = Standstill::default();
        let mut tick = 0;
        for woke in [100, MILLI + 900_000, 4 * MILLI, 504 * MILLI, 505 * MILLI + 10] {
            standstill.note(tick, woke);
            tick = next_tick(tick, woke, MILLI);
        }
        assert_eq!(standstill.total(), 499 * MILLI);
        assert_eq!(tick, 506 * MILLI);
    }
}
