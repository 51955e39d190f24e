//! Pictures of two runs against each other. A new one is one new file and one row in [`CHARTS`].

use super::ChartSpec;
use crate::result::Document;
use crate::verdict::Comparison;

mod effects;
mod percentiles;
#[cfg(test)]
pub(crate) mod testing;
mod trials;
pub(crate) mod words;

/// What pictures of a comparison are drawn from: what was found, and both runs.
#[derive(Clone, Copy)]
pub struct Compared<'a> {
    pub comparison: &'a Comparison,
    pub base: &'a Document,
    pub new: &'a Document,
}

/// Name of its file, and the picture; `None`: there is nothing to show in it.
type Chart = (&'static str, fn(Compared) -> Option<ChartSpec>);

/// In the order in which a reader should meet them.
const CHARTS: &[Chart] = &[
    ("comparison-effects.svg", effects::spec),
    ("comparison-trials.svg", trials::spec),
    ("comparison-percentiles.svg", percentiles::spec),
];

/// File and picture of each chart that this comparison has something to show in.
pub fn drawable(compared: Compared) -> Vec<(&'static str, ChartSpec)> {
    CHARTS.iter().filter_map(|(file, spec)| Some((*file, spec(compared)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::draw;
    use crate::result::testing::document;

    /// Every kind of comparison that must be drawn well.
    fn gallery() -> Vec<(&'static str, Comparison)> {
        let mut separate = testing::comparison();
        separate.design = crate::verdict::Design::Separate;
        vec![
            ("usual", testing::comparison()),
            ("separate", separate),
            ("one", testing::one_row()),
            ("thirty", testing::many_rows(30)),
            ("infinite", testing::infinite()),
            ("far", testing::far_apart()),
        ]
    }

    #[test]
    fn every_chart_is_drawn_whatever_was_found() {
        let (base, new) = (document(), testing::slower(&document()));
        for (name, comparison) in gallery() {
            let charts = drawable(Compared { comparison: &comparison, base: &base, new: &new });
            assert_eq!(charts.len(), CHARTS.len(), "{name}");
            for (file, spec) in charts {
                let svg = draw(&spec).unwrap();
                assert!(!spec.title.is_empty() && !svg.contains("NaN") && !svg.contains("inf"), "{name} {file}");
                if let Some(folder) = std::env::var_os("WSBENCH_GALLERY") {
                    std::fs::write(std::path::Path::new(&folder).join(format!("{name}-{file}")), svg).unwrap();
                }
            }
        }
    }

    #[test]
    fn nothing_compared_draws_nothing() {
        let mut empty = document();
        empty.cells.clear();
        let comparison = Comparison { rows: Vec::new(), ..testing::comparison() };
        assert_eq!(drawable(Compared { comparison: &comparison, base: &empty, new: &empty }), []);
    }

    #[test]
    fn names_from_outside_are_escaped() {
        let evil = "</text><script>\u{0}&\"";
        let mut comparison = testing::comparison();
        comparison.base.name = evil.into();
        comparison.rows.iter_mut().for_each(|row| row.arm = evil.into());
        let mut base = document();
        base.cells.iter_mut().for_each(|cell| cell.arm = evil.into());
        for (file, spec) in drawable(Compared { comparison: &comparison, base: &base, new: &base }) {
            let svg = draw(&spec).unwrap();
            assert!(!svg.contains("<script") && !svg.contains('\u{0}'), "{file}");
        }
    }
}
