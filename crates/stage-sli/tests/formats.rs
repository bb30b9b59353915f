//! The same events in JSON and in Avro make the same facts; and schemas count from the panes on for which they are defined.

use expect_test::{Expect, expect};
use streamgauge_decode::{AvroEncoder, AvroSchemas, Framing, JsonDecoder, SchemaKey, schemas};
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_events::{DeadLetter, Delta, Fact, FieldSet, Kind, topics};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{CommitMetadata, Counting as _, Halt, Ledger, Outbox, Record, Source, TimeSettings};
use streamgauge_stage_sli::{SliCells, SliStage};

/// 2026-01-05T10:00:00Z.
const START_US: i64 = 1_767_607_200_000_000;

/// What the topic `events` holds, and SLIs on it.
struct Setup {
    kind: Kind,
    /// The connection details behind topic and event: `format: avro, …`.
    format: String,
    slis: &'static [(&'static str, &'static str)],
}

impl Setup {
    fn bundle(&self) -> Bundle {
        let mut text = format!(
            "{{apiVersion: openslo/v1, kind: Service, metadata: {{name: checkout}}, spec: {{}}}}\n---\n\
             {{apiVersion: openslo/v1, kind: DataSource, metadata: {{name: it}}, spec: {{type: streamgauge, \
             connectionDetails: {{topic: events, event: {}, {}}}}}}}\n",
            self.kind, self.format
        );
        for (name, spec) in self.slis {
            let source = format!("{{metricSource: {{metricSourceRef: it, spec: {{service: checkout, {spec}}}}}}}");
            let metric = match spec.contains("slice:") {
                true => format!("{{thresholdMetric: {source}}}"),
                false => format!("{{ratioMetric: {{counter: true, rawType: success, raw: {source}}}}}"),
            };
            text +=
                &format!("---\n{{apiVersion: openslo/v1, kind: SLI, metadata: {{name: {name}}}, spec: {metric}}}\n");
        }
        let schema_file = |_: &str, name: &str| match name {
            "current.avsc" => Ok(schemas::current(self.kind).to_owned()),
            "redocumented.avsc" => Ok(schemas::current(self.kind).replacen("\"doc\": \"", "\"doc\": \"Now: ", 1)),
            _ => Err("there is no such file".to_owned()),
        };
        let definitions = Definitions::read([("slis.yaml", text.as_str())], &schema_file);
        let definitions = definitions.unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}"));
        Bundle { settings: BundleSettings::default(), definitions }
    }

    fn stage(&self) -> SliStage {
        let time = TimeSettings { max_future_skew_us: None, ..TimeSettings::default() };
        SliStage::new(topics::REQUESTS, time, &self.bundle()).expect("valid definitions")
    }

    /// The facts about these records, with the hash of the bundle, in which they differ by definition, left out.
    fn facts(&self, records: &[Vec<u8>]) -> Vec<String> {
        let stage = self.stage();
        let mut out = Outbox::default();
        let mut ledger = open(&stage, None);
        records.iter().enumerate().for_each(|(offset, record)| fold(&mut ledger, offset as i64, record, &mut out));
        ledger.end(records.len() as i64, &mut out);
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("JSON is UTF-8");
        let facts = out.outputs().iter().map(|output| text(&output.value).replace(stage.bundle(), "BUNDLE"));
        facts.collect()
    }
}

fn open(stage: &SliStage, committed: Option<(i64, &CommitMetadata)>) -> Ledger<SliCells> {
    try_open(stage, committed).expect("it can be followed")
}

fn try_open(stage: &SliStage, committed: Option<(i64, &CommitMetadata)>) -> Result<Ledger<SliCells>, Halt> {
    let opening = Opening {
        source: "events",
        partition: 0,
        partitions: 1,
        offset: committed.map_or(0, |(offset, _)| offset),
        metadata: &committed.map_or_else(String::new, |(_, metadata)| metadata.encode()),
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle: stage.bundle(),
        time: stage.time(),
    };
    let topic = stage.topic_index("events").expect("the stage reads the topic of its source");
    Ledger::open(&opening, stage.cells(topic))
}

fn fold(ledger: &mut Ledger<SliCells>, offset: i64, value: &[u8], out: &mut Outbox) {
    let source = Source { topic: 1, partition: 0 };
    let record = Record { source, offset, timestamp: None, key: None, value: Some(value), rejected: None };
    ledger.fold(&record, out).expect("the state is the same again");
}

/// A line of JSON as a framed record.
fn encoded(kind: Kind, framing: Framing, key: SchemaKey, json: &str) -> Vec<u8> {
    let mut decoder = JsonDecoder::new(kind, FieldSet::ALL);
    let event = decoder.decode(json.as_bytes()).unwrap_or_else(|rejection| panic!("{json}: {rejection:?}"));
    AvroEncoder::new(kind, framing, key).encode(&event)
}

fn fingerprint(kind: Kind) -> SchemaKey {
    let schemas = AvroSchemas::new(kind, Framing::SingleObject, &[(None, schemas::current(kind))]);
    schemas.expect("our own schema").keys().next().expect("one schema")
}

const CONFLUENT: &str = "format: avro, framing: confluent, schemas: [{id: 7, file: current.avsc}]";
const SINGLE_OBJECT: &str = "format: avro, framing: single-object, schemas: [{file: current.avsc}]";

/// Facts about the same events in three formats; the expected table names the deltas of the SLIs.
#[track_caller]
fn check_formats(kind: Kind, slis: &'static [(&'static str, &'static str)], lines: &[String], expected: Expect) {
    let setup = |format: &str| Setup { kind, format: format.to_owned(), slis };
    let records = |framing, key| lines.iter().map(|line| encoded(kind, framing, key, line)).collect::<Vec<_>>();
    let json = setup("format: json").facts(&lines.iter().map(|line| line.clone().into_bytes()).collect::<Vec<_>>());
    let confluent = setup(CONFLUENT).facts(&records(Framing::Confluent, SchemaKey(7)));
    let single_object = setup(SINGLE_OBJECT).facts(&records(Framing::SingleObject, fingerprint(kind)));
    assert_eq!(json, confluent);
    assert_eq!(json, single_object);
    let mut table = String::new();
    for fact in &json {
        if let Fact::Delta(delta) = Fact::from_json(fact.as_bytes()).expect("a fact, not a dead letter") {
            table += &row(&delta);
        }
    }
    expected.assert_eq(&table);
}

fn row(delta: &Delta) -> String {
    let Delta { sli, n, good, failed, unjudged, .. } = delta;
    let second = (delta.pane.0 - START_US) / 1_000_000;
    let labels: Vec<String> = delta.labels.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let mut row =
        format!("{second:02} s {sli}{}: n={n} good={good} failed={failed} unjudged={unjudged}", labels.concat());
    if let Some(values) = &delta.values {
        row += &format!(" values={} sum={} last={}", values.count, values.sum, values.last.value);
    }
    if let Some(latency) = &delta.latency {
        row += &format!(" sum={}us max={}us", latency.sum_us, latency.max_us);
    }
    row + "\n"
}

fn event(second: i64, rest: &str) -> String {
    format!(r#"{{"ts":{},"service":"checkout",{rest}}}"#, START_US + second * 1_000_000 + 250_001)
}

#[test]
fn requests_in_three_formats() {
    let lines = [
        event(
            1,
            r#""event_id":"01KE","tenant":"north","route":"/cart","method":"GET","status":200,"ok":true,"latency_us":18250"#,
        ),
        event(2, r#""route":"/pay","status":503,"latency_us":3000412,"version":"2.7.2","trace_id":"00f067aa0ba902b7""#),
        event(3, r#""route":"/pay","ok":false,"region":"eu""#),
        event(0, r#""route":"ä🌊","latency_us":0,"environment":"production","attributes":{"shard":"a","x":""}"#),
        event(12, r#""route":"/pay","status":200,"latency_us":35184372088832,"attributes":{"shard":"b"}"#),
        event(11, r#""attributes":{"shard":"a"}"#),
        event(3, r#""route":"","status":499,"latency_us":100000"#),
    ];
    check_formats(
        Kind::Request,
        &[
            ("ok", "good: status < 500, groupBy: {attributes.shard: [a], region: []}"),
            ("fast", "filter: route == '/pay', latencyThresholdUs: 300000, thresholdsUs: [100000]"),
            ("shard-a", "filter: attributes.shard == 'a', slice: 10s, traffic: {atLeastPerSec: 1}"),
        ],
        &lines,
        expect![[r#"
            00 s requests route=: n=1 good=1 failed=0 unjudged=0 sum=100000us max=100000us
            00 s requests route=/pay: n=1 good=0 failed=1 unjudged=0
            00 s requests route=/pay version=2.7.2: n=1 good=0 failed=1 unjudged=0
            00 s requests route=ä🌊: n=1 good=0 failed=0 unjudged=1 sum=0us max=0us
            00 s fast: n=2 good=0 failed=2 unjudged=0
            00 s ok: n=2 good=1 failed=1 unjudged=0
            00 s ok attributes.shard=a: n=1 good=0 failed=0 unjudged=1
            00 s ok region=eu: n=1 good=0 failed=1 unjudged=1
            00 s shard-a: n=1 good=1 failed=0 unjudged=0
            00 s requests route=/cart: n=1 good=1 failed=0 unjudged=0 sum=18250us max=18250us
            00 s ok: n=1 good=1 failed=0 unjudged=0
            10 s requests: n=1 good=0 failed=0 unjudged=1
            10 s requests route=/pay: n=1 good=1 failed=0 unjudged=0 sum=35184372088832us max=35184372088832us
            10 s fast: n=1 good=0 failed=0 unjudged=0 sum=35184372088832us max=35184372088832us
            10 s ok attributes.shard=a: n=1 good=0 failed=0 unjudged=1
            10 s ok attributes.shard=b: n=1 good=1 failed=0 unjudged=0
            10 s shard-a: n=1 good=1 failed=0 unjudged=0
        "#]],
    );
}

#[test]
fn scores_in_three_formats() {
    let lines = [
        event(1, r#""metric":"satisfaction","value":4"#),
        event(
            2,
            r#""metric":"groundedness","event_id":"01KE","tenant":"north","route":"/ask","value":0.8125,"trace_id":"4bf9""#,
        ),
        event(3, r#""metric":"copies","good":998,"total":1000,"attributes":{"judge":"panel-7"}"#),
        event(4, r#""metric":"satisfaction","value":-1.000001,"good":0,"total":1,"attributes":{"judge":"panel-8"}"#),
        event(3, r#""metric":"copies","good":0,"total":0"#),
        event(11, r#""metric":"satisfaction","value":-35184372.088832"#),
    ];
    check_formats(
        Kind::Score,
        &[
            ("copies", "filter: metric == 'copies', goodCount: good, totalCount: total"),
            ("happy", "good: value >= 0.85, groupBy: {attributes.judge: [], metric: [satisfaction]}"),
            ("mean", "slice: 10s, mean: {atLeast: 3}"),
            ("panel", "filter: \"attributes.judge in ['panel-7', 'panel-8']\", slice: 10s, freshness: {atMost: 10s}"),
        ],
        &lines,
        expect![[r#"
            00 s scores metric=copies: n=2 good=2 failed=0 unjudged=0
            00 s scores metric=satisfaction: n=2 good=2 failed=0 unjudged=0 values=2 sum=2999999 last=-1000001
            00 s copies: n=1000 good=998 failed=0 unjudged=0
            00 s happy attributes.judge=panel-7 metric=copies: n=1 good=0 failed=0 unjudged=1
            00 s happy attributes.judge=panel-8 metric=satisfaction: n=1 good=0 failed=0 unjudged=0 values=1 sum=-1000001 last=-1000001
            00 s happy metric=copies: n=1 good=0 failed=0 unjudged=1
            00 s happy metric=satisfaction: n=1 good=1 failed=0 unjudged=0 values=1 sum=4000000 last=4000000
            00 s mean: n=4 good=2 failed=0 unjudged=2 values=2 sum=2999999 last=-1000001
            00 s panel: n=2 good=2 failed=0 unjudged=0
            00 s scores metric=groundedness: n=1 good=1 failed=0 unjudged=0 values=1 sum=812500 last=812500
            00 s happy metric=groundedness: n=1 good=0 failed=0 unjudged=0 values=1 sum=812500 last=812500
            00 s mean: n=1 good=1 failed=0 unjudged=0 values=1 sum=812500 last=812500
            10 s scores metric=satisfaction: n=1 good=1 failed=0 unjudged=0 values=1 sum=-35184372088832 last=-35184372088832
            10 s happy metric=satisfaction: n=1 good=0 failed=0 unjudged=0 values=1 sum=-35184372088832 last=-35184372088832
            10 s mean: n=1 good=1 failed=0 unjudged=0 values=1 sum=-35184372088832 last=-35184372088832
        "#]],
    );
}

#[test]
fn samples_in_three_formats() {
    let lines = [
        event(1, r#""metric":"cpu","value":0.37,"instance":"pod-1""#),
        event(1, r#""metric":"cpu","value":0.38,"instance":"pod-2","attributes":{"node":"n-14"}"#),
        event(0, r#""metric":"cpu","value":1,"instance":"pod-1","version":"2.7.1","region":"eu-west""#),
        event(
            2,
            r#""metric":"memory_mib","value":1403.25,"instance":"pod-1","tenant":"north","environment":"production""#,
        ),
        event(11, r#""metric":"clock_offset_ms","value":-12.000001"#),
    ];
    check_formats(
        Kind::Resource,
        &[
            (
                "cpu",
                "filter: metric == 'cpu', groupBy: {instance: [pod-1]}, slice: 10s, saturation: {aggregate: last, atMost: 0.8}",
            ),
            ("low", "good: value < 1, groupBy: {attributes.node: []}"),
        ],
        &lines,
        expect![[r#"
            00 s resources instance=pod-1 metric=cpu: n=2 good=2 failed=0 unjudged=0 values=2 sum=1370000 last=370000
            00 s resources instance=pod-2 metric=cpu: n=1 good=1 failed=0 unjudged=0 values=1 sum=380000 last=380000
            00 s cpu instance=pod-1: n=2 good=2 failed=0 unjudged=0 values=2 sum=1370000 last=370000
            00 s cpu instance=pod-2: n=1 good=1 failed=0 unjudged=0 values=1 sum=380000 last=380000
            00 s low: n=2 good=1 failed=0 unjudged=0 values=2 sum=1370000 last=370000
            00 s low attributes.node=n-14: n=1 good=1 failed=0 unjudged=0 values=1 sum=380000 last=380000
            00 s resources instance=pod-1 metric=memory_mib: n=1 good=1 failed=0 unjudged=0 values=1 sum=1403250000 last=1403250000
            00 s low: n=1 good=0 failed=0 unjudged=0 values=1 sum=1403250000 last=1403250000
            10 s resources metric=clock_offset_ms: n=1 good=1 failed=0 unjudged=0 values=1 sum=-12000001 last=-12000001
            10 s low: n=1 good=1 failed=0 unjudged=0 values=1 sum=-12000001 last=-12000001
        "#]],
    );
}

/// Definitions change from one schema to two at an offset: what becomes of each record, by the schema that wrote it.
#[test]
fn a_schema_that_a_later_bundle_adds_does_not_count_for_earlier_panes() {
    let slis = &[("ok", "good: status < 500")];
    let setup = |schemas: &str| Setup {
        kind: Kind::Request,
        format: format!("format: avro, framing: confluent, schemas: [{schemas}]"),
        slis,
    };
    let before = setup("{id: 7, file: current.avsc}").stage();
    let mut after = setup("{id: 7, file: current.avsc}, {id: 8, file: current.avsc}").stage();
    before.unsaved().iter().for_each(|output| after.learn(&output.key, &output.value));

    let record =
        |second, id| encoded(Kind::Request, Framing::Confluent, SchemaKey(id), &event(second, r#""status":200"#));
    let records = [
        // Until here by the bundle that knows 7 alone.
        record(1, 7),
        record(2, 8),
        record(3, 7),
        // From here on by the one that knows both, from the pane behind the open one on.
        record(4, 8),
        record(4, 7),
        record(12, 8),
        record(12, 9),
        record(5, 8),
        record(21, 7),
        record(6, 8),
        record(7, 7),
        record(13, 8),
    ];
    let mut out = Outbox::default();
    let mut ledger = open(&before, None);
    (0..3).for_each(|offset| fold(&mut ledger, offset, &records[offset as usize], &mut out));
    let committed = ledger.metadata(3);
    let mut ledger = open(&after, Some((3, &committed)));
    (ledger.start()..12).for_each(|offset| {
        if offset == 3 {
            ledger.passed(3).expect("the state is the same again");
        }
        fold(&mut ledger, offset, &records[offset as usize], &mut out);
    });
    ledger.end(12, &mut out);
    let mut table = String::new();
    for output in out.outputs() {
        if output.topic == topics::DEAD_LETTERS {
            let letter: DeadLetter = serde_json::from_slice(&output.value).expect("a dead letter");
            table += &format!("offset {}: {}: {}\n", letter.offset, letter.reason, letter.message);
        } else if let Fact::Delta(delta) = Fact::from_json(&output.value).expect("a fact") {
            table += &row(&delta);
        }
    }
    expect![[r#"
        offset 1: unknown_schema: schema 8 is not among those that are defined for the time of the record: add the writer's schema to those of the topic
        offset 3: unknown_schema: schema 8 is not among those that are defined for the time of the record: add the writer's schema to those of the topic
        offset 6: unknown_schema: schema 9 is not among those that are defined for the time of the record: add the writer's schema to those of the topic
        offset 7: unknown_schema: schema 8 is not among those that are defined for the time of the record: add the writer's schema to those of the topic
        00 s requests: n=3 good=3 failed=0 unjudged=0
        00 s ok: n=3 good=3 failed=0 unjudged=0
        offset 9: unknown_schema: schema 8 is not among those that are defined for the time of the record: add the writer's schema to those of the topic
        00 s requests: n=1 good=1 failed=0 unjudged=0
        00 s ok: n=1 good=1 failed=0 unjudged=0
        10 s requests: n=2 good=2 failed=0 unjudged=0
        10 s ok: n=2 good=2 failed=0 unjudged=0
        20 s requests: n=1 good=1 failed=0 unjudged=0
        20 s ok: n=1 good=1 failed=0 unjudged=0
    "#]]
    .assert_eq(&table);
}

/// A schema whose documentation alone has changed has the fingerprint that it had.
#[test]
fn a_schema_may_be_documented_anew() {
    let setup = |file: &str| Setup {
        kind: Kind::Request,
        format: format!("format: avro, framing: single-object, schemas: [{{file: {file}}}]"),
        slis: &[],
    };
    let before = setup("current.avsc").stage();
    let mut after = setup("redocumented.avsc").stage();
    assert_ne!(before.bundle(), after.bundle());
    before.unsaved().iter().for_each(|output| after.learn(&output.key, &output.value));
    let key = fingerprint(Kind::Request);
    let record = |second| encoded(Kind::Request, Framing::SingleObject, key, &event(second, r#""status":200"#));
    let mut out = Outbox::default();
    let mut ledger = open(&before, None);
    fold(&mut ledger, 0, &record(1), &mut out);
    let committed = ledger.metadata(1);
    let mut ledger = open(&after, Some((1, &committed)));
    (0..2).for_each(|offset| fold(&mut ledger, offset, &record(1 + offset), &mut out));
    ledger.end(2, &mut out);
    assert!(out.outputs().iter().all(|output| output.topic == topics::SLI_WINDOWS));
}

/// Who reads a topic in another way than before can't go on from where the partition was.
#[test]
fn another_kind_of_events_halts_and_says_so() {
    let setup = |kind, format: &str| Setup { kind, format: format.to_owned(), slis: &[] };
    let before = setup(Kind::Request, SINGLE_OBJECT).stage();
    let mut ledger = open(&before, None);
    let json = event(1, r#""status":200"#);
    let record = encoded(Kind::Request, Framing::SingleObject, fingerprint(Kind::Request), &json);
    fold(&mut ledger, 0, &record, &mut Outbox::default());
    let committed = ledger.metadata(1);
    for (kind, format) in [
        (Kind::Score, SINGLE_OBJECT),
        (Kind::Request, CONFLUENT),
        (Kind::Resource, CONFLUENT),
        (Kind::Request, "format: json"),
    ] {
        let mut after = setup(kind, format).stage();
        before.unsaved().iter().for_each(|output| after.learn(&output.key, &output.value));
        let halt = try_open(&after, Some((1, &committed))).err();
        assert!(matches!(halt, Some(Halt::SourceChanged { .. })), "{kind}, {format}: {halt:?}");
    }
}
