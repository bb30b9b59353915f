//! What is being simulated: the worker's log and stage, as they are or deliberately broken.

use streamgauge_events::topics;
use streamgauge_memory_log::{Broker, MemoryLog};
use streamgauge_stage::{Counting, Log};
use streamgauge_stage_sli::SliStage;

use super::bundles::bundle_of;
use super::schedule::Schedule;

/// A worker is made of these two.
pub trait Subject {
    type Log: Log;
    type Stage: Counting;
    /// `inputs` are those of its stage.
    fn log(&self, log: MemoryLog, broker: &Broker, inputs: &[String]) -> Self::Log;
    fn stage(&self, stage: SliStage) -> Self::Stage;
}

/// The real thing.
pub struct Sound;

impl Subject for Sound {
    type Log = MemoryLog;
    type Stage = SliStage;

    fn log(&self, log: MemoryLog, _broker: &Broker, _inputs: &[String]) -> MemoryLog {
        log
    }

    fn stage(&self, stage: SliStage) -> SliStage {
        stage
    }
}

pub fn stage(schedule: &Schedule, bundle: usize) -> SliStage {
    let bundle = bundle_of(schedule, bundle);
    SliStage::new(topics::REQUESTS, schedule.time, &bundle).expect("these definitions are valid")
}
