//! The bus of a running stage: Kafka behind the worker's [`Log`].
//!
//! One consumer and one transactional producer, used by one thread. The consumer's rebalances are only written down by
//! the callback and answered when the worker calls [`Log::assign`] or [`Log::release`]: librdkafka lets the group wait,
//! and goes on with heartbeats in the background.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use streamgauge_events::Offset;
use streamgauge_stage::{Committed, Delivery, Log, LogError, Output, Polled, Position, Record, Source};

use crate::batch::{BatchConsumer, Membership, committed_elements};
use crate::clock::{Stopwatch, drop_within};
use crate::context::{ConsumerEvents, Rebalance};
use crate::failure::{is_hopeless, text_of};
use crate::settings::KafkaSettings;
use crate::source::{BATCH_RECORDS_MAX, Probe, SLICE, TopicReader, Watermarks, hand_over, named};
use crate::transactions::{TransactionStats, Transactions};

/// How long one stable offset fetch may wait for a pending transaction before the worker is told.
const STABLE_FETCH: Duration = Duration::from_secs(1);
/// How long reading a topic back may stand still. Longer than a transaction's time-out: an abandoned one ends by then.
const READ_BACK_PATIENCE_MARGIN: Duration = Duration::from_secs(5);
/// How long the consumer may take to close and to disappear.
const LEAVE: Duration = Duration::from_secs(4);
/// A position outside of the log is looked up again this often in a row before a person is asked.
const OUT_OF_RANGE_MAX: u32 = 5;

/// Events of the consumer's own queue that one poll serves at most.
const EVENTS_MAX: usize = 10_000;

pub struct KafkaLog {
    settings: KafkaSettings,
    inputs: Vec<String>,
    consumer: Option<BatchConsumer<ConsumerEvents>>,
    transactions: Transactions,
    probe: Probe,
    /// For [`Log::read_back`]; made when first needed.
    reader: Option<(String, TopicReader)>,
    /// Output topics under the names that they have in the cluster.
    output_names: BTreeMap<&'static str, String>,
    assignment: Assignment,
    /// Said to the worker before anything new is asked of the group.
    announced: VecDeque<Polled>,
    out_of_range: u32,
}

#[derive(Default)]
struct Assignment {
    sources: Vec<Source>,
    /// Being read. Between an announcement and its answer it is not.
    reading: bool,
    /// Proof of membership in the generation of this assignment. Kept from the announcement to the release, so that
    /// offsets are never sent under any other generation, nor under none.
    group: Option<(ConsumerGroupMetadata, Membership)>,
    /// Let go by us to be read again, not by the group.
    rereading: bool,
}

impl KafkaLog {
    /// Ends what a predecessor left open, then joins the group. `inputs` gives each topic its index in
    /// [`Source::topic`].
    pub fn connect(settings: &KafkaSettings, inputs: &[String]) -> Result<Self, LogError> {
        settings.check().map_err(|error| LogError::Fatal(error.to_string()))?;
        let failed = |error: KafkaError| LogError::Fatal(format!("couldn't make a consumer: {}", text_of(&error)));
        let probe = Probe::open(&settings.client.probe()).map_err(failed)?;
        for topic in inputs {
            partitions(&probe, topic)?;
        }
        // Before subscribing: once partitions are ours, no transaction of a predecessor may be pending on them for longer
        // than it takes to end it.
        let transactions = Transactions::open(settings)?;
        let consumer = BatchConsumer::new(&settings.consumer(), ConsumerEvents::default()).map_err(failed)?;
        let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
        consumer.consumer().subscribe(&names).map_err(failed)?;
        Ok(Self {
            settings: settings.clone(),
            inputs: inputs.to_vec(),
            consumer: Some(consumer),
            transactions,
            probe,
            reader: None,
            output_names: BTreeMap::new(),
            assignment: Assignment::default(),
            announced: VecDeque::new(),
            out_of_range: 0,
        })
    }

    pub fn transaction_stats(&self) -> TransactionStats {
        self.transactions.stats()
    }

    /// Errors that the consumer's client reported in the background.
    pub fn consumer_errors(&self) -> u64 {
        self.consumer.as_ref().map_or(0, |consumer| consumer.consumer().context().errors())
    }

    /// The offset behind the last record of a partition being read, as the client last heard: for the lag in metrics.
    pub fn log_end(&self, source: Source) -> Option<Offset> {
        let topic = self.inputs.get(usize::from(source.topic))?;
        self.consumer.as_ref()?.log_end(topic, source.partition)
    }

    fn consumer(&self) -> Result<&BatchConsumer<ConsumerEvents>, LogError> {
        self.consumer.as_ref().ok_or_else(|| LogError::Fatal("the group was left".to_owned()))
    }

    /// Serves the consumer's own queue: rebalances, as what the worker must answer, before errors.
    fn serve(&mut self, wait: Duration) -> Result<Option<Polled>, LogError> {
        let told = self.drain_events(wait);
        if matches!(told, Err(LogError::Fenced(_) | LogError::Fatal(_))) {
            return told.map(|()| None);
        }
        match self.next_rebalance()? {
            Some(polled) => Ok(Some(polled)),
            None => told.map(|()| None),
        }
    }

    /// Takes all that waits in the consumer's own queue, up to a rebalance: in an outage hundreds of errors and log lines
    /// may stand before it. Answers the gravest error.
    fn drain_events(&mut self, wait: Duration) -> Result<(), LogError> {
        let mut gravest = Ok(());
        let mut stray = false;
        let mut wait = wait;
        let batch_consumer = self.consumer()?;
        let consumer = batch_consumer.consumer();
        for _ in 0..EVENTS_MAX {
            if consumer.context().rebalance_waits() || (wait.is_zero() && !batch_consumer.events_wait()) {
                break;
            }
            match consumer.poll(wait) {
                None => {}
                Some(Err(error)) => {
                    let meaning = consumer_error(consumer, &error);
                    if gravest.is_ok() || matches!(meaning, Err(LogError::Fenced(_) | LogError::Fatal(_))) {
                        gravest = meaning;
                    }
                }
                Some(Ok(_)) => stray = true,
            }
            wait = Duration::ZERO;
        }
        if stray {
            // Every partition is forwarded before it is assigned, so no record should arrive here. One that does was
            // skipped: read from the committed positions again rather than miss it.
            tracing::error!("a record arrived outside of the batch queue; reading again");
            self.reread();
        }
        gravest
    }

    fn next_rebalance(&mut self) -> Result<Option<Polled>, LogError> {
        let Some(event) = self.consumer()?.consumer().context().next_rebalance() else {
            return Ok(self.announced.pop_front());
        };
        // The group's word outranks our own plan to read again.
        self.announced.clear();
        self.assignment.rereading = false;
        self.assignment.reading = false;
        match event {
            Rebalance::Assigned { partitions, metadata } => {
                let mut sources = Vec::with_capacity(partitions.len());
                for (topic, partition) in partitions {
                    let index = self.inputs.iter().position(|name| *name == topic);
                    let index = index.and_then(|index| u16::try_from(index).ok());
                    let topic = index.ok_or_else(|| LogError::Fatal(format!("was assigned foreign topic {topic}")))?;
                    sources.push(Source { topic, partition });
                }
                sources.sort_unstable();
                self.assignment.sources.clone_from(&sources);
                self.assignment.group = metadata.zip(self.consumer()?.membership());
                Ok(Some(Polled::Assigned(sources)))
            }
            Rebalance::Revoked => Ok(Some(Polled::Revoked)),
            Rebalance::Lost => {
                self.assignment.group = None;
                Ok(Some(Polled::Lost))
            }
        }
    }

    /// Takes up to `max` deliveries, and answers how many there were.
    fn read(&mut self, wait: Duration, max: usize, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<usize, LogError> {
        let Self { consumer, inputs, .. } = self;
        let Some(consumer) = consumer.as_mut() else { return Ok(0) };
        let handed = hand_over(&consumer.fetch(wait, max), inputs, deliver);
        if handed.records > 0 {
            self.out_of_range = 0;
        }
        for (source, code) in &handed.problems {
            let name = format!("{}/{}", self.inputs[usize::from(source.topic)], source.partition);
            match code {
                // All partitions may say so at once: that is one incident.
                Code::AutoOffsetReset | Code::OffsetOutOfRange if self.assignment.rereading => {}
                Code::AutoOffsetReset | Code::OffsetOutOfRange => {
                    self.out_of_range += 1;
                    if self.out_of_range > OUT_OF_RANGE_MAX {
                        return Err(LogError::Fatal(format!(
                            "{name}: the position to read from is outside of the log, again and again. Was the topic made anew, \
                             or did it lose records? To begin a new chain, reset the group's offset and restart with \
                             --new-generation"
                        )));
                    }
                    tracing::warn!(partition = name, "the position is outside of the log; looking it up again");
                    self.reread();
                }
                Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                    return Err(LogError::Retriable(format!("{name} does not exist (any more)")));
                }
                code if is_hopeless(*code) => return Err(LogError::Fatal(format!("{name}: {code}"))),
                code => tracing::warn!(partition = name, %code, "a fetch failed; the client tries again"),
            }
        }
        Ok(handed.records + handed.ends)
    }

    /// Every record of a partition between these offsets, which are all decided or will be soon.
    fn read_up_to(
        &mut self,
        name: &str,
        partition: i32,
        Watermarks { log_start, log_end }: Watermarks,
        deliver: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), LogError> {
        if log_start >= log_end {
            return Ok(());
        }
        let mut reader = match self.reader.take() {
            Some((of, reader)) if of == name => reader,
            _ => TopicReader::with(&self.settings.reader(), &self.settings.client.probe(), &[name])
                .map_err(|error| LogError::Fatal(error.to_string()))?,
        };
        let source = Source { topic: 0, partition };
        let ends = BTreeMap::from([(source, log_end)]);
        let patience = Duration::from_millis(self.settings.transaction_timeout_ms.into()) + READ_BACK_PATIENCE_MARGIN;
        let read = reader.assign(&[(source, log_start)]).and_then(|()| {
            reader.read_to(&ends, patience, &mut |delivery| {
                if let Delivery::Record(record) = delivery {
                    deliver(record);
                }
                std::ops::ControlFlow::Continue(())
            })
        });
        // Idle until the next time: nothing is fetched for it meanwhile.
        let idle = reader.assign(&[]);
        self.reader = idle.is_ok().then_some((name.to_owned(), reader));
        read.map(drop).map_err(|error| LogError::Retriable(error.to_string()))
    }

    /// Announces the assignment as lost and given again, so that the worker forgets its state and looks positions up.
    fn reread(&mut self) {
        if self.announced.is_empty() && !self.assignment.rereading {
            self.assignment.rereading = true;
            self.announced.push_back(Polled::Lost);
        }
        self.assignment.reading = false;
    }

    /// The place in the group that was captured may be gone before anybody told us. Offsets sent under it would be refused
    /// as a zombie's, although nobody took our place.
    fn drop_stale_membership(&mut self) {
        let current = self.consumer.as_ref().and_then(BatchConsumer::membership);
        if self.assignment.group.as_ref().is_some_and(|(_, captured)| current.as_ref() != Some(captured)) {
            self.assignment.group = None;
        }
    }

    /// Before a new producer takes the transactional id back: was our place in the group taken over meanwhile? Whoever
    /// took it did so with the same identity, and the next heartbeats are told.
    fn wait_for_word_of_a_take_over(&self) -> Result<(), LogError> {
        let consumer = self.consumer()?.consumer();
        let limit = Duration::from_millis(u64::from(self.settings.heartbeat_interval_ms()) * 2);
        let watch = Stopwatch::start();
        while let Some(left) = watch.left(limit) {
            if let Some(Err(error)) = consumer.poll(left.min(Duration::from_millis(50))) {
                let meaning = consumer_error(consumer, &error);
                if matches!(meaning, Err(LogError::Fenced(_) | LogError::Fatal(_))) {
                    return meaning;
                }
            }
        }
        Ok(())
    }
}

impl Log for KafkaLog {
    fn poll(&mut self, wait: Duration, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<Polled, LogError> {
        // 1. Rebalances and errors first: they must not wait behind a full queue of records.
        let idle = !self.assignment.reading && self.announced.is_empty();
        if let Some(polled) = self.serve(if idle { wait } else { Duration::ZERO })? {
            return Ok(polled);
        }
        if !self.assignment.reading {
            return Ok(Polled::Delivered);
        }
        // 2. What is there already.
        if self.read(Duration::ZERO, BATCH_RECORDS_MAX, deliver)? > 0 {
            return Ok(Polled::Delivered);
        }
        // 3. Nothing: wait for one record, in slices, then take what came with it. (Asked for many, librdkafka would wait
        //    the whole time even with some at hand.)
        let watch = Stopwatch::start();
        while let Some(left) = watch.left(wait) {
            if self.read(left.min(SLICE), 1, deliver)? > 0 {
                self.read(Duration::ZERO, BATCH_RECORDS_MAX, deliver)?;
                break;
            }
            if let Some(polled) = self.serve(Duration::ZERO)? {
                return Ok(polled);
            }
        }
        Ok(Polled::Delivered)
    }

    fn committed(&mut self, sources: &[Source]) -> Result<Vec<Committed>, LogError> {
        let mut list = TopicPartitionList::with_capacity(sources.len());
        for source in sources {
            list.add_partition(&self.inputs[usize::from(source.topic)], source.partition);
        }
        // A consumer that reads committed records also fetches stable offsets: while a transaction is pending on one of
        // them the coordinator says so, and the client asks again until the time-out.
        let list =
            self.consumer()?.consumer().committed_offsets(list, STABLE_FETCH).map_err(|error| refused(&error))?;
        let mut found: BTreeMap<(String, i32), (Offset, String)> = BTreeMap::new();
        for element in committed_elements(&list) {
            if let Some(code) = element.error {
                return Err(refused(&KafkaError::OffsetFetch(code)));
            }
            found.insert((element.topic, element.partition), (element.offset, element.metadata));
        }
        let mut partition_counts = BTreeMap::new();
        let mut committed = Vec::with_capacity(sources.len());
        for source in sources {
            let topic = &self.inputs[usize::from(source.topic)];
            let count = match partition_counts.get(topic) {
                Some(count) => *count,
                None => *partition_counts.entry(topic.clone()).or_insert(partitions(&self.probe, topic)?),
            };
            let watermarks = self.probe.watermarks(topic, source.partition).map_err(|error| refused(&error))?;
            let (offset, metadata) = found.remove(&(topic.clone(), source.partition)).unwrap_or((-1, String::new()));
            committed.push(Committed {
                source: *source,
                // Negative values are librdkafka's names for "none".
                offset: (offset >= 0).then_some(offset),
                metadata,
                log_start: watermarks.log_start,
                log_end: watermarks.log_end,
                partitions: count,
            });
        }
        Ok(committed)
    }

    fn assign(&mut self, starts: &[(Source, Offset)]) -> Result<(), LogError> {
        // A rebalance that came meanwhile must be answered first, or this would pass for its answer.
        let told = self.drain_events(Duration::ZERO);
        if matches!(told, Err(LogError::Fenced(_) | LogError::Fatal(_))) {
            return told;
        }
        if self.consumer()?.consumer().context().rebalance_waits() {
            return Err(LogError::Retriable("the group rebalances again".to_owned()));
        }
        let Self { consumer, inputs, .. } = self;
        if let Some(consumer) = consumer {
            consumer.assign(&named(inputs, starts)).map_err(|error| refused(&error))?;
        }
        self.assignment.sources = starts.iter().map(|(source, _)| *source).collect();
        self.assignment.reading = true;
        self.drop_stale_membership();
        Ok(())
    }

    fn release(&mut self) -> Result<(), LogError> {
        self.assignment.reading = false;
        if std::mem::take(&mut self.assignment.rereading) {
            // The group still counts us in; only positions are looked up again. It is not told anything: it would take
            // that for the answer to a rebalance of which we have not heard yet.
            self.announced.push_back(Polled::Assigned(self.assignment.sources.clone()));
            return Ok(());
        }
        self.assignment = Assignment::default();
        if let Some(consumer) = &self.consumer {
            consumer.consumer().unassign().map_err(|error| LogError::Retriable(text_of(&error)))?;
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.assignment = Assignment::default();
        self.reader = None;
        self.transactions.close();
        if let Some(consumer) = self.consumer.take() {
            consumer.consumer().context().closing();
            // Dropping closes: it answers the last revocation and says goodbye. Should that hang, the process ends
            // without; the group notices after the session time-out.
            if !drop_within(consumer, LEAVE) {
                tracing::warn!(limit_ms = LEAVE.as_millis(), "the consumer did not close in time; left behind");
            }
        }
    }

    fn partitions(&mut self, topic: &str) -> Result<i32, LogError> {
        partitions(&self.probe, &format!("{}{topic}", self.settings.output_prefix))
    }

    fn read_back(
        &mut self,
        topic: &str,
        partition: i32,
        deliver: &mut dyn FnMut(Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), LogError> {
        let name = format!("{}{topic}", self.settings.output_prefix);
        // The end of the log, not of what is committed: markers land partition by partition, so something committed
        // elsewhere may still look open here (KAFKA-10167). Reading waits until everything up to this end is decided.
        let watermarks = self.probe.watermarks(&name, partition).map_err(|error| refused(&error))?;
        self.read_up_to(&name, partition, watermarks, &mut |record| deliver(record.key, record.value))
    }

    fn read_again(
        &mut self,
        source: Source,
        until: Offset,
        deliver: &mut dyn FnMut(Offset, Option<&[u8]>),
    ) -> Result<(), LogError> {
        let Some(name) = self.inputs.get(usize::from(source.topic)).cloned() else { return Ok(()) };
        let watermarks = self.probe.watermarks(&name, source.partition).map_err(|error| refused(&error))?;
        let watermarks = Watermarks { log_end: until, ..watermarks };
        self.read_up_to(&name, source.partition, watermarks, &mut |record| {
            if record.offset < until {
                deliver(record.offset, record.value);
            }
        })
    }

    fn begin(&mut self) -> Result<(), LogError> {
        self.transactions.begin()
    }

    fn produce(&mut self, output: &Output, partition: i32) -> Result<(), LogError> {
        let prefix = &self.settings.output_prefix;
        let name = self.output_names.entry(output.topic).or_insert_with(|| format!("{prefix}{}", output.topic));
        self.transactions.produce(name, partition, &output.key, &output.value)
    }

    fn send_offsets(&mut self, positions: &[Position]) -> Result<(), LogError> {
        if positions.is_empty() {
            // The client would return success without sending anything, so nothing would be fenced.
            return Err(LogError::Fatal("send_offsets without positions".to_owned()));
        }
        self.drop_stale_membership();
        let Some((group, _)) = &self.assignment.group else {
            // Without a generation the coordinator would accept the offsets unchecked.
            return Err(LogError::Abortable("the place in the group that the assignment came with is gone".to_owned()));
        };
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for position in positions {
            let topic = &self.inputs[usize::from(position.source.topic)];
            let mut element = list.add_partition(topic, position.source.partition);
            element.set_metadata(&position.metadata);
            element
                .set_offset(KafkaOffset::Offset(position.offset))
                .map_err(|error| LogError::Fatal(format!("offset {}: {}", position.offset, text_of(&error))))?;
        }
        self.transactions.send_offsets(&list, group)
    }

    fn commit(&mut self) -> Result<(), LogError> {
        self.transactions.commit()
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.transactions.abort()
    }

    fn renew_producer(&mut self) -> Result<(), LogError> {
        if self.transactions.fenced_late() {
            self.wait_for_word_of_a_take_over()?;
        }
        self.transactions.renew()
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        if self.consumer.is_some() {
            self.leave();
        }
    }
}

fn partitions(probe: &Probe, topic: &str) -> Result<i32, LogError> {
    let found = probe.partitions(topic).map_err(|error| refused(&error))?;
    found.ok_or_else(|| LogError::Fatal(format!("there is no topic {topic}. Make it with: streamgauge topics apply")))
}

/// An answer that did not come, or came as a refusal, outside of any transaction.
fn refused(error: &KafkaError) -> LogError {
    let text = text_of(error);
    match error.rdkafka_error_code() {
        Some(code) if is_hopeless(code) => LogError::Fatal(text),
        _ => LogError::Retriable(text),
    }
}

/// What an error on the consumer's queue means. Most are only told: the client goes on trying by itself.
fn consumer_error<C: Consumer<ConsumerEvents>>(consumer: &C, error: &KafkaError) -> Result<(), LogError> {
    let fatal = consumer.client().fatal_error();
    let code = fatal.as_ref().map(|(code, _)| *code).or(error.rdkafka_error_code()).unwrap_or(Code::Unknown);
    let text = fatal.as_ref().map_or_else(|| text_of(error), |(code, reason)| format!("{reason} ({code:?})"));
    match code {
        Code::FencedInstanceId | Code::FencedMemberEpoch => Err(LogError::Fenced(text)),
        _ if fatal.is_some() || is_hopeless(code) => Err(LogError::Fatal(text)),
        Code::AllBrokersDown => Err(LogError::Retriable("no broker answers".to_owned())),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            Err(LogError::Retriable(format!("an input topic does not exist (any more): {text}")))
        }
        _ => Ok(()),
    }
}
