//! `wsbench duet`: two servers against each other, and nothing left of them afterwards.

use super::harness::{Bench, Ran, ran};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;
use wsbench::result::Document;
use wsbench::verdict::{Comparison, Design, Verdict};

/// Trials of a third of a second.
const SHORT: &str = "[workload.echo]\n[load]\nsessions = 4\nrate = \"200/s\"\nwarmup = \"50ms\"\nduration = \"300ms\"\n\
                     drain = \"300ms\"\n[transports.websocket]\n";
const PROGRAM: &str = env!("CARGO_BIN_EXE_wsbench");

/// A command that leaves its process group's id in `name.pid` and answers after `delay`.
fn server(name: &str, delay: &str) -> String {
    format!(
        "echo $$ > {name}.pid; {PROGRAM} serve --open --websocket {{port}} --oracle 'reply_delay=constant({delay})'"
    )
}

fn group(bench: &Bench, name: &str) -> Pid {
    let text = std::fs::read_to_string(bench.path().join(format!("{name}.pid"))).unwrap();
    Pid::from_raw(text.trim().parse().unwrap())
}

#[track_caller]
fn assert_gone(bench: &Bench, name: &str) {
    assert!(killpg(group(bench, name), None).is_err(), "something of the {name}'s group still runs");
}

fn args<'a>(base: &'a str, candidate: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let flags = ["duet", "scenario.toml", "--base", base, "--candidate", candidate, "--url", "/echo", "--out", "out"];
    [&flags, more].concat()
}

/// Again where the machine was too busy to trust the trials, which these tests don't judge.
fn duet(base: &str, candidate: &str, more: &[&str]) -> (Bench, Ran) {
    let once = || {
        let bench = Bench::new(SHORT);
        let ran = bench.say(&args(base, candidate, more));
        (bench, ran)
    };
    let (mut bench, mut ran) = once();
    for _ in 0..3 {
        if ran.code == 95 {
            (bench, ran) = once();
        }
    }
    (bench, ran)
}

fn half(ran: &Ran, name: &str) -> Document {
    Document::load(&ran.out.join(name).join("result.json")).unwrap()
}

/// The blocks of the trials that can be trusted.
fn blocks(document: &Document) -> Vec<u32> {
    document.cells[0].trials.iter().filter(|trial| trial.is_valid()).map(|trial| trial.block).collect()
}

#[test]
fn a_slower_candidate_is_a_regression_and_nothing_is_left_of_either() {
    let more = ["--pairs", "6", "--metrics", "p50"];
    let (bench, ran) = duet(&server("base", "20ms"), &server("candidate", "30ms"), &more);
    let ran = ran.with_code(96);
    let text = std::fs::read_to_string(ran.out.join("comparison.json")).unwrap();
    let comparison: Comparison = serde_json::from_str(&text).unwrap();
    assert_eq!((comparison.design, comparison.verdict), (Design::Paired, Verdict::Regression));
    let ratio = comparison.rows[0].effect.unwrap().ratio;
    assert!((1.3..1.7).contains(&ratio), "30 ms to 20 ms is half as much again: {ratio}");
    assert!(ran.stdout.contains("REGRESSION echo/websocket p50 +"), "{}", ran.stdout);
    let (base, candidate) = (half(&ran, "base"), half(&ran, "candidate"));
    let pairs = blocks(&base).into_iter().filter(|block| blocks(&candidate).contains(block)).count();
    assert_eq!(pairs, 6);
    assert_eq!(base.seed, candidate.seed);
    // Each went first thrice.
    let firsts = base.cells[0].trials.iter().filter(|trial| trial.place == 0).count();
    assert!(pairs != base.cells[0].trials.len() || firsts == 3, "{firsts}");
    assert_gone(&bench, "base");
    assert_gone(&bench, "candidate");
    for name in ["base", "candidate"] {
        let log = std::fs::read_to_string(ran.out.join(name).join("server.log")).unwrap();
        let port = log.split_once("ws://127.0.0.1:").unwrap().1.split('/').next().unwrap();
        TcpListener::bind(("127.0.0.1", port.parse().unwrap())).expect("the port is free again");
    }
}

#[test]
fn the_same_twice_is_no_regression_and_each_may_be_started_for_every_trial() {
    let same = server("same", "20ms");
    let (_bench, ran) = duet(&same, &same, &["--pairs", "3", "--metrics", "p50", "--restart", "--format", "json"]);
    let ran = ran.with_code(0);
    let comparison: Comparison = serde_json::from_str(&ran.stdout).unwrap();
    assert_ne!(comparison.verdict, Verdict::Regression);
    for name in ["base", "candidate"] {
        let log = std::fs::read_to_string(ran.out.join(name).join("server.log")).unwrap();
        assert_eq!(log.matches("ready;").count(), half(&ran, name).cells[0].trials.len(), "{log}");
    }
}

#[test]
fn a_command_that_dies_is_told_with_its_last_words() {
    let bench = Bench::new(SHORT);
    let ran = bench.say(&args(&server("base", "1ms"), "echo no database >&2; exit 3", &[])).with_code(1);
    assert!(ran.stderr.contains("candidate: `echo no database"), "{}", ran.stderr);
    assert!(ran.stderr.contains("exit status: 3") && ran.stderr.contains("\n  no database"), "{}", ran.stderr);
    assert_gone(&bench, "base");
}

#[test]
fn a_command_that_never_listens_is_told_and_ended() {
    let bench = Bench::new(SHORT);
    let deaf = "echo $$ > deaf.pid; (sleep 600; true) & sleep 600";
    let ran = bench.say(&args(deaf, &server("candidate", "1ms"), &["--ready-within", "300ms"])).with_code(1);
    assert!(ran.stderr.contains("not ready within 300ms") && ran.stderr.contains("{port}"), "{}", ran.stderr);
    assert_gone(&bench, "deaf");
}

#[test]
fn a_server_that_dies_midway_ends_the_duet_and_keeps_what_was_measured() {
    let bench = Bench::new(SHORT);
    let mortal = format!("exec timeout 3 {PROGRAM} serve --open --websocket $PORT");
    let ran = bench.say(&args(&server("base", "1ms"), &mortal, &["--pairs", "60"])).with_code(1);
    assert!(ran.stderr.contains("candidate: ") && ran.stderr.contains("timeout 3"), "{}", ran.stderr);
    assert!(half(&ran, "base").partial && !half(&ran, "base").cells[0].trials.is_empty());
    assert_gone(&bench, "base");
}

#[test]
fn what_is_typed_wrong_is_told_before_anything_is_started() {
    let bench = Bench::new(SHORT);
    let fine = server("fine", "1ms");
    let wrong: [(&str, &[&str], &str); 6] = [
        ("htp://127.0.0.1:1/", &[], "--base: "),
        ("tcp://127.0.0.1:1", &[], "no tcp:// URL leads to"),
        ("./server {port:tcp", &[], "write {port}"),
        (" ", &[], "--base: write a URL, or a command"),
        (&fine, &["--trials", "3"], "--pairs"),
        (&fine, &["--url", "tcp=/"], "no arm `tcp` is run; those that are: websocket"),
    ];
    for (base, more, says) in wrong {
        let ran = bench.say(&args(base, &fine, more)).with_code(2);
        assert!(ran.stderr.contains(says), "{base}: {}", ran.stderr);
        assert!(!ran.out.exists() && !bench.path().join("fine.pid").exists());
    }
    let typo = bench.say(&args("ws//127.0.0.1:9001", &fine, &[])).with_code(1);
    assert!(typo.stderr.contains("base: `ws//127.0.0.1:9001` ended (exit status: 127)"), "{}", typo.stderr);
}

#[test]
fn a_url_where_nobody_listens_is_no_regression() {
    let bench = Bench::new(SHORT);
    let ran = bench.say(&args("ws://127.0.0.1:1/", &server("candidate", "1ms"), &[])).with_code(1);
    assert!(ran.stderr.contains("base: websocket: no session could be opened"), "{}", ran.stderr);
    assert_gone(&bench, "candidate");
}

/// A duet that would go on for minutes, from the moment when its first trial has been saved.
fn begun(bench: &Bench) -> Child {
    let (base, candidate) = (server("base", "1ms"), server("candidate", "1ms"));
    let mut command = bench.command(&args(&base, &candidate, &["--pairs", "400"]));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let is_begun =
        || ["base", "candidate"].iter().all(|half| bench.path().join(format!("out/{half}/result.json")).exists());
    for _ in 0..3000 {
        if is_begun() {
            return child;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("no trial was saved");
}

#[test]
fn an_interrupt_saves_what_was_measured_and_stops_both() {
    let bench = Bench::new(SHORT);
    let child = begun(&bench);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let ran = ran(child.wait_with_output().unwrap(), bench.path().join("out")).with_code(105);
    for name in ["base", "candidate"] {
        assert!(half(&ran, name).partial && !half(&ran, name).cells[0].trials.is_empty());
        assert_gone(&bench, name);
    }
}

#[test]
fn servers_never_outlive_a_duet_that_is_killed() {
    let bench = Bench::new(SHORT);
    let mut child = begun(&bench);
    assert!(killpg(group(&bench, "base"), None).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    for name in ["base", "candidate"] {
        for _ in 0..1000 {
            if killpg(group(&bench, name), None).is_err() {
                break;
            }
            sleep(Duration::from_millis(10));
        }
        assert_gone(&bench, name);
    }
}
