//! What a clock changes: a stage that should be running and is behind can't tell how things are.

use std::path::Path;

use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_events::EventTime;

use super::{State, assessments};
use crate::facts_input::FactsArgs;
use crate::kafka_args::KafkaArgs;
use crate::objectives;

const DEFINITIONS: &str = "
apiVersion: openslo/v1
kind: Service
metadata: { name: checkout }
spec: {}
---
apiVersion: openslo/v1
kind: SLI
metadata: { name: ok }
spec:
  ratioMetric:
    counter: true
    rawType: success
    raw: { metricSource: { type: streamgauge, spec: { topic: requests, service: checkout, good: ok } } }
---
apiVersion: openslo/v1
kind: SLO
metadata: { name: available }
spec:
  service: checkout
  indicatorRef: ok
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 30d, isRolling: true }]
  objectives: [{ target: 0.999 }]
";

const SECOND_US: i64 = 1_000_000;
const START_US: i64 = 1_767_607_200 * SECOND_US;

/// One pane of checkout, counted by a stage that has not ended, complete until a minute after its start.
fn write_facts(directory: &Path, n: u64, good: u64) {
    let definitions = Definitions::of_text("slos.yaml", DEFINITIONS).expect("valid definitions");
    let bundle = Bundle { settings: BundleSettings::default(), definitions };
    let (hash, until) = (bundle.hash(), START_US + 60 * SECOND_US);
    let delta = format!(
        r#"{{"type":"delta","tenant":"","service":"checkout","sli":"ok","labels":{{}},"group":"checkout","pane":{START_US},"pane_us":10000000,"source":"requests","partition":0,"generation":0,"batch":0,"bundle":"{hash}","n":{n},"good":{good},"failed":0,"unjudged":0,"newest":{START_US}}}"#
    );
    let frontier = format!(
        r#"{{"type":"frontier","source":"requests","partition":0,"generation":0,"batch":0,"from":0,"to":{n},"records":{n},"dead_letters":0,"deltas":1,"open":0,"complete_until":{until},"cause":"idle","bundle":"{hash}","bundle_start":{START_US},"partitions":1}}"#
    );
    let write = |file: &str, text: &[u8]| std::fs::write(directory.join(file), text).expect("a temporary file");
    write("sli.windows.jsonl", format!("{delta}\n{frontier}\n").as_bytes());
    write("sli.state.jsonl", bundle.to_json().as_ref());
}

/// (events, good ones), seconds from the first pane until now → state, and how far behind.
fn check((n, good): (u64, u64), now_secs: i64, expected: (State, &str)) {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    write_facts(directory.path(), n, good);
    let kafka = KafkaArgs { brokers: String::new(), kafka_properties: Vec::new() };
    let facts = FactsArgs { input: Some(directory.path().to_owned()), kafka, topic: "sli.windows".to_owned() };
    let reading = objectives::read(&facts, None, &[], &[]).expect("facts");
    let now = EventTime(START_US + now_secs * SECOND_US);
    let found = assessments(&reading, Some(now), 120 * SECOND_US).remove(0);
    assert_eq!((found.state, found.remarks.join("; ").as_str()), expected, "{good} of {n}, {now_secs} s");
}

#[test]
fn whoever_is_behind_can_not_tell() {
    let good = (100, 100);
    check(good, 70, (State::Fine, ""));
    check(good, 180, (State::Fine, ""));
    check(good, 181, (State::Behind, "requests is 2m 1s behind"));
    // A clock that is behind the events.
    check(good, 0, (State::Fine, ""));
    // What fires, fires.
    check((100, 50), 70, (State::NotFine, "burn-1h-5m (critical) fires; burn-6h-30m (critical) fires"));
    check(
        (100, 50),
        7200,
        (State::NotFine, "burn-1h-5m (critical) fires; burn-6h-30m (critical) fires; requests is 1h 59m behind"),
    );
}
