//! What an audit found, for people and for programs.

use std::fmt;

use serde::Serialize;
use streamgauge_events::{EventTime, Offset};

use crate::coverage::BatchId;

/// Problems listed; further ones are only counted.
pub const PROBLEMS_MAX: usize = 100;

/// Where a problem is, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The input topic and partition; empty and -1 where the record doesn't say.
    pub source: String,
    pub partition: i32,
    #[serde(flatten)]
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Kind {
    /// A batch is missing from the chain, in every output partition.
    Hole {
        after: Option<BatchId>,
        next: BatchId,
        from: Offset,
        to: Offset,
    },
    /// A batch covers offsets that the one before it covers as well.
    Overlap {
        batch: BatchId,
        from: Offset,
        to: Offset,
    },
    /// A batch was written again.
    Repeated {
        batch: BatchId,
        output_partition: i32,
        records: u64,
    },
    /// A frontier is missing in one output partition and present in others.
    FrontierMissing {
        batch: BatchId,
        output_partition: i32,
    },
    /// The frontiers of one batch are not the same bytes.
    FrontiersDiffer {
        batch: BatchId,
        output_partition: i32,
    },
    /// The frontier names another number of deltas than the topic holds.
    DeltasMissing {
        batch: BatchId,
        deltas: u64,
        expected: u64,
    },
    /// Deltas without the frontier that ends their batch.
    Unfinished {
        batch: BatchId,
        deltas: u64,
    },
    /// A delta that stands behind the frontier of its batch.
    DeltaBehindFrontier {
        batch: BatchId,
        output_partition: i32,
        deltas: u64,
    },
    /// The same series and pane twice in one batch.
    DeltaTwice {
        batch: BatchId,
        service: String,
        pane: EventTime,
    },
    /// records - dead letters - lost events differ from counted events + change of open ones.
    Balance {
        batch: BatchId,
        expected_open: i128,
        open: u64,
    },
    /// The parts of a delta contradict each other.
    Inconsistent {
        batch: BatchId,
        service: String,
        pane: EventTime,
        message: String,
    },
    /// Events were open when a generation ended, and no frontier of the next one accounts for them.
    OpenDropped {
        batch: BatchId,
        events: u64,
    },
    /// E of a batch is before that of the batch before.
    WentBack {
        batch: BatchId,
        before: EventTime,
        complete_until: EventTime,
    },
    /// Offsets that had left the log before they could be counted.
    Lost {
        batch: BatchId,
        ranges: Vec<(Offset, Offset)>,
        events: u64,
    },
    DeadLetterTwice {
        offset: Offset,
    },
    /// A dead letter that no frontier counts.
    DeadLetterUndeclared {
        offset: Offset,
    },
    /// Frontier and dead-letters topic disagree.
    DeadLetters {
        batch: BatchId,
        from: Offset,
        to: Offset,
        declared: u64,
        found: u64,
    },
    /// Frontier and input topic disagree.
    Records {
        batch: BatchId,
        from: Offset,
        to: Offset,
        declared: u64,
        found: u64,
    },
    /// A record stood before a batch that had been proven without it.
    RecordUndeclared {
        offset: Offset,
    },
    /// An output that didn't fit into a record was left out.
    OutputTooLarge {
        message: String,
    },
    Undecodable {
        topic: &'static str,
        output_partition: i32,
        message: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.source.is_empty() {
            write!(f, "{}/{}: ", self.source, self.partition)?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole { after: Some(after), next, from, to } => {
                write!(f, "hole: {next} follows {after}; offsets {from} to {to} are in no batch")
            }
            Self::Hole { after: None, next, to, .. } => {
                write!(f, "hole: the chain begins with {next} at offset {to}, though nothing was deleted before it")
            }
            Self::Overlap { batch, from, to } => {
                write!(f, "overlap: {batch} counts offsets {from} to {to} again")
            }
            Self::Repeated { batch, output_partition, records } => {
                write!(
                    f,
                    "repeat: {batch} ({records} records) was written again to output partition {output_partition}"
                )
            }
            Self::FrontierMissing { batch, output_partition } => {
                write!(f, "the frontier of {batch} is missing in output partition {output_partition}")
            }
            Self::FrontiersDiffer { batch, output_partition } => {
                write!(f, "the frontier of {batch} reads otherwise in output partition {output_partition}")
            }
            Self::DeltasMissing { batch, deltas, expected } => {
                write!(f, "{batch} has {deltas} deltas, its frontier says {expected}")
            }
            Self::Unfinished { batch, deltas } => write!(f, "{deltas} deltas of {batch} have no frontier"),
            Self::DeltaBehindFrontier { batch, output_partition, deltas } => {
                write!(f, "{deltas} deltas of {batch} stand behind its frontier in output partition {output_partition}")
            }
            Self::DeltaTwice { batch, service, pane } => {
                write!(f, "{batch} has a series of {service} twice in pane {}", pane.0)
            }
            Self::Balance { batch, expected_open, open } => write!(
                f,
                "{batch} doesn't add up: by its records and deltas {expected_open} events are still open, it says {open}"
            ),
            Self::Inconsistent { batch, service, pane, message } => {
                write!(f, "{batch}: the delta of {service} in pane {} contradicts itself: {message}", pane.0)
            }
            Self::OpenDropped { batch, events } => {
                write!(f, "{events} events were open when {batch} began a new chain, and were never counted")
            }
            Self::WentBack { batch, before, complete_until } => {
                write!(f, "{batch} is complete until {}, the batch before it until {}", complete_until.0, before.0)
            }
            Self::Lost { batch, ranges, events } => {
                write!(f, "lost: {batch} says that ")?;
                for (from, to) in ranges {
                    write!(f, "offsets {from} to {to}, ")?;
                }
                write!(f, "with {events} events already read, had left the log before they were counted")
            }
            Self::DeadLetterTwice { offset } => write!(f, "offset {offset} is in dead-letters twice"),
            Self::DeadLetterUndeclared { offset } => {
                write!(f, "offset {offset} is in dead-letters, but no frontier counts it there")
            }
            Self::DeadLetters { batch, from, to, declared, found } => {
                write!(f, "{batch} (offsets {from} to {to}) says {declared} dead letters, dead-letters holds {found}")
            }
            Self::Records { batch, from, to, declared, found } => {
                write!(f, "{batch} says {declared} records in offsets {from} to {to}, the log holds {found}")
            }
            Self::RecordUndeclared { offset } => {
                write!(f, "offset {offset} is in the log, but before it the batch was already proven")
            }
            Self::OutputTooLarge { message } => write!(f, "an output was left out: {message}"),
            Self::Undecodable { topic, output_partition, message } => {
                write!(f, "a record of {topic}/{output_partition} can't be read: {message}")
            }
        }
    }
}

/// The ledger of one input partition, as far as it is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    pub source: String,
    pub partition: i32,
    pub generations: Vec<u32>,
    pub batches: u64,
    /// First and last offset of the proven chain, half-open.
    pub from: Option<Offset>,
    pub to: Option<Offset>,
    /// Events that were open where the proven chain begins.
    pub open_before: u64,
    pub produced: u64,
    pub counted: u64,
    pub dead_lettered: u64,
    pub lost: u64,
    /// Offsets of lost ranges: at most so many records were never read.
    pub lost_offsets: u64,
    pub repeated: u64,
    pub open: u64,
    pub complete_until: Option<EventTime>,
    /// Batches seen that are not yet in every output partition.
    pub batches_unproven: u64,
    /// Records of the input topic compared with the frontiers, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_checked: Option<u64>,
    /// Records of the input topic behind the last batch: not counted yet, or by nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_waiting: Option<u64>,
}

/// `produced + open_before = counted + dead_lettered + lost + open` holds where there is no problem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub clean: bool,
    /// Records that were read, by all batches together.
    pub produced: u64,
    /// Events in the golden signals.
    pub counted: u64,
    pub dead_lettered: u64,
    /// Events that were read and then lost with a range that had left the log.
    pub lost: u64,
    pub lost_offsets: u64,
    /// Records of batches that were written again.
    pub repeated: u64,
    /// Events read whose panes are not written yet.
    pub open: u64,
    pub open_before: u64,
    pub batches: u64,
    pub batches_unproven: u64,
    /// Dead letters read and found in a frontier's count.
    pub dead_letters_matched: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_checked: Option<u64>,
    /// Records of the input topic behind the last batch: not counted yet, or by nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_waiting: Option<u64>,
    pub partitions: Vec<PartitionReport>,
    pub problems: Vec<Problem>,
    pub problems_total: u64,
}

impl Report {
    pub(crate) fn add(&mut self, partition: PartitionReport) {
        self.produced += partition.produced;
        self.counted += partition.counted;
        self.dead_lettered += partition.dead_lettered;
        self.lost += partition.lost;
        self.lost_offsets += partition.lost_offsets;
        self.repeated += partition.repeated;
        self.open += partition.open;
        self.open_before += partition.open_before;
        self.batches += partition.batches;
        self.batches_unproven += partition.batches_unproven;
        if let Some(checked) = partition.source_checked {
            *self.source_checked.get_or_insert_default() += checked;
        }
        if let Some(waiting) = partition.source_waiting {
            *self.source_waiting.get_or_insert_default() += waiting;
        }
        self.partitions.push(partition);
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a struct of strings and integers always has a JSON form")
    }

    /// The sums in a sentence.
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} records read{} = {} counted + {} dead-lettered + {} lost + {} still open",
            self.produced,
            if self.open_before > 0 { format!(" + {} open before", self.open_before) } else { String::new() },
            self.counted,
            self.dead_lettered,
            self.lost,
            self.open,
        );
        if self.repeated > 0 {
            text += &format!("; {} repeated", self.repeated);
        }
        if let Some(checked) = self.source_checked {
            text += &format!("; {checked} found in the input log");
        }
        if let Some(waiting) = self.source_waiting.filter(|waiting| *waiting > 0) {
            text += &format!(", and {waiting} behind the last batch");
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for partition in &self.partitions {
            let PartitionReport {
                source,
                partition: number,
                batches,
                produced,
                counted,
                dead_lettered,
                lost,
                open,
                ..
            } = partition;
            let offset = |offset: Option<Offset>| offset.map_or("?".to_owned(), |offset| offset.to_string());
            let (from, to) = (offset(partition.from), offset(partition.to));
            write!(f, "{source}/{number}: offsets {from} to {to}, {batches} batches: {produced} read")?;
            if partition.open_before > 0 {
                write!(f, " + {} open before", partition.open_before)?;
            }
            write!(f, " = {counted} counted + {dead_lettered} dead-lettered + {lost} lost + {open} open")?;
            if partition.batches_unproven > 0 {
                write!(f, "; {} batches not yet in every output partition", partition.batches_unproven)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "total: {}", self.summary())?;
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        let unlisted = self.problems_total.saturating_sub(self.problems.len() as u64);
        if unlisted > 0 {
            writeln!(f, "problem: and {unlisted} more")?;
        }
        match (self.problems_total, self.batches) {
            (0, 0) => write!(f, "nothing to prove: no batch was found"),
            (0, _) if self.source_waiting.is_some_and(|waiting| waiting > 0) => {
                let waiting = self.source_waiting.unwrap_or_default();
                write!(
                    f,
                    "clean as far as it goes: {waiting} records of the input are in no batch; is the stage running?"
                )
            }
            (0, _) if self.open > 0 => {
                write!(
                    f,
                    "clean so far: every record was counted once, or waits for the end of its pane ({})",
                    self.open
                )
            }
            (0, _) if self.dead_lettered > 0 => {
                write!(f, "clean: every record was counted once, or has one dead letter")
            }
            (0, _) => write!(f, "clean: every record was counted once"),
            (1, _) => write!(f, "1 problem"),
            (problems, _) => write!(f, "{problems} problems"),
        }
    }
}
