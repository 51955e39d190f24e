//! What `deploy/` holds, as far as it can be tried without the systems that it is for.

use super::fleet::{Bus, deployed, parts, path, saved, trials};
use super::stand::Echo;
use crate::harness::{Ran, free_ports, is_there};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn text(name: &str) -> String {
    std::fs::read_to_string(deployed(name)).unwrap()
}

/// Lines from the first that holds `from` to the last that closes what it opens, without the blanks before them.
fn block<'a>(text: &'a str, from: &str) -> Vec<&'a str> {
    let mut depth = 0;
    let lines = text.lines().map(str::trim).skip_while(|line| !line.contains(from));
    let mut is_open = true;
    lines
        .take_while(|line| {
            let was_open = std::mem::replace(&mut is_open, true);
            depth += line.matches(['{', '[']).count() as i32 - line.matches(['}', ']']).count() as i32;
            is_open = depth > 0;
            was_open
        })
        .collect()
}

#[test]
fn the_server_in_kubernetes_lets_each_user_do_what_the_tested_one_does() {
    let (tested, manifest) = (text("nats.conf"), text("kubernetes.yaml"));
    let users = block(&tested, "authorization {");
    assert!(users.len() > 10 && users.last() == Some(&"}"), "{users:?}");
    assert_eq!(users, block(&manifest, "authorization {"));
    // The page shows it as well.
    let page = std::fs::read_to_string(deployed("../docs/agents.md")).unwrap();
    assert_eq!(users, block(&page, "authorization {"));
}

#[test]
fn every_flag_and_variable_in_the_files_is_one_of_the_program() {
    let help = |subcommand: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_wsbench")).args([subcommand, "--help"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let known = help("agent") + &help("run");
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
        words.filter(|word| word.starts_with("WSBENCH_NATS_")).map(str::to_owned).collect()
    };
    // What the Slurm script reads for itself.
    let own = ["WSBENCH_NATS_CONF", "WSBENCH_NATS_PORT"];
    for name in ["kubernetes.yaml", "wsbench-agent.service", "slurm.sbatch"] {
        let variables = words(&text(name));
        assert!(!variables.is_empty());
        for variable in variables.iter().filter(|variable| !own.contains(&variable.as_str())) {
            assert!(known.contains(variable.as_str()), "{name}: {variable}");
        }
    }
    for flag in ["--name", "--label", "--allow-target", "--agents", "--wait", "--advertise", "--out", "--quiet"] {
        assert!(known.contains(flag), "{flag}");
    }
}

/// The batch script with a stand-in for `srun`, which starts each task on this machine.
#[test]
fn the_batch_script_starts_everything_and_leaves_nothing_behind() {
    if !is_there("nats") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let write = |name: &str, text: &str| {
        let path = bin.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("wsbench", &format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_wsbench")));
    let srun = "#!/usr/bin/env bash\ntrap 'kill $(jobs -p); wait; touch \"$0.ended\"; exit' TERM\ntasks=1\n\
                while [[ $1 == --* ]]; do [[ $1 != --ntasks=* ]] || tasks=${1#*=}; shift; done\n\
                for ((n = 0; n < tasks; n++)); do \"$@\" --name \"node$n\" & done\nwait\n";
    write("srun", srun);
    let echo_server = Echo::start();
    let scenario = folder.path().join("scenario.toml");
    let load = "sessions = 6\nrate = \"60/s\"\nconnect_rate = \"500/s\"\nduration = \"500ms\"";
    let target = format!("tcp = \"tcp://127.0.0.1:{}\"", echo_server.port);
    std::fs::write(&scenario, format!("[workload.echo]\n[load]\n{load}\n[target.urls]\n{target}\n[transports.tcp]\n"))
        .unwrap();
    let [port, monitor, _] = free_ports();
    // The monitoring page's port is fixed in the file.
    let conf = folder.path().join("nats.conf");
    std::fs::write(&conf, text("nats.conf").replace("8222", &monitor.to_string())).unwrap();
    let mut job = Command::new("bash");
    job.arg(deployed("slurm.sbatch")).arg(&scenario).args(["--trials", "1"]).current_dir(folder.path());
    job.env("PATH", format!("{}:{}", bin.display(), path()));
    job.env("SLURM_JOB_NUM_NODES", "4").env("SLURM_JOB_ID", "17").env("SLURM_SUBMIT_DIR", folder.path());
    job.env("WSBENCH_ADDRESS", "127.0.0.1").env("WSBENCH_NATS_PORT", port.to_string()).env("WSBENCH_NATS_CONF", &conf);
    let output = job.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let out = folder.path().join("wsbench-17");
    let code = output.status.code().unwrap_or(-1);
    let ran = Ran { code, stdout: said(&output.stdout), stderr: said(&output.stderr), out }.well();
    let document = saved(&ran);
    let mut names: Vec<&str> =
        parts(trials(&document)[0].1).iter().map(|part| part["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["node0", "node1", "node2"]);
    assert!(bin.join("srun.ended").exists() && std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// What the unit and the pods allow: another user, no capability, nothing that can be written.
#[test]
fn an_agent_needs_no_rights_and_writes_nothing() {
    let Some(bus) = Bus::start() else { return };
    let mut command = super::fleet::wsbench("agent", bus.port, "agent", super::fleet::AGENTS_PASSWORD);
    command.args(["--name", "a"]);
    let mut confined = Command::new("unshare");
    confined.args(["--mount", "--propagation", "private", "sh", "-c"]);
    confined.arg(
        "mount -o bind / / && mount -o remount,bind,ro / && \
         exec setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \"$@\"",
    );
    confined.arg("sh").arg(command.get_program()).args(command.get_args());
    confined.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if !can_confine() {
        eprintln!("passed over: no right to confine a process here");
        return;
    }
    let mut agent = super::fleet::Agent::start(confined, "a", bus.path());
    let echo_server = Echo::start();
    let load = "[load]\nsessions = 4\nrate = \"60/s\"\nconnect_rate = \"500/s\"\nduration = \"500ms\"\n";
    let target = format!("[target.urls]\ntcp = \"tcp://127.0.0.1:{}\"\n", echo_server.port);
    let ran = bus.run(&format!("[workload.echo]\n{load}{target}[transports.tcp]\n"), "1", &[]).well();
    crate::harness::assert_whole(&ran.outcomes());
    assert!(agent.is_running());
}

/// Whether mounts may be made here, and the program can be read by another user.
fn can_confine() -> bool {
    let mut try_it = Command::new("unshare");
    try_it.args(["--mount", "--propagation", "private", "sh", "-c"]);
    try_it.arg(
        "mount -o bind / / && mount -o remount,bind,ro / && ! touch /can-be-written 2>/dev/null && \
         exec setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs --bounding-set=-all \"$0\" --version",
    );
    try_it.arg(env!("CARGO_BIN_EXE_wsbench"));
    try_it.output().is_ok_and(|output| output.status.success())
}
