use super::*;
use crate::plan::{Overrides, build};

fn planned(threshold: &str, workload: &str, load: &str) -> Plan {
    let text = format!(
        "thresholds = [\"{threshold}\"]\n[workload.{workload}\n[load]\nsessions = 100\narrival = \"constant\"\n\
         duration = \"1s\"\n{load}\n[transports.tcp]\n[transports.websocket]"
    );
    let scenario = scenario::parse("x.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
    build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)))
}

#[test]
fn a_quantile_without_samples_enough_is_known_beforehand() {
    for (threshold, workload, load, warned) in [
        ("p99 < 1s", "echo]", "rate = \"1k/s\"\ntrials = 9", 2),
        ("p99 < 1s", "echo]", "rate = \"1k/s\"\ntrials = 10", 0),
        ("tcp: p99 < 1s", "echo]", "rate = \"1k/s\"\ntrials = 9", 1),
        ("p99 < 2 * tcp.p99", "echo]", "rate = \"1k/s\"\ntrials = 9", 1),
        ("p99 < 1s", "chat]\nrooms = 10", "rate = \"1k/s\"", 0),
        ("p99 last-receipt < 1s", "chat]\nrooms = 10", "rate = \"1k/s\"", 2),
        ("p90 connect < 1s", "echo]", "rate = \"1k/s\"\ntrials = 9", 2),
        ("p90 connect < 1s", "echo]", "rate = \"1k/s\"\ntrials = 10", 0),
        ("p90 connect < 1s", "connect]", "rate = \"1k/s\"", 0),
        ("max < 1s", "echo]", "rate = \"1/s\"", 0),
        ("reach >= 1", "echo]", "rate = \"1/s\"", 0),
    ] {
        let found = undecidable(&planned(threshold, workload, load));
        assert_eq!(found.len(), warned, "{threshold}, {workload}, {load}: {found:?}");
    }
}

#[test]
fn what_must_hold_is_no_part_of_the_plan_that_is_compared() {
    let text = |threshold| serde_json::to_string(&planned(threshold, "echo]", "rate = \"1k/s\"")).unwrap();
    assert_eq!(text("errors == 0"), text("max < 1s"));
}

#[test]
fn the_cost_of_what_runs_at_a_url_is_seen_only_where_we_started_it() {
    let text = "thresholds = [\"cpu < 1s\", \"memory < 1GB\"]\n[target.urls]\ntcp = \"tcp://127.0.0.1:9\"\n[workload.echo]\n\
                [load]\nsessions = 1\nrate = \"1/s\"\nduration = \"1s\"\n[transports.tcp]\n";
    let scenario = scenario::parse("x.toml", text).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let built = |starts_servers| build(&scenario, &Overrides { starts_servers, ..Overrides::default() });
    assert_eq!(built(true).map(|plan| plan.thresholds.len()).unwrap(), 2);
    assert_eq!(built(false).unwrap_err().problems.len(), 2);
}

#[test]
fn bytes_on_a_wire_that_is_none_are_known_to_be_missing() {
    let text = "thresholds = [\"wire < 1KB\"]\n[target.urls]\ntcp = \"unix:/run/app.sock\"\nwebsocket = \"ws://127.0.0.1:9\"\n\
                [workload.echo]\n[load]\nrate = \"1/s\"\nduration = \"1s\"\n[transports.tcp]\n[transports.websocket]\n";
    let scenario = scenario::parse("x.toml", text).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let found = undecidable(&build(&scenario, &Overrides::default()).unwrap());
    assert!(matches!(found.as_slice(), [one] if one.contains("no wire leads to the Unix socket of tcp")), "{found:?}");
}
