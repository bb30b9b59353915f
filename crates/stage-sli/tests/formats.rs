//! The same events in JSON and in Avro: the same deltas, byte for byte.

use streamgauge_decode::{AvroEncoder, AvroSchemas, Framing, SchemaKey, schemas};
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_events::{Event, Kind, topics};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{Ledger, Outbox, Record, Source, Stage as _, TimeSettings};
use streamgauge_stage_sli::SliStage;

const SLIS: &str = "
---
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
spec: {}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: search}
spec: {}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: paid}
spec: {ratioMetric: {counter: true, rawType: success, raw: {metricSource: {metricSourceRef: theirs, spec: {
  service: checkout, filter: 'attributes.payment != \"\" || route == \"/pay\"', good: status < 500, groupBy: {version: [2.7.1]}}}}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: fast}
spec: {ratioMetric: {counter: true, rawType: success, raw: {metricSource: {metricSourceRef: theirs, spec: {
  service: checkout, latencyThresholdUs: 20000}}}}}
";

const SCORES: &str = "
---
apiVersion: openslo/v1
kind: Service
metadata: {name: answers}
spec: {}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: satisfied}
spec: {thresholdMetric: {metricSource: {metricSourceRef: theirs, spec: {
  service: answers, filter: metric == 'satisfaction', groupBy: {attributes.plan: [gold]}, slice: 1m, mean: {atLeast: 3}}}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: harmless}
spec: {ratioMetric: {counter: true, rawType: success, raw: {metricSource: {metricSourceRef: theirs, spec: {
  service: answers, goodCount: good, totalCount: total}}}}}
";

const RESOURCES: &str = "
---
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
spec: {}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: saturated}
spec: {thresholdMetric: {metricSource: {metricSourceRef: theirs, spec: {
  service: checkout, filter: metric == 'cpu', groupBy: {instance: []}, slice: 1m, saturation: {aggregate: p95, atMost: 0.8}}}}}
";

/// All that one partition writes, with the definitions' hash, which tells the formats apart, replaced.
fn written(kind: Kind, format: &str, slis: &str, values: &[Vec<u8>]) -> Vec<String> {
    let topic = topics::of(kind);
    let text = format!(
        "apiVersion: openslo/v1\nkind: DataSource\nmetadata: {{name: theirs}}\nspec:\n  type: streamgauge\n  \
         connectionDetails: {{topic: {topic}, event: {kind}, {format}}}\n{slis}"
    );
    let definitions = Definitions::of_text("theirs.yaml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let time = TimeSettings { max_future_skew_us: None, ..TimeSettings::default() };
    let bundle = Bundle { settings: BundleSettings::default(), definitions };
    let stage = SliStage::new(topics::REQUESTS, time, &bundle).expect("valid definitions");
    let opening = Opening {
        source: topic,
        partition: 0,
        partitions: 1,
        offset: 0,
        metadata: "",
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle: stage.bundle(),
        time,
    };
    let index = stage.topic_index(topic).expect("the topic is described");
    let mut ledger = Ledger::open(&opening, stage.cells(index)).expect("a fresh chain");
    let mut outbox = Outbox::default();
    for (offset, value) in (0..).zip(values) {
        let source = Source { topic: index, partition: 0 };
        let record = Record { source, offset, timestamp: None, key: None, value: Some(value), rejected: None };
        ledger.fold(&record, &mut outbox).expect("nothing to compare with");
    }
    ledger.end(values.len() as i64, &mut outbox);
    let text = |value: &Vec<u8>| String::from_utf8_lossy(value).replace(stage.bundle(), "the definitions");
    outbox.outputs().iter().map(|output| text(&output.value)).collect()
}

fn check(kind: Kind, slis: &str, examples: &str) {
    let json: Vec<Vec<u8>> = examples.lines().map(|line| line.as_bytes().to_vec()).collect();
    assert!(json.len() >= 9);
    let expected = written(kind, "format: json", slis, &json);
    assert!(expected.iter().any(|fact| fact.contains("delta")), "{expected:?}");
    let schema = schemas::current(kind);
    for (framing, named) in [(Framing::SingleObject, ""), (Framing::Confluent, "id: 7, ")] {
        let id = (framing == Framing::Confluent).then_some(7);
        let known = AvroSchemas::new(kind, framing, &[(id, schema)]).expect("our own schema");
        let key: SchemaKey = known.keys().next().expect("one schema");
        let encoder = AvroEncoder::new(kind, framing, key);
        let event = |value: &Vec<u8>| encoder.encode(&Event::from_json(kind, value).expect("a valid example"));
        let avro: Vec<Vec<u8>> = json.iter().map(event).collect();
        let name = if framing == Framing::Confluent { "confluent" } else { "single-object" };
        let one_line = serde_json::from_str::<serde_json::Value>(schema).expect("a schema is JSON").to_string();
        let quoted = one_line.replace('\'', "''");
        let format = format!("format: avro, framing: {name}, schemas: [{{{named}schema: '{quoted}'}}]");
        assert_eq!(written(kind, &format, slis, &avro), expected, "{kind} in Avro, {name}");
    }
}

#[test]
fn requests_in_avro_count_as_they_do_in_json() {
    check(Kind::Request, SLIS, include_str!("../../../schemas/request.example.jsonl"));
}

#[test]
fn scores_in_avro_count_as_they_do_in_json() {
    check(Kind::Score, SCORES, include_str!("../../../schemas/score.example.jsonl"));
}

#[test]
fn resources_in_avro_count_as_they_do_in_json() {
    check(Kind::Resource, RESOURCES, include_str!("../../../schemas/resource.example.jsonl"));
}
