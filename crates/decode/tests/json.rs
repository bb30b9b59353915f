//! JSON by the quick way: the same events, the same rejections as by the exact one, at every edge.

use streamgauge_decode::JsonDecoder;
use streamgauge_events::event::{Field, NumberField, TextField};
use streamgauge_events::{Event, FieldSet, Kind};

const EXAMPLES: [(Kind, &str); 6] = [
    (Kind::Request, include_str!("../../../schemas/request.example.jsonl")),
    (Kind::Request, include_str!("../../../schemas/request.rejected.example.jsonl")),
    (Kind::Score, include_str!("../../../schemas/score.example.jsonl")),
    (Kind::Score, include_str!("../../../schemas/score.rejected.example.jsonl")),
    (Kind::Resource, include_str!("../../../schemas/resource.example.jsonl")),
    (Kind::Resource, include_str!("../../../schemas/resource.rejected.example.jsonl")),
];

/// Decoders that have learned every example, one for each set of fields.
fn taught(kind: Kind) -> Vec<(FieldSet, JsonDecoder)> {
    let route = FieldSet::NONE.with(Field::Text(TextField::Route));
    let sets = [FieldSet::NONE, FieldSet::ALL, route, route.with(Field::Attributes).with(Field::Ok)];
    let mut decoders = Vec::from(sets.map(|fields| (fields, JsonDecoder::new(kind, fields))));
    for (_, decoder) in &mut decoders {
        for line in EXAMPLES.iter().flat_map(|(_, file)| file.lines()) {
            drop(decoder.decode(line.as_bytes()));
        }
    }
    decoders
}

fn check(decoders: &mut [(FieldSet, JsonDecoder)], kind: Kind, record: &[u8]) {
    for (fields, decoder) in decoders {
        let expected = Event::from_json(kind, record).map(|event| event.restricted(kind, *fields));
        let text = String::from_utf8_lossy(&record[..record.len().min(2000)]);
        assert_eq!(decoder.decode(record), expected, "{kind}, {fields:?}: {text}");
    }
}

fn check_all(records: impl IntoIterator<Item = String>) {
    let mut decoders = Kind::ALL.map(|kind| (kind, taught(kind)));
    for record in records {
        for (kind, decoders) in &mut decoders {
            check(decoders, *kind, record.as_bytes());
        }
    }
}

#[test]
fn every_example_cut_off_anywhere_is_decided_exactly() {
    for (kind, file) in EXAMPLES {
        let mut decoders = taught(kind);
        for line in file.lines() {
            for end in 0..=line.len() {
                check(&mut decoders, kind, &line.as_bytes()[..end]);
            }
            check(&mut decoders, kind, format!("{line}x").as_bytes());
            check(&mut decoders, kind, format!("{line} \n").as_bytes());
        }
    }
}

#[test]
fn every_example_with_any_byte_changed_is_decided_exactly() {
    for (kind, file) in EXAMPLES {
        let mut decoders = taught(kind);
        for line in file.lines() {
            let mut bytes = line.as_bytes().to_vec();
            for at in 0..bytes.len() {
                for byte in [b'"', b'\\', b'{', b'}', b'[', b',', b':', b'0', b'-', b'e', b' ', b'\n', 0, 0x80, 0xff] {
                    let before = std::mem::replace(&mut bytes[at], byte);
                    check(&mut decoders, kind, &bytes);
                    bytes[at] = before;
                }
            }
        }
    }
}

#[test]
fn guesses_decide_nothing() {
    // Keys that are expected, where none may stand.
    let start = r#"{"ts":1767607200125000,"service":"checkout""#;
    check_all(
        [
            r#","service":"checkout","route":"/cart"}"#,
            r#"{"x":1{"ts":1767607200125000,"service":"checkout","metric":"cpu","value":1}"#,
            r#"{"ts":1767607200125000{"ts":1767607200125000,"service":"checkout"}"#,
            r#"{"ts":1767607200125000,,"service":"checkout"}"#,
            r#"{"ts":1767607200125000,"service":"checkout",}"#,
            r#"{"ts":1767607200125000,"service":"checkout"}}"#,
            r#"{,"ts":1767607200125000,"service":"checkout"}"#,
            r#"{"ts":1767607200125000,"service":"checkout","metric":"cpu","value":1,"service":"checkout"}"#,
            r#"{"ts":1767607200125000 ,"service":"checkout","metric":"cpu","value":1 }"#,
            r#"{"ts":1767607200125000,"service":"checkout\",\"route\":\"/cart","metric":"cpu","value":1}"#,
            r#"{"\u0074s":1767607200125000,"serv\u0069ce":"checkout","metric":"cpu","value":1}"#,
            r#"{"ts":1,"\u0074s":1,"service":"checkout","metric":"cpu","value":1}"#,
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([start.to_owned(), format!("{start}:"), format!("{start},"), format!("{start},\"")]),
    );
}

#[test]
fn lengths_around_words_and_blocks_are_decided_exactly() {
    let with =
        |text: String| format!(r#"{{"ts":1,"service":"a","metric":"m","value":1,"route":"{text}","version":"1"}}"#);
    let lengths = (0..=80).chain(500..=520).chain(4080..=4110).chain([70_000]);
    check_all(lengths.flat_map(|length| {
        [
            with("a".repeat(length)),
            with("東".repeat(length)),
            with(format!("{}\\n", "a".repeat(length))),
            with(format!("{}\"", "a".repeat(length))),
            with(format!("{}\u{1}", "a".repeat(length))),
            format!("{}{}", " ".repeat(length), with(String::new())),
        ]
    }));
}

#[test]
fn bombs_of_depth_are_decided_exactly() {
    let depths = [1, 2, 62, 63, 64, 65, 66, 126, 127, 128, 129, 130, 1000, 100_000];
    check_all(depths.into_iter().flat_map(|depth| {
        ["other", "attributes", "route"].into_iter().flat_map(move |name| {
            let with = |value: String| format!(r#"{{"ts":1,"service":"a","metric":"m","value":1,"{name}":{value}}}"#);
            [
                with(format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
                with(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))),
                with(format!("{}1{}", "[{\"a\":".repeat(depth), "}]".repeat(depth))),
                with("[".repeat(depth)),
                with("{\"a\":".repeat(depth)),
                "[".repeat(depth),
            ]
        })
    }));
}

#[test]
fn lone_surrogates_are_decided_exactly_wherever_they_stand() {
    let texts = [
        r"\ud800",
        r"\udc00",
        r"\ud800\ud800",
        r"\ud83c\udf0a",
        r"\ud800x",
        r"\ud800\u0041",
        r"\uD83C\",
        r"\ud83",
        r"\u",
    ];
    let places = [
        r#"{"ts":1,"service":"a","metric":"m","value":1,"route":"@"}"#,
        r#"{"ts":1,"service":"a","metric":"m","value":1,"other":"@"}"#,
        r#"{"ts":1,"service":"a","metric":"m","value":1,"@":1}"#,
        r#"{"ts":1,"service":"a","metric":"m","value":1,"other":{"@":["@"]}}"#,
        r#"{"ts":1,"service":"a","metric":"m","value":1,"attributes":{"plan":"@"}}"#,
        r#"{"ts":1,"service":"@","metric":"@","value":1}"#,
    ];
    check_all(places.iter().flat_map(|place| texts.iter().map(|text| place.replace('@', text))));
}

#[test]
fn numbers_in_every_spelling_are_decided_exactly() {
    let numbers = [
        "0",
        "-0",
        "00",
        "01",
        "-1",
        "7",
        "99999999",
        "100000000",
        "1234567890123456",
        "12345678901234567",
        "0.5",
        "-0.5",
        "1.",
        ".1",
        "1e2",
        "1E+2",
        "1e-2",
        "1e",
        "1e+",
        "12345678.123456",
        "12345678.1234567",
        "123456789.5",
        "0.0000005",
        "0.0000015",
        "35184372.088832",
        "35184372.088833",
        "-35184372.088832",
        "253402300799999999",
        "253402300800000000",
        "1 ",
        "1x",
        "1_",
        "+1",
        "- 1",
        "999",
        "1000",
        "4294967296",
        "4294967297",
        "35184372088832",
        "35184372088833",
        "1e400",
        "nul",
        "null",
        "nulll",
        "truee",
        "true",
    ];
    let places = [
        r#"{"ts":@,"service":"a","metric":"m","value":1}"#,
        r#"{"ts":1,"service":"a","metric":"m","value":@}"#,
        r#"{"ts":1,"service":"a","metric":"m","value":1,"status":@,"latency_us":3,"ok":true}"#,
        r#"{"ts":1,"service":"a","metric":"m","value":1,"latency_us":@,"good":@,"total":@,"ok":@}"#,
        r#"{"ts":1,"service":"a","metric":"m","value":1,"other":@}"#,
        r#"{"service":"a","metric":"m","value":1,"ts":@}"#,
    ];
    check_all(places.iter().flat_map(|place| numbers.iter().map(|number| place.replace('@', number))));
}

#[test]
fn what_is_not_kept_is_checked_and_absent() {
    let value = br#"{"ts":1,"service":"a","route":"/x","status":200,"ok":true,"attributes":{"plan":"gold"}}"#;
    let mut decoder = JsonDecoder::new(Kind::Request, FieldSet::NONE);
    assert_eq!(decoder.decode(value), Ok(Event::new(streamgauge_events::EventTime(1), "a")));
    let mut decoder = JsonDecoder::new(Kind::Request, FieldSet::NONE.with(Field::Number(NumberField::Status)));
    let event = decoder.decode(value).expect("a request");
    assert_eq!((event.number(NumberField::Status), event.text(TextField::Route)), (Some(200), None));
}
