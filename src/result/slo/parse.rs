//! Reading an objective as people write it: `p99 < 50ms and max service-time < 1s, loss <= 1%`.

use super::{Limit, Quantile, Slo, SloMetric};
use crate::units::Span;
use std::fmt::Display;
use std::str::FromStr;

/// What is wrong with the text of an objective, where, and what would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("column {column}: {problem}; {hint}")]
pub struct SloError {
    /// Characters from the start, from 1.
    pub column: usize,
    problem: String,
    hint: String,
}

const EXAMPLE: &str = "write such as `p99 < 50ms` or `p99 < 50ms and loss < 1%`";

/// A stretch of the text, and where it begins, bytes.
#[derive(Clone, Copy)]
struct Piece<'a> {
    whole: &'a str,
    at: usize,
    text: &'a str,
}

impl<'a> Piece<'a> {
    fn of(whole: &'a str, from: usize, to: usize) -> Piece<'a> {
        let text = &whole[from..to];
        let at = from + (text.len() - text.trim_start().len());
        Piece { whole, at, text: text.trim() }
    }

    fn part(&self, from: usize, to: usize) -> Piece<'a> {
        Piece::of(self.whole, self.at + from, self.at + to)
    }

    fn error(&self, problem: impl Into<String>, hint: impl Into<String>) -> SloError {
        let column = self.whole[..self.at].chars().count() + 1;
        SloError { column, problem: problem.into(), hint: hint.into() }
    }

    /// The layers below say `what is wrong; what to write`.
    fn quote(&self, error: impl Display) -> SloError {
        let text = error.to_string();
        let (problem, hint) = text.rsplit_once("; ").unwrap_or((&text, EXAMPLE));
        self.error(problem, hint)
    }

    fn words(&self) -> Vec<Piece<'a>> {
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

impl FromStr for Slo {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Slo, SloError> {
        let mut slo = Slo { limits: Vec::new(), loss: None };
        for term in terms(text) {
            read_term(term, &mut slo)?;
        }
        Ok(slo)
    }
}

impl TryFrom<String> for Slo {
    type Error = SloError;

    fn try_from(text: String) -> Result<Slo, SloError> {
        text.parse()
    }
}

/// What stands between commas and `and`s.
fn terms(text: &str) -> Vec<Piece<'_>> {
    let mut ends: Vec<(usize, usize)> = text.match_indices(',').map(|(at, _)| (at, at + 1)).collect();
    for word in Piece::of(text, 0, text.len()).words() {
        if word.text.eq_ignore_ascii_case("and") {
            ends.push((word.at, word.at + word.text.len()));
        }
    }
    ends.sort_unstable();
    let mut from = 0;
    let mut terms = Vec::new();
    for (end, next) in ends {
        terms.push(Piece::of(text, from, end));
        from = next;
    }
    terms.push(Piece::of(text, from, text.len()));
    terms
}

fn read_term(term: Piece, slo: &mut Slo) -> Result<(), SloError> {
    if term.text.is_empty() {
        return Err(term.error("a limit is missing", EXAMPLE));
    }
    let Some(sign) = term.text.find('<') else {
        return Err(match term.text.find(['>', '=']) {
            Some(at) => term.part(at, at + 1).error("a limit is an upper one", "write `<`"),
            None => term.part(term.text.len(), term.text.len()).error("there is no `<`", EXAMPLE),
        });
    };
    let rest = &term.text[sign + 1..];
    let value = term.part(sign + 1 + usize::from(rest.starts_with('=')), term.text.len());
    let left = term.part(0, sign);
    let words = left.words();
    let Some((what, metric)) = words.split_first() else {
        return Err(left.error("nothing stands before `<`", EXAMPLE));
    };
    if value.text.is_empty() {
        return Err(value.error("nothing stands after `<`", EXAMPLE));
    }
    if let [_, extra, ..] = metric {
        return Err(extra.error(format!("`{}` is too much", extra.text), EXAMPLE));
    }
    if what.text == "loss" {
        return read_loss(metric.first(), value, slo);
    }
    let quantile = quantile(what)?;
    let metric = metric.first().map_or(Ok(SloMetric::ResponseTime), named)?;
    let below: Span = value.text.parse().map_err(|error| value.quote(error))?;
    if below == Span::ZERO {
        return Err(value.error("no time is shorter than that", "write a longer one, such as 50ms"));
    }
    slo.limits.push(Limit { quantile, metric, below });
    Ok(())
}

fn read_loss(extra: Option<&Piece>, value: Piece, slo: &mut Slo) -> Result<(), SloError> {
    if let Some(extra) = extra {
        return Err(extra.error(format!("`{}` is too much", extra.text), "write `loss < 1%`"));
    }
    if slo.loss.is_some() {
        return Err(value.error("`loss` is limited twice", "keep one of them"));
    }
    slo.loss = Some(value.text.parse().map_err(|error| value.quote(error))?);
    Ok(())
}

fn quantile(word: &Piece) -> Result<Quantile, SloError> {
    if let Some(known) = Quantile::ALL.into_iter().find(|q| q.name() == word.text) {
        return Ok(known);
    }
    if SloMetric::ALL.iter().any(|metric| metric.name() == word.text) {
        let hint = format!("say which quantile of it: `p99 {}`", word.text);
        return Err(word.error(format!("`{}` is not a quantile", word.text), hint));
    }
    let names: Vec<&str> = Quantile::ALL.iter().map(|q| q.name()).chain(["loss"]).collect();
    Err(word.error(format!("there is no limit on `{}`", word.text), hint(word.text, &names)))
}

fn named(word: &Piece) -> Result<SloMetric, SloError> {
    let known = SloMetric::ALL.into_iter().find(|metric| metric.name() == word.text.replace('_', "-"));
    let names = || SloMetric::ALL.iter().map(|metric| metric.name()).collect::<Vec<_>>();
    known.ok_or_else(|| word.error(format!("there is no time called `{}`", word.text), hint(word.text, &names())))
}

/// The word that was probably meant, or all there are.
fn hint(typed: &str, known: &[&str]) -> String {
    let distance = |word: &&&str| strsim::damerau_levenshtein(&typed.to_lowercase(), word);
    match known.iter().filter(|_| typed.len() <= 64).min_by_key(distance) {
        Some(word) if distance(&word) <= 1.max(word.len() / 3) => format!("did you mean `{word}`?"),
        _ => format!("choose one of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write_and_prints_it_so_that_it_reads_the_same() {
        for (text, printed) in [
            ("p99<50ms", "p99 < 50ms"),
            ("p99.9 response-time < 1.5 s", "p99.9 < 1500ms"),
            (" p50 < 5ms and  max service_time <= 1s ,loss<1% ", "p50 < 5ms and max service-time < 1s and loss <= 1%"),
            ("loss <= 0.1%", "loss <= 0.1%"),
            ("p90 connect < 1s AND p99 last-receipt < 2s", "p90 connect < 1s and p99 last-receipt < 2s"),
        ] {
            let slo: Slo = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(slo.to_string(), printed);
            assert_eq!(printed.parse::<Slo>().unwrap(), slo);
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_column_and_a_hint() {
        for (text, column, said) in [
            ("", 1, "write such as `p99 < 50ms`"),
            ("p99 < 50ms and", 15, "a limit is missing"),
            ("p99 > 50ms", 5, "write `<`"),
            ("p99", 4, "there is no `<`"),
            ("p98 < 5ms", 1, "did you mean `p9"),
            ("speed < 5ms", 1, "choose one of p50, p90, p99, p99.9, max, loss"),
            ("p99 < 5ms, p50 respons-time < 1s", 16, "did you mean `response-time`?"),
            ("response-time < 5ms", 1, "`p99 response-time`"),
            ("p99 < 5", 7, "250ms"),
            ("p99 < 0s", 7, "shorter"),
            ("p99 <", 6, "nothing stands after"),
            ("< 5ms", 1, "nothing stands before"),
            ("p99 connect time < 5ms", 13, "`time` is too much"),
            ("µ99 < 5ms, loss < 200%", 1, "p99"),
            ("p99 < 5µs, loss < 200%", 19, "5%"),
            ("loss < 1%, loss < 2%", 19, "twice"),
        ] {
            let error = text.parse::<Slo>().unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.to_string().contains(said), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(p99|loss|max|<|=|,| |and|µ|5ms|1%|.){0,12}") {
            let _ = text.parse::<Slo>();
        }
    }
}
