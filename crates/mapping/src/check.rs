//! What a mapping file means, and every mistake in it that can be known before a row is read.

use regex_lite::Regex;
use serde_saphyr::{Location, Spanned};
use streamgauge_events::{Kind, NumberField};

use crate::check_rows::pattern;
use crate::check_unpivot::unpivot;
use crate::convert::ATTRIBUTES;
use crate::definition::{Definition, Source};
use crate::invalid::{Invalid, did_you_mean, listed};
use crate::mapped_event::Draft;
use crate::mapping::{Format, Mapping, Place};
use crate::row_json::Node;
use crate::row_log::GROUPS;
use crate::unpivot::UnpivotPlan;

/// Collects the places that a mapping asks for while it is checked.
pub struct Checker<'f> {
    pub source: Source<'f>,
    pub kind: Kind,
    pub format: Format,
    pub pattern: Option<Regex>,
    pub unpivot: Option<UnpivotPlan>,
    pub places: Vec<Place>,
}

pub type Checked<T> = Result<T, Box<Invalid>>;

/// A key that says where a value stands, and what stands behind it.
pub type Sources<'d, const N: usize> = [(&'static str, &'d Option<Spanned<String>>); N];

/// The words of `event:`, which are the names of the topics.
const EVENTS: [(&str, Kind); 3] = [("requests", Kind::Request), ("scores", Kind::Score), ("resources", Kind::Resource)];

/// Rows of JSON are searched with a set of 64 places.
const ATTRIBUTES_MAX: usize = 32;

impl<'f> Checker<'f> {
    pub fn new(file: &'f str, definition: &Definition) -> Checked<Self> {
        let source = Source { file };
        let Some((_, kind)) = EVENTS.into_iter().find(|(name, _)| *name == definition.event.value) else {
            let names = EVENTS.map(|(name, _)| name);
            let remedy =
                did_you_mean(&definition.event.value, &names, "Write `event: requests`, or what the rows are.");
            return Err(source.invalid(&definition.event, "event", &format!("one of {}", listed(names)), &remedy));
        };
        let Some((_, format)) = Format::NAMES.into_iter().find(|(name, _)| *name == definition.format.value) else {
            let names = Format::NAMES.map(|(name, _)| name);
            return Err(source.invalid(
                &definition.format,
                "format",
                &format!("one of {}", listed(names)),
                &did_you_mean(&definition.format.value, &names, "`lines` reads any text by a pattern."),
            ));
        };
        let pattern = pattern(source, format, definition)?;
        if let Some(csv) = definition.csv.as_ref().filter(|_| format != Format::Csv) {
            let remedy = "Remove it, or write `format: csv`.";
            return Err(source.invalid_at(csv.referenced, "csv", "settings for CSV", "none, by `format`", remedy));
        }
        let unpivot = unpivot(source, format, definition)?;
        Ok(Self { source, kind, format, pattern, unpivot, places: Vec::new() })
    }

    pub fn mapping(mut self, definition: &Definition) -> Checked<Mapping> {
        let mut template = Draft::new(self.kind);
        let mut fields = Vec::new();
        // In the order in which events are written: of several mistakes in a row or a header the weightiest is told.
        let order = |name: &str| self.kind.fields().iter().position(|field| field.name() == name);
        let mut written: Vec<_> = definition.fields.value.iter().collect();
        written.sort_by_key(|(name, _)| order(&name.0.value).unwrap_or(usize::MAX));
        for (name, written) in written {
            let path = format!("fields.{}", name.0.value);
            let target = self.target(&path, &name.0, written)?;
            if let Some(reading) = self.field(&path, &target, written, &mut template)? {
                fields.push((target, reading));
            }
        }
        self.check_complete(definition)?;
        let expand = match &definition.expand {
            Some(expand) => Some(self.expand(expand, definition)?),
            None => None,
        };
        if let Some(unpivot) = &definition.unpivot {
            self.check_unpivot(definition, unpivot)?;
        }
        Ok(Mapping {
            file: self.source.file.to_owned(),
            kind: self.kind,
            rows: self.row_plan(definition)?,
            unpivot: self.unpivot,
            places: self.places,
            template,
            fields,
            expand,
        })
    }

    /// No event lacks a field that its kind needs.
    fn check_complete(&self, definition: &Definition) -> Checked<()> {
        let fields = &definition.fields.value;
        let has = |name: &str| fields.keys().any(|field| field.0.value == name);
        let missing = |name: &str, expected: &str| {
            let remedy = format!("Add `{name}: {{ {}: … }}` or a `constant:`.", self.format.place_key());
            let at = definition.fields.referenced;
            Err(self.source.invalid_at(at, "fields", &format!("no `{name}`"), expected, &remedy))
        };
        for field in self.kind.required() {
            if !has(field.name()) {
                return missing(field.name(), "one; every event needs it");
            }
        }
        let number = |field: NumberField| has(field.name());
        let (good, total) = (number(NumberField::Good), number(NumberField::Total));
        match self.kind {
            Kind::Score if !number(NumberField::Value) && !good && !total => {
                return missing("value", "one, or `good` and `total`; every score needs it");
            }
            Kind::Score if good && !total => return missing("total", "one beside `good`"),
            Kind::Score if total && !good => return missing("good", "one beside `total`"),
            _ => {}
        }
        let attributes = fields.keys().filter(|field| field.0.value.starts_with(ATTRIBUTES)).count();
        if attributes > ATTRIBUTES_MAX {
            let found = format!("{attributes} attributes");
            let expected = format!("{ATTRIBUTES_MAX} at most");
            return Err(self.source.invalid_at(
                definition.fields.referenced,
                "fields",
                &found,
                &expected,
                "Keep those that somebody will ask for.",
            ));
        }
        Ok(())
    }

    /// The slot of a place, and its name in sentences.
    pub fn place<const N: usize>(
        &mut self,
        path: &str,
        at: Location,
        keys: Sources<'_, N>,
    ) -> Checked<(usize, String)> {
        let key = self.format.place_key();
        let given: Vec<_> = keys.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?))).collect();
        let [(found, place)] = given[..] else {
            let found = if given.is_empty() { "no source" } else { "more than one source" };
            let expected = format!("exactly one of {}", listed(keys.map(|(key, _)| key)));
            let remedy = format!("Rows of this format have a `{key}`.");
            return Err(self.source.invalid_at(at, path, found, &expected, &remedy));
        };
        if found == "from" {
            if place.value != "file_name" {
                let remedy = format!("Values that stand in the row have a `{key}:`.");
                return Err(self.source.invalid(place, &format!("{path}.from"), "`file_name`", &remedy));
            }
            return Ok((self.slot(Place::FileName), "the name of the file".to_owned()));
        }
        match (found, &self.unpivot) {
            ("cell", _) => {
                let cell = self.cell(&format!("{path}.cell"), place)?;
                return Ok((self.slot(cell), format!("cell `{}`", place.value)));
            }
            ("group", Some(unpivot)) => {
                let part = self.part(&format!("{path}.group"), place, unpivot)?;
                return Ok((self.slot(part), format!("group `{}`", place.value)));
            }
            _ => {}
        }
        if found != key {
            let path = format!("{path}.{found}");
            let expected = format!("`{key}:`, which is where values stand in rows of this format");
            let remedy = format!("Write `{key}:` instead of `{found}:`, or another `format:`.");
            return Err(self.source.invalid_at(place.referenced, &path, &format!("`{found}:`"), &expected, &remedy));
        }
        self.check_place(&format!("{path}.{key}"), place)?;
        Ok((self.slot(Place::Row(place.value.clone())), format!("{key} `{}`", place.value)))
    }

    fn slot(&mut self, wanted: Place) -> usize {
        self.places.iter().position(|place| *place == wanted).unwrap_or_else(|| {
            self.places.push(wanted);
            self.places.len() - 1
        })
    }

    fn check_place(&self, path: &str, place: &Spanned<String>) -> Checked<()> {
        match (self.format, &self.pattern) {
            (Format::JsonLines, _) => Node::default().insert(&place.value, 0).map_err(|problem| {
                let remedy = format!("{problem}.");
                self.source.invalid(place, path, "a JSON pointer (RFC 6901) such as `/request/path`", &remedy)
            }),
            (Format::Combined, _) => self.check_group(path, place, &GROUPS),
            (Format::Lines, Some(pattern)) => {
                self.check_group(path, place, &pattern.capture_names().flatten().collect::<Vec<_>>())
            }
            _ => Ok(()),
        }
    }

    fn check_group(&self, path: &str, place: &Spanned<String>, groups: &[&str]) -> Checked<()> {
        if groups.contains(&place.value.as_str()) {
            return Ok(());
        }
        let expected = format!("one of the groups {}", listed(groups.iter().copied()));
        let remedy = did_you_mean(&place.value, groups, "Name a group of the pattern.");
        Err(self.source.invalid(place, path, &expected, &remedy))
    }
}
