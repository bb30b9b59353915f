//! The undisturbed run: one ledger per partition, driven directly, without worker, log, commits or recovery.
//!
//! It obeys what the disturbed run has recorded in its frontiers (idle advances, definitions, growth) and nothing else.

use std::collections::BTreeMap;

use streamgauge_events::partitioner::partition_of;
use streamgauge_events::{Cause, Frontier, Offset};
use streamgauge_memory_log::{Broker, StoredRecord};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{Activation, Counting, Ledger, Outbox, Placement, Record, Source};
use streamgauge_stage_sli::SliStage;

use super::bundles::{BUNDLES, READS_ALL};
use super::schedule::Schedule;
use super::subject;
use super::world::{Activations, Place};

/// Key and value of the records in each partition of each output topic, as one source partition makes them.
pub type Written = BTreeMap<(&'static str, i32), Vec<(Vec<u8>, Vec<u8>)>>;

pub struct Recorded<'a> {
    pub place: Place,
    /// How far the partition was counted: to its end, unless nobody reads its topic any more.
    pub until: Offset,
    pub frontiers: &'a [Frontier],
    pub activations: &'a Activations,
}

/// What the partition's records must have become.
pub fn run(schedule: &Schedule, broker: &Broker, recorded: &Recorded<'_>) -> Result<Written, String> {
    let Recorded { place: (topic, partition), until, frontiers, activations } = *recorded;
    let stage = stage_that_knows_all(schedule);
    let mut records = broker.records(topic, partition);
    records.retain(|record| record.offset < until);
    let first = frontiers.first().map_or_else(|| stage.bundle().to_owned(), |_| first_bundle(activations));
    let opening = Opening {
        source: topic,
        partition,
        partitions: 0,
        offset: 0,
        metadata: "",
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle: &first,
        time: schedule.time,
    };
    let halted = |halt| format!("the undisturbed run of {topic}/{partition} halted: {halt}");
    let index = stage.topic_index(topic).expect("it reads every topic");
    let mut ledger = Ledger::open(&opening, stage.cells(index)).map_err(halted)?;
    let mut outbox = Outbox::default();
    let source = Source { topic: index, partition };
    let mut rest = records.as_slice();
    for frontier in frontiers {
        ledger.set_partitions(frontier.partitions.unwrap_or(0));
        ledger.set_activations(activations_at(frontier, activations)).map_err(halted)?;
        let (batch, later) = rest.split_at(rest.partition_point(|record| record.offset < frontier.to));
        for record in batch {
            ledger.fold(&borrowed(source, record), &mut outbox).map_err(halted)?;
        }
        rest = later;
        if frontier.cause == Cause::Idle {
            let now = frontier.complete_until.plus_us(schedule.time.max_out_of_orderness_us);
            ledger.idle(frontier.to, now, &mut outbox);
        }
    }
    if !activations.is_empty() {
        ledger.set_activations(activations.clone()).map_err(halted)?;
    }
    for record in rest {
        ledger.fold(&borrowed(source, record), &mut outbox).map_err(halted)?;
    }
    Ok(written(&outbox, broker))
}

fn stage_that_knows_all(schedule: &Schedule) -> SliStage {
    let mut stage = subject::stage(schedule, READS_ALL);
    for bundle in 0..BUNDLES {
        for output in subject::stage(schedule, bundle).unsaved() {
            stage.learn(&output.key, &output.value);
        }
    }
    stage
}

fn first_bundle(activations: &Activations) -> String {
    activations.first().map(|first| first.hash.clone()).unwrap_or_default()
}

/// What was active when a batch was cut: the frontier's own definitions, behind those that began before them.
fn activations_at(frontier: &Frontier, activations: &Activations) -> Vec<Activation> {
    let (start, hash, to) = (frontier.bundle_start, &frontier.bundle, frontier.to);
    let own = |known: &Activation| known.start == start && known.hash == *hash && known.from <= to;
    if let Some(index) = activations.iter().rposition(own) {
        return activations[..=index].to_vec();
    }
    // No record has met them, so no commit tells of them any more.
    let earlier = activations.iter().filter(|known| known.start <= start && known.from < to).cloned();
    earlier.chain([Activation { start, hash: hash.clone(), from: to }]).collect()
}

fn borrowed(source: Source, record: &StoredRecord) -> Record<'_> {
    Record {
        source,
        offset: record.offset,
        timestamp: Some(record.timestamp),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        rejected: None,
    }
}

fn written(outbox: &Outbox, broker: &Broker) -> Written {
    let mut written = Written::new();
    for output in outbox.outputs() {
        let partitions = broker.partitions(output.topic).unwrap_or(1);
        let into: Vec<i32> = match output.placement {
            Placement::ByKey => vec![partition_of(&output.key, partitions)],
            Placement::Every => (0..partitions).collect(),
            Placement::At(partition) => vec![partition],
        };
        for partition in into {
            let record = (output.key.clone(), output.value.clone());
            written.entry((output.topic, partition)).or_default().push(record);
        }
    }
    written
}
