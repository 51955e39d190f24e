//! The flat summary as JSON, for scripts.

use crate::result::Document;

/// An array of cells with the names of `docs/result.md`, indented, ending in a line feed.
pub fn summary_json(document: &Document) -> String {
    let mut text = serde_json::to_string_pretty(&document.summary()).expect("a summary has string keys only");
    text.push('\n');
    text
}
