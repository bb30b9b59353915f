//! What a client needs to be told, and the librdkafka properties that follow from it.
//!
//! Correctness rests on some of these properties; they can't be overridden. Values that may be secrets are never
//! printed, by `Debug` or in errors.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// How any client reaches the cluster.
#[derive(Clone)]
pub struct ClientSettings {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// The group under whose name readers without a group connect. They neither join it nor commit to it, but a cluster
    /// with access control wants to see it described.
    pub reader_group: String,
    /// Further librdkafka properties. A key may start with `consumer.` or `producer.` to go to that kind of client only.
    pub properties: BTreeMap<String, String>,
}

/// One worker of a stage: one consumer and one transactional producer.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    pub client: ClientSettings,
    pub group: String,
    /// Number of this instance, unique in the group. From configuration or a StatefulSet's name, never guessed.
    pub ordinal: u32,
    /// Number of this worker in its process.
    pub worker: u32,
    /// Put before the name of every output topic (replays); usually empty.
    pub output_prefix: String,
    /// How long the group waits for a silent member before its partitions go to others.
    pub session_timeout_ms: u32,
    /// How long the coordinator keeps an abandoned transaction open, and with it every `read_committed` reader waiting.
    pub transaction_timeout_ms: u32,
    /// How long a record may wait for its acknowledgement.
    pub message_timeout_ms: u32,
    /// `none`, `lz4`, `zstd`, `snappy` or `gzip`.
    pub compression: String,
    /// How long the producer collects records before it sends a batch.
    pub linger_ms: u32,
    /// Bound of the consumer's prefetched records, all partitions together.
    pub prefetch_kib_max: u32,
    /// How many records of a partition the consumer tries to have prefetched.
    pub prefetch_records: u32,
}

impl ClientSettings {
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), reader_group: "streamgauge-tools".to_owned(), properties: BTreeMap::new() }
    }
}

impl KafkaSettings {
    pub fn new(brokers: impl Into<String>, group: impl Into<String>, ordinal: u32, worker: u32) -> Self {
        Self {
            client: ClientSettings::new(brokers),
            group: group.into(),
            ordinal,
            worker,
            output_prefix: String::new(),
            session_timeout_ms: 6_000,
            transaction_timeout_ms: 10_000,
            message_timeout_ms: 5_000,
            compression: "lz4".to_owned(),
            linger_ms: 1,
            prefetch_kib_max: 32_768,
            prefetch_records: 20_000,
        }
    }

    /// `transactional.id` and `group.instance.id`: a restart under the same identity fences its zombie at once and takes
    /// its partitions back without a rebalance.
    pub fn identity(&self) -> String {
        format!("{}-{}-{}", self.group, self.ordinal, self.worker)
    }

    /// How often the consumer shows that it is alive: four times within the session time-out.
    pub fn heartbeat_interval_ms(&self) -> u32 {
        (self.session_timeout_ms / 4).max(100)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    #[error("the Kafka property {key} can't be set: {reason}")]
    Reserved { key: String, reason: &'static str },
    #[error("brokers: expected host:port, or several with commas between them, found nothing")]
    NoBrokers,
    #[error("group: expected the name of a consumer group, found nothing")]
    NoGroup,
    #[error("{name}: expected {expected}, found {found}")]
    OutOfRange { name: &'static str, expected: String, found: u32 },
}

const EXACTLY_ONCE: &str = "exactly-once results rest on its value";
const IDENTITY: &str = "it follows from group, ordinal and worker";
const OWN_SETTING: &str = "there is a setting of its own for it";

/// Properties that are ours to set, and why.
const RESERVED: [(&str, &str); 21] = [
    ("bootstrap.servers", OWN_SETTING),
    ("metadata.broker.list", OWN_SETTING),
    ("group.id", IDENTITY),
    ("group.instance.id", IDENTITY),
    ("transactional.id", IDENTITY),
    ("isolation.level", EXACTLY_ONCE),
    ("enable.auto.commit", EXACTLY_ONCE),
    ("enable.auto.offset.store", EXACTLY_ONCE),
    ("auto.offset.reset", EXACTLY_ONCE),
    ("enable.partition.eof", EXACTLY_ONCE),
    ("enable.idempotence", EXACTLY_ONCE),
    ("acks", EXACTLY_ONCE),
    ("request.required.acks", EXACTLY_ONCE),
    ("partition.assignment.strategy", "joined topics must be assigned alike, and rebalances are answered as a whole"),
    ("group.protocol", "the classic protocol with static members is what was tested"),
    ("partitioner", "every producer must agree with Java's default"),
    ("session.timeout.ms", OWN_SETTING),
    ("heartbeat.interval.ms", "it follows from the session time-out"),
    ("transaction.timeout.ms", OWN_SETTING),
    ("message.timeout.ms", OWN_SETTING),
    ("delivery.timeout.ms", OWN_SETTING),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Consumer,
    Producer,
    Admin,
}

impl ClientSettings {
    pub fn check(&self) -> Result<(), InvalidSettings> {
        if self.brokers.trim().is_empty() {
            return Err(InvalidSettings::NoBrokers);
        }
        for key in self.properties.keys() {
            let (_, plain) = split_kind(key);
            if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| *reserved == plain) {
                return Err(InvalidSettings::Reserved { key: key.clone(), reason });
            }
        }
        Ok(())
    }

    fn base(&self, kind: Kind) -> ClientConfig {
        let mut config = ClientConfig::new();
        // What is shown is decided by the `tracing` filter, not by a level that the library guesses.
        let debugging = self.properties.keys().any(|key| split_kind(key).1 == "debug");
        config.set_log_level(if debugging { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "streamgauge")
            // A restarted broker is found again within a second, not within ten.
            .set("reconnect.backoff.max.ms", "1000")
            .set("log.connection.close", "false");
        for (key, value) in &self.properties {
            let (only, plain) = split_kind(key);
            if only.is_none_or(|only| only == kind) {
                config.set(plain, value);
            }
        }
        config
    }

    /// A consumer that is assigned partitions by hand and commits nothing.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.base(Kind::Consumer);
        fetch_properties(&mut config);
        config
            .set("group.id", &self.reader_group)
            .set("isolation.level", "read_committed")
            .set("queued.min.messages", "20000")
            .set("queued.max.messages.kbytes", "32768");
        config
    }

    /// A client that only asks: where logs start and end, how many partitions topics have. Without a group, and
    /// `read_uncommitted`, since the end of a log is asked for, not the end of what is committed.
    pub(crate) fn probe(&self) -> ClientConfig {
        let mut config = self.base(Kind::Consumer);
        config.set("isolation.level", "read_uncommitted");
        config
    }

    pub(crate) fn admin(&self) -> ClientConfig {
        self.base(Kind::Admin)
    }

    /// An idempotent producer without transactions: each record once and in order, as long as the process lives.
    pub(crate) fn idempotent_producer(&self, linger_ms: u32, compression: &str) -> ClientConfig {
        let mut config = self.base(Kind::Producer);
        producer_properties(&mut config);
        config
            .set("linger.ms", linger_ms.to_string())
            .set("compression.type", compression)
            .set("message.timeout.ms", "300000");
        config
    }
}

impl KafkaSettings {
    pub fn check(&self) -> Result<(), InvalidSettings> {
        self.client.check()?;
        if self.group.trim().is_empty() {
            return Err(InvalidSettings::NoGroup);
        }
        if self.message_timeout_ms > self.transaction_timeout_ms {
            return Err(InvalidSettings::OutOfRange {
                name: "message_timeout_ms",
                expected: format!("at most transaction_timeout_ms, {}", self.transaction_timeout_ms),
                found: self.message_timeout_ms,
            });
        }
        let bounded = [
            ("session_timeout_ms", self.session_timeout_ms, 1_000, 1_800_000),
            ("transaction_timeout_ms", self.transaction_timeout_ms, 1_000, 900_000),
            ("message_timeout_ms", self.message_timeout_ms, 500, 900_000),
            ("linger_ms", self.linger_ms, 0, 1_000),
            ("prefetch_kib_max", self.prefetch_kib_max, 1, 2_097_151),
            ("prefetch_records", self.prefetch_records, 1, 10_000_000),
        ];
        for (name, found, min, max) in bounded {
            if !(min..=max).contains(&found) {
                return Err(InvalidSettings::OutOfRange { name, expected: format!("{min} to {max}"), found });
            }
        }
        Ok(())
    }

    pub(crate) fn consumer(&self) -> ClientConfig {
        let mut config = self.client.base(Kind::Consumer);
        fetch_properties(&mut config);
        config
            .set("group.id", &self.group)
            .set("group.instance.id", self.identity())
            .set("isolation.level", "read_committed")
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", self.heartbeat_interval_ms().to_string())
            .set("queued.min.messages", self.prefetch_records.to_string())
            .set("queued.max.messages.kbytes", self.prefetch_kib_max.to_string());
        config
    }

    /// As [`ClientSettings::reader`], under the worker's own group, which its access rights cover.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.client.reader();
        config.set("group.id", &self.group);
        config
    }

    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client.base(Kind::Producer);
        producer_properties(&mut config);
        config
            .set("transactional.id", self.identity())
            .set("transaction.timeout.ms", self.transaction_timeout_ms.to_string())
            .set("message.timeout.ms", self.message_timeout_ms.to_string())
            .set("linger.ms", self.linger_ms.to_string())
            .set("compression.type", &self.compression);
        config
    }
}

fn fetch_properties(config: &mut ClientConfig) {
    config
        // Where reading starts is always explicit; an offset outside of the log must be an error.
        .set("auto.offset.reset", "error")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true");
    let defaults = [
        // The default of 1000 lets a consumer sleep for a second whenever its prefetch was full: a sixth of the speed.
        ("fetch.queue.backoff.ms", "10"),
        ("fetch.error.backoff.ms", "100"),
        // At the end of a log the broker holds a fetch back for so long. A partition that is to be read from another
        // offset (after an abort) waits for the fetch under way.
        ("fetch.wait.max.ms", "100"),
        // How soon a topic's new partitions are noticed.
        ("topic.metadata.refresh.interval.ms", "10000"),
    ];
    for (key, value) in defaults {
        if config.get(key).is_none() {
            config.set(key, value);
        }
    }
}

fn producer_properties(config: &mut ClientConfig) {
    config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
    let defaults = [
        // As the broker's own default for a batch, so that the largest output of an outbox fits.
        ("message.max.bytes", "1048588"),
        // Several times the outbox; at the bound, sending waits for acknowledgements.
        ("queue.buffering.max.kbytes", "65536"),
    ];
    for (key, value) in defaults {
        if config.get(key).is_none() {
            config.set(key, value);
        }
    }
}

fn split_kind(key: &str) -> (Option<Kind>, &str) {
    if let Some(plain) = key.strip_prefix("consumer.") {
        (Some(Kind::Consumer), plain)
    } else if let Some(plain) = key.strip_prefix("producer.") {
        (Some(Kind::Producer), plain)
    } else {
        (None, key)
    }
}

/// Whether the value of a property may be a secret.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "secret", "sasl.jaas", "key", "token", "oauthbearer.config"].iter().any(|part| key.contains(part))
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: BTreeMap<&str, &str> = self
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), if is_secret(key) { "[redacted]" } else { value.as_str() }))
            .collect();
        f.debug_struct("ClientSettings")
            .field("brokers", &self.brokers)
            .field("reader_group", &self.reader_group)
            .field("properties", &shown)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> KafkaSettings {
        let mut settings = KafkaSettings::new("127.0.0.1:9092", "sli", 3, 1);
        settings.client.properties =
            properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        settings
    }

    #[test]
    fn secrets_are_not_printed() {
        for key in
            ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.jaas.config", "SASL.OAUTHBEARER.CLIENT.SECRET"]
        {
            let printed = format!("{:?}", settings(&[(key, "hunter2"), ("sasl.username", "gauge")]));
            assert!(!printed.contains("hunter2"), "{key}: {printed}");
            assert!(printed.contains("[redacted]") && printed.contains("gauge"), "{key}: {printed}");
        }
    }

    #[test]
    fn what_exactly_once_rests_on_cannot_be_overridden() {
        for (key, allowed) in [
            ("isolation.level", false),
            ("consumer.isolation.level", false),
            ("producer.transactional.id", false),
            ("partitioner", false),
            ("group.protocol", false),
            ("security.protocol", true),
            ("consumer.fetch.max.bytes", true),
        ] {
            assert_eq!(settings(&[(key, "x")]).check().is_ok(), allowed, "{key}");
        }
    }

    #[test]
    fn properties_reach_the_kind_of_client_that_they_name() {
        let settings =
            settings(&[("consumer.fetch.queue.backoff.ms", "7"), ("producer.batch.size", "9"), ("debug", "eos")]);
        let shown = |config: ClientConfig, key: &str| config.get(key).map(str::to_owned);
        let found =
            ["fetch.queue.backoff.ms", "batch.size", "debug", "isolation.level", "transactional.id", "group.id"]
                .map(|key| (key, shown(settings.consumer(), key), shown(settings.producer(), key)));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("fetch.queue.backoff.ms", some("7"), None),
                ("batch.size", None, some("9")),
                ("debug", some("eos"), some("eos")),
                ("isolation.level", some("read_committed"), None),
                ("transactional.id", None, some("sli-3-1")),
                ("group.id", some("sli"), None),
            ]
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let mut wrong = settings(&[]);
        wrong.message_timeout_ms = 20_000;
        assert_eq!(
            wrong.check().map_err(|error| error.to_string()),
            Err("message_timeout_ms: expected at most transaction_timeout_ms, 10000, found 20000".to_owned())
        );
        let mut wrong = settings(&[]);
        wrong.session_timeout_ms = 10;
        assert_eq!(
            wrong.check().map_err(|error| error.to_string()),
            Err("session_timeout_ms: expected 1000 to 1800000, found 10".to_owned())
        );
    }
}
