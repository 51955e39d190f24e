//! `comparison.md`, for a comment on a pull request: the verdict, one table, what differs, and the rest folded. It has no
//! pictures, which could not be found from there.

use super::view::{RowView, View};
use crate::export::markdown::{escape, folded, paragraph, table};

pub fn page(view: &View) -> String {
    let mut text = format!("## {} {}: {}\n", view.sign, view.verdict, escape(&view.headline));
    let (base, new) = (escape(&view.base), escape(&view.new));
    paragraph(&mut text, &format!("Scenario {}: **{new}** against **{base}**.", escape(&view.scenario)));
    view.remarks.iter().for_each(|remark| paragraph(&mut text, &format!("> {}", escape(remark))));
    if !view.differences.is_empty() {
        paragraph(&mut text, "**The runs are not comparable**, and were compared by force. What differs:");
        text += &table(&["", "base", "new"], view.differences.iter().map(|d| d.iter().map(|s| escape(s)).collect()));
    }
    text += &rows(view.rows.iter().filter(|row| row.is_gated));
    let others: Vec<&RowView> = view.rows.iter().filter(|row| !row.is_gated).collect();
    if !others.is_empty() {
        folded(&mut text, "Not gated", &rows(others.into_iter()));
    }
    folded(&mut text, "In words", &in_words(view));
    let facts = view.facts.iter().map(|(name, base, new, differs)| {
        let new = if *differs { format!("**{}**", escape(new)) } else { escape(new) };
        vec![escape(name), escape(base), new]
    });
    folded(&mut text, "What ran, and where", &table(&["", "base", "new"], facts));
    text
}

fn rows<'a>(rows: impl Iterator<Item = &'a RowView>) -> String {
    let row = |row: &RowView| {
        let verdict = match row.class {
            "worse" | "better" => format!("**{}**", row.verdict),
            _ => row.verdict.to_owned(),
        };
        let note = if row.note.is_empty() { String::new() } else { format!("<br>{}", escape(&row.note)) };
        let figures = [&row.what, &row.values, &row.change, &row.interval, &row.p].map(|s| escape(s));
        let sign = row.sign.to_owned();
        [sign].into_iter().chain(figures).chain([format!("{verdict}{note}")]).collect::<Vec<_>>()
    };
    table(&["", "what", "base → new", "change", "95 % interval", "adjusted p", "verdict"], rows.map(row))
}

fn in_words(view: &View) -> String {
    let mut text = String::new();
    let lines = view.rows.iter().map(|row| &row.words).chain(&view.left_out);
    lines.for_each(|line| text += &format!("\n- {}", escape(line)));
    text += "\n";
    paragraph(&mut text, &format!("{}.", escape(&view.rules)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::comparison::{Compared, testing};
    use crate::result::testing::document;
    use crate::verdict::Comparison;

    fn text(comparison: &Comparison) -> String {
        let (base, new) = (document(), testing::slower(&document()));
        page(&View::of(Compared { comparison, base: &base, new: &new }))
    }

    #[test]
    fn a_comment_looks_like_this() {
        insta::assert_snapshot!(text(&testing::comparison()));
    }

    #[test]
    fn what_was_forced_is_said_before_any_figure() {
        let text = text(&testing::many_rows(3));
        assert!(text.find("not comparable").unwrap() < text.find("| what |").unwrap(), "{text}");
        assert!(text.contains("| kernel | 6.12.0 | 6.13.1 |"), "{text}");
    }

    #[test]
    fn names_from_outside_break_no_table_and_call_nobody() {
        let mut comparison = testing::comparison();
        let evil = "x | y\n# z</details><script>@everyone";
        comparison.rows[0].arm = evil.into();
        comparison.rows[0].note = Some(evil.into());
        comparison.new.name = evil.into();
        comparison.left_out.push(evil.into());
        let text = text(&comparison);
        assert!(!text.contains("<script") && !text.contains("\n# z") && !text.contains("@everyone"), "{text}");
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let row = text.lines().find(|line| line.contains("chat/x \\| y")).unwrap();
        assert_eq!(columns(row), 8, "{row}");
    }
}
