//! Many machines measure what one does.

use super::fleet::{Bus, parts, saved, trials};
use crate::harness::{Ran, assert_whole};
use serde_json::{Value, json};
use wsbench::measure::Outcome;

/// A dozen rooms, so that three agents have several each.
const CHAT: &str = "
    name = \"fleet\"
    seed = 7
    [workload.chat]
    rooms = 12
    [load]
    sessions = 48
    rate = \"240/s\"
    connect_rate = \"1k/s\"
    warmup = \"200ms\"
    duration = \"1s\"
    trials = 2
    [transports.websocket]
    [transports.tcp]
    [transports.sse]
    ";

/// What doesn't depend on how fast anything was, of each trial in the order of arms and blocks.
fn totals(document: &Value) -> Vec<Value> {
    let of = |(arm, trial): &(&str, &Value)| {
        let outcome = &trial["outcome"];
        let phase = |name: &str| {
            let counters = &outcome[name];
            let came = counters["delivered"].as_u64().unwrap() + counters["late"].as_u64().unwrap();
            json!({ "scheduled": counters["scheduled"], "sent": counters["sent"], "expected": counters["expected"], "came": came })
        };
        let sessions = &outcome["sessions"];
        json!({
            "arm": arm, "block": trial["block"], "warmup": phase("warmup"), "measure": phase("measure"),
            "asked": sessions["asked"], "connected": sessions["connected"], "held": sessions["held"]["counted"],
            "sent": outcome["traffic"]["sent"]["payload"], "received": outcome["traffic"]["received"]["payload"],
        })
    };
    trials(document).iter().map(of).collect()
}

/// The trial's outcome is the sum of its agents', to the last bit of each histogram.
#[track_caller]
pub fn assert_merged(trial: &Value) {
    let mut outcomes =
        parts(trial).iter().map(|part| serde_json::from_value::<Outcome>(part["outcome"].clone()).unwrap());
    let mut sum = outcomes.next().unwrap();
    outcomes.for_each(|outcome| sum.merge(&outcome).unwrap());
    let sum = serde_json::to_value(sum).unwrap();
    for (name, value) in trial["outcome"].as_object().unwrap() {
        assert_eq!(&sum[name], value, "{name}");
    }
    assert_eq!(sum, trial["outcome"]);
}

#[track_caller]
pub fn assert_same(one: &Ran, many: &Ran, agents: usize) {
    assert_whole(&many.outcomes());
    let (here, there) = (saved(one), saved(many));
    assert_eq!(totals(&here), totals(&there));
    for (arm, trial) in trials(&there) {
        assert_eq!(parts(trial).len(), agents, "{arm}");
        assert_merged(trial);
        let sum = |field: &str| parts(trial).iter().map(|part| part[field].as_u64().unwrap()).sum::<u64>();
        assert_eq!(json!(sum("sessions")), trial["outcome"]["sessions"]["asked"]);
        assert!(parts(trial).iter().all(|part| part["sessions"].as_u64() > Some(0) && part["lost"].is_null()));
        assert!(parts(trial).iter().all(|part| part["clock"]["uncertainty"].as_u64() > Some(0)), "{arm}");
    }
    assert!(here["cells"].as_array().unwrap().iter().all(|cell| cell["trials"][0]["agents"].is_null()));
}

#[test]
fn three_agents_count_what_one_process_counts_and_the_whole_is_the_sum() {
    let Some(bus) = Bus::start() else { return };
    let agents = bus.agents(3);
    let many = bus.run(CHAT, "3", &[]).well();
    let one = bus.run_here(CHAT, &[]).well();
    assert_same(&one, &many, 3);
    let document = saved(&many);
    let mut names: Vec<&str> =
        parts(trials(&document)[0].1).iter().map(|part| part["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c"]);
    // And once more over the same agents, who are back to waiting.
    assert_same(&one, &bus.run(CHAT, "all", &[]).well(), 3);
    drop(agents);
}

#[test]
fn a_saved_run_over_many_machines_is_drawn_again_with_its_agents() {
    let Some(bus) = Bus::start() else { return };
    let _agents = bus.agents(2);
    let ran = bus.run(CHAT, "2", &["--transport", "tcp", "--trials", "1"]).well();
    let again = ran.out.join("again");
    let mut report = std::process::Command::new(env!("CARGO_BIN_EXE_wsbench"));
    report.arg("report").arg(ran.out.join("result.json")).arg("--out").arg(&again);
    assert!(report.output().unwrap().status.success());
    for name in ["summary.md", "report.html"] {
        let read = |folder: &std::path::Path| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read(&ran.out), read(&again), "{name}");
    }
}

#[test]
fn pushes_and_connects_and_closed_loads_are_shared_as_well() {
    let Some(bus) = Bus::start() else { return };
    let _agents = bus.agents(3);
    let load = "[load]\nsessions = 30\nrate = \"90/s\"\nconnect_rate = \"1k/s\"\nduration = \"1s\"\n[transports.tcp]\n[transports.websocket]\n";
    for workload in ["[workload.push]\ntopics = 6\n", "[workload.connect]\n"] {
        let scenario = format!("seed = 3\n{workload}{load}");
        let many = bus.run(&scenario, "3", &[]).well();
        let one = bus.run_here(&scenario, &[]).well();
        assert_same(&one, &many, 3);
    }
    let closed = load.replace("rate = \"90/s\"", "arrival = \"closed\"");
    let many = bus.run(&format!("[workload.echo]\n{closed}"), "3", &[]).well();
    assert_whole(&many.outcomes());
    let document = saved(&many);
    for (_, trial) in trials(&document) {
        assert_merged(trial);
        assert!(parts(trial).iter().all(|part| part["outcome"]["measure"]["sent"].as_u64() > Some(0)));
    }
}

#[test]
fn only_agents_with_the_label_are_asked() {
    let Some(bus) = Bus::start() else { return };
    let _eu =
        [bus.agent("a", &["--label", "zone=eu"]), bus.agent("b", &["--label", "zone=eu", "--label", "disk=fast"])];
    let _us = bus.agent("c", &["--label", "zone=us"]);
    // All three are there.
    bus.run(CHAT, "3", &["--transport", "tcp", "--trials", "1"]).well();
    let ran = bus.run(CHAT, "all", &["--label", "zone=eu", "--transport", "tcp", "--trials", "1"]).well();
    let document = saved(&ran);
    let parts = parts(trials(&document)[0].1);
    let mut names: Vec<&str> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b"]);
    assert!(parts.iter().all(|part| part["labels"]["zone"] == "eu"), "{parts:?}");
}

#[test]
fn fifty_agents_take_part_in_one_run() {
    let Some(bus) = Bus::start() else { return };
    let names: Vec<String> = (0..50).map(|n| format!("n{n:02}")).collect();
    let _agents: Vec<_> = names.iter().map(|name| bus.agent(name, &[])).collect();
    let scenario = "seed = 1\n[workload.chat]\nrooms = 50\n[load]\nsessions = 150\nrate = \"300/s\"\nconnect_rate = \"500/s\"\n\
                    duration = \"1s\"\n[transports.tcp]\n";
    let many = bus.run(scenario, "50", &[]).well();
    let one = bus.run_here(scenario, &[]).well();
    assert_same(&one, &many, 50);
    let document = saved(&many);
    let mut seen: Vec<&str> = parts(trials(&document)[0].1).iter().map(|part| part["name"].as_str().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, names);
}
