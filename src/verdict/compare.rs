//! From two documents to a comparison.

use super::comparable::{differences, in_both};
use super::judge::{By, judge, whole};
use super::values::Trials;
use super::{Comparison, Design, Difference, Effect, Look, Metric, Row, Rules, SCHEMA_VERSION, Side, Verdict};
use crate::result::{Cell, Document, Trial};

/// Transports whose framing depends on how messages meet: several share one answer, or one chunk.
pub(super) const MEETING: [&str; 4] = ["long-polling", "short-polling", "sse", "http-streaming"];

/// What the caller chose.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// For one of several planned looks, `alpha` is what that look spends.
    pub rules: Rules,
    /// Arms that count for the whole's verdict; empty: all.
    pub arms: Vec<String>,
    /// Metrics that count for it.
    pub metrics: Vec<Metric>,
    /// Compare what isn't comparable all the same.
    pub force: bool,
    /// What a reader calls the base and the new run.
    pub names: (String, String),
    /// Which of several planned looks it is, if there are several.
    pub look: Option<Look>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rules: Rules::default(),
            arms: Vec::new(),
            metrics: Metric::ALL.to_vec(),
            force: false,
            names: ("base".to_owned(), "new".to_owned()),
            look: None,
        }
    }
}

/// Why two runs can't be held against each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotComparable {
    #[error(
        "the runs did not measure the same, or not on the same machine:{}\n\
         Measure both alike and on one machine, or go on all the same with --force.", lines(.0)
    )]
    Differs(Vec<Difference>),
    #[error("{0} is a search for capacity: its loads are not trials of one load. Compare runs of `wsbench run`.")]
    Search(String),
    #[error("{0} holds no complete trial: it ended before it had measured anything. Measure again.")]
    Empty(String),
    #[error("no arm is in both: {base} has {}, {new} has {}", .of_base.join(", "), .of_new.join(", "))]
    NothingInCommon { base: String, of_base: Vec<String>, new: String, of_new: Vec<String> },
    #[error("arm {arm:?} is not in both; in both are {}", .in_both.join(", "))]
    NoSuchArm { arm: String, in_both: Vec<String> },
    #[error(
        "no trial of {arm} in {side} can be trusted: {why}\n\
         Measure it again on a quieter machine or at a lower load, or leave the arm out by naming others with --arms."
    )]
    Untrusted { side: String, arm: String, why: String },
    #[error("every trial of {arm} in {side} failed: {why}")]
    Failed { side: String, arm: String, why: String },
    #[error("nothing would be judged:{}\n{WIDEN}", .0.iter().map(|why| format!("\n  {why}")).collect::<String>())]
    NothingToJudge(Vec<String>),
}

/// What to do where no row counts.
pub(super) const WIDEN: &str = "Let more count (--metrics, --arms), or measure so that these do: longer trials or a higher rate \
                                for quantiles, more trials, a server of which the CPU is seen.";

fn lines(differences: &[Difference]) -> String {
    differences.iter().map(|difference| format!("\n  {difference}")).collect()
}

/// How two runs are to be held against each other: the two sides of one duet are pairs, block by block.
pub fn design(base: &Document, new: &Document) -> Design {
    match (&base.duet, &new.duet) {
        (Some(one), Some(other)) if one.id == other.id && one.half != other.half => Design::Paired,
        _ => Design::Separate,
    }
}

/// Judges `new` by `base`.
///
/// # Errors
/// They can't be held against each other, with what to do about it.
pub fn compare(
    base: &Document,
    new: &Document,
    design: Design,
    options: &Options,
) -> Result<Comparison, NotComparable> {
    let said = Options { names: called(&options.names, design), ..options.clone() };
    is_usable(new, &said.names.1, &gated(base, new, &said)?)?;
    let differences = prepare(base, new, &said)?;
    let mut left_out = left_out(base, new, &said);
    let (mut rows, mut trials) = (Vec::new(), (usize::MAX, usize::MAX));
    for (b, n) in in_both(base, new) {
        let (b, n) = sides(b, n, design);
        if b.trials.is_empty() || n.trials.is_empty() {
            left_out.push(format!("{}: not compared: no trial of both sides is left", b.cell.arm));
            continue;
        }
        trials = (trials.0.min(b.trials.len()), trials.1.min(n.trials.len()));
        rows.extend(failed(b.cell, n.cell, options).map(|row| (row, By::Fact)));
        for metric in Metric::ALL {
            match row(metric, &b, &n, base.seed == new.seed, options) {
                Ok(row) => rows.push(row),
                Err(why) => left_out.push(format!("{} {}: not judged: {why}", b.cell.arm, metric.name())),
            }
        }
    }
    judge(&mut rows, design, &options.rules);
    let rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
    let side = |document: &Document, name: &String, trials: usize| Side {
        name: name.clone(),
        started: document.meta.started.clone(),
        wsbench_version: document.meta.wsbench_version.clone(),
        git_revision: document.meta.git_revision.clone(),
        trials: if trials == usize::MAX { 0 } else { trials },
        partial: document.partial,
        aborted: document.aborted.clone(),
    };
    Ok(Comparison {
        schema_version: SCHEMA_VERSION,
        scenario: new.scenario.name.clone(),
        design,
        base: side(base, &options.names.0, trials.0),
        new: side(new, &options.names.1, trials.1),
        rules: options.rules,
        differences,
        verdict: whole(&rows),
        rows,
        left_out,
        look: options.look,
    })
}

/// What a sentence calls the two: by their parts in a duet, and where their names don't tell them apart.
pub(super) fn called(names: &(String, String), design: Design) -> (String, String) {
    match design {
        Design::Paired => ("the base".to_owned(), "the candidate".to_owned()),
        Design::Separate if names.0 == names.1 => ("the base".to_owned(), "the new run".to_owned()),
        Design::Separate => names.clone(),
    }
}

/// What can be known before `new` has run a trial: that `base` can be used, and what differs although it was forced.
///
/// # Errors
/// See [`compare`].
pub fn prepare(base: &Document, new: &Document, options: &Options) -> Result<Vec<Difference>, NotComparable> {
    is_usable(base, &options.names.0, &gated(base, new, options)?)?;
    let differences = differences(base, new);
    if !differences.is_empty() && !options.force {
        return Err(NotComparable::Differs(differences));
    }
    Ok(differences)
}

/// The arms that count.
fn gated(base: &Document, new: &Document, options: &Options) -> Result<Vec<String>, NotComparable> {
    let arms = |document: &Document| document.cells.iter().map(|cell| cell.arm.clone()).collect::<Vec<String>>();
    for (document, name) in [(base, &options.names.0), (new, &options.names.1)] {
        if document.capacity.is_some() {
            return Err(NotComparable::Search(name.clone()));
        }
        if document.cells.is_empty() {
            return Err(NotComparable::Empty(name.clone()));
        }
    }
    let in_both: Vec<String> = in_both(base, new).iter().map(|(cell, _)| cell.arm.clone()).collect();
    if in_both.is_empty() {
        let (base_name, new_name) = options.names.clone();
        let (of_base, of_new) = (arms(base), arms(new));
        return Err(NotComparable::NothingInCommon { base: base_name, of_base, new: new_name, of_new });
    }
    match options.arms.iter().find(|arm| !in_both.contains(arm)) {
        Some(arm) => Err(NotComparable::NoSuchArm { arm: arm.clone(), in_both }),
        None if options.arms.is_empty() => Ok(in_both),
        None => Ok(options.arms.clone()),
    }
}

/// Whether there is anything to judge each of these arms by.
fn is_usable(document: &Document, name: &str, arms: &[String]) -> Result<(), NotComparable> {
    let cells = document.cells.iter().filter(|cell| arms.contains(&cell.arm));
    for cell in cells {
        if cell.trials.iter().any(is_complete) {
            continue;
        }
        let (side, arm) = (name.to_owned(), cell.arm.clone());
        let finding = cell.trials.iter().find_map(|trial| trial.invalid.first());
        let failure = cell.trials.iter().find_map(|trial| trial.failure.clone());
        return Err(match (finding, failure) {
            (Some(finding), _) => NotComparable::Untrusted { side, arm, why: finding.message.clone() },
            (None, Some(why)) => NotComparable::Failed { side, arm, why },
            (None, None) => NotComparable::Empty(side),
        });
    }
    Ok(())
}

/// Whether a trial's figures may be judged.
pub(super) fn is_complete(trial: &Trial) -> bool {
    trial.is_valid() && !trial.outcome.interrupted
}

/// The trials that a cell's rows rest on.
fn sides<'a>(base: &'a Cell, new: &'a Cell, design: Design) -> (Trials<'a>, Trials<'a>) {
    let complete = |cell: &'a Cell| cell.trials.iter().filter(|trial| is_complete(trial)).collect::<Vec<&Trial>>();
    let (mut of_base, mut of_new) = (complete(base), complete(new));
    if design == Design::Paired {
        let pairs: Vec<(&Trial, &Trial)> = of_base
            .iter()
            .filter_map(|one| Some((*one, *of_new.iter().find(|other| other.block == one.block)?)))
            .collect();
        (of_base, of_new) = pairs.into_iter().unzip();
    }
    let is_target_known = of_base.iter().chain(&of_new).all(|trial| trial.target.is_some());
    let side = |cell, trials| Trials { cell, trials, is_target_known };
    (side(base, of_base), side(new, of_new))
}

/// Arms and trials that nothing rests on, in words.
fn left_out(base: &Document, new: &Document, options: &Options) -> Vec<String> {
    let mut words = Vec::new();
    for (document, other, name) in [(base, new, &options.names.0), (new, base, &options.names.1)] {
        for cell in &document.cells {
            if !other.cells.iter().any(|of_other| of_other.arm == cell.arm) {
                words.push(format!("{}: not compared: it is in {name} alone", cell.arm));
                continue;
            }
            let mut reasons: Vec<(String, usize)> = Vec::new();
            for why in cell.trials.iter().filter_map(why_not) {
                match reasons.iter_mut().find(|(reason, _)| *reason == why) {
                    Some((_, trials)) => *trials += 1,
                    None => reasons.push((why, 1)),
                }
            }
            let (arm, of) = (&cell.arm, cell.trials.len());
            words.extend(reasons.iter().map(|(why, n)| format!("{arm}: {n} of {of} trials of {name}: {why}")));
        }
    }
    words
}

/// Why a trial isn't complete.
fn why_not(trial: &Trial) -> Option<String> {
    let first = trial.invalid.first();
    match (first, &trial.failure) {
        (Some(finding), _) => Some(format!("INVALID: {}", finding.code)),
        (None, Some(failure)) => Some(format!("failed: {failure}")),
        (None, None) => trial.outcome.interrupted.then(|| "interrupted".to_owned()),
    }
}

/// The trials in which the target failed, if there are any. They gave no figure, and the trials that are left say nothing of
/// it, so it stands beside them: a new run must not fail where the base didn't. A base that failed is none to be better than.
fn failed(base: &Cell, new: &Cell, options: &Options) -> Option<Row> {
    let has_failed = |trial: &Trial| if trial.failure.is_some() { 1.0 } else { 0.0 };
    let of = |cell: &Cell| -> Vec<f64> {
        let counted = cell.trials.iter().filter(|trial| trial.invalid.is_empty() && !trial.outcome.interrupted);
        counted.map(has_failed).collect()
    };
    let (of_base, of_new) = (of(base), of(new));
    let count = |trials: &[f64]| trials.iter().filter(|trial| **trial > 0.0).count();
    let (in_base, in_new) = (count(&of_base), count(&of_new));
    let (verdict, advice) = match (in_base, in_new) {
        (0, 0) => return None,
        (0, _) => (Verdict::Regression, ""),
        (_, 0) => (Verdict::Inconclusive, ": such a base is none to be better than; measure it again"),
        _ => (Verdict::Inconclusive, ""),
    };
    let note = format!(
        "the target failed in {in_base} of {} trials of the base, in {in_new} of {} of the new run{advice}",
        of_base.len(),
        of_new.len()
    );
    Some(Row {
        workload: new.workload.clone(),
        arm: new.arm.clone(),
        metric: Metric::FailedTrials,
        is_gated: is_chosen(base, options),
        base: of_base,
        new: of_new,
        effect: None,
        verdict,
        note: Some(note),
    })
}

fn is_chosen(cell: &Cell, options: &Options) -> bool {
    options.arms.is_empty() || options.arms.contains(&cell.arm)
}

/// A row with its trials' values, and with its verdict where that goes by no statistics; or why there is none.
fn row(
    metric: Metric,
    base: &Trials,
    new: &Trials,
    is_same_seed: bool,
    options: &Options,
) -> Result<(Row, By), String> {
    let mut row = Row {
        workload: new.cell.workload.clone(),
        arm: new.cell.arm.clone(),
        metric,
        is_gated: is_chosen(base.cell, options) && options.metrics.contains(&metric),
        base: base.values(metric)?,
        new: new.values(metric)?,
        effect: None,
        verdict: Verdict::Inconclusive,
        note: None,
    };
    let by = match metric {
        Metric::P50 | Metric::P99 => {
            row.note = never_came(&row);
            By::Ranks
        }
        Metric::DeliveredRate => {
            row.note = missing(base, new);
            By::Ranks
        }
        Metric::CpuPerMessage => {
            if !base.is_target_known {
                row.is_gated = false;
                row.note = Some("CPU of the generator: it doesn't see the target's".to_owned());
            }
            By::Ranks
        }
        Metric::FramingPerMessage if base.missing() + new.missing() > 0 => {
            by_chance(&mut row, "shared out over what was delivered, and not all was")
        }
        Metric::FramingPerMessage => by_sameness(&mut row, &base.cell.transport, is_same_seed),
        Metric::FailedTrials => By::Fact,
    };
    Ok((row, by))
}

/// In how many trials a quantile is infinite, if in any.
fn never_came(row: &Row) -> Option<String> {
    let never = |values: &[f64]| values.iter().filter(|value| value.is_infinite()).count();
    let (in_base, in_new) = (never(&row.base), never(&row.new));
    let share = if row.metric == Metric::P50 { "half" } else { "1 %" };
    let (of_base, of_new) = (row.base.len(), row.new.len());
    (in_base + in_new > 0).then(|| {
        format!(
            "more than {share} of the deliveries never came: in {in_base} of {of_base} trials of the base, \
             in {in_new} of {of_new} of the new run"
        )
    })
}

fn plain(row: &mut Row, verdict: Verdict) -> By {
    row.verdict = verdict;
    By::Fact
}

/// Framing is the same to the byte, or it isn't; unless it depends on when messages met, or on the seed, or was seen but once.
fn by_sameness(row: &mut Row, transport: &str, is_same_seed: bool) -> By {
    let same = |values: &[f64]| values.first().copied().filter(|first| values.iter().all(|value| value == first));
    let (base, new) = match (same(&row.base), same(&row.new)) {
        _ if MEETING.contains(&transport) => return by_chance(row, "depends on how messages meet"),
        _ if row.base.len().min(row.new.len()) < 2 => {
            return by_chance(row, "one trial can't show that it is always so");
        }
        (Some(base), Some(new)) => (base, new),
        _ => return by_chance(row, "differs from trial to trial, with how messages met"),
    };
    if base != new && !is_same_seed {
        row.is_gated = false;
        row.note = Some("the seeds differ, and so may what was sent".to_owned());
    }
    row.effect = (base == new || base > 0.0).then(|| {
        let ratio = if base == new { 1.0 } else { new / base };
        let p = |is_so: bool| if is_so { 0.0 } else { 1.0 };
        let exactly = (Some(ratio), Some(ratio));
        Effect {
            ratio,
            ci95: exactly,
            ci90: exactly,
            p_worse: p(new > base),
            p_better: p(new < base),
            adjusted_p_worse: None,
            adjusted_p_better: None,
            detectable: None,
            trials_needed: None,
        }
    });
    plain(row, if new > base { Verdict::Regression } else { Verdict::Improvement });
    if base == new {
        row.verdict = Verdict::NoChange;
    }
    By::Fact
}

/// Framing that is judged like any other figure, and gates nothing.
fn by_chance(row: &mut Row, why: &str) -> By {
    row.is_gated = false;
    row.note = Some(why.to_owned());
    By::Ranks
}

/// What never came, where there is any.
fn missing(base: &Trials, new: &Trials) -> Option<String> {
    let (lost, of) = (base.missing(), base.expected());
    let (new_lost, new_of) = (new.missing(), new.expected());
    (lost + new_lost > 0).then(|| format!("never came: {lost} of {of} deliveries → {new_lost} of {new_of}"))
}
