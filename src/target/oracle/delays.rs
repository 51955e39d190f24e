//! How long a message is held: drawn by its id, and logged as it was.

use crate::catalog::Distribution;
use crate::clock::{Nanos, SECOND};
use crate::seed;
use rand::RngExt as _;
use rand_distr::{Exp1, StandardNormal};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// Nothing is held longer, whatever was drawn.
const LONGEST: Nanos = 10 * SECOND;

/// What `distribution` says for message `id`: arithmetic on these three, at most 10 s.
pub fn drawn(distribution: &Distribution, seed: u64, id: u64) -> Nanos {
    let mut random = seed::stream(seed::mix(seed, id));
    let held = match distribution {
        Distribution::Constant(value) => return value.nanos().min(LONGEST),
        Distribution::Uniform(least, most) => {
            let (least, most) = (least.nanos() as f64, most.nanos() as f64);
            least + (most - least) * random.random::<f64>()
        }
        Distribution::Exponential(mean) => mean.nanos() as f64 * random.sample::<f64, _>(Exp1),
        Distribution::Lognormal(median, sigma) => {
            median.nanos() as f64 * (sigma * random.sample::<f64, _>(StandardNormal)).exp()
        }
        Distribution::Bimodal(usual, slow, share) => {
            let is_slow = random.random::<f64>() < share.part();
            if is_slow { slow.nanos() as f64 } else { usual.nanos() as f64 }
        }
        // The exponential of an exponential.
        Distribution::Pareto(least, alpha) => least.nanos() as f64 * (random.sample::<f64, _>(Exp1) / alpha).exp(),
    };
    // Casting saturates, also where the tail went beyond what a number holds.
    (held as Nanos).min(LONGEST)
}

/// A CSV line for each message that was held.
pub struct HeldLog {
    path: String,
    file: RefCell<BufWriter<File>>,
    broken: RefCell<Option<io::Error>>,
}

impl HeldLog {
    /// Makes the file, or empties it.
    pub fn create(path: &str) -> io::Result<HeldLog> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(b"id,drawn_ns,held_ns\n")?;
        Ok(HeldLog { path: path.to_owned(), file: RefCell::new(file), broken: RefCell::default() })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// What goes wrong is told when the log is [`finish`](HeldLog::finish)ed.
    pub fn line(&self, id: u64, drawn: Nanos, held: Nanos) {
        if let Err(error) = writeln!(self.file.borrow_mut(), "{id},{drawn},{held}") {
            self.broken.borrow_mut().get_or_insert(error);
        }
    }

    /// Writes what is still in memory.
    pub fn finish(&self) -> io::Result<()> {
        self.broken.take().map_or(Ok(()), Err)?;
        self.file.borrow_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(distribution: &str) -> Vec<f64> {
        let distribution: Distribution = distribution.parse().unwrap();
        let mut held: Vec<f64> = (0..20_000).map(|id| drawn(&distribution, 7, id) as f64 / 1e6).collect();
        assert_eq!(held[5], drawn(&distribution, 7, 5) as f64 / 1e6);
        held.sort_unstable_by(f64::total_cmp);
        held
    }

    fn near(value: f64, want: f64) {
        assert!((value / want - 1.0).abs() < 0.05, "{value} for {want}");
    }

    #[test]
    fn each_distribution_is_what_its_name_says() {
        let mean = |held: &[f64]| held.iter().sum::<f64>() / held.len() as f64;
        assert!(sample("constant(20ms)").iter().all(|held| *held == 20.0));
        let held = sample("uniform(10ms, 30ms)");
        assert!(held[0] >= 10.0 && held[19_999] <= 30.0);
        near(mean(&held), 20.0);
        near(held[5_000], 15.0);
        let held = sample("exponential(20ms)");
        near(mean(&held), 20.0);
        near(held[10_000], 20.0 * 2f64.ln());
        let held = sample("lognormal(20ms, 0.5)");
        near(held[10_000], 20.0);
        // The 84.13th percentile lies one sigma above the median.
        near(held[16_827], 20.0 * 0.5f64.exp());
        let held = sample("bimodal(5ms, 50ms, 10%)");
        near(held.iter().filter(|held| **held == 50.0).count() as f64, 2_000.0);
        near(held.iter().filter(|held| **held == 5.0).count() as f64, 18_000.0);
        let held = sample("pareto(5ms, 2.5)");
        assert!(held[0] >= 5.0);
        near(held[10_000], 5.0 * 2f64.powf(1.0 / 2.5));
        near(mean(&held), 5.0 * 2.5 / 1.5);
    }

    #[test]
    fn a_tail_without_end_is_cut_and_zero_is_no_trouble() {
        assert_eq!(sample("pareto(1s, 0.01)")[19_999], 10_000.0);
        assert_eq!(sample("lognormal(1s, 1e300)")[19_999], 10_000.0);
        assert_eq!(sample("exponential(0s)")[19_999], 0.0);
    }

    #[test]
    fn another_seed_draws_other_delays() {
        let distribution = "exponential(20ms)".parse().unwrap();
        let same = (0..1000).filter(|id| drawn(&distribution, 1, *id) == drawn(&distribution, 2, *id)).count();
        assert_eq!(same, 0);
    }
}
