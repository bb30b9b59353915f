//! files → requests, scores, resources
//!
//! Turns rows of CSV, JSON lines, access logs, plain or gzipped, and Parquet into events of one kind, as a mapping file says.
//! A row that can't be turned into an event becomes one rejection with a sentence that explains it; it never stops the
//! reader and never vanishes. Numbers and times are exact: no float stands between a row and its event.
//!
//! Reads files, in bounded memory. Must never know: the clock, Kafka, stages, what is counted.

mod file;
pub use file::{Counts, EXPANSION_EVENTS_MAX, MappedFile, MappedRecord};

mod mapped_event;
pub use mapped_event::MappedEvent;

mod mapping;
pub use mapping::{Format, Mapping};
mod check;
mod check_expand;
mod check_fields;
mod check_rows;
mod check_times;
mod check_unpivot;
mod definition;
mod invalid;
pub use invalid::{Invalid, MappingError};

mod columns;
mod unpivot;

mod infer;
mod sample;
pub use infer::Proposal;
pub use sample::infer;

mod unpack;

mod remedy;
pub use remedy::{reason, remedy};

mod rows;
pub use rows::ROW_BYTES_MAX;
mod extract;
mod row_csv;
mod row_json;
mod row_log;
mod row_parquet;

mod convert;
mod decimal;
mod expand;
mod times;
