//! The outcome of one trial, or of one worker's share of it.

use super::{Counters, Handshakes, Histogram, HistogramError, Packed, Traffic};
use crate::clock::Nanos;
use crate::schedule::Phase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Saturates: the counts of a result that was edited by hand may be anything.
fn add(mine: &mut u64, other: u64) {
    *mine = mine.saturating_add(other);
}

/// What a histogram holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// received − due.
    ResponseTime,
    /// received − sent.
    ServiceTime,
    /// taken − due: the generator's own fault.
    SendLateness,
    /// sent − taken: back-pressure of the transport or the target.
    Queueing,
    /// Chat and push: due → the last of a message's copies.
    LastReceipt,
    /// Connect phases; successes only.
    Resolve,
    Tcp,
    Tls,
    /// From a ready connection to a joined session: HTTP upgrade, or the dialect's join.
    Upgrade,
    /// Where a session begins by polling: from a joined session to its WebSocket carrying it.
    Switch,
    /// All of the above: from the first packet to a joined session.
    Connect,
    /// From the first packet to the first message received.
    FirstMessage,
    /// The closing handshake.
    Close,
    /// WebSocket ping → pong.
    Ping,
    /// Polling: from a response to the next request.
    PollGap,
    /// Polling: messages in a response that had any (a count, not nanoseconds).
    MessagesPerPoll,
}

impl Metric {
    /// As people and thresholds call it.
    pub fn name(self) -> &'static str {
        match self {
            Metric::ResponseTime => "response-time",
            Metric::ServiceTime => "service-time",
            Metric::SendLateness => "send-lateness",
            Metric::Queueing => "queueing",
            Metric::LastReceipt => "last-receipt",
            Metric::Resolve => "resolve",
            Metric::Tcp => "tcp",
            Metric::Tls => "tls",
            Metric::Upgrade => "upgrade",
            Metric::Switch => "switch",
            Metric::Connect => "connect",
            Metric::FirstMessage => "first-message",
            Metric::Close => "close",
            Metric::Ping => "ping",
            Metric::PollGap => "poll-gap",
            Metric::MessagesPerPoll => "messages-per-poll",
        }
    }
}

/// One histogram for each metric that has samples; packed where they only rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histograms<H = Histogram>(BTreeMap<Metric, H>);

impl<H> Histograms<H> {
    /// Takes a metric out.
    pub fn remove(&mut self, metric: Metric) -> Option<H> {
        self.0.remove(&metric)
    }
}

impl Histograms<Packed> {
    /// `None`: without samples. Fails on what is no histogram.
    pub fn unpacked(&self, metric: Metric) -> Result<Option<Histogram>, HistogramError> {
        let histogram = self.0.get(&metric).map(Packed::unpack).transpose()?;
        Ok(histogram.filter(|h| !h.is_empty()))
    }
}

impl Histograms {
    pub fn record(&mut self, metric: Metric, value: u64) {
        self.0.entry(metric).or_default().record(value);
    }

    pub fn get(&self, metric: Metric) -> Option<&Histogram> {
        self.0.get(&metric).filter(|h| !h.is_empty())
    }

    pub fn merge(&mut self, other: &Histograms) {
        for (metric, histogram) in &other.0 {
            self.0.entry(*metric).or_default().merge(histogram);
        }
    }
}

/// Sessions of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sessions {
    pub asked: u64,
    /// Opened and joined at least once.
    pub connected: u64,
    /// Most sessions open at one time.
    pub peak: u64,
    /// Connections held once every session had been tried, before the schedule began; absent where sessions come and go
    /// (connect).
    pub held: Option<Held>,
}

/// Connections held at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    /// TCP connections or UDP sockets, by the generator's own count.
    pub counted: u64,
    /// Sockets of the worker that the system's tables show as connected to the target's port; absent where they could not
    /// be read.
    pub kernel: Option<u64>,
}

impl Held {
    /// Both workers' connections; what the system says of only one of them says nothing of both.
    fn with(self, other: Held) -> Held {
        Held {
            counted: self.counted.saturating_add(other.counted),
            kernel: self.kernel.zip(other.kernel).map(|(mine, other)| mine.saturating_add(other)),
        }
    }
}

/// Messages that the target said it took, beside what came of them; all phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Acknowledgements {
    /// Sent with the wish to be acknowledged.
    pub asked: u64,
    pub matched: u64,
    /// Of what was never sent, of another session's, or twice.
    pub unmatched: u64,
}

impl Acknowledgements {
    pub fn is_none(&self) -> bool {
        *self == Acknowledgements::default()
    }
}

impl AddAssign for Acknowledgements {
    fn add_assign(&mut self, other: Acknowledgements) {
        self.asked = self.asked.saturating_add(other.asked);
        self.matched = self.matched.saturating_add(other.matched);
        self.unmatched = self.unmatched.saturating_add(other.unmatched);
    }
}

/// One time slice of a trial. A sample belongs to the slice in which it was *received*.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Since the start of warmup, nanoseconds.
    pub start: Nanos,
    pub length: Nanos,
    pub phase: Phase,
    pub sent: u64,
    pub delivered: u64,
    pub errors: u64,
    pub response_time: Packed,
}

/// Everything that was measured. The histograms hold samples of the measure phase only, by due instant.
///
/// `Outcome<Packed>` is the same at rest, a few KB in place of 216 KB a histogram; as JSON they are the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome<H = Histogram> {
    pub histograms: Histograms<H>,
    pub warmup: Counters,
    pub measure: Counters,
    /// Ascending by start; workers slice time at the same instants.
    pub intervals: Vec<Interval>,
    /// Failures by class, over all phases.
    pub errors: BTreeMap<String, u64>,
    /// What one failure of each class said, for a person; of several workers' the first by the alphabet, so that the order of
    /// merging says nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub said: BTreeMap<String, String>,
    pub sessions: Sessions,
    /// Absent where none were asked for.
    #[serde(skip_serializing_if = "Acknowledgements::is_none")]
    pub acknowledgements: Acknowledgements,
    pub traffic: Traffic,
    /// What sessions agreed on with the target beyond what was asked for, such as the parameters of an extension, and how many
    /// did.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub agreed: BTreeMap<String, u64>,
    /// Of TLS; absent where none is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Handshakes>,
    /// Nanoseconds of the measured window in which the worker itself stood still (the worst worker's).
    pub standstill: Nanos,
    /// Of `measure.skipped`, what was the generator's own fault (its outbox or ledger was full).
    pub skipped_by_generator: u64,
    /// Length of the measured window as it really was; an interrupt shortens it, nanoseconds.
    pub measured: Nanos,
    /// Whether an interrupt cut this short.
    pub interrupted: bool,
    /// Whether order could be followed for every pair of sender and receiver; else `reordered` says nothing.
    pub order_tracked: bool,
}

impl<H> Outcome<H> {
    /// The same with other histograms.
    fn with<G>(&self, histograms: Histograms<G>) -> Outcome<G> {
        Outcome {
            histograms,
            warmup: self.warmup,
            measure: self.measure,
            intervals: self.intervals.clone(),
            errors: self.errors.clone(),
            said: self.said.clone(),
            sessions: self.sessions,
            agreed: self.agreed.clone(),
            acknowledgements: self.acknowledgements,
            traffic: self.traffic,
            tls: self.tls.clone(),
            standstill: self.standstill,
            skipped_by_generator: self.skipped_by_generator,
            measured: self.measured,
            interrupted: self.interrupted,
            order_tracked: self.order_tracked,
        }
    }
}

impl Outcome<Packed> {
    /// Fails on a histogram that can't be read.
    pub fn unpack(&self) -> Result<Outcome, HistogramError> {
        self.unpack_where(|_| true)
    }

    /// The same without the histograms of other metrics than these.
    pub fn unpack_only(&self, wanted: &[Metric]) -> Result<Outcome, HistogramError> {
        self.unpack_where(|metric| wanted.contains(&metric))
    }

    fn unpack_where(&self, is_wanted: impl Fn(Metric) -> bool) -> Result<Outcome, HistogramError> {
        let wanted = self.histograms.0.iter().filter(|(metric, _)| is_wanted(**metric));
        let unpacked = |(metric, packed): (&Metric, &Packed)| Ok((*metric, packed.unpack()?));
        Ok(self.with(Histograms(wanted.map(unpacked).collect::<Result<_, HistogramError>>()?)))
    }
}

impl Outcome {
    pub fn pack(&self) -> Outcome<Packed> {
        self.with(Histograms(self.histograms.0.iter().map(|(metric, h)| (*metric, h.pack())).collect()))
    }

    /// Adds another worker's share; in whatever order shares are added, the sum is the same bit for bit. Fails only on a
    /// histogram that can't be read.
    pub fn merge(&mut self, other: &Outcome) -> Result<(), HistogramError> {
        self.histograms.merge(&other.histograms);
        self.warmup += other.warmup;
        self.measure += other.measure;
        for (class, n) in &other.errors {
            add(self.errors.entry(class.clone()).or_default(), *n);
        }
        for (class, words) in &other.said {
            let said = self.said.entry(class.clone()).or_insert_with(|| words.clone());
            if words < said {
                said.clone_from(words);
            }
        }
        for (what, n) in &other.agreed {
            add(self.agreed.entry(what.clone()).or_default(), *n);
        }
        add(&mut self.sessions.asked, other.sessions.asked);
        add(&mut self.sessions.connected, other.sessions.connected);
        add(&mut self.sessions.peak, other.sessions.peak);
        self.sessions.held = match (self.sessions.held, other.sessions.held) {
            (Some(mine), Some(other)) => Some(mine.with(other)),
            (mine, other) => mine.or(other),
        };
        self.acknowledgements += other.acknowledgements;
        self.traffic += other.traffic;
        if let Some(other) = &other.tls {
            self.tls.get_or_insert_default().merge(other);
        }
        self.standstill = self.standstill.max(other.standstill);
        add(&mut self.skipped_by_generator, other.skipped_by_generator);
        self.measured = self.measured.max(other.measured);
        self.interrupted |= other.interrupted;
        self.order_tracked &= other.order_tracked;
        self.merge_intervals(&other.intervals)
    }

    fn merge_intervals(&mut self, others: &[Interval]) -> Result<(), HistogramError> {
        for other in others {
            match self.intervals.binary_search_by_key(&other.start, |i| i.start) {
                Err(at) => self.intervals.insert(at, other.clone()),
                Ok(at) => {
                    let mine = &mut self.intervals[at];
                    mine.length = mine.length.max(other.length);
                    // Who heard of an interrupt later measured for longer.
                    mine.phase = mine.phase.min(other.phase);
                    add(&mut mine.sent, other.sent);
                    add(&mut mine.delivered, other.delivered);
                    add(&mut mine.errors, other.errors);
                    let mut both = mine.response_time.unpack()?;
                    both.merge(&other.response_time.unpack()?);
                    mine.response_time = both.pack();
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::histogram::HIGHEST;
    use crate::measure::{Agreed, KernelBytes, Volume};
    use proptest::prelude::*;

    /// An outcome of which every field is drawn.
    fn outcome(n: &[u64]) -> Outcome {
        let n = |at: usize| n[at % n.len()] % (1 << 40);
        let counters = |at: usize| Counters {
            scheduled: n(at),
            sent: n(at + 1),
            skipped: n(at + 2),
            expected: n(at + 3),
            delivered: n(at + 4),
            late: n(at + 5),
            lost: n(at + 6),
            unfinished: n(at + 7),
            duplicate: n(at + 8),
            reordered: n(at + 9),
            unmatched: n(at + 10),
            foreign: n(at + 11),
        };
        let volume = |at: usize| Volume {
            messages: n(at),
            payload: n(at + 1),
            framing: n(at + 2),
            saved: n(at + 3),
            wire: n(at + 4),
        };
        let histogram = |at: usize| {
            let mut histogram = Histogram::default();
            // A few are over the highest that is kept apart.
            (0..1 + n(at) % 5).for_each(|k| histogram.record(n(at + k as usize) % (HIGHEST + HIGHEST / 8)));
            histogram
        };
        let is = |at: usize| n(at).is_multiple_of(2);
        let metrics = [Metric::ResponseTime, Metric::SendLateness, Metric::Connect, Metric::MessagesPerPoll];
        let phases = [Phase::Warmup, Phase::Measure, Phase::Drain];
        let interval = |k: u64| Interval {
            start: k * 1000,
            length: 1 + n(k as usize) % 1000,
            phase: phases[n(k as usize + 1) as usize % 3],
            sent: n(k as usize + 2),
            delivered: n(k as usize + 3),
            errors: n(k as usize + 4),
            response_time: histogram(k as usize + 5).pack(),
        };
        let agreed = |at: usize| Agreed {
            version: format!("TLS 1.{}", n(at) % 3),
            cipher_suite: format!("TLS_{}", n(at + 1) % 3),
            alpn: is(at + 2).then(|| "a".to_owned()),
            handshakes: n(at + 3),
        };
        let mut tls = Handshakes { whole: n(3), resumed: n(4), agreed: Vec::new() };
        (0..n(5) % 3)
            .for_each(|at| tls.merge(&Handshakes { agreed: vec![agreed(at as usize)], ..Handshakes::default() }));
        Outcome {
            histograms: Histograms(
                metrics.into_iter().enumerate().filter(|(at, _)| is(*at)).map(|(at, m)| (m, histogram(at))).collect(),
            ),
            warmup: counters(0),
            measure: counters(3),
            intervals: (0..3).filter(|k| is(*k as usize)).map(interval).collect(),
            errors: (0..3).filter(|k| is(*k)).map(|k| (format!("class-{k}"), n(k))).collect(),
            said: (0..3).filter(|k| is(*k)).map(|k| (format!("class-{k}"), n(k + 4).to_string())).collect(),
            agreed: (0..2).filter(|k| is(*k + 3)).map(|k| (format!("what-{k}"), n(k + 2))).collect(),
            sessions: Sessions {
                asked: n(1),
                connected: n(2),
                peak: n(3),
                held: is(4).then(|| Held { counted: n(5), kernel: is(6).then(|| n(7)) }),
            },
            acknowledgements: Acknowledgements { asked: n(8), matched: n(9), unmatched: n(10) },
            traffic: Traffic {
                sent: volume(2),
                received: volume(5),
                connections: n(1),
                handshake: n(2),
                handshake_sent: n(3),
                polls: n(4),
                empty_polls: n(5),
                wire_known: n(6),
                receive_drops: n(7),
                kernel: is(8).then(|| KernelBytes { sent: n(9), received: n(10), unread: n(11) }),
            },
            tls: is(9).then_some(tls),
            standstill: n(10),
            skipped_by_generator: n(11),
            measured: n(12),
            interrupted: is(0),
            order_tracked: is(1),
        }
    }

    fn sum(parts: &[Outcome], order: &[usize]) -> Outcome {
        let mut sum = parts[order[0]].clone();
        order[1..].iter().for_each(|at| sum.merge(&parts[*at]).unwrap());
        sum
    }

    fn parts() -> impl Strategy<Value = (Vec<Outcome>, Vec<usize>)> {
        let drawn = proptest::collection::vec(proptest::collection::vec(any::<u64>(), 13), 1..6);
        drawn.prop_flat_map(|drawn| {
            let order = Just((0..drawn.len()).collect::<Vec<usize>>()).prop_shuffle();
            (Just(drawn.iter().map(|n| outcome(n)).collect()), order)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// By whom and in whatever order parts are merged, what is saved is the same text.
        #[test]
        fn the_order_of_merging_never_shows((parts, order) in parts(), cut in 0usize..6) {
            let in_turn: Vec<usize> = (0..parts.len()).collect();
            let text = |outcome: &Outcome| serde_json::to_string(outcome).unwrap();
            let whole = sum(&parts, &in_turn);
            prop_assert_eq!(text(&sum(&parts, &order)), text(&whole));
            // Some on one machine, the others on a second, then both.
            let (one, other) = order.split_at(cut.clamp(1, parts.len()));
            let mut both = sum(&parts, one);
            if !other.is_empty() {
                both.merge(&sum(&parts, other)).unwrap();
            }
            prop_assert_eq!(text(&both), text(&whole));
        }

        #[test]
        fn an_outcome_at_rest_is_the_same_text(n in proptest::collection::vec(any::<u64>(), 13)) {
            let outcome = outcome(&n);
            let at_rest = outcome.pack();
            prop_assert_eq!(serde_json::to_string(&at_rest).unwrap(), serde_json::to_string(&outcome).unwrap());
            let read: Outcome<Packed> = serde_json::from_str(&serde_json::to_string(&outcome).unwrap()).unwrap();
            let some = read.unpack_only(&[Metric::Connect]).unwrap();
            prop_assert_eq!(some.histograms.get(Metric::Connect), outcome.histograms.get(Metric::Connect));
            prop_assert!(some.histograms.get(Metric::ResponseTime).is_none());
            prop_assert_eq!(read.unpack().unwrap(), outcome);
        }
    }
}
