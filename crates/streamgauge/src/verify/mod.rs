//! Results against the truth of whoever produced the records.

mod command;
pub mod judge;

pub use command::{VerifyArgs, run};
