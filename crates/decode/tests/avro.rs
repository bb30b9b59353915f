//! Avro by our plans: the same events as JSON, whatever the writer's schema, and a reason for what is none.

use apache_avro::Schema;
use apache_avro::headers::{HeaderBuilder as _, RabinFingerprintHeader};
use apache_avro::reader::datum::GenericDatumReader;
use proptest::prelude::*;
use streamgauge_decode::{AvroDecoder, AvroEncoder, AvroSchemas, Framing, JsonDecoder, SchemaKey, schemas};
use streamgauge_events::event::{Field, NumberField, TextField, VALUE_MILLIONTHS_MAX};
use streamgauge_events::{Attributes, Event, EventTime, FieldSet, Kind, Reason};

fn current(kind: Kind, framing: Framing) -> AvroSchemas {
    AvroSchemas::new(kind, framing, &[(Some(1), schemas::current(kind))]).expect("our own schema")
}

/// A writer schema of these fields.
fn written_by(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"Theirs","fields":[{fields}]}}"#)
}

/// What becomes of a datum by a schema: the event as JSON, or the reason.
fn read(kind: Kind, schema: &str, datum: &[u8]) -> Result<String, Reason> {
    let schemas = AvroSchemas::new(kind, Framing::Confluent, &[(Some(7), schema)]).unwrap_or_else(|e| panic!("{e}"));
    let record = [&[0, 0, 0, 0, 7], datum].concat();
    let mut results = [FieldSet::ALL, FieldSet::NONE].map(|fields| {
        let mut decoder = AvroDecoder::new(&schemas, fields);
        decoder.decode(&record).map(|(key, event)| {
            assert_eq!(key, SchemaKey(7));
            String::from_utf8(event.to_json(kind)).expect("JSON is UTF-8")
        })
    });
    assert_eq!(results[0].is_ok(), results[1].is_ok(), "what is kept decides what is accepted");
    std::mem::replace(&mut results[0], Ok(String::new())).map_err(|rejection| rejection.reason)
}

fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [long(text.len() as i64), text.as_bytes().to_vec()].concat()
}

const TS: i64 = 1_767_607_200_125_000;
const TS_SERVICE: &str = r#"{"name":"ts","type":"long"},{"name":"service","type":"string"}"#;

fn ts_service() -> Vec<u8> {
    [long(TS), text("shop")].concat()
}

#[test]
fn old_and_new_writers_are_read_by_name() {
    // What the writer has, its bytes behind ts and service, and what we see of it.
    let rows: &[(&str, &str, Vec<u8>, &str)] = &[
        ("only what is required", "", vec![], ""),
        ("a field more, at the end", r#"{"name":"pod","type":"string"}"#, text("p-1"), ""),
        (
            "fields more, of every shape",
            r#"{"name":"a","type":{"type":"array","items":{"type":"map","values":"double"}}},
               {"name":"b","type":{"type":"fixed","name":"F","size":3}},
               {"name":"c","type":{"type":"enum","name":"E","symbols":["X","Y"]}},
               {"name":"d","type":["null","int",{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}]},
               {"name":"e","type":{"type":"int","logicalType":"date"}},
               {"name":"route","type":"string"}"#,
            [&[2, 2, 2, b'k'][..], &[0; 8], &[0, 0], b"abc", &[2], &[4, 2, 2, 0], &[8], &[4, b'/', b'x']].concat(),
            r#","route":"/x""#,
        ),
        (
            "an optional field required, a required one optional",
            r#"{"name":"status","type":"int"},{"name":"ok","type":["boolean","null"]}"#,
            [long(503), vec![0, 0]].concat(),
            r#","status":503,"ok":false"#,
        ),
        ("null behind the value", r#"{"name":"route","type":["string","null"]}"#, vec![2], ""),
        (
            "a union of more than one type",
            r#"{"name":"latency_us","type":["string","null","int","long"]}"#,
            [vec![6], long(1 << 40)].concat(),
            r#","latency_us":1099511627776"#,
        ),
        (
            "texts as bytes and as an enum",
            r#"{"name":"route","type":"bytes"},{"name":"method","type":{"type":"enum","name":"M","symbols":["GET","PUT"]}}"#,
            [text("/x"), vec![2]].concat(),
            r#","route":"/x","method":"PUT""#,
        ),
        (
            "a name of theirs, with our name as its alias",
            r#"{"name":"duration_micros","type":"long","aliases":["latency_us"]}"#,
            long(9),
            r#","latency_us":9"#,
        ),
        (
            "attributes in blocks of both forms",
            r#"{"name":"attributes","type":{"type":"map","values":"string"}}"#,
            [&[2][..], &text("a"), &text("1"), &[1, 8], &text("b"), &text("2"), &[0]].concat(),
            r#","attributes":{"a":"1","b":"2"}"#,
        ),
        (
            "attributes that are no texts",
            r#"{"name":"attributes","type":{"type":"map","values":"long"}}"#,
            [&[2][..], &text("a"), &[4, 0]].concat(),
            "",
        ),
    ];
    for (what, fields, bytes, expected) in rows {
        let comma = if fields.is_empty() { "" } else { "," };
        let schema = written_by(&format!("{TS_SERVICE}{comma}{fields}"));
        let datum = [ts_service(), bytes.clone()].concat();
        let expected = format!(r#"{{"ts":{TS},"service":"shop"{expected}}}"#);
        assert_eq!(read(Kind::Request, &schema, &datum), Ok(expected), "{what}");
        for end in 0..datum.len() {
            assert_eq!(
                read(Kind::Request, &schema, &datum[..end]),
                Err(Reason::Undecodable),
                "{what}, cut off at {end}"
            );
        }
        assert_eq!(
            read(Kind::Request, &schema, &[&datum[..], &[0]].concat()),
            Err(Reason::Undecodable),
            "{what}, more"
        );
        let theirs = Schema::parse_str(&schema).expect("the schema of the row");
        let reader = GenericDatumReader::builder(&theirs).build().expect("the schema stands alone");
        assert!(reader.read_value(&mut datum.as_slice()).is_ok(), "{what}, by apache-avro");
    }
}

#[test]
fn times_and_values_of_other_types_become_ours_exactly() {
    let ts = |schema: &str, bytes: Vec<u8>| {
        let schema = written_by(&format!(r#"{{"name":"ts","type":{schema}}},{{"name":"service","type":"string"}}"#));
        read(Kind::Request, &schema, &[bytes, text("a")].concat())
    };
    let (micros, millis) =
        (r#"{"type":"long","logicalType":"timestamp-micros"}"#, r#"{"type":"long","logicalType":"timestamp-millis"}"#);
    for (what, found, expected) in [
        ("a long is microseconds", ts(r#""long""#, long(TS)), Ok(TS)),
        ("an int is, too", ts(r#""int""#, long(7)), Ok(7)),
        ("microseconds", ts(micros, long(TS)), Ok(TS)),
        ("milliseconds", ts(millis, long(TS / 1000)), Ok(TS)),
        ("milliseconds beyond 64 bits", ts(millis, long(i64::MAX)), Err(Reason::OutOfRange)),
        ("before 1970", ts(micros, long(-1)), Err(Reason::Negative)),
        ("behind the year 9999", ts(micros, long(EventTime::MAX_RECORD.0 + 1)), Err(Reason::OutOfRange)),
        ("an int of more than 32 bits", ts(r#""int""#, long(TS)), Err(Reason::Undecodable)),
        ("null", ts(r#"["null","long"]"#, vec![0]), Err(Reason::MissingField)),
        ("no such branch", ts(r#"["null","long"]"#, vec![4]), Err(Reason::Undecodable)),
        ("a branch that is no time", ts(r#"["string","long"]"#, vec![0, 0]), Err(Reason::WrongType)),
    ] {
        let expected = expected.map(|ts| format!(r#"{{"ts":{ts},"service":"a"}}"#));
        assert_eq!(found, expected, "{what}");
    }

    let value = |schema: &str, bytes: Vec<u8>| {
        let schema = written_by(&format!(
            r#"{TS_SERVICE},{{"name":"metric","type":"string"}},{{"name":"value","type":{schema}}}"#
        ));
        read(Kind::Resource, &schema, &[ts_service(), text("cpu"), bytes].concat())
    };
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":20,"scale":7}"#;
    let fixed = r#"{"type":"fixed","name":"D","size":2,"logicalType":"decimal","precision":4,"scale":2}"#;
    let double = |value: f64| value.to_le_bytes().to_vec();
    for (what, found, expected) in [
        ("an int", value(r#""int""#, long(-3)), Ok("-3")),
        ("a long", value(r#""long""#, long(35_184_372)), Ok("35184372")),
        ("a long out of range", value(r#""long""#, long(i64::MIN)), Err(Reason::OutOfRange)),
        ("a double", value(r#""double""#, double(0.1)), Ok("0.1")),
        ("a double, half-even", value(r#""double""#, double(0.007_812_5 / 2.0)), Ok("0.003906")),
        ("a float", value(r#""float""#, 0.1_f32.to_le_bytes().to_vec()), Ok("0.1")),
        ("not a number", value(r#""double""#, double(f64::NAN)), Err(Reason::WrongType)),
        ("infinity", value(r#""float""#, f32::NEG_INFINITY.to_le_bytes().to_vec()), Err(Reason::WrongType)),
        ("a double out of range", value(r#""double""#, double(1e300)), Err(Reason::OutOfRange)),
        ("decimal bytes, half-even", value(decimal, vec![2, 25]), Ok("0.000002")),
        ("decimal bytes, below zero", value(decimal, vec![4, 0xff, 0x85]), Ok("-0.000012")),
        ("a decimal of fixed size", value(fixed, vec![0xff, 0x85]), Ok("-1.23")),
        ("a decimal out of range", value(decimal, [vec![24], vec![0x7f; 12]].concat()), Err(Reason::OutOfRange)),
    ] {
        let expected =
            expected.map(|value| format!(r#"{{"ts":{TS},"service":"shop","metric":"cpu","value":{value}}}"#));
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn the_rules_of_json_hold_with_the_same_reasons() {
    let score = written_by(&format!(
        r#"{TS_SERVICE},{{"name":"metric","type":"string"}},{{"name":"good","type":["null","long"]}},
           {{"name":"total","type":["null","long"]}},{{"name":"route","type":["null","string"]}}"#
    ));
    let with = |metric: &str, good: Option<i64>, total: Option<i64>, route: Option<String>| {
        let number = |number: Option<i64>| number.map_or(vec![0], |number| [vec![2], long(number)].concat());
        let route = route.map_or(vec![0], |route| [vec![2], text(&route)].concat());
        read(Kind::Score, &score, &[ts_service(), text(metric), number(good), number(total), route].concat())
    };
    for (what, found, expected) in [
        ("all is well", with("m", Some(1), Some(2), Some("x".repeat(512))).map(drop), Ok(())),
        ("no value at all", with("m", None, None, None).map(drop), Err(Reason::MissingField)),
        ("good without total", with("m", Some(1), None, None).map(drop), Err(Reason::MissingField)),
        ("more good than there are", with("m", Some(3), Some(2), None).map(drop), Err(Reason::OutOfRange)),
        ("below zero", with("m", Some(-1), Some(2), None).map(drop), Err(Reason::Negative)),
        ("too many", with("m", Some(1), Some((1 << 32) + 1), None).map(drop), Err(Reason::OutOfRange)),
        ("a long label", with("m", Some(1), Some(2), Some("x".repeat(513))).map(drop), Err(Reason::OutOfRange)),
        ("an empty metric", with("", Some(1), Some(2), None).map(drop), Err(Reason::OutOfRange)),
    ] {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn bytes_made_to_do_harm_are_undecodable_at_once() {
    let with = |field: &str| written_by(&format!(r#"{TS_SERVICE},{{"name":"x","type":{field}}}"#));
    let chain = with(r#"{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}"#);
    let many = |count: i64| [long(count), vec![0]].concat();
    type Row = (&'static str, String, Vec<u8>, Result<(), Reason>);
    let rows: &[Row] = &[
        ("no end of nesting", chain.clone(), vec![2; 100_000], Err(Reason::Undecodable)),
        ("some nesting", chain, [vec![2; 60], vec![0]].concat(), Ok(())),
        (
            "a type of itself alone",
            with(r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#),
            vec![],
            Err(Reason::Undecodable),
        ),
        ("more items than bytes", with(r#"{"type":"array","items":"int"}"#), many(1 << 60), Err(Reason::Undecodable)),
        ("items of no width", with(r#"{"type":"array","items":"null"}"#), many(1 << 60), Ok(())),
        (
            "a block below zero",
            with(r#"{"type":"array","items":"null"}"#),
            [long(i64::MIN), long(-1), vec![0]].concat(),
            Err(Reason::Undecodable),
        ),
        (
            "a block of another size",
            with(r#"{"type":"array","items":"int"}"#),
            vec![1, 4, 2, 0],
            Err(Reason::Undecodable),
        ),
        ("a length below zero", with(r#""bytes""#), vec![1], Err(Reason::Undecodable)),
        ("a length beyond the end", with(r#""bytes""#), long(i64::MAX), Err(Reason::Undecodable)),
        ("an integer without end", with(r#""long""#), vec![0xff; 11], Err(Reason::Undecodable)),
        ("an integer of 65 bits", with(r#""long""#), [vec![0xff; 9], vec![2]].concat(), Err(Reason::Undecodable)),
        ("no UTF-8, unread", with(r#""string""#), vec![2, 0xff], Err(Reason::Undecodable)),
        ("no boolean", with(r#""boolean""#), vec![2], Err(Reason::Undecodable)),
        ("no such symbol", with(r#"{"type":"enum","name":"E","symbols":["A"]}"#), vec![2], Err(Reason::Undecodable)),
    ];
    for (what, schema, bytes, expected) in rows {
        let found = read(Kind::Request, schema, &[ts_service(), bytes.clone()].concat()).map(drop);
        assert_eq!(found, *expected, "{what}");
    }
}

#[test]
fn records_say_which_schema_is_theirs() {
    for kind in Kind::ALL {
        let schema = Schema::parse_str(schemas::current(kind)).expect("our own schema");
        // As apache-avro writes it; tests/fingerprints.rs has those of other libraries.
        let theirs = RabinFingerprintHeader::from_schema(&schema).build_header();
        let ours = current(kind, Framing::SingleObject);
        assert!(ours.keys().any(|key| Framing::SingleObject.head(key) == theirs), "{kind}");
    }
    let schemas = AvroSchemas::new(
        Kind::Request,
        Framing::Confluent,
        &[(Some(3), schemas::current(Kind::Request)), (Some(9), &written_by(TS_SERVICE))],
    )
    .expect("two schemas");
    assert_eq!(schemas.keys().collect::<Vec<_>>(), [SchemaKey(3), SchemaKey(9)]);
    let mut decoder = AvroDecoder::new(&schemas, FieldSet::ALL);
    let mut read =
        |head: &[u8]| decoder.decode(&[head, &ts_service()].concat()).map(|(key, _)| key).map_err(|r| r.to_string());
    assert_eq!(read(&[0, 0, 0, 0, 9]), Ok(SchemaKey(9)));
    for (head, expected) in [
        (
            &[0, 0, 0, 0, 4][..],
            "unknown_schema: no schema with id 4 is configured: add the writer's schema to those of the topic",
        ),
        (&[0xc3, 1, 0, 0, 9], "unknown_schema: does not begin with 00 and the id of a schema"),
        (b"{\"ts\":1}", "unknown_schema: does not begin with 00 and the id of a schema"),
    ] {
        assert_eq!(read(head), Err(expected.to_owned()));
    }
    for short in 0..5 {
        let rejection = decoder.decode(&[0, 0, 0, 0, 9][..short]).expect_err("no record");
        assert_eq!(rejection.reason, Reason::UnknownSchema, "{short} bytes");
    }
}

#[test]
fn schemas_that_can_not_be_read_say_what_to_do() {
    let one = |fields: &str| AvroSchemas::new(Kind::Request, Framing::Confluent, &[(Some(5), &written_by(fields))]);
    let with = |field: &str| one(&format!("{TS_SERVICE},{field}"));
    let current = schemas::current(Kind::Request);
    let given = |schemas: &[(Option<u32>, &str)], framing| AvroSchemas::new(Kind::Request, framing, schemas);
    for (found, expected) in [
        (given(&[], Framing::Confluent), "no schema is given: name at least one writer schema of the topic"),
        (
            given(&[(None, current)], Framing::Confluent),
            "schema no. 1 has no id: records framed by Confluent's convention name their schema by it",
        ),
        (given(&[(Some(1), r#""string""#)], Framing::Confluent), "schema with id 1 is a string: events are records"),
        (
            given(&[(Some(1), current), (Some(1), current)], Framing::Confluent),
            "schemas with id 1 and with id 1 have the same id 1: give each once",
        ),
        (
            one(r#"{"name":"service","type":"string"}"#),
            r#"schema with id 5 has no field ts, which every request needs: add it, or give the field that stands for it the alias "ts""#,
        ),
        (
            with(r#"{"name":"status","type":"string"}"#),
            "schema with id 5, field status: a string can't be read as status; it must be an int or a long",
        ),
        (
            with(r#"{"name":"code","aliases":["status"],"type":["null","double"]}"#),
            "schema with id 5, field code: a union without a branch for it can't be read as status; it must be an int or a long",
        ),
        (
            with(r#"{"name":"attributes","type":{"type":"array","items":"string"}}"#),
            "schema with id 5, field attributes: an array can't be read as attributes; it must be a map",
        ),
        (
            with(
                r#"{"name":"a","aliases":["route"],"type":"string"},{"name":"b","aliases":["route"],"type":"string"}"#,
            ),
            "schema with id 5: a and b both stand for route: take the alias from one of them",
        ),
    ] {
        assert_eq!(found.map(drop).map_err(|error| error.to_string()), Err(expected.to_owned()));
    }
    let broken = given(&[(None, "{")], Framing::SingleObject).map(drop).map_err(|error| error.to_string());
    assert!(broken.as_ref().is_err_and(|error| error.starts_with("schema no. 1 can't be parsed: ")), "{broken:?}");
}

#[test]
fn every_example_is_the_same_event_in_avro() {
    for (kind, file) in [
        (Kind::Request, include_str!("../../../schemas/request.example.jsonl")),
        (Kind::Score, include_str!("../../../schemas/score.example.jsonl")),
        (Kind::Resource, include_str!("../../../schemas/resource.example.jsonl")),
    ] {
        let schemas = current(kind, Framing::SingleObject);
        let encoder = AvroEncoder::new(kind, Framing::SingleObject, schemas.keys().next().expect("one schema"));
        let mut decoder = AvroDecoder::new(&schemas, FieldSet::ALL);
        for line in file.lines() {
            let mut expected =
                Event::from_json(kind, line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
            let avro = encoder.encode(&expected);
            let (_, mut found) = decoder.decode(&avro).unwrap_or_else(|error| panic!("{error}: {line}"));
            for name in ["judge", "sampled_by", "node", "unit", "plan", "turns", "payment", "absent"] {
                assert_eq!(found.attributes.get(name), expected.attributes.get(name), "{name} of {line}");
            }
            (found.attributes, expected.attributes) = (Attributes::None, Attributes::None);
            assert_eq!(found, expected, "{line}");
            for end in 0..avro.len() {
                let reason = if end < 10 { Reason::UnknownSchema } else { Reason::Undecodable };
                let rejection = decoder.decode(&avro[..end]).expect_err("cut off");
                assert_eq!(rejection.reason, reason, "{line} in Avro, cut off at {end}");
            }
        }
    }
}

fn event(kind: Kind) -> impl Strategy<Value = (Event<'static>, Vec<(String, String)>)> {
    let texts = prop::collection::vec(prop::option::of("[a-z/\"\\\\\u{0}東]{1,12}"), TextField::COUNT);
    let numbers =
        (0..1000_i64, 0..=1_i64 << 45, -VALUE_MILLIONTHS_MAX..=VALUE_MILLIONTHS_MAX, 0..1000_i64, 1000..=1_i64 << 32);
    let present = any::<u32>();
    let attributes = prop::collection::vec(("[a-c\"]{0,3}", "[x-z\\\\é]{0,5}"), 0..4);
    (0..=EventTime::MAX_RECORD.0, texts, numbers, present, prop::option::of(any::<bool>()), attributes).prop_map(
        move |(ts, texts, (status, latency_us, value, good, total), present, ok, attributes)| {
            let mut event = Event::new(EventTime(ts), "shop");
            let numbers = [status, latency_us, value, good, total];
            for field in kind.fields() {
                let counts = matches!(field, Field::Number(NumberField::Good | NumberField::Total));
                let required = kind.required().contains(field) || counts;
                match *field {
                    Field::Text(name) => {
                        if let Some(text) = texts[name as usize].clone().or(required.then(|| "needed".to_owned())) {
                            event.set_text(name, text.into());
                        }
                    }
                    Field::Number(number) if required || present & 1 << field.index() != 0 => {
                        event.set_number(number, numbers[number as usize]);
                    }
                    Field::Ok => event.ok = ok,
                    _ => {}
                }
            }
            (event, attributes)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_same_event_is_equal_by_both_formats(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        events in Kind::ALL.map(event),
        framing in prop::sample::select(vec![Framing::SingleObject, Framing::Confluent]),
        kept in prop::sample::select(vec![FieldSet::ALL, FieldSet::NONE, FieldSet::NONE.with(Field::Attributes)]),
    ) {
        let (event, attributes) = &events[kind as usize];
        let attributes: std::collections::BTreeMap<_, _> = attributes.iter().cloned().collect();
        let object = serde_json::to_string(&attributes).expect("texts have a JSON form");
        let mut event = event.clone();
        event.attributes = Attributes::Json(&object);
        let json = event.to_json(kind);
        let by_json = JsonDecoder::new(kind, kept).decode(&json);
        prop_assert_eq!(&by_json, &Ok(event.clone().restricted(kind, kept)));

        let schemas = current(kind, framing);
        let key = schemas.keys().next().expect("one schema");
        let avro = AvroEncoder::new(kind, framing, key).encode(&event);
        let (found_key, mut by_avro) = AvroDecoder::new(&schemas, kept).decode(&avro).expect("our own record");
        prop_assert_eq!(found_key, key);
        let mut by_json = by_json.expect("compared above");
        for name in attributes.keys() {
            prop_assert_eq!(by_avro.attributes.get(name), by_json.attributes.get(name));
        }
        prop_assert_eq!(by_avro.attributes.to_json(), by_json.attributes.to_json());
        (by_avro.attributes, by_json.attributes) = (Attributes::None, Attributes::None);
        prop_assert_eq!(by_avro, by_json);

        let schema = Schema::parse_str(schemas::current(kind)).expect("our own schema");
        let reader = GenericDatumReader::builder(&schema).build().expect("the schema stands alone");
        let mut datum = &avro[framing.head(key).len()..];
        prop_assert!(reader.read_value(&mut datum).is_ok());
        prop_assert!(datum.is_empty(), "apache-avro leaves {} bytes", datum.len());
    }
}
