//! `comparison.html`: one page that opens offline. Everything from outside is escaped by the template engine; the charts
//! are ours and escape what they take from outside themselves.

use super::view::View;
use crate::chart::comparison::{Compared, drawable};
use crate::chart::draw;
use crate::export::ExportError;
use crate::export::html::{Figure, filled};
use minijinja::context;
use minijinja::value::Serde;

pub fn page(compared: Compared) -> Result<String, ExportError> {
    let mut figures = Vec::new();
    for (_, spec) in drawable(compared) {
        figures.push(Figure { svg: draw(&spec)?, title: spec.title });
    }
    let values = context! { view => Serde(View::of(compared)), figures => Serde(&figures) };
    Ok(filled(include_str!("../comparison.html"), values)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::comparison::testing;
    use crate::result::testing::document;
    use crate::verdict::Comparison;

    fn rendered(comparison: &Comparison) -> String {
        let (base, new) = (document(), testing::slower(&document()));
        page(Compared { comparison, base: &base, new: &new }).unwrap()
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_has_every_chart() {
        let page = rendered(&testing::comparison());
        for outside in ["<script", "<link", "<iframe", "@import", "url(", " src=", " href=\"http"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let elsewhere = page.matches("://").count() - page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
        assert_eq!((elsewhere, page.matches("<svg").count()), (0, 3));
        assert!(page.find("REGRESSION").unwrap() < page.find("<svg").unwrap());
    }

    #[test]
    fn a_comparison_of_nothing_has_a_page_all_the_same() {
        let page = rendered(&Comparison { rows: Vec::new(), ..testing::comparison() });
        assert!(page.contains("Nothing that was measured on both sides is gated") && !page.contains("Not gated"));
    }

    #[test]
    fn what_came_from_outside_is_escaped() {
        let evil = "\"><script>alert(1)</script><!--";
        let mut comparison = testing::many_rows(6);
        comparison.scenario = evil.into();
        comparison.base.name = evil.into();
        comparison.rows[0].arm = evil.into();
        comparison.rows[1].note = Some(evil.into());
        comparison.differences[0].new = evil.into();
        comparison.left_out.push(evil.into());
        let page = rendered(&comparison);
        assert!(!page.contains("<script") && !page.contains("<!--"));
        assert!(page.matches("&lt;script&gt;").count() >= 6);
    }
}
