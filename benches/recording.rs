//! Recording one sample, and merging what workers recorded.

use divan::{Bencher, black_box};
use wsbench::measure::{Histogram, Metric, Recorder};
use wsbench::schedule::Window;

fn filled() -> Histogram {
    let mut histogram = Histogram::default();
    (1..10_000u64).for_each(|n| histogram.record(n * 7_919));
    histogram
}

#[divan::bench]
fn record_one_sample(bencher: Bencher) {
    let mut recorder = Recorder::new(1_000_000_000);
    recorder.begin(Window { start: 0, measure_from: 0, measure_to: u64::MAX, drain_to: u64::MAX });
    let mut value = 1u64;
    bencher.bench_local(|| {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        recorder.record(Metric::ResponseTime, black_box(5), value >> 36);
    });
}

#[divan::bench]
fn merge_two_histograms(bencher: Bencher) {
    let (mut a, b) = (filled(), filled());
    bencher.bench_local(|| a.merge(black_box(&b)));
}

#[divan::bench]
fn pack_and_unpack(bencher: Bencher) {
    let histogram = filled();
    bencher.bench_local(|| black_box(&histogram).pack().unpack().map(|h| h.count()));
}
