//! What a mapping file means, and every mistake in it that can be known before a row is read.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_saphyr::{Location, Spanned};
use streamgauge_events::{EventTime, Request};

use crate::check_rows::pattern;
use crate::check_times::{duration_us, unit_names};
use crate::convert::{EventField, Reading, Target};
use crate::decimal::Decimal;
use crate::definition::{AmountDefinition, Definition, ExpandDefinition, FieldDefinition, Source};
use crate::expand::{Amount, ExpandPlan, Good, TsIs};
use crate::extract::SLOTS_MAX;
use crate::invalid::{Invalid, did_you_mean, listed};
use crate::mapping::{Format, Mapping};
use crate::row_json::Node;
use crate::row_log::GROUPS;

/// Collects the places that a mapping asks for while it is checked.
pub struct Checker<'f> {
    pub source: Source<'f>,
    pub format: Format,
    pub pattern: Option<Regex>,
    pub places: Vec<String>,
}

pub type Checked<T> = Result<T, Box<Invalid>>;

impl<'f> Checker<'f> {
    pub fn new(file: &'f str, definition: &Definition) -> Checked<Self> {
        let source = Source { file };
        if definition.event.value != "requests" {
            return Err(source.invalid(&definition.event, "event", "`requests`", "Write `event: requests`."));
        }
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
        Ok(Self { source, format, pattern, places: Vec::new() })
    }

    pub fn mapping(mut self, definition: &Definition) -> Checked<Mapping> {
        let mut template = Request::new(EventTime(0), "");
        let mut fields = Vec::new();
        for (field, written) in &definition.fields.value {
            let path = format!("fields.{}", field.name());
            let target = self.target(&path, *field, written)?;
            if let Some(reading) = self.field(&path, &target, written, &mut template)? {
                fields.push((target, reading));
            }
        }
        for field in [EventField::Ts, EventField::Service] {
            if !definition.fields.value.contains_key(&field) {
                let name = field.name();
                let (found, expected) = (format!("no `{name}`"), "one; every event needs it");
                let remedy = format!("Add `{name}: {{ {}: … }}` or a `constant:`.", self.format.place_key());
                return Err(self.source.invalid_at(definition.fields.referenced, "fields", &found, expected, &remedy));
            }
        }
        let expand = match &definition.expand {
            Some(expand) => Some(self.expand(expand, definition)?),
            None => None,
        };
        debug_assert!(self.places.len() <= SLOTS_MAX, "one place for each field and amount at most");
        Ok(Mapping {
            file: self.source.file.to_owned(),
            rows: self.row_plan(definition)?,
            places: self.places,
            template,
            fields,
            expand,
        })
    }

    /// The slot of a place, and its name in sentences.
    fn place<const N: usize>(
        &mut self,
        path: &str,
        at: Location,
        keys: [(&'static str, &Option<Spanned<String>>); N],
    ) -> Checked<(usize, String)> {
        let key = self.format.place_key();
        let given: Vec<_> = keys.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?))).collect();
        let [(found, place)] = given[..] else {
            let found = if given.is_empty() { "no source" } else { "more than one source" };
            let expected = format!("exactly one of {}", listed(keys.map(|(key, _)| key)));
            let remedy = format!("Rows of this format have a `{key}`.");
            return Err(self.source.invalid_at(at, path, found, &expected, &remedy));
        };
        if found != key {
            let path = format!("{path}.{found}");
            let expected = format!("`{key}:`, which is where values stand in rows of this format");
            let remedy = format!("Write `{key}:` instead of `{found}:`, or another `format:`.");
            return Err(self.source.invalid_at(place.referenced, &path, &format!("`{found}:`"), &expected, &remedy));
        }
        self.check_place(&format!("{path}.{key}"), place)?;
        let name = &place.value;
        let slot = self.places.iter().position(|place| place == name).unwrap_or_else(|| {
            self.places.push(name.clone());
            self.places.len() - 1
        });
        Ok((slot, format!("{key} `{name}`")))
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

    /// A constant goes into the template; anything else is read from each row.
    fn field(
        &mut self,
        path: &str,
        target: &Target,
        written: &Spanned<FieldDefinition>,
        template: &mut Request<'static>,
    ) -> Checked<Option<Reading>> {
        let field = &written.value;
        let required = matches!(target.field(), EventField::Ts | EventField::Service);
        if let Some(optional) = field.optional.as_ref().filter(|optional| required && optional.value) {
            let (path, remedy) = (format!("{path}.optional"), "Remove it, or use a `constant:`.");
            let expected = "a value in every row, since every event needs it";
            return Err(self.source.invalid_at(optional.referenced, &path, "`true`", expected, remedy));
        }
        if let (Some(constant), None, None, None) = (&field.constant, &field.column, &field.pointer, &field.group) {
            self.check_value(&format!("{path}.constant"), target, constant, template)?;
            let idle = field.map.as_ref().map(|map| ("map", map.referenced));
            let idle = idle.or(field.extract.as_ref().map(|extract| ("extract", extract.referenced)));
            let idle = idle.or(field.optional.as_ref().map(|optional| ("optional", optional.referenced)));
            return match idle {
                None => Ok(None),
                Some((key, at)) => {
                    let (path, expected) = (format!("{path}.{key}"), "none beside a constant");
                    Err(self.source.invalid_at(at, &path, &format!("`{key}:`"), expected, "Remove it."))
                }
            };
        }
        let keys = [
            ("column", &field.column),
            ("pointer", &field.pointer),
            ("group", &field.group),
            ("constant", &field.constant),
        ];
        let (slot, place) = self.place(path, written.referenced, keys)?;
        Ok(Some(Reading {
            slot,
            place,
            null_values: field.null_values.clone().unwrap_or_else(|| self.format.null_values()),
            optional: field.optional.as_ref().is_some_and(|optional| optional.value),
            extract: self.extract(path, field)?,
            table: self.table(path, target, field)?,
        }))
    }

    fn extract(&self, path: &str, field: &FieldDefinition) -> Checked<Option<Regex>> {
        let Some(pattern) = &field.extract else { return Ok(None) };
        Regex::new(&pattern.value).map(Some).map_err(|error| {
            let remedy = format!("As it stands: {error}.");
            self.source.invalid(pattern, &format!("{path}.extract"), "a regular expression", &remedy)
        })
    }

    fn table(&self, path: &str, target: &Target, field: &FieldDefinition) -> Checked<Option<BTreeMap<String, String>>> {
        let Some(map) = &field.map else { return Ok(None) };
        let mut scratch = Request::new(EventTime(0), "");
        for (from, to) in &map.value {
            self.check_value(&format!("{path}.map.{from}"), target, to, &mut scratch)?;
        }
        Ok(Some(map.value.iter().map(|(from, to)| (from.clone(), to.value.clone())).collect()))
    }

    fn check_value(
        &self,
        path: &str,
        target: &Target,
        value: &Spanned<String>,
        request: &mut Request<'static>,
    ) -> Checked<()> {
        target.set(request, &value.value).map_err(|problem| {
            let remedy = format!("It {problem}.");
            self.source.invalid(value, path, &format!("a value of {}", target.field().name()), &remedy)
        })
    }

    fn target(&self, path: &str, field: EventField, written: &Spanned<FieldDefinition>) -> Checked<Target> {
        let is_time = field == EventField::Ts;
        let misplaced = [
            ("format", &written.value.format, is_time),
            ("timezone", &written.value.timezone, is_time),
            ("epoch_base", &written.value.epoch_base, is_time),
            ("unit", &written.value.unit, is_time || field == EventField::LatencyUs),
        ];
        for (key, value, belongs) in misplaced {
            if let Some(value) = value.as_ref().filter(|_| !belongs) {
                let expected = format!("no `{key}:`, since {} is no time", field.name());
                return Err(self.source.invalid(value, &format!("{path}.{key}"), &expected, "Remove it."));
            }
        }
        Ok(match field {
            EventField::Ts => Target::Ts(self.time_format(path, written)?),
            EventField::LatencyUs => {
                let Some(unit) = &written.value.unit else {
                    let at = written.referenced;
                    let expected = format!("the unit of the value: one of {}", unit_names());
                    let remedy = "Add `unit: ms`, or what it is.";
                    return Err(self.source.invalid_at(at, path, "no `unit:`", &expected, remedy));
                };
                Target::LatencyUs { shift: self.unit(path, unit)?, unit: unit.value.clone() }
            }
            EventField::Status => Target::Status,
            EventField::Ok => Target::Ok,
            EventField::Service => Target::label(field, |request, text| request.service = text),
            EventField::EventId => Target::label(field, |request, text| request.event_id = Some(text)),
            EventField::Tenant => Target::label(field, |request, text| request.tenant = Some(text)),
            EventField::Route => Target::label(field, |request, text| request.route = Some(text)),
            EventField::Method => Target::label(field, |request, text| request.method = Some(text)),
            EventField::Version => Target::label(field, |request, text| request.version = Some(text)),
            EventField::Environment => Target::label(field, |request, text| request.environment = Some(text)),
            EventField::Region => Target::label(field, |request, text| request.region = Some(text)),
            EventField::TraceId => Target::label(field, |request, text| request.trace_id = Some(text)),
        })
    }

    fn expand(&mut self, expand: &Spanned<ExpandDefinition>, definition: &Definition) -> Checked<ExpandPlan> {
        let written = &expand.value;
        if let (Some(_), Some(ratio)) = (&written.good, &written.good_ratio) {
            let (found, expected) = ("`good` and `good_ratio`", "one of them at most");
            return Err(self.source.invalid_at(ratio.referenced, "expand", found, expected, "Remove one."));
        }
        let says_good = written.good.is_some() || written.good_ratio.is_some();
        for (field, clashes, why) in [
            (EventField::Ok, says_good, "`ok` follows from `good` or `good_ratio`"),
            (EventField::EventId, true, "all events of a row would share it"),
        ] {
            if let Some(value) = definition.fields.value.get(&field).filter(|_| clashes) {
                let path = format!("fields.{}", field.name());
                let remedy = format!("Remove it: {why}.");
                return Err(self.source.invalid_at(
                    value.referenced,
                    &path,
                    "the field",
                    "none beside `expand`",
                    &remedy,
                ));
            }
        }
        let good = match (&written.good, &written.good_ratio) {
            (Some(count), _) => Some(Good::Count(self.amount("expand.good", count)?)),
            (None, Some(ratio)) => Some(Good::Ratio(self.amount("expand.good_ratio", ratio)?)),
            (None, None) => None,
        };
        let ts_is = match written.ts_is.as_ref().map(|ts_is| (ts_is, ts_is.value.as_str())) {
            None | Some((_, "start")) => TsIs::Start,
            Some((_, "end")) => TsIs::End,
            Some((ts_is, _)) => {
                let remedy = "Write `end` if a row's time is the end of the time that it covers.";
                return Err(self.source.invalid(ts_is, "expand.ts_is", "`start` or `end`", remedy));
            }
        };
        let spread_us = duration_us(&written.spread.value).ok_or_else(|| {
            let expected = "a duration such as `60s`, `500ms`, `5m` or `1h`, up to a day";
            self.source.invalid(&written.spread, "expand.spread", expected, "Write a number and its unit.")
        })?;
        Ok(ExpandPlan { requests: self.amount("expand.requests", &written.requests)?, good, spread_us, ts_is })
    }

    fn amount(&mut self, path: &'static str, written: &Spanned<AmountDefinition>) -> Checked<Amount> {
        let AmountDefinition { column, pointer, group, scale } = &written.value;
        let (slot, place) =
            self.place(path, written.referenced, [("column", column), ("pointer", pointer), ("group", group)])?;
        let scale = match scale {
            None => Decimal::from(1),
            Some(scale) => Decimal::parse(&scale.value).filter(|scale| scale.is_positive()).ok_or_else(|| {
                let path = format!("{path}.scale");
                self.source.invalid(scale, &path, "a decimal number above 0", "For a percentage write `scale: 0.01`.")
            })?,
        };
        let reading = Reading {
            slot,
            place,
            null_values: self.format.null_values(),
            extract: None,
            optional: false,
            table: None,
        };
        Ok(Amount { name: path, reading, scale })
    }
}
