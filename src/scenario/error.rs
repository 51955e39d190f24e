//! What is wrong with a scenario, as a person sees it: file, line and column, a caret, and what to do.

use super::at::{At, Place};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// More than this many problems at once help nobody.
const MOST_SHOWN: usize = 20;

/// A scenario's text and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As the person named the file.
    pub path: String,
    pub text: Arc<str>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    place: Place,
    hint: Option<String>,
}

/// The text is not a scenario. Holds everything that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    pub source: Source,
    pub problems: Vec<Problem>,
}

impl Problem {
    /// `message` says what is wrong, in lower case and without a full stop.
    pub fn new(place: &Place, message: impl Into<String>) -> Problem {
        Problem { message: printable(message.into()), place: place.clone(), hint: None }
    }

    pub fn at<T>(what: &At<T>, message: impl Into<String>) -> Problem {
        Problem::new(&what.place, message)
    }

    pub fn within(span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem::new(&Place::File(span), message)
    }

    /// What to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(printable(hint.into()));
        self
    }

    /// Splits the `what is wrong; what to write` that errors of the lower layers are made of.
    pub fn quote(place: &Place, error: impl fmt::Display) -> Problem {
        let text = error.to_string();
        match text.rsplit_once("; ") {
            Some((message, hint)) => Problem::new(place, message).hint(hint),
            None => Problem::new(place, text),
        }
    }

    /// Whether it is the command line that is wrong, and not the file.
    pub fn is_of_a_flag(&self) -> bool {
        matches!(self.place, Place::Flag(_))
    }

    fn render(&self, source: &Source, renderer: &Renderer) -> String {
        let title = match self.place {
            Place::Flag(flag) => format!("{flag}: {}", self.message),
            _ => self.message.clone(),
        };
        let mut group = Group::with_title(Level::ERROR.primary_title(title));
        match &self.place {
            Place::File(span) => {
                let caret = AnnotationKind::Primary.span(first_line(&source.text, span));
                group = group.element(Snippet::source(&*source.text).path(&source.path).annotation(caret));
            }
            Place::Default => group = group.element(Origin::path(&source.path)),
            Place::Flag(_) => {}
        }
        match (&self.hint, &self.place) {
            (None, _) => renderer.render(&[group]),
            (Some(hint), Place::File(_)) => renderer.render(&[group.element(Level::HELP.message(hint))]),
            // Without a source line there is nothing that the hint could hang on.
            (Some(hint), _) => {
                let help = Group::with_title(Level::HELP.secondary_title(hint));
                format!("{}\n{}", renderer.render(&[group]), renderer.render(&[help]))
            }
        }
    }
}

/// In the order of the file, what has no place in it first; said once where several arms run into the same thing.
pub fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| match &problem.place {
        Place::File(span) => span.start,
        Place::Default | Place::Flag(_) => 0,
    });
    let is_repeated =
        |a: &mut Problem, b: &mut Problem| matches!(a.place, Place::File(_)) && a.place == b.place && a.hint == b.hint;
    problems.dedup_by(is_repeated);
    problems
}

/// The problems one below the other, as compilers show theirs; with `color`, in ANSI colours.
pub fn render(source: &Source, problems: &[Problem], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut parts: Vec<String> = problems.iter().take(MOST_SHOWN).map(|p| p.render(source, &renderer)).collect();
    if problems.len() > MOST_SHOWN {
        parts.push(format!("… and {} more", problems.len() - MOST_SHOWN));
    }
    parts.join("\n\n")
}

/// The problems in one line each, for logs: `chat.toml:5:7: what is wrong`.
pub fn brief(source: &Source, problems: &[Problem], f: &mut fmt::Formatter) -> fmt::Result {
    for (i, problem) in problems.iter().enumerate() {
        let separator = if i == 0 { "" } else { "\n" };
        match &problem.place {
            Place::File(span) => {
                let (line, column) = line_and_column(&source.text, span.start);
                write!(f, "{separator}{}:{line}:{column}: {}", source.path, problem.message)?;
            }
            Place::Flag(flag) => write!(f, "{separator}{flag}: {}", problem.message)?,
            Place::Default => write!(f, "{separator}{}: {}", source.path, problem.message)?,
        }
    }
    Ok(())
}

impl ScenarioError {
    pub fn render(&self, color: bool) -> String {
        render(&self.source, &self.problems, color)
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        brief(&self.source, &self.problems, f)
    }
}

impl std::error::Error for ScenarioError {}

/// The part of `span` on its first line: a table of forty lines needs no forty lines of carets.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let floor = |at: usize| (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let (start, end) = (floor(span.start), floor(span.end));
    let end = text[start..end.max(start)].find(['\n', '\r']).map_or(end.max(start), |n| start + n);
    start..end
}

/// Counted from 1, the column in characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..first_line(text, &(at..at)).start];
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Without control characters: a quoted key may hold escape sequences for the terminal.
fn printable(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{FFFD}") } else { text }
}
