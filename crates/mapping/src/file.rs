//! A file, read row by row into events. The loop that a user of this crate drives.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use streamgauge_events::{EventTime, Reason, Rejection};

use crate::columns::{Binding, bind, header};
use crate::convert::{Target, head};
use crate::decimal::Scale;
use crate::expand::Expansion;
use crate::extract::{Extractor, Value};
use crate::invalid::MappingError;
use crate::mapped_event::MappedEvent;
use crate::mapping::{Format, Mapping, Place, RowPlan};
use crate::row_parquet::ParquetRows;
use crate::rows::{Fault, ROW_BYTES_MAX, Row, RowReader, Splitting};
use crate::unpack::unpacked;

/// More events of one row are taken for a mistake in `scale`: a service with a hundred thousand requests a second
/// fills a minute with six million.
pub const EXPANSION_EVENTS_MAX: u64 = 10_000_000;

/// One event of a row, or the reason why the row gave none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedRecord {
    /// The line of the (unpacked) file that the row starts in, or the row of a table, from 1.
    pub line: u64,
    /// The row without its line end; of a table what it says in the columns that are read, as JSON; of an over-long row the first `ROW_BYTES_MAX` bytes.
    pub raw: Arc<[u8]>,
    pub event: Result<MappedEvent, Rejection>,
}

/// What became of the rows so far: `records = rejected + empty + records that gave events`. Without `unpivot` a row is a
/// record; with it, a row whose fields can't be told apart is one rejected record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows behind the header that are not blank.
    pub rows: u64,
    /// What the rows fall into.
    pub records: u64,
    /// Blank lines, skipped.
    pub blank: u64,
    pub rejected: u64,
    /// Records that stand for zero requests, or whose cells are all without a value.
    pub empty: u64,
    pub events: u64,
}

/// The events of one file, in the order of its rows. Holds one row at a time, and what it falls into.
///
/// An `Err` is the end: the file can't be read on. A bad row is a record with a rejection instead.
pub struct MappedFile<'m> {
    mapping: &'m Mapping,
    name: String,
    /// Without its directory, for `from: file_name`.
    file_name: String,
    source: Source<'m>,
    binding: Binding,
    /// The row whose events are delivered: its line and its bytes.
    row: (u64, Arc<[u8]>),
    /// What became of its records. No more than the file has columns.
    records: VecDeque<Result<Mapped, String>>,
    /// A record that stands for several events, while they are delivered.
    expanding: Option<Expansion>,
    last_time: Option<(String, EventTime)>,
    counts: Counts,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
    ended: bool,
}

/// Where rows come from.
enum Source<'m> {
    Text { rows: RowReader, extractor: Extractor<'m> },
    Parquet(Box<ParquetRows>),
}

impl<'m> MappedFile<'m> {
    /// Opens a plain or gzipped file (told by its first bytes, never by its name) and fits the mapping to its header.
    pub fn open(path: &Path, mapping: &'m Mapping) -> Result<Self, MappingError> {
        let name = path.display().to_string();
        let not_readable = |cause| MappingError::NotReadable { file: name.clone(), cause };
        let file = File::open(path).map_err(not_readable)?;
        let metadata = file.metadata().map_err(not_readable)?;
        let bytes_total = metadata.is_file().then_some(metadata.len());
        if mapping.format() == Format::Parquet {
            let mut rows = ParquetRows::open(file).map_err(not_readable)?;
            let mut binding = bind(&name, mapping, &rows.columns())?;
            rows.want(&std::mem::take(&mut binding.slots));
            let source = Source::Parquet(Box::new(rows));
            return Ok(Self::of(&name, source, binding, mapping, Arc::default(), bytes_total));
        }
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
        if mapping.format() == Format::Parquet {
            // Its table of contents stands at its end.
            let cause = io::Error::other("Parquet is read from a file that lies on disk, not from a pipe");
            return Err(MappingError::NotReadable { file: name.to_owned(), cause });
        }
        let bytes_read = Arc::new(AtomicU64::new(0));
        let input = Counting { input, bytes_read: Arc::clone(&bytes_read) };
        let unpacked = unpacked(input).map_err(|cause| MappingError::NotReadable { file: name.to_owned(), cause })?;
        let splitting = match mapping.rows {
            RowPlan::Csv { delimiter, .. } => Splitting::Csv { delimiter, fields: None },
            _ => Splitting::Lines,
        };
        let mut rows = RowReader::new(unpacked, splitting);
        let (extractor, binding) = extractor(name, mapping, &mut rows)?;
        let source = Source::Text { rows, extractor };
        Ok(Self::of(name, source, binding, mapping, bytes_read, bytes_total))
    }

    fn of(
        name: &str,
        source: Source<'m>,
        binding: Binding,
        mapping: &'m Mapping,
        bytes_read: Arc<AtomicU64>,
        bytes_total: Option<u64>,
    ) -> Self {
        Self {
            mapping,
            name: name.to_owned(),
            file_name: Path::new(name).file_name().map_or_else(|| name.into(), |file| file.to_string_lossy()).into(),
            source,
            binding,
            row: (0, Arc::default()),
            records: VecDeque::new(),
            expanding: None,
            last_time: None,
            counts: Counts::default(),
            bytes_read,
            bytes_total,
            ended: false,
        }
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

    /// The next event of the row that was read last, or why a record of it gave none.
    fn next_of_row(&mut self) -> Option<Result<MappedEvent, Rejection>> {
        loop {
            if let Some(event) = self.expanding.as_mut().and_then(Expansion::next) {
                self.counts.events += 1;
                return Some(Ok(event));
            }
            self.expanding = None;
            match self.records.pop_front()? {
                Ok(Mapped::One(event)) => {
                    self.counts.events += 1;
                    return Some(Ok(event));
                }
                Ok(Mapped::Many(expansion)) => {
                    self.counts.empty += u64::from(expansion.is_empty());
                    self.expanding = Some(expansion);
                }
                Ok(Mapped::Nothing) => self.counts.empty += 1,
                Err(sentence) => {
                    self.counts.rejected += 1;
                    return Some(Err(Rejection::new(Reason::Unmapped, sentence)));
                }
            }
        }
    }

    fn read_row(&mut self) -> io::Result<()> {
        let rules = Rules { mapping: self.mapping, binding: &self.binding, file_name: &self.file_name };
        match &mut self.source {
            Source::Text { rows, extractor } => {
                let Some(row) = rows.next()? else {
                    self.ended = true;
                    return Ok(());
                };
                if row.fault.is_none() && row.bytes.trim_ascii().is_empty() {
                    self.counts.blank += 1;
                    return Ok(());
                }
                self.row = (row.line, row.bytes.into());
                match rules.values(extractor, &row) {
                    Ok(values) => rules.map(values, &mut self.last_time, &mut self.records),
                    Err(sentence) => self.records.push_back(Err(sentence)),
                }
            }
            Source::Parquet(rows) => {
                let mut values = vec![Value::Absent; self.binding.width];
                if !rows.next(&mut values)? {
                    self.ended = true;
                    return Ok(());
                }
                let (read, total) = rows.progress();
                self.row = (read, rows.shown(&values).into());
                let share = u128::from(self.bytes_total.unwrap_or(0)) * u128::from(read) / u128::from(total.max(1));
                self.bytes_read.store(share as u64, Ordering::Relaxed);
                rules.map(values, &mut self.last_time, &mut self.records);
            }
        }
        self.counts.rows += 1;
        self.counts.records += self.records.len() as u64;
        Ok(())
    }

    /// How many lines, or rows of a table, have been read.
    fn lines(&self) -> u64 {
        match &self.source {
            Source::Text { rows, .. } => rows.lines(),
            Source::Parquet(rows) => rows.progress().0,
        }
    }
}

impl Iterator for MappedFile<'_> {
    type Item = Result<MappedRecord, MappingError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.next_of_row() {
                return Some(Ok(MappedRecord { line: self.row.0, raw: Arc::clone(&self.row.1), event }));
            }
            if self.ended {
                return None;
            }
            if let Err(cause) = self.read_row() {
                self.ended = true;
                let (file, line) = (self.name.clone(), self.lines());
                return Some(Err(MappingError::Broken { file, line, cause }));
            }
        }
    }
}

enum Mapped {
    One(MappedEvent),
    Many(Expansion),
    /// A record of a wide row that says nothing.
    Nothing,
}

/// What the rows of one file are read by.
#[derive(Clone, Copy)]
struct Rules<'f> {
    mapping: &'f Mapping,
    binding: &'f Binding,
    file_name: &'f str,
}

impl<'f> Rules<'f> {
    /// The values of a row, by slot. The error is the sentence of the row's rejection.
    fn values(&self, extractor: &Extractor<'_>, row: &Row<'f>) -> Result<Vec<Value<'f>>, String> {
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
        let mut values = vec![Value::Absent; self.binding.width];
        extractor.extract(row.bytes, &mut values)?;
        Ok(values)
    }

    /// What each record of the row becomes.
    fn map(
        &self,
        mut values: Vec<Value<'f>>,
        last_time: &mut Option<(String, EventTime)>,
        into: &mut VecDeque<Result<Mapped, String>>,
    ) {
        for (value, place) in values.iter_mut().zip(&self.mapping.places) {
            if *place == Place::FileName {
                *value = Value::Text(self.file_name.into());
            }
        }
        if self.mapping.unpivot.is_none() {
            into.push_back(self.record(&values, None, last_time));
            return;
        }
        for record in &self.binding.records {
            for (slot, text) in &record.parts {
                values[*slot] = Value::Text(text.as_str().into());
            }
            for (slot, from) in &record.cells {
                values[*slot] = from.map_or(Value::Absent, |from| values[from].clone());
            }
            into.push_back(if self.mapping.is_without_cells(&values) {
                Ok(Mapped::Nothing)
            } else {
                let mapped = self.record(&values, record.scale, last_time);
                mapped.map_err(|sentence| format!("{}: {sentence}", record.label))
            });
        }
    }

    fn record(
        &self,
        values: &[Value<'_>],
        scale: Option<Scale>,
        last_time: &mut Option<(String, EventTime)>,
    ) -> Result<Mapped, String> {
        let event = self.event(values, scale, last_time)?;
        match &self.mapping.expand {
            None => Ok(Mapped::One(event)),
            Some(expand) => expand.expand(event, values).map(Mapped::Many),
        }
    }

    /// `scale` is that of the record's column, where it has one.
    fn event(
        &self,
        values: &[Value<'_>],
        scale: Option<Scale>,
        last_time: &mut Option<(String, EventTime)>,
    ) -> Result<MappedEvent, String> {
        let mut draft = self.mapping.template.clone();
        for (target, reading) in &self.mapping.fields {
            let about = |problem: String| format!("{}: {problem}", target.name());
            let Some(text) = reading.text(values).map_err(about)? else { continue };
            // Neighbouring rows often share their second, and reading a time is the dearest part of a row.
            if let (Target::Ts(_), Some((last, ts))) = (target, &*last_time)
                && last == text
            {
                draft.event.ts = *ts;
                continue;
            }
            let set = match (target, scale) {
                (Target::Value(_), Some(scale)) => Target::Value(scale).set(&mut draft, text),
                _ => target.set(&mut draft, text),
            };
            set.map_err(|problem| about(format!("{} is `{}`, which {problem}", reading.place, head(text))))?;
            if let Target::Ts(_) = target {
                let (last, ts) = last_time.get_or_insert_with(|| (String::new(), EventTime(0)));
                text.clone_into(last);
                *ts = draft.event.ts;
            }
        }
        draft.finish().map_err(|rejection| rejection.message)
    }
}

/// Fits the mapping to the file: for CSV this reads the header.
fn extractor<'m>(
    name: &str,
    mapping: &'m Mapping,
    rows: &mut RowReader,
) -> Result<(Extractor<'m>, Binding), MappingError> {
    let binding = Binding { width: mapping.places.len(), ..Binding::default() };
    match &mapping.rows {
        RowPlan::JsonLines(root) => Ok((Extractor::Json(root), binding)),
        RowPlan::Combined { parts } => Ok((Extractor::Combined(parts), binding)),
        RowPlan::Lines { pattern, groups } => Ok((Extractor::Lines { pattern, groups }, binding)),
        RowPlan::Parquet => unreachable!("columns are no text: a file of Parquet is opened in another way"),
        RowPlan::Csv { delimiter, header: plan, columns } => {
            let first = header(name, rows, plan, *delimiter)?;
            let columns = columns.as_ref().unwrap_or(&first);
            rows.expect_fields(columns.len());
            let mut binding = bind(name, mapping, columns)?;
            let slots = std::mem::take(&mut binding.slots);
            Ok((Extractor::Csv { delimiter: *delimiter, slots }, binding))
        }
    }
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
