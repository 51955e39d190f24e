//! Many workers and many targets count as one; and a run goes on without one that dies.

use super::harness::{Bench, Ran, children_of, ran};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use wsbench::plan::{self, Overrides};
use wsbench::result::Trial;
use wsbench::scenario;

const LOAD: &str = "[load]\nsessions = 90\nrate = \"300/s\"\nwarmup = \"100ms\"\nduration = \"500ms\"\n";

/// Runs with so few descriptors that one process holds 86 sessions.
fn with_150_files(bench: &Bench, more: &str) -> Command {
    let program = env!("CARGO_BIN_EXE_wsbench");
    let line = format!("ulimit -n 150; exec '{program}' run scenario.toml --out out -q {more}");
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(bench.path()).stdin(Stdio::null());
    command
}

fn trials(ran: &Ran) -> Vec<Trial> {
    ran.document().cells.into_iter().flat_map(|cell| cell.trials).collect()
}

/// Every unit of the schedule was some worker's, and every copy arrived.
fn assert_whole(ran: &Ran, text: &str, copies: u64) {
    let parsed = scenario::parse("scenario.toml", text).unwrap();
    let plan = plan::build(&parsed, &Overrides::default()).unwrap();
    let scheduled = plan::facts(&plan).scheduled;
    for trial in trials(ran) {
        let outcome = &trial.outcome;
        assert_eq!((outcome.warmup.scheduled, outcome.measure.scheduled), (scheduled.warmup, scheduled.measured));
        assert_eq!(outcome.measure.expected, scheduled.measured * copies);
        assert_eq!((outcome.measure.reach(), outcome.measure.unmatched), (Some(1.0), 0));
        assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
        let sessions = outcome.sessions;
        assert_eq!((sessions.asked, sessions.connected, sessions.peak), (90, 90, 90));
        let held = sessions.held.unwrap();
        assert_eq!(held.kernel, Some(held.counted));
        assert_eq!(trial.target.as_ref().unwrap().dropped, 0);
    }
}

#[test]
fn the_rooms_of_three_workers_add_up_to_those_of_one() {
    let text =
        format!("[workload.chat]\nrooms = 9\n{LOAD}[transports.websocket]\n[transports.udp]\n[transports.sse]\n");
    let bench = Bench::new(&text);
    let ran = bench.run(&["-q", "--workers", "3"]).well();
    assert_whole(&ran, &text, 10);
    assert!(trials(&ran).iter().all(|trial| trial.generator.processes == 3));
    assert!(trials(&ran).iter().all(|trial| trial.target.as_ref().unwrap().usage.processes == 1));
}

#[test]
fn the_topics_of_two_targets_add_up_to_those_of_one() {
    let text =
        format!("[workload.push]\ntopics = 6\n{LOAD}workers = 3\n[transports.websocket]\n[transports.long-polling]\n");
    let bench = Bench::new(&text);
    let ran = ran(with_150_files(&bench, "").output().unwrap(), bench.path().join("out")).well();
    assert_whole(&ran, &text, 15);
    for (trial, targets) in trials(&ran).iter().zip([2, 3]) {
        let target = trial.target.as_ref().unwrap();
        assert_eq!((trial.generator.processes, target.usage.processes), (3, targets));
        assert_eq!(target.events, trial.outcome.measure.scheduled);
    }
}

#[test]
fn connects_are_dealt_out_open_and_closed() {
    let connect = "[workload.connect]\n[load]\nsessions = 20\nduration = \"400ms\"\n";
    let open = format!("{connect}rate = \"100/s\"\n[transports.tcp]\n");
    let bench = Bench::new(&open);
    let ran = bench.run(&["-q", "--workers", "3"]).well();
    let outcome = trials(&ran).remove(0).outcome;
    let parsed = scenario::parse("scenario.toml", &open).unwrap();
    let scheduled = plan::facts(&plan::build(&parsed, &Overrides::default()).unwrap()).scheduled.measured;
    assert_eq!((outcome.measure.scheduled, outcome.measure.reach()), (scheduled, Some(1.0)));
    let closed = format!("{connect}arrival = \"closed\"\noutstanding = 2\nthink = \"1ms\"\n[transports.tcp]\n");
    let bench = Bench::new(&closed);
    let outcome = trials(&bench.run(&["-q", "--workers", "3"]).well()).remove(0).outcome;
    assert!(outcome.measure.sent > 20 && outcome.sessions.peak <= 2, "{:?}", outcome.sessions);
}

#[test]
fn more_sessions_than_one_process_holds_take_several() {
    let text = format!("[workload.echo]\n{LOAD}[transports.tcp]\n[transports.udp]\n");
    let bench = Bench::new(&text);
    let ran = ran(with_150_files(&bench, "").output().unwrap(), bench.path().join("out")).well();
    assert_whole(&ran, &text, 1);
    for (trial, targets) in trials(&ran).iter().zip([2, 1]) {
        assert_eq!((trial.generator.processes, trial.target.as_ref().unwrap().usage.processes), (2, targets));
    }
}

#[test]
fn sessions_leave_from_the_addresses_that_were_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp=tcp://{}", listener.local_addr().unwrap());
    let bench = Bench::new(
        "[workload.echo]\n[load]\nsessions = 4\nrate = \"50/s\"\nduration = \"300ms\"\n[transports.tcp]\ndialect = \"raw\"\n",
    );
    let peers = std::thread::spawn(move || {
        let mut peers = Vec::new();
        for _ in 0..4 {
            let (mut stream, peer) = listener.accept().unwrap();
            peers.push(peer.ip().to_string());
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
        peers
    });
    let ran = bench.run(&["-q", "--workers", "2", "--source-ip", "127.0.0.8,127.0.0.9", "--target", &target]).well();
    assert_eq!(trials(&ran)[0].outcome.measure.reach(), Some(1.0));
    let mut peers = peers.join().unwrap();
    peers.sort();
    assert_eq!(peers, ["127.0.0.8", "127.0.0.8", "127.0.0.9", "127.0.0.9"]);
}

const LONG: &str = "[workload.echo]\n[load]\nsessions = 100\nrate = \"300/s\"\nduration = \"3s\"\ndrain = \"200ms\"\nworkers = 4\n\
                    [transports.websocket]\n";

/// The children of `run` that play `role`, once there are `wanted` of them beside a target.
fn children(run: u32, role: &str, wanted: usize) -> Vec<Pid> {
    let plays = |pid: &u32, role: &str| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.ends_with(format!("\0{role}\0").as_bytes())
    };
    for _ in 0..2000 {
        let all = children_of(run);
        let found: Vec<Pid> = all.iter().filter(|pid| plays(pid, role)).map(|pid| Pid::from_raw(*pid as i32)).collect();
        // A run that calibrates has a worker alone.
        if found.len() == wanted && all.iter().any(|pid| plays(pid, "target")) {
            return found;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("no {wanted} children play {role}");
}

fn start(bench: &Bench) -> Child {
    with_150_files(bench, "").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(run: Child, bench: &Bench) -> (Ran, Trial) {
    let ran = ran(run.wait_with_output().unwrap(), bench.path().join("out")).with_code(105);
    let trial = trials(&ran).remove(0);
    assert!(ran.document().partial && !trial.is_valid() && trial.failure.is_none(), "{:?}", trial.failure);
    assert!(trial.outcome.measure.balance() && !trial.outcome.interrupted);
    (ran, trial)
}

fn message(trial: &Trial, code: &str) -> String {
    let finding = trial.invalid.iter().find(|finding| finding.code == code);
    finding.unwrap_or_else(|| panic!("{:?}", trial.invalid)).message.clone()
}

#[test]
fn the_others_go_on_without_a_worker_that_was_killed() {
    let bench = Bench::new(LONG);
    let run = start(&bench);
    let victim = children(run.id(), "worker", 4)[1];
    sleep(Duration::from_millis(1500));
    kill(victim, Signal::SIGKILL).unwrap();
    let (ran, trial) = end(run, &bench);
    let message = message(&trial, "worker-died");
    assert!(message.contains("of 4 (25 sessions)") && message.contains("signal: 9"), "{message}");
    assert_eq!(trial.outcome.errors.get("worker-died"), Some(&25));
    assert_eq!((trial.outcome.sessions.asked, trial.outcome.sessions.connected), (100, 75));
    assert_eq!(trial.generator.processes, 3);
    // Three quarters of all that was scheduled, of the whole three seconds.
    assert!((500..800).contains(&trial.outcome.measure.delivered), "{:?}", trial.outcome.measure);
    assert!(ran.stdout.contains("worker-died") || ran.stdout.contains("a process was lost"), "{}", ran.stdout);
}

#[test]
fn a_worker_that_dies_in_the_ramp_is_not_waited_for() {
    let bench = Bench::new(&LONG.replace("duration = \"3s\"", "connect_rate = \"40/s\"\nduration = \"1s\""));
    let run = start(&bench);
    let victim = children(run.id(), "worker", 4)[3];
    sleep(Duration::from_millis(500));
    kill(victim, Signal::SIGKILL).unwrap();
    let (_, trial) = end(run, &bench);
    assert!(message(&trial, "worker-died").contains("(25 sessions)"));
    assert_eq!((trial.outcome.sessions.asked, trial.outcome.sessions.connected), (100, 75));
    assert!(trial.outcome.measure.delivered > 100, "{:?}", trial.outcome.measure);
}

#[test]
fn a_worker_that_hangs_is_given_up() {
    let bench = Bench::new(&LONG.replace("duration = \"3s\"", "duration = \"1s\""));
    let run = start(&bench);
    let victim = children(run.id(), "worker", 4)[0];
    sleep(Duration::from_millis(700));
    kill(victim, Signal::SIGSTOP).unwrap();
    let (_, trial) = end(run, &bench);
    assert!(message(&trial, "worker-died").contains("did not answer in time"));
    assert_eq!(trial.outcome.errors.get("worker-died"), Some(&25));
    // It was killed; whoever is its parent by now may take a while to bury it.
    let lives = || {
        let stat = std::fs::read_to_string(format!("/proc/{victim}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    };
    for _ in 0..500 {
        if !lives() {
            return;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("it outlives the run");
}

#[test]
fn the_others_go_on_without_a_target_that_was_killed() {
    let bench = Bench::new(LONG);
    let run = start(&bench);
    let victim = children(run.id(), "target", 2)[1];
    sleep(Duration::from_millis(1500));
    kill(victim, Signal::SIGKILL).unwrap();
    let (_, trial) = end(run, &bench);
    let message = message(&trial, "target-died");
    assert!(message.contains("of 2 (50 sessions)") && message.contains("signal: 9"), "{message}");
    assert_eq!(trial.target.as_ref().unwrap().usage.processes, 1);
    assert_eq!(trial.outcome.sessions.connected, 100);
    let counters = trial.outcome.measure;
    assert!(counters.skipped > 100 && counters.delivered > 500, "{counters:?}");
    assert_eq!(trial.outcome.errors.values().sum::<u64>(), 50, "{:?}", trial.outcome.errors);
}
