//! Machines with networks of their own: nats-server and target on one, agents on two others, one of which counts its time from
//! another zero. Passed over where there is no right to make namespaces.

use super::fleet::{
    AGENTS_PASSWORD, Agent, Bus, COORDINATORS_PASSWORD, Running, at_bus, lost, parts, path, saved, trials,
};
use super::same::assert_same;
use super::stand::wait_until;
use crate::harness::assert_whole;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Where nats-server is, and where its machine is on the other network, by which the load goes.
const BUS: &str = "198.18.7.1";
const TARGET: &str = "198.18.8.1";
/// The same of an agent's machine.
const TARGET_A: &str = "198.18.8.2";
const PORT: u16 = 4222;
/// By so many seconds one agent's clock is ahead.
const AHEAD: i64 = 1000;

const CHAT: &str = "
    seed = 7
    [workload.chat]
    rooms = 12
    [load]
    sessions = 48
    rate = \"240/s\"
    connect_rate = \"1k/s\"
    warmup = \"200ms\"
    duration = \"1s\"
    [transports.websocket]
    [transports.tcp]
    ";

struct Machines {
    name: String,
    bus: Option<Bus>,
}

impl Machines {
    fn up() -> Option<Machines> {
        if !crate::harness::is_there("nats") {
            return None;
        }
        let name = format!("wsb{}", std::process::id());
        let code = netns("up", &name);
        assert!(matches!(code, Some(0 | 77)), "{code:?}");
        if code == Some(77) {
            eprintln!("passed over: no right to make network namespaces here");
            return None;
        }
        let mut machines = Machines { name, bus: None };
        machines.bus = Some(Bus::listening(BUS, PORT, 8222, |serve| machines.on("s", &serve)));
        Some(machines)
    }

    /// `command` on the machine `part`.
    fn on(&self, part: &str, command: &Command) -> Command {
        let mut inside = ip();
        inside
            .args(["netns", "exec", &format!("{}-{part}", self.name)])
            .arg(command.get_program())
            .args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }

    fn bus(&self) -> &Bus {
        self.bus.as_ref().unwrap()
    }

    fn agent(&self, part: &str, name: &str) -> Agent {
        Agent::start(self.on(part, &agent(name, &[])), name, self.bus().path())
    }

    /// One whose monotonic clock is ahead of the others'.
    fn agent_ahead(&self, part: &str, name: &str) -> Agent {
        let ahead = AHEAD.to_string();
        let other = ["unshare", "--time", "--monotonic", &ahead, "--fork", "--kill-child"];
        Agent::start(self.on(part, &agent(name, &other)), name, self.bus().path())
    }

    /// Packets that the load of the machine `b` has sent.
    fn sent_by_b(&self) -> u64 {
        let shown = self.ip(&["-s", "-j", "link", "show", "load-b"]);
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        shown[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
    }

    /// `ip` on the machine `s`, whose ends of all cables they are.
    fn ip(&self, words: &[&str]) -> Vec<u8> {
        let output = ip().args(["-n", &format!("{}-s", self.name)]).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn begin_run(&self, part: &str, scenario: &str, more: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
        command.args(["run", "--agents", "3", "--wait", "60s"]).args(more);
        at_bus(&mut command, BUS, PORT, "coordinator", COORDINATORS_PASSWORD);
        self.bus().begin_command(self.on(part, &command), scenario)
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.bus = None;
        netns("down", &self.name);
    }
}

fn ip() -> Command {
    let mut ip = Command::new("ip");
    ip.env("PATH", path());
    ip
}

/// An agent's command line, behind that of another program.
fn agent(name: &str, behind: &[&str]) -> Command {
    let words = [behind, &[env!("CARGO_BIN_EXE_wsbench"), "agent", "--name", name]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    at_bus(&mut command, BUS, PORT, "agent", AGENTS_PASSWORD);
    command
}

fn netns(what: &str, name: &str) -> Option<i32> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/netns.sh");
    Command::new("bash").arg(script).args([what, name]).status().unwrap().code()
}

fn is_time_apart_here() -> bool {
    let mut date = Command::new("unshare");
    date.args(["--time", "--monotonic", "1000", "--fork", "true"]).output().is_ok_and(|output| output.status.success())
}

fn part_of<'a>(trial: &'a Value, name: &str) -> &'a Value {
    parts(trial).iter().find(|part| part["name"] == name).unwrap()
}

/// An agent's clock less the coordinator's, and how far off that may be, nanoseconds.
fn clock(part: &Value) -> (i64, i64) {
    let clock = &part["clock"];
    (clock["offset"].as_i64().unwrap_or_else(|| panic!("{part}")), clock["uncertainty"].as_i64().unwrap())
}

#[test]
fn machines_with_networks_and_clocks_of_their_own_measure_what_one_process_does() {
    let Some(machines) = Machines::up() else { return };
    let is_apart = is_time_apart_here();
    let third = if is_apart { Machines::agent_ahead } else { Machines::agent };
    let agents = [machines.agent("a", "a1"), machines.agent("a", "a2"), third(&machines, "b", "b1")];

    // The target is beside nats-server, and so is the coordinator.
    let many = machines.begin_run("s", CHAT, &["--advertise", TARGET]).finish().well();
    let one = machines.bus().run_here(CHAT, &[]).well();
    assert_same(&one, &many, 3);
    let document = saved(&many);
    for (_, trial) in trials(&document) {
        for (name, ahead) in [("a1", 0), ("a2", 0), ("b1", if is_apart { AHEAD * 1_000_000_000 } else { 0 })] {
            // All of these clocks are one, but for what it counts from.
            let (offset, uncertainty) = clock(part_of(trial, name));
            assert!((offset - ahead).abs() <= uncertainty, "{name}: {offset} ± {uncertainty}");
        }
    }

    // The coordinator and its target are on an agent's machine.
    let elsewhere = machines.begin_run("a", CHAT, &["--advertise", TARGET_A, "--transport", "tcp"]).finish().well();
    let one = machines.bus().run_here(CHAT, &["--transport", "tcp"]).well();
    assert_same(&one, &elsewhere, 3);

    // Without an address the agents can't reach an embedded target, and nothing is begun.
    let nowhere = machines.begin_run("s", CHAT, &[]).finish();
    assert!(nowhere.code != 0 && nowhere.stderr.contains("--advertise"), "{}", nowhere.stderr);

    a_way_from_one_machine_to_another_is_timed_or_absent(&machines);
    a_cable_that_is_pulled_for_three_seconds(&machines);
    drop(agents);
}

fn a_way_from_one_machine_to_another_is_timed_or_absent(machines: &Machines) {
    let push = "seed = 7\n[workload.push]\ntopics = 6\n[load]\nsessions = 30\nrate = \"100/s\"\nduration = \"2s\"\n\
                [network]\ndelay = \"20ms\"\n[transports.tcp]\n";
    let ran = machines.begin_run("s", push, &["--advertise", TARGET]).finish().well();
    assert_whole(&ran.outcomes());
    let document = saved(&ran);
    let (_, trial) = trials(&document)[0];
    let worst = parts(trial).iter().map(|part| clock(part).1).max().unwrap();
    let absent = trial["absent"].as_array().map(|all| all.iter().any(|one| one["metric"] == "response_time"));
    match ran.outcomes()[0].1.histograms.get(wsbench::measure::Metric::ResponseTime) {
        // Held up by the target for 20 ms; far from what the clocks differ by.
        Some(times) => {
            let p50 = times.at(0.5) as i64;
            assert!((10 * worst..10_000_000_000).contains(&p50) && p50 >= 20_000_000 - worst, "{p50} ± {worst}");
            assert_ne!(absent, Some(true));
        }
        None => assert_eq!(absent, Some(true), "{trial}"),
    }
}

fn a_cable_that_is_pulled_for_three_seconds(machines: &Machines) {
    let scenario = "seed = 5\n[workload.echo]\n[load]\nsessions = 12\nrate = \"120/s\"\narrival = \"constant\"\nduration = \"6s\"\n\
                    [transports.tcp]\n";
    let before = machines.sent_by_b();
    let running = machines.begin_run("s", scenario, &["--advertise", TARGET]);
    wait_until("a load that is under way", || machines.sent_by_b() > before + 150);
    machines.ip(&["link", "set", "bus-b", "down"]);
    std::thread::sleep(Duration::from_secs(3));
    machines.ip(&["link", "set", "bus-b", "up"]);
    let ran = running.finish().well();
    assert_whole(&ran.outcomes());
    let document = saved(&ran);
    let (_, trial) = trials(&document)[0];
    assert_eq!((lost(trial).len(), parts(trial).len()), (0, 3));
    assert_eq!(trial["outcome"]["measure"]["scheduled"], 720);
}
