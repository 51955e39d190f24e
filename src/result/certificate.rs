//! What `wsbench selftest` found on a machine: kept as a file of its own, and mentioned by the results made there after.

use super::{Host, SaveError, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The version that this program writes.
const SCHEMA_VERSION: u32 = 1;
/// Larger files are no certificates, bytes.
const LARGEST: u64 = 1 << 20;

/// One self-test of the instrument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    pub schema_version: u32,
    pub wsbench_version: String,
    /// RFC 3339.
    pub started: String,
    pub finished: String,
    pub host: Host,
    pub checks: Vec<Check>,
}

/// One thing whose answer is known, and what the instrument made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What belongs together, such as `stalls`.
    pub suite: String,
    pub what: String,
    pub expected: String,
    pub measured: String,
    pub tolerance: String,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    Fail,
    /// Not possible here; `measured` says why.
    Skipped,
    /// A property of the machine, not of the instrument.
    Floor,
}

/// What a result says of the self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// When it ended, RFC 3339.
    pub finished: String,
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    /// SHA-256 of the certificate's file, hex.
    pub certificate: String,
}

impl Certificate {
    pub fn new(
        wsbench_version: &str,
        started: String,
        finished: String,
        host: Host,
        checks: Vec<Check>,
    ) -> Certificate {
        Certificate {
            schema_version: SCHEMA_VERSION,
            wsbench_version: wsbench_version.to_owned(),
            started,
            finished,
            host,
            checks,
        }
    }

    pub fn count(&self, verdict: Verdict) -> u64 {
        self.checks.iter().filter(|check| check.verdict == verdict).count() as u64
    }

    /// Whether every check that was possible passed.
    pub fn is_passed(&self) -> bool {
        self.count(Verdict::Fail) == 0
    }

    /// Makes sure that a certificate can be written to `path`: its folder is made, and takes files.
    pub fn prepare(path: &Path) -> Result<(), SaveError> {
        let failed = |source| SaveError { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let probe = folder.join(".selftest.probe");
        std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe)).map_err(failed)
    }

    /// Writes it, and the folder it is in.
    pub fn save(&self, path: &Path) -> Result<(), SaveError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| SaveError { path: path.to_owned(), source: error.into() })?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| SaveError { path: path.to_owned(), source })?;
        }
        write_atomically(path, format!("{text}\n").as_bytes())
    }

    /// Where a self-test is kept unless told otherwise: `$XDG_STATE_HOME/wsbench/selftest.json`, or the same under
    /// `~/.local/state`. `None` without a home.
    pub fn usual_path() -> Option<PathBuf> {
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        Some(state.or_else(home)?.join("wsbench/selftest.json"))
    }
}

impl SelfTest {
    /// Of the certificate at `path`, if it is one of this version of wsbench on this machine.
    pub fn read(path: &Path, wsbench_version: &str, host: &Host) -> Option<SelfTest> {
        let is_small = std::fs::metadata(path).ok()?.len() <= LARGEST;
        let bytes = std::fs::read(path).ok().filter(|_| is_small)?;
        let certificate: Certificate = serde_json::from_slice(&bytes).ok()?;
        let is_ours = certificate.wsbench_version == wsbench_version && is_same_machine(&certificate.host, host);
        is_ours.then(|| SelfTest {
            finished: certificate.finished.clone(),
            passed: certificate.count(Verdict::Pass),
            failed: certificate.count(Verdict::Fail),
            skipped: certificate.count(Verdict::Skipped),
            certificate: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

/// Limits that a shell sets don't make another machine.
fn is_same_machine(a: &Host, b: &Host) -> bool {
    (&a.os, &a.kernel, &a.cpu_model, a.cores, a.memory_bytes)
        == (&b.os, &b.kernel, &b.cpu_model, b.cores, b.memory_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verdict: Verdict) -> Check {
        let text = || "x".to_owned();
        Check { suite: text(), what: text(), expected: text(), measured: text(), tolerance: text(), verdict }
    }

    fn certificate(verdicts: &[Verdict]) -> Certificate {
        let host = Host { kernel: "6.1".to_owned(), cores: 2, ..Host::default() };
        let checks = verdicts.iter().map(|verdict| check(*verdict)).collect();
        Certificate::new("1.2.3", "a".to_owned(), "b".to_owned(), host, checks)
    }

    #[test]
    fn one_failure_is_enough() {
        use Verdict::*;
        assert!(certificate(&[Pass, Skipped, Floor]).is_passed());
        assert!(!certificate(&[Pass, Fail]).is_passed());
    }

    #[test]
    fn a_folder_that_takes_no_files_is_known_beforehand() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        Certificate::prepare(&file).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
        std::fs::write(&file, "").unwrap();
        assert!(Certificate::prepare(&file.join("selftest.json")).is_err());
    }

    #[test]
    fn counts_for_this_version_on_this_machine_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/selftest.json");
        let made = certificate(&[Verdict::Pass, Verdict::Pass, Verdict::Fail, Verdict::Skipped]);
        made.save(&path).unwrap();
        let read = SelfTest::read(&path, "1.2.3", &made.host).unwrap();
        assert_eq!((read.passed, read.failed, read.skipped, read.certificate.len()), (2, 1, 1, 64));
        assert_eq!(SelfTest::read(&path, "1.2.4", &made.host), None);
        assert_eq!(SelfTest::read(&path, "1.2.3", &Host { kernel: "6.2".to_owned(), ..made.host.clone() }), None);
        let other_limit = Host { open_files_limit: 7, ..made.host.clone() };
        assert!(SelfTest::read(&path, "1.2.3", &other_limit).is_some());
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(SelfTest::read(&path, "1.2.3", &made.host), None);
        assert_eq!(SelfTest::read(&dir.path().join("none"), "1.2.3", &made.host), None);
    }
}
