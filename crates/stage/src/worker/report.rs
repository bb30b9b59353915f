//! What a worker says of itself: totals, notes for the log, why it stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use streamgauge_events::{EventTime, Offset, Reason};

use crate::Halt;
use crate::log::Source;

/// Totals since the start of the worker. What is not committed yet is not in them, but for `records` and `refolded`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub records: u64,
    pub record_bytes: u64,
    /// Records read again to rebuild state.
    pub refolded: u64,
    pub dead_letters: BTreeMap<Reason, u64>,
    pub batches: u64,
    pub bursts: u64,
    pub outputs: u64,
    pub output_bytes: u64,
    pub aborts: u64,
    pub rebuilds: u64,
    pub idle_advances: u64,
}

/// What happened, for logs: said as data, written by the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A partition is ours. Folding again from `start` up to `committed`, where that differs.
    Opened {
        source: Source,
        start: Offset,
        committed: Option<Offset>,
        kept: bool,
    },
    /// A range of offsets had left the log before it could be counted.
    LostRange {
        source: Source,
        from: Offset,
        to: Offset,
    },
    Revoked {
        partitions: usize,
    },
    Lost {
        partitions: usize,
    },
    IdleAdvance {
        source: Source,
        complete_until: EventTime,
    },
    Burst {
        outputs: usize,
        batches: u64,
        bytes: usize,
    },
    /// A burst failed; every owned partition is being rebuilt.
    Rebuilding {
        cause: String,
    },
    /// Something refused for now.
    Waiting {
        cause: String,
    },
}

/// The result of one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Records and ends delivered.
    pub delivered: usize,
    /// Nothing will work before this has passed.
    pub pause: Option<Duration>,
    /// Every bounded input has ended and is committed.
    pub finished: bool,
}

/// Why a worker stops for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exit {
    #[error("this ordinal was taken over by a newer instance ({0})")]
    TakenOver(String),
    #[error(transparent)]
    Halted(#[from] Halt),
    #[error("nothing has worked for {secs} s: {cause}")]
    Outage { secs: i64, cause: String },
    #[error("{0}")]
    Fatal(String),
}

/// A view of one owned partition, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    pub source: Source,
    pub position: Offset,
    pub watermark: EventTime,
    pub complete_until: EventTime,
    pub live_cells: usize,
    pub open_events: u64,
    pub refolding: bool,
    pub at_end: bool,
}
