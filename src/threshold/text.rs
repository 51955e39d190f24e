//! What small languages of one line share: stretches of text that know where they stand, and errors that say so.

use std::fmt::Display;
use std::ops::Range;

/// What is wrong with a line of text, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}; {hint}")]
pub struct TextError {
    /// Characters from the start, from 1.
    pub column: usize,
    /// The same in bytes, to the end of what is wrong.
    pub span: Range<usize>,
    pub problem: String,
    pub hint: String,
}

/// A stretch of the text without space around it, and where it begins, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    whole: &'a str,
    pub at: usize,
    pub text: &'a str,
}

impl<'a> Piece<'a> {
    pub fn whole(text: &'a str) -> Piece<'a> {
        Piece::of(text, 0, text.len())
    }

    pub fn of(whole: &'a str, from: usize, to: usize) -> Piece<'a> {
        let text = &whole[from..to];
        let at = from + (text.len() - text.trim_start().len());
        Piece { whole, at, text: text.trim() }
    }

    /// What stands between two places, bytes from its own start.
    pub fn part(&self, from: usize, to: usize) -> Piece<'a> {
        Piece::of(self.whole, self.at + from, self.at + to)
    }

    pub fn error(&self, problem: impl Into<String>, hint: impl Into<String>) -> TextError {
        let column = self.whole[..self.at].chars().count() + 1;
        let span = self.at..self.at + self.text.len();
        TextError { column, span, problem: problem.into(), hint: hint.into() }
    }

    /// An error of the layers below, which say `what is wrong; what to write`; else `example` is the hint.
    pub fn quote(&self, error: impl Display, example: &str) -> TextError {
        let text = error.to_string();
        let (problem, hint) = text.rsplit_once("; ").unwrap_or((&text, example));
        self.error(problem, hint)
    }

    pub fn words(&self) -> Vec<Piece<'a>> {
        let mut words = Vec::new();
        let mut from = None;
        for (at, c) in self.text.char_indices().chain([(self.text.len(), ' ')]) {
            match (c.is_whitespace(), from) {
                (true, Some(start)) => {
                    words.push(self.part(start, at));
                    from = None;
                }
                (false, None) => from = Some(at),
                _ => {}
            }
        }
        words
    }
}

/// The word that was probably meant, or all there are.
pub fn hint(typed: &str, known: &[&str]) -> String {
    let distance = |word: &&&str| strsim::damerau_levenshtein(&typed.to_lowercase(), word);
    match known.iter().filter(|_| typed.len() <= 64).min_by_key(distance) {
        Some(word) if distance(&word) <= 1.max(word.len() / 3) => format!("did you mean `{word}`?"),
        _ => format!("choose one of {}", known.join(", ")),
    }
}
