//! Records that somebody made to do harm: each is decided exactly, and what is said of it stays small.

use std::collections::BTreeMap;
use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use streamgauge_events::dead_letter::Origin;
use streamgauge_events::{DeadLetter, EventTime, Offset, Reason, Request};

/// A broker takes records of about a megabyte; a letter about one must be far under that.
const LETTER_BYTES_MAX: usize = 100_000;

fn letter_of(value: &[u8], key: &[u8]) -> DeadLetter {
    let rejection = Request::from_json(value).expect_err("no request");
    let origin = Origin {
        source: "requests",
        partition: 0,
        offset: Offset::MAX,
        timestamp: Some(EventTime(i64::MAX)),
        key: Some(key),
        value: Some(value),
    };
    DeadLetter::new(rejection, origin)
}

#[test]
fn no_record_makes_a_letter_that_would_not_fit_into_a_record() {
    let megabyte = 1_048_000;
    let text = |filling: &str| format!("\"{}\"", filling.repeat(megabyte / filling.len()));
    let with = |name: &str, value: String| format!(r#"{{"ts":1,"service":"a","{name}":{value}}}"#);
    for (what, value, reason) in [
        ("a text alone", text("a"), Reason::WrongType),
        ("a text alone that grows when it is shown", text("\\u0000"), Reason::WrongType),
        ("a text alone of wide characters", text("\u{1f30a}"), Reason::WrongType),
        ("a text where a number belongs", with("status", text("a")), Reason::WrongType),
        ("a text where an object belongs", with("attributes", text("a")), Reason::WrongType),
        ("a number of many digits", with("status", "1".repeat(megabyte)), Reason::OutOfRange),
        ("a number of many places", with("status", format!("0.{}1", "0".repeat(megabyte))), Reason::WrongType),
        ("a long label", with("route", text("a")), Reason::OutOfRange),
        ("control characters", "\u{1}".repeat(megabyte), Reason::Undecodable),
        ("an array of arrays", "[".repeat(megabyte), Reason::Undecodable),
    ] {
        let letter = letter_of(value.as_bytes(), &[1; 100_000]);
        assert_eq!(letter.reason, reason, "{what}");
        let bytes = letter.to_json().len();
        assert!(bytes < LETTER_BYTES_MAX, "{what}: a letter of {bytes} bytes");
    }
}

#[test]
fn exponents_beyond_a_million_decide_by_the_value_that_they_make() {
    let zeros = 1_000_005;
    for (what, number, expected) in [
        ("one, by way of a small fraction", format!("0.{}1e{}", "0".repeat(zeros), zeros + 1), Ok(Some(1))),
        ("one, by way of a large integer", format!("1{}e-{zeros}", "0".repeat(zeros)), Ok(Some(1))),
        ("a fraction", format!("1{}e-{}", "0".repeat(zeros), zeros + 3), Err(Reason::WrongType)),
        ("too large", format!("1{}e-{}", "0".repeat(zeros), zeros - 3), Err(Reason::OutOfRange)),
        ("exponents without end", format!("1e{}", "9".repeat(zeros)), Err(Reason::OutOfRange)),
        ("exponents without end, down", format!("1e-{}", "9".repeat(zeros)), Err(Reason::WrongType)),
    ] {
        let record = format!(r#"{{"ts":1,"service":"a","status":{number}}}"#);
        let found = Request::from_json(record.as_bytes()).map(|request| request.status);
        assert_eq!(found.map_err(|rejection| rejection.reason), expected, "{what}");
    }
}

/// The members of an object in their order, however often a name stands there.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    // A generic value holds no number beyond the floats, and what nobody asks for need not be one.
                    if name == "attributes" || !NAMES.contains(&name.as_str()) {
                        let raw: Box<RawValue> = map.next_value()?;
                        members.push((name, Value::from(raw.get().chars().take(1).collect::<String>())));
                    } else {
                        members.push((name, map.next_value()?));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

const NAMES: [&str; 14] = [
    "ts",
    "service",
    "event_id",
    "tenant",
    "route",
    "method",
    "status",
    "ok",
    "latency_us",
    "version",
    "environment",
    "region",
    "trace_id",
    "attributes",
];

/// What a generic reader makes of a record; floats stand for decimals, and are exact for the numbers below.
fn read_by_value(text: &str) -> Option<Vec<(&'static str, Value)>> {
    let all = serde_json::from_str::<Members>(text).ok()?.0;
    let known: Vec<(String, Value)> = all.into_iter().filter(|(name, _)| NAMES.contains(&name.as_str())).collect();
    let count = known.len();
    let members: BTreeMap<String, Value> = known.into_iter().collect();
    if members.len() < count {
        return None;
    }
    let integer = |name: &str, max: u64| match members.get(name) {
        None | Some(Value::Null) => Some(Value::Null),
        Some(number) => {
            let exact = number.as_u64().or_else(|| {
                number.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0 && *float < 1e19).map(|f| f as u64)
            });
            exact.filter(|exact| *exact <= max).map(Value::from)
        }
    };
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Some(Value::Null),
        Some(Value::String(text)) if text.len() <= 512 => Some(Value::from(text.as_str())),
        Some(_) => None,
    };
    let ok = members.get("ok").unwrap_or(&Value::Null);
    let fields = vec![
        ("ts", integer("ts", 253_402_300_799_999_999).filter(|ts| !ts.is_null())?),
        ("service", text("service").filter(|service| service.as_str().is_some_and(|text| !text.is_empty()))?),
        ("route", text("route")?),
        ("tenant", text("tenant")?),
        ("trace_id", text("trace_id")?),
        ("status", integer("status", 999)?),
        ("latency_us", integer("latency_us", 1 << 45)?),
        ("ok", Some(ok).filter(|ok| ok.is_null() || ok.is_boolean())?.clone()),
    ];
    members.get("attributes").is_none_or(|first| first == "{" || first == "n").then_some(fields)
}

fn check_against_value(text: &str) {
    let found = Request::from_json(text.as_bytes());
    let expected = read_by_value(text);
    match (found, expected) {
        (Ok(request), Some(fields)) => {
            let ours: Value = serde_json::from_slice(&request.to_json()).expect("our own JSON");
            for (name, value) in fields {
                assert_eq!(ours.get(name).unwrap_or(&Value::Null), &value, "{name} of {text}");
            }
        }
        (Err(_), None) => {}
        (Ok(request), None) => panic!("{request:?} was made of {text}"),
        (Err(rejection), Some(_)) => panic!("{rejection} for {text}"),
    }
}

/// Members, right and wrong, in several spellings.
fn member() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "ts",
        "\\u0074s",
        "service",
        "s\\u0065rvice",
        "route",
        "tenant",
        "trace_id",
        "status",
        "latency_us",
        "ok",
        "attributes",
        "other",
        "",
        "\\u0000",
        "TS",
        "ts ",
        "\\ud83c\\udf0a",
    ]);
    let value = prop::sample::select(vec![
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
        "3600000000",
        "3600000001",
        "35184372088832",
        "35184372088833",
        "3.5184372088832e13",
        "1E400",
        "1e-20",
        "1700000000000000",
        "00",
        "1.",
        ".5",
        "+1",
        "1e",
        "NaN",
        "Infinity",
        "0x10",
        "null",
        "true",
        "false",
        "\"a\"",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud83c\\udf0a\"",
        "\"\\ud800\"",
        "\"__other__\"",
        "\"a/b%\"",
        "\"\u{feff}\"",
        "{}",
        "{\"ts\":1}",
        "[]",
        "[1,{\"a\":[null]}]",
        "\"\t\"",
        "nul",
        "\"unclosed",
        "{\"a\":}",
    ]);
    let blank = prop::sample::select(vec!["", "", "", " ", "\n\t\r ", "\u{a0}", "\u{b}"]);
    (name, value, blank.clone(), blank).prop_map(|(name, value, a, b)| format!("{a}\"{name}\"{b}:{a}{value}{b}"))
}

fn record() -> impl Strategy<Value = String> {
    let frame =
        prop::sample::select(vec![("{", "}"), ("{", "}"), ("{", "}"), ("{", "}x"), ("\u{feff}{", "}"), ("[", "]")]);
    let base = prop::bool::weighted(0.8);
    (frame, base, prop::collection::vec(member(), 0..4), any::<prop::sample::Index>()).prop_map(
        |((open, close), base, mut members, at)| {
            if base {
                members.insert(at.index(members.len() + 1), r#""ts":1700000000000000,"service":"shop""#.to_owned());
            }
            format!("{open}{}{close}", members.join(","))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn a_generic_reader_accepts_the_same_records_with_the_same_values(text in record()) {
        check_against_value(&text);
    }

    #[test]
    fn changed_bytes_are_decided_alike(
        text in record(), place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = text.into_bytes();
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = byte;
            match std::str::from_utf8(&bytes) {
                Ok(text) => check_against_value(text),
                Err(_) => prop_assert_eq!(Request::from_json(&bytes).map_err(|r| r.reason), Err(Reason::Undecodable)),
            }
            bytes.truncate(cut.index(bytes.len()));
            if let Ok(text) = std::str::from_utf8(&bytes) {
                check_against_value(text);
            }
        }
    }
}
