//! Reading a threshold as people write it: `ARM: METRIC OP VALUE`, or `ARM.METRIC OP FACTOR * ARM.METRIC`.

use super::{Kind, Limit, Metric, Op, Piece, TextError, Threshold, Time, Value, hint};
use std::fmt::Display;
use std::str::FromStr;

const EXAMPLE: &str =
    "write such as `p99 < 50ms`, `websocket: p99 < 50ms` or `websocket.p99 <= 0.5 * long-polling.p99`";

impl FromStr for Threshold {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Threshold, TextError> {
        let whole = Piece::whole(text);
        let Some(at) = whole.text.find(['<', '>', '=', '!']) else {
            let end = whole.part(whole.text.len(), whole.text.len());
            return Err(end.error("there is no `<`, `>`, `==` or the like", EXAMPLE));
        };
        let op = operator(&whole, at)?;
        let (arm, metric) = left(whole.part(0, at))?;
        let limit = right(whole.part(at + op.sign().len(), whole.text.len()), &metric)?;
        Ok(Threshold { arm, metric, op, limit })
    }
}

fn operator(whole: &Piece, at: usize) -> Result<Op, TextError> {
    let signs = &whole.text[at..];
    let length = signs.find(|c| !matches!(c, '<' | '>' | '=' | '!')).unwrap_or(signs.len());
    let written = &signs[..length];
    Op::ALL.into_iter().find(|op| op.sign() == written).ok_or_else(|| {
        let meant = match written {
            "=" | "===" => "write `==`",
            "=<" => "write `<=`",
            "=>" => "write `>=`",
            "<>" | "!" | "!==" => "write `!=`",
            _ => "choose one of <, <=, >, >=, ==, !=",
        };
        whole.part(at, at + length).error(format!("`{written}` compares nothing"), meant)
    })
}

fn left(piece: Piece) -> Result<(Option<String>, Metric), TextError> {
    if piece.text.is_empty() {
        return Err(piece.error("nothing stands before the comparison", EXAMPLE));
    }
    let Some(colon) = piece.text.find(':') else { return operand(&piece.words()) };
    let arm = piece.part(0, colon);
    if arm.text.is_empty() || arm.text.contains(char::is_whitespace) {
        return Err(arm.error("the name of an arm is missing before `:`", EXAMPLE));
    }
    let rest = piece.part(colon + 1, piece.text.len());
    let words = rest.words();
    let Some((first, time)) = words.split_first() else {
        return Err(rest.error("a metric is missing after `:`", hint("", &names())));
    };
    let metric = Metric::named(first.text).ok_or_else(|| unknown(first))?;
    Ok((Some(arm.text.to_owned()), timed(metric, first, time)?))
}

/// `METRIC`, `ARM.METRIC`, with a time behind it or not.
fn operand(words: &[Piece]) -> Result<(Option<String>, Metric), TextError> {
    let (first, time) = words.split_first().expect("there is a word, since there is text");
    let (arm, metric) = split(first).ok_or_else(|| unknown(&last_part(first)))?;
    Ok((arm, timed(metric, first, time)?))
}

/// Names of arms and of metrics may hold dots: the metric is the shortest end that is one.
fn split(word: &Piece) -> Option<(Option<String>, Metric)> {
    for (dot, _) in word.text.rmatch_indices('.') {
        let metric = Metric::named(&word.text[dot + 1..]).filter(|_| dot > 0);
        if let Some(metric) = metric {
            return Some((Some(word.text[..dot].to_owned()), metric));
        }
    }
    Metric::named(word.text).map(|metric| (None, metric))
}

/// What was probably meant to be the metric.
fn last_part<'a>(word: &Piece<'a>) -> Piece<'a> {
    word.part(word.text.rfind('.').map_or(0, |dot| dot + 1), word.text.len())
}

fn timed(metric: Metric, first: &Piece, rest: &[Piece]) -> Result<Metric, TextError> {
    let Some((word, more)) = rest.split_first() else { return Ok(metric) };
    if let Some(extra) = more.first() {
        return Err(extra.error(format!("`{}` is too much", extra.text), EXAMPLE));
    }
    let time = Time::named(word.text).ok_or_else(|| {
        let times: Vec<&str> = Time::ALL.iter().map(|time| time.name()).collect();
        word.error(format!("there is no time called `{}`", word.text), hint(word.text, &times))
    })?;
    let word_of_metric = first.text.to_owned();
    metric
        .of(time)
        .ok_or_else(|| word.error(format!("`{word_of_metric}` is of no time"), format!("leave out `{}`", word.text)))
}

fn names() -> Vec<&'static str> {
    Metric::all().map(|metric| metric.word()).collect()
}

fn unknown(word: &Piece) -> TextError {
    let said = match Time::named(word.text) {
        Some(_) => format!("say which quantile of it: `p99 {}`", word.text),
        None => hint(word.text, &names()),
    };
    word.error(format!("there is no metric `{}`", word.text), said)
}

fn right(piece: Piece, metric: &Metric) -> Result<Limit, TextError> {
    if piece.text.is_empty() {
        return Err(piece.error("nothing stands after the comparison", EXAMPLE));
    }
    if let Some(star) = piece.text.find('*') {
        let factor = factor(piece.part(0, star))?;
        return of_arm(piece.part(star + 1, piece.text.len()), factor, metric);
    }
    let is_operand = piece.words().first().is_some_and(|first| split(first).is_some());
    if is_operand { of_arm(piece, 1.0, metric) } else { value(piece, metric.kind()).map(Limit::Value) }
}

fn factor(piece: Piece) -> Result<f64, TextError> {
    let number = piece.text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| piece.error(format!("`{}` is no factor", piece.text), "write a number such as 0.5 before `*`"))
}

fn of_arm(piece: Piece, factor: f64, left: &Metric) -> Result<Limit, TextError> {
    let example = || format!("name it, such as `long-polling.{left}`");
    if piece.text.is_empty() {
        return Err(piece.error("an arm with its metric is missing", example()));
    }
    let (arm, metric) = operand(&piece.words())?;
    let arm = arm.ok_or_else(|| piece.error(format!("`{}` is of no arm", piece.text), example()))?;
    if metric.kind() != left.kind() {
        let problem = format!("`{metric}` is {}, `{left}` is {}", metric.kind().words(), left.kind().words());
        return Err(piece.error(problem, format!("compare like with like: `{arm}.{left}`")));
    }
    Ok(Limit::Of { factor, arm, metric })
}

fn value(piece: Piece, kind: Kind) -> Result<Value, TextError> {
    fn read<T: FromStr<Err: Display>>(piece: Piece) -> Result<T, TextError> {
        piece.text.parse().map_err(|error| piece.quote(error, EXAMPLE))
    }
    Ok(match kind {
        Kind::Time => Value::Time(read(piece)?),
        Kind::Share => Value::Share(read(piece)?),
        Kind::Rate => Value::Rate(read(piece)?),
        Kind::Bytes => Value::Bytes(read(piece)?),
        Kind::Number => {
            let number = piece.text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
            let wrong = || piece.error(format!("{:?} is not a number", piece.text), "write a number such as 0 or 1.5");
            Value::Number(number.ok_or_else(wrong)?)
        }
    })
}

#[cfg(test)]
mod tests;
