//! Changed JSON records through [`JsonDecoder`], through the exact way and through a generic reader.

use serde_json::Value;
use serde_json::value::RawValue;
use streamgauge_decode::JsonDecoder;
use streamgauge_events::event::{Field, NumberField, TextField};
use streamgauge_events::{Event, FieldSet, Kind, Reason};

use super::random::Random;

pub struct JsonFuzz {
    random: Random,
    clean: Vec<Vec<u8>>,
    decoders: Vec<(Kind, FieldSet, JsonDecoder)>,
    pub accepted: u64,
}

/// What may stand as a value.
const VALUES: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "1",
    "200",
    "2e2",
    "20.0e1",
    "2000e-1",
    "200.5",
    "-1",
    "1e3",
    "999",
    "999.0",
    "1000",
    "00",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "1e+",
    "1E+2",
    "-",
    "--1",
    "35184372088832",
    "35184372088833",
    "3.5184372088832e13",
    "35184372.088832",
    "35184372.0888325",
    "-35184372.0888320000001",
    "35184372.0888321",
    "4294967296",
    "4294967297",
    "1E400",
    "1e-20",
    "1e999999999999",
    "0.0000005",
    "0.0000015",
    "0.00000150",
    "0.0000025000001",
    "12345678.123456",
    "123456789.1",
    "1700000000000000",
    "17000000000000000",
    "253402300799999999",
    "253402300800000000",
    "1767607200125000.0",
    "99999999999999999999999999999999999999",
    "NaN",
    "Infinity",
    "0x10",
    "null",
    "nul",
    "nulL",
    "true",
    "false",
    "tru",
    "falsE",
    "\"a\"",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud83c\\udf0a\"",
    "\"\\ud800\"",
    "\"\\udc00x\"",
    "\"\\ud800\\u0041\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\\"",
    "\"\\\\\"",
    "\"\\\"\"",
    "\"a\\/b\"",
    "\"\u{feff}\"",
    "\"東\"",
    "\"\t\"",
    "\"\u{7f}\"",
    "\"\u{1f}\"",
    "\"unclosed",
    "{}",
    "[]",
    "{ }",
    "[ ]",
    "{\"ts\":1}",
    "[1,{\"a\":[null]}]",
    "{\"a\":}",
    "{\"a\":1,}",
    "[1,]",
    "[,1]",
    "{,}",
    "{\"a\" 1}",
    "{\"plan\":\"gold\"}",
    "{\"a\":\"\\ud800\"}",
    "{\"\\ud800\":1}",
    "{\"a\":1e999}",
    "[[[[[[[[]]]]]]]]",
    "{\"a\":{\"b\":{\"c\":[{}]}}}",
    "[}",
    "{]",
];

const LONG_KEY: usize = 0;
const OTHER_KEYS: &[&str] = &[
    "a long name that no literal of thirty-two bytes can hold",
    "other",
    "",
    "\\u0000",
    "TS",
    "ts ",
    "\\u0074s",
    "s\\u0065rvice",
    "\\ud83c\\udf0a",
    "\\ud800",
    "v\\u0061lue",
    "a\\\"b",
    "東",
    "\\n",
    "attributes\\u0000",
    "servic\\u0065",
];

const BLANKS: &[&str] =
    &["", "", "", " ", "  ", "\n", "\t", "\r\n ", "\u{a0}", "\u{b}", "\u{0}", "/**/", "\n\n        "];

impl JsonFuzz {
    pub fn new(seed: u64, clean: Vec<Vec<u8>>) -> Self {
        let some = FieldSet::NONE
            .with(Field::Text(TextField::Route))
            .with(Field::Text(TextField::Version))
            .with(Field::Number(NumberField::Status))
            .with(Field::Number(NumberField::LatencyUs))
            .with(Field::Number(NumberField::Good));
        let sets = [FieldSet::NONE, FieldSet::ALL, some, FieldSet::NONE.with(Field::Attributes).with(Field::Ok)];
        let decoders = Kind::ALL
            .into_iter()
            .flat_map(|kind| sets.map(|fields| (kind, fields, JsonDecoder::new(kind, fields))))
            .collect();
        Self { random: Random(seed), clean, decoders, accepted: 0 }
    }

    /// One record through one decoder of each kind; what is wrong with it, if anything is.
    pub fn step(&mut self) -> Result<(), String> {
        let clean = self.random.below(self.clean.len());
        let record =
            if self.random.one_in(3) { self.clean[clean].clone() } else { self.changed(self.clean[clean].clone()) };
        self.check(&record)
    }

    pub fn check(&mut self, record: &[u8]) -> Result<(), String> {
        let set = self.random.below(4);
        for kind in 0..Kind::ALL.len() {
            let (kind, fields, decoder) = &mut self.decoders[kind * 4 + set];
            let exact = Event::from_json(*kind, record);
            let generic = generic(*kind, record);
            match (&exact, &generic) {
                (Ok(event), Generic::Members(members)) => compare(*kind, event, members)
                    .map_err(|field| format!("{kind}: {field} differs from a generic reader: {}", shown(record)))?,
                (Ok(_), Generic::NoJson) => return Err(format!("{kind}: accepted, but no JSON: {}", shown(record))),
                (Err(rejection), Generic::Members(_)) if rejection.reason == Reason::Undecodable => {
                    return Err(format!("{kind}: {rejection}, but JSON: {}", shown(record)));
                }
                _ => {}
            }
            self.accepted += u64::from(exact.is_ok());
            let expected = exact.map(|event| event.restricted(*kind, *fields));
            let found = decoder.decode(record);
            if found != expected {
                return Err(format!("{kind}, {fields:?}: {found:?}\n  not {expected:?}\n  for {}", shown(record)));
            }
        }
        Ok(())
    }

    fn changed(&mut self, mut record: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.random.below(3) {
            let random = &mut self.random;
            let at = random.below(record.len());
            match random.below(13) {
                0 if !record.is_empty() => record[at] ^= 1 << random.below(8),
                1 if !record.is_empty() => {
                    record[at] = *random.pick(b"\"\\{}[],:0123456789.eE+-tfn \n\0\x1f\x7f\x80\xff")
                }
                2 => record.truncate(at),
                3 => drop(record.splice(at..at, random.pick(BLANKS).bytes())),
                4 => {
                    let other = self.clean[self.random.below(self.clean.len())].clone();
                    let from = self.random.below(other.len());
                    let to = from + self.random.below(other.len() - from + 1);
                    record.splice(at..at, other[from..to].iter().copied());
                }
                5 => {
                    let end = at + random.below((record.len() - at).min(8) + 1);
                    record.drain(at..end);
                }
                6 => drop(record.splice(at..at, random.pick(VALUES).bytes())),
                // What opens a record stands where something goes on, or the other way round.
                7 => {
                    let joint = (at..record.len()).find(|at| matches!(record[*at], b',' | b'{'));
                    joint.into_iter().for_each(|at| record[at] ^= b',' ^ b'{');
                }
                _ => record = self.members_changed(&record),
            }
        }
        record
    }

    /// Changes members of a record as a whole, so that what results is still JSON most of the time.
    fn members_changed(&mut self, record: &[u8]) -> Vec<u8> {
        let Ok(members) = serde_json::from_slice::<Members>(record) else { return record.to_vec() };
        let mut members: Vec<(String, String)> = members
            .0
            .into_iter()
            .map(|(key, value)| (serde_json::to_string(&key).unwrap_or_default(), value))
            .collect();
        let random = &mut self.random;
        let kind = *random.pick(&Kind::ALL);
        let (open, mut between, colon, close) = match random.below(6) {
            0 => ("{", ", ", ": ", "}"),
            1 => ("{\n  ", ",\n  ", ": ", "\n}\n"),
            2 => (" {\t", "\r,", " :\t", " } "),
            _ => ("{", ",", ":", "}"),
        };
        for _ in 0..=random.below(2) {
            let at = random.below(members.len());
            let name = random.pick(kind.fields()).name();
            match random.below(10) {
                0 => (0..members.len()).for_each(|last| members.swap(last, random.below(last + 1))),
                1 if !members.is_empty() => members[at].1 = (*random.pick(VALUES)).to_owned(),
                2 if !members.is_empty() => members[at].1 = number(random),
                3 if !members.is_empty() => drop(members.remove(at)),
                4 => members.insert(at, (format!("\"{name}\""), (*random.pick(VALUES)).to_owned())),
                5 => {
                    members.insert(at, (format!("\"{}\"", random.pick(OTHER_KEYS)), (*random.pick(VALUES)).to_owned()))
                }
                6 if !members.is_empty() => members[at].1 = text(random),
                7 => {
                    let (depth, closed) = (random.below(200), random.one_in(2));
                    let value = format!("{}0{}", "[".repeat(depth), "]".repeat(if closed { depth } else { 64 }));
                    members.insert(at, (format!("\"{}\"", random.pick(&["deep", "attributes", "route"])), value));
                }
                // A key at the front that no shape can hold.
                8 => members.insert(0, (format!("\"{}\"", OTHER_KEYS[LONG_KEY]), "1".to_owned())),
                _ => between = *random.pick(&[",", ",,", "", ",\u{a0}", ":", ";", " , "]),
            }
        }
        let members: Vec<String> = members.into_iter().map(|(key, value)| format!("{key}{colon}{value}")).collect();
        format!("{open}{}{close}", members.join(between)).into_bytes()
    }
}

/// A number in some spelling.
fn number(random: &mut Random) -> String {
    let mut digits =
        |count: usize| (0..random.below(count)).map(|_| (b'0' + random.below(10) as u8) as char).collect::<String>();
    let (whole, fraction, exponent) = (digits(20), digits(12), digits(4));
    let sign = *random.pick(&["", "", "", "-"]);
    match random.below(6) {
        0 => format!("{sign}{whole}"),
        1 => format!("{sign}0.{fraction}"),
        2 => format!("{sign}{whole}.{fraction}"),
        3 => format!("{sign}{whole}e{exponent}"),
        4 => format!("{sign}{whole}.{fraction}E-{exponent}"),
        _ => format!("{}", random.next() >> random.below(64)),
    }
}

/// A text of some length, around the sizes at which something changes.
fn text(random: &mut Random) -> String {
    let length = match random.below(4) {
        0 => random.below(80),
        1 => 508 + random.below(8),
        2 => 4090 + random.below(20),
        _ => 60 + random.below(10),
    };
    let filling = *random.pick(&["a", "東", "\\n", "\\u00e9", "\\\\", "\\\"", "\u{7f}", " "]);
    format!("\"{}\"", filling.repeat(length / filling.len().max(1)))
}

/// The members of an object in their order.
struct Members(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push((key, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

enum Generic {
    NoJson,
    NoObject,
    /// By name, the last one where a name stands twice.
    Members(std::collections::BTreeMap<String, String>),
}

/// What serde_json makes of the record by itself.
fn generic(_kind: Kind, record: &[u8]) -> Generic {
    let Ok(text) = std::str::from_utf8(record) else { return Generic::NoJson };
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return Generic::NoJson;
    }
    match serde_json::from_str::<Members>(text) {
        Ok(members) => Generic::Members(members.0.into_iter().collect()),
        Err(_) => Generic::NoObject,
    }
}

/// The name of the first field that a generic value has otherwise. Floats stand for decimals, within their precision.
fn compare(
    kind: Kind,
    event: &Event,
    members: &std::collections::BTreeMap<String, String>,
) -> Result<(), &'static str> {
    for field in kind.fields() {
        let name = field.name();
        let raw = members.get(name).filter(|raw| *raw != "null");
        if raw.is_some() != event.has(*field) {
            return Err(name);
        }
        let Some(raw) = raw else { continue };
        let equal = match *field {
            Field::Ts => float(raw).is_some_and(|float| near(float, event.ts.0 as f64)),
            Field::Text(text) => {
                serde_json::from_str::<Value>(raw).ok().as_ref().and_then(Value::as_str) == event.text(text)
            }
            Field::Number(number) => {
                let scale = if number.is_decimal() { 1e6 } else { 1.0 };
                let found = event.number(number).unwrap_or_default() as f64 / scale;
                float(raw).is_some_and(|float| near(float, found) || (float - found).abs() <= 0.51 / 1e6)
            }
            Field::Ok => serde_json::from_str::<Value>(raw).ok().as_ref().and_then(Value::as_bool) == event.ok,
            Field::Attributes => event.attributes.to_json().as_deref() == Some(raw),
        };
        if !equal {
            return Err(name);
        }
    }
    Ok(())
}

fn float(raw: &str) -> Option<f64> {
    raw.parse::<f64>().ok()
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= one.abs() * 1e-15
}

pub fn shown(record: &[u8]) -> String {
    let head = &record[..record.len().min(6000)];
    format!("{} bytes, b\"{}\"", record.len(), head.escape_ascii())
}
