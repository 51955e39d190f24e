//! How each figure of the summary is made from trials.

use super::*;
use crate::clock::SECOND;
use crate::measure::{
    Acknowledgements, BEYOND_MERGED, BEYOND_TRIAL, Counters, Histogram, HistogramError, Interval, Metric, Outcome,
    Traffic, Volume,
};
use crate::result::{Absent, Cell, Document, KernelBytesInUse, KernelMemory, Trial, Usage};

impl Document {
    /// One summary a cell, in the document's order.
    pub fn summary(&self) -> Vec<CellSummary> {
        self.cells.iter().map(Cell::summary).collect()
    }
}

impl Cell {
    /// The trials that figures rest on: the valid ones, or all if none is.
    pub fn trusted(&self) -> Vec<&Trial> {
        let valid: Vec<&Trial> = self.trials.iter().filter(|t| t.is_valid()).collect();
        if valid.is_empty() { self.trials.iter().collect() } else { valid }
    }

    /// Whether the generator could be trusted in any trial; if not, no sentence should rest on this cell.
    pub fn has_valid_trial(&self) -> bool {
        self.trials.iter().any(Trial::is_valid)
    }

    /// Why there are no figures of `metric`, where it was measured and they were left out.
    pub fn absence(&self, metric: Metric) -> Option<&str> {
        self.trusted().into_iter().find_map(|trial| trial.absence(metric))
    }

    /// The histogram of `metric` merged over the trusted trials; empty where nothing was recorded, and where one of them
    /// leaves it out.
    pub fn merged(&self, metric: Metric) -> Histogram {
        let mut merged = Histogram::default();
        if self.absence(metric).is_some() {
            return merged;
        }
        self.trusted().iter().filter_map(|t| t.outcome.histograms.get(metric)).for_each(|h| merged.merge(h));
        merged
    }

    /// Bytes and connections, summed over the trusted trials.
    pub fn traffic(&self) -> Traffic {
        let mut sum = Traffic::default();
        self.trusted().iter().for_each(|t| sum += t.outcome.traffic);
        sum
    }

    /// Whether the target is at a Unix socket, which no wire leads to.
    pub fn is_by_unix_socket(&self) -> bool {
        ["unix:/", "ws+unix:/", "http+unix:/"].iter().any(|scheme| self.target.starts_with(scheme))
    }

    /// Whether answers are waited for, so that latency hides a stall.
    pub fn is_closed(&self) -> bool {
        self.load.arrival == "closed"
    }

    /// How long the measured window of `trial` really was; documents that don't say so mean the planned length.
    pub fn measured(&self, trial: &Trial) -> Nanos {
        let Outcome { measured, interrupted, measure, .. } = &trial.outcome;
        match *measured {
            // Cut short before anything was owed.
            0 if *interrupted && measure.expected == 0 => 0,
            0 => self.load.duration,
            measured => measured,
        }
    }

    pub fn summary(&self) -> CellSummary {
        let trusted = self.trusted();
        let quantiles = |metric| Quantiles::of(&self.merged(metric));
        let counters = sum_counters(&trusted);
        let traffic = self.traffic();
        let sessions = sum_sessions(&trusted);
        let delivered = trusted.iter().map(|t| t.delivered_in_all()).fold(0, u64::saturating_add);
        // In a storm of connects few sessions are open at a time: what grew is not theirs.
        let held = if self.workload == "connect" { 0.0 } else { sessions.peak as f64 };
        CellSummary {
            arm: self.arm.clone(),
            workload: self.workload.clone(),
            transport: self.transport.clone(),
            engine: self.engine.clone(),
            trials: self.trials.len(),
            valid: self.trials.iter().filter(|t| t.is_valid()).count(),
            failures: distinct_failures(&self.trials),
            interrupted: self.trials.iter().any(|t| t.outcome.interrupted),
            arrival: self.load.arrival.clone(),
            emulated_delay: self.load.delay,
            response_time: quantiles(Metric::ResponseTime),
            response_time_with_missing: self.with_missing(counters.lost.saturating_add(counters.unfinished)),
            service_time: quantiles(Metric::ServiceTime),
            send_lateness: quantiles(Metric::SendLateness),
            queueing: quantiles(Metric::Queueing),
            last_receipt: quantiles(Metric::LastReceipt),
            counters: CountersOfCell::of(&counters, trusted.iter().all(|t| t.outcome.order_tracked)),
            reach: counters.reach(),
            delivered_rate: ratio(
                counters.delivered.saturating_add(counters.late) as f64 * SECOND as f64,
                trusted.iter().map(|t| self.measured(t) as f64).sum(),
            ),
            errors: sum_errors(&trusted),
            connect: Connect {
                sessions,
                resolve: quantiles(Metric::Resolve),
                tcp: quantiles(Metric::Tcp),
                tls: quantiles(Metric::Tls),
                upgrade: quantiles(Metric::Upgrade),
                switch: quantiles(Metric::Switch),
                total: quantiles(Metric::Connect),
                first_message: quantiles(Metric::FirstMessage),
                handshake_bytes_per_session: ratio(traffic.handshake as f64, sessions.connected as f64),
            },
            acknowledgements: sum_acknowledgements(&trusted),
            tls: sum_handshakes(&trusted),
            close: quantiles(Metric::Close),
            ping: quantiles(Metric::Ping),
            polls: (traffic.polls > 0).then(|| Polls {
                requests: traffic.polls,
                empty: traffic.empty_polls,
                messages_per_poll: quantiles(Metric::MessagesPerPoll),
                gap: quantiles(Metric::PollGap),
            }),
            bytes_per_message: BytesPerMessage::of_both(&traffic, delivered),
            bytes_sent_per_message: BytesPerMessage::of(&traffic.sent, traffic.wire_complete()),
            bytes_received_per_message: BytesPerMessage::of(&traffic.received, traffic.wire_complete()),
            connections_per_session: ratio(traffic.connections as f64, sessions.connected as f64),
            cpu_us_per_message: BothEnds {
                generator: ratio(sum(&trusted, |t| t.generator.cpu_nanos) / 1e3, delivered as f64),
                target: every_target(&trusted, |u| u.cpu_nanos).and_then(|cpu| ratio(cpu / 1e3, delivered as f64)),
            },
            rss_per_session: BothEnds {
                generator: ratio(sum(&trusted, |t| t.generator.grown()), held),
                target: every_target(&trusted, Usage::grown).and_then(|rss| ratio(rss, held)),
            },
            rss_idle_per_session: BothEnds {
                generator: all(&trusted, |t| t.generator.grown_idle()).and_then(|rss| ratio(rss, held)),
                target: all(&trusted, |t| t.target.as_ref()?.usage.grown_idle()).and_then(|rss| ratio(rss, held)),
            },
            kernel_per_session: {
                let grown = |of: fn(&KernelMemory) -> KernelBytesInUse| {
                    let grown = |t: &Trial| Some(of(&t.kernel?).sum().saturating_sub(t.kernel?.before.sum()));
                    all(&trusted, grown).and_then(|bytes| ratio(bytes, held))
                };
                KernelPerSession { idle: grown(|memory| memory.ramped), peak: grown(|memory| memory.peak) }
            },
            per_trial: self.trials.iter().map(TrialSummary::of).collect(),
            absent: self.left_out(),
        }
    }

    /// Nobody knows when, where the response times of those that came were left out.
    fn with_missing(&self, missing: u64) -> QuantilesWithMissing {
        match self.absence(Metric::ResponseTime) {
            Some(_) => QuantilesWithMissing { missing, ..QuantilesWithMissing::default() },
            None => QuantilesWithMissing::of(&self.merged(Metric::ResponseTime), missing),
        }
    }

    /// Each metric once, with the reason that was given first.
    pub fn left_out(&self) -> Vec<Absent> {
        let mut absent: Vec<Absent> = Vec::new();
        for entry in self.trusted().into_iter().flat_map(|trial| &trial.absent) {
            if absent.iter().all(|other| other.metric != entry.metric) {
                absent.push(entry.clone());
            }
        }
        absent
    }
}

impl Trial {
    /// Deliveries of all phases, late ones included: what the trial's bytes and CPU time were spent on.
    pub fn delivered_in_all(&self) -> u64 {
        [self.outcome.warmup, self.outcome.measure]
            .iter()
            .fold(0u64, |sum, c| sum.saturating_add(c.delivered).saturating_add(c.late))
    }

    /// The response time at `q` of this trial alone, if it is supported well enough for statistics.
    pub fn response_time(&self, q: f64) -> Option<u64> {
        self.outcome.histograms.get(Metric::ResponseTime)?.quantile(q, BEYOND_TRIAL)
    }

    /// The intervals with their histograms unpacked.
    pub fn intervals(&self) -> impl Iterator<Item = Result<(&Interval, Histogram), HistogramError>> {
        self.outcome.intervals.iter().map(|i| Ok((i, i.response_time.unpack()?)))
    }
}

impl Usage {
    /// Memory taken since before connecting, bytes.
    pub fn grown(&self) -> u64 {
        self.rss_peak.saturating_sub(self.rss_before_connecting)
    }

    /// The same with every session open, before the schedule starts.
    pub fn grown_idle(&self) -> Option<u64> {
        self.rss_ramped.map(|ramped| ramped.saturating_sub(self.rss_before_connecting))
    }

    /// Share of a core that was busy: of all cores that the processes had.
    pub fn share(&self) -> Option<f64> {
        ratio(self.cpu_nanos as f64, self.wall_nanos as f64 * self.cores.max(1) as f64)
    }
}

impl Quantiles {
    pub fn of(histogram: &Histogram) -> Quantiles {
        let at = |q| histogram.quantile(q, BEYOND_MERGED);
        let some = !histogram.is_empty();
        Quantiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: some.then(|| histogram.max()),
            mean: some.then(|| histogram.mean().round()),
            count: histogram.count(),
            overflow: histogram.overflow(),
        }
    }
}

impl QuantilesWithMissing {
    fn of(histogram: &Histogram, missing: u64) -> QuantilesWithMissing {
        let at = |q| match histogram.quantile_with_missing(q, missing, BEYOND_MERGED) {
            None => Reached::Unsupported,
            Some(None) => Reached::Never,
            Some(Some(value)) => Reached::At(value),
        };
        QuantilesWithMissing { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), missing }
    }
}

impl CountersOfCell {
    fn of(c: &Counters, order_tracked: bool) -> CountersOfCell {
        CountersOfCell {
            scheduled: c.scheduled,
            sent: c.sent,
            skipped: c.skipped,
            expected: c.expected,
            delivered: c.delivered,
            late: c.late,
            lost: c.lost,
            unfinished: c.unfinished,
            duplicate: c.duplicate,
            reordered: order_tracked.then_some(c.reordered),
            unmatched: c.unmatched,
            foreign: c.foreign,
        }
    }
}

impl BytesPerMessage {
    fn of(volume: &Volume, wire_complete: bool) -> BytesPerMessage {
        let each = |bytes: u64| ratio(bytes as f64, volume.messages as f64);
        BytesPerMessage {
            payload: each(volume.payload),
            framing: each(volume.framing),
            wire: each(volume.wire).filter(|_| wire_complete),
        }
    }

    fn of_both(traffic: &Traffic, delivered: u64) -> BytesPerMessage {
        let mut both = traffic.sent;
        both += traffic.received;
        BytesPerMessage::of(&Volume { messages: delivered, ..both }, traffic.wire_complete())
    }
}

impl TrialSummary {
    fn of(trial: &Trial) -> TrialSummary {
        TrialSummary {
            block: trial.block,
            valid: trial.is_valid(),
            p50: trial.response_time(0.5),
            p99: trial.response_time(0.99),
            reach: trial.outcome.measure.reach(),
        }
    }
}

/// `a ÷ b`, where there is something to divide by.
fn ratio(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| a / b)
}

fn sum(trials: &[&Trial], of: impl Fn(&Trial) -> u64) -> f64 {
    trials.iter().map(|t| of(t) as f64).sum()
}

/// A sum of what every trial must know.
fn all(trials: &[&Trial], of: impl Fn(&Trial) -> Option<u64>) -> Option<f64> {
    trials.iter().map(|t| of(t).map(|n| n as f64)).sum()
}

/// A sum over the targets' processes, if every trial had one to look at.
fn every_target(trials: &[&Trial], of: impl Fn(&Usage) -> u64) -> Option<f64> {
    trials.iter().map(|t| t.target.as_ref().map(|facts| of(&facts.usage) as f64)).sum()
}

fn distinct_failures(trials: &[Trial]) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for failure in trials.iter().filter_map(|t| t.failure.as_ref()) {
        if !distinct.contains(failure) {
            distinct.push(failure.clone());
        }
    }
    distinct
}

fn sum_counters(trials: &[&Trial]) -> Counters {
    let mut sum = Counters::default();
    trials.iter().for_each(|t| sum += t.outcome.measure);
    sum
}

fn sum_sessions(trials: &[&Trial]) -> Sessions {
    trials.iter().fold(Sessions::default(), |sum, t| Sessions {
        asked: sum.asked.saturating_add(t.outcome.sessions.asked),
        connected: sum.connected.saturating_add(t.outcome.sessions.connected),
        peak: sum.peak.saturating_add(t.outcome.sessions.peak),
        held: None,
    })
}

fn sum_acknowledgements(trials: &[&Trial]) -> Option<Acknowledgements> {
    let mut sum = Acknowledgements::default();
    trials.iter().for_each(|t| sum += t.outcome.acknowledgements);
    (!sum.is_none()).then_some(sum)
}

fn sum_handshakes(trials: &[&Trial]) -> Option<Handshakes> {
    trials.iter().filter_map(|trial| trial.outcome.tls.as_ref()).fold(None, |sum: Option<Handshakes>, tls| {
        let mut sum = sum.unwrap_or_default();
        sum.merge(tls);
        Some(sum)
    })
}

fn sum_errors(trials: &[&Trial]) -> BTreeMap<String, u64> {
    let mut sum: BTreeMap<String, u64> = BTreeMap::new();
    for (class, n) in trials.iter().flat_map(|t| &t.outcome.errors) {
        let total = sum.entry(class.clone()).or_default();
        *total = total.saturating_add(*n);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Finding, testing};

    #[test]
    fn the_contract_has_every_name() {
        let rows = serde_json::to_value(testing::document().summary()).unwrap();
        for row in rows.as_array().unwrap() {
            for path in CONTRACT.split_whitespace() {
                assert!(row.pointer(path).is_some(), "{path} is missing from {}", row["arm"]);
            }
        }
    }

    const CONTRACT: &str = "/arm /workload /transport /engine /trials /valid /failures /interrupted
        /response_time/p50 /response_time/p90 /response_time/p99 /response_time/p999 /response_time/max
        /response_time/mean /response_time/count /service_time/p50 /service_time/count /send_lateness/p99
        /send_lateness/count /counters/scheduled /counters/sent /counters/skipped /counters/delivered
        /counters/expected /counters/lost /counters/duplicate /counters/reordered /counters/late /counters/unfinished
        /counters/unmatched /counters/foreign /errors /connect /bytes_per_message/payload /bytes_per_message/framing
        /bytes_per_message/wire /connections_per_session /cpu_us_per_message/generator /cpu_us_per_message/target
        /rss_per_session/generator /rss_per_session/target /rss_idle_per_session/generator
        /rss_idle_per_session/target /kernel_per_session/idle /kernel_per_session/peak /reach /polls /ping /close";

    #[test]
    fn figures_rest_on_valid_trials_and_on_all_if_there_is_none() {
        let mut document = testing::document();
        let cell = &mut document.cells[0];
        let all = cell.summary().response_time.count;
        let finding = Finding { code: "late-sends".into(), message: String::new(), advice: String::new() };
        cell.trials[0].invalid.push(finding.clone());
        let two = cell.summary();
        assert_eq!((two.trials, two.valid), (3, 2));
        assert!(two.response_time.count < all);
        assert_eq!(two.per_trial.len(), 3);
        cell.trials.iter_mut().for_each(|t| t.invalid = vec![finding.clone()]);
        let none = cell.summary();
        assert_eq!((none.valid, none.response_time.count), (0, all));
    }

    #[test]
    fn failures_and_interrupts_are_told_of_any_trial() {
        let mut cell = testing::document().cells[0].clone();
        let whole = cell.summary();
        assert_eq!((whole.failures.len(), whole.interrupted), (0, false));
        for (trial, failure) in cell.trials.iter_mut().zip(["b", "a", "b"]) {
            trial.failure = Some(failure.into());
        }
        cell.trials[2].outcome.interrupted = true;
        let broken = cell.summary();
        assert_eq!((broken.failures, broken.interrupted), (vec!["b".to_owned(), "a".to_owned()], true));
    }

    #[test]
    fn an_interrupted_trial_is_rated_over_the_time_that_passed() {
        let mut cell = testing::document().cells[0].clone();
        cell.trials.truncate(2);
        for (trial, delivered) in cell.trials.iter_mut().zip([100, 25]) {
            trial.outcome.measure = Counters { delivered, expected: delivered, ..Counters::default() };
            trial.outcome.interrupted = true;
        }
        assert_eq!(cell.summary().delivered_rate, Some(62.5));
        cell.trials[1].outcome.measured = SECOND / 4;
        assert_eq!(cell.summary().delivered_rate, Some(100.0));
    }

    #[test]
    fn a_quantile_without_support_is_null_and_a_missing_message_is_infinite() {
        let mut histogram = Histogram::default();
        (0..9_000).for_each(|_| histogram.record(5));
        assert_eq!((Quantiles::of(&histogram).p90, Quantiles::of(&histogram).p99), (Some(5), None));
        let missing = QuantilesWithMissing::of(&histogram, 1_000);
        assert_eq!(
            serde_json::to_string(&missing).unwrap(),
            r#"{"p50":5,"p90":5,"p99":"inf","p999":null,"missing":1000}"#
        );
    }

    #[test]
    fn bytes_are_shared_out_over_what_was_delivered_in_all_phases() {
        let volume = |messages, payload, framing, wire| Volume { messages, payload, framing, wire };
        let mut cell = testing::document().cells[0].clone();
        cell.trials.truncate(1);
        let outcome = &mut cell.trials[0].outcome;
        outcome.warmup = Counters { delivered: 4, ..Counters::default() };
        outcome.measure = Counters { delivered: 5, late: 1, expected: 10, unfinished: 4, ..Counters::default() };
        outcome.traffic = Traffic {
            sent: volume(2, 64, 12, 300),
            received: volume(10, 320, 20, 1380),
            connections: 3,
            wire_known: 3,
            ..Traffic::default()
        };
        let summary = cell.summary();
        let expected = BytesPerMessage { payload: Some(38.4), framing: Some(3.2), wire: Some(168.0) };
        assert_eq!(summary.bytes_per_message, expected);
        assert_eq!(summary.bytes_sent_per_message.framing, Some(6.0));
        assert_eq!(summary.bytes_received_per_message.framing, Some(2.0));
        assert_eq!(summary.reach, Some(0.6));
        cell.trials[0].outcome.traffic.wire_known = 2;
        assert_eq!(cell.summary().bytes_per_message.wire, None);
        cell.trials[0].outcome.warmup.delivered = 0;
        cell.trials[0].outcome.measure = Counters::default();
        assert_eq!(cell.summary().bytes_per_message, BytesPerMessage::default());
    }

    #[test]
    fn order_that_was_not_tracked_is_not_reported() {
        let mut cell = testing::document().cells[0].clone();
        assert!(cell.summary().counters.reordered.is_some());
        cell.trials[1].outcome.order_tracked = false;
        assert_eq!(cell.summary().counters.reordered, None);
    }

    #[test]
    fn memory_of_a_session_is_told_idle_and_in_use() {
        let mut cell = testing::document().cells[0].clone();
        cell.trials.truncate(1);
        let trial = &mut cell.trials[0];
        let sessions = trial.outcome.sessions.peak;
        let (old, in_use) =
            (trial.generator, |slab, tcp| KernelBytesInUse { slab, tcp, ..KernelBytesInUse::default() });
        assert_eq!(cell.summary().rss_idle_per_session, BothEnds::default());
        assert_eq!(cell.summary().kernel_per_session, KernelPerSession::default());
        let trial = &mut cell.trials[0];
        trial.generator.rss_ramped = Some(old.rss_before_connecting + 3 * sessions);
        trial.kernel = Some(KernelMemory {
            before: in_use(1000, 10),
            ramped: in_use(1000 + 4 * sessions, 10),
            peak: in_use(1000 + 4 * sessions, 10 + sessions),
        });
        let summary = cell.summary();
        assert_eq!(summary.rss_idle_per_session, BothEnds { generator: Some(3.0), target: None });
        assert_eq!(summary.kernel_per_session, KernelPerSession { idle: Some(4.0), peak: Some(5.0) });
    }

    #[test]
    fn a_foreign_target_has_no_cost_that_we_can_see() {
        let mut cell = testing::document().cells[0].clone();
        assert!(cell.summary().cpu_us_per_message.target.is_some());
        cell.trials[2].target = None;
        let summary = cell.summary();
        assert_eq!((summary.cpu_us_per_message.target, summary.rss_per_session.target), (None, None));
        assert!(summary.rss_per_session.generator.is_some());
    }
}
