//! How far another machine's clock is ahead of ours, and how sure that is.
//!
//! Four instants make a sample (RFC 5905 §8): t1 we sent, t2 the peer heard, by its clock, t3 it sent, by its clock, t4 we heard.
//! Nothing arrives before it was sent, so the peer's clock is ahead of ours by at most t2 − t1 and at least t3 − t4: two bounds, whose
//! middle is the familiar ((t2−t1)+(t3−t4))/2 and whose distance is the round trip less the peer's own time. The shortest trips bound
//! best. Each bound holds at its own instant; as clocks drift apart it loosens with age, by [`MAX_DRIFT_PPM`] at first, and, once
//! bounds of different ages tell how fast the clocks drift apart, by no more than these leave open.
//!
//! A drift that changes faster than [`WANDER_PPM`] within the window isn't allowed for: then the truth can lie outside of the bounds
//! by less than the round trip of the latest samples.

use crate::clock::{Nanos, SECOND};
use std::collections::VecDeque;

/// How much faster than another a clock may run at most, parts per million. Quartz keeps within ±50; steering it is added.
pub const MAX_DRIFT_PPM: f64 = 200.0;

/// How much the drift itself may differ over the window.
const WANDER_PPM: f64 = 1.0;

/// Samples are kept for so long, the best of each second.
const WINDOW: Nanos = 60 * SECOND;

/// The peer's clock, held against ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offset {
    /// The peer's clock less ours, nanoseconds.
    pub offset: i64,
    /// The truth is no further away than that.
    pub uncertainty: Nanos,
    /// How much faster the peer's clock runs, parts per million.
    pub drift_ppm: f64,
    /// How many samples were taken.
    pub samples: u64,
    /// When this holds, by our clock.
    pub at: Nanos,
}

impl Offset {
    /// What the peer's clock shows when ours shows `ours`.
    pub fn there(&self, ours: Nanos) -> Nanos {
        let age = ours.wrapping_sub(self.at).cast_signed();
        let drifted = (age as f64 * self.drift_ppm / 1e6).round() as i64;
        ours.saturating_add_signed(self.offset.saturating_add(drifted))
    }
}

/// What the peer's clock is ahead by at least, or at most, at one instant of ours; less `Clocks::base`.
#[derive(Debug, Clone, Copy)]
struct Bound {
    at: Nanos,
    ahead: f64,
}

/// Samples of another machine's clock.
#[derive(Debug, Default)]
pub struct Clocks {
    /// About how far it is ahead, so that the rest are small numbers.
    base: i64,
    /// Bounds from above and from below, oldest first, one a second.
    most: VecDeque<Bound>,
    least: VecDeque<Bound>,
    samples: u64,
    latest: Nanos,
}

impl Clocks {
    /// We sent at `t1` what the peer heard at `t2` by its clock; it sent at `t3` by its clock what we heard at `t4`. Instants that
    /// can't be are passed over. Samples come in the order of `t4`.
    pub fn sample(&mut self, t1: Nanos, t2: Nanos, t3: Nanos, t4: Nanos) {
        let (Some(round), Some(held)) = (t4.checked_sub(t1), t3.checked_sub(t2)) else { return };
        let slack = round as f64 * MAX_DRIFT_PPM / 1e6 + 1.0;
        if held as f64 > round as f64 + slack {
            return;
        }
        let most = t2.wrapping_sub(t1).cast_signed();
        let least = t3.wrapping_sub(t4).cast_signed();
        if self.samples == 0 {
            self.base = least;
        }
        self.samples += 1;
        self.latest = t4;
        let above = Bound { at: t1, ahead: most.wrapping_sub(self.base) as f64 };
        let below = Bound { at: t4, ahead: least.wrapping_sub(self.base) as f64 };
        let agree = |a: &Bound, b: &Bound| a.ahead + loosened(a.at.abs_diff(b.at)) >= b.ahead;
        // A clock that doesn't keep to its rate, as after a machine was suspended, makes nonsense of what was known.
        if !self.least.iter().all(|b| agree(&above, b)) || !self.most.iter().all(|a| agree(a, &below)) {
            self.most.clear();
            self.least.clear();
        }
        keep(&mut self.most, above, t4, |new, old| new.ahead < old.ahead);
        keep(&mut self.least, below, t4, |new, old| new.ahead > old.ahead);
    }

    /// As of the latest sample.
    pub fn offset(&self) -> Option<Offset> {
        let known = self.drift();
        let (drift, (least, most)) = match known.map(|drift| (drift, self.at_latest(drift))) {
            Some((drift, (least, most))) if least <= most => (drift, (least, most)),
            _ => (ANY_DRIFT, self.at_latest(ANY_DRIFT)),
        };
        let ahead = f64::midpoint(least, most);
        (!self.most.is_empty() && !self.least.is_empty()).then(|| Offset {
            offset: self.base.wrapping_add(ahead.round() as i64),
            // Half a nanosecond was rounded away.
            uncertainty: ((most - least) / 2.0).max(0.0).ceil() as Nanos + 1,
            drift_ppm: f64::midpoint(drift.0, drift.1) * 1e6,
            samples: self.samples,
            at: self.latest,
        })
    }

    /// How many bounds are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.most.len() + self.least.len()
    }

    /// All drifts by which every bound can be kept, least and most; `None`: no single one.
    fn drift(&self) -> Option<(f64, f64)> {
        let (mut slowest, mut fastest) = ANY_DRIFT;
        for above in &self.most {
            for below in &self.least {
                let between = below.at.abs_diff(above.at) as f64;
                if below.at > above.at {
                    slowest = slowest.max((below.ahead - above.ahead) / between);
                } else if below.at < above.at {
                    fastest = fastest.min((above.ahead - below.ahead) / between);
                }
            }
        }
        let wander = WANDER_PPM / 1e6;
        let drift = ((slowest - wander).max(ANY_DRIFT.0), (fastest + wander).min(ANY_DRIFT.1));
        (slowest <= fastest).then_some(drift)
    }

    /// What it is ahead by now, at least and at most, if it drifts within these.
    fn at_latest(&self, (slowest, fastest): (f64, f64)) -> (f64, f64) {
        let age = |bound: &Bound| self.latest.saturating_sub(bound.at) as f64;
        let least = self.least.iter().map(|bound| bound.ahead + slowest * age(bound));
        let most = self.most.iter().map(|bound| bound.ahead + fastest * age(bound));
        (least.fold(f64::NEG_INFINITY, f64::max), most.fold(f64::INFINITY, f64::min))
    }
}

const ANY_DRIFT: (f64, f64) = (-MAX_DRIFT_PPM / 1e6, MAX_DRIFT_PPM / 1e6);

fn loosened(age: Nanos) -> f64 {
    age as f64 * ANY_DRIFT.1
}

/// Keeps the better bound of each second, and none that is too old.
fn keep(bounds: &mut VecDeque<Bound>, new: Bound, now: Nanos, is_better: impl Fn(&Bound, &Bound) -> bool) {
    let second = new.at / SECOND;
    let at = bounds.partition_point(|old| old.at / SECOND < second);
    match bounds.get_mut(at).filter(|old| old.at / SECOND == second) {
        Some(old) if is_better(&new, old) => *old = new,
        Some(_) => {}
        None => bounds.insert(at, new),
    }
    while bounds.front().is_some_and(|old| old.at.saturating_add(WINDOW) < now) {
        bounds.pop_front();
    }
}
