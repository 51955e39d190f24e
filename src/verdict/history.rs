//! Many runs over time: what is comparable with what, and where a figure seems to have changed for good.
//!
//! A run is one value for each figure: the median of its valid trials. Runs are grouped with those that they can be held
//! against. Within a group the stretch of a series is sought whose ranks stand out most from the rest. Is that more than chance
//! makes of so many stretches (the exact rank-sum test, two-sided, times their number, which is Holm's first step), the series
//! is cut at its ends, and its parts are searched likewise. That is advice: nothing controls what else changed on the machine
//! in between.

use super::{Difference, Metric, Rules, comparable, values::Trials, words};
use crate::result::{Document, Half};
use crate::stats::{MOST, doubled_midranks, rank_sum};
use serde::{Serialize, Serializer};

/// Runs on either side without which no change is looked for: with fewer no rank-sum test can find one.
pub const FEWEST: usize = 4;
/// Why the base of a duet has no history.
pub const BASE_OF_DUET: &str = "it is the base of a duet, which its candidate was held against: no run of its own";

/// A run, reduced to what its history takes.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub file: String,
    /// As the result says it, RFC 3339.
    pub started: String,
    /// The same in seconds since 1970.
    pub time: i64,
    pub wsbench_version: String,
    pub git_revision: Option<String>,
    /// It was interrupted, or lost a process or an agent: its figures are those of what was measured until then.
    pub partial: bool,
    /// Without its trials: what makes it comparable or not.
    #[serde(skip)]
    document: Document,
    #[serde(skip)]
    figures: Vec<Figures>,
}

/// The figures of an arm in one run.
#[derive(Debug, Clone)]
struct Figures {
    arm: String,
    /// In the order of [`Metric::ALL`].
    medians: [Option<f64>; Metric::ALL.len()],
}

/// Runs that can be held against one another, in the order of their starts.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// The scenario's; with a number where there are several groups of it.
    pub name: String,
    pub scenario: String,
    /// Processor, cores and kernel.
    pub host: String,
    /// What sets it apart from the group of the same scenario before it; empty for the first.
    pub differences: Vec<Difference>,
    pub runs: Vec<Run>,
    pub series: Vec<Series>,
}

/// One figure of one arm over the runs of a group.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    pub arm: String,
    pub transport: String,
    pub metric: Metric,
    /// One for each run of the group; absent where a run has no such figure, `"inf"` where too much never came.
    #[serde(serialize_with = "figures")]
    pub values: Vec<Option<f64>>,
    pub changes: Vec<Change>,
}

/// Where a series seems to have changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The first run with the new level, by its place in the group.
    pub run: usize,
    /// Medians of the stretches before and after.
    pub before: f64,
    pub after: f64,
    /// Chance of such a cut anywhere in what was searched, if nothing had changed.
    pub p: f64,
    pub is_worse: bool,
}

impl Change {
    /// After ÷ before, less 1; `None` where either is no finite amount.
    pub fn share(&self) -> Option<f64> {
        Some(self.after / self.before - 1.0).filter(|share| share.is_finite())
    }

    /// Such as `+12.3 %`.
    pub fn words(&self) -> String {
        self.share().map_or_else(|| "to or from ∞".to_owned(), |share| words::change(1.0 + share))
    }
}

impl Group {
    /// Such as `12 runs`.
    pub fn count(&self) -> String {
        format!("{} run{}", self.runs.len(), if self.runs.len() == 1 { "" } else { "s" })
    }

    /// What a reader must know before believing its figures, a line each.
    pub fn notes(&self) -> Vec<String> {
        let partial = self.runs.iter().filter(|run| run.partial);
        let words = "is partial (interrupted, or short of a process of its own) and counts with what it measured";
        partial.map(|run| format!("{} {words}", run.file)).collect()
    }
}

impl Series {
    /// Figures that are there, finite ones and others.
    pub fn present(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.values.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?)))
    }
}

impl Run {
    /// Reduces `document`, which was read from `file`.
    ///
    /// # Errors
    /// Why it has no history, in words.
    pub fn of(file: String, mut document: Document) -> Result<Run, String> {
        if document.capacity.is_some() {
            return Err("it is a search for capacity, whose loads differ".to_owned());
        }
        if document.duet.as_ref().is_some_and(|duet| duet.half == Half::Base) {
            return Err(BASE_OF_DUET.to_owned());
        }
        let started: jiff::Timestamp =
            document.meta.started.parse().map_err(|_| format!("{:?} is no time of start", document.meta.started))?;
        let mut figures = Vec::new();
        for cell in &document.cells {
            let trials: Vec<_> =
                cell.trials.iter().filter(|trial| trial.is_valid() && !trial.outcome.interrupted).collect();
            if trials.is_empty() {
                continue;
            }
            let is_target_known = trials.iter().all(|trial| trial.target.is_some());
            let trials = Trials { cell, trials, is_target_known };
            let medians = Metric::ALL.map(|metric| trials.values(metric).ok().and_then(median));
            figures.push(Figures { arm: cell.arm.clone(), medians });
        }
        if figures.is_empty() {
            return Err("it has no valid trial".to_owned());
        }
        document.cells.iter_mut().for_each(|cell| cell.trials.clear());
        Ok(Run {
            file,
            started: document.meta.started.clone(),
            time: started.as_second(),
            wsbench_version: document.meta.wsbench_version.clone(),
            git_revision: document.meta.git_revision.clone(),
            partial: document.partial,
            document,
            figures,
        })
    }
}

/// The groups of `runs`, in the order of their first runs.
pub fn groups(mut runs: Vec<Run>) -> Vec<Group> {
    runs.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.file.cmp(&b.file)));
    let mut groups: Vec<Group> = Vec::new();
    for run in runs {
        let scenario = &run.document.scenario.name;
        let mut differences = Vec::new();
        let mut home = None;
        // The newest first: what a run is told to differ in is what changed last.
        for (at, group) in groups.iter().enumerate().rev().filter(|(_, group)| group.scenario == *scenario) {
            let found = apart(&group.runs[0].document, &run.document);
            if found.is_empty() {
                home = Some(at);
                break;
            }
            if differences.is_empty() {
                differences = found;
            }
        }
        match home {
            Some(at) => groups[at].runs.push(run),
            None => {
                let before = groups.iter().filter(|group| group.scenario == *scenario).count();
                let name = if before == 0 { scenario.clone() } else { format!("{scenario}-{}", before + 1) };
                let (scenario, host) = (scenario.clone(), host(&run.document));
                groups.push(Group { name, scenario, host, differences, runs: vec![run], series: Vec::new() });
            }
        }
    }
    groups.iter_mut().for_each(|group| group.series = series(&group.runs));
    groups
}

/// What keeps two runs apart.
fn apart(first: &Document, run: &Document) -> Vec<Difference> {
    let arms = |document: &Document| document.cells.iter().map(|cell| cell.arm.clone()).collect::<Vec<_>>();
    if comparable::in_both(first, run).is_empty() {
        let (base, new) = (arms(first).join(", "), arms(run).join(", "));
        return vec![Difference { what: "arms".to_owned(), base, new }];
    }
    comparable::differences(first, run)
}

fn host(document: &Document) -> String {
    let host = &document.meta.host;
    format!("{}, {} cores, {} {}", host.cpu_model, host.cores, host.os, host.kernel)
}

/// Every figure that any run has, arms in the order in which they first ran.
fn series(runs: &[Run]) -> Vec<Series> {
    let mut arms: Vec<(&str, &str)> = Vec::new();
    for cell in runs.iter().flat_map(|run| &run.document.cells) {
        if arms.iter().all(|(arm, _)| *arm != cell.arm) {
            arms.push((&cell.arm, &cell.transport));
        }
    }
    let mut all = Vec::new();
    for (arm, transport) in arms {
        for (n, metric) in Metric::ALL.into_iter().enumerate() {
            let of = |run: &Run| run.figures.iter().find(|figures| figures.arm == arm)?.medians[n];
            let values: Vec<Option<f64>> = runs.iter().map(of).collect();
            if values.iter().any(Option::is_some) {
                let changes = changes(&values, metric);
                all.push(Series { arm: arm.to_owned(), transport: transport.to_owned(), metric, values, changes });
            }
        }
    }
    all
}

fn changes(values: &[Option<f64>], metric: Metric) -> Vec<Change> {
    let mut present: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?))).collect();
    // Of more the test tells nothing, and the newest are what a reader asks about.
    present.drain(..present.len().saturating_sub(MOST));
    let plain: Vec<f64> = present.iter().map(|(_, value)| *value).collect();
    let mut cuts = Vec::new();
    cut(&plain, 0, &mut cuts);
    cuts.sort_by_key(|(at, _)| *at);
    let cuts = pruned(&plain, cuts);
    // Levels are those between the cuts that were found, on either side.
    let ends: Vec<usize> = cuts.iter().map(|(at, _)| *at).chain([plain.len()]).collect();
    let mut from = 0;
    let mut found = Vec::new();
    for (n, (at, p)) in cuts.iter().enumerate() {
        let (Some(before), Some(after)) = (median(plain[from..*at].to_vec()), median(plain[*at..ends[n + 1]].to_vec()))
        else {
            continue;
        };
        from = *at;
        let is_worse = (after > before) == metric.is_worse_when_larger();
        let change = Change { run: present[*at].0, before, after, p: *p, is_worse };
        // Framing is counted exactly: any change is one.
        let noise = if metric == Metric::FramingPerMessage { 0.0 } else { Rules::default().noise };
        if before != after && change.share().is_none_or(|share| share.abs() >= noise) {
            found.push(change);
        }
    }
    found
}

/// Cuts `values`, which begin at `from` of the whole, at both ends of the stretch that stands out most from what is around
/// it, if that is more than chance, and then every part. A step is a stretch that goes on to the end.
fn cut(values: &[f64], from: usize, cuts: &mut Vec<(usize, f64)>) {
    let mut sums = vec![0.0];
    doubled_midranks(values).iter().for_each(|twice| sums.push(sums[sums.len() - 1] + f64::from(*twice) / 2.0));
    let (all, middle) = (values.len(), (values.len() as f64 + 1.0) / 2.0);
    let standing_out = |start: usize, end: usize| {
        let inside = (end - start) as f64;
        (sums[end] - sums[start] - inside * middle).abs() / (inside * (all as f64 - inside)).sqrt()
    };
    let (mut places, mut best) = (0, (f64::MIN, 0, 0));
    for (start, end) in stretches(all) {
        places += 1;
        let out = standing_out(start, end);
        if out > best.0 {
            best = (out, start, end);
        }
    }
    let (_, start, end) = best;
    let (inside, around) = (&values[start..end], [&values[..start], &values[end..]].concat());
    let p = (chance(&around, inside) * f64::from(places)).min(1.0);
    if places == 0 || p > Rules::default().alpha {
        return;
    }
    let edges = [start, end].into_iter().filter(|at| *at > 0 && *at < all);
    cuts.extend(edges.map(|at| (from + at, p)));
    for (start, end) in [(0, start), (start, end), (end, all)] {
        cut(&values[start..end], from + start, cuts);
    }
}

/// The stretches that are held against the rest: neither they nor what is beside them is shorter than a change can be. One
/// that begins at the start says the same as what is behind it.
fn stretches(all: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = std::iter::once(0).chain(FEWEST..all);
    starts.flat_map(move |start| (start + FEWEST..(all + 1).saturating_sub(FEWEST)).map(move |end| (start, end)))
}

/// Without the cuts on whose two sides nothing differs after all, the least certain first.
fn pruned(values: &[f64], mut cuts: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    loop {
        let ends = |n: usize| cuts.get(n).map_or(values.len(), |(at, _)| *at);
        let start = |n: usize| if n == 0 { 0 } else { cuts[n - 1].0 };
        let p = |n: usize| chance(&values[start(n)..cuts[n].0], &values[cuts[n].0..ends(n + 1)]);
        let weakest = (0..cuts.len()).map(|n| (n, p(n))).max_by(|a, b| a.1.total_cmp(&b.1));
        match weakest.filter(|(_, p)| *p > Rules::default().alpha) {
            Some((n, _)) => drop(cuts.remove(n)),
            None => return cuts,
        }
    }
}

/// How often chance makes the values of two sides differ as much, either way.
fn chance(base: &[f64], new: &[f64]) -> f64 {
    // Infinity ranks above everything, and the test takes finite values.
    let finite = |values: &[f64]| values.iter().map(|value| value.min(f64::MAX)).collect::<Vec<_>>();
    let test = rank_sum(&finite(base), &finite(new));
    test.map_or(1.0, |test| (2.0 * test.p_greater.min(test.p_less)).min(1.0))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(if below == above { *below } else { (below + above) / 2.0 })
}

/// JSON has no infinity.
fn figures<S: Serializer>(values: &[Option<f64>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(|value| match value {
        Some(value) if value.is_infinite() => serde_json::json!("inf"),
        value => serde_json::json!(value),
    }))
}

#[cfg(test)]
mod tests;
