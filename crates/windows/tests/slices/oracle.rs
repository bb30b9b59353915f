//! A fixed history, as `tests/fixtures/slices_oracle.py` sees it: fractions and sorted lists, in another language.

use serde_json::Value;
use streamgauge_events::topics;

use crate::played::{Played, SETTING, definitions, rows};

const EVENTS: &str = include_str!("../fixtures/slices_events.jsonl");
const ORACLE: &str = include_str!("../fixtures/slices_oracle.json");

#[test]
fn slices_are_those_of_the_oracle() {
    let oracle: Vec<Value> = serde_json::from_str(ORACLE).expect("what the script wrote");
    assert!(oracle.len() >= 12);
    for expected in &oracle {
        let spec = expected["sli"].as_str().expect("a metric source");
        let definitions = definitions(spec);
        let mut played = Played::new(SETTING, &definitions);
        for line in EVENTS.lines() {
            let event: Value = serde_json::from_str(line).expect("an event");
            let topic = event["topic"].as_str().and_then(|topic| {
                [topics::REQUESTS, topics::SCORES, topics::RESOURCES].into_iter().find(|known| *known == topic)
            });
            // Fields that a kind has not are skipped, so `topic` may stay.
            played.record((topic.expect("a topic"), 0), line.as_bytes());
        }
        played.end();
        let found: Vec<String> = rows(&definitions, &played.fold())
            .into_iter()
            .map(|row| {
                let value = row.value.unwrap_or_else(|| "-".to_owned());
                format!("{} {} {value}", row.start.0, row.verdict.as_str())
            })
            .collect();
        let expected: Vec<&str> =
            expected["slices"].as_array().expect("slices").iter().filter_map(Value::as_str).collect();
        assert_eq!(found, expected, "{spec}");
    }
}
