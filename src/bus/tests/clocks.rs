//! Estimates of another machine's clock, held against the truth.

use crate::bus::{Clocks, MAX_DRIFT_PPM, Offset};
use crate::clock::{MILLI, Nanos, SECOND};
use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

const MICRO: Nanos = 1000;

/// The other machine's clock, as the truth has it.
#[derive(Debug, Clone, Copy)]
struct Truth {
    ahead: i64,
    drift_ppm: f64,
}

impl Truth {
    fn there(&self, ours: Nanos) -> Nanos {
        ours.saturating_add_signed(self.ahead + (ours as f64 * self.drift_ppm / 1e6).round() as i64)
    }

    /// How far the estimate is off, nanoseconds.
    fn error(&self, offset: &Offset) -> u64 {
        let truth = self.there(offset.at) as i128 - offset.at as i128;
        (i128::from(offset.offset) - truth).unsigned_abs() as u64
    }
}

/// How long a packet is on its way: there and back at least, and a queue on top, which is empty half of the time.
#[derive(Debug, Clone, Copy)]
struct Path {
    there: Nanos,
    back: Nanos,
    queue: Nanos,
}

/// A sample every half second from `from` for `length`; `look` is shown each estimate.
fn watch(
    clocks: &mut Clocks,
    truth: Truth,
    path: Path,
    seed: u64,
    (from, length): (Nanos, Nanos),
    mut look: impl FnMut(Offset),
) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut queued = || if random.random_bool(0.5) { 0 } else { random.random_range(0..=path.queue) };
    for n in 0..length / (SECOND / 2) {
        let t1 = from + n * SECOND / 2;
        let there = t1 + path.there + queued();
        // It keeps its answer for up to half a second.
        let back = there + (n * 7919 % 500) * MILLI;
        let t4 = back + path.back + queued();
        clocks.sample(t1, truth.there(there), truth.there(back), t4);
        look(clocks.offset().unwrap());
    }
}

#[test]
fn one_sample_says_what_ntp_says() {
    let mut clocks = Clocks::default();
    assert_eq!(clocks.offset(), None);
    // 30 ms there, 10 ms back, the peer's clock 5 s ahead; it took 100 ms to answer.
    clocks.sample(SECOND, 6 * SECOND + 30 * MILLI, 6 * SECOND + 130 * MILLI, SECOND + 140 * MILLI);
    let offset = clocks.offset().unwrap();
    let (t1, t2, t3, t4) = (SECOND, 6 * SECOND + 30 * MILLI, 6 * SECOND + 130 * MILLI, SECOND + 140 * MILLI);
    let ntp = ((t2 as i64 - t1 as i64) + (t3 as i64 - t4 as i64)) / 2;
    // The bound of t1 is 140 ms old, at 200 ppm.
    assert!(offset.offset.abs_diff(ntp) <= 14 * MICRO, "{offset:?} {ntp}");
    assert!((20 * MILLI..20 * MILLI + 15 * MICRO).contains(&offset.uncertainty), "{offset:?}");
    assert_eq!((offset.samples, offset.at, offset.drift_ppm), (1, t4, 0.0));
}

#[test]
fn the_shortest_trips_count_and_queues_do_not() {
    let truth = Truth { ahead: -3_000_000_000_000, drift_ppm: 0.0 };
    let path = Path { there: 100 * MICRO, back: 100 * MICRO, queue: 50 * MILLI };
    let mut clocks = Clocks::default();
    let mut last = None;
    watch(&mut clocks, truth, path, 1, (10_000 * SECOND, 60 * SECOND), |offset| last = Some(offset));
    let offset = last.unwrap();
    assert!(offset.uncertainty < 250 * MICRO, "{offset:?}");
    assert!(truth.error(&offset) <= offset.uncertainty, "{offset:?}");
}

#[test]
fn a_path_that_is_longer_one_way_is_within_the_uncertainty_and_no_nearer() {
    let truth = Truth { ahead: 1_000_000_000, drift_ppm: 0.0 };
    let path = Path { there: 39 * MILLI, back: MILLI, queue: 0 };
    let mut clocks = Clocks::default();
    watch(&mut clocks, truth, path, 1, (SECOND, 60 * SECOND), |offset| {
        assert!(truth.error(&offset) <= offset.uncertainty, "{offset:?}");
        // Nobody can tell the two ways apart, so half of the difference is what it must be off by.
        assert!((18 * MILLI..=21 * MILLI).contains(&truth.error(&offset)), "{offset:?}");
    });
}

#[test]
fn drift_is_found_and_what_the_clock_will_show_is_foretold() {
    for drift_ppm in [-50.0, -5.0, 50.0] {
        let truth = Truth { ahead: 86_400_000_000_000, drift_ppm };
        let path = Path { there: 60 * MICRO, back: 90 * MICRO, queue: 2 * MILLI };
        let mut clocks = Clocks::default();
        let mut last = None;
        watch(&mut clocks, truth, path, 3, (SECOND, 120 * SECOND), |offset| {
            assert!(truth.error(&offset) <= offset.uncertainty, "{offset:?}");
            last = Some(offset);
        });
        let offset = last.unwrap();
        assert!((offset.drift_ppm - drift_ppm).abs() < 3.0, "{offset:?}");
        assert!(offset.uncertainty < 120 * MICRO, "{offset:?}");
        let ours = offset.at + 10 * SECOND;
        let off = offset.there(ours).abs_diff(truth.there(ours));
        assert!(off < offset.uncertainty + 30 * MICRO, "{off} {offset:?}");
    }
}

#[test]
fn a_drift_that_wanders_is_within_the_uncertainty_too() {
    // Between 10 and 12 ppm over minutes, by less than 1 ppm within one.
    let there = |ours: Nanos| {
        let seconds = ours as f64 / SECOND as f64;
        let turns = 2.0 * std::f64::consts::PI / 400.0;
        ours + 11_000 * ours / SECOND + (1000.0 / turns * (1.0 - (turns * seconds).cos())) as Nanos
    };
    for path in [3, 6, 12, 25, 50, 100].map(|path| path * MICRO) {
        let mut clocks = Clocks::default();
        for n in 1..1600 {
            let t1 = n * SECOND / 2;
            let (heard, t4) = (t1 + path, t1 + 2 * path);
            clocks.sample(t1, there(heard), there(heard), t4);
            let offset = clocks.offset().unwrap();
            let error = (there(offset.at) as i64 - offset.at as i64).abs_diff(offset.offset);
            assert!(error <= offset.uncertainty, "{path}: {error} {offset:?}");
        }
    }
}

#[test]
fn a_clock_that_jumps_is_followed() {
    let path = Path { there: MILLI, back: MILLI, queue: 0 };
    let mut clocks = Clocks::default();
    watch(&mut clocks, Truth { ahead: 0, drift_ppm: 0.0 }, path, 1, (SECOND, 30 * SECOND), |_| {});
    let later = Truth { ahead: 700_000_000, drift_ppm: 0.0 };
    watch(&mut clocks, later, path, 1, (31 * SECOND, 10 * SECOND), |offset| {
        assert!(later.error(&offset) <= offset.uncertainty, "{offset:?}");
    });
}

#[test]
fn what_cant_be_is_passed_over() {
    let mut clocks = Clocks::default();
    for (t1, t2, t3, t4) in [
        // Heard before it was sent, by one clock or the other; an answer kept for longer than the whole took.
        (2, 0, 0, 1),
        (1, 5, 4, 2),
        (0, 0, SECOND, SECOND / 2),
        // On its way for hours.
        (0, 0, 0, 3600 * SECOND),
    ] {
        clocks.sample(t1, t2, t3, t4);
    }
    assert_eq!(clocks.offset(), None);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut clocks = Clocks::default();
    for n in 0..5000 {
        // Answers of every age, over five minutes.
        let t4 = 100 * SECOND + n * 60 * MILLI;
        let t1 = t4 - (n * 7919 % 50) * SECOND;
        clocks.sample(t1, t1 + 5, t1 + 5, t4);
        assert!(clocks.kept() <= 2 * 62, "{n}: {}", clocks.kept());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_truth_is_never_further_away_than_the_uncertainty(
        seed in any::<u64>(), ahead in -1_000_000_000_000_000_i64..1_000_000_000_000_000, drift_ppm in -50.0..50.0_f64,
        there in 1..100_000_u64, back in 1..100_000_u64, queue in 0..300_000_u64,
    ) {
        let truth = Truth { ahead, drift_ppm };
        let path = Path { there: there * MICRO, back: back * MICRO, queue: queue * MICRO };
        let mut clocks = Clocks::default();
        let mut wrong = None;
        let start = 1_000_000 * SECOND;
        watch(&mut clocks, truth, path, seed, (start, 90 * SECOND), |offset| {
            if truth.error(&offset) > offset.uncertainty {
                wrong = Some(offset);
            }
        });
        prop_assert_eq!(wrong, None);
        let offset = clocks.offset().unwrap();
        prop_assert!(offset.uncertainty <= (there + back + queue) * MICRO / 2 + 200 * MICRO, "{:?}", offset);
        prop_assert!((offset.drift_ppm - drift_ppm).abs() <= 2.0 * MAX_DRIFT_PPM);
    }
}
