//! Facts and promises.

pub mod facts;
pub mod promises;
