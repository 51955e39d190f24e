//! Ctrl-C: once ends in order and keeps what was measured, twice ends at once. And children never outlive the run.

use super::harness::{Bench, Ran, children_of, ran};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

const LONG: &str = "[workload.echo]\n[load]\nsessions = 10\nrate = \"200/s\"\nduration = \"60s\"\ntrials = 2\n\
                    [transports.websocket]\n[transports.long-polling]\n";

/// Starts a run and waits until its first trial goes on.
fn started(bench: &Bench) -> Child {
    let mut command = bench.command_of_a_terminal(&["run", "scenario.toml", "--out", "out"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // The first line is said before the calibration of a second.
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    sleep(Duration::from_millis(2500));
    child
}

fn interrupt(child: &Child) {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
}

fn finished(child: Child, bench: &Bench) -> Ran {
    ran(child.wait_with_output().unwrap(), bench.path().join("out"))
}

#[test]
fn once_ends_in_order_with_a_partial_result() {
    let bench = Bench::new(LONG);
    let child = started(&bench);
    interrupt(&child);
    let ran = finished(child, &bench).with_code(105);
    let document = ran.document();
    assert!(document.partial);
    let trials: Vec<_> = document.cells.iter().flat_map(|c| &c.trials).collect();
    assert_eq!(trials.len(), 1, "no further trial was begun");
    let counters = trials[0].outcome.measure;
    assert!(counters.balance() && counters.delivered > 50, "{counters:?}");
    assert_eq!(counters.scheduled, counters.sent + counters.skipped);
    assert!(counters.skipped > counters.sent, "most of the minute was still to come");
    assert!(std::fs::read_to_string(ran.out.join("summary.md")).unwrap().to_lowercase().contains("partial"));
}

#[test]
fn a_terminal_that_goes_away_ends_it_in_order_unless_that_is_ignored() {
    let bench = Bench::new(LONG);
    let child = started(&bench);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGHUP).unwrap();
    let ran = finished(child, &bench).with_code(105);
    assert!(ran.document().partial && ran.stderr.contains("saves what was measured"), "{}", ran.stderr);

    // As `nohup` does it.
    let bench = Bench::new(&LONG.replace("60s", "2s").replace("trials = 2", "trials = 1"));
    let mut command = std::process::Command::new("sh");
    let script = "trap '' HUP; exec \"$0\" run scenario.toml --out out";
    command.args(["-c", script, env!("CARGO_BIN_EXE_wsbench")]).current_dir(bench.path()).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(1500));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGHUP).unwrap();
    let ran = finished(child, &bench).well();
    assert!(!ran.document().partial);
    assert!(ran.document().cells.iter().all(|cell| cell.trials.len() == 1));
}

#[test]
fn an_interrupt_does_not_wait_for_a_long_drain() {
    // A socket that is bound and never read: nothing will ever answer.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = format!("udp=udp://{}", silent.local_addr().unwrap());
    let scenario = "[workload.echo]\n[load]\nsessions = 2\nrate = \"50/s\"\nduration = \"60s\"\ndrain = \"50s\"\n\
                    timeout = \"1s\"\n[transports.udp]\n";
    let bench = Bench::new(scenario);
    let mut command = bench.command(&["run", "scenario.toml", "--out", "out", "--target", &target]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(2500));
    interrupt(&child);
    let began = wsbench::clock::now();
    let ran = finished(child, &bench);
    assert!(wsbench::clock::now() - began < 20_000_000_000, "a drain of 50 s was waited for");
    assert!(ran.document().partial);
}

#[test]
fn what_a_killed_run_leaves_says_that_it_is_not_whole() {
    let scenario = LONG.replace("60s", "300ms").replace("trials = 2", "trials = 100");
    let bench = Bench::new(&scenario);
    let child = started(&bench);
    let saved = bench.path().join("out/result.json");
    for _ in 0..300 {
        if saved.exists() {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
    let ran = finished(child, &bench);
    assert!(ran.document().partial && !ran.document().cells[0].trials.is_empty());
}

#[test]
fn twice_ends_at_once() {
    let bench = Bench::new(LONG);
    let child = started(&bench);
    interrupt(&child);
    interrupt(&child);
    sleep(Duration::from_millis(50));
    let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGINT);
    finished(child, &bench).with_code(105);
}

#[test]
fn children_die_with_the_run() {
    let bench = Bench::new(LONG);
    let mut child = started(&bench);
    let children = children_of(child.id());
    assert_eq!(children.len(), 2, "a worker and a target");
    child.kill().unwrap();
    child.wait().unwrap();
    for _ in 0..100 {
        if children.iter().all(|pid| !is_alive(*pid)) {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("children of a killed run live on: {children:?}");
}

#[test]
fn a_worker_that_dies_breaks_off_its_trial_and_no_other() {
    let bench = Bench::new(&LONG.replace("60s", "3s").replace("trials = 2", "trials = 1"));
    let child = started(&bench);
    let worker = children_of(child.id())
        .into_iter()
        .find(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().contains("worker"))
        .unwrap();
    kill(Pid::from_raw(worker as i32), Signal::SIGKILL).unwrap();
    let ran = finished(child, &bench).with_code(1);
    let document = ran.document();
    let (dead, alive): (Vec<_>, Vec<_>) =
        document.cells.iter().flat_map(|c| &c.trials).partition(|trial| trial.failure.is_some());
    assert_eq!((dead.len(), alive.len()), (1, 1));
    assert!(dead[0].failure.as_ref().unwrap().contains("worker") && !dead[0].is_valid());
    assert!(alive[0].outcome.measure.delivered > 300);
}

/// A zombie whose new parent has not reaped it is dead.
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
