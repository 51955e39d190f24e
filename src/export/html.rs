//! `report.html`: one page that opens offline. Everything from outside is escaped by the template engine; the charts are
//! ours and escape what they take from outside themselves.

use super::view::View;
use super::{ExportError, File, Options};
use crate::chart::{draw, drawable};
use crate::result::Document;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;

/// A chart to be placed in a page.
#[derive(Serialize)]
pub(super) struct Figure {
    pub title: String,
    pub svg: String,
}

pub fn files(document: &Document, options: &Options) -> Result<Vec<File>, ExportError> {
    let mut figures = Vec::new();
    let charts = if options.charts { drawable(document) } else { Vec::new() };
    for (_, spec) in charts {
        figures.push(Figure { svg: draw(&spec)?, title: spec.title });
    }
    Ok(vec![File::new("report.html", page(document, &figures)?)])
}

fn page(document: &Document, figures: &[Figure]) -> Result<String, minijinja::Error> {
    let values = context! {
        view => Serde(View::of(document)),
        figures => Serde(figures),
        scenario_text => document.scenario.text.as_str(),
    };
    filled(include_str!("report.html"), values)
}

/// The template with its values and the style of all pages; what is not marked as safe in it is escaped.
pub(super) fn filled(template: &str, values: minijinja::Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.render_str(template, context! { style => include_str!("report.css"), ..values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Truth;
    use crate::result::testing;

    fn rendered(document: &Document) -> String {
        String::from_utf8(files(document, &Options { charts: true }).unwrap().remove(0).bytes).unwrap()
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = rendered(&testing::document());
        for outside in ["<script", "<link", "<iframe", "@import", "url(", " src=", " href=\"http"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let elsewhere = page.matches("://").count() - page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
        assert_eq!(elsewhere, 0);
        assert_eq!(page.matches("<svg").count(), drawable(&testing::document()).len());
    }

    #[test]
    fn what_came_from_outside_is_escaped() {
        let mut document = testing::document();
        let evil = "\"><script>alert(1)</script><!--";
        document.scenario.name = evil.into();
        document.scenario.text = format!("# </pre>{evil}");
        document.meta.command_line = vec![evil.into()];
        document.cells[1].arm = evil.into();
        document.cells[1].settings = vec![(evil.into(), evil.into())];
        document.cells[2].trials[0].outcome.errors.insert(evil.into(), 3);
        document.cells[6].trials[1].invalid[0].message = evil.into();
        let page = rendered(&document);
        assert!(!page.contains("<script") && !page.contains("<!--"));
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn agents_are_shown_to_whom_there_are_some_and_are_escaped() {
        let page = rendered(&testing::fleet());
        let (_, agents) = page.split_once("<h2>Agents</h2>").unwrap();
        assert_eq!(page.matches("<h4>Agents</h4>").count(), 2, "and of each arm");
        assert!(!page.contains("<script") && !page.contains("<b>us"), "names and labels come from outside");
        for words in
            ["&lt;b&gt;us", "zone=eu", "−1200 s ± 30.0 µs", "in 2 of 6 trials: nothing was heard of it for 10.0 s"]
        {
            assert!(agents.contains(words), "{words}: {agents}");
        }
        assert!(page.contains("1 of 3 agents were lost"), "and what is lost is on top");
        assert!(!rendered(&testing::document()).contains("Agents"));
    }

    #[test]
    fn what_was_left_out_is_nowhere_drawn_and_it_is_said_why() {
        let document = testing::left_out();
        let page = rendered(&document);
        assert!(page.contains("Left out: last-receipt and response-time of websocket, tcp: one way"), "{page}");
        assert!(page.contains("no figures of response-time and last-receipt: one way, from the target&#x27;s clock"));
        for exporter in crate::export::EXPORTERS {
            (exporter.files)(&document, &Options { charts: true }).unwrap_or_else(|e| panic!("{}: {e}", exporter.name));
        }
        let names: Vec<&str> = drawable(&document).iter().map(|(name, _)| *name).collect();
        assert!(!names.iter().any(|name| name.contains("percentile") || name.contains("time")), "{names:?}");
    }

    #[test]
    fn a_search_shows_its_findings_and_what_spoilt_trials_only_to_who_asks() {
        let mut document = testing::capacity();
        document.capacity.as_mut().unwrap().arms[0].failed.as_mut().unwrap().why = "<script>".into();
        let page = rendered(&document);
        let (findings, rest) = page.split_once("<h2>Every load</h2>").unwrap();
        assert!(findings.contains("<b>at least 400&#x2f;s: the generator is the limit</b>"), "{findings}");
        assert!(findings.contains("<details><summary><span class=\"bad\">INVALID trials"), "{findings}");
        assert!(rest.contains("<b>800&#x2f;s</b>") && !page.contains("The claims") && !page.contains("<script"));
        assert_eq!(page.matches("<svg").count(), 1);
    }

    #[test]
    fn a_banner_tells_of_each_block_what_was_seen() {
        let mut document = testing::document();
        let trials = &mut document.cells[6].trials;
        trials[0].invalid = trials[1].invalid.clone();
        trials[0].invalid[0].message = "25.8 ms".into();
        trials[2].failure = Some("the worker died".into());
        let page = rendered(&document);
        assert!(
            page.contains("<b>http-streaming</b>, blocks 0, 1: block 0: 25.8 ms; block 1: the generator sent late")
        );
        assert!(page.contains("<b>http-streaming</b>, block 2, was stopped: the worker died; its counts are"));
    }

    #[test]
    fn doubts_are_on_top() {
        let mut document = testing::document();
        document.partial = true;
        document.cells[0].load.arrival = "closed".into();
        assert!(!rendered(&document).contains("Oracle"));
        document.cells[1].trials[0].target.as_mut().unwrap().truth = Some(Truth::default());
        let page = rendered(&document);
        for words in ["INVALID", "Partial", "Emulated network", "Closed arrival", "Oracle"] {
            let at = page.find(words).unwrap_or_else(|| panic!("{words} is missing"));
            assert!(at < page.find("<table").unwrap(), "{words}");
        }
    }
}
