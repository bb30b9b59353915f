//! What librdkafka calls back with. Callbacks only write down what happened; decisions are made by who polls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::bindings::rd_kafka_resp_err_t;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::failure::text_of;

fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, message, "client library");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, message, "client library");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, message, "client library");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, message, "client library"),
    }
}

fn note(errors: &AtomicU64, error: &KafkaError, reason: &str) {
    errors.fetch_add(1, Ordering::Relaxed);
    // librdkafka mends most of these itself; who polls sees those that matter.
    tracing::warn!(target: "librdkafka", error = text_of(error), reason, "client error");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks can leave a value half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For clients from which nothing but answers is wanted.
#[derive(Debug, Default)]
pub struct Quiet {
    errors: AtomicU64,
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&self.errors, &error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// A step of a rebalance that waits for an answer.
pub enum Rebalance {
    Assigned { partitions: Vec<(String, i32)>, metadata: Option<ConsumerGroupMetadata> },
    Revoked,
    Lost,
}

/// The consumer's side of a worker.
#[derive(Default)]
pub struct ConsumerEvents {
    rebalances: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
    errors: AtomicU64,
}

impl ConsumerEvents {
    pub fn next_rebalance(&self) -> Option<Rebalance> {
        lock(&self.rebalances).pop_front()
    }

    pub fn rebalance_waits(&self) -> bool {
        !lock(&self.rebalances).is_empty()
    }

    /// From now on nobody asks for rebalances any more: they are answered at once. Closing the consumer would otherwise
    /// wait for ever for the answer to its last revocation.
    pub fn closing(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

impl ClientContext for ConsumerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&self.errors, &error, reason);
    }
}

impl ConsumerContext for ConsumerEvents {
    /// librdkafka lets the group wait until `assign` or `unassign` is called, from wherever. So this only writes down
    /// the event; the worker reads positions and answers in its own time, while heartbeats go on in the background.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: rd_kafka_resp_err_t, list: &mut TopicPartitionList) {
        let assigning = err == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            let answered = if assigning { consumer.assign(list) } else { consumer.unassign() };
            if let Err(error) = answered {
                tracing::debug!(error = text_of(&error), "couldn't answer a rebalance while closing");
            }
            return;
        }
        let event = if assigning {
            let partitions =
                list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
            Rebalance::Assigned { partitions, metadata: consumer.group_metadata() }
        } else if consumer.assignment_lost() {
            Rebalance::Lost
        } else {
            Rebalance::Revoked
        };
        lock(&self.rebalances).push_back(event);
    }
}

/// Acknowledgements of a transactional producer: only failures matter.
#[derive(Debug, Default)]
pub struct Acknowledgements {
    failed: Mutex<Option<KafkaError>>,
    errors: AtomicU64,
}

impl Acknowledgements {
    /// The first failed record since the last call.
    pub fn take_failure(&self) -> Option<KafkaError> {
        lock(&self.failed).take()
    }

    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&self.errors, &error, reason);
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            lock(&self.failed).get_or_insert_with(|| error.clone());
        }
    }
}
