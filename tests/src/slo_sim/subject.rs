//! What is being simulated: the worker's log and stage, as they are or deliberately broken.

use streamgauge_events::topics;
use streamgauge_memory_log::{Broker, MemoryLog};
use streamgauge_stage::{Log, Stage};
use streamgauge_stage_slo::SloStage;

use super::promises::bundle_of;

/// A worker is made of these two.
pub trait Subject {
    type Log: Log;
    type Stage: Stage;
    fn log(&self, log: MemoryLog, broker: &Broker) -> Self::Log;
    fn stage(&self, stage: SloStage) -> Self::Stage;
}

/// The real thing.
pub struct Sound;

impl Subject for Sound {
    type Log = MemoryLog;
    type Stage = SloStage;

    fn log(&self, log: MemoryLog, _broker: &Broker) -> MemoryLog {
        log
    }

    fn stage(&self, stage: SloStage) -> SloStage {
        stage
    }
}

/// With the definitions of that number.
pub fn stage(bundle: usize) -> SloStage {
    let stage = SloStage::new(&bundle_of(bundle), topics::REQUESTS).expect("these definitions are valid");
    stage.accepting_holes(true)
}
