//! Counts at grid points → budgets, burn rates, alerts.
//!
//! Sums over windows of event time ([`sums`]), compared with a target as integers ([`target`]); what follows from them is a
//! state machine per rule ([`alert`]), moved at each grid point by [`Evaluator`]. Must never know: records, topics, files,
//! clocks.

pub mod alert;
pub mod budget;
pub mod burn;
pub mod calendar;
pub mod evaluate;
pub mod forecast;
pub mod saved;
pub mod significance;
pub mod sums;
pub mod target;

pub use alert::{Alert, Condition, Rule, Severity, Transition};
pub use budget::Budget;
pub use burn::Tier;
pub use calendar::{Calendar, Period};
pub use evaluate::{Evaluator, Objective, Standing};
pub use forecast::Forecast;
pub use sums::{Sums, Tally};
pub use target::{Fraction, Target};
