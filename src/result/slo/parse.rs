//! Reading an objective as people write it: `p99 < 50ms and max service-time < 1s, loss <= 1%`.

use super::{Limit, Slo};
use crate::threshold::{Piece, Quantile, TextError, Time, hint};
use crate::units::Span;
use std::str::FromStr;

const EXAMPLE: &str = "write such as `p99 < 50ms` or `p99 < 50ms and loss < 1%`";

impl FromStr for Slo {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Slo, TextError> {
        let mut slo = Slo { limits: Vec::new(), loss: None };
        for term in terms(text) {
            read_term(term, &mut slo)?;
        }
        Ok(slo)
    }
}

impl TryFrom<String> for Slo {
    type Error = TextError;

    fn try_from(text: String) -> Result<Slo, TextError> {
        text.parse()
    }
}

/// What stands between commas and `and`s.
fn terms(text: &str) -> Vec<Piece<'_>> {
    let mut ends: Vec<(usize, usize)> = text.match_indices(',').map(|(at, _)| (at, at + 1)).collect();
    for word in Piece::whole(text).words() {
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

fn read_term(term: Piece, slo: &mut Slo) -> Result<(), TextError> {
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
    let metric = metric.first().map_or(Ok(Time::ResponseTime), named)?;
    let below: Span = value.text.parse().map_err(|error| value.quote(error, EXAMPLE))?;
    if below == Span::ZERO {
        return Err(value.error("no time is shorter than that", "write a longer one, such as 50ms"));
    }
    slo.limits.push(Limit { quantile, metric, below });
    Ok(())
}

fn read_loss(extra: Option<&Piece>, value: Piece, slo: &mut Slo) -> Result<(), TextError> {
    if let Some(extra) = extra {
        return Err(extra.error(format!("`{}` is too much", extra.text), "write `loss < 1%`"));
    }
    if slo.loss.is_some() {
        return Err(value.error("`loss` is limited twice", "keep one of them"));
    }
    slo.loss = Some(value.text.parse().map_err(|error| value.quote(error, EXAMPLE))?);
    Ok(())
}

fn quantile(word: &Piece) -> Result<Quantile, TextError> {
    if let Some(known) = Quantile::ALL.into_iter().find(|q| q.name() == word.text) {
        return Ok(known);
    }
    if Time::ALL.iter().any(|metric| metric.name() == word.text) {
        let hint = format!("say which quantile of it: `p99 {}`", word.text);
        return Err(word.error(format!("`{}` is not a quantile", word.text), hint));
    }
    let names: Vec<&str> = Quantile::ALL.iter().map(|q| q.name()).chain(["loss"]).collect();
    Err(word.error(format!("there is no limit on `{}`", word.text), hint(word.text, &names)))
}

fn named(word: &Piece) -> Result<Time, TextError> {
    let names = || Time::ALL.iter().map(|time| time.name()).collect::<Vec<_>>();
    Time::named(word.text)
        .ok_or_else(|| word.error(format!("there is no time called `{}`", word.text), hint(word.text, &names())))
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
