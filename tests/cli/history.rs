//! Many saved runs over time.

use super::harness::Bench;
use wsbench::result::{Document, DuetSide, Half};

const ECHO: &str = "[workload.echo]\n[load]\nsessions = 2\nrate = \"200/s\"\nduration = \"300ms\"\n[transports.tcp]\n";

/// So many days' results, made of one run: CPU a message grows by half on the fifth day.
fn days(bench: &Bench, days: u32) {
    let measured = (0..5).map(|_| bench.say(&["run", "scenario.toml", "-q", "-o", "out"])).find_map(|ran| {
        let document = ran.document();
        std::fs::remove_dir_all(&ran.out).unwrap();
        (ran.code == 0).then_some(document)
    });
    let measured = measured.expect("a valid run in five");
    for day in 0..days {
        let mut document = measured.clone();
        document.meta.started = format!("2026-01-{:02}T10:00:00+00:00", day + 1);
        document.meta.git_revision = Some(format!("{day:040x}"));
        let usage = &mut document.cells[0].trials[0].target.as_mut().unwrap().usage;
        usage.cpu_nanos = if day < 4 { 1_000_000 } else { 1_500_000 } + u64::from(day);
        save(bench, &format!("reports/day-{day}/result.json"), &document);
    }
}

fn save(bench: &Bench, path: &str, document: &Document) {
    let path = bench.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    document.save(&path).unwrap();
}

#[test]
fn a_change_is_shown_with_the_run_that_brought_it_and_damaged_files_are_skipped() {
    let bench = Bench::new(ECHO);
    days(&bench, 8);
    std::fs::create_dir(bench.path().join("reports/broken")).unwrap();
    std::fs::write(bench.path().join("reports/broken/result.json"), "{").unwrap();
    let mut other = Document::load(&bench.path().join("reports/day-7/result.json")).unwrap();
    other.meta.host.kernel = "another".to_owned();
    save(&bench, "reports/elsewhere/deep/result.json", &other);
    let ran = bench.say(&["history", "reports", "--csv", "all.csv", "-o", "drawn"]).with_code(0);
    assert!(ran.stderr.contains("skipped: reports/broken/result.json is not a wsbench result: "), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("reports/broken").count(), 1, "{}", ran.stderr);
    let cpu = ran.stdout.lines().find(|line| line.contains("cpu-per-message")).unwrap();
    assert!(cpu.contains("+50.0 % worse since 2026-01-05") && cpu.contains("revision 0000000000"), "{cpu}");
    assert!(ran.stdout.contains("not comparable with the runs before: kernel: "), "{}", ran.stdout);
    let csv = std::fs::read_to_string(bench.path().join("all.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 9);
    assert_eq!(csv, std::fs::read_to_string(bench.path().join("drawn/history.csv")).unwrap());
    for file in ["summary.md", "charts/scenario-cpu-per-message.svg", "charts/scenario-2-p50.svg"] {
        assert!(bench.path().join("drawn").join(file).is_file(), "{file}");
    }
}

#[test]
fn json_has_every_run_once_and_every_change() {
    let bench = Bench::new(ECHO);
    days(&bench, 8);
    let ran =
        bench.say(&["history", "reports", "reports/day-0", "reports/day-0/result.json", "nowhere", "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&ran.with_code(0).stdout).unwrap();
    let group = &shown["groups"][0];
    assert_eq!(group["runs"].as_array().unwrap().len(), 8);
    let series = group["series"].as_array().unwrap();
    let cpu = series.iter().find(|series| series["metric"] == "cpu-per-message").unwrap();
    assert_eq!((&cpu["changes"][0]["run"], &cpu["changes"][0]["is_worse"]), (&4.into(), &true.into()));
    assert_eq!(shown["skipped"][0]["file"], "nowhere");
}

#[test]
fn of_duets_only_the_candidates_count_and_partial_runs_are_named() {
    let bench = Bench::new(ECHO);
    days(&bench, 2);
    let mut document = Document::load(&bench.path().join("reports/day-1/result.json")).unwrap();
    document.partial = true;
    for (half, name) in [(Half::Base, "base"), (Half::Candidate, "candidate")] {
        document.duet = Some(DuetSide { id: "d".to_owned(), half });
        save(&bench, &format!("reports/duet/{name}/result.json"), &document);
    }
    let ran = bench.say(&["history", "reports", "-o", "drawn"]).with_code(0);
    assert!(ran.stdout.contains("scenario: 3 runs"), "{}", ran.stdout);
    assert!(ran.stdout.contains("note: reports/duet/candidate/result.json is partial"), "{}", ran.stdout);
    assert!(ran.stderr.contains("left out: reports/duet/base/result.json: it is the base of a duet"), "{}", ran.stderr);
    let summary = std::fs::read_to_string(bench.path().join("drawn/summary.md")).unwrap();
    assert!(summary.contains("- reports/duet/candidate/result.json is partial"), "{summary}");
}

#[test]
fn nothing_to_show_is_1() {
    let bench = Bench::new(ECHO);
    std::fs::write(bench.path().join("x.json"), "[]").unwrap();
    let ran = bench.say(&["history", "x.json"]).with_code(1);
    assert!(ran.stderr.contains("skipped: x.json is") && ran.stderr.contains("there is no result"), "{}", ran.stderr);
    bench.say(&["history"]).with_code(2);
}
