//! A row → the texts that a mapping asks for. Must never know what event they make.

use std::borrow::Cow;

use regex_lite::Regex;

use crate::{row_csv, row_json, row_log};

/// What a row says in one place.
#[derive(Clone, Debug)]
pub enum Value<'r> {
    Absent,
    Text(Cow<'r, str>),
    /// Something that no field can be made of, in words.
    NotText(&'static str),
}

impl<'r> Value<'r> {
    fn of_bytes(bytes: Cow<'r, [u8]>) -> Self {
        let text = match bytes {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        };
        text.map_or(Value::NotText("not UTF-8"), Value::Text)
    }
}

/// Finds the values in rows of one file.
#[derive(Debug)]
pub enum Extractor<'m> {
    Csv {
        delimiter: u8,
        slots: Vec<Option<usize>>,
    },
    Json(&'m row_json::Node),
    /// Slots and the parts of the line that fill them.
    Combined(&'m [(usize, usize)]),
    /// Slots and the groups that fill them.
    Lines {
        pattern: &'m Regex,
        groups: &'m [(usize, usize)],
    },
}

impl Extractor<'_> {
    /// Fills the slots whose values stand in the row. The error is a sentence about the whole row.
    pub fn extract<'r>(&self, row: &'r [u8], values: &mut [Value<'r>]) -> Result<(), String> {
        match self {
            Self::Csv { delimiter, slots } => {
                let count = row_csv::fields(row, *delimiter, |index, field| {
                    if let Some(Some(slot)) = slots.get(index) {
                        values[*slot] = Value::of_bytes(field);
                    }
                });
                if count != slots.len() {
                    return Err(format!("the row has {count} fields; expected {}, as in the header", slots.len()));
                }
            }
            Self::Json(root) => root
                .extract(utf8(row)?, values)
                .map_err(|problem| format!("the row is not one JSON object: {problem}"))?,
            Self::Combined(parts) => {
                let found = row_log::parts(row)
                    .map_err(|missing| format!("the row is not in the combined log format; expected {missing}"))?;
                for (slot, part) in *parts {
                    if let Some(bytes) = found[*part] {
                        values[*slot] = Value::of_bytes(Cow::Borrowed(bytes));
                    }
                }
            }
            Self::Lines { pattern, groups } => {
                let found = pattern.captures(utf8(row)?).ok_or_else(|| {
                    format!("the row doesn't match the mapping's pattern `{}`", crate::convert::head(pattern.as_str()))
                })?;
                for (slot, group) in *groups {
                    if let Some(text) = found.get(*group) {
                        values[*slot] = Value::Text(Cow::Borrowed(text.as_str()));
                    }
                }
            }
        }
        Ok(())
    }
}

fn utf8(row: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(row).map_err(|error| format!("the row is not UTF-8 from byte {} on", error.valid_up_to()))
}
