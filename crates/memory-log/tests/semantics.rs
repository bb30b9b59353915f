//! What exactly-once depends on: the promises of Kafka, one test for each.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use streamgauge_events::{EventTime, Offset};
use streamgauge_memory_log::{Broker, BrokerSettings, ClientConfig, Fate, FaultRates, Faults, MemoryLog, ProcessDied};
use streamgauge_stage::{Delivery, Log, LogError, Output, Placement, Polled, Position, Source};

const SECOND: i64 = 1_000_000;

fn broker(marker_delay_us_max: i64) -> Broker {
    let broker = Broker::new(BrokerSettings { marker_delay_us_max, seed: 7, ..BrokerSettings::default() });
    broker.create_topic("in", 2);
    broker.create_topic("out", 2);
    broker
}

fn client(broker: &Broker, instance: &str) -> MemoryLog {
    MemoryLog::connect(broker, ClientConfig::new("group", instance, &["in"])).expect("the topics exist")
}

fn source(partition: i32) -> Source {
    Source { topic: 0, partition }
}

fn output(value: &str) -> Output {
    Output { topic: "out", key: b"k".to_vec(), placement: Placement::ByKey, value: value.as_bytes().to_vec() }
}

fn position(partition: i32, offset: Offset) -> Position {
    Position { source: source(partition), offset, metadata: format!("m{offset}") }
}

/// One poll, as text: records as offset=value, ends as offset$, per partition in order of delivery.
fn poll(log: &mut MemoryLog) -> String {
    let mut words = Vec::new();
    let polled = log.poll(Duration::ZERO, &mut |delivery| match delivery {
        Delivery::Record(record) => {
            let value = record.value.map_or("-".into(), String::from_utf8_lossy);
            words.push(format!("{}/{}={value}", record.source.partition, record.offset));
        }
        Delivery::End { source, position } => words.push(format!("{}/{position}$", source.partition)),
    });
    match polled {
        Ok(Polled::Delivered) => {
            words.sort();
            words.join(" ")
        }
        Ok(Polled::Assigned(sources)) => {
            let partitions: Vec<String> = sources.iter().map(|source| source.partition.to_string()).collect();
            format!("assigned {}", partitions.join(","))
        }
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

/// Polls until an assignment comes, and starts to read it at the committed offsets.
fn take_assignment(log: &mut MemoryLog) -> Vec<Source> {
    for _ in 0..10 {
        let mut assigned = None;
        match log.poll(Duration::ZERO, &mut |_| {}).expect("nothing fails here") {
            Polled::Assigned(sources) => assigned = Some(sources),
            Polled::Revoked | Polled::Lost => log.release().expect("nothing fails here"),
            Polled::Delivered => {}
        }
        if let Some(sources) = assigned {
            let committed = log.committed(&sources).expect("nothing is pending here");
            let starts: Vec<(Source, Offset)> = committed.iter().map(|c| (c.source, c.offset.unwrap_or(0))).collect();
            log.assign(&starts).expect("it was just announced");
            return sources;
        }
    }
    panic!("no assignment came");
}

fn values(broker: &Broker, topic: &str, partition: i32) -> Vec<String> {
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).expect("the tests write text");
    broker.records(topic, partition).into_iter().map(|record| text(record.value)).collect()
}

fn is<T: std::fmt::Debug>(result: Result<T, LogError>, expected: &str) {
    let found = match result {
        Ok(_) => "ok",
        Err(LogError::Retriable(_)) => "retriable",
        Err(LogError::Abortable(_)) => "abortable",
        Err(LogError::Ambiguous(_)) => "ambiguous",
        Err(LogError::Fenced(_)) => "fenced",
        Err(LogError::Fatal(_)) => "fatal",
    };
    assert_eq!(found, expected);
}

#[test]
fn markers_aborted_and_compacted_records_occupy_offsets_and_are_never_delivered() {
    let broker = broker(0);
    broker.append("in", 0, None, Some(b"a"));
    broker.append_transaction("in", 0, &[b"b", b"c"], Fate::Aborted); // 1, 2, marker at 3
    broker.append_transaction("in", 0, &[b"d"], Fate::Committed); // 4, marker at 5
    broker.append("in", 0, None, None);
    broker.append("in", 0, None, Some(b"e"));
    broker.retain("in", 0, |record| record.value.is_some());
    let mut log = client(&broker, "w");
    take_assignment(&mut log);
    assert_eq!(poll(&mut log), "0/0=a 0/4=d 0/7=e 0/8$ 1/0$");
    assert_eq!(poll(&mut log), "", "an end is announced once");
    broker.append_transaction("in", 1, &[b"x"], Fate::Aborted);
    assert_eq!(poll(&mut log), "1/2$", "the position passes what is not delivered");
}

#[test]
fn readers_stop_at_the_last_stable_offset_until_the_marker_lands() {
    let broker = broker(SECOND);
    broker.append("in", 0, None, Some(b"a"));
    broker.append_transaction("in", 0, &[b"b"], Fate::Committed);
    broker.append("in", 0, None, Some(b"c"));
    let mut log = client(&broker, "w");
    take_assignment(&mut log);
    assert_eq!(poll(&mut log), "0/0=a 0/1$ 1/0$");
    broker.advance_to(EventTime(SECOND));
    assert_eq!(poll(&mut log), "0/1=b 0/2=c 0/4$");
}

#[test]
fn outputs_and_offsets_become_visible_together_or_never() {
    for commit in [true, false] {
        let broker = broker(0);
        let mut log = client(&broker, "w");
        take_assignment(&mut log);
        log.begin().unwrap();
        log.produce(&output("x"), 0).unwrap();
        log.produce(&output("y"), 1).unwrap();
        log.send_offsets(&[position(0, 3), position(1, 4)]).unwrap();
        assert_eq!((values(&broker, "out", 0).len(), broker.group_offset("group", "in", 0)), (0, None));
        if commit { log.commit() } else { log.abort() }.unwrap();
        let outputs = [values(&broker, "out", 0), values(&broker, "out", 1)].concat();
        let offset = broker.group_offset("group", "in", 1).map(|offset| (offset.offset, offset.metadata));
        if commit {
            assert_eq!((outputs, offset), (vec!["x".into(), "y".into()], Some((4, "m4".into()))));
        } else {
            assert_eq!((outputs, offset), (vec![], None));
        }
    }
}

#[test]
fn the_stable_fetch_waits_for_the_marker_of_the_offsets() {
    let broker = broker(SECOND);
    let mut log = client(&broker, "w");
    take_assignment(&mut log);
    log.begin().unwrap();
    log.produce(&output("x"), 0).unwrap();
    log.send_offsets(&[position(0, 3)]).unwrap();
    is(log.committed(&[source(0)]), "retriable");
    log.commit().unwrap();
    is(log.committed(&[source(0)]), "retriable");
    is(log.committed(&[source(1)]), "ok");
    is(log.begin(), "retriable");
    is(log.read_back("out", 0, &mut |_, _| {}), "retriable");
    broker.advance_to(EventTime(SECOND));
    assert_eq!(log.committed(&[source(0)]).unwrap()[0].offset, Some(3));
    is(log.begin(), "ok");
    is(log.read_back("out", 0, &mut |_, _| {}), "ok");
}

#[test]
fn markers_land_partition_by_partition() {
    let broker = broker(SECOND);
    let mut log = client(&broker, "w");
    take_assignment(&mut log);
    log.begin().unwrap();
    log.produce(&output("x"), 0).unwrap();
    log.produce(&output("y"), 1).unwrap();
    log.commit().unwrap();
    let mut seen = Vec::new();
    for now in 0..=100 {
        broker.advance_to(EventTime(now * SECOND / 100));
        let count = values(&broker, "out", 0).len() + values(&broker, "out", 1).len();
        if seen.last() != Some(&count) {
            seen.push(count);
        }
    }
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn a_newer_producer_fences_the_older_and_ends_what_it_left_open() {
    for accepted in [false, true] {
        let broker = broker(SECOND);
        let mut old = client(&broker, "w");
        take_assignment(&mut old);
        old.begin().unwrap();
        old.produce(&output("x"), 0).unwrap();
        if accepted {
            old.commit().unwrap(); // decided, but no marker has landed
        }
        let mut new = client(&broker, "w");
        is(new.begin(), "retriable"); // until the markers have landed
        if !accepted {
            is(old.commit(), "fenced");
        }
        broker.advance_to(EventTime(SECOND));
        assert_eq!(poll(&mut new), "");
        is(new.begin(), "ok");
        assert_eq!(values(&broker, "out", 0).len(), usize::from(accepted));
        is(old.begin(), "fenced");
        assert!(poll(&mut old).contains("taken over"), "the older consumer is told as well");
    }
}

#[test]
fn an_ambiguous_end_is_settled_by_a_new_producer() {
    let mut ends = [0, 0];
    for seed in 0..20 {
        let broker = broker(0);
        let rates = FaultRates { ambiguous: 1.0, ..FaultRates::default() };
        let faults = Rc::new(RefCell::new(Faults::new(seed, rates)));
        let config = ClientConfig::new("group", "w", &["in"]);
        let mut log = MemoryLog::connect_with_faults(&broker, config, faults.clone()).unwrap();
        take_assignment(&mut log);
        log.begin().unwrap();
        log.produce(&output("x"), 0).unwrap();
        log.send_offsets(&[position(0, 3)]).unwrap();
        is(log.commit(), "ambiguous");
        is(log.begin(), "fatal");
        faults.borrow_mut().heal();
        log.renew_producer().unwrap();
        let committed = log.committed(&[source(0)]).unwrap()[0].offset;
        assert_eq!(values(&broker, "out", 0).len(), usize::from(committed.is_some()), "both or neither");
        ends[usize::from(committed.is_some())] += 1;
        is(log.begin(), "ok");
    }
    assert!(ends[0] > 0 && ends[1] > 0, "both ends occur: {ends:?}");
}

#[test]
fn a_transaction_that_stays_open_is_aborted_and_its_producer_fenced() {
    let broker = broker(0);
    let config = ClientConfig { transaction_timeout_us: 2 * SECOND, ..ClientConfig::new("group", "w", &["in"]) };
    let mut log = MemoryLog::connect(&broker, config).unwrap();
    take_assignment(&mut log);
    log.begin().unwrap();
    log.produce(&output("x"), 0).unwrap();
    broker.advance_to(EventTime(2 * SECOND));
    is(log.send_offsets(&[position(0, 3)]), "fenced");
    assert_eq!(values(&broker, "out", 0).len(), 0);
    assert_eq!(broker.stable_end("out", 0), 2, "the marker stands behind the record");
}

#[test]
fn a_joining_member_revokes_everything_and_the_ranges_are_shared() {
    let broker = broker(0);
    let (mut a, mut b) = (client(&broker, "a"), client(&broker, "b"));
    assert_eq!(take_assignment(&mut a), [source(0), source(1)]);
    assert_eq!(poll(&mut b), "");
    assert_eq!(poll(&mut b), "", "the group waits for the other member");
    assert_eq!(poll(&mut a), "Revoked");
    a.begin().unwrap();
    a.send_offsets(&[position(0, 5), position(1, 6)]).expect("the assignment is still ours");
    a.commit().unwrap();
    a.release().unwrap();
    assert_eq!(poll(&mut a), "");
    assert_eq!((poll(&mut a), poll(&mut b)), ("assigned 0".into(), "assigned 1".into()));
    assert_eq!(b.committed(&[source(1)]).unwrap()[0].offset, Some(6));
    b.leave();
    assert_eq!(poll(&mut a), "Revoked");
    a.release().unwrap();
    assert_eq!(take_assignment(&mut a), [source(0), source(1)]);
}

#[test]
fn a_restart_with_the_same_instance_takes_over_without_a_rebalance() {
    let broker = broker(0);
    let (mut a, mut b) = (client(&broker, "a"), client(&broker, "b"));
    assert_eq!(poll(&mut a), "");
    assert_eq!(poll(&mut b), "");
    take_assignment(&mut a);
    take_assignment(&mut b);
    let before = broker.rebalances("group");
    drop(a);
    let mut a = client(&broker, "a");
    assert_eq!(take_assignment(&mut a), [source(0)]);
    assert_eq!(poll(&mut b), "1/0$");
    assert_eq!(broker.rebalances("group"), before);
}

#[test]
fn an_evicted_member_goes_on_reading_but_cannot_commit_offsets() {
    let broker = broker(0);
    let faults = Rc::new(RefCell::new(Faults::none()));
    let config = ClientConfig::new("group", "zombie", &["in"]);
    let mut zombie = MemoryLog::connect_with_faults(&broker, config, faults.clone()).unwrap();
    take_assignment(&mut zombie);
    faults.borrow_mut().isolate(true);
    broker.advance_to(EventTime(6 * SECOND));
    broker.append("in", 0, None, Some(b"a"));
    assert_eq!(poll(&mut zombie), "0/0=a 0/1$ 1/0$");
    zombie.begin().unwrap();
    zombie.produce(&output("x"), 0).unwrap();
    is(zombie.send_offsets(&[position(0, 1)]), "abortable");
    is(zombie.commit(), "abortable");
    zombie.abort().unwrap();
    faults.borrow_mut().isolate(false);
    assert_eq!(poll(&mut zombie), "Lost");
    zombie.release().unwrap();
    assert_eq!(take_assignment(&mut zombie), [source(0), source(1)]);
    assert_eq!(values(&broker, "out", 0).len(), 0);
}

#[test]
fn offsets_of_an_older_generation_are_refused() {
    let broker = broker(0);
    let faults = Rc::new(RefCell::new(Faults::none()));
    let mut a =
        MemoryLog::connect_with_faults(&broker, ClientConfig::new("group", "a", &["in"]), faults.clone()).unwrap();
    take_assignment(&mut a);
    a.begin().unwrap();
    a.send_offsets(&[position(0, 1)]).expect("this generation is current");
    faults.borrow_mut().isolate(true);
    broker.advance_to(EventTime(6 * SECOND));
    let mut b = client(&broker, "b");
    poll(&mut b);
    assert_eq!(poll(&mut b), "assigned 0,1");
    is(b.committed(&[source(0)]), "retriable"); // sent while they were valid: the new owner waits for the end
    a.commit().expect("the offsets had been accepted");
    assert_eq!(b.committed(&[source(0)]).unwrap()[0].offset, Some(1));
}

#[test]
fn growth_rebalances_and_hands_out_the_new_partition() {
    let broker = broker(0);
    let mut log = client(&broker, "w");
    take_assignment(&mut log);
    broker.create_topic("in", 3);
    assert_eq!(poll(&mut log), "Revoked");
    log.release().unwrap();
    assert_eq!(take_assignment(&mut log), [source(0), source(1), source(2)]);
    assert_eq!(log.committed(&[source(0)]).unwrap()[0].partitions, 3);
}

#[test]
fn a_position_that_fell_off_the_log_announces_the_assignment_again() {
    let broker = broker(0);
    for value in [b"a", b"b", b"c"] {
        broker.append("in", 0, None, Some(value));
    }
    broker.delete_before("in", 0, 2);
    let mut log = client(&broker, "w");
    take_assignment(&mut log);
    assert_eq!(poll(&mut log), "Lost", "so that the positions are looked up again");
    log.release().unwrap();
    assert_eq!(poll(&mut log), "assigned 0,1");
    assert_eq!(log.committed(&[source(0)]).unwrap()[0].log_start, 2);
    log.assign(&[(source(0), 2)]).unwrap();
    assert_eq!(poll(&mut log), "0/2=c 0/3$");
}

#[test]
fn a_process_can_die_at_every_boundary_of_a_transaction() {
    let transaction = |log: &mut MemoryLog| -> Result<(), LogError> {
        log.begin()?;
        log.produce(&output("x"), 0)?;
        log.send_offsets(&[position(0, 1)])?;
        log.commit()
    };
    let mut outcomes = Vec::new();
    for boundary in 0..8 {
        let broker = broker(0);
        let faults = Rc::new(RefCell::new(Faults::none()));
        let config = ClientConfig::new("group", "w", &["in"]);
        let mut log = MemoryLog::connect_with_faults(&broker, config, faults.clone()).unwrap();
        take_assignment(&mut log);
        *faults.borrow_mut() = Faults::crash_at(boundary);
        let died = catch_unwind(AssertUnwindSafe(|| transaction(&mut log))).expect_err("it dies");
        assert!(died.is::<ProcessDied>());
        let mut next = client(&broker, "w");
        poll(&mut next);
        outcomes.push(broker.group_offset("group", "in", 0).is_some());
        assert_eq!(values(&broker, "out", 0).len(), usize::from(outcomes[boundary as usize]));
    }
    assert_eq!(outcomes, [false, false, false, false, false, false, false, true]);
}
