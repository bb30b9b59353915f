//! How fast records come in: rdkafka's `BaseConsumer::poll` against batches from one queue, in turn, in one process.
//!
//! `cargo run --release -p streamgauge-kafka --example read_rates -- 127.0.0.1:9092 [RECORDS] [ROUNDS]`
//! makes a topic of four partitions with records of 250 bytes (lz4), and prints events per second and CPU per event of
//! the whole process for each round.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use streamgauge_events::topics;
use streamgauge_kafka::{ClientSettings, RecordSender, TopicAdmin, TopicReader};
use streamgauge_stage::{Delivery, Source};

const PARTITIONS: i32 = 4;
const RECORD_BYTES: usize = 250;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    let records: usize = arguments.next().map_or(Ok(2_000_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let settings = ClientSettings::new(&brokers);
    let prefix = format!("rates.{records}.");
    let topic = format!("{prefix}{}", topics::REQUESTS);
    let table: Vec<_> = topics::table().iter().filter(|topic| topic.topic == topics::REQUESTS).cloned().collect();
    TopicAdmin::open(&settings, &prefix)?.apply(&table)?;
    fill(&settings, &topic, records)?;
    println!("{:>6}  {:<22} {:>12} {:>14}", "round", "loop", "events/s", "CPU ns/event");
    for round in 1..=rounds {
        measure(round, "BaseConsumer::poll", || poll_one_by_one(&settings, &topic))?;
        measure(round, "batch from one queue", || poll_batches(&settings, &topic))?;
    }
    Ok(())
}

fn fill(settings: &ClientSettings, topic: &str, records: usize) -> Result<(), Box<dyn std::error::Error>> {
    let reader = TopicReader::open(settings, &[topic])?;
    let present: i64 = reader.watermarks()?.values().map(|marks| marks.log_end).sum();
    let missing = records.saturating_sub(usize::try_from(present)?);
    let mut sender = RecordSender::open(settings, 100_000)?;
    for number in 0..missing {
        let mut value = format!(
            r#"{{"ts":{number},"service":"checkout","route":"/cart/{}","latency_us":{}}}"#,
            number % 97,
            number % 9973
        );
        while value.len() < RECORD_BYTES {
            value.push(char::from(b'a' + u8::try_from((number * 7 + value.len() * 13) % 26)?));
        }
        sender.send(topic, i32::try_from(number)? % PARTITIONS, None, Some(value.as_bytes()), number)?;
        sender.take_settled();
    }
    sender.flush()?;
    Ok(())
}

#[allow(clippy::disallowed_methods)]
fn measure(
    round: usize,
    name: &str,
    run: impl FnOnce() -> Result<(u64, u64), Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (start, cpu) = (Instant::now(), cpu_ms()?);
    let (count, bytes) = run()?;
    let secs = start.elapsed().as_secs_f64();
    let cpu = cpu_ms()? - cpu;
    assert_eq!(bytes, count * RECORD_BYTES as u64);
    println!("{round:>6}  {name:<22} {:>12.0} {:>14.0}", count as f64 / secs, cpu as f64 * 1e6 / count as f64);
    Ok(())
}

/// User and system time of this process so far; the kernel counts it in hundredths of a second.
fn cpu_ms() -> Result<u64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok((fields[11].parse::<u64>()? + fields[12].parse::<u64>()?) * 10)
}

fn poll_one_by_one(settings: &ClientSettings, topic: &str) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", "rates")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "32768")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Offset(0))?;
    }
    consumer.assign(&list)?;
    let (mut count, mut bytes, mut ended) = (0, 0, 0);
    while ended < PARTITIONS {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                count += 1;
                bytes += message.payload().map_or(0, <[u8]>::len) as u64;
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    Ok((count, bytes))
}

fn poll_batches(settings: &ClientSettings, topic: &str) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let mut reader = TopicReader::open(settings, &[topic])?;
    let ends: BTreeMap<Source, i64> =
        reader.watermarks()?.into_iter().map(|(source, marks)| (source, marks.log_end)).collect();
    reader.assign(&ends.keys().map(|source| (*source, 0)).collect::<Vec<_>>())?;
    let (mut count, mut bytes) = (0, 0);
    let flow = reader.read_to(&ends, Duration::from_secs(30), &mut |delivery| {
        if let Delivery::Record(record) = delivery {
            count += 1;
            bytes += record.value.map_or(0, <[u8]>::len) as u64;
        }
        ControlFlow::Continue(())
    })?;
    assert!(flow.is_continue());
    Ok((count, bytes))
}
