//! One partition: records, markers that occupy offsets, and what of it a `read_committed` reader may see.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use streamgauge_events::{EventTime, Offset};

/// A transaction, numbered through the whole broker; 0 stands for none.
pub(crate) type TransactionNumber = u64;
pub(crate) const NO_TRANSACTION: TransactionNumber = 0;

/// A record as its partition keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    pub offset: Offset,
    pub timestamp: EventTime,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    pub offset: Offset,
    pub timestamp: EventTime,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

impl RecordRef<'_> {
    pub fn to_stored(self) -> StoredRecord {
        StoredRecord {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.map(<[u8]>::to_vec),
            value: self.value.map(<[u8]>::to_vec),
        }
    }
}

#[derive(Debug)]
struct Entry {
    offset: Offset,
    timestamp: EventTime,
    transaction: TransactionNumber,
    marker: bool,
    /// `None` for an absent key or value; they share one allocation, since there are millions of records.
    key_bytes: Option<u32>,
    value_bytes: Option<u32>,
    payload: Box<[u8]>,
}

impl Entry {
    fn record(&self) -> RecordRef<'_> {
        let (key, value) = self.payload.split_at(self.key_bytes.unwrap_or(0) as usize);
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key_bytes.map(|_| key),
            value: self.value_bytes.map(|_| value),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct PartitionLog {
    entries: VecDeque<Entry>,
    start: Offset,
    end: Offset,
    /// First offset of each transaction that has no marker here yet.
    open: BTreeMap<TransactionNumber, Offset>,
    aborted: BTreeSet<TransactionNumber>,
}

impl PartitionLog {
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The high watermark: the offset behind the last entry, markers included.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The last stable offset: everything below it is decided.
    pub fn stable_end(&self) -> Offset {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    pub fn append(
        &mut self,
        timestamp: EventTime,
        transaction: TransactionNumber,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Offset {
        let offset = self.end;
        if transaction != NO_TRANSACTION {
            self.open.entry(transaction).or_insert(offset);
        }
        let payload = [key.unwrap_or_default(), value.unwrap_or_default()].concat().into_boxed_slice();
        self.push(Entry {
            offset,
            timestamp,
            transaction,
            marker: false,
            key_bytes: key.map(|key| key.len() as u32),
            value_bytes: value.map(|value| value.len() as u32),
            payload,
        });
        offset
    }

    /// The end of a transaction, as far as this partition is concerned.
    pub fn append_marker(&mut self, timestamp: EventTime, transaction: TransactionNumber, commit: bool) {
        if self.open.remove(&transaction).is_some() && !commit {
            self.aborted.insert(transaction);
        }
        let payload = Box::default();
        let offset = self.end;
        self.push(Entry { offset, timestamp, transaction, marker: true, key_bytes: None, value_bytes: None, payload });
    }

    fn push(&mut self, entry: Entry) {
        self.end += 1;
        self.entries.push_back(entry);
    }

    /// Hands over at most `most` committed records from `from` on. Returns the position behind what was read: behind
    /// markers and aborted records too, as consumers' positions are.
    pub fn read<'a>(&'a self, from: Offset, most: usize, mut deliver: impl FnMut(RecordRef<'a>)) -> Offset {
        let stable_end = self.stable_end();
        let first = self.entries.partition_point(|entry| entry.offset < from);
        let mut left = most;
        for entry in self.entries.range(first..) {
            if entry.offset >= stable_end {
                break;
            }
            if entry.marker || (entry.transaction != NO_TRANSACTION && self.aborted.contains(&entry.transaction)) {
                continue;
            }
            if left == 0 {
                return entry.offset;
            }
            left -= 1;
            deliver(entry.record());
        }
        stable_end.max(from)
    }

    /// Retention: everything below `offset` is gone.
    pub fn delete_before(&mut self, offset: Offset) {
        self.start = self.start.max(offset.min(self.end));
        while self.entries.front().is_some_and(|entry| entry.offset < self.start) {
            self.entries.pop_front();
        }
    }

    /// Compaction: of the decided records only those that `keep` names stay; offsets do not move.
    pub fn retain(&mut self, mut keep: impl FnMut(RecordRef<'_>) -> bool) {
        let stable_end = self.stable_end();
        self.entries.retain(|entry| entry.marker || entry.offset >= stable_end || keep(entry.record()));
    }
}
