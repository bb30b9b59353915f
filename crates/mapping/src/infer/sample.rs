//! The beginning of a file → its format, and the texts that stand in each place of its first rows.
//!
//! Knows formats. Must never know what a place means.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::decimal::Decimal;
use crate::mapping::Format;
use crate::{row_csv, row_log};

/// Objects inside of objects are looked into so far.
const DEPTH_MAX: usize = 4;
/// As many places are looked at; a wide table has more columns than a person would read.
const PLACES_MAX: usize = 512;
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// More rows without a number than this are no header.
const HEADER_ROWS_MAX: usize = 8;

/// What the first rows look like.
#[derive(Debug)]
pub struct Table {
    pub format: Format,
    pub csv: Csv,
    pub places: Vec<Column>,
    pub rows: usize,
    /// What was seen and decided, in sentences.
    pub notes: Vec<String>,
}

#[derive(Debug)]
pub struct Csv {
    pub delimiter: u8,
    pub header_rows: usize,
    pub name_rows: Vec<usize>,
    /// Names for columns that have none.
    pub columns: Option<Vec<String>>,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: b',', header_rows: 1, name_rows: vec![1], columns: None }
    }
}

/// One place and what stands there, row by row; `None` where nothing does.
#[derive(Clone, Debug)]
pub struct Column {
    pub place: String,
    pub texts: Vec<Option<String>>,
}

impl Column {
    /// The texts that are there.
    pub fn present(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().flatten().map(String::as_str)
    }

    pub fn has_gaps(&self) -> bool {
        self.texts.iter().any(Option::is_none)
    }
}

impl Table {
    fn new(format: Format, rows: usize) -> Self {
        Self { format, csv: Csv::default(), places: Vec::new(), rows, notes: Vec::new() }
    }

    /// From columns that are known by name, as a Parquet file has them.
    pub fn of_columns(format: Format, places: Vec<Column>, rows: usize) -> Self {
        Self { places, ..Self::new(format, rows) }
    }
}

/// The text must be whole lines.
pub fn table(text: &str) -> Table {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let most = |count: usize| count * 10 >= lines.len() * 9 && count > 0;
    let objects: Vec<Json> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if most(objects.iter().filter(|json| json.is_object()).count()) {
        return json_lines(&objects);
    }
    if most(lines.iter().filter(|line| row_log::parts(line.as_bytes()).is_ok()).count()) {
        let mut table = Table::new(Format::Combined, lines.len());
        table.notes.push(format!("all of {} lines, or nearly all, fit the combined log format", lines.len()));
        return table;
    }
    match delimiter(&lines) {
        Some(delimiter) => csv(&lines, delimiter),
        None => {
            let mut table = Table::new(Format::Lines, lines.len());
            table.notes.push("no delimiter cuts the lines into as many fields each".to_owned());
            table
        }
    }
}

fn json_lines(objects: &[Json]) -> Table {
    let mut table = Table::new(Format::JsonLines, objects.len());
    let mut columns: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    let mut order = Vec::new();
    let mut skipped = BTreeSet::new();
    for (row, object) in objects.iter().enumerate() {
        flatten(object, "", 0, &mut skipped, &mut |pointer, text| {
            if !columns.contains_key(&pointer) && columns.len() < PLACES_MAX {
                order.push(pointer.clone());
                columns.insert(pointer.clone(), Vec::new());
            }
            if let Some(texts) = columns.get_mut(&pointer) {
                texts.resize(row, None);
                texts.push(text);
            }
        });
    }
    for place in order {
        let mut texts = columns.remove(&place).unwrap_or_default();
        texts.resize(objects.len(), None);
        table.places.push(Column { place, texts });
    }
    if !skipped.is_empty() {
        let skipped: Vec<_> = skipped.into_iter().take(20).collect();
        table.notes.push(format!("arrays can't be used: {}", skipped.join(", ")));
    }
    table
}

fn flatten(
    json: &Json,
    pointer: &str,
    depth: usize,
    skipped: &mut BTreeSet<String>,
    found: &mut dyn FnMut(String, Option<String>),
) {
    match json {
        Json::Object(members) if depth < DEPTH_MAX => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                flatten(value, &format!("{pointer}/{name}"), depth + 1, skipped, found);
            }
        }
        Json::Object(_) | Json::Array(_) => drop(skipped.insert(pointer.to_owned())),
        Json::Null => found(pointer.to_owned(), None),
        Json::String(text) => found(pointer.to_owned(), Some(text.clone())),
        Json::Bool(_) | Json::Number(_) => found(pointer.to_owned(), Some(json.to_string())),
    }
}

/// The one that cuts nearly all lines into the same number of fields, of several the one with the most.
fn delimiter(lines: &[&str]) -> Option<u8> {
    let fields = |delimiter: u8| {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for line in lines {
            *counts.entry(row_csv::fields(line.as_bytes(), delimiter, |_, _| {})).or_default() += 1;
        }
        let (fields, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (fields > 1 && count * 10 >= lines.len() * 8).then_some((fields, delimiter))
    };
    let found = DELIMITERS.into_iter().filter_map(fields).max_by_key(|(fields, _)| *fields)?;
    Some(found.1)
}

fn csv(lines: &[&str], delimiter: u8) -> Table {
    let cut = |line: &&str| {
        let mut fields = Vec::new();
        row_csv::fields(line.as_bytes(), delimiter, |_, field| {
            fields.push(String::from_utf8_lossy(&field).into_owned())
        });
        fields
    };
    let rows: Vec<Vec<String>> = lines.iter().map(cut).collect();
    let width = rows.get(rows.len() / 2).map_or(0, Vec::len);
    // A row of data has a number, or a time, which starts with one.
    let is_data = |row: &Vec<String>| row.iter().any(|field| field.starts_with(|char: char| char.is_ascii_digit()));
    let is_number = |field: &String| Decimal::parse(field.trim()).is_some();
    let header_rows = match rows.iter().position(|row| is_data(row) && row.iter().any(is_number)) {
        // Names may begin with a digit, but a header has no field that is a number.
        Some(first) if first <= HEADER_ROWS_MAX && rows.len() > first => first,
        _ => 1,
    };
    let mut table = Table::new(Format::Csv, rows.len().saturating_sub(header_rows));
    let said = |row: &Vec<String>| row.iter().filter(|field| !field.trim().is_empty()).count();
    let name_rows: Vec<usize> = (0..header_rows).filter(|row| header_rows == 1 || said(&rows[*row]) > 1).collect();
    let names: Vec<String> = if name_rows.is_empty() {
        table.notes.push("the first row holds numbers: taken for data, so the columns were given names".to_owned());
        (1..=width).map(|index| format!("column_{index}")).collect()
    } else {
        let part = |row: &usize, column: usize| rows[*row].get(column).cloned().unwrap_or_default();
        let name = |column| name_rows.iter().map(|row| part(row, column)).collect::<Vec<_>>().join("|");
        (0..width).map(name).collect()
    };
    if header_rows > 1 {
        table.notes.push(format!("{header_rows} rows hold no number: taken for the header"));
    }
    for (index, place) in names.iter().enumerate().take(PLACES_MAX) {
        let text = |row: &Vec<String>| row.get(index).filter(|text| !text.is_empty()).cloned();
        table.places.push(Column { place: place.clone(), texts: rows[header_rows..].iter().map(text).collect() });
    }
    if names.len() > PLACES_MAX {
        table.notes.push(format!("of {} columns only {PLACES_MAX} were looked at", names.len()));
    }
    let columns = name_rows.is_empty().then_some(names);
    table.csv = Csv { delimiter, header_rows, name_rows: name_rows.iter().map(|row| row + 1).collect(), columns };
    table
}
