//! One partition that a worker owns: its ledger, and how far it has been read and committed.

use streamgauge_events::{EventTime, Offset};

use super::report::{Counters, PartitionView};
use crate::Halt;
use crate::ledger::{Cells, Ledger};
use crate::log::{Delivery, Position, Source};
use crate::outbox::Outbox;

pub(super) struct Owned<C> {
    pub(super) source: Source,
    pub(super) ledger: Ledger<C>,
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

impl<C: Cells> Owned<C> {
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
                let again = self.ledger.refolding();
                self.ledger.fold(record, outbox)?;
                self.position = record.offset + 1;
                self.at_end = false;
                self.changed = true;
                if again && self.ledger.refolding() {
                    counters.refolded += 1;
                } else {
                    counters.records += 1;
                    counters.record_bytes += record.value.map_or(0, <[u8]>::len) as u64;
                }
            }
            Delivery::End { position, .. } => {
                self.changed |= *position > self.position;
                self.position = self.position.max(*position);
                self.ledger.passed(self.position)?;
                self.at_end = !self.ledger.refolding();
                if bounded && self.at_end && !self.ended {
                    self.ledger.end(self.position, outbox);
                    self.changed = true;
                    self.ended = true;
                }
            }
        }
        if self.ledger.watermark() > self.watermark_seen {
            (self.watermark_seen, self.still_since) = (self.ledger.watermark(), now);
        }
        Ok(())
    }

    /// The position to commit. While folding again, that is what is committed already.
    pub(super) fn to_commit(&self) -> Option<Position> {
        let source = self.source;
        if self.ledger.refolding() {
            let (offset, metadata) = self.committed.clone()?;
            return Some(Position { source, offset, metadata });
        }
        let metadata = self.ledger.metadata(self.position).encode();
        Some(Position { source, offset: self.position, metadata })
    }

    pub(super) fn is_committed(&self) -> bool {
        self.ledger.refolding() || !self.changed
    }

    pub(super) fn view(&self) -> PartitionView {
        PartitionView {
            source: self.source,
            position: self.position,
            watermark: self.ledger.watermark(),
            complete_until: self.ledger.complete_until(),
            live_cells: self.ledger.live_cells(),
            open_events: self.ledger.open_events(),
            refolding: self.ledger.refolding(),
            at_end: self.at_end,
        }
    }
}
