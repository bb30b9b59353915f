//! The topic table → topics of a cluster: what differs, and how to bring it in line.
//!
//! Settings that the table does not mention are left as they are.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use streamgauge_events::topics::{self, TimestampType, Topic};

use crate::KafkaFailure;
use crate::clock::Stopwatch;
use crate::context::Quiet;
use crate::settings::ClientSettings;
use crate::source::{Probe, REQUEST};

/// Three copies survive the loss of one broker without losing acknowledged records or stopping.
const REPLICATION_MAX: usize = 3;
/// How long a new topic may take to be known everywhere.
const PROPAGATION: Duration = Duration::from_secs(15);
/// Topics whose keys nothing relies on. All others find a key in the partition that it hashes to, so they can't grow
/// once they hold records.
const UNKEYED: [&str; 3] = [topics::REQUESTS, topics::SCORES, topics::RESOURCES];

/// One way in which the cluster differs from the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Missing { topic: String, partitions: i32, replication: i32 },
    TooFewPartitions { topic: String, found: i32, wanted: i32, refused: Option<String> },
    Setting { topic: String, key: String, found: String, wanted: String },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { topic, partitions, replication } => {
                write!(f, "{topic}: missing; to be made with {partitions} partition(s), replication {replication}")
            }
            Self::TooFewPartitions { topic, found, wanted, refused } => {
                write!(f, "{topic}: {found} partition(s), the table says {wanted}")?;
                match refused {
                    Some(reason) => write!(f, "; can't be changed: {reason}"),
                    None => write!(f, "; to be added"),
                }
            }
            Self::Setting { topic, key, found, wanted } => {
                write!(f, "{topic}: {key} is {found}, the table says {wanted}")
            }
        }
    }
}

impl Difference {
    /// Whether `apply` can remove it.
    pub fn can_be_applied(&self) -> bool {
        !matches!(self, Self::TooFewPartitions { refused: Some(_), .. })
    }

    pub fn topic(&self) -> &str {
        match self {
            Self::Missing { topic, .. } | Self::TooFewPartitions { topic, .. } | Self::Setting { topic, .. } => topic,
        }
    }
}

pub struct TopicAdmin {
    client: AdminClient<Quiet>,
    probe: Probe,
    prefix: String,
}

impl TopicAdmin {
    /// `prefix` stands before the name of each of our topics; usually it is empty.
    pub fn open(settings: &ClientSettings, prefix: &str) -> Result<Self, KafkaFailure> {
        settings.check().map_err(|error| KafkaFailure(error.to_string()))?;
        let failed = |error: KafkaError| KafkaFailure::new("make a Kafka client", &error);
        Ok(Self {
            client: settings.admin().create_with_context(Quiet::default()).map_err(failed)?,
            probe: Probe::open(&settings.probe()).map_err(failed)?,
            prefix: prefix.to_owned(),
        })
    }

    /// What differs from `table`, in its order. Changes nothing.
    pub fn plan(&self, table: &[Topic]) -> Result<Vec<Difference>, KafkaFailure> {
        let metadata = self.metadata()?;
        let replication = i32::try_from(metadata.brokers().len().min(REPLICATION_MAX)).unwrap_or(1);
        let counts = partition_counts(&metadata)?;
        let existing: Vec<String> =
            table.iter().map(|topic| self.name(topic)).filter(|name| counts.contains_key(name)).collect();
        let configs = self.configs(&existing)?;
        let mut differences = Vec::new();
        for topic in table {
            let name = self.name(topic);
            let Some(found) = counts.get(&name).copied() else {
                differences.push(Difference::Missing { topic: name, partitions: topic.partitions, replication });
                continue;
            };
            if found < topic.partitions {
                let refused = self.why_not_grow(topic, &name, found)?;
                let wanted = topic.partitions;
                differences.push(Difference::TooFewPartitions { topic: name.clone(), found, wanted, refused });
            }
            let config = configs.get(&name).ok_or_else(|| KafkaFailure(format!("no settings of topic {name}")))?;
            for (key, wanted) in topic.kafka_config() {
                let value = config.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
                if value != wanted {
                    differences.push(Difference::Setting {
                        topic: name.clone(),
                        key: key.to_owned(),
                        found: value,
                        wanted,
                    });
                }
            }
        }
        Ok(differences)
    }

    /// Removes what differs from `table` as far as that is safe, and answers what remains.
    pub fn apply(&self, table: &[Topic]) -> Result<Vec<Difference>, KafkaFailure> {
        let differences = self.plan(table)?;
        for topic in table {
            let name = self.name(topic);
            let of_topic: Vec<&Difference> =
                differences.iter().filter(|found| found.topic() == name && found.can_be_applied()).collect();
            for difference in &of_topic {
                match difference {
                    Difference::Missing { partitions, replication, .. } => {
                        self.create(topic, &name, *partitions, *replication)?;
                    }
                    Difference::TooFewPartitions { wanted, .. } => self.grow(&name, *wanted)?,
                    Difference::Setting { .. } => {}
                }
            }
            if of_topic.iter().any(|difference| matches!(difference, Difference::Setting { .. })) {
                self.alter(topic, &name)?;
            }
        }
        self.settled(table)
    }

    /// A sentence for people where the check for clocks that run ahead is weaker than it looks: on a topic whose
    /// timestamps come from its producers.
    pub fn timestamp_warning(&self, topic: &str) -> Result<Option<String>, KafkaFailure> {
        let configs = self.configs(&[topic.to_owned()])?;
        // A topic that doesn't exist has no settings: that it is missing is said by whoever needs it.
        let found = configs.get(topic).and_then(|config| config.get("message.timestamp.type")?.value.clone());
        let Some(found) = found.filter(|found| found != TimestampType::LogAppendTime.as_str()) else { return Ok(None) };
        Ok(Some(format!(
            "{topic} has message.timestamp.type={found}: the check for records from the future trusts the clocks of its producers. With \
             LogAppendTime it would trust the brokers' only"
        )))
    }

    fn name(&self, topic: &Topic) -> String {
        format!("{}{}", self.prefix, topic.topic)
    }

    fn metadata(&self) -> Result<Metadata, KafkaFailure> {
        let client = self.client.inner();
        let failed = |error| KafkaFailure::new(format!("reach the Kafka cluster at {}", self.probe.brokers()), &error);
        client.fetch_metadata(None, REQUEST * 2).map_err(failed)
    }

    fn why_not_grow(&self, topic: &Topic, name: &str, found: i32) -> Result<Option<String>, KafkaFailure> {
        if UNKEYED.contains(&topic.topic.as_str()) {
            return Ok(None);
        }
        for partition in 0..found {
            let watermarks = self
                .probe
                .watermarks(name, partition)
                .map_err(|error| KafkaFailure::new(format!("ask where {name}/{partition} ends"), &error))?;
            if watermarks.log_end > 0 {
                return Ok(Some(
                    "it holds records, and its keys would hash to other partitions. Make a new topic and replay into it".to_owned(),
                ));
            }
        }
        Ok(None)
    }

    fn configs(&self, names: &[String]) -> Result<BTreeMap<String, ConfigResource>, KafkaFailure> {
        let mut found = BTreeMap::new();
        if names.is_empty() {
            return Ok(found);
        }
        let resources: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let described = block_on(self.client.describe_configs(&resources, &options()))
            .map_err(|error| KafkaFailure::new("read the settings of topics", &error))?;
        for (name, config) in names.iter().zip(described) {
            let config =
                config.map_err(|code| KafkaFailure(format!("couldn't read the settings of topic {name}: {code}")))?;
            found.insert(name.clone(), config);
        }
        Ok(found)
    }

    fn create(&self, topic: &Topic, name: &str, partitions: i32, replication: i32) -> Result<(), KafkaFailure> {
        let config = topic.kafka_config();
        let mut new = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
        for (key, value) in &config {
            new = new.set(key, value);
        }
        let what = format!("make topic {name}");
        let results = block_on(self.client.create_topics([&new], &options()));
        match first(&what, results)? {
            // Two of us at once: the other was quicker, and what it made is compared next time.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err((_, code)) => Err(KafkaFailure(format!("couldn't {what}: {code}"))),
        }
    }

    fn grow(&self, name: &str, wanted: i32) -> Result<(), KafkaFailure> {
        let new = NewPartitions::new(name, usize::try_from(wanted).unwrap_or(0));
        let what = format!("add partitions to topic {name}");
        let results = block_on(self.client.create_partitions([&new], &options()));
        first(&what, results)?.map(drop).map_err(|(_, code)| KafkaFailure(format!("couldn't {what}: {code}")))
    }

    /// Sets what the table says. The request replaces all of a topic's own settings, so the others are sent along.
    fn alter(&self, topic: &Topic, name: &str) -> Result<(), KafkaFailure> {
        let what = format!("change the settings of topic {name}");
        let configs = self.configs(&[name.to_owned()])?;
        let present = configs.get(name).map(|config| config.entries.as_slice()).unwrap_or_default();
        let mut wanted: BTreeMap<&str, &str> = present
            .iter()
            .filter(|entry| entry.source == ConfigSource::DynamicTopic)
            .filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)))
            .collect();
        let ours = topic.kafka_config();
        wanted.extend(ours.iter().map(|(key, value)| (*key, value.as_str())));
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (key, value) in wanted {
            change = change.set(key, value);
        }
        let results = block_on(self.client.alter_configs([&change], &options()));
        first(&what, results)?.map(drop).map_err(|(_, code)| KafkaFailure(format!("couldn't {what}: {code}")))
    }

    /// What remains once the changes are known everywhere.
    fn settled(&self, table: &[Topic]) -> Result<Vec<Difference>, KafkaFailure> {
        let watch = Stopwatch::start();
        loop {
            let remaining = self.plan(table);
            let done = remaining.as_ref().is_ok_and(|left| !left.iter().any(Difference::can_be_applied));
            if done || watch.left(PROPAGATION).is_none() {
                return remaining;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST * 2)).operation_timeout(Some(REQUEST))
}

fn partition_counts(metadata: &Metadata) -> Result<BTreeMap<String, i32>, KafkaFailure> {
    let mut counts = BTreeMap::new();
    for topic in metadata.topics() {
        if topic.error().map(RDKafkaErrorCode::from) == Some(RDKafkaErrorCode::TopicAuthorizationFailed) {
            return Err(KafkaFailure(format!("topic {}: not authorised", topic.name())));
        }
        counts.insert(topic.name().to_owned(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX));
    }
    Ok(counts)
}

fn first<T>(what: &str, results: Result<Vec<T>, KafkaError>) -> Result<T, KafkaFailure> {
    let results = results.map_err(|error| KafkaFailure::new(what, &error))?;
    results.into_iter().next().ok_or_else(|| KafkaFailure(format!("couldn't {what}: no answer")))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread. The admin client's futures are woken by a thread of its own and end with the
/// request's time-out, so no runtime is needed.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
