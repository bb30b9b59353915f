//! The bus: topics, groups, transactions, and the clock that stamps records and lets things time out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use streamgauge_events::topics::Topic;
use streamgauge_events::{EventTime, Offset};
use streamgauge_stage::{LogError, Output};

use crate::group::{Group, GroupOffset, GroupTimeouts, TopicPartition};
use crate::partition::{NO_TRANSACTION, PartitionLog, RecordRef, StoredRecord, TransactionNumber};
use crate::random::SplitMix64;
use crate::transactions::{End, Participant, Transactions};

/// What a Kafka cluster has in its configuration. Times of the simulated clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// A member silent for so long is evicted.
    pub session_timeout_us: i64,
    /// Members that have not let go of their assignment by then are left out of the next generation.
    pub rebalance_timeout_us: i64,
    /// Markers land up to so much later than the end that they stand for is decided. 0: at once.
    pub marker_delay_us_max: i64,
    pub seed: u64,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        // The session time-out is the one that `semantics.md` counts with; markers are quick while nothing is broken.
        Self { session_timeout_us: 6_000_000, rebalance_timeout_us: 30_000_000, marker_delay_us_max: 0, seed: 0 }
    }
}

/// How an upstream transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Committed,
    Aborted,
}

/// A handle on the bus; clones share it. Stays in one thread.
#[derive(Clone, Debug)]
pub struct Broker(pub(crate) Rc<RefCell<State>>);

#[derive(Debug)]
pub(crate) struct State {
    pub settings: BrokerSettings,
    pub now: EventTime,
    topic_names: BTreeMap<String, usize>,
    topics: Vec<Vec<PartitionLog>>,
    groups: BTreeMap<String, Group>,
    pub transactions: Transactions,
    upstream_transactions: u64,
    random: SplitMix64,
}

impl Default for Broker {
    fn default() -> Self {
        Self::new(BrokerSettings::default())
    }
}

impl Broker {
    pub fn new(settings: BrokerSettings) -> Self {
        Self(Rc::new(RefCell::new(State {
            settings,
            now: EventTime(0),
            topic_names: BTreeMap::new(),
            topics: Vec::new(),
            groups: BTreeMap::new(),
            transactions: Transactions::default(),
            upstream_transactions: 0,
            random: SplitMix64::new(settings.seed),
        })))
    }

    /// Creates a topic, or grows it to this number of partitions; groups that read it rebalance.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        let state = &mut *self.0.borrow_mut();
        let next = state.topics.len();
        let topic = *state.topic_names.entry(name.to_owned()).or_insert(next);
        if topic == next {
            state.topics.push(Vec::new());
        }
        let logs = &mut state.topics[topic];
        if (logs.len() as i32) < partitions {
            logs.resize_with(partitions as usize, PartitionLog::default);
            for group in state.groups.values_mut().filter(|group| group.reads(topic)) {
                group.prepare(state.now);
            }
        }
    }

    /// Creates the topics of the topic table, with its numbers of partitions.
    pub fn create_topics(&self, table: &[Topic]) {
        for topic in table {
            self.create_topic(&topic.topic, topic.partitions);
        }
    }

    /// `None`: there is no such topic.
    pub fn partitions(&self, topic: &str) -> Option<i32> {
        let state = self.0.borrow();
        state.topic_names.get(topic).map(|topic| state.topics[*topic].len() as i32)
    }

    pub fn now(&self) -> EventTime {
        self.0.borrow().now
    }

    /// Moves the clock; it never goes back. Markers land, transactions and members time out.
    pub fn advance_to(&self, now: EventTime) {
        let state = &mut *self.0.borrow_mut();
        state.now = state.now.max(now);
        state.settle();
    }

    /// Changes the delay of markers decided from now on.
    pub fn set_marker_delay_us_max(&self, marker_delay_us_max: i64) {
        self.0.borrow_mut().settings.marker_delay_us_max = marker_delay_us_max;
    }

    /// When the next marker lands, if one is on its way.
    pub fn next_marker_due(&self) -> Option<EventTime> {
        self.0.borrow().transactions.next_due()
    }

    /// Appends as a plain producer does; the record's timestamp is the clock (`LogAppendTime`).
    ///
    /// # Panics
    /// Where the topic or the partition does not exist, as all methods of this type that name one.
    pub fn append(&self, topic: &str, partition: i32, key: Option<&[u8]>, value: Option<&[u8]>) -> Offset {
        let state = &mut *self.0.borrow_mut();
        let now = state.now;
        state.log_mut(topic, partition).append(now, NO_TRANSACTION, key, value)
    }

    /// Appends what a transactional producer upstream sends in one transaction; its marker lands as all markers do.
    pub fn append_transaction(&self, topic: &str, partition: i32, values: &[&[u8]], fate: Fate) {
        let state = &mut *self.0.borrow_mut();
        state.upstream_transactions += 1;
        let id = format!("upstream-{}", state.upstream_transactions);
        let participant = Participant::Partition(state.topic(topic), partition);
        let ok = "a new transactional id has no older instance";
        let epoch = state.init_producer(&id, i64::MAX).expect(ok);
        let transaction = state.transactions.add(&id, epoch, participant, state.now).expect(ok);
        let now = state.now;
        for value in values {
            state.log_mut(topic, partition).append(now, transaction, None, Some(value));
        }
        let end = End { transactional_id: &id, epoch, commit: fate == Fate::Committed };
        state.end_transaction(&end).expect(ok);
    }

    /// The committed records of a partition that are there now.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let mut records = Vec::new();
        self.read(topic, partition, 0, usize::MAX, |record| records.push(record.to_stored()));
        records
    }

    /// Hands over at most `most` committed records from `from` on, and returns the position behind them.
    /// `deliver` must not call the broker.
    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        from: Offset,
        most: usize,
        deliver: impl FnMut(RecordRef<'_>),
    ) -> Offset {
        self.0.borrow().log(topic, partition).read(from, most, deliver)
    }

    /// The first offset that is held, and the one behind the last.
    pub fn offsets(&self, topic: &str, partition: i32) -> (Offset, Offset) {
        let state = self.0.borrow();
        let log = state.log(topic, partition);
        (log.start(), log.end())
    }

    /// The last stable offset.
    pub fn stable_end(&self, topic: &str, partition: i32) -> Offset {
        self.0.borrow().log(topic, partition).stable_end()
    }

    /// Retention: drops everything below `offset`.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: Offset) {
        self.0.borrow_mut().log_mut(topic, partition).delete_before(offset);
    }

    /// Compaction: keeps only the records that `keep` names (and what is not decided yet).
    pub fn retain(&self, topic: &str, partition: i32, keep: impl FnMut(RecordRef<'_>) -> bool) {
        self.0.borrow_mut().log_mut(topic, partition).retain(keep);
    }

    /// What a group has committed; offsets of pending transactions are not among it.
    pub fn group_offset(&self, group: &str, topic: &str, partition: i32) -> Option<GroupOffset> {
        let state = self.0.borrow();
        let topic = state.topic(topic);
        state.groups.get(group)?.offset((topic, partition)).cloned()
    }

    /// What an operator's tool does: sets an offset, or removes it.
    pub fn alter_group_offset(&self, group: &str, topic: &str, partition: i32, offset: Option<GroupOffset>) {
        let state = &mut *self.0.borrow_mut();
        let topic = state.topic(topic);
        state.group(group).alter_offset((topic, partition), offset);
    }

    /// Instance ids of a group's members, ascending.
    pub fn group_instances(&self, group: &str) -> Vec<String> {
        self.0.borrow().groups.get(group).map_or_else(Vec::new, Group::instances)
    }

    /// How many transactions were aborted because they had been open for too long.
    pub fn transactions_timed_out(&self) -> u64 {
        self.0.borrow().transactions.timed_out
    }

    /// How many generations a group has had.
    pub fn rebalances(&self, group: &str) -> u64 {
        self.0.borrow().groups.get(group).map_or(0, |group| group.rebalances)
    }
}

impl State {
    /// Lets everything happen that is due.
    pub fn settle(&mut self) {
        let Self { transactions, random, settings, now, .. } = self;
        transactions.time_out(*now, &mut || marker_due(*now, settings, random));
        self.land_markers();
        let timeouts = GroupTimeouts {
            session_us: self.settings.session_timeout_us,
            rebalance_us: self.settings.rebalance_timeout_us,
        };
        let topics = &self.topics;
        for group in self.groups.values_mut() {
            group.advance(self.now, timeouts, &|topic| topics[topic].len() as i32);
        }
    }

    fn land_markers(&mut self) {
        for marker in self.transactions.take_due(self.now) {
            match marker.participant {
                Participant::Partition(topic, partition) => {
                    let log = &mut self.topics[topic][partition as usize];
                    log.append_marker(self.now, marker.transaction, marker.commit);
                }
                Participant::Offsets(group) => self.group(&group).end_pending(marker.transaction, marker.commit),
            }
        }
    }

    pub fn init_producer(&mut self, id: &str, timeout_us: i64) -> Result<u32, LogError> {
        let Self { transactions, random, settings, now, .. } = self;
        let first = transactions.init(id, timeout_us, &mut || marker_due(*now, settings, random));
        // Markers without delay land between two requests.
        self.land_markers();
        let Self { transactions, random, settings, now, .. } = self;
        first.or_else(|_| transactions.init(id, timeout_us, &mut || marker_due(*now, settings, random)))
    }

    pub fn end_transaction(&mut self, end: &End<'_>) -> Result<(), LogError> {
        let Self { transactions, random, settings, now, .. } = self;
        let result = transactions.end(end, &mut || marker_due(*now, settings, random));
        self.land_markers();
        result
    }

    /// Appends an output in the open transaction of a producer.
    pub fn produce(
        &mut self,
        id: &str,
        epoch: u32,
        output: &Output,
        partition: i32,
    ) -> Result<TransactionNumber, LogError> {
        let topic = self.find_topic(output.topic)?;
        if !(0..self.topics[topic].len() as i32).contains(&partition) {
            return Err(LogError::Fatal(format!("topic {} has no partition {partition}", output.topic)));
        }
        let transaction = self.transactions.add(id, epoch, Participant::Partition(topic, partition), self.now)?;
        let log = &mut self.topics[topic][partition as usize];
        let value = (!output.value.is_empty()).then_some(output.value.as_slice());
        log.append(self.now, transaction, Some(&output.key), value);
        Ok(transaction)
    }

    pub fn group(&mut self, name: &str) -> &mut Group {
        // `entry` would copy the name on every poll.
        if !self.groups.contains_key(name) {
            self.groups.insert(name.to_owned(), Group::new());
        }
        self.groups.get_mut(name).expect("it was inserted above")
    }

    pub fn find_topic(&self, name: &str) -> Result<usize, LogError> {
        self.topic_names.get(name).copied().ok_or_else(|| LogError::Fatal(format!("there is no topic {name}")))
    }

    pub fn partition(&self, (topic, partition): TopicPartition) -> &PartitionLog {
        &self.topics[topic][partition as usize]
    }

    pub fn partition_count(&self, topic: usize) -> i32 {
        self.topics[topic].len() as i32
    }

    fn topic(&self, name: &str) -> usize {
        self.topic_names.get(name).copied().unwrap_or_else(|| panic!("there is no topic {name}: create it first"))
    }

    fn log(&self, topic: &str, partition: i32) -> &PartitionLog {
        &self.topics[self.topic(topic)][partition as usize]
    }

    fn log_mut(&mut self, topic: &str, partition: i32) -> &mut PartitionLog {
        let topic = self.topic(topic);
        &mut self.topics[topic][partition as usize]
    }
}

fn marker_due(now: EventTime, settings: &BrokerSettings, random: &mut SplitMix64) -> EventTime {
    now.plus_us(random.below(settings.marker_delay_us_max as u64) as i64)
}
