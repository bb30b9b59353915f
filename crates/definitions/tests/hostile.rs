//! No text makes the reader panic, and what it refuses has a place in the text.

use proptest::prelude::*;
use streamgauge_definitions::{Definitions, Mistake};

const VALID: &str = "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout, displayName: Käse}
spec: {description: 'Takes orders'}
---
apiVersion: openslo/v1
kind: DataSource
metadata: {name: judged}
spec:
  type: streamgauge
  connectionDetails: &details
    topic: scores.v2
    event: score
    format: avro
    framing: confluent
    schemas:
      - id: 7
        schema: '{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"ts\",\"type\":\"long\"},{\"name\":\"service\",\"type\":\"string\"},{\"name\":\"metric\",\"type\":\"string\"},{\"name\":\"value\",\"type\":\"double\"}]}'
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: fast}
spec:
  ratioMetric:
    counter: true
    rawType: success
    raw:
      metricSource:
        type: streamgauge
        spec:
          topic: requests
          service: checkout
          filter: \"route in ['/pay', '/cart'] && attributes.plan == 'gold'\"
          latencyThresholdUs: 300000
          failures: exclude
          thresholdsUs: [100000, 900000]
          groupBy: {version: ['2.8.0'], attributes.plan: []}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: satisfied}
spec:
  thresholdMetric:
    metricSource:
      metricSourceRef: judged
      spec:
        service: checkout
        slice: 5m
        empty: bad
        mean: {atLeast: -4.000001, atMost: 5}
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: burning, annotations: {streamgauge.io/short-window: 5m}}
spec:
  severity: page
  condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h, alertAfter: 0m}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: fast-enough}
spec:
  service: checkout
  indicatorRef: fast
  timeWindow:
    - duration: 1M
      calendar: {startTime: 2026-01-01, timeZone: Europe/Berlin}
  budgetingMethod: Timeslices
  objectives:
    - {targetPercent: 99.9, timeSliceTarget: 0.95, timeSliceWindow: 5m}
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: burning}
      spec:
        alertWhenResolved: true
        conditions: [{conditionRef: burning}]
        notificationTargets:
          - {kind: AlertNotificationTarget, metadata: {name: chat}, spec: {target: slack, description: 'Tells who is here'}}
";

/// Texts that mean something to YAML, to us, or to nobody.
const PIECES: [&str; 40] = [
    "\n",
    " ",
    "  ",
    "\t",
    ":",
    ": ",
    "- ",
    "?",
    "|",
    ">-\n",
    "&a ",
    "*a",
    "*details",
    "<<: ",
    "!!int ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "\\",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.3\n",
    "~",
    "null",
    "0",
    "-1",
    "1e9",
    "99999999999999999999",
    "0.0000001",
    "NaN",
    "é",
    "\u{feff}",
    "\u{0}",
    "spec: ",
    "slice: 15s\n",
];

#[derive(Clone, Debug)]
enum Change {
    Insert(prop::sample::Index, usize),
    Remove(prop::sample::Index, usize),
    /// A line to another place.
    Move(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<prop::sample::Index>(), 0..PIECES.len()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<prop::sample::Index>(), 1..12_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(from, to)| Change::Move(from, to)),
    ]
}

fn changed(text: &str, change: &Change) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    match change {
        Change::Insert(at, piece) => {
            let at = at.index(characters.len() + 1);
            characters.splice(at..at, PIECES[*piece].chars());
        }
        Change::Remove(at, count) => {
            let at = at.index(characters.len() + 1);
            characters.drain(at..(at + count).min(characters.len()));
        }
        Change::Move(from, to) => {
            let mut lines: Vec<&str> = text.lines().collect();
            if !lines.is_empty() {
                let line = lines.remove(from.index(lines.len()));
                lines.insert(to.index(lines.len() + 1), line);
            }
            return lines.join("\n");
        }
    }
    characters.into_iter().collect()
}

fn read(text: &str) -> Result<Definitions, Vec<Mistake>> {
    Definitions::of_text("some.yaml", text)
}

/// Every mistake is somewhere in the text, and says something.
fn check(text: &str) {
    let Err(mistakes) = read(text) else { return };
    assert!(!mistakes.is_empty());
    // Behind the last line, too: something may be missing there. To YAML, a carriage return alone ends a line.
    let lines = text.matches(['\n', '\r']).count() as u64 + 2;
    for mistake in mistakes {
        assert!((1..=lines).contains(&mistake.line) && mistake.column >= 1, "{mistake}");
        let Mistake { path, found, expected, remedy, .. } = mistake;
        assert!([path, found, expected, remedy].iter().all(|part| !part.is_empty()));
    }
}

#[test]
fn the_text_is_valid_before_it_is_changed() {
    assert_eq!(read(VALID).map(|definitions| definitions.slis.len()), Ok(2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_documents_are_read_or_refused(changes in prop::collection::vec(change(), 1..6)) {
        check(&changes.iter().fold(VALID.to_owned(), |text, one| changed(&text, one)));
    }

    #[test]
    fn any_text_is_read_or_refused(pieces in prop::collection::vec(0..PIECES.len(), 0..30), text in ".{0,40}") {
        let pieces: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        check(&text);
        check(&pieces);
        check(&format!("{VALID}---\n{pieces}{text}"));
    }
}
