//! Two runs held against each other: the verdict, and the exit code that CI goes by.

use super::harness::Bench;
use std::fs;
use std::path::Path;
use wsbench::measure::{Histograms, Metric};
use wsbench::result::{Document, DuetSide, Finding, Half, Trial};
use wsbench::verdict::{Comparison, Verdict};

const ECHO: &str = "[workload.echo]\n[load]\nsessions = 2\nrate = \"100/s\"\nwarmup = \"20ms\"\nduration = \"200ms\"\n\
                    trials = 2\n[transports.tcp]\n";

/// Ten trials of one arm, `factor` × 20 ms each, give or take `noise`.
fn run_of(factor: f64, noise: f64, seed: u64) -> Document {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/result-v1.json");
    let mut document = Document::load(&path).unwrap();
    document.cells.truncate(1);
    let cell = &mut document.cells[0];
    let mut template = cell.trials.remove(0);
    template.outcome.intervals.clear();
    let trial = |block: u32| {
        let unit = wsbench::seed::mix(seed, block.into()) as f64 / u64::MAX as f64;
        let factor = factor * (1.0 + noise * (2.0 * unit - 1.0));
        let mut histograms = Histograms::default();
        (0..2_000u64).for_each(|n| histograms.record(Metric::ResponseTime, ((20e6 + n as f64 * 1e3) * factor) as u64));
        let mut trial = Trial { block, ..template.clone() };
        trial.outcome.histograms = histograms;
        trial.target.as_mut().unwrap().usage.cpu_nanos = (1e9 * factor) as u64;
        trial
    };
    cell.trials = (0..10).map(trial).collect();
    document
}

fn untrusted(document: &mut Document) {
    let finding = Finding { code: "late-sends".into(), message: "sent late".into(), advice: "wait".into() };
    document.cells[0].trials.iter_mut().for_each(|trial| trial.invalid.push(finding.clone()));
}

/// A folder with `base.json` and `new.json`.
fn bench(base: &Document, new: &Document) -> Bench {
    let bench = Bench::new(ECHO);
    base.save(&bench.path().join("base.json")).unwrap();
    new.save(&bench.path().join("new.json")).unwrap();
    bench
}

#[test]
fn a_regression_is_96_with_its_wording_and_its_files() {
    let bench = bench(&run_of(1.0, 0.01, 1), &run_of(1.12, 0.01, 2));
    let ran = bench.say(&["compare", "base.json", "new.json", "-o", "out"]).with_code(96);
    let line = ran.stdout.lines().find(|line| line.contains("p99")).unwrap();
    assert!(line.starts_with("REGRESSION chat/websocket p99 +1"), "{line}");
    assert!(line.contains(" % [95 % CI +") && line.contains("] adj-p<0.001 n=10+10 trials  2"), "{line}");
    assert!(ran.stdout.contains("\n\nREGRESSION: 3 of 5 gated rows\nout/comparison.html\n"), "{}", ran.stdout);
    assert!(ran.out.join("comparison.html").exists());
    assert!(ran.stdout.contains("drift"), "{}", ran.stdout);
    let written = fs::read_to_string(ran.out.join("comparison.json")).unwrap();
    let comparison: Comparison = serde_json::from_str(&written).unwrap();
    assert_eq!((comparison.verdict, comparison.base.name.as_str()), (Verdict::Regression, "base.json"));
    let of = |file: &str| fs::read_to_string(ran.out.join(file)).unwrap();
    assert!(of("comparison.md").starts_with("## ✗ REGRESSION: "), "{}", of("comparison.md"));
    assert!(of("junit.xml").contains("<failure type=\"REGRESSION\" message=\"REGRESSION chat/websocket p99 +1"));
    assert!(of("comparison.html").contains("<svg") && of("charts/comparison-effects.svg").contains("REGRESSION"));
    bench.say(&["compare", "base.json", "new.json", "-o", "out"]).with_code(1);
}

#[test]
fn a_target_that_failed_in_trials_of_the_new_run_alone_is_96() {
    let mut new = run_of(1.0, 0.01, 2);
    new.cells[0].trials[..4].iter_mut().for_each(|trial| trial.failure = Some("every session had ended".into()));
    new.aborted = Some("errors == 0 was broken".to_owned());
    let bench = bench(&run_of(1.0, 0.01, 1), &new);
    let ran = bench.say(&["compare", "base.json", "new.json", "-o", "out"]).with_code(96);
    assert!(ran.stdout.contains("failed-trials n=10+10 trials  0 of 10 → 4 of 10\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nREGRESSION: 1 of 6 gated rows\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("note: new.json ended early: errors == 0 was broken\n"), "{}", ran.stdout);
    let of = |file: &str| fs::read_to_string(ran.out.join(file)).unwrap();
    assert!(of("comparison.md").contains("0 of 10 → 4 of 10"), "{}", of("comparison.md"));
    let fixed = bench.say(&["compare", "new.json", "base.json"]).with_code(0);
    assert!(fixed.stdout.contains("\nINCONCLUSIVE: 1 of 6 gated rows\n"), "{}", fixed.stdout);
}

#[test]
fn an_improvement_and_no_change_are_0() {
    let bench = bench(&run_of(1.0, 0.01, 1), &run_of(1.0, 0.01, 2));
    run_of(0.8, 0.01, 3).save(&bench.path().join("fast.json")).unwrap();
    let same = bench.say(&["compare", "base.json", "new.json", "--strict"]).with_code(0);
    assert!(same.stdout.contains("\nNO CHANGE: 5 of 5 gated rows\n"), "{}", same.stdout);
    let faster = bench.say(&["compare", "base.json", "fast.json", "--strict"]).with_code(0);
    assert!(faster.stdout.contains("\nIMPROVEMENT: 3 of 5 gated rows\n"), "{}", faster.stdout);
}

#[test]
fn what_cant_be_told_is_0_unless_that_is_asked_to_fail() {
    let bench = bench(&run_of(1.0, 0.5, 1), &run_of(1.0, 0.5, 2));
    let ran = bench.say(&["compare", "base.json", "new.json"]).with_code(0);
    assert!(ran.stdout.contains("could have been seen"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nINCONCLUSIVE: "), "{}", ran.stdout);
    bench.say(&["compare", "base.json", "new.json", "--strict"]).with_code(97);
    bench.say(&["compare", "base.json", "new.json", "--strict", "--metrics", "delivered-rate"]).with_code(0);
}

#[test]
fn runs_of_two_kinds_are_94_with_what_differs_unless_forced() {
    let mut new = run_of(1.12, 0.01, 2);
    new.meta.host.kernel = "9.9".to_owned();
    let bench = bench(&run_of(1.0, 0.01, 1), &new);
    let ran = bench.say(&["compare", "base.json", "new.json", "-o", "out"]).with_code(94);
    assert!(ran.stderr.contains("  kernel: 6.12.0 → 9.9\n") && ran.stderr.contains("--force"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty() && !ran.out.exists());
    let forced = bench.say(&["compare", "base.json", "new.json", "--force"]).with_code(96);
    assert!(forced.stdout.contains("differs: kernel: 6.12.0 → 9.9\n"), "{}", forced.stdout);
    let unknown = bench.say(&["compare", "base.json", "base.json", "--arms", "sse"]).with_code(2);
    assert!(unknown.stderr.contains("\"sse\"") && unknown.stderr.contains("websocket"), "{}", unknown.stderr);
}

#[test]
fn a_run_that_cant_be_trusted_is_95() {
    let mut new = run_of(1.12, 0.01, 2);
    untrusted(&mut new);
    let bench = bench(&run_of(1.0, 0.01, 1), &new);
    let ran = bench.say(&["compare", "base.json", "new.json"]).with_code(95);
    assert!(ran.stderr.contains("new.json") && ran.stderr.contains("sent late"), "{}", ran.stderr);
}

#[test]
fn what_cant_be_read_is_1() {
    let bench = bench(&run_of(1.0, 0.01, 1), &run_of(1.0, 0.01, 2));
    fs::write(bench.path().join("broken.json"), "{\"schema_version\": 1,").unwrap();
    let ran = bench.say(&["compare", "base.json", "broken.json"]).with_code(1);
    assert!(ran.stderr.contains("broken.json"), "{}", ran.stderr);
    let ran = bench.say(&["compare", "nowhere", "new.json"]).with_code(1);
    assert!(ran.stderr.contains("\"nowhere\"") && ran.stderr.contains("--save-baseline"), "{}", ran.stderr);
    fs::create_dir_all(bench.path().join("reports/baselines")).unwrap();
    run_of(1.0, 0.01, 1).save(&bench.path().join("reports/baselines/main.json")).unwrap();
    let ran = bench.say(&["compare", "mian", "new.json"]).with_code(1);
    assert!(ran.stderr.contains("has main"), "{}", ran.stderr);
    bench.say(&["compare", "main", "new.json"]).with_code(0);
    fs::create_dir(bench.path().join("report")).unwrap();
    run_of(1.0, 0.01, 1).save(&bench.path().join("report/result.json")).unwrap();
    bench.say(&["compare", "report", "new.json"]).with_code(0);
    // A file that is called so comes before the baseline of that name.
    run_of(1.12, 0.01, 3).save(&bench.path().join("main.json")).unwrap();
    bench.say(&["compare", "main", "main.json"]).with_code(96);
    fs::remove_file(bench.path().join("main.json")).unwrap();
    bench.say(&["compare", "main", "main.json"]).with_code(0);
    fs::create_dir(bench.path().join("empty")).unwrap();
    let ran = bench.say(&["compare", "empty", "new.json"]).with_code(1);
    assert!(ran.stderr.contains("empty holds no result.json"), "{}", ran.stderr);
}

#[test]
fn figures_that_no_run_has_are_not_judged() {
    let good = run_of(1.0, 0.01, 1);
    let bench = bench(&good, &good);
    let edited = |edit: &dyn Fn(&mut Document)| {
        let mut document = good.clone();
        edit(&mut document);
        document.save(&bench.path().join("new.json")).unwrap();
        bench.say(&["compare", "base.json", "new.json"]).with_code(1).stderr
    };
    let many = edited(&|document| document.cells[0].trials[3].outcome.measure.delivered = 1 << 63);
    assert!(many.contains("new.json: cells[0].trials[3].outcome.measure: the sums don't hold"), "{many}");
    let twice = edited(&|document| document.cells.push(document.cells[0].clone()));
    assert!(twice.contains("cells[1].arm"), "{twice}");
    assert!(edited(&|document| document.cells[0].load.rate = -1.0).contains("load.rate"));
}

#[test]
fn the_sides_of_a_duet_are_judged_as_the_pairs_that_they_are() {
    let (mut base, mut new) = (run_of(1.0, 0.3, 1), run_of(1.06, 0.3, 1));
    let side = |half| Some(DuetSide { id: "one duet".to_owned(), half });
    let bench = bench(&base, &new);
    // The same noise in both, which only pairs see through.
    bench.say(&["compare", "base.json", "new.json", "--strict"]).with_code(97);
    (base.duet, new.duet) = (side(Half::Base), side(Half::Candidate));
    for (half, document) in [("base", &base), ("candidate", &new)] {
        fs::create_dir_all(bench.path().join("duet").join(half)).unwrap();
        document.save(&bench.path().join("duet").join(half).join("result.json")).unwrap();
    }
    let ran = bench.say(&["compare", "duet/base", "duet/candidate"]).with_code(96);
    assert!(ran.stdout.contains("n=10 pairs") && !ran.stdout.contains("drift"), "{}", ran.stdout);
    assert!(ran.stderr.contains("two sides of one duet"), "{}", ran.stderr);
    let ran = bench.say(&["compare", "duet", "new.json"]).with_code(1);
    assert!(ran.stderr.contains("name duet/base or duet/candidate"), "{}", ran.stderr);
}

#[test]
fn where_no_row_counts_it_is_94_with_what_to_do() {
    let (mut base, mut new) = (run_of(1.0, 0.01, 1), run_of(1.3, 0.01, 2));
    for trial in base.cells[0].trials.iter_mut().chain(&mut new.cells[0].trials) {
        trial.target = None;
    }
    let bench = bench(&base, &new);
    let ran =
        bench.say(&["compare", "base.json", "new.json", "--metrics", "cpu-per-message", "-o", "out"]).with_code(94);
    assert!(ran.stdout.contains("\nNOT JUDGED: "), "{}", ran.stdout);
    assert!(ran.stderr.contains("nothing was judged") && ran.stderr.contains("--metrics"), "{}", ran.stderr);
    let of = |file: &str| fs::read_to_string(ran.out.join(file)).unwrap();
    assert!(of("comparison.md").starts_with("## ? NOT JUDGED: "), "{}", of("comparison.md"));
    assert!(of("junit.xml").contains("<error type=\"NOT JUDGED\""), "{}", of("junit.xml"));
}

#[test]
fn what_could_not_be_judged_is_told_before_the_run() {
    let bench = Bench::new(ECHO);
    let mut first = bench.run(&[]).well().document();
    first.cells[0].trials.iter_mut().for_each(|trial| trial.invalid.clear());
    first.save(&bench.path().join("base.json")).unwrap();
    fs::remove_dir_all(bench.path().join("out")).unwrap();
    // Twenty messages a trial.
    let ran = bench.run(&["--baseline", "base.json", "--metrics", "p99"]).with_code(94);
    assert!(
        ran.stderr.contains("nothing would be judged:\n  tcp p99: a trial has fewer than the 1000"),
        "{}",
        ran.stderr
    );
    assert_nothing_ran(&bench);
}

#[test]
fn scripts_get_the_comparison_and_nothing_else() {
    let bench = bench(&run_of(1.0, 0.01, 1), &run_of(1.12, 0.01, 2));
    let ran = bench.say(&["compare", "base.json", "new.json", "--format", "json", "--noise", "20%"]).with_code(0);
    let comparison: Comparison = serde_json::from_str(&ran.stdout).unwrap();
    // Twelve per cent are within a noise of twenty.
    assert_eq!((comparison.verdict, comparison.rules.noise), (Verdict::NoChange, 0.2));
    for (wrong, says) in [
        (["--alpha", "0"], "0.01% to 50%"),
        (["--alpha", "often"], "such as 5%"),
        (["--noise", "91%"], "0% to 90%"),
        (["--noise", "1000%"], "0% to 90%"),
        (["--metrics", "p98"], "framing-per-message"),
    ] {
        let ran = bench.say(&[&["compare", "base.json", "new.json"], &wrong[..]].concat()).with_code(2);
        assert!(ran.stderr.contains(says), "{wrong:?}: {}", ran.stderr);
    }
    bench.say(&["compare", "base.json", "new.json", "--metrics", "bytes-per-message"]).with_code(0);
}

/// Nothing was run: neither a report nor a folder for one.
fn assert_nothing_ran(bench: &Bench) {
    assert!(!bench.path().join("out").exists());
}

#[test]
fn a_baseline_that_is_missing_or_of_another_plan_stops_a_run_before_it_starts() {
    let bench = Bench::new(ECHO);
    let ran = bench.run(&["--baseline", "main"]).with_code(1);
    assert!(ran.stderr.contains("baseline") && ran.stderr.contains("\"main\""), "{}", ran.stderr);
    assert_nothing_ran(&bench);
    let baselines = bench.path().join("reports/baselines");
    fs::create_dir_all(&baselines).unwrap();
    fs::write(baselines.join("main.json"), "{}").unwrap();
    bench.run(&["--baseline", "main"]).with_code(1);
    assert_nothing_ran(&bench);

    let mut document = bench.say(&["run", "scenario.toml", "-o", "first"]).well().out;
    document.set_file_name("first");
    let first = Document::load(&document.join("result.json")).unwrap();
    let mut trusted = first.clone();
    trusted.cells[0].trials.iter_mut().for_each(|trial| trial.invalid.clear());
    trusted.save(&baselines.join("main.json")).unwrap();
    let ran = bench.run(&["--baseline", "main", "-c", "3"]).with_code(94);
    assert!(ran.stderr.contains("load.sessions of tcp: 2 → 3"), "{}", ran.stderr);
    assert_nothing_ran(&bench);
    untrusted(&mut trusted);
    trusted.save(&baselines.join("main.json")).unwrap();
    bench.run(&["--baseline", "main"]).with_code(95);
    assert_nothing_ran(&bench);
}

#[test]
fn a_run_is_judged_by_its_baseline_and_the_comparison_is_in_its_report() {
    let bench = Bench::new(ECHO);
    let kept = bench.path().join("reports/baselines/main.json");
    let first = bench.run(&["--save-baseline", "main"]).well();
    assert_eq!(kept.exists(), first.code == 0, "only a run that ended well is kept: {}", first.stderr);
    let mut document = first.document();
    document.cells[0].trials.iter_mut().for_each(|trial| trial.invalid.clear());
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    document.save(&kept).unwrap();
    let second = bench.say(&["run", "scenario.toml", "-o", "second", "--baseline", "main", "--save-baseline", "main"]);
    assert!(second.stderr.contains("hint: the baseline has 2 trials an arm"), "{}", second.stderr);
    let is_kept = Document::load(&kept).unwrap().meta.started != document.meta.started
        || second.stderr.contains("in the place of the run of ");
    match second.code {
        // Two trials can't show anything.
        0 => {
            assert!(second.stdout.contains("\nINCONCLUSIVE: ") && second.stdout.contains("too few trials"));
            assert!(is_kept, "{}", second.stderr);
            let json = fs::read_to_string(bench.path().join("second/comparison.json")).unwrap();
            let comparison: Comparison = serde_json::from_str(&json).unwrap();
            assert_eq!((comparison.base.name.as_str(), comparison.new.name.as_str()), ("main", "second"));
        }
        95 => assert!(!is_kept && second.stderr.contains("not kept as baseline main"), "{}", second.stderr),
        code => panic!("{code}: {}", second.stderr),
    }
}

#[test]
fn a_verdict_is_said_although_an_export_failed() {
    let bench = Bench::new(ECHO);
    let mut document = bench.run(&[]).well().document();
    document.cells[0].trials.iter_mut().for_each(|trial| trial.invalid.clear());
    document.save(&bench.path().join("base.json")).unwrap();
    // There will be a folder of that name.
    let ran = ["--baseline", "base.json", "--save-baseline", "main", "--export", "junit=second/charts"];
    let ran = bench.say(&[&["run", "scenario.toml", "-o", "second"], &ran[..]].concat()).with_code(1);
    assert!(ran.stderr.contains("second/charts"), "{}", ran.stderr);
    assert!(ran.stderr.contains("not kept as baseline main"), "{}", ran.stderr);
    // Where every trial was INVALID there is nothing but the reason.
    let is_judged = ran.stdout.contains("gated rows\n") && bench.path().join("second/comparison.json").exists();
    assert!(is_judged || ran.stderr.contains("can be trusted"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_run_that_did_not_end_well_replaces_no_baseline() {
    let bench = Bench::new(ECHO);
    let kept = bench.path().join("reports/baselines/main.json");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(&kept, "what was there").unwrap();
    let ran = bench.run(&["--target", "tcp=tcp://127.0.0.1:1", "--save-baseline", "main"]).with_code(1);
    assert!(ran.stderr.contains("not kept as baseline main"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "what was there");
    bench.run(&["--save-baseline", "../main"]).with_code(2);
    let ran = bench.say(&[
        "run",
        "scenario.toml",
        "-o",
        "second",
        "--target",
        "tcp=tcp://127.0.0.1:1",
        "--save-baseline",
        "main.json",
    ]);
    assert!(ran.stderr.contains("not kept as baseline main, "), "{}", ran.stderr);
}
