//! requests → sli.windows
//!
//! Folds requests into panes of counts and latency histograms: golden signals for every service without any definition,
//! and the SLIs that are defined. Must never know: Kafka, HTTP, the wall clock, randomness, other stages.

mod bundle;
mod cell;
mod cells;
pub mod definitions;
pub mod predicate;
mod stage;

pub use bundle::{Bundle, BundleSettings, SeriesKey};
pub use cells::SliCells;
pub use definitions::{DefinitionError, Definitions};
pub use stage::SliStage;

/// The SLI that every service has without a definition: rate, errors, latency by route and version.
pub const GOLDEN: &str = "requests";
