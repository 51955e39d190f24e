//! Prometheus' text exposition format, for the textfile collector or a Pushgateway. Every figure is of this run alone, so all
//! are gauges and summaries: nothing goes on counting in the next. Times are in seconds, sizes in bytes.

use crate::measure::Metric;
use crate::result::{CellSummary, Document, Quantiles};
use crate::verdict::thresholds::{self, Outcome};
use std::fmt::Write as _;

/// Metrics that are written one after the other, each with all its samples.
#[derive(Default)]
struct Page {
    text: String,
}

/// Names with their values; of an arm, always the same first.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// One cell and its labels.
struct Arm<'a> {
    labels: Labels<'a>,
    summary: CellSummary,
}

/// One kind of figure that an arm has once, or not at all.
type Figure = (&'static str, &'static str, fn(&CellSummary) -> Option<f64>);

const FIGURES: &[Figure] = &[
    ("wsbench_reach_ratio", "Deliveries that came, of those expected.", |s| s.reach),
    ("wsbench_delivered_messages_per_second", "Deliveries in a second of the measured window.", |s| s.delivered_rate),
    ("wsbench_session_connections", "Connections that a session opened.", |s| s.connections_per_session),
];

/// One kind of figure with two or three sides: a label's name, and the label's values with theirs.
type Sides = (&'static str, &'static str, &'static str, fn(&CellSummary) -> Vec<(&'static str, Option<f64>)>);

const SIDES: &[Sides] = &[
    ("wsbench_trials", "Trials, by whether the generator could be trusted in them.", "validity", |s| {
        vec![("valid", Some(s.valid as f64)), ("invalid", Some(s.trials.saturating_sub(s.valid) as f64))]
    }),
    ("wsbench_messages", "What became of the messages of the measured window.", "outcome", |s| {
        let c = &s.counters;
        let counts = [
            ("scheduled", c.scheduled),
            ("sent", c.sent),
            ("skipped", c.skipped),
            ("expected", c.expected),
            ("delivered", c.delivered),
            ("late", c.late),
            ("lost", c.lost),
            ("unfinished", c.unfinished),
            ("duplicate", c.duplicate),
            ("unmatched", c.unmatched),
            ("foreign", c.foreign),
        ];
        counts.into_iter().map(|(name, n)| (name, Some(n as f64))).collect()
    }),
    ("wsbench_message_bytes", "Bytes of both directions for each delivered message.", "part", |s| {
        let b = s.bytes_per_message;
        vec![("payload", b.payload), ("framing", b.framing), ("wire", b.wire)]
    }),
    ("wsbench_message_cpu_seconds", "CPU time for each delivered message.", "end", |s| {
        let seconds = |micros: Option<f64>| micros.map(|us| us / 1e6);
        let cpu = s.cpu_us_per_message;
        vec![("generator", seconds(cpu.generator)), ("target", seconds(cpu.target))]
    }),
    ("wsbench_session_memory_bytes", "Memory that a session took at the most.", "end", |s| {
        vec![
            ("generator", s.rss_per_session.generator),
            ("target", s.rss_per_session.target),
            ("system", s.kernel_per_session.peak),
        ]
    }),
    ("wsbench_session_idle_memory_bytes", "Memory that a session took, open and with nothing to do.", "end", |s| {
        vec![
            ("generator", s.rss_idle_per_session.generator),
            ("target", s.rss_idle_per_session.target),
            ("system", s.kernel_per_session.idle),
        ]
    }),
];

/// One kind of time: name, help, the histogram, and its quantiles.
type Time = (&'static str, &'static str, Metric, fn(&CellSummary) -> &Quantiles);

const TIMES: &[Time] = &[
    (
        "wsbench_response_time_seconds",
        "From the instant a message was due to its receipt.",
        Metric::ResponseTime,
        |s| &s.response_time,
    ),
    ("wsbench_service_time_seconds", "From a message's first write to its receipt.", Metric::ServiceTime, |s| {
        &s.service_time
    }),
    ("wsbench_send_lateness_seconds", "How late the generator took up messages.", Metric::SendLateness, |s| {
        &s.send_lateness
    }),
    ("wsbench_connect_seconds", "From the start of a connect to an open session.", Metric::Connect, |s| {
        &s.connect.total
    }),
];

pub fn of_run(document: &Document) -> String {
    let names: Vec<String> = document.cells.iter().map(|cell| document.name_of(cell)).collect();
    let arms: Vec<Arm> = document
        .cells
        .iter()
        .zip(&names)
        .map(|(cell, name)| Arm {
            labels: vec![
                ("scenario", document.scenario.name.as_str()),
                ("workload", cell.workload.as_str()),
                ("arm", name.as_str()),
                ("transport", cell.transport.as_str()),
            ],
            summary: cell.summary(),
        })
        .collect();
    let mut page = Page::default();
    page.run(document);
    page.capacity(document);
    for (name, help, metric, of) in TIMES {
        let sums = document.cells.iter().map(|cell| {
            let histogram = cell.merged(*metric);
            histogram.mean() * histogram.count() as f64
        });
        page.time(name, help, arms.iter().map(|arm| (arm, of(&arm.summary))).zip(sums));
    }
    for (name, help, of) in FIGURES {
        let samples = arms.iter().filter_map(|arm| Some((arm.labels.clone(), of(&arm.summary)?)));
        page.gauge(name, help, samples);
    }
    for (name, help, label, of) in SIDES {
        let samples = arms.iter().flat_map(|arm| {
            let sides = of(&arm.summary).into_iter();
            sides.filter_map(|(side, value)| Some((with(&arm.labels, label, side), value?))).collect::<Vec<_>>()
        });
        page.gauge(name, help, samples);
    }
    let errors = arms
        .iter()
        .flat_map(|arm| arm.summary.errors.iter().map(|(class, n)| (with(&arm.labels, "class", class), *n as f64)));
    let mut checked = thresholds::check(document);
    checked.sort_by(|a, b| (&a.arm, &a.threshold).cmp(&(&b.arm, &b.threshold)));
    // The same may stand in the scenario and on the command line.
    checked.dedup_by(|a, b| (&a.arm, &a.threshold) == (&b.arm, &b.threshold));
    let held = checked.iter().filter(|one| one.outcome != Outcome::Void).map(|one| {
        let labels = vec![
            ("scenario", document.scenario.name.as_str()),
            ("arm", one.arm.as_str()),
            ("threshold", one.threshold.as_str()),
        ];
        (labels, f64::from(u8::from(!one.outcome.fails())))
    });
    page.gauge("wsbench_threshold_held", "1: the threshold held; 0: it was broken, or nobody can tell.", held);
    page.gauge("wsbench_errors", "Errors of the run, by class.", errors);
    page.text
}

fn with<'a>(labels: &Labels<'a>, name: &'static str, value: &'a str) -> Labels<'a> {
    labels.iter().copied().chain([(name, value)]).collect()
}

impl Page {
    fn run(&mut self, document: &Document) {
        let (scenario, meta) = (document.scenario.name.as_str(), &document.meta);
        let info = vec![
            ("scenario", scenario),
            ("version", meta.wsbench_version.as_str()),
            ("revision", meta.git_revision.as_deref().unwrap_or("")),
            ("plan", document.plan_hash.as_str()),
        ];
        self.gauge("wsbench_run_info", "What ran; always 1.", [(info, 1.0)]);
        let of_run = |value: f64| [(vec![("scenario", scenario)], value)];
        let partial = f64::from(u8::from(document.partial));
        self.gauge("wsbench_run_partial", "1: the run was cut short, or lost a process.", of_run(partial));
        // An edited document may say anything here; then there is no such sample.
        if let Ok(started) = meta.started.parse::<jiff::Timestamp>() {
            let seconds = started.as_millisecond() as f64 / 1e3;
            self.gauge("wsbench_run_start_timestamp_seconds", "When the run began, Unix time.", of_run(seconds));
        }
    }

    fn capacity(&mut self, document: &Document) {
        let Some(capacity) = &document.capacity else { return };
        let (name, help) = match capacity.of.as_str() {
            "sessions" => ("wsbench_capacity_sessions", "Most sessions that an arm held; 0: none that was tried."),
            _ => ("wsbench_capacity_messages_per_second", "Highest rate that an arm held; 0: none that was tried."),
        };
        let samples = capacity.arms.iter().map(|arm| {
            let labels = vec![("scenario", document.scenario.name.as_str()), ("arm", arm.arm.as_str())];
            (labels, arm.held.unwrap_or(0) as f64)
        });
        self.gauge(name, help, samples);
    }

    /// A metric without samples isn't mentioned.
    fn gauge<'a>(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            self.head(name, help, "gauge");
        }
        samples.for_each(|(labels, value)| self.sample(name, &labels, value));
    }

    /// Quantiles that too few samples support are left out.
    fn time<'a>(&mut self, name: &str, help: &str, arms: impl Iterator<Item = ((&'a Arm<'a>, &'a Quantiles), f64)>) {
        let mut arms = arms.filter(|((_, quantiles), _)| quantiles.count > 0).peekable();
        if arms.peek().is_some() {
            self.head(name, help, "summary");
        }
        for ((arm, times), sum) in arms {
            let quantiles = [("0.5", times.p50), ("0.9", times.p90), ("0.99", times.p99), ("0.999", times.p999)];
            for (quantile, nanos) in quantiles {
                if let Some(nanos) = nanos {
                    self.sample(name, &with(&arm.labels, "quantile", quantile), nanos as f64 / 1e9);
                }
            }
            self.sample(&format!("{name}_sum"), &arm.labels, sum / 1e9);
            self.sample(&format!("{name}_count"), &arm.labels, times.count as f64);
        }
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &Labels, value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let value = match value {
            v if v.is_nan() => "NaN".to_owned(),
            v if v.is_infinite() => if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
            v => v.to_string(),
        };
        let _ = writeln!(self.text, "{name}{{{}}} {value}", labels.join(","));
    }
}

/// A label's value.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '"' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;
    use std::collections::{BTreeMap, BTreeSet};

    /// One sample as it was read.
    #[derive(Debug)]
    struct Sample {
        name: String,
        labels: BTreeMap<String, String>,
        value: f64,
    }

    /// Reads the format strictly: every metric has HELP and TYPE before its samples, these stand together, names and labels
    /// are legal, no sample is there twice, the last line ends.
    fn parsed(text: &str) -> Vec<Sample> {
        assert!(text.ends_with('\n') && !text.contains('\r'));
        let (mut samples, mut seen) = (Vec::new(), BTreeSet::new());
        let mut metrics: Vec<(String, String)> = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
                assert!(is_name(name) && !words.is_empty() && ["gauge", "summary"].contains(&kind), "{line}");
                assert!(metrics.iter().all(|(other, _)| other != name), "{name} comes twice");
                metrics.push((name.to_owned(), kind.to_owned()));
                continue;
            }
            let sample = sample(line);
            let (name, kind) = metrics.last().expect("no sample before its metric");
            let rest = sample.name.strip_prefix(name.as_str()).unwrap_or_else(|| panic!("{line} stands under {name}"));
            match kind.as_str() {
                "summary" => {
                    assert!(["", "_sum", "_count"].contains(&rest), "{line}");
                    assert_eq!(sample.labels.contains_key("quantile"), rest.is_empty(), "{line}");
                }
                _ => assert!(rest.is_empty() && !sample.labels.contains_key("quantile"), "{line}"),
            }
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "{line} comes twice");
            samples.push(sample);
        }
        samples
    }

    fn is_name(name: &str) -> bool {
        name.starts_with("wsbench_") && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }

    fn sample(line: &str) -> Sample {
        let (name, rest) = line.split_once('{').unwrap_or_else(|| panic!("{line}"));
        assert!(is_name(name), "{line}");
        let (mut labels, mut rest) = (BTreeMap::new(), rest);
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(!label.is_empty() && label.chars().all(|c| c.is_ascii_lowercase()), "{line}");
            let (mut value, mut chars) = (String::new(), after.char_indices());
            let end = loop {
                match chars.next().unwrap_or_else(|| panic!("{line} has an open label")) {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next().unwrap().1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        c => panic!("{line} escapes {c:?}"),
                    }),
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line} has {label} twice");
            rest = after[end + 1..].strip_prefix(',').unwrap_or(&after[end + 1..]);
        }
        let value = rest.strip_prefix("} ").unwrap_or_else(|| panic!("{line}"));
        assert!(!value.contains(' '), "{line}");
        Sample { name: name.to_owned(), labels, value: value.parse().unwrap_or_else(|_| panic!("{line}")) }
    }

    #[test]
    fn every_line_is_well_formed_and_in_base_units() {
        let mut document = testing::document();
        let hold = |text: &str| crate::threshold::Hold { hold: text.parse().unwrap(), abort: false };
        document.thresholds = vec![hold("tcp: p50 < 1us"), hold("websocket: p50 < 1h"), hold("tcp: p50 < 1us")];
        let samples = parsed(&of_run(&document));
        let held = |s: &&Sample| s.name == "wsbench_threshold_held";
        assert_eq!(samples.iter().filter(held).map(|s| s.value).collect::<Vec<_>>(), [0.0, 1.0]);
        let find = |name: &str, arm: &str, label: &str, value: &str| {
            let is_it = |s: &&Sample| s.name == name && s.labels["arm"] == arm && s.labels[label] == value;
            samples.iter().find(is_it).unwrap_or_else(|| panic!("no {name} of {arm}")).value
        };
        let p99 = document.cells[0].summary().response_time.p99.unwrap() as f64 / 1e9;
        assert_eq!(find("wsbench_response_time_seconds", "websocket", "quantile", "0.99"), p99);
        assert_eq!(find("wsbench_trials", "http-streaming", "validity", "invalid"), 1.0);
        assert_eq!(find("wsbench_errors", "udp", "class", "foreign"), 3.0);
        let names: BTreeSet<&str> = samples.iter().map(|s| s.name.as_str()).collect();
        for (name, ..) in FIGURES {
            assert!(names.contains(name), "{name}");
        }
        for (name, ..) in SIDES {
            assert!(names.contains(name) || *name == "wsbench_session_idle_memory_bytes", "{name}");
        }
        if let Some(file) = std::env::var_os("WSBENCH_PROMETHEUS") {
            std::fs::write(file, of_run(&document)).unwrap();
        }
    }

    #[test]
    fn a_search_has_what_each_arm_holds_and_each_load_once() {
        let samples = parsed(&of_run(&testing::capacity()));
        let held: Vec<f64> =
            samples.iter().filter(|s| s.name == "wsbench_capacity_messages_per_second").map(|s| s.value).collect();
        assert_eq!(held, [800.0, 400.0, 0.0]);
    }

    #[test]
    fn names_from_outside_stay_in_their_label() {
        let mut document = testing::document();
        let evil = "a\"} 1\nevil{x=\"\\";
        document.cells[0].arm = evil.into();
        document.scenario.name = evil.into();
        document.cells[1].trials[0].outcome.errors.insert(evil.into(), 1);
        let samples = parsed(&of_run(&document));
        assert!(samples.iter().any(|s| s.labels.get("arm").is_some_and(|arm| arm == evil)));
        assert!(samples.iter().any(|s| s.labels.get("class").is_some_and(|class| class == evil)));
    }

    #[test]
    fn a_run_without_arms_is_still_a_run() {
        let mut document = testing::document();
        document.cells.clear();
        let names: Vec<String> = parsed(&of_run(&document)).into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["wsbench_run_info", "wsbench_run_partial", "wsbench_run_start_timestamp_seconds"]);
    }
}
