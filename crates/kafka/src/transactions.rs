//! One transactional producer: begin, produce, drain, offsets, commit.
//!
//! rdkafka's own commit flushes first, and its flush polls in steps of 100 ms that no longer return early. So everything
//! in flight is drained here, in short steps, before any call that would flush: a commit then takes less
//! than a millisecond instead of a hundred.

use std::thread;
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use rdkafka::topic_partition_list::TopicPartitionList;
use streamgauge_stage::LogError;

use crate::clock::{Stopwatch, drop_within};
use crate::context::Acknowledgements;
use crate::failure::{Flags, Step, Verdict, text_of, verdict};
use crate::settings::KafkaSettings;

/// How long one call to librdkafka may block before the bound of its step is looked at.
const CALL: Duration = Duration::from_secs(2);
/// A pause between two looks for acknowledgements. Not left to the client's own poll: that counts what is left of its
/// time in whole milliseconds, so for the last one it spins.
const ACKNOWLEDGEMENT_PAUSE: Duration = Duration::from_micros(200);
/// How long an old producer may take to disappear.
const TEARDOWN: Duration = Duration::from_secs(2);

/// Plain totals since the start of the worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionStats {
    pub committed: u64,
    pub aborted: u64,
    /// Steps that failed, other than by being retried.
    pub failed: u64,
    /// Producers made after the first.
    pub renewed: u64,
    pub records: u64,
    pub record_bytes: u64,
    /// Duration of committed transactions, from begin to the end of commit.
    pub last_us: u64,
    pub max_us: u64,
    pub sum_us: u64,
    /// Of that, waiting for acknowledgements.
    pub drain_us_sum: u64,
    /// Errors that the client library reported in the background.
    pub client_errors: u64,
}

pub struct Transactions {
    producer: Option<BaseProducer<Acknowledgements>>,
    /// Since when a transaction is open.
    begun: Option<Stopwatch>,
    settings: KafkaSettings,
    stats: TransactionStats,
    /// Client errors of producers that are gone.
    errors_before: u64,
    fenced_late: bool,
}

impl Transactions {
    /// Makes the producer and ends whatever a predecessor with the same transactional id left open.
    pub fn open(settings: &KafkaSettings) -> Result<Self, LogError> {
        let mut transactions = Self {
            producer: None,
            begun: None,
            settings: settings.clone(),
            stats: TransactionStats::default(),
            errors_before: 0,
            fenced_late: false,
        };
        transactions.producer = Some(transactions.make()?);
        Ok(transactions)
    }

    pub fn stats(&self) -> TransactionStats {
        let errors = self.producer.as_ref().map_or(0, |producer| producer.client().context().errors());
        TransactionStats { client_errors: self.errors_before + errors, ..self.stats }
    }

    /// Whether the last failure may have been a take-over by a newer instance as well as a time-out of the coordinator.
    pub fn fenced_late(&self) -> bool {
        self.fenced_late
    }

    pub fn begin(&mut self) -> Result<(), LogError> {
        self.begun = Some(Stopwatch::start());
        let result = self.step(Step::Begin, CALL, |producer, _| producer.begin_transaction());
        if result.is_err() {
            self.begun = None;
        }
        result
    }

    pub fn produce(&mut self, topic: &str, partition: i32, key: &[u8], value: &[u8]) -> Result<(), LogError> {
        let watch = Stopwatch::start();
        let limit = self.message_timeout();
        loop {
            let record = BaseRecord::to(topic).partition(partition).key(key);
            let record = if value.is_empty() { record } else { record.payload(value) };
            let error = match self.current()?.send(record) {
                Ok(()) => break,
                Err((error, _)) => error,
            };
            let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !full || watch.left(limit).is_none() {
                return self.failed(Step::Produce, &error);
            }
            serve(self.current()?);
        }
        self.stats.records += 1;
        self.stats.record_bytes += (key.len() + value.len()) as u64;
        Ok(())
    }

    /// Waits until every record is acknowledged, then adds `offsets` to the transaction.
    pub fn send_offsets(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), LogError> {
        self.drain()?;
        let limit = self.message_timeout();
        self.step(Step::SendOffsets, limit, |producer, call| producer.send_offsets_to_transaction(offsets, group, call))
    }

    pub fn commit(&mut self) -> Result<(), LogError> {
        self.drain()?;
        let limit = self.transaction_timeout();
        self.step(Step::Commit, limit, |producer, call| producer.commit_transaction(call))?;
        if let Some(begun) = self.begun.take() {
            let us = begun.elapsed_us();
            self.stats.last_us = us;
            self.stats.max_us = self.stats.max_us.max(us);
            self.stats.sum_us += us;
        }
        self.stats.committed += 1;
        Ok(())
    }

    pub fn abort(&mut self) -> Result<(), LogError> {
        if self.begun.is_none() {
            return Ok(());
        }
        // What is still queued need not be sent. What is in flight must be waited for: forgetting it would leave a gap
        // in the sequence numbers.
        self.current()?.purge(PurgeConfig::default().queue());
        self.settle(self.message_timeout())?;
        let limit = self.transaction_timeout();
        self.step(Step::Abort, limit, |producer, call| producer.abort_transaction(call))?;
        // Aborting gives up what was left; the next transaction must not be told of it.
        self.settle(Duration::from_secs(1))?;
        self.begun = None;
        self.stats.aborted += 1;
        Ok(())
    }

    /// Waits until nothing is in flight, and forgets what became of it.
    fn settle(&self, limit: Duration) -> Result<(), LogError> {
        let producer = self.current()?;
        let watch = Stopwatch::start();
        while producer.in_flight_count() > 0 && watch.left(limit).is_some() {
            serve(producer);
        }
        producer.client().context().take_failure();
        Ok(())
    }

    /// Replaces the producer. Retriable: the old one is gone and the call is to be repeated.
    pub fn renew(&mut self) -> Result<(), LogError> {
        self.close();
        self.begun = None;
        self.producer = Some(self.make()?);
        self.fenced_late = false;
        self.stats.renewed += 1;
        Ok(())
    }

    /// Lets go of the producer. An open transaction stays open until a successor or the coordinator ends it.
    pub fn close(&mut self) {
        if let Some(producer) = self.producer.take() {
            self.errors_before += producer.client().context().errors();
            if !drop_within(producer, TEARDOWN) {
                tracing::warn!("the old producer did not end in time; left behind");
            }
        }
    }

    fn make(&self) -> Result<BaseProducer<Acknowledgements>, LogError> {
        let producer: BaseProducer<Acknowledgements> = self
            .settings
            .producer()
            .create_with_context(Acknowledgements::default())
            .map_err(|error| LogError::Fatal(format!("couldn't make a producer: {}", text_of(&error))))?;
        let watch = Stopwatch::start();
        let limit = self.transaction_timeout();
        loop {
            let Some(left) = watch.left(limit) else {
                let secs = limit.as_secs();
                discard(producer);
                return Err(LogError::Retriable(format!("no answer from the transaction coordinator within {secs} s")));
            };
            let Err(error) = producer.init_transactions(left.min(CALL)) else { return Ok(producer) };
            // Log lines and errors of the library arrive only when somebody polls.
            producer.poll(Duration::ZERO);
            match verdict(Step::Init, Flags::of(&error), &text_of(&error), Duration::ZERO, limit) {
                Verdict::Again => {}
                Verdict::Stop(error) => {
                    discard(producer);
                    return Err(error);
                }
            }
        }
    }

    /// Waits until nothing is in flight. A record that could not be delivered makes the transaction worthless.
    fn drain(&mut self) -> Result<(), LogError> {
        let watch = Stopwatch::start();
        // Every record is acknowledged or given up within the message time-out; the rest is for the callbacks.
        let limit = self.message_timeout() + Duration::from_secs(1);
        let producer = self.current()?;
        while producer.in_flight_count() > 0 {
            if watch.left(limit).is_none() {
                return Err(LogError::Abortable(format!("records not acknowledged within {} ms", limit.as_millis())));
            }
            serve(producer);
        }
        let failure = producer.client().context().take_failure();
        self.stats.drain_us_sum += watch.elapsed_us();
        match failure {
            None => Ok(()),
            Some(error) => self.failed(Step::Produce, &error),
        }
    }

    /// Calls into librdkafka until it succeeds, fails for good, or `limit` has passed.
    fn step(
        &mut self,
        step: Step,
        limit: Duration,
        call: impl Fn(&BaseProducer<Acknowledgements>, Duration) -> Result<(), KafkaError>,
    ) -> Result<(), LogError> {
        let watch = Stopwatch::start();
        loop {
            let left = watch.left(limit).unwrap_or(Duration::from_millis(1));
            let Err(error) = call(self.current()?, left.min(CALL)) else { return Ok(()) };
            let again = self.judge(step, &error)?;
            debug_assert_eq!(again, Verdict::Again);
            if watch.left(limit).is_none() {
                self.stats.failed += 1;
                let text = format!("no success within {} ms: {}", limit.as_millis(), text_of(&error));
                return Err(match step {
                    Step::Commit | Step::Abort | Step::Begin => LogError::Ambiguous(text),
                    Step::Init | Step::Produce | Step::SendOffsets => LogError::Abortable(text),
                });
            }
            // Not a busy loop, should the library refuse at once.
            self.current()?.poll(Duration::from_millis(10));
        }
    }

    /// `Ok` means: call again.
    fn judge(&mut self, step: Step, error: &KafkaError) -> Result<Verdict, LogError> {
        let mut flags = Flags::of(error);
        let mut text = text_of(error);
        // After a fatal error every call says only that there was one; the first says which.
        let first = self.producer.as_ref().and_then(|producer| producer.client().fatal_error());
        if let Some((code, reason)) = first {
            flags = Flags { code, fatal: true, retriable: false, requires_abort: false };
            text = format!("{reason} ({code:?})");
        }
        let age = self.begun.map_or(Duration::ZERO, Stopwatch::elapsed);
        match verdict(step, flags, &text, age, self.transaction_timeout()) {
            Verdict::Again => Ok(Verdict::Again),
            Verdict::Stop(error) => {
                let fenced = matches!(
                    flags.code,
                    RDKafkaErrorCode::Fenced
                        | RDKafkaErrorCode::ProducerFenced
                        | RDKafkaErrorCode::InvalidProducerEpoch
                );
                self.fenced_late = fenced && matches!(error, LogError::Ambiguous(_));
                self.stats.failed += 1;
                Err(error)
            }
        }
    }

    fn failed(&mut self, step: Step, error: &KafkaError) -> Result<(), LogError> {
        match self.judge(step, error)? {
            Verdict::Again | Verdict::Stop(_) => Err(LogError::Abortable(text_of(error))),
        }
    }

    fn current(&self) -> Result<&BaseProducer<Acknowledgements>, LogError> {
        self.producer.as_ref().ok_or_else(|| LogError::Ambiguous("the producer has to be renewed".to_owned()))
    }

    fn transaction_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.transaction_timeout_ms.into())
    }

    fn message_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.message_timeout_ms.into())
    }
}

/// Takes the acknowledgements that are there, and lets others come.
fn serve(producer: &BaseProducer<Acknowledgements>) {
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() > 0 {
        thread::sleep(ACKNOWLEDGEMENT_PAUSE);
    }
}

fn discard(producer: BaseProducer<Acknowledgements>) {
    if !drop_within(producer, TEARDOWN) {
        tracing::warn!("a producer did not end in time; left behind");
    }
}
