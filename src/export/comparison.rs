//! What a comparison of two runs leaves: its JSON, a comment for a pull request, test cases, a page, charts.

use super::{ExportError, File, junit};
use crate::chart::comparison::{Compared, drawable};
use crate::chart::draw;
use crate::result::Document;
use crate::verdict::Comparison;
use std::path::{Path, PathBuf};

mod html;
mod markdown;
mod view;

use view::View;

/// One kind of output.
type Exporter = fn(Compared) -> Result<Vec<File>, ExportError>;

/// In the order in which they are written.
const EXPORTERS: &[Exporter] = &[
    |c| Ok(vec![File::new("comparison.json", json(c.comparison))]),
    |c| Ok(vec![File::new("comparison.md", markdown::page(&View::of(c)))]),
    |c| Ok(vec![File::new("junit.xml", junit::of_comparison(c.comparison, c.new))]),
    |c| drawable(c).into_iter().map(|(name, spec)| Ok(File::new(format!("charts/{name}"), draw(&spec)?))).collect(),
    |c| Ok(vec![File::new("comparison.html", html::page(c)?)]),
];

/// Writes `comparison.json`, `comparison.md`, `junit.xml`, `comparison.html` and `charts/comparison-*.svg` into `folder`,
/// replacing files of the same name, and returns their paths. `base` and `new` are the runs that were compared.
///
/// # Errors
/// The first export that fails; files written before it stay.
pub fn write_comparison(
    comparison: &Comparison,
    base: &Document,
    new: &Document,
    folder: &Path,
) -> Result<Vec<PathBuf>, ExportError> {
    let compared = Compared { comparison, base, new };
    let mut written = Vec::new();
    for files in EXPORTERS {
        for file in files(compared)? {
            written.push(file.write(folder)?);
        }
    }
    Ok(written)
}

/// Indented, ending in a line feed.
fn json(comparison: &Comparison) -> String {
    let mut text = serde_json::to_string_pretty(comparison).expect("a comparison has string keys only");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::comparison::testing;
    use crate::result::testing::document;

    #[test]
    fn every_file_is_written_and_the_json_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let (base, new) = (document(), testing::slower(&document()));
        for comparison in [testing::comparison(), testing::infinite()] {
            let written = write_comparison(&comparison, &base, &new, folder.path()).unwrap();
            let names: Vec<_> =
                written.iter().map(|p| p.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
            assert_eq!(
                names,
                [
                    "comparison.json",
                    "comparison.md",
                    "junit.xml",
                    "charts/comparison-effects.svg",
                    "charts/comparison-trials.svg",
                    "charts/comparison-percentiles.svg",
                    "comparison.html"
                ]
            );
            let json = std::fs::read(folder.path().join("comparison.json")).unwrap();
            let read: Comparison = serde_json::from_slice(&json).unwrap();
            let infinite = |c: &Comparison| c.rows.iter().flat_map(|r| &r.new).filter(|v| v.is_infinite()).count();
            assert_eq!((read.verdict, read.rows.len()), (comparison.verdict, comparison.rows.len()));
            assert_eq!(infinite(&read), infinite(&comparison));
        }
        if let Some(to) = std::env::var_os("WSBENCH_GALLERY") {
            write_comparison(&testing::comparison(), &base, &new, &Path::new(&to).join("page")).unwrap();
            write_comparison(&testing::many_rows(30), &base, &new, &Path::new(&to).join("page30")).unwrap();
        }
    }
}
