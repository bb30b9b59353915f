//! A file with named columns and a mapping, fitted to each other: which column fills which slot, which records a row
//! becomes. Must never know how rows are read.

use crate::convert::head;
use crate::invalid::{MappingError, closest, listed};
use crate::mapping::{HeaderPlan, Mapping, Place};
use crate::row_csv;
use crate::rows::{ROW_BYTES_MAX, RowReader};
use crate::unpivot::LongRecord;

/// Names that an error shows at most: a wide file has thousands.
const NAMES_SHOWN_MAX: usize = 40;

/// How the values of a row come to their slots.
#[derive(Debug, Default)]
pub struct Binding {
    /// For each column of the file the slot that it fills.
    pub slots: Vec<Option<usize>>,
    /// Slots in all: those of the mapping's places, then one for each column that only records of `unpivot` read.
    pub width: usize,
    /// With `unpivot`, the records of each row. Their cells name slots, not columns.
    pub records: Vec<LongRecord>,
}

/// `columns` in the order of the file; none at all in a file without any row.
pub fn bind(name: &str, mapping: &Mapping, columns: &[String]) -> Result<Binding, MappingError> {
    let problem = |problem: String, remedy: String| MappingError::Header {
        file: name.to_owned(),
        line: 1,
        problem: format!("{problem} which {} asks for", mapping.file),
        header: match columns.get(..NAMES_SHOWN_MAX) {
            Some(shown) => {
                let more = columns.len() - shown.len();
                format!("{} and {more} more", listed(shown.iter().map(String::as_str)))
            }
            None => listed(columns.iter().map(String::as_str)),
        },
        remedy,
    };
    let mut binding = Binding { slots: vec![None; columns.len()], width: mapping.places.len(), records: Vec::new() };
    if columns.is_empty() {
        return Ok(binding);
    }
    for (slot, place) in mapping.places.iter().enumerate() {
        let Place::Row(place) = place else { continue };
        let mut found = columns.iter().enumerate().filter(|(_, column)| *column == place).map(|(index, _)| index);
        match (found.next(), found.next()) {
            (Some(index), None) => binding.slots[index] = Some(slot),
            (Some(_), Some(_)) => {
                let remedy = "Name all columns with `csv: { columns: [...] }` to tell them apart.".to_owned();
                return Err(problem(format!("more than one column `{place}`,"), remedy));
            }
            (None, _) => {
                let remedy = match closest(place, columns.iter().map(String::as_str)) {
                    Some(meant) => format!("Did you mean `{meant}`?"),
                    None => "Is the delimiter right, and does the file have a header row?".to_owned(),
                };
                return Err(problem(format!("no column `{place}`,"), remedy));
            }
        }
    }
    if let Some(unpivot) = &mapping.unpivot {
        let mut records = unpivot.records(columns, &mapping.places).map_err(|misfit| problem(misfit.0, misfit.1))?;
        for cell in records.iter_mut().flat_map(|record| &mut record.cells) {
            cell.1 = cell.1.map(|column| {
                *binding.slots[column].get_or_insert_with(|| {
                    binding.width += 1;
                    binding.width - 1
                })
            });
        }
        binding.records = records;
    }
    Ok(binding)
}

/// The names that the header rows of a CSV file spell. A file without any row has no names, and no rows that would
/// need them.
pub fn header(name: &str, rows: &mut RowReader, plan: &HeaderPlan, delimiter: u8) -> Result<Vec<String>, MappingError> {
    let mut parts: Vec<Vec<String>> = vec![Vec::new(); plan.name_rows.len()];
    for index in 0..plan.rows {
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
        if let Some(at) = plan.name_rows.iter().position(|row| *row == index + 1) {
            row_csv::fields(row.bytes, delimiter, |_, field| {
                parts[at].push(String::from_utf8_lossy(&field).into_owned());
            });
        }
    }
    let columns = parts.iter().map(Vec::len).max().unwrap_or(0);
    let part = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
    let name_of = |column| parts.iter().map(|row| part(row, column)).collect::<Vec<_>>().join(&plan.separator);
    Ok((0..columns).map(name_of).collect())
}
