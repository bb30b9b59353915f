//! Records to feed, and the stage's ledger to feed them to, without a broker.

use anyhow::Context as _;
use streamgauge_decode::{AvroEncoder, AvroSchemas, Framing, schemas};
use streamgauge_definitions::Bundle;
use streamgauge_events::{Event, EventTime, Field, FieldSet, Kind, NumberField, TextField, topics};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{Counting as _, Ledger, Outbox, Record, Source, TimeSettings};
use streamgauge_stage_sli::{SliCells, SliStage};
use streamgauge_synthetic::{Generated, Generator, Scenario, Until};

/// The same records in every run.
pub const SEED: u64 = 1;
/// The rate that the `steady` scenario has by itself.
pub const STEADY_EVENTS_PER_SEC: f64 = 10_000.0;

/// About 100 series over three services, 250 bytes a record; 2% arrive out of order.
pub fn steady() -> anyhow::Result<Scenario> {
    Ok(Scenario::built_in("steady")?)
}

/// One service with `series` equally frequent routes, otherwise as `steady`.
pub fn with_series(series: u32) -> anyhow::Result<Scenario> {
    let yaml = format!(
        "
name: series-{series}
start: 2026-01-05T00:00:00Z
duration_secs: 600
partitions: 4
rate:
  constant: {{ events_per_sec: {STEADY_EVENTS_PER_SEC} }}
keys: {{ distinct: 100000, zipf_exponent: 0.9 }}
regions: [{{ name: eu-west, weight: 2 }}, {{ name: us-east, weight: 1 }}]
services:
  - service: gateway
    versions: [{{ version: 1.0.0 }}]
    error_share: 0.002
    client_error_share: 0.01
    latency:
      p50_us: 25000
      p95_us: 90000
      slow: {{ share: 0.01, p50_us: 600000, p95_us: 2000000 }}
    routes:
      - {{ route: /api, method: GET, copies: {series} }}
disorder:
  delayed: {{ share: 0.02, delay_secs_max: 4 }}
"
    );
    Scenario::from_yaml(&yaml).context("the scenario of the benchmarks")
}

/// The first records of a scenario, with keys and times as they would be sent.
pub fn generate(scenario: &Scenario, count: u64) -> Vec<Generated> {
    Generator::new(scenario, SEED).with_until(Until::Events(count)).collect()
}

/// What the golden signals and a definition by route and version read of a request.
pub fn needed() -> FieldSet {
    [
        Field::Text(TextField::Route),
        Field::Text(TextField::Version),
        Field::Number(NumberField::Status),
        Field::Number(NumberField::LatencyUs),
        Field::Ok,
    ]
    .into_iter()
    .collect()
}

/// Twenty services with five routes each, in one version; otherwise as `steady`.
pub fn twenty_services() -> anyhow::Result<Scenario> {
    let mut yaml = format!(
        "
name: twenty-services
start: 2026-01-05T00:00:00Z
duration_secs: 600
partitions: 4
rate:
  constant: {{ events_per_sec: {STEADY_EVENTS_PER_SEC} }}
keys: {{ distinct: 100000, zipf_exponent: 0.9 }}
regions: [{{ name: eu-west, weight: 2 }}, {{ name: us-east, weight: 1 }}]
disorder:
  delayed: {{ share: 0.02, delay_secs_max: 4 }}
services:
"
    );
    for service in 0..20 {
        yaml += &format!(
            "  - service: service-{service:02}
    versions: [{{ version: 1.0.0 }}]
    error_share: 0.002
    latency: {{ p50_us: 25000, p95_us: 90000 }}
    routes:
      - {{ route: /route, method: GET, copies: 5 }}
"
        );
    }
    Scenario::from_yaml(&yaml).context("the scenario of twenty services")
}

/// The first so many definitions for [`twenty_services`]: of each five, the kinds that people use most.
pub fn definitions(count: usize) -> String {
    let mut text = String::new();
    for service in 0..20 {
        text += &format!(
            "---\napiVersion: openslo/v1\nkind: Service\nmetadata: {{name: service-{service:02}}}\nspec: {{}}\n"
        );
    }
    for index in 0..count {
        let (service, kind) = (index % 20, index / 20);
        let name = format!("sli-{kind}-{service:02}");
        let source = format!("type: streamgauge, spec: {{topic: requests, service: service-{service:02}, ");
        let ratio = "counter: true, rawType: success, raw: {metricSource:";
        let metric = match kind {
            0 => format!("ratioMetric: {{{ratio} {{{source}good: status > 0 && status < 500}}}}}}}}"),
            1 => format!("ratioMetric: {{{ratio} {{{source}latencyThresholdUs: 300000}}}}}}}}"),
            2 => format!(
                "thresholdMetric: {{metricSource: {{{source}slice: 1m, percentile: {{quantile: 0.99, atMostUs: 500000}}}}}}}}"
            ),
            3 => format!(
                "ratioMetric: {{{ratio} {{{source}filter: 'route in [\"/route-1\", \"/route-2\"]', good: latency_us < 100000}}}}}}}}"
            ),
            _ => format!("thresholdMetric: {{metricSource: {{{source}slice: 1m, traffic: {{atLeastPerSec: 1}}}}}}}}"),
        };
        text += &format!("---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: {name}}}\nspec: {{{metric}}}\n");
    }
    text
}

/// A source that reads `requests` in Avro, by our newest schema.
pub fn avro_source() -> String {
    let schema = schemas::current(Kind::Request).replace('\'', "''").replace('\n', " ");
    format!(
        "apiVersion: openslo/v1
kind: DataSource
metadata: {{name: avro}}
spec:
  type: streamgauge
  connectionDetails: {{topic: requests, event: request, format: avro, framing: single-object, schemas: [{{schema: '{schema}'}}]}}
"
    )
}

/// Our newest schema of requests, and an encoder that writes by it in single-object encoding.
pub fn avro_encoder() -> anyhow::Result<(AvroSchemas, AvroEncoder)> {
    let schemas = AvroSchemas::new(Kind::Request, Framing::SingleObject, &[(None, schemas::current(Kind::Request))])?;
    let key = schemas.keys().next().context("one schema has one key")?;
    Ok((schemas, AvroEncoder::new(Kind::Request, Framing::SingleObject, key)))
}

/// The same records in Avro.
pub fn avro(records: &[Generated]) -> anyhow::Result<(AvroSchemas, Vec<Vec<u8>>)> {
    let (schemas, encoder) = avro_encoder()?;
    let values = records.iter().map(|record| Ok(encoder.encode(&Event::from_json(Kind::Request, &record.value)?)));
    let values = values.collect::<anyhow::Result<Vec<_>>>()?;
    Ok((schemas, values))
}

/// The worker's part between Kafka and the outbox: decode, fold, cut. One partition takes all records.
pub struct Folding {
    pub ledger: Ledger<SliCells>,
    pub outbox: Outbox,
    offset: i64,
}

impl Folding {
    /// `series_max` series are kept; panes and disorder as the stage has them by default.
    pub fn new(series_max: u32) -> anyhow::Result<Self> {
        let mut bundle = Bundle::default();
        bundle.settings.series_max = series_max;
        let time = TimeSettings::default();
        let stage = SliStage::new(topics::REQUESTS, time, &bundle)?;
        let opening = Opening {
            source: topics::REQUESTS,
            partition: 0,
            partitions: 1,
            offset: 0,
            metadata: "",
            log_start: 0,
            generation: 1,
            new_generation: false,
            bundle: stage.bundle(),
            time,
        };
        Ok(Self { ledger: Ledger::open(&opening, stage.cells(0))?, outbox: Outbox::default(), offset: 0 })
    }

    /// The next record of the partition, appended at `at_us`.
    #[inline]
    pub fn fold(&mut self, value: &[u8], at_us: i64) -> anyhow::Result<()> {
        let record = Record {
            source: Source { topic: 0, partition: 0 },
            offset: self.offset,
            timestamp: Some(EventTime(at_us)),
            key: None,
            value: Some(value),
            rejected: None,
        };
        self.offset += 1;
        self.ledger.fold(&record, &mut self.outbox)?;
        Ok(())
    }
}
