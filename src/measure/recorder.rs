//! A worker's accumulator: one outcome being filled, and the interval that is open.

use super::{Counters, Histogram, Interval, Metric, Outcome};
use crate::clock::Nanos;
use crate::schedule::{Phase, Window};

/// Most characters that are kept of what a failure says.
const LONGEST_WORDS: usize = 240;

/// Fills an [`Outcome`]. Recording allocates nothing once every metric has been seen.
#[derive(Debug)]
pub struct Recorder {
    outcome: Outcome,
    window: Window,
    interval_length: Nanos,
    /// Number of the open interval since the window's start.
    open: u64,
    response: Histogram,
    sent: u64,
    delivered: u64,
    errors: u64,
}

impl Recorder {
    /// `interval_length` must not be 0. Until [`begin`](Recorder::begin), everything belongs to the ramp.
    pub fn new(interval_length: Nanos) -> Recorder {
        let never = Nanos::MAX;
        let window = Window { start: never, measure_from: never, measure_to: never, drain_to: never };
        Recorder {
            outcome: Outcome { order_tracked: true, ..Outcome::default() },
            window,
            interval_length,
            open: 0,
            response: Histogram::default(),
            sent: 0,
            delivered: 0,
            errors: 0,
        }
    }

    /// The phases are known now; until then everything belongs to the ramp.
    pub fn begin(&mut self, window: Window) {
        self.window = window;
    }

    /// The counters of the phase in which `due` lies; warmup's and measure's are kept apart.
    pub fn counters(&mut self, due: Nanos) -> &mut Counters {
        match self.window.phase(due) {
            Phase::Ramp | Phase::Warmup => &mut self.outcome.warmup,
            Phase::Measure | Phase::Drain => &mut self.outcome.measure,
        }
    }

    /// Records a value that belongs to a message due at `due`; only the measure phase's are kept.
    pub fn record(&mut self, metric: Metric, due: Nanos, value: Nanos) {
        if self.window.phase(due) == Phase::Measure {
            self.outcome.histograms.record(metric, value);
        }
    }

    /// Records a value whatever the phase: connecting and closing lie outside the measured window.
    pub fn record_always(&mut self, metric: Metric, value: u64) {
        self.outcome.histograms.record(metric, value);
    }

    pub fn note_sent(&mut self, now: Nanos) {
        self.roll(now);
        self.sent += 1;
    }

    pub fn note_delivered(&mut self, now: Nanos, response: Nanos) {
        self.roll(now);
        self.delivered += 1;
        self.response.record(response);
    }

    /// `words`: what it says to a person; kept of the first of its class.
    pub fn note_error(&mut self, now: Nanos, class: &str, words: &str) {
        self.roll(now);
        self.errors += 1;
        match self.outcome.errors.get_mut(class) {
            Some(n) => *n += 1,
            None => {
                self.outcome.errors.insert(class.to_owned(), 1);
                let words: String =
                    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_WORDS).collect();
                if !words.is_empty() {
                    self.outcome.said.insert(class.to_owned(), words);
                }
            }
        }
    }

    /// What has been measured so far.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub fn outcome_mut(&mut self) -> &mut Outcome {
        &mut self.outcome
    }

    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Closes the last interval and gives the outcome away.
    pub fn finish(mut self, now: Nanos) -> Outcome {
        self.roll(now);
        self.close_interval(now.saturating_sub(self.window.start) % self.interval_length);
        self.outcome
    }

    /// Closes the open interval if `now` lies beyond it. Empty intervals in between are not kept.
    fn roll(&mut self, now: Nanos) {
        let current = now.saturating_sub(self.window.start) / self.interval_length;
        if current > self.open {
            self.close_interval(self.interval_length);
            self.open = current;
        }
    }

    fn close_interval(&mut self, length: Nanos) {
        if self.sent + self.delivered + self.errors == 0 {
            return;
        }
        let start = self.open * self.interval_length;
        self.outcome.intervals.push(Interval {
            start,
            length,
            phase: self.window.phase(self.window.start + start),
            sent: std::mem::take(&mut self.sent),
            delivered: std::mem::take(&mut self.delivered),
            errors: std::mem::take(&mut self.errors),
            response_time: self.response.pack(),
        });
        self.response.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Window = Window { start: 1000, measure_from: 2000, measure_to: 5000, drain_to: 6000 };

    fn begun() -> Recorder {
        let mut recorder = Recorder::new(1000);
        recorder.begin(WINDOW);
        recorder
    }

    #[test]
    fn a_sample_belongs_to_the_phase_in_which_it_was_due() {
        let mut recorder = begun();
        for due in [1500, 2500, 4999, 5500] {
            recorder.record(Metric::ResponseTime, due, 7);
        }
        recorder.counters(1500).scheduled += 1;
        recorder.counters(2500).scheduled += 2;
        let outcome = recorder.finish(6000);
        assert_eq!(outcome.histograms.get(Metric::ResponseTime).unwrap().count(), 2);
        assert_eq!((outcome.warmup.scheduled, outcome.measure.scheduled), (1, 2));
    }

    #[test]
    fn intervals_roll_by_the_receiving_instant() {
        let mut recorder = begun();
        recorder.note_sent(1100);
        recorder.note_delivered(1900, 800);
        recorder.note_delivered(4100, 900);
        recorder.note_error(4200, "reset", "the peer\nis gone");
        recorder.note_error(4300, "reset", "later");
        let outcome = recorder.finish(4500);
        assert_eq!(outcome.said["reset"], "the peer is gone");
        let seen: Vec<_> =
            outcome.intervals.iter().map(|i| (i.start, i.length, i.sent, i.delivered, i.errors)).collect();
        assert_eq!(seen, [(0, 1000, 1, 1, 0), (3000, 500, 0, 1, 2)]);
        assert_eq!(outcome.intervals[1].phase, Phase::Measure);
        assert_eq!(outcome.intervals[1].response_time.unpack().unwrap().count(), 1);
    }

    proptest! {
        #[test]
        fn workers_merged_equal_one_worker(
            samples in proptest::collection::vec((0u64..6000, 1u64..1_000_000, 0usize..3), 1..200),
        ) {
            let mut samples = samples;
            samples.sort_unstable();
            let fill = |keep: &dyn Fn(usize) -> bool| {
                let mut recorder = begun();
                for (at, value, worker) in samples.iter().filter(|s| keep(s.2)) {
                    recorder.record(Metric::ResponseTime, *at, *value);
                    recorder.counters(*at).delivered += 1;
                    recorder.note_delivered(1000 + at, *value);
                    recorder.note_error(1000 + at, ["reset", "refused", "tls"][*worker], "");
                }
                recorder.finish(7000)
            };
            let mut merged = Outcome { order_tracked: true, ..Outcome::default() };
            (0..3).for_each(|w| merged.merge(&fill(&|of| of == w)).unwrap());
            let mut whole = fill(&|_| true);
            for outcome in [&mut merged, &mut whole] {
                // How far the last interval reached depends on when its worker finished.
                outcome.intervals.iter_mut().for_each(|i| i.length = 1000);
            }
            prop_assert_eq!(merged, whole);
        }
    }
}
