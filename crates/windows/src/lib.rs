//! sli.windows → panes, windows of any length; and the proof that every record was counted once.
//!
//! [`Fold`] adds deltas to panes and panes to windows; [`Audit`] checks the numbered batches. Must never know: files,
//! Kafka, clocks, how a stage counts.

pub mod audit;
pub mod cell;
mod chain;
pub mod coverage;
pub mod fold;
mod offsets;
pub mod report;
pub mod slice;
pub mod window;

pub use audit::{Audit, Mark};
pub use fold::{Fold, FoldedPane, Only, Refused};
pub use report::{PartitionReport, Problem, Report};
pub use slice::{SliceRow, Slices, judge};
pub use window::{Label, Level, Query, Window};

/// The SLI that every service has without a definition.
pub const GOLDEN: &str = "requests";
