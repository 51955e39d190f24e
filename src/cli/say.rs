//! Printing that survives its reader: a pipe that closes or fills up must never cost what was measured.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, ErrorKind, Write};

/// Writes `text` to standard output. A reader that has had enough (`| head`) is no error.
pub(super) fn out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(harmless(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard error; if even that is gone, nobody can be told.
pub(super) fn err(line: &str) {
    coloured(&harmless(line));
}

/// As [`err`], of a text that we coloured ourselves.
pub(super) fn coloured(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Names and messages may come from a file of anyone's: what would steer a terminal is shown as `\u{1b}`.
fn harmless(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// An error with its causes, each once: a message may hold its cause's already.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.contains(&message) {
            text += &format!(": {message}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("the file is gone: {source}")]
        Said { source: io::Error },
        #[error("the file is gone")]
        Unsaid { source: io::Error },
    }

    #[test]
    fn what_would_steer_a_terminal_is_shown() {
        assert_eq!(harmless("ws\u{1b}]0;x\u{7}\u{9b}2J\ta\nb"), "ws\\u{1b}]0;x\\u{7}\\u{9b}2J\ta\nb");
        assert!(matches!(harmless("µs → ms"), Cow::Borrowed(_)));
    }

    #[test]
    fn every_cause_is_said_once() {
        let cause = || io::Error::other("disk on fire");
        for error in [Outer::Said { source: cause() }, Outer::Unsaid { source: cause() }] {
            assert_eq!(chain(&error), "the file is gone: disk on fire");
        }
    }
}
