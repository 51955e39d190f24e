//! Starts a server and runs the program against it.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use wsbench::measure::{Counters, Outcome};
use wsbench::result::Document;

/// How often it is looked whether a server listens, 20 ms apart.
const LOOKS: u32 = 1500;

/// A server of its own folder, ended when it is dropped.
pub struct Server {
    process: Child,
    folder: tempfile::TempDir,
    pub port: u16,
    /// Two more, for what else the server has to offer.
    pub more: [u16; 2],
}

impl Server {
    /// Starts `NAME.sh start PORT FOLDER PORT2 PORT3`, which becomes the server, and waits until it listens at the first port.
    /// `None`: it isn't installed, and nobody asks for it.
    pub fn start(name: &str) -> Option<Server> {
        if !is_there(name) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let [port, more @ ..] = free_ports();
        let mut command = Command::new("bash");
        command
            .arg(script(name))
            .args(["start", &port.to_string()])
            .arg(folder.path())
            .args(more.map(|p| p.to_string()));
        let log = std::fs::File::create(folder.path().join("server.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut server = Server { process: command.spawn().unwrap(), folder, port, more };
        for _ in 0..LOOKS {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            if server.process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{name} doesn't listen: {}", server.log());
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("server.log")).unwrap_or_default()
    }

    /// `wsbench run` of a scenario in which `PORT` stands for the server's port, `PORT2` and `PORT3` for the two others.
    pub fn run(&self, scenario: &str, more: &[&str]) -> Ran {
        let file = self.path().join("scenario.toml");
        let [second, third] = self.more.map(|port| port.to_string());
        let text = scenario.replace("PORT2", &second).replace("PORT3", &third);
        std::fs::write(&file, text.replace("PORT", &self.port.to_string())).unwrap();
        let mut names = (1..).map(|n| self.path().join(format!("out-{n}")));
        let out = names.find(|out| !out.exists()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
        command.arg("run").arg(&file).arg("--out").arg(&out).args(more).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr), out }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = self.process.id().to_string();
        // The script becomes the server, which ends its own children when it is asked to.
        let _ = Command::new("kill").args(["-TERM", &group]).status();
        for _ in 0..100 {
            if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a run left.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub out: PathBuf,
}

impl Ran {
    /// Ends well: 0, or 95 where the machine was too busy to trust the figures, which these tests don't judge.
    #[track_caller]
    pub fn well(self) -> Ran {
        assert!(matches!(self.code, 0 | 95), "exit code {}\n{}\n{}", self.code, self.stdout, self.stderr);
        self
    }

    /// Each arm's first trial.
    pub fn outcomes(&self) -> Vec<(String, Outcome)> {
        let cells = self.document().cells.into_iter();
        cells.map(|cell| (cell.arm, cell.trials[0].outcome.clone())).collect()
    }

    pub fn document(&self) -> Document {
        Document::load(&self.out.join("result.json")).unwrap()
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/servers/{name}.sh"))
}

/// Whether a server is installed and may be used; not being installed is a failure where all of them are asked for.
pub fn is_there(name: &str) -> bool {
    let asked = std::env::var("WSBENCH_SERVERS").unwrap_or_default();
    let is_installed = || Command::new("bash").arg(script(name)).arg("installed").status().is_ok_and(|s| s.success());
    if asked != "none" && is_installed() {
        return true;
    }
    assert!(matches!(asked.as_str(), "" | "none"), "{name} isn't installed: {} install", script(name).display());
    eprintln!("{name} is passed over");
    false
}

/// Held together, so that none of them is another.
pub fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Everything that was owed came, once, in every arm.
#[track_caller]
pub fn assert_whole(outcomes: &[(String, Outcome)]) {
    for (arm, outcome) in outcomes {
        assert_eq!(outcome.errors.len(), 0, "{arm}: {:?}", outcome.errors);
        for counters in [&outcome.warmup, &outcome.measure] {
            let Counters { expected, delivered, late, skipped, .. } = *counters;
            assert_eq!((delivered + late, skipped), (expected, 0), "{arm}: {counters:?}");
            assert_eq!([counters.duplicate, counters.unmatched, counters.foreign], [0; 3], "{arm}: {counters:?}");
        }
        assert!(outcome.measure.expected > 0, "{arm}");
    }
}
