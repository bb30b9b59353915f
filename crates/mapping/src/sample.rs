//! A file → its first rows → a proposed mapping. Reads files; must never know what a column means.

use std::io::{self, Read as _};
use std::path::Path;

use streamgauge_events::Kind;

use crate::extract::Value;
use crate::infer::{Column, Proposal, Table, propose, table};
use crate::invalid::MappingError;
use crate::mapping::Format;
use crate::row_parquet::{MAGIC, ParquetRows};
use crate::unpack::unpacked;

/// As many rows are looked at: what all of these have in common, nearly all rows of a file have.
const SAMPLE_ROWS: usize = 1000;
/// Rows of 4 KiB on the average; of longer ones fewer are looked at.
const SAMPLE_BYTES: u64 = 4 << 20;

/// Proposes a mapping for a file by its first rows. `wanted` is the kind of event, where the caller knows it.
pub fn infer(path: &Path, wanted: Option<Kind>) -> Result<Proposal, MappingError> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let not_readable = |cause| MappingError::NotReadable { file: path.display().to_string(), cause };
    let mut file = std::fs::File::open(path).map_err(not_readable)?;
    let mut first = Vec::new();
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut first).map_err(not_readable)?;
    if first == MAGIC {
        let table = parquet(ParquetRows::open(file).map_err(not_readable)?).map_err(not_readable)?;
        return Ok(propose(table, &name, wanted));
    }
    let mut bytes = Vec::new();
    unpacked(io::Cursor::new(first).chain(file))
        .and_then(|input| input.take(SAMPLE_BYTES).read_to_end(&mut bytes))
        .map_err(not_readable)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // The last line of a sample that was cut off is none.
    let whole =
        if bytes.len() as u64 == SAMPLE_BYTES { text.rfind('\n').map_or(text, |end| &text[..end]) } else { text };
    let end = whole.match_indices('\n').nth(SAMPLE_ROWS - 1).map_or(whole.len(), |(end, _)| end);
    Ok(propose(table(&whole[..end]), &name, wanted))
}

fn parquet(mut rows: ParquetRows) -> io::Result<Table> {
    let names = rows.columns();
    rows.want(&(0..names.len()).map(Some).collect::<Vec<_>>());
    let mut columns: Vec<Column> = names.into_iter().map(|place| Column { place, texts: Vec::new() }).collect();
    let mut values = vec![Value::Absent; columns.len()];
    let mut read = 0;
    while read < SAMPLE_ROWS && rows.next(&mut values)? {
        for (column, value) in columns.iter_mut().zip(&values) {
            column.texts.push(match value {
                Value::Text(text) => Some(text.to_string()),
                Value::Absent | Value::NotText(_) => None,
            });
        }
        read += 1;
    }
    Ok(Table::of_columns(Format::Parquet, columns, read))
}
