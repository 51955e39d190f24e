//! What happens to datagrams on purpose: dropped, sent twice, or changing places with the next one to the same peer.

use super::seed_of;
use crate::catalog::Oracle;
use crate::clock::{MILLI, Nanos};
use crate::seed;
use crate::units::Share;

/// A datagram that waits for another to overtake it waits no longer than this.
pub const LONGEST_WAIT: Nanos = 200 * MILLI;

/// Keeps these draws apart from those of the delays.
const FATES: u64 = 0x7564_7020_6661_7465;

/// What becomes of one copy of a message to a UDP peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Plain,
    Drop,
    Duplicate,
    /// It waits until the next one to the same peer has gone.
    Swap,
}

/// The fate of message `id` for the peer that joined its place as number `order`, from 0; in `/echo`, where everyone is
/// alone, that is always 0. Arithmetic on these and the oracle's seed and shares.
pub fn fate(oracle: &Oracle, id: u64, order: u64) -> Fate {
    // 53 bits are what a float holds.
    let drawn = seed::mix(seed::mix(seed_of(oracle) ^ FATES, id), order) >> 11;
    let drawn = drawn as f64 / (1u64 << 53) as f64;
    let [drop, duplicate, swap] = shares(oracle);
    match drawn {
        drawn if drawn < drop => Fate::Drop,
        drawn if drawn < drop + duplicate => Fate::Duplicate,
        drawn if drawn < drop + duplicate + swap => Fate::Swap,
        _ => Fate::Plain,
    }
}

/// Whether any datagram has another fate than the plain one.
pub fn has_faults(oracle: &Oracle) -> bool {
    shares(oracle).iter().any(|share| *share > 0.0)
}

fn shares(oracle: &Oracle) -> [f64; 3] {
    [oracle.udp_drop, oracle.udp_duplicate, oracle.udp_swap].map(|share| share.map_or(0.0, Share::part))
}

/// The way to one peer, with at most one datagram that waits to be overtaken.
pub struct Lane<D> {
    waiting: Option<D>,
    /// How many have waited: tells the one that waits now from earlier ones.
    waits: u64,
}

/// What was really done with what passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Messages sent, one that had waited included, and messages that couldn't be sent.
    pub sent: u64,
    pub failed: u64,
    pub dropped: bool,
    pub duplicated: bool,
    /// One that had waited was overtaken and sent.
    pub swapped: bool,
    /// It waits now, by this name.
    pub waits: Option<u64>,
}

impl<D> Default for Lane<D> {
    fn default() -> Lane<D> {
        Lane { waiting: None, waits: 0 }
    }
}

impl<D> Lane<D> {
    /// Deals with `datagram` as its fate says. `send` tells whether it went. While one waits, the swap of another is void.
    pub fn pass(&mut self, fate: Fate, datagram: D, mut send: impl FnMut(&D) -> bool) -> Done {
        match fate {
            Fate::Drop => return Done { dropped: true, ..Done::default() },
            Fate::Swap if self.waiting.is_none() => {
                self.waiting = Some(datagram);
                self.waits += 1;
                return Done { waits: Some(self.waits), ..Done::default() };
            }
            _ => {}
        }
        let mut done = Done::default();
        if !send(&datagram) {
            done.failed = 1;
            return done;
        }
        done.sent = 1;
        done.duplicated = fate == Fate::Duplicate && send(&datagram);
        if let Some(waiting) = self.waiting.take() {
            done.swapped = send(&waiting);
            done.sent += u64::from(done.swapped);
            done.failed += u64::from(!done.swapped);
        }
        done
    }

    /// The datagram that waits by this name, if nothing has overtaken it yet.
    pub fn give_up(&mut self, name: u64) -> Option<D> {
        self.waiting.take_if(|_| self.waits == name)
    }

    /// The datagram that waits.
    pub fn leave(&mut self) -> Option<D> {
        self.waiting.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn oracle(drop: f64, duplicate: f64, swap: f64) -> Oracle {
        let [drop, duplicate, swap] = [drop, duplicate, swap].map(Share::new);
        Oracle { udp_drop: drop, udp_duplicate: duplicate, udp_swap: swap, ..Oracle::default() }
    }

    #[test]
    fn fates_are_as_frequent_as_their_shares_and_differ_by_seed_and_peer() {
        let with = oracle(0.05, 0.02, 0.03);
        let count = |fate_of: &dyn Fn(u64) -> Fate, fate| (0..100_000).filter(|id| fate_of(*id) == fate).count();
        let plain = |id| fate(&with, id, 0);
        assert!((4_800..5_200).contains(&count(&plain, Fate::Drop)));
        assert!((1_850..2_150).contains(&count(&plain, Fate::Duplicate)));
        assert!((2_800..3_200).contains(&count(&plain, Fate::Swap)));
        let seeded = Oracle { seed: Some(9), ..with.clone() };
        let both = |other: &dyn Fn(u64) -> Fate| {
            (0..100_000).filter(|id| plain(*id) == Fate::Drop && other(*id) == Fate::Drop).count()
        };
        assert!(both(&|id| fate(&with, id, 1)) < 350 && both(&|id| fate(&seeded, id, 0)) < 350);
        assert!(has_faults(&with) && !has_faults(&Oracle::default()));
        assert_eq!(fate(&oracle(0.0, 0.0, 1.0), 5, 0), Fate::Swap);
    }

    /// What came out: numbers in the order sent.
    fn run(fates: &[Fate], fails: &[bool]) -> (Vec<usize>, Vec<Done>, Option<usize>) {
        let mut lane = Lane::default();
        let mut sent = Vec::new();
        let mut fails = fails.iter().chain(std::iter::repeat(&false));
        let done = fates
            .iter()
            .enumerate()
            .map(|(number, fate)| {
                lane.pass(*fate, number, |datagram| {
                    let goes = !fails.next().unwrap();
                    goes.then(|| sent.push(*datagram));
                    goes
                })
            })
            .collect();
        let left = lane.leave();
        (sent, done, left)
    }

    fn any_fates() -> impl Strategy<Value = Vec<Fate>> {
        let any = prop_oneof![Just(Fate::Plain), Just(Fate::Drop), Just(Fate::Duplicate), Just(Fate::Swap)];
        proptest::collection::vec(any, 0..60)
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_what_is_dropped_and_each_swap_overtakes_once(fates in any_fates()) {
            let (mut sent, done, left) = run(&fates, &[]);
            sent.extend(left);
            let times = |number: usize| sent.iter().filter(|n| **n == number).count();
            for (number, fate) in fates.iter().enumerate() {
                let want = match fate { Fate::Drop => 0, Fate::Duplicate => 2, Fate::Plain | Fate::Swap => 1 };
                prop_assert_eq!(times(number), want, "{} of {:?} in {:?}", number, fates, sent);
            }
            // Counting each message at its first time, every swap is one pair out of order, and nothing else is.
            let mut firsts: Vec<usize> = Vec::new();
            sent.iter().for_each(|n| if !firsts.contains(n) { firsts.push(*n) });
            let pairs = firsts.iter().enumerate().map(|(i, n)| firsts[i + 1..].iter().filter(|m| *m < n).count());
            prop_assert_eq!(pairs.sum::<usize>(), done.iter().filter(|d| d.swapped).count());
            prop_assert_eq!(done.iter().filter(|d| d.dropped).count(), fates.iter().filter(|f| **f == Fate::Drop).count());
            let whole: u64 = done.iter().map(|d| d.sent).sum();
            prop_assert_eq!(whole as usize + usize::from(left.is_some()), firsts.len());
        }

        #[test]
        fn what_fails_is_counted_and_overtakes_nothing(fates in any_fates(), fails: Vec<bool>) {
            let (sent, done, left) = run(&fates, &fails);
            let count = |of: fn(&Done) -> u64| done.iter().map(of).sum::<u64>() as usize;
            let kept = fates.len() - usize::from(left.is_some());
            prop_assert_eq!(count(|d| d.sent) + count(|d| d.failed) + count(|d| d.dropped.into()), kept);
            prop_assert_eq!(count(|d| d.sent) + count(|d| d.duplicated.into()), sent.len());
        }
    }

    #[test]
    fn a_dropped_partner_is_no_partner_and_a_doubled_one_is() {
        use Fate::*;
        assert_eq!(run(&[Swap, Drop, Plain, Plain], &[]).0, [2, 0, 3]);
        assert_eq!(run(&[Swap, Duplicate, Plain], &[]).0, [1, 1, 0, 2]);
        assert_eq!(run(&[Swap, Swap, Swap, Plain], &[]).0, [1, 0, 3, 2]);
        assert_eq!(run(&[Swap, Plain, Plain], &[true]).0, [2, 0]);
        assert_eq!(run(&[Plain, Swap], &[]).2, Some(1));
    }

    #[test]
    fn only_the_one_that_still_waits_can_be_given_up() {
        let mut lane = Lane::default();
        let first = lane.pass(Fate::Swap, 1, |_| true).waits.unwrap();
        assert!(lane.pass(Fate::Plain, 2, |_| true).swapped);
        let second = lane.pass(Fate::Swap, 3, |_| true).waits.unwrap();
        assert_eq!((lane.give_up(first), lane.give_up(second), lane.give_up(second)), (None, Some(3), None));
    }
}
