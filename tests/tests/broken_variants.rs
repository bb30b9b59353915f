//! The simulator must be able to fail: classic mistakes, made on purpose, are each caught by the same checks.
//!
//! A mistake is a wrapper around the worker's log or its cells, so that the worker's own code stays as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use streamgauge_events::{EventTime, Offset, Rejection, topics};
use streamgauge_memory_log::{Broker, GroupOffset, MemoryLog};
use streamgauge_stage::{
    Activation, BatchHead, Cells, CommitMetadata, Committed, Delivery, Log, LogError, Outbox, Output, Polled, Position,
    Source, Stage, TimeSettings, Unusable,
};
use streamgauge_stage_sli::{SliCells, SliStage};
use streamgauge_tests::sim::{self, Schedule, Sound, Subject, world::GROUP};

/// Schedules within which a mistake must show.
const SCHEDULES_MAX: u64 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// A burst that failed is forgotten, but what it would have made durable stays in memory.
    StateKeptAfterAbort,
    /// Folding again begins one offset behind m.
    RewindOneTooHigh,
    /// Offsets are committed at once, outputs with the transaction.
    OffsetsOutsideTheTransaction,
    FrontierBeforeItsDeltas,
    /// While folding again, cells of late records are not dropped with the batch that had carried them.
    LateCellsAgain,
    /// A partition that comes back at the same offset keeps its state, whatever else was committed there.
    StateKeptByPositionAlone,
    /// A commit without an answer is taken for done.
    AmbiguousTakenForCommitted,
    /// The offset fetch does not wait for the transaction of a predecessor.
    UnstableFetch,
    /// Whoever writes commits its offsets, in the group or not.
    GenerationUnchecked,
}

/// Beside each mistake, how it shows: in the output, or in a worker that refuses to go on.
#[test]
fn each_mistake_is_caught() {
    for (mistake, evidence) in [
        (Mistake::StateKeptAfterAbort, "ledger of partition"),
        (Mistake::RewindOneTooHigh, "gave up: requests/"),
        (Mistake::OffsetsOutsideTheTransaction, "ledger of partition"),
        (Mistake::FrontierBeforeItsDeltas, "ledger of partition"),
        (Mistake::LateCellsAgain, "ledger of partition"),
        (Mistake::StateKeptByPositionAlone, "ledger of partition"),
        (Mistake::AmbiguousTakenForCommitted, "ledger of partition"),
        (Mistake::UnstableFetch, "ledger of partition"),
        (Mistake::GenerationUnchecked, "ledger of partition"),
    ] {
        let evident = |seed| fails(mistake, seed).filter(|failure| failure.contains(evidence));
        let caught = (0..SCHEDULES_MAX).find_map(|seed| Some((seed, evident(seed)?)));
        let Some((seed, failure)) = caught else {
            panic!("{mistake:?} is caught by none of {SCHEDULES_MAX} schedules");
        };
        println!("{mistake:?}: seed {seed}: {failure}");
    }
}

#[test]
fn without_a_mistake_the_wrappers_change_nothing() {
    for seed in 0..20 {
        assert_eq!(fails(Mistake::None, seed), None, "seed {seed}");
        assert_eq!(sim::run(&Sound, &schedule(Mistake::None, seed), false).failure, None, "seed {seed}");
    }
}

fn schedule(mistake: Mistake, seed: u64) -> Schedule {
    let mut schedule = Schedule::new(seed, &(1..=5));
    schedule.features.lost_ranges = false;
    if mistake == Mistake::LateCellsAgain {
        // The broken cells hide from the digest, and so can't tell how many they are.
        schedule.time.cells_max = usize::MAX;
    }
    schedule
}

fn fails(mistake: Mistake, seed: u64) -> Option<String> {
    sim::run(&Broken(mistake), &schedule(mistake, seed), false).failure
}

struct Broken(Mistake);

impl Subject for Broken {
    type Log = BrokenLog;
    type Stage = BrokenStage;

    fn log(&self, inner: MemoryLog, broker: &Broker) -> BrokenLog {
        let broker = broker.clone();
        BrokenLog { inner, broker, mistake: self.0, queued: Vec::new(), sent: Vec::new(), mine: BTreeMap::new() }
    }

    fn stage(&self, inner: SliStage) -> BrokenStage {
        BrokenStage { inner, late_cells_again: self.0 == Mistake::LateCellsAgain }
    }
}

// ---- the log

struct BrokenLog {
    inner: MemoryLog,
    broker: Broker,
    mistake: Mistake,
    /// Outputs of the open transaction, where their order is to be changed.
    queued: Vec<(Output, i32)>,
    sent: Vec<Position>,
    /// What we have committed ourselves.
    mine: BTreeMap<Source, (Offset, String)>,
}

impl BrokenLog {
    fn write_past_the_transaction(&self, positions: &[Position]) {
        for Position { source, offset, metadata } in positions {
            let offset = GroupOffset { offset: *offset, metadata: metadata.clone() };
            self.broker.alter_group_offset(GROUP, topics::REQUESTS, source.partition, Some(offset));
        }
    }

    fn unstable(&self, source: Source) -> Committed {
        let known = self.broker.group_offset(GROUP, topics::REQUESTS, source.partition);
        let (log_start, log_end) = self.broker.offsets(topics::REQUESTS, source.partition);
        let partitions = self.broker.partitions(topics::REQUESTS).unwrap_or_default();
        let (offset, metadata) = known.map_or((None, String::new()), |known| (Some(known.offset), known.metadata));
        Committed { source, offset, metadata, log_start, log_end, partitions }
    }

    fn produce_frontiers_first(&mut self) -> Result<(), LogError> {
        let queued = std::mem::take(&mut self.queued);
        let (frontiers, deltas): (Vec<_>, Vec<_>) =
            queued.into_iter().partition(|(output, _)| output.key.starts_with(b"__frontier/"));
        frontiers.iter().chain(&deltas).try_for_each(|(output, partition)| self.inner.produce(output, *partition))
    }
}

impl Log for BrokenLog {
    fn poll(&mut self, wait: Duration, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<Polled, LogError> {
        let polled = self.inner.poll(wait, deliver);
        if matches!(polled, Ok(Polled::Lost)) {
            self.mine.clear();
        }
        polled
    }

    fn committed(&mut self, sources: &[Source]) -> Result<Vec<Committed>, LogError> {
        let mut all = match self.inner.committed(sources) {
            Err(LogError::Retriable(_)) if self.mistake == Mistake::UnstableFetch => {
                sources.iter().map(|source| self.unstable(*source)).collect()
            }
            result => result?,
        };
        for committed in &mut all {
            match self.mistake {
                Mistake::RewindOneTooHigh => {
                    if let Ok(mut metadata) = CommitMetadata::decode(&committed.metadata)
                        && Some(metadata.m) < committed.offset
                    {
                        metadata.m += 1;
                        committed.metadata = metadata.encode();
                    }
                }
                Mistake::StateKeptByPositionAlone => {
                    if let Some((offset, metadata)) = self.mine.get(&committed.source)
                        && committed.offset == Some(*offset)
                    {
                        committed.metadata = metadata.clone();
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }

    fn assign(&mut self, starts: &[(Source, Offset)]) -> Result<(), LogError> {
        self.inner.assign(starts)
    }

    fn release(&mut self) -> Result<(), LogError> {
        self.inner.release()
    }

    fn leave(&mut self) {
        self.inner.leave();
    }

    fn partitions(&mut self, topic: &str) -> Result<i32, LogError> {
        self.inner.partitions(topic)
    }

    fn read_back(
        &mut self,
        topic: &str,
        partition: i32,
        deliver: &mut dyn FnMut(Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), LogError> {
        self.inner.read_back(topic, partition, deliver)
    }

    fn begin(&mut self) -> Result<(), LogError> {
        self.queued.clear();
        self.inner.begin()
    }

    fn produce(&mut self, output: &Output, partition: i32) -> Result<(), LogError> {
        if self.mistake == Mistake::FrontierBeforeItsDeltas {
            self.queued.push((output.clone(), partition));
            return Ok(());
        }
        self.inner.produce(output, partition)
    }

    fn send_offsets(&mut self, positions: &[Position]) -> Result<(), LogError> {
        self.produce_frontiers_first()?;
        self.sent = positions.to_vec();
        match self.mistake {
            Mistake::OffsetsOutsideTheTransaction => {
                self.write_past_the_transaction(positions);
                Ok(())
            }
            Mistake::GenerationUnchecked => Ok(()),
            Mistake::StateKeptAfterAbort => match self.inner.send_offsets(positions) {
                Err(LogError::Abortable(_)) => Ok(()),
                result => result,
            },
            _ => self.inner.send_offsets(positions),
        }
    }

    fn commit(&mut self) -> Result<(), LogError> {
        let result = match (self.mistake, self.inner.commit()) {
            (Mistake::StateKeptAfterAbort, Err(LogError::Abortable(_))) => self.inner.abort(),
            (Mistake::AmbiguousTakenForCommitted, Err(LogError::Ambiguous(_))) => {
                // The client goes on asking for its epoch in later polls.
                let _ = self.inner.renew_producer();
                Ok(())
            }
            (_, result) => result,
        };
        if result.is_ok() {
            if self.mistake == Mistake::GenerationUnchecked {
                self.write_past_the_transaction(&self.sent);
            }
            let sent = std::mem::take(&mut self.sent).into_iter();
            self.mine.extend(sent.map(|position| (position.source, (position.offset, position.metadata))));
        }
        result
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.mine.clear();
        self.inner.abort()
    }

    fn renew_producer(&mut self) -> Result<(), LogError> {
        self.mine.clear();
        self.inner.renew_producer()
    }
}

// ---- the stage

struct BrokenStage {
    inner: SliStage,
    late_cells_again: bool,
}

impl Stage for BrokenStage {
    type Cells = BrokenCells;

    fn inputs(&self) -> &[String] {
        self.inner.inputs()
    }

    fn time(&self) -> TimeSettings {
        self.inner.time()
    }

    fn bundle(&self) -> &str {
        self.inner.bundle()
    }

    fn learn(&mut self, key: &[u8], value: &[u8]) {
        self.inner.learn(key, value);
    }

    fn unsaved(&self) -> Vec<Output> {
        self.inner.unsaved()
    }

    fn cells(&self, topic: u16) -> BrokenCells {
        let (inner, late_cells_again) = (self.inner.cells(topic), self.late_cells_again);
        BrokenCells { inner, late_cells_again, newest: EventTime::BEFORE_ALL, left: Vec::new() }
    }
}

struct BrokenCells {
    inner: SliCells,
    late_cells_again: bool,
    newest: EventTime,
    /// Late panes that should have been dropped.
    left: Vec<EventTime>,
}

impl Cells for BrokenCells {
    type Event<'a> = <SliCells as Cells>::Event<'a>;

    fn decode<'a>(&mut self, value: &'a [u8], event: &mut Self::Event<'a>) -> Result<EventTime, Rejection> {
        self.inner.decode(value, event)
    }

    fn fold(&mut self, pane: EventTime, offset: Offset, event: &Self::Event<'_>) {
        self.newest = self.newest.max(pane);
        self.inner.fold(pane, offset, event);
    }

    fn live(&self) -> usize {
        if self.late_cells_again { 0 } else { self.inner.live() }
    }

    fn digest(&self) -> u64 {
        if self.late_cells_again { 0 } else { self.inner.digest() }
    }

    fn cut(&mut self, pane: EventTime, head: &BatchHead<'_>, out: &mut Outbox) {
        for late in std::mem::take(&mut self.left) {
            self.inner.cut(late, head, out);
        }
        self.inner.cut(pane, head, out);
    }

    fn forget(&mut self, pane: EventTime) {
        let late = pane.plus_us(20_000_000) <= self.newest;
        if self.late_cells_again && late {
            self.left.push(pane);
        } else {
            self.inner.forget(pane);
        }
    }

    fn activate(&mut self, activations: &[Activation]) -> Result<(), Unusable> {
        self.inner.activate(activations)
    }
}
