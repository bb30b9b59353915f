//! The ledger of one input partition: event time, panes, numbered batches, and the way back after a crash.
//!
//! Everything here is a function of the partition's records in offset order (and of recorded idle advances): never of
//! commits, of who owns the partition, or of when it is told to stop. `semantics.md` of the design names the rules; the
//! simulator of the tests holds them against crashes.

use std::collections::BTreeMap;
use std::fmt;

use streamgauge_events::dead_letter::Origin;
use streamgauge_events::facts::FactType;
use streamgauge_events::{Cause, DeadLetter, EventTime, Frontier, Offset, Reason, Rejection, topics};

use crate::Halt;
use crate::log::Record;
use crate::metadata::{ACTIVATIONS_MAX, Activation, CommitMetadata, LOST_MAX};
use crate::outbox::{Outbox, Output, Placement};
use crate::settings::TimeSettings;

/// What a stage keeps per pane: the part of a ledger that knows what is being measured.
pub trait Cells {
    type Event<'a>: Default;

    /// Reads a record into an empty event, which is large, and therefore stays where it is. Answers its time.
    ///
    /// Whether and why a record is rejected may depend on nothing but the record, where it stands, and the definitions
    /// that are active: not on which others this worker has heard of.
    fn decode<'a>(
        &mut self,
        value: &'a [u8],
        at: Standing,
        event: &mut Self::Event<'a>,
    ) -> Result<EventTime, Rejection>;

    /// Adds the event at `offset` to the cells of the pane that starts at `pane`.
    fn fold(&mut self, pane: EventTime, offset: Offset, event: &Self::Event<'_>);

    /// Number of live cells.
    fn live(&self) -> usize;

    /// Depends on the content of the live cells and on nothing else, not even on the order in which they were made.
    fn digest(&self) -> u64;

    /// Writes the cells of one pane as deltas, in an order that only their content decides, and forgets them.
    fn cut(&mut self, pane: EventTime, head: &BatchHead<'_>, out: &mut Outbox);

    /// Forgets the cells of one pane.
    fn forget(&mut self, pane: EventTime);

    /// The definitions by the pane from which they apply, ascending.
    fn activate(&mut self, activations: &[Activation]) -> Result<(), Unusable>;
}

/// Where a record stands in its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub offset: Offset,
    /// The newest time of the events before it: stands for the time of a record that can't be read far enough to tell.
    pub newest: EventTime,
    /// Events from before this come too late. Definitions of their time need not be there any more.
    pub oldest: EventTime,
}

impl Standing {
    /// The time by whose definitions a record of this time is judged.
    pub const fn time_of(&self, ts: EventTime) -> EventTime {
        if ts.0 < self.oldest.0 { self.newest } else { ts }
    }
}

/// Why definitions that were active before can't be activated again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Nobody knows what this hash stands for.
    Unknown { hash: String },
    /// They read the topic in another way than those that this worker was started with.
    ReadAnotherWay { hash: String, before: String, now: String },
}

/// What every record of a batch says of itself.
#[derive(Clone, Copy, Debug)]
pub struct BatchHead<'a> {
    pub source: &'a str,
    pub partition: i32,
    pub generation: u32,
    pub batch: u64,
    pub pane_us: i64,
}

/// How a partition is taken over.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    pub source: &'a str,
    pub partition: i32,
    /// Partitions of the source topic.
    pub partitions: i32,
    /// The committed offset and its metadata; the offset to start at, with no metadata, where nothing was committed.
    pub offset: Offset,
    pub metadata: &'a str,
    pub log_start: Offset,
    /// The generation to begin where `metadata` is empty or can't be read.
    pub generation: u32,
    /// Begin a new generation rather than halt where the metadata can't be followed.
    pub new_generation: bool,
    /// Hash of the definitions that this worker was started with.
    pub bundle: &'a str,
    pub time: TimeSettings,
}

pub struct Ledger<C> {
    source: String,
    partition: i32,
    partitions: i32,
    time: TimeSettings,
    cells: C,
    /// W: what may still come in order. Moved by records and by recorded idle advances.
    watermark: EventTime,
    /// max(ts): moved by records alone; judges `too_late`.
    newest: EventTime,
    panes: BTreeMap<EventTime, Pane>,
    generation: u32,
    batch: u64,
    from: Offset,
    records: u64,
    dead_letters: u64,
    lost: Vec<(Offset, Offset)>,
    lost_events: u64,
    activations: Vec<Activation>,
    start: Offset,
    refold: Option<Refold>,
    last_pane: LastPane,
    watermark_pane: LastPane,
}

/// The start of the pane that was asked for last: most often the next time falls into the same one, which saves a division.
#[derive(Clone, Copy, Debug)]
struct LastPane {
    start: EventTime,
    end: EventTime,
}

impl LastPane {
    const NONE: Self = Self { start: EventTime::AFTER_ALL, end: EventTime::AFTER_ALL };

    #[inline]
    fn of(&mut self, time: EventTime, pane_us: i64) -> EventTime {
        if time < self.start || time >= self.end {
            self.start = time.floor(pane_us);
            self.end = self.start.plus_us(pane_us);
        }
        self.start
    }
}

/// A live pane.
#[derive(Clone, Copy, Debug)]
struct Pane {
    first: Offset,
    /// Watermark and newest just before `first`.
    watermark: EventTime,
    newest: EventTime,
    events: u64,
}

/// Folding again what the last owner had folded, with every effect off.
struct Refold {
    until: Offset,
    committed: CommitMetadata,
    new_generation: bool,
}

impl<C: Cells> Ledger<C> {
    pub fn open(opening: &Opening<'_>, cells: C) -> Result<Self, Halt> {
        let mut ledger = Self {
            source: opening.source.to_owned(),
            partition: opening.partition,
            partitions: opening.partitions,
            time: opening.time,
            cells,
            watermark: EventTime::BEFORE_ALL,
            newest: EventTime::BEFORE_ALL,
            panes: BTreeMap::new(),
            generation: opening.generation,
            batch: 0,
            from: opening.offset,
            records: 0,
            dead_letters: 0,
            lost: Vec::new(),
            lost_events: 0,
            activations: vec![Activation::first(opening.bundle)],
            start: opening.offset,
            refold: None,
            last_pane: LastPane::NONE,
            watermark_pane: LastPane::NONE,
        };
        match ledger.readable_metadata(opening)? {
            Some(committed) => ledger.resume(opening, committed)?,
            None => {
                if opening.log_start > opening.offset {
                    ledger.lose(opening.offset, opening.log_start);
                    ledger.start = opening.log_start;
                }
                ledger.activate()?;
            }
        }
        Ok(ledger)
    }

    /// `None`: a chain begins here.
    fn readable_metadata(&self, opening: &Opening<'_>) -> Result<Option<CommitMetadata>, Halt> {
        if opening.metadata.is_empty() {
            return Ok(None);
        }
        let unreadable = |message| Halt::MetadataUnreadable {
            source_topic: self.source.clone(),
            partition: self.partition,
            message,
        };
        match CommitMetadata::decode(opening.metadata) {
            Ok(committed) => Ok(Some(committed)),
            Err(_) if opening.new_generation => Ok(None),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    fn resume(&mut self, opening: &Opening<'_>, committed: CommitMetadata) -> Result<(), Halt> {
        (self.watermark, self.newest) = (committed.w, committed.x);
        (self.generation, self.batch, self.from) = (committed.g, committed.k, committed.t);
        (self.lost, self.lost_events) = (committed.l.clone(), committed.le);
        self.activations = self.activations_after(opening, &committed)?;
        if let Err(halt) = self.activate() {
            if !opening.new_generation {
                return Err(halt);
            }
            self.activations = vec![Activation::first(opening.bundle)];
            self.activate()?;
            self.start = opening.offset.max(opening.log_start);
            self.begin_generation(&committed, self.start);
            return Ok(());
        }
        if committed.p != self.time.fingerprint() {
            if !opening.new_generation {
                return Err(Halt::TimeSettingsChanged {
                    source_topic: self.source.clone(),
                    partition: self.partition,
                    committed: committed.p,
                    configured: self.time.fingerprint(),
                });
            }
            self.start = opening.offset.max(opening.log_start);
            self.begin_generation(&committed, self.start);
            return Ok(());
        }
        if opening.log_start > committed.m {
            // What is left of [m, n) can't be folded again: without the records before it the watermark would be behind,
            // and what an earlier batch already holds would be taken for open.
            self.start = opening.offset.max(opening.log_start);
            self.go_on_without_open_panes(&committed, self.start);
            return Ok(());
        }
        self.start = committed.m;
        self.refold = Some(Refold { until: opening.offset, committed, new_generation: opening.new_generation });
        // With nothing to fold again this compares at once.
        self.passed(self.start)
    }

    /// A changed bundle starts behind every live pane, so those stay with the definitions that began them.
    fn activations_after(&self, opening: &Opening<'_>, committed: &CommitMetadata) -> Result<Vec<Activation>, Halt> {
        let (bundle, pane_us) = (opening.bundle, self.time.pane_us);
        let mut activations = committed.b.clone();
        if activations.last().is_none_or(|last| last.hash != bundle) {
            let start = if committed.xn == EventTime::BEFORE_ALL && committed.wn == EventTime::BEFORE_ALL {
                EventTime::BEFORE_ALL
            } else {
                committed.wn.floor(pane_us).max(committed.xn.floor(pane_us).plus_us(pane_us))
            };
            // Going back before the change has begun is no change. But records may have met it, and have been rejected by
            // it: those are rejected again when they are folded again.
            activations.retain(|activation| activation.start < start || activation.from < opening.offset);
            if activations.last().is_none_or(|last| last.hash != bundle) {
                activations.push(Activation { start, hash: bundle.to_owned(), from: opening.offset });
            }
        }
        // Definitions are needed as long as a record may still be folded into a pane of theirs: from m on, where max(ts)
        // may be far behind the one at n (after an idle advance records move it without cutting anything). And as long
        // as a record may be folded again that they have judged.
        let waits_us = self.time.max_out_of_orderness_us + self.time.late_horizon_us + pane_us;
        let is_over = |next: &Activation| next.start < committed.x.minus_us(waits_us) && next.from <= committed.m;
        while activations.len() > 1 && is_over(&activations[1]) {
            activations.remove(0);
        }
        if activations.len() > ACTIVATIONS_MAX {
            return Err(Halt::TooManyBundles {
                source_topic: self.source.clone(),
                partition: self.partition,
                max: ACTIVATIONS_MAX,
                until: activations[1].start.plus_us(waits_us).0,
            });
        }
        Ok(activations)
    }

    fn activate(&mut self) -> Result<(), Halt> {
        let (source_topic, partition) = (self.source.clone(), self.partition);
        self.cells.activate(&self.activations).map_err(|unusable| match unusable {
            Unusable::Unknown { hash } => Halt::BundleUnknown { source_topic, partition, hash },
            Unusable::ReadAnotherWay { hash, before, now } => {
                Halt::SourceChanged { source_topic, partition, hash, before, now }
            }
        })
    }

    /// The offset to read from: m, or where the chain begins.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Still folding what was committed: nothing may be written for this partition, and its commit stays as it is.
    pub fn refolding(&self) -> bool {
        self.refold.is_some()
    }

    pub fn set_partitions(&mut self, partitions: i32) {
        self.partitions = partitions;
    }

    /// Definitions as another run has activated them: a replay obeys the recorded ones.
    pub fn set_activations(&mut self, activations: Vec<Activation>) -> Result<(), Halt> {
        self.activations = activations;
        self.activate()
    }

    /// One record, in offset order.
    pub fn fold(&mut self, record: &Record<'_>, out: &mut Outbox) -> Result<(), Halt> {
        if self.refold.is_some() {
            self.passed(record.offset)?;
        }
        self.records += 1;
        if let Err(rejection) = self.admit(record, out) {
            self.dead_letters += 1;
            if self.refold.is_none() {
                out.push_dead_letter(&self.dead_letter(rejection, record));
            }
        }
        Ok(())
    }

    fn admit(&mut self, record: &Record<'_>, out: &mut Outbox) -> Result<(), Rejection> {
        if let Some(rejection) = record.rejected {
            return Err(rejection.clone());
        }
        let value = record.value.ok_or_else(|| Rejection::new(Reason::NoValue, "the record has no value"))?;
        let mut event = C::Event::default();
        let ts = self.cells.decode(value, self.standing(record.offset), &mut event)?;
        self.check_time(ts, record.timestamp)?;

        let pane = self.last_pane.of(ts, self.time.pane_us);
        let (watermark, newest) = (self.watermark, self.newest);
        let head = self.panes.entry(pane).or_insert(Pane { first: record.offset, watermark, newest, events: 0 });
        head.events += 1;
        self.cells.fold(pane, record.offset, &event);

        self.newest = newest.max(ts);
        self.watermark = watermark.max(ts.minus_us(self.time.max_out_of_orderness_us));
        let complete_until = self.watermark_pane.of(watermark, self.time.pane_us);
        if self.watermark_pane.of(self.watermark, self.time.pane_us) > complete_until {
            self.cut(record.offset + 1, Cause::Data, out);
        } else if self.cells.live() >= self.time.cells_max && self.refold.is_none() {
            self.cut(record.offset + 1, Cause::CellsMax, out);
        }
        Ok(())
    }

    fn standing(&self, offset: Offset) -> Standing {
        let waits_us = self.time.max_out_of_orderness_us + self.time.late_horizon_us;
        Standing { offset, newest: self.newest, oldest: self.newest.minus_us(waits_us) }
    }

    /// A clock that runs ahead is found by the log's own time; a record that comes too late, by the data alone.
    fn check_time(&self, ts: EventTime, timestamp: Option<EventTime>) -> Result<(), Rejection> {
        if let (Some(skew_us), Some(timestamp)) = (self.time.max_future_skew_us, timestamp) {
            let ahead_us = ts.0 - timestamp.0;
            if ahead_us > skew_us {
                let (ahead, allowed) = (Spoken(ahead_us), Spoken(skew_us));
                let message = format!("ts is {ahead} ahead of the log's timestamp; {allowed} is allowed");
                return Err(Rejection::new(Reason::FutureTimestamp, message));
            }
        }
        let waits_us = self.time.max_out_of_orderness_us + self.time.late_horizon_us;
        if ts < self.newest.minus_us(waits_us) {
            let (behind, allowed) = (Spoken(self.newest.0 - ts.0), Spoken(waits_us));
            let message = format!("ts is {behind} behind the newest record of its partition; {allowed} is allowed");
            return Err(Rejection::new(Reason::TooLate, message));
        }
        Ok(())
    }

    fn dead_letter(&self, rejection: Rejection, record: &Record<'_>) -> DeadLetter {
        DeadLetter::new(
            rejection,
            Origin {
                source: &self.source,
                partition: self.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key,
                value: record.value,
            },
        )
    }

    /// Silence until `now` (wall time), at `position`. Does nothing unless the grid moves: only a frontier records it,
    /// and a move that is not recorded could not be recovered.
    pub fn idle(&mut self, position: Offset, now: EventTime, out: &mut Outbox) -> bool {
        let watermark = now.minus_us(self.time.max_out_of_orderness_us);
        if self.refold.is_some() || watermark.floor(self.time.pane_us) <= self.watermark.floor(self.time.pane_us) {
            return false;
        }
        self.watermark = watermark;
        self.cut(position, Cause::Idle, out);
        true
    }

    /// A bounded input is over.
    pub fn end(&mut self, position: Offset, out: &mut Outbox) {
        self.watermark = EventTime::AFTER_ALL;
        self.cut(position, Cause::End, out);
    }

    /// E.
    pub fn complete_until(&self) -> EventTime {
        if self.watermark >= EventTime::AFTER_ALL {
            EventTime::AFTER_ALL
        } else {
            self.watermark.floor(self.time.pane_us)
        }
    }

    fn cut(&mut self, to: Offset, cause: Cause, out: &mut Outbox) {
        let complete_until = self.complete_until();
        let due: Vec<EventTime> = match cause {
            Cause::Data => {
                let last = complete_until.minus_us(self.time.pane_us);
                self.panes.range(..=last).map(|(start, _)| *start).collect()
            }
            Cause::CellsMax | Cause::Idle | Cause::End => self.panes.keys().copied().collect(),
        };
        let head = BatchHead {
            source: &self.source,
            partition: self.partition,
            generation: self.generation,
            batch: self.batch,
            pane_us: self.time.pane_us,
        };
        let live = self.cells.live();
        for start in due {
            self.panes.remove(&start);
            if self.refold.is_some() {
                self.cells.forget(start);
            } else {
                self.cells.cut(start, &head, out);
            }
        }
        let deltas = (live - self.cells.live()) as u64;
        if self.refold.is_none() {
            self.push_frontier(to, cause, complete_until, deltas, out);
        }
    }

    fn push_frontier(&mut self, to: Offset, cause: Cause, complete_until: EventTime, deltas: u64, out: &mut Outbox) {
        let current = self.activations.last().expect("a ledger always has definitions");
        let frontier = Frontier {
            r#type: FactType::Frontier,
            source: self.source.clone(),
            partition: self.partition,
            generation: self.generation,
            batch: self.batch,
            from: self.from,
            to,
            records: self.records,
            dead_letters: self.dead_letters,
            deltas,
            open: self.open_events(),
            lost: std::mem::take(&mut self.lost),
            lost_events: std::mem::take(&mut self.lost_events),
            complete_until,
            cause,
            bundle: current.hash.clone(),
            bundle_start: current.start,
            partitions: (self.partition == 0).then_some(self.partitions),
        };
        out.push(Output {
            topic: topics::SLI_WINDOWS,
            key: frontier.key(),
            placement: Placement::Every,
            value: frontier.to_json(),
        });
        out.batch_cut();
        self.batch += 1;
        (self.from, self.records, self.dead_letters) = (to, 0, 0);
    }

    /// Events in panes that are still live.
    pub fn open_events(&self) -> u64 {
        self.panes.values().map(|pane| pane.events).sum()
    }

    pub fn live_cells(&self) -> usize {
        self.cells.live()
    }

    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// What to commit beside `position`, the offset of the next record.
    pub fn metadata(&self, position: Offset) -> CommitMetadata {
        let lowest = self.panes.values().min_by_key(|pane| pane.first);
        let (m, w, x) =
            lowest.map_or((position, self.watermark, self.newest), |pane| (pane.first, pane.watermark, pane.newest));
        CommitMetadata {
            v: 1,
            m,
            w,
            x,
            wn: self.watermark,
            xn: self.newest,
            ev: self.open_events(),
            c: self.cells.live() as u64,
            d: format!("{:016x}", self.cells.digest()),
            k: self.batch,
            g: self.generation,
            t: self.from,
            r: self.records,
            dl: self.dead_letters,
            l: self.lost.clone(),
            le: self.lost_events,
            b: self.activations.clone(),
            p: self.time.fingerprint(),
        }
    }

    /// Reading has reached `position`, with or without records: ends the folding again once it is there.
    pub fn passed(&mut self, position: Offset) -> Result<(), Halt> {
        match &self.refold {
            Some(refold) if position >= refold.until => self.finish_refold(),
            _ => Ok(()),
        }
    }

    fn finish_refold(&mut self) -> Result<(), Halt> {
        let Some(Refold { until, committed, new_generation }) = self.refold.take() else { return Ok(()) };
        let (found, expected) = (self.at_offset(), expected_at_offset(&committed));
        if found == expected {
            (self.records, self.dead_letters) = (committed.r, committed.dl);
            return Ok(());
        }
        if new_generation {
            self.begin_generation(&committed, until);
            return Ok(());
        }
        Err(Halt::RefoldDiffers {
            source_topic: self.source.clone(),
            partition: self.partition,
            offset: until,
            found,
            committed: expected,
        })
    }

    fn at_offset(&self) -> String {
        let Self { watermark, newest, .. } = self;
        let (events, cells, digest) = (self.open_events(), self.cells.live(), self.cells.digest());
        format!(
            "watermark {}, newest {}, {events} open events in {cells} cells, digest {digest:016x}",
            watermark.0, newest.0
        )
    }

    fn begin_generation(&mut self, committed: &CommitMetadata, n: Offset) {
        (self.generation, self.batch) = (committed.g + 1, 0);
        self.go_on_without_open_panes(committed, n);
    }

    /// The events that were open at the committed offset are in no batch and will be in none; [m, until) is given up.
    fn go_on_without_open_panes(&mut self, committed: &CommitMetadata, until: Offset) {
        for start in std::mem::take(&mut self.panes).into_keys() {
            self.cells.forget(start);
        }
        (self.watermark, self.newest) = (committed.wn, committed.xn);
        (self.records, self.dead_letters) = (committed.r, committed.dl);
        self.lost_events += committed.ev;
        if committed.m < until {
            self.lose(committed.m, until);
        }
    }

    fn lose(&mut self, from: Offset, to: Offset) {
        self.lost.push((from, to));
        if self.lost.len() > LOST_MAX {
            let from = self.lost.iter().map(|range| range.0).min().unwrap_or(from);
            let to = self.lost.iter().map(|range| range.1).max().unwrap_or(to);
            self.lost = vec![(from, to)];
        }
    }

    /// Ranges that have left the log uncounted and stand in no frontier yet.
    pub fn lost(&self) -> &[(Offset, Offset)] {
        &self.lost
    }
}

fn expected_at_offset(committed: &CommitMetadata) -> String {
    let CommitMetadata { wn, xn, ev, c, d, .. } = committed;
    format!("watermark {}, newest {}, {ev} open events in {c} cells, digest {d}", wn.0, xn.0)
}

/// A duration in microseconds as people say it: its two largest parts, the rest cut off.
struct Spoken(i64);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, i64); 6] = [
            ("d", 86_400_000_000),
            ("h", 3_600_000_000),
            ("min", 60_000_000),
            ("s", 1_000_000),
            ("ms", 1_000),
            ("us", 1),
        ];
        if self.0 == 0 {
            return f.write_str("0 s");
        }
        let mut left = self.0;
        let mut parts = Vec::new();
        for (unit, unit_us) in UNITS {
            if left >= unit_us {
                parts.push(format!("{} {unit}", left / unit_us));
                left %= unit_us;
            }
        }
        parts.truncate(2);
        f.write_str(&parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::Spoken;

    #[test]
    fn durations_are_said_in_their_two_largest_parts() {
        for (us, expected) in [
            (0, "0 s"),
            (999, "999 us"),
            (5_000_000, "5 s"),
            (5_200_000, "5 s 200 ms"),
            (86_405_000_000, "1 d 5 s"),
            (90_000_000_000, "1 d 1 h"),
            (335_750_085_000_000, "3885 d 23 h"),
        ] {
            assert_eq!(Spoken(us).to_string(), expected, "{us}");
        }
    }
}
