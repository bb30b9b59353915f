//! One worker's client: a consumer in a group and a transactional producer, as [`Log`] asks for them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use streamgauge_events::Offset;
use streamgauge_stage::{Committed, Delivery, Log, LogError, Output, Polled, Position, Record, Source};

use crate::broker::{Broker, State};
use crate::faults::{Blow, Call, Faults};
use crate::group::{GroupOffset, Heart, Joining, MemberId, OffsetSender, Standing, TopicPartition};
use crate::transactions::{End, Participant};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    pub group: String,
    /// `group.instance.id` and `transactional.id` in one: a restart takes the place of its predecessor at once.
    pub instance: String,
    /// Source topics, in the order of the stage's inputs.
    pub inputs: Vec<String>,
    pub transaction_timeout_us: i64,
    /// Deliveries of one poll.
    pub poll_records_max: usize,
}

impl ClientConfig {
    pub fn new(group: &str, instance: &str, inputs: &[&str]) -> Self {
        Self {
            group: group.to_owned(),
            instance: instance.to_owned(),
            inputs: inputs.iter().map(|&topic| topic.to_owned()).collect(),
            transaction_timeout_us: 10_000_000,
            poll_records_max: 4096,
        }
    }
}

pub struct MemoryLog {
    broker: Broker,
    config: ClientConfig,
    topics: Vec<usize>,
    faults: Option<Rc<RefCell<Faults>>>,
    heart: Rc<Heart>,
    producer: Producer,
    member: Option<MemberId>,
    membership: Membership,
    readers: Vec<Reader>,
    /// The partition with which the next poll begins, so that none starves.
    turn: usize,
}

/// Where the client stands in its group. The generation is captured when an assignment is served and dropped with it:
/// nothing is ever sent for a generation that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    Outside,
    Joining,
    Assigned(i32),
    Revoked(i32),
    Lost,
    /// A position has left the log: the assignment, though still ours, is announced once more.
    Again,
}

#[derive(Debug)]
enum Producer {
    /// `init` has not been answered yet.
    New,
    Idle(u32),
    Open(OpenTransaction),
    /// The end of a transaction is unknown: only a new producer helps.
    Unknown,
    Fenced,
}

#[derive(Clone, Copy, Debug)]
struct OpenTransaction {
    epoch: u32,
    /// Something of it has reached the broker.
    touched: bool,
    /// A message was not acknowledged: nothing but an abort is accepted.
    failed: bool,
}

#[derive(Debug)]
struct Reader {
    source: Source,
    partition: TopicPartition,
    position: Offset,
    /// Where the end was last announced.
    ended_at: Option<Offset>,
}

impl MemoryLog {
    /// Connects and fences older processes of the same instance at once, before anything is read.
    pub fn connect(broker: &Broker, config: ClientConfig) -> Result<Self, LogError> {
        Self::connect_with(broker, config, None)
    }

    /// The same under faults, which whoever passes them may watch, change and heal later.
    pub fn connect_with_faults(
        broker: &Broker,
        config: ClientConfig,
        faults: Rc<RefCell<Faults>>,
    ) -> Result<Self, LogError> {
        Self::connect_with(broker, config, Some(faults))
    }

    fn connect_with(
        broker: &Broker,
        config: ClientConfig,
        faults: Option<Rc<RefCell<Faults>>>,
    ) -> Result<Self, LogError> {
        let topics = {
            let state = broker.0.borrow();
            config.inputs.iter().map(|topic| state.find_topic(topic)).collect::<Result<Vec<usize>, LogError>>()?
        };
        let isolated = faults.as_ref().map(|faults| faults.borrow().isolated()).unwrap_or_default();
        let mut log = Self {
            heart: Rc::new(Heart { isolated }),
            broker: broker.clone(),
            config,
            topics,
            faults,
            producer: Producer::New,
            member: None,
            membership: Membership::Outside,
            readers: Vec::new(),
            turn: 0,
        };
        match log.init_producer() {
            // Markers of a predecessor are on their way: polls go on asking.
            Ok(()) | Err(LogError::Retriable(_)) => Ok(log),
            Err(error) => Err(error),
        }
    }

    /// Runs one call under faults. `effect` borrows the broker only while it runs: dying unwinds with nothing borrowed.
    fn call<T>(&mut self, call: Call, effect: impl FnOnce(&mut Self) -> Result<T, LogError>) -> Result<T, LogError> {
        let Some(faults) = self.faults.clone() else { return effect(self) };
        let (stall_us, blow) = {
            let faults = &mut *faults.borrow_mut();
            faults.maybe_die(call, false);
            (faults.stall_us(call), faults.blow(call))
        };
        if let Some(stall_us) = stall_us {
            self.stand_still(stall_us);
        }
        let result = match blow {
            Blow::None => effect(self),
            Blow::Before(error) => self.failed(call, error),
            Blow::After(error) => match effect(self) {
                Ok(_) => self.failed(call, error),
                Err(own) => Err(own),
            },
        };
        faults.borrow_mut().maybe_die(call, true);
        result
    }

    /// Time passes for everybody else; no heartbeat leaves this process.
    fn stand_still(&self, stall_us: i64) {
        let was_isolated = self.heart.isolated.replace(true);
        self.broker.advance_to(self.broker.now().plus_us(stall_us));
        self.heart.isolated.set(was_isolated);
    }

    /// What a client knows after a call that failed in the way of `error`.
    fn failed<T>(&mut self, call: Call, error: LogError) -> Result<T, LogError> {
        match (&error, &mut self.producer) {
            (LogError::Ambiguous(_), _) => self.producer = Producer::Unknown,
            (LogError::Abortable(_), Producer::Open(open)) => open.failed = true,
            // The answer with the new epoch was lost.
            (_, producer) if call == Call::RenewProducer => *producer = Producer::New,
            _ => {}
        }
        Err(error)
    }

    fn fault(&self, draw: impl FnOnce(&mut Faults) -> bool) -> bool {
        self.faults.as_ref().is_some_and(|faults| draw(&mut faults.borrow_mut()))
    }

    fn init_producer(&mut self) -> Result<(), LogError> {
        let state = &mut *self.broker.0.borrow_mut();
        let epoch = state.init_producer(&self.config.instance, self.config.transaction_timeout_us)?;
        self.producer = Producer::Idle(epoch);
        Ok(())
    }

    // ---- the consumer

    /// Joins, notices rebalances, and says so. `None`: nothing to announce.
    fn follow_group(&mut self) -> Result<Option<Polled>, LogError> {
        if self.fault(Faults::loses_heartbeat) {
            return Ok(None);
        }
        let broker = self.broker.clone();
        let state = &mut *broker.0.borrow_mut();
        state.settle();
        let now = state.now;
        let group = state.group(&self.config.group);
        let standing = match self.member {
            Some(member) => group.heartbeat(member, &self.config.instance, now),
            None => Standing::Unknown,
        };
        if standing == Standing::Replaced {
            let message = format!("another process has joined as {}", self.config.instance);
            return Err(LogError::Fenced(message));
        }
        match self.membership {
            Membership::Outside => {
                match (standing, self.member) {
                    (Standing::Stable(_) | Standing::Rebalancing(_), Some(member)) => group.rejoin(member, now),
                    _ => {
                        let (instance, heart) = (&self.config.instance, Rc::downgrade(&self.heart));
                        let joining = Joining { instance, topics: &self.topics, heart };
                        self.member = Some(group.join(joining, now));
                    }
                }
                self.membership = Membership::Joining;
                state.settle();
                Ok(None)
            }
            Membership::Joining => {
                if standing == Standing::Unknown {
                    self.member = None;
                    self.membership = Membership::Outside;
                    return Ok(None);
                }
                if let (Standing::Rebalancing(_), Some(member)) = (standing, self.member) {
                    // The generation that we had asked for was overtaken by the next one.
                    group.rejoin(member, now);
                    state.settle();
                    return Ok(None);
                }
                let Some((generation, assignment)) = self.member.and_then(|member| group.sync(member)) else {
                    return Ok(None);
                };
                self.membership = Membership::Assigned(generation);
                Ok(Some(Polled::Assigned(assignment.into_iter().map(|partition| self.source(partition)).collect())))
            }
            Membership::Assigned(generation) | Membership::Revoked(generation) => match standing {
                Standing::Stable(current) if current == generation => Ok(None),
                Standing::Rebalancing(current) if current == generation => {
                    self.membership = Membership::Revoked(generation);
                    Ok(Some(Polled::Revoked))
                }
                _ => {
                    self.membership = Membership::Lost;
                    Ok(Some(Polled::Lost))
                }
            },
            Membership::Lost | Membership::Again => Ok(Some(Polled::Lost)),
        }
    }

    fn source(&self, (topic, partition): TopicPartition) -> Source {
        let topic = self.topics.iter().position(|known| *known == topic).expect("the group assigns what we read");
        Source { topic: topic as u16, partition }
    }

    fn partition(&self, source: Source) -> TopicPartition {
        (self.topics[usize::from(source.topic)], source.partition)
    }

    fn read(&mut self, deliver: &mut dyn FnMut(Delivery<'_>)) -> Polled {
        let mut left = match &self.faults {
            Some(faults) => faults.borrow_mut().poll_records(self.config.poll_records_max),
            None => self.config.poll_records_max,
        };
        let state = self.broker.0.borrow();
        if self.readers.iter().any(|reader| reader.is_out_of_range(&state)) {
            self.membership = Membership::Again;
            return Polled::Lost;
        }
        let count = self.readers.len();
        self.turn = self.turn.wrapping_add(1);
        for step in 0..count {
            let reader = &mut self.readers[(self.turn + step) % count];
            left -= reader.read(&state, left, deliver);
        }
        Polled::Delivered
    }

    // ---- the producer

    fn open_transaction(&self) -> Result<OpenTransaction, LogError> {
        match &self.producer {
            Producer::Open(open) => Ok(*open),
            Producer::Idle(_) | Producer::New => Err(LogError::Fatal("no transaction is open".to_owned())),
            Producer::Unknown => Err(LogError::Fatal("the producer has to be renewed first".to_owned())),
            Producer::Fenced => Err(fenced()),
        }
    }

    /// The open transaction, if it may still commit.
    fn sound_transaction(&self) -> Result<OpenTransaction, LogError> {
        let open = self.open_transaction()?;
        if open.failed {
            return Err(LogError::Abortable("a message was not acknowledged".to_owned()));
        }
        Ok(open)
    }

    /// Remembers what the broker's answer means for the producer.
    fn answered<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        match &result {
            Err(LogError::Fenced(_)) => self.producer = Producer::Fenced,
            Err(LogError::Abortable(_)) => {
                if let Producer::Open(open) = &mut self.producer {
                    open.failed = true;
                }
            }
            _ => {}
        }
        result
    }

    fn end(&mut self, commit: bool) -> Result<(), LogError> {
        let open = if commit { self.sound_transaction()? } else { self.open_transaction()? };
        let repeats = self.fault(Faults::repeats);
        if open.touched {
            let result = {
                let state = &mut *self.broker.0.borrow_mut();
                let end = End { transactional_id: &self.config.instance, epoch: open.epoch, commit };
                let first = state.end_transaction(&end);
                if repeats { first.and_then(|()| state.end_transaction(&end)) } else { first }
            };
            self.answered(result)?;
        }
        self.producer = Producer::Idle(open.epoch);
        Ok(())
    }

    fn try_send_offsets(&mut self, positions: &[Position]) -> Result<(), LogError> {
        let open = self.sound_transaction()?;
        let (Some(member), Membership::Assigned(generation) | Membership::Revoked(generation)) =
            (self.member, self.membership)
        else {
            return self.answered(Err(LogError::Abortable("the assignment is gone".to_owned())));
        };
        let offset = |position: &Position| GroupOffset { offset: position.offset, metadata: position.metadata.clone() };
        let offsets: Vec<(TopicPartition, GroupOffset)> =
            positions.iter().map(|position| (self.partition(position.source), offset(position))).collect();
        let result = {
            let state = &mut *self.broker.0.borrow_mut();
            let participant = Participant::Offsets(self.config.group.clone());
            let group = state.group(&self.config.group);
            group.check_sender(member, generation).and_then(|()| {
                let transaction = state.transactions.add(&self.config.instance, open.epoch, participant, state.now)?;
                let sender = OffsetSender { member, generation, transaction };
                state.group(&self.config.group).add_pending(&sender, offsets.into_iter())
            })
        };
        self.answered(result)?;
        self.producer = Producer::Open(OpenTransaction { touched: true, ..open });
        Ok(())
    }
}

impl Reader {
    fn is_out_of_range(&self, state: &State) -> bool {
        let log = state.partition(self.partition);
        !(log.start()..=log.end()).contains(&self.position)
    }

    /// Delivers at most `most`, and says how many.
    fn read(&mut self, state: &State, most: usize, deliver: &mut dyn FnMut(Delivery<'_>)) -> usize {
        let log = state.partition(self.partition);
        let (source, mut delivered) = (self.source, 0);
        self.position = log.read(self.position, most, |record| {
            delivered += 1;
            deliver(Delivery::Record(Record {
                source,
                offset: record.offset,
                timestamp: Some(record.timestamp),
                key: record.key,
                value: record.value,
                rejected: None,
            }));
        });
        if self.position >= log.stable_end() && self.ended_at != Some(self.position) {
            self.ended_at = Some(self.position);
            deliver(Delivery::End { source, position: self.position });
        }
        delivered
    }
}

impl Log for MemoryLog {
    fn poll(&mut self, _wait: Duration, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<Polled, LogError> {
        self.call(Call::Poll, |log| {
            match log.producer {
                Producer::New => log.init_producer()?,
                Producer::Fenced => return Err(fenced()),
                Producer::Idle(_) | Producer::Open(_) | Producer::Unknown => {}
            }
            if let Some(polled) = log.follow_group()? {
                return Ok(polled);
            }
            Ok(log.read(deliver))
        })
    }

    fn committed(&mut self, sources: &[Source]) -> Result<Vec<Committed>, LogError> {
        self.call(Call::Committed, |log| {
            let state = &mut *log.broker.0.borrow_mut();
            sources
                .iter()
                .map(|&source| {
                    let partition = (log.topics[usize::from(source.topic)], source.partition);
                    let group_offset = state.group(&log.config.group).stable_offset(partition)?;
                    let (offset, metadata) =
                        group_offset.map_or((None, String::new()), |o| (Some(o.offset), o.metadata));
                    let (kept, partitions) = (state.partition(partition), state.partition_count(partition.0));
                    Ok(Committed { source, offset, metadata, log_start: kept.start(), log_end: kept.end(), partitions })
                })
                .collect()
        })
    }

    fn assign(&mut self, starts: &[(Source, Offset)]) -> Result<(), LogError> {
        self.call(Call::Assign, |log| {
            if !matches!(log.membership, Membership::Assigned(_)) {
                return Err(LogError::Fatal("there is no assignment to read".to_owned()));
            }
            let reader = |&(source, position)| {
                let partition = log.partition(source);
                Reader { source, partition, position, ended_at: None }
            };
            log.readers = starts.iter().map(reader).collect();
            Ok(())
        })
    }

    fn release(&mut self) -> Result<(), LogError> {
        self.call(Call::Release, |log| {
            log.readers.clear();
            if log.membership == Membership::Lost {
                log.member = None;
            }
            log.membership = match log.membership {
                Membership::Again => Membership::Joining,
                _ => Membership::Outside,
            };
            Ok(())
        })
    }

    fn leave(&mut self) {
        if self.fault(Faults::loses_leave) {
            return;
        }
        if let Some(member) = self.member.take() {
            let state = &mut *self.broker.0.borrow_mut();
            let now = state.now;
            state.group(&self.config.group).leave(member, now);
        }
    }

    fn partitions(&mut self, topic: &str) -> Result<i32, LogError> {
        self.call(Call::Partitions, |log| {
            let state = log.broker.0.borrow();
            Ok(state.partition_count(state.find_topic(topic)?))
        })
    }

    fn read_back(
        &mut self,
        topic: &str,
        partition: i32,
        deliver: &mut dyn FnMut(Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), LogError> {
        self.call(Call::ReadBack, |log| {
            let state = log.broker.0.borrow();
            let kept = state.partition((state.find_topic(topic)?, partition));
            // Markers land partition by partition: below the last stable offset a record may be missing that the
            // offsets already follow (KAFKA-10167).
            if kept.stable_end() < kept.end() {
                return Err(LogError::Retriable(format!("a transaction is pending on {topic}/{partition}")));
            }
            kept.read(kept.start(), usize::MAX, |record| deliver(record.key, record.value));
            Ok(())
        })
    }

    fn read_again(
        &mut self,
        source: Source,
        until: Offset,
        deliver: &mut dyn FnMut(Offset, Option<&[u8]>),
    ) -> Result<(), LogError> {
        self.call(Call::ReadBack, |log| {
            let input = log.partition(source);
            let state = log.broker.0.borrow();
            let kept = state.partition(input);
            kept.read(kept.start(), usize::MAX, |record| {
                if record.offset < until {
                    deliver(record.offset, record.value);
                }
            });
            Ok(())
        })
    }

    fn begin(&mut self) -> Result<(), LogError> {
        self.call(Call::Begin, |log| {
            let epoch = match log.producer {
                Producer::Idle(epoch) => epoch,
                Producer::New => return Err(LogError::Retriable("the producer is not ready yet".to_owned())),
                Producer::Fenced => return Err(fenced()),
                Producer::Unknown => return Err(LogError::Fatal("the producer has to be renewed first".to_owned())),
                Producer::Open(_) => return Err(LogError::Fatal("a transaction is open already".to_owned())),
            };
            let result = log.broker.0.borrow_mut().transactions.check_begin(&log.config.instance, epoch);
            log.answered(result)?;
            log.producer = Producer::Open(OpenTransaction { epoch, touched: false, failed: false });
            Ok(())
        })
    }

    fn produce(&mut self, output: &Output, partition: i32) -> Result<(), LogError> {
        let queued = self.call(Call::Produce, |log| {
            let open = log.sound_transaction()?;
            let result = log.broker.0.borrow_mut().produce(&log.config.instance, open.epoch, output, partition);
            log.answered(result)?;
            log.producer = Producer::Open(OpenTransaction { touched: true, ..open });
            Ok(())
        });
        match queued {
            // The message is only queued here: that it was not acknowledged shows when the queue is drained.
            Err(LogError::Abortable(_)) => Ok(()),
            other => other,
        }
    }

    fn send_offsets(&mut self, positions: &[Position]) -> Result<(), LogError> {
        self.call(Call::SendOffsets, |log| {
            log.try_send_offsets(positions)?;
            if log.fault(Faults::repeats) { log.try_send_offsets(positions) } else { Ok(()) }
        })
    }

    fn commit(&mut self) -> Result<(), LogError> {
        self.call(Call::Commit, |log| log.end(true))
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.call(Call::Abort, |log| log.end(false))
    }

    fn renew_producer(&mut self) -> Result<(), LogError> {
        self.call(Call::RenewProducer, |log| {
            log.producer = Producer::New;
            log.init_producer()?;
            if log.fault(Faults::repeats) { log.init_producer() } else { Ok(()) }
        })
    }
}

fn fenced() -> LogError {
    LogError::Fenced("a newer process uses our transactional id".to_owned())
}
