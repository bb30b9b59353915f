//! What travels through topics: record types, their codecs, the topic table.
//!
//! Knows JSON and the names of fields. Must never know: clocks, IO, Kafka clients, how anything is counted, and the
//! `stats` crate beside it.

pub mod attributes;
pub mod command;
pub mod dead_letter;
pub mod event;
pub mod facts;
pub mod json_number;
pub mod partitioner;
pub mod request;
pub mod time;
pub mod topics;

pub use attributes::Attributes;
pub use command::{Command, Decision};
pub use dead_letter::{DeadLetter, Reason, Rejection};
pub use event::{Event, Field, FieldSet, Kind, NumberField, TextField};
pub use facts::{Cause, Delta, Fact, Frontier};
pub use request::Request;
pub use time::EventTime;

/// A position in one partition of a log. The offset of the next record to read, or of a record itself.
pub type Offset = i64;
