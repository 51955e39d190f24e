//! The search for capacity: whole searches against targets whose capacity is known, or bounded.

use super::harness::{Bench, Ran};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use wsbench::result::{ArmCapacity, Document, End};

const ECHO: &str = "[workload.echo]\n[load]\nsessions = 4\nrate = \"50/s\"\nwarmup = \"50ms\"\nduration = \"300ms\"\n\
                    timeout = \"20s\"\ndrain = \"10s\"\n";
const BOTH: &str = "[transports.tcp]\n[transports.websocket]\n";

fn search(bench: &Bench, more: &[&str]) -> Ran {
    bench.say(&[&["capacity", "scenario.toml", "--out", "out"], more].concat())
}

fn arm<'a>(document: &'a Document, name: &str) -> &'a ArmCapacity {
    document.capacity.as_ref().unwrap().arm(name).unwrap()
}

#[test]
fn a_bound_that_everyone_holds_ends_the_search() {
    let bench = Bench::new(&format!("{ECHO}{BOTH}"));
    // Every answer in time keeps it, so only INVALID trials of a busy machine could be in the way.
    let ran = search(&bench, &["--slo", "p50 < 20s", "--to", "100/s", "--format", "json", "-q"]).well();
    let document = ran.document();
    let capacity = document.capacity.as_ref().unwrap();
    assert_eq!((capacity.of.as_str(), capacity.first, capacity.to), ("rate", 50, 100));
    let names: Vec<&str> = capacity.arms.iter().map(|arm| arm.arm.as_str()).collect();
    assert_eq!(names, ["tcp", "websocket"]);
    let printed: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    for (at, arm) in capacity.arms.iter().enumerate() {
        let Some(End::UpperBound) = arm.end else {
            assert_eq!(arm.end, Some(End::GeneratorLimit), "{arm:?}");
            continue;
        };
        assert_eq!((arm.held, arm.failed.as_ref()), (Some(100), None));
        assert_eq!(printed["arms"][at]["held"], 100);
        assert_eq!(printed["arms"][at]["loads"].as_array().unwrap().len(), 2);
        let cell = document.cells.iter().find(|c| c.arm == arm.arm && capacity.load_of(c) == 100).unwrap();
        assert_eq!(capacity.series(cell).len(), 2, "found, and confirmed by a fresh series");
    }
    for name in ["report.html", "summary.md"] {
        let page = fs::read_to_string(ran.out.join(name)).unwrap();
        assert!(page.contains("Capacity") && page.contains("p50 &lt; 20s") && !page.contains("The claims"), "{name}");
    }
    assert!(ran.out.join("charts/latency-over-load.svg").exists());
    assert!(!ran.out.join("charts/delivery-cdf.svg").exists());

    bench.say(&["report", "out/result.json", "--out", "again"]).with_code(0);
    for name in ["report.html", "summary.md", "charts/latency-over-load.svg"] {
        let read = |dir: &str| fs::read(bench.path().join(dir).join(name)).unwrap();
        assert_eq!(read("out"), read("again"), "{name}");
    }
}

#[test]
fn a_target_that_holds_every_reply_too_long_is_below_every_bound() {
    let oracle = "[target.embedded.oracle]\nreply_delay = \"constant(30ms)\"\n";
    let bench = Bench::new(&format!("{ECHO}{oracle}{BOTH}"));
    let ran = search(&bench, &["--slo", "p50 < 20ms", "--from", "25/s", "--trials", "1"]).well();
    let document = ran.document();
    for name in ["tcp", "websocket"] {
        let found = arm(&document, name);
        assert_eq!(found.held, None, "no reply can come within 30 ms: {found:?}");
        if found.end == Some(End::BelowLowerBound) {
            let failed = found.failed.as_ref().unwrap();
            assert!(failed.load == 25 && failed.why.contains("p50 response-time"), "{failed:?}");
            assert!(ran.stdout.contains("less than 25/s"), "{}", ran.stdout);
        }
    }
}

#[test]
fn sessions_are_turned_away_at_a_known_number() {
    // Every seventh connection is refused: six hold, seven don't.
    let oracle = "[target.embedded.oracle]\nrefuse = 7\n";
    let bench = Bench::new(&format!("{ECHO}{oracle}[transports.tcp]\n"));
    let slo = ["--slo", "p50 < 20s", "--of", "sessions", "-c", "3", "--to", "40", "--precision", "1%", "--trials", "1"];
    let ran = search(&bench, &slo).well();
    let document = ran.document();
    let found = arm(&document, "tcp");
    let sessions: Vec<u64> = document.cells.iter().map(|cell| cell.load.sessions).collect();
    assert!(sessions.contains(&3) && sessions.contains(&6), "{sessions:?}");
    assert!(sessions.is_sorted(), "{sessions:?}");
    assert!(found.held.is_none_or(|held| held <= 6), "{found:?}");
    if found.end == Some(End::Found) {
        assert_eq!(found.held, Some(6));
        let failed = found.failed.as_ref().unwrap();
        assert!(failed.load == 7 && failed.why.contains("6 of 7 sessions connected"), "{failed:?}");
    }
}

#[test]
fn when_the_time_is_up_nothing_is_claimed() {
    let bench = Bench::new(&format!("{ECHO}[transports.tcp]\n"));
    // The calibration alone takes longer.
    let ran = search(&bench, &["--slo", "p50 < 20s", "--budget", "500ms"]).with_code(0);
    let document = ran.document();
    let found = arm(&document, "tcp");
    assert_eq!((found.held, found.end), (None, Some(End::Budget)));
    assert!(ran.stdout.contains("the time was up") && !document.partial, "{}", ran.stdout);
}

#[test]
fn an_interrupt_keeps_what_was_found_and_says_partial() {
    let bench = Bench::new(&format!("{}[transports.tcp]\n", ECHO.replace("300ms", "60s")));
    let args = ["capacity", "scenario.toml", "--out", "out", "--slo", "p50 < 20s"];
    let mut child = bench.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    super::harness::both_children_of(child.id());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ran = super::harness::ran(child.wait_with_output().unwrap(), bench.path().join("out")).with_code(105);
    let document = ran.document();
    assert!(document.partial && ran.stdout.contains("PARTIAL"), "{}", ran.stdout);
    let found = arm(&document, "tcp");
    assert_eq!((found.held, found.end), (None, Some(End::Interrupted)));
}

#[test]
fn what_a_killed_search_leaves_says_that_it_is_not_whole() {
    let bench = Bench::new(&format!("{ECHO}[transports.tcp]\n"));
    let args = ["capacity", "scenario.toml", "--out", "out", "--slo", "p50 < 20s", "-q"];
    let mut child = bench.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let saved = bench.path().join("out/result.json");
    for _ in 0..1000 {
        if saved.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let document = Document::load(&saved).unwrap();
    assert!(document.partial && !document.cells[0].trials.is_empty());
}

#[test]
fn a_target_that_is_not_there_is_a_failure() {
    let bench = Bench::new(&format!("{ECHO}[transports.tcp]\n"));
    let nowhere = ["--slo", "p50 < 20s", "--target", "tcp=tcp://127.0.0.1:1", "--from", "50/s", "--trials", "1"];
    let ran = search(&bench, &nowhere).with_code(1);
    assert!(ran.stdout.contains("no session could be opened"), "{}", ran.stdout);
}

#[test]
fn mistakes_are_told_before_anything_runs() {
    let bench = Bench::new(&format!("{ECHO}[transports.tcp]\n"));
    let told = |more: &[&str], code: i32, said: &str| {
        let ran = search(&bench, more).with_code(code);
        assert!(ran.stderr.contains(said), "{more:?}: {}", ran.stderr);
        assert!(!ran.out.exists(), "{more:?}");
    };
    told(&[], 2, "--slo");
    told(&["--slo", "p99 > 5ms"], 2, "column 5");
    told(&["--slo", "p99 respnse-time < 5ms"], 2, "did you mean `response-time`?");
    told(&["--slo", "p99 < 5ms", "--from", "200/s", "--to", "100/s"], 2, "more than --to");
    told(&["--slo", "p99 < 5ms", "--precision", "0.1%"], 2, "1% to 100%");
    told(&["--slo", "p99 < 5ms", "--of", "rooms"], 2, "rate, sessions");
    told(&["--slo", "p99 < 5ms", "--to", "1000M/s"], 2, "--to");
    let closed = Bench::new(&ECHO.replace("rate = \"50/s\"", "arrival = \"closed\"").replace("300ms", "100ms"));
    fs::write(
        bench.path().join("scenario.toml"),
        fs::read_to_string(closed.path().join("scenario.toml")).unwrap() + BOTH,
    )
    .unwrap();
    told(&["--slo", "p99 < 5ms"], 2, "closed arrival has no rate");
}
