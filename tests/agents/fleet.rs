//! A bus, agents at it, and runs over them.

use super::raw::Raw;
use super::stand::wait_until;
use crate::harness::{Ran, free_ports, is_there};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

pub const AGENTS_PASSWORD: &str = "wAgentsOnly1";
pub const COORDINATORS_PASSWORD: &str = "wCoordinatorsOnly2";

/// A run that takes longer than this many looks, 20 ms apart, hangs.
const LOOKS: u32 = 9000;

/// nats-server by `deploy/nats.conf`, and a folder for what everyone says.
pub struct Bus {
    command: Command,
    process: Child,
    starts: usize,
    folder: tempfile::TempDir,
    pub port: u16,
    runs: AtomicU32,
}

impl Bus {
    /// `None`: nats-server isn't installed, and nobody asks for it.
    pub fn start() -> Option<Bus> {
        let [port, monitor, _] = free_ports();
        is_there("nats").then(|| Bus::listening("127.0.0.1", port, monitor, |command| command))
    }

    /// The server at this address, with a monitoring page; `wrap` says in what its command runs.
    pub fn listening(address: &str, port: u16, monitor: u16, wrap: impl FnOnce(Command) -> Command) -> Bus {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("nats-server");
        command
            .args(["-a", address, "-p", &port.to_string(), "-m", &monitor.to_string(), "-c"])
            .arg(deployed("nats.conf"));
        command.env("PATH", path());
        command
            .env("WSBENCH_AGENT_PASSWORD", AGENTS_PASSWORD)
            .env("WSBENCH_COORDINATOR_PASSWORD", COORDINATORS_PASSWORD);
        let mut command = wrap(command);
        let log = File::options().create(true).append(true).open(folder.path().join("nats.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        let bus = Bus { command, process, starts: 1, folder, port, runs: AtomicU32::new(0) };
        bus.await_listening();
        bus
    }

    /// Ends the server, without a word to anyone.
    pub fn end(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again at the same port, as one that knows nothing.
    pub fn begin(&mut self) {
        self.process = self.command.spawn().unwrap();
        self.starts += 1;
        self.await_listening();
    }

    fn await_listening(&self) {
        let said = || std::fs::read_to_string(self.path().join("nats.log")).unwrap();
        wait_until("nats-server listens", || said().matches("Server is ready").count() == self.starts);
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A client with an agent's rights.
    pub fn as_agent(&self, subjects: &[&str]) -> Raw {
        Raw::connect(self.port, "agent", AGENTS_PASSWORD, subjects)
    }

    /// A client with a coordinator's rights.
    pub fn as_coordinator(&self, subjects: &[&str]) -> Raw {
        Raw::connect(self.port, "coordinator", COORDINATORS_PASSWORD, subjects)
    }

    pub fn agent(&self, name: &str, more: &[&str]) -> Agent {
        self.agent_by(self.port, name, more)
    }

    /// An agent that reaches the bus by another port.
    pub fn agent_by(&self, port: u16, name: &str, more: &[&str]) -> Agent {
        let mut command = wsbench("agent", port, "agent", AGENTS_PASSWORD);
        command.args(["--name", name]).args(more);
        Agent::start(command, name, self.path())
    }

    /// So many, named `a`, `b` and so on.
    pub fn agents(&self, count: usize) -> Vec<Agent> {
        ('a'..).take(count).map(|name| self.agent(&name.to_string(), &[])).collect()
    }

    /// `wsbench run` of a scenario over `agents` of them.
    pub fn begin_run(&self, scenario: &str, agents: &str, more: &[&str]) -> Running {
        let mut command = wsbench("run", self.port, "coordinator", COORDINATORS_PASSWORD);
        command.args(["--agents", agents]).args(more);
        if !more.contains(&"--wait") {
            // Starting them may take a while on a machine that does a lot else.
            command.args(["--wait", "60s"]);
        }
        self.begin_command(command, scenario)
    }

    pub fn run(&self, scenario: &str, agents: &str, more: &[&str]) -> Ran {
        self.begin_run(scenario, agents, more).finish()
    }

    /// The same scenario by processes of this machine alone.
    pub fn run_here(&self, scenario: &str, more: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
        command.arg("run").args(more);
        self.begin_command(command, scenario).finish()
    }

    /// `command` with the scenario and a folder for its report.
    pub fn begin_command(&self, mut command: Command, scenario: &str) -> Running {
        let number = self.runs.fetch_add(1, SeqCst);
        let place = |what: &str| self.path().join(format!("run-{number}{what}"));
        std::fs::write(place(".toml"), scenario).unwrap();
        let out = place("");
        command.arg(place(".toml")).arg("--out").arg(&out).stdin(Stdio::null());
        command.stdout(File::create(place(".stdout")).unwrap()).stderr(File::create(place(".stderr")).unwrap());
        let process = command.spawn().unwrap();
        Running { process, said: [place(".stdout"), place(".stderr")], out }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where programs are found, those of administrators among them.
pub fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// A file of `deploy/`.
pub fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// The program's `subcommand` at the bus, without the environment's own settings.
pub fn wsbench(subcommand: &str, port: u16, user: &str, password: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
    command.arg(subcommand);
    at_bus(&mut command, "127.0.0.1", port, user, password);
    command
}

/// Tells a command where the bus is, by the environment, as the files in `deploy/` do.
pub fn at_bus(command: &mut Command, host: &str, port: u16, user: &str, password: &str) {
    command.env("WSBENCH_NATS_URL", format!("nats://{host}:{port}"));
    command.env("WSBENCH_NATS_USER", user).env("WSBENCH_NATS_PASSWORD", password).env_remove("NO_COLOR");
}

/// An agent's process, ended with all of its workers when it is dropped.
pub struct Agent {
    process: Child,
    log: PathBuf,
    pub name: String,
}

impl Agent {
    pub fn start(mut command: Command, name: &str, folder: &Path) -> Agent {
        let log = folder.join(format!("agent-{name}.log"));
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Agent { process: command.spawn().unwrap(), log, name: name.to_owned() }
    }

    pub fn signal(&self, name: &str) {
        signal(self.process.id(), name);
    }

    /// Everything that it has printed.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Its processes, by their ids.
    pub fn workers(&self) -> Vec<u32> {
        children_of(self.process.id())
    }

    /// Until none of its workers is left.
    #[track_caller]
    pub fn await_rest(&self) {
        wait_until("an agent ends its workers", || self.workers().is_empty());
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        wait_until("an agent ends", || !self.is_running());
        self.process.wait().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("agent {} said:\n{}", self.name, self.said());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A run that goes on.
pub struct Running {
    process: Child,
    said: [PathBuf; 2],
    out: PathBuf,
}

impl Running {
    pub fn signal(&self, name: &str) {
        signal(self.process.id(), name);
    }

    /// Waits for its end; a run that hangs is ended, and a failure.
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        for _ in 0..LOOKS {
            if let Some(status) = self.process.try_wait().unwrap() {
                let [stdout, stderr] = self.words();
                return Ran { code: status.code().unwrap_or(-1), stdout, stderr, out: self.out.clone() };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the run hangs:\n{}", self.words().concat());
    }

    fn words(&self) -> [String; 2] {
        [0, 1].map(|n| std::fs::read_to_string(&self.said[n]).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// Processes whose parent is `parent`.
fn children_of(parent: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    children.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()).collect()
}

/// The result as it was saved, with what this version's types may not know.
pub fn saved(ran: &Ran) -> Value {
    let text = std::fs::read_to_string(ran.out.join("result.json"));
    let text = text.unwrap_or_else(|e| panic!("{e}; the run ended with {}\n{}\n{}", ran.code, ran.stdout, ran.stderr));
    serde_json::from_str(&text).unwrap()
}

/// Every trial with its arm's name.
pub fn trials(document: &Value) -> Vec<(&str, &Value)> {
    let cells = document["cells"].as_array().unwrap().iter();
    cells
        .flat_map(|cell| {
            let arm = cell["arm"].as_str().unwrap();
            cell["trials"].as_array().unwrap().iter().map(move |trial| (arm, trial))
        })
        .collect()
}

/// What each agent did in a trial.
#[track_caller]
pub fn parts(trial: &Value) -> &Vec<Value> {
    trial["agents"].as_array().unwrap_or_else(|| panic!("no agents in {:?}", trial.as_object().unwrap().keys()))
}

/// The names of those that were lost in a trial.
pub fn lost(trial: &Value) -> Vec<&str> {
    let gone = parts(trial).iter().filter(|part| part["lost"].is_string());
    gone.map(|part| part["name"].as_str().unwrap()).collect()
}
