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
