//! Kafka topics → records for a worker, and its outputs → Kafka topics, in transactions.
//!
//! [`KafkaLog`] is the bus of a running stage, [`TopicReader`] and [`RecordSender`] serve the command line,
//! [`TopicAdmin`] sets topics up. Must never know: what a record means, any stage, HTTP, an async runtime.

pub mod admin;
pub mod batch;
mod clock;
pub mod context;
pub mod failure;
pub mod kafka_log;
pub mod sender;
pub mod settings;
pub mod source;
pub mod transactions;

pub use admin::{Difference, TopicAdmin};
pub use kafka_log::KafkaLog;
pub use sender::{Delivered, RecordSender, Stamp};
pub use settings::{ClientSettings, InvalidSettings, KafkaSettings};
pub use source::{TopicReader, Watermarks};
pub use transactions::TransactionStats;

/// Something that Kafka or its client refused to do for a tool, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KafkaFailure(pub String);

impl KafkaFailure {
    pub(crate) fn new(what: impl std::fmt::Display, error: &rdkafka::error::KafkaError) -> Self {
        Self(format!("couldn't {what}: {}", failure::text_of(error)))
    }
}
