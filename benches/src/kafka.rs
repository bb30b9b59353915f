//! Topics of the benchmarks' own, and a consumer as the stage's is set.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use streamgauge_decode::AvroEncoder;
use streamgauge_events::topics::{self, Topic};
use streamgauge_events::{Event, Kind};
use streamgauge_kafka::{ClientSettings, RecordSender, TopicAdmin, TopicReader};
use streamgauge_synthetic::{Generated, Generator};

const IN_FLIGHT_MAX: usize = 100_000;
const REQUEST: Duration = Duration::from_secs(10);

/// The consumer that every contender has: what the stage's own is set to, without a group.
pub fn consumer_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "streamgauge-benches")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.wait.max.ms", "100")
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "32768");
    config
}

/// Makes the input topic `<prefix>requests`.
pub fn make_input(client: &ClientSettings, prefix: &str) -> anyhow::Result<String> {
    make(client, prefix, |topic| topic.topic == topics::REQUESTS)?;
    Ok(format!("{prefix}{}", topics::REQUESTS))
}

/// Makes the stage's output topics under a prefix.
pub fn make_outputs(client: &ClientSettings, prefix: &str) -> anyhow::Result<()> {
    make(client, prefix, |topic| topic.topic != topics::REQUESTS)
}

fn make(client: &ClientSettings, prefix: &str, wanted: impl Fn(&Topic) -> bool) -> anyhow::Result<()> {
    let table: Vec<Topic> = topics::table().iter().filter(|topic| wanted(topic)).cloned().collect();
    let remaining = TopicAdmin::open(client, prefix)?.apply(&table)?;
    match remaining.first() {
        None => Ok(()),
        Some(difference) => bail!("couldn't set topics up: {difference}"),
    }
}

/// Appends a whole scenario as fast as the broker takes it, as JSON or as an encoder writes it.
pub fn fill(
    client: &ClientSettings,
    topic: &str,
    generator: &mut Generator,
    avro: Option<&AvroEncoder>,
) -> anyhow::Result<u64> {
    let mut sender = RecordSender::open(client, IN_FLIGHT_MAX)?;
    let mut record = Generated::default();
    let mut sent = 0_u64;
    while generator.fill(&mut record) {
        let encoded = match avro {
            Some(encoder) => Some(encoder.encode(&Event::from_json(Kind::Request, &record.value)?)),
            None => None,
        };
        let value = encoded.as_ref().unwrap_or(&record.value);
        sender.send(topic, record.partition, record.key.as_deref(), Some(value), 0)?;
        sent += 1;
        if sent.is_multiple_of(256) {
            sender.poll();
            sender.take_settled();
        }
    }
    sender.flush()?;
    if sender.failed() > 0 {
        bail!("{} of {sent} records were not acknowledged", sender.failed());
    }
    Ok(sent)
}

/// Partition and the offset behind its last record.
pub fn ends(client: &ClientSettings, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let watermarks = TopicReader::open(client, &[topic])?.watermarks()?;
    Ok(watermarks.into_iter().map(|(source, found)| (source.partition, found.log_end)).collect())
}

/// Looks on while a group works.
pub struct GroupLag {
    consumer: BaseConsumer,
    topic: String,
    ends: BTreeMap<i32, i64>,
}

impl GroupLag {
    pub fn of(client: &ClientSettings, group: &str, topic: &str) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        // The stable fetch of `read_committed` would wait for open transactions; an old answer is as good here.
        config
            .set("bootstrap.servers", &client.brokers)
            .set("group.id", group)
            .set("isolation.level", "read_uncommitted");
        let consumer = config.create().context("couldn't make a consumer")?;
        Ok(Self { consumer, topic: topic.to_owned(), ends: ends(client, topic)? })
    }

    /// Records that the group has not yet committed.
    pub fn records(&self) -> anyhow::Result<i64> {
        let mut list = TopicPartitionList::new();
        for partition in self.ends.keys() {
            list.add_partition(&self.topic, *partition);
        }
        let committed = self.consumer.committed_offsets(list, REQUEST).context("couldn't read the group's offsets")?;
        let lag_of = |(partition, end): (&i32, &i64)| match committed.find_partition(&self.topic, *partition) {
            Some(element) if element.error().is_ok() => match element.offset() {
                Offset::Offset(offset) => end - offset,
                _ => *end,
            },
            _ => *end,
        };
        Ok(self.ends.iter().map(lag_of).sum())
    }
}
