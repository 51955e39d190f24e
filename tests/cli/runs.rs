//! Whole runs against the embedded target.

use super::harness::{Bench, Ran};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use wsbench::measure::Metric;
use wsbench::plan::{self, Overrides};
use wsbench::scenario;

const SMOKE: &str = include_str!("../../scenarios/smoke.toml");

/// Every file below `dir` with its bytes, but for `result.json`.
fn drawn(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "result.json" {
                files.insert(path.strip_prefix(dir).unwrap().display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn assert_sums(ran: &Ran) {
    for cell in &ran.document().cells {
        for trial in &cell.trials {
            let outcome = &trial.outcome;
            assert!(outcome.measure.balance(), "{}: {:?}", cell.arm, outcome.measure);
            assert!(outcome.warmup.balance(), "{}: {:?}", cell.arm, outcome.warmup);
        }
    }
}

#[test]
fn all_seven_transports_deliver_everything_that_the_schedule_holds() {
    let bench = Bench::new(SMOKE);
    let ran = bench.run(&["--format", "json", "-q"]).well();
    let cells = ran.json();
    let arms: Vec<&str> = cells.iter().map(|c| c["arm"].as_str().unwrap()).collect();
    assert_eq!(arms, ["websocket", "tcp", "udp", "long-polling", "short-polling", "sse", "http-streaming"]);
    assert_sums(&ran);
    let parsed = scenario::parse("smoke.toml", SMOKE).unwrap();
    let plan = plan::build(&parsed, &Overrides::default()).unwrap();
    let facts = plan::facts(&plan);
    for (cell, document) in cells.iter().zip(&ran.document().cells) {
        let counters = &cell["counters"];
        let scheduled = facts.scheduled.measured * document.trials.len() as u64;
        assert_eq!(counters["scheduled"].as_u64(), Some(scheduled), "{}", cell["arm"]);
        assert_eq!(counters["delivered"].as_u64().unwrap() + counters["late"].as_u64().unwrap(), {
            counters["expected"].as_u64().unwrap()
        });
        assert_eq!(cell["reach"], 1.0, "{}", cell["arm"]);
        assert_eq!(cell["errors"], serde_json::json!({}), "{}", cell["arm"]);
        let warmup: u64 = document.trials.iter().map(|t| t.outcome.warmup.scheduled).sum();
        assert_eq!(warmup, facts.scheduled.warmup * document.trials.len() as u64);
    }
}

#[test]
fn a_run_knows_the_floor_of_its_network_or_says_why_not() {
    let bench = Bench::new(SMOKE);
    let ran = bench.run(&["--transport", "websocket,tcp"]).well();
    let document = ran.document();
    let [floor] = document.network_floor.as_slice() else { panic!("{:?}", document.network_floor) };
    assert_eq!(floor.host, "127.0.0.1");
    let summary = fs::read_to_string(ran.out.join("summary.md")).unwrap();
    let page = fs::read_to_string(ran.out.join("report.html")).unwrap();
    match &floor.skipped {
        Some(reason) => assert!(!reason.is_empty() && page.contains("not measured")),
        None => {
            assert!(floor.p50 > Some(0) && (1..=floor.sent).contains(&floor.received), "{floor:?}");
            for text in [&ran.stdout, &summary, &page] {
                assert!(text.contains("Network floor (ICMP echo to 127.0.0.1): "), "{text}");
            }
        }
    }
}

#[test]
fn a_report_drawn_again_is_the_same_to_the_byte() {
    let bench = Bench::new(SMOKE);
    let ran = bench.run(&["-q", "--transport", "websocket,long-polling"]).well();
    bench.say(&["report", "out/result.json", "--out", "again"]).with_code(0);
    let (first, again) = (drawn(&ran.out), drawn(&bench.path().join("again")));
    for name in
        ["summary.md", "report.html", "intervals.csv", "charts/reference-ratio.svg", "histograms/websocket.hlog"]
    {
        assert!(first.contains_key(name), "{name} is missing from {:?}", first.keys());
    }
    assert_eq!(first, again);
}

#[test]
fn every_websocket_engine_delivers_everything_at_either_end() {
    for engine in ["native", "fastwebsockets", "tungstenite"] {
        let bench = Bench::new(&format!(
            "[workload.chat]\nrooms = 4\nformat = \"binary\"\n[load]\nsessions = 20\nrate = \"200/s\"\nduration = \"300ms\"\n\
             [target.embedded]\nengine = \"{engine}\"\n[transports.websocket]\nping_every = \"50ms\"\nfragment = \"50B\"\n\
             [transports.other]\ntransport = \"websocket\"\nengine = \"tungstenite\"\nping_every = \"50ms\"\n"
        ));
        let ran = bench.run(&["-q"]).well();
        assert_sums(&ran);
        for cell in &ran.document().cells {
            let outcome = &cell.trials[0].outcome;
            assert_eq!(outcome.measure.reach(), Some(1.0), "{}", cell.arm);
            assert_eq!((outcome.measure.unmatched, outcome.measure.duplicate), (0, 0));
            assert!(outcome.histograms.get(Metric::Ping).is_some_and(|h| h.count() >= 20), "pings come back");
            assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
        }
    }
}

#[test]
fn push_is_timed_from_the_targets_due_instant() {
    let bench = Bench::new(
        "[workload.push]\ntopics = 3\n[load]\nsessions = 30\nrate = \"100/s\"\nwarmup = \"100ms\"\nduration = \"400ms\"\n\
         [network]\ndelay = \"5ms\"\n[transports.websocket]\n[transports.udp]\n[transports.sse]\n[transports.long-polling]\n",
    );
    let ran = bench.run(&["-q"]).well();
    assert_sums(&ran);
    for cell in &ran.document().cells {
        let trial = &cell.trials[0];
        let counters = trial.outcome.measure;
        assert_eq!(trial.target.as_ref().unwrap().events, counters.scheduled, "{}", cell.arm);
        assert_eq!(counters.expected, counters.sent * 10);
        assert_eq!(counters.reach(), Some(1.0), "{}", cell.arm);
        let response = trial.outcome.histograms.get(Metric::ResponseTime).unwrap();
        assert!(response.at(0.0) >= 5_000_000 / 1000 * 999, "one transit of 5 ms at least");
        assert!(trial.outcome.histograms.get(Metric::ServiceTime).is_none(), "only the target knows when it sent");
    }
}

#[test]
fn a_connection_storm_opens_hears_and_closes() {
    for close in ["client", "server"] {
        let bench = Bench::new(&format!(
            "[workload.connect]\nclose = \"{close}\"\n[load]\nsessions = 50\nrate = \"100/s\"\nduration = \"400ms\"\n\
             [transports.websocket]\n[transports.tcp]\n[transports.udp]\n[transports.sse]\n[transports.long-polling]\n\
             [transports.http-streaming]\n"
        ));
        let ran = bench.run(&["-q"]).well();
        assert_sums(&ran);
        let document = ran.document();
        assert_eq!(document.omitted[0].arm, "udp");
        for cell in &document.cells {
            let outcome = &cell.trials[0].outcome;
            assert_eq!(outcome.measure.delivered + outcome.measure.late, outcome.measure.scheduled, "{}", cell.arm);
            let first = outcome.histograms.get(Metric::FirstMessage).unwrap();
            assert_eq!(first.count(), outcome.measure.scheduled);
            assert!(outcome.errors.is_empty(), "{close} {}: {:?}", cell.arm, outcome.errors);
            if cell.arm == "websocket" {
                let closing = outcome.histograms.get(Metric::Close).unwrap();
                assert_eq!(closing.count(), outcome.measure.scheduled, "every closing handshake is timed");
            }
        }
    }
}

#[test]
fn plain_requests_are_answered_one_by_one_through_the_network_and_the_oracle() {
    let bench = Bench::new(
        "[workload.echo]\n[load]\nsessions = 8\nrate = \"200/s\"\nwarmup = \"100ms\"\nduration = \"400ms\"\n\
         [target.embedded.oracle]\nreply_delay = \"constant(20ms)\"\n[network]\ndelay = \"5ms\"\n[transports.http]\n\
         [transports.get]\ntransport = \"http\"\nmethod = \"GET\"\nheaders = \"browser\"\n[transports.websocket]\n",
    );
    let ran = bench.run(&["-q"]).well();
    assert_sums(&ran);
    let document = ran.document();
    for cell in &document.cells {
        let outcome = &cell.trials[0].outcome;
        let counters = outcome.measure;
        assert_eq!(counters.delivered + counters.late, counters.scheduled, "{}: {:?}", cell.arm, outcome.errors);
        assert!(counters.scheduled > 0 && outcome.errors.is_empty());
        let response = outcome.histograms.get(Metric::ResponseTime).unwrap();
        assert!(response.at(0.0) >= 30_000_000 / 1000 * 999, "{}: two transits and the delay", cell.arm);
        assert_eq!(outcome.traffic.connections, 8);
        let truth = cell.trials[0].target.as_ref().unwrap();
        assert_eq!(truth.delivered, outcome.warmup.sent + counters.sent, "{}", cell.arm);
    }
    let traffic = |arm: &str| document.cells.iter().find(|c| c.arm == arm).unwrap().trials[0].outcome.traffic;
    assert_eq!(traffic("http").received.payload, traffic("websocket").received.payload);
    assert_eq!((traffic("get").sent.payload, traffic("get").received.payload), (0, 0));
}

#[test]
fn a_storm_of_plain_requests_connects_asks_and_goes() {
    let bench = Bench::new(
        "[workload.connect]\n[load]\nsessions = 50\nrate = \"100/s\"\nduration = \"400ms\"\n[transports.http]\n\
         [transports.tcp]\n",
    );
    let ran = bench.run(&["-q"]).well();
    assert_sums(&ran);
    for cell in &ran.document().cells {
        let outcome = &cell.trials[0].outcome;
        assert_eq!(outcome.measure.delivered + outcome.measure.late, outcome.measure.scheduled, "{}", cell.arm);
        assert!(outcome.measure.scheduled > 0 && outcome.errors.is_empty(), "{}: {:?}", cell.arm, outcome.errors);
        assert_eq!(outcome.traffic.connections, outcome.measure.scheduled);
    }
}

#[test]
fn closed_arrival_is_labelled_wherever_it_is_shown() {
    let bench = Bench::new(
        "[workload.echo]\n[load]\nsessions = 5\narrival = \"closed\"\nduration = \"300ms\"\nthink = \"1ms\"\n\
         [transports.websocket]\n[transports.long-polling]\n",
    );
    let ran = bench.run(&["-q"]).well();
    assert_sums(&ran);
    let document = ran.document();
    assert!(document.cells.iter().all(|c| c.trials[0].outcome.measure.delivered > 20));
    for page in ["summary.md", "report.html"] {
        assert!(fs::read_to_string(ran.out.join(page)).unwrap().contains("closed"), "{page}");
    }
}

#[test]
fn every_arm_answers_the_same_schedule() {
    let bench = Bench::new(SMOKE);
    let ran = bench.run(&["-q", "--trials", "2", "--transport", "tcp,sse,udp"]).well();
    let document = ran.document();
    let scheduled: Vec<u64> =
        document.cells.iter().flat_map(|c| &c.trials).map(|t| t.outcome.measure.scheduled).collect();
    assert_eq!(scheduled.len(), 6);
    assert!(scheduled.iter().all(|s| *s == scheduled[0] && *s > 0), "{scheduled:?}");
    for block in 0..2 {
        let mut places: Vec<u32> =
            document.cells.iter().flat_map(|c| &c.trials).filter(|t| t.block == block).map(|t| t.place).collect();
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2], "each arm once a block");
    }
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let bench =
        Bench::new("[workload.echo]\n[load]\nsessions = 3\nrate = \"50/s\"\nduration = \"100ms\"\n[transports.tcp]\n");
    let sessions = |args: &[&str], env: Option<&str>| {
        let mut command = bench.command(&[&["check", "scenario.toml"], args].concat());
        command.envs(env.map(|v| ("WSBENCH_SESSIONS", v)));
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let line = text.lines().find(|l| l.contains(" sessions")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(sessions(&[], None), 3);
    assert_eq!(sessions(&[], Some("4")), 4);
    assert_eq!(sessions(&["-c", "5"], Some("4")), 5);
}

#[test]
fn secrets_stay_out_of_everything_that_is_saved() {
    let bench = Bench::new(
        "[workload.echo]\n[load]\nsessions = 2\nrate = \"50/s\"\nduration = \"200ms\"\n[transports.websocket]\n\
         extra_headers = { Authorization = \"Bearer hunter2\", Cookie = \"id=hunter2\" }\n[transports.long-polling]\n",
    );
    let ran = bench.run(&["-q"]).well();
    let mut files = drawn(&ran.out);
    files.insert("result.json".into(), fs::read(ran.out.join("result.json")).unwrap());
    for (name, bytes) in files {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("hunter2"), "{name}");
        assert!(!text.contains("token="), "{name}");
    }
}
