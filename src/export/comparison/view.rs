//! What a reader of a comparison sees, as words: formatted once, for the comment and the page alike.

use crate::chart::comparison::{Compared, words};
use crate::export::view::{DASH, facts};
use crate::result::Document;
use crate::verdict::{Comparison, Effect, Row, Rules, Verdict};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct View {
    pub scenario: String,
    pub verdict: &'static str,
    pub sign: &'static str,
    /// For the page: `worse`, `better`, `same`, `unknown`.
    pub class: &'static str,
    /// What came out, in a sentence.
    pub headline: String,
    pub base: String,
    pub new: String,
    /// What a reader must know before believing any of it.
    pub remarks: Vec<String>,
    /// What would have made the runs incomparable, had it not been forced.
    pub differences: Vec<[String; 3]>,
    /// Gated ones first, each kind in the comparison's order.
    pub rows: Vec<RowView>,
    pub left_out: Vec<String>,
    /// What verdicts went by.
    pub rules: String,
    /// What ran and where: name, base, new, and whether they differ.
    pub facts: Vec<(String, String, String, bool)>,
}

#[derive(Debug, Serialize)]
pub struct RowView {
    pub what: String,
    pub is_gated: bool,
    /// Medians, such as `1.20 ms → 1.34 ms`.
    pub values: String,
    pub change: String,
    pub interval: String,
    pub p: String,
    pub verdict: &'static str,
    pub sign: &'static str,
    pub class: &'static str,
    pub note: String,
    /// All of it in one line.
    pub words: String,
}

impl View {
    pub fn of(compared: Compared) -> View {
        let Compared { comparison, base, new } = compared;
        let mut rows: Vec<&Row> = comparison.rows.iter().collect();
        // A stable sort.
        rows.sort_by_key(|row| !row.is_gated);
        View {
            scenario: comparison.scenario.clone(),
            verdict: comparison.word(),
            sign: words::sign(comparison.verdict),
            class: class(comparison.verdict),
            headline: words::headline(comparison),
            base: comparison.base.name.clone(),
            new: comparison.new.name.clone(),
            remarks: comparison.remarks(),
            differences: comparison
                .differences
                .iter()
                .map(|d| [d.what.clone(), d.base.clone(), d.new.clone()])
                .collect(),
            rows: rows.into_iter().map(|row| row_view(comparison, row)).collect(),
            left_out: comparison.left_out.clone(),
            rules: rules(comparison),
            facts: both(base, new),
        }
    }
}

fn row_view(comparison: &Comparison, row: &Row) -> RowView {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| DASH.to_owned());
    RowView {
        what: row.name(),
        is_gated: row.is_gated,
        values: words::values(row),
        change: or_dash(row.effect.map(|effect| words::change(effect.ratio))),
        interval: or_dash(row.effect.map(|effect| words::interval(effect.ci95))),
        p: or_dash(row.effect.and_then(|effect| p(row, &effect))),
        verdict: row.verdict.words(),
        sign: words::sign(row.verdict),
        class: class(row.verdict),
        note: row.note.clone().unwrap_or_default(),
        words: row.words(comparison),
    }
}

/// Of the direction in which it points.
fn p(row: &Row, effect: &Effect) -> Option<String> {
    let is_worse = (effect.ratio >= 1.0) == row.metric.is_worse_when_larger();
    Some(match if is_worse { effect.adjusted_p_worse? } else { effect.adjusted_p_better? } {
        p if p < 0.001 => "< 0.001".to_owned(),
        p => format!("{p:.3}"),
    })
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regression => "worse",
        Verdict::Improvement => "better",
        Verdict::NoChange => "same",
        Verdict::Inconclusive => "unknown",
    }
}

fn rules(comparison: &Comparison) -> String {
    let rules: &Rules = &comparison.rules;
    let look = comparison.look_in_words().map_or(String::new(), |look| format!(". This is {look}"));
    let percent = |share: f64| format!("{} %", (share * 1e4).round() / 1e2);
    format!(
        "A change counts from {} on, with a chance of {} that any gated figure alarms by accident (Holm's correction); “no \
         change” means that the {} interval lies within ±{}{look}",
        percent(rules.noise),
        percent(rules.alpha),
        percent(rules.confidence()),
        percent(rules.equivalence)
    )
}

/// The facts of both runs beside one another, those of the base first.
fn both(base: &Document, new: &Document) -> Vec<(String, String, String, bool)> {
    let of =
        |document: &Document| facts::of_run(document).into_iter().chain(facts::of_host(document)).collect::<Vec<_>>();
    let (base, new) = (of(base), of(new));
    let find = |facts: &[(&str, String)], name: &str| {
        facts.iter().find(|(n, _)| *n == name).map_or(DASH.to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in base.iter().chain(&new) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let row = |name: &str| {
        let (base, new) = (find(&base, name), find(&new, name));
        let differs = base != new;
        (name.to_owned(), base, new, differs)
    };
    names.into_iter().map(row).collect()
}
