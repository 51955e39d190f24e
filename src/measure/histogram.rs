//! HdrHistogram with fixed bounds, so that any two merge; and its compressed form, for what only rests or travels.

use crate::clock::{Nanos, SECOND};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer as HdrReader, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The highest value that is kept apart; larger ones count as this, and as overflow.
pub const HIGHEST: Nanos = 60 * SECOND;
const DIGITS: u8 = 3;

/// Values from 1 to 60 × 10⁹ (nanoseconds, mostly) at three significant digits; about 216 KB.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    inner: Hdr<u64>,
    overflow: u64,
}

/// A histogram that couldn't be read.
#[derive(Debug, thiserror::Error)]
#[error("not an HdrHistogram (V2, deflated, base64) with values up to a minute: {0}")]
pub struct HistogramError(String);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { inner: Hdr::new_with_bounds(1, HIGHEST, DIGITS).expect("the bounds are constants"), overflow: 0 }
    }
}

impl Histogram {
    /// Records `value`; 0 counts as 1, the lowest value there is.
    pub fn record(&mut self, value: u64) {
        self.overflow += u64::from(value > HIGHEST);
        self.inner.saturating_record(value.clamp(1, HIGHEST));
    }

    pub fn merge(&mut self, other: &Histogram) {
        self.inner.add(&other.inner).expect("all histograms have the same bounds");
        self.overflow = self.overflow.saturating_add(other.overflow);
    }

    pub fn clear(&mut self) {
        self.inner.reset();
        self.overflow = 0;
    }

    pub fn count(&self) -> u64 {
        self.inner.len()
    }

    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Values that were over the highest that can be kept apart.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Exact to the histogram's precision; 0 when empty.
    pub fn max(&self) -> u64 {
        self.inner.max()
    }

    pub fn mean(&self) -> f64 {
        self.inner.mean()
    }

    /// The value at quantile `q` (0 to 1), whatever it rests on: that of the sample whose rank is `q` × the count, rounded
    /// up. Never less than that sample, and more by a 1024th of it at most. 0 when empty; the least value at 0.
    pub fn at(&self, q: f64) -> u64 {
        // A hair of tolerance: 0.07 × 100 is a little more than 7.
        let rank = (q * self.count() as f64 - 1e-6).ceil();
        if rank < 1.0 { self.inner.value_at_quantile(0.0) } else { self.at_rank(rank as u64) }
    }

    /// The value of the sample with this rank, from 1 on.
    fn at_rank(&self, rank: u64) -> u64 {
        // Half a rank less: the library rounds up again.
        self.inner.value_at_quantile((rank as f64 - 0.5) / self.count() as f64)
    }

    /// The value at `q` if at least `beyond` samples lie beyond it, else `None`: a tail of a few samples is noise.
    pub fn quantile(&self, q: f64, beyond: u64) -> Option<u64> {
        let over = self.count() as f64 * (1.0 - q);
        // A hair of tolerance: 1 − 0.99 is not exactly 0.01.
        (over + 1e-6 >= beyond as f64).then(|| self.at(q))
    }

    /// The value at `q` of these samples and `missing` others that never arrived and count as infinite.
    /// Outer `None`: too few samples; inner `None`: infinite.
    pub fn quantile_with_missing(&self, q: f64, missing: u64, beyond: u64) -> Option<Option<u64>> {
        let total = self.count().saturating_add(missing);
        if (total as f64) * (1.0 - q) + 1e-6 < beyond as f64 {
            return None;
        }
        let rank = (q * total as f64 - 1e-6).ceil() as u64;
        Some((rank <= self.count()).then(|| self.at_rank(rank)))
    }

    /// Distinct recorded values with how many samples are at most that: the steps of the distribution function.
    pub fn steps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.inner.iter_recorded().scan(0, |below, step| {
            *below += step.count_at_value();
            Some((step.value_iterated_to(), *below))
        })
    }

    /// The library's histogram, for writers of its own formats.
    pub fn as_hdr(&self) -> &Hdr<u64> {
        &self.inner
    }

    pub fn pack(&self) -> Packed {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.inner, &mut bytes).expect("writing to memory doesn't fail");
        Packed { v2: STANDARD.encode(bytes), overflow: self.overflow }
    }
}

/// A histogram at rest: HdrHistogram V2, deflated, base64. A few KB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packed {
    v2: String,
    #[serde(default)]
    overflow: u64,
}

impl Default for Packed {
    fn default() -> Packed {
        Histogram::default().pack()
    }
}

impl Packed {
    /// Fails on anything that isn't such a histogram: a result file may have been edited by hand.
    pub fn unpack(&self) -> Result<Histogram, HistogramError> {
        let bytes = STANDARD.decode(&self.v2).map_err(|e| HistogramError(e.to_string()))?;
        let read: Hdr<u64> =
            HdrReader::new().deserialize(&mut bytes.as_slice()).map_err(|e| HistogramError(e.to_string()))?;
        let mut histogram = Histogram { overflow: self.overflow, ..Histogram::default() };
        if read.high() > histogram.inner.high() || read.sigfig() != DIGITS {
            return Err(HistogramError(format!("bounds {}–{}, {} digits", read.low(), read.high(), read.sigfig())));
        }
        histogram.inner.add(&read).map_err(|e| HistogramError(e.to_string()))?;
        Ok(histogram)
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.pack().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Histogram, D::Error> {
        Packed::deserialize(from)?.unpack().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|v| histogram.record(*v));
        histogram
    }

    #[test]
    fn a_quantile_needs_samples_beyond_it() {
        let histogram = of(&(1..=10_000).collect::<Vec<_>>());
        assert!(histogram.quantile(0.99, 100).is_some());
        assert!(histogram.quantile(0.999, 100).is_none());
        assert!(histogram.quantile(0.999, 10).is_some());
        assert!(Histogram::default().quantile(0.5, 100).is_none());
    }

    #[test]
    fn what_never_arrived_counts_as_infinite() {
        let histogram = of(&[1_000; 9_000]);
        assert_eq!(histogram.quantile_with_missing(0.5, 1_000, 100), Some(Some(1_000)));
        assert_eq!(histogram.quantile_with_missing(0.99, 1_000, 100), Some(None));
        assert_eq!(histogram.quantile_with_missing(0.999, 1_000, 100), None);
        assert_eq!(Histogram::default().quantile_with_missing(0.5, 1_000, 100), Some(None));
    }

    #[test]
    fn values_over_the_bound_saturate_and_are_counted() {
        let histogram = of(&[2 * HIGHEST, 5]);
        assert_eq!((histogram.overflow(), histogram.count()), (1, 2));
        assert!(histogram.max() >= HIGHEST);
    }

    #[test]
    fn a_damaged_histogram_is_an_error() {
        let mut packed = of(&[1, 2, 3]).pack();
        packed.v2.replace_range(10..14, "AAAA");
        assert!(packed.unpack().is_err());
        assert!(Packed { v2: "no".into(), overflow: 0 }.unpack().is_err());
        let mut other = Vec::new();
        let alien: Hdr<u64> = Hdr::new_with_bounds(1, HIGHEST * 1000, 5).unwrap();
        V2DeflateSerializer::new().serialize(&alien, &mut other).unwrap();
        assert!(Packed { v2: STANDARD.encode(other), overflow: 0 }.unpack().is_err());
    }

    proptest! {
        #[test]
        fn a_quantile_is_that_of_its_sample_rounded_up_by_a_1024th_at_most(
            values in proptest::collection::vec(1u64..HIGHEST, 1..300), percent in 1u64..=100,
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let exact = sorted[(sorted.len() as u64 * percent).div_ceil(100) as usize - 1];
            let got = of(&values).at(percent as f64 / 100.0);
            prop_assert!(exact <= got && (got - exact) * 1024 <= exact, "{} where {} is exact", got, exact);
        }

        #[test]
        fn merging_parts_is_recording_the_whole(values in proptest::collection::vec(0u64..2 * HIGHEST, 0..300), cut in 0usize..300) {
            let (a, b) = values.split_at(cut.min(values.len()));
            let mut merged = of(a);
            merged.merge(&of(b));
            prop_assert_eq!(&merged, &of(&values));
            prop_assert_eq!(&merged.pack().unpack().unwrap(), &merged);
        }
    }
}
