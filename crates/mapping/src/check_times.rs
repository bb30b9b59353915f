//! What a mapping file says about times: formats, units, zones, durations.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_saphyr::Spanned;

use crate::check::{Checked, Checker};
use crate::decimal::Decimal;
use crate::definition::{FieldDefinition, PLACEHOLDER};
use crate::invalid::{did_you_mean, listed};
use crate::times::{TimeFormat, UNITS, check_pattern, unit_shift};

const TIME_FORMATS: [&str; 6] = ["rfc3339", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "relative"];

impl Checker<'_> {
    pub fn unit(&self, path: &str, unit: &Spanned<String>) -> Checked<i32> {
        unit_shift(&unit.value).ok_or_else(|| {
            let remedy = did_you_mean(&unit.value, &UNITS.map(|(name, _)| name), "Write `unit: ms`, or what it is.");
            self.source.invalid(unit, &format!("{path}.unit"), &format!("one of {}", unit_names()), &remedy)
        })
    }

    pub fn time_format(&self, path: &str, written: &Spanned<FieldDefinition>) -> Checked<TimeFormat> {
        let invalid = |key: &str, value: &Spanned<String>, expected: &str, remedy: &str| {
            Err(self.source.invalid(value, &format!("{path}.{key}"), expected, remedy))
        };
        let Some(format) = &written.value.format else {
            let remedy = "Add `format: rfc3339`, or what the times are.";
            let at = written.referenced;
            return Err(self.source.invalid_at(at, path, "no `format:`", &time_formats(), remedy));
        };
        let name = format.value.as_str();
        let is_pattern = name.contains('%');
        for (key, value, belongs) in [
            ("timezone", &written.value.timezone, is_pattern),
            ("epoch_base", &written.value.epoch_base, name == "relative"),
            ("unit", &written.value.unit, name == "relative"),
        ] {
            match value {
                Some(value) if !belongs => {
                    return invalid(key, value, &format!("no `{key}:` beside `format: {name}`"), "Remove it.");
                }
                None if belongs && !is_pattern => {
                    let expected = format!("`{key}:` beside it");
                    let remedy = "Write `{ format: relative, unit: ms, epoch_base: 2024-01-01T00:00:00Z }`.";
                    return invalid("format", format, &expected, remedy);
                }
                _ => {}
            }
        }
        match (name, &written.value.epoch_base, &written.value.unit) {
            ("rfc3339", ..) => Ok(TimeFormat::Rfc3339),
            ("relative", Some(base), Some(unit)) => {
                let shift = self.unit(path, unit)?;
                match base.value.parse::<Timestamp>() {
                    Ok(instant) => Ok(TimeFormat::Count { shift, base_us: instant.as_microsecond() }),
                    Err(_) => {
                        let expected = "an instant by RFC 3339, such as `2024-01-01T00:00:00Z`";
                        let remedy = match base.value.starts_with(PLACEHOLDER) {
                            true => "Write when the file's times begin; any instant keeps the distances between them.",
                            false => "Write date, time and offset.",
                        };
                        invalid("epoch_base", base, expected, remedy)
                    }
                }
            }
            _ if is_pattern => self.time_pattern(path, format, written.value.timezone.as_ref()),
            _ => match name.strip_prefix("epoch_").and_then(unit_shift) {
                Some(shift) => Ok(TimeFormat::Count { shift, base_us: 0 }),
                None => {
                    let remedy = did_you_mean(name, &TIME_FORMATS, "docs/mappings.md shows each with an example.");
                    invalid("format", format, &time_formats(), &remedy)
                }
            },
        }
    }

    fn time_pattern(
        &self,
        path: &str,
        format: &Spanned<String>,
        zone: Option<&Spanned<String>>,
    ) -> Checked<TimeFormat> {
        let zone = match zone {
            None => None,
            Some(name) => Some(TimeZone::get(&name.value).map_err(|_| {
                let expected = "a zone of the IANA database, such as `UTC` or `Europe/Berlin`";
                self.source.invalid(name, &format!("{path}.timezone"), expected, "Write its full name.")
            })?),
        };
        check_pattern(&format.value, zone.as_ref()).map_err(|problem| {
            let expected = "a strptime format that determines an instant";
            let remedy = format!("As it stands: {problem}.");
            self.source.invalid(format, &format!("{path}.format"), expected, &remedy)
        })?;
        Ok(TimeFormat::Pattern { format: format.value.clone(), zone })
    }
}

fn time_formats() -> String {
    format!("one of {} or a strptime format such as `%Y-%m-%d %H:%M:%S %z`", listed(TIME_FORMATS))
}

pub fn unit_names() -> String {
    listed(UNITS.map(|(name, _)| name))
}

/// `60s`, `1.5m`; up to a day.
pub fn duration_us(text: &str) -> Option<i64> {
    const DAY_US: i128 = 86_400_000_000;
    let (number, unit) = text.split_at(text.find(|char: char| char.is_ascii_alphabetic())?);
    let (seconds, shift) = match unit {
        "h" => (3600, 6),
        "m" | "min" => (60, 6),
        unit => (1, unit_shift(unit)?),
    };
    let us = Decimal::parse(number.trim_ascii())?.times(Decimal::from(seconds))?.rounded(shift)?;
    (0..=DAY_US).contains(&us).then_some(us as i64)
}

#[cfg(test)]
mod tests {
    use super::duration_us;

    #[test]
    fn durations() {
        let table = [
            ("60s", Some(60_000_000)),
            ("500ms", Some(500_000)),
            ("1.5m", Some(90_000_000)),
            ("5 min", Some(300_000_000)),
            ("0s", Some(0)),
            ("24h", Some(86_400_000_000)),
            ("25h", None),
            ("-1s", None),
            ("60", None),
            ("s", None),
            ("1 week", None),
        ];
        for (text, expected) in table {
            assert_eq!(duration_us(text), expected, "{text}");
        }
    }
}
