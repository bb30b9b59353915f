//! Bytes → rows, with line numbers, in bounded memory.
//!
//! Knows lines and CSV quotes. Must never know what a row means.

use std::io::{self, BufRead, Read};

use crate::row_csv;

/// Longer rows are rejected, and only so much of them is kept. Kafka's own default for a record is the same 1 MiB.
pub const ROW_BYTES_MAX: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file falls into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splitting {
    Lines,
    /// A quoted field may hold line ends.
    Csv {
        delimiter: u8,
        /// How many fields a row has, once that is known.
        fields: Option<usize>,
    },
}

/// One row without its line end. Where there is a fault, the bytes are what is kept of the row.
#[derive(Debug)]
pub struct Row<'b> {
    /// The line that the row starts in, from 1.
    pub line: u64,
    pub bytes: &'b [u8],
    pub fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    TooLong,
    /// A quote is not closed, or so that the lines up to there are no row of the file. Only the line that opens it is
    /// given up; the lines behind it are read again as rows.
    OpenQuote,
}

pub struct RowReader {
    input: Rewindable,
    splitting: Splitting,
    row: Vec<u8>,
    /// Lines read so far.
    lines: u64,
    at_start: bool,
}

impl RowReader {
    pub fn new(input: Box<dyn BufRead + Send>, splitting: Splitting) -> Self {
        let input = Rewindable { again: Vec::new(), at: 0, input };
        Self { input, splitting, row: Vec::new(), lines: 0, at_start: true }
    }

    /// From here on a row over several lines must have so many fields: else a stray quote made it.
    pub fn expect_fields(&mut self, count: usize) {
        if let Splitting::Csv { fields, .. } = &mut self.splitting {
            *fields = Some(count);
        }
    }

    /// Lines read so far.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// The next row, or `None` at the end of the file. Blank lines are rows, too.
    pub fn next(&mut self) -> io::Result<Option<Row<'_>>> {
        self.row.clear();
        if self.read_line()? == 0 {
            return Ok(None);
        }
        self.lines += 1;
        let line = self.lines;
        if std::mem::take(&mut self.at_start) && self.row.starts_with(BYTE_ORDER_MARK) {
            self.row.drain(..BYTE_ORDER_MARK.len());
        }
        let fault = match self.splitting {
            Splitting::Csv { delimiter, fields } => self.complete_quotes(delimiter, fields)?,
            Splitting::Lines => None,
        };
        let fault = if self.is_over_long() { Some(self.give_up_line()?) } else { fault };
        Ok(Some(Row { line, bytes: without_line_end(&self.row), fault }))
    }

    /// Appends one line with its end to the row, but never more than the bound and a line end.
    fn read_line(&mut self) -> io::Result<usize> {
        let left = (ROW_BYTES_MAX + 2).saturating_sub(self.row.len());
        (&mut self.input).take(left as u64).read_until(b'\n', &mut self.row)
    }

    fn is_over_long(&self) -> bool {
        without_line_end(&self.row).len() > ROW_BYTES_MAX
    }

    /// Keeps the head of an over-long line and skips the rest.
    fn give_up_line(&mut self) -> io::Result<Fault> {
        if self.row.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
        }
        self.row.truncate(ROW_BYTES_MAX);
        Ok(Fault::TooLong)
    }

    /// Reads on while a quote is open. If it stays open up to the bound or the end of the file, or if the lines don't
    /// make the right number of fields, everything behind the first line is given back to the input.
    fn complete_quotes(&mut self, delimiter: u8, fields: Option<usize>) -> io::Result<Option<Fault>> {
        let first_line_bytes = self.row.len();
        let mut quotes = Quotes::FieldStart;
        let (mut scanned, mut lines_inside) = (0, 0);
        loop {
            if quotes == Quotes::Open || self.row[scanned..].contains(&b'"') {
                quotes = quotes.after(&self.row[scanned..], delimiter);
            }
            if quotes != Quotes::Open {
                let count = |row| row_csv::fields(without_line_end(row), delimiter, |_, _| {});
                if lines_inside > 0 && fields.is_some_and(|fields| count(&self.row) != fields) {
                    break;
                }
                self.lines += lines_inside;
                return Ok(None);
            }
            scanned = self.row.len();
            if self.is_over_long() || self.read_line()? == 0 {
                break;
            }
            lines_inside += 1;
        }
        if self.row[..first_line_bytes].last() == Some(&b'\n') {
            self.input.give_back(&self.row[first_line_bytes..]);
            self.row.truncate(first_line_bytes);
        }
        Ok(Some(Fault::OpenQuote))
    }
}

fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

/// Where a scan stands in a CSV row (RFC 4180: a quote opens only at the start of a field, two are one inside).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    FieldStart,
    Unquoted,
    Open,
    /// Just behind a quote inside of a quoted field: its end, or the first of two.
    Closing,
}

impl Quotes {
    fn after(self, bytes: &[u8], delimiter: u8) -> Self {
        bytes.iter().fold(self, |state, byte| match (state, *byte) {
            (Self::Open, b'"') => Self::Closing,
            (Self::Open, _) | (Self::FieldStart | Self::Closing, b'"') => Self::Open,
            (_, b'\n') => Self::FieldStart,
            (_, byte) if byte == delimiter => Self::FieldStart,
            _ => Self::Unquoted,
        })
    }
}

/// An input that takes bytes back.
struct Rewindable {
    again: Vec<u8>,
    /// How much of `again` has been read again.
    at: usize,
    input: Box<dyn BufRead + Send>,
}

impl Rewindable {
    fn give_back(&mut self, bytes: &[u8]) {
        self.again.drain(..self.at);
        self.again.splice(..0, bytes.iter().copied());
        self.at = 0;
    }
}

impl Read for Rewindable {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let read = available.len().min(into.len());
        into[..read].copy_from_slice(&available[..read]);
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Rewindable {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at < self.again.len() { Ok(&self.again[self.at..]) } else { self.input.fill_buf() }
    }

    fn consume(&mut self, bytes: usize) {
        if self.at < self.again.len() {
            self.at += bytes;
        } else {
            self.input.consume(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn rows(input: &[u8], splitting: Splitting) -> Vec<(u64, String, Option<Fault>)> {
        let mut reader = RowReader::new(Box::new(Cursor::new(input.to_vec())), splitting);
        let mut rows = Vec::new();
        while let Some(row) = reader.next().expect("memory can be read") {
            rows.push((row.line, String::from_utf8_lossy(row.bytes).into_owned(), row.fault));
        }
        rows
    }

    fn check(input: &str, splitting: Splitting, expected: &[(u64, &str, Option<Fault>)]) {
        let expected: Vec<_> = expected.iter().map(|(line, text, fault)| (*line, (*text).to_owned(), *fault)).collect();
        assert_eq!(rows(input.as_bytes(), splitting), expected, "{input:?}");
    }

    const CSV: Splitting = Splitting::Csv { delimiter: b',', fields: None };

    #[test]
    fn lines() {
        check("", Splitting::Lines, &[]);
        check("a", Splitting::Lines, &[(1, "a", None)]);
        check("a\nb\r\n\nc", Splitting::Lines, &[(1, "a", None), (2, "b", None), (3, "", None), (4, "c", None)]);
        check("\u{feff}a\n\u{feff}b", Splitting::Lines, &[(1, "a", None), (2, "\u{feff}b", None)]);
        check("\"a\nb\"", Splitting::Lines, &[(1, "\"a", None), (2, "b\"", None)]);
    }

    #[test]
    fn csv_rows_may_span_lines_inside_of_quotes() {
        check("a,\"b\nc\"\nd", CSV, &[(1, "a,\"b\nc\"", None), (3, "d", None)]);
        check("\"a\"\"\n\",b\nc", CSV, &[(1, "\"a\"\"\n\",b", None), (3, "c", None)]);
        check("a\"b\nc", CSV, &[(1, "a\"b", None), (2, "c", None)]);
        check("\"a\"b\"\nc", CSV, &[(1, "\"a\"b\"", None), (2, "c", None)]);
        check(
            "\"a\";\"b\n\"\nc",
            Splitting::Csv { delimiter: b';', fields: None },
            &[(1, "\"a\";\"b\n\"", None), (3, "c", None)],
        );
    }

    #[test]
    fn an_open_quote_costs_its_own_line_only() {
        let open = Some(Fault::OpenQuote);
        check("a\n\"b,c\nd\ne\n", CSV, &[(1, "a", None), (2, "\"b,c", open), (3, "d", None), (4, "e", None)]);
        check("\"a", CSV, &[(1, "\"a", open)]);
        check("\"a\nb\n\"c", CSV, &[(1, "\"a\nb\n\"c", None)]);
    }

    #[test]
    fn a_stray_quote_that_another_one_closes_costs_its_own_line_only() {
        let two_fields = Splitting::Csv { delimiter: b',', fields: Some(2) };
        let open = Some(Fault::OpenQuote);
        check(
            "a,\"b\nc,d\n\"e,f\ng,\"h\ni\"",
            two_fields,
            &[(1, "a,\"b", open), (2, "c,d", None), (3, "\"e,f", open), (4, "g,\"h\ni\"", None)],
        );
        check("\"a\nb\"\nc,d", two_fields, &[(1, "\"a", open), (2, "b\"", None), (3, "c,d", None)]);
    }

    #[test]
    fn an_over_long_row_is_cut_and_the_next_is_read() {
        let just_right = "x".repeat(ROW_BYTES_MAX);
        for splitting in [Splitting::Lines, CSV] {
            for end in ["\n", "\r\n"] {
                let found = rows(format!("{just_right}{end}a").as_bytes(), splitting);
                assert_eq!(
                    found.iter().map(|row| (row.0, row.1.len(), row.2)).collect::<Vec<_>>(),
                    [(1, ROW_BYTES_MAX, None), (2, 1, None)]
                );
                let found = rows(format!("{just_right}yyyy{end}a\n").as_bytes(), splitting);
                assert_eq!(
                    found.iter().map(|row| (row.0, row.1.len(), row.2)).collect::<Vec<_>>(),
                    [(1, ROW_BYTES_MAX, Some(Fault::TooLong)), (2, 1, None)]
                );
            }
        }
    }

    #[test]
    fn an_open_quote_is_noticed_at_the_bound() {
        let line = format!("{}\n", "x".repeat(1023));
        let found = rows(format!("\"open\n{}", line.repeat(3000)).as_bytes(), CSV);
        assert_eq!(found.len(), 3001);
        assert_eq!(found[0], (1, "\"open".to_owned(), Some(Fault::OpenQuote)));
        assert!(found[1..].iter().enumerate().all(|(i, row)| row.0 == i as u64 + 2 && row.1.len() == 1023));
    }
}
