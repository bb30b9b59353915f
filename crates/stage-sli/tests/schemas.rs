//! Which writer schemas a record may have: those of the definitions of its time, and what was rejected stays rejected.

use std::collections::BTreeMap;

use streamgauge_decode::{AvroEncoder, Framing, SchemaKey};
use streamgauge_definitions::{Bundle, BundleSettings, DataSource, Definitions, Format, WriterSchema};
use streamgauge_events::{DeadLetter, Event, EventTime, Kind, NumberField, Offset, Reason, TextField, topics};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{CommitMetadata, Counting as _, Ledger, Outbox, Record, Source, TimeSettings};
use streamgauge_stage_sli::{SliCells, SliStage};

const SECOND: i64 = 1_000_000;
const MACHINES: &str = "machines";

/// Definitions with the schemas of these ids; their texts are the same.
fn stage(ids: &[u32], heard_of: &[&[u32]]) -> SliStage {
    let bundle = |ids: &[u32]| {
        let schema = streamgauge_decode::schemas::current(Kind::Resource).to_owned();
        let schemas = ids.iter().map(|id| WriterSchema { id: Some(*id), schema: schema.clone() }).collect();
        let format = Format::Avro { framing: Framing::Confluent, schemas };
        let source = DataSource { name: "fleet".to_owned(), event: Kind::Resource, format };
        let sources = BTreeMap::from([(MACHINES.to_owned(), source)]);
        Bundle { settings: BundleSettings::default(), definitions: Definitions { sources, ..Definitions::default() } }
    };
    let started_with = |ids: &[u32]| SliStage::new(topics::REQUESTS, time(), &bundle(ids)).expect("valid definitions");
    let mut stage = started_with(ids);
    for output in heard_of.iter().flat_map(|ids| started_with(ids).unsaved()) {
        stage.learn(&output.key, &output.value);
    }
    stage
}

fn time() -> TimeSettings {
    TimeSettings { late_horizon_us: 60 * SECOND, max_future_skew_us: None, ..TimeSettings::default() }
}

fn open(stage: &SliStage, committed: Option<(Offset, &CommitMetadata)>) -> Ledger<SliCells> {
    let opening = Opening {
        source: MACHINES,
        partition: 0,
        partitions: 1,
        offset: committed.map_or(0, |(offset, _)| offset),
        metadata: &committed.map_or_else(String::new, |(_, metadata)| metadata.encode()),
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle: stage.bundle(),
        time: time(),
    };
    let index = stage.topic_index(MACHINES).expect("the definitions name it");
    Ledger::open(&opening, stage.cells(index)).expect("it can be followed")
}

/// A record of that schema and second; a broken one where there is none.
fn record(id: u32, seconds: Option<i64>) -> Vec<u8> {
    let mut event = Event::new(EventTime(seconds.unwrap_or(0) * SECOND), "shop");
    event.set_text(TextField::Metric, "cpu".into());
    event.set_number(NumberField::Value, 500_000);
    let mut bytes = AvroEncoder::new(Kind::Resource, Framing::Confluent, SchemaKey(id.into())).encode(&event);
    if seconds.is_none() {
        bytes.truncate(7);
    }
    bytes
}

/// Folds records from an offset on; what became dead letters, by offset.
fn fold(ledger: &mut Ledger<SliCells>, from: Offset, records: &[Vec<u8>]) -> Vec<(Offset, Reason, String)> {
    let mut outbox = Outbox::default();
    for (offset, value) in (from..).zip(records) {
        let (source, value) = (Source { topic: 1, partition: 0 }, Some(value.as_slice()));
        let record = Record { source, offset, timestamp: None, key: None, value, rejected: None };
        ledger.fold(&record, &mut outbox).expect("the state is the same again");
    }
    let letters = outbox.outputs().iter().filter(|output| output.topic == topics::DEAD_LETTERS).map(|output| {
        let letter: DeadLetter = serde_json::from_slice(&output.value).expect("a dead letter");
        (letter.offset, letter.reason, letter.message)
    });
    letters.collect()
}

/// What happens when writers are upgraded first: their records are rejected until the new schema is defined, and the
/// next owner, who knows it, comes to the same state.
#[test]
fn what_was_rejected_before_a_schema_was_defined_stays_rejected() {
    let records = [record(7, Some(1000)), record(8, Some(1012)), record(8, None), record(8, Some(1013))];
    let (before, after) = (stage(&[7], &[]), stage(&[7, 8], &[&[7]]));
    let mut ledger = open(&before, None);
    let rejected: Vec<Offset> = fold(&mut ledger, 0, &records[..3]).into_iter().map(|letter| letter.0).collect();
    assert_eq!(rejected, [1, 2]);
    let mut next = open(&after, Some((3, &ledger.metadata(3))));
    assert_eq!(fold(&mut next, 0, &records), [], "what comes behind the change counts");
    // And once more, with the change between m and n.
    let mut last = open(&after, Some((4, &next.metadata(4))));
    fold(&mut last, next.metadata(4).m, &records[next.metadata(4).m as usize..]);
    last.passed(4).expect("the state is the same again");
}

#[test]
fn a_dead_letter_is_the_same_whatever_other_definitions_a_worker_has_heard_of() {
    // In order, too late, broken; by a schema that is defined and by one that is not.
    let records: Vec<Vec<u8>> =
        [7, 8].into_iter().flat_map(|id| [record(id, Some(1000)), record(id, Some(100)), record(id, None)]).collect();
    let letters = |heard_of: &[&[u32]]| fold(&mut open(&stage(&[7], heard_of), None), 0, &records);
    let reasons: Vec<Reason> = letters(&[]).into_iter().map(|letter| letter.1).collect();
    let unknown = Reason::UnknownSchema;
    assert_eq!(reasons, [Reason::TooLate, Reason::Undecodable, unknown, unknown, unknown]);
    assert_eq!(letters(&[]), letters(&[&[8], &[7, 8, 9]]));
}

/// "A field of another name is read once the schema in the configuration says so": from the pane on at which these
/// definitions begin, since "panes before it stay with the definitions that they had". Whoever takes over in between
/// comes to the state of the owner before.
#[test]
fn an_alias_that_comes_later_changes_no_pane_that_was_begun() {
    let stage = |alias: &str, heard_of: Option<&SliStage>| {
        let schema = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"ts","type":"long"}},{{"name":"service","type":"string"}},
                {{"name":"metric","type":"string"}},{{"name":"value","type":"double"}},
                {{"name":"pod","type":"string"{alias}}}]}}"#
        );
        let format = Format::Avro { framing: Framing::Confluent, schemas: vec![WriterSchema { id: Some(7), schema }] };
        let source = DataSource { name: "fleet".to_owned(), event: Kind::Resource, format };
        let sources = BTreeMap::from([(MACHINES.to_owned(), source)]);
        let definitions = Definitions { sources, ..Definitions::default() };
        let bundle = Bundle { settings: BundleSettings::default(), definitions };
        let mut stage = SliStage::new(topics::REQUESTS, time(), &bundle).expect("valid definitions");
        heard_of.iter().flat_map(|before| before.unsaved()).for_each(|output| stage.learn(&output.key, &output.value));
        stage
    };
    // Second 1000 as a zigzag varint, "a", "m", 0.0, "p".
    let zigzag = |mut rest: u64| {
        let mut bytes = Vec::new();
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    };
    let record = [&[0, 0, 0, 0, 7][..], &zigzag(2 * 1000 * SECOND as u64), b"\x02a\x02m", &[0; 8], b"\x02p"].concat();
    let before = stage("", None);
    let mut ledger = open(&before, None);
    assert_eq!(fold(&mut ledger, 0, std::slice::from_ref(&record)), []);
    // Nobody but the definitions has changed, and the record lies in an open pane.
    let mut next = open(&stage(r#","aliases":["instance"]"#, Some(&before)), Some((1, &ledger.metadata(1))));
    assert_eq!(fold(&mut next, 0, &[record]), []);
    next.passed(1).expect("the state is the same again");
}
