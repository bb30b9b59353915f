//! What the worker relies on, checked against a real broker: `KafkaLog` keeps the promises of `Log`.
//!
//! Runs when STREAMGAUGE_TEST_BROKERS names a cluster (`scripts/kafka start`, then `127.0.0.1:9092`). Every test makes
//! topics and groups of its own, so tests may run side by side and again.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use streamgauge_events::topics::{self, CleanupPolicy, TimestampType, Topic};
use streamgauge_kafka::{ClientSettings, Difference, KafkaLog, KafkaSettings, RecordSender, TopicAdmin, TopicReader};
use streamgauge_stage::{Delivery, Log, LogError, Output, Placement, Polled, Position, Source};

const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster, and names that nothing else in it uses.
struct Place {
    brokers: String,
    prefix: String,
}

impl Place {
    /// `None`, and one line that says so, where no cluster is named.
    #[allow(clippy::disallowed_methods)]
    fn new(test: &str, partitions: i32) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Ok(brokers) = std::env::var("STREAMGAUGE_TEST_BROKERS") else {
            let remedy = "start one by scripts/kafka and set STREAMGAUGE_TEST_BROKERS=127.0.0.1:9092";
            streamgauge_tests::skipped(&format!("{test} needs a real Kafka; {remedy}"));
            return None;
        };
        let secs = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = Self { brokers, prefix: format!("test.{test}.{secs}.{}.{number}.", std::process::id()) };
        let left = place.admin().apply(&place.table(partitions)).expect("topics can be made");
        assert_eq!(left, Vec::new());
        Some(place)
    }

    fn table(&self, partitions: i32) -> Vec<Topic> {
        topics::table().iter().cloned().map(|topic| Topic { partitions, ..topic }).collect()
    }

    fn client(&self) -> ClientSettings {
        ClientSettings::new(&self.brokers)
    }

    fn admin(&self) -> TopicAdmin {
        TopicAdmin::open(&self.client(), &self.prefix).expect("a client can be made")
    }

    fn settings(&self, ordinal: u32) -> KafkaSettings {
        let mut settings = KafkaSettings::new(&self.brokers, format!("{}group", self.prefix), ordinal, 0);
        settings.output_prefix.clone_from(&self.prefix);
        settings
    }

    fn member(&self, ordinal: u32) -> KafkaLog {
        self.member_reading(ordinal, topics::REQUESTS)
    }

    fn member_reading(&self, ordinal: u32, input: &str) -> KafkaLog {
        KafkaLog::connect(&self.settings(ordinal), &[self.name(input)]).expect("joins the group")
    }

    fn name(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    fn reader(&self, topic: &str) -> TopicReader {
        TopicReader::open(&self.client(), &[&self.name(topic)]).expect("a reader can be made")
    }

    /// Puts `count` numbered records into one partition of the input.
    fn fill(&self, partition: i32, count: usize) {
        let mut sender = RecordSender::open(&self.client(), 10_000).expect("a sender can be made");
        let name = self.name(topics::REQUESTS);
        for number in 0..count {
            let value = format!("record {number}");
            sender.send(&name, partition, None, Some(value.as_bytes()), number).expect("the broker takes it");
        }
        sender.flush().expect("everything is acknowledged");
        assert_eq!(sender.failed(), 0);
    }

    /// All that can be read in a topic now: (partition, offset, value).
    fn visible(&self, topic: &str) -> Vec<(i32, i64, String)> {
        let mut reader = self.reader(topic);
        let watermarks = reader.watermarks().expect("the topic exists");
        let starts: Vec<_> = watermarks.iter().map(|(source, marks)| (*source, marks.log_start)).collect();
        reader.assign(&starts).expect("can be assigned");
        let mut found = Vec::new();
        let mut ended = BTreeMap::new();
        let since = now();
        while ended.len() < starts.len() {
            assert!(since.elapsed() < PATIENCE, "{topic} does not come to its end");
            reader
                .poll(Duration::from_millis(50), &mut |delivery| match delivery {
                    Delivery::Record(record) => {
                        found.push((record.source.partition, record.offset, text(record.value)));
                    }
                    Delivery::End { source, position } => {
                        ended.insert(source, position);
                    }
                })
                .expect("can be read");
        }
        found.sort();
        found
    }
}

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

fn source(partition: i32) -> Source {
    Source { topic: 0, partition }
}

fn output(topic: &'static str, value: &str) -> Output {
    Output { topic, key: b"key".to_vec(), placement: Placement::ByKey, value: value.as_bytes().to_vec() }
}

fn position(partition: i32, offset: i64, metadata: &str) -> Position {
    Position { source: source(partition), offset, metadata: metadata.to_owned() }
}

fn poll(log: &mut KafkaLog) -> Polled {
    log.poll(Duration::from_millis(20), &mut |_| {}).expect("the broker answers")
}

/// Polls until something other than deliveries comes.
fn next(log: &mut KafkaLog) -> Polled {
    let since = now();
    while since.elapsed() < PATIENCE {
        match poll(log) {
            Polled::Delivered => {}
            other => return other,
        }
    }
    panic!("nothing within {PATIENCE:?}");
}

fn assigned(log: &mut KafkaLog) -> Vec<Source> {
    match next(log) {
        Polled::Assigned(sources) => sources,
        other => panic!("expected an assignment, got {other:?}"),
    }
}

/// Takes over what is assigned next, from the committed offsets or else from the start of the log.
fn take_over(log: &mut KafkaLog) -> Vec<Source> {
    let sources = assigned(log);
    let committed = log.committed(&sources).expect("nothing is pending");
    let starts: Vec<_> =
        committed.iter().map(|found| (found.source, found.offset.unwrap_or(found.log_start))).collect();
    log.assign(&starts).expect("can be assigned");
    sources
}

/// Reads until `count` records have come: (partition, offset, value), in order of arrival.
fn read(log: &mut KafkaLog, count: usize) -> Vec<(i32, i64, String)> {
    let mut found = Vec::new();
    let since = now();
    while found.len() < count {
        assert!(since.elapsed() < PATIENCE, "only {} of {count} records came", found.len());
        let polled = log.poll(Duration::from_millis(20), &mut |delivery| {
            if let Delivery::Record(record) = delivery {
                found.push((record.source.partition, record.offset, text(record.value)));
            }
        });
        assert_eq!(polled, Ok(Polled::Delivered));
    }
    found
}

/// Reads until a partition's end is reported at `wanted`, and answers how many records came on the way.
fn read_to_end(log: &mut KafkaLog, wanted: i64) -> usize {
    let (mut records, mut end) = (0, -1);
    let since = now();
    while end < wanted {
        assert!(since.elapsed() < PATIENCE, "the end stays at {end}, wanted {wanted}");
        let polled = log.poll(Duration::from_millis(20), &mut |delivery| match delivery {
            Delivery::Record(_) => records += 1,
            Delivery::End { position, .. } => end = position,
        });
        assert_eq!(polled, Ok(Polled::Delivered));
    }
    assert_eq!(end, wanted);
    records
}

fn transaction(log: &mut KafkaLog, outputs: &[(i32, &str)], positions: &[Position]) {
    log.begin().expect("begins");
    for (partition, value) in outputs {
        log.produce(&output(topics::SLI_WINDOWS, value), *partition).expect("is queued");
    }
    log.send_offsets(positions).expect("positions are taken");
    log.commit().expect("is committed");
}

#[test]
fn a_transaction_becomes_visible_as_a_whole() {
    let Some(place) = Place::new("whole", 2) else { return };
    place.fill(0, 3);
    let mut log = place.member(0);
    assert_eq!(take_over(&mut log), vec![source(0), source(1)]);
    assert_eq!(
        read(&mut log, 3),
        vec![(0, 0, "record 0".to_owned()), (0, 1, "record 1".to_owned()), (0, 2, "record 2".to_owned())]
    );
    log.begin().expect("begins");
    for (partition, value) in [(0, "a"), (1, "b"), (0, "c")] {
        log.produce(&output(topics::SLI_WINDOWS, value), partition).expect("is queued");
    }
    assert_eq!(place.visible(topics::SLI_WINDOWS), vec![]);
    log.send_offsets(&[position(0, 3, "n=3"), position(1, 0, "n=0")]).expect("positions are taken");
    assert_eq!(place.visible(topics::SLI_WINDOWS), vec![]);
    log.commit().expect("is committed");
    assert_eq!(
        place.visible(topics::SLI_WINDOWS),
        vec![(0, 0, "a".to_owned()), (0, 1, "c".to_owned()), (1, 0, "b".to_owned())]
    );
    let committed = log.committed(&[source(0), source(1)]).expect("nothing is pending");
    let found: Vec<_> = committed
        .iter()
        .map(|found| (found.offset, found.metadata.as_str(), found.log_start, found.log_end, found.partitions))
        .collect();
    assert_eq!(found, vec![(Some(3), "n=3", 0, 3, 2), (Some(0), "n=0", 0, 0, 2)]);
    let stats = log.transaction_stats();
    assert_eq!((stats.committed, stats.aborted, stats.failed, stats.records), (1, 0, 0, 3));
    log.leave();
}

#[test]
fn ends_lie_behind_markers_and_aborted_records() {
    let Some(place) = Place::new("ends", 1) else { return };
    let mut writer = place.member(0);
    take_over(&mut writer);
    let mut other = place.settings(0);
    other.group.push_str(".downstream");
    let mut log = KafkaLog::connect(&other, &[place.name(topics::SLI_WINDOWS)]).expect("joins its group");
    take_over(&mut log);
    assert_eq!(read_to_end(&mut log, 0), 0);
    transaction(&mut writer, &[(0, "a"), (0, "b")], &[position(0, 0, "")]);
    // Two records and the marker of the commit.
    assert_eq!(read_to_end(&mut log, 3), 2);
    writer.begin().expect("begins");
    writer.produce(&output(topics::SLI_WINDOWS, "never"), 0).expect("is queued");
    writer.send_offsets(&[position(0, 0, "never")]).expect("positions are taken");
    writer.abort().expect("is aborted");
    // One record that nobody sees, and the marker of the abort: the end moves on although nothing comes.
    assert_eq!(read_to_end(&mut log, 5), 0);
    let committed = log.committed(&[source(0)]).expect("nothing is pending");
    assert_eq!((committed[0].log_end, committed[0].offset), (5, None));
    assert_eq!(writer.committed(&[source(0)]).expect("nothing is pending")[0].metadata, "");
    assert_eq!(place.visible(topics::SLI_WINDOWS).len(), 2);
}

#[test]
fn metadata_comes_back_up_to_4096_bytes() {
    let Some(place) = Place::new("metadata", 1) else { return };
    let mut log = place.member(0);
    take_over(&mut log);
    for length in [0, 1, 1000, 4096] {
        let metadata = "m".repeat(length);
        transaction(&mut log, &[], &[position(0, 0, &metadata)]);
        assert_eq!(log.committed(&[source(0)]).expect("nothing is pending")[0].metadata, metadata);
    }
    log.begin().expect("begins");
    let refused = log.send_offsets(&[position(0, 0, &"m".repeat(4097))]);
    assert!(matches!(refused, Err(LogError::Abortable(_))), "{refused:?}");
    log.abort().expect("is aborted");
    transaction(&mut log, &[(0, "the producer still works")], &[position(0, 0, "after")]);
    assert_eq!(log.committed(&[source(0)]).expect("nothing is pending")[0].metadata, "after");
}

#[test]
fn a_second_member_gets_half_and_the_first_may_finish_its_burst() {
    let Some(place) = Place::new("rebalance", 4) else { return };
    let mut first = place.member(0);
    assert_eq!(take_over(&mut first).len(), 4);
    let mut second = place.member(1);
    let since = now();
    let (mut firsts, mut seconds) = (None, None);
    let mut revoked = false;
    while firsts.is_none() || seconds.is_none() {
        assert!(since.elapsed() < PATIENCE, "the group does not settle: {firsts:?} {seconds:?}");
        match poll(&mut first) {
            Polled::Delivered => {}
            Polled::Revoked => {
                revoked = true;
                // Still ours until it is released.
                let all: Vec<_> = (0..4).map(|partition| position(partition, 0, "last burst")).collect();
                transaction(&mut first, &[(0, "last burst")], &all);
                first.release().expect("lets go");
                let refused = first.begin().and_then(|()| first.send_offsets(&[position(0, 0, "too late")]));
                assert!(matches!(refused, Err(LogError::Abortable(_))), "{refused:?}");
                first.abort().expect("is aborted");
            }
            Polled::Assigned(sources) => {
                first.assign(&sources.iter().map(|source| (*source, 0)).collect::<Vec<_>>()).expect("can be assigned");
                firsts = Some(sources);
            }
            Polled::Lost => panic!("lost without a reason"),
        }
        match poll(&mut second) {
            Polled::Assigned(sources) => {
                let committed = second.committed(&sources).expect("nothing is pending");
                assert!(committed.iter().all(|found| found.metadata == "last burst"), "{committed:?}");
                second.assign(&sources.iter().map(|source| (*source, 0)).collect::<Vec<_>>()).expect("can be assigned");
                seconds = Some(sources);
            }
            Polled::Delivered => {}
            other => panic!("expected an assignment, got {other:?}"),
        }
    }
    assert!(revoked);
    let (firsts, seconds) = (firsts.expect("was set"), seconds.expect("was set"));
    assert_eq!((firsts.len(), seconds.len()), (2, 2));
    let all: std::collections::BTreeSet<_> = firsts.iter().chain(&seconds).collect();
    assert_eq!(all.len(), 4);
    // Both can commit under the new generation.
    transaction(&mut first, &[(0, "first")], &[position(firsts[0].partition, 0, "first")]);
    transaction(&mut second, &[(0, "second")], &[position(seconds[0].partition, 0, "second")]);
}

#[test]
fn a_member_without_partitions_does_not_hold_the_group_up() {
    let Some(place) = Place::new("spare", 1) else { return };
    let mut first = place.member(0);
    assert_eq!(take_over(&mut first).len(), 1);
    let mut second = place.member(1);
    let since = now();
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    while sizes.len() < 2 {
        assert!(since.elapsed() < PATIENCE, "the group does not settle: {sizes:?}");
        for (name, log) in [("first", &mut first), ("second", &mut second)] {
            match poll(log) {
                Polled::Assigned(sources) => {
                    log.assign(&sources.iter().map(|source| (*source, 0)).collect::<Vec<_>>())
                        .expect("can be assigned");
                    sizes.insert(name, sources.len());
                }
                Polled::Revoked => log.release().expect("lets go"),
                Polled::Delivered => {}
                Polled::Lost => panic!("lost without a reason"),
            }
        }
    }
    assert_eq!(sizes.values().sum::<usize>(), 1);
    let owner = if sizes["first"] == 1 { &mut first } else { &mut second };
    transaction(owner, &[(0, "x")], &[position(0, 0, "x")]);
}

#[test]
fn a_zombie_is_fenced_by_its_successor() {
    let Some(place) = Place::new("zombie", 1) else { return };
    let mut zombie = place.member(0);
    take_over(&mut zombie);
    zombie.begin().expect("begins");
    zombie.produce(&output(topics::SLI_WINDOWS, "zombie"), 0).expect("is queued");
    zombie.send_offsets(&[position(0, 0, "zombie")]).expect("positions are taken");
    let mut successor = place.member(0);
    let refused = zombie.commit();
    assert!(matches!(refused, Err(LogError::Fenced(_))), "{refused:?}");
    take_over(&mut successor);
    transaction(&mut successor, &[(0, "successor")], &[position(0, 0, "successor")]);
    assert_eq!(
        place.visible(topics::SLI_WINDOWS).into_iter().map(|(_, _, value)| value).collect::<Vec<_>>(),
        ["successor"]
    );
    // The consumer is told as well, by its next heartbeats.
    let since = now();
    loop {
        assert!(since.elapsed() < PATIENCE, "the zombie's consumer is not told");
        match zombie.poll(Duration::from_millis(20), &mut |_| {}) {
            Err(LogError::Fenced(_)) => break,
            Ok(Polled::Revoked | Polled::Lost) => zombie.release().expect("lets go"),
            Ok(_) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    zombie.leave();
    transaction(&mut successor, &[], &[position(0, 0, "goes on")]);
}

/// Settings under which the coordinator gives a transaction up after two seconds.
fn impatient(place: &Place) -> KafkaSettings {
    let mut settings = place.settings(0);
    (settings.transaction_timeout_ms, settings.message_timeout_ms) = (2_000, 1_500);
    settings
}

#[test]
fn a_zombie_that_wakes_up_late_does_not_take_its_place_back() {
    let Some(place) = Place::new("late-zombie", 1) else { return };
    let settings = impatient(&place);
    let inputs = [place.name(topics::REQUESTS)];
    let mut zombie = KafkaLog::connect(&settings, &inputs).expect("joins the group");
    take_over(&mut zombie);
    zombie.begin().expect("begins");
    zombie.produce(&output(topics::SLI_WINDOWS, "zombie"), 0).expect("is queued");
    zombie.send_offsets(&[position(0, 0, "zombie")]).expect("positions are taken");
    let mut successor = KafkaLog::connect(&settings, &inputs).expect("joins the group");
    take_over(&mut successor);
    std::thread::sleep(Duration::from_secs(3));
    // Fenced, but after so long the coordinator may have done it as well as a successor: only the group can tell.
    let refused = zombie.commit();
    assert!(matches!(refused, Err(LogError::Ambiguous(_))), "{refused:?}");
    let refused = zombie.renew_producer();
    assert!(matches!(refused, Err(LogError::Fenced(_))), "{refused:?}");
    transaction(&mut successor, &[(0, "successor")], &[position(0, 0, "successor")]);
    let values: Vec<String> = place.visible(topics::SLI_WINDOWS).into_iter().map(|(_, _, value)| value).collect();
    assert_eq!(values, ["successor"]);
}

#[test]
fn a_transaction_that_the_coordinator_gave_up_leaves_nothing_behind() {
    let Some(place) = Place::new("given-up", 1) else { return };
    let mut log = KafkaLog::connect(&impatient(&place), &[place.name(topics::REQUESTS)]).expect("joins the group");
    take_over(&mut log);
    log.begin().expect("begins");
    log.produce(&output(topics::SLI_WINDOWS, "given up"), 0).expect("is queued");
    log.send_offsets(&[position(0, 0, "given up")]).expect("positions are taken");
    // `scripts/kafka` lets the coordinator look every second.
    std::thread::sleep(Duration::from_secs(5));
    let refused = log.commit();
    assert!(matches!(refused, Err(LogError::Ambiguous(_))), "{refused:?}");
    log.renew_producer().expect("nobody took the place");
    assert_eq!(log.committed(&[source(0)]).expect("nothing is pending")[0].offset, None);
    transaction(&mut log, &[(0, "after")], &[position(0, 0, "after")]);
    let values: Vec<String> = place.visible(topics::SLI_WINDOWS).into_iter().map(|(_, _, value)| value).collect();
    assert_eq!(values, ["after"]);
}

#[test]
fn the_offset_fetch_waits_for_a_pending_transaction() {
    let Some(place) = Place::new("stable", 2) else { return };
    let mut first = place.member(0);
    take_over(&mut first);
    let both = |metadata: &str| [position(0, 0, metadata), position(1, 0, metadata)];
    transaction(&mut first, &[], &both("before"));
    first.begin().expect("begins");
    first.send_offsets(&both("after")).expect("positions are taken");
    let mut second = place.member(1);
    assert_eq!(next(&mut first), Polled::Revoked);
    first.release().expect("lets go");
    let since = now();
    let mut seconds = Vec::new();
    while seconds.is_empty() {
        assert!(since.elapsed() < PATIENCE, "the second member is given nothing");
        poll(&mut first);
        if let Polled::Assigned(sources) = poll(&mut second) {
            seconds = sources;
        }
    }
    // A transaction of the previous owner is pending on the offset: neither the old nor the new one is the truth yet.
    let refused = second.committed(&seconds);
    assert!(matches!(refused, Err(LogError::Retriable(_))), "{refused:?}");
    first.commit().expect("is committed");
    let since = now();
    let committed = loop {
        match second.committed(&seconds) {
            Ok(committed) => break committed,
            // The marker reaches the group's coordinator a moment after the commit is answered.
            Err(LogError::Retriable(_)) if since.elapsed() < PATIENCE => {}
            Err(other) => panic!("{other:?}"),
        }
    };
    assert!(committed.iter().all(|found| found.metadata == "after"), "{committed:?}");
}

#[test]
fn assign_rewinds_without_stale_records() {
    let Some(place) = Place::new("rewind", 2) else { return };
    let count = 5000;
    place.fill(0, count);
    place.fill(1, count);
    let mut log = place.member(0);
    take_over(&mut log);
    for (first, second) in [(10, 4990), (0, 0), (4321, 17), (5000, 2500)] {
        // Some are read, most stay queued in the client.
        log.poll(Duration::from_millis(50), &mut |_| {}).expect("can be read");
        log.assign(&[(source(0), first), (source(1), second)]).expect("can be assigned again");
        let wanted = 2 * count - usize::try_from(first + second).expect("small");
        let mut next = [first, second];
        for (partition, offset, value) in read(&mut log, wanted) {
            let expected = &mut next[usize::try_from(partition).expect("not negative")];
            assert_eq!((offset, value), (*expected, format!("record {expected}")), "partition {partition}");
            *expected += 1;
        }
        assert_eq!(next, [5000, 5000]);
        log.assign(&[(source(0), 0), (source(1), 0)]).expect("can be assigned again");
    }
}

#[test]
fn read_back_sees_what_is_committed_and_nothing_else() {
    let Some(place) = Place::new("read-back", 1) else { return };
    let mut log = place.member(0);
    take_over(&mut log);
    let state = |log: &mut KafkaLog| {
        let mut found = Vec::new();
        log.read_back(topics::SLI_STATE, 0, &mut |key, value| found.push((text(key), text(value))))
            .expect("can be read");
        found
    };
    assert_eq!(state(&mut log), vec![]);
    for (value, committed) in [("a", true), ("b", false), ("c", true)] {
        log.begin().expect("begins");
        log.produce(&output(topics::SLI_STATE, value), 0).expect("is queued");
        log.send_offsets(&[position(0, 0, "")]).expect("positions are taken");
        if committed { log.commit() } else { log.abort() }.expect("ends");
        // At once: everything up to the log's end must be decided before it answers.
        let expected = if value == "c" { vec!["a", "c"] } else { vec!["a"] };
        assert_eq!(state(&mut log).into_iter().map(|(_, value)| value).collect::<Vec<_>>(), expected, "after {value}");
    }
}

#[test]
fn a_new_producer_ends_what_the_old_one_left_open() {
    let Some(place) = Place::new("renew", 1) else { return };
    let mut log = place.member(0);
    take_over(&mut log);
    transaction(&mut log, &[(0, "kept")], &[position(0, 0, "kept")]);
    log.begin().expect("begins");
    log.produce(&output(topics::SLI_WINDOWS, "left open"), 0).expect("is queued");
    log.send_offsets(&[position(0, 0, "left open")]).expect("positions are taken");
    log.renew_producer().expect("is renewed");
    assert_eq!(log.committed(&[source(0)]).expect("nothing is pending")[0].metadata, "kept");
    transaction(&mut log, &[(0, "new")], &[position(0, 0, "new")]);
    let values: Vec<String> = place.visible(topics::SLI_WINDOWS).into_iter().map(|(_, _, value)| value).collect();
    assert_eq!(values, ["kept", "new"]);
    assert_eq!(log.transaction_stats().renewed, 1);
}

#[test]
fn a_position_outside_of_the_log_is_looked_up_again() {
    let Some(place) = Place::new("out-of-range", 1) else { return };
    place.fill(0, 3);
    let mut log = place.member(0);
    let sources = assigned(&mut log);
    log.assign(&[(sources[0], 1_000_000)]).expect("can be assigned");
    assert_eq!(next(&mut log), Polled::Lost);
    log.release().expect("lets go");
    assert_eq!(take_over(&mut log), sources);
    assert_eq!(read(&mut log, 3).len(), 3);
    // Still the same generation of the group: offsets are accepted.
    transaction(&mut log, &[(0, "x")], &[position(0, 3, "x")]);
}

#[test]
fn no_positions_or_a_missing_topic_are_refused_in_words() {
    let Some(place) = Place::new("refused", 1) else { return };
    let mut log = place.member(0);
    take_over(&mut log);
    log.begin().expect("begins");
    assert_eq!(log.send_offsets(&[]), Err(LogError::Fatal("send_offsets without positions".to_owned())));
    log.abort().expect("is aborted");
    let missing = place.name("nothing");
    let hint = format!("there is no topic {missing}. Make it with: streamgauge topics apply");
    assert_eq!(log.partitions("nothing"), Err(LogError::Fatal(hint.clone())));
    let refused = KafkaLog::connect(&place.settings(1), &[missing]).map(drop);
    assert_eq!(refused, Err(LogError::Fatal(hint)));
}

#[test]
fn records_sent_come_back_in_order_with_the_brokers_time() {
    let Some(place) = Place::new("sender", 3) else { return };
    let name = place.name(topics::REQUESTS);
    let count = 20_000;
    let mut sender = RecordSender::open(&place.client(), 1000).expect("a sender can be made");
    let mut settled = Vec::new();
    for token in 0..count {
        let partition = i32::try_from(token % 3).expect("small");
        let value = token.to_string();
        sender.send(&name, partition, Some(b"k"), Some(value.as_bytes()), token).expect("the broker takes it");
        assert!(sender.in_flight() <= 1000);
        settled.append(&mut sender.take_settled());
    }
    sender.flush().expect("everything is acknowledged");
    settled.append(&mut sender.take_settled());
    assert_eq!(settled.len(), count);
    let mut stamps = BTreeMap::new();
    let mut next = [0_i64; 3];
    for delivered in settled {
        let stamp = delivered.result.expect("was taken");
        let expected = &mut next[usize::try_from(stamp.partition).expect("not negative")];
        assert_eq!(stamp.offset, *expected);
        *expected += 1;
        assert_eq!(delivered.token % 3, usize::try_from(stamp.partition).expect("not negative"));
        stamps.insert((stamp.partition, stamp.offset), (delivered.token, stamp.timestamp.expect("LogAppendTime")));
    }
    let mut reader = place.reader(topics::REQUESTS);
    let ends: BTreeMap<_, _> =
        reader.watermarks().expect("exists").into_iter().map(|(source, marks)| (source, marks.log_end)).collect();
    reader.assign(&ends.keys().map(|source| (*source, 0)).collect::<Vec<_>>()).expect("can be assigned");
    let mut seen = 0;
    let flow = reader.read_to(&ends, PATIENCE, &mut |delivery| {
        if let Delivery::Record(record) = delivery {
            let (token, timestamp) = stamps[&(record.source.partition, record.offset)];
            assert_eq!((text(record.value), record.timestamp), (token.to_string(), Some(timestamp)));
            seen += 1;
        }
        ControlFlow::Continue(())
    });
    assert_eq!((flow, seen), (Ok(ControlFlow::Continue(())), count));
}

#[test]
fn topics_are_planned_applied_and_protected() {
    let Some(place) = Place::new("admin", 2) else { return };
    let admin = place.admin();
    assert_eq!(admin.plan(&place.table(2)), Ok(vec![]));
    let of = |topic: &str, change: &dyn Fn(&mut Topic)| {
        let mut table: Vec<Topic> = place.table(2).into_iter().filter(|found| found.topic == topic).collect();
        change(&mut table[0]);
        table
    };
    // A topic that is not there.
    let missing = of(topics::REQUESTS, &|topic| topic.topic = "more".to_owned());
    assert!(matches!(admin.plan(&missing).as_deref(), Ok([Difference::Missing { partitions: 2, .. }])));
    assert_eq!(admin.apply(&missing), Ok(vec![]));
    // Settings, one at a time: what the table does not name and what was set before stays.
    let retention = of(topics::REQUESTS, &|topic| topic.retention_hours = Some(1));
    let text: Vec<String> = admin.plan(&retention).expect("answers").iter().map(ToString::to_string).collect();
    assert_eq!(text, [format!("{}: retention.ms is 604800000, the table says 3600000", place.name(topics::REQUESTS))]);
    assert_eq!(admin.apply(&retention), Ok(vec![]));
    let policy = of(topics::REQUESTS, &|topic| {
        topic.retention_hours = Some(1);
        topic.cleanup_policy = CleanupPolicy::Compact;
    });
    assert_eq!(admin.apply(&policy), Ok(vec![]));
    assert_eq!(admin.plan(&policy), Ok(vec![]));
    // Timestamps that come from producers are worth a warning.
    let name = place.name(topics::REQUESTS);
    assert_eq!(admin.timestamp_warning(&name), Ok(None));
    let create_time = of(topics::REQUESTS, &|topic| topic.timestamp_type = TimestampType::CreateTime);
    assert_eq!(admin.apply(&create_time), Ok(vec![]));
    let warning = admin.timestamp_warning(&name).expect("answers").expect("warns");
    assert!(warning.contains("CreateTime") && warning.contains(&name), "{warning}");
    // Inputs may grow, also with records; a keyed output only while it is empty.
    place.fill(0, 1);
    let grown = of(topics::REQUESTS, &|topic| {
        topic.partitions = 3;
        topic.timestamp_type = TimestampType::CreateTime;
    });
    assert_eq!(admin.apply(&grown), Ok(vec![]));
    let windows = |partitions| of(topics::SLI_WINDOWS, &move |topic| topic.partitions = partitions);
    assert_eq!(admin.apply(&windows(3)), Ok(vec![]));
    let mut log = place.member(0);
    take_over(&mut log);
    transaction(&mut log, &[(0, "a")], &[position(0, 0, "")]);
    let left = admin.apply(&windows(4)).expect("answers");
    assert!(
        matches!(left.as_slice(), [Difference::TooFewPartitions { found: 3, wanted: 4, refused: Some(_), .. }]),
        "{left:?}"
    );
}
