//! The undisturbed run of one lane: one worker at a time, started anew only where definitions change.

use std::time::Duration;

use streamgauge_events::{EventTime, Offset, topics};
use streamgauge_memory_log::{Broker, ClientConfig, MemoryLog, StoredRecord};
use streamgauge_stage::{Worker, WorkerSettings};

use super::checks::{Told, alerts_of};
use super::subject;
use super::world::{Era, GROUP, create_topics};
use crate::sim::schedule::SECOND_US;

pub fn run(lanes: i32, lane: i32, facts: &[StoredRecord], eras: &[Era]) -> Result<Told, String> {
    let broker = Broker::default();
    create_topics(&broker, lanes);
    let mut from = Offset::MIN;
    for era in eras {
        let of_era = facts.iter().filter(|record| (from..era.until).contains(&record.offset));
        for record in of_era {
            broker.append(topics::SLI_WINDOWS, lane, None, record.value.as_deref());
        }
        from = era.until;
        read_all(&broker, lane, era.bundle)?;
    }
    Ok(alerts_of(&broker))
}

fn read_all(broker: &Broker, lane: i32, bundle: usize) -> Result<(), String> {
    let config = ClientConfig::new(GROUP, "calm", &[topics::SLI_WINDOWS]);
    let log = MemoryLog::connect(broker, config).map_err(|error| error.to_string())?;
    let mut worker = Worker::new(log, subject::stage(bundle), WorkerSettings::default());
    let mut now = broker.now();
    let next = |now: EventTime| {
        broker.advance_to(now);
        now.plus_us(3 * SECOND_US)
    };
    // Joining the group takes a few turns.
    for _ in 0..10 {
        now = next(now);
        worker.turn(now, Duration::ZERO).map_err(|exit| format!("the undisturbed worker gave up: {exit}"))?;
    }
    let (result, ..) = worker.stop(now);
    result.map_err(|exit| format!("the undisturbed worker gave up: {exit}"))?;
    let committed = broker.group_offset(GROUP, topics::SLI_WINDOWS, lane).map(|committed| committed.offset);
    let (_, end) = broker.offsets(topics::SLI_WINDOWS, lane);
    if committed == Some(end) { Ok(()) } else { Err(format!("the undisturbed worker stops at {committed:?} of {end}")) }
}
