//! Stages that count: a [`Ledger`] a partition, facts to `sli.windows`, definitions in `sli.state`.

use std::collections::BTreeMap;

use streamgauge_events::{EventTime, Fact, Offset, topics};

use crate::Halt;
use crate::ledger::{Cells, Ledger, Opening};
use crate::log::{Committed, Log, Record, Source};
use crate::metadata::CommitMetadata;
use crate::outbox::{Outbox, Output};
use crate::settings::{StartAt, TimeSettings, WorkerSettings};
use crate::worker::{CannotOpen, Partition, Stage};

/// What is counted, and by which definitions.
pub trait Counting {
    type Cells: Cells;

    /// Names of the input topics; [`Source::topic`] is an index into them.
    fn inputs(&self) -> &[String];

    fn time(&self) -> TimeSettings;

    /// Hash of the definitions that this stage was started with.
    fn bundle(&self) -> &str;

    /// A record of the state topic.
    fn learn(&mut self, key: &[u8], value: &[u8]);

    /// What the state topic must hold before a fact may cite it, and does not yet.
    fn unsaved(&self) -> Vec<Output>;

    /// Fresh cells for a partition of the input topic of that index.
    fn cells(&self, topic: u16) -> Self::Cells;
}

impl<C: Counting> Stage for C {
    type Partition = Ledger<C::Cells>;

    fn inputs(&self) -> &[String] {
        Counting::inputs(self)
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[topics::SLI_WINDOWS, topics::DEAD_LETTERS, topics::SLI_STATE]
    }

    fn bundle(&self) -> &str {
        Counting::bundle(self)
    }

    fn open(
        &mut self,
        log: &mut dyn Log,
        committed: &[Committed],
        settings: &WorkerSettings,
    ) -> Result<Vec<Self::Partition>, CannotOpen> {
        log.read_back(topics::SLI_STATE, 0, &mut |key, value| {
            if let (Some(key), Some(value)) = (key, value) {
                Counting::learn(self, key, value);
            }
        })?;
        let written = Written::read(log, Counting::inputs(self), committed, settings)?;
        committed.iter().map(|committed| Ok(open(self, committed, &written, settings)?)).collect()
    }

    fn unsaved(&self) -> Vec<Output> {
        Counting::unsaved(self)
    }

    fn learn(&mut self, key: &[u8], value: &[u8]) {
        Counting::learn(self, key, value);
    }
}

fn open<C: Counting>(
    stage: &C,
    committed: &Committed,
    written: &Written,
    settings: &WorkerSettings,
) -> Result<Ledger<C::Cells>, Halt> {
    let name = &Counting::inputs(stage)[usize::from(committed.source.topic)];
    let mut generation = 0;
    if let Some((last, to)) = written.heads.get(&committed.source) {
        if !settings.new_generation {
            let (source_topic, partition) = (name.clone(), committed.source.partition);
            return Err(Halt::MetadataMissing { source_topic, partition, generation: *last, to: *to });
        }
        generation = last + 1;
    }
    // A partition that the topic has got since the group began is new to everybody: nothing of it is skipped.
    let grown = written.first_rosters.get(name).is_some_and(|first| committed.source.partition >= *first);
    let first = match settings.start {
        StartAt::Latest if !grown => committed.log_end,
        StartAt::Latest | StartAt::Earliest => committed.log_start,
    };
    let opening = Opening {
        source: name,
        partition: committed.source.partition,
        partitions: committed.partitions,
        offset: committed.offset.unwrap_or(first),
        metadata: &committed.metadata,
        log_start: committed.log_start,
        generation,
        new_generation: settings.new_generation,
        bundle: Counting::bundle(stage),
        time: stage.time(),
    };
    Ledger::open(&opening, stage.cells(committed.source.topic))
}

/// What the output says of the input where the group does not.
#[derive(Default)]
struct Written {
    /// The last batch of a partition: its generation, and where it ends.
    heads: BTreeMap<Source, (u32, Offset)>,
    /// How many partitions each topic had in the first frontier that tells it.
    first_rosters: BTreeMap<String, i32>,
}

impl Written {
    fn read(
        log: &mut dyn Log,
        inputs: &[String],
        committed: &[Committed],
        settings: &WorkerSettings,
    ) -> Result<Self, CannotOpen> {
        let mut written = Self::default();
        // Without leave to begin a new generation, the ledger halts at metadata that it can't read.
        let unreadable = |metadata: &str| settings.new_generation && CommitMetadata::decode(metadata).is_err();
        let bare: BTreeMap<(&str, i32), Source> = committed
            .iter()
            .filter(|committed| committed.metadata.is_empty() || unreadable(&committed.metadata))
            .map(|committed| {
                let source = committed.source;
                ((inputs[usize::from(source.topic)].as_str(), source.partition), source)
            })
            .collect();
        if bare.is_empty() {
            return Ok(written);
        }
        log.read_back(topics::SLI_WINDOWS, 0, &mut |key, value| {
            let (Some(key), Some(value)) = (key, value) else { return };
            if !key.starts_with(b"__frontier/") {
                return;
            }
            let Ok(Fact::Frontier(frontier)) = Fact::from_json(value) else { return };
            if let Some(source) = bare.get(&(frontier.source.as_str(), frontier.partition)) {
                written.heads.insert(*source, (frontier.generation, frontier.to));
            }
            if let Some(partitions) = frontier.partitions {
                written.first_rosters.entry(frontier.source).or_insert(partitions);
            }
        })?;
        Ok(written)
    }
}

impl<C: Cells> Partition for Ledger<C> {
    fn start(&self) -> Offset {
        self.start()
    }

    fn refolding(&self) -> bool {
        self.refolding()
    }

    fn fold(&mut self, record: &Record<'_>, out: &mut Outbox) -> Result<(), Halt> {
        self.fold(record, out)
    }

    fn passed(&mut self, position: Offset) -> Result<(), Halt> {
        self.passed(position)
    }

    fn end(&mut self, position: Offset, out: &mut Outbox) {
        self.end(position, out);
    }

    fn idle(&mut self, position: Offset, now: EventTime, out: &mut Outbox) -> bool {
        self.idle(position, now, out)
    }

    fn metadata(&self, position: Offset) -> String {
        self.metadata(position).encode()
    }

    fn set_partitions(&mut self, partitions: i32) {
        self.set_partitions(partitions);
    }

    fn lost(&self) -> &[(Offset, Offset)] {
        self.lost()
    }

    fn watermark(&self) -> EventTime {
        self.watermark()
    }

    fn complete_until(&self) -> EventTime {
        self.complete_until()
    }

    fn live_cells(&self) -> usize {
        self.live_cells()
    }

    fn open_events(&self) -> u64 {
        self.open_events()
    }
}
