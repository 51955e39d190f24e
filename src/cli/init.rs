//! `wsbench init`: writes the starter scenario, never over something that is there.

use super::exit::Exit;
use super::say;
use crate::scenario::STARTER;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Why no starter scenario was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum InitError {
    #[error("{} exists already; name another file", .0.display())]
    Exists(PathBuf),
    #[error("{} can't be written; is its folder there, and may you write to it?", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Writes the starter and says how to go on.
pub(super) fn init(path: &Path) -> Result<Exit, InitError> {
    write_starter(path)?;
    let next = format!("wrote {0}\nnext: wsbench check {0}, then wsbench run {0}\n", path.display());
    say::out(&next).map_err(|source| InitError::Io { path: path.to_owned(), source })?;
    Ok(Exit::Done)
}

/// Writes [`STARTER`] to a new file.
fn write_starter(path: &Path) -> Result<(), InitError> {
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    created.and_then(|mut file| file.write_all(STARTER.as_bytes())).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => InitError::Exists(path.to_owned()),
        _ => InitError::Io { path: path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scenario.toml");
        write_starter(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), STARTER);
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(write_starter(&path), Err(InitError::Exists(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert!(matches!(write_starter(&folder.path().join("no/where.toml")), Err(InitError::Io { .. })));
    }
}
