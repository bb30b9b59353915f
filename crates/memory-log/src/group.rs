//! The group coordinator: members, generations, who owns what, and the committed offsets.
//!
//! Eager rebalances with the range assignor and static membership (KIP-345), offsets in transactions with a check of
//! member and generation (KIP-447).

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};

use streamgauge_events::{EventTime, Offset};
use streamgauge_stage::LogError;

use crate::partition::TransactionNumber;

pub(crate) type MemberId = u64;
/// Index of a topic, and the partition.
pub(crate) type TopicPartition = (usize, i32);

/// What the group has committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    pub offset: Offset,
    pub metadata: String,
}

/// A client's background heartbeat: it beats while the client lives and is not cut off, also between two polls.
#[derive(Debug, Default)]
pub(crate) struct Heart {
    pub isolated: Rc<Cell<bool>>,
}

/// A process that wants to be a member.
#[derive(Debug)]
pub(crate) struct Joining<'a> {
    pub instance: &'a str,
    pub topics: &'a [usize],
    pub heart: Weak<Heart>,
}

#[derive(Debug)]
struct Member {
    heart: Weak<Heart>,
    instance: String,
    topics: Vec<usize>,
    last_heartbeat: EventTime,
    /// Has asked to join the generation that is being formed.
    joined: bool,
    assignment: Vec<TopicPartition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stable,
    /// A new generation is being formed since then.
    Preparing(EventTime),
}

/// What the coordinator answers to a member's heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In this generation.
    Stable(i32),
    /// In this generation, and asked to join the next one.
    Rebalancing(i32),
    Unknown,
    /// Another process has joined with the same instance id.
    Replaced,
}

#[derive(Debug)]
pub(crate) struct Group {
    generation: i32,
    state: State,
    members: BTreeMap<MemberId, Member>,
    last_member: MemberId,
    offsets: BTreeMap<TopicPartition, GroupOffset>,
    pending: BTreeMap<TransactionNumber, BTreeMap<TopicPartition, GroupOffset>>,
    /// How many generations there were, for reports.
    pub rebalances: u64,
}

/// Time-outs of the group, as settings of the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupTimeouts {
    pub session_us: i64,
    pub rebalance_us: i64,
}

/// Who sends offsets, and in which transaction.
pub(crate) struct OffsetSender {
    pub member: MemberId,
    pub generation: i32,
    pub transaction: TransactionNumber,
}

impl Group {
    pub fn new() -> Self {
        Self {
            generation: 0,
            state: State::Stable,
            members: BTreeMap::new(),
            last_member: 0,
            offsets: BTreeMap::new(),
            pending: BTreeMap::new(),
            rebalances: 0,
        }
    }

    /// Asks to join. A process that comes back with a known instance id takes the place of the old one: in a stable
    /// group with its assignment and without a rebalance.
    pub fn join(&mut self, joining: Joining<'_>, now: EventTime) -> MemberId {
        self.last_member += 1;
        let id = self.last_member;
        let mut member = Member {
            heart: joining.heart,
            instance: joining.instance.to_owned(),
            topics: joining.topics.to_vec(),
            last_heartbeat: now,
            joined: true,
            assignment: Vec::new(),
        };
        let old = self.members.iter().find(|(_, old)| old.instance == joining.instance).map(|(id, _)| *id);
        let old = old.and_then(|id| self.members.remove(&id));
        if let (State::Stable, Some(old)) = (self.state, &old)
            && old.topics == member.topics
        {
            member.assignment = old.assignment.clone();
            self.members.insert(id, member);
        } else {
            self.members.insert(id, member);
            self.prepare(now);
            self.member(id).joined = true;
        }
        id
    }

    /// A member that has let go of its assignment asks for the next generation.
    pub fn rejoin(&mut self, id: MemberId, now: EventTime) {
        if self.members.contains_key(&id) {
            self.prepare(now);
            let member = self.member(id);
            member.joined = true;
            member.last_heartbeat = now;
        }
    }

    fn member(&mut self, id: MemberId) -> &mut Member {
        self.members.get_mut(&id).expect("callers have checked the member")
    }

    /// Begins to form a new generation, if that is not under way already.
    pub fn prepare(&mut self, now: EventTime) {
        if self.state == State::Stable {
            self.state = State::Preparing(now);
            for member in self.members.values_mut() {
                member.joined = false;
            }
        }
    }

    pub fn reads(&self, topic: usize) -> bool {
        self.members.values().any(|member| member.topics.contains(&topic))
    }

    pub fn leave(&mut self, id: MemberId, now: EventTime) {
        if self.members.remove(&id).is_some() {
            self.prepare(now);
        }
    }

    pub fn heartbeat(&mut self, id: MemberId, instance: &str, now: EventTime) -> Standing {
        let generation = self.generation;
        let replaced = self.members.values().any(|member| member.instance == instance);
        match self.members.get_mut(&id) {
            Some(member) => {
                member.last_heartbeat = now;
                match self.state {
                    State::Stable => Standing::Stable(generation),
                    State::Preparing(_) => Standing::Rebalancing(generation),
                }
            }
            None if replaced => Standing::Replaced,
            None => Standing::Unknown,
        }
    }

    /// The member's part of the current generation, once that is formed.
    pub fn sync(&self, id: MemberId) -> Option<(i32, Vec<TopicPartition>)> {
        let member = self.members.get(&id)?;
        (self.state == State::Stable).then(|| (self.generation, member.assignment.clone()))
    }

    /// Evicts the silent, then forms the generation that waits if everybody is there or time is up.
    pub fn advance(&mut self, now: EventTime, timeouts: GroupTimeouts, partitions: &dyn Fn(usize) -> i32) {
        for member in self.members.values_mut() {
            if member.heart.upgrade().is_some_and(|heart| !heart.isolated.get()) {
                member.last_heartbeat = now;
            }
        }
        let before = self.members.len();
        self.members.retain(|_, member| now.0 - member.last_heartbeat.0 < timeouts.session_us);
        if self.members.len() < before {
            self.prepare(now);
        }
        if let State::Preparing(since) = self.state {
            if now.0 - since.0 >= timeouts.rebalance_us {
                self.members.retain(|_, member| member.joined);
            }
            if self.members.values().all(|member| member.joined) {
                self.form(partitions);
            }
        }
    }

    fn form(&mut self, partitions: &dyn Fn(usize) -> i32) {
        self.generation += 1;
        self.rebalances += 1;
        self.state = State::Stable;
        let topics: BTreeSet<usize> = self.members.values().flat_map(|member| member.topics.clone()).collect();
        for member in self.members.values_mut() {
            member.assignment.clear();
        }
        for topic in topics {
            let mut readers: Vec<(String, MemberId)> = self
                .members
                .iter()
                .filter(|(_, member)| member.topics.contains(&topic))
                .map(|(id, member)| (member.instance.clone(), *id))
                .collect();
            readers.sort();
            let (all, count) = (partitions(topic), readers.len() as i32);
            let mut next = 0;
            for (index, (_, id)) in readers.into_iter().enumerate() {
                // The range assignor: equal parts, the first `all % count` members one more.
                let share = all / count + i32::from((index as i32) < all % count);
                self.member(id).assignment.extend((next..next + share).map(|partition| (topic, partition)));
                next += share;
            }
        }
    }

    /// Offsets in a transaction: invisible until it commits, and an obstacle to the stable fetch until it ends.
    pub fn add_pending(
        &mut self,
        sender: &OffsetSender,
        offsets: impl Iterator<Item = (TopicPartition, GroupOffset)>,
    ) -> Result<(), LogError> {
        self.check_sender(sender.member, sender.generation)?;
        self.pending.entry(sender.transaction).or_default().extend(offsets);
        Ok(())
    }

    pub fn check_sender(&self, member: MemberId, generation: i32) -> Result<(), LogError> {
        if !self.members.contains_key(&member) {
            return Err(LogError::Abortable(format!("member {member} is not in the group")));
        }
        if generation != self.generation {
            let message = format!("generation {generation} is over, this is {}", self.generation);
            return Err(LogError::Abortable(message));
        }
        Ok(())
    }

    /// The marker has reached the offsets.
    pub fn end_pending(&mut self, transaction: TransactionNumber, commit: bool) {
        if let Some(offsets) = self.pending.remove(&transaction)
            && commit
        {
            self.offsets.extend(offsets);
        }
    }

    /// The stable offset fetch (KIP-447).
    pub fn stable_offset(&self, partition: TopicPartition) -> Result<Option<GroupOffset>, LogError> {
        if self.pending.values().any(|offsets| offsets.contains_key(&partition)) {
            return Err(LogError::Retriable("a transaction with offsets of this partition is pending".to_owned()));
        }
        Ok(self.offsets.get(&partition).cloned())
    }

    pub fn offset(&self, partition: TopicPartition) -> Option<&GroupOffset> {
        self.offsets.get(&partition)
    }

    /// What an operator's tool does to the offsets of a group.
    pub fn alter_offset(&mut self, partition: TopicPartition, offset: Option<GroupOffset>) {
        match offset {
            Some(offset) => self.offsets.insert(partition, offset),
            None => self.offsets.remove(&partition),
        };
    }

    /// Instances in the group, ascending.
    pub fn instances(&self) -> Vec<String> {
        let mut instances: Vec<String> = self.members.values().map(|member| member.instance.clone()).collect();
        instances.sort();
        instances
    }
}
