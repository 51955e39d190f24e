use super::*;
use crate::plan::{Limits, Overrides, build, sessions_of_worker};
use crate::scenario;
use crate::workload::Roster;
use proptest::prelude::*;

fn plan(workload: &str, load: &str, transports: &str) -> Plan {
    let text = format!("{workload}\n[load]\nduration = \"2s\"\n{load}\n{transports}");
    let scenario = scenario::parse("t.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
    build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)))
}

fn cell(workload: &str, load: &str) -> Cell {
    plan(workload, &format!("rate = \"1k/s\"\n{load}"), "[transports.tcp]").cells.remove(0)
}

fn agent(name: &str, cores: u64) -> AgentLimits {
    let name = name.to_owned();
    AgentLimits { name, cores, descriptors: 20_000, ports: 28_232, max_sessions: None, max_rate: None }
}

fn counts(cell: &Cell, agents: &[AgentLimits]) -> Vec<(usize, usize)> {
    let shares = shares(cell, agents).unwrap_or_else(|shortage| panic!("{shortage}"));
    shares.iter().map(|share| (share.agent, share.workers.len())).collect()
}

fn refused(cell: &Cell, agents: &[AgentLimits]) -> String {
    shares(cell, agents).unwrap_err().to_string()
}

#[test]
fn each_agent_has_a_worker_and_more_with_more_cores() {
    let echo = cell("[workload.echo]", "sessions = 700");
    assert_eq!(counts(&echo, &[agent("a", 2), agent("b", 2), agent("c", 3)]), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(counts(&echo, &[agent("a", 2), agent("b", 8), agent("c", 4)]), [(0, 1), (1, 4), (2, 2)]);
    assert_eq!(counts(&echo, &[agent("a", 16)]), [(0, 1)]);
}

#[test]
fn with_fewer_rooms_than_agents_the_small_ones_rest() {
    let chat = cell("[workload.chat]\nrooms = 2", "sessions = 100");
    assert_eq!(counts(&chat, &[agent("a", 1), agent("b", 4), agent("c", 4)]), [(1, 1), (2, 1)]);
    let echo = cell("[workload.echo]", "sessions = 1");
    assert_eq!(counts(&echo, &[agent("a", 2), agent("b", 2)]), [(0, 1)]);
}

#[test]
fn a_process_with_too_few_descriptors_is_several() {
    let echo = cell("[workload.echo]", "sessions = 3000");
    let small = AgentLimits { descriptors: 1024, ..agent("a", 2) };
    assert_eq!(counts(&echo, &[small.clone(), agent("b", 2)]), [(0, 2), (1, 2)]);
    let asked = cell("[workload.echo]", "sessions = 3000\nworkers = 2");
    let words = refused(&asked, &[small, agent("b", 2)]);
    assert_eq!(
        words,
        "arm `tcp` can't be shared out: agent `a` would need 1564 descriptors in a worker, and 1024 are allowed; leave \
         `workers` out, so that shares can be finer, or take one more agent, or raise its `ulimit -n`"
    );
}

#[test]
fn who_takes_less_has_less_and_the_others_the_rest() {
    let echo = cell("[workload.echo]", "sessions = 1000");
    let agents = [AgentLimits { max_sessions: Some(100), ..agent("a", 2) }, agent("b", 2), agent("c", 2)];
    let shares = shares(&echo, &agents).unwrap();
    let of = |share: &Share| sessions_of_share(&echo, &share.workers, total(&shares));
    let sessions: Vec<u64> = shares.iter().map(of).collect();
    assert!(sessions[0] > 50 && sessions[0] <= 100 && sessions.iter().sum::<u64>() == 1000, "{sessions:?}");
}

#[test]
fn what_is_missing_is_told_with_how_many_more_agents() {
    let limited = |name, most| AgentLimits { max_sessions: Some(most), ..agent(name, 2) };
    let echo = cell("[workload.echo]", "sessions = 1000");
    assert_eq!(
        refused(&echo, &[limited("a", 100), limited("b", 250)]),
        "arm `tcp` has 1000 sessions, and the agents take 350: `a` 100 (--max-sessions), `b` 250 (--max-sessions); take 3 \
         more like `b`, or raise its --max-sessions"
    );
    let chat = cell("[workload.chat]\nrooms = 2", "sessions = 1000");
    assert_eq!(
        refused(&chat, &[limited("a", 100), limited("b", 250)]),
        "arm `tcp` has 1000 sessions, and the agents take 0: `a` 0 (--max-sessions), `b` 0 (--max-sessions); raise its \
         --max-sessions (no room of 500 sessions is divided)"
    );
    assert_eq!(refused(&echo, &[]), "there is no agent to run it");
    let far = "[workload.echo]\n[target.urls]\ntcp = \"tcp://192.0.2.1:7\"";
    let far = cell(far, "sessions = 40_000");
    assert!(refused(&far, &[agent("a", 2)]).contains("`a` 28232 (its local ports towards one address); take 1 more"));
    assert_eq!(counts(&far, &[agent("a", 2), agent("b", 2)]).len(), 2);
}

#[test]
fn an_agent_keeps_to_its_rate() {
    let slow = |rate: f64| AgentLimits { max_rate: Rate::new(rate), ..agent("a", 2) };
    let echo = cell("[workload.echo]", "sessions = 100");
    assert_eq!(counts(&echo, &[slow(500.0), agent("b", 2)]), [(0, 1), (1, 1)]);
    let shared = shares(&echo, &[slow(100.0), agent("b", 2)]).unwrap();
    assert!(sessions_of_share(&echo, &shared[0].workers, total(&shared)) <= 10);
    assert!(refused(&echo, &[slow(500.0)]).contains("`a` 50 (--max-rate); take 1 more"));
    let closed = plan("[workload.echo]", "arrival = \"closed\"\nsessions = 4", "[transports.tcp]").cells.remove(0);
    assert!(refused(&closed, &[slow(1e6)]).contains("closed arrival has no rate that could be kept"));
    let push = cell("[workload.push]\ntopics = 4", "sessions = 100");
    assert_eq!(counts(&push, &[slow(1.0)]), [(0, 1)], "the embedded target is the one that sends");
}

#[test]
fn only_the_embedded_target_takes_of_this_machine() {
    let plan = plan("[workload.echo]", "rate = \"1k/s\"\nsessions = 5000", "[transports.tcp]");
    let here = Limits { descriptors: 1024, ports: 10, files: 5064 };
    assert_eq!(fleet_shortages(&plan, &[agent("a", 2)], &here).len(), 1, "one worker speaks to one target");
    let small = AgentLimits { descriptors: 1024, ..agent("a", 2) };
    assert_eq!(fleet_shortages(&plan, std::slice::from_ref(&small), &here), []);
    let fewer = Limits { files: 5063, ..here };
    let found = fleet_shortages(&plan, &[small], &fewer);
    assert!(matches!(found[..], [FleetShortage::Here(Shortage::Files { needed: 5064, .. })]), "{found:?}");
}

fn agents() -> impl Strategy<Value = Vec<AgentLimits>> {
    let limits = (1u64..16, 70u64..3000, 50u64..3000, prop::option::of(1u64..2000), prop::option::of(1u32..2000));
    let agent = limits.prop_map(|(cores, descriptors, ports, max_sessions, max_rate)| AgentLimits {
        name: "a".to_owned(),
        cores,
        descriptors,
        ports,
        max_sessions,
        max_rate: max_rate.and_then(|rate| Rate::new(rate.into())),
    });
    proptest::collection::vec(agent, 0..7)
}

const WORKLOADS: [&str; 5] = [
    "[workload.echo]",
    "[workload.chat]\nrooms = 7",
    "[workload.push]\ntopics = 40\n[target.urls]\ntcp = \"tcp://192.0.2.1:7\"",
    "[workload.connect]\n[target.urls]\ntcp = \"tcp://192.0.2.1:7\"",
    "[workload.push]\ntopics = 9",
];

proptest! {
    #[test]
    fn everything_is_shared_out_once_and_nobody_has_more_than_it_takes(
        agents in agents(), workload in 0usize..5, sessions in 40u32..4000, workers in prop::option::of(1u32..20),
    ) {
        let workers = workers.map_or(String::new(), |n| format!("workers = {n}"));
        let cell = cell(WORKLOADS[workload], &format!("sessions = {sessions}\n{workers}"));
        let Ok(shares) = shares(&cell, &agents) else { return Ok(()) };
        let workers = total(&shares);
        let mut next = 0;
        for share in &shares {
            prop_assert_eq!(share.workers.start, next);
            prop_assert!(!share.workers.is_empty());
            next = share.workers.end;
        }
        prop_assert_eq!(next, workers);
        let groups = cell.workload.groups().unwrap_or(sessions);
        prop_assert!(workers <= groups.min(MOST_WORKERS));
        let of = |share: &Share| sessions_of_share(&cell, &share.workers, workers);
        prop_assert_eq!(shares.iter().map(of).sum::<u64>(), sessions_of_worker(&cell, 0, 1));
        for session in 0..sessions {
            let on = |worker: &u32| {
                Roster::new(sessions, cell.workload.groups(), false, *worker, workers).local(session).is_some()
            };
            prop_assert_eq!((0..workers).filter(on).count(), 1);
        }
        for share in &shares {
            let agent = &agents[share.agent];
            prop_assert!(agent.max_sessions.is_none_or(|most| of(share) <= most));
            prop_assert!(of(share) <= agent.ports || needs_own(&cell) );
            let rate: f64 = share.workers.clone().map(|worker| rate_of_worker(&cell, worker, workers)).sum();
            prop_assert!(agent.max_rate.is_none_or(|most| rate <= most.per_second() + 1e-6));
            for worker in share.workers.clone() {
                prop_assert!(sessions_of_worker(&cell, worker, workers) + RESERVE <= agent.descriptors);
            }
        }
    }

    #[test]
    fn a_fleet_without_limits_never_falls_short(cores in proptest::collection::vec(1u64..200, 1..60), sessions in 1u32..5000) {
        let agents: Vec<AgentLimits> = cores.iter().map(|cores| agent("a", *cores)).collect();
        let cell = cell("[workload.echo]", &format!("sessions = {sessions}"));
        let shares = shares(&cell, &agents);
        prop_assert_eq!(shares.map(|shares| shares.len()), Ok(agents.len().min(sessions as usize)));
    }
}
