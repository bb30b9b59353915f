//! Records → events, as the documentation says it: JSON by way of a generic value, Avro by way of the reference
//! implementation, decimals digit by digit.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as AvroValue;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

const TS_MAX: i128 = 253_402_300_799_999_999;
const DECIMAL_MAX: i128 = 1 << 45;
const TEXT_BYTES_MAX: usize = 512;
const PLACES: i64 = 6;

/// What happened, by the names of the fields.
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub ts: i64,
    texts: BTreeMap<&'static str, String>,
    /// `value` in millionths.
    numbers: BTreeMap<&'static str, i128>,
    ok: Option<bool>,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Score,
    Resource,
}

#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer(i128),
    Decimal,
    Flag,
    Attributes,
}

impl Kind {
    fn fields(self) -> BTreeMap<&'static str, Type> {
        let common = ["service", "event_id", "tenant", "version", "environment", "region"];
        let mut fields: BTreeMap<_, _> = common.into_iter().map(|name| (name, Type::Text)).collect();
        fields.extend([("ts", Type::Integer(TS_MAX)), ("attributes", Type::Attributes)]);
        match self {
            Self::Request => fields.extend([
                ("route", Type::Text),
                ("method", Type::Text),
                ("trace_id", Type::Text),
                ("status", Type::Integer(999)),
                ("latency_us", Type::Integer(1 << 45)),
                ("ok", Type::Flag),
            ]),
            Self::Score => fields.extend([
                ("metric", Type::Text),
                ("route", Type::Text),
                ("trace_id", Type::Text),
                ("value", Type::Decimal),
                ("good", Type::Integer(1 << 32)),
                ("total", Type::Integer(1 << 32)),
            ]),
            Self::Resource => {
                fields.extend([("metric", Type::Text), ("instance", Type::Text), ("value", Type::Decimal)]);
            }
        }
        fields
    }

    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Request => &["ts", "service"],
            Self::Score => &["ts", "service", "metric"],
            Self::Resource => &["ts", "service", "metric", "value"],
        }
    }
}

impl Event {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    pub fn number(&self, name: &str) -> Option<i128> {
        self.numbers.get(name).copied()
    }

    /// The value of a label: a field, or an attribute.
    pub fn label(&self, name: &str) -> Option<&str> {
        match name.strip_prefix("attributes.") {
            Some(attribute) => self.attributes.get(attribute).map(String::as_str),
            None => self.text(name),
        }
    }

    pub fn failed(&self) -> Option<bool> {
        let status = self.number("status");
        if self.ok.is_none() && status.is_none() {
            return None;
        }
        Some(self.ok == Some(false) || status >= Some(500))
    }

    /// A JSON record, or the reason why it is no event.
    pub fn of_json(kind: Kind, value: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(value).map_err(|_| "undecodable")?;
        let whole: Value = serde_json::from_str(text).map_err(|_| "undecodable")?;
        if !whole.is_object() {
            return Err("wrong_type");
        }
        let Members(members) = serde_json::from_str(text).map_err(|_| "undecodable")?;
        let mut event = Self::default();
        let mut seen = Vec::new();
        let fields = kind.fields();
        for (name, raw) in members {
            let Some((name, of)) = fields.get_key_value(name.as_str()) else { continue };
            if seen.contains(name) {
                return Err("duplicate_field");
            }
            seen.push(*name);
            if raw.get() != "null" {
                event.set_json(name, *of, raw.get())?;
            }
        }
        event.checked(kind)
    }

    fn set_json(&mut self, name: &'static str, of: Type, raw: &str) -> Result<(), &'static str> {
        let value: Value = serde_json::from_str(raw).map_err(|_| "undecodable")?;
        match (of, value) {
            (Type::Text, Value::String(text)) => drop(self.texts.insert(name, text)),
            (Type::Flag, Value::Bool(flag)) => self.ok = Some(flag),
            (Type::Integer(max), Value::Number(_)) => {
                let millionths = millionths(raw);
                if millionths % 1_000_000 != 0 {
                    return Err("wrong_type");
                }
                self.integer(name, millionths / 1_000_000, max)?;
            }
            (Type::Decimal, Value::Number(_)) => self.decimal(name, millionths(raw))?,
            (Type::Attributes, Value::Object(members)) => {
                for (name, value) in members {
                    if let Value::String(text) = value {
                        self.attributes.insert(name, text);
                    }
                }
            }
            _ => return Err("wrong_type"),
        }
        Ok(())
    }

    fn integer(&mut self, name: &'static str, value: i128, max: i128) -> Result<(), &'static str> {
        if value < 0 {
            return Err("negative");
        }
        if value > max {
            return Err("out_of_range");
        }
        self.numbers.insert(name, value);
        Ok(())
    }

    fn decimal(&mut self, name: &'static str, millionths: i128) -> Result<(), &'static str> {
        if millionths.abs() > DECIMAL_MAX {
            return Err("out_of_range");
        }
        self.numbers.insert(name, millionths);
        Ok(())
    }

    /// An Avro datum of a resource, or the reason why it is no event.
    pub fn of_avro(schema: &Schema, datum: &[u8]) -> Result<Self, &'static str> {
        let sound = "a schema of the simulator";
        let reader = GenericDatumReader::builder(schema).build().expect(sound);
        let value = reader.read_value(&mut &*datum).map_err(|_| "undecodable")?;
        // The reference implementation takes a datum that ends before a union for one that ends with nulls, and does not
        // look behind it: what it would have written itself tells.
        let writer = GenericDatumWriter::builder(schema).build().expect(sound);
        if writer.write_value_to_vec(value.clone()).ok().as_deref() != Some(datum) {
            return Err("undecodable");
        }
        let AvroValue::Record(members) = value else { return Err("undecodable") };
        let mut event = Self::default();
        let fields = Kind::Resource.fields();
        for (name, value) in members {
            let Some((name, _)) = fields.get_key_value(name.as_str()) else { continue };
            event.set_avro(name, value)?;
        }
        event.checked(Kind::Resource)
    }

    fn set_avro(&mut self, name: &'static str, value: AvroValue) -> Result<(), &'static str> {
        match value {
            AvroValue::Union(_, value) => return self.set_avro(name, *value),
            AvroValue::Null => {}
            AvroValue::String(text) | AvroValue::Enum(_, text) => drop(self.texts.insert(name, text)),
            AvroValue::TimestampMicros(us) => self.integer(name, us.into(), TS_MAX)?,
            AvroValue::TimestampMillis(ms) => self.integer(name, i128::from(ms) * 1000, TS_MAX)?,
            AvroValue::Double(value) if !value.is_finite() => return Err("wrong_type"),
            // So many places tell every double that is not far below a millionth.
            AvroValue::Double(value) => self.decimal(name, millionths(&format!("{value:.100}")))?,
            AvroValue::Long(value) => self.decimal(name, i128::from(value) * 1_000_000)?,
            AvroValue::Decimal(value) => {
                // The schemas of the simulator have seven places.
                let bytes = Vec::try_from(&value).map_err(|_| "undecodable")?;
                let first = if bytes.first().is_some_and(|byte| *byte > 127) { -1 } else { 0 };
                let number = bytes.iter().fold(first, |number: i128, byte| number * 256 + i128::from(*byte));
                self.decimal(name, millionths(&format!("{number}e-7")))?;
            }
            AvroValue::Map(entries) => {
                for (name, value) in entries {
                    if let AvroValue::String(text) = value {
                        self.attributes.insert(name, text);
                    }
                }
            }
            other => unreachable!("no schema of the simulator has {other:?}"),
        }
        Ok(())
    }

    fn checked(mut self, kind: Kind) -> Result<Self, &'static str> {
        for name in kind.required() {
            if !self.texts.contains_key(name) && !self.numbers.contains_key(name) {
                return Err("missing_field");
            }
        }
        self.ts = self.numbers.remove("ts").unwrap_or_default() as i64;
        if self.texts.values().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err("out_of_range");
        }
        if self.text("service") == Some("") || self.text("metric") == Some("") {
            return Err("out_of_range");
        }
        if kind == Kind::Score {
            match (self.number("value"), self.number("good"), self.number("total")) {
                (None, None, None) | (_, Some(_), None) | (_, None, Some(_)) => return Err("missing_field"),
                (_, Some(good), Some(total)) if good > total => return Err("out_of_range"),
                _ => {}
            }
        }
        self.attributes.retain(|_, text| text.len() <= TEXT_BYTES_MAX);
        Ok(self)
    }
}

/// An object with its members in order, those that stand twice, too.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A decimal, perhaps with an exponent, in millionths: the digits are moved, and what falls off is rounded half-even.
pub fn millionths(text: &str) -> i128 {
    let lower = text.to_ascii_lowercase();
    let (number, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut digits = format!("{whole}{fraction}");
    let mut point = whole.len() as i64 + exponent + PLACES;
    while point < 0 {
        digits.insert(0, '0');
        point += 1;
    }
    while (digits.len() as i64) < point {
        digits.push('0');
    }
    let (kept, cut) = digits.split_at(point as usize);
    let kept = kept.trim_start_matches('0');
    if kept.len() > 30 {
        return if negative { i128::MIN + 1 } else { i128::MAX };
    }
    let kept: i128 = if kept.is_empty() { 0 } else { kept.parse().expect("only digits are left") };
    let half = format!("5{}", "0".repeat(cut.len().saturating_sub(1)));
    let up = !cut.is_empty() && (cut > half.as_str() || (cut == half && kept % 2 == 1));
    let magnitude = kept + i128::from(up);
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::millionths;

    #[test]
    fn decimals_are_rounded_half_even() {
        for (text, expected) in [
            ("0", 0),
            ("1", 1_000_000),
            ("-4.25", -4_250_000),
            ("2.5e5", 250_000_000_000),
            ("0.0000005", 0),
            ("0.0000015", 2),
            ("-0.0000025", -2),
            ("0.00000250000001", 3),
            ("35e-7", 4),
            ("1e-9", 0),
            ("0.9999996", 1_000_000),
        ] {
            assert_eq!(millionths(text), expected, "{text}");
        }
    }
}
