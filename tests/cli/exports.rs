//! `--export`: a result in the formats of other tools.

use super::harness::Bench;
use std::fs;

const TINY: &str = "[workload.echo]\n[load]\nsessions = 5\nrate = \"100/s\"\nwarmup = \"50ms\"\nduration = \"200ms\"\n\
                    trials = 1\n[transports.websocket]\n";

#[test]
fn a_run_and_a_saved_result_leave_the_same_in_every_format() {
    let bench = Bench::new(TINY);
    let formats = ["junit", "github-smaller", "github-bigger", "prometheus"];
    let asked = |at: &str| formats.map(|format| format!("{format}={at}{format}")).join(",");
    bench.run(&["-q", "--export", &asked("out/"), "--export", "github-summary=page.md"]).well();
    let report = bench.say(&["report", "out/result.json", "--export", &asked("")]).with_code(0);
    assert!(report.stdout.contains("wrote junit\n") && !report.stdout.contains("report.html"), "{}", report.stdout);
    for format in formats {
        let read = |path: String| fs::read_to_string(bench.path().join(path)).unwrap();
        assert_eq!(read(format!("out/{format}")), read(format.to_owned()), "{format}");
    }
    assert!(fs::read_to_string(bench.path().join("page.md")).unwrap().starts_with("## scenario: "));
}

#[test]
fn a_file_that_can_not_be_written_is_told_before_anything_runs() {
    let bench = Bench::new(TINY);
    let ran = bench.run(&["--export", "junit=no/where.xml"]).with_code(1);
    assert!(ran.stderr.contains("--export junit: there is no folder no"), "{}", ran.stderr);
    assert!(!bench.path().join("out/result.json").exists());
    let ran = bench.run(&["--export", "xml=a"]).with_code(2);
    assert!(ran.stderr.contains("github-summary  Markdown, appended"), "{}", ran.stderr);
}
