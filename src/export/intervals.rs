//! Every interval of every trial as a table (RFC 4180).

use super::{ExportError, File, Options};
use crate::measure::BEYOND_TRIAL;
use crate::result::Document;
use std::fmt::Write as _;

/// A trial is told by its arm, block, place and load: a search for capacity has several of an arm in one block.
const HEADER: &str = "arm,transport,block,valid,phase,start_s,length_s,sent,delivered,errors,p50_ns,p90_ns,p99_ns,max_ns,place,sessions,asked_rate\r\n";

pub fn files(document: &Document, _: &Options) -> Result<Vec<File>, ExportError> {
    Ok(vec![File::new("intervals.csv", table(document))])
}

fn table(document: &Document) -> String {
    let mut text = HEADER.to_owned();
    for cell in &document.cells {
        for trial in &cell.trials {
            for (interval, histogram) in trial.intervals().flatten() {
                let at = |q| histogram.quantile(q, BEYOND_TRIAL).map(|v| v.to_string()).unwrap_or_default();
                let phase = format!("{:?}", interval.phase).to_lowercase();
                let _ = write!(
                    text,
                    "{},{},{},{},{phase},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
                    field(&cell.arm),
                    field(&cell.transport),
                    trial.block,
                    trial.is_valid(),
                    interval.start as f64 / 1e9,
                    interval.length as f64 / 1e9,
                    interval.sent,
                    interval.delivered,
                    interval.errors,
                    at(0.5),
                    at(0.9),
                    at(0.99),
                    if histogram.is_empty() { String::new() } else { histogram.max().to_string() },
                    trial.place,
                    cell.load.sessions,
                    cell.load.rate,
                );
            }
        }
    }
    text
}

/// Quoted where needed. A leading `=`, `+`, `-` or `@` would be a formula to a spreadsheet, so it gets an apostrophe.
pub(super) fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;

    #[test]
    fn one_row_an_interval_and_the_same_number_of_fields_in_each() {
        let text = table(&testing::document());
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 1 + 7 * 3 * 6);
        assert!(rows.iter().all(|row| row.split(',').count() == 17), "{}", rows[1]);
        assert!(rows[1].starts_with("websocket,websocket,0,true,warmup,0,0.25,100,1000,0,20"), "{}", rows[1]);
    }

    #[test]
    fn names_from_outside_stay_in_their_field() {
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(field("sse"), "sse");
    }
}
