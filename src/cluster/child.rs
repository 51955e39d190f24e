//! A child process of our own program that speaks JSON, a line a message, over its standard input and output.
//!
//! Children live in their own process group, so that Ctrl-C at the terminal reaches the coordinator alone, and die with
//! it (`PR_SET_PDEATHSIG`, set by the child itself).

use serde::{Serialize, de::DeserializeOwned};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child as Process, ChildStderr, ChildStdin, ChildStdout, Command};

pub(super) struct Child {
    process: Process,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    errors: Option<ChildStderr>,
    name: &'static str,
}

/// A child that can't be spoken to any more.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error("the {name} process could not be started: {source}")]
    Start { name: &'static str, source: io::Error },
    #[error("the {name} process ended unexpectedly{detail}")]
    Gone { name: &'static str, detail: String },
    #[error("the {name} process said something that makes no sense: {detail}")]
    Nonsense { name: &'static str, detail: String },
    #[error("the {name} process could not go on: {detail}")]
    GaveUp { name: &'static str, detail: String },
    #[error("the {name} did not answer in time")]
    Hung { name: &'static str },
}

/// How long a process may take to be gone for good once it has closed its pipes.
const DYING: Duration = Duration::from_secs(1);

/// Takes out of a command's environment what this program was told by it, secrets among it: children of our own are told by
/// their standard input alone, and a server that is measured isn't to know.
pub(super) fn hide_settings(command: &mut std::process::Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"WSBENCH_")) {
        command.env_remove(name);
    }
}

impl Child {
    /// Starts `program subcommand`. `name` is how messages call it.
    pub(super) fn start(program: &Path, subcommand: &str, name: &'static str) -> Result<Child, ChildError> {
        let start = |source| ChildError::Start { name, source };
        let mut command = Command::new(program);
        hide_settings(command.as_std_mut());
        let mut process = command
            .arg(subcommand)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let missing = || start(io::Error::other("no pipe"));
        Ok(Child {
            input: process.stdin.take().ok_or_else(missing)?,
            output: BufReader::new(process.stdout.take().ok_or_else(missing)?).lines(),
            errors: process.stderr.take(),
            process,
            name,
        })
    }

    /// `None` once it has ended.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    pub(super) async fn tell(&mut self, message: &impl Serialize) -> Result<(), ChildError> {
        let mut line =
            serde_json::to_vec(message).map_err(|e| ChildError::Nonsense { name: self.name, detail: e.to_string() })?;
        line.push(b'\n');
        match self.input.write_all(&line).await {
            Ok(()) => Ok(()),
            Err(_) => Err(ChildError::Gone { name: self.name, detail: String::new() }),
        }
    }

    /// The next message; of a child that is gone, with its last words.
    pub(super) async fn hear<T: DeserializeOwned>(&mut self) -> Result<T, ChildError> {
        match self.next().await {
            Ok(message) => Ok(message),
            Err(error) => Err(self.last_words(error).await),
        }
    }

    /// The next message. Safe to cancel: what was read of a line is kept.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<T, ChildError> {
        match self.output.next_line().await {
            Ok(Some(line)) => serde_json::from_str(&line).map_err(|e| ChildError::Nonsense {
                name: self.name,
                detail: format!("{e} in {:?}", line.chars().take(200).collect::<String>()),
            }),
            _ => Err(ChildError::Gone { name: self.name, detail: String::new() }),
        }
    }

    /// The child said that it can't go on.
    pub(super) fn gave_up(&self, problem: String) -> ChildError {
        ChildError::GaveUp { name: self.name, detail: problem }
    }

    /// `error` with how the child ended and what its last words were, if it is gone.
    pub(super) async fn last_words(&mut self, error: ChildError) -> ChildError {
        let ChildError::Gone { name, .. } = error else { return error };
        let mut words = Vec::new();
        let dying = async {
            if let Some(errors) = self.errors.take() {
                let _ = errors.take(4096).read_to_end(&mut words).await;
            }
            self.process.wait().await
        };
        let status = match tokio::time::timeout(DYING, dying).await {
            Ok(Ok(status)) => format!(" ({status})"),
            _ => String::new(),
        };
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        let words = if words.is_empty() { words } else { format!(": {words}") };
        ChildError::Gone { name, detail: status + &words }
    }
}
