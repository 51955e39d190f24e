//! `summary.md`: the whole answer on one page of text.

use super::view::{
    ArmView, CapacityRow, CapacityView, ClaimView, Connecting, DASH, FindingView, FleetView, LoadRow, ThresholdView,
    View,
};
use super::{ExportError, File, Options};
use crate::chart;
use crate::result::Document;
use std::fmt::Write as _;

pub fn files(document: &Document, options: &Options) -> Result<Vec<File>, ExportError> {
    let drawn = if options.charts { chart::drawable(document) } else { Vec::new() };
    let charts: Vec<(&str, String)> = drawn.into_iter().map(|(name, spec)| (name, spec.title)).collect();
    Ok(vec![File::new("summary.md", page(&View::of(document), &charts))])
}

fn page(view: &View, charts: &[(&'static str, String)]) -> String {
    let mut text = format!("# {}: {}\n", escape(&view.name), escape(&view.headline));
    if !view.description.is_empty() {
        paragraph(&mut text, &escape(&view.description));
    }
    invalid_banner(&mut text, view);
    view.notices.iter().for_each(|notice| paragraph(&mut text, &format!("> {}", escape(notice))));
    if !view.thresholds.is_empty() {
        section(&mut text, "Thresholds");
        text += &thresholds_table(&view.thresholds);
    }
    match &view.capacity {
        Some(capacity) => search(&mut text, capacity, charts),
        None => run(&mut text, view, charts),
    }
    section(&mut text, "Could the generator be trusted?");
    validity(&mut text, view);
    section(&mut text, "Counts");
    text += &counts_table(&view.arms);
    text += &what_failures_said(&view.arms);
    omissions(&mut text, view);
    if let Some(fleet) = &view.fleet {
        section(&mut text, "Agents");
        text += &fleet_table(fleet);
        paragraph(&mut text, ABOUT_AGENTS);
    }
    section(&mut text, "What ran, and where");
    text += &table(&["", ""], view.facts.iter().chain(&view.host).map(|(k, v)| vec![escape(k), escape(v)]));
    section(&mut text, "How to read this");
    text += if view.capacity.is_some() { HOW_TO_READ_A_SEARCH } else { HOW_TO_READ };
    text
}

/// The answer alone, the rest folded: for a job's page on GitHub. It has no pictures, which could not be found from there.
pub(super) fn job_summary(document: &Document) -> String {
    let view = View::of(document);
    let mut text = format!("## {}: {}\n", escape(&view.name), escape(&view.headline));
    invalid_banner(&mut text, &view);
    view.notices.iter().for_each(|notice| paragraph(&mut text, &format!("> {}", escape(notice))));
    if !view.thresholds.is_empty() {
        text += &thresholds_table(&view.thresholds);
    }
    match &view.capacity {
        Some(capacity) => search(&mut text, capacity, &[]),
        None => text += &response_table(&view.arms),
    }
    let mut trust = String::new();
    validity(&mut trust, &view);
    folded(&mut text, "Could the generator be trusted?", &trust);
    let mut counts = counts_table(&view.arms);
    omissions(&mut counts, &view);
    folded(&mut text, "Counts", &counts);
    if let Some(fleet) = &view.fleet {
        folded(&mut text, "Agents", &fleet_table(fleet));
    }
    let facts = view.facts.iter().chain(&view.host).map(|(k, v)| vec![escape(k), escape(v)]);
    folded(&mut text, "What ran, and where", &table(&["", ""], facts));
    text
}

/// What only who asks wants to see.
pub(super) fn folded(text: &mut String, title: &str, inside: &str) {
    let _ = write!(text, "\n<details><summary>{title}</summary>\n{inside}\n</details>\n");
}

/// What a search for capacity found.
fn search(text: &mut String, capacity: &CapacityView, charts: &[(&'static str, String)]) {
    section(text, "Capacity");
    let header = ["arm", "highest load held", "lowest load that failed", "by", "the search ended because"];
    let row = |r: &CapacityRow| [&r.arm, &r.capacity, &r.failed, &r.why, r.end].map(escape).to_vec();
    *text += &table(&header, capacity.rows.iter().map(row));
    pictures(text, charts);
    section(text, "Every load");
    let header = ["arm", "load", "kept it", "INVALID", &capacity.limited, "p50", "reach", "broken"];
    let row = |r: &LoadRow| {
        let load = if r.is_knee { format!("**{}**", escape(&r.load)) } else { escape(&r.load) };
        let figures = [&r.kept, &r.invalid, &r.limited, &r.p50, &r.reach, &r.why].map(|s| escape(s));
        [escape(&r.arm), load].into_iter().chain(figures).collect()
    };
    *text += &table(&header, capacity.loads.iter().map(row));
}

/// How the arms of a run compare.
fn run(text: &mut String, view: &View, charts: &[(&'static str, String)]) {
    section(text, "Response time");
    *text += &response_table(&view.arms);
    if let Some(reference) = &view.reference {
        let reference = escape(reference);
        paragraph(text, &format!("Ratios are to {reference}: the median over blocks, and the smallest and largest."));
    }
    view.floors.iter().for_each(|floor| paragraph(text, &format!("{}.", escape(floor))));
    for (arm, tls) in view.arms.iter().filter_map(|arm| Some((&arm.arm, arm.tls.as_ref()?))) {
        paragraph(text, &format!("{}: {}.", escape(arm), escape(tls)));
    }
    section(text, "Cost");
    *text += &cost_table(&view.arms);
    if let Some(connecting) = &view.connecting {
        section(text, "Connecting");
        *text += &connecting_table(&view.arms, connecting);
    }
    pictures(text, charts);
    section(text, "The claims");
    *text += &claims_table(&view.claims);
    if !view.conditions.is_empty() {
        paragraph(text, &format!("Measured under: {}.", escape(&view.conditions)));
    }
}

fn pictures(text: &mut String, charts: &[(&'static str, String)]) {
    if !charts.is_empty() {
        section(text, "Charts");
    }
    for (name, title) in charts {
        paragraph(text, &format!("![{}](charts/{name})", escape(title)));
    }
}

const HOW_TO_READ_A_SEARCH: &str = "
- A load is **held** if most of its valid trials kept the objective, and the load that is printed did so in two series of
  trials: one that found it, one that confirmed it. Implied in every objective: nothing lost, late or unfinished (over UDP a
  thousandth may be), and at least 99.5 % of what was asked was sent.
- **INVALID** trials show where the generator ends, not the target. They never count: an arm above whose capacity there are
  only those holds *at least* that load.
- **Response time** runs from the instant a message was *due* to its receipt; what never came counts as infinite (∞).
- A round is one load of every arm that still searches; the arms take turns within it. Blocks are rounds here.
";

const HOW_TO_READ: &str = "
- **Response time** runs from the instant a message was *due* to its receipt, so a stall counts for every message that it
  delayed. In chat every copy counts, the publisher's own included.
- “–”: too few samples (100 must lie beyond a quantile, 10 within one trial), or not applicable.
- **Reach** is deliveries ÷ deliveries expected of what was sent; **skipped** is the share of what was due that was never
  sent, and stands in no other figure. **Framing** is what the transport's protocol adds to a payload; **wire** is everything
  from the IP header up. Both directions ÷ messages delivered.
- **Connecting** has medians of the connects that succeeded; a handshake's bytes are all up to a joined session, TLS's
  included, and stand in no other figure.
- An interval comes from the order of the trials' values, never from messages; its coverage is printed with it.
- By throughput alone long polling can win, since one response carries many messages: compare latency at equal load.
";

fn section(text: &mut String, title: &str) {
    let _ = write!(text, "\n## {title}\n");
}

pub(super) fn paragraph(text: &mut String, words: &str) {
    let _ = write!(text, "\n{words}\n");
}

fn invalid_banner(text: &mut String, view: &View) {
    if view.invalid.is_empty() {
        return;
    }
    let so = match view.capacity {
        Some(_) => "They show where the generator ends, and count in no answer.",
        None => "Figures leave them out; an arm with no valid trial is marked.",
    };
    paragraph(text, &format!("**INVALID trials:** in some trials the generator could not be trusted. {so}"));
}

fn response_table(arms: &[ArmView]) -> String {
    let header = ["arm", "valid", "p50", "p90", "p99", "p99.9", "max", "p50 ratio", "p99 ratio", "reach", "skipped"];
    table(
        &header,
        arms.iter().map(|a| {
            let r = &a.response;
            let times = [&a.valid, &r.p50, &r.p90, &r.p99, &r.p999, &r.max, &a.p50_ratio, &a.p99_ratio];
            let figures = times.into_iter().chain([&a.reach, &a.skipped]);
            std::iter::once(arm_name(a)).chain(figures.cloned()).collect()
        }),
    )
}

fn thresholds_table(rows: &[ThresholdView]) -> String {
    let row = |row: &ThresholdView| {
        let outcome = if row.fails { format!("**{}**", row.outcome) } else { row.outcome.to_owned() };
        [&row.threshold, &row.arm, &row.measured, &row.limit]
            .map(|text| escape(text))
            .into_iter()
            .chain([outcome])
            .collect()
    };
    table(&["threshold", "arm", "measured", "limit", "outcome"], rows.iter().map(row))
}

fn arm_name(arm: &ArmView) -> String {
    let name = escape(&arm.arm);
    match (arm.untrusted, arm.is_reference) {
        (true, _) => format!("{name} **INVALID**"),
        (false, true) => format!("{name} (reference)"),
        (false, false) => name,
    }
}

fn cost_table(arms: &[ArmView]) -> String {
    let header = [
        "arm",
        "payload B",
        "framing B",
        "wire B",
        "connections a session",
        "CPU µs a message, generator",
        "target",
        "memory a session, idle / most: generator",
        "target",
        "system, both ends",
    ];
    table(
        &header,
        arms.iter().map(|a| {
            let figures = a.bytes.iter().chain([&a.connections]).chain(&a.cpu).chain(&a.memory);
            std::iter::once(escape(&a.arm)).chain(figures.cloned()).collect()
        }),
    )
}

/// Medians of successes.
fn connecting_table(arms: &[ArmView], connecting: &Connecting) -> String {
    let header: Vec<&str> = std::iter::once("arm").chain(connecting.columns.iter().copied()).collect();
    let row =
        |(arm, row): (&ArmView, &Vec<String>)| std::iter::once(arm_name(arm)).chain(row.iter().cloned()).collect();
    table(&header, arms.iter().zip(&connecting.rows).map(row))
}

fn claims_table(claims: &[ClaimView]) -> String {
    let header = ["claim", "verdict", "effect", "theory", "against it, or limiting it"];
    let or_dash = |text: String| if text.is_empty() { DASH.to_owned() } else { text };
    table(
        &header,
        claims.iter().map(|c| {
            let lines = |list: &[String]| or_dash(list.iter().map(|l| escape(l)).collect::<Vec<_>>().join("<br>"));
            vec![
                format!("{} ({})", escape(c.claim), escape(c.metric)),
                format!("**{}**", escape(&c.verdict)),
                lines(&c.effects),
                or_dash(escape(&c.prediction)),
                lines(&c.against),
            ]
        }),
    )
}

fn validity(text: &mut String, view: &View) {
    if view.invalid.is_empty() {
        let stopped = !view.failures.is_empty();
        paragraph(text, if stopped { "Yes, in every trial that was not stopped." } else { "Yes, in every trial." });
    }
    let rows = |list: &[FindingView], kind: &str| {
        let row = |f: &FindingView| {
            let seen = [&f.arm, &f.blocks, &f.code, &f.message, &f.advice].map(|s| escape(s));
            std::iter::once(kind.to_owned()).chain(seen).collect::<Vec<_>>()
        };
        list.iter().map(row).collect::<Vec<_>>()
    };
    let mut all = rows(&view.invalid, "INVALID");
    all.extend(rows(&view.failures, "stopped"));
    all.extend(rows(&view.warnings, "warning"));
    if !all.is_empty() {
        *text += &table(&["", "arm", "blocks", "code", "what was seen", "what to do"], all.into_iter());
    }
}

/// What one failure of each class said, an arm a line.
fn what_failures_said(arms: &[ArmView]) -> String {
    let of = |arm: &ArmView| {
        let said: Vec<String> =
            arm.said.iter().map(|(class, words)| format!("{}: {}", escape(class), escape(words))).collect();
        (!said.is_empty()).then(|| format!("\n{}: one of each said: {}\n", escape(&arm.arm), said.join("; ")))
    };
    arms.iter().filter_map(of).collect()
}

fn counts_table(arms: &[ArmView]) -> String {
    // Not every arm has all of them.
    let fullest = arms.iter().rev().max_by_key(|a| a.counts.len());
    let names: Vec<&str> = fullest.map(|a| a.counts.iter().map(|(name, _)| *name).collect()).unwrap_or_default();
    let header: Vec<&str> = std::iter::once("arm").chain(names.iter().copied()).chain(["errors"]).collect();
    let count = |a: &ArmView, name: &str| {
        a.counts.iter().find(|(own, _)| *own == name).map_or(DASH.to_owned(), |(_, n)| n.clone())
    };
    table(
        &header,
        arms.iter().map(|a| {
            let errors: Vec<String> = a.errors.iter().map(|(class, n)| format!("{} {n}", escape(class))).collect();
            let errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
            std::iter::once(escape(&a.arm)).chain(names.iter().map(|name| count(a, name))).chain([errors]).collect()
        }),
    )
}

const ABOUT_AGENTS: &str = "**Clock** is the agent's minus the coordinator's, as badly known as it ever was in this run: the \
true offset is within ±. Only figures that one clock begins and another ends rest on it. The parts of each agent are in \
result.json, under each trial's agents; the figures above are of their sum.";

fn fleet_table(fleet: &FleetView) -> String {
    let header: Vec<&str> = fleet.columns.iter().map(|column| column.name).collect();
    table(&header, fleet.rows.iter().map(|row| row.iter().map(|words| escape(words)).collect()))
}

fn omissions(text: &mut String, view: &View) {
    for (arm, reason) in &view.omitted {
        paragraph(text, &format!("Left out: {}. {}.", escape(arm), escape(reason)));
    }
}

pub(super) fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = String::from("\n");
    text += &line(&header.iter().map(|h| h.to_string()).collect::<Vec<_>>());
    text += &line(&vec!["---".to_owned(); header.len()]);
    rows.for_each(|row| text += &line(&row));
    text
}

/// Text from outside as plain words: no markup, no HTML, no new line, and nobody is called by `@`.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // GitHub looks for names in what is shown, so a backslash would not do.
            '@' => out.push_str("@<!-- -->"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '!' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{NetworkFloor, testing};

    #[test]
    fn a_summary_looks_like_this() {
        insta::assert_snapshot!(page(&View::of(&testing::document()), &[("a.svg", "a title".to_owned())]));
    }

    #[test]
    fn the_floor_of_the_network_stands_beside_the_response_times_or_why_not() {
        let of = |floor: NetworkFloor, delay: u64| {
            let document = Document { network_floor: vec![floor], ..testing::of("chat", delay) };
            page(&View::of(&document), &[])
        };
        let floor = NetworkFloor { host: "a_b".to_owned(), p50: Some(21_000), received: 20, ..NetworkFloor::default() };
        assert!(of(floor.clone(), 0).contains("\nNetwork floor (ICMP echo to a\\_b): 21.0 µs median of 20.\n"));
        assert!(of(floor.clone(), testing::DELAY).contains("; the emulated delay is not in it."));
        let skipped = NetworkFloor { skipped: Some("no <right>".to_owned()), p50: None, ..floor };
        let text = of(skipped, 0);
        assert!(!text.contains("Network floor (") && text.contains("a\\_b: not measured: no &lt;right&gt;"), "{text}");
    }

    #[test]
    fn a_search_shows_its_findings_and_nothing_that_takes_one_load_for_granted() {
        let text = page(&View::of(&testing::capacity()), &[("a.svg", "a title".to_owned())]);
        assert!(!text.contains("## The claims") && !text.contains("## Cost"), "{text}");
        let (search, _) = text.split_once("\n## Counts").unwrap();
        insta::assert_snapshot!(search);
    }

    #[test]
    fn agents_have_a_table_of_their_own() {
        let text = page(&View::of(&testing::fleet()), &[]);
        let (_, agents) = text.split_once("\n## Agents\n").unwrap();
        let (agents, _) = agents.split_once("\n## ").unwrap();
        insta::assert_snapshot!(agents);
        assert!(text.contains("| machines | 3 agents; "), "{text}");
        assert!(
            !page(&View::of(&testing::document()), &[]).contains("gents"),
            "where there are none, nothing speaks of them"
        );
        assert!(job_summary(&testing::fleet()).contains("<summary>Agents</summary>"));
    }

    #[test]
    fn markup_from_outside_is_shown_and_never_obeyed() {
        assert_eq!(escape("a|b\n<img src=x> [x](y) *z*"), "a\\|b &lt;img src=x&gt; \\[x\\](y) \\*z\\*");
        assert_eq!(escape("@everyone"), "@<!-- -->everyone");
        let mut document = testing::document();
        document.cells[0].arm = "x | y\n# z".into();
        document.meta.host.cpu_model = "</td><script>".into();
        let text = page(&View::of(&document), &[]);
        assert!(!text.contains("<script") && !text.contains("\n# z"));
        let widths = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| x \\| y")).collect();
        assert!(rows.len() >= 3 && widths(rows[0]) == 12, "{rows:?}");
    }
}
