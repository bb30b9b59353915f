//! A file, read row by row into events. The loop that a user of this crate drives.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use streamgauge_events::{EventTime, Reason, Rejection};

use crate::convert::{Target, head};
use crate::expand::Expansion;
use crate::extract::{Extractor, Value};
use crate::invalid::{MappingError, closest, listed};
use crate::mapped_event::MappedEvent;
use crate::mapping::{Mapping, Place, RowPlan};
use crate::row_csv;
use crate::rows::{Fault, ROW_BYTES_MAX, Row, RowReader, Splitting};

/// More events of one row are taken for a mistake in `scale`: a service with a hundred thousand requests a second
/// fills a minute with six million.
pub const EXPANSION_EVENTS_MAX: u64 = 10_000_000;

/// RFC 1952.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const INPUT_BUFFER_BYTES: usize = 64 * 1024;

/// One event of a row, or the reason why the row gave none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedRecord {
    /// The line of the (unpacked) file that the row starts in, from 1.
    pub line: u64,
    /// The row without its line end; of an over-long row the first `ROW_BYTES_MAX` bytes.
    pub raw: Arc<[u8]>,
    pub event: Result<MappedEvent, Rejection>,
}

/// What became of the rows so far: `rows = rejected + empty + rows that gave events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows behind the header that are not blank.
    pub rows: u64,
    /// Blank lines, skipped.
    pub blank: u64,
    pub rejected: u64,
    /// Rows that stand for zero requests.
    pub empty: u64,
    pub events: u64,
}

/// The events of one file, in the order of its rows. Holds one row at a time.
///
/// An `Err` is the end: the file can't be read on. A bad row is a record with a rejection instead.
pub struct MappedFile<'m> {
    mapping: &'m Mapping,
    name: String,
    /// Without its directory, for `from: file_name`.
    file_name: String,
    rows: RowReader,
    extractor: Extractor<'m>,
    /// A row that stands for several events, while they are delivered.
    expanding: Option<(u64, Arc<[u8]>, Expansion)>,
    last_time: Option<(String, EventTime)>,
    counts: Counts,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
    ended: bool,
}

impl<'m> MappedFile<'m> {
    /// Opens a plain or gzipped file (told by its first bytes, never by its name) and fits the mapping to its header.
    pub fn open(path: &Path, mapping: &'m Mapping) -> Result<Self, MappingError> {
        let name = path.display().to_string();
        let not_readable = |cause| MappingError::NotReadable { file: name.clone(), cause };
        let file = File::open(path).map_err(not_readable)?;
        let metadata = file.metadata().map_err(not_readable)?;
        let bytes_total = metadata.is_file().then_some(metadata.len());
        Self::new(&name, file, bytes_total, mapping)
    }

    /// Reads from anything, such as standard input. `name` stands in errors.
    pub fn from_reader(
        name: &str,
        input: impl Read + Send + 'static,
        mapping: &'m Mapping,
    ) -> Result<Self, MappingError> {
        Self::new(name, input, None, mapping)
    }

    fn new(
        name: &str,
        input: impl Read + Send + 'static,
        bytes_total: Option<u64>,
        mapping: &'m Mapping,
    ) -> Result<Self, MappingError> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let input = Counting { input, bytes_read: Arc::clone(&bytes_read) };
        let unpacked = unpacked(input).map_err(|cause| MappingError::NotReadable { file: name.to_owned(), cause })?;
        let splitting = match mapping.rows {
            RowPlan::Csv { delimiter, .. } => Splitting::Csv { delimiter, fields: None },
            _ => Splitting::Lines,
        };
        let mut rows = RowReader::new(unpacked, splitting);
        let extractor = extractor(name, mapping, &mut rows)?;
        Ok(Self {
            mapping,
            name: name.to_owned(),
            file_name: Path::new(name).file_name().map_or_else(|| name.into(), |file| file.to_string_lossy()).into(),
            rows,
            extractor,
            expanding: None,
            last_time: None,
            counts: Counts::default(),
            bytes_read,
            bytes_total,
            ended: false,
        })
    }

    /// Of the file as it lies on disk, packed or not. Runs ahead of the rows by the size of the buffers.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The length of the file when it was opened; `None` where the input has none, such as a pipe.
    pub const fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The next event of a row that is being expanded.
    fn next_of_row(&mut self) -> Option<MappedRecord> {
        let (line, raw, expansion) = self.expanding.as_mut()?;
        match expansion.next() {
            Some(event) => {
                self.counts.events += 1;
                Some(MappedRecord { line: *line, raw: Arc::clone(raw), event: Ok(event) })
            }
            None => {
                self.expanding = None;
                None
            }
        }
    }

    /// Reads one row. `None` where there is nothing to deliver: it was blank, or it is to be expanded.
    fn read_row(&mut self) -> io::Result<Option<MappedRecord>> {
        let Some(row) = self.rows.next()? else {
            self.ended = true;
            return Ok(None);
        };
        if row.fault.is_none() && row.bytes.trim_ascii().is_empty() {
            self.counts.blank += 1;
            return Ok(None);
        }
        self.counts.rows += 1;
        let line = row.line;
        let raw: Arc<[u8]> = row.bytes.into();
        let event = match map_row(self.mapping, &self.extractor, &self.file_name, &row, &mut self.last_time) {
            Ok(Mapped::One(event)) => {
                self.counts.events += 1;
                Ok(event)
            }
            Ok(Mapped::Many(expansion)) => {
                self.counts.empty += u64::from(expansion.is_empty());
                self.expanding = Some((line, raw, expansion));
                return Ok(None);
            }
            Err(sentence) => {
                self.counts.rejected += 1;
                Err(Rejection::new(Reason::Unmapped, sentence))
            }
        };
        Ok(Some(MappedRecord { line, raw, event }))
    }
}

impl Iterator for MappedFile<'_> {
    type Item = Result<MappedRecord, MappingError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.next_of_row() {
                return Some(Ok(record));
            }
            if self.ended {
                return None;
            }
            match self.read_row() {
                Ok(Some(record)) => return Some(Ok(record)),
                Ok(None) => {}
                Err(cause) => {
                    self.ended = true;
                    let (file, line) = (self.name.clone(), self.rows.lines());
                    return Some(Err(MappingError::Broken { file, line, cause }));
                }
            }
        }
    }
}

enum Mapped {
    One(MappedEvent),
    Many(Expansion),
}

/// The error is the sentence of the row's rejection.
fn map_row(
    mapping: &Mapping,
    extractor: &Extractor<'_>,
    file_name: &str,
    row: &Row<'_>,
    last_time: &mut Option<(String, EventTime)>,
) -> Result<Mapped, String> {
    match row.fault {
        Some(Fault::TooLong) => return Err(format!("the row is longer than {ROW_BYTES_MAX} bytes")),
        Some(Fault::OpenQuote) => {
            return Err(format!(
                "a quote that this line opens is not closed, or not where a row of the file would end, within \
                 {ROW_BYTES_MAX} bytes; expected a closing quote"
            ));
        }
        None => {}
    }
    let mut values = vec![Value::Absent; mapping.places.len()];
    extractor.extract(row.bytes, &mut values)?;
    for (value, place) in values.iter_mut().zip(&mapping.places) {
        if *place == Place::FileName {
            *value = Value::Text(file_name.into());
        }
    }
    let event = event(mapping, &values, last_time)?;
    match &mapping.expand {
        None => Ok(Mapped::One(event)),
        Some(expand) => expand.expand(event, &values).map(Mapped::Many),
    }
}

fn event(
    mapping: &Mapping,
    values: &[Value<'_>],
    last_time: &mut Option<(String, EventTime)>,
) -> Result<MappedEvent, String> {
    let mut draft = mapping.template.clone();
    for (target, reading) in &mapping.fields {
        let about = |problem: String| format!("{}: {problem}", target.name());
        let Some(text) = reading.text(values).map_err(about)? else { continue };
        // Neighbouring rows often share their second, and reading a time is the dearest part of a row.
        if let (Target::Ts(_), Some((last, ts))) = (target, &*last_time)
            && last == text
        {
            draft.event.ts = *ts;
            continue;
        }
        target
            .set(&mut draft, text)
            .map_err(|problem| about(format!("{} is `{}`, which {problem}", reading.place, head(text))))?;
        if let Target::Ts(_) = target {
            let (last, ts) = last_time.get_or_insert_with(|| (String::new(), EventTime(0)));
            text.clone_into(last);
            *ts = draft.event.ts;
        }
    }
    draft.finish().map_err(|rejection| rejection.message)
}

/// Fits the mapping to the file: for CSV this reads the header.
fn extractor<'m>(name: &str, mapping: &'m Mapping, rows: &mut RowReader) -> Result<Extractor<'m>, MappingError> {
    match &mapping.rows {
        RowPlan::JsonLines(root) => Ok(Extractor::Json(root)),
        RowPlan::Combined { parts } => Ok(Extractor::Combined(parts)),
        RowPlan::Lines { pattern, groups } => Ok(Extractor::Lines { pattern, groups }),
        RowPlan::Csv { delimiter, header_rows, columns } => {
            let first = header(name, rows, *header_rows, *delimiter)?;
            let columns = columns.as_ref().unwrap_or(&first);
            rows.expect_fields(columns.len());
            Ok(Extractor::Csv { delimiter: *delimiter, slots: slots(name, mapping, columns)? })
        }
    }
}

/// The names in the first of the header rows. A file without any row has no names, and no rows that would need them.
fn header(name: &str, rows: &mut RowReader, header_rows: u64, delimiter: u8) -> Result<Vec<String>, MappingError> {
    let mut names = Vec::new();
    for index in 0..header_rows {
        let row = rows.next().map_err(|cause| MappingError::Broken { file: name.to_owned(), line: index, cause })?;
        let Some(row) = row else { break };
        if row.fault.is_some() {
            return Err(MappingError::Header {
                file: name.to_owned(),
                line: row.line,
                problem: format!("the header row is longer than {ROW_BYTES_MAX} bytes or has an open quote"),
                header: head(&String::from_utf8_lossy(row.bytes)).into_owned(),
                remedy: "Is this a CSV file?".to_owned(),
            });
        }
        if index == 0 {
            row_csv::fields(row.bytes, delimiter, |_, field| names.push(String::from_utf8_lossy(&field).into_owned()));
        }
    }
    Ok(names)
}

/// For each column of the file the slot that it fills.
fn slots(name: &str, mapping: &Mapping, columns: &[String]) -> Result<Vec<Option<usize>>, MappingError> {
    let mut slots = vec![None; columns.len()];
    for (slot, place) in mapping.places.iter().enumerate() {
        let Place::Row(place) = place else { continue };
        let mut found = columns.iter().enumerate().filter(|(_, column)| *column == place).map(|(index, _)| index);
        let problem = |what: &str, remedy: String| MappingError::Header {
            file: name.to_owned(),
            line: 1,
            problem: format!("{what} column `{place}`, which {} asks for", mapping.file),
            header: listed(columns.iter().map(String::as_str)),
            remedy,
        };
        match (found.next(), found.next()) {
            (Some(index), None) => slots[index] = Some(slot),
            (Some(_), Some(_)) => {
                let remedy = "Name all columns with `csv: { columns: [...] }` to tell them apart.".to_owned();
                return Err(problem("more than one", remedy));
            }
            (None, _) if columns.is_empty() => break,
            (None, _) => {
                let remedy = match closest(place, columns.iter().map(String::as_str)) {
                    Some(meant) => format!("Did you mean `{meant}`?"),
                    None => "Is the delimiter right, and does the file have a header row?".to_owned(),
                };
                return Err(problem("no", remedy));
            }
        }
    }
    Ok(slots)
}

/// The input itself, or what is packed in it.
fn unpacked(input: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut input = BufReader::with_capacity(INPUT_BUFFER_BYTES, input);
    // One byte from a pipe is not enough to tell: ask until there are two, or the end.
    let mut first = Vec::new();
    input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first == GZIP_MAGIC;
    let whole = io::Cursor::new(first).chain(input);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(INPUT_BUFFER_BYTES, MultiGzDecoder::new(whole)))
    } else {
        Box::new(whole)
    })
}

/// Counts what is read, so that a shell can show how far it is.
struct Counting<R> {
    input: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into)?;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
