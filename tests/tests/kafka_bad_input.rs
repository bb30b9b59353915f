//! Bad input and bad luck on a real broker: nothing vanishes, and the stage stops only where the design says so.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use streamgauge_events::facts::OTHER;
use streamgauge_events::topics::{self, Topic, named};
use streamgauge_events::{EventTime, Fact};
use streamgauge_kafka::TopicAdmin;
use streamgauge_tests::clock::now_us;
use streamgauge_tests::cluster::Cluster;

const PARTITIONS: i32 = 4;
/// Short panes and short idleness, so that what is sent is soon written.
const QUICK: [&str; 6] = ["--pane-secs", "1", "--idle-after-ms", "1000", "--commit-interval-ms", "300"];

fn good(service: &str, route: &str) -> Vec<u8> {
    format!(r#"{{"ts":{},"service":"{service}","route":"{route}","status":200,"latency_us":1500}}"#, now_us())
        .into_bytes()
}

/// (partition, value); no value is a tombstone.
type Load = Vec<(i32, Option<Vec<u8>>)>;

fn send(cluster: &Cluster, load: &Load) -> anyhow::Result<()> {
    let mut sender = cluster.sender()?;
    for (partition, value) in load {
        sender.send(&cluster.topic(topics::REQUESTS), *partition, None, value.as_deref(), 0)?;
    }
    sender.flush()?;
    anyhow::ensure!(sender.failed() == 0, "{} records were not taken", sender.failed());
    Ok(())
}

/// Every kind of bad record, with the reason that its dead letter must give.
fn bad_records() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let now = now_us();
    let year_us = 365 * 86_400 * 1_000_000_i64;
    let json = |text: String| Some(text.into_bytes());
    vec![
        ("undecodable", json("not json".to_owned())),
        ("undecodable", Some(vec![0xff, 0xfe, 0x00])),
        ("undecodable", json(format!(r#"{{"ts":{now},"service":"a"}} trailing"#))),
        ("undecodable", Some(vec![b'x'; 1_000_000])),
        ("undecodable", json(format!(r#"{{"ts":{now},"service":"a","x":{}"#, "[".repeat(100_000)))),
        ("wrong_type", json("[]".to_owned())),
        // A parser that quotes what it was given would make a dead letter that no broker takes.
        ("wrong_type", json(format!("\"{}\"", "\u{7f}".repeat(200_000)))),
        ("no_value", None),
        ("missing_field", json(format!(r#"{{"ts":{now}}}"#))),
        ("wrong_type", json(format!(r#"{{"ts":"{now}","service":"a"}}"#))),
        ("wrong_type", json(format!(r#"{{"ts":{now},"service":"a","status":200.5}}"#))),
        ("undecodable", json(format!(r#"{{"ts":{now},"service":"a","latency_us":NaN}}"#))),
        ("negative", json(format!(r#"{{"ts":{now},"service":"a","latency_us":-1}}"#))),
        ("out_of_range", json(format!(r#"{{"ts":{now},"service":"a","latency_us":1e30}}"#))),
        ("out_of_range", json(format!(r#"{{"ts":{now},"service":"{}"}}"#, "s".repeat(1000)))),
        ("duplicate_field", json(format!(r#"{{"ts":{now},"service":"a","service":"b"}}"#))),
        ("future_timestamp", json(format!(r#"{{"ts":{},"service":"a"}}"#, now + year_us))),
        ("too_late", json(format!(r#"{{"ts":{},"service":"a"}}"#, now - year_us))),
    ]
}

#[test]
fn every_bad_record_is_one_dead_letter_and_every_good_one_counts() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("bad-input")? else { return Ok(()) };
    let mut load = Load::new();
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for partition in 0..PARTITIONS - 1 {
        load.push((partition, Some(good("shop", "/first"))));
        for (reason, value) in bad_records() {
            *expected.entry(reason).or_default() += 1;
            load.push((partition, value));
            load.push((partition, Some(good("shop", "/next"))));
        }
    }
    // One partition holds nothing but garbage.
    for index in 0..5000_u32 {
        *expected.entry("undecodable").or_default() += 1;
        load.push((PARTITIONS - 1, Some(format!("garbage {index}").into_bytes())));
    }
    let counted = load.len() as u64 - expected.values().sum::<u64>();
    send(&cluster, &load)?;
    let mut sli = cluster.start_sli(0, "sli", &QUICK)?;
    let outputs = cluster.wait_for("all records", &mut |outputs| {
        outputs.counted() == counted && outputs.dead_letters.len() as u64 == expected.values().sum::<u64>()
    })?;
    assert_eq!(outputs.dead_letters_by_reason(), expected);
    let whole = outputs.dead_letters.iter().find(|letter| letter.value_bytes == 1_000_000).expect("the 1 MB record");
    assert_eq!(whole.value.as_deref().map(str::len), Some(4096), "its head is kept");
    // The clock that was a year ahead has not moved time: the last frontiers are about now.
    let ahead = outputs.facts.iter().any(|fact| match fact {
        Fact::Frontier(frontier) => frontier.complete_until > EventTime(now_us() + 60_000_000),
        Fact::Delta(_) => false,
    });
    assert!(!ahead, "a record from the future moved the watermark");
    // Garbage does not hold time up for ever: the silent partition gets idle advances.
    cluster.wait_for("the garbage partition to move on", &mut |outputs| {
        outputs
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::Frontier(frontier) if frontier.partition == PARTITIONS - 1))
    })?;
    sli.terminate()?;
    cluster.tool(&["audit", "--prefix", &cluster.prefix, "--source-check"])?;
    Ok(())
}

#[test]
fn a_hundred_thousand_routes_stay_within_memory() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("routes")? else { return Ok(()) };
    let routes = |from: u32, to: u32| -> Load {
        (from..to).map(|index| (index as i32 % PARTITIONS, Some(good("shop", &format!("/item/{index}"))))).collect()
    };
    let mut sli = cluster.start_sli(0, "sli", &QUICK)?;
    send(&cluster, &routes(0, 20_000))?;
    cluster.wait_for("20,000 routes", &mut |outputs| outputs.counted() == 20_000)?;
    let before = sli.resident_bytes()?;
    send(&cluster, &routes(20_000, 120_000))?;
    let outputs = cluster.wait_for("120,000 routes", &mut |outputs| outputs.counted() == 120_000)?;
    let after = sli.resident_bytes()?;
    println!("resident memory: {before} bytes after 20,000 routes, {after} after 120,000");
    let folded = outputs.facts.iter().any(|fact| matches!(fact, Fact::Delta(delta) if delta.service == OTHER));
    assert!(folded, "the bound of 1,000 series folds the rest");
    assert!(after < before + (200 << 20), "memory went from {before} to {after} bytes");
    sli.terminate()?;
    cluster.tool(&["audit", "--prefix", &cluster.prefix, "--source-check"])?;
    Ok(())
}

#[test]
fn a_topic_that_grows_is_followed() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("grows")? else { return Ok(()) };
    let ten = |partition: i32| -> Load { (0..10).map(|_| (partition, Some(good("shop", "/a")))).collect() };
    let extra: Vec<&str> = [&QUICK[..], &["-X", "topic.metadata.refresh.interval.ms=2000"]].concat();
    let mut sli = cluster.start_sli(0, "sli", &extra)?;
    send(&cluster, &ten(0))?;
    cluster.wait_for("the first ten", &mut |outputs| outputs.counted() == 10)?;
    let requests = named(topics::REQUESTS).expect("in the table");
    let grown = Topic { partitions: PARTITIONS + 1, ..requests.clone() };
    assert_eq!(TopicAdmin::open(&cluster.client(), &cluster.prefix)?.apply(&[grown])?, vec![]);
    send(&cluster, &ten(PARTITIONS))?;
    send(&cluster, &ten(0))?;
    let outputs = cluster.wait_for("records of the new partition", &mut |outputs| outputs.counted() == 30)?;
    let announced = outputs.facts.iter().filter_map(|fact| match fact {
        Fact::Frontier(frontier) => frontier.partitions,
        Fact::Delta(_) => None,
    });
    assert_eq!(announced.max(), Some(PARTITIONS + 1), "partition 0 announces the new roster");
    sli.terminate()?;
    cluster.tool(&["audit", "--prefix", &cluster.prefix, "--source-check"])?;
    Ok(())
}

#[test]
fn an_operators_offset_reset_halts_until_a_new_generation_is_asked_for() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("reset")? else { return Ok(()) };
    let load: Load = (0..100).map(|index| (index % PARTITIONS, Some(good("shop", "/a")))).collect();
    send(&cluster, &load)?;
    let mut sli = cluster.start_sli(0, "first", &QUICK)?;
    cluster.wait_for("the first hundred", &mut |outputs| outputs.counted() == 100)?;
    sli.terminate()?;
    // The member is static: its session must end before the group is empty and its offsets can be set.
    std::thread::sleep(Duration::from_secs(8));
    reset_offsets(&cluster)?;

    let mut halted = cluster.start_sli(0, "halted", &QUICK)?;
    let (code, log) = halted.wait_for_exit()?;
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("carries no metadata") && log.contains("--new-generation"), "{log}");

    let extra: Vec<&str> = [&QUICK[..], &["--new-generation"]].concat();
    let mut again = cluster.start_sli(0, "again", &extra)?;
    let outputs = cluster.wait_for("the new generation", &mut |outputs| outputs.counted() == 200)?;
    let generations = outputs.facts.iter().filter_map(|fact| match fact {
        Fact::Frontier(frontier) => Some(frontier.generation),
        Fact::Delta(_) => None,
    });
    assert_eq!(generations.max(), Some(1));
    again.terminate()
}

/// As an operator does it: offsets of an empty group, without metadata.
fn reset_offsets(cluster: &Cluster) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &cluster.brokers)
        .set("group.id", cluster.group())
        .set("enable.auto.commit", "false")
        .create()?;
    let mut offsets = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        offsets.add_partition_offset(&cluster.topic(topics::REQUESTS), partition, Offset::Offset(0))?;
    }
    consumer.commit(&offsets, CommitMode::Sync)?;
    Ok(())
}
