//! The one loop: poll, step, produce, commit.
//!
//! Every stage runs in it, over Kafka, over files and over the in-memory log. It reads no clock: the shell calls
//! [`Worker::turn`] with the wall time, again and again.
//!
//! A **burst** makes everything that waits durable at once. What if the process dies …
//!
//! 1. *before `begin`*: nothing was written. The next owner reads the last commit, folds [m, n) again with every effect
//!    off, goes on from n and cuts the same batches, since only the records decide where they are cut.
//! 2. *between `begin` and `commit`*: readers never see what was produced (`read_committed`); the offsets are part of the
//!    same transaction. Our next producer ends it (same transactional id), or the coordinator does after its time-out.
//!    As 1.
//! 3. *while `commit` is under way*: the coordinator has decided or has not. The stable offset fetch waits until that is
//!    settled, so the next owner sees outputs and offsets both, or neither.
//! 4. *after `commit`*: the next owner starts from there.
//!
//! Whatever is not sure about a burst throws away the state of every owned partition and takes the partitions over as
//! after a restart: an offset that rolls back while the histograms in memory do not is the classic way to count twice.

mod owned;
mod report;

use std::collections::BTreeMap;
use std::time::Duration;

use streamgauge_events::partitioner::partition_of;
use streamgauge_events::{EventTime, Offset};

use crate::Halt;
use crate::log::{Committed, Delivery, Log, LogError, Polled, Position, Record, Source};
use crate::outbox::{Outbox, Output, Placement};
use crate::settings::WorkerSettings;

use owned::Owned;
pub use report::{Counters, Exit, Note, PartitionView, Turn};

/// What a worker needs to know of a stage.
pub trait Stage {
    type Partition: Partition;

    /// Names of the input topics; [`Source::topic`] is an index into them.
    fn inputs(&self) -> &[String];

    /// Names, in the topic table, of what may be written.
    fn outputs(&self) -> &'static [&'static str];

    /// Hash of the definitions that this stage was started with.
    fn bundle(&self) -> &str;

    /// Rebuilds what was kept of these partitions, in their order, from what the group has committed of them and the topics of
    /// state. Asked on each assignment, with nothing to open, too.
    fn open(
        &mut self,
        log: &mut dyn Log,
        committed: &[Committed],
        settings: &WorkerSettings,
    ) -> Result<Vec<Self::Partition>, CannotOpen>;

    /// What must be written before an output may cite it, and is not yet.
    fn unsaved(&self) -> Vec<Output> {
        Vec::new()
    }

    /// It is written.
    fn learn(&mut self, _key: &[u8], _value: &[u8]) {}
}

/// What a stage makes of the records of one input partition, and what it keeps of them.
pub trait Partition {
    /// The offset to read from: what was committed, or before it.
    fn start(&self) -> Offset;

    /// Still rebuilding what was committed: nothing may be written for this partition, and its commit stays as it is.
    fn refolding(&self) -> bool;

    fn fold(&mut self, record: &Record<'_>, out: &mut Outbox) -> Result<(), Halt>;

    /// Read up to here, whether or not there was a record.
    fn passed(&mut self, position: Offset) -> Result<(), Halt>;

    /// A bounded input is over.
    fn end(&mut self, position: Offset, out: &mut Outbox);

    /// Silence until `now` (wall time). Whether anything came of it.
    fn idle(&mut self, position: Offset, now: EventTime, out: &mut Outbox) -> bool;

    /// What to keep beside a committed position.
    fn metadata(&self, position: Offset) -> String;

    /// State that has changed since it was last asked for. If it can't be written, this value is thrown away.
    fn unsaved(&mut self) -> Vec<Output> {
        Vec::new()
    }

    /// How many partitions the input topic has now.
    fn set_partitions(&mut self, partitions: i32);

    /// Ranges of offsets that were gone when it was opened.
    fn lost(&self) -> &[(Offset, Offset)];

    fn watermark(&self) -> EventTime;

    /// Up to here everything has been written, up to late records.
    fn complete_until(&self) -> EventTime;

    fn live_cells(&self) -> usize;

    fn open_events(&self) -> u64;
}

/// Why partitions can't be opened.
#[derive(Debug)]
pub enum CannotOpen {
    Log(LogError),
    Halt(Halt),
}

impl From<LogError> for CannotOpen {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<Halt> for CannotOpen {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// Commits are tried this often before the transaction is given up.
const COMMIT_TRIES_MAX: u32 = 5;
/// How long to wait before trying again what was refused.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

pub struct Worker<L, S: Stage> {
    log: L,
    stage: S,
    settings: WorkerSettings,
    owned: Vec<Owned<S::Partition>>,
    /// Partitions that were revoked, as they were committed: one that comes back unchanged need not be folded again.
    kept: Vec<Owned<S::Partition>>,
    /// An assignment that is not being read yet.
    pending: Option<Vec<Source>>,
    outbox: Outbox,
    /// Partition counts of the output topics.
    partitions: BTreeMap<&'static str, i32>,
    last_burst: EventTime,
    failing_since: Option<EventTime>,
    /// Since when (wall time) no burst has succeeded, after one that failed. Reading may go well all the while.
    aborting_since: Option<EventTime>,
    counters: Counters,
    notes: Vec<Note>,
}

impl<L: Log, S: Stage> Worker<L, S> {
    pub fn new(log: L, stage: S, settings: WorkerSettings) -> Self {
        Self {
            log,
            stage,
            settings,
            owned: Vec::new(),
            kept: Vec::new(),
            pending: None,
            outbox: Outbox::default(),
            partitions: BTreeMap::new(),
            last_burst: EventTime::BEFORE_ALL,
            failing_since: None,
            aborting_since: None,
            counters: Counters::default(),
            notes: Vec::new(),
        }
    }

    /// One round of the loop at wall time `now`; waits at most `wait` for records.
    pub fn turn(&mut self, now: EventTime, wait: Duration) -> Result<Turn, Exit> {
        let mut turn = Turn::default();
        // 1. An assignment that could not be taken over yet.
        if self.pending.is_some() {
            turn.pause = self.take_over(now)?;
        }
        // 2. Poll and step, outside of any transaction.
        match self.poll(now, wait, &mut turn)? {
            Some(Polled::Assigned(sources)) => {
                self.pending = Some(sources);
                turn.pause = self.take_over(now)?;
            }
            Some(Polled::Revoked) => self.revoked(now)?,
            Some(Polled::Lost) => self.lost(now)?,
            Some(Polled::Delivered) | None => {}
        }
        // 3. Time goes on in silence.
        self.advance_idle(now);
        // 4. One burst, if it is due.
        if self.burst_is_due(now) {
            self.burst(now)?;
        }
        turn.finished = self.settings.bounded && self.finished();
        Ok(turn)
    }

    /// Makes durable what there is, and leaves the group. Whatever fails here is repeated by the next owner.
    pub fn stop(mut self, now: EventTime) -> (Result<(), Exit>, Counters, Vec<Note>) {
        let result = if self.pending.is_none() && self.dirty() { self.burst(now) } else { Ok(()) };
        // Nothing hangs on the answer: a member that can't say goodbye is dropped after its session time-out.
        let _ = self.log.release();
        self.log.leave();
        (result, self.counters, self.notes)
    }

    /// Ends a worker that has finished, without leaving any group.
    pub fn into_parts(self) -> (L, Counters) {
        (self.log, self.counters)
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn log(&self) -> &L {
        &self.log
    }

    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// What happened since the last call.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Whether partitions are owned, or rightly none, and nothing is failing.
    pub fn ready(&self) -> bool {
        self.pending.is_none() && self.failing_since.is_none() && self.aborting_since.is_none()
    }

    pub fn partitions(&self) -> impl Iterator<Item = &S::Partition> {
        self.owned.iter().map(|owned| &owned.partition)
    }

    pub fn views(&self) -> Vec<PartitionView> {
        self.owned.iter().map(Owned::view).collect()
    }

    // ---- reading

    fn poll(&mut self, now: EventTime, wait: Duration, turn: &mut Turn) -> Result<Option<Polled>, Exit> {
        let Self { log, owned, outbox, counters, settings, .. } = self;
        let mut halt = None;
        let mut last = 0;
        let polled = log.poll(wait, &mut |delivery| {
            let source = match &delivery {
                Delivery::Record(record) => record.source,
                Delivery::End { source, .. } => *source,
            };
            if owned.get(last).is_none_or(|owned| owned.source != source) {
                match owned.iter().position(|owned| owned.source == source) {
                    Some(index) => last = index,
                    None => return, // of an assignment that is over
                }
            }
            if halt.is_none() {
                turn.delivered += 1;
                halt = owned[last].take(&delivery, now, settings.bounded, outbox, counters).err();
            }
        });
        if let Some(halt) = halt {
            return Err(halt.into());
        }
        match polled {
            Ok(polled) => {
                if self.pending.is_none() {
                    self.failing_since = None;
                }
                Ok(Some(polled))
            }
            Err(error) => {
                turn.pause = Some(self.refused(now, error)?);
                Ok(None)
            }
        }
    }

    /// Says what an error outside of a transaction means: wait, or exit.
    fn refused(&mut self, now: EventTime, error: LogError) -> Result<Duration, Exit> {
        match error {
            LogError::Fenced(message) => Err(Exit::TakenOver(message)),
            LogError::Fatal(message) => Err(Exit::Fatal(message)),
            LogError::Retriable(cause) | LogError::Abortable(cause) | LogError::Ambiguous(cause) => {
                let since = *self.failing_since.get_or_insert(now);
                if now.0 - since.0 > self.settings.outage_max_us {
                    return Err(Exit::Outage { secs: (now.0 - since.0) / 1_000_000, cause });
                }
                self.notes.push(Note::Waiting { cause });
                Ok(RETRY_PAUSE)
            }
        }
    }

    fn advance_idle(&mut self, now: EventTime) {
        if self.settings.bounded {
            return;
        }
        for owned in &mut self.owned {
            let silent = owned.at_end && now.0 - owned.still_since.0 >= self.settings.idle_after_us;
            if silent && owned.partition.idle(owned.position, now, &mut self.outbox) {
                owned.watermark_seen = owned.partition.watermark();
                owned.changed = true;
                self.counters.idle_advances += 1;
                let complete_until = owned.partition.complete_until();
                self.notes.push(Note::IdleAdvance { source: owned.source, complete_until });
            }
        }
    }

    // ---- assignments

    /// Reads what the group knows of the new assignment, rebuilds each partition's state, and starts to read.
    fn take_over(&mut self, now: EventTime) -> Result<Option<Duration>, Exit> {
        let Some(sources) = self.pending.clone() else { return Ok(None) };
        match self.try_take_over(&sources, now) {
            Ok(()) => {
                self.pending = None;
                self.failing_since = None;
                Ok(None)
            }
            Err(CannotOpen::Halt(halt)) => Err(halt.into()),
            Err(CannotOpen::Log(error)) => self.refused(now, error).map(Some),
        }
    }

    fn try_take_over(&mut self, sources: &[Source], now: EventTime) -> Result<(), CannotOpen> {
        self.owned.clear();
        self.outbox.clear();
        // The stable fetch comes first: the topics of state are read after it, so that they hold what the metadata cite.
        let committed = if sources.is_empty() { Vec::new() } else { self.log.committed(sources)? };
        for topic in self.stage.outputs() {
            let partitions = self.log.partitions(topic)?;
            self.partitions.insert(topic, partitions);
        }
        let mut owned: Vec<Option<Owned<S::Partition>>> =
            committed.iter().map(|committed| self.take_kept(committed, now)).collect();
        let unknown = || committed.iter().zip(&owned).filter(|(_, kept)| kept.is_none());
        let to_open: Vec<Committed> = unknown().map(|(committed, _)| committed.clone()).collect();
        let opened = self.stage.open(&mut self.log, &to_open, &self.settings)?;
        let mut opened = opened.into_iter();
        for (owned, committed) in owned.iter_mut().zip(&committed) {
            if let Some(kept) = owned {
                self.note_opened(kept, committed, true);
            } else if let Some(partition) = opened.next() {
                let new = Owned::new(partition, committed, now);
                self.note_opened(&new, committed, false);
                *owned = Some(new);
            }
        }
        let owned: Vec<Owned<S::Partition>> = owned.into_iter().flatten().collect();
        let starts: Vec<(Source, Offset)> = owned.iter().map(|owned| (owned.source, owned.position)).collect();
        self.log.assign(&starts)?;
        self.owned = owned;
        self.kept.clear();
        self.last_burst = now;
        Ok(())
    }

    /// A partition that comes back unchanged. The whole commit must be ours: an idle batch of another owner moves on at the
    /// same offset.
    fn take_kept(&mut self, committed: &Committed, now: EventTime) -> Option<Owned<S::Partition>> {
        let known = (committed.offset?, committed.metadata.clone());
        let index = self.kept.iter().position(|kept| {
            kept.source == committed.source
                && kept.committed.as_ref() == Some(&known)
                && kept.position >= committed.log_start
        })?;
        let mut owned = self.kept.swap_remove(index);
        owned.partition.set_partitions(committed.partitions);
        (owned.at_end, owned.still_since) = (false, now);
        Some(owned)
    }

    fn note_opened(&mut self, owned: &Owned<S::Partition>, committed: &Committed, kept: bool) {
        let source = owned.source;
        for (from, to) in owned.partition.lost() {
            self.notes.push(Note::LostRange { source, from: *from, to: *to });
        }
        self.notes.push(Note::Opened { source, start: owned.position, committed: committed.offset, kept });
    }

    /// The assignment goes, in order: what waits is made durable first.
    fn revoked(&mut self, now: EventTime) -> Result<(), Exit> {
        self.notes.push(Note::Revoked { partitions: self.owned.len() });
        if self.pending.is_none() && self.dirty() {
            self.burst(now)?;
        }
        // A burst that failed has emptied `owned`: nothing is kept then.
        let all = std::mem::take(&mut self.owned);
        self.kept = all.into_iter().filter(|owned| owned.is_committed()).collect();
        self.let_go(now)
    }

    /// The assignment is gone: others may own it by now. What waits is dropped; they do it again.
    fn lost(&mut self, now: EventTime) -> Result<(), Exit> {
        self.notes.push(Note::Lost { partitions: self.owned.len() });
        self.kept.clear();
        self.let_go(now)
    }

    fn let_go(&mut self, now: EventTime) -> Result<(), Exit> {
        self.owned.clear();
        self.outbox.clear();
        self.pending = None;
        self.aborting_since = None;
        match self.log.release() {
            Ok(()) => Ok(()),
            Err(error) => self.refused(now, error).map(drop),
        }
    }

    // ---- writing

    fn dirty(&self) -> bool {
        !self.outbox.is_empty() || self.owned.iter().any(|owned| !owned.is_committed())
    }

    fn burst_is_due(&self, now: EventTime) -> bool {
        if self.pending.is_some() || self.owned.is_empty() {
            return false;
        }
        let since_us = now.0 - self.last_burst.0;
        if self.outbox.bytes() >= self.settings.outbox_bytes_max {
            return true;
        }
        if self.outbox.batches() > 0 {
            let caught_up = self.owned.iter().all(|owned| owned.at_end || owned.ended);
            return caught_up || since_us >= self.settings.burst_interval_min_us;
        }
        since_us >= self.settings.commit_interval_us && self.dirty()
    }

    /// One transaction: outputs, and the position of every owned partition. See the head of this file for what happens
    /// if we die in it.
    fn burst(&mut self, now: EventTime) -> Result<(), Exit> {
        let positions: Vec<Position> = self.owned.iter().filter_map(Owned::to_commit).collect();
        if positions.is_empty() {
            return Ok(());
        }
        self.last_burst = now;
        if let Err(error) = self.log.begin() {
            return match error {
                // Nothing has begun, so nothing is lost: the next burst tries again. But what waits is bounded.
                LogError::Retriable(_) => {
                    if self.outbox.bytes() >= self.settings.outbox_bytes_max {
                        self.rebuild(error.to_string());
                    }
                    self.refused(now, error).map(drop)
                }
                error => self.failed_burst(now, error),
            };
        }
        let mut state = self.stage.unsaved();
        for owned in self.owned.iter_mut().filter(|owned| !owned.partition.refolding()) {
            state.extend(owned.partition.unsaved());
        }
        match self.transaction(&state, &positions) {
            Ok(()) => {
                (self.failing_since, self.aborting_since) = (None, None);
                self.committed(positions, &state);
                Ok(())
            }
            Err(error) => self.failed_burst(now, error),
        }
    }

    /// What stands between `begin` and the end of `commit`.
    fn transaction(&mut self, state: &[Output], positions: &[Position]) -> Result<(), LogError> {
        for output in state.iter().chain(self.outbox.outputs()) {
            let partitions = self.partitions.get(output.topic).copied().unwrap_or(1);
            match output.placement {
                Placement::ByKey => self.log.produce(output, partition_of(&output.key, partitions))?,
                Placement::At(partition) => self.log.produce(output, partition)?,
                Placement::Every => {
                    for partition in 0..partitions {
                        self.log.produce(output, partition)?;
                    }
                }
            }
        }
        self.log.send_offsets(positions)?;
        let mut tries = 1;
        loop {
            match self.log.commit() {
                Err(LogError::Retriable(cause)) if tries == COMMIT_TRIES_MAX => return Err(LogError::Ambiguous(cause)),
                Err(LogError::Retriable(_)) => tries += 1,
                result => return result,
            }
        }
    }

    fn committed(&mut self, positions: Vec<Position>, state: &[Output]) {
        for output in state {
            self.stage.learn(&output.key, &output.value);
        }
        for position in positions {
            if let Some(owned) = self.owned.iter_mut().find(|owned| owned.source == position.source) {
                owned.changed &= owned.partition.refolding();
                owned.committed = Some((position.offset, position.metadata));
            }
        }
        let Self { counters, outbox, .. } = self;
        counters.bursts += 1;
        counters.batches += outbox.batches();
        counters.outputs += outbox.outputs().len() as u64;
        counters.output_bytes += outbox.bytes() as u64;
        for (reason, count) in outbox.dead_letters() {
            *counters.dead_letters.entry(*reason).or_default() += count;
        }
        if !outbox.is_empty() {
            let (outputs, batches, bytes) = (outbox.outputs().len(), outbox.batches(), outbox.bytes());
            self.notes.push(Note::Burst { outputs, batches, bytes });
        }
        self.outbox.clear();
    }

    fn failed_burst(&mut self, now: EventTime, error: LogError) -> Result<(), Exit> {
        self.counters.aborts += 1;
        let cause = error.to_string();
        let ended = match error {
            LogError::Fenced(message) => return Err(Exit::TakenOver(message)),
            LogError::Fatal(message) => return Err(Exit::Fatal(message)),
            LogError::Ambiguous(_) => self.log.renew_producer(),
            LogError::Retriable(_) | LogError::Abortable(_) => match self.log.abort() {
                Err(LogError::Retriable(_) | LogError::Abortable(_) | LogError::Ambiguous(_)) => {
                    self.log.renew_producer()
                }
                result => result,
            },
        };
        let since = *self.aborting_since.get_or_insert(now);
        if now.0 - since.0 > self.settings.outage_max_us {
            return Err(Exit::Outage { secs: (now.0 - since.0) / 1_000_000, cause });
        }
        self.rebuild(cause);
        match ended {
            Ok(()) => Ok(()),
            Err(error) => self.refused(now, error).map(drop),
        }
    }

    /// Forgets every owned partition, and takes all of them over again from what was committed.
    fn rebuild(&mut self, cause: String) {
        self.counters.rebuilds += 1;
        self.notes.push(Note::Rebuilding { cause });
        // In memory is what the aborted transaction would have made durable: none of it may survive.
        let sources = self.owned.iter().map(|owned| owned.source).collect();
        self.owned.clear();
        self.kept.clear();
        self.outbox.clear();
        self.pending = Some(sources);
    }

    fn finished(&self) -> bool {
        self.pending.is_none()
            && self.outbox.is_empty()
            && !self.owned.is_empty()
            && self.owned.iter().all(|owned| owned.ended && owned.is_committed())
    }
}
