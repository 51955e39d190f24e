//! What becomes of a run when something in it ends, freezes, or can't be reached; and of everyone else afterwards.

use super::fleet::{Agent, Bus, lost, parts, saved, trials};
use super::same::assert_merged;
use super::stand::{Echo, Path};
use crate::harness::{Ran, assert_whole};
use serde_json::Value;
use std::thread::sleep;
use std::time::Duration;

/// A trial of this length is ended by what the test does, or the test would take as long.
const LONG: &str = "60s";
/// From here on messages are surely measured: a warmup's are fewer.
const UNDER_WAY: u64 = 4000;
/// Longer than an agent and its coordinator wait for one another.
const GRACE: Duration = Duration::from_secs(11);

fn echo(port: u16, duration: &str, more: &str) -> String {
    format!(
        "seed = 5\n[workload.echo]\npayload = \"64B\"\n[load]\nsessions = 12\nrate = \"120/s\"\narrival = \"constant\"\n\
         connect_rate = \"500/s\"\nwarmup = \"100ms\"\nduration = \"{duration}\"\ndrain = \"1s\"\n{more}\n\
         [target.urls]\ntcp = \"tcp://127.0.0.1:{port}\"\n[transports.tcp]\n"
    )
}

/// Three agents, a server, and a run that is well under way once this returns.
macro_rules! under_way {
    ($bus:ident, $agents:ident, $server:ident, $running:ident, $duration:expr, $more:expr) => {
        let Some($bus) = Bus::start() else { return };
        let $agents = $bus.agents(3);
        let $server = Echo::start();
        let $running = $bus.begin_run(&echo($server.port, $duration, $more), "3", &[]);
        $server.wait_for_bytes(UNDER_WAY);
    };
}

/// The run ended as one that lost `names` in its last trial, and says so.
#[track_caller]
fn assert_lost(ran: &Ran, names: &[&str]) -> Value {
    assert_eq!(ran.code, 105, "{}\n{}", ran.stdout, ran.stderr);
    let document = saved(ran);
    assert_eq!(document["partial"], true);
    let (_, trial) = *trials(&document).last().unwrap();
    assert_eq!(lost(trial), names);
    let findings = trial["invalid"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["code"] == "agent-lost").expect("a finding of its own");
    for name in names {
        assert!(found["message"].as_str().unwrap().contains(name), "{found}");
        assert!(ran.stdout.contains(name) || ran.stderr.contains(name), "{}\n{}", ran.stdout, ran.stderr);
    }
    document
}

/// All three are idle again, with no process left over, and measure as if nothing had been.
#[track_caller]
fn assert_idle(bus: &Bus, agents: &[Agent], server: &Echo, more: &[&str]) {
    agents.iter().for_each(Agent::await_rest);
    let ran = bus.run(&echo(server.port, "300ms", ""), &agents.len().to_string(), more).well();
    assert_whole(&ran.outcomes());
    let document = saved(&ran);
    assert_eq!(parts(trials(&document)[0].1).len(), agents.len());
}

#[test]
fn an_agent_that_is_killed_while_the_load_runs_ends_the_run_with_what_the_others_measured() {
    under_way!(bus, agents, server, running, LONG, "trials = 3");
    agents[1].signal("KILL");
    let document = assert_lost(&running.finish(), &["b"]);
    // No further trial.
    assert_eq!(trials(&document).len(), 1);
    let (_, trial) = trials(&document)[0];
    for part in parts(trial).iter().filter(|part| part["lost"].is_null()) {
        let measured = &part["outcome"]["measure"];
        assert!(measured["delivered"].as_u64() > Some(0), "{measured}");
    }
    assert!(trial["outcome"]["measure"]["delivered"].as_u64() > Some(0));
    let [a, _, c] = <[Agent; 3]>::try_from(agents).ok().unwrap();
    assert_idle(&bus, &[a, c], &server, &[]);
}

#[test]
fn a_run_may_go_on_without_an_agent_in_this_trial_and_the_next() {
    under_way!(bus, agents, server, running, "3s", "trials = 2\non_agent_loss = \"continue\"");
    agents[2].signal("KILL");
    let ran = running.finish();
    assert_eq!(ran.code, 105, "{}\n{}", ran.stdout, ran.stderr);
    let document = saved(&ran);
    let both = trials(&document);
    assert_eq!(both.len(), 2);
    assert_eq!(lost(both[0].1), ["c"]);
    // The second is whole, over those that are left.
    let (_, second) = both[1];
    assert_eq!((parts(second).len(), lost(second).len()), (2, 0));
    assert_merged(second);
    let counters = &second["outcome"]["measure"];
    assert_eq!(second["outcome"]["sessions"]["connected"], 12);
    assert_eq!(counters["expected"], counters["sent"]);
    assert!(counters["scheduled"].as_u64() > Some(300), "{counters}");
}

#[test]
fn an_agent_that_is_killed_while_sessions_are_opened_ends_the_run() {
    let Some(bus) = Bus::start() else { return };
    let agents = bus.agents(3);
    let server = Echo::start();
    let slow = echo(server.port, LONG, "").replace("500/s", "2/s");
    let running = bus.begin_run(&slow, "3", &[]);
    super::stand::wait_until("the first sessions", || server.connections() >= 3);
    agents[0].signal("KILL");
    assert_lost(&running.finish(), &["a"]);
    assert!(server.connections() < 12, "the ramp was over before");
}

#[test]
fn an_agent_that_is_asked_to_end_says_good_bye() {
    under_way!(bus, agents, server, running, LONG, "");
    let mut agents = agents;
    agents[1].signal("TERM");
    assert_lost(&running.finish(), &["b"]);
    assert!(agents[1].ended().success(), "{}", agents[1].said());
    drop((bus, server));
}

#[test]
fn an_agent_that_freezes_is_given_up_and_is_idle_again_once_it_wakes() {
    under_way!(bus, agents, server, running, LONG, "");
    agents[1].signal("STOP");
    assert_lost(&running.finish(), &["b"]);
    agents[1].signal("CONT");
    assert_idle(&bus, &agents, &server, &[]);
}

#[test]
fn an_agent_that_can_not_be_reached_any_more_is_given_up_and_stops_by_itself() {
    let Some(bus) = Bus::start() else { return };
    let path = Path::to(bus.port);
    let agents = [bus.agent("a", &[]), bus.agent_by(path.port, "b", &[])];
    let server = Echo::start();
    let running = bus.begin_run(&echo(server.port, LONG, ""), "2", &[]);
    server.wait_for_bytes(UNDER_WAY);
    path.hold(true);
    // Its workers are ended although nobody can tell it.
    agents[1].await_rest();
    assert_lost(&running.finish(), &["b"]);
    path.hold(false);
    assert_idle(&bus, &agents, &server, &[]);
}

/// The run over two agents, one of them behind a path that `trouble` does something to, ends as if nothing had been.
#[track_caller]
fn assert_survives(trouble: impl FnOnce(&Path)) {
    let Some(bus) = Bus::start() else { return };
    let path = Path::to(bus.port);
    let _agents = [bus.agent("a", &[]), bus.agent_by(path.port, "b", &[])];
    let server = Echo::start();
    let running = bus.begin_run(&echo(server.port, "6s", ""), "2", &[]);
    server.wait_for_bytes(UNDER_WAY);
    trouble(&path);
    let ran = running.finish().well();
    assert_whole(&ran.outcomes());
    let document = saved(&ran);
    let (_, trial) = trials(&document)[0];
    assert_eq!(lost(trial), [""; 0]);
    assert_merged(trial);
    assert_eq!(trial["outcome"]["measure"]["scheduled"], 720);
}

#[test]
fn a_link_that_hangs_for_three_seconds_is_waited_for() {
    assert_survives(|path| {
        path.hold(true);
        sleep(Duration::from_secs(3));
        path.hold(false);
    });
}

#[test]
fn a_link_that_breaks_for_three_seconds_is_waited_for() {
    assert_survives(|path| {
        path.cut(true);
        sleep(Duration::from_secs(3));
        path.cut(false);
    });
}

#[test]
fn a_bus_that_is_started_anew_while_the_load_runs_changes_nothing() {
    let Some(mut bus) = Bus::start() else { return };
    let agents = bus.agents(3);
    let server = Echo::start();
    let running = bus.begin_run(&echo(server.port, "6s", ""), "3", &[]);
    server.wait_for_bytes(UNDER_WAY);
    bus.end();
    sleep(Duration::from_secs(1));
    bus.begin();
    let ran = running.finish().well();
    assert_whole(&ran.outcomes());
    let document = saved(&ran);
    let (_, trial) = trials(&document)[0];
    assert_eq!((parts(trial).len(), lost(trial).len()), (3, 0));
    assert_merged(trial);
    assert_idle(&bus, &agents, &server, &[]);
}

#[test]
fn a_bus_that_is_started_anew_while_nobody_runs_anything_is_found_again() {
    let Some(mut bus) = Bus::start() else { return };
    let agents = bus.agents(3);
    let server = Echo::start();
    assert_idle(&bus, &agents, &server, &[]);
    bus.end();
    sleep(Duration::from_millis(500));
    bus.begin();
    assert_idle(&bus, &agents, &server, &[]);
}

#[test]
fn agents_whose_coordinator_is_killed_stop_by_themselves() {
    under_way!(bus, agents, server, running, LONG, "");
    running.signal("KILL");
    assert_eq!(running.finish().code, -1);
    agents.iter().for_each(Agent::await_rest);
    // Nothing is sent any more.
    let bytes = server.bytes();
    sleep(Duration::from_millis(500));
    assert_eq!(server.bytes(), bytes);
    assert_idle(&bus, &agents, &server, &[]);
}

#[test]
fn a_run_that_is_interrupted_lets_its_agents_go_at_once() {
    under_way!(bus, agents, server, running, LONG, "trials = 3");
    running.signal("INT");
    let ran = running.finish();
    assert_eq!(ran.code, 105, "{}\n{}", ran.stdout, ran.stderr);
    let document = saved(&ran);
    let (_, trial) = trials(&document)[0];
    assert_eq!((document["partial"].clone(), trials(&document).len()), (Value::Bool(true), 1));
    assert_eq!((parts(trial).len(), lost(trial).len()), (3, 0));
    assert_merged(trial);
    assert!(trial["outcome"]["measure"]["delivered"].as_u64() > Some(0));
    // Within less than they would wait for a coordinator that says nothing.
    let wait = format!("{}s", GRACE.as_secs() / 2);
    assert_idle(&bus, &agents, &server, &["--wait", &wait]);
}
