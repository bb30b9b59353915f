//! What a mapping file says about the rows: delimiter, header, pattern.

use regex_lite::Regex;

use crate::check::{Checked, Checker};
use crate::definition::{CsvDefinition, Definition, Source};
use crate::invalid::listed;
use crate::mapping::{Format, HeaderPlan, Place, RowPlan};
use crate::row_json::Node;
use crate::row_log::GROUPS;

/// Each may take as much memory as a row.
const HEADER_ROWS_MAX: u64 = 16;

impl Checker<'_> {
    pub fn row_plan(&mut self, definition: &Definition) -> Checked<RowPlan> {
        match (self.format, self.pattern.take()) {
            (Format::Csv, _) => self.csv(definition),
            (Format::Parquet, _) => Ok(RowPlan::Parquet),
            (Format::JsonLines, _) => {
                let mut root = Node::default();
                for (slot, pointer) in self.in_row() {
                    root.insert(pointer, slot).expect("each pointer was inserted into a tree of its own before");
                }
                Ok(RowPlan::JsonLines(root))
            }
            (Format::Lines, Some(pattern)) => {
                let names: Vec<_> = pattern.capture_names().collect();
                let group = |place: &str| names.iter().position(|name| *name == Some(place));
                let groups = self.in_row().filter_map(|(slot, place)| Some((slot, group(place)?))).collect();
                Ok(RowPlan::Lines { groups, pattern })
            }
            (Format::Combined | Format::Lines, _) => {
                let part = |place: &str| GROUPS.iter().position(|group| *group == place);
                let parts = self.in_row().filter_map(|(slot, place)| Some((slot, part(place)?))).collect();
                Ok(RowPlan::Combined { parts })
            }
        }
    }

    /// The places that stand in the row itself, with their slots.
    fn in_row(&self) -> impl Iterator<Item = (usize, &str)> {
        self.places.iter().enumerate().filter_map(|(slot, place)| match place {
            Place::Row(name) => Some((slot, name.as_str())),
            Place::FileName | Place::Part(_) | Place::Cell(_) => None,
        })
    }

    fn csv(&self, definition: &Definition) -> Checked<RowPlan> {
        let defaults = CsvDefinition::default();
        let csv = definition.csv.as_ref().map_or(&defaults, |csv| &csv.value);
        let delimiter = match csv.delimiter.as_ref().map(|delimiter| (delimiter, delimiter.value.as_bytes())) {
            None => b',',
            Some((_, [byte])) if byte.is_ascii() && !b"\"\r\n".contains(byte) => *byte,
            Some((delimiter, _)) => {
                let remedy = r#"Write `delimiter: ";"`, or "\t" for a tab."#;
                return Err(self.source.invalid(delimiter, "csv.delimiter", "one ASCII character, no quote", remedy));
            }
        };
        let header_rows = csv.header_rows.unwrap_or(1);
        if header_rows == 0 && csv.columns.is_none() {
            let at = definition.csv.as_ref().map_or(definition.format.referenced, |csv| csv.referenced);
            let remedy = "Add `columns: [ts, service, …]` with the names of all columns, in their order.";
            return Err(self.source.invalid_at(at, "csv", "`header_rows: 0`", "names for the columns", remedy));
        }
        if let Some(columns) = &csv.columns {
            for (_, place) in self.in_row() {
                if columns.value.iter().filter(|column| *column == place).count() != 1 {
                    let expected = format!("`{place}` once, since a field is read from it");
                    let remedy = "List the names of all columns, in their order.";
                    let found = listed(columns.value.iter().map(String::as_str));
                    return Err(self.source.invalid_at(columns.referenced, "csv.columns", &found, &expected, remedy));
                }
            }
        }
        let columns = csv.columns.as_ref().map(|columns| columns.value.clone());
        Ok(RowPlan::Csv { delimiter, header: self.header(csv, header_rows)?, columns })
    }

    fn header(&self, csv: &CsvDefinition, rows: u64) -> Checked<HeaderPlan> {
        let separator = csv.name_separator.as_ref().map_or("|", |separator| &separator.value).to_owned();
        let Some(name_rows) = &csv.name_rows else {
            return Ok(HeaderPlan { rows, name_rows: vec![1], separator });
        };
        let at = name_rows.referenced;
        if rows > HEADER_ROWS_MAX {
            let (found, expected) = (format!("{rows} header rows"), format!("{HEADER_ROWS_MAX} at most"));
            return Err(self.source.invalid_at(at, "csv.header_rows", &found, &expected, "Is that the right number?"));
        }
        let named = &name_rows.value;
        let rising = named.windows(2).all(|pair| pair[0] < pair[1]);
        if named.is_empty() || !rising || named.iter().any(|row| !(1..=rows).contains(row)) {
            let expected = format!("some of the {rows} header rows, from 1, in their order");
            let remedy = "Write `csv: { header_rows: 3, name_rows: [1, 2, 3] }`, or the rows that spell the names.";
            return Err(self.source.invalid_at(at, "csv.name_rows", &format!("{named:?}"), &expected, remedy));
        }
        Ok(HeaderPlan { rows, name_rows: named.clone(), separator })
    }
}

/// The pattern that `format: lines` needs and no other format may have.
pub fn pattern(source: Source<'_>, format: Format, definition: &Definition) -> Checked<Option<Regex>> {
    let invalid = |found: &str, expected: &str, remedy: &str| {
        let at = definition.pattern.as_ref().map_or(definition.format.referenced, |pattern| pattern.referenced);
        source.invalid_at(at, "pattern", found, expected, remedy)
    };
    match (&definition.pattern, format) {
        (None, Format::Lines) => {
            let remedy = "Add `pattern: '^(?<ts>\\S+) (?<service>\\S+)'`, or what the lines look like.";
            Err(invalid("no `pattern:`", "one beside `format: lines`", remedy))
        }
        (Some(pattern), Format::Lines) => match Regex::new(&pattern.value) {
            Ok(regex) => Ok(Some(regex)),
            Err(error) => {
                let found = format!("`{}`", pattern.value);
                Err(invalid(&found, "a regular expression", &format!("As it stands: {error}.")))
            }
        },
        (Some(_), _) => Err(invalid("a pattern", "none, by `format`", "Remove it, or write `format: lines`.")),
        (None, _) => Ok(None),
    }
}
