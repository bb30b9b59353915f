//! A mapping file, checked and ready for use: which value of a row goes where, and how.

use std::path::Path;

use regex_lite::Regex;
use streamgauge_events::Kind;

use crate::check::Checker;
use crate::convert::{Reading, Target};
use crate::definition::parse;
use crate::expand::ExpandPlan;
use crate::extract::Value;
use crate::invalid::MappingError;
use crate::mapped_event::Draft;
use crate::row_json::Node;
use crate::unpivot::UnpivotPlan;

/// How the rows of a file are turned into events. One mapping serves many files.
#[derive(Debug)]
pub struct Mapping {
    pub(crate) file: String,
    pub(crate) kind: Kind,
    pub(crate) rows: RowPlan,
    pub(crate) unpivot: Option<UnpivotPlan>,
    /// The places that values come from, by slot.
    pub(crate) places: Vec<Place>,
    /// An event with the constants in it.
    pub(crate) template: Draft,
    pub(crate) fields: Vec<(Target, Reading)>,
    pub(crate) expand: Option<ExpandPlan>,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the row: the name of a column, a pointer or a group, by the format.
    Row(String),
    FileName,
    /// In the name of the columns that make a record, by the part's name.
    Part(String),
    /// In a column of the record, by the cell's name.
    Cell(String),
}

/// What kind of rows a mapping reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    JsonLines,
    Combined,
    Lines,
    Parquet,
}

impl Format {
    pub(crate) const NAMES: [(&'static str, Self); 5] = [
        ("csv", Self::Csv),
        ("jsonl", Self::JsonLines),
        ("combined", Self::Combined),
        ("lines", Self::Lines),
        ("parquet", Self::Parquet),
    ];

    /// The key that says where in a row of this format a value stands.
    pub(crate) const fn place_key(self) -> &'static str {
        match self {
            Self::Csv | Self::Parquet => "column",
            Self::JsonLines => "pointer",
            Self::Combined | Self::Lines => "group",
        }
    }

    /// Whether what all rows have in common is the names of columns.
    pub(crate) const fn has_columns(self) -> bool {
        matches!(self, Self::Csv | Self::Parquet)
    }

    /// Texts that stand for no value unless a field says otherwise.
    pub(crate) fn null_values(self) -> Vec<String> {
        let texts: &[&str] = match self {
            Self::Csv | Self::Lines => &[""],
            Self::JsonLines | Self::Parquet => &[],
            Self::Combined => &["-", ""],
        };
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}

/// The rows before the first row of data.
#[derive(Debug)]
pub(crate) struct HeaderPlan {
    pub rows: u64,
    /// Those that spell the names of columns, from 1.
    pub name_rows: Vec<u64>,
    /// Stands between what several rows say of one column.
    pub separator: String,
}

#[derive(Debug)]
pub(crate) enum RowPlan {
    Csv {
        delimiter: u8,
        header: HeaderPlan,
        columns: Option<Vec<String>>,
    },
    JsonLines(Node),
    /// Slots and the parts of the line that fill them.
    Combined {
        parts: Vec<(usize, usize)>,
    },
    /// Slots and the groups that fill them.
    Lines {
        pattern: Regex,
        groups: Vec<(usize, usize)>,
    },
    Parquet,
}

impl Mapping {
    /// Reads and checks a mapping file.
    pub fn open(path: &Path) -> Result<Self, MappingError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_yaml(&file, &text),
            Err(cause) => Err(MappingError::NotReadable { file, cause }),
        }
    }

    /// `file` is the name that mistakes are reported with.
    pub fn from_yaml(file: &str, text: &str) -> Result<Self, MappingError> {
        let definition = parse(file, text)?;
        Ok(Checker::new(file, &definition)?.mapping(&definition)?)
    }

    /// Whether a record says nothing in any of its cells.
    pub(crate) fn is_without_cells(&self, values: &[Value<'_>]) -> bool {
        let amounts = self.expand.iter().flat_map(ExpandPlan::amounts);
        let mut cells = (self.fields.iter().map(|(_, reading)| reading))
            .chain(amounts.map(|amount| &amount.reading))
            .filter(|reading| matches!(self.places[reading.slot], Place::Cell(_)));
        cells.all(|reading| reading.is_null(values))
    }

    /// What kind of event its rows become.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    pub fn format(&self) -> Format {
        match self.rows {
            RowPlan::Csv { .. } => Format::Csv,
            RowPlan::JsonLines(_) => Format::JsonLines,
            RowPlan::Combined { .. } => Format::Combined,
            RowPlan::Lines { .. } => Format::Lines,
            RowPlan::Parquet => Format::Parquet,
        }
    }
}
