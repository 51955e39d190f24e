//! What a person gets wrong, and what they are told.

use super::harness::{Bench, ran};
use std::fs;
use std::process::Command;

const ECHO: &str = "[workload.echo]\n[load]\nsessions = 2\nrate = \"50/s\"\nduration = \"100ms\"\n[transports.tcp]\n";

#[test]
fn a_typo_is_104_with_its_place_and_a_suggestion() {
    let bench = Bench::new(&ECHO.replace("sessions", "sesions"));
    for command in ["run", "check"] {
        let ran = bench.say(&[command, "scenario.toml"]).with_code(104);
        assert!(ran.stderr.contains("scenario.toml:3:1"), "{}", ran.stderr);
        assert!(ran.stderr.contains("sessions"), "{}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
    assert!(!bench.path().join("reports").exists(), "nothing was started");
}

#[test]
fn a_scenario_that_is_not_there_is_104_with_advice() {
    let ran = Bench::new(ECHO).say(&["run", "nowhere.toml"]).with_code(104);
    assert!(ran.stderr.contains("nowhere.toml") && ran.stderr.contains("wsbench init"), "{}", ran.stderr);
}

#[test]
fn a_typo_in_a_flag_is_2_whatever_sees_it() {
    let bench = Bench::new(ECHO);
    bench.run(&["--rate", "fast"]).with_code(2);
    bench.run(&["--target", "tcp"]).with_code(2);
    for (wrong, says) in [
        (["--transport", "tpc"], "`tcp`"),
        (["--target", "other=tcp://127.0.0.1:1"], "--target"),
        (["--reference", "tpc"], "--reference"),
        (["--trials", "0"], "1 or more"),
        (["--sessions", "no"], "1 or more"),
    ] {
        let ran = bench.run(&wrong).with_code(2);
        assert!(ran.stderr.contains(says) && !ran.out.exists(), "{wrong:?}: {}", ran.stderr);
    }
    // Where the file is wrong as well, that comes first.
    let both = Bench::new(&ECHO.replace("duration = \"100ms\"", "duration = \"0s\""));
    both.run(&["--transport", "tpc"]).with_code(104);
}

#[test]
fn a_flag_about_judging_wants_something_to_judge_by() {
    let bench = Bench::new(ECHO);
    for flag in [
        &["--arms", "tcp"][..],
        &["--metrics", "p50"],
        &["--noise", "5%"],
        &["--alpha", "1%"],
        &["--strict"],
        &["--force"],
    ] {
        let ran = bench.run(flag).with_code(2);
        assert!(ran.stderr.contains(flag[0]) && ran.stderr.contains("--baseline"), "{flag:?}: {}", ran.stderr);
        assert!(!ran.out.exists());
    }
    // The environment's settings are for whatever is judged.
    let mut command = bench.command(&["run", "scenario.toml", "--out", "out"]);
    ran(command.env("WSBENCH_ARMS", "tcp").output().unwrap(), bench.path().join("out")).well();
}

#[test]
fn a_flag_about_agents_wants_agents() {
    let bench = Bench::new(ECHO);
    for flag in [&["--nats", "nats://127.0.0.1:1"][..], &["--wait", "1s"], &["--label", "zone=eu"]] {
        let ran = bench.run(flag).with_code(2);
        assert!(ran.stderr.contains(flag[0]) && ran.stderr.contains("--agents"), "{flag:?}: {}", ran.stderr);
        assert!(!ran.out.exists());
    }
    // The environment may name a bus for other commands.
    let elsewhere = [("WSBENCH_NATS_URL", "nats://127.0.0.1:1"), ("WSBENCH_LABEL", "zone=eu")];
    let who = [("WSBENCH_NATS_TOKEN", "t"), ("WSBENCH_NATS_PASSWORD", "p")];
    for (set, out) in [(elsewhere, "elsewhere"), (who, "who")] {
        let mut command = bench.command(&["run", "scenario.toml", "--out", out]);
        ran(command.envs(set).output().unwrap(), bench.path().join(out)).well();
    }
}

#[test]
fn settings_of_a_bus_that_make_no_sense_are_2() {
    let bench = Bench::new(ECHO);
    let urls = [&["--nats", "http://127.0.0.1:1"][..], &["--nats", "nats://127.0.0.1:99999"]];
    let both = &["--nats", "nats://127.0.0.1:1", "--nats-user", "a", "--nats-token", "b"][..];
    for wrong in urls.into_iter().chain([both]) {
        bench.say(&[&["agent"], wrong].concat()).with_code(2);
        let ran = bench.run(&[&["--agents", "1"], wrong].concat()).with_code(2);
        assert!(ran.stderr.contains("NATS"), "{wrong:?}: {}", ran.stderr);
    }
    let bus = ["agent", "--nats", "nats://127.0.0.1:1"];
    for (wrong, says) in [
        (["--max-sessions", "0"], "1 or more"),
        (["--max-rate", "0"], "more than 0"),
        (["--allow-target", "*"], "as it stands"),
        (["--label", "zone=eu,zone=us"], "zone is named twice"),
    ] {
        let ran = bench.say(&[&bus[..], &wrong].concat()).with_code(2);
        assert!(ran.stderr.contains(says), "{wrong:?}: {}", ran.stderr);
    }
}

#[test]
fn a_folder_with_something_in_it_is_not_touched() {
    let bench = Bench::new(ECHO);
    fs::create_dir(bench.path().join("out")).unwrap();
    fs::write(bench.path().join("out/result.json"), "mine").unwrap();
    let ran = bench.run(&[]).with_code(1);
    assert!(ran.stderr.contains("--out"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(bench.path().join("out/result.json")).unwrap(), "mine");
}

#[test]
fn too_few_descriptors_are_told_before_anything_connects() {
    let bench = Bench::new(&ECHO.replace("sessions = 2", "sessions = 500"));
    let program = env!("CARGO_BIN_EXE_wsbench");
    let script = format!("ulimit -n 200; exec {program} run scenario.toml --out out --workers 1");
    let output = Command::new("sh").args(["-c", &script]).current_dir(bench.path()).output().unwrap();
    let ran = ran(output, bench.path().join("out")).with_code(1);
    assert!(ran.stderr.contains("ulimit -n") && ran.stderr.contains("200"), "{}", ran.stderr);
    assert!(!ran.out.exists(), "nothing was started");
}

#[test]
fn the_starter_is_written_once_and_can_be_run() {
    let bench = Bench::new(ECHO);
    bench.say(&["init", "mine.toml"]).with_code(0);
    bench.say(&["check", "mine.toml"]).with_code(0);
    let again = bench.say(&["init", "mine.toml"]).with_code(1);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
}

#[test]
fn schema_and_completions_print_what_tools_can_read() {
    let bench = Bench::new(ECHO);
    let schema = bench.say(&["schema"]).with_code(0);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert!(schema["properties"]["transports"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.say(&["completions", shell]).with_code(0).stdout.contains("wsbench"), "{shell}");
    }
}

#[test]
fn a_damaged_or_newer_result_is_refused_in_words() {
    let bench = Bench::new(ECHO);
    fs::write(bench.path().join("damaged.json"), "{\"schema_version\": 1, \"meta\": 7}").unwrap();
    fs::write(bench.path().join("newer.json"), "{\"schema_version\": 999}").unwrap();
    let damaged = bench.say(&["report", "damaged.json", "--out", "x"]).with_code(1);
    assert!(damaged.stderr.contains("damaged.json"), "{}", damaged.stderr);
    let newer = bench.say(&["report", "newer.json", "--out", "y"]).with_code(1);
    assert!(newer.stderr.contains("999"), "{}", newer.stderr);
}

#[test]
fn a_reader_that_goes_away_costs_nothing_that_was_measured() {
    let bench = Bench::new(ECHO);
    for (out, redirect) in [("gone", "2>&1 | true"), ("full", ">/dev/full 2>/dev/full")] {
        let program = env!("CARGO_BIN_EXE_wsbench");
        let script = format!("{program} run scenario.toml --out {out} {redirect}");
        Command::new("sh").args(["-c", &script]).current_dir(bench.path()).output().unwrap();
        let document = wsbench::result::Document::load(&bench.path().join(out).join("result.json")).unwrap();
        assert!(document.cells[0].trials[0].outcome.measure.delivered > 0, "{out}");
        assert!(bench.path().join(out).join("report.html").exists(), "{out}");
    }
    for command in ["check scenario.toml", "schema", "completions bash"] {
        let script = format!("{} {command} | true", env!("CARGO_BIN_EXE_wsbench"));
        let output = Command::new("sh").args(["-c", &script]).current_dir(bench.path()).output().unwrap();
        assert!(output.stderr.is_empty(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn switches_can_be_set_by_the_environment() {
    let bench = Bench::new(ECHO);
    let mut command = bench.command(&["run", "scenario.toml", "--out", "out"]);
    command.envs([("WSBENCH_QUIET", "1"), ("WSBENCH_NO_CHARTS", "true"), ("WSBENCH_FORMAT", "json")]);
    let ran = ran(command.output().unwrap(), bench.path().join("out")).well();
    assert_eq!(ran.json().len(), 1);
    assert!(ran.stderr.is_empty() || ran.code == 95, "{}", ran.stderr);
    assert!(!ran.out.join("charts").exists());
}
