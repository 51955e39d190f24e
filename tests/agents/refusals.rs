//! Who may not take part, and what may not be asked.

use super::fleet::{AGENTS_PASSWORD, Bus, COORDINATORS_PASSWORD, parts, saved, trials, wsbench};
use super::raw::{Heard, Raw};
use super::stand::Echo;
use crate::harness::assert_whole;
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

fn echo(sessions: u32, port: u16) -> String {
    format!(
        "[workload.echo]\n[load]\nsessions = {sessions}\nrate = \"60/s\"\nconnect_rate = \"500/s\"\nduration = \"500ms\"\n\
         [target.urls]\ntcp = \"tcp://127.0.0.1:{port}\"\n[transports.tcp]\n"
    )
}

/// What an agent says of itself when it starts.
fn card_of_an_agent(bus: &Bus) -> Value {
    let mut listener = bus.as_coordinator(&["wsbench.cards"]);
    let _agent = bus.agent("sample", &[]);
    match listener.hear() {
        Heard::Message { body, .. } => serde_json::from_slice(&body).unwrap(),
        Heard::Error(error) => panic!("{error}"),
    }
}

/// Where an answer to a coordinator's question goes.
fn answer_to(reply: Option<String>, body: &[u8]) -> String {
    let words: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let run = || format!("wsbench.run.{}.cards", words["run"].as_str().unwrap());
    reply.or_else(|| words["reply"].as_str().map(str::to_owned)).unwrap_or_else(run)
}

/// An agent that is nothing but this card, until the bus ends.
fn impostor(bus: &Bus, card: &Value) {
    let mut raw = bus.as_agent(&["wsbench.who"]);
    let card = card.to_string();
    std::thread::spawn(move || {
        while let Heard::Message { reply, body, .. } = raw.hear() {
            raw.publish(&answer_to(reply, &body), card.as_bytes());
        }
    });
}

#[test]
fn an_agent_of_another_version_is_named_and_not_hired() {
    let Some(bus) = Bus::start() else { return };
    let mut card = card_of_an_agent(&bus);
    for (field, value) in [("id", "0123456789abcdef"), ("name", "old-one"), ("version", "0.0.7-other")] {
        assert!(card[field].is_string(), "{card}");
        card[field] = value.into();
    }
    impostor(&bus, &card);
    let _agent = bus.agent("a", &[]);
    let echo_server = Echo::start();
    let ran = bus.run(&echo(4, echo_server.port), "2", &["--wait", "3s"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("old-one") && ran.stderr.contains("0.0.7-other"), "{}", ran.stderr);
    assert_eq!(echo_server.connections(), 0);
    // Whoever is of this version goes on without it.
    let ran = bus.run(&echo(4, echo_server.port), "1", &[]).well();
    let document = saved(&ran);
    assert_eq!(parts(trials(&document)[0].1)[0]["name"], "a");
}

#[test]
fn too_few_agents_are_listed() {
    let Some(bus) = Bus::start() else { return };
    let _agent = bus.agent("lonely", &[]);
    bus.run(&echo(4, Echo::start().port), "1", &[]).well();
    let ran = bus.run(&echo(4, 9), "3", &["--wait", "2s"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("lonely"), "{}", ran.stderr);
}

#[test]
fn a_busy_agent_is_not_shared() {
    let Some(bus) = Bus::start() else { return };
    let echo_server = Echo::start();
    let agent = bus.agent("only", &[]);
    let long = echo(4, echo_server.port).replace("500ms", "60s");
    let first = bus.begin_run(&long, "1", &[]);
    echo_server.wait_for_bytes(500);
    let connections = echo_server.connections();
    let second = bus.run(&echo(4, echo_server.port), "1", &["--wait", "2s"]);
    assert_eq!(second.code, 1, "{}", second.stderr);
    assert!(second.stderr.contains("`only`: it works for another run"), "{}", second.stderr);
    assert_eq!(echo_server.connections(), connections);
    // The first goes on, and ends in order.
    echo_server.wait_for_bytes(500);
    first.signal("INT");
    assert_eq!(first.finish().code, 105);
    agent.await_rest();
}

#[test]
fn targets_that_an_agent_may_not_load_get_no_connection() {
    let Some(bus) = Bus::start() else { return };
    let echo_server = Echo::start();
    let scenario = echo(4, echo_server.port);
    let other_port = format!("127.0.0.1:{}", echo_server.port ^ 1);
    {
        let _agent = bus.agent("a", &["--allow-target", "192.0.2.0/24", "--allow-target", &other_port]);
        let ran = bus.run(&scenario, "1", &[]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let said = format!("{}{}", ran.stderr, ran.stdout);
        assert!(said.contains("agent `a`") && said.contains("allow-target") && said.contains("127.0.0.1"), "{said}");
        assert!(!said.contains("defect") && !said.contains("INVALID"), "{said}");
        let document = saved(&ran);
        assert_eq!(trials(&document)[0].1["invalid"], Value::Array(Vec::new()));
        assert_eq!(echo_server.connections(), 0);
    }
    let this_port = format!("127.0.0.1:{}", echo_server.port);
    for (name, allowed) in [("b", this_port.as_str()), ("c", "127.0.0.0/8"), ("d", "127.0.0.1")] {
        let agent = bus.agent(name, &["--allow-target", allowed]);
        bus.run(&scenario, "1", &[]).well();
        drop(agent);
    }
}

#[test]
fn an_agent_carries_no_more_than_its_cap() {
    let Some(bus) = Bus::start() else { return };
    let echo_server = Echo::start();
    let _agents = [bus.agent("a", &["--max-sessions", "4"]), bus.agent("b", &["--max-sessions", "8"])];
    let ran = bus.run(&echo(13, echo_server.port), "2", &[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(echo_server.connections(), 0, "{}", ran.stderr);
    let ran = bus.run(&echo(12, echo_server.port), "2", &[]).well();
    let document = saved(&ran);
    let sessions: Vec<_> =
        parts(trials(&document)[0].1).iter().map(|part| (part["name"].as_str(), part["sessions"].as_u64())).collect();
    assert!(sessions.iter().all(|(name, n)| *n <= if *name == Some("a") { Some(4) } else { Some(8) }), "{sessions:?}");
}

#[test]
fn an_agent_sends_no_faster_than_its_cap() {
    let Some(bus) = Bus::start() else { return };
    let echo_server = Echo::start();
    let _agent = bus.agent("a", &["--max-rate", "50/s"]);
    let ran = bus.run(&echo(4, echo_server.port), "1", &[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(echo_server.connections(), 0, "{}", ran.stderr);
    bus.run(&echo(4, echo_server.port), "1", &["--rate", "40/s"]).well();
}

#[test]
fn who_lacks_the_credentials_is_told_so_and_starts_nothing() {
    let Some(bus) = Bus::start() else { return };
    let mut agent = wsbench("agent", bus.port, "agent", "wWrongSecret3");
    let said = agent.output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr).to_lowercase();
    assert_eq!(said.status.code(), Some(1), "{words}");
    assert!(words.contains("authorization") && !words.contains("wwrongsecret3"), "{words}");

    let mut run = wsbench("run", bus.port, "coordinator", "wWrongSecret3");
    run.args(["--agents", "1", "--wait", "5s"]);
    let ran = bus.begin_command(run, &echo(4, 9)).finish();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.to_lowercase().contains("authorization"), "{}", ran.stderr);

    // An agent's credentials hire nobody: what a coordinator says is not theirs to say, nor to hear of others.
    let mut raw = Raw::connect(bus.port, "agent", AGENTS_PASSWORD, &["wsbench.who"]);
    for subject in ["wsbench.agent.0123456789abcdef", "wsbench.who"] {
        raw.publish(subject, b"{}");
        let error = raw.flush().unwrap_or_else(|| panic!("an agent may publish to {subject}"));
        assert!(error.contains("Permissions Violation"), "{error}");
    }
    let mut run = wsbench("run", bus.port, "agent", AGENTS_PASSWORD);
    run.args(["--agents", "1", "--wait", "2s"]);
    let ran = bus.begin_command(run, &echo(4, 9)).finish();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}

#[test]
fn nobody_answers_at_the_url_or_there_is_none() {
    let Some(mut bus) = Bus::start() else { return };
    bus.end();
    let ran = bus.run(&echo(4, 9), "1", &["--wait", "2s"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("127.0.0.1") && ran.stderr.to_lowercase().contains("refused"), "{}", ran.stderr);
    let mut alone = Command::new(env!("CARGO_BIN_EXE_wsbench"));
    alone.args(["run", "--agents", "3"]).env_remove("WSBENCH_NATS_URL");
    let ran = bus.begin_command(alone, &echo(4, 9)).finish();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--nats"), "{}", ran.stderr);
}

#[test]
fn secrets_of_the_bus_stay_here() {
    let Some(bus) = Bus::start() else { return };
    let echo_server = Echo::start();
    let url = format!("nats://agent:{AGENTS_PASSWORD}@127.0.0.1:{}", bus.port);
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
    command.args(["agent", "--nats", &url, "--name", "a"]);
    let agent = super::fleet::Agent::start(command, "a", bus.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
    let url = format!("nats://127.0.0.1:{}", bus.port);
    command.args(["run", "--agents", "1", "--wait", "60s", "--nats", &url, "--nats-user", "coordinator"]);
    command.args(["--nats-password", COORDINATORS_PASSWORD]);
    let ran = bus.begin_command(command, &echo(4, echo_server.port)).finish().well();
    for name in ["result.json", "report.html", "summary.md"] {
        let text = std::fs::read_to_string(ran.out.join(name)).unwrap();
        assert!(!text.contains(COORDINATORS_PASSWORD) && !text.contains(AGENTS_PASSWORD), "{name}");
    }
    for said in [&ran.stdout, &ran.stderr, &agent.said()] {
        assert!(!said.contains(COORDINATORS_PASSWORD) && !said.contains(AGENTS_PASSWORD), "{said}");
    }
}

/// What nobody of wsbench says.
const NOISE: [&[u8]; 6] = [b"", b"null", b"{", b"\xff\x00\x01", &[255; 70_000], b"{\"id\":\"x\",\"name\":\"\x1b[2J\"}"];

#[test]
fn what_makes_no_sense_is_passed_over_on_either_side() {
    let Some(bus) = Bus::start() else { return };
    let echo_server = Echo::start();
    let mut coordinator = bus.as_coordinator(&["wsbench.cards"]);
    let mut agent = bus.agent("a", &[]);
    let Heard::Message { body: card, .. } = coordinator.hear() else { panic!("no card") };
    let id = serde_json::from_slice::<Value>(&card).unwrap()["id"].as_str().unwrap().to_owned();
    // To the agent, before the run.
    for body in NOISE {
        coordinator.publish("wsbench.who", body);
        coordinator.publish(&format!("wsbench.agent.{id}"), body);
    }
    assert_eq!(coordinator.flush(), None);
    // To the coordinator, as soon as its run can be known, and until the end.
    let (mut raw, is_over) = (bus.as_agent(&["wsbench.who"]), Arc::new(AtomicBool::new(false)));
    let over = is_over.clone();
    let noise = std::thread::spawn(move || {
        let Heard::Message { reply, body, .. } = raw.hear() else { panic!("no run") };
        let cards = answer_to(reply, &body);
        let from = cards.replace(".cards", &format!(".from.{id}"));
        while !over.load(SeqCst) {
            for body in NOISE {
                raw.publish(&cards, body);
                raw.publish(&from, body);
            }
            raw.flush();
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let ran = bus.run(&echo(4, echo_server.port), "1", &[]).well();
    is_over.store(true, SeqCst);
    noise.join().unwrap();
    assert_whole(&ran.outcomes());
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    assert!(agent.is_running());
}
