//! The rows of a Parquet file, a batch at a time, each value as the text that says it exactly.
//!
//! Knows Parquet's types. Must never know what a value is for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, Int96};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use crate::extract::Value;
use crate::rows::ROW_BYTES_MAX;

/// What a Parquet file starts and ends with.
pub const MAGIC: &[u8] = b"PAR1";
/// Rows that are held at a time.
const BATCH_ROWS: usize = 1024;
/// A decimal of more bytes would not fit into 128 bits.
const DECIMAL_BYTES_MAX: usize = 16;
const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;
const DAY_NANOSECONDS: i128 = 86_400_000_000_000;

/// One row group after the other, and of each only the columns that are asked for.
pub struct ParquetRows {
    reader: SerializedFileReader<File>,
    /// The columns that can be read, and where they lie: those that hold one value a row.
    leaves: Vec<(String, usize)>,
    /// Of `leaves`, those that are read, and the slots that they fill.
    wanted: Vec<(usize, usize)>,
    next_group: usize,
    open: Vec<ColumnReader>,
    left_in_group: usize,
    /// By wanted column; the last row stands first, so that rows are taken from the end.
    batch: Vec<Vec<Value<'static>>>,
    rows_read: u64,
    rows_total: u64,
}

type Read<T> = Result<T, parquet::errors::ParquetError>;

impl ParquetRows {
    pub fn open(file: File) -> io::Result<Self> {
        let reader = guarded(|| SerializedFileReader::new(file))?;
        let schema = reader.metadata().file_metadata().schema_descr();
        let leaves = (0..schema.num_columns())
            .filter(|index| schema.column(*index).max_rep_level() == 0)
            .map(|index| (schema.column(index).path().string(), index))
            .collect();
        let rows_total = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        Ok(Self {
            reader,
            leaves,
            wanted: Vec::new(),
            next_group: 0,
            open: Vec::new(),
            left_in_group: 0,
            batch: Vec::new(),
            rows_read: 0,
            rows_total,
        })
    }

    /// Fields inside of groups are named by their path, with dots. Lists and maps are no columns.
    pub fn columns(&self) -> Vec<String> {
        self.leaves.iter().map(|(name, _)| name.clone()).collect()
    }

    /// For each of `columns` the slot that it fills.
    pub fn want(&mut self, slots: &[Option<usize>]) {
        self.wanted = slots.iter().enumerate().filter_map(|(leaf, slot)| Some((leaf, (*slot)?))).collect();
    }

    /// What the row that was read last says in the columns that are read: a JSON object of texts.
    pub fn shown(&self, values: &[Value<'_>]) -> Vec<u8> {
        let shown = self.wanted.iter().map(|(leaf, slot)| {
            let text = match &values[*slot] {
                Value::Absent => None,
                Value::Text(text) => Some(text.as_ref()),
                Value::NotText(what) => Some(*what),
            };
            (self.leaves[*leaf].0.as_str(), text)
        });
        let shown: BTreeMap<&str, Option<&str>> = shown.collect();
        let mut shown = serde_json::to_vec(&shown).expect("a map of texts always has a JSON form");
        shown.truncate(ROW_BYTES_MAX);
        shown
    }

    /// Rows read, of all there are.
    pub const fn progress(&self) -> (u64, u64) {
        (self.rows_read, self.rows_total)
    }

    /// Fills the slots from the next row; `false` at the end.
    pub fn next(&mut self, values: &mut [Value<'_>]) -> io::Result<bool> {
        if self.rows_read == self.rows_total {
            return Ok(false);
        }
        if self.batch.iter().all(Vec::is_empty) && !self.wanted.is_empty() {
            guarded(|| self.read_batch())?;
        }
        for ((_, slot), column) in self.wanted.iter().zip(&mut self.batch) {
            values[*slot] = column.pop().ok_or_else(|| broken("the columns are not of one length"))?;
        }
        self.rows_read += 1;
        Ok(true)
    }

    fn read_batch(&mut self) -> Read<()> {
        while self.left_in_group == 0 {
            if self.next_group == self.reader.num_row_groups() {
                return Err(general("there are fewer rows than the file says"));
            }
            let group = self.reader.get_row_group(self.next_group)?;
            self.next_group += 1;
            self.left_in_group = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            let columns = self.wanted.iter().map(|(leaf, _)| group.get_column_reader(self.leaves[*leaf].1));
            self.open = columns.collect::<Read<_>>()?;
        }
        let rows = self.left_in_group.min(BATCH_ROWS);
        let schema = self.reader.metadata().file_metadata().schema_descr();
        self.batch.clear();
        for ((leaf, _), reader) in self.wanted.iter().zip(&mut self.open) {
            let mut column = column(reader, &schema.column(self.leaves[*leaf].1), rows)?;
            column.reverse();
            self.batch.push(column);
        }
        self.left_in_group -= rows;
        Ok(())
    }
}

/// What the library says of a damaged file, and, where it would rather end the process, that it is damaged.
fn guarded<T>(read: impl FnOnce() -> Read<T>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| broken(&error.to_string())),
        Err(_) => Err(broken("it can't be decoded")),
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the Parquet file is damaged, or of a kind that can't be read: {what}"),
    )
}

fn general(what: &str) -> parquet::errors::ParquetError {
    parquet::errors::ParquetError::General(what.to_owned())
}

fn column(reader: &mut ColumnReader, descriptor: &ColumnDescriptor, rows: usize) -> Read<Vec<Value<'static>>> {
    let is = Meaning::of(descriptor);
    let depth = descriptor.max_def_level();
    match reader {
        ColumnReader::BoolColumnReader(reader) => values(reader, depth, rows, |value| text(value.to_string())),
        ColumnReader::Int32ColumnReader(reader) => {
            values(reader, depth, rows, |value| is.integer(i128::from(*value), i128::from(*value as u32)))
        }
        ColumnReader::Int64ColumnReader(reader) => {
            values(reader, depth, rows, |value| is.integer(i128::from(*value), i128::from(*value as u64)))
        }
        ColumnReader::Int96ColumnReader(reader) => {
            values(reader, depth, rows, |value| instant(int96_nanoseconds(value), true))
        }
        // The shortest decimal that is read as the same number again.
        ColumnReader::FloatColumnReader(reader) => values(reader, depth, rows, |value| text(value.to_string())),
        ColumnReader::DoubleColumnReader(reader) => values(reader, depth, rows, |value| text(value.to_string())),
        ColumnReader::ByteArrayColumnReader(reader) => values(reader, depth, rows, |value| is.bytes(value.data())),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            values(reader, depth, rows, |value| is.bytes(value.data()))
        }
    }
}

/// So many rows of a column. A value stands only where its definition level is the deepest.
fn values<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    depth: i16,
    rows: usize,
    shown: impl Fn(&T::T) -> Value<'static>,
) -> Read<Vec<Value<'static>>> {
    let (mut found, mut levels, mut read) = (Vec::new(), Vec::new(), 0);
    while read < rows {
        let (records, ..) = reader.read_records(rows - read, Some(&mut levels), None, &mut found)?;
        if records == 0 {
            return Err(general("a column ends before its rows"));
        }
        read += records;
    }
    let mut found = found.iter();
    let mut next = || found.next().map(&shown).ok_or_else(|| general("a column has fewer values than it says"));
    if depth == 0 {
        return (0..rows).map(|_| next()).collect();
    }
    if levels.len() != rows {
        return Err(general("a column has other rows than it says"));
    }
    levels.iter().map(|level| if *level == depth { next() } else { Ok(Value::Absent) }).collect()
}

fn text(text: String) -> Value<'static> {
    Value::Text(text.into())
}

/// What integers and bytes stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Plain,
    Unsigned,
    Decimal(i32),
    Date,
    /// Nanoseconds in a unit, and whether the zone is UTC; else it is unknown.
    Timestamp(i128, bool),
    Uuid,
    Float16,
}

impl Meaning {
    fn of(descriptor: &ColumnDescriptor) -> Self {
        match descriptor.logical_type_ref() {
            Some(LogicalType::Integer(integer)) if !integer.is_signed => Self::Unsigned,
            Some(LogicalType::Decimal(decimal)) => Self::Decimal(decimal.scale),
            Some(LogicalType::Date) => Self::Date,
            Some(LogicalType::Timestamp(timestamp)) => {
                let unit = match timestamp.unit {
                    TimeUnit::MILLIS => 1_000_000,
                    TimeUnit::MICROS => 1_000,
                    TimeUnit::NANOS => 1,
                };
                Self::Timestamp(unit, timestamp.is_adjusted_to_u_t_c)
            }
            Some(LogicalType::Uuid) => Self::Uuid,
            Some(LogicalType::Float16) => Self::Float16,
            Some(_) => Self::Plain,
            // Files of before 2018 say it in another way.
            None => match descriptor.converted_type() {
                ConvertedType::DECIMAL => Self::Decimal(descriptor.type_scale()),
                ConvertedType::DATE => Self::Date,
                ConvertedType::TIMESTAMP_MILLIS => Self::Timestamp(1_000_000, true),
                ConvertedType::TIMESTAMP_MICROS => Self::Timestamp(1_000, true),
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
                    Self::Unsigned
                }
                _ => Self::Plain,
            },
        }
    }

    fn integer(self, signed: i128, unsigned: i128) -> Value<'static> {
        match self {
            Self::Unsigned => text(unsigned.to_string()),
            Self::Decimal(scale) => text(decimal(signed, scale)),
            Self::Date => instant(signed * DAY_NANOSECONDS, true),
            Self::Timestamp(unit, is_utc) => instant(signed * unit, is_utc),
            Self::Plain | Self::Uuid | Self::Float16 => text(signed.to_string()),
        }
    }

    fn bytes(self, bytes: &[u8]) -> Value<'static> {
        match self {
            Self::Decimal(_) if bytes.len() > DECIMAL_BYTES_MAX => Value::NotText("a decimal of more than 128 bits"),
            Self::Decimal(scale) => {
                let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
                let start = if negative { -1_i128 } else { 0 };
                text(decimal(bytes.iter().fold(start, |number, byte| number << 8 | i128::from(*byte)), scale))
            }
            Self::Uuid => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let parts = [0..8, 8..12, 12..16, 16..20, 20..hex.len()].map(|part| hex.get(part).unwrap_or_default());
                text(parts.join("-"))
            }
            Self::Float16 => Value::NotText("a number of 16 bits"),
            _ => match std::str::from_utf8(bytes) {
                Ok(found) => text(found.to_owned()),
                Err(_) => Value::NotText("not UTF-8"),
            },
        }
    }
}

/// `unscaled * 10^-scale`, with all its places.
fn decimal(unscaled: i128, scale: i32) -> String {
    match usize::try_from(scale) {
        Ok(0) => unscaled.to_string(),
        // More places than any decimal of Parquet has.
        Ok(places) if places <= 38 => {
            let sign = if unscaled < 0 { "-" } else { "" };
            let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = places + 1);
            let (whole, fraction) = digits.split_at(digits.len() - places);
            format!("{sign}{whole}.{fraction}")
        }
        _ => format!("{unscaled}e{}", -i64::from(scale)),
    }
}

/// By RFC 3339, with as many places as it needs; without an offset where the zone is unknown. An instant that no
/// calendar has stays a count of nanoseconds.
fn instant(nanoseconds: i128, is_utc: bool) -> Value<'static> {
    text(match (Timestamp::from_nanosecond(nanoseconds), is_utc) {
        (Ok(instant), true) => instant.to_string(),
        (Ok(instant), false) => instant.to_zoned(TimeZone::UTC).datetime().to_string(),
        (Err(_), _) => nanoseconds.to_string(),
    })
}

/// The days by Julian's count, and the nanoseconds of the day. Impala's, Hive's and Spark's old form.
fn int96_nanoseconds(value: &Int96) -> i128 {
    let [low, high, days] = [0, 1, 2].map(|part| value.data().get(part).copied().unwrap_or(0));
    let of_day = i128::from(high) << 32 | i128::from(low);
    i128::from(i64::from(days as i32) - JULIAN_DAY_OF_EPOCH) * DAY_NANOSECONDS + of_day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Value<'_>) -> String {
        match value {
            Value::Text(text) => text.into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn values_are_said_exactly() {
        let table = [
            (Meaning::Plain.integer(-7, 7), "-7"),
            (Meaning::Unsigned.integer(-1, i128::from(u64::MAX)), "18446744073709551615"),
            (Meaning::Decimal(2).integer(-12_345, 0), "-123.45"),
            (Meaning::Date.integer(19_226, 0), "2022-08-22T00:00:00Z"),
            (Meaning::Timestamp(1_000_000, true).integer(1_661_140_980_250, 0), "2022-08-22T04:03:00.25Z"),
            (Meaning::Timestamp(1, true).integer(1_661_140_980_000_000_001, 0), "2022-08-22T04:03:00.000000001Z"),
            (Meaning::Timestamp(1_000, false).integer(1_661_140_980_000_001, 0), "2022-08-22T04:03:00.000001"),
            (Meaning::Timestamp(1_000_000, true).integer(i128::from(i64::MAX), 0), "9223372036854775807000000"),
            (Meaning::Decimal(3).bytes(&[0xff, 0x38]), "-0.200"),
            (Meaning::Decimal(0).bytes(&[]), "0"),
            (Meaning::Decimal(0).bytes(&[1; 17]), "NotText(\"a decimal of more than 128 bits\")"),
            (Meaning::Plain.bytes("ü".as_bytes()), "ü"),
            (Meaning::Plain.bytes(&[0xff]), "NotText(\"not UTF-8\")"),
            (Meaning::Uuid.bytes(&[0x12; 16]), "12121212-1212-1212-1212-121212121212"),
        ];
        for (value, expected) in table {
            assert_eq!(shown(value), expected);
        }
        let mut midnight = Int96::new();
        midnight.set_data(1, 0, 2_440_589);
        assert_eq!(shown(instant(int96_nanoseconds(&midnight), true)), "1970-01-02T00:00:00.000000001Z");
    }
}
