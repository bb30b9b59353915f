//! Records → a topic, each once and in order, as long as the process lives: for load generation and imports.
//!
//! Idempotent but not transactional. What is in flight is bounded: at the bound, sending waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::Message;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use streamgauge_events::{EventTime, Offset};

use crate::KafkaFailure;
use crate::clock::{Stopwatch, drop_within};
use crate::context::Quiet;
use crate::failure::text_of;
use crate::settings::ClientSettings;

/// How long sending may wait at the bound before it gives up. Longer than a record's own time-out.
const STUCK: Duration = Duration::from_secs(330);
const TEARDOWN: Duration = Duration::from_secs(3);

/// Where and when the log took a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub partition: i32,
    pub offset: Offset,
    /// The record's timestamp in the log, microseconds; the broker's clock where the topic says `LogAppendTime`.
    pub timestamp: Option<EventTime>,
}

/// The fate of one record, in the order of the log per partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// As given to [`RecordSender::send`].
    pub token: usize,
    pub result: Result<Stamp, String>,
}

pub struct RecordSender {
    producer: Option<BaseProducer<Fates>>,
    in_flight_max: i32,
}

#[derive(Default)]
struct Fates {
    quiet: Quiet,
    settled: Mutex<Vec<Delivered>>,
    failed: AtomicU64,
}

impl ClientContext for Fates {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.quiet.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.quiet.error(error, reason);
    }
}

impl ProducerContext for Fates {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let result = match result {
            Ok(message) => Ok(Stamp {
                partition: message.partition(),
                offset: message.offset(),
                timestamp: message.timestamp().to_millis().map(|ms| EventTime(ms * 1000)),
            }),
            Err((error, _)) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(text_of(error))
            }
        };
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).push(Delivered { token, result });
    }
}

impl RecordSender {
    /// `in_flight_max` records wait for acknowledgement at most.
    pub fn open(settings: &ClientSettings, in_flight_max: usize) -> Result<Self, KafkaFailure> {
        settings.check().map_err(|error| KafkaFailure(error.to_string()))?;
        let mut config = settings.idempotent_producer(5, "lz4");
        // The library's own bound must not be met first.
        config.set("queue.buffering.max.messages", (in_flight_max + 1000).to_string());
        let producer = config
            .create_with_context(Fates::default())
            .map_err(|error| KafkaFailure::new("make a Kafka producer", &error))?;
        Ok(Self { producer: Some(producer), in_flight_max: i32::try_from(in_flight_max).unwrap_or(i32::MAX) })
    }

    /// Queues one record; waits while the bound is met. `token` comes back in [`Delivered`].
    pub fn send(
        &mut self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        token: usize,
    ) -> Result<(), KafkaFailure> {
        let watch = Stopwatch::start();
        let max = self.in_flight_max;
        let producer = self.producer();
        loop {
            if producer.in_flight_count() < max {
                let mut record = BaseRecord::with_opaque_to(topic, token).partition(partition);
                record.key = key;
                record.payload = value;
                match producer.send::<[u8], [u8]>(record) {
                    Ok(()) => return Ok(()),
                    Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {}
                    Err((error, _)) => return Err(KafkaFailure::new(format!("send to {topic}/{partition}"), &error)),
                }
            }
            if watch.left(STUCK).is_none() {
                return Err(KafkaFailure(format!("no record was acknowledged within {} s", STUCK.as_secs())));
            }
            producer.poll(Duration::from_millis(1));
        }
    }

    /// Serves acknowledgements without waiting. To be called often.
    pub fn poll(&mut self) {
        self.producer().poll(Duration::ZERO);
    }

    /// What was acknowledged or given up since the last call.
    pub fn take_settled(&mut self) -> Vec<Delivered> {
        let mut settled = self.producer().client().context().settled.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *settled)
    }

    pub fn failed(&self) -> u64 {
        self.producer().client().context().failed.load(Ordering::Relaxed)
    }

    pub fn in_flight(&self) -> usize {
        usize::try_from(self.producer().in_flight_count()).unwrap_or(0)
    }

    /// Waits until nothing is in flight.
    pub fn flush(&mut self) -> Result<(), KafkaFailure> {
        let watch = Stopwatch::start();
        while self.producer().in_flight_count() > 0 {
            if watch.left(STUCK).is_none() {
                let left = self.in_flight();
                return Err(KafkaFailure(format!("{left} records not acknowledged within {} s", STUCK.as_secs())));
            }
            self.producer().poll(Duration::from_millis(1));
        }
        Ok(())
    }

    fn producer(&self) -> &BaseProducer<Fates> {
        self.producer.as_ref().expect("taken only while being dropped")
    }
}

impl Drop for RecordSender {
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            drop_within(producer, TEARDOWN);
        }
    }
}
