//! Bytes → events, quickly: JSON and Avro, for all kinds of events.
//!
//! Decides exactly as [`Event::from_json`](streamgauge_events::Event::from_json) does, and asks it in every doubt. Knows
//! formats and schemas. Must never know: Kafka, topics, clocks, IO, how anything is counted.

mod avro;
mod checks;
mod json;
pub mod schemas;

pub use avro::{AvroDecoder, AvroEncoder, AvroSchemaError, AvroSchemas, Framing, SchemaKey, SchemaName};
pub use json::JsonDecoder;
