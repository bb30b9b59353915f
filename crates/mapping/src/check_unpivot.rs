//! What a mapping file says about wide rows: which columns become records of their own, and what their names tell.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_saphyr::Spanned;
use streamgauge_events::NumberField;

use crate::check::{Checked, Checker};
use crate::decimal::Scale;
use crate::definition::{ColumnDefinition, Definition, Source, UnpivotDefinition};
use crate::invalid::{did_you_mean, listed};
use crate::mapping::{Format, Place};
use crate::unpivot::{CELL, ColumnNames, NamedColumn, ONLY_CELL, UnpivotPlan};

const SCALE: &str = "scale";

pub fn unpivot(source: Source<'_>, format: Format, definition: &Definition) -> Checked<Option<UnpivotPlan>> {
    let Some(written) = &definition.unpivot else { return Ok(None) };
    if !format.has_columns() {
        let remedy = "Remove it: rows of this format have no columns.";
        return Err(source.invalid_at(written.referenced, "unpivot", "`unpivot`", "none, by `format`", remedy));
    }
    let (columns, names) = match (&written.value.pattern, &written.value.columns) {
        (Some(pattern), None) => by_pattern(source, pattern)?,
        (None, Some(columns)) => by_table(source, columns)?,
        (both, _) => {
            let found = if both.is_some() { "both `pattern` and `columns`" } else { "no column" };
            let remedy = "Write `pattern: '^(?<metric>cpu|memory)$'`, or `columns:` with each name and its parts.";
            return Err(source.invalid_at(written.referenced, "unpivot", found, "one of `pattern`, `columns`", remedy));
        }
    };
    let names_cells = names.contains(CELL);
    let parts = names.into_iter().filter(|name| name != CELL).collect();
    Ok(Some(UnpivotPlan { columns, parts, names_cells }))
}

fn by_pattern(source: Source<'_>, pattern: &Spanned<String>) -> Checked<(ColumnNames, BTreeSet<String>)> {
    let regex = Regex::new(&pattern.value).map_err(|error| {
        let remedy = format!("As it stands: {error}.");
        source.invalid(pattern, "unpivot.pattern", "a regular expression", &remedy)
    })?;
    let names: BTreeSet<String> = regex.capture_names().flatten().map(str::to_owned).collect();
    if !names.iter().any(|name| name != CELL) {
        let remedy = "Write `(?<metric>…)` around what tells the records of a row apart.";
        return Err(source.invalid(pattern, "unpivot.pattern", "a named group, beside `cell`", remedy));
    }
    Ok((ColumnNames::Pattern(regex), names))
}

fn by_table(
    source: Source<'_>,
    columns: &Spanned<BTreeMap<String, Spanned<ColumnDefinition>>>,
) -> Checked<(ColumnNames, BTreeSet<String>)> {
    let mut table = BTreeMap::new();
    let mut names: Option<BTreeSet<String>> = None;
    for (column, written) in &columns.value {
        let path = format!("unpivot.columns.{column}");
        let mut named = NamedColumn { parts: BTreeMap::new(), scale: None };
        for (name, text) in &written.value {
            if name == SCALE {
                named.scale = Some(Scale::parse(&text.value).ok_or_else(|| {
                    let expected = "a decimal number above 0, or a fraction such as `1/1048576`";
                    source.invalid(text, &format!("{path}.scale"), expected, "For a percentage write `scale: 0.01`.")
                })?);
            } else {
                named.parts.insert(name.clone(), text.value.clone());
            }
        }
        let own: BTreeSet<String> = named.parts.keys().cloned().collect();
        let others = names.get_or_insert_with(|| own.clone());
        if own.iter().all(|name| name == CELL) || own != *others {
            let found = format!("the parts {}", listed(own.iter().map(String::as_str)));
            let expected = "the same parts for every column, and one beside `cell`";
            let remedy = format!("Write `{column}: {{ metric: cpu }}`, or what tells its records apart.");
            return Err(source.invalid_at(written.referenced, &path, &found, expected, &remedy));
        }
        table.insert(column.clone(), named);
    }
    match names {
        Some(names) => Ok((ColumnNames::Table(table), names)),
        None => {
            let remedy = "Write `columns: { CpuUsage: { metric: cpu } }`, a line for each column.";
            Err(source.invalid_at(columns.referenced, "unpivot.columns", "no column", "one at least", remedy))
        }
    }
}

impl Checker<'_> {
    /// `group:` beside `unpivot`: a part of the column's name.
    pub fn part(&self, path: &str, name: &Spanned<String>, unpivot: &UnpivotPlan) -> Checked<Place> {
        if unpivot.parts.contains(&name.value) {
            return Ok(Place::Part(name.value.clone()));
        }
        let known: Vec<&str> = unpivot.parts.iter().map(String::as_str).collect();
        let expected = format!("one of the parts of the columns' names, {}", listed(known.iter().copied()));
        let remedy = did_you_mean(&name.value, &known, "Name a group of `unpivot.pattern`.");
        Err(self.source.invalid(name, path, &expected, &remedy))
    }

    /// `cell:`, what stands in a column of the record.
    pub fn cell(&self, path: &str, name: &Spanned<String>) -> Checked<Place> {
        let Some(unpivot) = &self.unpivot else {
            let remedy = "Add `unpivot:`, or write `column:`.";
            return Err(self.source.invalid(name, path, "no `cell:` without `unpivot`", remedy));
        };
        let known: BTreeSet<&str> = match (&unpivot.columns, unpivot.names_cells) {
            (_, false) => BTreeSet::from([ONLY_CELL]),
            // Which cells there are is known once a file is opened.
            (ColumnNames::Pattern(_), true) => return Ok(Place::Cell(name.value.clone())),
            (ColumnNames::Table(table), true) => table.values().map(|column| column.parts[CELL].as_str()).collect(),
        };
        if known.contains(name.value.as_str()) {
            return Ok(Place::Cell(name.value.clone()));
        }
        let remedy = "A part `cell` of the columns' names tells several cells of one record apart.";
        Err(self.source.invalid(name, path, &format!("one of {}", listed(known)), remedy))
    }

    /// What can only be said of the fields and `unpivot` together.
    pub fn check_unpivot(&self, definition: &Definition, written: &Spanned<UnpivotDefinition>) -> Checked<()> {
        if !self.places.iter().any(|place| matches!(place, Place::Cell(_))) {
            let expected = "a field that reads what stands in the columns";
            let remedy = format!("Write `value: {{ cell: {ONLY_CELL} }}`, or the field that it is.");
            return Err(self.source.invalid_at(written.referenced, "unpivot", "no `cell:`", expected, &remedy));
        }
        let Some(ColumnNames::Table(table)) = self.unpivot.as_ref().map(|unpivot| &unpivot.columns) else {
            return Ok(());
        };
        if table.values().all(|column| column.scale.is_none()) {
            return Ok(());
        }
        let value = definition.fields.value.iter().find(|(name, _)| name.0.value == NumberField::Value.name());
        match value {
            Some((_, value)) if value.value.cell.is_some() => match &value.value.scale {
                None => Ok(()),
                Some(scale) => {
                    let expected = "none beside the scales of the columns";
                    Err(self.source.invalid(scale, "fields.value.scale", expected, "Remove one of them."))
                }
            },
            _ => {
                let remedy = format!("Write `value: {{ cell: {ONLY_CELL} }}`, or remove the scales.");
                let (at, expected) = (written.referenced, "`value`, read from a cell");
                Err(self.source.invalid_at(at, "unpivot.columns", "a `scale:`", expected, &remedy))
            }
        }
    }
}
