//! Facts, promises, and what must be told of them.

pub mod facts;
pub mod model;
pub mod promises;
pub mod upstream;
