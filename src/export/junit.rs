//! JUnit XML, as GitLab, Jenkins and GitHub's report actions read it: one suite, a case for each thing that was judged.

use std::fmt::Write as _;

mod comparison;
mod run;

pub(super) use comparison::of_comparison;
pub(super) use run::of_run;

/// All that was judged.
struct Suite {
    name: String,
    /// RFC 3339.
    started: String,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
}

struct Case {
    /// What was judged: scenario, workload and arm. GitLab shows it as the suite.
    class: String,
    /// By what.
    name: String,
    outcome: Outcome,
}

enum Outcome {
    /// What was seen, if there is more to say.
    Passed(Option<String>),
    /// The product is at fault: kind and words.
    Failed(&'static str, String),
    /// The measurement is: nothing is known of the product.
    Error(&'static str, String),
    /// Nothing could be told.
    Skipped(String),
}

impl Suite {
    fn xml(&self) -> String {
        let count = |is_it: fn(&Outcome) -> bool| self.cases.iter().filter(|case| is_it(&case.outcome)).count();
        let counts = format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
            self.cases.len(),
            count(|outcome| matches!(outcome, Outcome::Failed(..))),
            count(|outcome| matches!(outcome, Outcome::Error(..))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        );
        let (name, started) = (escape(&self.name), escape(&self.started));
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(xml, "<testsuites name=\"wsbench\" {counts}>");
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" {counts} timestamp=\"{started}\">");
        xml += "    <properties>\n";
        for (name, value) in &self.properties {
            let _ = writeln!(xml, "      <property name=\"{name}\" value=\"{}\"/>", escape(value));
        }
        xml += "    </properties>\n";
        self.cases.iter().for_each(|case| case.write(&mut xml));
        xml += "  </testsuite>\n</testsuites>\n";
        xml
    }
}

impl Case {
    fn write(&self, xml: &mut String) {
        let (class, name) = (escape(&self.class), escape(&self.name));
        let _ = write!(xml, "    <testcase classname=\"{class}\" name=\"{name}\"");
        // The words stand in the attribute and inside: readers show one or the other.
        let inside = match &self.outcome {
            Outcome::Passed(None) => return xml.push_str("/>\n"),
            Outcome::Passed(Some(words)) => format!("<system-out>{}</system-out>", escape(words)),
            Outcome::Failed(kind, words) => told("failure", kind, words),
            Outcome::Error(kind, words) => told("error", kind, words),
            Outcome::Skipped(words) => format!("<skipped message=\"{}\"/>", escape(words)),
        };
        let _ = writeln!(xml, ">{inside}</testcase>");
    }
}

fn told(element: &str, kind: &str, words: &str) -> String {
    let words = escape(words);
    format!("<{element} type=\"{}\" message=\"{words}\">{words}</{element}>", escape(kind))
}

/// Text for an attribute or between tags. XML has no way to write control characters at all.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        let case = Case {
            class: "\"><failure/>".into(),
            name: "a&b\u{0}\u{b}\n".into(),
            outcome: Outcome::Failed("x", "</failure><system-out>".into()),
        };
        let suite = Suite { name: "]]>".into(), started: String::new(), properties: Vec::new(), cases: vec![case] };
        let xml = suite.xml();
        assert_eq!((xml.matches("<failure").count(), xml.matches("</failure>").count()), (1, 1));
        assert!(!xml.contains("<system-out") && !xml.contains("]]>") && !xml.contains(['\u{0}', '\u{b}']), "{xml}");
        assert!(xml.contains("name=\"a&amp;b   \""), "{xml}");
    }
}
