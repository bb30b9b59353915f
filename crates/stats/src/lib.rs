//! Numbers that merge exactly: histograms with one fixed layout, ranks in integers.
//!
//! Must never know: records, topics, clocks, IO.

pub mod histogram;
pub mod quantile;

pub use histogram::{Histogram, HistogramError, OpenHistogram};
pub use quantile::{Bounds, Quantile};
