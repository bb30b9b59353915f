//! The undisturbed run: one ledger per partition, driven directly, without worker, log, commits or recovery.
//!
//! It obeys what the disturbed run has recorded in its frontiers (idle advances, definitions, growth) and nothing else.

use std::collections::BTreeMap;

use streamgauge_events::partitioner::partition_of;
use streamgauge_events::{Cause, Frontier, topics};
use streamgauge_memory_log::{Broker, StoredRecord};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{Activation, Ledger, Outbox, Placement, Record, Source, Stage};
use streamgauge_stage_sli::SliStage;

use super::schedule::Schedule;
use super::subject::{self, BUNDLES};
use super::world::Activations;

/// Key and value of the records in each partition of each output topic, as one source partition makes them.
pub type Written = BTreeMap<(&'static str, i32), Vec<(Vec<u8>, Vec<u8>)>>;

pub struct Recorded<'a> {
    pub partition: i32,
    pub frontiers: &'a [Frontier],
    pub activations: &'a Activations,
}

/// What the partition's records must have become.
pub fn run(schedule: &Schedule, broker: &Broker, recorded: &Recorded<'_>) -> Result<Written, String> {
    let Recorded { partition, frontiers, activations } = *recorded;
    let stage = stage_that_knows_all(schedule);
    let records = broker.records(topics::REQUESTS, partition);
    let first = frontiers.first().map_or_else(|| stage.bundle().to_owned(), |_| first_bundle(activations));
    let opening = Opening {
        source: topics::REQUESTS,
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
    let halted = |halt| format!("the undisturbed run of partition {partition} halted: {halt}");
    let mut ledger = Ledger::open(&opening, stage.cells(0)).map_err(halted)?;
    let mut outbox = Outbox::default();
    let mut rest = records.as_slice();
    for frontier in frontiers {
        ledger.set_partitions(frontier.partitions.unwrap_or(0));
        ledger.set_activations(activations_at(frontier, activations)).map_err(halted)?;
        let (batch, later) = rest.split_at(rest.partition_point(|record| record.offset < frontier.to));
        for record in batch {
            ledger.fold(&borrowed(partition, record), &mut outbox).map_err(halted)?;
        }
        rest = later;
        if frontier.cause == Cause::Idle {
            let now = frontier.complete_until.plus_us(schedule.time.max_out_of_orderness_us);
            ledger.idle(frontier.to, now, &mut outbox);
        }
    }
    for record in rest {
        ledger.fold(&borrowed(partition, record), &mut outbox).map_err(halted)?;
    }
    Ok(written(&outbox, broker))
}

fn stage_that_knows_all(schedule: &Schedule) -> SliStage {
    let mut stage = subject::stage(schedule, 0);
    for bundle in 0..BUNDLES {
        for output in subject::stage(schedule, bundle).unsaved() {
            stage.learn(&output.key, &output.value);
        }
    }
    stage
}

fn first_bundle(activations: &Activations) -> String {
    activations.values().next().cloned().unwrap_or_default()
}

/// What was active when a batch was cut: the frontier's own definitions, behind those that began before them.
fn activations_at(frontier: &Frontier, activations: &Activations) -> Vec<Activation> {
    let earlier = activations.range(..frontier.bundle_start);
    let earlier = earlier.map(|(start, hash)| Activation { start: *start, hash: hash.clone() });
    let own = Activation { start: frontier.bundle_start, hash: frontier.bundle.clone() };
    earlier.chain([own]).collect()
}

fn borrowed(partition: i32, record: &StoredRecord) -> Record<'_> {
    Record {
        source: Source { topic: 0, partition },
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
        };
        for partition in into {
            let record = (output.key.clone(), output.value.clone());
            written.entry((output.topic, partition)).or_default().push(record);
        }
    }
    written
}
