//! The outcome of one trial, or of one worker's share of it.

use super::{Counters, Handshakes, Histogram, HistogramError, Packed, Traffic};
use crate::clock::Nanos;
use crate::schedule::Phase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::AddAssign;

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
    pub sessions: Sessions,
    /// Absent where none were asked for.
    #[serde(skip_serializing_if = "Acknowledgements::is_none")]
    pub acknowledgements: Acknowledgements,
    pub traffic: Traffic,
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
            sessions: self.sessions,
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
        let unpacked = |(metric, packed): (&Metric, &Packed)| Ok((*metric, packed.unpack()?));
        Ok(self.with(Histograms(self.histograms.0.iter().map(unpacked).collect::<Result<_, HistogramError>>()?)))
    }
}

impl Outcome {
    pub fn pack(&self) -> Outcome<Packed> {
        self.with(Histograms(self.histograms.0.iter().map(|(metric, h)| (*metric, h.pack())).collect()))
    }

    /// Adds another worker's share. Fails only on a histogram that can't be read.
    pub fn merge(&mut self, other: &Outcome) -> Result<(), HistogramError> {
        self.histograms.merge(&other.histograms);
        self.warmup += other.warmup;
        self.measure += other.measure;
        for (class, n) in &other.errors {
            *self.errors.entry(class.clone()).or_default() += n;
        }
        self.sessions.asked += other.sessions.asked;
        self.sessions.connected += other.sessions.connected;
        self.sessions.peak += other.sessions.peak;
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
        self.skipped_by_generator += other.skipped_by_generator;
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
                    mine.sent += other.sent;
                    mine.delivered += other.delivered;
                    mine.errors += other.errors;
                    let mut both = mine.response_time.unpack()?;
                    both.merge(&other.response_time.unpack()?);
                    mine.response_time = both.pack();
                }
            }
        }
        Ok(())
    }
}
