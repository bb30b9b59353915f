//! Reading without a group: partitions by hand, from given offsets, only what is committed.
//!
//! Serves the command line (`windows`, `audit`, `verify`) and the state topics of a worker.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use streamgauge_events::{EventTime, Offset};
use streamgauge_stage::{Delivery, Record, Source};

use crate::KafkaFailure;
use crate::batch::{Batch, BatchConsumer, Fetched};
use crate::clock::{Stopwatch, drop_within};
use crate::context::Quiet;
use crate::failure::is_hopeless;
use crate::settings::ClientSettings;

/// Records taken from the client at once. At 250 bytes each about 256 kB: more does not get faster.
pub const BATCH_RECORDS_MAX: usize = 1024;
/// How long a request to the cluster may take before it is repeated or given up.
pub(crate) const REQUEST: Duration = Duration::from_secs(5);
const TEARDOWN: Duration = Duration::from_secs(3);
/// A wait is cut into slices, so that errors and rebalances are seen while nothing arrives.
pub(crate) const SLICE: Duration = Duration::from_millis(10);

/// Where a partition starts and ends: the first offset that the log still holds, and the one behind its last record
/// (aborted, open and marker records included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    pub log_start: Offset,
    pub log_end: Offset,
}

/// Asks about topics.
pub(crate) struct Probe {
    client: Option<BaseConsumer<Quiet>>,
    /// As they were given: errors name them, since a wrong address is the likeliest cause.
    brokers: String,
}

impl Probe {
    pub fn open(config: &ClientConfig) -> Result<Self, KafkaError> {
        let brokers = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        Ok(Self { client: Some(config.create_with_context(Quiet::default())?), brokers })
    }

    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    fn client(&self) -> &BaseConsumer<Quiet> {
        self.client.as_ref().expect("taken only while being dropped")
    }

    /// The number of partitions; `None` if there is no such topic.
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, KafkaError> {
        // Lets log lines and errors of the library out.
        self.client().poll(Duration::ZERO);
        let metadata = self.client().fetch_metadata(Some(topic), REQUEST)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(code) => Err(KafkaError::MetadataFetch(code)),
        }
    }

    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<Watermarks, KafkaError> {
        let (log_start, log_end) = self.client().fetch_watermarks(topic, partition, REQUEST)?;
        Ok(Watermarks { log_start, log_end })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop_within(client, TEARDOWN);
        }
    }
}

/// What handing over a batch found.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    pub records: usize,
    pub ends: usize,
    /// Partitions that can't be read on, and why.
    pub problems: Vec<(Source, RDKafkaErrorCode)>,
}

/// Turns librdkafka's messages into deliveries. `topics` gives each topic its index.
pub(crate) fn hand_over(batch: &Batch<'_>, topics: &[String], deliver: &mut dyn FnMut(Delivery<'_>)) -> Handed {
    let mut handed = Handed::default();
    // Batches hold long runs of one topic, which come with the very same name: most often nothing is compared.
    let mut last = 0;
    let mut seen: Option<&str> = None;
    for fetched in batch.iter() {
        let (Fetched::Record { topic, .. } | Fetched::Error { topic, .. }) = fetched;
        if !seen.is_some_and(|seen| std::ptr::eq(topic, seen)) {
            match topics.iter().position(|name| name == topic) {
                Some(index) => (last, seen) = (index, Some(topic)),
                None => continue,
            }
        }
        let topic = u16::try_from(last).unwrap_or(u16::MAX);
        match fetched {
            Fetched::Record { partition, offset, timestamp_ms, key, value, .. } => {
                handed.records += 1;
                deliver(Delivery::Record(Record {
                    source: Source { topic, partition },
                    offset,
                    timestamp: timestamp_ms.map(|ms| EventTime(ms.saturating_mul(1000))),
                    key,
                    value,
                    rejected: None,
                }));
            }
            Fetched::Error { partition, offset, code: RDKafkaErrorCode::PartitionEOF, .. } => {
                handed.ends += 1;
                deliver(Delivery::End { source: Source { topic, partition }, position: offset });
            }
            Fetched::Error { partition, code, .. } => handed.problems.push((Source { topic, partition }, code)),
        }
    }
    handed
}

/// Reads partitions of some topics in `read_committed`.
pub struct TopicReader {
    consumer: Option<BatchConsumer<Quiet>>,
    probe: Probe,
    topics: Vec<String>,
}

impl TopicReader {
    /// Connects; `topics` gives each topic its index in [`Source::topic`].
    pub fn open(settings: &ClientSettings, topics: &[&str]) -> Result<Self, KafkaFailure> {
        settings.check().map_err(|error| KafkaFailure(error.to_string()))?;
        Self::with(&settings.reader(), &settings.probe(), topics)
    }

    pub(crate) fn with(reader: &ClientConfig, probe: &ClientConfig, topics: &[&str]) -> Result<Self, KafkaFailure> {
        let failed = |error: KafkaError| KafkaFailure::new("make a Kafka consumer", &error);
        Ok(Self {
            consumer: Some(BatchConsumer::new(reader, Quiet::default()).map_err(failed)?),
            probe: Probe::open(probe).map_err(failed)?,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        })
    }

    /// Every partition of every topic, with where it starts and ends now.
    pub fn watermarks(&self) -> Result<BTreeMap<Source, Watermarks>, KafkaFailure> {
        let mut found = BTreeMap::new();
        for (index, topic) in self.topics.iter().enumerate() {
            let partitions = self
                .probe
                .partitions(topic)
                .map_err(|error| {
                    KafkaFailure::new(format!("look up topic {topic} at {}", self.probe.brokers()), &error)
                })?
                .ok_or_else(|| {
                    KafkaFailure(format!(
                        "there is no topic {topic}; `streamgauge topics apply` makes those of the topic table"
                    ))
                })?;
            for partition in 0..partitions {
                let watermarks = self
                    .probe
                    .watermarks(topic, partition)
                    .map_err(|error| KafkaFailure::new(format!("ask where {topic}/{partition} ends"), &error))?;
                found.insert(Source { topic: u16::try_from(index).unwrap_or(u16::MAX), partition }, watermarks);
            }
        }
        Ok(found)
    }

    /// Starts reading these partitions, and no others.
    pub fn assign(&mut self, starts: &[(Source, Offset)]) -> Result<(), KafkaFailure> {
        let consumer = self.consumer.as_mut().expect("taken only while being dropped");
        let starts = named(&self.topics, starts);
        consumer.assign(&starts).map_err(|error| KafkaFailure::new("assign partitions", &error))
    }

    /// Waits at most `wait` for records and hands over what is there. Answers how many records.
    pub fn poll(&mut self, wait: Duration, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<usize, KafkaFailure> {
        let Self { consumer, topics, .. } = self;
        let consumer = consumer.as_mut().expect("taken only while being dropped");
        let watch = Stopwatch::start();
        loop {
            if let Some(Err(error)) = consumer.consumer().poll(Duration::ZERO)
                && error.rdkafka_error_code().is_some_and(is_hopeless)
            {
                return Err(KafkaFailure::new("read", &error));
            }
            let handed = hand_over(&consumer.fetch(Duration::ZERO, BATCH_RECORDS_MAX), topics, deliver);
            check(topics, &handed)?;
            if handed.records + handed.ends > 0 {
                return Ok(handed.records);
            }
            let Some(left) = watch.left(wait) else { return Ok(0) };
            let handed = hand_over(&consumer.fetch(left.min(SLICE), 1), topics, deliver);
            check(topics, &handed)?;
            if handed.records + handed.ends > 0 {
                let rest = hand_over(&consumer.fetch(Duration::ZERO, BATCH_RECORDS_MAX), topics, deliver);
                check(topics, &rest)?;
                return Ok(handed.records + rest.records);
            }
        }
    }

    /// Reads the assigned partitions until each has reached its end in `ends`, or `deliver` breaks off. Fails when for
    /// `patience` nothing has come: an open transaction holds back what lies behind it.
    pub fn read_to(
        &mut self,
        ends: &BTreeMap<Source, Offset>,
        patience: Duration,
        deliver: &mut dyn FnMut(Delivery<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, KafkaFailure> {
        let mut missing = ends.clone();
        let mut flow = ControlFlow::Continue(());
        let mut silent = Stopwatch::start();
        while !missing.is_empty() && flow.is_continue() {
            let mut moved = false;
            self.poll(Duration::from_millis(100), &mut |delivery| {
                if flow.is_break() {
                    return;
                }
                let (source, position) = match &delivery {
                    Delivery::Record(record) => (record.source, record.offset + 1),
                    Delivery::End { source, position } => (*source, *position),
                };
                moved = true;
                // Behind its end a partition may go on: that is for the next reading.
                let Some(end) = missing.get(&source).copied() else { return };
                if position <= end || matches!(delivery, Delivery::End { .. }) {
                    flow = deliver(delivery);
                }
                if position >= end {
                    missing.remove(&source);
                }
            })?;
            if moved {
                silent = Stopwatch::start();
            } else if silent.left(patience).is_none() {
                let (source, end) = missing.iter().next().expect("not empty in this loop");
                let topic = &self.topics[usize::from(source.topic)];
                return Err(KafkaFailure(format!(
                    "{topic}/{} was not readable up to offset {end} within {} s; a transaction may be open there",
                    source.partition,
                    patience.as_secs(),
                )));
            }
        }
        Ok(flow)
    }
}

impl Drop for TopicReader {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            drop_within(consumer, TEARDOWN);
        }
    }
}

/// Starts under the names of their topics.
pub(crate) fn named<'a>(topics: &'a [String], starts: &[(Source, Offset)]) -> Vec<(&'a str, i32, Offset)> {
    starts
        .iter()
        .map(|(source, offset)| (topics[usize::from(source.topic)].as_str(), source.partition, *offset))
        .collect()
}

fn check(topics: &[String], handed: &Handed) -> Result<(), KafkaFailure> {
    match handed.problems.first() {
        None => Ok(()),
        Some((source, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) => {
            let topic = &topics[usize::from(source.topic)];
            Err(KafkaFailure(format!(
                "{topic}/{}: the log no longer holds the offset to read from, or never did",
                source.partition
            )))
        }
        Some((source, code)) => {
            let topic = &topics[usize::from(source.topic)];
            Err(KafkaFailure(format!("{topic}/{}: {code}", source.partition)))
        }
    }
}
