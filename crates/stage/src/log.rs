//! The bus as a worker sees it: synchronous, one consumer and one transactional producer.
//!
//! Kafka, the in-memory log and files implement it, so that the loop that the simulator tests is the loop that runs.

use std::time::Duration;

use streamgauge_events::{EventTime, Offset, Rejection};

use crate::outbox::Output;

/// A source partition: the index of its topic in [`crate::Stage::inputs`], and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    pub topic: u16,
    pub partition: i32,
}

/// One record, borrowed from the client's buffers.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub source: Source,
    pub offset: Offset,
    /// The log's timestamp, microseconds; `None` where the log has none.
    pub timestamp: Option<EventTime>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Set where the shell already knows that the value is no event (a row that its mapping can't turn into one).
    pub rejected: Option<&'a Rejection>,
}

/// What [`Log::poll`] hands over, in log order per partition.
#[derive(Clone, Copy, Debug)]
pub enum Delivery<'a> {
    Record(Record<'a>),
    /// The partition has been read to its last stable offset; `position` is behind any markers there.
    End {
        source: Source,
        position: Offset,
    },
}

/// What else a poll found. Between `Assigned` and [`Log::assign`], and after [`Log::release`], nothing is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Deliveries, perhaps none.
    Delivered,
    /// The whole new assignment, of this generation of the group. Read positions with [`Log::committed`], then [`Log::assign`].
    Assigned(Vec<Source>),
    /// The assignment is about to go; it is still ours, and may be committed for, until [`Log::release`].
    Revoked,
    /// The assignment is gone: others may own it already. Must be answered by [`Log::release`].
    Lost,
}

/// What the group knows of one source partition. From the stable offset fetch: no transaction is pending on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub source: Source,
    /// `None`: nothing was ever committed.
    pub offset: Option<Offset>,
    /// Empty where the commit carried none.
    pub metadata: String,
    /// The first offset that the log still holds.
    pub log_start: Offset,
    /// The offset behind the last record.
    pub log_end: Offset,
    /// How many partitions the source topic has now.
    pub partitions: i32,
}

/// A position to commit, with the metadata that lets the next owner go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub source: Source,
    pub offset: Offset,
    pub metadata: String,
}

/// Errors, by the decision that the worker can make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Nothing happened: the same call may succeed later.
    #[error("not now: {0}")]
    Retriable(String),
    /// The transaction must be aborted, and what it would have made durable forgotten.
    #[error("the transaction can't go on: {0}")]
    Abortable(String),
    /// The transaction may or may not have ended. Only a new producer tells.
    #[error("the end of the transaction is unknown: {0}")]
    Ambiguous(String),
    /// A newer instance with our transactional id exists: leave.
    #[error("taken over: {0}")]
    Fenced(String),
    /// Nothing here can help: wrong authorisation, unknown topic, a bug.
    #[error("{0}")]
    Fatal(String),
}

pub trait Log {
    /// Waits at most `wait` for something, and hands over a bounded number of deliveries.
    fn poll(&mut self, wait: Duration, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<Polled, LogError>;

    /// The stable offset fetch. Retriable while a transaction of a predecessor is pending.
    fn committed(&mut self, sources: &[Source]) -> Result<Vec<Committed>, LogError>;

    /// Starts reading the assignment just announced, each partition at its offset. Called again with the same partitions
    /// (after an abort), reading starts over there.
    fn assign(&mut self, starts: &[(Source, Offset)]) -> Result<(), LogError>;

    /// Lets go of the whole assignment, so that the rebalance goes on.
    fn release(&mut self) -> Result<(), LogError>;

    /// Leaves the group for good; nothing is called afterwards. Best effort.
    fn leave(&mut self);

    /// How many partitions an output topic has.
    fn partitions(&mut self, topic: &str) -> Result<i32, LogError>;

    /// Reads the whole of an output partition, as far as it is committed now: (key, value).
    #[allow(clippy::type_complexity)]
    fn read_back(
        &mut self,
        topic: &str,
        partition: i32,
        deliver: &mut dyn FnMut(Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), LogError>;

    /// Reads an input partition from where it begins up to an offset before which everything is decided: (offset, value).
    fn read_again(
        &mut self,
        source: Source,
        until: Offset,
        deliver: &mut dyn FnMut(Offset, Option<&[u8]>),
    ) -> Result<(), LogError>;

    fn begin(&mut self) -> Result<(), LogError>;

    /// Queues one output for `partition` in the open transaction. May return before it is sent.
    fn produce(&mut self, output: &Output, partition: i32) -> Result<(), LogError>;

    /// Waits until everything produced is acknowledged, then adds the positions to the transaction, under the group's
    /// generation of the current assignment. Never called with no positions.
    fn send_offsets(&mut self, positions: &[Position]) -> Result<(), LogError>;

    fn commit(&mut self) -> Result<(), LogError>;

    fn abort(&mut self) -> Result<(), LogError>;

    /// Replaces the producer by a new one with the same transactional id: whatever the old one left open is ended, by
    /// commit if its commit had been accepted, else by abort.
    fn renew_producer(&mut self) -> Result<(), LogError>;
}
