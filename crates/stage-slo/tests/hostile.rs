//! Records that no stage of ours would write: each becomes one dead letter, and all others are counted as if it were not there.

#[allow(dead_code)]
#[path = "objectives/support/facts.rs"]
mod facts;
#[allow(dead_code)]
#[path = "objectives/support/promises.rs"]
mod promises;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use facts::{Chain, PANE_US, json_of, point};
use promises::definitions;
use streamgauge_events::{Delta, EventTime, Fact, Frontier, Offset, topics};
use streamgauge_stage_slo::Objectives;

const SLOS: [&str; 4] = ["answers-day", "answers-slices", "speed-day", "answers-today"];

/// What two hundred panes come to, with a record in between; and how many were refused.
fn counted(hostile: &[Vec<u8>], at: i64) -> (String, u64) {
    let mut objectives =
        Objectives::new(&definitions(Some(&SLOS)), &|_| topics::REQUESTS.to_owned()).expect("it can be followed");
    let mut chain = Chain::new(topics::REQUESTS, 0);
    let (mut offset, mut refused): (Offset, u64) = (0, 0);
    let mut told = String::new();
    for pane in 0..200 {
        let mut values = Vec::new();
        if pane == at {
            values.extend_from_slice(hostile);
        }
        for sli in ["answers", "speed"] {
            let mut delta = chain.delta(sli, "checkout", pane, 100, 99);
            facts::at_or_under(&mut delta, promises::THRESHOLD_US, 99);
            values.push(json_of(&Fact::Delta(delta)));
        }
        values.push(json_of(&Fact::Frontier(chain.frontier(point(pane + 1), Some(1)))));
        for value in values {
            refused += u64::from(objectives.observe(offset, &value).is_err());
            objectives.advance(&mut |record| told += &format!("{} {:?}\n", record.rule, record.transition));
            offset += 1;
        }
    }
    for standing in objectives.standings() {
        told += &format!("{} {:?} {:?}\n", standing.slo, standing.counted, standing.remaining);
    }
    (told, refused)
}

fn delta(change: &dyn Fn(&mut Delta)) -> Vec<u8> {
    let mut delta = Chain::new(topics::REQUESTS, 0).delta("answers", "checkout", 0, 100, 99);
    (delta.batch, delta.generation) = (1_000_000, 0);
    change(&mut delta);
    json_of(&Fact::Delta(delta))
}

fn frontier(partition: i32, change: &dyn Fn(&mut Frontier)) -> Vec<u8> {
    let mut frontier = Chain::new(topics::REQUESTS, partition).frontier(point(3), Some(1));
    change(&mut frontier);
    json_of(&Fact::Frontier(frontier))
}

/// Neither a panic, nor a minute of thought, nor another count.
#[track_caller]
fn check(name: &str, hostile: Vec<Vec<u8>>, at: i64, is_told: bool) {
    let (sender, receiver) = mpsc::channel();
    let expected = counted(&[], 0).0;
    std::thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| counted(&hostile, at)));
        drop(sender.send(result.map_err(|payload| {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
        })));
    });
    match receiver.recv_timeout(Duration::from_secs(20)) {
        Err(_) => panic!("{name}: it is still busy after 20 s"),
        Ok(Err(text)) => panic!("{name}: it panicked: {text}"),
        Ok(Ok((found, refused))) => {
            assert_eq!(found, expected, "{name}");
            assert_eq!(refused > 0, is_told, "{name}: {refused} dead letters");
        }
    }
}

#[test]
fn a_pane_at_the_end_of_all_numbers() {
    check("last", vec![delta(&|delta| delta.pane = EventTime(i64::MAX).floor(PANE_US))], 5, true);
}

#[test]
fn a_pane_at_the_beginning_of_all_numbers() {
    check("first", vec![delta(&|delta| delta.pane = EventTime(i64::MIN / PANE_US * PANE_US))], 5, true);
}

#[test]
fn a_first_pane_before_all_times() {
    check("first of all", vec![delta(&|delta| delta.pane = EventTime(i64::MIN / 4 / PANE_US * PANE_US))], 0, true);
}

#[test]
fn a_first_pane_of_a_microsecond() {
    check("short", vec![delta(&|delta| delta.pane_us = 1)], 0, true);
}

#[test]
fn a_first_pane_of_an_age() {
    check("long", vec![delta(&|delta| (delta.pane_us, delta.pane) = (i64::MAX, EventTime(0)))], 0, true);
}

#[test]
fn a_pane_of_another_length() {
    check("other", vec![delta(&|delta| delta.pane_us = 2 * PANE_US)], 5, true);
}

#[test]
fn more_good_ones_than_there_are() {
    check("good", vec![delta(&|delta| (delta.n, delta.good, delta.batch) = (1, 50, 5))], 5, true);
}

#[test]
fn more_unjudged_ones_than_there_are() {
    check("unjudged", vec![delta(&|delta| (delta.n, delta.unjudged, delta.batch) = (1, 50, 5))], 5, true);
}

/// As many events as no partition can hold, again and again.
#[test]
fn so_many_events_that_sums_overflow() {
    let many = |batch| delta(&|delta| (delta.n, delta.good, delta.batch) = (u64::MAX, 0, batch));
    let found = catch_unwind(|| counted(&[many(5), many(5), many(5)], 5));
    assert!(found.is_ok(), "it panicked");
}

#[test]
fn so_many_events_of_a_slice_that_sums_overflow() {
    let many = || {
        let mut delta = Chain::new(topics::REQUESTS, 0).delta("speed", "checkout", 4, u64::MAX, 0);
        delta.batch = 5;
        json_of(&Fact::Delta(delta))
    };
    let found = catch_unwind(|| counted(&[many(), many()], 5));
    assert!(found.is_ok(), "it panicked");
}

#[test]
fn a_frontier_at_the_end_of_all_numbers() {
    let last = frontier(1, &|frontier| frontier.complete_until = EventTime(i64::MAX));
    let after = delta(&|delta| (delta.partition, delta.batch) = (1, 1));
    let found = catch_unwind(|| counted(&[last.clone(), after.clone()], 5));
    assert!(found.is_ok(), "it panicked");
}

/// The one of partition 0 that follows, and yet says what can't be.
fn next_of_zero(change: &dyn Fn(&mut Frontier)) -> Vec<u8> {
    frontier(0, &|frontier| {
        (frontier.batch, frontier.from, frontier.to) = (5, 50, 50);
        frontier.complete_until = point(5);
        change(frontier);
    })
}

#[test]
fn as_many_partitions_as_there_are_numbers() {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let many = next_of_zero(&|frontier| frontier.partitions = Some(i32::MAX));
        let _ = sender.send(catch_unwind(|| counted(&[many], 5)).is_ok());
    });
    assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(true), "it panicked, or is still busy");
}
