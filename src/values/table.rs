//! A CSV file (RFC 4180) with a row of names above: a row for each session, over and over.

use serde::{Deserialize, Serialize};

/// Rows of texts under names. A part of a table has some of its rows alone, under their own numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    columns: Vec<String>,
    /// Rows of the whole.
    of: u32,
    /// By their numbers, in order.
    rows: Vec<(u32, Vec<String>)>,
}

/// A text that is no such table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TableError {
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
}

impl Table {
    /// Reads a whole file. Lines end in LF or CR LF; empty ones are passed over; a text in quotes may hold commas, quotes
    /// (doubled) and line ends.
    pub fn read(text: &str) -> Result<Table, TableError> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let mut records = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let mut records = records.records().map(|record| {
            let record = record.map_err(|error| wrong(1, &error.to_string()))?;
            Ok((record.position().map_or(1, |position| line_at(text, position)), record))
        });
        let (line, columns) = records.next().ok_or_else(|| wrong(1, "it is empty: a row of names comes first"))??;
        let columns: Vec<String> = columns.iter().map(str::to_owned).collect();
        for (n, column) in columns.iter().enumerate() {
            if !super::is_name(column) || column.contains('.') {
                let what = format!("{column:?} can't name a column: letters, digits, `_` and `-`, the first a letter");
                return Err(wrong(line, &what));
            }
            if columns[..n].contains(column) {
                return Err(wrong(line, &format!("two columns are called `{column}`")));
            }
        }
        let mut rows = Vec::new();
        for record in records {
            let (line, row) = record?;
            if row.len() != columns.len() {
                return Err(wrong(line, &format!("{} values where {} columns are named", row.len(), columns.len())));
            }
            let number = u32::try_from(rows.len()).map_err(|_| wrong(line, "more rows than sessions could have"))?;
            rows.push((number, row.iter().map(str::to_owned).collect()));
        }
        if rows.is_empty() {
            return Err(wrong(line, "there is no row below the names"));
        }
        Ok(Table { columns, of: rows.len() as u32, rows })
    }

    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The text of a session under column `column`; `None` where the row is no part of this.
    pub(super) fn cell(&self, session: u32, column: usize) -> Option<&str> {
        let number = session % self.of.max(1);
        let at = self.rows.binary_search_by_key(&number, |(own, _)| *own).ok()?;
        self.rows[at].1.get(column).map(String::as_str)
    }

    /// Every text of a column with the number of its row, counted from 1.
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = (u32, &str)> {
        self.rows.iter().filter_map(move |(number, row)| Some((number + 1, row.get(column)?.as_str())))
    }

    /// The rows of `sessions`.
    pub(super) fn only(&self, sessions: impl Iterator<Item = u32>) -> Table {
        let mut wanted = vec![false; self.rows.len()];
        for session in sessions {
            let number = session % self.of.max(1);
            if let Ok(at) = self.rows.binary_search_by_key(&number, |(own, _)| *own) {
                wanted[at] = true;
            }
        }
        let rows = self.rows.iter().zip(wanted).filter(|(_, is_wanted)| *is_wanted).map(|(row, _)| row.clone());
        Table { columns: self.columns.clone(), of: self.of, rows: rows.collect() }
    }
}

/// The line on which a record begins; the reader's place is before the empty lines in front of it.
fn line_at(text: &str, position: &csv::Position) -> usize {
    let ahead = text.bytes().skip(position.byte() as usize).take_while(|byte| b"\r\n".contains(byte));
    position.line() as usize + ahead.filter(|byte| *byte == b'\n').count()
}

fn wrong(line: usize, problem: &str) -> TableError {
    TableError { line, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_hold_everything_and_empty_lines_are_nothing() {
        let table = Table::read("\u{FEFF}a,b\r\n\r\n1,\"x, \"\"y\"\"\nz\"\n\n,2").unwrap();
        assert_eq!(table.columns(), ["a", "b"]);
        assert_eq!([table.cell(0, 0), table.cell(0, 1)], [Some("1"), Some("x, \"y\"\nz")]);
        assert_eq!([table.cell(1, 0), table.cell(3, 1)], [Some(""), Some("2")]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |text: &str| Table::read(text).unwrap_err().to_string();
        assert!(wrong("").starts_with("line 1: it is empty"));
        assert!(wrong("a\n").contains("no row"));
        assert!(wrong("a,b\n1,2\n\n3\n").starts_with("line 4: 1 values where 2"));
        assert!(wrong("a,a\n1,2").contains("two columns"));
        assert!(wrong("a b\n1").contains("can't name"));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(rows in proptest::collection::vec(("[a\",\r\n]{0,5}", "[a\",]{1,5}"), 1..5)) {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let lines: String = rows.iter().map(|(a, b)| format!("{},{}\n", quoted(a), quoted(b))).collect();
            let table = Table::read(&format!("a,b\n{lines}")).unwrap();
            for (n, (a, b)) in rows.iter().enumerate() {
                prop_assert_eq!(table.cell(n as u32, 0), Some(a.as_str()));
                prop_assert_eq!(table.cell(n as u32, 1), Some(b.as_str()));
            }
        }

        #[test]
        fn nothing_panics(text in "([a\",\r\n]|é){0,30}") {
            let _ = Table::read(&text);
        }
    }
}
