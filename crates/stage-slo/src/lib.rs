//! sli.windows → budgets at grid points, alerts
//!
//! [`Alignment`] says what was known at a grid point, whatever the order in which partitions were read; [`Objectives`] moves
//! every objective to it. Must never know: Kafka, files, HTTP, clocks.

mod align;
mod feed;
mod objectives;

pub use align::Alignment;
pub use objectives::{AlertRecord, ObjectiveStanding, Objectives, RuleStanding, Span, WindowCounts, objective_of};
