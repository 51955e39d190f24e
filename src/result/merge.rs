//! Sums over processes: of one trial's workers, and of its targets.

use super::{TargetFacts, Usage};

impl Usage {
    /// Adds another process's. Both ran at the same time, so that time is the longer of the two. The cores are whoever
    /// knows them to say: two processes may share one.
    pub fn merge(&mut self, other: &Usage) {
        let add = |mine: &mut u64, other: u64| *mine = mine.saturating_add(other);
        let add_known = |mine: &mut Option<u64>, other: Option<u64>| {
            *mine = match (*mine, other) {
                (Some(mine), Some(other)) => Some(mine.saturating_add(other)),
                (mine, other) => mine.or(other),
            };
        };
        add(&mut self.cpu_nanos, other.cpu_nanos);
        add_known(&mut self.cpu_user_nanos, other.cpu_user_nanos);
        self.wall_nanos = self.wall_nanos.max(other.wall_nanos);
        add(&mut self.rss_before_connecting, other.rss_before_connecting);
        add_known(&mut self.rss_ramped, other.rss_ramped);
        add(&mut self.rss_peak, other.rss_peak);
        add(&mut self.processes, other.processes);
        self.cores = self.cores.max(other.cores);
    }
}

impl TargetFacts {
    /// Adds another target's.
    pub fn merge(&mut self, other: &TargetFacts) {
        let add = |mine: &mut u64, other: u64| *mine = mine.saturating_add(other);
        self.usage.merge(&other.usage);
        self.lateness.merge(&other.lateness);
        add(&mut self.events, other.events);
        add(&mut self.accepted, other.accepted);
        add(&mut self.received, other.received);
        add(&mut self.delivered, other.delivered);
        add(&mut self.dropped, other.dropped);
        match (&mut self.truth, &other.truth) {
            (Some(mine), Some(other)) => mine.merge(other),
            (mine @ None, Some(other)) => *mine = Some(other.clone()),
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Histogram, Truth};
    use proptest::prelude::*;

    fn usage(n: &[u64]) -> Usage {
        Usage {
            cpu_nanos: n[0],
            cpu_user_nanos: Some(n[1]),
            wall_nanos: n[2],
            rss_before_connecting: n[3],
            rss_ramped: (!n[4].is_multiple_of(3)).then_some(n[4]),
            rss_peak: n[5],
            processes: 1,
            cores: 1,
        }
    }

    fn facts(n: &[u64]) -> TargetFacts {
        let histogram = |values: &[u64]| {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.record(*value));
            histogram
        };
        let truth = Truth { held: histogram(&n[3..]), stalls: histogram(&n[..1]), pings: n[4], ..Truth::default() };
        TargetFacts {
            usage: usage(n),
            events: n[0],
            lateness: histogram(n),
            accepted: n[1],
            received: n[2],
            delivered: n[3],
            dropped: n[4],
            truth: n[5].is_multiple_of(2).then_some(truth),
        }
    }

    proptest! {
        /// In whatever order processes are summed, the sum is that of their figures, bit for bit.
        #[test]
        fn the_sum_of_processes_is_the_sum_of_their_figures(
            all in proptest::collection::vec(proptest::collection::vec(1u64..1 << 40, 6), 1..8),
        ) {
            let each: Vec<TargetFacts> = all.iter().map(|n| facts(n)).collect();
            let fold = |mut each: Vec<TargetFacts>| {
                let mut sum = each.remove(0);
                each.iter().for_each(|other| sum.merge(other));
                sum
            };
            let sum = fold(each.clone());
            let total = |of: fn(&TargetFacts) -> u64| each.iter().map(of).sum::<u64>();
            prop_assert_eq!(sum.usage.cpu_nanos, total(|f| f.usage.cpu_nanos));
            prop_assert_eq!(sum.usage.cpu_user_nanos, Some(total(|f| f.usage.cpu_user_nanos.unwrap_or(0))));
            prop_assert_eq!(sum.usage.rss_ramped.unwrap_or(0), total(|f| f.usage.rss_ramped.unwrap_or(0)));
            prop_assert_eq!(sum.usage.rss_peak, total(|f| f.usage.rss_peak));
            prop_assert_eq!(sum.usage.processes, each.len() as u64);
            prop_assert_eq!(sum.usage.wall_nanos, each.iter().map(|f| f.usage.wall_nanos).max().unwrap_or(0));
            prop_assert_eq!((sum.events, sum.accepted, sum.dropped), (total(|f| f.events), total(|f| f.accepted), total(|f| f.dropped)));
            prop_assert_eq!((sum.received, sum.delivered), (total(|f| f.received), total(|f| f.delivered)));
            prop_assert_eq!(sum.lateness.count(), total(|f| f.lateness.count()));
            let pings = total(|f| f.truth.as_ref().map_or(0, |truth| truth.pings));
            prop_assert_eq!(sum.truth.as_ref().map_or(0, |truth| truth.pings), pings);
            prop_assert_eq!(fold(each.into_iter().rev().collect()), sum);
        }
    }
}
