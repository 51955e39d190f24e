//! `wsbench selftest`: what it finds, what it leaves, and who speaks of it.

use super::harness::Bench;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

const SCENARIO: &str = r#"
[workload.echo]
payload = "32B"
[load]
sessions = 5
rate = "100/s"
warmup = "0s"
duration = "200ms"
trials = 1
[transports.tcp]
"#;

/// A command whose certificate lands in the bench's own folder.
fn command(bench: &Bench, args: &[&str]) -> Command {
    let mut command = bench.command(args);
    command.env("XDG_STATE_HOME", bench.path());
    command
}

#[test]
fn what_is_counted_is_exact_and_later_results_mention_the_certificate() {
    let bench = Bench::new(SCENARIO);
    let usual = bench.path().join("wsbench/selftest.json");
    let certificate = bench.path().join("certificate.json");
    let asked = ["selftest", "--suite", "refusals", "--format", "json", "--out", "certificate.json"];
    let output = command(&bench, &asked).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = told["checks"].as_array().unwrap();
    assert!(checks.len() >= 15, "{checks:#?}");
    for check in checks {
        assert_eq!(check["verdict"], "pass", "{check:#}");
    }
    assert_eq!(output.status.code(), Some(0));

    let run = || command(&bench, &["run", "scenario.toml", "--no-charts", "-q"]).output().unwrap();
    let before = run();
    assert!(!before.stdout.is_empty());
    assert!(!usual.exists(), "it was asked for elsewhere");
    std::fs::create_dir(usual.parent().unwrap()).unwrap();
    std::fs::rename(&certificate, &usual).unwrap();
    run();
    let mut reports: Vec<_> =
        std::fs::read_dir(bench.path().join("reports")).unwrap().map(|entry| entry.unwrap().path()).collect();
    reports.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let result = |index: usize| -> Value {
        serde_json::from_slice(&std::fs::read(reports[index].join("result.json")).unwrap()).unwrap()
    };
    assert_eq!(result(0)["meta"]["selftest"], Value::Null);
    let mentioned = &result(1)["meta"]["selftest"];
    assert_eq!(mentioned["passed"].as_u64().unwrap() as usize, checks.len());
    let page = std::fs::read_to_string(reports[1].join("report.html")).unwrap();
    assert!(page.contains(&format!("{n} of {n} checks passed", n = checks.len())));
}

#[test]
fn an_unknown_suite_is_told_with_those_that_exist() {
    let ran = Bench::new("").say(&["selftest", "--suite", "stals"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("stalls"), "{}", ran.stderr);
}

#[test]
fn an_interrupt_ends_it_in_order_and_certifies_nothing() {
    let bench = Bench::new("");
    let mut child = command(&bench, &["selftest", "--suite", "delays", "--out", "certificate.json"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("delays"), "{line}");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105));
    said.read_to_string(&mut line).unwrap();
    assert!(line.contains("nothing is certified"), "{line}");
    assert!(!bench.path().join("certificate.json").exists());
}

#[test]
fn a_certificate_that_can_not_be_kept_is_told_before_anything_runs() {
    let bench = Bench::new("");
    let ran = bench.say(&["selftest", "--out", "/dev/null/certificate.json"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("/dev/null/certificate.json") && !ran.stderr.contains("testing"), "{}", ran.stderr);
}
