//! requests, scores, resources → sli.windows
//!
//! Folds events into panes of counts, latency histograms and values: golden signals for every service without any
//! definition, and the SLIs that are defined. Must never know: Kafka, HTTP, the wall clock, randomness, other stages.

mod stage;
pub use stage::SliStage;

mod cells;
pub use cells::SliCells;
mod names;
mod pane;
mod series;

mod cell;
mod plan;

mod explain;
pub use explain::{Explainer, Explanation, Outcome};

/// The SLI that every service has without a definition: rate, errors, latency by route and version.
pub const GOLDEN: &str = "requests";
