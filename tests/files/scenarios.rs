//! The scenarios that are shipped parse, make plans, and are what their descriptions promise.

use std::path::Path;
use wsbench::catalog::{Arrival, TransportKind, WorkloadKind};
use wsbench::plan::{self, Facts, Limits, Overrides, Plan};
use wsbench::scenario::{self, Scenario};
use wsbench::units::Span;

fn read(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    scenario::parse(name, &text).unwrap_or_else(|e| panic!("{}", e.render(false)))
}

fn planned(name: &str) -> (Plan, Facts) {
    let plan = plan::build(&read(name), &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let facts = plan::facts(&plan);
    (plan, facts)
}

/// Names of the files in a folder.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let paths =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == extension));
    paths.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_scenario_for_a_real_server_makes_a_plan_named_like_its_file() {
    for name in files("scenarios/targets", "toml") {
        let (plan, facts) = planned(&format!("targets/{name}"));
        assert_eq!(format!("{}.toml", plan.name), name);
        assert!(facts.scheduled.measured > 0 && plan.omitted.is_empty() && plan.embedded.is_none(), "{name}");
    }
}

#[test]
fn every_whole_scenario_on_the_pages_of_real_servers_makes_a_plan() {
    for name in files("docs/targets", "md") {
        let page =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/targets").join(&name)).unwrap();
        let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        for block in blocks.filter(|block| block.contains("[workload")) {
            let scenario = scenario::parse(&name, block).unwrap_or_else(|e| panic!("{}", e.render(false)));
            plan::build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)));
        }
    }
}

#[test]
fn every_shipped_scenario_makes_a_plan_named_like_its_file() {
    let mut count = 0;
    for name in files("scenarios", "toml") {
        let (plan, facts) = planned(&name);
        assert_eq!(format!("{}.toml", plan.name), name);
        assert!(facts.scheduled.measured > 0, "{name}");
        assert!(plan.omitted.is_empty(), "{name}");
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn every_one_of_very_many_sessions_is_heard_from_in_the_measured_window() {
    for (name, sessions, processes) in [("million.toml", 1_000_000, 56), ("hundred-thousand.toml", 100_000, 6)] {
        let (plan, facts) = planned(name);
        assert_eq!((plan.cells.len(), plan.cells[0].transport.kind()), (1, TransportKind::Websocket));
        assert_eq!(plan.cells[0].load.sessions, sessions);
        // In a constant schedule they take turns.
        assert_eq!(plan.cells[0].load.schedule.arrival, Arrival::Constant);
        assert!(facts.scheduled.measured >= u64::from(sessions) - 1, "{name}: {}", facts.scheduled.measured);
        let taken = plan::processes(&plan.cells[0], 20_000);
        assert_eq!((taken.workers, taken.targets), (processes, processes));
        let limits = Limits { descriptors: 20_000, ports: 28_232, files: 2_466_170 };
        assert_eq!(plan::shortages(&plan, &limits), []);
    }
}

#[test]
fn the_plain_arm_of_a_transport_is_named_like_it_in_every_scenario() {
    for name in ["chat", "echo", "live-scores", "connect", "collaborative-editing", "smoke"] {
        let (plan, _) = planned(&format!("{name}.toml"));
        for cell in &plan.cells {
            let kind = cell.transport.kind().name();
            assert!(plan.cells.iter().any(|c| c.arm == kind), "{name} has {kind} only under another name");
        }
        assert_eq!(plan.reference.as_deref(), Some("long-polling"), "{name}");
    }
}

#[test]
fn chat_runs_all_seven_transports_six_times_within_ninety_seconds() {
    let (plan, facts) = planned("chat.toml");
    let kinds: Vec<_> = plan.cells.iter().map(|cell| cell.transport.kind()).collect();
    let fitting = TransportKind::ALL.iter().copied().filter(|kind| kind.refuses(WorkloadKind::Chat).is_none());
    assert!(kinds.into_iter().eq(fitting));
    assert_eq!((plan.trials, plan.cells[0].load.sessions), (6, 1000));
    assert!(facts.expected < Span::from_millis(90_000), "{}", facts.expected);
}

#[test]
fn smoke_measures_all_seven_transports_briefly() {
    let (plan, facts) = planned("smoke.toml");
    assert_eq!(plan.cells.len(), 7);
    assert!(facts.expected < Span::from_millis(5000), "{}", facts.expected);
}

#[test]
fn the_starter_makes_a_plan_and_so_does_what_it_has_commented_out() {
    let starter = scenario::parse("starter.toml", scenario::STARTER).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let plan = plan::build(&starter, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)));
    assert_eq!(plan.cells.len(), 2);

    // A commented line such as `# drain = "1s"` holds a setting; the alternatives that exclude others stay out.
    let uncomment = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.contains(" = ") && !rest.starts_with("stages") && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = scenario::STARTER.lines().map(uncomment).collect();
    assert_ne!(text.join("\n"), scenario::STARTER.trim_end());
    let fuller = scenario::parse("starter.toml", &text.join("\n")).unwrap_or_else(|e| panic!("{}", e.render(false)));
    plan::build(&fuller, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)));
}

#[test]
fn the_scenario_that_the_readme_explains_builds() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let scenario = wsbench::scenario::parse("README.md", text).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let plan = wsbench::plan::build(&scenario, &Default::default()).unwrap_or_else(|e| panic!("{}", e.render(false)));
    assert_eq!(plan.cells.len(), 3);
}
