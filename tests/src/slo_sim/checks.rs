//! What must hold of the committed output, whatever went wrong on the way.
//!
//! (a) For each key, alerts are byte for byte what a calm run tells. (b) They are what the definitions of D(t) say, in a model
//! that shares no code with the stage but for the evaluator. (c) What is no fact is a dead letter, once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use streamgauge_definitions::Definitions;
use streamgauge_events::{DeadLetter, EventTime, Fact, Offset, topics};
use streamgauge_memory_log::{Broker, StoredRecord};
use streamgauge_slo::Forecast;

use super::calm;
use super::promises::{BUNDLES, definitions_of};
use super::subject::Subject;
use super::support::facts::number_of;
use super::support::model;
use super::world::{Era, World};

/// By key, the values in order.
pub type Told = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

pub fn check<S: Subject>(world: &mut World<'_, S>) -> Result<(), String> {
    let found = alerts_of(&world.broker);
    let definitions: Vec<Definitions> = (0..BUNDLES).map(definitions_of).collect();
    let (mut calm, mut told) = (Told::new(), model::Told::new());
    for lane in 0..world.schedule.lanes {
        let facts = world.broker.records(topics::SLI_WINDOWS, lane);
        let Some(eras) = world.eras.get(&lane) else { continue };
        for (key, values) in calm::run(world.schedule.lanes, lane, &facts, eras)? {
            calm.entry(key).or_default().extend(values);
        }
        for (key, lines) in modelled(&facts, eras, &definitions) {
            told.entry(key).or_default().extend(lines);
        }
    }
    world.counts.transitions += found.values().map(|values| values.len() as u64).sum::<u64>();
    let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
    same("alerts, and those by the definitions", &lines_of(&found), &told, String::clone)?;
    same("alerts, and those of a calm run", &found, &calm, text)?;
    check_dead_letters(world)
}

pub fn alerts_of(broker: &Broker) -> Told {
    let mut told = Told::new();
    for partition in 0..broker.partitions(topics::ALERTS).unwrap_or_default() {
        for record in broker.records(topics::ALERTS, partition) {
            told.entry(record.key.unwrap_or_default()).or_default().push(record.value.unwrap_or_default());
        }
    }
    told
}

fn modelled(facts: &[StoredRecord], eras: &[Era], definitions: &[Definitions]) -> model::Told {
    let read = |record: &StoredRecord| Some((record.offset, Fact::from_json(record.value.as_deref()?).ok()?));
    let facts: Vec<(Offset, Fact)> = facts.iter().filter_map(read).collect();
    let eras: Vec<model::Era<'_>> =
        eras.iter().map(|era| model::Era { definitions: &definitions[era.bundle], until: era.until }).collect();
    model::told(&facts, &eras)
}

fn same<K: Ord + std::fmt::Debug, V: PartialEq>(
    what: &str,
    found: &BTreeMap<K, Vec<V>>,
    expected: &BTreeMap<K, Vec<V>>,
    text: impl Fn(&V) -> String,
) -> Result<(), String> {
    for key in found.keys().chain(expected.keys()) {
        let none = Vec::new();
        let (found, expected) = (found.get(key).unwrap_or(&none), expected.get(key).unwrap_or(&none));
        if found != expected {
            let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
            let text = |values: &[V]| values.get(at).map_or("nothing".to_owned(), &text);
            return Err(format!(
                "{what}: {key:?}: record {at} of {} is\n  {}\nand of {}\n  {}",
                found.len(),
                text(found),
                expected.len(),
                text(expected)
            ));
        }
    }
    Ok(())
}

fn check_dead_letters<S: Subject>(world: &mut World<'_, S>) -> Result<(), String> {
    let mut found = BTreeSet::new();
    for record in world.broker.records(topics::DEAD_LETTERS, 0) {
        let letter: DeadLetter =
            serde_json::from_slice(record.value.as_deref().unwrap_or_default()).map_err(|error| error.to_string())?;
        if !found.insert((letter.partition, letter.offset)) {
            return Err(format!("two dead letters tell of lane {} offset {}", letter.partition, letter.offset));
        }
    }
    world.counts.dead_letters += found.len() as u64;
    match found.symmetric_difference(&world.junk).next() {
        None => Ok(()),
        Some(place) => Err(format!("dead letters: {place:?} is only in one of them: {found:?}, {:?}", world.junk)),
    }
}

// ---- alerts as the model tells them

fn lines_of(told: &Told) -> model::Told {
    let mut lines = model::Told::new();
    for value in told.values().flatten() {
        let record: Value = serde_json::from_slice(value).expect("alerts are JSON");
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        lines.entry((text("tenant"), text("slo"))).or_default().push(line_of(&record));
    }
    lines
}

fn line_of(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let point = |name: &str| {
        let time: jiff::Timestamp = text(name).parse().expect("a time");
        number_of(EventTime(time.as_microsecond()))
    };
    let window = |name: &str| match &record[name] {
        Value::Null => "-".to_owned(),
        window => format!("{}/{}", window["bad"], window["total"]),
    };
    let forecast = match &record["forecast"] {
        Value::String(word) if word == "unknown" => Forecast::Unknown,
        Value::String(word) if word == "exhausted_now" => Forecast::ExhaustedNow,
        Value::String(_) => Forecast::NotAtThisRate,
        within => Forecast::ExhaustedIn(within["exhausted_in"].as_f64().expect("seconds")),
    };
    let exemplars: Vec<&str> = record["exemplars"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    format!(
        "{} {} at {} since {} counted {}/{} long {} short {} left {:?} {forecast:?} {exemplars:?}",
        text("rule"),
        text("transition"),
        point("at"),
        point("starts_at"),
        record["counted"]["bad"],
        record["counted"]["total"],
        window("long"),
        window("short"),
        record["remaining"].as_f64(),
    )
}
