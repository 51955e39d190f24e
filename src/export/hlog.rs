//! HdrHistogram interval logs, one an arm, for HdrHistogram's own tools. An entry is a trial: its response times in the
//! measured window, so that merging the file gives the report's figures.

use super::{ExportError, File, Options, names::file_names};
use crate::measure::Metric;
use crate::result::{Cell, Document};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use std::fmt::Write as _;

pub fn files(document: &Document, _: &Options) -> Result<Vec<File>, ExportError> {
    let names: Vec<String> = document.cells.iter().map(|cell| document.name_of(cell)).collect();
    let names = file_names(names.iter().map(String::as_str));
    // An edited document may say anything here; then the log begins in 1970.
    let started = document.meta.started.parse::<jiff::Timestamp>().unwrap_or_default();
    document
        .cells
        .iter()
        .zip(names)
        .map(|(cell, name)| Ok(File::new(format!("histograms/{name}.hlog"), log(cell, started)?)))
        .collect()
}

/// The log of one cell, laid out as HdrHistogram's `HistogramLogWriter` does: header comments, a legend, an entry a line.
fn log(cell: &Cell, started: jiff::Timestamp) -> Result<String, ExportError> {
    let arm: String = cell.arm.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let epoch = started.as_millisecond() as f64 / 1e3;
    let mut text = format!(
        "#[{arm}: response times in the measured window, nanoseconds; an entry a trial]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {epoch:.3} (seconds since epoch), {started}]\n\
         #[BaseTime: {epoch:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
    );
    let mut trials = cell.trusted();
    trials.sort_by_key(|t| t.started);
    for trial in trials {
        let Some(histogram) = trial.outcome.histograms.get(Metric::ResponseTime) else { continue };
        let mut packed = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram.as_hdr(), &mut packed)
            .map_err(|e| ExportError::Histogram { arm: cell.arm.clone(), problem: e.to_string() })?;
        let _ = writeln!(
            text,
            "{:.3},{:.3},{:.3},{}",
            (trial.started.saturating_add(cell.load.warmup)) as f64 / 1e9,
            cell.load.duration as f64 / 1e9,
            // In milliseconds, as HdrHistogram's tools print it; the histogram itself stays in nanoseconds.
            histogram.max() as f64 / 1e6,
            STANDARD.encode(packed)
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn hdr_histograms_reader_finds_what_the_report_shows() {
        let document = testing::document();
        for (cell, file) in document.cells.iter().zip(files(&document, &Options { charts: false }).unwrap()) {
            let mut merged: Histogram<u64> = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
            let mut starts = Vec::new();
            for entry in IntervalLogIterator::new(&file.bytes) {
                if let LogEntry::Interval(interval) = entry.unwrap() {
                    assert!(interval.tag().is_none());
                    let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
                    merged.add(Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice()).unwrap()).unwrap();
                    starts.push(interval.start_timestamp());
                }
            }
            assert_eq!(starts.len(), cell.trusted().len());
            assert!(starts.is_sorted());
            assert_eq!(&merged, cell.merged(Metric::ResponseTime).as_hdr());
        }
    }

    #[test]
    fn a_name_from_outside_stays_in_its_comment() {
        let mut cell = testing::document().cells.remove(0);
        cell.arm = "a\n1.0,2.0,3.0,evil".into();
        let text = log(&cell, jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(text.lines().count(), 5 + 3);
    }
}
