//! Whether a generator that was held back on purpose says so everywhere, and one whose target was held back doesn't.

use super::harness::{Bench, Ran, both_children_of, ran};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;
use wsbench::measure::Metric;

const LOAD: &str = "[workload.echo]\n[load]\nsessions = 10\nrate = \"500/s\"\nwarmup = \"100ms\"\nduration = \"4s\"\n\
                    trials = 1\n[transports.websocket]\n";
const STILL: Duration = Duration::from_millis(500);

enum Who {
    Worker,
    Target,
}

/// Runs the load, and stops one of its two processes for half a second in the measured window.
fn sabotaged(bench: &Bench, out: &str, who: &Who) -> Ran {
    let mut command = bench.command(&["run", "scenario.toml", "--out", out]);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (worker, target) = both_children_of(run.id());
    sleep(Duration::from_millis(1500));
    let victim = Pid::from_raw(match who {
        Who::Worker => worker,
        Who::Target => target,
    } as i32);
    kill(victim, Signal::SIGSTOP).unwrap();
    sleep(STILL);
    kill(victim, Signal::SIGCONT).unwrap();
    ran(run.wait_with_output().unwrap(), bench.path().join(out))
}

#[test]
fn a_worker_that_was_stopped_is_invalid_with_reason_and_advice_wherever_one_looks() {
    let bench = Bench::new(LOAD);
    let ran = sabotaged(&bench, "out", &Who::Worker).with_code(95);
    let document = ran.document();
    let trial = &document.cells[0].trials[0];
    assert!(!trial.is_valid());
    assert!(trial.outcome.standstill >= 450_000_000, "{} ns", trial.outcome.standstill);
    let codes: Vec<&str> = trial.invalid.iter().map(|finding| finding.code.as_str()).collect();
    assert!(codes.contains(&"standstill") && codes.contains(&"late-sends"), "{codes:?}");
    // The page escapes apostrophes.
    let read = |name: &str| fs::read_to_string(ran.out.join(name)).unwrap().replace("&#x27;", "'");
    let places = [
        ("result.json", read("result.json")),
        ("report.html", read("report.html")),
        ("summary.md", read("summary.md")),
        ("stdout", ran.stdout.clone()),
    ];
    for (place, text) in places {
        assert!(text.contains("INVALID") || place == "result.json", "{place}");
        for finding in &trial.invalid {
            assert!(text.contains(&finding.message), "{place} doesn't say: {}", finding.message);
            assert!(text.contains(&finding.advice), "{place} doesn't say: {}", finding.advice);
        }
    }
    assert!(ran.stderr.contains("INVALID"), "said as soon as the trial ends: {}", ran.stderr);
    assert_eq!(document.cells[0].summary().valid, 0);
    let again = bench.say(&["report", "out/result.json", "--out", "again"]).with_code(0);
    let page = fs::read_to_string(bench.path().join("again/report.html")).unwrap();
    assert!(page.contains("INVALID"), "{}", again.stdout);
}

#[test]
fn a_target_that_was_stopped_is_slow_and_the_trial_is_valid() {
    let bench = Bench::new(LOAD);
    let mut seen = Vec::new();
    // A machine that is busy may make a trial invalid for a reason of its own.
    for attempt in ["first", "second", "third", "fourth", "fifth", "sixth"] {
        let ran = sabotaged(&bench, attempt, &Who::Target).well();
        let document = ran.document();
        let trial = &document.cells[0].trials[0];
        let slowest = trial.outcome.histograms.get(Metric::ResponseTime).unwrap().max();
        assert!(slowest >= 450_000_000, "the stop shows in full: {slowest} ns");
        assert_eq!(ran.code == 95, !trial.invalid.is_empty());
        if trial.is_valid() {
            return;
        }
        seen.push(trial.invalid.clone());
    }
    panic!("a slow target was held against the generator: {seen:?}");
}
