//! What must never be shown, saved or passed on: `hunter2` stands for every secret, and the run's token is caught.

use super::harness::{Bench, Ran, both_children_of, children_of, ran};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;
use wsbench::cluster::{self, Halt, RunOptions};
use wsbench::plan::{self, Overrides};
use wsbench::result::{Document, ScenarioText};
use wsbench::target::Config;
use wsbench::{export, scenario};

const LOAD: &str = "[workload.echo]\n[load]\nsessions = 2\nrate = \"50/s\"\nduration = \"200ms\"\n";

fn files(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            found.insert(path.display().to_string(), text);
        }
    }
}

/// Nothing that a run left says `secret`.
#[track_caller]
fn assert_kept(ran: &Ran, secret: &str) {
    let mut all = BTreeMap::from([("stdout".into(), ran.stdout.clone()), ("stderr".into(), ran.stderr.clone())]);
    if ran.out.exists() {
        files(&ran.out, &mut all);
    }
    for (place, text) in all {
        assert!(!text.contains(secret), "{place} tells it:\n{text}");
    }
}

/// Answers everything that asks with this status, and says back what it was asked.
fn refuses(status: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let n = stream.read(&mut head).unwrap_or(0);
            let said = String::from_utf8_lossy(&head[..n]);
            let line = said.lines().next().unwrap_or("").to_owned();
            let answer = format!("HTTP/1.1 {status} {line}\r\nx-said: {line}\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn a_target_that_fails_is_named_without_what_was_sent_to_it() {
    let bench = Bench::new(&format!(
        "# password = \"hunter2\"\n{LOAD}[transports.websocket]\n\
         extra_headers = {{ Authorization = \"Bearer hunter2\", Cookie = \"id=hunter2\", X-Api-Key = \"hunter2\" }}\n\
         [transports.tcp]\ndialect = \"wsbench\"\n[transports.long-polling]\n[transports.sse]\n"
    ));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (denied, moved) = (refuses("401 no"), refuses("302 moved"));
    let ran = bench.run(&[
        "--target",
        &format!("websocket=ws://127.0.0.1:{denied}/chat?access_token=hunter2&x=hunter2"),
        "--target",
        &format!("tcp=tcp://127.0.0.1:{nobody}/?token=hunter2"),
        "--target",
        &format!("long-polling=http://127.0.0.1:{denied}/?token=hunter2"),
        "--target",
        &format!("sse=http://127.0.0.1:{moved}/?token=hunter2"),
    ]);
    let ran = ran.with_code(1);
    assert!(ran.stdout.contains("refused") && ran.stdout.contains("401"), "{}", ran.stdout);
    assert!(ran.document().meta.command_line.iter().any(|word| word.contains("[redacted]")));
    assert_kept(&ran, "hunter2");
}

#[test]
fn what_a_dialect_proves_itself_with_is_not_kept() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (dialect, proof) in [
        ("nats", "user = \"tester\"\npassword = \"hunter2\""),
        ("nats", "token = \"hunter2\""),
        ("mqtt", "user = \"tester\"\npassword = \"hunter2\""),
    ] {
        let bench = Bench::new(&format!("{LOAD}[dialect.{dialect}]\n{proof}\n[transports.tcp]\n"));
        let ran = bench.run(&["--target", &format!("tcp={dialect}://127.0.0.1:{nobody}")]).with_code(1);
        assert_eq!(ran.document().cells[0].dialect, dialect);
        assert_kept(&ran, "hunter2");
    }
}

#[test]
fn a_mistake_is_shown_without_the_secret_beside_it() {
    let wrong = [
        "[target.urls]\nwebsocket = \"ws://joe:hunter2@127.0.0.1:1/\"\n",
        "[target.urls]\nwebsocket = \"xs://127.0.0.1:1/?room={room}&key=hunter2\"\n",
        "[target.urls]\nwebsocket = \"ws://127.0.0.1/chat?key=hunter2#\" x\n",
        "[transports.websocket]\nextra_headers = { Host = \"x\", Authorization = \"Bearer hunter2\" }\n",
        "[transports.websocket]\nauth = { basic = \"joe:hunter2\", bearer = \"hunter2\" }\n",
        "[transports.websocket]\nauth = { bearer = \"hunter2${WSBENCH_NOT_SET}\" }\n",
        "[transports.websocket.auth]\nbasic = \"hunter2\"\n",
        "[transports.tcp.auth]\nbearer = \"hunter2\"\n",
        "[transports.websocket.extra_headers]\nAuthorization = \"Bearer hunter2\\n\"\n",
        "[transports.websocket.extra_headers]\nCookie = \"\"\"hunter2\n\"\"\"\n",
        "[transports.websocket.extra_headers]\nAuthorization = \"Bearer hunter2\n",
        "[transports.websocket.extra_headers]\nAuthorization = Bearer hunter2\n",
    ];
    for scenario in wrong {
        let bench = Bench::new(&format!("{LOAD}[transports.tcp]\n{scenario}"));
        for command in ["check", "run"] {
            let ran = bench.say(&[command, "scenario.toml"]).with_code(104);
            assert!(ran.stderr.contains("scenario.toml:"), "{scenario}: {}", ran.stderr);
            assert_kept(&ran, "hunter2");
        }
    }
}

#[test]
fn a_flag_that_is_wrong_is_not_repeated_with_its_secret() {
    let bench = Bench::new(&format!("{LOAD}[transports.websocket]\n"));
    for value in [
        "websocket=ws://joe:hunter2@127.0.0.1:0/",
        "websocket=joe:hunter2@127.0.0.1:1",
        "ws://joe:hunter2@h:1/?a=hunter2",
    ] {
        let ran = bench.run(&["--target", value]);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("--target"), "{}", ran.stderr);
        assert_kept(&ran, "hunter2");
        let mut command = bench.command(&["check", "scenario.toml"]);
        let said = command.env("WSBENCH_TARGET", value).output().unwrap();
        assert_kept(&super::harness::ran(said, bench.path().join("out")), "hunter2");
    }
    let help = bench.command(&["serve", "--help"]).env("WSBENCH_TOKEN", "hunter2").output().unwrap();
    assert_kept(&super::harness::ran(help, bench.path().join("out")), "hunter2");
    let help = bench.command(&["run", "--help"]).env("WSBENCH_TARGET", "websocket=ws://h/?a=hunter2").output().unwrap();
    assert_kept(&super::harness::ran(help, bench.path().join("out")), "hunter2");
}

#[test]
fn children_are_told_nothing_where_other_processes_may_look() {
    let bench = Bench::new(&format!(
        "{}[transports.websocket]\nextra_headers = {{ Authorization = \"Bearer hunter2\" }}\n",
        LOAD.replace("200ms", "2s")
    ));
    let mut command = bench.command(&["run", "scenario.toml", "--out", "out"]);
    command.envs([("WSBENCH_TOKEN", "hunter2"), ("WSBENCH_QUIET", "1")]);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (worker, target) = both_children_of(run.id());
    let given = fs::read(format!("/proc/{}/environ", run.id())).unwrap();
    let given: Vec<&[u8]> = given.split(|byte| *byte == 0).collect();
    // Once both have what they need.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(children_of(run.id()).len(), 2);
    for (pid, name) in [(worker, "worker"), (target, "target")] {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).skip(1).collect();
        assert_eq!(words, [name.as_bytes(), b""], "nothing but its part");
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        for entry in environment.split(|byte| *byte == 0) {
            assert!(!entry.starts_with(b"WSBENCH_"), "{}", String::from_utf8_lossy(entry));
            assert!(given.contains(&entry), "{name} was given {}", String::from_utf8_lossy(entry));
        }
    }
    assert_kept(&ran(run.wait_with_output().unwrap(), bench.path().join("out")).well(), "hunter2");
}

/// A program that passes on what it hears to the real one and keeps a copy.
fn eavesdropper(folder: &Path) -> std::path::PathBuf {
    let program = folder.join("eavesdrop");
    let (copies, real) = (folder.join("heard").display().to_string(), env!("CARGO_BIN_EXE_wsbench"));
    fs::write(&program, format!("#!/bin/sh\ntee -a '{copies}-'$1 | '{real}' \"$@\"\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // A file that was just written can't be run while any process forked in between still holds it open.
    while Command::new(&program).arg("schema").stdin(Stdio::null()).output().is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    program
}

#[test]
fn a_run_listens_on_loopback_and_its_token_is_in_nothing_that_it_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{LOAD}[transports.websocket]\n[transports.tcp]\n[transports.udp]\n[transports.long-polling]\n[transports.sse]\n"
    );
    let parsed = scenario::parse("scenario.toml", &text).unwrap();
    let plan = plan::build(&parsed, &Overrides::default()).unwrap();
    let options = RunOptions {
        program: eavesdropper(folder.path()),
        command_line: Vec::new(),
        scenario: ScenarioText { text, ..ScenarioText::default() },
    };
    let (_want, wanted) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut said = String::new();
    let mut progress = |progress: cluster::Progress| said += &format!("{progress:?}");
    let document: Document = runtime.block_on(cluster::run(&plan, &options, Halt::new(wanted), &mut progress)).unwrap();
    let heard = fs::read_to_string(folder.path().join("heard-target")).unwrap();
    let configs: Vec<Config> = heard.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(configs.len(), 5, "a target for each trial:\n{heard}");
    let token = configs[0].token.clone().expect("a token is drawn for each run");
    assert!(token.len() >= 16);
    assert!(configs.iter().all(|config| config.bind.is_loopback()), "nobody else can reach it");
    let worker = fs::read_to_string(folder.path().join("heard-worker")).unwrap();
    assert!(worker.contains(&token), "the token goes by standard input");
    for cell in &document.cells {
        assert_eq!(cell.trials[0].outcome.measure.reach(), Some(1.0), "{}", cell.arm);
    }
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    document.save(&out.join("result.json")).unwrap();
    export::write_all(&document, &out, true).unwrap();
    let mut left = BTreeMap::from([("progress".to_owned(), said)]);
    files(&out, &mut left);
    assert!(left.len() > 5);
    for (place, text) in left {
        assert!(!text.contains(&token), "{place} tells the run's token");
    }
}
