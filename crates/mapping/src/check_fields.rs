//! What a mapping file says about the fields of an event: which there are, where each comes from, how it is read.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_saphyr::Spanned;
use streamgauge_events::{Field, Kind, NumberField};

use crate::check::{Checked, Checker};
use crate::check_times::unit_names;
use crate::convert::{ATTRIBUTES, Reading, Target};
use crate::decimal::Scale;
use crate::definition::{FieldDefinition, PLACEHOLDER};
use crate::invalid::{closest, listed};
use crate::mapped_event::Draft;

impl Checker<'_> {
    /// Which field a name means, and the keys that only some fields have.
    pub fn target(&self, path: &str, name: &Spanned<String>, written: &Spanned<FieldDefinition>) -> Checked<Target> {
        let field = self.named(name)?;
        let is_time = field == Field::Ts;
        let is_latency = field == Field::Number(NumberField::LatencyUs);
        let misplaced = [
            ("format", &written.value.format, is_time, "no time"),
            ("timezone", &written.value.timezone, is_time, "no time"),
            ("epoch_base", &written.value.epoch_base, is_time, "no time"),
            ("unit", &written.value.unit, is_time || is_latency, "no time"),
            ("scale", &written.value.scale, field == Field::Number(NumberField::Value), "no decimal number"),
        ];
        for (key, value, belongs, why) in misplaced {
            if let Some(value) = value.as_ref().filter(|_| !belongs) {
                let expected = format!("no `{key}:`, since {} is {why}", name.value);
                return Err(self.source.invalid(value, &format!("{path}.{key}"), &expected, "Remove it."));
            }
        }
        Ok(match field {
            Field::Ts => Target::Ts(self.time_format(path, written)?),
            Field::Number(NumberField::LatencyUs) => {
                let Some(unit) = &written.value.unit else {
                    let at = written.referenced;
                    let expected = format!("the unit of the value: one of {}", unit_names());
                    let remedy = "Add `unit: ms`, or what it is.";
                    return Err(self.source.invalid_at(at, path, "no `unit:`", &expected, remedy));
                };
                Target::LatencyUs { shift: self.unit(path, unit)?, unit: unit.value.clone() }
            }
            Field::Number(NumberField::Value) => match &written.value.scale {
                None => Target::Value(Scale::ONE),
                Some(scale) => Target::Value(self.scale(path, scale)?),
            },
            Field::Number(NumberField::Status) => Target::Status,
            Field::Number(count @ (NumberField::Good | NumberField::Total)) => Target::Count(count),
            Field::Ok => Target::Ok,
            Field::Text(text) => Target::Text(text),
            Field::Attributes => Target::Attribute(name.value.clone()),
        })
    }

    fn named(&self, name: &Spanned<String>) -> Checked<Field> {
        let unknown = |expected: &str, remedy: &str| {
            let found = format!("the unknown key `{}`", name.value);
            Err(self.source.invalid_at(name.referenced, "fields", &found, expected, remedy))
        };
        if let Some(attribute) = name.value.strip_prefix(ATTRIBUTES) {
            return match attribute.is_empty() {
                false => Ok(Field::Attributes),
                true => {
                    unknown("the name of an attribute behind `attributes.`", "Write `attributes.plan:`, or its name.")
                }
            };
        }
        match self.kind.field(&name.value) {
            Some(Field::Attributes) => {
                unknown("the name of one attribute", "Write `attributes.plan: { … }`, a line for each attribute.")
            }
            Some(field) => Ok(field),
            None => {
                let known = self.kind.fields().iter().map(|field| match field {
                    Field::Attributes => "attributes.NAME",
                    field => field.name(),
                });
                let others = Kind::ALL.iter().filter(|kind| kind.field(&name.value).is_some());
                let others: Vec<_> = others.map(|kind| format!("{kind}s")).collect();
                let remedy = match (closest(&name.value, known.clone()), &others[..]) {
                    (_, [other, ..]) => {
                        format!("A field of `event: {other}`; to keep it, write `attributes.{}:`.", name.value)
                    }
                    (Some(meant), _) => format!("Did you mean `{meant}`?"),
                    (None, _) => format!("To keep it as a text, write `attributes.{}:`.", name.value),
                };
                unknown(&format!("one of {}", listed(known)), &remedy)
            }
        }
    }

    pub fn scale(&self, path: &str, scale: &Spanned<String>) -> Checked<Scale> {
        Scale::parse(&scale.value).ok_or_else(|| {
            let expected = "a decimal number above 0, or a fraction such as `1/1048576`";
            self.source.invalid(scale, &format!("{path}.scale"), expected, "For a percentage write `scale: 0.01`.")
        })
    }

    /// A constant goes into the template; anything else is read from each row.
    pub fn field(
        &mut self,
        path: &str,
        target: &Target,
        written: &Spanned<FieldDefinition>,
        template: &mut Draft,
    ) -> Checked<Option<Reading>> {
        let field = &written.value;
        let required = self.kind.required().contains(&target.field());
        if let Some(optional) = field.optional.as_ref().filter(|optional| required && optional.value) {
            let (path, remedy) = (format!("{path}.optional"), "Remove it, or use a `constant:`.");
            let expected = "a value in every row, since every event needs it";
            return Err(self.source.invalid_at(optional.referenced, &path, "`true`", expected, remedy));
        }
        let keys = [
            ("column", &field.column),
            ("pointer", &field.pointer),
            ("group", &field.group),
            ("cell", &field.cell),
            ("from", &field.from),
            ("constant", &field.constant),
        ];
        let others = keys.iter().filter(|(key, value)| *key != "constant" && value.is_some()).count();
        if let (Some(constant), 0) = (&field.constant, others) {
            self.check_filled_in(&format!("{path}.constant"), target, constant)?;
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

    /// A placeholder of a proposal is no value: every event would carry it, and be counted so.
    fn check_filled_in(&self, path: &str, target: &Target, constant: &Spanned<String>) -> Checked<()> {
        if !constant.value.starts_with(PLACEHOLDER) {
            return Ok(());
        }
        let key = self.format.place_key();
        let expected = format!("a value of {}; `mapping infer` left it open", target.name());
        let remedy = match target {
            Target::Ts(_) => format!(
                "Write `{{ {key}: …, format: … }}`, where the times stand and how they are written, or one instant for all rows."
            ),
            _ => format!("Write what it is, or `{key}: …` in place of `constant: …` where the rows say it."),
        };
        Err(self.source.invalid(constant, path, &expected, &remedy))
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
        let mut scratch = Draft::new(self.kind);
        for (from, to) in &map.value {
            self.check_value(&format!("{path}.map.{from}"), target, to, &mut scratch)?;
        }
        Ok(Some(map.value.iter().map(|(from, to)| (from.clone(), to.value.clone())).collect()))
    }

    fn check_value(&self, path: &str, target: &Target, value: &Spanned<String>, draft: &mut Draft) -> Checked<()> {
        target.set(draft, &value.value).map_err(|problem| {
            let remedy = format!("It {problem}.");
            self.source.invalid(value, path, &format!("a value of {}", target.name()), &remedy)
        })
    }
}
