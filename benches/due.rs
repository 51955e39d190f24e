//! Drawing a schedule.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use wsbench::catalog::Arrival;
use wsbench::schedule::{Schedule, Stage};
use wsbench::units::{Rate, Span};

#[divan::bench(args = ["constant", "poisson"])]
fn draw_ten_thousand(bencher: Bencher, arrival: &str) {
    let rate = Rate::new(10_000.0).unwrap_or_default();
    let arrival = arrival.parse().unwrap_or(Arrival::Constant);
    let stages = vec![Stage { from: rate, to: rate, over: Span::from_millis(1000) }];
    let schedule = Schedule { arrival, stages, seed: 1 };
    bencher.counter(ItemsCount::new(10_000u32)).bench_local(|| black_box(&schedule).arrivals().sum::<u64>());
}
