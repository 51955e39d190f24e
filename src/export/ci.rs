//! What CI eats: formats of other tools, each written to a file of the caller's choice.

use super::{ExportError, junit, markdown, prometheus, tracker};
use crate::result::{Document, write_atomically};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// One of them.
pub struct Format {
    /// As on the command line.
    pub name: &'static str,
    /// What it is, for the help.
    pub what: &'static str,
    pub text: fn(&Document) -> String,
    /// Added to what the file holds; the others replace it.
    pub appends: bool,
}

pub const FORMATS: &[Format] = &[
    Format { name: "junit", what: "JUnit XML", text: junit::of_run, appends: false },
    Format {
        name: "github-summary",
        what: "Markdown, appended: for $GITHUB_STEP_SUMMARY",
        text: markdown::job_summary,
        appends: true,
    },
    Format {
        name: "github-smaller",
        what: "github-action-benchmark's customSmallerIsBetter: times and costs",
        text: tracker::smaller_is_better,
        appends: false,
    },
    Format {
        name: "github-bigger",
        what: "the same's customBiggerIsBetter: rates and reach",
        text: tracker::bigger_is_better,
        appends: false,
    },
    Format { name: "prometheus", what: "Prometheus' text format", text: prometheus::of_run, appends: false },
];

/// Writes `document` to `path` in that format.
///
/// # Errors
/// The file, or its folder, can't be written.
pub fn write_format(document: &Document, format: &Format, path: &Path) -> Result<(), ExportError> {
    let text = (format.text)(document);
    if format.appends {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        return written.map_err(|source| ExportError::Append { path: path.to_owned(), source });
    }
    Ok(write_atomically(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn a_summary_is_appended_and_the_others_replace() {
        let folder = tempfile::tempdir().unwrap();
        for format in FORMATS {
            let path = folder.path().join(format.name);
            std::fs::write(&path, "before\n").unwrap();
            write_format(&testing::document(), format, &path).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.starts_with("before\n"), format.appends, "{}", format.name);
            assert!(text.ends_with('\n'), "{}", format.name);
        }
    }

    #[test]
    fn a_search_for_capacity_has_every_format() {
        for format in FORMATS {
            let text = (format.text)(&testing::capacity());
            // A search has no figure of which less is better.
            assert!(text.contains("websocket") || format.name == "github-smaller", "{}: {text}", format.name);
        }
    }
}
