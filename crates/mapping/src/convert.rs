//! The text of a value → a field of the event, by the type that the field has.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex_lite::Regex;
use streamgauge_events::event::{
    COUNT_MAX, LABEL_BYTES_MAX, LATENCY_US_MAX, STATUS_MAX, VALUE_MILLIONTHS_MAX, VALUE_PLACES, VALUE_SCALE,
};
use streamgauge_events::{Field, NumberField, TextField};

use crate::decimal::{Decimal, Scale};
use crate::extract::Value;
use crate::mapped_event::Draft;
use crate::times::TimeFormat;

/// A field of the event and how its text becomes a value.
#[derive(Debug)]
pub enum Target {
    Ts(TimeFormat),
    /// The power of ten that leads to microseconds.
    LatencyUs {
        shift: i32,
        unit: String,
    },
    Value(Scale),
    /// `good` or `total`.
    Count(NumberField),
    Status,
    Ok,
    Text(TextField),
    /// By its name in the mapping, `attributes.plan`.
    Attribute(String),
}

/// What stands before the name of an attribute.
pub const ATTRIBUTES: &str = "attributes.";

impl Target {
    pub fn name(&self) -> &str {
        match self {
            Self::Attribute(name) => name,
            other => other.field().name(),
        }
    }

    pub const fn field(&self) -> Field {
        match self {
            Self::Ts(_) => Field::Ts,
            Self::LatencyUs { .. } => Field::Number(NumberField::LatencyUs),
            Self::Value(_) => Field::Number(NumberField::Value),
            Self::Count(field) => Field::Number(*field),
            Self::Status => Field::Number(NumberField::Status),
            Self::Ok => Field::Ok,
            Self::Text(field) => Field::Text(*field),
            Self::Attribute(_) => Field::Attributes,
        }
    }

    /// Writes the field. The error ends a sentence that starts with the text: "is not …; expected …".
    pub fn set(&self, draft: &mut Draft, text: &str) -> Result<(), String> {
        let event = &mut draft.event;
        match self {
            Self::Ts(format) => event.ts = format.read(text.trim_ascii())?,
            Self::LatencyUs { shift, unit } => {
                event.set_number(NumberField::LatencyUs, latency_us(text.trim_ascii(), *shift, unit)?);
            }
            Self::Value(scale) => event.set_number(NumberField::Value, millionths(text.trim_ascii(), *scale)?),
            Self::Count(field) => event.set_number(*field, count(text.trim_ascii())?),
            Self::Status => event.set_number(NumberField::Status, status(text.trim_ascii())?),
            Self::Ok => event.ok = Some(flag(text.trim_ascii())?),
            Self::Text(field) => event.set_text(*field, Cow::Owned(checked_label(*field, text)?.to_owned())),
            Self::Attribute(name) => {
                let name = name.strip_prefix(ATTRIBUTES).unwrap_or(name);
                draft.attributes.insert(name.to_owned(), bounded(text)?.to_owned());
            }
        }
        Ok(())
    }
}

fn latency_us(text: &str, shift: i32, unit: &str) -> Result<i64, String> {
    let number =
        Decimal::parse(text).ok_or_else(|| format!("is not a decimal number; expected a duration in {unit}"))?;
    if number.is_negative() {
        return Err(format!("is negative; expected a duration in {unit}"));
    }
    (number.rounded(shift).filter(|us| *us <= i128::from(LATENCY_US_MAX)))
        .map(|us| us as i64)
        .ok_or_else(|| format!("is more than {LATENCY_US_MAX} us (407 days); expected a duration in {unit}"))
}

/// Rounded once, behind the scale, half to even.
fn millionths(text: &str, scale: Scale) -> Result<i64, String> {
    let number = Decimal::parse(text).ok_or("is not a decimal number")?;
    (scale.rounded(number, VALUE_PLACES as i32))
        .filter(|value| value.unsigned_abs() <= VALUE_MILLIONTHS_MAX.unsigned_abs() as u128)
        .map(|value| value as i64)
        .ok_or_else(|| {
            let most = VALUE_MILLIONTHS_MAX / VALUE_SCALE;
            format!("is not between -{most} and {most}, scaled; choose a larger unit with `scale`")
        })
}

fn count(text: &str) -> Result<i64, String> {
    (Decimal::parse(text).and_then(Decimal::integer))
        .filter(|count| (0..=i128::from(COUNT_MAX)).contains(count))
        .map(|count| count as i64)
        .ok_or_else(|| format!("is not a count; expected an integer from 0 to {COUNT_MAX}"))
}

fn status(text: &str) -> Result<i64, String> {
    (text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
        .filter(|status| *status <= STATUS_MAX)
        .ok_or_else(|| format!("is not a status; expected an integer from 0 to {STATUS_MAX}"))
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false; translate other words with `map`".to_owned()),
    }
}

fn bounded(text: &str) -> Result<&str, String> {
    if text.len() > LABEL_BYTES_MAX {
        return Err(format!("is {} bytes long; expected at most {LABEL_BYTES_MAX}", text.len()));
    }
    Ok(text)
}

fn checked_label(field: TextField, text: &str) -> Result<&str, String> {
    match field {
        TextField::Service if text.is_empty() => Err("is empty; expected the name of a service".to_owned()),
        TextField::Metric if text.is_empty() => Err("is empty; expected the name of a metric".to_owned()),
        _ => bounded(text),
    }
}

/// How one value is read from a row, whatever it is for.
#[derive(Debug)]
pub struct Reading {
    pub slot: usize,
    /// As in a sentence: "column `took`".
    pub place: String,
    pub null_values: Vec<String>,
    /// What of the text counts: its first group, or all that it matches.
    pub extract: Option<Regex>,
    pub optional: bool,
    pub table: Option<BTreeMap<String, String>>,
}

impl Reading {
    /// The text after translation, or `None` where it is absent and may be.
    pub fn text<'v>(&'v self, values: &'v [Value<'_>]) -> Result<Option<&'v str>, String> {
        let text = match &values[self.slot] {
            Value::Absent => return self.absent("is absent"),
            Value::NotText(what) => return Err(format!("{} is {what}; expected a plain value", self.place)),
            Value::Text(text) => text.as_ref(),
        };
        if self.null_values.iter().any(|null| null == text) {
            return self.absent(&format!("is `{text}`, which stands for no value"));
        }
        let text = match &self.extract {
            None => text,
            Some(pattern) => match first_group(pattern, text) {
                Some(part) => part,
                None => return self.absent(&format!("is `{}`, without a match of `{pattern}`", head(text))),
            },
        };
        match &self.table {
            None => Ok(Some(text)),
            Some(table) => match table.get(text) {
                Some(translated) => Ok(Some(translated)),
                None => {
                    let known = crate::invalid::listed(table.keys().map(String::as_str));
                    Err(format!(
                        "{} is `{}`, which `map` doesn't translate; expected one of {known}",
                        self.place,
                        head(text)
                    ))
                }
            },
        }
    }

    /// Whether there is nothing, or what stands for nothing.
    pub fn is_null(&self, values: &[Value<'_>]) -> bool {
        match &values[self.slot] {
            Value::Absent => true,
            Value::NotText(_) => false,
            Value::Text(text) => self.null_values.iter().any(|null| null == text),
        }
    }

    fn absent(&self, how: &str) -> Result<Option<&'static str>, String> {
        if self.optional { Ok(None) } else { Err(format!("{} {how}; expected a value in every row", self.place)) }
    }
}

fn first_group<'t>(pattern: &Regex, text: &'t str) -> Option<&'t str> {
    if pattern.captures_len() == 1 {
        return pattern.find(text).map(|found| found.as_str());
    }
    pattern.captures(text)?.get(1).map(|group| group.as_str())
}

/// The beginning of a text, for sentences, on one line. Whole rows stand in dead letters anyway.
pub fn head(text: &str) -> Cow<'_, str> {
    const CHARS_MAX: usize = 60;
    let end = text.char_indices().nth(CHARS_MAX).map(|(end, _)| end);
    if end.is_none() && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for char in text[..end.unwrap_or(text.len())].chars() {
        if char.is_control() { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown.push_str(if end.is_some() { "…" } else { "" });
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use streamgauge_events::{Event, EventTime, Kind};

    use super::*;

    fn check_kind(kind: Kind, target: &Target, table: &[(&str, Result<&str, &str>)]) {
        for (text, expected) in table {
            let mut draft = Draft { event: Event::new(EventTime(0), "s"), ..Draft::new(kind) };
            match (target.set(&mut draft, text), expected) {
                (Ok(()), Ok(json)) => assert_eq!(String::from_utf8_lossy(&draft.event.to_json(kind)), *json, "{text}"),
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{text}: {problem}"),
                (actual, _) => panic!("{text}: {actual:?}, expected {expected:?}"),
            }
        }
    }

    fn check(target: &Target, table: &[(&str, Result<&str, &str>)]) {
        check_kind(Kind::Request, target, table);
    }

    #[test]
    fn values_are_scaled_exactly_and_rounded_once() {
        let table = [
            ("0.01", "49.58675", Ok(r#"{"ts":0,"service":"s","value":0.495868}"#)),
            ("0.01", "49.58665", Ok(r#"{"ts":0,"service":"s","value":0.495866}"#)),
            ("1/1048576", "8650752", Ok(r#"{"ts":0,"service":"s","value":8.25}"#)),
            ("1", "35184372.088832", Ok(r#"{"ts":0,"service":"s","value":35184372.088832}"#)),
            ("1", "-35184372.088832", Ok(r#"{"ts":0,"service":"s","value":-35184372.088832}"#)),
            ("1", "35184372.0888326", Err("is not between -35184372 and 35184372")),
            ("1", "1e300", Err("choose a larger unit with `scale`")),
            ("1", "NaN", Err("is not a decimal number")),
        ];
        for (scale, text, expected) in table {
            let target = Target::Value(Scale::parse(scale).expect("a scale"));
            check_kind(Kind::Resource, &target, &[(text, expected)]);
        }
        check_kind(
            Kind::Score,
            &Target::Count(NumberField::Total),
            &[
                ("12.0", Ok(r#"{"ts":0,"service":"s","total":12}"#)),
                ("12.5", Err("is not a count")),
                ("-1", Err("is not a count")),
                ("4294967297", Err("from 0 to 4294967296")),
            ],
        );
    }

    #[test]
    fn latencies_are_exact_and_bounded() {
        let table = [
            (("s", 6), "2.365", Ok(r#"{"ts":0,"service":"s","latency_us":2365000}"#)),
            (("s", 6), "0.24062500000000003", Ok(r#"{"ts":0,"service":"s","latency_us":240625}"#)),
            (("ms", 3), "0.0005", Ok(r#"{"ts":0,"service":"s","latency_us":0}"#)),
            (("ms", 3), "0.0015", Ok(r#"{"ts":0,"service":"s","latency_us":2}"#)),
            (("us", 0), "35184372088832", Ok(r#"{"ts":0,"service":"s","latency_us":35184372088832}"#)),
            (("us", 0), "35184372088833", Err("407 days")),
            (("ns", -3), "2500", Ok(r#"{"ts":0,"service":"s","latency_us":2}"#)),
            (("ms", 3), "-0.1", Err("is negative; expected a duration in ms")),
            (("ms", 3), "NaN", Err("is not a decimal number; expected a duration in ms")),
            (("ms", 3), "1e300", Err("407 days")),
        ];
        for ((unit, shift), text, expected) in table {
            check(&Target::LatencyUs { shift, unit: unit.to_owned() }, &[(text, expected)]);
        }
    }

    #[test]
    fn statuses_and_flags() {
        check(
            &Target::Status,
            &[
                ("200", Ok(r#"{"ts":0,"service":"s","status":200}"#)),
                (" 0 ", Ok(r#"{"ts":0,"service":"s","status":0}"#)),
                ("1000", Err("from 0 to 999")),
                ("-1", Err("from 0 to 999")),
                ("200.5", Err("from 0 to 999")),
                ("", Err("from 0 to 999")),
                ("99999999999999999999", Err("from 0 to 999")),
            ],
        );
        check(
            &Target::Ok,
            &[
                ("true", Ok(r#"{"ts":0,"service":"s","ok":true}"#)),
                ("false", Ok(r#"{"ts":0,"service":"s","ok":false}"#)),
                ("1", Err("`map`")),
            ],
        );
    }

    #[test]
    fn labels_are_bounded() {
        let service = Target::Text(TextField::Service);
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        check(
            &service,
            &[
                ("shop", Ok(r#"{"ts":0,"service":"shop"}"#)),
                ("", Err("is empty")),
                (&long, Err("is 513 bytes long; expected at most 512")),
            ],
        );
    }

    #[test]
    fn heads_fit_into_a_sentence() {
        assert_eq!(head("a b"), "a b");
        assert_eq!(head("a\nb\u{1b}"), "a\\nb\\u{1b}");
        assert_eq!(head(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
    }

    #[test]
    fn absent_null_and_translated_values() {
        let reading = |optional, table: &[(&str, &str)]| Reading {
            slot: 0,
            place: "column `c`".to_owned(),
            null_values: vec!["-".to_owned()],
            extract: None,
            optional,
            table: (!table.is_empty())
                .then(|| table.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()),
        };
        let text = |text: &'static str| Value::Text(Cow::Borrowed(text));
        let (strict, optional) = (reading(false, &[]), reading(true, &[("Y", "true"), ("N", "false")]));
        assert_eq!(strict.text(&[text("a")]), Ok(Some("a")));
        assert_eq!(strict.text(&[Value::Absent]).unwrap_err(), "column `c` is absent; expected a value in every row");
        assert_eq!(
            strict.text(&[text("-")]).unwrap_err(),
            "column `c` is `-`, which stands for no value; expected a value in every row"
        );
        assert_eq!(optional.text(&[Value::Absent]), Ok(None));
        assert_eq!(optional.text(&[text("-")]), Ok(None));
        assert_eq!(optional.text(&[text("Y")]), Ok(Some("true")));
        assert_eq!(
            optional.text(&[text("y")]).unwrap_err(),
            "column `c` is `y`, which `map` doesn't translate; expected one of `N`, `Y`"
        );
        assert_eq!(
            optional.text(&[Value::NotText("an array")]).unwrap_err(),
            "column `c` is an array; expected a plain value"
        );
        for (pattern, expected) in
            [("^/[^/]*", Ok("/a")), ("^/[^/]*/(.)", Ok("b")), ("^x", Err("without a match of `^x`"))]
        {
            let extracting = Reading { extract: Regex::new(pattern).ok(), ..reading(false, &[]) };
            match (extracting.text(&[text("/a/bc")]), expected) {
                (Ok(actual), Ok(part)) => assert_eq!(actual, Some(part), "{pattern}"),
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
                (actual, _) => panic!("{pattern}: {actual:?}"),
            }
        }
    }
}
