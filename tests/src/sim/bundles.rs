//! The definitions that processes are started with, one after another, and the topics that they read.
//!
//! `oracle/definitions.rs` states the same in its own words.

use std::collections::BTreeMap;

use streamgauge_decode::Framing;
use streamgauge_definitions::{
    Aggregate, Bounds, Bundle, BundleSettings, DataSource, Definitions, Empty, Failures, Format, Label, Measure, Rule,
    SeriesKey, Service, Share, Sli, Slice, WriterSchema,
};
use streamgauge_events::{Kind, topics};

use super::schedule::{SECOND_US, Schedule};
use super::writers::{SCHEMAS, schema_id};

/// Number of different sets of definitions.
pub const BUNDLES: usize = 5;
/// One of them that reads every topic.
pub const READS_ALL: usize = 3;
/// A topic that only a DataSource makes known.
pub const MACHINES: &str = "machines";
/// Every topic that some definitions read.
pub const TOPICS: [&str; 3] = [topics::REQUESTS, topics::SCORES, MACHINES];

/// Nothing is defined in 0. From there on services, filters, thresholds, slices, labels and schemas come, change and
/// go; 2 does not know `machines`.
pub fn bundle_of(schedule: &Schedule, bundle: usize) -> Bundle {
    let settings = BundleSettings { series_max: schedule.series_max, series_key: SeriesKey::default() };
    let services: &[&str] = [&[][..], &["checkout"], &["checkout", "cart"]][bundle.min(2)];
    let services: BTreeMap<String, Service> =
        services.iter().map(|&name| (name.to_owned(), Service::default())).collect();
    let slis = match bundle {
        0 => vec![],
        1 => first(),
        2 => without_machines(),
        3 => by_labels(),
        _ => by_zones(),
    };
    let slis = slis.into_iter().map(|(name, sli)| (name.to_owned(), sli)).collect();
    let schemas: &[usize] = [&[][..], &[0], &[], &[0, 1], &[1, 2]][bundle];
    let sources = (!schemas.is_empty()).then(|| (MACHINES.to_owned(), machines(schedule.framing, schemas)));
    Bundle {
        settings,
        definitions: Definitions { services, sources: sources.into_iter().collect(), slis, ..Definitions::default() },
    }
}

fn machines(framing: Framing, schemas: &[usize]) -> DataSource {
    let schemas = schemas.iter().map(|number| WriterSchema {
        id: (framing == Framing::Confluent).then(|| schema_id(*number)),
        schema: SCHEMAS[*number].to_owned(),
    });
    let format = Format::Avro { framing, schemas: schemas.collect() };
    DataSource { name: "fleet".to_owned(), event: Kind::Resource, format }
}

fn first() -> Vec<(&'static str, Sli)> {
    vec![
        ("available", sli(topics::REQUESTS, when("status < 500"))),
        ("fast", sli(topics::REQUESTS, latency(300_000, Failures::Bad, &[]))),
        ("load", sli(MACHINES, slice(Rule::Mean(AT_MOST_ONE))).only("metric == 'cpu'")),
    ]
}

fn without_machines() -> Vec<(&'static str, Sli)> {
    vec![
        ("available", sli(topics::REQUESTS, when("status < 500")).only("route == '/a'")),
        ("fast", sli(topics::REQUESTS, latency(250_000, Failures::Exclude, &[100_000]))),
        ("by_route", sli(topics::REQUESTS, when("status < 500")).by("route", &["/a"])),
        ("satisfied", sli(topics::SCORES, when("value >= 0.5")).only("metric == 'satisfaction'")),
        ("passed", sli(topics::SCORES, Measure::Counts).by("metric", &[])),
    ]
}

fn by_labels() -> Vec<(&'static str, Sli)> {
    let quantile = Share { numerator: 9, denominator: 10 };
    let last = Rule::Saturation { aggregate: Aggregate::Last, bounds: AT_MOST_ONE };
    let headroom = sli(MACHINES, when("value < 0.9")).by("instance", &[]).by("metric", &[]);
    vec![
        ("tail", sli(topics::REQUESTS, slice(Rule::Percentile { quantile, at_most_us: 250_000 }))),
        ("by_plan", sli(topics::REQUESTS, when("status != 503")).by("attributes.plan", &["gold"]).by("version", &[])),
        ("satisfied", sli(topics::SCORES, when("value >= 0.7")).by("metric", &[]).by("version", &["1"])),
        ("quality", sli(topics::SCORES, slice(Rule::Mean(AT_MOST_ONE)))),
        ("load", sli(MACHINES, slice(last)).only("metric == 'cpu'").by("instance", &["i1"])),
        ("headroom", Sli { service: "cart".into(), ..headroom }),
    ]
}

fn by_zones() -> Vec<(&'static str, Sli)> {
    let most = Rule::Saturation { aggregate: Aggregate::Max, bounds: AT_MOST_ONE };
    let fresh = Rule::Freshness { at_most_us: 30 * SECOND_US };
    vec![
        ("available", sli(topics::REQUESTS, when("status < 500"))),
        ("traffic", sli(topics::REQUESTS, slice(Rule::Traffic(AT_MOST_ONE))).by("version", &[])),
        ("fresh", sli(topics::REQUESTS, slice(fresh)).only("attributes.plan == 'gold'")),
        ("passed", sli(topics::SCORES, Measure::Counts).by("metric", &[])),
        ("load", sli(MACHINES, slice(most)).by("attributes.zone", &[]).by("instance", &[])),
    ]
}

/// Slices are judged by those who read the facts: here it only decides what is kept.
const AT_MOST_ONE: Bounds = Bounds { at_least: None, at_most: Some(1_000_000) };

fn sli(topic: &str, good: Measure) -> Sli {
    Sli { service: "checkout".into(), topic: topic.into(), filter: None, group_by: BTreeMap::new(), good }
}

fn when(predicate: &str) -> Measure {
    Measure::When(predicate.to_owned())
}

fn latency(threshold_us: u64, failures: Failures, thresholds_us: &[u64]) -> Measure {
    Measure::Latency { threshold_us, failures, thresholds_us: thresholds_us.to_vec() }
}

fn slice(rule: Rule) -> Measure {
    Measure::Slice { slice: Slice { length_us: 30 * SECOND_US, empty: Empty::Ignore }, rule }
}

trait Narrowed {
    fn only(self, filter: &str) -> Self;
    fn by(self, label: &str, values: &[&str]) -> Self;
}

impl Narrowed for Sli {
    fn only(mut self, filter: &str) -> Self {
        self.filter = Some(filter.to_owned());
        self
    }

    fn by(mut self, label: &str, values: &[&str]) -> Self {
        let label = Label::named(label).expect("a label by its name");
        self.group_by.insert(label, values.iter().map(|&value| value.to_owned()).collect());
        self
    }
}
