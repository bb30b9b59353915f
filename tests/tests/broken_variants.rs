//! The simulator must be able to fail: classic mistakes, made on purpose, are each caught by the same checks.
//!
//! A mistake is a wrapper around the worker's log or its cells, so that the worker's own code stays as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use streamgauge_decode::{AvroDecoder, AvroSchemas, Framing};
use streamgauge_events::facts::{Last, OTHER};
use streamgauge_events::{Event, EventTime, Fact, FieldSet, Kind, NumberField, Offset, Reason, Rejection, TextField};
use streamgauge_memory_log::{Broker, GroupOffset, MemoryLog};
use streamgauge_stage::{
    Activation, BatchHead, Cells, CommitMetadata, Committed, Counting, Delivery, Log, LogError, Outbox, Output, Polled,
    Position, Source, Standing, TimeSettings, Unusable,
};
use streamgauge_stage_sli::{SliCells, SliStage};
use streamgauge_tests::sim::writers::{SCHEMAS, schema_id};
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
    /// Partitions of different topics with the same number are taken for one.
    StateOfAnotherTopic,
    /// The last value of a gauge is the one that came last.
    LastByArrival,
    /// Records are judged by the definitions of now, not by those of their pane.
    JudgedByTheNewest,
    /// A schema that is known now is known for all panes.
    SchemaForOldPanes,
    /// What the bound of series folds away loses its values.
    EvictedValuesLost,
}

/// Beside each mistake, how it shows: in the output, or in a worker that refuses to go on.
#[test]
fn each_mistake_is_caught() {
    for (mistake, evidence) in [
        (Mistake::StateKeptAfterAbort, "ledger of "),
        (Mistake::RewindOneTooHigh, "gave up: requests/"),
        (Mistake::OffsetsOutsideTheTransaction, "ledger of "),
        (Mistake::FrontierBeforeItsDeltas, "ledger of "),
        (Mistake::LateCellsAgain, " counted + "),
        (Mistake::StateKeptByPositionAlone, "ledger of "),
        (Mistake::AmbiguousTakenForCommitted, "ledger of "),
        (Mistake::UnstableFetch, "ledger of "),
        (Mistake::GenerationUnchecked, "ledger of "),
        (Mistake::StateOfAnotherTopic, "gave up: "),
        (Mistake::StateOfAnotherTopic, "ledger of "),
        (Mistake::LastByArrival, "folded output: "),
        (Mistake::JudgedByTheNewest, "folded output: "),
        (Mistake::SchemaForOldPanes, "dead letters: "),
        (Mistake::EvictedValuesLost, "folded output: "),
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

    fn log(&self, inner: MemoryLog, broker: &Broker, inputs: &[String]) -> BrokenLog {
        BrokenLog {
            inner,
            broker: broker.clone(),
            inputs: inputs.to_vec(),
            mistake: self.0,
            queued: Vec::new(),
            sent: Vec::new(),
            mine: BTreeMap::new(),
        }
    }

    fn stage(&self, inner: SliStage) -> BrokenStage {
        BrokenStage { inner, mistake: self.0 }
    }
}

// ---- the log

struct BrokenLog {
    inner: MemoryLog,
    broker: Broker,
    inputs: Vec<String>,
    mistake: Mistake,
    /// Outputs of the open transaction, where their order is to be changed.
    queued: Vec<(Output, i32)>,
    sent: Vec<Position>,
    /// What we have committed ourselves.
    mine: BTreeMap<Source, (Offset, String)>,
}

impl BrokenLog {
    fn topic(&self, source: Source) -> &str {
        &self.inputs[usize::from(source.topic)]
    }

    fn write_past_the_transaction(&self, positions: &[Position]) {
        for Position { source, offset, metadata } in positions {
            let offset = GroupOffset { offset: *offset, metadata: metadata.clone() };
            self.broker.alter_group_offset(GROUP, self.topic(*source), source.partition, Some(offset));
        }
    }

    fn unstable(&self, source: Source) -> Committed {
        let known = self.broker.group_offset(GROUP, self.topic(source), source.partition);
        let (log_start, log_end) = self.broker.offsets(self.topic(source), source.partition);
        let partitions = self.broker.partitions(self.topic(source)).unwrap_or_default();
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
        let states: BTreeMap<i32, (Option<Offset>, String)> = all
            .iter()
            .rev()
            .map(|committed| (committed.source.partition, (committed.offset, committed.metadata.clone())))
            .collect();
        for committed in &mut all {
            match self.mistake {
                Mistake::StateOfAnotherTopic => {
                    let (offset, metadata) = states[&committed.source.partition].clone();
                    if offset.is_some_and(|offset| offset <= committed.log_end) {
                        (committed.offset, committed.metadata) = (offset, metadata);
                    }
                }
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

    fn read_again(
        &mut self,
        source: Source,
        until: Offset,
        deliver: &mut dyn FnMut(Offset, Option<&[u8]>),
    ) -> Result<(), LogError> {
        self.inner.read_again(source, until, deliver)
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
    mistake: Mistake,
}

impl Counting for BrokenStage {
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
        BrokenCells {
            inner: self.inner.cells(topic),
            mistake: self.mistake,
            newest: EventTime::BEFORE_ALL,
            left: Vec::new(),
            last: BTreeMap::new(),
        }
    }
}

struct BrokenCells {
    inner: SliCells,
    mistake: Mistake,
    newest: EventTime,
    /// Late panes that should have been dropped.
    left: Vec<EventTime>,
    /// What came last, by pane, tenant and service, instance and metric.
    last: BTreeMap<(EventTime, [Option<String>; 4]), Last>,
}

impl BrokenCells {
    fn remember(&mut self, pane: EventTime, offset: Offset, event: &Event<'_>) {
        let text = |field| event.text(field).map(str::to_owned);
        if let (Some(value), Some(metric)) = (event.number(NumberField::Value), text(TextField::Metric)) {
            let tenant = Some(event.tenant().to_owned());
            let series = [tenant, text(TextField::Service), text(TextField::Instance), Some(metric)];
            self.last.insert((pane, series), Last { ts: event.ts, offset, value });
        }
    }

    fn cut_changed(&mut self, pane: EventTime, head: &BatchHead<'_>, out: &mut Outbox) {
        let mut cut = Outbox::default();
        self.inner.cut(pane, head, &mut cut);
        for output in cut.outputs() {
            let Ok(Fact::Delta(mut delta)) = Fact::from_json(&output.value) else { continue };
            let label = |name: &str| delta.labels.get(name).cloned();
            match self.mistake {
                Mistake::LastByArrival if delta.sli == "resources" => {
                    let place = [Some(delta.tenant.clone()), Some(delta.service.clone())];
                    let [tenant, service] = place;
                    let series = [tenant, service, label("instance"), label("metric")];
                    if let (Some(last), Some(values)) = (self.last.get(&(pane, series)), &mut delta.values) {
                        values.last = *last;
                    }
                }
                Mistake::EvictedValuesLost if delta.series_hash.is_none() && delta.labels.values().any(is_other) => {
                    delta.values = None;
                }
                _ => {}
            }
            out.push(Output { value: delta.to_json(), ..output.clone() });
        }
        self.last.retain(|(of, _), _| *of != pane);
    }
}

fn is_other(label: &String) -> bool {
    label == OTHER
}

impl Cells for BrokenCells {
    type Event<'a> = <SliCells as Cells>::Event<'a>;

    fn decode<'a>(
        &mut self,
        value: &'a [u8],
        at: Standing,
        event: &mut Self::Event<'a>,
    ) -> Result<EventTime, Rejection> {
        match self.inner.decode(value, at, event) {
            Err(rejection)
                if self.mistake == Mistake::SchemaForOldPanes && rejection.reason == Reason::UnknownSchema =>
            {
                let (ts, read) = read_with_any_schema(value).ok_or(rejection)?;
                *event = read;
                Ok(ts)
            }
            result => result,
        }
    }

    fn fold(&mut self, pane: EventTime, offset: Offset, event: &Self::Event<'_>) {
        self.newest = self.newest.max(pane);
        if self.mistake == Mistake::LastByArrival {
            self.remember(pane, offset, event);
        }
        self.inner.fold(pane, offset, event);
    }

    fn live(&self) -> usize {
        if self.mistake == Mistake::LateCellsAgain { 0 } else { self.inner.live() }
    }

    fn digest(&self) -> u64 {
        if self.mistake == Mistake::LateCellsAgain { 0 } else { self.inner.digest() }
    }

    fn cut(&mut self, pane: EventTime, head: &BatchHead<'_>, out: &mut Outbox) {
        for late in std::mem::take(&mut self.left) {
            self.inner.cut(late, head, out);
        }
        self.cut_changed(pane, head, out);
    }

    fn forget(&mut self, pane: EventTime) {
        let late = pane.plus_us(20_000_000) <= self.newest;
        if self.mistake == Mistake::LateCellsAgain && late {
            self.left.push(pane);
        } else {
            self.inner.forget(pane);
        }
    }

    fn activate(&mut self, activations: &[Activation]) -> Result<(), Unusable> {
        match activations.last() {
            Some(newest) if self.mistake == Mistake::JudgedByTheNewest => {
                self.inner.activate(&[Activation::first(newest.hash.clone())])
            }
            _ => self.inner.activate(activations),
        }
    }
}

/// As a decoder does that knows all schemas, and asks nothing about time.
fn read_with_any_schema(value: &[u8]) -> Option<(EventTime, Event<'_>)> {
    [Framing::SingleObject, Framing::Confluent].into_iter().find_map(|framing| {
        let schemas: Vec<(Option<u32>, &str)> =
            SCHEMAS.iter().enumerate().map(|(number, text)| (Some(schema_id(number)), *text)).collect();
        let schemas = AvroSchemas::new(Kind::Resource, framing, &schemas).ok()?;
        let (_, event) = AvroDecoder::new(&schemas, FieldSet::ALL).decode(value).ok()?;
        Some((event.ts, event))
    })
}
