//! Runs the program in a folder of its own.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use wsbench::result::Document;

/// A folder with a scenario in it.
pub struct Bench {
    folder: tempfile::TempDir,
}

/// What a run left.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub out: PathBuf,
}

impl Bench {
    pub fn new(scenario: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scenario.toml"), scenario).unwrap();
        Bench { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program in this folder, without the environment's own settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
        command.args(args).current_dir(self.path()).env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }

    /// The same, by which a hangup is heard although whoever runs the tests ignores it (`nohup`).
    pub fn command_of_a_terminal(&self, args: &[&str]) -> Command {
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_wsbench")]).args(args);
        command.current_dir(self.path()).env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }

    pub fn say(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap(), self.path().join("out"))
    }

    /// `wsbench run scenario.toml --out out` and more.
    pub fn run(&self, more: &[&str]) -> Ran {
        self.say(&[&["run", "scenario.toml", "--out", "out"], more].concat())
    }
}

pub fn ran(output: Output, out: PathBuf) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        out,
    }
}

impl Ran {
    /// Ends well: 0, or 95 where the machine was too busy to trust the figures, which these tests don't judge.
    #[track_caller]
    pub fn well(self) -> Ran {
        assert!(matches!(self.code, 0 | 95), "exit code {}\n{}\n{}", self.code, self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn with_code(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    pub fn document(&self) -> Document {
        Document::load(&self.out.join("result.json")).unwrap()
    }

    /// What `--format json` printed.
    pub fn json(&self) -> Vec<Value> {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {:?}", self.stdout))
    }
}

/// Processes whose parent is `parent`.
pub fn children_of(parent: u32) -> Vec<u32> {
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let parent_of = |pid: u32| stat(pid)?.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok();
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// Waits until a run has begun its first trial: the process ids of its worker and its embedded target.
pub fn both_children_of(run: u32) -> (u32, u32) {
    let find = |subcommand: &str| {
        let is_it = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.ends_with(format!("\0{subcommand}\0").as_bytes()))
        };
        children_of(run).into_iter().find(is_it)
    };
    for _ in 0..2000 {
        // Before its first trial a run has a worker alone, which calibrates.
        if let (Some(target), Some(worker)) = (find("target"), find("worker")) {
            return (worker, target);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the run began no trial");
}
