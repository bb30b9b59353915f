//! Wide rows → long ones: the names of columns → which records a row becomes, and what each reads.
//!
//! Knows names of columns. Must never know what stands in the rows.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::convert::head;
use crate::decimal::Scale;
use crate::invalid::{closest, listed};
use crate::mapping::Place;

/// What the names of columns say.
#[derive(Debug)]
pub struct UnpivotPlan {
    pub columns: ColumnNames,
    /// The names of the parts, in order, without `cell`.
    pub parts: Vec<String>,
    /// Whether a part `cell` says which of several cells of one record a column holds.
    pub names_cells: bool,
}

#[derive(Debug)]
pub enum ColumnNames {
    /// Every column that matches; its parts are the named groups.
    Pattern(Regex),
    /// These columns, with their parts.
    Table(BTreeMap<String, NamedColumn>),
}

#[derive(Clone, Debug)]
pub struct NamedColumn {
    pub parts: BTreeMap<String, String>,
    pub scale: Option<Scale>,
}

/// The part that tells cells of one record apart.
pub const CELL: &str = "cell";
/// The name of the only cell, where no part tells them apart.
pub const ONLY_CELL: &str = "value";

/// One record of every row.
#[derive(Debug, PartialEq, Eq)]
pub struct LongRecord {
    /// As in a sentence: "service `shop`".
    pub label: String,
    /// The texts that it takes from the names of its columns, by slot.
    pub parts: Vec<(usize, String)>,
    /// Which column fills a slot; none where the file has no such column.
    pub cells: Vec<(usize, Option<usize>)>,
    pub scale: Option<Scale>,
}

/// Columns with the same parts: the texts of the parts in their order, and the columns by the names of their cells.
struct Group {
    key: Vec<String>,
    cells: BTreeMap<String, usize>,
    scale: Option<Scale>,
}

/// What doesn't fit, and what to do.
pub type Misfit = (String, String);

impl UnpivotPlan {
    /// The records of each row, in the order in which their first columns stand in the file.
    pub fn records(&self, columns: &[String], places: &[Place]) -> Result<Vec<LongRecord>, Misfit> {
        let groups = self.groups(columns)?;
        for place in places {
            let Place::Cell(cell) = place else { continue };
            if !groups.iter().any(|group| group.cells.contains_key(cell)) {
                let known = groups.iter().flat_map(|group| group.cells.keys().map(String::as_str));
                let known: std::collections::BTreeSet<&str> = known.collect();
                let remedy = match closest(cell, known.iter().copied()) {
                    Some(meant) => format!("Did you mean `cell: {meant}`?"),
                    None => format!("The cells of this file are {}.", listed(known)),
                };
                return Err((format!("no column holds the cell `{cell}`,"), remedy));
            }
        }
        Ok(groups.into_iter().map(|group| self.record(&group, places)).collect())
    }

    fn groups(&self, columns: &[String]) -> Result<Vec<Group>, Misfit> {
        let mut groups: Vec<Group> = Vec::new();
        let mut index_of: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let Some(named) = self.named(column) else { continue };
            found.push(column);
            let part = |name: &String| named.parts.get(name).cloned().unwrap_or_default();
            let key: Vec<String> = self.parts.iter().map(part).collect();
            let cell = named.parts.get(CELL).cloned().unwrap_or_else(|| ONLY_CELL.to_owned());
            let at = *index_of.entry(key.clone()).or_insert_with(|| {
                groups.push(Group { key, cells: BTreeMap::new(), scale: named.scale });
                groups.len() - 1
            });
            if let Some(first) = groups[at].cells.insert(cell, index) {
                let problem = format!("two columns for one cell of a record, `{}` and `{column}`,", columns[first]);
                return Err((problem, "Capture what tells them apart in a group of the pattern.".to_owned()));
            }
        }
        match &self.columns {
            ColumnNames::Pattern(pattern) if found.is_empty() => {
                let problem = format!("no column that matches `{}`,", head(pattern.as_str()));
                Err((problem, "Does the pattern fit the names as they are joined from all name rows?".to_owned()))
            }
            ColumnNames::Table(table) => match table.keys().find(|name| !found.contains(name)) {
                Some(missing) => {
                    let remedy = match closest(missing, columns.iter().map(String::as_str)) {
                        Some(meant) => format!("Did you mean `{meant}`?"),
                        None => "Is the delimiter right, and does the file have a header row?".to_owned(),
                    };
                    Err((format!("no column `{missing}`,"), remedy))
                }
                None => Ok(groups),
            },
            ColumnNames::Pattern(_) => Ok(groups),
        }
    }

    /// The parts of a column's name, if it takes part.
    fn named(&self, column: &str) -> Option<NamedColumn> {
        match &self.columns {
            ColumnNames::Table(table) => table.get(column).cloned(),
            ColumnNames::Pattern(pattern) => {
                let captures = pattern.captures(column)?;
                let names = pattern.capture_names().flatten();
                let texts = names.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned())));
                Some(NamedColumn { parts: texts.collect(), scale: None })
            }
        }
    }

    fn record(&self, group: &Group, places: &[Place]) -> LongRecord {
        let labels: Vec<String> =
            self.parts.iter().zip(&group.key).map(|(name, text)| format!("{name} `{}`", head(text))).collect();
        let mut record =
            LongRecord { label: labels.join(", "), parts: Vec::new(), cells: Vec::new(), scale: group.scale };
        for (slot, place) in places.iter().enumerate() {
            match place {
                Place::Part(name) => {
                    let text = self.parts.iter().position(|part| part == name).map(|at| group.key[at].clone());
                    record.parts.push((slot, text.unwrap_or_default()));
                }
                Place::Cell(name) => record.cells.push((slot, group.cells.get(name).copied())),
                Place::Row(_) | Place::FileName => {}
            }
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(pattern: &str, parts: &[&str]) -> UnpivotPlan {
        UnpivotPlan {
            columns: ColumnNames::Pattern(Regex::new(pattern).expect("a pattern of these tests")),
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
            names_cells: pattern.contains("<cell>"),
        }
    }

    /// Each record as `label: slot=text … slot<column`.
    fn shown(plan: &UnpivotPlan, columns: &[&str], places: &[Place]) -> String {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        match plan.records(&columns, places) {
            Ok(records) => {
                let record = |record: &LongRecord| {
                    let parts = record.parts.iter().map(|(slot, text)| format!("{slot}={text}"));
                    let cells = record.cells.iter().map(|(slot, column)| match column {
                        Some(column) => format!("{slot}<{column}"),
                        None => format!("{slot}<none"),
                    });
                    format!("{}: {}", record.label, parts.chain(cells).collect::<Vec<_>>().join(" "))
                };
                records.iter().map(record).collect::<Vec<_>>().join("; ")
            }
            Err((problem, remedy)) => format!("{problem} {remedy}"),
        }
    }

    #[test]
    fn columns_with_the_same_parts_make_one_record() {
        let both = plan(r"^(?<service>.+)\|(?<cell>requests|availability)$", &["service"]);
        let places = [
            Place::Row("t".to_owned()),
            Place::Part("service".to_owned()),
            Place::Cell("requests".to_owned()),
            Place::Cell("availability".to_owned()),
        ];
        let table = [
            (
                &["t", "b|requests", "a|requests", "a|availability", "b|latency"][..],
                "service `b`: 1=b 2<1 3<none; service `a`: 1=a 2<2 3<3",
            ),
            (&["t", "a|requests"], "no column holds the cell `availability`, The cells of this file are `requests`."),
            (
                &["t"],
                "no column that matches `^(?<service>.+)\\|(?<cell>requests|availability)$`, Does the pattern fit",
            ),
            (
                &["a|requests", "a|requests", "a|availability"],
                "two columns for one cell of a record, `a|requests` and `a|requests`, Capture what tells them apart",
            ),
        ];
        for (columns, expected) in table {
            let shown = shown(&both, columns, &places);
            assert!(shown.starts_with(expected), "{columns:?}: {shown}");
        }
    }

    #[test]
    fn without_cells_each_column_is_a_record() {
        let each = plan("^(?<metric>[a-z]+)_(?<instance>[0-9])$", &["metric", "instance"]);
        let places =
            [Place::Cell(ONLY_CELL.to_owned()), Place::Part("metric".to_owned()), Place::Part("instance".to_owned())];
        assert_eq!(
            shown(&each, &["cpu_1", "t", "cpu_2"], &places),
            "metric `cpu`, instance `1`: 1=cpu 2=1 0<0; metric `cpu`, instance `2`: 1=cpu 2=2 0<2"
        );
    }
}
