//! The files under `schemas/` say what the code does: every one is parsed, and compared with the types.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value as Json;
use streamgauge_events::event::{Field, NumberField};
use streamgauge_events::topics::{self, Topic};
use streamgauge_events::{Event, EventTime, Kind, Request};

const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas");

fn read(file: &str) -> String {
    let path = Path::new(SCHEMAS).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("schemas/{file}: {error}"))
}

#[test]
fn the_topic_table_is_the_files_that_lie_there() {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(Path::new(SCHEMAS).join("topics")).expect("schemas/topics can be listed") {
        let path: PathBuf = entry.expect("schemas/topics can be listed").path();
        let text = std::fs::read_to_string(&path).expect("a file that was listed can be read");
        let topic: Topic = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert_eq!(stem, topic.topic, "{} must be named after its topic", path.display());
        assert_eq!(topics::named(stem), Some(&topic), "{stem} is missing in FILES of crates/events/src/topics.rs");
        files.insert(stem.to_owned());
    }
    let table: BTreeSet<String> = topics::table().iter().map(|topic| topic.topic.clone()).collect();
    assert_eq!(files, table, "schemas/topics and the compiled table hold the same topics");
}

#[test]
fn every_topic_makes_sense() {
    for topic in topics::table() {
        let name = &topic.topic;
        assert!(Path::new(SCHEMAS).join(&topic.schema).is_file(), "{name}: schemas/{} does not exist", topic.schema);
        assert!(topic.partitions >= 1, "{name}: at least one partition");
        assert!(
            !topic.writers.is_empty() && !topic.readers.is_empty(),
            "{name}: somebody writes it, somebody reads it"
        );
        let compacted = topic.cleanup_policy == topics::CleanupPolicy::Compact;
        assert_eq!(
            compacted,
            topic.retention_hours.is_none(),
            "{name}: what is compacted is kept for ever, what is deleted is not"
        );
    }
}

fn request_schema() -> Schema {
    Schema::parse_str(&read("request-v1.avsc")).unwrap_or_else(|error| panic!("schemas/request-v1.avsc: {error}"))
}

fn fields_of(schema: &Schema) -> Vec<(String, Schema)> {
    let Schema::Record(record) = schema else { panic!("schemas/request-v1.avsc is no record") };
    record.fields.iter().map(|field| (field.name.clone(), field.schema.clone())).collect()
}

/// A literal without `..`: a new field of a request must be given a value here, and so a place in the schema.
#[test]
fn the_avro_schema_has_the_fields_of_a_request() {
    let text = || Some("x".into());
    let every_field = Request {
        ts: EventTime(1),
        service: "x".into(),
        event_id: text(),
        tenant: text(),
        route: text(),
        method: text(),
        status: Some(200),
        ok: Some(true),
        latency_us: Some(1),
        version: text(),
        environment: text(),
        region: text(),
        trace_id: text(),
    };
    let json: Json = serde_json::from_slice(&every_field.to_json()).expect("a request is JSON");
    let mut expected: BTreeSet<String> = json.as_object().expect("a request is an object").keys().cloned().collect();
    // Kept as it stands in the record.
    expected.insert("attributes".to_owned());
    let found: BTreeSet<String> = fields_of(&request_schema()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, expected, "fields of schemas/request-v1.avsc (left) and of a request (right)");
}

#[test]
fn every_example_request_is_read_and_fits_the_avro_schema() {
    let schema = request_schema();
    let writer = GenericDatumWriter::builder(&schema).build().expect("the schema stands alone");
    let reader = GenericDatumReader::builder(&schema).build().expect("the schema stands alone");
    let mut seen = BTreeSet::new();
    for (index, line) in read("request.example.jsonl").lines().enumerate() {
        let at = format!("schemas/request.example.jsonl:{}", index + 1);
        let request = Request::from_json(line.as_bytes()).unwrap_or_else(|rejection| panic!("{at}: {rejection}"));
        let written = request.to_json();
        assert_eq!(Request::from_json(&written), Ok(request), "{at}: writing and reading again gives the same");

        let json: Json = serde_json::from_slice(&written).expect("a request is JSON");
        seen.extend(json.as_object().expect("an object").keys().cloned());
        let record =
            Avro::Record(fields_of(&schema).iter().map(|field| (field.0.clone(), avro_of(&json, field))).collect());
        assert!(record.validate(&schema), "{at}: does not fit schemas/request-v1.avsc: {record:?}");
        let bytes = writer.write_value_to_vec(record.clone()).unwrap_or_else(|error| panic!("{at}: {error}"));
        let back = reader.read_value(&mut bytes.as_slice()).unwrap_or_else(|error| panic!("{at}: {error}"));
        assert_eq!(back, record, "{at}: through Avro and back");
    }
    let all: BTreeSet<String> = fields_of(&schema).into_iter().map(|(name, _)| name).collect();
    let missing: Vec<&String> = all.iter().filter(|name| !seen.contains(*name) && *name != "attributes").collect();
    assert!(missing.is_empty(), "no example shows {missing:?}");
}

/// The value of a field by its JSON form: a plain one, or the branch of a union with null.
fn avro_of(json: &Json, (name, schema): &(String, Schema)) -> Avro {
    let plain = match (&json[name], schema) {
        (Json::Null, _) => return Avro::Union(0, Box::new(Avro::Null)),
        (Json::Number(number), Schema::TimestampMicros) => {
            return Avro::TimestampMicros(number.as_i64().expect("ts is an integer"));
        }
        (Json::Number(number), _) if name == "status" => Avro::Int(number.as_i64().expect("an integer") as i32),
        (Json::Number(number), _) => Avro::Long(number.as_i64().expect("an integer")),
        (Json::Bool(value), _) => Avro::Boolean(*value),
        (Json::String(text), _) => Avro::String(text.clone()),
        (other, _) => panic!("{name}: no scalar: {other}"),
    };
    if matches!(schema, Schema::Union(_)) { Avro::Union(1, Box::new(plain)) } else { plain }
}

#[test]
fn every_rejected_example_is_rejected_or_out_of_time() {
    let mut reasons = BTreeSet::new();
    for (index, line) in read("request.rejected.example.jsonl").lines().enumerate() {
        match Request::from_json(line.as_bytes()) {
            Err(rejection) => drop(reasons.insert(rejection.reason.as_str())),
            // What is wrong with these is their time, which only the ledger can judge: a year ahead, a day behind.
            Ok(request) => {
                let days = (request.ts.0 - 1_767_607_236_000_000) / 86_400_000_000;
                assert!(
                    days >= 364 || days <= -1,
                    "schemas/request.rejected.example.jsonl:{}: nothing is wrong",
                    index + 1
                );
            }
        }
    }
    let expected = ["duplicate_field", "missing_field", "negative", "out_of_range", "undecodable", "wrong_type"];
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), expected, "one example for each reason of the decoder");
}

#[test]
fn every_kind_has_an_avro_schema_of_its_fields() {
    for kind in Kind::ALL {
        let file = format!("{kind}-v1.avsc");
        let schema = Schema::parse_str(&read(&file)).unwrap_or_else(|error| panic!("schemas/{file}: {error}"));
        let found = fields_of(&schema);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let expected: Vec<&str> = kind.fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, expected, "fields of schemas/{file} (left) and of the kind (right)");
        for (field, (name, schema)) in kind.fields().iter().zip(&found) {
            let (optional, plain) = match schema {
                Schema::Union(union) => (true, &union.variants()[1]),
                plain => (false, plain),
            };
            assert_eq!(optional, !kind.required().contains(field), "{name} in schemas/{file} is optional");
            let fits = match *field {
                Field::Ts => matches!(plain, Schema::TimestampMicros),
                Field::Text(_) => matches!(plain, Schema::String),
                Field::Number(NumberField::Status) => matches!(plain, Schema::Int),
                Field::Number(number) if number.is_decimal() => {
                    matches!(plain, Schema::Decimal(decimal) if decimal.scale == 6)
                        || matches!(plain, Schema::Ref { .. })
                }
                Field::Number(_) => matches!(plain, Schema::Long),
                Field::Ok => matches!(plain, Schema::Boolean),
                Field::Attributes => matches!(plain, Schema::Map(_)),
            };
            assert!(fits, "{name} in schemas/{file} is {plain:?}");
        }
    }
}

#[test]
fn every_example_of_every_kind_is_read_and_written_again() {
    for kind in Kind::ALL {
        let file = format!("{kind}.example.jsonl");
        let mut seen = BTreeSet::new();
        for (index, line) in read(&file).lines().enumerate() {
            let at = format!("schemas/{file}:{}", index + 1);
            let event = Event::from_json(kind, line.as_bytes()).unwrap_or_else(|rejection| panic!("{at}: {rejection}"));
            let written = event.to_json(kind);
            assert_eq!(Event::from_json(kind, &written), Ok(event.clone()), "{at}: writing and reading again");
            seen.extend(kind.fields().iter().filter(|field| event.has(**field)).map(|field| field.name()));
        }
        let missing: Vec<&str> =
            kind.fields().iter().map(|field| field.name()).filter(|name| !seen.contains(name)).collect();
        assert!(missing.is_empty(), "no example in schemas/{file} shows {missing:?}");
    }
}

#[test]
fn every_rejected_example_of_scores_and_resources_is_rejected() {
    for kind in [Kind::Score, Kind::Resource] {
        let file = format!("{kind}.rejected.example.jsonl");
        let mut reasons = BTreeSet::new();
        for (index, line) in read(&file).lines().enumerate() {
            match Event::from_json(kind, line.as_bytes()) {
                Err(rejection) => drop(reasons.insert(rejection.reason.as_str())),
                Ok(event) => panic!("schemas/{file}:{}: nothing is wrong with {event:?}", index + 1),
            }
        }
        let expected = ["duplicate_field", "missing_field", "negative", "out_of_range", "undecodable", "wrong_type"];
        assert_eq!(reasons.into_iter().collect::<Vec<_>>(), expected, "schemas/{file}: one for each reason");
    }
}
