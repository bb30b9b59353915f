//! One partition that a worker owns, and how far it has been read and committed.

use streamgauge_events::{EventTime, Offset};

use super::report::{Counters, PartitionView};
use crate::Halt;
use crate::log::{Committed, Delivery, Position, Source};
use crate::outbox::Outbox;
use crate::worker::Partition;

pub(super) struct Owned<P> {
    pub(super) source: Source,
    pub(super) partition: P,
    /// The offset of the next record.
    pub(super) position: Offset,
    /// What the group has for this partition.
    pub(super) committed: Option<(Offset, String)>,
    /// Since when (wall time) the watermark has not been moved by a record.
    pub(super) still_since: EventTime,
    pub(super) watermark_seen: EventTime,
    pub(super) at_end: bool,
    pub(super) ended: bool,
    /// Something happened since the last commit, or there has been none.
    pub(super) changed: bool,
}

impl<P: Partition> Owned<P> {
    pub(super) fn new(partition: P, committed: &Committed, now: EventTime) -> Self {
        Self {
            source: committed.source,
            position: partition.start(),
            committed: committed.offset.map(|offset| (offset, committed.metadata.clone())),
            still_since: now,
            watermark_seen: partition.watermark(),
            at_end: false,
            ended: false,
            // A first position is committed soon: with `latest` it could not be found again.
            changed: committed.offset.is_none() || !partition.refolding(),
            partition,
        }
    }

    pub(super) fn take(
        &mut self,
        delivery: &Delivery<'_>,
        now: EventTime,
        bounded: bool,
        outbox: &mut Outbox,
        counters: &mut Counters,
    ) -> Result<(), Halt> {
        match delivery {
            Delivery::Record(record) => {
                let again = self.partition.refolding();
                self.partition.fold(record, outbox)?;
                self.position = record.offset + 1;
                self.at_end = false;
                self.changed = true;
                if again && self.partition.refolding() {
                    counters.refolded += 1;
                } else {
                    counters.records += 1;
                    counters.record_bytes += record.value.map_or(0, <[u8]>::len) as u64;
                }
            }
            Delivery::End { position, .. } => {
                self.changed |= *position > self.position;
                self.position = self.position.max(*position);
                self.partition.passed(self.position)?;
                self.at_end = !self.partition.refolding();
                if bounded && self.at_end && !self.ended {
                    self.partition.end(self.position, outbox);
                    self.changed = true;
                    self.ended = true;
                }
            }
        }
        if self.partition.watermark() > self.watermark_seen {
            (self.watermark_seen, self.still_since) = (self.partition.watermark(), now);
        }
        Ok(())
    }

    /// The position to commit. While folding again, that is what is committed already.
    pub(super) fn to_commit(&self) -> Option<Position> {
        let source = self.source;
        if self.partition.refolding() {
            let (offset, metadata) = self.committed.clone()?;
            return Some(Position { source, offset, metadata });
        }
        let metadata = self.partition.metadata(self.position);
        Some(Position { source, offset: self.position, metadata })
    }

    pub(super) fn is_committed(&self) -> bool {
        self.partition.refolding() || !self.changed
    }

    pub(super) fn view(&self) -> PartitionView {
        PartitionView {
            source: self.source,
            position: self.position,
            watermark: self.partition.watermark(),
            complete_until: self.partition.complete_until(),
            live_cells: self.partition.live_cells(),
            open_events: self.partition.open_events(),
            refolding: self.partition.refolding(),
            at_end: self.at_end,
        }
    }
}
