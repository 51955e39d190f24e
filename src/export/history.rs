//! Many runs over time as files: `summary.md`, `history.csv`, and a chart for each group and metric.

use super::intervals::field;
use super::markdown::{escape, table};
use super::names::file_names;
use super::{ExportError, File};
use crate::chart::{draw, history_charts, show};
use crate::result::write_atomically;
use crate::verdict::Metric;
use crate::verdict::history::{Change, FEWEST, Group, Series};
use std::fmt::Write as _;
use std::path::Path;

/// Writes all of it into `folder`.
///
/// # Errors
/// The first file that can't be drawn or written; those before it stay.
pub fn write_history(groups: &[Group], folder: &Path) -> Result<(), ExportError> {
    let charts = folder.join("charts");
    std::fs::create_dir_all(&charts).map_err(|source| ExportError::Folder { path: charts, source })?;
    let names = file_names(groups.iter().map(|group| group.name.as_str()));
    let mut files = vec![File::new("history.csv", history_csv(groups))];
    let mut text = String::from("# History\n");
    for (group, name) in groups.iter().zip(names) {
        let charts = history_charts(group);
        text += &section(group, &charts.iter().map(|(metric, _)| format!("{name}-{metric}")).collect::<Vec<_>>());
        for (metric, chart) in &charts {
            files.push(File::new(format!("charts/{name}-{metric}.svg"), draw(chart)?));
        }
    }
    text += HOW_TO_READ;
    files.push(File::new("summary.md", text));
    for file in files {
        write_atomically(&folder.join(file.path), &file.bytes)?;
    }
    Ok(())
}

const HOW_TO_READ: &str = "
## How to read this

A run is the median of its valid trials. Runs stand together that can be held against each other: the same scenario and
resolved plan, and the same machine. A change is a place where the ranks before and after differ by more than chance makes of
so many places to cut (exact rank-sum test, two-sided, 5 % for each figure of each arm), and by at least 3 %. It is advice:
nothing controls what else changed in between. To know, run both revisions in turn.
";

fn section(group: &Group, charts: &[String]) -> String {
    let mut text = format!("\n## {}: {}\n\n{}", escape(&group.name), group.count(), escape(&group.host));
    let (first, last) = (group.runs.first(), group.runs.last());
    if let (Some(first), Some(last)) = (first, last) {
        let _ = writeln!(text, "; {} to {}", escape(&first.started), escape(&last.started));
    }
    if !group.differences.is_empty() {
        text += "\nNot comparable with the runs before:\n\n";
        for what in &group.differences {
            let _ = writeln!(text, "- {}: {} → {}", escape(&what.what), escape(&what.base), escape(&what.new));
        }
    }
    let notes = group.notes();
    if !notes.is_empty() {
        text += "\nNotes:\n\n";
        notes.iter().for_each(|note| text += &format!("- {}\n", escape(note)));
    }
    let header = ["arm", "metric", "runs", "first", "last", "changes"];
    let row = |series: &Series| HistoryRow::of(group, series).cells().iter().map(|cell| escape(cell)).collect();
    text += &table(&header, group.series.iter().map(row));
    for chart in charts {
        let _ = write!(text, "\n![{chart}](charts/{chart}.svg)\n");
    }
    text
}

/// A series in words.
pub struct HistoryRow {
    pub arm: String,
    pub metric: &'static str,
    pub runs: String,
    pub first: String,
    pub last: String,
    pub changes: String,
}

impl HistoryRow {
    pub fn of(group: &Group, series: &Series) -> HistoryRow {
        let shown = |value: Option<(usize, f64)>| value.map_or_else(String::new, |(_, v)| show(series.metric, v));
        let change = |change: &Change| {
            let run = &group.runs[change.run];
            let revision = run.git_revision.as_deref().map_or(String::new(), |revision| {
                format!(", revision {}", revision.chars().take(10).collect::<String>())
            });
            let (direction, p) = (if change.is_worse { "worse" } else { "better" }, change.p);
            format!("{} {direction} since {}{revision} (p {p:.4})", change.words(), run.started)
        };
        let changes: Vec<String> = series.changes.iter().map(change).collect();
        HistoryRow {
            arm: series.arm.clone(),
            metric: series.metric.name(),
            runs: series.present().count().to_string(),
            first: shown(series.present().next()),
            last: shown(series.present().last()),
            changes: match changes.is_empty() {
                true if series.present().count() < 2 * FEWEST => "too few runs to see any".to_owned(),
                true => "none seen".to_owned(),
                false => changes.join("; "),
            },
        }
    }

    pub fn cells(&self) -> [&str; 6] {
        [&self.arm, self.metric, &self.runs, &self.first, &self.last, &self.changes]
    }
}

/// A row for each run and a column for each figure of each arm, as Apache Otava's CSV importer reads them: groups are its
/// branches, since it compares no rows of two. A figure that a run lacks is left empty.
pub fn history_csv(groups: &[Group]) -> String {
    let mut columns: Vec<(&str, Metric)> = Vec::new();
    for series in groups.iter().flat_map(|group| &group.series) {
        if !columns.contains(&(&series.arm, series.metric)) {
            columns.push((&series.arm, series.metric));
        }
    }
    let mut text = String::from("time,branch,commit,version,run");
    for (arm, metric) in &columns {
        text += &format!(",{}", field(&format!("{arm}.{}", column(*metric))));
    }
    text += "\r\n";
    for group in groups {
        for (at, run) in group.runs.iter().enumerate() {
            let time = jiff::Timestamp::from_second(run.time).map_or(String::new(), |time| time.to_string());
            let commit = run.git_revision.as_deref().unwrap_or_default();
            let about = [&time, &group.name, commit, &run.wsbench_version, &run.file].map(field);
            text += &about.join(",");
            for (arm, metric) in &columns {
                let series = group.series.iter().find(|series| series.arm == *arm && series.metric == *metric);
                let value = series.and_then(|series| series.values[at]);
                text += &value.map_or(",".to_owned(), |value| format!(",{value}"));
            }
            text += "\r\n";
        }
    }
    text
}

/// A metric's name with its unit.
fn column(metric: Metric) -> &'static str {
    match metric {
        Metric::P50 => "p50_ns",
        Metric::P99 => "p99_ns",
        Metric::DeliveredRate => "delivered_per_s",
        Metric::CpuPerMessage => "cpu_ns_per_message",
        Metric::FramingPerMessage => "framing_bytes_per_message",
        Metric::FailedTrials => "failed_trials",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::history::{Run, groups};
    use crate::verdict::testing::run_of;

    fn two_groups() -> Vec<Group> {
        let run = |day: u32, kernel: &str, arm: &str| {
            let mut document = run_of(&[1.0]);
            document.meta.started = format!("2026-01-{day:02}T11:00:00+01:00");
            document.meta.host.kernel = kernel.to_owned();
            document.cells[0].arm = arm.to_owned();
            Run::of(format!("{day}/result.json"), document).unwrap()
        };
        let evil = "a,\"|<b>";
        groups(vec![run(1, "6.1", evil), run(2, "6.1", evil), run(3, "7.0|", evil)])
    }

    #[test]
    fn the_table_has_a_row_for_each_run_and_a_column_for_each_figure() {
        let text = history_csv(&two_groups());
        let rows: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(rows.len(), 5, "{text}");
        assert!(rows[0].starts_with("time,branch,commit,version,run,\"a,\"\"|<b>.p50_ns\",\"a,"), "{}", rows[0]);
        let name = &two_groups()[0].name;
        assert!(rows[1].starts_with(&format!("2026-01-01T10:00:00Z,{name},")), "{}", rows[1]);
        assert!(rows[3].contains(&format!(",{name}-2,")), "{}", rows[3]);
    }

    #[test]
    fn everything_is_written_and_what_came_from_outside_is_escaped() {
        let folder = tempfile::tempdir().unwrap();
        write_history(&two_groups(), folder.path()).unwrap();
        let summary = std::fs::read_to_string(folder.path().join("summary.md")).unwrap();
        assert!(summary.contains("kernel: 6.1 → 7.0\\|") && summary.contains("a,\"\\|&lt;b&gt;"), "{summary}");
        for link in summary.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(folder.path().join(link).is_file(), "{link}");
        }
        assert!(folder.path().join("history.csv").is_file());
    }
}
