//! Randomness that is arithmetic: the same seed gives the same run, whatever happened before.

use rand::{SeedableRng, rngs::ChaCha8Rng};

/// A well-mixed number from a seed and what it is for (SplitMix64's finaliser, Steele et al., OOPSLA 2014).
pub fn mix(seed: u64, what: u64) -> u64 {
    let mut z = seed ^ what.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number in `0..below`, spread evenly; `below` must not be 0.
pub fn pick(seed: u64, what: u64, below: u64) -> u64 {
    ((u128::from(mix(seed, what)) * u128::from(below)) >> 64) as u64
}

/// A stream of random numbers for `seed`.
pub fn stream(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// `0..n` in an order drawn from `seed`.
pub fn shuffled(seed: u64, n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for i in (1..n).rev() {
        order.swap(i, pick(seed, i as u64, i as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_everyone_and_depends_on_the_seed() {
        let mut order = shuffled(7, 1000);
        assert_ne!(order, shuffled(8, 1000));
        assert_eq!(order, shuffled(7, 1000));
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn picks_are_even() {
        let mut counts = [0u32; 10];
        for n in 0..100_000 {
            counts[pick(1, n, 10) as usize] += 1;
        }
        assert!(counts.iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
    }
}
