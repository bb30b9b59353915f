//! The transaction coordinator: epochs, open transactions, and the markers that are still on their way.

use std::collections::{BTreeMap, BTreeSet};

use streamgauge_events::EventTime;
use streamgauge_stage::LogError;

use crate::partition::TransactionNumber;

/// Where a transaction leaves a marker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Participant {
    /// Index of a topic, and the partition.
    Partition(usize, i32),
    /// The offsets of a group.
    Offsets(String),
}

/// A marker that has been decided but not written yet.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    pub due: EventTime,
    pub transactional_id: String,
    pub transaction: TransactionNumber,
    pub commit: bool,
    pub participant: Participant,
}

#[derive(Debug)]
enum State {
    /// Nothing open. `last` is how the last transaction of this epoch ended: a repeated request gets the same answer.
    Idle {
        last: Option<bool>,
    },
    Open {
        transaction: TransactionNumber,
        since: EventTime,
        participants: BTreeSet<Participant>,
    },
    /// Decided; this many markers are missing.
    Ending {
        commit: bool,
        missing: usize,
    },
}

#[derive(Debug)]
struct Producer {
    epoch: u32,
    timeout_us: i64,
    state: State,
}

#[derive(Debug, Default)]
pub(crate) struct Transactions {
    producers: BTreeMap<String, Producer>,
    last_number: TransactionNumber,
    /// How many were aborted because they had been open for too long.
    pub timed_out: u64,
    /// In the order in which they were decided.
    markers: Vec<Marker>,
}

/// How an end was asked for.
pub(crate) struct End<'a> {
    pub transactional_id: &'a str,
    pub epoch: u32,
    pub commit: bool,
}

impl Transactions {
    /// A new producer with this id: fences the older ones, ends what they left open. Returns its epoch, once all
    /// markers of the older ones are written.
    pub fn init(&mut self, id: &str, timeout_us: i64, due: &mut dyn FnMut() -> EventTime) -> Result<u32, LogError> {
        let producer = self.producers.entry(id.to_owned()).or_insert_with(|| Producer {
            epoch: 0,
            timeout_us,
            state: State::Idle { last: None },
        });
        producer.timeout_us = timeout_us;
        if matches!(producer.state, State::Open { .. }) {
            // From here on the older instance is fenced, though the new one still has to wait.
            producer.epoch += 1;
            self.decide(id, false, due);
        }
        let producer = self.producers.get_mut(id).expect("it was inserted above");
        if matches!(producer.state, State::Ending { .. }) {
            return Err(concurrent());
        }
        producer.epoch += 1;
        producer.state = State::Idle { last: None };
        Ok(producer.epoch)
    }

    /// The open transaction of this producer, with `participant` in it.
    pub fn add(
        &mut self,
        id: &str,
        epoch: u32,
        participant: Participant,
        now: EventTime,
    ) -> Result<TransactionNumber, LogError> {
        let last_number = &mut self.last_number;
        let producer = current(&mut self.producers, id, epoch)?;
        if matches!(producer.state, State::Idle { .. }) {
            *last_number += 1;
            producer.state = State::Open { transaction: *last_number, since: now, participants: BTreeSet::new() };
        }
        match &mut producer.state {
            State::Open { transaction, participants, .. } => {
                participants.insert(participant);
                Ok(*transaction)
            }
            State::Idle { .. } | State::Ending { .. } => Err(concurrent()),
        }
    }

    /// Retriable while markers of the transaction before are missing.
    pub fn check_begin(&mut self, id: &str, epoch: u32) -> Result<(), LogError> {
        match current(&mut self.producers, id, epoch)?.state {
            State::Ending { .. } => Err(concurrent()),
            State::Idle { .. } | State::Open { .. } => Ok(()),
        }
    }

    /// Decides the open transaction. Asking again for the same end is answered in the same way.
    pub fn end(&mut self, end: &End<'_>, due: &mut dyn FnMut() -> EventTime) -> Result<(), LogError> {
        let wrong = || Err(LogError::Fatal("the transaction had already ended the other way".to_owned()));
        match current(&mut self.producers, end.transactional_id, end.epoch)?.state {
            State::Open { .. } => {
                self.decide(end.transactional_id, end.commit, due);
                Ok(())
            }
            // Nothing was ever sent in it: there is nothing to end.
            State::Idle { last: None } => Ok(()),
            State::Idle { last: Some(commit) } | State::Ending { commit, .. } => {
                if commit == end.commit {
                    Ok(())
                } else {
                    wrong()
                }
            }
        }
    }

    fn decide(&mut self, id: &str, commit: bool, due: &mut dyn FnMut() -> EventTime) {
        let producer = self.producers.get_mut(id).expect("only producers that exist are decided");
        let State::Open { transaction, participants, .. } = &mut producer.state else { return };
        let (transaction, participants) = (*transaction, std::mem::take(participants));
        producer.state = State::Ending { commit, missing: participants.len() };
        self.markers.extend(participants.into_iter().map(|participant| Marker {
            due: due(),
            transactional_id: id.to_owned(),
            transaction,
            commit,
            participant,
        }));
    }

    /// Aborts what has been open for too long, and fences its producer.
    pub fn time_out(&mut self, now: EventTime, due: &mut dyn FnMut() -> EventTime) {
        let overdue = |producer: &Producer| match producer.state {
            State::Open { since, .. } => now.0 - since.0 >= producer.timeout_us,
            State::Idle { .. } | State::Ending { .. } => false,
        };
        let ids: Vec<String> = self.producers.iter().filter(|(_, p)| overdue(p)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.timed_out += 1;
            self.producers.get_mut(&id).expect("just found").epoch += 1;
            self.decide(&id, false, due);
        }
    }

    /// The markers that land now, in order of their time.
    pub fn take_due(&mut self, now: EventTime) -> Vec<Marker> {
        if self.markers.is_empty() {
            return Vec::new();
        }
        let markers = std::mem::take(&mut self.markers).into_iter();
        let (mut due, later): (Vec<Marker>, Vec<Marker>) = markers.partition(|marker| marker.due <= now);
        self.markers = later;
        due.sort_by_key(|marker| marker.due);
        for marker in &due {
            let producer = self.producers.get_mut(&marker.transactional_id).expect("markers come from producers");
            if let State::Ending { commit, missing } = &mut producer.state {
                *missing -= 1;
                if *missing == 0 {
                    producer.state = State::Idle { last: Some(*commit) };
                }
            }
        }
        due
    }

    /// When the next marker lands, if one is on its way.
    pub fn next_due(&self) -> Option<EventTime> {
        self.markers.iter().map(|marker| marker.due).min()
    }
}

fn concurrent() -> LogError {
    LogError::Retriable("markers of the transaction before are still being written".to_owned())
}

fn current<'a>(
    producers: &'a mut BTreeMap<String, Producer>,
    id: &str,
    epoch: u32,
) -> Result<&'a mut Producer, LogError> {
    match producers.get_mut(id) {
        Some(producer) if producer.epoch == epoch => Ok(producer),
        _ => Err(LogError::Fenced(format!("transactional id {id} has a newer epoch than {epoch}"))),
    }
}
