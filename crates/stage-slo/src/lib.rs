//! sli.windows → alerts, slo.state
//!
//! [`Objectives`] knows what was known at each grid point, whatever the order in which partitions were read, and moves every
//! objective to it. Must never know: Kafka, files, HTTP, clocks.

mod clock;
mod feed;
mod objective;
mod objectives;
mod records;
mod rules;
mod stage;
mod state;

pub use clock::Hole;
pub use objective::objective_of;
pub use objectives::{CannotFollow, Objectives};
pub use records::{AlertRecord, ObjectiveStanding, RuleStanding, Span, WindowCounts, alert_id};
pub use rules::rules_of;
pub use stage::{SloPartition, SloStage};
