//! Held against SciPy, against counting every arrangement one by one, and against simulation.

use super::*;
use proptest::{collection::vec, prelude::*};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

/// What `tests/fixtures/statistics.py` wrote.
#[derive(Deserialize)]
struct Fixture {
    signed_rank: Vec<OfPairs>,
    rank_sum: Vec<OfTwo>,
    holm: Vec<OfMany>,
}

#[derive(Deserialize)]
struct OfPairs {
    differences: Vec<f64>,
    greater: f64,
    less: f64,
}

#[derive(Deserialize)]
struct OfTwo {
    base: Vec<f64>,
    new: Vec<f64>,
    greater: f64,
    less: f64,
}

#[derive(Deserialize)]
struct OfMany {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../tests/fixtures/statistics.json")).unwrap()
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

fn agrees(test: Test, greater: f64, less: f64) -> bool {
    is_near(test.p_greater, greater) && is_near(test.p_less, less)
}

#[test]
fn pairs_agree_with_scipy() {
    let cases = fixture().signed_rank;
    assert!(cases.len() > 200);
    for OfPairs { differences, greater, less } in cases {
        let test = signed_rank(&differences).unwrap();
        assert!(agrees(test, greater, less), "{differences:?}: {test:?}, SciPy {greater} {less}");
    }
}

#[test]
fn samples_agree_with_scipy() {
    let cases = fixture().rank_sum;
    assert!(cases.len() > 200);
    for OfTwo { base, new, greater, less } in cases {
        let test = rank_sum(&base, &new).unwrap();
        assert!(agrees(test, greater, less), "{base:?} {new:?}: {test:?}, SciPy {greater} {less}");
    }
}

#[test]
fn holm_agrees_with_its_definition() {
    for OfMany { p, adjusted } in fixture().holm {
        assert!(holm(&p).iter().zip(&adjusted).all(|(one, other)| is_near(*one, *other)), "{p:?}");
    }
}

/// Twice the midrank, by its meaning: those below, those equal.
fn rank(value: f64, among: &[f64]) -> usize {
    let below = among.iter().filter(|other| **other < value).count();
    let equal = among.iter().filter(|other| **other == value).count();
    2 * below + equal + 1
}

fn shares(sums: &[usize], observed: usize) -> (f64, f64) {
    let share = |is: &dyn Fn(usize) -> bool| sums.iter().filter(|sum| is(**sum)).count() as f64 / sums.len() as f64;
    (share(&|sum| sum >= observed), share(&|sum| sum <= observed))
}

/// The sum of `weights` whose bit is set.
fn picked(weights: &[usize], bits: u32) -> usize {
    weights.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, weight)| weight).sum()
}

/// Every one of the 2^n ways to give signs.
fn all_signs(differences: &[f64]) -> (f64, f64) {
    let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let sizes: Vec<f64> = kept.iter().map(|d| d.abs()).collect();
    let ranks: Vec<usize> = sizes.iter().map(|size| rank(*size, &sizes)).collect();
    let sums: Vec<usize> = (0..1u32 << ranks.len()).map(|bits| picked(&ranks, bits)).collect();
    let observed = kept.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    shares(&sums, observed)
}

/// Every one of the C(n, k) ways to split.
fn all_splits(base: &[f64], new: &[f64]) -> (f64, f64) {
    let all = [new, base].concat();
    let ranks: Vec<usize> = all.iter().map(|value| rank(*value, &all)).collect();
    let splits = (0..1u32 << all.len()).filter(|bits| bits.count_ones() as usize == new.len());
    let sums: Vec<usize> = splits.map(|bits| picked(&ranks, bits)).collect();
    shares(&sums, ranks[..new.len()].iter().sum())
}

/// Values with many ties and zeros, or hardly any.
fn values(most: usize) -> impl Strategy<Value = Vec<f64>> {
    let coarse = vec((-4i32..=5).prop_map(f64::from), 1..=most);
    let fine = vec(-1.0..1.5f64, 1..=most);
    prop_oneof![coarse, fine]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pairs_agree_with_all_signs_counted(differences in values(11)) {
        match signed_rank(&differences) {
            Some(test) => {
                let (greater, less) = all_signs(&differences);
                prop_assert!(agrees(test, greater, less), "{test:?} {greater} {less}");
            }
            None => prop_assert!(differences.iter().all(|d| *d == 0.0)),
        }
    }

    #[test]
    fn samples_agree_with_all_splits_counted(base in values(6), new in values(6)) {
        let test = rank_sum(&base, &new).unwrap();
        let (greater, less) = all_splits(&base, &new);
        prop_assert!(agrees(test, greater, less), "{test:?} {greater} {less}");
    }

    /// The interval holds exactly the shifts that the test doesn't refuse: taken off the differences, a shift just inside
    /// leaves them unremarkable, one just outside doesn't.
    #[test]
    fn the_interval_of_pairs_is_the_test_turned_around(differences in vec(-1.0..1.0f64, 1..=11), tail in 0.01..0.3f64) {
        let shift = shift_of_pairs(&differences).unwrap();
        let (greater, less) = (
            |by: f64| all_signs(&differences.iter().map(|d| d - by).collect::<Vec<_>>()).0,
            |by: f64| all_signs(&differences.iter().map(|d| d - by).collect::<Vec<_>>()).1,
        );
        match shift.interval(1.0 - 2.0 * tail) {
            (Some(low), Some(high)) => {
                prop_assert!(low <= shift.estimate && shift.estimate <= high);
                prop_assert!(greater(low - 1e-9) <= tail + 1e-9 && greater(low + 1e-9) > tail);
                prop_assert!(less(high + 1e-9) <= tail + 1e-9 && less(high - 1e-9) > tail);
            }
            bounds => {
                prop_assert_eq!(bounds, (None, None));
                prop_assert!(0.5f64.powi(differences.len() as i32) > tail);
            }
        }
    }

    #[test]
    fn the_interval_of_samples_is_the_test_turned_around(
        base in vec(-1.0..1.0f64, 1..=6), new in vec(-0.5..1.5f64, 1..=6), tail in 0.01..0.3f64,
    ) {
        let shift = shift(&base, &new).unwrap();
        let (greater, less) = (
            |by: f64| all_splits(&base, &new.iter().map(|v| v - by).collect::<Vec<_>>()).0,
            |by: f64| all_splits(&base, &new.iter().map(|v| v - by).collect::<Vec<_>>()).1,
        );
        match shift.interval(1.0 - 2.0 * tail) {
            (Some(low), Some(high)) => {
                prop_assert!(low <= shift.estimate && shift.estimate <= high);
                prop_assert!(greater(low - 1e-9) <= tail + 1e-9 && greater(low + 1e-9) > tail);
                prop_assert!(less(high + 1e-9) <= tail + 1e-9 && less(high - 1e-9) > tail);
            }
            bounds => {
                prop_assert_eq!(bounds, (None, None));
                prop_assert!(greater(-9.0) > tail);
            }
        }
    }

    #[test]
    fn the_sides_are_mirrors(base in values(30), new in values(30)) {
        let (there, back) = (rank_sum(&base, &new).unwrap(), rank_sum(&new, &base).unwrap());
        prop_assert!(agrees(there, back.p_less, back.p_greater));
        prop_assert_eq!(shift(&base, &new).unwrap().estimate, -shift(&new, &base).unwrap().estimate);
    }

    #[test]
    fn adjusting_keeps_the_order_and_only_raises(p in vec(0.0..=1.0f64, 0..20)) {
        let adjusted = holm(&p);
        prop_assert_eq!(adjusted.len(), p.len());
        for (a, &p_a) in p.iter().enumerate() {
            prop_assert!(adjusted[a] >= p_a && adjusted[a] <= 1.0);
            prop_assert!(p.iter().enumerate().all(|(b, &p_b)| p_b < p_a || adjusted[b] >= adjusted[a]));
        }
    }
}

#[test]
fn estimates_by_hand() {
    // Walsh averages of 1, 2, 6: 1, 1.5, 2, 3.5, 4, 6.
    assert_eq!(shift_of_pairs(&[6.0, 1.0, 2.0]).unwrap().estimate, 2.75);
    assert_eq!(shift_of_pairs(&[0.0, 0.0, 3.0]).unwrap().estimate, 0.75);
    // Differences 4-1, 4-2, 4-6, 5-1, 5-2, 5-6: -2, -1, 2, 3, 3, 4.
    assert_eq!(shift(&[1.0, 2.0, 6.0], &[4.0, 5.0]).unwrap().estimate, 2.5);
}

#[test]
fn intervals_as_the_tables_say() {
    // The table of the signed ranks at 2.5 % a side: n = 6 cuts off 1 average, n = 10 nine, n = 20 fifty-three.
    for (n, cut) in [(6, 1), (10, 9), (20, 53)] {
        let differences: Vec<f64> = (0..n).map(|i| f64::from(i) + f64::from(i * i) / 1000.0).collect();
        let shift = shift_of_pairs(&differences).unwrap();
        assert_eq!(shift.interval(0.95), (Some(shift.sorted[cut - 1]), Some(shift.sorted[shift.sorted.len() - cut])));
    }
    // Five pairs give 93.75 % at most.
    let five = shift_of_pairs(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    assert_eq!(five.interval(0.95), (None, None));
    assert_eq!(five.interval(0.9375), (Some(1.0), Some(5.0)));
    // Mann and Whitney's table at 2.5 % a side: 10 and 10 cut off 24 differences, 3 and 3 none.
    let ten: Vec<f64> = (0..10).map(f64::from).collect();
    let apart: Vec<f64> = (0..10).map(|i| f64::from(i) * 1.01 + 0.3).collect();
    let two = shift(&ten, &apart).unwrap();
    assert_eq!(two.interval(0.95), (Some(two.sorted[23]), Some(two.sorted[76])));
    assert_eq!(shift(&ten[..3], &apart[..3]).unwrap().interval(0.95), (None, None));
    for confidence in [0.0, 1.0, -3.0, f64::NAN] {
        assert_eq!(two.interval(confidence), (None, None));
    }
}

#[test]
fn what_is_no_sample_has_no_answer() {
    for bad in [vec![], vec![1.0, f64::NAN], vec![f64::INFINITY], vec![1.0; MOST + 1]] {
        assert_eq!(signed_rank(&bad), None);
        assert_eq!(rank_sum(&bad, &[1.0]), None);
        assert_eq!(rank_sum(&[1.0], &bad), None);
        assert_eq!(shift_of_pairs(&bad), None);
        assert_eq!(shift(&bad, &[1.0]), None);
        assert_eq!(shift(&[1.0], &bad), None);
    }
    assert_eq!(signed_rank(&[0.0, -0.0]), None);
    assert_eq!(shift(&[-f64::MAX], &[f64::MAX]), None);
    assert_eq!(shift_of_pairs(&[f64::MAX, f64::MAX]).unwrap().estimate, f64::MAX);
    assert_eq!(rank_sum(&[2.0; 4], &[2.0; 5]), Some(Test { p_greater: 1.0, p_less: 1.0 }));
}

#[test]
fn more_values_than_are_counted_are_judged_all_the_same() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let base = normals(&mut random, MOST, 0.0);
    let new = normals(&mut random, MOST, 0.2);
    assert!(rank_sum(&base, &new).unwrap().p_greater < 1e-6);
    assert!(signed_rank(&new).unwrap().p_greater < 1e-9);
    assert_eq!(rank_sum(&[1.0; MOST], &[1.0; MOST]), Some(Test { p_greater: 1.0, p_less: 1.0 }));
    // As wide as theory says: σ / √n by the efficiency of ranks, and √2 of it between two samples.
    let width = 2.0 * 1.96 / (MOST as f64 * 3.0 / std::f64::consts::PI).sqrt();
    for (shift, width) in [(shift_of_pairs(&new), width), (shift(&base, &new), width * 2f64.sqrt())] {
        let (Some(low), Some(high)) = shift.as_ref().unwrap().interval(0.95) else { panic!("no interval") };
        assert!((low..high).contains(&shift.unwrap().estimate));
        assert!(((high - low) / width - 1.0).abs() < 0.1, "{low} to {high}, not {width} wide");
    }
}

fn normals(random: &mut ChaCha8Rng, n: usize, mean: f64) -> Vec<f64> {
    (0..n).map(|_| mean + <StandardNormal as Distribution<f64>>::sample(&StandardNormal, random)).collect()
}

/// Simulated: of 4000 samples that hold the effect which is said to be detectable, four in five are found; and of as many
/// that hold none, no more than alpha.
#[test]
fn the_power_is_what_is_said() {
    for (n, alpha) in [(8, 0.05), (10, 0.01), (10, 0.05), (20, 0.01), (20, 0.05), (40, 0.05)] {
        let noise = 0.05;
        let found = |effect: f64| {
            let mut random = ChaCha8Rng::seed_from_u64(n as u64);
            let is_found = |_: &u32| {
                let pairs: Vec<f64> = normals(&mut random, n, 0.0).iter().map(|z| effect + noise * z).collect();
                signed_rank(&pairs).unwrap().p_greater <= alpha
            };
            f64::from((0..4000).filter(is_found).count() as u32) / 4000.0
        };
        let power = found(detectable(noise, n, alpha).unwrap());
        assert!((0.74..0.82).contains(&power), "n {n}, alpha {alpha}: {power}");
        assert!(found(0.0) <= alpha + 0.012);
    }
}

#[test]
fn what_is_detectable_and_what_it_needs_are_inverse() {
    for n in [6, 10, 20, 200] {
        let effect = detectable(0.05, n, 0.05).unwrap();
        assert_eq!(needed(0.05, effect * 1.000_001, 0.05), Some(n as u64));
        assert_eq!(needed(0.05, effect * 0.999_999, 0.05), Some(n as u64 + 1));
    }
    // Five pairs are rare enough for 0.05, four are not: one in 16.
    assert!(detectable(0.05, 5, 0.05).is_some());
    assert_eq!(detectable(0.05, 4, 0.05), None);
    assert_eq!(needed(0.0, 0.05, 0.05), Some(5));
    assert_eq!(detectable(0.0, 10, 0.05), Some(0.0));
    for (noise, alpha) in
        [(f64::NAN, 0.05), (-1.0, 0.05), (f64::INFINITY, 0.05), (0.1, 0.0), (0.1, 1.0), (0.1, f64::NAN)]
    {
        assert_eq!(detectable(noise, 10, alpha), None);
        assert_eq!(needed(noise, 0.1, alpha), None);
    }
    for effect in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(needed(0.1, effect, 0.05), None);
    }
    assert!(needed(1.0, 1e-300, 0.05).is_some());
}
