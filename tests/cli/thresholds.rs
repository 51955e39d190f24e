//! What must hold of a run: by the scenario, by flags, between arms; and what happens when it doesn't.

use super::harness::{Bench, Ran};

const TWO: &str = "[workload.echo]\n[load]\nsessions = 4\nrate = \"400/s\"\nduration = \"1s\"\n\
                   [transports.tcp]\n[transports.websocket]\n";

fn with(thresholds: &str) -> Bench {
    Bench::new(&format!("thresholds = [{thresholds}]\n{TWO}"))
}

/// The line of the table that begins so.
fn row<'a>(ran: &'a Ran, start: &str) -> &'a str {
    let line = ran.stdout.lines().find(|line| line.trim_start().starts_with(start));
    line.unwrap_or_else(|| panic!("no line for {start} in\n{}", ran.stdout))
}

/// 99, or 95 where the machine was too busy: an invalid run comes first.
#[track_caller]
fn broken(ran: Ran) -> Ran {
    assert!(matches!(ran.code, 99 | 95), "exit code {}\n{}\n{}", ran.code, ran.stdout, ran.stderr);
    ran
}

#[test]
fn what_held_is_shown_and_what_is_not_chosen_is_void() {
    let bench = with("\"tcp: max < 1h\", 'errors == 0', \"websocket: reach < 10%\"");
    let ran = bench.run(&["-q", "--transport", "tcp", "--threshold", "reach >= 0.1,connections == 1"]);
    // A machine that is too busy has no valid trial, of which nothing can be told.
    if ran.code == 95 {
        return;
    }
    let ran = ran.with_code(0);
    for held in ["tcp: max < 1h", "errors == 0", "reach >= 10%", "connections == 1"] {
        assert!(row(&ran, held).ends_with("held"), "{}", ran.stdout);
    }
    let void = row(&ran, "websocket: reach < 10%");
    assert!(void.ends_with("void") && void.contains("websocket did not run"), "{void}");
    let summary = std::fs::read_to_string(ran.out.join("summary.md")).unwrap();
    assert!(summary.contains("## Thresholds"), "{summary}");
    assert!(std::fs::read_to_string(ran.out.join("report.html")).unwrap().contains("<h2>Thresholds</h2>"));
    assert_eq!(ran.document().thresholds.len(), 5);
}

#[test]
fn a_broken_one_is_99_with_what_was_measured_and_redrawn_from_the_result() {
    let bench = with("\"tcp: p50 < 1ns\", \"p99.9 < 1h\", \"websocket.p50 <= 0.0001 * tcp.p50\"");
    let ran = broken(bench.run(&[]));
    assert!(ran.stderr.contains("warning: `p99.9 < 1h`: 100000 samples are needed"), "{}", ran.stderr);
    assert!(row(&ran, "p99.9 < 1h").ends_with("NOT MEASURABLE"), "{}", ran.stdout);
    if ran.code == 99 {
        assert!(row(&ran, "tcp: p50 < 1ns").ends_with("BROKEN"), "{}", ran.stdout);
        assert!(row(&ran, "websocket.p50 <= 0.0001 * tcp.p50").ends_with("BROKEN"), "{}", ran.stdout);
    }
    let summary = std::fs::read(ran.out.join("summary.md")).unwrap();
    std::fs::remove_file(ran.out.join("summary.md")).unwrap();
    bench.say(&["report", "out/result.json"]).with_code(0);
    assert_eq!(std::fs::read(ran.out.join("summary.md")).unwrap(), summary);
}

#[test]
fn json_has_each_arms_thresholds() {
    let ran = broken(with("\"p50 < 1ns\", \"tcp: connections == 1\"").run(&["-q", "--format", "json"]));
    let arms = ran.json();
    let of = |arm: usize| arms[arm]["thresholds"].as_array().unwrap().clone();
    assert_eq!((of(0).len(), of(1).len()), (2, 1));
    assert_eq!((&of(0)[0]["threshold"], &of(0)[0]["limit"]), (&"p50 < 1ns".into(), &1.0.into()));
    assert_ne!(of(0)[0]["outcome"], "held");
}

#[test]
fn one_that_is_to_end_the_run_ends_it() {
    let bench = Bench::new(&format!(
        "thresholds = [\"reach > 0\", {{ hold = \"errors == 0\", abort = true }}]\n\
         [target.embedded.oracle]\nrefuse = 2\n{}",
        TWO.replace("duration = \"1s\"", "duration = \"200ms\"\ntrials = 4")
    ));
    let ran = broken(bench.run(&["-q"]));
    let document = ran.document();
    let trials: Vec<_> = document.cells.iter().flat_map(|cell| &cell.trials).collect();
    // Trials in which this machine was too busy are no evidence; the first that is one ends it.
    let valid = trials.iter().filter(|trial| trial.invalid.is_empty()).count();
    assert!(valid <= 1, "{valid} valid trials");
    assert!(!document.partial);
    if trials.len() < 8 {
        assert_eq!(valid, 1);
        let why = document.aborted.expect("why it ended");
        assert!(why.starts_with("`errors == 0` was broken by "), "{why}");
        assert!(ran.stdout.contains(&format!("ABORTED: {why}")), "{}", ran.stdout);
        assert!(std::fs::read_to_string(ran.out.join("summary.md")).unwrap().contains("Aborted: "));
    }
}

#[test]
fn a_mistake_is_pointed_at_inside_the_text() {
    for (entry, place, said) in [
        ("\"tcp: p98 < 5ms\"", "scenario.toml:1:21", "did you mean `p9"),
        ("{ hold = 'errors = 0' }", "scenario.toml:1:32", "write `==`"),
        ("\"tpc: p99 < 5ms\"", "scenario.toml:1:16", "did you mean `tcp`?"),
        ("\"tcp.p99 < tpc.p99\"", "scenario.toml:1:26", "did you mean `tcp`?"),
        ("\"p99 last-receipt < 5ms\"", "scenario.toml:1:16", "one receiver"),
        ("\"errors.refusd == 0\"", "scenario.toml:1:16", "did you mean `refused`?"),
        ("{ hold = 'errors == 0', abrt = true }", "scenario.toml:1:39", "did you mean `abort`?"),
        ("5", "scenario.toml:1:15", "not a threshold in quotes or a table"),
    ] {
        let bench = with(entry);
        for command in ["run", "check"] {
            let ran = bench.say(&[command, "scenario.toml"]).with_code(104);
            assert!(ran.stderr.contains(place) && ran.stderr.contains(said), "{entry}\n{}", ran.stderr);
        }
    }
}

#[test]
fn a_mistake_in_a_flag_is_2_and_so_is_an_unknown_arm_in_it() {
    let bench = with("");
    let ran = bench.run(&["--threshold", "tcp: p98 < 5ms"]).with_code(2);
    assert!(ran.stderr.contains("column 6") && ran.stderr.contains("did you mean `p9"), "{}", ran.stderr);
    let ran = bench.run(&["--threshold", "tpc: p99 < 5ms"]).with_code(2);
    assert!(ran.stderr.contains("--threshold: the scenario has no arm `tpc`"), "{}", ran.stderr);
    let ran = bench.run(&["--threshold", "tcp: cpu < 5ms", "--transport", "tcp", "--target", "tcp=tcp://127.0.0.1:1"]);
    assert!(ran.with_code(2).stderr.contains("can't be seen"));
    let ran = bench.say(&["capacity", "scenario.toml", "--slo", "p99 < 1s", "--threshold", "errors == 0"]);
    assert!(ran.with_code(2).stderr.contains("--slo"));
}

#[test]
fn a_check_shows_what_must_hold_and_what_is_void() {
    let bench = with("\"tcp: p50 < 50ms\", { hold = \"errors == 0\", abort = true }");
    let ran = bench.say(&["check", "scenario.toml", "--transport", "websocket"]).with_code(0);
    for shown in ["tcp: p50 < 50ms   (void: tcp does not run)", "errors == 0   (ends the run)"] {
        assert!(ran.stdout.contains(shown), "{}", ran.stdout);
    }
}
