//! `wsbench duet`: two servers against each other, and nothing left of them afterwards.

use super::harness::{Bench, Ran, children_of, ran};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;
use wsbench::result::{Document, Half};
use wsbench::verdict::{Comparison, Design, Metric, Verdict};

/// Trials of a third of a second.
const SHORT: &str = "[workload.echo]\n[load]\nsessions = 4\nrate = \"200/s\"\nwarmup = \"50ms\"\nduration = \"300ms\"\n\
                     drain = \"300ms\"\n[transports.websocket]\n";
const PROGRAM: &str = env!("CARGO_BIN_EXE_wsbench");

/// A command that leaves its process group's id in `name.pid` and answers after `delay`.
fn server(name: &str, delay: &str) -> String {
    format!(
        "echo $$ > {name}.pid; exec {PROGRAM} serve --open --websocket {{port}} --oracle 'reply_delay=constant({delay})'"
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
    // Three gated rows: six pairs are too few for a p of a third of α.
    let more = ["--pairs", "7", "--metrics", "p50,delivered-rate,cpu-per-message"];
    let (bench, ran) = duet(&server("base", "20ms"), &server("candidate", "30ms"), &more);
    let ran = ran.with_code(96);
    let text = std::fs::read_to_string(ran.out.join("comparison.json")).unwrap();
    let comparison: Comparison = serde_json::from_str(&text).unwrap();
    assert_eq!((comparison.design, comparison.verdict), (Design::Paired, Verdict::Regression));
    let ratio = comparison.rows.iter().find(|row| row.metric == Metric::P50).unwrap().effect.unwrap().ratio;
    assert!((1.3..1.7).contains(&ratio), "30 ms to 20 ms is half as much again: {ratio}");
    assert!(ran.stdout.contains("REGRESSION echo/websocket p50 +"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("\nout/comparison.html\n"), "{}", ran.stdout);
    let (base, candidate) = (half(&ran, "base"), half(&ran, "candidate"));
    let pairs = blocks(&base).into_iter().filter(|block| blocks(&candidate).contains(block)).count();
    assert_eq!(pairs, 7);
    assert_eq!(base.seed, candidate.seed);
    let (of_base, of_candidate) = (base.duet.clone().unwrap(), candidate.duet.clone().unwrap());
    assert_eq!((of_base.half, of_candidate.half), (Half::Base, Half::Candidate));
    assert!(of_base.id == of_candidate.id && !of_base.id.is_empty());
    // Each went first thrice, and one of them once more.
    let firsts = base.cells[0].trials.iter().filter(|trial| trial.place == 0).count();
    assert!(pairs != base.cells[0].trials.len() || (3..=4).contains(&firsts), "{firsts}");
    // What a command started is a server whose CPU can be seen.
    let cpu = comparison.rows.iter().find(|row| row.metric == Metric::CpuPerMessage).unwrap();
    assert!(cpu.is_gated && cpu.base.iter().chain(&cpu.new).all(|nanos| *nanos > 0.0), "{cpu:?}");
    let usage = |document: &Document| document.cells[0].trials[0].target.as_ref().unwrap().usage;
    assert!(usage(&base).processes == 1 && usage(&base).cpu_nanos > 0 && usage(&base).rss_peak > 0);
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
    let dying = "PASSWORD=hunter2; echo no database >&2; exit 3";
    let ran = bench.say(&args(&server("base", "1ms"), dying, &[])).with_code(1);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    assert!(ran.stderr.contains("candidate: `PASSWORD=[redacted] echo no database"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("--url"), "it was not sought in the wrong place: {}", ran.stderr);
    assert!(ran.stderr.contains("exit status: 3") && ran.stderr.contains("\n  no database"), "{}", ran.stderr);
    assert_gone(&bench, "base");
}

#[test]
fn a_command_that_never_listens_is_told_and_ended() {
    let bench = Bench::new(SHORT);
    let deaf = "echo $$ > deaf.pid; (sleep 600; true) & sleep 600";
    let ran = bench.say(&args(deaf, &server("candidate", "1ms"), &["--ready-within", "300ms"])).with_code(1);
    assert!(ran.stderr.contains("not ready within 300ms") && ran.stderr.contains("{port}"), "{}", ran.stderr);
    assert!(ran.stderr.contains("= help: `--url`"), "{}", ran.stderr);
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
    let wrong: [(&str, &[&str], &str); 8] = [
        ("htp://127.0.0.1:1/", &[], "--base: "),
        ("tcp://127.0.0.1:1", &[], "no tcp:// URL leads to"),
        ("./server {port:tcp", &[], "write {port}"),
        (" ", &[], "--base: write a URL, or a command"),
        (&fine, &["--trials", "3"], "--pairs"),
        (&fine, &["--url", "tcp=/"], "--url: no arm `tcp` is run; those that are: websocket"),
        (&fine, &["--arms", "tcp"], "--arms: no arm `tcp` is run; those that are: websocket"),
        (&fine, &["--pairs", "0"], "1 or more"),
    ];
    for (base, more, says) in wrong {
        let ran = bench.say(&args(base, &fine, more)).with_code(2);
        assert!(ran.stderr.contains(says), "{base}: {}", ran.stderr);
        assert!(!ran.out.exists() && !bench.path().join("fine.pid").exists());
    }
    // Sixty messages a trial, and a server whose CPU nobody sees.
    let nothing = bench.say(&args("ws://127.0.0.1:1/", &fine, &["--metrics", "p99,cpu-per-message"])).with_code(94);
    for why in ["websocket p99: a trial has fewer than the 1000", "websocket cpu-per-message: the CPU of a server"] {
        assert!(nothing.stderr.contains(why), "{}", nothing.stderr);
    }
    assert!(!nothing.out.exists() && !bench.path().join("fine.pid").exists());
    let typo = bench.say(&args("ws//127.0.0.1:9001", &fine, &[])).with_code(1);
    assert!(typo.stderr.contains("base: `ws//127.0.0.1:9001` ended (exit status: 127)"), "{}", typo.stderr);
}

#[test]
fn a_url_where_nobody_listens_is_no_regression() {
    let bench = Bench::new(SHORT);
    let ran = bench.say(&args("ws://127.0.0.1:1/", &server("candidate", "1ms"), &[])).with_code(1);
    assert!(ran.stderr.contains("base: websocket: no session could be opened"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("= help: `--url`"), "a URL is where it is: {}", ran.stderr);
    assert_gone(&bench, "candidate");
}

#[test]
fn a_pair_that_can_not_be_trusted_is_run_again() {
    let bench = Bench::new(SHORT);
    let (base, candidate) = (server("base", "20ms"), server("candidate", "20ms"));
    let mut command = bench.command(&args(&base, &candidate, &["--pairs", "5", "--metrics", "p50"]));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_both(&bench);
    // Every process of the generator stands still for a while, whichever half it is at.
    let is_worker =
        |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0worker\0"));
    let stopped = (0..1000).find_map(|_| {
        sleep(Duration::from_millis(5));
        children_of(child.id()).into_iter().find(is_worker)
    });
    let worker = Pid::from_raw(stopped.unwrap() as i32);
    sleep(Duration::from_millis(150));
    let _ = kill(worker, Signal::SIGSTOP);
    sleep(Duration::from_millis(200));
    let _ = kill(worker, Signal::SIGCONT);
    let code = child.wait().unwrap().code();
    let out = bench.path().join("out");
    let load = |name: &str| Document::load(&out.join(name).join("result.json")).unwrap();
    let (base, candidate) = (load("base"), load("candidate"));
    let invalid = |document: &Document| document.cells[0].trials.iter().filter(|trial| !trial.is_valid()).count();
    assert!(invalid(&base) + invalid(&candidate) > 0, "the worker was stopped");
    let pairs = blocks(&base).into_iter().filter(|block| blocks(&candidate).contains(block)).count();
    // On a machine that is busy besides, pairs may run out.
    assert!(if code == Some(95) { pairs < 5 } else { code == Some(0) && pairs == 5 }, "{code:?}: {pairs} pairs");
}

#[test]
fn thresholds_are_held_against_the_candidate() {
    let more = ["--pairs", "2", "--threshold", "mean < 25ms"];
    let (_bench, ran) = duet(&server("base", "30ms"), &server("candidate", "1ms"), &more);
    assert_ne!(ran.code, 99, "{}", ran.stdout);
    let more = [&more[..], &["--threshold", "p99.9 < 1s"]].concat();
    let (_bench, ran) = duet(&server("base", "1ms"), &server("candidate", "30ms"), &more);
    assert!(ran.stderr.contains("warning: `p99.9 < 1s`"), "{}", ran.stderr);
    assert!(ran.with_code(99).stdout.contains("mean < 25ms"));
}

#[test]
fn a_threshold_may_end_a_duet_early() {
    let scenario = format!("thresholds = [{{ hold = \"mean < 25ms\", abort = true }}]\n{SHORT}");
    let bench = Bench::new(&scenario);
    let ran = bench.say(&args(&server("base", "1ms"), &server("candidate", "30ms"), &["--pairs", "400"])).with_code(99);
    assert!(ran.stderr.contains("candidate: ended early: `mean < 25ms` was broken by websocket"), "{}", ran.stderr);
    let candidate = half(&ran, "candidate");
    assert!(candidate.aborted.is_some() && !candidate.partial);
    assert_gone(&bench, "candidate");
}

#[test]
fn a_server_that_flees_its_group_is_measured_and_ended_as_well() {
    let fled = |name: &str| format!("setsid -f sh -c \"{}\"", server(name, "20ms").replace('$', "\\$"));
    let more = ["--pairs", "1", "--threshold", "cpu < 10s,memory < 10GB"];
    let (bench, ran) = duet(&fled("base"), &fled("candidate"), &more);
    let usage = half(&ran.with_code(0), "candidate").cells[0].trials[0].target.as_ref().map(|target| target.usage);
    assert!(usage.is_some_and(|usage| usage.processes == 1 && usage.cpu_nanos > 0), "{usage:?}");
    assert_gone(&bench, "base");
    assert_gone(&bench, "candidate");
}

#[test]
fn a_command_that_is_not_the_server_is_not_taken_for_it() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut serving = std::process::Command::new(PROGRAM)
        .args(["serve", "--open", "--websocket", &elsewhere.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let bench = Bench::new(SHORT);
    let url = format!("ws://127.0.0.1:{elsewhere}/echo");
    let flags = ["--base", "sleep 600", "--candidate", "sleep 601", "--url", &url, "--pairs", "1", "--out", "out"];
    let ran = bench.say(&[&["duet", "scenario.toml"], flags.as_slice()].concat());
    serving.kill().unwrap();
    serving.wait().unwrap();
    for name in ["base", "candidate"] {
        let document = half(&ran, name);
        assert!(document.cells[0].trials.iter().all(|trial| trial.target.is_none()), "{}", ran.stderr);
        assert!(document.cells[0].trials[0].failure.is_none());
    }
}

#[test]
fn a_command_sees_nothing_of_our_settings() {
    let bench = Bench::new(SHORT);
    let told = format!("env > said; ulimit -n >> said; {}", server("base", "1ms"));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -Sn 400; exec \"$0\" \"$@\"", PROGRAM]);
    command.args(args(&told, "ws://127.0.0.1:1/", &["--pairs", "1"])).current_dir(bench.path()).stdin(Stdio::null());
    let output = command.env("WSBENCH_SEED", "4").output().unwrap();
    let said = std::fs::read_to_string(bench.path().join("said")).unwrap();
    assert!(said.contains("PORT=") && !said.contains("WSBENCH_"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().last(), Some("400"));
    // And what begins as a flag does is a command all the same.
    let dash = ["duet", "scenario.toml", "--base=-nosuch", "--candidate", "ws://127.0.0.1:1/", "--out", "out"];
    let ran = Bench::new(SHORT).say(&dash).with_code(1);
    assert!(ran.stderr.contains("base: `-nosuch` ended (exit status: 127)"), "{}", ran.stderr);
}

/// A duet that would go on for minutes, from the moment when its first trial has been saved.
fn begun(bench: &Bench) -> Child {
    let (base, candidate) = (server("base", "1ms"), server("candidate", "1ms"));
    let mut command = bench.command_of_a_terminal(&args(&base, &candidate, &["--pairs", "400"]));
    let child = command.arg("-q").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_both(bench);
    child
}

/// Until a trial of either half has been saved.
fn wait_for_both(bench: &Bench) {
    let is_begun =
        || ["base", "candidate"].iter().all(|half| bench.path().join(format!("out/{half}/result.json")).exists());
    for _ in 0..3000 {
        if is_begun() {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("no trial was saved");
}

#[test]
fn an_interrupt_saves_what_was_measured_and_stops_both() {
    for signal in [Signal::SIGINT, Signal::SIGHUP] {
        let bench = Bench::new(SHORT);
        let child = begun(&bench);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let ran = ran(child.wait_with_output().unwrap(), bench.path().join("out")).with_code(105);
        assert!(ran.stderr.contains("ends both servers") && ran.stderr.contains("of the candidate"), "{}", ran.stderr);
        for name in ["base", "candidate"] {
            assert!(half(&ran, name).partial && !half(&ran, name).cells[0].trials.is_empty());
            assert_gone(&bench, name);
        }
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
        assert_goes(&bench, name);
    }
}

fn assert_goes(bench: &Bench, name: &str) {
    for _ in 0..1000 {
        if killpg(group(bench, name), None).is_err() {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    assert_gone(bench, name);
}

#[test]
fn servers_do_not_outlive_a_keeper_that_is_killed() {
    let bench = Bench::new(SHORT);
    let with_company = format!("sleep 600 & {}", server("base", "1ms"));
    let mut command = bench.command(&args(&with_company, &server("candidate", "1ms"), &["--pairs", "400"]));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_both(&bench);
    let is_keeper = |pid: &u32| children_of(*pid).contains(&(group(&bench, "base").as_raw() as u32));
    let keeper = children_of(child.id()).into_iter().find(is_keeper).unwrap();
    kill(Pid::from_raw(keeper as i32), Signal::SIGKILL).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_goes(&bench, "base");
    assert_gone(&bench, "candidate");
}

#[test]
fn a_keeper_that_nobody_listens_to_leaves_nothing_behind() {
    let bench = Bench::new(SHORT);
    let (heard, deaf) = std::io::pipe().unwrap();
    drop(heard);
    let mut command = bench.command(&["keeper", "--", "echo $$ > deaf.pid; sleep 600"]);
    let mut keeper = command.stdin(Stdio::piped()).stdout(deaf).stderr(Stdio::null()).spawn().unwrap();
    // Its standard input stays open all the while.
    let input = keeper.stdin.take();
    keeper.wait().unwrap();
    drop(input);
    // The command may have been ended before its first word.
    sleep(Duration::from_millis(300));
    if bench.path().join("deaf.pid").exists() {
        assert_goes(&bench, "deaf");
    }
}
